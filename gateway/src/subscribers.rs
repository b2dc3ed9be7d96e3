//! Who hears what happens in sessions: one list. Whoever else is to hear of it joins it, and
//! sessions need not know of them.

use crate::ledgers::Ledgers;
use crate::observe::Observer;
use crate::state::{ActiveConfig, State};
use directory::learned::{Circumstances, Learned};
use relay::event::{Event, ProcessEvent};
use relay::ledger::Block;
use relay::moment::Moment;

/// Hears every event of every session, on the thread of the session. Cheap, and never waits: it
/// stands between a command and its reply.
trait Subscriber {
    /// Takes an event.
    fn hear(&self, event: &Event<'_>, occasion: &Occasion<'_>);
}

/// What an event does not say itself.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// The configuration that the session began with.
    pub active: &'a ActiveConfig,
    /// When.
    pub now: Moment,
    /// Whom to tell of what follows.
    pub observer: &'a Observer,
}

/// Tells everybody, in the order of the list.
pub fn tell(state: &State, event: &Event<'_>, occasion: &Occasion<'_>) {
    let all: [&dyn Subscriber; 3] = [&state.observer, &state.ledgers, &*state.learned];
    all.iter().for_each(|one| one.hear(event, occasion));
}

fn why_blocked(block: &Block, now: Moment) -> String {
    let what = if block.notices { "its notices name" } else { "its mail names" };
    let minutes = block.until.milliseconds_since(now).div_ceil(60_000);
    format!(
        "{what} unknown recipients, {} of late: its recipients hear 450 for {minutes} minutes",
        block.unknown
    )
}

/// Log and figures. They hear of the process as well, which has no session.
impl Subscriber for Observer {
    fn hear(&self, event: &Event<'_>, _: &Occasion<'_>) {
        self.record(event);
    }
}

impl Subscriber for Ledgers {
    fn hear(&self, event: &Event<'_>, occasion: &Occasion<'_>) {
        let harvest = &occasion.active.config.settings.harvest;
        if let Some(block) = self.observe(event, harvest, occasion.now) {
            occasion.observer.tell(
                ProcessEvent::ClientBlocked,
                &block.prefix.to_string(),
                &why_blocked(&block, occasion.now),
            );
        }
    }
}

impl Subscriber for Learned {
    fn hear(&self, event: &Event<'_>, occasion: &Occasion<'_>) {
        let active = occasion.active;
        let config = &active.config;
        let circumstances = Circumstances {
            settings: &config.settings,
            networks: &config.networks,
            lists_learned: &|id| config.lists_learned(id),
            is_honest: &|next_hop| active.is_honest(next_hop),
            shown: &|domain, local_part| active.directory.shown(domain, local_part),
        };
        self.observe(event, &circumstances);
    }
}
