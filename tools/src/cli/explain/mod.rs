//! `postern explain`: what would happen to a message, rule by rule, or what happened to one that
//! a log remembers.

mod logged;
mod print;

use super::configuration::{ConfigArgument, tell_outcomes};
use super::exit::{EXIT_LATER, EXIT_MISTAKES, EXIT_NO};
use clap::Args;
use gateway::explain::asked::forward_path;
use gateway::explain::judgement::{Case, judge};
use mail::address::Host;
use mail::smtp::reply::Class;
use relay::policy::facts::Standing;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    postern explain --client 192.0.2.7 --from a@example.org --to jones@example.test\n  \
    postern explain --id 0b0k3m8c1g7f2.3\n\n\
    Without --id the rules of the configuration are run as they are for mail, and nothing is \
    connected to. What only a running relay knows is supposed: no load, a client without history.\n\
    With --id the log is searched for what a reply ended with, as in `(id 0b0k3m8c1g7f2.3)`.\n\
    Exit codes: 0 accepted, or found; 1 refused for good, or not found; 2 mistakes; 3 refused \
    for now.")]
pub struct ExplainArguments {
    /// The client's IP address.
    #[arg(long, value_name = "IP", required_unless_present = "id")]
    client: Option<IpAddr>,
    /// The reverse-path (MAIL FROM); `<>` for a notice.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "id")]
    from: Option<String>,
    /// The recipient (RCPT TO).
    #[arg(long, value_name = "ADDRESS", required_unless_present = "id")]
    to: Option<String>,
    /// What the client says in EHLO [default: its address].
    #[arg(long, value_name = "NAME")]
    hello: Option<String>,
    /// The size of the message, in octets.
    #[arg(long, value_name = "OCTETS")]
    size: Option<u64>,
    /// Suppose that the client has guessed too many recipients of late, other than in notices.
    #[arg(long)]
    standing_harvest: bool,
    /// Suppose so many sessions of the client within the minute, this one included.
    #[arg(long, value_name = "N", default_value_t = 1)]
    standing_sessions: u32,
    /// Suppose so many messages of the client within the minute before this one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    standing_messages: u32,
    /// Suppose so many recipients of the client within the minute before this one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    standing_recipients: u32,
    /// Search the log for the refusal or message with this id.
    #[arg(long, conflicts_with_all = ["client", "from", "to"])]
    id: Option<String>,
    /// The log to search, with its rotated siblings; `-` is standard input [default: the one of
    /// the configuration].
    #[arg(long, value_name = "FILE", requires = "id")]
    log: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
    /// As one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &ExplainArguments) -> ExitCode {
    if let Some(id) = &arguments.id {
        return logged::run(id, arguments);
    }
    let Some(case) = arguments.case() else { return ExitCode::from(EXIT_MISTAKES) };
    let config = match arguments.config.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let opened = directory::assembly::open(&config.recipients());
    tell_outcomes(&opened.outcomes);
    let judgement = match judge(&config, &opened.directory, &case) {
        Ok(judgement) => judgement,
        Err(error) => {
            eprintln!("postern: {error}");
            return ExitCode::from(EXIT_MISTAKES);
        }
    };
    print::judgement(&case, &judgement, arguments.json);
    ExitCode::from(match judgement.reply.class() {
        _ if judgement.is_accepted() => 0,
        Class::Transient => EXIT_LATER,
        _ => EXIT_NO,
    })
}

impl ExplainArguments {
    fn case(&self) -> Option<Case> {
        let (client, from, to) = (self.client?, self.from.as_deref()?, self.to.as_deref()?);
        let hello = self.hello.clone();
        Some(Case {
            client,
            hello: hello.unwrap_or_else(|| Host::Literal(client.to_canonical()).to_string()),
            from: without_brackets(from).to_owned(),
            // U-labels become what a client would have sent; what is malformed stays so.
            to: match forward_path(to) {
                Ok(path) if !to.is_ascii() => path.to_string(),
                _ => without_brackets(to).to_owned(),
            },
            size_octets: self.size,
            standing: Standing {
                sessions: self.standing_sessions,
                messages: self.standing_messages,
                recipients: self.standing_recipients,
                harvest: self.standing_harvest,
                notice_harvest: false,
                is_known: false,
            },
        })
    }
}

fn without_brackets(path: &str) -> &str {
    let path = path.trim();
    path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).unwrap_or(path)
}
