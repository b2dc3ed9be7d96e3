//! `[limits]`, `[harvest]` and `[rates]`: each key is a field of `relay::settings` and has its
//! default from there, so that the two cannot differ.

use ::relay::settings::{self as relay, SessionLimits};
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::keys::table;
use settings::table::value::Given;

/// Tables of numbers that fill a struct of the relay, field by field.
macro_rules! numbers {
    (
        $(#[doc = $help:literal])+
        $name:ident($path:literal, $head:literal)
        $( $(#[doc = $key_help:literal])+ $key:ident in $limits:expr; )*
    ) => {
        table! {
            $(#[doc = $help])+
            pub struct $name($path, $head) {
                $(
                    $(#[doc = $key_help])+
                    $key: Given<u32> = number(relay::$name::DEFAULT.$key as u64, $limits),
                )*
            }
        }

        impl $name {
            pub(super) fn filled(&self) -> relay::$name {
                relay::$name { $( $key: *self.$key ),* }
            }
        }
    };
}

/// `[limits]`: what tightens with the load has a key in `[limits.busy]` and `[limits.stress]` too.
macro_rules! limits {
    (
        tightening: $(
            $(#[doc = $help:literal])+ $key:ident in $limits:expr $(, because $why:literal)?;
        )*
        fixed: $(
            $(#[doc = $f_help:literal])+
            $f:ident: $type:ident in $f_limits:expr $(, because $f_why:literal)?;
        )*
    ) => {
        table! {
            /// What one session and the whole process may use.
            pub struct Limits("limits", "[limits]") {
                $(
                    $(#[doc = $help])+
                    $key: Given<u32> = number(SessionLimits::DEFAULT[0].$key as u64, $limits)
                        $(.because($why))?,
                )*
                $(
                    $(#[doc = $f_help])+
                    $f: Given<$type> = number(relay::Limits::DEFAULT.$f as u64, $f_limits)
                        $(.because($f_why))?,
                )*
                /// What holds above 70 % of `connections_max`.
                busy: Given<Busy> = table_of("the tighter of its defaults and `[limits]`"),
                /// What holds above 90 % of `connections_max`.
                stress: Given<Stress> = table_of("the tighter of its defaults and `[limits]`"),
            }
        }

        table! {
            /// What holds instead when more than 70 % of `connections_max` are in use.
            pub struct Busy("limits.busy", "[limits.busy]") {
                $(
                    $(#[doc = $help])+
                    $key: Given<u32> = number(SessionLimits::DEFAULT[1].$key as u64, $limits)
                        $(.because($why))?,
                )*
            }
        }

        table! {
            /// What holds instead when more than 90 % of `connections_max` are in use.
            pub struct Stress("limits.stress", "[limits.stress]") {
                $(
                    $(#[doc = $help])+
                    $key: Given<u32> = number(SessionLimits::DEFAULT[2].$key as u64, $limits)
                        $(.because($why))?,
                )*
            }
        }

        impl Limits {
            pub(super) fn filled(&self, context: &mut LoadContext) -> relay::Limits {
                let normal = SessionLimits { $( $key: *self.$key ),* };
                let busy =
                    SessionLimits { $( $key: tighter(&self.busy.$key, normal.$key, context) ),* };
                let stress =
                    SessionLimits { $( $key: tighter(&self.stress.$key, busy.$key, context) ),* };
                relay::Limits { session: [normal, busy, stress], $( $f: *self.$f ),* }
            }
        }
    };
}

limits! {
    tightening:
    /// Until a whole command line is there. RFC 5321 §4.5.3.2.7 asks for 300 in quiet times.
    command_seconds_max in 1..=3_600;
    /// Without a single octet of content. RFC 5321 §4.5.3.2.5 has clients wait for 180.
    content_stall_seconds_max in 1..=3_600;
    /// The slowest content, over as long as a stall may last.
    content_octets_per_second_min in 1..=1 << 20;
    /// From DATA to the final dot.
    message_seconds_max in 10..=86_400;
    /// From the greeting to the end.
    session_seconds_max in 10..=86_400;
    /// Errors before 421: commands refused for their syntax or order, relaying, address tricks,
    /// messages that are too big.
    errors_max in 1..=10_000;
    /// NOOP, RSET, VRFY, HELP and the like without a message between, before 421.
    junk_commands_max in 1..=10_000;
    /// Messages in one session before 421.
    messages_max in 1..=1_000_000;
    /// Recipients of one message; more hear 452, and the client sends them separately.
    recipients_max in 100..=100_000,
        because "RFC 5321 §4.5.3.1.8: a server must take at least 100 recipients of one message";
    /// Until a recipient source must have answered; then it counts as unavailable (451).
    lookup_seconds_max in 1..=60;
    /// Until the TLS handshake is done.
    tls_handshake_seconds_max in 1..=300;

    fixed:
    /// The largest content taken (RFC 1870); 26,214,400 are 25 MiB. A next hop that offers less
    /// lowers what EHLO says.
    size_octets_max: u64 in 64 << 10..=1 << 40,
        because "RFC 5321 §4.5.3.1.7: a server must take content of at least 64 KiB";
    /// `Received` fields of a message that has not gone round in circles.
    received_fields_max: u32 in 10..=1_000,
        because "RFC 5321 §6.3 asks for at least 100 as a plain count; fewer than 10 would \
                 refuse honest mail";
    /// `Received` fields that name us as the receiver.
    own_received_fields_max: u32 in 1..=100;
    /// The header section.
    header_octets_max: u32 in 4 << 10..=64 << 20;
    /// One line of content.
    content_line_octets_max: u32 in 998..=64 << 20,
        because "RFC 5321 §4.5.3.1.6 lets every message have lines of 998 octets";
    /// From the final dot to our reply.
    final_reply_seconds_max: u32 in 10..=290,
        because "a client may leave after 300 seconds, and would send the message again";
    /// Open connections in all.
    connections_max: u32 in 1..=1_000_000;
    /// Open connections of one client (an IPv4 address, an IPv6 /64).
    client_connections_max: u32 in 1..=1_000_000;
    /// Open connections of one network (an IPv4 /24, an IPv6 /48), and never more than a quarter of
    /// `connections_max`, where that is more than one client may have. A tenth of `connections_max`
    /// is kept for clients that deliver mail on several days of a week.
    network_connections_max: u32 in 1..=1_000_000;
    /// Content, and replies that are not taken, in memory over all sessions; content that exceeds
    /// it goes to unlinked temporary files.
    memory_octets_max: u64 in 1 << 20..=1 << 44;
    /// Content of one message held in memory.
    message_memory_octets_max: u64 in 4 << 10..=1 << 40;
    /// Content in temporary files over all sessions. Beyond that, and where less than 256 MiB of
    /// the disk are left, the largest unfinished message of the client that has most goes first.
    disk_octets_max: u64 in 1 << 20..=1 << 50;
}

numbers! {
    /// How strangers who guess addresses are met. A client is an IPv4 address or an IPv6 /64; its
    /// network is the /24 or /48 around it.
    Harvest("harvest", "[harvest]")
    /// Unknown recipients in one session before each further one is delayed.
    session_unknown_max in 1..=10_000;
    /// The delay for the n-th above that is n times this.
    delay_milliseconds in 0..=60_000;
    /// Unknown recipients in one session before 421.
    session_unknown_before_close_max in 1..=10_000;
    /// Unknown recipients of one client within the window before every recipient hears the same
    /// 450, known or unknown.
    client_unknown_max in 1..=1_000_000;
    /// As above, for the client's network.
    network_unknown_max in 1..=1_000_000;
    /// Unknown recipients of one client's notices (`MAIL FROM:<>`) within the window before every
    /// recipient of its notices hears the same 450. Its other mail is not touched.
    client_notice_unknown_max in 1..=1_000_000;
    /// As above, for the client's network.
    network_notice_unknown_max in 1..=1_000_000;
    /// The window.
    window_seconds in 1..=86_400;
    /// How long the uniform answer lasts after the last offence.
    block_seconds in 1..=604_800;
    /// Clients and networks remembered.
    entries_max in 1_000..=100_000_000;
}

numbers! {
    /// How often one client (an IPv4 address or an IPv6 /64) may come.
    Rates("rates", "[rates]")
    /// Sessions a minute; more hear 421.
    sessions_per_minute_max in 1..=1_000_000;
    /// Messages a minute; more hear 450 at MAIL.
    messages_per_minute_max in 1..=1_000_000;
    /// Recipients a minute; more hear 450 at RCPT.
    recipients_per_minute_max in 1..=10_000_000;
}

/// Under load nothing may become looser than it is in quiet times because one table was edited
/// and the other was not.
fn tighter(own: &Given<u32>, with_less_load: u32, context: &mut LoadContext) -> u32 {
    let is_least = own.path().key.ends_with("_min");
    let is_looser = if is_least { **own < with_less_load } else { **own > with_less_load };
    if is_looser && !own.is_written() {
        return with_less_load;
    }
    if is_looser {
        let message = format!("`{}` gets looser under load", own.path().key);
        context.refuse(
            own.wrong(message, &format!("with less load it is {with_less_load}"))
                .help("under load a limit is at least as tight as with less load"),
        );
    }
    **own
}

/// Refuses numbers that never count because others are below them. Where only the other one was
/// written, what is set for this one simply never counts.
pub(super) fn check(l: &Limits, harvest: &Harvest, context: &mut LoadContext) {
    let wide = |number: &Given<u32>| number.with(u64::from(**number));
    for (less, more) in [
        (wide(&l.client_connections_max), &wide(&l.connections_max)),
        (wide(&l.client_connections_max), &wide(&l.network_connections_max)),
        (l.message_memory_octets_max.clone(), &l.memory_octets_max),
        (l.size_octets_max.clone(), &l.disk_octets_max),
        (wide(&l.header_octets_max), &l.size_octets_max),
        (wide(&harvest.session_unknown_max), &wide(&harvest.session_unknown_before_close_max)),
    ] {
        let (name, other) = (less.path().key, more.path().key);
        if less.is_written() && *less > **more {
            context.refuse(
                Mistake::new(format!("`{name}` is above `{other}`, so it never counts"))
                    .key(less.path())
                    .at(less.span(), "")
                    .help(format!("lower `{name}` or raise `{other}`")),
            );
        }
    }
}
