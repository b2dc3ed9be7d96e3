//! What the events of sessions teach. Most teach nothing, and are let go after one match.

use super::evidence::Kind;
use super::memory::{Learned, now};
use super::{Names, Unseen};
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::reply::Reply;
use relay::event::{self, Event, Scene};
use relay::policy::Stage;
use relay::policy::verdict::Words;
use relay::recipient::Ground;
use relay::settings::{DomainId, NextHopId, Settings};
use settings::networks::Networks;

/// What an event does not say itself.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// What the rules go by.
    pub settings: &'a Settings,
    /// Who may teach.
    pub networks: &'a Networks,
    /// Whether a domain has `learned` among its sources.
    pub lists_learned: &'a dyn Fn(DomainId) -> bool,
    /// Whether a next hop is known to refuse recipients that are not there. What is not known
    /// proves nothing.
    pub is_honest: &'a dyn Fn(NextHopId) -> bool,
    /// Told of an address of ours that writes, so that no source goes on remembering that there is
    /// none: its domain, and its local part in canonical form, with and without its sub-address.
    pub shown: &'a dyn Fn(DomainId, &[u8]),
}

impl Learned {
    /// Takes what an event teaches. Cheap, and never waits.
    pub fn observe(&self, event: &Event<'_>, circumstances: &Circumstances<'_>) {
        match (&event.kind, &event.scene) {
            (
                event::Kind::RecipientAccepted {
                    forward_path,
                    ground: Ground::Observed { unseen },
                },
                Some(scene),
            ) => self.on_accepted(forward_path, *unseen, scene, circumstances),
            (event::Kind::Delivered { recipients, .. }, Some(scene)) => {
                self.on_delivered(recipients, scene, circumstances);
            }
            (
                event::Kind::Refused {
                    stage: Stage::Recipient,
                    words: Words::NextHop,
                    reply,
                    forward_path: Some(forward_path),
                    unknown,
                    ..
                },
                _,
            ) => {
                if let Some(kind) = negative(reply, *unknown)
                    && let Some((names, _)) = circumstances.names(forward_path)
                {
                    // A sub-address that is refused says nothing of the mailbox.
                    self.learn(names.exact(), kind, now());
                }
            }
            _ => {}
        }
    }

    fn on_accepted(
        &self,
        path: &ForwardPath,
        unseen: Unseen,
        scene: &Scene<'_>,
        circumstances: &Circumstances<'_>,
    ) {
        let Some((names, _)) = circumstances.names(path) else { return };
        let from = scene.reverse_path.and_then(ReversePath::mailbox);
        let from = || from.map_or_else(Box::default, |from| from.to_string().into());
        self.doubt(&names, unseen, scene.client.address.ip(), from);
    }

    fn on_delivered(
        &self,
        recipients: &[ForwardPath],
        scene: &Scene<'_>,
        circumstances: &Circumstances<'_>,
    ) {
        let settings = circumstances.settings;
        if let Some(sender) = scene.reverse_path.and_then(ReversePath::mailbox)
            && let Some(id) = sender.host.domain().and_then(|name| settings.domain_of(name))
            && (circumstances.lists_learned)(id)
            && circumstances.is_taught_by(scene)
            && let Some(names) = Names::of(sender, settings)
        {
            self.learn(names.owner(), Kind::OutboundSender, now());
            for name in [Some(names.exact()), names.base()].into_iter().flatten() {
                let local_part = name.rsplit_once('@').map_or(name, |(local_part, _)| local_part);
                (circumstances.shown)(id, local_part.as_bytes());
            }
        }
        for path in recipients {
            let Some((names, id)) = circumstances.names(path) else { continue };
            let domain = settings.domain(id);
            // With a catch-all the next hop may never have heard of this name.
            if domain.catch_all.is_none() && (circumstances.is_honest)(domain.next_hop) {
                self.learn(names.owner(), Kind::Delivered, now());
            }
        }
    }
}

impl Circumstances<'_> {
    /// The names of a recipient of a domain that learns.
    fn names(&self, path: &ForwardPath) -> Option<(Names, DomainId)> {
        let settings = self.settings;
        let id = settings.domain_of_path(path).filter(|&id| (self.lists_learned)(id))?;
        Some((Names::of(path.mailbox()?, settings)?, id))
    }

    fn is_taught_by(&self, scene: &Scene<'_>) -> bool {
        let network = self.networks.classify(scene.client.address.ip());
        network.is_some_and(|network| self.networks.list()[network].teaches)
    }
}

/// What a refusal of a recipient by the next hop proves. `unknown` is what the exchange thinks of
/// it: 550, 551 or 553 to RCPT, with 5.1.1 or without any status. Of the other 5.1.x only those
/// count that speak of the mailbox (RFC 3463 §3.2), and 5.1.10, which Exchange answers with:
/// 5.1.7 and 5.1.8 are about the sender, 5.1.2 about the domain, and 5.1.0 about anything.
fn negative(reply: &Reply, unknown: bool) -> Option<Kind> {
    if !matches!(reply.code(), 550 | 551 | 553) {
        return None;
    }
    match reply.enhanced() {
        Some((5, 1, 1 | 3 | 6 | 10)) => Some(Kind::RefusedByNextHop),
        // The exchange fills a missing status in.
        _ if unknown => Some(Kind::RefusedPlainly),
        _ => None,
    }
}
