//! The keys of `[limits]`, `[harvest]` and `[rates]`: each is tied to its place in
//! `relay::settings`, from where its default is read, so that the two cannot differ.

use super::written::Numbers;
use crate::settings::keys::{Default as If, Key, Kind};
use crate::settings::mistake::{Mistake, Report};
use crate::settings::place::{Filled, Place, Slot};

type SlotOf = fn(&mut Filled, usize) -> Slot<'_>;

const fn limit(
    name: &'static str,
    pressure: usize,
    (min, max): (u64, u64),
    slot: SlotOf,
    help: &'static str,
) -> Key {
    let default = If::Limit(Place { pressure, slot });
    Key { name, kind: Kind::Number(min, max), default, example: "", help, why: "" }
}

/// A field of 32 bits.
macro_rules! narrow {
    ($part:ident . $field:ident, $bounds:expr, $help:expr) => {
        limit(
            stringify!($field),
            0,
            $bounds,
            |filled, _| Slot::Narrow(&mut filled.$part.$field),
            $help,
        )
    };
}

/// A field of 64 bits.
macro_rules! wide {
    ($part:ident . $field:ident, $bounds:expr, $help:expr) => {
        limit(
            stringify!($field),
            0,
            $bounds,
            |filled, _| Slot::Wide(&mut filled.$part.$field),
            $help,
        )
    };
}

/// A field that differs with the load.
macro_rules! session {
    ($pressure:expr, $field:ident, $bounds:expr, $help:expr) => {
        limit(
            stringify!($field),
            $pressure,
            $bounds,
            |filled, pressure| Slot::Narrow(&mut filled.limits.session[pressure].$field),
            $help,
        )
    };
}

const SESSION_KEYS: usize = 11;

const fn session_keys(p: usize) -> [Key; SESSION_KEYS] {
    [
        session!(
            p,
            command_seconds_max,
            (1, 3_600),
            "Until a whole command line is there. RFC 5321 §4.5.3.2.7 asks for 300 in quiet times."
        ),
        session!(
            p,
            content_stall_seconds_max,
            (1, 3_600),
            "Without a single octet of content. RFC 5321 §4.5.3.2.5 has clients wait for 180."
        ),
        session!(
            p,
            content_octets_per_second_min,
            (1, 1 << 20),
            "The slowest content, over as long as a stall may last."
        ),
        session!(p, message_seconds_max, (10, 86_400), "From DATA to the final dot."),
        session!(p, session_seconds_max, (10, 86_400), "From the greeting to the end."),
        session!(
            p,
            errors_max,
            (1, 10_000),
            "Errors before 421: commands refused for their syntax or order, relaying, address \
             tricks, messages that are too big."
        ),
        session!(
            p,
            junk_commands_max,
            (1, 10_000),
            "NOOP, RSET, VRFY, HELP and the like without a message between, before 421."
        ),
        session!(p, messages_max, (1, 1_000_000), "Messages in one session before 421."),
        session!(
            p,
            recipients_max,
            (100, 100_000),
            "Recipients of one message; more hear 452, and the client sends them separately."
        )
        .because("RFC 5321 §4.5.3.1.8: a server must take at least 100 recipients of one message"),
        session!(
            p,
            lookup_seconds_max,
            (1, 60),
            "Until a recipient source must have answered; then it counts as unavailable (451)."
        ),
        session!(p, tls_handshake_seconds_max, (1, 300), "Until the TLS handshake is done."),
    ]
}

const PROCESS: [Key; 12] = [
    wide!(
        limits.size_octets_max,
        (64 << 10, 1 << 40),
        "The largest content taken (RFC 1870); 26,214,400 are 25 MiB. A next hop that \
          offers less lowers what EHLO says."
    )
    .because("RFC 5321 §4.5.3.1.7: a server must take content of at least 64 KiB"),
    narrow!(
        limits.received_fields_max,
        (10, 1_000),
        "`Received` fields of a message that has not gone round in circles."
    )
    .because(
        "RFC 5321 §6.3 asks for at least 100 as a plain count; fewer than 10 would \
          refuse honest mail",
    ),
    narrow!(
        limits.own_received_fields_max,
        (1, 100),
        "`Received` fields that name us as the receiver."
    ),
    narrow!(limits.header_octets_max, (4 << 10, 64 << 20), "The header section."),
    narrow!(limits.content_line_octets_max, (998, 64 << 20), "One line of content.")
        .because("RFC 5321 §4.5.3.1.6 lets every message have lines of 998 octets"),
    narrow!(limits.final_reply_seconds_max, (10, 290), "From the final dot to our reply.")
        .because("a client may leave after 300 seconds, and would send the message again"),
    narrow!(limits.connections_max, (1, 1_000_000), "Open connections in all."),
    narrow!(
        limits.client_connections_max,
        (1, 1_000_000),
        "Open connections of one client (an IPv4 address, an IPv6 /64)."
    ),
    wide!(
        limits.memory_octets_max,
        (1 << 20, 1 << 44),
        "Content held in memory over all sessions; what exceeds it goes to unlinked \
          temporary files."
    ),
    wide!(
        limits.message_memory_octets_max,
        (4 << 10, 1 << 40),
        "Content of one message held in memory."
    ),
    Key {
        name: "busy",
        kind: Kind::Table("limits.busy"),
        default: TIGHTER,
        example: "",
        help: "What holds above 70 % of `connections_max`.",
        why: "",
    },
    Key {
        name: "stress",
        kind: Kind::Table("limits.stress"),
        default: TIGHTER,
        example: "",
        help: "What holds above 90 % of `connections_max`.",
        why: "",
    },
];

const TIGHTER: If = If::Words("the tighter of its defaults and `[limits]`");

/// The keys of `[limits]`.
pub const LIMITS: &[Key] = &{
    let (session, process) = (session_keys(0), PROCESS);
    let mut all = [process[0]; SESSION_KEYS + PROCESS.len()];
    let mut i = 0;
    while i < all.len() {
        all[i] = if i < SESSION_KEYS { session[i] } else { process[i - SESSION_KEYS] };
        i += 1;
    }
    all
};

/// The keys of `[limits.busy]`.
pub const BUSY: &[Key] = &session_keys(1);

/// The keys of `[limits.stress]`.
pub const STRESS: &[Key] = &session_keys(2);

/// The keys of `[harvest]`.
pub const HARVEST: &[Key] = &[
    narrow!(
        harvest.session_unknown_max,
        (1, 10_000),
        "Unknown recipients in one session before each further one is delayed."
    ),
    narrow!(
        harvest.delay_milliseconds,
        (0, 60_000),
        "The delay for the n-th above that is n times this."
    ),
    narrow!(
        harvest.session_unknown_before_close_max,
        (1, 10_000),
        "Unknown recipients in one session before 421."
    ),
    narrow!(
        harvest.client_unknown_max,
        (1, 1_000_000),
        "Unknown recipients of one client within the window before every recipient hears the \
         same 450, known or unknown."
    ),
    narrow!(harvest.network_unknown_max, (1, 1_000_000), "As above, for the client's network."),
    narrow!(
        harvest.client_notice_unknown_max,
        (1, 1_000_000),
        "Unknown recipients of one client's notices (`MAIL FROM:<>`) within the window before \
         every recipient of its notices hears the same 450. Its other mail is not touched."
    ),
    narrow!(
        harvest.network_notice_unknown_max,
        (1, 1_000_000),
        "As above, for the client's network."
    ),
    narrow!(harvest.window_seconds, (1, 86_400), "The window."),
    narrow!(
        harvest.block_seconds,
        (1, 604_800),
        "How long the uniform answer lasts after the last offence."
    ),
    narrow!(harvest.entries_max, (1_000, 100_000_000), "Clients and networks remembered."),
];

/// The keys of `[rates]`.
pub const RATES: &[Key] = &[
    narrow!(rates.sessions_per_minute_max, (1, 1_000_000), "Sessions a minute; more hear 421."),
    narrow!(
        rates.messages_per_minute_max,
        (1, 1_000_000),
        "Messages a minute; more hear 450 at MAIL."
    ),
    narrow!(
        rates.recipients_per_minute_max,
        (1, 10_000_000),
        "Recipients a minute; more hear 450 at RCPT."
    ),
];

/// The numbers that hold, from those that were written.
pub(super) fn fill(
    limits: &Numbers,
    harvest: &Numbers,
    rates: &Numbers,
    report: &mut Report,
) -> Filled {
    let mut filled = Filled::default();
    let none = Numbers::default();
    put(&mut filled, LIMITS, limits);
    put(&mut filled, HARVEST, harvest);
    put(&mut filled, RATES, rates);
    for (name, keys) in [("busy", BUSY), ("stress", STRESS)] {
        let written = limits.within.get(name).unwrap_or(&none);
        tighten(&mut filled, keys, written, name, report);
    }
    check(&filled, limits, harvest, report);
    filled
}

fn put(filled: &mut Filled, keys: &[Key], written: &Numbers) {
    for key in keys {
        let number = written.own.get(key.name).and_then(|n| u64::try_from(*n.get_ref()).ok());
        if let (If::Limit(place), Some(number)) = (key.default, number) {
            place.put(filled, number);
        }
    }
}

/// Under load nothing may become looser than it is in quiet times because one table was edited
/// and the other was not.
fn tighten(f: &mut Filled, keys: &[Key], written: &Numbers, name: &str, report: &mut Report) {
    put(f, keys, written);
    for key in keys {
        let If::Limit(place) = key.default else { continue };
        let before = Place { pressure: place.pressure - 1, slot: place.slot };
        let (here, there) = (place.read(f), before.read(f));
        let is_least = key.name.ends_with("_min");
        if (is_least && here >= there) || (!is_least && here <= there) {
            continue;
        }
        let Some(number) = written.own.get(key.name) else {
            place.put(f, there);
            continue;
        };
        report.warn(
            Mistake::new(format!("`{}` gets looser under load", key.name))
                .key(format!("limits.{name}.{}", key.name))
                .at(number.span(), &format!("with less load it is {there}"))
                .help("under load a limit should be at least as tight as before"),
        );
    }
}

fn check(filled: &Filled, limits: &Numbers, harvest: &Numbers, report: &mut Report) {
    let l = &filled.limits;
    for (numbers, table, less, more, is_wrong) in [
        (
            limits,
            "limits",
            "client_connections_max",
            "connections_max",
            l.client_connections_max > l.connections_max,
        ),
        (
            limits,
            "limits",
            "message_memory_octets_max",
            "memory_octets_max",
            l.message_memory_octets_max > l.memory_octets_max,
        ),
        (
            limits,
            "limits",
            "header_octets_max",
            "size_octets_max",
            u64::from(l.header_octets_max) > l.size_octets_max,
        ),
        (
            harvest,
            "harvest",
            "session_unknown_max",
            "session_unknown_before_close_max",
            filled.harvest.session_unknown_max > filled.harvest.session_unknown_before_close_max,
        ),
    ] {
        let place = numbers.own.get(less).or_else(|| numbers.own.get(more));
        if let (true, Some(place)) = (is_wrong, place) {
            report.warn(
                Mistake::new(format!("`{less}` is above `{more}`, so it never counts"))
                    .key(format!("{table}.{less}"))
                    .at(place.span(), "")
                    .help(format!("lower `{less}` or raise `{more}`")),
            );
        }
    }
}
