//! Whether a reply is the expected one. Live servers differ in names and ids, so the meaning
//! (code and enhanced status) is compared unless the whole text is asked for.

/// One reply as its lines, without line ends.
pub type ReplyLines = Vec<String>;

/// Whether `got` is what `expected` says. Of a reply of several lines only the code is compared,
/// since what is in them (EHLO) is a matter of settings; `exact` compares every line whole.
#[must_use]
pub fn is_expected(expected: &[String], got: &[String], exact: bool) -> bool {
    if exact {
        return expected == got;
    }
    let (Some(first), Some(heard)) = (expected.first(), got.first()) else { return false };
    if code(first).is_none() || code(first) != code(heard) {
        return false;
    }
    let several = expected.len() > 1 || got.len() > 1;
    several || status(first).is_none() || status(first) == status(heard)
}

/// Whether another line of the same reply follows this one (RFC 5321 §4.2.1).
#[must_use]
pub fn is_continued(line: &str) -> bool {
    line.as_bytes().get(3) == Some(&b'-')
}

/// The three digits at the front.
fn code(line: &str) -> Option<&str> {
    line.get(..3).filter(|c| c.bytes().all(|b| b.is_ascii_digit()))
}

/// `class.subject.detail` behind the code (RFC 2034 §4).
fn status(line: &str) -> Option<&str> {
    let word = line.get(4..)?.split(' ').next()?;
    let numbers =
        word.split('.').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    (numbers.count() == 3 && word.matches('.').count() == 2).then_some(word)
}

/// Expected and got beside each other, in two columns of at most `width` characters.
#[must_use]
pub fn side_by_side(expected: &[String], got: &[String], width: usize) -> Vec<String> {
    let row =
        |left: &str, right: &str| format!("{:<width$} | {}", cut(left, width), cut(right, width));
    let mut rows = vec![row("expected", "got"), row(&"-".repeat(width), &"-".repeat(width))];
    for n in 0..expected.len().max(got.len()) {
        let text = |lines: &[String]| lines.get(n).cloned().unwrap_or_default();
        rows.push(row(&text(expected), &text(got)));
    }
    rows
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['>']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> ReplyLines {
        text.lines().map(str::to_owned).collect()
    }

    fn meaning(expected: &str, got: &str) -> bool {
        is_expected(&lines(expected), &lines(got), false)
    }

    #[test]
    fn code_and_status_count_and_the_text_does_not() {
        assert!(meaning("250 2.1.5 ok", "250 2.1.5 Recipient fine (id 7)"));
        assert!(meaning("220 mx.example.com ESMTP", "220 other.test hello"));
        assert!(meaning("250 ok", "250 2.0.0 ok"));
        assert!(!meaning("550 5.1.1 no", "550 5.7.1 no"));
        assert!(!meaning("550 5.1.1 no", "550 no"));
        assert!(!meaning("250 2.1.5 ok", "550 2.1.5 ok"));
        assert!(!meaning("hello", "hello"));
        assert!(!meaning("250 ok", ""));
    }

    #[test]
    fn of_several_lines_only_the_code_counts_unless_exactly() {
        let expected = lines("250-mx\n250-PIPELINING\n250 SIZE 5");
        let got = lines("250-other\n250 DSN");
        assert!(is_expected(&expected, &got, false));
        assert!(!is_expected(&expected, &got, true));
        assert!(is_expected(&expected, &expected, true));
    }

    #[test]
    fn columns_are_cut_to_their_width() {
        let rows = side_by_side(&lines("250 a long reply"), &lines("550 no\n5"), 10);
        assert_eq!(rows[2], "250 a lon> | 550 no");
        assert_eq!(rows[3], "           | 5");
    }
}
