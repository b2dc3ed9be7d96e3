//! The figures of recipient sources and next hops, by the names that the configuration has. A
//! site with thousands of files gets rows for the first of them, and one row for all others.

use super::reports::Reports;
use directory::report::SourceReport;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use relay::belief::class::Class;
use std::fmt;

/// Sources with rows of their own.
const SOURCES_MAX: usize = 100;
/// What stands for the others.
const OTHERS: &str = "(others)";

type Read = Box<dyn Fn() -> Reports + Send>;

/// Where the figures come from.
#[derive(Default)]
pub struct Sources(Option<Read>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

/// One row: what distinguishes it beside the source, and its figure.
type Row<'a> = (Option<(&'static str, &'a str)>, u64);

/// A family of figures: name, help, whether it only grows, its rows.
type Family =
    (&'static str, &'static str, MetricType, for<'a> fn(&'a SourceReport) -> Vec<Row<'a>>);

const COUNTER: MetricType = MetricType::Counter;
const GAUGE: MetricType = MetricType::Gauge;

const NEXT_HOP_CLASS: &str = "What a next hop has shown itself to be";

const FAMILIES: &[Family] = &[
    ("source_asked", "Questions asked of a recipient source", COUNTER, |s| {
        of_live(s, vec![(None, s.asked)])
    }),
    ("source_recalled", "Questions answered from what was remembered of it", COUNTER, |s| {
        of_live(s, vec![(None, s.recalled)])
    }),
    ("source_answers", "Its answers: there is, there is none, not believed", COUNTER, |s| {
        let rows = [("yes", s.yes), ("no", s.no), ("doubted", s.doubted)];
        of_live(s, rows.map(|(word, count)| (Some(("answer", word)), count)).into())
    }),
    ("source_troubles", "Questions that it did not answer, by kind", COUNTER, |s| {
        s.troubles.iter().map(|(kind, count)| (Some(("kind", kind.word())), *count)).collect()
    }),
    ("source_remembered", "Addresses remembered of it: that exist, that do not", GAUGE, |s| {
        let rows = [("yes", s.remembered_yes), ("no", s.remembered_no)];
        of_live(s, rows.map(|(word, count)| (Some(("answer", word)), count)).into())
    }),
    ("source_class", "What it has shown itself to be", GAUGE, |s| {
        s.class.map(|class| (Some(("class", class.word())), 1)).into_iter().collect()
    }),
    ("source_entries", "Addresses and patterns of its list that are in use", GAUGE, |s| {
        s.entries.map(|entries| (None, entries)).into_iter().collect()
    }),
    ("source_held", "Whether its last load waits for a person's word", GAUGE, |s| {
        if s.entries.is_some() { vec![(None, u64::from(s.is_held))] } else { Vec::new() }
    }),
];

/// A list in memory is asked nothing.
fn of_live<'a>(source: &SourceReport, rows: Vec<Row<'a>>) -> Vec<Row<'a>> {
    if source.entries.is_some() && source.class.is_none() { Vec::new() } else { rows }
}

impl Sources {
    /// Figures that are read at each scrape.
    pub(super) fn read_by(read: impl Fn() -> Reports + Send + 'static) -> Self {
        Self(Some(Box::new(read)))
    }

    /// Writes all families.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(read) = &self.0 else { return Ok(()) };
        let Reports { sources: mut reports, next_hops, .. } = read();
        // A site may have one for each of its thousands of domains: the first of them.
        let mut family =
            encoder.encode_descriptor("next_hop_class", NEXT_HOP_CLASS, None, GAUGE)?;
        for report in next_hops.iter().take(SOURCES_MAX) {
            let labels = [
                ("next_hop", report.name.as_str()),
                ("class", report.class.map_or("", Class::word)),
            ];
            ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
        }
        let others = reports.split_off(reports.len().min(SOURCES_MAX));
        for (name, help, kind, rows_of) in FAMILIES {
            let mut family = encoder.encode_descriptor(name, help, None, *kind)?;
            let mut row = |source: &str, (label, figure): Row<'_>| -> Result<(), fmt::Error> {
                let mut labels = vec![("source", source)];
                labels.extend(label);
                let row = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => ConstCounter::new(figure).encode(row),
                    _ => ConstGauge::new(i64::try_from(figure).unwrap_or(i64::MAX)).encode(row),
                }
            };
            for report in &reports {
                for found in rows_of(report) {
                    row(&report.name, found)?;
                }
            }
            for found in added_up(others.iter().flat_map(rows_of)) {
                row(OTHERS, found)?;
            }
        }
        Ok(())
    }
}

/// One row for each label.
fn added_up<'a>(rows: impl Iterator<Item = Row<'a>>) -> Vec<Row<'a>> {
    let mut sums: Vec<Row<'a>> = Vec::new();
    for (label, figure) in rows {
        match sums.iter_mut().find(|(known, _)| *known == label) {
            Some((_, sum)) => *sum += figure,
            None => sums.push((label, figure)),
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::{Format, Metrics};
    use directory::trouble::TroubleKind;
    use std::sync::Arc;

    fn page(sources: Vec<SourceReport>) -> String {
        let metrics = Arc::new(Metrics::default());
        let (name, class) = ("next hop mail".to_owned(), Some(Class::AcceptAll));
        let next_hops = vec![SourceReport { name, class, ..SourceReport::default() }];
        let reports = Reports { sources, next_hops, process_id: None };
        metrics.set_sources(move || reports.clone());
        metrics.page(Format::OpenMetrics)
    }

    #[test]
    fn a_live_source_has_its_answers_troubles_and_class() {
        let page = page(vec![SourceReport {
            name: "ldap ad".into(),
            class: Some(Class::Honest),
            asked: 7,
            yes: 4,
            doubted: 1,
            troubles: [(TroubleKind::Slow, 2)].into(),
            remembered_yes: 3,
            ..SourceReport::default()
        }]);
        for row in [
            "postern_source_asked_total{source=\"ldap ad\"} 7",
            "postern_source_answers_total{source=\"ldap ad\",answer=\"yes\"} 4",
            "postern_source_answers_total{source=\"ldap ad\",answer=\"doubted\"} 1",
            "postern_source_troubles_total{source=\"ldap ad\",kind=\"slow\"} 2",
            "postern_source_remembered{source=\"ldap ad\",answer=\"yes\"} 3",
            "postern_source_class{source=\"ldap ad\",class=\"honest\"} 1",
            "postern_next_hop_class{next_hop=\"next hop mail\",class=\"accept-all\"} 1",
        ] {
            assert!(page.contains(row), "{row}: {page}");
        }
        assert!(!page.contains("source_entries{"), "{page}");
    }

    #[test]
    fn a_list_has_its_entries_and_whether_it_is_held() {
        let page = page(vec![SourceReport {
            name: "file users.txt".into(),
            entries: Some(812),
            is_held: true,
            ..SourceReport::default()
        }]);
        assert!(page.contains("postern_source_entries{source=\"file users.txt\"} 812"), "{page}");
        assert!(page.contains("postern_source_held{source=\"file users.txt\"} 1"), "{page}");
        assert!(!page.contains("source_asked_total{"), "{page}");
    }

    #[test]
    fn thousands_of_sources_make_a_hundred_rows_and_one_for_the_rest() {
        let report = |n| SourceReport {
            name: format!("file {n}"),
            entries: Some(2),
            ..SourceReport::default()
        };
        let page = page((0..5_000).map(report).collect());
        let rows = page.lines().filter(|line| line.starts_with("postern_source_entries{"));
        assert_eq!(rows.count(), SOURCES_MAX + 1);
        assert!(page.contains("postern_source_entries{source=\"(others)\"} 9800"), "{page}");
    }
}
