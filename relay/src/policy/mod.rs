//! Facts on demand: `judge` walks the rules of a stage; a rule that reaches for a fact that
//! nobody has looked up yet says so, the edge fetches it, and `judge` runs again. Rules are
//! pure, so running again is free, and each need is fetched at most once.

pub mod facts;
pub mod rules;
pub mod verdict;
mod words;

use crate::settings::Settings;
use facts::{Facts, Need};
use verdict::Refusal;

/// The moments at which we are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A client connected.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// The content is complete.
    Content,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Connect, Self::Hello, Self::Mail, Self::Recipient, Self::Content];

    /// As it is written in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Mail => "mail",
            Self::Recipient => "recipient",
            Self::Content => "content",
        }
    }
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its file's name: the name in log, metrics and `explain`.
    pub name: &'static str,
    /// One sentence for the operator.
    pub help: &'static str,
    /// The rule itself.
    pub run: fn(&Facts<'_>, &Settings) -> Ruling,
    /// What it looked at, in words, once it has run; for `explain`.
    pub looked_at: fn(&Facts<'_>, &Settings) -> String,
}

/// Who says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// A rule, by its place in the list of its stage.
    Rule(usize),
    /// The next hop.
    NextHop,
    /// The session itself: limits of time and order.
    Session,
    /// A recipient that no route fits; only at RCPT.
    Route,
}

impl Refuser {
    /// All who can refuse at a stage; each stands where its [`Refuser::place`] says.
    pub fn at(stage: Stage) -> impl Iterator<Item = Self> {
        let rules = (0..rules::at(stage).len()).map(Self::Rule);
        let route = (stage == Stage::Recipient).then_some(Self::Route);
        rules.chain([Self::NextHop, Self::Session]).chain(route)
    }

    /// Counts those who can refuse at a stage.
    #[must_use]
    pub fn position(self, stage: Stage) -> usize {
        match self {
            Self::Rule(place) => place,
            Self::NextHop => rules::at(stage).len(),
            Self::Session => rules::at(stage).len() + 1,
            Self::Route => rules::at(stage).len() + 2,
        }
    }

    /// As it is written in log and figures.
    #[must_use]
    pub fn name(self, stage: Stage) -> &'static str {
        match self {
            Self::Rule(place) => rules::at(stage).get(place).map_or("", |rule| rule.name),
            Self::NextHop => "next_hop",
            Self::Session => "session",
            Self::Route => "route",
        }
    }
}

/// What a rule comes to: no objection, a refusal, or a fact that somebody must look up.
pub type Ruling = Result<Option<Refusal>, Need>;

/// The first refusal wins; rules stand cheapest first. `ran` hears what each rule came to, once
/// it has all the facts that it asks for.
/// # Errors
/// The first fact that is missing.
pub fn judge(
    stage: Stage,
    facts: &Facts<'_>,
    settings: &Settings,
    ran: impl FnMut(&'static Rule, Option<&Refusal>),
) -> Result<Option<(Refuser, Refusal)>, Need> {
    judge_from(&mut 0, stage, facts, settings, ran)
}

/// As [`judge`], from the rule `at` on. Where a fact is missing, `at` is the rule that reached for
/// it: those above it have had all that they need, and none of it changes while a question is open.
/// # Errors
/// The first fact that is missing.
pub fn judge_from(
    at: &mut usize,
    stage: Stage,
    facts: &Facts<'_>,
    settings: &Settings,
    mut ran: impl FnMut(&'static Rule, Option<&Refusal>),
) -> Result<Option<(Refuser, Refusal)>, Need> {
    for rule in rules::at(stage).iter().skip(*at) {
        let refusal = (rule.run)(facts, settings)?;
        ran(rule, refusal.as_ref());
        if let Some(refusal) = refusal {
            return Ok(Some((Refuser::Rule(*at), refusal)));
        }
        *at += 1;
    }
    Ok(None)
}
