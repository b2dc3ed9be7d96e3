//! What `/healthz` says: whether mail passes, and what is the trouble where it does not. `?live`
//! asks only whether the process answers, `?ready` whether it takes connections and has somewhere
//! to send mail; without either every trouble counts.

use super::reports::Reports;
use axum::http::StatusCode;

/// A source is in trouble that was so within as many seconds.
const TROUBLE_SECONDS_MAX: u64 = 60;

/// What is known when it is asked.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// No new connections are taken, since the process ends.
    pub is_draining: bool,
    /// All connections that strangers may have are taken.
    pub is_full: bool,
    /// Next hops none of whose hosts can be reached.
    pub next_hops_down: Vec<String>,
    /// There is a next hop that can be.
    pub has_next_hop: bool,
    /// What sources say of themselves.
    pub reports: Reports,
}

impl Health {
    /// Status and text for this query.
    #[must_use]
    pub fn answer(&self, query: Option<&str>) -> (StatusCode, String) {
        let troubles = match query {
            Some("live") => Vec::new(),
            Some("ready") => self.not_ready(),
            _ => {
                self.not_ready().into_iter().chain(self.next_hops()).chain(self.sources()).collect()
            }
        };
        if troubles.is_empty() {
            return (StatusCode::OK, "ok\n".to_owned());
        }
        (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n")
    }

    fn not_ready(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.is_draining {
            troubles.push("draining".to_owned());
        }
        if self.is_full {
            troubles.push("all connections are taken".to_owned());
        }
        if !self.has_next_hop {
            troubles.push("no next hop can be reached".to_owned());
        }
        troubles
    }

    fn next_hops(&self) -> impl Iterator<Item = String> + '_ {
        self.next_hops_down.iter().map(|name| format!("next hop {name} cannot be reached"))
    }

    fn sources(&self) -> impl Iterator<Item = String> + '_ {
        let is_recent = |age: &u64| *age <= TROUBLE_SECONDS_MAX;
        self.reports.sources.iter().filter_map(move |source| {
            source.last_trouble_age_seconds.as_ref().filter(|age| is_recent(age))?;
            // The detail may name hosts and tables, which are nobody's business here.
            Some(format!("source {} does not answer", source.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use directory::report::SourceReport;

    #[test]
    fn each_query_has_its_troubles() {
        let source = SourceReport {
            name: "ldap ad".into(),
            last_trouble_age_seconds: Some(5),
            ..SourceReport::default()
        };
        let health = Health {
            has_next_hop: true,
            next_hops_down: vec!["10.0.0.5:25".into()],
            reports: Reports { sources: vec![source], ..Reports::default() },
            ..Health::default()
        };
        let (status, text) = health.answer(None);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            text,
            "next hop 10.0.0.5:25 cannot be reached\nsource ldap ad does not answer\n"
        );
        assert_eq!(health.answer(Some("ready")).0, StatusCode::OK);
        let ending = Health { is_draining: true, ..health };
        assert_eq!(ending.answer(Some("ready")).1, "draining\n");
        assert_eq!(ending.answer(Some("live")), (StatusCode::OK, "ok\n".into()));
    }
}
