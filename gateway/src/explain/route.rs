//! Where a recipient's mail goes, in words.

use crate::config::built::Config;
use mail::address::ForwardPath;
use relay::settings::NextHopId;

/// The way to a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name, when it has one.
    pub name: Option<String>,
    /// `host:port`, in the order they are tried.
    pub hosts: Vec<String>,
    /// What it hears in RCPT.
    pub recipient: ForwardPath,
}

impl Route {
    /// The way of mail for a recipient, as the next hop knows it.
    #[must_use]
    pub fn new(config: &Config, next_hop: NextHopId, recipient: ForwardPath) -> Self {
        let hop = config.next_hops.get(next_hop.0 as usize);
        let hosts = hop.map_or(&[][..], |hop| &hop.hosts);
        Self {
            name: hop.and_then(|hop| hop.name.clone()),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            recipient,
        }
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.hosts.join(", then "))
    }
}
