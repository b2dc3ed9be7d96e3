//! What `check` says of the servers behind: those that mail could not reach now, and limits of size
//! that contradict each other.

use gateway::config::Config;
use gateway::next_hop::trial::{Trial, try_out};
use mail::smtp::extension::Capabilities;
use settings::mistake::Mistake;
use wire::dial::connection::ConnectionError;
use wire::tls::cause;

/// Warnings, for mail hears no more than 451 while a server does not answer.
pub(super) fn warnings(config: &Config) -> Vec<Mistake> {
    match try_out(&config.next_hops, &config.settings.hostname) {
        Ok(trials) => trials.iter().filter_map(|trial| doubt(config, trial)).collect(),
        Err(error) => {
            vec![Mistake::new(format!("next hops cannot be tried out: {error}")).warning()]
        }
    }
}

fn doubt(config: &Config, trial: &Trial) -> Option<Mistake> {
    let ours = config.settings.limits.size_octets_max;
    match &trial.offered {
        Ok(offered) => sizes(&trial.host, offered, ours),
        Err(error) => Some(unreachable(&trial.host, error)),
    }
}

fn unreachable(host: &str, error: &ConnectionError) -> Mistake {
    let remedy = match error {
        ConnectionError::NoTls => {
            "take `tls` of this next hop back to \"opportunistic\", or let it offer STARTTLS"
        }
        ConnectionError::Handshake(_) => {
            "`tls_ca` or `tls_fingerprint` of this next hop say whom to believe"
        }
        _ => "while it does not answer, mail for it hears 451 and is tried again",
    };
    let (error, remedy) = match error {
        ConnectionError::Handshake(handshake) => match cause::of_handshake(handshake) {
            Some(cause) => (format!("no TLS: {}", cause.what), cause.remedy),
            None => (error.to_string(), remedy),
        },
        _ => (error.to_string(), remedy),
    };
    let message = format!("the next hop {host} cannot be used now: {error}");
    Mistake::new(message).warning().key("next_hop").help(remedy)
}

/// A server without SIZE, or whose SIZE is ours, is as it should be.
fn sizes(host: &str, offered: &Capabilities, ours: u64) -> Option<Mistake> {
    let theirs = offered.size_octets_max.filter(|theirs| *theirs > ours)?;
    let message = format!(
        "the next hop {host} takes messages of up to {theirs} octets; Postern refuses what is \
         larger than {ours}"
    );
    let help = format!("size_octets_max = {theirs} in [limits] lets them through");
    Some(Mistake::new(message).warning().key("limits.size_octets_max").help(help))
}
