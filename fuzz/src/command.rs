//! A command is understood and can be said again, or is refused with a permanent reply.

use mail::address::ForwardPath;
use mail::smtp::command::Command;
use mail::smtp::line::LineEndings;

/// The input is a line without its end.
pub fn check(line: &[u8]) {
    check_from(line, LineEndings::Strict);
    check_from(line, LineEndings::Normalized);
    if let Ok(strict) = Command::parse(line) {
        let mended = Command::parse_from(line, LineEndings::Normalized);
        assert_eq!(mended, Ok(strict), "what is right needs no mending");
    }
}

fn check_from(line: &[u8], endings: LineEndings) {
    let printable = line.iter().all(|b| (b' '..=b'~').contains(b));
    match Command::parse_from(line, endings) {
        Err(reply) => {
            assert!(matches!(reply.code(), 500 | 501 | 502 | 553 | 555), "{reply}");
            crate::check_reply(&reply);
        }
        Ok(_) if !printable => panic!("an unprintable line was understood: {line:?}"),
        Ok(Command::Mail(path, parameters)) => {
            let said = format!("MAIL FROM:<{path}>");
            let again = Command::parse_from(said.as_bytes(), endings);
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
