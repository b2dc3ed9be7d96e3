//! What the entries of a directory hold now, beside what they held when the list was read whole;
//! and from that which addresses came and went. An address that several entries hold goes with
//! the last of them.

use super::entries::{Entries, EntriesError};
use crate::list::ListChange;
use crate::snapshot::overlay::{CHANGES_MAX, Change};
use crate::target::Target;
use std::collections::{BTreeSet, HashMap};

/// The addresses of one entry, in canonical form, with what the next hop hears instead.
pub(super) type Held = Vec<(Box<str>, Target)>;

/// What was seen of entries: what each of them holds now, which is nothing when it is gone.
pub(super) type Seen = HashMap<Box<[u8]>, Held>;

/// Who holds an address: an entry, and what the next hop hears instead of the address.
type Holders<'a> = HashMap<&'a str, Vec<(&'a [u8], &'a Target)>>;

/// Entries since a reading.
#[derive(Debug)]
pub(super) struct Followed {
    read: Entries,
    since: Seen,
    /// What list this is of.
    token: Box<str>,
    /// What was told last, and what list it is of if that was believed.
    told: Option<(Box<str>, Seen)>,
}

impl Followed {
    pub(super) fn new(read: Entries, token: &str) -> Self {
        Self { read, since: Seen::new(), token: token.into(), told: None }
    }

    /// Whether this is of the list that is in use; what was told and not taken is forgotten.
    pub(super) fn is_of(&mut self, token: &str) -> bool {
        if let Some((next, seen)) = self.told.take()
            && *next == *token
        {
            self.since.extend(seen);
            self.token = next;
        }
        *self.token == *token
    }

    /// Which addresses came and went by what was seen now; nothing when it has become more than
    /// an overlay takes. It counts once the list is of `next`.
    pub(super) fn tell(
        &mut self,
        seen: Seen,
        next: &str,
    ) -> Result<Option<Vec<ListChange>>, EntriesError> {
        let mut touched: BTreeSet<Box<str>> = BTreeSet::new();
        let mut new = Seen::new();
        for (id, held) in seen {
            let before = match self.since.get(&id) {
                Some(held) => held.clone(),
                None => self.read.of(&id)?,
            };
            // Most of what changes in a directory has no addresses.
            if before.is_empty() && held.is_empty() {
                continue;
            }
            touched.extend(before.iter().chain(&held).map(|(address, _)| address.clone()));
            new.insert(id, held);
        }
        if self.since.len() + new.len() > CHANGES_MAX {
            return Ok(None);
        }
        let (before, now) = (holders(&self.since), holders(&new));
        let mut changes = Vec::new();
        for address in touched {
            let read = self.read.holders(&address)?;
            let read = read.iter().map(|(id, target)| (&**id, target));
            let read = read.filter(|(id, _)| !self.since.contains_key(*id));
            let read: Vec<_> =
                read.chain(before.get(&*address).into_iter().flatten().copied()).collect();
            let kept = read.iter().copied().filter(|(id, _)| !new.contains_key(*id));
            let now: Vec<_> =
                kept.chain(now.get(&*address).into_iter().flatten().copied()).collect();
            let change = found(&now);
            if change != found(&read) {
                changes.push(ListChange { address, change });
            }
        }
        drop((before, now));
        self.told = Some((next.into(), new));
        Ok(Some(changes))
    }
}

fn holders(seen: &Seen) -> Holders<'_> {
    let mut holders = Holders::new();
    for (id, held) in seen {
        for (address, target) in held {
            holders.entry(address).or_default().push((id, target));
        }
    }
    holders
}

/// What an address is to whoever looks it up.
fn found(holders: &[(&[u8], &Target)]) -> Change {
    let targets = holders.iter().map(|(_, target)| (*target).clone());
    targets.reduce(Target::and).map_or(Change::Removed, Change::Added)
}

/// What an address is when entries hold this.
#[cfg(test)]
pub(super) fn tell_of(held: Vec<Held>, address: &str) -> Change {
    let all = held.iter().flatten().filter(|(held, _)| **held == *address);
    found(&all.map(|(_, target)| (&b"id"[..], target)).collect::<Vec<_>>())
}
