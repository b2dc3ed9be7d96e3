//! Asks the next hop, or another host, by SMTP whether it would take mail for an address: MAIL,
//! RCPT, and DATA for those that answer only there; never content. Only a refusal that can mean
//! nothing but the recipient is an answer in the negative (`reply`).
//! Limits: several sources for one host have its limits each.

mod banner;
mod host;
mod line;
mod pace;
mod question;
mod reply;
pub mod settings;
mod turn;

pub use settings::{Settings, Until};

use super::list::DomainScope;
use super::live::memory::Lifetimes;
use super::live::remembered;
use super::live::{Asking, Behaviour, Existence, LiveSource, Tried, Trouble, TroubleKind};
use super::trials::Trials;
use super::{Environment, Opened};
use banner::Banners;
use host::{AskedHost, NullPath};
use line::{Line, Lost, Stage, Words};
use mail::address::{Domain, ForwardPath, Host, LocalPart, Mailbox, ReversePath};
use mail::smtp::introduction::Introduction;
use question::Known;
use relay::belief::budget::Trier;
use relay::turns::Party;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use turn::Trial;
use wire::dial::settings::{Bounds, DialSettings};
use wire::lock::lock;
use wire::pool::{Lease, Slot};
use wire::tls::client::TrustError;

/// How long a server that knew its canary is believed to know people, in milliseconds: of the
/// questions that it stands a second, one in a hundred is for that.
const VOUCH_MILLISECONDS: u32 = 5_000;

/// Transactions on one connection. Postfix hangs up after a hundred commands that carry no mail.
const TRANSACTIONS_MAX: u32 = 50;

/// Hosts that are asked about recipients.
pub struct Callout {
    name: Arc<str>,
    settings: Settings,
    dial: Arc<DialSettings>,
    /// Who asks where `<>` is refused.
    sender: ReversePath,
    hosts: Vec<Arc<AskedHost>>,
    banners: Mutex<Banners>,
    epoch: AtomicU64,
    /// It has refused a recipient behind DATA.
    is_late: AtomicBool,
    /// Its number among those who try hosts.
    number: u64,
}

impl Callout {
    /// Asks nobody yet. `hostname` is our name in EHLO; `trials` are shared by all who ask a host.
    /// # Errors
    /// When the authorities that are believed cannot be loaded.
    pub fn open(
        settings: &Settings,
        hostname: &Domain,
        trials: &Trials,
    ) -> Result<Arc<Self>, TrustError> {
        let bounds = Bounds {
            connect_max: settings.connect_max,
            greeting_max: settings.question_max,
            messages_max: TRANSACTIONS_MAX,
        };
        let dial = DialSettings::new(hostname, &settings.tls, Introduction::None, bounds)?;
        let asked = |host| {
            let (at_once, a_second) = (settings.concurrency_max, settings.questions_per_second_max);
            Arc::new(AskedHost::new(host, at_once, a_second, trials.budget(host)))
        };
        Ok(Arc::new(Self {
            name: format!("callout {}", settings.name).into(),
            dial: Arc::new(dial),
            sender: sender(settings, hostname),
            hosts: settings.hosts.iter().map(asked).collect(),
            banners: Mutex::default(),
            epoch: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            number: trials.source(),
            settings: settings.clone(),
        }))
    }

    /// Asks as far as DATA, whatever is set: shows of an address that was accepted at RCPT
    /// whether it is refused there.
    pub fn ask_until_data(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence> {
        Box::pin(async move {
            let party = Party::NAMELESS;
            existence_of(
                self.ask_all(ForwardPath::Mailbox(mailbox), Until::Data, party, None).await,
            )
        })
    }

    /// The hosts in their order, each with its share of the time that is left, so that one that
    /// is silent does not hide those behind it.
    async fn ask_all(
        &self,
        recipient: ForwardPath,
        until: Until,
        party: Party,
        trier: Option<Trier>,
    ) -> Result<Tried, Trouble> {
        let end = Instant::now() + self.settings.question_max;
        let mut first: Option<Trouble> = None;
        for (place, left) in (0..self.hosts.len()).zip((1..=self.hosts.len() as u32).rev()) {
            let now = Instant::now();
            let deadline = now + end.saturating_duration_since(now) / left;
            let words = Words { recipient: &recipient, until, deadline, party };
            let mut trial = match trier.map(|trier| Trial::begin(&self.hosts[place], trier)) {
                Some(None) => return Ok(Tried::NotYet),
                trial => trial.flatten(),
            };
            match self.ask_one(place, &words, trial.as_mut()).await {
                Ok(Known::Exists) => return Ok(Tried::Said(Existence::Exists { target: None })),
                Ok(Known::Unknown(stage)) => {
                    self.is_late.fetch_or(stage == Stage::Data, Relaxed);
                    return Ok(Tried::Said(Existence::Unknown));
                }
                Ok(Known::Nothing(trouble)) | Err(trouble) => {
                    first = Some(match first {
                        None => trouble,
                        Some(first) => both(first, &trouble),
                    });
                }
            }
        }
        Err(first.unwrap_or_else(|| Trouble::new(TroubleKind::Misconfigured, "no hosts")))
    }

    /// One host. A connection that was used before may have died unseen: then once more on a new
    /// one.
    async fn ask_one(
        &self,
        place: usize,
        words: &Words<'_>,
        mut trial: Option<&mut Trial<'_>>,
    ) -> Result<Known, Trouble> {
        let asked = &self.hosts[place];
        let mut slot = asked.slot(words.party, words.deadline).await?;
        loop {
            let mut lease = self.lease(place, slot, words.deadline).await?;
            let was_used = lease.rested.is_some();
            let begun = Instant::now();
            trial.iter_mut().for_each(|trial| trial.sent());
            match question::ask(lease.connection(), asked, &self.sender, words).await {
                Ok(known) => {
                    trial.iter_mut().for_each(|trial| trial.answered(&known));
                    asked.succeeded(lease.connection());
                    lease.give_back();
                    return Ok(known);
                }
                Err(Lost { hung_up: true, .. }) if was_used => slot = lease.discard(),
                Err(Lost { trouble, .. }) => {
                    asked.failed(begun);
                    return Err(trouble);
                }
            }
        }
    }

    async fn lease(
        &self,
        place: usize,
        slot: Slot<Line>,
        deadline: Instant,
    ) -> Result<Lease<Line>, Trouble> {
        let asked = &self.hosts[place];
        let slot = match slot.reuse() {
            Ok(lease) => return Ok(lease),
            Err(slot) => slot,
        };
        let mut lease = asked.connect(slot, &self.dial, deadline).await?;
        let greeting = lease.connection().connection.session().greeting();
        let now = Instant::now().into_std();
        if lock(&self.banners).note(place, greeting, now) {
            // Whatever was found out of the behaviour was another's.
            asked.note_null_path(NullPath::Unseen);
            self.is_late.store(false, Relaxed);
            self.epoch.fetch_add(1, Relaxed);
        }
        Ok(lease)
    }

    async fn try_all(&self) -> Result<String, Trouble> {
        let mut found = Vec::new();
        for place in 0..self.hosts.len() {
            found.push(self.try_one(place).await?);
        }
        Ok(found.join("; "))
    }

    /// Asks for `<Postmaster>`, whom every server must take (RFC 5321 §4.5.1): so MAIL is judged
    /// also by servers that put its refusal off until RCPT.
    async fn try_one(&self, place: usize) -> Result<String, Trouble> {
        let asked = &self.hosts[place];
        let deadline = Instant::now() + self.settings.question_max;
        let recipient = ForwardPath::Postmaster;
        let party = Party::NAMELESS;
        let words = Words { recipient: &recipient, until: Until::Rcpt, deadline, party };
        let slot = asked.slot(party, deadline).await?;
        let mut lease = self.lease(place, slot, deadline).await?;
        let line = lease.connection();
        let greeting = line.connection.session().greeting().to_owned();
        let tls = if line.connection.is_encrypted() { "under TLS" } else { "in the clear" };
        let asking = question::ask(line, asked, &self.sender, &words).await;
        let known = asking.map_err(|lost| lost.trouble)?;
        asked.succeeded(line);
        lease.give_back();
        let name = &asked.host.name;
        match (known, asked.null_path()) {
            (Known::Nothing(trouble), _) if trouble.kind == TroubleKind::Misconfigured => {
                Err(trouble)
            }
            (_, NullPath::Refused) => {
                let sender = &self.sender;
                Ok(format!("{name} greets as \"{greeting}\", {tls}, refuses <>, takes <{sender}>"))
            }
            _ => Ok(format!("{name} greets as \"{greeting}\", {tls}, takes <>")),
        }
    }
}

impl LiveSource for Callout {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn fingerprint(&self) -> String {
        let Settings { hosts, until, sender, .. } = &self.settings;
        format!("callout {hosts:?} {until:?} {sender:?}")
    }

    fn ask(self: Arc<Self>, mailbox: Mailbox) -> Asking<Existence> {
        self.ask_for(mailbox, Party::NAMELESS)
    }

    fn ask_for(self: Arc<Self>, mailbox: Mailbox, party: Party) -> Asking<Existence> {
        Box::pin(async move {
            let until = self.settings.until;
            existence_of(self.ask_all(ForwardPath::Mailbox(mailbox), until, party, None).await)
        })
    }

    fn ask_for_nobody(self: Arc<Self>, nobody: Mailbox) -> Asking<Tried> {
        Box::pin(async move {
            let trier = turn::trier(self.number, nobody.host.domain());
            let (recipient, until) = (ForwardPath::Mailbox(nobody), self.settings.until);
            self.ask_all(recipient, until, Party::NAMELESS, Some(trier)).await
        })
    }

    fn question_max(&self) -> Duration {
        self.settings.question_max
    }

    fn try_out(self: Arc<Self>) -> Asking<String> {
        Box::pin(async move { self.try_all().await })
    }

    fn ask_late(self: Arc<Self>, mailbox: Mailbox) -> Option<Asking<Existence>> {
        (self.settings.until == Until::Rcpt).then(|| self.ask_until_data(mailbox))
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour {
            is_late: self.is_late.load(Relaxed),
            refuses_null: self.hosts.iter().any(|host| host.null_path() == NullPath::Refused),
            tarpits: self.hosts.iter().any(|host| host.tarpits()),
        }
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }
}

/// Opens it for the domains that list it.
#[must_use]
pub fn open(
    settings: &Settings,
    domains: &[DomainScope],
    environment: &Environment,
) -> Option<Opened> {
    let lifetimes = Lifetimes {
        positive_seconds: settings.positive_seconds,
        negative_seconds: settings.negative_seconds,
        vouch_milliseconds: VOUCH_MILLISECONDS,
    };
    let name = format!("callout {}", settings.name);
    remembered::open(
        Callout::open(settings, &environment.hostname, &environment.trials),
        &name,
        lifetimes,
        domains,
        environment,
    )
}

/// Who needs no turn is always asked.
fn existence_of(tried: Result<Tried, Trouble>) -> Result<Existence, Trouble> {
    match tried? {
        Tried::Said(existence) => Ok(existence),
        Tried::NotYet => Err(Trouble::new(TroubleKind::Busy, "it is another's turn")),
    }
}

/// The sender that is set, else our postmaster, who can always be written to.
fn sender(settings: &Settings, hostname: &Domain) -> ReversePath {
    let set = settings.sender.as_deref().and_then(|sender| Mailbox::parse(sender).ok());
    let ours = || {
        let local_part = LocalPart::new("postmaster").ok()?;
        Some(Mailbox { local_part, host: Host::Domain(hostname.clone()) })
    };
    set.or_else(ours).map_or(ReversePath::Null, ReversePath::Mailbox)
}

/// What the first host in trouble said counts, and the others' is told with it.
fn both(mut first: Trouble, next: &Trouble) -> Trouble {
    first.what = format!("{first}; {next}");
    first.source = None;
    first.at_rcpt = first.at_rcpt.or(next.at_rcpt);
    first
}
