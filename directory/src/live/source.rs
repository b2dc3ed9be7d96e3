//! A live source as the directory sees it: what is remembered is said at once, for the rest there
//! is a future; what it forgets, reports and is doubted by. Who is asked, and what is believed
//! and remembered, is `remembered.rs`.

use super::TroubleKind;
use super::flight::Wanted;
use super::memory::{Recalled, is_of};
use super::remembered::{Remembered, Remembrance, Settled};
use crate::report::SourceReport;
use crate::store::Forget;
use crate::{Account, Finding, Matched, Question, RecipientMemory, RecipientSource, SourceAnswer};
use mail::address::Mailbox;
use relay::settings::DomainId;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wire::clock;
use wire::lock::lock;

impl RecipientSource for Remembered {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn look_up(&self, question: &Question<'_>) -> SourceAnswer {
        let Some(place) = self.place(question.domain) else {
            return SourceAnswer::Now(Finding::Unavailable);
        };
        let now = clock::uptime_seconds();
        let exact = self.recall(question.canonical.exact(), place, now);
        let base = question.canonical.base();
        let exact = match (exact, base) {
            (Remembrance::Settled(Settled::Unknown), Some(base)) => {
                match self.recall(base, place, now) {
                    Remembrance::Settled(settled) => {
                        self.counts.recalled.fetch_add(1, Relaxed);
                        return SourceAnswer::Now(finding(settled, Matched::SubAddress));
                    }
                    Remembrance::Wanted(base) => {
                        return self.later(None, Some(base.on_behalf_of(question.party)));
                    }
                }
            }
            (Remembrance::Settled(settled), _) => {
                self.counts.recalled.fetch_add(1, Relaxed);
                return SourceAnswer::Now(finding(settled, Matched::Exact));
            }
            (Remembrance::Wanted(wanted), _) => wanted,
        };
        let base = base.and_then(|base| self.wanted(base, place));
        let base = base.map(|base| base.on_behalf_of(question.party));
        self.later(Some(exact.on_behalf_of(question.party)), base)
    }

    fn account(&self, question: &Question<'_>) -> Account {
        let now = clock::uptime_seconds();
        let recalled = self.place(question.domain).map(|place| {
            let key = self.memory.key(question.canonical.exact(), &place.canonical);
            self.memory.recall(key, now)
        });
        let asked = match recalled {
            Some(
                Recalled::Exists { kept, .. } | Recalled::LastKnown(kept) | Recalled::Unknown(kept),
            ) => Some(kept.asked),
            Some(Recalled::Nothing) | None => None,
        };
        let (class, _) = self.trust.class();
        let (note_age_seconds, note) = self.last_trouble(now).unzip();
        Account {
            age_seconds: asked.map(|asked| u64::try_from(now - asked).unwrap_or(0)),
            note,
            note_age_seconds,
            class: Some(class),
        }
    }

    fn doubt_negative(&self, domain: DomainId, local_part: &[u8]) {
        if let Some(place) = self.place(domain) {
            let key = self.memory.key(local_part, &place.canonical);
            if let Some(address) = self.memory.forget_negative(key) {
                self.store.forget_answer(&self.name, &address);
            }
        }
    }

    fn report(&self) -> SourceReport {
        let (class, why) = self.trust.class();
        let counts = &self.counts;
        let read = |count: &AtomicU64| count.load(Relaxed);
        let (last_trouble_age_seconds, last_trouble) =
            self.last_trouble(clock::uptime_seconds()).unzip();
        let troubles = TroubleKind::ALL.iter().zip(&counts.troubles);
        SourceReport {
            name: self.name.to_string(),
            class: Some(class),
            why,
            domains: self.trust.domains.iter().map(|d| d.domain.to_string()).collect(),
            asked: read(&counts.asked),
            recalled: read(&counts.recalled),
            yes: read(&counts.yes),
            no: read(&counts.no),
            doubted: read(&counts.doubted),
            troubles: troubles.map(|(kind, count)| (*kind, read(count))).collect(),
            remembered_yes: self.memory.positives() as u64,
            remembered_no: self.memory.negatives() as u64,
            last_trouble,
            last_trouble_age_seconds,
            ..SourceReport::default()
        }
    }

    fn memory(&self) -> Option<&dyn RecipientMemory> {
        Some(self)
    }
}

impl RecipientMemory for Remembered {
    fn last_known(&self, question: &Question<'_>) -> Finding {
        let Some(place) = self.place(question.domain) else { return Finding::Unavailable };
        let known =
            |local_part: &[u8]| self.last_known(self.memory.key(local_part, &place.canonical));
        match (known(question.canonical.exact()), question.canonical.base()) {
            (Settled::Unavailable, Some(base)) => finding(known(base), Matched::SubAddress),
            (settled, _) => finding(settled, Matched::Exact),
        }
    }

    fn forget(&self, what: &Forget) -> u64 {
        let forgotten = {
            let mut flushes = lock(&self.flushes);
            *flushes += 1;
            match what {
                // He is meant himself, and may have left.
                Forget::Address(meant) => self.memory.forget(|address| meant == address),
                // Who was known is what the guard against losing many counts from.
                Forget::Domain(domain) => self.memory.outdate(|address| is_of(address, domain)),
                Forget::All => self.memory.outdate(|_| true),
            }
        };
        self.store.forget_answers(Some(&self.name), what);
        forgotten
    }

    fn confirm_people_left(&self) -> bool {
        if !self.trust.confirm() {
            return false;
        }
        // Whoever was there before has left or not, as far as anybody counts.
        self.confirmed.fetch_max(clock::uptime_seconds(), Relaxed);
        true
    }
}

impl Remembered {
    /// The last trouble or doubt, and how many seconds ago it was.
    fn last_trouble(&self, now: i64) -> Option<(u64, String)> {
        let (at, text) = lock(&self.last_trouble).clone()?;
        Some((u64::try_from(now - at).unwrap_or(0), text))
    }

    /// Asks for the address itself unless that is known not to be there, then for its base.
    fn later(&self, exact: Option<Wanted>, base: Option<Wanted>) -> SourceAnswer {
        let Some(source) = self.me.upgrade() else {
            return SourceAnswer::Now(Finding::Unavailable);
        };
        let asking: Pin<Box<dyn Future<Output = Finding> + Send>> = Box::pin(async move {
            if let Some(wanted) = exact {
                match (source.settle(&wanted).await, &base) {
                    (Settled::Unknown, Some(_)) => {}
                    // Whoever has the mailbox has its sub-addresses.
                    (Settled::Unavailable, Some(base)) => {
                        return finding(source.last_known(base.key), Matched::SubAddress);
                    }
                    (settled, _) => return finding(settled, Matched::Exact),
                }
            }
            match base {
                Some(wanted) => finding(source.settle(&wanted).await, Matched::SubAddress),
                None => Finding::Unknown,
            }
        });
        SourceAnswer::Later(asking)
    }
}

fn finding(settled: Settled, by: Matched) -> Finding {
    match settled {
        Settled::Exists(target) => {
            Finding::Exists { target: target.map(|target| Mailbox::clone(&target)), by }
        }
        Settled::Unknown => Finding::Unknown,
        Settled::Unavailable => Finding::Unavailable,
    }
}
