//! What a probe found: findings with their evidence, grouped. The JSON form of [`Report`] is a
//! promise to scripts; `probe::json` documents it. Printing for people is in `print.rs`.

use serde::Serialize;

/// Grows when a field or a word of the JSON form changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Notice,
    /// Should be changed.
    Warning,
    /// Harms others or lets others harm you.
    Serious,
}

/// The parts of a report, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Connecting, EHLO and what is offered.
    Greeting,
    /// What happens to unknown recipients.
    Recipients,
    /// Whether strangers may relay.
    Relay,
    /// Order, line ends and lengths of commands.
    Protocol,
    /// STARTTLS.
    Tls,
    /// The end of mail data.
    Content,
}

impl Group {
    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Greeting => "Greeting",
            Self::Recipients => "Unknown recipients",
            Self::Relay => "Relaying",
            Self::Protocol => "Protocol",
            Self::Tls => "TLS",
            Self::Content => "Content",
        }
    }
}

/// A command and what came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What was sent, controls escaped; empty for the greeting.
    pub sent: String,
    /// The reply, or in brackets why there was none.
    pub heard: String,
    /// From the last octet sent to the last octet heard.
    pub milliseconds: u64,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name.
    pub id: &'static str,
    /// The part of the report.
    pub group: Group,
    /// How bad.
    pub severity: Severity,
    /// A stable word for the outcome.
    pub verdict: &'static str,
    /// The same for people.
    pub says: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
    /// At most [`EVIDENCE_MAX`] exchanges that show it.
    pub evidence: Vec<Evidence>,
}

/// The most exchanges that one finding quotes.
pub const EVIDENCE_MAX: usize = 8;

impl Finding {
    /// A finding without advice and evidence.
    #[must_use]
    pub fn new(
        id: &'static str,
        group: Group,
        severity: Severity,
        verdict: &'static str,
        says: impl Into<String>,
    ) -> Self {
        let says = says.into();
        Self { id, group, severity, verdict, says, advice: String::new(), evidence: Vec::new() }
    }

    /// Something that was not looked at, and what it would take.
    #[must_use]
    pub fn not_tested(id: &'static str, group: Group, why: impl Into<String>) -> Self {
        Self::new(id, group, Severity::Ok, "not-tested", why)
    }

    /// With what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// With evidence, as far as it is quoted.
    #[must_use]
    pub fn shown_by(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self.evidence.truncate(EVIDENCE_MAX);
        self
    }
}

/// The relay set in numbers of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelayCounts {
    /// 5yz at MAIL or RCPT.
    pub refused: usize,
    /// 2yz at RCPT.
    pub accepted: usize,
    /// 4yz at MAIL or RCPT.
    pub temporary: usize,
    /// No reply, or no time.
    pub not_asked: usize,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// As asked for.
    pub server: String,
    /// Where the server is.
    pub address: String,
    /// Where we are: servers trust some networks.
    pub probed_from: String,
    /// When the probe began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    /// False when time ran out or the server went away before every question was asked.
    pub complete: bool,
    /// A guess from the greeting.
    pub software: Option<&'static str>,
    /// The lines of the EHLO reply after the first.
    pub extensions: Vec<String>,
    /// The verdict of the finding `unknown-recipients`.
    pub recipients: &'static str,
    /// The relay set.
    pub relay: RelayCounts,
    /// The severity of the worst finding.
    pub worst: Severity,
    /// By group, worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Sorts the findings and sums them up.
    pub fn conclude(&mut self) {
        self.findings.sort_by_key(|f| (f.group, std::cmp::Reverse(f.severity)));
        self.worst = self.findings.iter().map(|f| f.severity).max().unwrap_or(Severity::Ok);
        self.recipients = self.verdict("unknown-recipients").unwrap_or("not-tested");
    }

    /// The verdict of the finding with this id.
    #[must_use]
    pub fn verdict(&self, id: &str) -> Option<&'static str> {
        self.findings.iter().find(|f| f.id == id).map(|f| f.verdict)
    }
}
