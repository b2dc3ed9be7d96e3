//! `postern probe`: what does any SMTP server do with strangers' mail? One file per group of
//! questions; each adds findings to a [`Report`]. No content is sent unless that is asked for.
//! Leaves to others: what a delivered message does behind the server (who expands what), other
//! ports, HELO or TLS variants of the relay set, ORCPT (R26), bare CR inside an address.
//! The JSON form is described at [`json`].

pub(crate) mod certificate;
pub mod connection;
mod content;
mod greeting;
pub mod print;
mod protocol;
mod recipients;
mod relay;
mod relay_set;
pub mod report;
pub(crate) mod tls;

use connection::{Connection, Lost, reply_text};
use indicatif::{ProgressBar, ProgressDrawTarget};
use mail::smtp::extension::Capabilities;
use mail::smtp::reply::HeardReply;
use report::{Finding, RelayCounts, Report, SCHEMA, Severity};
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait for one reply, in seconds; less when the whole probe has little time.
const REPLY_SECONDS_MAX: u64 = 20;

/// Asks an SMTP server what it does with unknown recipients, relaying and malformed input.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Probe servers that are yours: the relay test looks like an attack, and the server may block this \
machine for it. Servers trust some networks; ask from outside, or say --trusted.

Example:
  postern probe mx.example.com:25 --domain example.com --known jones@example.com

Exit status: 0 nothing serious, 1 a serious finding, 2 the server could not be probed.")]
pub struct Args {
    /// The server; the port is 25 when none is given.
    #[arg(value_name = "HOST:PORT")]
    pub server: String,
    /// A domain that the server takes mail for; else the one of --known.
    #[arg(long)]
    pub domain: Option<String>,
    /// An address that exists there, to compare with.
    #[arg(long, value_name = "ADDRESS")]
    pub known: Option<String>,
    /// The named sender; else one of the external domain, which some servers do not believe.
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// A domain that the server must not take mail for.
    #[arg(long, value_name = "DOMAIN", default_value = "relay-test.invalid")]
    pub external: String,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Also issue DATA, and send harmless messages to the address of --known: one, and up to
    /// eleven more if the server can be smuggled to.
    #[arg(long)]
    pub send_content: bool,
    /// The server relays for this machine on purpose: relaying is then only a notice.
    #[arg(long)]
    pub trusted: bool,
    /// How long the whole probe may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// What to say in EHLO; else our address in brackets.
    #[arg(long, value_name = "NAME")]
    pub hello: Option<String>,
}

/// Why a server could not be probed, and what to try next.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The name has no address.
    #[error("{0}: no such host; check the name, or give an IP address and a port")]
    NoAddress(String),
    /// Something would end up inside a command that must not.
    #[error("{0:?} cannot stand in a command; give a plain name or address without blanks")]
    Argument(String),
    /// No connection.
    #[error("{0}: cannot connect: {1}; is the port right, and does a firewall block it?")]
    Connect(SocketAddr, Lost),
    /// It takes connections and says nothing useful.
    #[error(
        "{0}: {1}; is this an SMTP port (port 465 speaks TLS first), and may this machine \
         connect? Try a longer --timeout"
    )]
    Greeting(SocketAddr, Lost),
    /// It is the delivery port of a mail store.
    #[error(
        "{0}: it speaks LMTP, and not SMTP, which is all that Postern speaks to servers behind it; \
         name the port of the mail server before it"
    )]
    Lmtp(SocketAddr),
    /// It refuses us.
    #[error("{0}: it will not talk to this machine: {1}; try from another, or another --hello")]
    Refused(SocketAddr, String),
}

/// Runs the command; the exit status is 0, 1 or 2 as its help says.
pub async fn run(args: Args) -> ExitCode {
    let progress = progress_line();
    let line = progress.clone();
    let result = probe(&args, move |text| line.set_message(text.to_owned())).await;
    progress.finish_and_clear();
    let mut out = std::io::stdout().lock();
    let pretty = std::io::stdout().is_terminal();
    let printed = match &result {
        Ok(report) if args.json => writeln!(out, "{}", json(report)),
        Ok(report) => print::print(report, &mut out, pretty),
        Err(error) if args.json => {
            let error = error.to_string();
            let failure =
                serde_json::json!({"schema": SCHEMA, "server": args.server, "error": error});
            writeln!(out, "{failure}")
        }
        Err(error) => {
            eprintln!("postern probe: {error}");
            Ok(())
        }
    };
    // A reader that went away (`| head`) does not change what was found.
    let _ = printed.and_then(|()| out.flush());
    ExitCode::from(exit_status(&result))
}

/// As the help says.
fn exit_status(result: &Result<Report, ProbeError>) -> u8 {
    match result {
        Ok(report) if report.worst == Severity::Serious => 1,
        Ok(_) => 0,
        Err(_) => 2,
    }
}

/// The JSON form of a report.
///
/// One object, `schema` = 1. New fields and new `id`s may come; those that are there keep their
/// meaning for as long as `schema` stays.
///
/// | Field | What |
/// |---|---|
/// | `server`, `address`, `probed_from` | as asked for; IP address and port; our IP address |
/// | `started`, `seconds` | RFC 3339; a number |
/// | `complete` | false when some question could not be asked |
/// | `software` | a guess or null |
/// | `extensions` | the lines of the EHLO reply after the first |
/// | `recipients` | `accept-all`, `late`, `honest`, or one of the six words below |
/// | `relay` | cases: `refused`, `accepted`, `temporary`, `not_asked` |
/// | `worst` | `ok`, `notice`, `warning`, `serious` |
/// | `findings` | array of `id`, `group`, `severity`, `verdict`, `says`, `advice`, `evidence` |
/// | `evidence` | array of `sent`, `heard`, `milliseconds` |
///
/// Where nothing can be said of recipients: `greylists`, `temporary`, `mixed`, `refuses-all`,
/// `no-reply`, `not-tested`.
///
/// `group` is one of `greeting`, `recipients`, `relay`, `protocol`, `tls`, `content`. Scripts read
/// `id` and `verdict`; `says` and `advice` are for people and change.
/// When the server could not be probed the object is `{"schema": 1, "server": …, "error": …}`.
#[must_use]
pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"))
}

fn progress_line() -> ProgressBar {
    // indicatif draws on standard error and stays silent when that is no terminal.
    let bar = ProgressBar::new_spinner();
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Asks all questions; `progress` hears what is being done.
/// # Errors
/// When there is no SMTP server that talks to us.
pub async fn probe(
    args: &Args,
    progress: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Report, ProbeError> {
    let began = Instant::now();
    let started = jiff::Timestamp::now().to_string();
    let mut prober = Prober::new(args, began, Box::new(progress)).await?;
    let mut report = greeting::ask(&mut prober).await?;
    report.started = started;
    recipients::ask(&prober, &mut report).await;
    protocol::ask(&prober, &mut report).await;
    tls::ask(&prober, &mut report).await;
    content::ask(&prober, &mut report).await;
    relay::ask(&prober, &mut report).await;
    report.complete &= Instant::now() < prober.deadline;
    report.seconds = (began.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    report.conclude();
    Ok(report)
}

/// Asks only who the server is and what it does with unknown recipients: for `postern init`,
/// whose user has not asked for what looks like an attack.
/// # Errors
/// As [`probe`].
pub async fn probe_recipients(args: &Args) -> Result<Report, ProbeError> {
    let mut prober = Prober::new(args, Instant::now(), Box::new(|_| {})).await?;
    let mut report = greeting::ask(&mut prober).await?;
    recipients::ask(&prober, &mut report).await;
    report.conclude();
    Ok(report)
}

/// What every question needs: where, how long, and under which names.
struct Prober {
    server: String,
    address: SocketAddr,
    deadline: Instant,
    reply_wait: Duration,
    /// Our EHLO name.
    hello: String,
    /// A domain of the server, when we were told one.
    domain: Option<String>,
    known: Option<String>,
    external: String,
    /// The named sender.
    sender: String,
    send_content: bool,
    trusted: bool,
    /// The name in the greeting.
    greeted_as: String,
    capabilities: Capabilities,
    extended: bool,
    progress: Box<dyn Fn(&str) + Send + Sync>,
}

impl Prober {
    async fn new(
        args: &Args,
        began: Instant,
        progress: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Self, ProbeError> {
        let texts = [&args.domain, &args.known, &args.hello, &args.sender];
        for text in texts.into_iter().flatten().chain([&args.external]) {
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(ProbeError::Argument(text.clone()));
            }
        }
        let of_known = args.known.as_ref().and_then(|k| k.rsplit_once('@'));
        let domain = args.domain.clone().or(of_known.map(|(_, domain)| domain.to_owned()));
        let timeout = Duration::from_secs(args.timeout);
        Ok(Self {
            server: args.server.clone(),
            address: address_of(&args.server, timeout).await?,
            deadline: began + timeout,
            reply_wait: (timeout / 6).min(Duration::from_secs(REPLY_SECONDS_MAX)),
            hello: args.hello.clone().unwrap_or_default(),
            domain,
            known: args.known.clone(),
            external: args.external.clone(),
            sender: args.sender.clone().unwrap_or_else(|| format!("probe@{}", args.external)),
            send_content: args.send_content,
            trusted: args.trusted,
            greeted_as: String::new(),
            capabilities: Capabilities::default(),
            extended: true,
            progress,
        })
    }

    /// Tells the person who waits.
    fn say(&self, text: &str) {
        (self.progress)(text);
    }

    /// A connection on which nothing was said yet.
    async fn connect(&self) -> Result<Connection, Lost> {
        Connection::open(self.address, self.reply_wait, self.deadline).await
    }

    /// A connection that is ready for a transaction.
    async fn greeted(&self) -> Result<Connection, Lost> {
        let mut connection = self.connect().await?;
        let greeting = connection.reply().await?;
        expect_positive(&greeting)?;
        let verb = if self.extended { "EHLO" } else { "HELO" };
        let hello = connection.ask(&format!("{verb} {}", self.hello)).await?;
        expect_positive(&hello.reply)?;
        Ok(connection)
    }

    /// An address of the server's that ought to exist: the known one, or the postmaster that
    /// RFC 5321 §4.5.1 demands.
    fn existing(&self) -> Option<String> {
        let postmaster = || self.domain.as_ref().map(|domain| format!("postmaster@{domain}"));
        self.known.clone().or_else(postmaster)
    }

    fn address_literal(&self) -> String {
        literal(self.address.ip())
    }
}

/// Says `question` went unanswered because the connection was lost.
fn cut_short(id: &'static str, group: report::Group, lost: &Lost, report: &mut Report) {
    report.complete = false;
    let says = format!("Could not be asked to the end: {lost}.");
    report.findings.push(
        Finding::new(id, group, Severity::Notice, "no-reply", says)
            .advise("Try again later, with a longer --timeout, or from another machine."),
    );
}

fn expect_positive(reply: &HeardReply) -> Result<(), Lost> {
    if reply.code < 300 { Ok(()) } else { Err(Lost::Refused(reply_text(reply))) }
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
fn literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

async fn address_of(server: &str, wait: Duration) -> Result<SocketAddr, ProbeError> {
    let missing = || ProbeError::NoAddress(server.to_owned());
    if let Ok(ip) = server.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 25));
    }
    let has_port = server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let server = if has_port { server.to_owned() } else { format!("{server}:25") };
    let found = tokio::time::timeout(wait, tokio::net::lookup_host(server)).await;
    found.ok().and_then(Result::ok).and_then(|mut a| a.next()).ok_or_else(missing)
}

/// A report in which nothing was found yet.
fn blank_report(prober: &Prober, local: IpAddr) -> Report {
    Report {
        schema: SCHEMA,
        server: prober.server.clone(),
        address: prober.address.to_string(),
        probed_from: local.to_string(),
        started: String::new(),
        seconds: 0.0,
        complete: true,
        software: None,
        extensions: Vec::new(),
        recipients: "not-tested",
        relay: RelayCounts::default(),
        worst: Severity::Ok,
        findings: Vec::new(),
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
