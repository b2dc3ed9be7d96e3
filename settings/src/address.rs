//! Addresses, names and `host:port` as operators write them.

use crate::mistake::Mistake;
use crate::table::context::LoadContext;
use crate::table::value::{Given, Text};
use ipnet::IpNet;
use mail::address::{AddressError, Domain, Host, Mailbox};
use std::net::{IpAddr, SocketAddr};
use wire::server::NextHopHost;

/// A domain; U-labels allowed.
/// # Errors
/// What is wrong with it.
pub fn domain(name: &Text) -> Result<Domain, Mistake> {
    let text = name.as_str();
    let wrong = |why: &str| name.wrong(format!("\"{text}\" is no domain name"), why);
    if text.contains('@') {
        let behind = text.rsplit('@').next().unwrap_or_default();
        return Err(wrong("expected only what stands behind the `@`")
            .help(format!("for example: \"{behind}\"")));
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(wrong("an IP address; expected a name"));
    }
    Domain::from_unicode(text).map_err(|error| {
        wrong(&error.to_string()).help("for example: \"example.test\" or \"b\u{fc}cher.example\"")
    })
}

/// A mailbox; its domain may have U-labels.
/// # Errors
/// What is wrong with it.
pub fn mailbox(address: &Text) -> Result<Mailbox, Mistake> {
    let text = address.as_str();
    parse_mailbox(text).map_err(|error| {
        address
            .wrong(format!("\"{text}\" is no address"), &error.to_string())
            .help("for example: \"jones@example.test\"")
    })
}

fn parse_mailbox(text: &str) -> Result<Mailbox, AddressError> {
    match text.rsplit_once('@') {
        Some((local_part, name)) if !name.is_ascii() => {
            Mailbox::parse(&format!("{local_part}@{}", Domain::from_unicode(name)?))
        }
        _ => Mailbox::parse(text),
    }
}

/// A network; a bare address is a network of one.
/// # Errors
/// What is wrong with it.
pub fn network(written: &Text) -> Result<IpNet, Mistake> {
    let text = written.as_str();
    let wrong = |label: &str| written.wrong(format!("\"{text}\" is no network"), label);
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let Some((ip, length)) = text.split_once('/') else {
        return Err(wrong("expected address/bits").help("for example: \"10.0.0.0/8\""));
    };
    let Ok(ip) = ip.parse::<IpAddr>() else {
        return Err(wrong("what stands before the `/` is no IP address")
            .help("for example: \"10.0.0.0/8\" or \"2001:db8::/32\""));
    };
    let bits_max = if ip.is_ipv4() { 32 } else { 128 };
    let net = length.parse().ok().and_then(|length| IpNet::new(ip, length).ok());
    let Some(net) = net else {
        return Err(wrong(&format!(
            "what stands behind the `/` is no number from 0 to {bits_max}"
        ))
        .help(format!("for example: \"{ip}/{bits_max}\" for this address alone")));
    };
    if net.trunc() != net {
        // Either of two may be meant, and one of them trusts millions: so it is not guessed.
        return Err(wrong("the address goes on behind the bits of the network").help(format!(
            "write \"{}\" for the network, or \"{ip}\" for the address alone",
            net.trunc()
        )));
    }
    Ok(net)
}

/// `host:port` of a next hop.
/// # Errors
/// What is wrong with it.
pub fn host_port(written: &Text) -> Result<NextHopHost, Mistake> {
    let text = written.as_str();
    let wrong = |label: &str| written.wrong(format!("\"{text}\" is no host:port"), label);
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let with_port = SocketAddr::new(ip, 25);
        return Err(wrong("the port is missing").help(format!("did you mean \"{with_port}\"?")));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(wrong("the port is missing").help(format!("did you mean \"{text}:25\"?")));
    };
    let Some(port) = port.parse::<u16>().ok().filter(|port| *port != 0) else {
        return Err(wrong("what stands behind the last `:` is no port from 1 to 65535")
            .help(format!("for example: \"{host}:25\"")));
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(NextHopHost { host: address.ip().to_string(), port });
    }
    if host.contains(':') {
        return Err(wrong("an IPv6 address needs brackets")
            .help(format!("for example: \"[2001:db8::5]:{port}\"")));
    }
    match Domain::from_unicode(host) {
        // 10.0.0.256 and 10.0.0 would pass as names, and be asked of the resolver.
        Ok(name) if !ends_in_a_number(&name) => Ok(NextHopHost { host: name.to_canonical(), port }),
        _ => Err(wrong("the host is neither a name nor an IP address")
            .help("for example: \"10.0.0.5:25\" or \"inside.example.test:25\"")),
    }
}

/// The servers of a list, none of them twice.
/// # Errors
/// What is wrong with it.
pub fn hosts_once(
    list: &[Text],
    parse: impl Fn(&Text) -> Result<NextHopHost, Mistake>,
    context: &mut LoadContext,
) -> Vec<Given<NextHopHost>> {
    let mut hosts: Vec<Given<NextHopHost>> = Vec::new();
    for text in list {
        let Some(host) = context.told(parse(text)) else { continue };
        if hosts.iter().any(|known| **known == host) {
            context.refuse(text.wrong(format!("\"{text}\" is listed twice"), "again here"));
        } else {
            hosts.push(text.with(host));
        }
    }
    hosts
}

/// No top-level domain is a number (RFC 3696 §2): such a name is a misspelt IPv4 address.
#[must_use]
pub fn ends_in_a_number(name: &Domain) -> bool {
    let last = name.as_str().rsplit('.').next().unwrap_or_default();
    last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a mailbox is of one of these names.
#[must_use]
pub fn is_of(mailbox: &Mailbox, names: &[&Domain]) -> bool {
    match &mailbox.host {
        Host::Domain(domain) => names.contains(&domain),
        Host::Literal(_) => false,
    }
}
