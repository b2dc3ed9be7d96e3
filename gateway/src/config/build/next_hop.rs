//! `[[next_hop]]`, and the addresses that domains give instead of one.

use super::super::keys::table_at;
use super::super::written::{self, TextOrTexts};
use super::{Placed, listener};
use crate::settings::address;
use crate::settings::keys::nearest;
use crate::settings::mistake::Mistake;
use crate::settings::server::{ClientDetails, NextHop, NextHopHost, NextHopTls};
use crate::settings::site::{Site, Text, at, word};
use crate::settings::tls_keys::TlsKeys;
use mail::address::Domain;
use relay::settings::NextHopId;
use serde_spanned::Spanned;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

/// The list that grows while domains are read.
pub(super) struct NextHops {
    pub(super) list: Vec<NextHop>,
    /// Names as they were written, those of entries with mistakes too.
    names: HashMap<String, (NextHopId, Range<usize>)>,
    anonymous: HashMap<Vec<NextHopHost>, NextHopId>,
    /// Each host and where it stands, for the check against loops.
    hosts: Vec<(NextHopHost, Range<usize>)>,
    used: HashSet<NextHopId>,
    /// A name that is not known may be any of those that are not used.
    has_unknown_name: bool,
}

impl NextHops {
    pub(super) fn named(written: &[Spanned<written::NextHop>], site: &mut Site) -> Self {
        let mut hops = Self {
            list: Vec::new(),
            names: HashMap::new(),
            anonymous: HashMap::new(),
            hosts: Vec::new(),
            used: HashSet::new(),
            has_unknown_name: false,
        };
        for hop in written {
            let hop = hop.get_ref();
            let key = "next_hop.hosts";
            let hosts = hop.hosts.as_ref().map(|list| hops.hosts(key, list, list.get_ref(), site));
            let keys = TlsKeys {
                tls: hop.tls.as_ref(),
                tls_ca: hop.tls_ca.as_ref(),
                tls_fingerprint: hop.tls_fingerprint.as_ref(),
                tls_name: hop.tls_name.as_ref(),
            };
            let tls = keys.read("next_hop", site);
            let id = NextHopId(u32::try_from(hops.list.len()).unwrap_or(u32::MAX));
            if let Some(name) = &hop.name {
                hops.name(name, id, site);
            }
            let name = hop.name.as_ref().map(|name| name.get_ref().clone());
            hops.list.push(numbers(hop, name, hosts.unwrap_or_default(), tls));
        }
        hops
    }

    fn name(&mut self, name: &Text, id: NextHopId, site: &mut Site) {
        let key = "next_hop.name";
        if name.get_ref().contains(':') || name.get_ref().is_empty() {
            site.refuse(
                at(key, name, "a name without `:`, please", "would be taken for host:port")
                    .help("for example: name = \"inside\""),
            );
        }
        let entry = self.names.entry(name.get_ref().clone());
        let (first_id, first) = entry.or_insert_with(|| (id, name.span()));
        if *first_id != id {
            let first = first.clone();
            let message = format!("two next hops are called \"{}\"", name.get_ref());
            site.refuse(at(key, name, message, "again here").at(first, "first here"));
        }
    }

    fn hosts<T>(
        &mut self,
        key: &str,
        list: &Spanned<T>,
        texts: &[Text],
        site: &mut Site,
    ) -> Vec<NextHopHost> {
        if texts.is_empty() {
            site.refuse(
                at(key, list, "a next hop without hosts", "expected at least one")
                    .help("for example: [\"10.0.0.5:25\"]"),
            );
        }
        let mut hosts: Vec<NextHopHost> = Vec::new();
        for text in texts {
            match address::host_port(key, text) {
                Ok(host) if hosts.contains(&host) => {
                    let message = format!("\"{}\" is listed twice", text.get_ref());
                    site.refuse(at(key, text, message, "again here"));
                }
                Ok(host) => {
                    self.hosts.push((host.clone(), text.span()));
                    hosts.push(host);
                }
                Err(mistake) => site.refuse(mistake),
            }
        }
        hosts
    }

    /// Who a domain's mail is handed to.
    pub(super) fn of_domain(
        &mut self,
        written: &Spanned<TextOrTexts>,
        site: &mut Site,
    ) -> Option<NextHopId> {
        let key = "domain.next_hop";
        let hosts = match written.get_ref() {
            TextOrTexts::One(text) if !is_host_port(text) => {
                return self.called(text, written, site);
            }
            TextOrTexts::One(text) => {
                let text = Spanned::new(written.span(), text.clone());
                self.hosts(key, written, &[text], site)
            }
            TextOrTexts::Several(texts) => self.hosts(key, written, texts, site),
        };
        if hosts.is_empty() {
            return None;
        }
        let id = *self.anonymous.entry(hosts).or_insert_with_key(|hosts| {
            let id = NextHopId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
            let plain = written::NextHop::default();
            self.list.push(numbers(&plain, None, hosts.clone(), NextHopTls::Opportunistic));
            id
        });
        Some(id)
    }

    fn called(
        &mut self,
        name: &str,
        written: &Spanned<TextOrTexts>,
        site: &mut Site,
    ) -> Option<NextHopId> {
        if let Some((id, _)) = self.names.get(name) {
            self.used.insert(*id);
            return Some(*id);
        }
        self.has_unknown_name = true;
        let message = format!("there is no `[[next_hop]]` called \"{name}\"");
        let mistake = at("domain.next_hop", written, message, "neither host:port nor a known name");
        let meant = nearest(name, self.names.keys().map(String::as_str));
        site.refuse(match meant {
            Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
            None => mistake.help(format!("for a host add the port: \"{}:25\"", bracketed(name))),
        });
        None
    }

    /// Loops, and next hops that nobody uses.
    pub(super) fn check(
        &self,
        written: &[Spanned<written::NextHop>],
        hostname: Option<&Domain>,
        listeners: &[Placed],
        site: &mut Site,
    ) {
        for (host, span) in &self.hosts {
            let own = listeners
                .iter()
                .find(|own| listener::is_reached_by(own, &host.host, host.port, hostname));
            if let Some((_, listens)) = own {
                site.refuse(
                    Mistake::new("the next hop is this relay itself")
                        .key("next_hop")
                        .at(span.clone(), "mail would go round in circles")
                        .at(listens.clone(), "we listen here")
                        .help("give the address of the server behind Postern"),
                );
            }
        }
        for (hop, id) in written.iter().zip(0..) {
            if let Some(name) = hop.get_ref().name.as_ref()
                && !self.used.contains(&NextHopId(id))
                && !self.has_unknown_name
            {
                let message = format!("no domain uses the next hop \"{}\"", name.get_ref());
                site.warn(at("next_hop.name", name, message, ""));
            }
        }
    }

    /// Our own reply must not be due before that of the next hop, which is part of it.
    pub(super) fn check_times(
        &self,
        written: &[Spanned<written::NextHop>],
        limits: &written::Numbers,
        final_reply_seconds_max: u32,
        site: &mut Site,
    ) {
        let own = limits.own.get("final_reply_seconds_max");
        let is_late =
            |hop: &NextHop| hop.final_reply_max.as_secs() >= final_reply_seconds_max.into();
        let mut places: Vec<Range<usize>> = Vec::new();
        for (i, _) in self.list.iter().enumerate().filter(|(_, hop)| is_late(hop)) {
            let hop = written.get(i).and_then(|hop| hop.get_ref().final_reply_seconds_max.as_ref());
            places.extend(hop.or(own).map(Spanned::span));
        }
        // Several next hops may owe it to the one limit of ours.
        places.dedup();
        for place in places {
            site.warn(
                Mistake::new("a next hop may answer after we have given up")
                    .key("final_reply_seconds_max")
                    .at(place, "")
                    .help(format!(
                        "`[limits]` gives us {final_reply_seconds_max} seconds; what a next hop \
                         takes after that, the client sends again: give it less in `[[next_hop]]`"
                    )),
            );
        }
    }
}

/// Whether it is meant as host:port, right or wrong, rather than as a name.
fn is_host_port(text: &str) -> bool {
    text.contains(':') || text.parse::<std::net::IpAddr>().is_ok()
}

fn bracketed(name: &str) -> &str {
    if name.is_empty() { "10.0.0.5" } else { name }
}

fn numbers(
    hop: &written::NextHop,
    name: Option<String>,
    hosts: Vec<NextHopHost>,
    tls: NextHopTls,
) -> NextHop {
    // The bounds of the keys have been checked: nothing is cut off here.
    let count = |written: &Option<Spanned<i64>>, key: &str| -> u32 {
        let written = written.as_ref().and_then(|n| u64::try_from(*n.get_ref()).ok());
        let number = written
            .unwrap_or_else(|| table_at("next_hop").map_or(0, |table| table.default_number(key)));
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    let seconds =
        |written, key: &str| -> Duration { Duration::from_secs(count(written, key).into()) };
    let line_octets_max = hop.content_line_octets_max.as_ref();
    NextHop {
        name,
        hosts,
        tls,
        connections_max: count(&hop.connections_max, "connections_max"),
        idle_max: seconds(&hop.idle_seconds_max, "idle_seconds_max"),
        age_max: seconds(&hop.age_seconds_max, "age_seconds_max"),
        messages_max: count(&hop.messages_max, "messages_max"),
        client_details: match word(hop.client_details.as_ref(), "auto") {
            "xforward" => ClientDetails::Xforward,
            "xclient" => ClientDetails::Xclient,
            "none" => ClientDetails::None,
            _ => ClientDetails::Auto,
        },
        content_line_octets_max: line_octets_max.and_then(|n| u32::try_from(*n.get_ref()).ok()),
        connect_max: seconds(&hop.connect_seconds_max, "connect_seconds_max"),
        greeting_max: seconds(&hop.greeting_seconds_max, "greeting_seconds_max"),
        command_max: seconds(&hop.command_seconds_max, "command_seconds_max"),
        data_max: seconds(&hop.data_seconds_max, "data_seconds_max"),
        final_reply_max: seconds(&hop.final_reply_seconds_max, "final_reply_seconds_max"),
        breaker_failures: count(&hop.breaker_failures, "breaker_failures"),
        breaker_retry: seconds(&hop.breaker_retry_seconds, "breaker_retry_seconds"),
    }
}
