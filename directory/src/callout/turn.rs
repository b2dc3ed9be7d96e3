//! A turn to ask a host for a name that nobody has. How many such names a host hears is
//! `relay/src/belief/budget.rs`.

use super::host::AskedHost;
use super::question::Known;
use mail::address::Domain;
use relay::belief::budget::{Heard, Trier, Turn};
use std::hash::{DefaultHasher, Hash, Hasher};
use wire::clock;
use wire::lock::lock;

/// Who tries a host: a source, for a domain.
pub(super) fn trier(source: u64, domain: Option<&Domain>) -> Trier {
    let mut hasher = DefaultHasher::new();
    (source, domain.map(Domain::to_canonical)).hash(&mut hasher);
    Trier(hasher.finish())
}

/// Such a turn. Dropped before the host was asked it is given back; one whose asking is broken off
/// counts as not answered.
pub(super) struct Trial<'a> {
    asked: &'a AskedHost,
    turn: Turn,
    heard: Option<Heard>,
}

impl<'a> Trial<'a> {
    /// If it is this one's turn.
    pub(super) fn begin(asked: &'a AskedHost, trier: Trier) -> Option<Self> {
        let turn = lock(&asked.trials).take(trier, clock::uptime_microseconds())?;
        Some(Self { asked, turn, heard: None })
    }

    /// The name is on its way to the host.
    pub(super) fn sent(&mut self) {
        self.heard = Some(Heard::Nothing);
    }

    /// What it answered.
    pub(super) fn answered(&mut self, known: &Known) {
        self.heard = Some(match known {
            Known::Exists | Known::Unknown(_) => Heard::Reply,
            Known::Nothing(trouble) => match trouble.at_rcpt {
                Some(reply) if reply.puts_off() => Heard::PutOff,
                // 421, and x.7.z, are said to clients that are not wanted (RFC 3463 §3.8).
                Some(reply) if reply.code == 421 || matches!(reply.status, Some((7, _))) => {
                    Heard::Nothing
                }
                // Where it refuses MAIL, or its lines do not agree, it goes on talking to us.
                Some(_) | None => Heard::Reply,
            },
        });
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let mut trials = lock(&self.asked.trials);
        match self.heard {
            Some(heard) => trials.heard(&self.turn, heard, clock::uptime_microseconds()),
            None => trials.unheard(&self.turn),
        }
    }
}
