//! The story and the closing table, for 80 columns; colour only on a terminal. Every number is
//! one that was counted.

use super::figures::{Figures, Report};
use super::stream::people::DOMAIN;
use indicatif::HumanCount;
use std::fmt::Write as _;

/// Columns of the label and of each number.
const LABEL: usize = 44;
const NUMBER: usize = 16;

/// How text is made to stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// The reader is a terminal.
    pub colour: bool,
}

impl Paint {
    fn on(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What is told before the first half.
#[must_use]
pub fn before_without(messages: u64, paint: Paint) -> String {
    format!(
        "\n  {title}\n\n\
         \x20 The mail server of {DOMAIN} is an old one. It cannot say no: it takes mail\n\
         \x20 for every name, looks for the mailbox later, and when there is none it\n\
         \x20 writes a non-delivery report (NDR) to whoever the sender seems to be.\n\
         \x20 Now {messages} messages come in. Most are from a worm that forges senders and\n\
         \x20 guesses names; some use the server to bomb a third person with NDRs; one\n\
         \x20 sender collects addresses. Among them is real mail from customers, and a\n\
         \x20 few of these mistype an address.\n\n",
        title = paint.on("1", "1. Without Postern"),
        messages = grouped(messages),
    )
}

/// What is told between the halves: what came of the first, and what the second will be.
#[must_use]
pub fn between(without: &Figures, paint: Paint) -> String {
    format!(
        "  {ndrs} NDRs went out, {astray} of them to people who had sent nothing.\n\n\
         \x20 {title}\n\n\
         \x20 The same messages once more, in the same order. The old server is not\n\
         \x20 changed. In front of it stands Postern, with ten lines of configuration\n\
         \x20 and the list of users. It refuses unknown names while the sender is still\n\
         \x20 on the line, so there is nothing to report later; and whoever guesses too\n\
         \x20 many names soon hears the same for all of them.\n\n",
        ndrs = grouped(without.ndrs_sent),
        astray = grouped(without.ndrs_to_innocents),
        title = paint.on("1", "2. With Postern"),
    )
}

/// The table.
#[must_use]
pub fn table(report: &Report, paint: Paint) -> String {
    let (without, with) = (&report.without, &report.with);
    let mut out = String::new();
    let head = format!("  {:LABEL$}{:>NUMBER$}{:>NUMBER$}", "", "without Postern", "with Postern");
    let rule = format!("  {}", "-".repeat(LABEL + 2 * NUMBER));
    let _ = writeln!(out, "{}\n{rule}", paint.on("1", &head));
    let mut row = |label: &str, show: &dyn Fn(&Figures) -> String, good: bool| {
        let text = format!("{:>NUMBER$}", show(with));
        let text = if good { paint.on("32", &text) } else { text };
        let _ = writeln!(out, "  {label:LABEL$}{:>NUMBER$}{text}", show(without));
    };
    let all_there = with.real_mail_delivered == with.real_mail_sent;
    row(
        "Real mail delivered, copies",
        &|f| format!("{} of {}", grouped(f.real_mail_delivered), grouped(f.real_mail_sent)),
        all_there,
    );
    row(
        "Unknown recipients accepted",
        &|f| grouped(f.unknown_recipients_accepted),
        with.unknown_recipients_accepted == 0,
    );
    row(
        "Worm messages accepted by the server",
        &|f| format!("{} of {}", grouped(f.worm_messages_accepted), grouped(f.worm_messages_sent)),
        false,
    );
    row("NDRs sent", &|f| grouped(f.ndrs_sent), with.ndrs_sent == 0);
    row(
        "  to people who had sent nothing",
        &|f| grouped(f.ndrs_to_innocents),
        with.ndrs_to_innocents == 0,
    );
    row("  that is, different people", &|f| grouped(f.innocents_hit), with.innocents_hit == 0);
    row("Traffic in", &|f| octets(f.octets_in), false);
    row("Traffic out", &|f| octets(f.octets_out), false);
    row(
        "Names that the harvester learned, of tried",
        &|f| format!("{} of {}", grouped(f.names_learned), grouped(f.names_tried)),
        false,
    );
    let _ = writeln!(out, "{rule}");
    out.push_str(&mistyped(report));
    out.push_str(&verdict(report, paint));
    out
}

fn mistyped(report: &Report) -> String {
    let mut out = String::from("  Who mistyped an address was told\n");
    for (name, figures) in [("without", &report.without), ("with", &report.with)] {
        let told = &figures.mistyped;
        let wait = told.milliseconds.map_or_else(|| "?".to_owned(), seconds);
        let text = match (&told.reply, told.ndr_number) {
            (_, Some(number)) => format!(
                "after {wait} of flood, by NDR number {} of {}",
                grouped(number),
                grouped(figures.ndrs_sent)
            ),
            (Some(reply), None) => {
                let reply = reply.split(" (id ").next().unwrap_or(reply);
                format!("in the session, by their own server, after {wait}:\n{:13}\"{reply}\"", "")
            }
            (None, None) => "nothing".to_owned(),
        };
        let _ = writeln!(out, "    {:8} {text}", format!("{name}:"));
    }
    out
}

fn verdict(report: &Report, paint: Paint) -> String {
    let with = &report.with;
    let mut out = String::new();
    if with.worm_messages_accepted > 0 {
        let _ = write!(
            out,
            "\n  The worm messages that came through were addressed to people who exist: this\n\
             \x20 build of Postern looks at recipients, not into attachments.\n"
        );
    }
    let kept = if report.promise_kept {
        paint.on("1;32", "No unknown recipient taken, nobody bothered, no real mail lost.")
    } else {
        paint.on("1;31", "The promise was not kept; the log says why.")
    };
    let again = match with.retries {
        0 => "none had to wait".to_owned(),
        1 => "once".to_owned(),
        n => format!("{} times", grouped(n)),
    };
    let _ = write!(
        out,
        "\n  {kept}\n\n\
         \x20 It took {:.1} s and {:.1} s. Real mail servers try again when told to come\n\
         \x20 later; only their waiting is compressed. In the second half {again}.\n",
        report.without.seconds, with.seconds
    );
    out
}

/// `3127` → `3,127`.
fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

fn octets(number: u64) -> String {
    match number {
        0..10_000 => format!("{} B", grouped(number)),
        10_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        _ => format!("{:.1} MB", number as f64 / 1e6),
    }
}

fn seconds(milliseconds: f64) -> String {
    if milliseconds < 1_000.0 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{:.1} s", milliseconds / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::figures::Told;

    fn figures() -> Figures {
        Figures {
            real_mail_sent: 12_345,
            real_mail_delivered: 12_345,
            unknown_recipients_accepted: 1_234_567,
            recipients_refused: 1,
            deferred: 1,
            retries: 9_999,
            worm_messages_sent: 12_345,
            worm_messages_accepted: 12_345,
            ndrs_sent: 1_234_567,
            ndrs_to_innocents: 1_234_567,
            innocents_hit: 1_234_567,
            domains_hit: 1,
            octets_in: 12_345_678_901,
            octets_out: 9_999,
            names_tried: 1_000,
            names_learned: 123,
            mistyped: Told {
                ndr_number: Some(1_234_567),
                milliseconds: Some(123_456.0),
                ..Told::default()
            },
            seconds: 123.4,
        }
    }

    fn report() -> Report {
        let mut with = figures();
        with.mistyped = Told {
            reply: Some("550 5.1.1 no such mailbox here (id 0000000000000.1)".into()),
            milliseconds: Some(3.2),
            ..Told::default()
        };
        let without = figures();
        Report { schema: 1, seed: 1, messages: 123_456, promise_kept: true, without, with }
    }

    #[test]
    fn nothing_is_wider_than_80_columns_and_all_of_it_is_plain() {
        let paint = Paint { colour: false };
        let text =
            [before_without(123_456, paint), between(&figures(), paint), table(&report(), paint)]
                .concat();
        for line in text.lines() {
            assert!(line.len() <= 80, "{} {line}", line.len());
            assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
        }
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let plain = table(&report(), Paint { colour: false });
        let mut coloured = table(&report(), Paint { colour: true });
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[1;32m"] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, plain);
    }

    #[test]
    fn what_the_person_who_mistyped_was_told_is_quoted() {
        let text = table(&report(), Paint { colour: false });
        assert!(text.contains("\"550 5.1.1 no such mailbox here\""), "{text}");
        assert!(text.contains("NDR number 1,234,567 of 1,234,567"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
