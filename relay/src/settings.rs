//! What the rules and the exchange read: plain data, built once by the edge and never changed.
//! Every limit has a name, a unit, a default and a reason.

use mail::address::{Domain, Mailbox};
use mail::smtp::extension::{Offer, Withheld};
use std::collections::HashMap;

/// Everything the relay was told to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What we call ourselves in the greeting, in EHLO and in trace fields.
    pub hostname: Domain,
    /// The domains that we relay for, by their canonical (lower case) names and aliases.
    pub domains: HashMap<Box<str>, DomainId>,
    /// What is set for each domain; [`DomainId`] counts into it.
    pub domain: Vec<DomainSettings>,
    /// The limits in each state of load.
    pub limits: Limits,
    /// How strangers who guess addresses are met.
    pub harvest: Harvest,
    /// How often one client may come.
    pub rates: Rates,
    /// A client whose address has no name in the DNS is put off. Default off.
    pub require_reverse_name: bool,
}

impl Settings {
    /// The domain a forward-path belongs to, when it is one of ours. Takes any case.
    #[must_use]
    pub fn domain_of(&self, name: &Domain) -> Option<DomainId> {
        let bytes = name.as_str();
        if bytes.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.domains.get(name.to_canonical().as_str()).copied();
        }
        self.domains.get(bytes).copied()
    }

    /// What is set for a domain.
    #[must_use]
    pub fn domain(&self, id: DomainId) -> &DomainSettings {
        &self.domain[id.0 as usize]
    }
}

/// Counts into [`Settings::domain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(pub u32);

/// Counts into the edge's list of next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NextHopId(pub u32);

/// One `[[domain]]`.
#[derive(Clone, Debug)]
pub struct DomainSettings {
    /// Its name.
    pub name: Domain,
    /// Who takes its mail.
    pub next_hop: NextHopId,
    /// Whether the local part is compared as written or without regard to case.
    pub local_part_case: LocalPartCase,
    /// `+` in `jones+lists@`: what stands behind it is not part of the name that is looked up.
    pub sub_address_separator: Option<char>,
    /// Characters of the dangerous set that this domain's real addresses contain
    /// (`/` and `=` of X.400 names).
    pub local_part_characters: Box<str>,
    /// Where mail for addresses that do not exist goes, instead of a refusal.
    pub catch_all: Option<Mailbox>,
    /// Where `postmaster` and `abuse` go when the directory does not know them.
    pub postmaster: Option<Mailbox>,
}

/// Whether `Jones` and `jones` are one mailbox (RFC 5321 §2.4 leaves it to the domain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalPartCase {
    /// They are.
    Folded,
    /// They are not.
    Exact,
}

/// How one listener receives its clients. By default they are greeted at once, in the clear, under
/// the name of the process.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListenerTerms {
    /// The handshake comes before the greeting (RFC 8314 §3).
    pub is_tls_first: bool,
    /// How long the greeting is held back, to hear who does not wait for it, in milliseconds. Not
    /// where the handshake comes first: there everybody must speak.
    pub greeting_delay_milliseconds: u32,
    /// What it calls itself in the greeting and to EHLO (RFC 5321 §4.2, §4.1.1.1), where that is
    /// not [`Settings::hostname`]. Trace fields bear that one, which loops are known by.
    pub hostname: Option<Domain>,
    /// The largest content that it takes, in octets, instead of [`Limits::size_octets_max`].
    pub size_octets_max: Option<u64>,
    /// What it does not say to EHLO.
    pub withheld: Withheld,
}

impl ListenerTerms {
    /// What EHLO may promise on it, before any next hop is asked.
    #[must_use]
    pub fn offer(&self, limits: &Limits, start_tls: bool) -> Offer {
        let size_octets_max = self.size_octets_max.unwrap_or(limits.size_octets_max);
        Offer { size_octets_max, eight_bit_mime: true, start_tls, pipelining: true }
            .without(self.withheld)
    }
}

/// How loaded the process is; the edge measures it by the share of connections in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Pressure {
    /// Up to 70 %.
    #[default]
    Normal,
    /// Above 70 %.
    Busy,
    /// Above 90 %.
    Stress,
}

/// One network may have this part of all connections.
const NETWORK_SHARE: u32 = 4;
/// This part of all connections is kept for clients that are known.
const KNOWN_SHARE: u32 = 10;

/// How many of so many connections anybody may have; the rest is for clients that deliver mail on
/// several days of a week.
#[must_use]
pub fn for_strangers(connections_max: u32) -> u32 {
    connections_max - connections_max / KNOWN_SHARE
}

/// The limits of a session and of the process.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The limits that tighten under load, by [`Pressure`].
    pub session: [SessionLimits; 3],
    /// The largest content taken, in octets after transparency is undone (RFC 1870).
    /// A next hop that offers less lowers what EHLO says. Default 25 MiB.
    pub size_octets_max: u64,
    /// `Received` fields of a message that has not gone round in circles (RFC 5321 §6.3 asks for
    /// at least 100 as a plain count; ours is lower and joined by our own name). Default 50.
    pub received_fields_max: u32,
    /// `Received` fields that name us as the receiver. Default 3.
    pub own_received_fields_max: u32,
    /// The header section, in octets. Default 256 KiB.
    pub header_octets_max: u32,
    /// One line of content, in octets. Default 64 KiB: longer than RFC 5321 §4.5.3.1.6 allows,
    /// since folding would break signatures.
    pub content_line_octets_max: u32,
    /// From the final dot to our reply, in seconds; a client may leave after 300. Default 240.
    pub final_reply_seconds_max: u32,
    /// Open connections in all. Default 10,000.
    pub connections_max: u32,
    /// Open connections of one client (an IPv4 address, an IPv6 /64). Default 10.
    pub client_connections_max: u32,
    /// Open connections of one network (/24, /48). Default 500, and never more than a quarter of
    /// all, where that is more than one client may have.
    pub network_connections_max: u32,
    /// Content held in memory over all sessions, in octets; what exceeds it goes to unlinked
    /// temporary files. Default 256 MiB.
    pub memory_octets_max: u64,
    /// Content of one message held in memory, in octets. Default 4 MiB.
    pub message_memory_octets_max: u64,
    /// Content in temporary files over all sessions, in octets; beyond that the largest unfinished
    /// content of the client that has most goes first. Default 4 GiB.
    pub disk_octets_max: u64,
}

impl Limits {
    /// Open connections of one network where there can be so many in all, which may be fewer than
    /// are set: as many as there are descriptors for.
    #[must_use]
    pub fn network_connections_max_of(&self, connections_max: u32) -> u32 {
        let share = (connections_max / NETWORK_SHARE).max(self.client_connections_max);
        self.network_connections_max.min(share)
    }

    /// The session limits under this pressure.
    #[must_use]
    pub fn under(&self, pressure: Pressure) -> &SessionLimits {
        &self.session[pressure as usize]
    }
}

impl Limits {
    /// What holds when nothing is set.
    pub const DEFAULT: Self = Self {
        session: SessionLimits::DEFAULT,
        size_octets_max: 25 << 20,
        received_fields_max: 50,
        own_received_fields_max: 3,
        header_octets_max: 256 << 10,
        content_line_octets_max: 64 << 10,
        final_reply_seconds_max: 240,
        connections_max: 10_000,
        client_connections_max: 10,
        network_connections_max: 500,
        memory_octets_max: 256 << 20,
        message_memory_octets_max: 4 << 20,
        disk_octets_max: 4 << 30,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The limits that tighten under load. RFC 5321 §4.5.3.2.7 asks for five minutes between
/// commands; a server under attack may hurry (§7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Until a whole command line is there, in seconds.
    pub command_seconds_max: u32,
    /// Without a single octet of content, in seconds.
    pub content_stall_seconds_max: u32,
    /// The slowest content, in octets a second, over as long as a stall may last.
    pub content_octets_per_second_min: u32,
    /// From DATA to the final dot, in seconds.
    pub message_seconds_max: u32,
    /// From the greeting to the end, in seconds.
    pub session_seconds_max: u32,
    /// Errors before 421: commands refused for their syntax or order, relaying, address tricks,
    /// messages that are too big.
    pub errors_max: u32,
    /// NOOP, RSET, VRFY, HELP and the like without a message between, before 421.
    pub junk_commands_max: u32,
    /// Messages in one session before 421.
    pub messages_max: u32,
    /// Recipients of one message; more hear 452 (RFC 5321 §4.5.3.1.8: at least 100).
    pub recipients_max: u32,
    /// Until a recipient source must have answered, in seconds; then it counts as unavailable.
    pub lookup_seconds_max: u32,
    /// Until the TLS handshake is done, in seconds.
    pub tls_handshake_seconds_max: u32,
}

impl SessionLimits {
    /// Normal, busy, stress.
    pub const DEFAULT: [Self; 3] = [
        Self {
            command_seconds_max: 300,
            content_stall_seconds_max: 180,
            content_octets_per_second_min: 500,
            message_seconds_max: 1_800,
            session_seconds_max: 3_600,
            errors_max: 10,
            junk_commands_max: 50,
            messages_max: 100,
            recipients_max: 200,
            lookup_seconds_max: 8,
            tls_handshake_seconds_max: 30,
        },
        Self {
            command_seconds_max: 60,
            content_stall_seconds_max: 60,
            content_octets_per_second_min: 1_024,
            message_seconds_max: 600,
            session_seconds_max: 1_200,
            errors_max: 5,
            junk_commands_max: 20,
            messages_max: 20,
            recipients_max: 100,
            lookup_seconds_max: 4,
            tls_handshake_seconds_max: 10,
        },
        Self {
            command_seconds_max: 10,
            content_stall_seconds_max: 10,
            content_octets_per_second_min: 4_096,
            message_seconds_max: 180,
            session_seconds_max: 300,
            errors_max: 2,
            junk_commands_max: 5,
            messages_max: 5,
            recipients_max: 100,
            lookup_seconds_max: 1,
            tls_handshake_seconds_max: 10,
        },
    ];
}

/// Defence against directory harvest. Unknown recipients are counted by client (an IPv4 address
/// or an IPv6 /64) and by network (/24 or /48).
#[derive(Clone, Debug)]
pub struct Harvest {
    /// Unknown recipients in one session before each further one is delayed. Default 5.
    pub session_unknown_max: u32,
    /// The delay for the n-th above that is n times this, in milliseconds. Default 1,000.
    pub delay_milliseconds: u32,
    /// Unknown recipients in one session before 421. Default 20.
    pub session_unknown_before_close_max: u32,
    /// Unknown recipients of one client within the window before every recipient, known or
    /// unknown, hears the same 450. Default 20.
    pub client_unknown_max: u32,
    /// As above, for the client's network. Default 100.
    pub network_unknown_max: u32,
    /// Unknown recipients of one client's notices (the null reverse-path) within the window before
    /// every recipient of its notices hears the same 450. Default 20.
    pub client_notice_unknown_max: u32,
    /// As above, for the client's network. Default 60.
    pub network_notice_unknown_max: u32,
    /// The window, in seconds. Default 600.
    pub window_seconds: u32,
    /// How long the uniform answer lasts after the last offence, in seconds. Default 3,600.
    pub block_seconds: u32,
    /// Clients and networks remembered. Default 100,000.
    pub entries_max: u32,
}

impl Harvest {
    /// What holds when nothing is set.
    pub const DEFAULT: Self = Self {
        session_unknown_max: 5,
        delay_milliseconds: 1_000,
        session_unknown_before_close_max: 20,
        client_unknown_max: 20,
        network_unknown_max: 100,
        client_notice_unknown_max: 20,
        network_notice_unknown_max: 60,
        window_seconds: 600,
        block_seconds: 3_600,
        entries_max: 100_000,
    };
}

impl Default for Harvest {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How often one client (an IPv4 address or an IPv6 /64) may come within a minute.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Sessions a minute; more hear 421. Default 120.
    pub sessions_per_minute_max: u32,
    /// Messages a minute; more hear 450 at MAIL. Default 300.
    pub messages_per_minute_max: u32,
    /// Recipients a minute; more hear 450 at RCPT. Default 1,000.
    pub recipients_per_minute_max: u32,
}

impl Rates {
    /// What holds when nothing is set.
    pub const DEFAULT: Self = Self {
        sessions_per_minute_max: 120,
        messages_per_minute_max: 300,
        recipients_per_minute_max: 1_000,
    };
}

impl Default for Rates {
    fn default() -> Self {
        Self::DEFAULT
    }
}
