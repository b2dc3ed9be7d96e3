//! Which recipients exist. A [`RecipientSource`] answers for some domains; [`Directory`]
//! (`chain.rs`) asks a domain's sources in order and applies what is configured around them.
//! `Unavailable` is never `Unknown`. What is answered from memory is answered at once, without
//! await and without a box; only sources that must ask elsewhere return a future.

pub mod assembly;
pub mod callout;
pub mod chain;
pub mod file;
pub mod guard;
pub mod http;
pub mod kinds;
pub mod ldap;
pub mod learned;
pub mod list;
pub mod live;
pub mod pattern;
pub mod report;
pub mod snapshot;
pub mod sql;
pub mod statistics;
pub mod store;
#[cfg(test)]
mod tests;
pub mod watch;

// Where things were before this was a crate of its own, while work on them is under way elsewhere.
pub(crate) use crate as directory;
#[allow(clippy::single_component_path_imports, reason = "as above")]
pub(crate) use settings;
pub(crate) use wire::clock;
pub(crate) mod state {
    pub use wire::lock::lock;
}
pub(crate) mod next_hop {
    pub use wire::dial::{connection, host, place, way};
    pub use wire::tls::client as tls;
}
pub(crate) mod observe {
    pub mod reports {
        pub use crate::report::SourceReport;
    }
}

pub use chain::{Answer, Bitbucket, Directory, DomainDirectory, Found, Leaver, Step, Trace};

pub use kinds::{KINDS, SourceSettings, open};

use guard::{Confirmation, Outcome};
use learned::Learned;
use list::{LoadError, Preview, Recipient};
use live::class::Class;
use live::trust::Teller;
use mail::address::{Domain, LOCAL_PART_OCTETS_MAX, LocalPart, Mailbox};
use relay::recipient::Ground;
use relay::settings::{DomainId, DomainSettings, LocalPartCase};
use report::SourceReport;
use snapshot::HashKey;
use statistics::Statistics;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use store::{Forget, Store};

/// What a source says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is there.
    Exists {
        /// The address the next hop hears instead.
        target: Option<Mailbox>,
        /// What it was found by.
        by: Matched,
    },
    /// The source knows all addresses it answers for, and this is none of them.
    Unknown,
    /// The source cannot say.
    Unavailable,
    /// The source has nothing to say, and leaves it to the others.
    Abstains {
        /// What it comes to when no other has anything to say: the address passes on this ground,
        /// or nobody knows.
        passes: Option<Ground>,
    },
}

/// What an address was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The address itself.
    Exact,
    /// The part before the sub-address separator.
    SubAddress,
    /// This pattern.
    Pattern(Box<str>),
}

/// A finding, now or later.
pub enum SourceAnswer {
    /// From memory.
    Now(Finding),
    /// From elsewhere. The future ends by itself: a source keeps its own time limit.
    Later(Pin<Box<dyn Future<Output = Finding> + Send>>),
}

/// A local part as it is looked up: in lower case when the domain folds. Lives on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Canonical {
    octets: [u8; LOCAL_PART_OCTETS_MAX],
    len: u8,
    base_len: Option<u8>,
}

impl Canonical {
    /// Folds as the domain says and finds the sub-address separator.
    #[must_use]
    pub fn new(local_part: &LocalPart, settings: &DomainSettings) -> Self {
        let text = local_part.as_str();
        // A LocalPart has no more, and so its length fits in one octet.
        let len = text.len().min(LOCAL_PART_OCTETS_MAX);
        let mut octets = [0; LOCAL_PART_OCTETS_MAX];
        octets[..len].copy_from_slice(&text.as_bytes()[..len]);
        if settings.local_part_case == LocalPartCase::Folded || is_reserved(text) {
            octets[..len].make_ascii_lowercase();
        }
        let base_len = settings.sub_address_separator.and_then(|separator| text.find(separator));
        let base_len = base_len.filter(|&at| at > 0).and_then(|at| u8::try_from(at).ok());
        Self { octets, len: len as u8, base_len }
    }

    /// The whole.
    #[must_use]
    pub fn exact(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// What stands before the separator, when there is one.
    #[must_use]
    pub fn base(&self) -> Option<&[u8]> {
        self.base_len.map(|len| &self.octets[..usize::from(len)])
    }
}

const _: () = assert!(LOCAL_PART_OCTETS_MAX <= u8::MAX as usize, "lengths of `Canonical`");

/// Whether every domain must have this address (RFC 5321 §4.5.1, RFC 2142 §2).
fn is_reserved(local_part: &str) -> bool {
    local_part.eq_ignore_ascii_case("postmaster") || local_part.eq_ignore_ascii_case("abuse")
}

/// What a source is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Whose address.
    pub domain: DomainId,
    /// What is set for it.
    pub settings: &'a DomainSettings,
    /// As the client wrote it.
    pub local_part: &'a LocalPart,
    /// As it is compared.
    pub canonical: Canonical,
}

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
    fn confirm_people_left(&self) -> Word {
        Word::OfNoUse
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
pub enum Word {
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

/// A key nobody can guess.
/// # Errors
/// When the system has no randomness.
pub fn random_key() -> io::Result<HashKey> {
    let mut key = HashKey([0; 16]);
    getrandom::fill(&mut key.0).map_err(io::Error::other)?;
    Ok(key)
}
