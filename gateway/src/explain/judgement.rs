//! What would happen to a message: every rule of every stage in the order of the live path, over
//! facts that are made up where only a running relay has them (loads, counts, the content).
//! Commands are parsed by the parser that reads them from the wire.

use super::asked::{self, Asked};
use super::facts;
use super::route::Route;
use crate::config::built::Config;
use crate::directory::Directory;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::command::{Command, Hello};
use mail::smtp::line::LineEndings;
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::{Reply, SessionId};
use mail::smtp::server::ContentSummary;
use mail::smtp::status;
use relay::client::Client;
use relay::policy::facts::{Arrival, ContentFacts, Facts, Need, Standing};
use relay::policy::verdict::Refusal;
use relay::policy::{Rule, Stage, rules};
use relay::recipient::RecipientStatus;
use relay::settings::Pressure;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The size of a message that no size was given for, in octets.
const ORDINARY_OCTETS: u64 = 10_000;

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
}

/// What it comes to.
#[derive(Clone, Debug)]
pub enum Decision {
    /// A command is malformed; no rule was asked.
    Malformed(Stage, Reply),
    /// A rule refuses.
    Refused(Stage, &'static Rule, Reply),
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
    /// What the directory said, when it was asked.
    pub asked: Option<Asked>,
    /// The network of the configuration that the client belongs to.
    pub network: Option<String>,
}

impl Decision {
    /// Whether nothing of ours objects.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Relayed(_) | Self::Discarded(_))
    }

    /// What the client hears: to RCPT when it is accepted there, provided that the next hop
    /// accepts.
    #[must_use]
    pub fn reply(&self) -> Reply {
        match self {
            Self::Malformed(_, reply) | Self::Refused(_, _, reply) => reply.clone(),
            Self::Relayed(_) | Self::Discarded(_) => {
                Reply::new(250, status::DESTINATION_VALID, "ok")
            }
        }
    }
}

/// The commands of a case, as the wire parser understands them.
struct Said {
    hello: Result<Hello, Reply>,
    mail: Result<(ReversePath, MailParameters), Reply>,
    recipient: Result<ForwardPath, Reply>,
}

impl Said {
    fn new(case: &Case) -> Self {
        let size = case.size_octets.map(|octets| format!(" SIZE={octets}")).unwrap_or_default();
        let parse = |line: String| Command::parse(line.as_bytes());
        // Each line has the verb that its command is parsed from.
        let other = || Reply::new(500, status::INVALID_COMMAND, "another command");
        let hello = parse(format!("EHLO {}", case.hello));
        let mail = parse(format!("MAIL FROM:<{}>{size}", case.from));
        let recipient = parse(format!("RCPT TO:<{}>", case.to));
        Self {
            hello: hello.and_then(|command| match command {
                Command::Hello(hello) => Ok(hello),
                _ => Err(other()),
            }),
            mail: mail.and_then(|command| match command {
                Command::Mail(path, parameters) => Ok((path, parameters)),
                _ => Err(other()),
            }),
            recipient: recipient.and_then(|command| match command {
                Command::Rcpt(path) => Ok(path),
                _ => Err(other()),
            }),
        }
    }

    /// The reply to the command of a stage, when it is malformed.
    fn fault(&self, stage: Stage) -> Option<Reply> {
        match stage {
            Stage::Hello => self.hello.as_ref().err().cloned(),
            Stage::Mail => self.mail.as_ref().err().cloned(),
            Stage::Recipient => self.recipient.as_ref().err().cloned(),
            Stage::Connect | Stage::Content => None,
        }
    }
}

/// What was looked up.
#[derive(Default)]
struct Known {
    asked: Option<Asked>,
    status: Option<RecipientStatus>,
    standing: Option<Standing>,
    split: Option<bool>,
}

/// A case that is being judged.
struct Court<'a> {
    config: &'a Config,
    directory: &'a Directory,
    case: &'a Case,
    said: Said,
    client: Client,
    known: Known,
}

/// Judges a case.
/// # Errors
/// When the system gives no means to ask the directory.
pub fn judge(config: &Config, directory: &Directory, case: &Case) -> io::Result<Judgement> {
    let ip = case.client.to_canonical();
    let network = config.networks.classify(ip).map(|n| &config.networks.list()[n]);
    let client = Client {
        address: SocketAddr::new(ip, 0),
        session: SessionId(0),
        limits_lifted: network.is_some_and(|network| network.limits_lifted),
        endings: LineEndings::Strict,
        tls: false,
    };
    let (said, known) = (Said::new(case), Known::default());
    let mut court = Court { config, directory, case, said, client, known };
    let mut ran = Vec::new();
    let decision = court.run(&mut ran)?;
    let all = Stage::ALL.iter().flat_map(|stage| rules::at(*stage).iter().map(|r| (*stage, r)));
    Ok(Judgement {
        not_run: all.skip(ran.len()).collect(),
        ran,
        decision,
        asked: court.known.asked,
        network: network.map(|network| network.name.clone()),
    })
}

impl Court<'_> {
    fn run(&mut self, ran: &mut Vec<Ran>) -> io::Result<Decision> {
        for stage in Stage::ALL {
            if let Some(reply) = self.said.fault(stage) {
                return Ok(Decision::Malformed(stage, reply));
            }
            for rule in rules::at(stage) {
                let refusal = self.ask(stage, rule)?;
                let asked = self.known.asked.as_ref();
                let fact = facts::words(rule, &self.facts(stage), &self.config.settings, asked);
                ran.push(Ran { stage, rule, fact, refusal: refusal.clone() });
                if let Some(refusal) = refusal {
                    return Ok(Decision::Refused(stage, rule, refusal.reply()));
                }
            }
        }
        Ok(self.accepted())
    }

    /// As the exchange does: a rule that needs a fact is run again when it is there.
    fn ask(&mut self, stage: Stage, rule: &Rule) -> io::Result<Option<Refusal>> {
        loop {
            match (rule.run)(&self.facts(stage), &self.config.settings) {
                Ok(refusal) => return Ok(refusal),
                Err(need) => self.fetch(need)?,
            }
        }
    }

    fn fetch(&mut self, need: Need) -> io::Result<()> {
        match need {
            Need::Standing => self.known.standing = Some(self.case.standing),
            Need::Split => self.known.split = Some(false),
            Need::Recipient => {
                let settings = &self.config.settings;
                let path = self.said.recipient.as_ref().ok();
                let domain = path.and_then(|path| settings.domain_of_path(path));
                let asked = path
                    .zip(domain)
                    .map(|(path, domain)| asked::ask(self.directory, settings, domain, path));
                self.known.asked = asked.transpose()?;
                let asked = self.known.asked.as_ref();
                let status = asked.map(|asked| asked.trace.found.status.clone());
                self.known.status = Some(status.unwrap_or(RecipientStatus::Unavailable));
            }
        }
        Ok(())
    }

    fn facts(&self, stage: Stage) -> Facts<'_> {
        let after = |earliest: Stage| stage as u8 >= earliest as u8;
        let mail = self.said.mail.as_ref().ok().filter(|_| after(Stage::Mail));
        let forward_path = self.said.recipient.as_ref().ok().filter(|_| stage == Stage::Recipient);
        let settings = &self.config.settings;
        Facts {
            client: &self.client,
            pressure: Pressure::Normal,
            arrival: Arrival { connections: 1, client_connections: 1, ..Arrival::default() },
            hello: self.said.hello.as_ref().ok().filter(|_| after(Stage::Hello)),
            reverse_path: mail.map(|(path, _)| path),
            parameters: mail.map(|(_, parameters)| *parameters).unwrap_or_default(),
            forward_path,
            domain: forward_path.and_then(|path| settings.domain_of_path(path)),
            recipients: u32::from(stage == Stage::Content),
            plan: None,
            size_octets_max: settings.limits.size_octets_max,
            eight_bit_mime: true,
            session_messages: 0,
            session_unknown: 0,
            content: (stage == Stage::Content).then(|| self.content()),
            recipient: self.known.status.as_ref(),
            standing: self.known.standing,
            split: self.known.split,
        }
    }

    /// An ordinary message, since nobody has seen it.
    fn content(&self) -> ContentFacts {
        let octets = self.case.size_octets.unwrap_or(ORDINARY_OCTETS);
        ContentFacts {
            summary: ContentSummary { octets, longest_line_octets: 78, fault: None },
            header_octets: octets.min(2_000),
            received_fields: 1,
            own_received_fields: 0,
        }
    }

    fn accepted(&self) -> Decision {
        if let Some(RecipientStatus::Bitbucket { reason }) = &self.known.status {
            return Decision::Discarded(reason.clone());
        }
        let settings = &self.config.settings;
        let route = self.said.recipient.as_ref().ok().and_then(|path| {
            let target = self.known.status.as_ref().and_then(asked::target);
            Some(Route::new(self.config, settings.domain_of_path(path)?, path, target))
        });
        // What is accepted is in a domain of ours: `relay_denied` saw to it.
        route.map_or(Decision::Discarded("no domain of ours".into()), Decision::Relayed)
    }
}
