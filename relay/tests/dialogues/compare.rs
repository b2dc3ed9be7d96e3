//! What was expected beside what happened; and the file as it would be if that were right.

use super::script::{Line, Script};

const COLUMN_CHARACTERS: usize = 62;

/// Two columns; rows that differ are marked.
pub fn side_by_side(expected: &[String], actual: &[String]) -> String {
    let mut text = String::new();
    let (mut at, mut got) = (0, 0);
    let common = common(expected, actual);
    let mut row = |mark: char, left: &str, right: &str| {
        let left: String = left.chars().take(COLUMN_CHARACTERS).collect();
        text.push_str(&format!("  {mark} {left:COLUMN_CHARACTERS$} | {right}\n"));
    };
    for (n, m) in common.into_iter().chain([(expected.len(), actual.len())]) {
        while at < n || got < m {
            let left = if at < n { expected[at].as_str() } else { "" };
            let right = if got < m { actual[got].as_str() } else { "" };
            row('!', left, right);
            at += usize::from(at < n);
            got += usize::from(got < m);
        }
        if n < expected.len() {
            row(' ', &expected[n], &actual[m]);
        }
        (at, got) = (n + 1, m + 1);
    }
    text
}

/// The longest common subsequence, as pairs of positions.
fn common(a: &[String], b: &[String]) -> Vec<(usize, usize)> {
    let mut longest = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// The file with its outputs replaced by what happened. Between two inputs the outputs stand
/// where they stood while their number is the same, else in front of events and comments (in the
/// first gap behind them).
/// `None` when an input was never reached.
pub fn blessed(script: &Script, actual: &[(bool, String)], events: &[String]) -> Option<String> {
    let mut text = String::new();
    let mut got = actual.iter().peekable();
    let mut events = events.iter();
    let mut at = 0;
    while at <= script.lines.len() {
        let rest = &script.lines[at..];
        let gap = rest.iter().position(|line| matches!(line, Line::Input(_))).unwrap_or(rest.len());
        let written = &script.written[at..at + gap];
        let mut outputs: Vec<&String> = Vec::new();
        while let Some((false, line)) = got.peek() {
            outputs.push(line);
            got.next();
        }
        let old = rest[..gap].iter().filter(|line| matches!(line, Line::Output(_))).count();
        let in_place = old == outputs.len();
        let mut outputs = outputs.into_iter();
        if !in_place && at > 0 {
            outputs.by_ref().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        for (line, written) in rest[..gap].iter().zip(written) {
            match line {
                Line::Output(_) => {
                    outputs.next().into_iter().for_each(|l| text.push_str(&format!("{l}\n")));
                }
                Line::Event(..) => text.push_str(&format!("{}\n", events.next()?)),
                _ => text.push_str(&format!("{written}\n")),
            }
        }
        outputs.for_each(|line| text.push_str(&format!("{line}\n")));
        if gap < rest.len() {
            got.next_if(|(input, _)| *input)?;
            text.push_str(&format!("{}\n", script.written[at + gap]));
        }
        at += gap + 1;
    }
    got.next().is_none().then_some(text)
}
