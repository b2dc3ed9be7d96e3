//! The truth meter: what each next hop has shown itself to be. Once an hour it is asked by SMTP
//! for an address that nobody has; what it says to that is its class. `learned` believes only
//! honest ones, and administrators see here whether their server can say no.

use directory::Environment;
use directory::callout::{Callout, Settings};
use directory::live::TroubleKind;
use directory::live::class::Class;
use directory::live::trust::{Trust, Unbelieved};
use directory::report::SourceReport;
use mail::address::Domain;
use relay::event::ProcessEvent;
use relay::settings::{DomainSettings, NextHopId};
use std::sync::{Arc, Weak};
use std::time::Duration;
use wire::server::NextHop;

/// So long after the start nobody is asked: a process that is started again and again should not
/// call as often.
const FIRST: Duration = Duration::from_secs(10);
/// How often it is looked whether somebody is to be asked again.
const INTERVAL: Duration = Duration::from_secs(60);

/// One next hop.
struct Row {
    settings: NextHop,
    domain: Domain,
    trust: Arc<Trust>,
}

/// The classes of all next hops, in their order.
#[derive(Default)]
pub struct Meter {
    rows: Vec<Option<Row>>,
}

impl Meter {
    /// Begins to ask those that may be asked, where there is a background. What is known of a
    /// next hop that is still the same stays known.
    #[must_use]
    pub fn start(
        next_hops: &[NextHop],
        domains: &[DomainSettings],
        environment: &Environment,
        before: Option<&Self>,
    ) -> Arc<Self> {
        let row = |(n, settings): (usize, &NextHop)| {
            let domain = domains.iter().find(|domain| domain.next_hop.0 as usize == n)?;
            let known = before.into_iter().flat_map(|meter| meter.rows.iter().flatten());
            let same = |row: &&Row| row.settings == *settings && row.domain == domain.name;
            let trust = match known.into_iter().find(same) {
                Some(row) => Arc::clone(&row.trust),
                None => trust_of(settings, &domain.name, environment)?,
            };
            Some(Row { settings: settings.clone(), domain: domain.name.clone(), trust })
        };
        let rows = next_hops.iter().enumerate().map(row).collect();
        let meter = Arc::new(Self { rows });
        if let Some(background) = &environment.background {
            background.spawn(look_after(Arc::downgrade(&meter)));
        }
        meter
    }

    /// What a next hop has shown itself to be.
    #[must_use]
    pub fn class(&self, id: NextHopId) -> Class {
        let row = self.rows.get(id.0 as usize).and_then(Option::as_ref);
        row.map_or(Class::Unproven, |row| row.trust.class().0)
    }

    /// All of them.
    #[must_use]
    pub fn reports(&self) -> Vec<SourceReport> {
        let report = |row: &Row| {
            let (class, why) = row.trust.class();
            let (name, class) = (row.trust.name().to_string(), Some(class));
            SourceReport { name, class, why, ..SourceReport::default() }
        };
        self.rows.iter().flatten().map(report).collect()
    }
}

fn trust_of(settings: &NextHop, domain: &Domain, environment: &Environment) -> Option<Arc<Trust>> {
    let asked = Settings::of_next_hop(settings);
    let name: Arc<str> = format!("next hop {}", asked.name).into();
    let live = match Callout::open(&asked, &environment.hostname, &environment.trials) {
        Ok(live) => live,
        Err(error) => {
            (environment.tell)(ProcessEvent::NextHopUnmeasured, &name, &error.to_string());
            return None;
        }
    };
    let tell = Arc::clone(&environment.tell);
    let trust = Trust::new(live, [(domain.clone(), None)], 0, tell);
    Some(Arc::new(trust.named(name, ProcessEvent::NextHopClassChanged)))
}

/// Asks whoever is due, until the meter is dropped.
async fn look_after(meter: Weak<Meter>) {
    tokio::time::sleep(FIRST).await;
    loop {
        let Some(here) = meter.upgrade() else { return };
        let rows = here.rows.iter().flatten().map(|row| &row.trust);
        let due: Vec<Arc<Trust>> = rows.filter(|trust| trust.is_test_due(0)).cloned().collect();
        drop(here);
        for trust in due {
            // Something odd is no silence.
            if let Err(Unbelieved::Untested(trouble)) = trust.examine(0).await
                && trouble.kind != TroubleKind::Unexpected
            {
                trust.troubled(&trouble);
            }
            trust.tell_gathered();
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
