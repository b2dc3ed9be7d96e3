//! A command is understood and can be said again, or is refused with a permanent reply.

use mail::address::ForwardPath;
use mail::smtp::command::Command;

/// The input is a line without its end.
pub fn check(line: &[u8]) {
    let printable = line.iter().all(|b| (b' '..=b'~').contains(b));
    match Command::parse(line) {
        Err(reply) => {
            assert!(matches!(reply.code(), 500 | 501 | 502 | 553 | 555), "{reply}");
            crate::check_reply(&reply);
        }
        Ok(_) if !printable => panic!("an unprintable line was understood: {line:?}"),
        Ok(Command::Mail(path, parameters)) => {
            let again = Command::parse(format!("MAIL FROM:<{path}>").as_bytes());
            assert_eq!(again, Ok(Command::Mail(path, Default::default())));
            assert!(parameters.size_octets.is_none_or(|_| contains(line, b"SIZE=")));
        }
        Ok(Command::Rcpt(path)) => {
            let again = Command::parse(format!("RCPT TO:<{path}>").as_bytes());
            let expected = match path {
                ForwardPath::SourceRoute(mailbox) => ForwardPath::Mailbox(mailbox),
                path => path,
            };
            assert_eq!(again, Ok(Command::Rcpt(expected)));
        }
        Ok(Command::Hello(hello)) => {
            assert!((1..=255).contains(&hello.name.len()) && !hello.name.contains(' '));
        }
        Ok(_) => {}
    }
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
