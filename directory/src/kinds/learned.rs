//! `learned` in the table of kinds, and what was learned as a source.

use super::{Kind, Listed, SourceSettings};
use crate::learned::{Belief, Learned, LearnedSettings, Mode, Name, Names, Unseen, name, settings};
use crate::question::{Finding, Matched, Question, SourceAnswer};
use crate::report::SourceReport;
use crate::source::{Opened, RecipientSource};
use ::settings::table::reader::FromTable;
use mail::address::Domain;
use relay::recipient::Ground;
use relay::settings::DomainId;
use std::sync::Arc;

/// `{ learned = true }`.
pub const KIND: Kind = Kind {
    name: "learned",
    help: "What mail itself shows: who writes, whose mail is taken, who is refused.",
    entry: settings::Entry::TABLE.keys,
    table: None,
    read: |entry, _, context| {
        let settings = settings::read(&settings::Entry::read_from(entry, context), context)?;
        Some(Listed::Itself(SourceSettings::Learned(settings)))
    },
    try_out: |_, _| None,
    open: |settings, domains, environment| {
        let SourceSettings::Learned(settings) = settings else { return None };
        let source = LearnedRecipients::new(
            *settings,
            Arc::clone(&environment.learned),
            domains.iter().map(|domain| (domain.id, domain.name.clone())).collect(),
        );
        Some(Opened { source: Arc::new(source), outcomes: Vec::new() })
    },
};

/// What was learned, as a source of the domains that list it with the same settings.
#[derive(Debug)]
pub struct LearnedRecipients {
    name: Arc<str>,
    settings: LearnedSettings,
    learned: Arc<Learned>,
    domains: Vec<(DomainId, Domain)>,
}

impl LearnedRecipients {
    /// Answers from this memory, for these domains.
    #[must_use]
    pub fn new(
        settings: LearnedSettings,
        learned: Arc<Learned>,
        domains: Vec<(DomainId, Domain)>,
    ) -> Self {
        Self { name: name(settings).into(), settings, learned, domains }
    }
}

impl RecipientSource for LearnedRecipients {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn look_up(&self, question: &Question<'_>) -> SourceAnswer {
        let exists = |by| Finding::Exists { target: None, by };
        let LearnedSettings { mode, unseen } = self.settings;
        if mode == Mode::Observe {
            let passes = Some(Ground::Observed { unseen });
            return SourceAnswer::Now(Finding::Abstains { passes });
        }
        let names = Names::new(&question.canonical, question.settings);
        SourceAnswer::Now(match self.learned.believe(&names) {
            (Belief::Exists, false) => exists(Matched::Exact),
            (Belief::Exists, true) => exists(Matched::SubAddress),
            (Belief::Unknown, _) => Finding::Unknown,
            (Belief::Unseen, _) => match unseen {
                Unseen::Refuse => Finding::Unknown,
                Unseen::Defer => Finding::Abstains { passes: None },
                Unseen::Accept => Finding::Abstains { passes: Some(Ground::Presumed) },
            },
        })
    }

    fn doubt_negative(&self, domain: DomainId, local_part: &[u8]) {
        if let Some((_, name)) = self.domains.iter().find(|(id, _)| *id == domain) {
            self.learned.forgive(Name::new(local_part, name.as_str()).as_str());
        }
    }

    /// The memory is one for all domains that learn.
    fn report(&self) -> SourceReport {
        let figures = self.learned.figures();
        SourceReport {
            name: self.name.to_string(),
            domains: self.domains.iter().map(|(_, name)| name.to_string()).collect(),
            remembered_yes: figures.positives,
            remembered_no: figures.negatives,
            ..SourceReport::default()
        }
    }
}
