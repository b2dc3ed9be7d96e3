//! Whether the next hop can be asked who exists: a recipient that nobody has is offered to it as a
//! call-out does, at RCPT and then behind DATA; no content is sent. What follows for the
//! configuration is left to `sources.rs`.

use super::answers::Answers;
use directory::callout::{Callout, Settings};
use directory::live::{Existence, LiveSource, Trouble, TroubleKind};
use directory::trials::Trials;
use mail::address::{Domain, Host, LocalPart, Mailbox};
use std::sync::Arc;
use wire::server::NextHopHost;

/// What the next hop does with a recipient that nobody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Refuses it at RCPT.
    Honest,
    /// Takes it at RCPT and refuses it behind DATA.
    Late,
    /// Takes it.
    AcceptsAll,
    /// It would not say, and why.
    Unclear(String),
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Canary {
    pub(super) manner: Manner,
    /// It takes no mail from the null reverse-path.
    pub(super) refuses_null: bool,
}

/// Asks the next hop. Ends by the deadlines of `[[callout]]`.
pub(super) async fn ask(answers: &Answers) -> Canary {
    let (callout, recipient) = match (callout(answers), recipient(answers)) {
        (Ok(callout), Some(recipient)) => (callout, recipient),
        (Err(why), _) => return unclear(why),
        (_, None) => return unclear("no recipient could be made up".to_owned()),
    };
    let manner = match manner(&callout, recipient).await {
        Ok(manner) => manner,
        Err(trouble) => Manner::Unclear(trouble.to_string()),
    };
    Canary { manner, refuses_null: callout.behaviour().refuses_null }
}

async fn manner(callout: &Arc<Callout>, recipient: Mailbox) -> Result<Manner, Trouble> {
    // Asked first for somebody who must be there, it shows whether it takes `<>`.
    Arc::clone(callout).try_out().await?;
    if Arc::clone(callout).ask(recipient.clone()).await? == Existence::Unknown {
        return Ok(Manner::Honest);
    }
    let late = Arc::clone(callout)
        .ask_late(recipient)
        .ok_or_else(|| Trouble::new(TroubleKind::Unexpected, "it was not asked as far as DATA"))?;
    Ok(match late.await? {
        Existence::Unknown => Manner::Late,
        Existence::Exists { .. } => Manner::AcceptsAll,
    })
}

fn unclear(why: String) -> Canary {
    Canary { manner: Manner::Unclear(why), refuses_null: false }
}

fn callout(answers: &Answers) -> Result<Arc<Callout>, String> {
    let hostname = Domain::from_unicode(&answers.hostname).map_err(|error| error.to_string())?;
    let settings = Settings::of_hosts(vec![NextHopHost {
        host: answers.next_hop_host().to_owned(),
        port: answers.next_hop_port(),
    }]);
    Callout::open(&settings, &hostname, &Trials::default()).map_err(|error| error.to_string())
}

/// Somebody whom nobody has, since nobody can guess it.
fn recipient(answers: &Answers) -> Option<Mailbox> {
    let letters = getrandom::u64().ok()?;
    let local_part = LocalPart::new(&format!("q{letters:016x}")).ok()?;
    let host = Host::Domain(Domain::from_unicode(&answers.domain).ok()?);
    Some(Mailbox { local_part, host })
}

impl Canary {
    /// What was seen, for a person.
    pub(super) fn in_words(&self) -> String {
        let mut text = match &self.manner {
            Manner::Honest => {
                "  It refuses a recipient that nobody has: it can be asked who exists.\n".to_owned()
            }
            Manner::Late => "  It takes a recipient that nobody has at RCPT and refuses behind \
                             DATA: it can be asked as far as that, without any content.\n"
                .to_owned(),
            Manner::AcceptsAll => {
                "  It takes recipients that nobody has, at RCPT and behind DATA: \
                                   it cannot say who exists, and is not asked.\n  With Postern \
                                   before it, they are refused at RCPT.\n"
                    .to_owned()
            }
            // It may quote the server, whom no terminal is to obey.
            Manner::Unclear(why) => format!(
                "  It could not be asked who exists: {}.\n",
                why.replace(char::is_control, " ")
            ),
        };
        if self.refuses_null && !matches!(self.manner, Manner::Unclear(_)) {
            text.push_str(
                "  It refuses the null reverse-path, <>, which all servers must take (RFC 5321 \
                 §4.5.5); asked\n  in the name of our postmaster it answers, so that works.\n",
            );
        }
        text
    }
}
