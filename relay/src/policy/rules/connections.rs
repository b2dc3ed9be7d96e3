//! Nobody may take all connections, and beyond the last one there is no room for anybody.

use super::prelude::*;
use crate::policy::facts::Arrival;
use crate::settings::Limits;

/// Refuses connections beyond the limits of the process and of one client.
pub fn rule(facts: &Facts<'_>, settings: &Settings) -> Ruling {
    Ok(refusal(&facts.arrival, facts.client.limits_lifted, &settings.limits))
}

/// What a connection hears that is too many: known before anything is read of it or waited for.
#[must_use]
pub fn refusal(arrival: &Arrival, limits_lifted: bool, limits: &Limits) -> Option<Refusal> {
    if arrival.refusing {
        Some(Refusal::NotAccepting)
    } else if arrival.connections > limits.connections_max {
        Some(Refusal::TooManyConnections)
    } else if limits_lifted {
        None
    } else {
        (arrival.client_connections > limits.client_connections_max)
            .then_some(Refusal::TooManyClientConnections)
    }
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
