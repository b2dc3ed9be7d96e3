//! Facts on demand: `judge` walks the rules of a stage; a rule that reaches for a fact that
//! nobody has looked up yet says so, the edge fetches it, and `judge` runs again. Rules are
//! pure, so running again is free, and each need is fetched at most once.

pub mod facts;
pub mod rules;
pub mod verdict;
mod words;

use crate::settings::Settings;
use facts::{Facts, Need};
use verdict::Refusal;

/// The moments at which we are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A client connected.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// The content is complete.
    Content,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Connect, Self::Hello, Self::Mail, Self::Recipient, Self::Content];

    /// As it is written in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Mail => "mail",
            Self::Recipient => "recipient",
            Self::Content => "content",
        }
    }
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its file's name: the name in log, metrics and `explain`.
    pub name: &'static str,
    /// One sentence for the operator.
    pub help: &'static str,
    /// The rule itself.
    pub run: fn(&Facts<'_>, &Settings) -> Ruling,
    /// What it looked at, in words, once it has run; for `explain`.
    pub looked_at: fn(&Facts<'_>, &Settings) -> String,
}

/// What a rule comes to: no objection, a refusal, or a fact that somebody must look up.
pub type Ruling = Result<Option<Refusal>, Need>;

/// The first refusal wins; rules stand cheapest first. `ran` hears what each rule came to, once
/// it has all the facts that it asks for.
/// # Errors
/// The first fact that is missing.
pub fn judge(
    stage: Stage,
    facts: &Facts<'_>,
    settings: &Settings,
    ran: impl FnMut(&'static Rule, Option<&Refusal>),
) -> Result<Option<(&'static str, Refusal)>, Need> {
    judge_from(&mut 0, stage, facts, settings, ran)
}

/// As [`judge`], from the rule `at` on. Where a fact is missing, `at` is the rule that reached for
/// it: those above it have had all that they need, and none of it changes while a question is open.
/// # Errors
/// The first fact that is missing.
pub fn judge_from(
    at: &mut usize,
    stage: Stage,
    facts: &Facts<'_>,
    settings: &Settings,
    mut ran: impl FnMut(&'static Rule, Option<&Refusal>),
) -> Result<Option<(&'static str, Refusal)>, Need> {
    for rule in rules::at(stage).iter().skip(*at) {
        let refusal = (rule.run)(facts, settings)?;
        ran(rule, refusal.as_ref());
        if let Some(refusal) = refusal {
            return Ok(Some((rule.name, refusal)));
        }
        *at += 1;
    }
    Ok(None)
}
