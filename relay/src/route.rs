//! Where a recipient's mail goes and under which address, and what several recipients of one
//! message must share: what the exchange does and what `explain` shows.

use crate::recipient::Ground;
use crate::settings::{DomainId, NextHopId, Settings};
use mail::address::{ForwardPath, Host, LocalPart, Mailbox};

/// Where mail goes. Neither this nor a [`Plan`] is `Copy`: a route may come to hold a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a next hop of the configuration.
    Hop(NextHopId),
}

/// What all recipients of one message must share, so that one reply can answer for them. Fixed by
/// the first accepted recipient whose mail goes anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Who takes the message.
    pub route: Route,
    /// Whether we may answer for it before somebody else has it.
    pub custody: Custody,
}

/// Whether we may answer for a message before somebody else has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custody {
    /// We never do: our 250 follows that of whoever takes it.
    Never,
}

/// A recipient that was accepted. The transaction has one for each, in the order of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// As the client said it.
    pub said: ForwardPath,
    /// What becomes of its mail.
    pub destination: Destination,
    /// Why it is thought to exist.
    pub ground: Ground,
}

/// What becomes of the mail of an accepted recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It is handed over.
    Next {
        /// To whom.
        route: Route,
        /// Under which address.
        heard: ForwardPath,
    },
    /// It is discarded on purpose; that fits every plan.
    Discarded {
        /// Why, as the operator wrote it.
        reason: Box<str>,
    },
}

impl Settings {
    /// The plan that a recipient of a domain needs.
    #[must_use]
    pub fn plan(&self, domain: DomainId) -> Plan {
        Plan { route: Route::Hop(self.domain(domain).next_hop), custody: Custody::Never }
    }

    /// The domain of ours that a path names; `<Postmaster>` belongs to the first.
    #[must_use]
    pub fn domain_of_path(&self, path: &ForwardPath) -> Option<DomainId> {
        match path {
            ForwardPath::Postmaster => (!self.domain.is_empty()).then_some(DomainId(0)),
            ForwardPath::Mailbox(mailbox) | ForwardPath::SourceRoute(mailbox) => {
                self.domain_of(mailbox.host.domain()?)
            }
        }
    }

    /// The address that the next hop hears of a recipient of this domain: the directory's target,
    /// else what the client said, under the domain's own name.
    #[must_use]
    pub fn as_the_next_hop_knows_it(
        &self,
        domain: DomainId,
        path: &ForwardPath,
        target: Option<Mailbox>,
    ) -> ForwardPath {
        if let Some(target) = target {
            return ForwardPath::Mailbox(target);
        }
        let domain = &self.domain(domain).name;
        let local_part = match path.mailbox() {
            Some(mailbox) if mailbox.host.domain() == Some(domain) => return path.clone(),
            Some(mailbox) => mailbox.local_part.clone(),
            None => match LocalPart::new("postmaster") {
                Ok(local_part) => local_part,
                Err(_) => return path.clone(),
            },
        };
        ForwardPath::Mailbox(Mailbox { local_part, host: Host::Domain(domain.clone()) })
    }
}
