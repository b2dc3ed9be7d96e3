//! Finds the end of a line: the only file that knows CRLF outside of content.
//! RFC 5321 §2.3.8: lines end in CRLF, and CR and LF appear nowhere else.

use memchr::memchr2;

/// A command line with its CRLF, in octets. RFC 5321 §4.5.3.1.4 asks for 512 and extensions add
/// to it; four times that is never needed.
pub const COMMAND_LINE_OCTETS_MAX: usize = 2_048;
/// What is thrown away of an endless line before the session is closed, in octets.
pub const DISCARDED_OCTETS_MAX: usize = 65_536;

/// How a bare CR or LF is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LineEndings {
    /// It is an error: two servers that disagree about it can be made to see different messages.
    #[default]
    Strict,
    /// It is mended, for named networks whose software cannot do better.
    Normalized,
}

/// What stands at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A line of `octets`; with its end it takes `consumed` octets of input.
    Line {
        /// Without the line end.
        octets: usize,
        /// With it.
        consumed: usize,
    },
    /// No line end yet.
    Partial,
    /// The line, as far as it is there, is longer than it may be.
    TooLong,
    /// A CR without LF, or an LF without CR.
    Bare,
}

/// Looks for the first line end in `input`, for a line of at most `octets_max` with its end.
#[must_use]
pub fn find_line(input: &[u8], octets_max: usize, endings: LineEndings) -> Framed {
    let window = &input[..input.len().min(octets_max)];
    let Some(octets) = memchr2(b'\r', b'\n', window) else {
        return if window.len() == octets_max { Framed::TooLong } else { Framed::Partial };
    };
    match (input[octets], input.get(octets + 1)) {
        (b'\r', Some(b'\n')) if octets + 2 > octets_max => Framed::TooLong,
        (b'\r', Some(b'\n')) => Framed::Line { octets, consumed: octets + 2 },
        (b'\r', None) => Framed::Partial,
        (b'\n', _) if endings == LineEndings::Normalized => {
            Framed::Line { octets, consumed: octets + 1 }
        }
        _ => Framed::Bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(input: &[u8]) -> Framed {
        find_line(input, 16, LineEndings::Strict)
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(strict(b"NOOP\r\nQUIT"), Framed::Line { octets: 4, consumed: 6 });
        assert_eq!(strict(b"\r\n"), Framed::Line { octets: 0, consumed: 2 });
        assert_eq!(strict(b"NOOP"), Framed::Partial);
        assert_eq!(strict(b"NOOP\r"), Framed::Partial);
        assert_eq!(strict(b"NOOP\n"), Framed::Bare);
        assert_eq!(strict(b"NOOP\rX"), Framed::Bare);
        assert_eq!(strict(b"NOOP\r\r\n"), Framed::Bare);
    }

    #[test]
    fn a_line_has_a_limit_with_its_end_counted() {
        assert_eq!(strict(b"12345678901234\r\n"), Framed::Line { octets: 14, consumed: 16 });
        assert_eq!(strict(b"123456789012345\r\n"), Framed::TooLong);
        assert_eq!(strict(b"1234567890123456"), Framed::TooLong);
        assert_eq!(strict(b"123456789012345"), Framed::Partial);
    }

    #[test]
    fn a_trusted_network_may_end_lines_with_lf() {
        let framed = find_line(b"NOOP\nQUIT\r\n", 16, LineEndings::Normalized);
        assert_eq!(framed, Framed::Line { octets: 4, consumed: 5 });
    }
}
