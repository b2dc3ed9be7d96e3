//! Commands and their parser. RFC 5321 §4.1.1; a line comes in without its CRLF.
//! Syntax errors become replies here and go no further; whether a command may come now is for
//! [`super::server`].

use super::line::LineEndings;
use super::parameter::{MailParameters, refuse_rcpt_parameters};
use super::reply::Reply;
use super::status;
use crate::address::{AddressError, DOMAIN_OCTETS_MAX, ForwardPath, ReversePath};

/// One command, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// EHLO or HELO.
    Hello(Hello),
    /// MAIL.
    Mail(ReversePath, MailParameters),
    /// RCPT.
    Rcpt(ForwardPath),
    /// DATA.
    Data,
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY.
    Vrfy,
    /// HELP.
    Help,
    /// STARTTLS, RFC 3207.
    StartTls,
    /// AUTH, RFC 4954. Never offered on this side.
    Auth,
    /// BDAT, RFC 3030. Never offered; what follows it would be read as commands.
    Bdat,
    /// A command that we know and do not do (EXPN, TURN, ETRN, SEND …).
    NotImplemented,
    /// A line of another protocol, as HTTP sends it: a browser was made to speak to us.
    OtherProtocol,
}

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// As it was written; printable, at most 255 octets, not necessarily a host name.
    pub name: Box<str>,
    /// Said with EHLO.
    pub extended: bool,
}

/// First words by which another protocol is known.
const OTHER_PROTOCOLS: &[&str] = &[
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "PATCH",
    "PRI",
    "HOST:",
    "USER-AGENT:",
    "CONTENT-TYPE:",
    "CONTENT-LENGTH:",
    "COOKIE:",
    "REFERER:",
];

/// A command that names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathCommand {
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
}

impl PathCommand {
    /// The one that a line begins with.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let verb = line.get(..4).filter(|_| line.get(4).is_none_or(|b| *b == b' '))?;
        match () {
            () if verb.eq_ignore_ascii_case(b"RCPT") => Some(Self::Rcpt),
            () if verb.eq_ignore_ascii_case(b"MAIL") => Some(Self::Mail),
            () => None,
        }
    }
}

impl Command {
    /// Parses a line, strictly.
    /// # Errors
    /// The reply to give.
    pub fn parse(line: &[u8]) -> Result<Self, Reply> {
        Self::parse_from(line, LineEndings::Strict)
    }

    /// Parses a line. From a network whose line endings are mended, paths are mended too: they may
    /// lack their brackets, and a reverse-path may be the name of a device alone.
    /// # Errors
    /// The reply to give.
    pub fn parse_from(line: &[u8], endings: LineEndings) -> Result<Self, Reply> {
        let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
        let (verb, rest) = line.split_at(end);
        if let Some(at) = line.iter().position(|b| !(b' '..=b'~').contains(b)) {
            return Err(unprintable(verb, line[at]));
        }
        let rest = std::str::from_utf8(rest).unwrap_or_default();
        let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
        // The most frequent first: a harvest run is nothing but RCPT.
        if is("RCPT") {
            return rcpt(rest, endings);
        }
        if is("MAIL") {
            return mail(rest, endings);
        }
        if is("EHLO") || is("HELO") {
            return hello(rest, is("EHLO"));
        }
        let bare = |command| {
            if rest.trim_matches(' ').is_empty() { Ok(command) } else { Err(no_argument()) }
        };
        match verb.to_ascii_uppercase().as_slice() {
            b"DATA" => bare(Self::Data),
            b"RSET" => bare(Self::Rset),
            b"QUIT" => bare(Self::Quit),
            b"STARTTLS" => bare(Self::StartTls),
            b"NOOP" => Ok(Self::Noop),
            b"VRFY" => Ok(Self::Vrfy),
            b"HELP" => Ok(Self::Help),
            b"AUTH" => Ok(Self::Auth),
            b"BDAT" => Ok(Self::Bdat),
            b"EXPN" | b"TURN" | b"ETRN" | b"ATRN" | b"SEND" | b"SOML" | b"SAML" => {
                Ok(Self::NotImplemented)
            }
            _ if OTHER_PROTOCOLS.iter().any(|name| is(name)) => Ok(Self::OtherProtocol),
            _ => Err(Reply::new(500, status::INVALID_COMMAND, "command not recognized")),
        }
    }
}

fn hello(rest: &str, extended: bool) -> Result<Command, Reply> {
    let name = rest.trim_matches(' ');
    if name.is_empty() || name.contains(' ') || name.len() > DOMAIN_OCTETS_MAX {
        // RFC 2034 §4: no status in an answer to EHLO or HELO.
        return Err(Reply::bare(501, "one domain or address literal expected"));
    }
    Ok(Command::Hello(Hello { name: name.into(), extended }))
}

fn mail(rest: &str, endings: LineEndings) -> Result<Command, Reply> {
    let (path, parameters) =
        path(rest, "FROM:", endings).ok_or_else(|| syntax("MAIL FROM:<reverse-path> expected"))?;
    let parsed = match endings {
        LineEndings::Strict => ReversePath::parse(path),
        LineEndings::Normalized => ReversePath::parse_mended(path),
    };
    let reverse_path =
        parsed.map_err(|error| bad_address(status::BAD_SENDER_MAILBOX_SYNTAX, error))?;
    Ok(Command::Mail(reverse_path, MailParameters::parse(parameters)?))
}

fn rcpt(rest: &str, endings: LineEndings) -> Result<Command, Reply> {
    let (path, parameters) =
        path(rest, "TO:", endings).ok_or_else(|| syntax("RCPT TO:<forward-path> expected"))?;
    let parsed = match endings {
        LineEndings::Strict => ForwardPath::parse(path),
        LineEndings::Normalized => ForwardPath::parse_mended(path),
    };
    let forward_path =
        parsed.map_err(|error| bad_address(status::BAD_DESTINATION_MAILBOX_SYNTAX, error))?;
    refuse_rcpt_parameters(parameters)?;
    Ok(Command::Rcpt(forward_path))
}

/// ` FROM:<path> parameters` → the path with its brackets, and the parameters. Spaces after the
/// colon are an error that too many clients make to be worth refusing. Where it is mended, a path
/// without brackets ends at the first space that is not quoted.
fn path<'a>(rest: &'a str, keyword: &str, endings: LineEndings) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start_matches(' ');
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest[keyword.len()..].trim_start_matches(' ');
    let end = match endings {
        _ if rest.starts_with('<') => unquoted(rest.as_bytes(), b'>')? + 1,
        LineEndings::Normalized if !rest.is_empty() => {
            unquoted(rest.as_bytes(), b' ').unwrap_or(rest.len())
        }
        LineEndings::Normalized | LineEndings::Strict => return None,
    };
    let (path, parameters) = rest.split_at(end);
    (parameters.is_empty() || parameters.starts_with(' ')).then_some((path, parameters))
}

/// The first `end` that does not stand inside a quoted string.
fn unquoted(path: &[u8], end: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, b) in path.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b if *b == end && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn syntax(text: &'static str) -> Reply {
    Reply::new(501, status::INVALID_ARGUMENTS, text)
}

fn no_argument() -> Reply {
    Reply::new(501, status::INVALID_ARGUMENTS, "this command takes no argument")
}

fn bad_address(status: status::Status, error: AddressError) -> Reply {
    Reply::new(501, status, error.to_string())
}

/// An octet above 127 in a path means SMTPUTF8, which was not offered (RFC 6531 §3.5).
fn unprintable(verb: &[u8], octet: u8) -> Reply {
    let path = verb.eq_ignore_ascii_case(b"MAIL") || verb.eq_ignore_ascii_case(b"RCPT");
    if octet >= 0x80 && path {
        Reply::new(553, status::NON_ASCII_ADDRESS, "only ASCII addresses are taken here")
    } else if path || octet >= 0x80 {
        Reply::new(501, status::SYNTAX_ERROR, "control characters are not allowed")
    } else {
        Reply::new(500, status::SYNTAX_ERROR, "control characters are not allowed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &[u8]) -> u16 {
        Command::parse(line).unwrap_err().code()
    }

    #[test]
    fn verbs_are_understood_in_any_case() {
        assert_eq!(Command::parse(b"quit"), Ok(Command::Quit));
        assert_eq!(Command::parse(b"NoOp anything"), Ok(Command::Noop));
        assert_eq!(Command::parse(b"DATA  "), Ok(Command::Data));
        let Ok(Command::Hello(hello)) = Command::parse(b"ehlo [IPv6:::1]") else { panic!() };
        assert_eq!((&*hello.name, hello.extended), ("[IPv6:::1]", true));
    }

    #[test]
    fn a_quoted_bracket_does_not_end_the_path() {
        let Ok(Command::Rcpt(path)) = Command::parse(b"RCPT TO:<\"a> NOTIFY=NEVER\"@x.example>")
        else {
            panic!()
        };
        assert_eq!(path.to_string(), "\"a> NOTIFY=NEVER\"@x.example");
    }

    #[test]
    fn spaces_after_the_colon_are_forgiven() {
        assert!(Command::parse(b"MAIL FROM: <a@b.example>  SIZE=10 ").is_ok());
    }

    #[test]
    fn paths_are_mended_where_line_endings_are() {
        let parse = |line: &[u8]| Command::parse_from(line, LineEndings::Normalized);
        for (mended, right) in [
            (&b"MAIL FROM:a@b.example SIZE=10"[..], &b"MAIL FROM:<a@b.example> SIZE=10"[..]),
            (b"MAIL FROM: \"a b\"@b.example", b"MAIL FROM:<\"a b\"@b.example>"),
            (b"RCPT TO:a@b.example", b"RCPT TO:<a@b.example>"),
            (b"RCPT TO:postmaster", b"RCPT TO:<postmaster>"),
        ] {
            assert_eq!(parse(mended), Command::parse(right));
            assert_eq!(parse(right), Command::parse(right));
            assert!(Command::parse(mended).is_err());
        }
        let Ok(Command::Mail(path, _)) = parse(b"MAIL FROM:copier-3") else { panic!() };
        assert_eq!(path.to_string(), "copier-3");
        for (line, expected) in [
            (&b"MAIL FROM:"[..], 501),
            (b"MAIL FROM:a@b.example NOTIFY=NEVER", 555),
            (b"MAIL FROM:a@b.example>", 501),
            (b"MAIL FROM:<a@b.example", 501),
            (b"RCPT TO:a@b.example c@d.example", 555),
            (b"RCPT TO:", 501),
            (b"RCPT TO:<>", 501),
        ] {
            let code = parse(line).unwrap_err().code();
            assert_eq!(code, expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn malformed_commands_get_the_right_code() {
        for (line, expected) in [
            (&b"DATA foo"[..], 501),
            (b"STARTTLS foo", 501),
            (b"EHLO", 501),
            (b"EHLO a b", 501),
            (b"MAIL FROM:a@b.example", 501),
            (b"MAIL FROM:<a@b.example", 501),
            (b"MAIL FROM:<a@b.example>SIZE=1", 501),
            (b"MAIL TO:<a@b.example>", 501),
            (b"RCPT TO:<>", 501),
            (b"RCPT TO:<a@b.example> ORCPT=rfc822;x", 555),
            (b"MAIL FROM:<a@b.example> SMTPUTF8", 555),
            (b"RCPT TO:<a\xc3\xa9@b.example>", 553),
            (b"RCPT TO:<a\0@b.example>", 501),
            (b"RCPT TO:<a\t@b.example>", 501),
            (b"NOOP\0", 500),
            (b"", 500),
            (b"XCLIENT ADDR=1.2.3.4", 500),
            (b" QUIT", 500),
        ] {
            assert_eq!(code(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn browsers_are_known_by_their_first_word() {
        assert_eq!(Command::parse(b"GET / HTTP/1.1"), Ok(Command::OtherProtocol));
        assert_eq!(Command::parse(b"host: mx.example.com"), Ok(Command::OtherProtocol));
    }
}
