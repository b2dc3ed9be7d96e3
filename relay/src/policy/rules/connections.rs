//! Nobody may take all connections, and beyond the last one there is no room for anybody.

use super::prelude::*;

/// Refuses connections beyond the limits of the process and of one client.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    let (arrival, limits) = (&facts.arrival, &settings.limits);
    Ok(if arrival.refusing {
        Some(Refusal::NotAccepting)
    } else if arrival.connections > limits.connections_max {
        Some(Refusal::TooManyConnections)
    } else if facts.client.limits_lifted {
        None
    } else {
        (arrival.client_connections > limits.client_connections_max)
            .then_some(Refusal::TooManyClientConnections)
    })
}

/// What it looked at, in words.
pub fn looked_at(facts: &Facts<'_>, settings: &Settings) -> String {
    let (arrival, limits) = (&facts.arrival, &settings.limits);
    let all =
        format!("supposed to be {} of {} in all", arrival.connections, limits.connections_max);
    if facts.client.limits_lifted {
        return format!("{all}; {LIFTED}");
    }
    let (own, most) = (arrival.client_connections, limits.client_connections_max);
    format!("{all}, {own} of {most} for the client")
}
