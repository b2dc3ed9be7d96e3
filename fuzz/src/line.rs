//! `find_line` says what a naive reading says, and more input never changes what it said.

use mail::smtp::line::{Framed, LineEndings, find_line};

/// The option: bit 0 for the line endings, the rest is the limit.
pub fn check(bytes: &[u8]) {
    let (option, input) = crate::option(bytes);
    let endings = if option & 1 == 0 { LineEndings::Strict } else { LineEndings::Normalized };
    let octets_max = usize::from(option >> 1) + 2;
    let mut said = Framed::Partial;
    for end in 0..=input.len() {
        let found = find_line(&input[..end], octets_max, endings);
        assert_eq!(found, naive(&input[..end], octets_max, endings), "{end} of {input:?}");
        assert!(said == Framed::Partial || said == found, "{said:?}, then {found:?}");
        said = found;
    }
}

fn naive(input: &[u8], octets_max: usize, endings: LineEndings) -> Framed {
    for (at, octet) in input.iter().enumerate() {
        if at >= octets_max {
            return Framed::TooLong;
        }
        match octet {
            b'\n' if endings == LineEndings::Normalized => {
                return Framed::Line { octets: at, consumed: at + 1 };
            }
            b'\n' => return Framed::Bare,
            b'\r' if at + 1 == input.len() => return Framed::Partial,
            b'\r' if input[at + 1] != b'\n' => return Framed::Bare,
            b'\r' if at + 2 > octets_max => return Framed::TooLong,
            b'\r' => return Framed::Line { octets: at, consumed: at + 2 },
            _ => {}
        }
    }
    if input.len() >= octets_max { Framed::TooLong } else { Framed::Partial }
}
