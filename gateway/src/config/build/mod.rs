//! From what was written to what is used. Each part reports what is wrong with it and goes on, so
//! that one run finds everything; nothing is returned unless nothing is wrong.

pub(crate) mod address;
mod domain;
pub(crate) mod file;
mod listener;
mod network;
mod next_hop;
mod process;
mod rights;
pub(crate) mod sources;
pub(crate) mod tls_keys;

use super::built::{Config, DropTo, ListedSource, Listener, listed};
use super::keys::default_number;
use super::limits;
use super::mistake::{Mistake, Mistakes, Report};
use super::written::{Text, Written};
use relay::settings::Settings;
use serde_spanned::Spanned;
use sources::{Described, SourceTables};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What every part needs: where to report, and where relative paths begin.
pub(crate) struct Site {
    report: Report,
    directory: PathBuf,
    /// Who uses all that is read again once the listeners are open.
    becomes: Option<DropTo>,
}

impl Site {
    /// A path as it is shown to the operator: relative to the configuration file.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.directory.join(written)
    }

    pub(crate) fn refuse(&mut self, mistake: Mistake) {
        self.report.refuse(mistake);
    }

    pub(crate) fn warn(&mut self, mistake: Mistake) {
        self.report.warn(mistake);
    }
}

/// A mistake about one value.
pub(crate) fn at<T>(
    key: &str,
    value: &Spanned<T>,
    message: impl Into<String>,
    label: &str,
) -> Mistake {
    Mistake::new(message).key(key).at(value.span(), label)
}

/// A path that a change of the working directory does not change.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

pub(super) fn build(
    written: &Written,
    described: Vec<Described<'_>>,
    path: &Path,
    report: Report,
    contents: impl FnMut(&ListedSource<'_>, Look) -> Vec<Mistake>,
) -> Result<Config, Mistakes> {
    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut site = Site { report, directory, becomes: None };
    let drop_to = process::drop_to(written, &mut site);
    site.becomes.clone_from(&drop_to);
    let hostname = written.hostname.as_ref().and_then(|name| process::hostname(name, &mut site));
    let tls = written.tls.as_ref().and_then(|tls| file::tls(tls, &mut site));
    let listeners = listener::listeners(written, &mut site);
    let networks = network::networks(&written.network, &mut site);
    let mut hops = next_hop::NextHops::named(&written.next_hop, &mut site);
    let mut tables = SourceTables::read(described, &mut site);
    let domains = domain::domains(&written.domain, &mut hops, &mut tables, &mut site);
    tables.check(&mut site);
    hops.check(&written.next_hop, hostname.as_ref(), &listeners, &mut site);
    tables.check_circles(hostname.as_ref(), &listeners, &mut site);
    let log = process::log(&written.log, &mut site);
    let metrics = written.metrics.as_ref().and_then(|m| process::metrics(m, &listeners, &mut site));
    let state_dir = written.state_dir.as_ref().and_then(|dir| file::directory(dir, &mut site));
    let filled = limits::fill(&written.limits, &written.harvest, &written.rates, &mut site.report);
    hops.check_times(
        &written.next_hop,
        &written.limits,
        filled.limits.final_reply_seconds_max,
        &mut site,
    );
    check_contents(&domains, contents, &mut site.report);

    // A name is missing only after that was reported.
    let Some(hostname) = hostname else { return Err(site.report.into_mistakes()) };
    let settings = Settings {
        hostname,
        domains: domains.names,
        domain: domains.settings,
        limits: filled.limits,
        harvest: filled.harvest,
        rates: filled.rates,
    };
    Ok(Config {
        warnings: site.report.finish()?,
        path: absolute(path),
        settings: Arc::new(settings),
        listeners: listeners.into_iter().map(|(listener, _)| listener).collect(),
        tls,
        networks,
        next_hops: hops.list,
        domains: domains.sources,
        log,
        metrics,
        state_dir,
        drop_to,
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
            found.into_iter().for_each(|mistake| report.refuse(mistake));
        }
    }
}

/// A listener and where its address stands.
type Placed = (Listener, std::ops::Range<usize>);

/// The first text, or the one that holds when none is written.
pub(crate) fn word<'a>(written: Option<&'a Text>, default: &'a str) -> &'a str {
    written.map_or(default, |text| text.get_ref())
}

/// A number, or the default that the table of keys has for it.
pub(crate) fn number(table: &str, name: &str, written: Option<&Spanned<i64>>) -> u32 {
    let number = written.and_then(|number| u64::try_from(*number.get_ref()).ok());
    // The shape has checked the bounds, all of which are within 32 bits for such keys.
    let number = number.unwrap_or_else(|| default_number(table, name));
    u32::try_from(number).unwrap_or(u32::MAX)
}
