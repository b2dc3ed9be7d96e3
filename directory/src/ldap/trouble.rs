//! What goes wrong between us and a directory, and what a person may do about it: result codes
//! (RFC 4511 §4.1.9), connections, certificates. Whether to ask another server is left to
//! `pool.rs`.

use super::super::live::{Trouble, TroubleKind};
use ldap3::LdapError;
use std::error::Error;
use std::fmt::Display;
use std::io;
use wire::tls::cause;

/// Trouble that several askers may share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Of which kind.
    pub kind: TroubleKind,
    /// What went wrong.
    pub what: String,
    /// What a person may do about it; empty when nothing.
    pub remedy: &'static str,
    /// What the server refused of a bind: to try again at once would count against the account.
    pub refusal: Option<Refusal>,
}

/// What of a bind is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The password, as far as is said: each further try may lock the account.
    Password,
    /// Another thing of the account or of the way in, which is mended over there.
    Account,
}

impl Problem {
    pub(super) fn new(kind: TroubleKind, what: impl Into<String>, remedy: &'static str) -> Self {
        // What a server says ends up in logs and on terminals.
        let what = what.into().replace(char::is_control, " ");
        Self { kind, what, remedy, refusal: None }
    }

    /// The same, said of a server.
    pub(super) fn of(mut self, server: &str) -> Self {
        self.what = format!("{server}: {}", self.what);
        self
    }

    /// A connection that ended while something was asked on it.
    pub(super) fn lost(why: impl Display) -> Self {
        let remedy = "see the server's own log for why it hung up";
        Self::new(TroubleKind::Down, format!("the connection was lost: {why}"), remedy)
    }

    /// No answer in time.
    pub(super) fn slow(what: &str) -> Self {
        let remedy = "an index for the filter's attributes is missing, or the server is overloaded";
        Self::new(TroubleKind::Slow, format!("no answer to {what} in time"), remedy)
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Trouble::new(problem.kind, problem.what).remedy(problem.remedy)
    }
}

/// What was asked, for what an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To be let in.
    Bind,
    /// To begin TLS.
    StartTls,
    /// For entries.
    Search,
}

/// What a result code other than success means.
#[must_use]
pub fn of_code(asked: Asked, code: u32, said: &str) -> Problem {
    let meaning = match asked {
        Asked::StartTls => Some((
            TroubleKind::Misconfigured,
            "will not begin TLS",
            "`tls`: \"ldaps\" with the port of LDAPS, or a certificate for the server",
        )),
        Asked::Bind => of_active_directory(code, said).or_else(|| of_bind(code)),
        Asked::Search => of_search(code),
    };
    let (kind, name, remedy) = meaning.or_else(|| of_either(code)).unwrap_or((
        TroubleKind::Unexpected,
        "failed",
        "see the server's own log",
    ));
    let mut what = format!("{name} (result code {code})");
    if !said.is_empty() {
        what.push_str(": ");
        what.push_str(shortened(said));
    }
    let is_refused = asked == Asked::Bind && kind == TroubleKind::Misconfigured;
    let refusal = is_refused.then(|| refusal(code, said));
    Problem { refusal, ..Problem::new(kind, what, remedy) }
}

/// Kind, name and remedy.
type Meaning = (TroubleKind, &'static str, &'static str);

fn refusal(code: u32, said: &str) -> Refusal {
    match (code, active_directory_data(said)) {
        (49, Some("525" | "530" | "531" | "532" | "533" | "701" | "773" | "775")) => {
            Refusal::Account
        }
        (49 | 53, _) => Refusal::Password,
        _ => Refusal::Account,
    }
}

/// The reason that Active Directory has for code 49, a Windows error in hexadecimal:
/// `… AcceptSecurityContext error, data 52e, v4563`.
fn active_directory_data(said: &str) -> Option<&str> {
    let (_, behind) = said.split_once("AcceptSecurityContext error, data ")?;
    behind.split(|c: char| !c.is_ascii_hexdigit()).next()
}

fn of_active_directory(code: u32, said: &str) -> Option<Meaning> {
    let data = active_directory_data(said).filter(|_| code == 49)?;
    let (name, remedy) = match data {
        "525" => ("there is no such account", "`bind_dn`: the name of an account that exists"),
        "52e" => (
            "the password is wrong",
            "`password_file`: the password of `bind_dn`; or `bind_dn` names another account",
        ),
        "530" => ("the account may not log on at this time", "lift its logon hours"),
        "531" => (
            "the account may not log on from this machine",
            "let it log on to the domain controllers (\"Log On To\" of the account)",
        ),
        "532" => (
            "the account's password has expired",
            "set a new one, write it to `password_file`, and let it never expire",
        ),
        "533" => ("the account is disabled", "enable the account of `bind_dn`"),
        "701" => ("the account has expired", "lift the date at which the account expires"),
        "773" => (
            "the account's password must be changed first",
            "set one without \"must change password at next logon\", and write it to \
             `password_file`",
        ),
        "775" => (
            "the account is locked",
            "unlock the account of `bind_dn`, and find out who binds with a wrong password",
        ),
        _ => return None,
    };
    Some((TroubleKind::Misconfigured, name, remedy))
}

fn of_bind(code: u32) -> Option<Meaning> {
    let (name, remedy) = match code {
        // 389 Directory Server says so of an account that is locked.
        19 => (
            "will not have this account",
            "the account of `bind_dn` may be locked, or its password too old: see the server's log",
        ),
        32 | 34 => (
            "does not know who binds",
            "`bind_dn`: the whole name of the entry, for example cn=postern,dc=example,dc=test",
        ),
        49 => (
            "name or password is wrong",
            "`bind_dn` and `password_file`; the account may also be locked or expired",
        ),
        50 => ("may not bind", "`bind_dn` must be allowed simple binds"),
        53 => (
            "is unwilling to let us in",
            "`bind_dn` must be allowed simple binds, and its password must be right",
        ),
        _ => return None,
    };
    Some((TroubleKind::Misconfigured, name, remedy))
}

fn of_search(code: u32) -> Option<Meaning> {
    use TroubleKind::{Misconfigured, Slow, Unexpected};
    Some(match code {
        1 => (
            Misconfigured,
            "operations error",
            "Active Directory says this to whoever is not bound: set `bind_dn` and `password_file`",
        ),
        3 => (
            Slow,
            "time limit exceeded",
            "index the filter's attributes on the server, or raise its time limit",
        ),
        4 => (
            Unexpected,
            "size limit exceeded, and no entry",
            "raise the server's size limit for this user",
        ),
        10 => (
            Unexpected,
            "refers to another server",
            "`servers`: name the one that holds `base`; for Active Directory the global catalogue \
             (port 3268, 3269 with TLS)",
        ),
        11 => (
            Unexpected,
            "administrative limit exceeded",
            "index the filter's attributes on the server, or raise its limits for this user",
        ),
        16 | 17 | 18 | 21 => (
            Misconfigured,
            "does not take the filter",
            "`filter`: its attributes must be known to the server and be compared as it allows",
        ),
        32 => (
            Misconfigured,
            "there is no such base",
            "`base`: an entry that exists, and that `bind_dn` may see",
        ),
        34 => (Misconfigured, "the base is no name", "`base`: for example dc=example,dc=test"),
        50 => (Misconfigured, "may not search", "give `bind_dn` the right to search below `base`"),
        53 => (
            Unexpected,
            "is unwilling to search",
            "see the server's log: it may refuse filters without an index, or searches unbound",
        ),
        _ => return None,
    })
}

fn of_either(code: u32) -> Option<Meaning> {
    use TroubleKind::{Busy, Down, Misconfigured};
    Some(match code {
        7 | 48 => (
            Misconfigured,
            "does not take this way of binding",
            "`bind_dn` and `password_file`: anonymous or simple binds are switched off there",
        ),
        8 | 13 => (
            Misconfigured,
            "wants a connection that is protected",
            "`tls`: \"ldaps\" or \"starttls\"",
        ),
        51 => (Busy, "is busy", "fewer `connections_max`, or more `servers`"),
        52 => (Down, "is unavailable", "the server is starting, or its database is offline"),
        _ => return None,
    })
}

/// The most of what a server says in words, in octets.
const SAID_OCTETS_MAX: usize = 200;

/// Nothing said by a server is repeated in full, however long.
pub(super) fn shortened(said: &str) -> &str {
    let mut end = said.len().min(SAID_OCTETS_MAX);
    while !said.is_char_boundary(end) {
        end -= 1;
    }
    &said[..end]
}

/// What an error of the library means.
#[must_use]
pub fn of_library(asked: Asked, error: &LdapError) -> Problem {
    match error {
        LdapError::Io { source } => of_io(source),
        LdapError::Rustls { source } => of_tls(source),
        LdapError::LdapResult { result } => of_code(asked, result.rc, &result.text),
        LdapError::Timeout { .. } => Problem::slow("a connection"),
        LdapError::DNSName { source } => Problem::new(
            TroubleKind::Misconfigured,
            source.to_string(),
            "`tls_name`: the name in the server's certificate",
        ),
        LdapError::FilterParsing => Problem::new(
            TroubleKind::Misconfigured,
            "the filter is malformed",
            "`filter`: as RFC 4515 has it",
        ),
        other => Problem::lost(other),
    }
}

/// Errors of a socket: those of TLS come wrapped in them.
pub(super) fn of_io(error: &io::Error) -> Problem {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_tls(tls);
    }
    let mut what = error.to_string();
    if let Some(source) = error.get_ref().and_then(Error::source) {
        what = format!("{what}: {source}");
    }
    let remedy = "`servers`: host and port of a directory that is up";
    Problem::new(TroubleKind::Down, what, remedy)
}

fn of_tls(error: &rustls::Error) -> Problem {
    if let Some(cause) = cause::of_certificate(error) {
        let what = format!("TLS failed: {}", cause.what);
        return Problem::new(TroubleKind::Misconfigured, what, cause.remedy);
    }
    let remedy = "`tls`: \"ldaps\" and \"starttls\" have ports of their own; a server that knows \
                  only TLS before 1.2 is reached by \"plain\"";
    Problem::new(TroubleKind::Misconfigured, format!("TLS failed: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_result_code_but_success_is_an_answer() {
        for code in 1..=123 {
            for asked in [Asked::Bind, Asked::StartTls, Asked::Search] {
                let problem = of_code(asked, code, "why");
                assert!(!problem.remedy.is_empty(), "{code}");
                assert!(problem.what.contains("why"), "{code}");
            }
        }
    }

    #[test]
    fn each_code_that_operators_meet_has_its_kind() {
        use TroubleKind::{Busy, Down, Misconfigured, Slow, Unexpected};
        let kinds = [
            (3, Slow),
            (4, Unexpected),
            (10, Unexpected),
            (11, Unexpected),
            (32, Misconfigured),
            (50, Misconfigured),
            (51, Busy),
            (52, Down),
            (53, Unexpected),
        ];
        for (code, kind) in kinds {
            assert_eq!(of_code(Asked::Search, code, "").kind, kind, "{code}");
        }
    }

    #[test]
    fn only_a_refused_bind_holds_further_binds_back() {
        assert_eq!(of_code(Asked::Bind, 49, "").refusal, Some(Refusal::Password));
        assert_eq!(of_code(Asked::Bind, 53, "").refusal, Some(Refusal::Password));
        assert_eq!(of_code(Asked::Bind, 32, "").refusal, Some(Refusal::Account));
        assert_eq!(of_code(Asked::Bind, 51, "").refusal, None);
        assert_eq!(of_code(Asked::Search, 50, "").refusal, None);
    }

    #[test]
    fn what_active_directory_has_against_an_account_is_told_in_words() {
        for (data, words, refusal) in [
            ("525", "no such account", Refusal::Account),
            ("52e", "password is wrong", Refusal::Password),
            ("530", "at this time", Refusal::Account),
            ("531", "from this machine", Refusal::Account),
            ("532", "password has expired", Refusal::Account),
            ("533", "is disabled", Refusal::Account),
            ("701", "account has expired", Refusal::Account),
            ("773", "must be changed", Refusal::Account),
            ("775", "is locked", Refusal::Account),
            // Nobody knows what it means: as if nothing had been said.
            ("57", "name or password", Refusal::Password),
        ] {
            let said = format!(
                "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, \
                 data {data}, v4563\0"
            );
            let problem = of_code(Asked::Bind, 49, &said);
            assert!(problem.what.contains(words), "{data}: {}", problem.what);
            assert_eq!(problem.refusal, Some(refusal), "{data}");
            assert_eq!(problem.kind, TroubleKind::Misconfigured);
            assert!(!problem.remedy.is_empty());
        }
    }

    #[test]
    fn what_a_server_says_is_neither_long_nor_obeyed_by_a_terminal() {
        let problem = of_code(Asked::Search, 80, &format!("\u{1b}[2J{}", "\u{e4}".repeat(5000)));
        assert!(problem.what.len() < 300);
        assert!(!problem.what.contains('\u{1b}'));
    }
}
