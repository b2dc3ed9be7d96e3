//! A reply of a next hop is heard whole or not yet, is bounded, and can be passed on.

use mail::smtp::extension::Capabilities;
use mail::smtp::reply::{
    Class, QUOTED_LINES_MAX, QUOTED_OCTETS_MAX, REPLY_LINES_MAX, Reply, parse_reply,
};

/// The input is what a next hop sends.
pub fn check(input: &[u8]) {
    let whole = parse_reply(input);
    // Every prefix is either not enough or says the same.
    let step = (input.len() / 200).max(1);
    for end in (0..input.len()).step_by(step) {
        let part = parse_reply(&input[..end]);
        assert!(part == Ok(None) || part == whole, "{end}: {part:?}, then {whole:?}");
    }
    let Ok(Some((heard, consumed))) = whole else { return };
    assert!(consumed <= input.len() && input[consumed - 1] == b'\n');
    assert_eq!(parse_reply(&input[..consumed - 1]), Ok(None));
    assert_eq!(input[..3], *heard.code.to_string().as_bytes());
    assert!(heard.more.len() < REPLY_LINES_MAX);
    for text in std::iter::once(&heard.text).chain(&heard.more) {
        assert!(text.len() <= QUOTED_OCTETS_MAX);
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
    }
    if heard.class() != Class::Intermediate {
        let relayed = Reply::relayed(&heard);
        assert_eq!(relayed.class(), heard.class());
        assert_ne!(relayed.code(), 421);
        let room = QUOTED_LINES_MAX * (QUOTED_OCTETS_MAX + " / ".len());
        assert!(relayed.whole_text().len() <= room);
        crate::check_reply(&relayed);
    }
    let found = Capabilities::heard(&heard);
    assert!(found.size || found.size_octets_max.is_none());
}
