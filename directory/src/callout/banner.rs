//! Whether who greets us is still who greeted us before: the banner without what changes from one
//! connection to the next (dates, times, session ids), and those that were heard lately.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

/// Banners that are kept in mind; a farm behind one address has one a machine.
const BANNERS_MAX: usize = 64;

/// After so long a banner that was heard before is news again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// The banners heard lately.
#[derive(Debug, Default)]
pub(super) struct Banners {
    heard: Vec<(u64, Instant)>,
    has_heard: bool,
}

impl Banners {
    /// Notes the banner of a host; whether it is another than those that were heard lately. The
    /// very first is none.
    pub(super) fn note(&mut self, host: usize, banner: &str, now: Instant) -> bool {
        let mut hasher = DefaultHasher::new();
        (host, essence(banner)).hash(&mut hasher);
        let hash = hasher.finish();
        self.heard.retain(|(_, at)| now.saturating_duration_since(*at) < FORGOTTEN_AFTER);
        let is_first = !std::mem::replace(&mut self.has_heard, true);
        if let Some((_, at)) = self.heard.iter_mut().find(|(known, _)| *known == hash) {
            *at = now;
            return false;
        }
        if self.heard.len() == BANNERS_MAX {
            let oldest = self.heard.iter().enumerate().min_by_key(|(_, (_, at))| *at);
            if let Some((oldest, _)) = oldest {
                self.heard.swap_remove(oldest);
            }
        }
        self.heard.push((hash, now));
        !is_first
    }
}

/// The host's name, which is the first word, and those of the others that are words: without
/// digits, and not of a date.
fn essence(banner: &str) -> String {
    let mut words = banner.split_ascii_whitespace();
    let mut kept = words.next().unwrap_or_default().to_ascii_lowercase();
    for word in words {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_word = bare.bytes().any(|b| b.is_ascii_alphabetic())
            && !bare.bytes().any(|b| b.is_ascii_digit());
        if is_word && !is_of_a_date(bare) {
            kept.push(' ');
            kept.push_str(bare);
        }
    }
    kept
}

/// Days, months and zones as RFC 5322 §3.3 and its predecessors write them.
fn is_of_a_date(word: &str) -> bool {
    const WORDS: [&str; 34] = [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun",
        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "UT", "UTC", "GMT", "EST", "EDT", "CST", "CDT",
        "MST", "MDT", "PST", "PDT", "CET", "CEST", "AM", "PM",
    ];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_time_and_session_do_not_make_another_of_it() {
        for (one, other) in [
            (
                "mail.example.test ESMTP Exim 4.96 Mon, 23 Nov 2026 15:58:23 +0000",
                "mail.example.test ESMTP Exim 4.96 Tue, 24 Nov 2026 03:01:02 +0100",
            ),
            (
                "ex.example.test Microsoft ESMTP MAIL Service ready at Sun, 1 Feb 2026 09:00:00 GMT",
                "ex.example.test Microsoft ESMTP MAIL Service ready at Mon, 2 Mar 2026 11:30:59 GMT",
            ),
            ("mx.example.test ESMTP a12si3456.7 - gw", "mx.example.test ESMTP b99tr1.2 - gw"),
        ] {
            assert_eq!(essence(one), essence(other));
        }
    }

    #[test]
    fn another_host_or_product_makes_another_of_it() {
        let one = "mail.example.test ESMTP Exim 4.96 Mon, 23 Nov 2026 15:58:23 +0000";
        assert_ne!(essence(one), essence("mail.example.test ESMTP Postfix"));
        assert_ne!(essence(one), essence(&one.replace("mail.", "mail2.")));
        assert_eq!(essence(""), "");
    }

    #[test]
    fn a_pair_that_answers_in_turn_is_news_once_and_what_was_forgotten_is_news_again() {
        let start = Instant::now();
        let mut banners = Banners::default();
        assert!(!banners.note(0, "a.example.test", start));
        assert!(banners.note(0, "b.example.test", start));
        assert!(!banners.note(0, "a.example.test", start));
        assert!(banners.note(1, "a.example.test", start), "another host is another server");
        let later = start + FORGOTTEN_AFTER;
        assert!(banners.note(0, "a.example.test", later));
    }

    #[test]
    fn no_more_are_kept_than_the_limit() {
        let now = Instant::now();
        let mut banners = Banners::default();
        for n in 0..3 * BANNERS_MAX {
            banners.note(n, "x", now);
        }
        assert_eq!(banners.heard.len(), BANNERS_MAX);
    }
}
