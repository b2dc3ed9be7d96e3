//! EHLO keywords: what a next hop offers, and what we offer given that.
//! We promise no more than whoever takes the mail in the end: a message that the next hop must
//! refuse for what it is should be refused at MAIL, not after the fact.
//! Not offered at all: SMTPUTF8, CHUNKING, DSN, AUTH (docs/decisions).

use super::reply::HeardReply;
use std::borrow::Cow;

/// What our trace field may add to a message, in octets.
pub(super) const TRACE_OCTETS: u64 = 1_024;

/// What we say after `250-hostname`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// SIZE, in octets (RFC 1870).
    pub size_octets_max: u64,
    /// 8BITMIME (RFC 6152): only when every next hop takes it.
    pub eight_bit_mime: bool,
    /// STARTTLS (RFC 3207): there is a certificate, and TLS is not on yet.
    pub start_tls: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
}

/// Keywords that a listener does not say, for clients that cannot bear them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Withheld {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
}

impl Offer {
    /// The keyword lines of the EHLO reply.
    #[must_use]
    pub fn keywords(&self) -> Vec<Cow<'static, str>> {
        let mut lines: Vec<Cow<'static, str>> = Vec::new();
        if self.pipelining {
            lines.push("PIPELINING".into());
        }
        lines.push(format!("SIZE {}", self.size_octets_max).into());
        if self.start_tls {
            lines.push("STARTTLS".into());
        }
        if self.eight_bit_mime {
            lines.push("8BITMIME".into());
        }
        lines.push("ENHANCEDSTATUSCODES".into());
        lines
    }

    /// What remains of this offer on a listener that keeps these back.
    #[must_use]
    pub fn without(self, withheld: Withheld) -> Self {
        Self {
            pipelining: self.pipelining && !withheld.pipelining,
            eight_bit_mime: self.eight_bit_mime && !withheld.eight_bit_mime,
            ..self
        }
    }

    /// What remains of this offer before a next hop with these capabilities: of its size, what our
    /// trace field leaves.
    #[must_use]
    pub fn within(self, next_hop: &Capabilities) -> Self {
        // Never 0, which would mean that there is no limit (RFC 1870 §4).
        let room = |octets: u64| octets.saturating_sub(TRACE_OCTETS).max(1);
        let size = next_hop.size_octets_max.map_or(u64::MAX, room);
        Self {
            size_octets_max: self.size_octets_max.min(size),
            eight_bit_mime: self.eight_bit_mime && next_hop.eight_bit_mime,
            ..self
        }
    }
}

/// What a next hop said to EHLO; all absent for one that knows only HELO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// RFC 2920.
    pub pipelining: bool,
    /// The largest message it takes, in octets; `None` when it names none (RFC 1870 §4: no
    /// keyword, no number, or 0).
    pub size_octets_max: Option<u64>,
    /// It understands `SIZE=` at MAIL, even when it names no maximum.
    pub size: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 3207.
    pub start_tls: bool,
    /// RFC 6531; told to the operator, never used.
    pub smtp_utf8: bool,
    /// RFC 3030; told to the operator, never used.
    pub chunking: bool,
    /// RFC 4954; told to the operator, never used.
    pub auth: bool,
    /// Postfix' XFORWARD with NAME, ADDR, PORT, PROTO and HELO: it wants to log who the client is.
    pub xforward: ClientAttributes,
    /// Postfix' XCLIENT: it wants to treat the client as if it had come itself.
    pub xclient: ClientAttributes,
}

/// Which attributes of the client a next hop takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClientAttributes {
    /// ADDR, without which the rest is of no use.
    pub addr: bool,
    /// NAME.
    pub name: bool,
    /// PORT.
    pub port: bool,
    /// PROTO.
    pub proto: bool,
    /// HELO.
    pub helo: bool,
}

impl Capabilities {
    /// Reads the reply to EHLO.
    #[must_use]
    pub fn heard(reply: &HeardReply) -> Self {
        let mut found = Self::default();
        for line in &reply.more {
            let mut words = line.split(' ').filter(|w| !w.is_empty());
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "STARTTLS" => found.start_tls = true,
                "SMTPUTF8" => found.smtp_utf8 = true,
                "CHUNKING" => found.chunking = true,
                "AUTH" => found.auth = true,
                "SIZE" => {
                    found.size = true;
                    let octets = words.next().and_then(|n| n.parse().ok());
                    found.size_octets_max = octets.filter(|n| *n > 0);
                }
                "XFORWARD" => found.xforward = ClientAttributes::heard(words),
                "XCLIENT" => found.xclient = ClientAttributes::heard(words),
                _ => {}
            }
        }
        found
    }
}

impl ClientAttributes {
    fn heard<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for word in words {
            match word.to_ascii_uppercase().as_str() {
                "ADDR" => found.addr = true,
                "NAME" => found.name = true,
                "PORT" => found.port = true,
                "PROTO" => found.proto = true,
                "HELO" => found.helo = true,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::reply::parse_reply;

    fn heard(wire: &str) -> Capabilities {
        Capabilities::heard(&parse_reply(wire.as_bytes()).unwrap().unwrap().0)
    }

    #[test]
    fn what_a_next_hop_offers_is_read() {
        let wire = "250-inside\r\n250-PIPELINING\r\n250-size 1000\r\n250-XFORWARD NAME ADDR\r\n250 8BITMIME\r\n";
        let found = heard(wire);
        assert!(found.pipelining && found.eight_bit_mime && found.xforward.addr);
        assert_eq!((found.size, found.size_octets_max), (true, Some(1000)));
        assert_eq!(heard("250-inside\r\n250 SIZE 0\r\n").size_octets_max, None);
        assert_eq!(heard("250 PIPELINING\r\n"), Capabilities::default());
    }

    #[test]
    fn we_promise_no_more_than_the_next_hop() {
        let ours = Offer {
            size_octets_max: 5_000,
            eight_bit_mime: true,
            start_tls: true,
            pipelining: true,
        };
        let small = Capabilities { size_octets_max: Some(2_000), ..Capabilities::default() };
        let offer = ours.within(&small);
        assert_eq!((offer.size_octets_max, offer.eight_bit_mime), (976, false));
        assert_eq!(offer.keywords(), ["PIPELINING", "SIZE 976", "STARTTLS", "ENHANCEDSTATUSCODES"]);
        let tiny = Capabilities { size_octets_max: Some(100), ..Capabilities::default() };
        assert_eq!(ours.within(&tiny).size_octets_max, 1);
        assert_eq!(ours.within(&Capabilities::default()).size_octets_max, 5_000);
    }
}
