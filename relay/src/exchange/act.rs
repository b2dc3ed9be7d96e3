//! What the exchange wants of the edge, and what the edge reports.

use crate::client::Prefix;
use crate::event::Event;
use crate::moment::Moment;
use crate::next_hop::{Outcome, Request};
use crate::policy::facts::{Facts, Found, Need};
use crate::policy::verdict::Refusal;
use crate::policy::{Rule, Stage};
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::reply::Reply;

/// The one thing the edge must do now; it reports with the [`Done`] named. What waits has a
/// deadline: when it has passed, [`Done::Elapsed`] is reported in place of what was awaited.
#[derive(Debug, PartialEq, Eq)]
pub enum Do {
    /// Send what was written: [`Done::Yes`] or [`Done::Gone`].
    Send {
        /// Until when it must have left.
        until: Moment,
    },
    /// Read: [`Done::Bytes`] or [`Done::Gone`].
    Read {
        /// Until when.
        until: Moment,
    },
    /// Look a fact up: [`Done::Found`].
    LookUp {
        /// Which.
        need: Need,
        /// Until when; then nobody was able to say.
        until: Moment,
    },
    /// Ask the next hop: [`Done::Carried`]. Only the edge knows whether the next hop may have the
    /// message when the time is over, so it says so itself.
    Carry {
        /// What.
        request: Request,
        /// Until when.
        until: Moment,
    },
    /// The transaction is over: drop what was kept, give the next hop's connection back.
    /// [`Done::Yes`].
    Forget {
        /// Until when the next hop must have been told.
        until: Moment,
    },
    /// Do nothing for a while: [`Done::Yes`].
    Wait {
        /// Until when.
        until: Moment,
    },
    /// Shake hands: [`Done::Yes`], after [`Exchange::behind_tls`](super::Exchange::behind_tls), or
    /// [`Done::Gone`].
    StartTls {
        /// Until when.
        until: Moment,
    },
    /// Close. There is nothing after it, and nothing is waited for.
    Close,
}

impl Do {
    /// Until when it may last; only what waits for nothing has no deadline.
    #[must_use]
    pub fn until(&self) -> Option<Moment> {
        match self {
            Self::Send { until }
            | Self::Read { until }
            | Self::LookUp { until, .. }
            | Self::Carry { until, .. }
            | Self::Forget { until }
            | Self::Wait { until }
            | Self::StartTls { until } => Some(*until),
            Self::Close => None,
        }
    }
}

/// How it went.
#[derive(Debug)]
pub enum Done {
    /// It is done.
    Yes,
    /// Bytes from the client.
    Bytes(Vec<u8>),
    /// The client is gone.
    Gone,
    /// The time is over.
    Elapsed,
    /// A fact.
    Found(Found),
    /// What came of a request to the next hop.
    Carried(Outcome),
}

/// Takes what needs no waiting.
pub trait Sink {
    /// A reply to the client, to be sent before the next read.
    fn write(&mut self, reply: &Reply);
    /// Content of the open transaction, transparency undone.
    fn keep(&mut self, content: &[u8]);
    /// Something to be told.
    fn record(&mut self, event: &Event<'_>);
    /// An envelope whose recipients are to come one by one from now on.
    fn split(&mut self, network: Prefix, from: &ReversePath, recipients: &[ForwardPath]);
    /// A rule has run over these facts, and had all that it asked for: to explain it.
    fn ran(&mut self, _: Stage, _: &'static Rule, _: &Facts<'_>, _: Option<&Refusal>) {}
}
