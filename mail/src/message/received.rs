//! The trace field that we put in front of every message. RFC 5321 §4.4, RFC 3848.
//! The date comes from the edge; everything a client said is made printable first.

use crate::address::Domain;
use crate::smtp::command::Hello;
use crate::smtp::reply::ReplyId;
use std::fmt::Write;
use std::net::IpAddr;

/// A name that a client said in EHLO, or the DNS of its address, is quoted up to this, in octets.
const NAME_OCTETS_MAX: usize = 128;

/// What the field tells.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// What the client said of itself.
    pub hello: &'a Hello,
    /// What the DNS calls it, and leads back to it.
    pub reverse_name: Option<&'a str>,
    /// Where it came from.
    pub address: IpAddr,
    /// Who we are.
    pub hostname: &'a Domain,
    /// The name by which the log is searched.
    pub message: Option<ReplyId>,
    /// Came over TLS.
    pub tls: bool,
    /// Now, as RFC 5322 §3.3 writes it.
    pub date: &'a str,
}

impl Trace<'_> {
    /// The field with its CRLF.
    #[must_use]
    pub fn field(&self) -> String {
        let mut text = String::with_capacity(256);
        let name = quoted(&self.hello.name);
        // RFC 5321 §4.4, TCP-info: the name stands before the address that was looked up.
        let reverse = self.reverse_name.map(|name| quoted(name) + " ").unwrap_or_default();
        let literal = match self.address {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        let protocol = match (self.hello.extended, self.tls) {
            (true, true) => "ESMTPS",
            (true, false) => "ESMTP",
            (false, _) => "SMTP",
        };
        let Self { hostname, date, .. } = self;
        let id = self.message.map(|id| format!("\r\n\tid {id}")).unwrap_or_default();
        let _ = write!(
            text,
            "Received: from {name} ({reverse}{literal})\r\n\tby {hostname} (Postern) with {protocol}{id};\r\n\t{date}\r\n"
        );
        text
    }
}

/// A name as it may stand in the field.
fn quoted(name: &str) -> String {
    name.chars().take(NAME_OCTETS_MAX).map(harmless).collect()
}

/// A client's name stands where RFC 5321 §4.4 wants a domain or an address literal.
fn harmless(c: char) -> char {
    if c.is_ascii_alphanumeric() || ".-_[]:".contains(c) { c } else { '?' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::reply::SessionId;

    #[test]
    fn the_field_says_who_where_how_and_when() {
        let hello = Hello { name: "a(b)c\u{e9}".into(), extended: true };
        let trace = Trace {
            hello: &hello,
            reverse_name: Some("a.example (x"),
            address: "2001:db8::1".parse().unwrap(),
            hostname: &Domain::new("mx.example.com").unwrap(),
            message: Some(ReplyId { session: SessionId(1), count: 2 }),
            tls: true,
            date: "Mon, 26 Jan 2004 12:00:00 +0000",
        };
        assert_eq!(
            trace.field(),
            "Received: from a?b?c? (a.example??x [IPv6:2001:db8::1])\r\n\tby mx.example.com (Postern) with ESMTPS\r\n\tid 0000000000001.2;\r\n\tMon, 26 Jan 2004 12:00:00 +0000\r\n"
        );
    }
}
