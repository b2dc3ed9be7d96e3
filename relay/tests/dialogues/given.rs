//! The `given` lines of a dialogue: what they set up before, or change in between.

use super::stage::{self, HopSettings, Stage, Voice, canonical};
use mail::address::{Domain, Mailbox};
use mail::smtp::client::TlsWish;
use mail::smtp::extension::Capabilities;
use mail::smtp::introduction::Introduction;
use mail::smtp::line::LineEndings;
use mail::smtp::reply::{HeardReply, SessionId};
use relay::client::Client;
use relay::policy::facts::ReverseName;
use relay::recipient::{Ground, RecipientStatus};
use relay::settings::{ListenerTerms, LocalPartCase, NextHopId, Pressure, SessionLimits, Settings};
use std::sync::Arc;

/// What is set up before the first client comes.
pub struct Givens {
    pub settings: Settings,
    pub hops: Vec<HopSettings>,
    pub client: Client,
    /// Flights are not cut: what arrives together is what the dialogue is about.
    pub whole: bool,
    /// Replies keep their `(id …)`.
    pub ids: bool,
    /// The trace field is shown, not `<trace>`.
    pub trace: bool,
    tls: bool,
    early_talker: bool,
    refusing: bool,
    connections: (u32, u32),
    network_connections: u32,
    connections_max: u32,
    known: bool,
    offers: Vec<Capabilities>,
    listener: Option<ListenerTerms>,
}

impl Default for Givens {
    fn default() -> Self {
        Self {
            settings: stage::settings(),
            hops: Vec::new(),
            client: stage::client("192.0.2.1"),
            whole: false,
            ids: false,
            trace: false,
            tls: false,
            early_talker: false,
            refusing: false,
            connections: (1, 1),
            network_connections: 1,
            connections_max: u32::MAX,
            known: false,
            offers: Vec::new(),
            listener: None,
        }
    }
}

impl Givens {
    /// One `given` line of the settings; false when it is none of these.
    pub fn take(&mut self, words: &[String]) -> bool {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["domain", name, ref options @ ..] => self.domain(name, options),
            ["next_hop", name, ref options @ ..] => self.next_hop(name, options),
            ["limit", name, value] => self.limit(name, value.parse().unwrap()),
            ["hostname", name] => self.settings.hostname = Domain::new(name).unwrap(),
            ["client", ref words @ ..] => set_client(&mut self.client, words),
            ["listener", ref options @ ..] => self.listener(options),
            ["early", "talker"] => self.early_talker = true,
            ["reverse_name", "required"] => self.settings.require_reverse_name = true,
            ["refusing"] => self.refusing = true,
            ["connections", "of", "the", "network", around] => {
                self.network_connections = around.parse().unwrap();
            }
            ["connections", "at", "most", max] => self.connections_max = max.parse().unwrap(),
            ["known", "client"] => self.known = true,
            ["connections", all, own] => {
                self.connections = (all.parse().unwrap(), own.parse().unwrap());
            }
            ["tls"] => self.tls = true,
            ["flights", "whole"] => self.whole = true,
            ["ids", "shown"] => self.ids = true,
            ["trace", "shown"] => self.trace = true,
            _ => return false,
        }
        true
    }

    /// The stage, when all is set up.
    pub fn stage<V: Voice>(&self, voice: V) -> Stage<V> {
        let mut stage = Stage::new(self.settings.clone(), self.hops.clone(), voice);
        stage.offer.start_tls = self.tls;
        if let Some(listener) = &self.listener {
            stage.offer = listener.offer(&self.settings.limits, self.tls);
            stage.listener = Some(Arc::new(listener.clone()));
        }
        for capabilities in &self.offers {
            stage.offer = stage.offer.within(capabilities);
        }
        stage.arrival.early_talker = self.early_talker;
        stage.arrival.refusing = self.refusing;
        stage.arrival.network_connections = self.network_connections;
        stage.arrival.connections_max = self.connections_max;
        stage.arrival.is_known = self.known;
        (stage.arrival.connections, stage.arrival.client_connections) = self.connections;
        stage
    }

    fn listener(&mut self, options: &[&str]) {
        let listener = self.listener.get_or_insert_default();
        for option in options.chunks(2) {
            match *option {
                ["hostname", name] => listener.hostname = Some(Domain::new(name).unwrap()),
                ["size", octets] => listener.size_octets_max = Some(octets.parse().unwrap()),
                ["withholds", "PIPELINING"] => listener.withheld.pipelining = true,
                ["withholds", "8BITMIME"] => listener.withheld.eight_bit_mime = true,
                _ => panic!("{option:?}"),
            }
        }
    }

    fn hop_id(&mut self, name: &str) -> NextHopId {
        let at = self.hops.iter().position(|hop| hop.name == name).unwrap_or_else(|| {
            self.hops.push(stage::hop(name));
            self.hops.len() - 1
        });
        NextHopId(u32::try_from(at).unwrap())
    }

    fn domain(&mut self, name: &str, options: &[&str]) {
        let id = stage::add_domain(&mut self.settings, name, 0);
        let mut next_hop = None;
        for option in options.chunks(2) {
            let [key, value] = option else { panic!("{option:?}") };
            let domain = &mut self.settings.domain[id.0 as usize];
            match *key {
                "next_hop" => next_hop = Some(*value),
                "alias" => {
                    self.settings.domains.insert(value.to_ascii_lowercase().into(), id);
                }
                "separator" => domain.sub_address_separator = value.chars().next(),
                "case" => {
                    assert_eq!(*value, "exact");
                    domain.local_part_case = LocalPartCase::Exact;
                }
                "characters" => domain.local_part_characters = (*value).into(),
                "catch_all" => domain.catch_all = Some(Mailbox::parse(value).unwrap()),
                "postmaster" => domain.postmaster = Some(Mailbox::parse(value).unwrap()),
                _ => panic!("{option:?}"),
            }
        }
        let next_hop = self.hop_id(next_hop.unwrap_or("inside.example.com"));
        self.settings.domain[id.0 as usize].next_hop = next_hop;
    }

    fn next_hop(&mut self, name: &str, options: &[&str]) {
        let at = self.hop_id(name).0 as usize;
        let hop = &mut self.hops[at];
        match *options {
            [] => {}
            ["tls", "required"] => hop.tls = TlsWish::Required,
            ["tls", "opportunistic"] => hop.tls = TlsWish::Opportunistic,
            ["told", "client"] => hop.introduction = Introduction::AsOffered,
            ["line_octets_max", octets] => hop.line_octets_max = Some(octets.parse().unwrap()),
            ["offers", ref keywords @ ..] => {
                let more = keywords.iter().map(|k| k.replace('=', " ").into()).collect();
                let reply = HeardReply {
                    code: 250,
                    status: None,
                    text: "".into(),
                    more,
                    contradicts: false,
                };
                self.offers.push(Capabilities::heard(&reply));
            }
            _ => panic!("{options:?}"),
        }
    }

    fn limit(&mut self, name: &str, value: u64) {
        let n = u32::try_from(value).unwrap_or(u32::MAX);
        let Settings { limits, harvest, rates, .. } = &mut self.settings;
        let one = match name {
            "size_octets_max" => {
                limits.size_octets_max = value;
                return;
            }
            "received_fields_max" => &mut limits.received_fields_max,
            "own_received_fields_max" => &mut limits.own_received_fields_max,
            "header_octets_max" => &mut limits.header_octets_max,
            "content_line_octets_max" => &mut limits.content_line_octets_max,
            "connections_max" => &mut limits.connections_max,
            "client_connections_max" => &mut limits.client_connections_max,
            "network_connections_max" => &mut limits.network_connections_max,
            "session_unknown_max" => &mut harvest.session_unknown_max,
            "session_unknown_before_close_max" => &mut harvest.session_unknown_before_close_max,
            "client_unknown_max" => &mut harvest.client_unknown_max,
            "client_notice_unknown_max" => &mut harvest.client_notice_unknown_max,
            "network_unknown_max" => &mut harvest.network_unknown_max,
            "sessions_per_minute_max" => &mut rates.sessions_per_minute_max,
            "messages_per_minute_max" => &mut rates.messages_per_minute_max,
            "recipients_per_minute_max" => &mut rates.recipients_per_minute_max,
            name => {
                limits.session.iter_mut().for_each(|limits| *session_limit(limits, name) = n);
                return;
            }
        };
        *one = n;
    }
}

fn session_limit<'a>(limits: &'a mut SessionLimits, name: &str) -> &'a mut u32 {
    match name {
        "command_seconds_max" => &mut limits.command_seconds_max,
        "content_stall_seconds_max" => &mut limits.content_stall_seconds_max,
        "content_octets_per_second_min" => &mut limits.content_octets_per_second_min,
        "message_seconds_max" => &mut limits.message_seconds_max,
        "session_seconds_max" => &mut limits.session_seconds_max,
        "errors_max" => &mut limits.errors_max,
        "junk_commands_max" => &mut limits.junk_commands_max,
        "messages_max" => &mut limits.messages_max,
        "recipients_max" => &mut limits.recipients_max,
        _ => panic!("no limit {name}"),
    }
}

/// `192.0.2.1 lifted normalized`; each word is optional.
pub fn set_client(client: &mut Client, words: &[&str]) {
    for word in words {
        match *word {
            "lifted" => client.limits_lifted = true,
            "normalized" => client.endings = LineEndings::Normalized,
            "tls" => client.tls = true,
            ip => client.address.set_ip(ip.parse().unwrap()),
        }
    }
}

/// The next session of a client.
pub fn next_session(client: &mut Client) {
    client.session = SessionId(client.session.0 + 1);
}

/// `recipient A STATUS`, `pressure P`: may come in between.
pub fn change<V: Voice>(stage: &mut Stage<V>, words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["recipient", address, ref status @ ..] => {
            let mailbox = Mailbox::parse(address).unwrap();
            let id = stage.settings.domain_of(mailbox.host.domain().unwrap());
            let id = id.unwrap_or_else(|| panic!("the domain of {address} is not given"));
            let name = canonical(stage.settings.domain(id), mailbox.local_part.as_str());
            stage.directory.insert((id, name), recipient_status(status));
        }
        ["reverse_name", ref name @ ..] => stage.reverse_name = reverse_name(name),
        ["pressure", name] => stage.pressure = pressure(name),
        _ => return false,
    }
    true
}

pub fn pressure(name: &str) -> Pressure {
    match name {
        "normal" => Pressure::Normal,
        "busy" => Pressure::Busy,
        "stress" => Pressure::Stress,
        _ => panic!("no pressure {name}"),
    }
}

fn reverse_name(words: &[&str]) -> ReverseName {
    match *words {
        ["missing"] => ReverseName::Missing,
        ["unconfirmed"] => ReverseName::Unconfirmed,
        ["unavailable"] => ReverseName::Unavailable,
        [name] => ReverseName::Confirmed(name.into()),
        _ => panic!("no reverse name is {words:?}"),
    }
}

fn recipient_status(words: &[&str]) -> RecipientStatus {
    match *words {
        ["exists"] => RecipientStatus::LISTED,
        ["target", address] => RecipientStatus::Exists {
            target: Some(Mailbox::parse(address).unwrap()),
            ground: Ground::Listed,
        },
        ["unknown"] => RecipientStatus::Unknown,
        ["unavailable"] => RecipientStatus::Unavailable,
        ["left", text] => RecipientStatus::Left { text: text.into() },
        ["bitbucket", reason] => RecipientStatus::Bitbucket { reason: reason.into() },
        _ => panic!("no recipient is {words:?}"),
    }
}
