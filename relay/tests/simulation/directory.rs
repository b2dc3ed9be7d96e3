//! A directory that changes, is slow, and is sometimes away.

use super::journal::Answer;

/// The domains: name, other name, next hop.
pub const DOMAINS: [(&str, Option<&str>, usize); 4] = [
    ("a.example", None, 0),
    ("b.example", Some("b2.example"), 0),
    ("c.example", None, 1),
    ("d.example", None, 2),
];

#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// From, to, and whether it is only slow.
    pub away: Vec<(u64, u64, bool)>,
    /// `new@` exists from here on, `gone@` until here.
    pub change: u64,
}

impl Directory {
    /// What it says, and after how many milliseconds.
    pub fn look_up(&self, local_part: &str, domain: &str, now: u64) -> (Answer, u64) {
        match self.away.iter().find(|(from, to, _)| (*from..*to).contains(&now)) {
            Some((_, _, true)) => (self.answer(local_part, domain, now), 5_000),
            Some((_, _, false)) => (Answer::Unavailable, 8_000),
            None => (self.answer(local_part, domain, now), 1),
        }
    }

    fn answer(&self, local_part: &str, domain: &str, now: u64) -> Answer {
        let exists = Answer::Exists { target: None };
        match local_part.to_ascii_lowercase().as_str() {
            "postmaster" | "abuse" | "hopno" | "whole" => exists,
            "new" if now >= self.change => exists,
            "gone" if now < self.change => exists,
            "left" => Answer::Left,
            "void" => Answer::Bitbucket,
            "mapped" => Answer::Exists { target: Some(format!("mailbox7@{domain}")) },
            name if is_always_there(name) => exists,
            _ => Answer::Unknown,
        }
    }
}

/// `user0` to `user9`.
pub fn is_always_there(local_part: &str) -> bool {
    let digit = local_part.strip_prefix("user").unwrap_or_default();
    digit.len() == 1 && digit.bytes().all(|b| b.is_ascii_digit())
}
