//! Sources that ask elsewhere for each address: LDAP, SQL, HTTP, the next hop. A kind of these
//! only asks, within its own deadline; what is said is remembered, doubted and asked again in
//! one place for all of them. A failure is never an answer.

mod examine;
mod flight;
mod kept;
pub mod memory;
pub mod remembered;
mod source;
#[cfg(test)]
mod tests;
pub mod trust;

pub use crate::trouble::TroubleKind;
pub use relay::belief::class::{self, Behaviour};
pub use relay::belief::trial::RcptReply;

use mail::address::Mailbox;
use relay::turns::Party;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a source says of an address when it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It is there.
    Exists {
        /// The address that the next hop hears instead, when the source names one.
        target: Option<Mailbox>,
    },
    /// The source was able to know, and there is none.
    Unknown,
}

/// What came of the wish to ask for a name that nobody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was asked for.
    Said(Existence),
    /// It is another's turn.
    NotYet,
}

/// What is on its way. It ends by itself: a source keeps its own deadline.
pub type Asking<T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send>>;

/// Something that can be asked about one address at a time.
pub trait LiveSource: Send + Sync + 'static {
    /// For logs and `explain`: `ldap ad`.
    fn name(&self) -> &Arc<str>;

    /// Asks about one address: its local part folded when the domain folds, its domain the
    /// domain's own name and never an alias. Sub-addresses are asked for by the caller.
    fn ask(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence>;

    /// As [`Self::ask`], on behalf of a client. Who has few connections gives them out by turns of
    /// client and network; whoever has enough need not know.
    fn ask_for(self: Arc<Self>, mailbox: Mailbox, _: Party) -> Asking<Existence> {
        self.ask(mailbox)
    }

    /// Finds out whether the settings are right, as far as that can be seen without an address:
    /// connects, authenticates, looks for the base, prepares the query. Says in one line what it
    /// found (`2 servers, base dc=example,dc=test`). For `check` and for the start.
    fn try_out(self: Arc<Self>) -> Asking<String>;

    /// Asks further than [`Self::ask`] does, where that is possible: behind DATA. To tell a
    /// server that refuses late from one that refuses nobody.
    fn ask_late(self: Arc<Self>, _mailbox: Mailbox) -> Option<Asking<Existence>> {
        None
    }

    /// Asks for a name that nobody has as [`Self::ask`] does, unless it is not its turn: whoever is
    /// asked may ban clients that ask for many.
    fn ask_for_nobody(self: Arc<Self>, nobody: Mailbox) -> Asking<Tried> {
        Box::pin(async move { self.ask(nobody).await.map(Tried::Said) })
    }

    /// How long one question may take, where that is more than moments.
    fn question_max(&self) -> Duration {
        Duration::ZERO
    }

    /// What it has noticed about the behaviour of whom it asks.
    fn behaviour(&self) -> Behaviour {
        Behaviour::default()
    }

    /// What decides about its answers, as text: whom it asks, and what for; no deadlines, numbers
    /// of connections or lifetimes, and nothing of domains. What it said under another is the
    /// answer to another question. Only a hash of it is kept, so it may hold a secret.
    fn fingerprint(&self) -> String;

    /// Changes when whom it asks may have become another: what was found out about it by
    /// canaries is found out again then.
    fn epoch(&self) -> u64 {
        0
    }
}

/// Why a source gave no answer.
#[derive(Debug)]
pub struct Trouble {
    /// Of which kind, for figures.
    pub kind: TroubleKind,
    /// What went wrong, for the log: hosts and names of settings, never a secret.
    pub what: String,
    /// What a person may do about it; empty when nothing.
    pub remedy: &'static str,
    /// The error below, when there is one.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// The reply to RCPT that it is about, where a mail server is asked; nothing where its lines
    /// do not agree.
    pub at_rcpt: Option<RcptReply>,
}

impl Trouble {
    /// Trouble without a remedy or an error below; both may be added.
    #[must_use]
    pub fn new(kind: TroubleKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), remedy: "", source: None, at_rcpt: None }
    }

    /// The same, with what a person may do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = remedy;
        self
    }

    /// The same, about this reply to RCPT.
    #[must_use]
    pub fn at_rcpt(mut self, reply: Option<RcptReply>) -> Self {
        self.at_rcpt = reply;
        self
    }

    /// The same, with the error below.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// How long a source is tried out beyond what a question may take, in seconds.
const TRY_OUT_SECONDS_MAX: u64 = 30;

/// Tries a source out and waits for what comes of it; for `check`.
/// # Errors
/// What is wrong with it.
pub fn try_out(live: Arc<dyn LiveSource>) -> Result<String, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Trouble::new(TroubleKind::Down, "it cannot be asked").because(error))?;
    runtime.block_on(within_patience(live))
}

/// Tries out no longer than that.
async fn within_patience(live: Arc<dyn LiveSource>) -> Result<String, Trouble> {
    let patience = live.question_max() + Duration::from_secs(TRY_OUT_SECONDS_MAX);
    tokio::time::timeout(patience, live.try_out()).await.unwrap_or_else(|_| {
        let what = format!("no answer within {} seconds", patience.as_secs());
        Err(Trouble::new(TroubleKind::Slow, what))
    })
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for Trouble {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
