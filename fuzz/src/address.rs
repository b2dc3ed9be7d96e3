//! What is parsed prints, as printable ASCII, into what parses as the same value.

use mail::address::{Domain, ForwardPath, Host, LocalPart, Mailbox, ReversePath};

/// The input is an address, with or without its brackets.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(mailbox) = Mailbox::parse(&text) {
        let printed = mailbox.to_string();
        assert!(printed.bytes().all(|b| (b' '..=b'~').contains(&b)), "{printed:?}");
        assert!(mailbox.local_part.to_string().len() <= 255);
        assert!(mailbox.host.to_string().len() <= 255);
        assert_eq!(Mailbox::parse(&printed), Ok(mailbox));
    }
    for path in [text.to_string(), format!("<{text}>")] {
        if let Ok(reverse) = ReversePath::parse(&path) {
            check_reverse(&path, &reverse);
            assert_eq!(ReversePath::parse(&format!("<{reverse}>")), Ok(reverse));
        }
        if let Ok(mended) = ReversePath::parse_mended(&path) {
            check_reverse(&path, &mended);
            assert_eq!(ReversePath::parse_mended(&format!("<{mended}>")), Ok(mended));
        }
        if let Ok(mended) = ForwardPath::parse_mended(&path) {
            let again = ForwardPath::parse(&format!("<{mended}>")).expect("it was printed");
            assert_eq!(again.mailbox(), mended.mailbox());
        }
        if let Ok(forward) = ForwardPath::parse(&path) {
            let again = ForwardPath::parse(&format!("<{forward}>")).expect("it was printed");
            assert_eq!(again.mailbox(), forward.mailbox());
        }
    }
    if let Ok(local_part) = LocalPart::new(&text) {
        let host = Host::Domain(Domain::new("example.com").expect("a domain"));
        let mailbox = Mailbox { local_part, host };
        assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox));
    }
    if let Ok(host) = Host::parse(&text) {
        assert_eq!(Host::parse(&host.to_string()), Ok(host));
    }
    if let Ok(domain) = Domain::from_unicode(&text) {
        assert_eq!(Domain::new(domain.as_str()), Ok(domain));
    }
}

/// Its local part prints octet for octet as it was written, and neither brackets nor spaces stand
/// outside of quotes: the next hop finds the end of it where we do.
fn check_reverse(written: &str, reverse: &ReversePath) {
    let printed = reverse.to_string();
    assert!(printed.bytes().all(|b| (b' '..=b'~').contains(&b)), "{printed:?}");
    if let Some(mailbox) = reverse.mailbox() {
        let local_part = mailbox.local_part.to_string();
        assert!(local_part.len() <= 255 && written.contains(&format!("{local_part}@")));
        assert!(local_part.starts_with('"') || !local_part.contains(['<', '>', ' ', '"', '\\']));
        assert_eq!(Mailbox::parse_foreign(&printed).as_ref(), Ok(mailbox));
    }
    assert!(!printed.rsplit('@').next().is_some_and(|host| host.contains(['<', '>', ' '])));
}
