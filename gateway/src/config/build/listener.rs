//! `[[listener]]`: where clients connect, and what must hold before they may.

use super::super::written::{self, Written};
use super::Placed;
use crate::settings::address;
use crate::settings::networks::canonical;
use crate::settings::process::{ListenAddress, Listener, ListenerTls};
use crate::settings::site::{Site, Text, at};
use ipnet::IpNet;
use serde_spanned::Spanned;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

pub(super) fn listeners(written: &Written, site: &mut Site) -> Vec<Placed> {
    let has_tls = written.tls.is_some();
    let mut list: Vec<Placed> = Vec::new();
    for listener in &written.listener {
        let tls = tls(listener.get_ref(), has_tls, site);
        let proxy_from = proxy_from(listener, site);
        let Some(address) = &listener.get_ref().address else { continue };
        let Some(listens_on) = listen_address(address, site) else { continue };
        if let Some((_, first)) = list.iter().find(|(l, _)| is_taken_by(&listens_on, &l.address)) {
            let message = format!("\"{}\" is listened on twice", address.get_ref());
            let mistake = at("listener.address", address, message, "again here");
            site.refuse(
                mistake
                    .at(first.clone(), "first here")
                    .help("0.0.0.0 and [::] stand for every address of this machine"),
            );
        }
        let delay = listener.get_ref().greeting_delay_milliseconds.as_ref();
        let delay = delay.and_then(|d| u64::try_from(*d.get_ref()).ok()).unwrap_or(0);
        let greeting_delay = Duration::from_millis(delay);
        list.push((
            Listener { address: listens_on, tls, proxy_from, greeting_delay },
            address.span(),
        ));
    }
    if let Some(certificate) = written.tls.as_ref().and_then(|tls| tls.certificate.as_ref())
        && !list.is_empty()
        && list.iter().all(|(listener, _)| listener.tls == ListenerTls::None)
    {
        site.warn(
            at("tls.certificate", certificate, "no listener uses the certificate", "")
                .help("write tls = \"starttls\" in a `[[listener]]`, or leave `tls` out there"),
        );
    }
    list
}

fn tls(listener: &written::Listener, has_tls: bool, site: &mut Site) -> ListenerTls {
    let Some(word) = &listener.tls else {
        return if has_tls { ListenerTls::StartTls } else { ListenerTls::None };
    };
    let tls = match word.get_ref().as_str() {
        "starttls" => ListenerTls::StartTls,
        "implicit" => ListenerTls::Implicit,
        _ => ListenerTls::None,
    };
    if tls != ListenerTls::None && !has_tls {
        site.refuse(
            at("listener.tls", word, "TLS without a certificate", "there is no `[tls]`").help(
                "add:\n\n    [tls]\n    certificate = \"mx.pem\"\n    key = \"mx.key\"\n\nor \
                 write tls = \"none\"",
            ),
        );
    }
    tls
}

fn proxy_from(listener: &Spanned<written::Listener>, site: &mut Site) -> Option<Vec<IpNet>> {
    let key = "listener.proxy_from";
    let written::Listener { proxy_protocol, proxy_from, .. } = listener.get_ref();
    let mut nets = Vec::new();
    for text in proxy_from.iter().flat_map(Spanned::get_ref) {
        match address::network(key, text) {
            Ok(net) if net.prefix_len() == 0 => site.refuse(
                at(key, text, "PROXY headers would be believed from everybody", "every address")
                    .help("whoever is believed can pretend to be any client: name the balancers"),
            ),
            // A peer of `[::]` arrives as ::ffff:10.0.0.7 and is compared in its short form.
            Ok(net) => nets.push(canonical(net)),
            Err(mistake) => site.refuse(mistake),
        }
    }
    match (proxy_protocol, proxy_from) {
        (Some(flag), None) if *flag.get_ref() => site.refuse(
            at("listener.proxy_protocol", flag, "`proxy_protocol` without `proxy_from`", "").help(
                "say whose headers are believed, for example: proxy_from = [\"10.0.0.7/32\"]",
            ),
        ),
        (Some(flag), Some(list)) if *flag.get_ref() && list.get_ref().is_empty() => site.refuse(
            at(key, list, "`proxy_from` is empty", "nobody could connect")
                .help("for example: proxy_from = [\"10.0.0.7/32\"]"),
        ),
        (flag, Some(list)) if !flag.as_ref().is_some_and(|flag| *flag.get_ref()) => site.refuse(
            at(key, list, "`proxy_from` without `proxy_protocol`", "")
                .help("add `proxy_protocol = true`, or take this out"),
        ),
        (Some(flag), Some(_)) if *flag.get_ref() => return Some(nets),
        _ => {}
    }
    None
}

fn listen_address(written: &Text, site: &mut Site) -> Option<ListenAddress> {
    let text = written.get_ref();
    if let Some(name) = text.strip_prefix("systemd:") {
        if name.is_empty() || name.contains(|c: char| c.is_ascii_control() || c == ':') {
            site.refuse(
                at("listener.address", written, "which socket of systemd?", "")
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
    site.refuse(at("listener.address", written, message, "expected IP address and port").help(
        format!(
            "for example: \"0.0.0.0:{port}\", \"[::]:{port}\", \"127.0.0.1:{port}\" or \
             \"systemd:0\""
        ),
    ));
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
