//! Nobody may take all connections, no network either, and beyond the last one there is no room for
//! anybody. The last tenth is kept for clients that deliver mail on several days of a week.

use super::prelude::*;
use crate::settings::for_strangers;

/// Refuses connections beyond the limits of the process and of one client.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let (arrival, limits) = (&facts.arrival, &settings.limits);
    let max = arrival.connections_max.min(limits.connections_max);
    Ok(if arrival.refusing {
        Some(Refusal::NotAccepting)
    } else if arrival.connections > max {
        Some(Refusal::TooManyConnections)
    } else if facts.client.limits_lifted {
        None
    } else if arrival.connections > for_strangers(max) && !arrival.is_known {
        Some(Refusal::TooManyConnections)
    } else if arrival.client_connections > limits.client_connections_max {
        Some(Refusal::TooManyClientConnections)
    } else if arrival.network_connections > limits.network_connections_max_of(max) {
        Some(Refusal::TooManyNetworkConnections)
    } else {
        None
    })
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    let (arrival, limits) = (&facts.arrival, &settings.limits);
    let max = arrival.connections_max.min(limits.connections_max);
    let all = format!("supposed to be {} of {max} in all", arrival.connections);
    if facts.client.limits_lifted {
        return format!("{all}; {LIFTED}");
    }
    let (own, most) = (arrival.client_connections, limits.client_connections_max);
    let (around, all_around) =
        (arrival.network_connections, limits.network_connections_max_of(max));
    format!("{all}, {own} of {most} for the client, {around} of {all_around} for its network")
}
