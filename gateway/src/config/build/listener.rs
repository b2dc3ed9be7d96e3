//! `[[listener]]`: where clients connect, and what must hold before they may.

use super::super::tables::{self, TopTable};
use super::Placed;
use super::process::hostname;
use ipnet::IpNet;
use mail::smtp::extension::Withheld;
use settings::address;
use settings::networks::canonical;
use settings::process::{ListenAddress, Listener, ListenerTls};
use settings::table::context::LoadContext;
use settings::table::value::{Text, all};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

pub(super) fn listeners(written: &TopTable, context: &mut LoadContext) -> Vec<Placed> {
    let has_tls = written.tls.is_some();
    let mut list: Vec<Placed> = Vec::new();
    for listener in all(&written.listener) {
        let tls = tls(listener, has_tls, context);
        let proxy_from = proxy_from(listener, context);
        let Some(address) = &listener.address else { continue };
        let Some(listens_on) = listen_address(address, context) else { continue };
        if let Some((_, first)) = list.iter().find(|(l, _)| is_taken_by(&listens_on, &l.address)) {
            let message = format!("\"{}\" is listened on twice", address);
            let mistake = address.wrong(message, "again here");
            context.refuse(
                mistake
                    .at(first.clone(), "first here")
                    .help("0.0.0.0 and [::] stand for every address of this machine"),
            );
        }
        let hostname = listener.hostname.as_ref().and_then(|name| hostname(name, context));
        let built = Listener {
            address: listens_on,
            tls,
            proxy_from,
            greeting_delay: Duration::from_millis((*listener.greeting_delay_milliseconds).into()),
            hostname,
            size_octets_max: listener.size_octets_max.as_ref().map(|octets| **octets),
            withheld: withheld(listener, context),
        };
        list.push((built, address.span()));
    }
    if let Some(certificate) = written.tls.as_ref().and_then(|tls| tls.certificate.as_ref())
        && !list.is_empty()
        && list.iter().all(|(listener, _)| listener.tls == ListenerTls::None)
    {
        context.warn(
            certificate
                .wrong("no listener uses the certificate", "")
                .help("write tls = \"starttls\" in a `[[listener]]`, or leave `tls` out there"),
        );
    }
    list
}

fn tls(listener: &tables::Listener, has_tls: bool, context: &mut LoadContext) -> ListenerTls {
    let Some(word) = &listener.tls else {
        return if has_tls { ListenerTls::StartTls } else { ListenerTls::None };
    };
    if **word != ListenerTls::None && !has_tls {
        context.refuse(word.wrong("TLS without a certificate", "there is no `[tls]`").help(
            "add:\n\n    [tls]\n    certificate = \"mx.pem\"\n    key = \"mx.key\"\n\nor \
                 write tls = \"none\"",
        ));
    }
    **word
}

fn withheld(listener: &tables::Listener, context: &mut LoadContext) -> Withheld {
    let mut withheld = Withheld::default();
    for keyword in all(&listener.withheld_keywords) {
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => withheld.pipelining = true,
            "8BITMIME" => withheld.eight_bit_mime = true,
            _ => context.refuse(
                keyword
                    .wrong("this keyword cannot be withheld", "expected PIPELINING or 8BITMIME")
                    .help("STARTTLS is left out by tls = \"none\"; SIZE is always said"),
            ),
        }
    }
    withheld
}

fn proxy_from(listener: &tables::Listener, context: &mut LoadContext) -> Option<Vec<IpNet>> {
    let tables::Listener { proxy_protocol: flag, proxy_from, .. } = listener;
    let mut nets = Vec::new();
    for text in all(proxy_from) {
        match address::network(text) {
            Ok(net) if net.prefix_len() == 0 => context.refuse(
                text.wrong("PROXY headers would be believed from everybody", "every address")
                    .help("whoever is believed can pretend to be any client: name the balancers"),
            ),
            // A peer of `[::]` arrives as ::ffff:10.0.0.7 and is compared in its short form.
            Ok(net) => nets.push(canonical(net)),
            Err(mistake) => context.refuse(mistake),
        }
    }
    match (**flag, proxy_from) {
        (true, None) => {
            context.refuse(flag.wrong("`proxy_protocol` without `proxy_from`", "").help(
                "say whose headers are believed, for example: proxy_from = [\"10.0.0.7/32\"]",
            ))
        }
        (true, Some(list)) if list.is_empty() => context.refuse(
            list.wrong("`proxy_from` is empty", "nobody could connect")
                .help("for example: proxy_from = [\"10.0.0.7/32\"]"),
        ),
        (false, Some(list)) => context.refuse(
            list.wrong("`proxy_from` without `proxy_protocol`", "")
                .help("add `proxy_protocol = true`, or take this out"),
        ),
        (true, Some(_)) => return Some(nets),
        (false, None) => {}
    }
    None
}

fn listen_address(written: &Text, context: &mut LoadContext) -> Option<ListenAddress> {
    let text = written.as_str();
    if let Some(name) = text.strip_prefix("systemd:") {
        if name.is_empty() || name.contains(|c: char| c.is_ascii_control() || c == ':') {
            context.refuse(
                written
                    .wrong("which socket of systemd?", "")
                    .help("for example: \"systemd:0\", or \"systemd:smtp\" by FileDescriptorName"),
            );
            return None;
        }
        return Some(match name.parse() {
            Ok(index) => ListenAddress::InheritedIndex(index),
            Err(_) => ListenAddress::InheritedName(name.to_owned()),
        });
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(ListenAddress::Socket(address));
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(25);
    let message = format!("\"{text}\" cannot be listened on");
    context.refuse(written.wrong(message, "expected IP address and port").help(format!(
        "for example: \"0.0.0.0:{port}\", \"[::]:{port}\", \"127.0.0.1:{port}\" or \
             \"systemd:0\""
    )));
    None
}

/// Whether the second leaves no room for the first. Port 0 always does; whether `[::]` takes
/// `0.0.0.0` too depends on the system, so only bind can tell.
fn is_taken_by(one: &ListenAddress, other: &ListenAddress) -> bool {
    let (ListenAddress::Socket(one), ListenAddress::Socket(other)) = (one, other) else {
        return one == other;
    };
    let (a, b) = (one.ip(), other.ip());
    let covers =
        a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()));
    covers && one.port() == other.port() && one.port() != 0
}

/// Whether a connection to this host and port ends at this listener.
pub(super) fn is_reached_by(
    (listener, _): &(Listener, Range<usize>),
    host: &str,
    port: u16,
    hostname: Option<&mail::address::Domain>,
) -> bool {
    let ListenAddress::Socket(own) = &listener.address else { return false };
    if own.port() != port || port == 0 {
        return false;
    }
    let is_any = own.ip().is_unspecified();
    if host == "localhost" || host.ends_with(".localhost") {
        return is_any || own.ip().is_loopback();
    }
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => {
            let ip = ip.to_canonical();
            let is_local = ip.is_loopback() || ip.is_unspecified();
            ip == own.ip().to_canonical() || (is_any && is_local)
        }
        Err(_) => hostname.is_some_and(|name| name.as_str().eq_ignore_ascii_case(host)),
    }
}
