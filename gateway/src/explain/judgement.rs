//! What would happen to a message: the exchange that serves mail is told the commands of a case,
//! and a next hop that takes everything. What only a running relay has (loads, history, the
//! content) is supposed.

use super::asked::{self, Asked};
use super::route::Route;
use crate::config::built::Config;
use directory::Directory;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::{HeardReply, Reply, SessionId};
use relay::client::Client;
use relay::event::{Event, Kind};
use relay::exchange::{Do, Done, Exchange, Sink};
use relay::moment::Moment;
use relay::next_hop::{Outcome, Request};
use relay::policy::facts::{Arrival, Facts, Found, Need, ReverseName, Standing};
use relay::policy::verdict::Refusal;
use relay::policy::{Rule, Stage, rules};
use relay::recipient::RecipientStatus;
use relay::settings::{ListenerTerms, Pressure};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// An ordinary message, since nobody has seen the one in question.
const ORDINARY: &str =
    "Received: from client.example.net; Thu, 1 Jan 1970 00:00:00 +0000\r\n\r\nhello\r\n.\r\n";

/// What is asked about.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who connects.
    pub client: IpAddr,
    /// What it says in EHLO.
    pub hello: String,
    /// What it says in MAIL, without brackets; empty for the null reverse-path.
    pub from: String,
    /// What it says in RCPT, without brackets.
    pub to: String,
    /// What it says in SIZE=, in octets.
    pub size_octets: Option<u64>,
    /// What the ledger is supposed to know of it.
    pub standing: Standing,
}

/// One rule that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// When.
    pub stage: Stage,
    /// The rule.
    pub rule: &'static Rule,
    /// What it looked at, in words.
    pub fact: String,
    /// What it said.
    pub refusal: Option<Refusal>,
    /// What the directory said, when this rule was the one that wanted to know.
    pub asked: Option<Asked>,
}

/// What it comes to.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The command of this stage is malformed; no rule was asked.
    Malformed(Stage),
    /// A rule refuses.
    Refused(&'static Rule),
    /// Nothing objects, and the next hop has the last word.
    Relayed(Route),
    /// Nothing objects, and the mail is discarded on purpose.
    Discarded(Box<str>),
}

/// How a case is judged.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The rules that were run, in order; the last one decides when it refuses.
    pub ran: Vec<Ran>,
    /// The rules that were not.
    pub not_run: Vec<(Stage, &'static Rule)>,
    /// What it comes to.
    pub decision: Decision,
    /// What the client hears, without an id: to RCPT when nothing objects.
    pub reply: Reply,
    /// The network of the configuration that the client belongs to.
    pub network: Option<String>,
}

impl Judgement {
    /// Whether nothing of ours objects.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.decision, Decision::Relayed(_) | Decision::Discarded(_))
    }

    /// What the directory said, when it was asked.
    #[must_use]
    pub fn asked(&self) -> Option<&Asked> {
        self.ran.iter().find_map(|ran| ran.asked.as_ref())
    }
}

/// What the client says, and at which stage.
fn lines(case: &Case) -> [(Stage, String); 5] {
    let size = case.size_octets.map(|octets| format!(" SIZE={octets}")).unwrap_or_default();
    [
        (Stage::Hello, format!("EHLO {}\r\n", case.hello)),
        (Stage::Mail, format!("MAIL FROM:<{}>{size}\r\n", case.from)),
        (Stage::Recipient, format!("RCPT TO:<{}>\r\n", case.to)),
        (Stage::Content, "DATA\r\n".to_owned()),
        (Stage::Content, ORDINARY.to_owned()),
    ]
}

/// Plays the world around the exchange, and keeps what becomes of a case.
struct World<'a> {
    config: &'a Config,
    directory: &'a Directory,
    case: &'a Case,
    ran: Vec<Ran>,
    /// What the directory has just said, until the rule that wanted to know has run.
    asked: Option<Asked>,
    /// To the last command.
    reply: Option<Reply>,
    discarded: Option<Box<str>>,
    next_hop: Option<Route>,
}

impl Sink for World<'_> {
    fn write(&mut self, reply: &Reply) {
        self.reply = Some(reply.clone().without_id());
    }

    fn keep(&mut self, _: &[u8]) {}

    fn record(&mut self, event: &Event<'_>) {
        if let Kind::Discarded { reason, .. } = event.kind {
            self.discarded = Some(reason.into());
        }
    }

    fn split(&mut self, _: relay::client::Prefix, _: &ReversePath, _: &[ForwardPath]) {}

    fn ran(
        &mut self,
        stage: Stage,
        rule: &'static Rule,
        facts: &Facts<'_>,
        refusal: Option<&Refusal>,
    ) {
        let (asked, refusal) = (self.asked.take(), refusal.cloned());
        let mut fact = (rule.looked_at)(facts, &self.config.settings);
        if let Some(asked) = &asked {
            fact.push_str(&format!(", says {}", asked.trace.found.source));
        }
        self.ran.push(Ran { stage, rule, fact, refusal, asked });
    }
}

/// Judges a case.
/// # Errors
/// When the system gives no means to ask the directory.
pub fn judge(config: &Config, directory: &Directory, case: &Case) -> io::Result<Judgement> {
    let (settings, ip) = (&config.settings, case.client.to_canonical());
    let network = config.networks.classify(ip).map(|n| &config.networks.list()[n]);
    let client = Client {
        address: SocketAddr::new(ip, 0),
        session: SessionId(0),
        limits_lifted: network.is_some_and(|network| network.limits_lifted),
        endings: LineEndings::Strict,
        tls: false,
    };
    let arrival = Arrival { connections: 1, client_connections: 1, ..Arrival::default() };
    let offer = ListenerTerms::default().offer(&settings.limits, false);
    let (pressure, now) = (Pressure::Normal, Moment(0));
    let exchange = Exchange::new(Arc::clone(settings), client, arrival, offer, pressure, now);
    let (ran, asked, reply, discarded, next_hop) = (Vec::new(), None, None, None, None);
    let mut world = World { config, directory, case, ran, asked, reply, discarded, next_hop };
    let (decision, reply) = world.play(exchange)?;
    let all = Stage::ALL.iter().flat_map(|stage| rules::at(*stage).iter().map(|r| (*stage, r)));
    Ok(Judgement {
        not_run: all.skip(world.ran.len()).collect(),
        ran: world.ran,
        decision,
        reply,
        network: network.map(|network| network.name.clone()),
    })
}

impl World<'_> {
    /// Says the commands until one is refused or nothing is left to say.
    fn play(&mut self, mut exchange: Exchange) -> io::Result<(Decision, Reply)> {
        let mut lines = lines(self.case).into_iter();
        let mut accepted = Reply::bare(250, "ok");
        let mut stage = Stage::Connect;
        loop {
            let done = match exchange.next(self) {
                Do::Read { .. } => {
                    if self.reply.as_ref().is_some_and(|reply| reply.code() >= 400) {
                        break;
                    }
                    if stage == Stage::Recipient {
                        accepted = self.reply.take().unwrap_or(accepted);
                    }
                    let Some((next, line)) = lines.next() else { break };
                    stage = next;
                    Done::Bytes(line.into_bytes())
                }
                Do::LookUp { need, .. } => Done::Found(self.find(need, &exchange)?),
                Do::Carry { request, .. } => Done::Carried(self.take(request)),
                Do::Send { .. } | Do::Forget { .. } | Do::Wait { .. } | Do::StartTls { .. } => {
                    Done::Yes
                }
                Do::Close => break,
            };
            exchange.done(done, Moment(0), self);
        }
        Ok(match (self.ran.last(), self.discarded.take(), self.next_hop.take()) {
            (Some(Ran { rule, refusal: Some(refusal), .. }), ..) => {
                (Decision::Refused(rule), refusal.reply())
            }
            (_, Some(reason), _) => (Decision::Discarded(reason), accepted),
            (_, None, Some(route)) => (Decision::Relayed(route), accepted),
            (_, None, None) => (Decision::Malformed(stage), self.reply.take().unwrap_or(accepted)),
        })
    }

    /// A fact that a rule wants to know.
    fn find(&mut self, need: Need, exchange: &Exchange) -> io::Result<Found> {
        Ok(match need {
            Need::Standing => Found::Standing(self.case.standing),
            Need::Split => Found::Split(false),
            Need::ReverseName => Found::ReverseName(ReverseName::Unavailable),
            Need::EarlyTalker => Found::EarlyTalker(false),
            Need::Recipient => {
                let settings = &self.config.settings;
                let question = exchange
                    .envelope_in_question()
                    .and_then(|asked| Some((asked.path, settings.domain_of_path(asked.path)?)));
                let asked = question
                    .map(|(path, domain)| asked::ask(self.directory, settings, domain, path));
                self.asked = asked.transpose()?;
                let status = self.asked.as_ref().map(|asked| asked.trace.found.status.clone());
                Found::Recipient(status.unwrap_or(RecipientStatus::Unavailable))
            }
        })
    }

    /// A next hop that takes everything, and is not asked.
    fn take(&mut self, request: Request) -> Outcome {
        let (text, more) = ("ok".into(), Vec::new());
        let reply = HeardReply { code: 250, status: None, text, more, contradicts: false };
        match request {
            Request::Open { route: relay::route::Route::Hop(next_hop), recipient, .. } => {
                self.next_hop = Some(Route::new(self.config, next_hop, recipient));
                Outcome::Recipient(reply)
            }
            Request::Recipient(_) => Outcome::Recipient(reply),
            Request::Content { .. } => Outcome::Content { reply, host: "".into() },
        }
    }
}
