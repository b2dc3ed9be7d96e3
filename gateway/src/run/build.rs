//! Makes something that serves of a configuration: directory, next hops, certificate. On reload
//! the new one takes the place of the old one whole, or not at all.

use super::backing::Backing;
use super::service::{Change, Ending, Service, Staged};
use super::{Running, StartError};
use crate::config::Look;
use crate::config::built::{Config, ListedSource};
use crate::next_hop::meter::Meter;
use crate::next_hop::{Hops, pool::NextHop};
use crate::observe::Observer;
use crate::state::{ActiveConfig, State};
use directory::assembly::{self, Opened, OpenedDirectory, contents};
use directory::watch::{INTERVAL, Watcher};
use directory::{RecipientList, RecipientSource};
use relay::event::ProcessEvent;
use settings::mistake::Mistakes;
use std::path::Path;
use std::sync::{Arc, Mutex};
use wire::dns::Resolver;
use wire::lock::lock;
use wire::tls::server::Certificate;

/// A configuration that is ready, and what keeps it fresh.
pub struct Assembled {
    /// What sessions use.
    pub active: ActiveConfig,
    /// What watches files for it.
    pub watched: Watched,
    /// Why recipient sources that were opened just now are not to be relied on.
    pub doubts: Vec<String>,
}

/// What goes on at a reload.
#[derive(Clone, Copy, Default)]
pub struct Before<'a> {
    /// Sources that may be used again.
    pub sources: &'a [Opened],
    /// What is known of next hops.
    pub meter: Option<&'a Meter>,
}

/// Threads that notice changes; they end when this is dropped.
pub struct Watched {
    _recipients: Option<Watcher>,
    sources: Vec<Opened>,
    _certificate: Option<CertificateWatch>,
    certificate: Option<Arc<Certificate>>,
}

impl Watched {
    /// Each source once, in the order of the configuration.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<dyn RecipientSource>> {
        self.sources.iter().map(|opened| Arc::clone(&opened.source)).collect()
    }

    /// Asks for the sources of what is in force; nothing once the process is about to end. It keeps
    /// nothing alive.
    pub fn asked(
        watched: &Arc<Mutex<Self>>,
    ) -> impl Fn() -> Option<Vec<Arc<dyn RecipientSource>>> + Send + Sync + 'static {
        let watched = Arc::downgrade(watched);
        move || Some(lock(&*watched.upgrade()?).sources())
    }

    /// Ends the loads of sources that do not go on.
    fn retire_all_but(&self, staying: &[Opened]) {
        let stays = |mine: &&Opened| staying.iter().any(|o| Arc::ptr_eq(&o.source, &mine.source));
        let gone = self.sources.iter().filter(|mine| !stays(mine));
        gone.filter_map(|mine| mine.source.list()).for_each(RecipientList::retire);
    }
}

/// Opens everything that the configuration names; sources that were opened for the same go on.
/// # Errors
/// When a certificate or authorities cannot be loaded. Recipient sources that fail are merely
/// unavailable.
pub fn assemble(
    config: Config,
    observer: &Observer,
    backing: &Backing,
    before: Before<'_>,
) -> Result<Assembled, StartError> {
    let tls = |what: &Path, why: String| StartError::Tls { what: what.display().to_string(), why };
    let certificate = match &config.tls {
        Some(files) => Some(
            Certificate::load(files.clone()).map_err(|e| tls(&files.certificate, e.to_string()))?,
        ),
        None => None,
    };
    let end = certificate.as_ref().and_then(|certificate| certificate.ends());
    observer.metrics.set_certificate_end(end.unwrap_or(0));
    let server_config = certificate.as_ref().map(|c| c.server_config()).transpose();
    let server_config = server_config.map_err(|e| tls(Path::new("TLS"), e.to_string()))?;
    let asks_dns = config.settings.require_reverse_name;
    let dns = asks_dns.then(|| Resolver::new(&config.dns.servers)).transpose()?.map(Arc::new);
    let mut hops = Vec::new();
    for settings in &config.next_hops {
        let hop = NextHop::new(settings, &config.settings.hostname, observer);
        let name = settings.name.as_deref().unwrap_or("next hop");
        hops.push(hop.map_err(|e| tls(Path::new(name), e.to_string()))?);
    }
    let environment = backing.environment(&config);
    let OpenedDirectory { directory, sources, outcomes, doubts } =
        assembly::open_after(&config.recipients(), &environment, before.sources);
    outcomes.iter().for_each(|outcome| observer.tell_load(outcome));
    let told = observer.clone();
    let watched = sources.iter().map(|opened| Arc::clone(&opened.source)).collect();
    let recipients = Watcher::start(watched, INTERVAL, move |outcome| told.tell_load(&outcome))?;
    let watch =
        certificate.clone().map(|c| CertificateWatch::start(c, observer.clone())).transpose()?;
    let domains = &config.settings.domain;
    let meter = Meter::start(&config.next_hops, domains, &environment, before.meter);
    let (directory, hops) = (Arc::new(directory), Hops(hops));
    let active = ActiveConfig { config, directory, hops, meter, dns, tls: server_config };
    let recipients = Some(recipients);
    let watched = Watched { _recipients: recipients, sources, _certificate: watch, certificate };
    Ok(Assembled { active, watched, doubts })
}

/// Loads a configuration and reads its recipient files, for `check`. To serve mail the latter
/// need not be right: a source that fails is unavailable, and the last good list goes on.
/// # Errors
/// All mistakes.
pub fn load(path: &Path) -> Result<Config, Mistakes> {
    let read = |listed: &ListedSource<'_>, look| match look {
        Look::Inside => contents::read(listed).0,
        Look::Elsewhere => Vec::new(),
    };
    Config::load_with(path, read)
}

/// Recipient sources, next hops and the certificate, as a service.
pub struct SourceService {
    state: Arc<State>,
    watched: Arc<Mutex<Watched>>,
    backing: Arc<Backing>,
}

impl SourceService {
    /// Of what was assembled.
    #[must_use]
    pub fn new(state: &Arc<State>, watched: &Arc<Mutex<Watched>>, backing: &Arc<Backing>) -> Self {
        let (state, watched) = (Arc::clone(state), Arc::clone(watched));
        Self { state, watched, backing: Arc::clone(backing) }
    }
}

impl Service for SourceService {
    fn reload(&self, change: &Change<'_>) -> Result<Staged, String> {
        let staying = lock(&self.watched).sources.clone();
        let known = Before { sources: &staying, meter: Some(&change.before.meter) };
        let assembled = assemble(change.config.clone(), &self.state.observer, &self.backing, known);
        let assembled = assembled.map_err(|error| error.to_string())?;
        let doubts = assembled.doubts.join("\n");
        let candidate = Candidate { assembled: Some(assembled), staying };
        if !doubts.is_empty() {
            return Err(doubts);
        }
        let (state, watched) = (Arc::clone(&self.state), Arc::clone(&self.watched));
        Ok(Staged::with(move || candidate.adopt(&state, &watched)))
    }

    fn stop(self: Box<Self>, _: &mut Ending) {
        // The watchers end with what they watch for.
        drop(self);
    }
}

/// What may take the place of what is in force; its own sources go when it does not.
struct Candidate {
    assembled: Option<Assembled>,
    staying: Vec<Opened>,
}

impl Candidate {
    fn adopt(mut self, state: &State, watched: &Mutex<Watched>) {
        let Some(assembled) = self.assembled.take() else { return };
        let old = state.active.load_full();
        assembled.active.hops.recall(&old.hops);
        state.active.store(Arc::new(assembled.active));
        old.hops.0.iter().for_each(|hop| hop.retire());
        let retired = std::mem::replace(&mut *lock(watched), assembled.watched);
        retired.retire_all_but(&lock(watched).sources);
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(refused) = &self.assembled {
            refused.watched.retire_all_but(&self.staying);
        }
    }
}

impl Watched {
    /// Reads the certificate again now, rather than when its files are seen to have changed.
    pub fn reload_certificate(&self, observer: &Observer) {
        if let Some(certificate) = &self.certificate {
            tell_certificate(certificate, observer);
        }
    }
}

/// Notices that the certificate's files have changed.
struct CertificateWatch {
    stop: Option<std::sync::mpsc::Sender<()>>,
}

impl CertificateWatch {
    fn start(certificate: Arc<Certificate>, observer: Observer) -> std::io::Result<Self> {
        let (stop, stopped) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("certificate".into()).spawn(move || {
            let mut seen = certificate.written_at();
            while stopped.recv_timeout(INTERVAL) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                let now = certificate.written_at();
                if now != seen && now.is_some() {
                    seen = now;
                    tell_certificate(&certificate, &observer);
                }
            }
        })?;
        Ok(Self { stop: Some(stop) })
    }
}

impl Drop for CertificateWatch {
    fn drop(&mut self) {
        self.stop = None;
    }
}

fn tell_certificate(certificate: &Certificate, observer: &Observer) {
    match certificate.reload() {
        Ok(()) => {
            observer.metrics.set_certificate_end(certificate.ends().unwrap_or(0));
            observer.tell(ProcessEvent::CertificateReloaded, "", "in use for new handshakes");
        }
        Err(error) => observer.tell(ProcessEvent::CertificateRefused, "", &error.to_string()),
    }
}

impl Running {
    /// Reads the certificate again.
    pub fn reload_certificate(&self) {
        lock(&self.watched).reload_certificate(&self.state.observer);
    }
}
