//! From what was written to what is used. Each part reports what is wrong with it and goes on, so
//! that one run finds everything; nothing is returned unless nothing is wrong.

mod domain;
mod listener;
mod network;
mod next_hop;
mod process;
pub(crate) mod sources;
mod tls;

use super::built::{Config, ListedSource, listed};
use super::limits;
use super::tables::TopTable;
use relay::settings::Settings;
use settings::file;
use settings::mistake::{Mistake, Mistakes, Report};
use settings::process::Listener;
use settings::table::context::{LoadContext, absolute};
use settings::table::value::all;
use sources::{Described, SourceTables};
use std::path::Path;
use std::sync::Arc;

pub(super) fn build(
    written: &TopTable,
    described: Vec<Described>,
    path: &Path,
    mut context: LoadContext,
    contents: impl FnMut(&ListedSource<'_>, Look) -> Vec<Mistake>,
) -> Result<Config, Mistakes> {
    let drop_to = process::drop_to(written, &mut context);
    context.becomes.clone_from(&drop_to);
    let hostname = written.hostname.as_ref().and_then(|name| process::hostname(name, &mut context));
    let tls = written.tls.as_ref().and_then(|tls| tls::tls(tls, &mut context));
    let listeners = listener::listeners(written, &mut context);
    let networks = network::networks(all(&written.network), &mut context);
    let mut hops = next_hop::NextHops::named(all(&written.next_hop), &mut context);
    let mut tables = SourceTables::read(described, &mut context);
    let domains = domain::domains(all(&written.domain), &mut hops, &mut tables, &mut context);
    tables.check(&mut context);
    hops.check(all(&written.next_hop), hostname.as_ref(), &listeners, &mut context);
    tables.check_circles(hostname.as_ref(), &listeners, &mut context);
    let log = process::log(&written.log, &mut context);
    let metrics =
        written.metrics.as_ref().and_then(|m| process::metrics(m, &listeners, &mut context));
    let dns = process::dns(&written.dns, &mut context);
    let state_dir = written.state_dir.as_ref().and_then(|dir| file::directory(dir, &mut context));
    limits::check(&written.limits, &written.harvest, &mut context);
    hops.check_times(all(&written.next_hop), &written.limits.final_reply_seconds_max, &mut context);
    check_contents(&domains, contents, &mut context.report);

    // A name is missing only after that was reported.
    let Some(hostname) = hostname else { return Err(context.report.into_mistakes()) };
    let settings = Settings {
        hostname,
        domains: domains.names,
        domain: domains.settings,
        limits: written.limits.filled(&mut context),
        harvest: written.harvest.filled(),
        rates: written.rates.filled(),
        require_reverse_name: *written.dns.require_reverse_name,
    };
    Ok(Config {
        warnings: context.report.finish()?,
        path: absolute(path),
        settings: Arc::new(settings),
        listeners: listeners.into_iter().map(|(listener, _)| listener).collect(),
        tls,
        networks,
        next_hops: hops.list,
        domains: domains.sources,
        log,
        metrics,
        dns,
        state_dir,
        drop_to,
        starts_without_sources: *written.start_without_sources,
    })
}

/// How a source is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Into the file that it is.
    Inside,
    /// At what it must ask elsewhere; only once nothing else is wrong.
    Elsewhere,
}

/// What is wrong inside of recipient files joins the other mistakes here.
fn check_contents(
    domains: &domain::Domains,
    mut contents: impl FnMut(&ListedSource<'_>, Look) -> Vec<Mistake>,
    report: &mut Report,
) {
    let listed = listed(&domains.settings, &domains.sources);
    for look in [Look::Inside, Look::Elsewhere] {
        if look == Look::Inside || report.is_clean() {
            let found: Vec<Mistake> = listed.iter().flat_map(|l| contents(l, look)).collect();
            for mistake in found {
                if mistake.is_warning() { report.warn(mistake) } else { report.refuse(mistake) }
            }
        }
    }
}

/// A listener and where its address stands.
type Placed = (Listener, std::ops::Range<usize>);
