//! The report for people: grouped, worst first, evidence only where something is to be seen.
//! Colours only on a terminal, and there no control characters of the server's.

use super::report::{Evidence, Finding, Report, Severity};
use std::io::{self, Write};

/// Where lines are broken, in characters.
const WIDTH: usize = 96;
/// What is shown of the evidence, in exchanges; the JSON form has more.
const EXCHANGES_SHOWN_MAX: usize = 5;
const INDENT: &str = "           ";

/// Prints a report; `pretty` for a terminal.
/// # Errors
/// When `out` fails.
pub fn print(report: &Report, out: &mut impl Write, pretty: bool) -> io::Result<()> {
    let Report { server, address, probed_from, seconds, .. } = report;
    let at = if server == address { String::new() } else { format!(" ({address})") };
    writeln!(out, "{server}{at} as seen from {probed_from}, {seconds:.1} s")?;
    if let Some(software) = report.software {
        writeln!(out, "By its greeting it is {software}.")?;
    }
    let mut group = None;
    for finding in &report.findings {
        if group != Some(finding.group) {
            group = Some(finding.group);
            writeln!(out, "\n{}", finding.group.title())?;
        }
        print_finding(finding, out, pretty)?;
    }
    let relay = report.relay;
    writeln!(
        out,
        "\nRelay cases: {} refused, {} accepted, {} temporary, {} not asked.",
        relay.refused, relay.accepted, relay.temporary, relay.not_asked
    )?;
    let count = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    writeln!(
        out,
        "In sum: {} serious, {} warnings, {} notices. Unknown recipients: {}.{}",
        count(Severity::Serious),
        count(Severity::Warning),
        count(Severity::Notice),
        report.recipients,
        if report.complete { "" } else { " Not every question was answered." }
    )
}

fn print_finding(finding: &Finding, out: &mut impl Write, pretty: bool) -> io::Result<()> {
    let (word, colour) = match finding.severity {
        Severity::Ok if finding.verdict == "not-tested" => ("-", "2"),
        Severity::Ok => ("ok", "32"),
        Severity::Notice => ("notice", "36"),
        Severity::Warning => ("warning", "33"),
        Severity::Serious => ("SERIOUS", "1;31"),
    };
    let mark = format!("{word:<8}");
    let mark = if pretty { format!("\u{1b}[{colour}m{mark}\u{1b}[0m") } else { mark };
    let text = format!("{}: {}", finding.verdict, finding.says);
    let mut lines = wrapped(&text, WIDTH - INDENT.len()).into_iter();
    writeln!(out, "  {mark} {}", lines.next().unwrap_or_default())?;
    for line in lines {
        writeln!(out, "{INDENT}{line}")?;
    }
    if finding.severity == Severity::Ok {
        return Ok(());
    }
    for evidence in finding.evidence.iter().take(EXCHANGES_SHOWN_MAX) {
        print_evidence(evidence, out)?;
    }
    if finding.evidence.len() > EXCHANGES_SHOWN_MAX {
        writeln!(out, "{INDENT}  … more with --json")?;
    }
    for (n, line) in wrapped(&finding.advice, WIDTH - INDENT.len() - 3).iter().enumerate() {
        writeln!(out, "{INDENT}{} {line}", if n == 0 { "->" } else { "  " })?;
    }
    Ok(())
}

fn print_evidence(evidence: &Evidence, out: &mut impl Write) -> io::Result<()> {
    if !evidence.sent.is_empty() {
        writeln!(out, "{INDENT}  C: {}", evidence.sent)?;
    }
    let slow = match evidence.milliseconds {
        0..500 => String::new(),
        n => format!("   [{:.1} s]", n as f64 / 1_000.0),
    };
    writeln!(out, "{INDENT}  S: {}{slow}", evidence.heard)
}

/// Breaks text between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", 7), ["incomprehensible"]);
        assert!(wrapped("", 7).is_empty());
    }
}
