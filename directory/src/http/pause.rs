//! The time that a server asks to be left alone for: `Retry-After` with 429 or 503 (RFC 9110
//! §10.2.3, RFC 6585 §4). Held to minutes, whatever it says: it may have meant somebody else, and
//! people wait for their mail.

use relay::moment::Moment;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};
use wire::clock;
use wire::lock::lock;

/// The longest that a server is left alone because it said so.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Whether a source is being left alone.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<Option<Until>>);

#[derive(Clone, Copy, Debug)]
struct Until {
    moment: Moment,
    status: u16,
}

impl Pause {
    /// The status that asked for it, and how many seconds are left, while it lasts.
    pub(super) fn lasts(&self) -> Option<(u16, u64)> {
        let mut until = lock(&self.0);
        let Until { moment, status } = (*until)?;
        let left = moment.0.saturating_sub(clock::now().0);
        if left == 0 {
            *until = None;
            return None;
        }
        Some((status, left.div_ceil(1_000)))
    }

    /// Begins one when this response asks for it, and says whether it does. Another one's shorter
    /// time ends none.
    pub(super) fn heed(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return false;
        }
        let Some(wait) = retry_after(headers, clock::unix_seconds()) else { return false };
        let wait = u64::try_from(wait.min(PAUSE_MAX).as_millis()).unwrap_or_default();
        let asked = Until { moment: clock::now().plus_milliseconds(wait), status: status.as_u16() };
        let mut until = lock(&self.0);
        if until.is_none_or(|until| until.moment < asked.moment) {
            *until = Some(asked);
        }
        true
    }
}

/// How long `Retry-After` says: seconds, or a date, which is compared with the server's own clock
/// where it shows that, else with ours, in seconds since 1970. `None` when it says nothing, or
/// nothing that lies ahead.
fn retry_after(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let after = text(RETRY_AFTER)?;
    let wait = match after.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
            let now = date.unwrap_or(UNIX_EPOCH + Duration::from_secs(now));
            httpdate::parse_http_date(after).ok()?.duration_since(now).ok()?
        }
    };
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn a_time_is_seconds_or_a_date_by_the_clock_of_the_server() {
        let now = 1_445_412_480;
        let of = |after: &'static str, date: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
            date.map(|date| headers.insert(DATE, HeaderValue::from_static(date)));
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(of("120", None), Some(120));
        assert_eq!(of("Wed, 21 Oct 2015 07:29:00 GMT", None), Some(60));
        let date = Some("Wed, 21 Oct 2015 07:28:50 GMT");
        assert_eq!(of("Wed, 21 Oct 2015 07:29:00 GMT", date), Some(10));
        for none in ["", "0", "-5", "1.5", "soon", "Wed, 21 Oct 2015 07:27:00 GMT"] {
            assert_eq!(of(none, None), None, "{none:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn only_who_says_that_it_is_too_much_is_left_alone() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("100000"));
        let pause = Pause::default();
        for status in [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::FOUND] {
            assert!(!pause.heed(status, &headers));
            assert_eq!(pause.lasts(), None, "{status}");
        }
        assert!(pause.heed(StatusCode::TOO_MANY_REQUESTS, &headers));
        assert_eq!(pause.lasts(), Some((429, 300)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        assert!(pause.heed(StatusCode::SERVICE_UNAVAILABLE, &headers));
        assert_eq!(pause.lasts(), Some((429, 300)), "what is asked for next ends nothing");
    }
}
