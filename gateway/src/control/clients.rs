//! What is known of clients, as commands and scripts ask for it: who is put off, why, until when;
//! and letting somebody in again.

use super::work::Refusal;
use crate::ledgers::Ledgers;
use relay::client::Prefix;
use relay::ledger::Summary;
use relay::moment::Moment;
use relay::settings::Harvest;
use serde::{Deserialize, Serialize};

/// Clients in one answer, at most; those that are put off for longest first.
const CLIENTS_MAX: usize = 1_000;

/// Which clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfClients {
    /// Also those that are not put off, for whom mail was delivered within a week.
    pub all: bool,
}

/// One client or network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfClient {
    /// An IP address, or a network: `192.0.2.0/24`, `2001:db8:1::/48`.
    pub client: String,
}

/// What is known of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// How often the limits for strangers are halved now, since many of them guess.
    pub limits_halved: u32,
    /// How many there are; not all of them may be listed.
    pub count: u64,
    /// Those that are put off for longest first.
    pub clients: Vec<ClientReport>,
}

/// What is known of a client or a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientReport {
    /// An IPv4 address, an IPv6 /64, or the /24 or /48 around it.
    pub client: String,
    /// For so long its mail hears 450 at RCPT; nothing when it does not.
    pub mail_blocked_seconds: Option<u64>,
    /// As above, its notices (the null reverse-path).
    pub notices_blocked_seconds: Option<u64>,
    /// Unknown recipients that its mail has named within the window.
    pub mail_unknown: u32,
    /// As above, its notices.
    pub notices_unknown: u32,
    /// Recipients whose mail was delivered within the last hour or two.
    pub delivered: u32,
    /// Days of the last seven on which mail was delivered.
    pub delivery_days: u32,
    /// It delivers mail on several days, so that more is let pass.
    pub is_known: bool,
    /// Refusals that it was given, in sessions that have ended.
    pub refusals: u32,
    /// What it has sent in them, in octets.
    pub received_octets: u64,
    /// For how long it had a connection to a next hop in them.
    pub leased_milliseconds: u64,
}

/// A client or network was let in again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Which.
    pub client: String,
    /// Whether it was put off.
    pub was_blocked: bool,
}

/// All that are put off, or all that are known.
pub(super) fn list(ledgers: &Ledgers, of: &OfClients, harvest: &Harvest, now: Moment) -> Clients {
    let mut summaries = ledgers.summaries(of.all, harvest, now);
    summaries.sort_by_key(|summary| {
        let until = summary.mail_blocked_until.max(summary.notices_blocked_until);
        (std::cmp::Reverse(until), summary.prefix.to_string())
    });
    Clients {
        limits_halved: ledgers.halvings(),
        count: summaries.len() as u64,
        clients: summaries.iter().take(CLIENTS_MAX).map(|s| report(s, now)).collect(),
    }
}

/// One client and its network, as far as anything is known of them.
/// # Errors
/// When it is none.
pub(super) fn show(
    ledgers: &Ledgers,
    of: &OfClient,
    harvest: &Harvest,
    now: Moment,
) -> Result<Clients, Refusal> {
    let prefix = parsed(&of.client)?;
    let both = [Some(prefix), prefix.around()].into_iter().flatten();
    let known = both.filter_map(|prefix| ledgers.summary(prefix, harvest, now));
    let clients: Vec<ClientReport> = known.map(|summary| report(&summary, now)).collect();
    Ok(Clients { limits_halved: ledgers.halvings(), count: clients.len() as u64, clients })
}

/// Lets it in again.
/// # Errors
/// When it is none.
pub(super) fn lift(ledgers: &Ledgers, of: &OfClient, now: Moment) -> Result<Lifted, Refusal> {
    let prefix = parsed(&of.client)?;
    Ok(Lifted { client: prefix.to_string(), was_blocked: ledgers.lift(prefix, now) })
}

fn parsed(client: &str) -> Result<Prefix, Refusal> {
    client.trim().parse().map_err(|_| Refusal::Client(client.to_owned()))
}

fn report(summary: &Summary, now: Moment) -> ClientReport {
    let left = |until: Moment| (until > now).then(|| until.milliseconds_since(now).div_ceil(1_000));
    ClientReport {
        client: summary.prefix.to_string(),
        mail_blocked_seconds: left(summary.mail_blocked_until),
        notices_blocked_seconds: left(summary.notices_blocked_until),
        mail_unknown: summary.mail_unknown,
        notices_unknown: summary.notices_unknown,
        delivered: summary.delivered,
        delivery_days: summary.days.count_ones(),
        is_known: summary.is_known,
        refusals: summary.cost.refusals,
        received_octets: summary.cost.received_octets,
        leased_milliseconds: summary.cost.leased_milliseconds,
    }
}
