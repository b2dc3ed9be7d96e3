//! Tells a next hop who the client is, by Postfix' XFORWARD (for its log) or XCLIENT (to be treated
//! as if the client had come itself). Values are xtext (RFC 3461 §4).

use super::command::Hello;
use super::extension::{Capabilities, ClientAttributes};
use std::net::{IpAddr, SocketAddr};

/// Who the client is, for a next hop that offers XFORWARD or XCLIENT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDetails {
    /// Its address and port.
    pub address: SocketAddr,
    /// What it said in EHLO.
    pub hello: Option<Hello>,
}

/// How a next hop is told who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// By XFORWARD where it is offered, else by XCLIENT, else not at all.
    AsOffered,
    /// By XFORWARD only.
    Xforward,
    /// By XCLIENT only.
    Xclient,
    /// Not at all.
    None,
}

/// The command to send, and what its reply does to the session.
pub(super) enum Told {
    /// For the log only: whatever is answered, the transaction goes on.
    Xforward(String),
    /// The session starts anew behind its reply.
    Xclient(String),
}

impl Introduction {
    /// The command, when the next hop takes one.
    pub(super) fn command(self, offered: &Capabilities, details: &ClientDetails) -> Option<Told> {
        let Capabilities { xforward, xclient, .. } = offered;
        match self {
            Self::AsOffered | Self::Xforward if xforward.addr => {
                Some(Told::Xforward(format!("XFORWARD{}\r\n", attributes(details, *xforward))))
            }
            Self::AsOffered | Self::Xclient if xclient.addr => {
                Some(Told::Xclient(format!("XCLIENT{}\r\n", attributes(details, *xclient))))
            }
            Self::AsOffered | Self::Xforward | Self::Xclient | Self::None => None,
        }
    }
}

/// ` ADDR=192.0.2.1 HELO=bar.example …`, in xtext (RFC 3461 §4).
fn attributes(details: &ClientDetails, takes: ClientAttributes) -> String {
    let mut text = match details.address.ip() {
        IpAddr::V4(ip) => format!(" ADDR={ip}"),
        IpAddr::V6(ip) => format!(" ADDR=IPV6:{ip}"),
    };
    if takes.name {
        text.push_str(" NAME=[UNAVAILABLE]");
    }
    if takes.port {
        text.push_str(&format!(" PORT={}", details.address.port()));
    }
    if let Some(hello) = &details.hello {
        if takes.proto {
            text.push_str(if hello.extended { " PROTO=ESMTP" } else { " PROTO=SMTP" });
        }
        if takes.helo {
            text.push_str(" HELO=");
            push_xtext(&mut text, &hello.name);
        }
    }
    text
}

fn push_xtext(out: &mut String, text: &str) {
    for b in text.bytes() {
        if (b'!'..=b'~').contains(&b) && b != b'+' && b != b'=' {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("+{b:02X}"));
        }
    }
}
