//! Where a recipient's mail goes and under which address: what the exchange does and what
//! `explain` shows. Which next hop takes it is set for the domain.

use crate::settings::{DomainId, Settings};
use mail::address::{ForwardPath, Host, LocalPart, Mailbox};

impl Settings {
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

    /// The address that the next hop hears: the directory's target, else what the client said,
    /// under the domain's own name.
    #[must_use]
    pub fn as_the_next_hop_knows_it(
        &self,
        path: &ForwardPath,
        target: Option<Mailbox>,
    ) -> ForwardPath {
        if let Some(target) = target {
            return ForwardPath::Mailbox(target);
        }
        let Some(domain) = self.domain_of_path(path).map(|id| &self.domain(id).name) else {
            return path.clone();
        };
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
