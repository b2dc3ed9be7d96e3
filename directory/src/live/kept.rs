//! What a live source takes over from before a restart or a reload: answers, as far as they were
//! given under the same settings, and who had turned unknown. Keeping them is `remembered.rs`,
//! the file is `store/`.

use super::LiveSource;
use super::memory::{MemoryEntry, Recalled};
use super::remembered::{MemoryKey, Remembered, unix_seconds};
use crate::store::StoreError;
use mail::address::Mailbox;
use relay::event::ProcessEvent;
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::sync::Arc;
use wire::clock;

/// Of the settings that decide about a source's answers: SipHash with a fixed key over text. The
/// text may be written otherwise by another version of this program (parts of it are the `Debug`
/// form of settings): then people are asked for once more, as after a change, and no worse.
pub(super) fn fingerprint(live: &dyn LiveSource) -> u64 {
    SipHasher13::new_with_keys(0, 0).hash(live.fingerprint().as_bytes())
}

impl Remembered {
    /// Takes what the store kept of it. A no that was said under other settings is left alone, and
    /// a yes is only the last known: the answer was to another question. Nothing is deleted: the
    /// configuration may be refused after this, and a namesake may have kept it.
    pub(super) fn load(&self) {
        let (uptime, unix) = (clock::uptime_seconds(), unix_seconds());
        let places: HashMap<&str, &MemoryKey> =
            self.domains.iter().map(|(_, place)| (&*place.canonical, place)).collect();
        let resolve = |address: &str| {
            let mailbox = Mailbox::parse(address).ok()?;
            let place = *places.get(&*mailbox.host.domain()?.to_canonical())?;
            let key = self.memory.key(mailbox.local_part.as_str().as_bytes(), &place.canonical);
            Some((mailbox, place, key))
        };
        let answers = self.or_told(self.store.load_answers(&self.name));
        // The newest come last, and are the last to be pushed out.
        for answer in answers.into_iter().rev() {
            let is_outdated = answer.fingerprint != self.fingerprint;
            if is_outdated && !answer.exists {
                continue;
            }
            let Some((mailbox, place, key)) = resolve(&answer.address) else { continue };
            // A clock that was set back makes nothing younger than it can be.
            let asked = uptime - (unix - answer.asked_at).max(0);
            let target = answer.target.as_deref().map(Mailbox::parse).transpose();
            let Ok(target) = target else { continue };
            let (address, target) = (answer.address.into(), target.map(Arc::new));
            let kept = MemoryEntry { address, asked, target, is_outdated };
            if answer.exists {
                self.trust.domains[place.index].remember_known(&mailbox);
                self.memory.keep_positive(key, kept);
            } else {
                self.memory.keep_negative(key, kept);
            }
        }
        let mut turned: Vec<Vec<(u64, i64)>> = vec![Vec::new(); self.trust.domains.len()];
        for one in self.or_told(self.store.load_turned(&self.name, self.fingerprint)) {
            let Some((_, place, key)) = resolve(&one.address) else { continue };
            turned[place.index].push((key, (unix - one.at).max(0)));
        }
        for (_, place) in &self.domains {
            self.take_vanished(place, std::mem::take(&mut turned[place.index]));
        }
    }

    /// Goes on counting who turned unknown where that ended at the restart.
    fn take_vanished(&self, place: &MemoryKey, people: Vec<(u64, i64)>) {
        let now = clock::uptime_seconds();
        let is_known = |key: &&u64| {
            matches!(
                self.memory.recall(**key, now),
                Recalled::Exists { .. } | Recalled::LastKnown(_)
            )
        };
        let known = |turned: &[u64]| {
            let all = self.memory.known_of(&place.canonical, now);
            all.saturating_sub(turned.iter().filter(is_known).count())
        };
        if let Some(doubt) = self.trust.take_vanished(place.index, people, known) {
            self.note_text(doubt.to_string());
            self.distrust(place, &doubt);
        }
    }

    /// Without what cannot be read.
    fn or_told<T>(&self, loaded: Result<Vec<T>, StoreError>) -> Vec<T> {
        loaded.unwrap_or_else(|error| {
            (self.tell)(ProcessEvent::SourceMemoryLost, &self.name, &error.to_string());
            Vec::new()
        })
    }
}
