//! Sessions of each client within a minute, in a table that never grows: whoever only connects
//! leaves nothing that would push out what is known of others. A client may be taken for busier
//! than it is where it shares both of its cells, never for less busy.

use crate::client::Prefix;
use crate::moment::Moment;
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};

/// Cells of one row.
const CELLS: usize = 1_024;
const MINUTE_MILLISECONDS: u64 = 60_000;

/// Two rows of counts; the lower of a client's two cells is its count.
#[derive(Debug)]
pub(super) struct Sessions {
    key: (u64, u64),
    minute: u64,
    rows: Box<[[u16; CELLS]; 2]>,
}

impl Sessions {
    pub(super) fn new(key: (u64, u64)) -> Self {
        Self { key, minute: 0, rows: Box::new([[0; CELLS]; 2]) }
    }

    /// One more.
    pub(super) fn add(&mut self, client: Prefix, now: Moment) {
        let minute = now.0 / MINUTE_MILLISECONDS;
        if self.minute != minute {
            self.minute = minute;
            self.rows.iter_mut().for_each(|row| row.fill(0));
        }
        for (row, cell) in self.rows.iter_mut().zip(cells(self.key, client)) {
            row[cell] = row[cell].saturating_add(1);
        }
    }

    /// Within this minute.
    pub(super) fn count(&self, client: Prefix, now: Moment) -> u32 {
        if self.minute != now.0 / MINUTE_MILLISECONDS {
            return 0;
        }
        let counts = self.rows.iter().zip(cells(self.key, client)).map(|(row, cell)| row[cell]);
        counts.min().unwrap_or(0).into()
    }
}

/// Where a client is counted. Keyed: nobody can choose addresses that share another's cells.
fn cells(key: (u64, u64), client: Prefix) -> [usize; 2] {
    let mut hasher = SipHasher13::new_with_keys(key.0, key.1);
    client.hash(&mut hasher);
    let hash = hasher.finish() as usize;
    [hash % CELLS, (hash / CELLS) % CELLS]
}
