//! Whether strangers may relay: the relay set, RCPT only, on several connections, each left
//! before it annoys; then what a stranger may claim (XCLIENT, XFORWARD, AUTH=) and a guest login.
//! A message never arises: DATA is not said here.

use super::connection::{Connection, Exchange, Lost, unanswered};
use super::relay_set::{Form, Leads, Names, forms, senders};
use super::report::{Evidence, Finding, Group, RelayCounts, Report, Severity};
use super::{Prober, cut_short};
use std::time::Duration;

/// Servers slow down or hang up after some refusals (Postfix after 10 and 20).
const REFUSALS_PER_CONNECTION_MAX: usize = 8;
/// All connections that the set may use.
const CONNECTIONS_MAX: usize = 80;
/// Connections in a row that brought nothing, before we take the hint.
const FRUITLESS_MAX: usize = 3;
/// A server that takes longer to answer is punishing this connection.
const SLOW: Duration = Duration::from_millis(900);
/// The base64 of NUL "guest" NUL: PLAIN with an empty password (RFC 4616).
const GUEST: &str = "AUTH PLAIN AGd1ZXN0AA==";

/// What happened to the cases.
#[derive(Default)]
struct Tally {
    counts: RelayCounts,
    /// Of the accepted ones, those that lead inward on the face of it.
    accepted_inward: usize,
    elsewhere: Vec<Evidence>,
    inward: Vec<Evidence>,
    refused: Vec<Evidence>,
    temporary: Vec<Evidence>,
}

/// Adds what is found to the report.
pub(super) async fn ask(prober: &Prober, report: &mut Report) {
    claims(prober, report).await;
    guest(prober, report).await;
    let literal = prober.address_literal();
    let greeted_as = prober.greeted_as.clone();
    let local = prober.domain.clone().unwrap_or(greeted_as);
    let names = Names { external: &prober.external, local: &local, literal: &literal };
    let tally = relay_set(prober, &names).await;
    report.relay = tally.counts;
    report.complete &= tally.counts.not_asked == 0;
    let accepts_all = report.verdict("unknown-recipients") == Some("accept-all");
    report.findings.extend(about(prober, tally, accepts_all));
}

async fn relay_set(prober: &Prober, names: &Names<'_>) -> Tally {
    let cases: Vec<(String, Form)> = forms(names)
        .into_iter()
        .flat_map(|form| senders(names).map(|sender| (sender, form.clone())))
        .collect();
    let mut tally = Tally::default();
    let mut line = Line { prober, connection: None, refusals: 0, opened: 0, fruitless: 0 };
    for (n, (sender, form)) in cases.iter().enumerate() {
        prober.say(&format!("relaying, case {} of {}", n + 1, cases.len()));
        match line.try_case(sender, form).await {
            Ok(exchanges) => tally.add(form, &exchanges),
            Err(Lost::OutOfTime) => {
                tally.counts.not_asked += cases.len() - n;
                break;
            }
            Err(_) => tally.counts.not_asked += 1,
        }
    }
    line.leave().await;
    tally
}

impl Tally {
    /// Counts a case by its last answer: RCPT, or MAIL when that was refused.
    fn add(&mut self, form: &Form, exchanges: &[Exchange]) {
        let Some(last) = exchanges.last() else { return };
        let mut evidence = last.evidence();
        let sender = exchanges.first().map_or("", |mail| &mail.sent);
        evidence.sent = format!("{}: {sender} / {}", form.number, last.sent);
        let is_rcpt = exchanges.len() > 1;
        let path = last.sent.clone();
        let accepted = last.is_positive() && is_rcpt;
        self.accepted_inward += usize::from(accepted && form.leads == Leads::Inward);
        let (count, list) = match (accepted, form.leads) {
            (true, Leads::Elsewhere) => (&mut self.counts.accepted, &mut self.elsewhere),
            (true, Leads::Inward) => (&mut self.counts.accepted, &mut self.inward),
            (false, _) if last.is_temporary() => (&mut self.counts.temporary, &mut self.temporary),
            (false, _) => (&mut self.counts.refused, &mut self.refused),
        };
        *count += 1;
        // One sender of the six shows enough.
        if !list.iter().any(|seen| seen.sent.ends_with(&path)) {
            list.push(evidence);
        }
    }
}

/// A connection that is replaced when it is worn out.
struct Line<'a> {
    prober: &'a Prober,
    connection: Option<Connection>,
    refusals: usize,
    opened: usize,
    fruitless: usize,
}

impl Line<'_> {
    /// MAIL and RCPT (behind a valid recipient where the form wants that); a case whose
    /// connection broke is tried once more on a new one.
    async fn try_case(&mut self, sender: &str, form: &Form) -> Result<Vec<Exchange>, Lost> {
        match self.once(sender, form).await {
            Err(Lost::OutOfTime) => Err(Lost::OutOfTime),
            Err(_) => self.once(sender, form).await,
            done => done,
        }
    }

    async fn once(&mut self, sender: &str, form: &Form) -> Result<Vec<Exchange>, Lost> {
        let mut connection = self.take().await?;
        let mut commands = vec![format!("MAIL FROM:<{sender}>")];
        if let Some(existing) = self.prober.existing().filter(|_| form.behind_existing) {
            commands.push(format!("RCPT TO:<{existing}>"));
        }
        commands.push(format!("RCPT TO:<{}>", form.path));
        commands.push("RSET".to_owned());
        let pipelining = self.prober.capabilities.pipelining;
        let asked = connection.ask_all(&commands, pipelining).await;
        let mut exchanges = match asked {
            Ok(exchanges) => exchanges,
            Err(lost) => {
                self.fruitless += 1;
                return Err(lost);
            }
        };
        self.fruitless = 0;
        exchanges.pop();
        self.refusals += exchanges.iter().filter(|e| !e.is_positive()).count();
        let slow = exchanges.iter().any(|e| e.took > SLOW);
        self.connection = Some(connection);
        if slow || self.refusals >= REFUSALS_PER_CONNECTION_MAX {
            self.leave().await;
        }
        // Behind a refused MAIL the refusal of RCPT says nothing.
        let refused = exchanges.first().is_some_and(|mail| !mail.is_positive());
        exchanges.truncate(if refused { 1 } else { exchanges.len() });
        Ok(exchanges)
    }

    async fn take(&mut self) -> Result<Connection, Lost> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        if self.opened >= CONNECTIONS_MAX || self.fruitless >= FRUITLESS_MAX {
            return Err(Lost::OutOfTime);
        }
        self.opened += 1;
        self.refusals = 0;
        let greeted = self.prober.greeted().await;
        self.fruitless += usize::from(greeted.is_err());
        greeted
    }

    async fn leave(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.quit().await;
        }
    }
}

fn about(prober: &Prober, tally: Tally, accepts_all: bool) -> Vec<Finding> {
    let Tally { counts, accepted_inward, elsewhere, inward, refused, temporary } = tally;
    let relays = if prober.trusted { Severity::Notice } else { Severity::Serious };
    let finding =
        |id, severity, verdict, says| Finding::new(id, Group::Relay, severity, verdict, says);
    let mut found = Vec::new();
    let cases = counts.accepted + counts.refused + counts.temporary;
    if !elsewhere.is_empty() {
        let says = format!(
            "It relays: {} of {cases} cases for recipients elsewhere were accepted. It may trust \
             the network of this machine.",
            counts.accepted - accepted_inward
        );
        let advice = "Ask again from outside. If it relays there too, close it at once; if not, \
                      say --trusted.";
        let open = finding("open-relay", relays, "accepts", says);
        found.push(open.advise(advice).shown_by(elsewhere));
    } else if cases == 0 {
        let says = "None of the relay cases was answered.".to_owned();
        found.push(finding("open-relay", Severity::Notice, "no-reply", says));
    } else if refused.is_empty() {
        let says = "It answers 4yz to every relay case: not accepted, but clients try for days.";
        let all = finding("open-relay", Severity::Notice, "temporary", says.to_owned());
        found.push(all.advise("Let it answer 550 or 554.").shown_by(temporary));
    } else {
        let says = format!(
            "It does not relay: {} cases refused, {} answered 4yz.",
            counts.refused, counts.temporary
        );
        let sample = refused.into_iter().take(2).chain(temporary.into_iter().take(2));
        found.push(finding("open-relay", Severity::Ok, "refuses", says).shown_by(sample));
    }
    if !inward.is_empty() {
        found.push(about_inward(inward, accepted_inward, accepts_all, relays));
    }
    if counts.not_asked > 0 {
        let says = format!("{} relay cases were not answered.", counts.not_asked);
        let cut = finding("relay-set", Severity::Notice, "incomplete", says);
        found.push(cut.advise("Give it more time with --timeout, or ask again later."));
    }
    found
}

fn about_inward(
    inward: Vec<Evidence>,
    cases: usize,
    accepts_all: bool,
    relays: Severity,
) -> Finding {
    let id = "routed-recipients";
    let finding = if accepts_all {
        let says = format!(
            "It accepted {cases} cases of addresses that may lead elsewhere (a second address \
             inside, a final dot, a subdomain). As it accepts any local part, whether it expands \
             them cannot be told."
        );
        Finding::new(id, Group::Relay, Severity::Warning, "cannot-tell", says)
    } else {
        let says = format!(
            "It refuses unknown recipients, yet accepted {cases} cases of addresses that may lead \
             elsewhere (a second address inside, a final dot, a subdomain): it probably relays."
        );
        Finding::new(id, Group::Relay, relays, "accepts", says)
    };
    finding.advise("Refuse such addresses from strangers; Postern does.").shown_by(inward)
}

/// R27: a stranger who says who he is, or who somebody else is.
async fn claims(prober: &Prober, report: &mut Report) {
    prober.say("claims of strangers");
    let asked = async {
        let mut connection = prober.greeted().await?;
        let xforward = connection.ask("XFORWARD NAME=localhost ADDR=127.0.0.1").await?;
        let xclient = connection.ask("XCLIENT NAME=localhost ADDR=127.0.0.1").await?;
        connection.quit().await;
        Ok((xforward, xclient))
    };
    let (xforward, xclient) = match asked.await {
        Ok(both) => both,
        Err(lost) => return cut_short("claims", Group::Relay, &lost, report),
    };
    let evidence = [xclient.evidence(), xforward.evidence()];
    let (severity, verdict, says) = if xclient.is_positive() {
        let severity = if prober.trusted { Severity::Notice } else { Severity::Serious };
        (severity, "xclient", "It lets this machine say that it is another (XCLIENT).")
    } else if xforward.is_positive() {
        (Severity::Notice, "xforward", "It lets this machine write into its log (XFORWARD).")
    } else {
        (Severity::Ok, "refused", "XCLIENT and XFORWARD are refused.")
    };
    let finding = Finding::new("claims", Group::Relay, severity, verdict, says);
    let advice = if severity == Severity::Ok { "" } else { "Take them from your own relays only." };
    report.findings.push(finding.advise(advice).shown_by(evidence));
}

/// R28: one login as `guest` without a password, and RCPT behind it, whatever it answered.
async fn guest(prober: &Prober, report: &mut Report) {
    if !prober.capabilities.auth {
        return;
    }
    prober.say("a guest login");
    let rcpt = format!("RCPT TO:<relay-probe@{}>", prober.external);
    let commands = [GUEST.to_owned(), format!("MAIL FROM:<{}>", prober.sender), rcpt];
    let asked = async {
        let mut connection = prober.greeted().await?;
        let exchanges = connection.ask_all(&commands, false).await?;
        connection.quit().await;
        Ok::<_, Lost>(exchanges)
    };
    let id = "guest-login";
    let finding = match asked.await {
        Err(Lost::OutOfTime) => return cut_short(id, Group::Relay, &Lost::OutOfTime, report),
        Err(lost) => {
            Finding::new(id, Group::Relay, Severity::Ok, "refused", "It hangs up on a guest.")
                .shown_by([unanswered(GUEST.as_bytes(), &lost)])
        }
        Ok(exchanges) => {
            let login = exchanges.first().is_some_and(|e| e.reply.code == 235);
            let relays = exchanges.last().is_some_and(Exchange::is_positive);
            about_guest(login, relays && !prober.trusted)
                .shown_by(exchanges.iter().map(Exchange::evidence))
        }
    };
    report.findings.push(finding);
}

fn about_guest(login: bool, relays: bool) -> Finding {
    let finding = |severity, verdict, says: &str| {
        Finding::new("guest-login", Group::Relay, severity, verdict, says)
    };
    if login {
        let says = "A login as `guest` without a password succeeds: strangers may relay.";
        finding(Severity::Serious, "accepted", says).advise("Disable the guest account.")
    } else if relays {
        let says = "It relays behind a login that failed.";
        finding(Severity::Serious, "relays", says).advise("Update it; refuse AUTH from strangers.")
    } else {
        finding(Severity::Ok, "refused", "A guest login is refused.")
    }
}
