//! What a source of recipients is, and what it needs of the process. Lists and sources that ask
//! elsewhere are made of this in `list` and `live`.

use crate::learned::Learned;
use crate::load::guard::{Confirmation, Outcome};
use crate::load::{LoadError, Preview, Recipient};
use crate::question::{Finding, Question, SourceAnswer, Teller};
use crate::report::SourceReport;
use crate::snapshot::{HashKey, random_key};
use crate::statistics::Statistics;
use crate::store::{Forget, Store};
use mail::address::Domain;
use relay::belief::class::Class;
use relay::settings::DomainId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Something that knows recipients.
pub trait RecipientSource: Send + Sync {
    /// For logs and `explain`: `file users.txt`.
    fn name(&self) -> &Arc<str>;

    /// Looks for the address itself, then for its base, then for patterns.
    fn look_up(&self, question: &Question<'_>) -> SourceAnswer;

    /// Whether it asks elsewhere: what it says at once is what it remembers.
    fn asks_elsewhere(&self) -> bool {
        false
    }

    /// What it said of an address when it last did, for where [`Self::look_up`] takes too long:
    /// that it exists, or else nothing.
    fn last_known(&self, _question: &Question<'_>) -> Finding {
        Finding::Unavailable
    }

    /// Called every second on a thread of its own, for sources that watch something; says what
    /// came of it when anything was done.
    fn poll(&self) -> Vec<Outcome> {
        Vec::new()
    }

    /// Whether [`RecipientSource::poll`] may take long: then it is called on a thread of its own,
    /// and nobody waits for it.
    fn is_slow(&self) -> bool {
        false
    }

    /// Loads at the next poll, due or not.
    fn reload_soon(&self) {}

    /// Ends what polls do: the source is no longer configured, and what a load that is under way
    /// would bring must not be kept over what its successor keeps.
    fn retire(&self) {}

    /// Addresses that a load which is under way has taken so far.
    fn progress(&self) -> Option<u64> {
        None
    }

    /// Loads again, with a person's word that this many entries are right. Nothing for sources
    /// that load nothing.
    fn reload(&self, _confirmation: Option<Confirmation>) -> Vec<Outcome> {
        Vec::new()
    }

    /// Leaves a person's word, as for [`Self::reload`], in the state directory for a process that
    /// starts, and says where. Nothing for sources that keep nothing there.
    fn leave_word(&self, _confirmation: Confirmation) -> Option<io::Result<PathBuf>> {
        None
    }

    /// How old what it says of an address is, and why it may say nothing: for `explain`. Asked
    /// behind [`Self::look_up`].
    fn account(&self, _question: &Question<'_>) -> Account {
        Account::default()
    }

    /// Forgets answers that were remembered; says how many.
    fn forget(&self, _what: &Forget) -> u64 {
        0
    }

    /// Something else shows that an address exists: a no that is remembered for it ends.
    fn doubt_negative(&self, _domain: DomainId, _local_part: &[u8]) {}

    /// Takes a person's word that those who turned unknown have left.
    fn confirm_people_left(&self) -> ConfirmOutcome {
        ConfirmOutcome::OfNoUse
    }

    /// What its next load would change. Reads all of it, so it may block for long; nothing for
    /// sources that load nothing.
    fn preview(&self) -> Option<Result<Preview, LoadError>> {
        None
    }

    /// Reads all of it and calls the function with every recipient; changes nothing and may block
    /// for long. Nothing for sources that load nothing; after an error, what was taken is not
    /// the whole.
    fn read_out(&self, _take: &mut dyn FnMut(Recipient<'_>)) -> Option<Result<(), LoadError>> {
        None
    }

    /// What it is and did, for `postern recipients sources`.
    fn report(&self) -> SourceReport {
        SourceReport { name: self.name().to_string(), ..SourceReport::default() }
    }

    /// What it holds.
    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

/// What became of a person's word that people have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmOutcome {
    /// It is believed from now on.
    Taken,
    /// The source is not doubted for people who are gone, so there is nothing to confirm.
    NobodyDoubted,
    /// The source is never doubted so: it holds a list.
    OfNoUse,
}

/// Where an answer comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// How long ago the source said so, in seconds; nothing when it was asked just now or says
    /// nothing.
    pub age_seconds: Option<u64>,
    /// The last trouble with it, or the last doubt.
    pub note: Option<String>,
    /// How long ago that was, in seconds; nothing when it lasts.
    pub note_age_seconds: Option<u64>,
    /// What it has shown itself to be.
    pub class: Option<Class>,
}

/// What sources need of the process.
#[derive(Clone)]
pub struct Environment {
    /// Where snapshots are kept between starts, when anywhere.
    pub state_directory: Option<PathBuf>,
    /// Whether lists that are quick to read are read when they are opened, if what is kept of
    /// them is not what they have now.
    pub reads_at_once: bool,
    /// Makes the key of a new snapshot or memory.
    pub new_key: fn() -> io::Result<HashKey>,
    /// What we call ourselves, for sources that speak SMTP.
    pub hostname: Domain,
    /// What is kept of answers over a restart.
    pub store: Store,
    /// What mail itself has shown.
    pub learned: Arc<Learned>,
    /// Where work is done that nobody waits for; without it none is.
    pub background: Option<tokio::runtime::Handle>,
    /// Takes what happens to sources: event, source, detail.
    pub tell: Teller,
}

impl Environment {
    /// One that keeps nothing, does nothing in the background and tells nobody.
    #[must_use]
    pub fn bare(hostname: Domain) -> Self {
        Self {
            state_directory: None,
            reads_at_once: true,
            new_key: random_key,
            hostname,
            store: Store::none(),
            learned: Arc::new(Learned::empty()),
            background: None,
            tell: Arc::new(|_, _, _| {}),
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({:?})", self.state_directory)
    }
}

/// A source, ready to answer (if only with `Unavailable`), and what happened on the way.
pub struct Opened {
    /// The source.
    pub source: Arc<dyn RecipientSource>,
    /// What was loaded, held back or failed.
    pub outcomes: Vec<Outcome>,
}
