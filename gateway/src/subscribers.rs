//! Who hears what happens in sessions: one list. Whoever else is to hear of it joins it, and
//! sessions need not know of them.

use crate::observe::Observer;
use crate::state::{ActiveConfig, Ledgers, State};
use directory::learned::{Circumstances, Learned};
use relay::event::Event;
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
}

/// Tells everybody, in the order of the list.
pub fn tell(state: &State, event: &Event<'_>, occasion: &Occasion<'_>) {
    let all: [&dyn Subscriber; 3] = [&state.observer, &state.ledgers, &*state.learned];
    all.iter().for_each(|one| one.hear(event, occasion));
}

/// Log and figures. They hear of the process as well, which has no session.
impl Subscriber for Observer {
    fn hear(&self, event: &Event<'_>, _: &Occasion<'_>) {
        self.record(event);
    }
}

impl Subscriber for Ledgers {
    fn hear(&self, event: &Event<'_>, occasion: &Occasion<'_>) {
        self.observe(event, &occasion.active.config.settings.harvest, occasion.now);
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
