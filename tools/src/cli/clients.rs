//! `postern clients`: who is put off for guessing addresses, why and for how long; and letting
//! somebody in again. Asks the Postern that serves; what is kept in `state_dir` is its own.

use super::recipients::running::{ask_or, nobody};
use super::recipients::shared::{Common, Ended};
use clap::{Args, Subcommand};
use gateway::config::built::Config;
use gateway::control::clients::{ClientReport, Clients, Lifted, OfClient, OfClients};
use indicatif::DecimalBytes;
use std::process::ExitCode;

/// Arguments of `clients`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern clients list\n  postern clients lift 192.0.2.7")]
pub struct ClientsArguments {
    #[command(subcommand)]
    command: ClientsCommand,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// Show whose recipients hear 450 now, since they guessed.
    List(ListArguments),
    /// Show what is known of a client and of its network.
    Show(ShowArguments),
    /// Let a client or a network in again.
    Lift(LiftArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern clients list --all\n\n\
    Exit codes: 0 listed, if only nobody, 2 mistakes, 3 no Postern runs, or it does not answer.")]
struct ListArguments {
    /// Also those that are let in, for whom mail was delivered within a week.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern clients show 192.0.2.7\n\n\
    Exit codes: 0 shown, if only nothing is known, 2 mistakes, 3 no Postern runs, or it does not \
    answer.")]
struct ShowArguments {
    /// Its IP address, or a network: 192.0.2.0/24, 2001:db8:1::/48.
    client: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  postern clients lift 192.0.2.0/24\n\n\
    What it guesses from then on counts anew. `limits = \"lifted\"` in a [[network]] lets one in for \
    good.\n\
    Exit codes: 0 it is let in, or was not put off, 2 mistakes, 3 no Postern runs, or it does not \
    answer.")]
struct LiftArguments {
    /// Its IP address, or a network: 192.0.2.0/24, 2001:db8:1::/48.
    client: String,
    #[command(flatten)]
    common: Common,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &ClientsArguments) -> ExitCode {
    let run = |common: &Common, command: &dyn Fn(&Config) -> Ended| match common.config.load() {
        Ok(config) => ExitCode::from(command(&config).unwrap_or_else(|code| code)),
        Err(code) => code,
    };
    match &arguments.command {
        ClientsCommand::List(of) => run(&of.common, &|config| list(of, config)),
        ClientsCommand::Show(of) => run(&of.common, &|config| show(of, config)),
        ClientsCommand::Lift(of) => run(&of.common, &|config| lift(of, config)),
    }
}

const ADVICE: &str = "Clients are known to a Postern that serves mail, and nobody else.";

fn list(arguments: &ListArguments, config: &Config) -> Ended {
    let of = OfClients { all: arguments.all };
    let clients: Clients =
        ask_or(config, |client| client.ask("/v1/clients", &of), |absent| nobody(&absent, ADVICE))?;
    arguments.common.show(&clients, |clients| text(clients, "Nobody is put off.\n"));
    Ok(0)
}

fn show(arguments: &ShowArguments, config: &Config) -> Ended {
    let of = OfClient { client: arguments.client.clone() };
    let clients: Clients = ask_or(
        config,
        |client| client.ask("/v1/clients/show", &of),
        |absent| nobody(&absent, ADVICE),
    )?;
    let none = format!("Nothing is known of {} of late: it is a stranger.\n", arguments.client);
    arguments.common.show(&clients, |clients| text(clients, &none));
    Ok(0)
}

fn lift(arguments: &LiftArguments, config: &Config) -> Ended {
    let of = OfClient { client: arguments.client.clone() };
    let lifted: Lifted = ask_or(
        config,
        |client| client.ask("/v1/clients/lift", &of),
        |absent| nobody(&absent, ADVICE),
    )?;
    arguments.common.show(&lifted, |lifted| match lifted.was_blocked {
        true => format!("{} is let in again.\n", lifted.client),
        false => format!("{} was not put off.\n", lifted.client),
    });
    Ok(0)
}

/// What each column says; the last is of sessions that have ended.
const HEAD: [&str; 5] = [
    "client",
    "put off",
    "unknown of late",
    "delivered of late",
    "cost: received, refusals, time with a next hop",
];

fn text(clients: &Clients, none: &str) -> String {
    let mut text = String::new();
    if clients.limits_halved > 0 {
        let factor = 1_u32 << clients.limits_halved;
        text.push_str(&format!(
            "Many strangers guess: their limits are a {}.\n\n",
            match factor {
                2 => "half".to_owned(),
                4 => "quarter".to_owned(),
                factor => format!("{factor}th"),
            }
        ));
    }
    if clients.clients.is_empty() {
        text.push_str(none);
        return text;
    }
    let rows: Vec<[String; 5]> = clients.clients.iter().map(row).collect();
    let head = HEAD.map(str::to_owned);
    let width = |n: usize| rows.iter().chain([&head]).map(|row| row[n].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for row in [&head].into_iter().chain(&rows) {
        let [client, put_off, unknown, delivered, cost] = row;
        let [a, b, c, d] = widths;
        text.push_str(&format!(
            "{client:a$}  {put_off:b$}  {unknown:c$}  {delivered:d$}  {cost}\n"
        ));
    }
    if clients.count > clients.clients.len() as u64 {
        text.push_str(&format!("… and {} more\n", clients.count - clients.clients.len() as u64));
    }
    text
}

fn row(client: &ClientReport) -> [String; 5] {
    let minutes = |seconds: u64| seconds.div_ceil(60);
    let put_off = match (client.mail_blocked_seconds, client.notices_blocked_seconds) {
        (Some(mail), Some(notices)) => {
            format!("mail {} min, notices {} min", minutes(mail), minutes(notices))
        }
        (Some(mail), None) => format!("mail {} min", minutes(mail)),
        (None, Some(notices)) => format!("notices {} min", minutes(notices)),
        (None, None) => "no".to_owned(),
    };
    let unknown = match client.notices_unknown {
        0 => client.mail_unknown.to_string(),
        notices => format!("{}, in notices {notices}", client.mail_unknown),
    };
    let delivered = match client.delivery_days {
        0 => client.delivered.to_string(),
        1 => format!("{}, on 1 day", client.delivered),
        days => format!("{}, on {days} days", client.delivered),
    };
    let cost = format!(
        "{}, {} refusals, {:.1} s",
        DecimalBytes(client.received_octets),
        client.refusals,
        client.leased_milliseconds as f64 / 1e3,
    );
    [client.client.clone(), put_off, unknown, delivered, cost]
}
