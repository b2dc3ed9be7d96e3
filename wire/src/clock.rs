//! The only file that asks what time it is.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use relay::moment::Moment;
use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Now, by a clock that never goes back.
#[must_use]
pub fn now() -> Moment {
    Moment(u64::try_from(start().elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The instant at which a moment comes.
#[must_use]
pub fn instant(moment: Moment) -> Instant {
    start() + Duration::from_millis(moment.0)
}

/// Whole seconds since the process began, by a clock that never goes back. Negative for what
/// was before.
#[must_use]
pub fn uptime_seconds() -> i64 {
    i64::try_from(now().0 / 1_000).unwrap_or(i64::MAX)
}

/// Microseconds since the process began, by a clock that never goes back.
#[must_use]
pub fn uptime_microseconds() -> i64 {
    i64::try_from(start().elapsed().as_micros()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
#[must_use]
pub fn unix_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// Nanoseconds since 1970, as files are stamped; enough until 2262.
#[must_use]
pub fn unix_nanoseconds() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Seconds as text, kept because most questions fall into the same second.
struct Cached {
    second: i64,
    rfc3339: String,
    rfc5322: String,
}

impl Cached {
    const EMPTY: Self = Self { second: i64::MIN, rfc3339: String::new(), rfc5322: String::new() };
}

thread_local! {
    static CACHED: RefCell<Cached> = const { RefCell::new(Cached::EMPTY) };
}

/// Appends `2026-11-23T12:00:00.123Z`.
pub fn write_timestamp(out: &mut Vec<u8>) {
    let now = Timestamp::now();
    let milliseconds = now.subsec_millisecond().unsigned_abs();
    cached(now, |cached| out.extend_from_slice(cached.rfc3339.as_bytes()));
    out.push(b'.');
    out.extend([100, 10, 1].map(|unit| b'0' + (milliseconds / unit % 10) as u8));
    out.push(b'Z');
}

/// Now, as RFC 5322 §3.3 writes it, in UTC.
#[must_use]
pub fn date() -> String {
    cached(Timestamp::now(), |cached| cached.rfc5322.clone())
}

fn cached<T>(now: Timestamp, read: impl FnOnce(&Cached) -> T) -> T {
    CACHED.with_borrow_mut(|cached| {
        if cached.second != now.as_second() {
            cached.second = now.as_second();
            let zoned: Zoned = now.to_zoned(TimeZone::UTC);
            cached.rfc3339 = zoned.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            cached.rfc5322 = zoned.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        }
        read(cached)
    })
}
