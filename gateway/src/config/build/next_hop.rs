//! `[[next_hop]]`, and the addresses that domains give instead of one.

use super::super::tables_mail::{self as tables, TextOrTexts};
use super::{Placed, listener};
use mail::address::Domain;
use relay::settings::NextHopId;
use settings::address;
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::keys::nearest;
use settings::table::reader::FromTable;
use settings::table::value::{Given, Text};
use settings::tls_keys::TlsKeys;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use wire::server::{NextHop, NextHopHost, NextHopTls};

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
    pub(super) fn named(written: &[Given<tables::NextHop>], context: &mut LoadContext) -> Self {
        let mut hops = Self {
            list: Vec::new(),
            names: HashMap::new(),
            anonymous: HashMap::new(),
            hosts: Vec::new(),
            used: HashSet::new(),
            has_unknown_name: false,
        };
        for hop in written {
            let hosts = hop.hosts.as_ref().map(|list| hops.hosts(list, list, context));
            let keys = TlsKeys {
                tls: *hop.tls,
                tls_ca: hop.tls_ca.as_ref(),
                tls_fingerprint: hop.tls_fingerprint.as_ref(),
                tls_name: hop.tls_name.as_ref(),
            };
            let tls = keys.read(context);
            let id = NextHopId(u32::try_from(hops.list.len()).unwrap_or(u32::MAX));
            if let Some(name) = &hop.name {
                hops.name(name, id, context);
            }
            let name = hop.name.as_ref().map(ToString::to_string);
            hops.list.push(numbers(hop, name, hosts.unwrap_or_default(), tls));
        }
        hops
    }

    fn name(&mut self, name: &Text, id: NextHopId, context: &mut LoadContext) {
        if name.contains(':') || name.is_empty() {
            context.refuse(
                name.wrong("a name without `:`, please", "would be taken for host:port")
                    .help("for example: name = \"inside\""),
            );
        }
        let entry = self.names.entry(name.to_string());
        let (first_id, first) = entry.or_insert_with(|| (id, name.span()));
        if *first_id != id {
            let first = first.clone();
            let message = format!("two next hops are called \"{}\"", name);
            context.refuse(name.wrong(message, "again here").at(first, "first here"));
        }
    }

    fn hosts<T>(
        &mut self,
        list: &Given<T>,
        texts: &[Text],
        context: &mut LoadContext,
    ) -> Vec<NextHopHost> {
        if texts.is_empty() {
            context.refuse(
                list.wrong("a next hop without hosts", "expected at least one")
                    .help("for example: [\"10.0.0.5:25\"]"),
            );
        }
        let hosts = address::hosts_once(texts, address::host_port, context);
        self.hosts.extend(hosts.iter().map(|host| ((**host).clone(), host.span())));
        hosts.into_iter().map(Given::into_inner).collect()
    }

    /// Who a domain's mail is handed to.
    pub(super) fn of_domain(
        &mut self,
        written: &Given<TextOrTexts>,
        context: &mut LoadContext,
    ) -> Option<NextHopId> {
        let hosts = match &**written {
            TextOrTexts::One(text) if !is_host_port(text) => {
                return self.called(text, written, context);
            }
            TextOrTexts::One(text) => self.hosts(written, &[written.with(text.clone())], context),
            TextOrTexts::Several(texts) => self.hosts(written, texts, context),
        };
        if hosts.is_empty() {
            return None;
        }
        let id = *self.anonymous.entry(hosts).or_insert_with_key(|hosts| {
            let id = NextHopId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
            let plain = tables::NextHop::default_of();
            self.list.push(numbers(&plain, None, hosts.clone(), NextHopTls::Opportunistic));
            id
        });
        Some(id)
    }

    fn called(
        &mut self,
        name: &str,
        written: &Given<TextOrTexts>,
        context: &mut LoadContext,
    ) -> Option<NextHopId> {
        if let Some((id, _)) = self.names.get(name) {
            self.used.insert(*id);
            return Some(*id);
        }
        self.has_unknown_name = true;
        let message = format!("there is no `[[next_hop]]` called \"{name}\"");
        let mistake = written.wrong(message, "neither host:port nor a known name");
        let meant = nearest(name, self.names.keys().map(String::as_str));
        context.refuse(match meant {
            Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
            None => mistake.help(format!("for a host add the port: \"{}:25\"", bracketed(name))),
        });
        None
    }

    /// Loops, and next hops that nobody uses.
    pub(super) fn check(
        &self,
        written: &[Given<tables::NextHop>],
        hostname: Option<&Domain>,
        listeners: &[Placed],
        context: &mut LoadContext,
    ) {
        for (host, span) in &self.hosts {
            let own = listeners
                .iter()
                .find(|own| listener::is_reached_by(own, &host.host, host.port, hostname));
            if let Some((_, listens)) = own {
                context.refuse(
                    Mistake::new("the next hop is this relay itself")
                        .key("next_hop")
                        .at(span.clone(), "mail would go round in circles")
                        .at(listens.clone(), "we listen here")
                        .help("give the address of the server behind Postern"),
                );
            }
        }
        for (hop, id) in written.iter().zip(0..) {
            if let Some(name) = &hop.name
                && !self.used.contains(&NextHopId(id))
                && !self.has_unknown_name
            {
                let message = format!("no domain uses the next hop \"{}\"", name);
                context.warn(name.wrong(message, ""));
            }
        }
    }

    /// Our own reply must not be due before that of the next hop, which is part of it.
    pub(super) fn check_times(
        &self,
        written: &[Given<tables::NextHop>],
        own: &Given<u32>,
        context: &mut LoadContext,
    ) {
        let is_late = |hop: &NextHop| hop.final_reply_max.as_secs() >= u64::from(**own);
        let mut places: Vec<Range<usize>> = Vec::new();
        for (i, _) in self.list.iter().enumerate().filter(|(_, hop)| is_late(hop)) {
            let hop = written.get(i).map(|hop| &hop.final_reply_seconds_max);
            let hop = hop.filter(|seconds| seconds.is_written()).map(Given::span);
            places.extend(hop.or(own.is_written().then(|| own.span())));
        }
        // Several next hops may owe it to the one limit of ours.
        places.dedup();
        for place in places {
            context.warn(
                Mistake::new("a next hop may answer after we have given up")
                    .key("final_reply_seconds_max")
                    .at(place, "")
                    .help(format!(
                        "`[limits]` gives us {own} seconds; what a next hop \
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
    hop: &tables::NextHop,
    name: Option<String>,
    hosts: Vec<NextHopHost>,
    tls: NextHopTls,
) -> NextHop {
    NextHop {
        name,
        hosts,
        tls,
        connections_max: *hop.connections_max,
        idle_max: *hop.idle_seconds_max,
        age_max: *hop.age_seconds_max,
        messages_max: *hop.messages_max,
        client_details: *hop.client_details,
        content_line_octets_max: hop.content_line_octets_max.as_deref().copied(),
        connect_max: *hop.connect_seconds_max,
        greeting_max: *hop.greeting_seconds_max,
        command_max: *hop.command_seconds_max,
        data_max: *hop.data_seconds_max,
        final_reply_max: *hop.final_reply_seconds_max,
        breaker_failures: *hop.breaker_failures,
        breaker_retry: *hop.breaker_retry_seconds,
    }
}
