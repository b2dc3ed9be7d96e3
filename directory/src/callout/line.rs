//! A connection that questions are asked on: what is said on it for one of them, within its
//! deadline, and when it had better be replaced. Which sender is named is left to `question`.

use super::host::AskedHost;
use super::reply::{Verdict, rcpt_reply, verdict};
use super::settings::Until;
use crate::live::{Trouble, TroubleKind};
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::client::Answer;
use mail::smtp::parameter::MailParameters;
use mail::smtp::reply::{Class, HeardReply};
use relay::turns::Party;
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use wire::dial::connection::{Connection, ConnectionError};
use wire::pool::Pooled;

/// Refusals on one connection. Exchange hangs up after five "protocol errors", Postfix slows down
/// after ten and hangs up after twenty: a new connection is cheaper.
const REFUSALS_MAX: u32 = 4;

/// Until RSET has left; nobody waits for its reply.
const RESET_PATIENCE: Duration = Duration::from_secs(1);

/// A connection, and what was said on it so far.
pub(super) struct Line {
    pub(super) connection: Connection,
    refusals: u32,
}

/// What one transaction says of the recipient.
#[derive(Debug)]
pub(super) enum Heard {
    /// It takes mail for him.
    Accepts,
    /// There is no such recipient.
    NoSuchRecipient(Stage),
    /// It refuses the sender.
    SenderRefused(Trouble),
    /// It refuses for good, for whatever reason.
    Refuses(Trouble),
    /// It says nothing of him.
    Nothing(Trouble),
}

/// The command whose reply it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
        }
    }
}

/// The connection is of no more use.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) trouble: Trouble,
    /// It ended while nobody was asking for it to: on a line that was used before, that says
    /// nothing about the host.
    pub(super) hung_up: bool,
}

/// What is said, besides the sender.
pub(super) struct Words<'a> {
    pub(super) recipient: &'a ForwardPath,
    pub(super) until: Until,
    pub(super) deadline: Instant,
    /// On whose behalf.
    pub(super) party: Party,
}

impl Line {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, refusals: 0 }
    }

    /// MAIL, one RCPT, and DATA where that is asked for; then RSET, or nothing behind 354: a
    /// connection that ends before the final dot delivers nothing (RFC 5321 §4.1.1.4, §3.8).
    pub(super) async fn transact(
        &mut self,
        asked: &AskedHost,
        sender: &ReversePath,
        words: &Words<'_>,
    ) -> Result<Heard, Lost> {
        self.connection.begin();
        let session = self.connection.session();
        session.begin(sender, MailParameters::default(), words.recipient, None);
        let begun = Instant::now();
        let answer = self.answer(asked, words, Stage::Rcpt).await;
        asked.note_pace(begun.elapsed());
        let (stage, reply) = match answer? {
            Answer::MailRefused(reply) => (Stage::Mail, reply),
            Answer::Rcpt(reply) => (Stage::Rcpt, reply),
            other => return Err(asked.out_of_turn(&other)),
        };
        let heard = match (stage, words.until) {
            (Stage::Rcpt, Until::Data) if reply.class() == Class::Completion => {
                self.data(asked, words, reply.code == 252).await?
            }
            _ => self.read(asked, stage, &reply)?,
        };
        self.reset().await;
        Ok(heard)
    }

    async fn data(
        &mut self,
        asked: &AskedHost,
        words: &Words<'_>,
        has_not_looked: bool,
    ) -> Result<Heard, Lost> {
        self.connection.session().data();
        let reply = match self.answer(asked, words, Stage::Data).await? {
            Answer::Data(reply) => reply,
            other => return Err(asked.out_of_turn(&other)),
        };
        match self.read(asked, Stage::Data, &reply)? {
            Heard::Accepts if has_not_looked => {
                let what = format!("{}: said 252 to RCPT and 354 to DATA", asked.host.name);
                Ok(Heard::Nothing(
                    Trouble::new(TroubleKind::Unexpected, what).remedy(DOES_NOT_LOOK),
                ))
            }
            heard => Ok(heard),
        }
    }

    fn read(&mut self, asked: &AskedHost, stage: Stage, reply: &HeardReply) -> Result<Heard, Lost> {
        if reply.class() != Class::Completion && reply.code != 354 {
            self.refusals += 1;
        }
        let trouble = || told(asked, stage, reply);
        if reply.code == 421 {
            return Err(Lost { trouble: trouble(), hung_up: true });
        }
        Ok(match (stage, verdict(reply)) {
            (Stage::Mail, _) if reply.class() == Class::Permanent => {
                Heard::SenderRefused(trouble())
            }
            (Stage::Mail, _) | (_, Verdict::Nothing) => Heard::Nothing(trouble()),
            (_, Verdict::Accepts) => Heard::Accepts,
            (_, Verdict::NoSuchRecipient) => Heard::NoSuchRecipient(stage),
            (_, Verdict::Refuses) => Heard::Refuses(trouble()),
        })
    }

    async fn answer(
        &mut self,
        asked: &AskedHost,
        words: &Words<'_>,
        stage: Stage,
    ) -> Result<Answer, Lost> {
        let patience = words.deadline.saturating_duration_since(Instant::now());
        self.connection.answer(patience).await.map_err(|error| Lost {
            hung_up: !matches!(error, ConnectionError::TimedOut),
            trouble: asked.trouble(error, stage.word()),
        })
    }

    async fn reset(&mut self) {
        self.connection.session().reset();
        // One that cannot be told is found out when it is used next.
        let _ = self.connection.send_pending(RESET_PATIENCE).await;
    }
}

impl Pooled for Line {
    const MOVES: bool = Connection::MOVES;

    /// Never behind 354, where RSET would be content and is not said.
    fn is_fit(&self) -> bool {
        self.refusals < REFUSALS_MAX && self.connection.is_fit()
    }

    fn is_alive(&mut self) -> bool {
        self.connection.is_alive()
    }

    fn move_here(&mut self) -> io::Result<()> {
        self.connection.move_here()
    }

    fn leave(self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.connection.leave()
    }
}

const DOES_NOT_LOOK: &str = "this server does not look; list another source for the domain";

fn told(asked: &AskedHost, stage: Stage, reply: &HeardReply) -> Trouble {
    let status = reply.status.map(|s| format!(" {}.{}.{}", reply.code / 100, s.subject, s.detail));
    let status = status.unwrap_or_default();
    let what = format!(
        "{}: said {}{status} {} to {}",
        asked.host.name,
        reply.code,
        reply.text,
        stage.word()
    );
    let (kind, remedy) = match (stage, reply.code) {
        (_, 421 | 452) => (TroubleKind::Busy, ""),
        (_, 252) => (TroubleKind::Unexpected, DOES_NOT_LOOK),
        // Not "unexpected": it may yet accept, so it shows nothing of whom it refuses.
        (_, 400..500) => (
            TroubleKind::Busy,
            "where the server greylists or limits clients, exempt this relay from it",
        ),
        (Stage::Mail, _) => (
            TroubleKind::Misconfigured,
            "the server must take mail from this relay with one of these senders: see `sender`",
        ),
        _ => (
            TroubleKind::Unexpected,
            "exempt this relay from what the server checks of clients and senders",
        ),
    };
    let reply = if stage == Stage::Rcpt { rcpt_reply(reply) } else { None };
    Trouble::new(kind, what).remedy(remedy).at_rcpt(reply)
}
