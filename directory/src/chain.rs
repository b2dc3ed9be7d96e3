//! The answer for one recipient: bitbucket and leaver rules, then the domain's sources in order,
//! then catch-all; `postmaster` and `abuse` always. Sources add up: an address exists when any
//! source has it, is unknown when all say so, and otherwise nobody knows.

use super::live::class::Class;
use super::question::is_reserved;
use super::statistics::Age;
use super::{
    Account, Canonical, Finding, Matched, Question, RecipientMemory, RecipientSource, SourceAnswer,
    pattern::Pattern,
};
use mail::address::{LocalPart, Mailbox};
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{DomainId, DomainSettings};
use relay::turns::Party;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Mail for it is accepted and discarded on purpose.
#[derive(Clone, Debug)]
pub struct Bitbucket {
    /// Whose mail.
    pub pattern: Pattern,
    /// Why, as the operator wrote it.
    pub reason: Box<str>,
}

/// Whoever it was has left.
#[derive(Clone, Debug)]
pub struct Leaver {
    /// Who.
    pub pattern: Pattern,
    /// What the client is told.
    pub text: Box<str>,
}

/// What is asked for one domain.
#[derive(Clone, Default)]
pub struct DomainDirectory {
    /// In the order they are asked.
    pub sources: Arc<[Arc<dyn RecipientSource>]>,
    /// In the order of the configuration.
    pub bitbuckets: Vec<Bitbucket>,
    /// In the order of the configuration.
    pub leavers: Vec<Leaver>,
    /// An address that nobody can say anything of is accepted.
    pub accepts_in_outage: bool,
}

/// The status of a recipient, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What the rules read.
    pub status: RecipientStatus,
    /// The source or rule that decided: `file users.txt`, `bitbucket`, `catch-all`.
    pub source: Arc<str>,
}

/// Found at once, or still being asked for.
pub enum Answer {
    /// From memory.
    Now(Found),
    /// To be awaited.
    Later(Pin<Box<dyn Future<Output = Found> + Send>>),
}

/// What one source or rule said, for `explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who.
    pub source: Arc<str>,
    /// What; nothing for a rule that did not apply.
    pub finding: Option<Finding>,
    /// Where that comes from.
    pub account: Account,
}

/// How an answer came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Who was asked, in order.
    pub steps: Vec<Step>,
    /// The answer.
    pub found: Found,
}

/// Names of deciders that are no sources, made once so that answers only count references.
struct Names {
    bitbucket: Arc<str>,
    leaver: Arc<str>,
    catch_all: Arc<str>,
    reserved: Arc<str>,
    none: Arc<str>,
    in_outage: Arc<str>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    bitbucket: "bitbucket".into(),
    leaver: "leaver".into(),
    catch_all: "catch-all".into(),
    reserved: "postmaster and abuse".into(),
    none: "no source".into(),
    in_outage: "on_outage".into(),
});

/// The recipients of all domains.
#[derive(Clone, Default)]
pub struct Directory {
    domains: Vec<DomainDirectory>,
}

/// When a source said what it says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// At once: from what it holds or remembers.
    AtOnce,
    /// After it had asked.
    Asked,
}

/// What the sources asked so far come to.
#[derive(Default)]
struct Tally {
    /// The first that could not say.
    unavailable: Option<Arc<str>>,
    /// The last that knows of no such address.
    unknown: Option<Arc<str>>,
    /// One that leaves it to the others, and on which ground the address passes when they say
    /// nothing.
    abstains: Option<(Arc<str>, Option<Ground>)>,
}

impl Tally {
    /// Takes a finding; an address that exists ends the search.
    fn take(
        &mut self,
        source: &dyn RecipientSource,
        finding: Finding,
        when: When,
    ) -> Option<Found> {
        let is_remembered = when == When::AtOnce && source.memory().is_some();
        let source = source.name();
        match finding {
            Finding::Exists { target, by } => {
                let ground = match by {
                    _ if is_remembered => Ground::Remembered,
                    Matched::Exact | Matched::SubAddress => Ground::Listed,
                    Matched::Pattern(_) => Ground::Pattern,
                };
                let status = RecipientStatus::Exists { target, ground };
                return Some(Found { status, source: source.clone() });
            }
            Finding::Unknown => self.unknown = Some(source.clone()),
            Finding::Unavailable => {
                self.unavailable.get_or_insert_with(|| source.clone());
            }
            Finding::Abstains { passes } => self.abstains = Some((source.clone(), passes)),
        }
        None
    }

    fn conclude(self, otherwise: Otherwise) -> Found {
        let Otherwise { is_reserved, postmaster, catch_all, accepts_in_outage } = otherwise;
        let exists = |target, ground, source: &Arc<str>| Found {
            status: RecipientStatus::Exists { target, ground },
            source: source.clone(),
        };
        if is_reserved {
            return exists(postmaster, Ground::Reserved, &NAMES.reserved);
        }
        // An address that one source knows nothing of may be in the one that is down.
        let nobody_says = match (self.unavailable, self.unknown, catch_all) {
            (Some(source), ..) => source,
            (None, Some(_), Some(target)) => {
                return exists(Some(target), Ground::CatchAll, &NAMES.catch_all);
            }
            (None, Some(source), None) => {
                return Found { status: RecipientStatus::Unknown, source };
            }
            (None, None, _) => match self.abstains {
                Some((source, Some(ground))) => return exists(None, ground, &source),
                Some((source, None)) => source,
                None => NAMES.none.clone(),
            },
        };
        if accepts_in_outage {
            return exists(None, Ground::Outage, &NAMES.in_outage);
        }
        Found { status: RecipientStatus::Unavailable, source: nobody_says }
    }
}

/// What the settings say about an address that no source has.
struct Otherwise {
    is_reserved: bool,
    postmaster: Option<Mailbox>,
    catch_all: Option<Mailbox>,
    accepts_in_outage: bool,
}

impl Otherwise {
    fn new(question: &Question<'_>, accepts_in_outage: bool) -> Self {
        let DomainSettings { postmaster, catch_all, .. } = question.settings;
        let is_reserved = is_reserved(question.local_part.as_str());
        let (postmaster, catch_all) = (postmaster.clone(), catch_all.clone());
        Self { is_reserved, postmaster, catch_all, accepts_in_outage }
    }
}

/// A question that a future may keep.
struct OwnedQuestion {
    domain: DomainId,
    settings: DomainSettings,
    local_part: LocalPart,
    canonical: Canonical,
    party: Party,
    accepts_in_outage: bool,
}

impl OwnedQuestion {
    fn new(question: &Question<'_>, accepts_in_outage: bool) -> Self {
        Self {
            domain: question.domain,
            settings: question.settings.clone(),
            local_part: question.local_part.clone(),
            canonical: question.canonical,
            party: question.party,
            accepts_in_outage,
        }
    }

    fn question(&self) -> Question<'_> {
        let Self { domain, settings, local_part, canonical, party, .. } = self;
        Question { domain: *domain, settings, local_part, canonical: *canonical, party: *party }
    }
}

impl Directory {
    /// Takes one entry for each [`DomainId`], in order.
    #[must_use]
    pub fn new(domains: Vec<DomainDirectory>) -> Self {
        Self { domains }
    }

    /// What is asked for a domain.
    #[must_use]
    pub fn domain(&self, id: DomainId) -> Option<&DomainDirectory> {
        self.domains.get(id.0 as usize)
    }

    /// Something else than a source shows that an address exists: a no that is remembered ends.
    pub fn shown(&self, domain: DomainId, local_part: &[u8]) {
        let sources = self.domain(domain).map_or(&[][..], |here| &here.sources);
        sources.iter().for_each(|source| source.doubt_negative(domain, local_part));
    }

    /// Finds out about a recipient. From memory this takes no lock and, for a plain address, no
    /// allocation. `patience` is what its sources may take together: of those who did not answer
    /// by then it counts what they are last known to say.
    #[must_use]
    pub fn look_up(
        &self,
        domain: DomainId,
        settings: &DomainSettings,
        local_part: &LocalPart,
        party: Party,
        patience: Duration,
    ) -> Answer {
        let canonical = Canonical::new(local_part, settings);
        let question = Question { domain, settings, local_part, canonical, party };
        let mut tally = Tally::default();
        let Some(here) = self.domain(domain) else {
            return Answer::Now(tally.conclude(Otherwise::new(&question, false)));
        };
        if let Some(found) = here.ruled(&question) {
            return Answer::Now(found);
        }
        for (at, source) in here.sources.iter().enumerate() {
            match source.look_up(&question) {
                SourceAnswer::Now(finding) => {
                    if let Some(found) = tally.take(&**source, finding, When::AtOnce) {
                        return Answer::Now(found);
                    }
                }
                SourceAnswer::Later(first) => {
                    let rest = Rest {
                        sources: here.sources.clone(),
                        at,
                        kept: OwnedQuestion::new(&question, here.accepts_in_outage),
                        tally,
                        deadline: Instant::now() + patience,
                    };
                    return Answer::Later(Box::pin(rest.ask(first)));
                }
            }
        }
        Answer::Now(tally.conclude(Otherwise::new(&question, here.accepts_in_outage)))
    }

    /// As [`Directory::look_up`], noting what everyone said.
    pub async fn trace(
        &self,
        domain: DomainId,
        settings: &DomainSettings,
        local_part: &LocalPart,
    ) -> Trace {
        let canonical = Canonical::new(local_part, settings);
        let party = Party::NAMELESS;
        let question = Question { domain, settings, local_part, canonical, party };
        let (mut steps, mut tally) = (Vec::new(), Tally::default());
        let Some(here) = self.domain(domain) else {
            let found = tally.conclude(Otherwise::new(&question, false));
            return Trace { steps, found };
        };
        for name in [&NAMES.bitbucket, &NAMES.leaver] {
            let account = Account::default();
            steps.push(Step { source: name.clone(), finding: None, account });
        }
        if let Some(found) = here.ruled(&question) {
            return Trace { steps, found };
        }
        for source in here.sources.iter() {
            let (finding, when) = match source.look_up(&question) {
                SourceAnswer::Now(finding) => (finding, When::AtOnce),
                SourceAnswer::Later(finding) => (finding.await, When::Asked),
            };
            let (name, account) = (source.name().clone(), source.account(&question));
            steps.push(Step { source: name, finding: Some(finding.clone()), account });
            if let Some(found) = tally.take(&**source, finding, when) {
                return Trace { steps, found };
            }
        }
        let found = tally.conclude(Otherwise::new(&question, here.accepts_in_outage));
        Trace { steps, found }
    }
}

impl DomainDirectory {
    /// What a bitbucket or leaver rule says. A pattern never takes `postmaster` or `abuse` away
    /// (RFC 5321 §4.5.1); only a bitbucket rule that names one may discard its mail.
    fn ruled(&self, question: &Question<'_>) -> Option<Found> {
        let reserved = is_reserved(question.local_part.as_str());
        let canonical = &question.canonical;
        let matches = |pattern: &Pattern| {
            pattern.matches(canonical.exact())
                || canonical.base().is_some_and(|base| pattern.matches(base))
        };
        for Bitbucket { pattern, reason } in &self.bitbuckets {
            if matches(pattern) && (!reserved || pattern.is_literal()) {
                let status = RecipientStatus::Bitbucket { reason: reason.clone() };
                return Some(Found { status, source: NAMES.bitbucket.clone() });
            }
        }
        let leaver = self.leavers.iter().find(|leaver| !reserved && matches(&leaver.pattern))?;
        let status = RecipientStatus::Left { text: leaver.text.clone() };
        Some(Found { status, source: NAMES.leaver.clone() })
    }
}

/// What is left to be asked where a source could not answer at once.
struct Rest {
    sources: Arc<[Arc<dyn RecipientSource>]>,
    /// Which source that was.
    at: usize,
    kept: OwnedQuestion,
    tally: Tally,
    deadline: Instant,
}

impl Rest {
    async fn ask(mut self, first: Pin<Box<dyn Future<Output = Finding> + Send>>) -> Found {
        let mut first = Some(SourceAnswer::Later(first));
        for source in &self.sources[self.at..] {
            let asked = first.take().unwrap_or_else(|| source.look_up(&self.kept.question()));
            let (finding, when) = match asked {
                SourceAnswer::Now(finding) => (finding, When::AtOnce),
                SourceAnswer::Later(finding) => match timeout_at(self.deadline, finding).await {
                    Ok(finding) => (finding, When::Asked),
                    // Whoever does not answer in time has not answered.
                    Err(_) => {
                        let last_known =
                            |memory: &dyn RecipientMemory| memory.last_known(&self.kept.question());
                        (source.memory().map_or(Finding::Unavailable, last_known), When::AtOnce)
                    }
                },
            };
            if let Some(found) = self.tally.take(&**source, finding, when) {
                return found;
            }
        }
        self.tally.conclude(Otherwise::new(&self.kept.question(), self.kept.accepts_in_outage))
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exists { target, by } => {
                match by {
                    Matched::Exact => f.write_str("exists")?,
                    Matched::SubAddress => f.write_str("exists without its sub-address")?,
                    Matched::Pattern(pattern) => write!(f, "matches {pattern}")?,
                }
                target.as_ref().map_or(Ok(()), |target| write!(f, ", as {target}"))
            }
            Self::Unknown => f.write_str("unknown"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Abstains { passes: Some(_) } => f.write_str("abstains; alone, lets it pass"),
            Self::Abstains { passes: None } => f.write_str("abstains; alone, nobody knows"),
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, finding, account } = self;
        write!(f, "{source}: ")?;
        match finding {
            Some(finding) => write!(f, "{finding}")?,
            None => f.write_str("does not apply")?,
        }
        if let Some(seconds) = account.age_seconds {
            write!(f, ", {} old", Age(seconds))?;
        }
        if let Some(class) = account.class.filter(|class| *class > Class::Honest) {
            write!(f, ", {}", class.word())?;
        }
        match &account.note {
            Some(note) if *finding == Some(Finding::Unavailable) => write!(f, " ({note})"),
            _ => Ok(()),
        }
    }
}
