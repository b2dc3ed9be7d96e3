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
use crate::trials::Trials;
use mail::address::Domain;
use relay::belief::class::Class;
use relay::settings::DomainId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Something that knows recipients. What it can do beyond that is said by [`Self::list`] and
/// [`Self::memory`].
pub trait RecipientSource: Send + Sync {
    /// For logs and `explain`: `file users.txt`.
    fn name(&self) -> &Arc<str>;

    /// Looks for the address itself, then for its base, then for patterns.
    fn look_up(&self, question: &Question<'_>) -> SourceAnswer;

    /// How old what it says of an address is, and why it may say nothing: for `explain`. Asked
    /// behind [`Self::look_up`].
    fn account(&self, _question: &Question<'_>) -> Account {
        Account::default()
    }

    /// Something else shows that an address exists: a no that is remembered for it ends.
    fn doubt_negative(&self, _domain: DomainId, _local_part: &[u8]) {}

    /// What it is and did, for `postern recipients sources`.
    fn report(&self) -> SourceReport {
        SourceReport { name: self.name().to_string(), ..SourceReport::default() }
    }

    /// What can be done with it when it holds a list, which it loads whole.
    fn list(&self) -> Option<&dyn RecipientList> {
        None
    }

    /// What can be done with it when it asks elsewhere: what it says at once is what it
    /// remembers.
    fn memory(&self) -> Option<&dyn RecipientMemory> {
        None
    }
}

/// A source that holds a list, and loads it whole when it is due.
pub trait RecipientList {
    /// Called every second on a thread of its own; says what came of it when anything was done.
    fn poll(&self) -> Vec<Outcome>;

    /// Whether [`Self::poll`] may take long: then it is called on a thread of its own, and
    /// nobody waits for it.
    fn is_slow(&self) -> bool;

    /// Loads at the next poll, due or not.
    fn reload_soon(&self);

    /// Loads now, with a person's word that this many entries are right.
    fn reload(&self, confirmation: Option<Confirmation>) -> Vec<Outcome>;

    /// Leaves such a word in the state directory, for a process that starts, and says where.
    /// Nothing for lists that keep nothing there.
    fn leave_confirmation(&self, confirmation: Confirmation) -> Option<io::Result<PathBuf>>;

    /// Ends what polls do: the source is no longer configured, and what a load that is under way
    /// would bring must not be kept over what its successor keeps.
    fn retire(&self);

    /// Addresses that a load which is under way has taken so far.
    fn progress(&self) -> Option<u64>;

    /// What the next load would change. Reads all of it, so it may block for long.
    /// # Errors
    /// When it cannot be read.
    fn preview(&self) -> Result<Preview, LoadError>;

    /// Reads all of it and calls the function with every recipient; changes nothing and may block
    /// for long.
    /// # Errors
    /// When it cannot be read to its end: what was taken is not the whole.
    fn read_out(&self, take: &mut dyn FnMut(Recipient<'_>)) -> Result<(), LoadError>;

    /// What it holds.
    fn statistics(&self) -> Statistics;
}

/// What a source that asks elsewhere remembers of what it heard.
pub trait RecipientMemory {
    /// What it said of an address when it last did, for where [`RecipientSource::look_up`] takes
    /// too long: that it exists, or else nothing.
    fn last_known(&self, question: &Question<'_>) -> Finding;

    /// Forgets answers that were remembered; says how many.
    fn forget(&self, what: &Forget) -> u64;

    /// Takes a person's word that those who turned unknown have left; false when the source is
    /// not doubted for people who are gone, so that there is nothing to confirm.
    fn confirm_people_left(&self) -> bool;
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
    /// How often mail servers hear names that nobody has.
    pub trials: Arc<Trials>,
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
            trials: Arc::default(),
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
