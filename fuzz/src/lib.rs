//! What must hold for every input, one module for each fuzz target: `check(bytes)` panics where
//! it does not. `fuzz_targets/` calls these under libFuzzer, `tests/replay.rs` on a stable
//! compiler with the corpus and seeded mutations of it.
#![forbid(unsafe_code)]

pub mod address;
pub mod client_session;
pub mod command;
pub mod content;
pub mod line;
pub mod reply;
pub mod server_session;

/// A target's name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("line", line::check),
    ("content", content::check),
    ("command", command::check),
    ("address", address::check),
    ("reply", reply::check),
    ("server_session", server_session::check),
    ("client_session", client_session::check),
];

/// The first octet of an input is an option; an empty input has the option 0.
fn option(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(option, rest)| (*option, rest))
}

/// The next octet of an input says how many lengths follow it; what is left is cut into pieces
/// of these lengths and a last one.
fn pieces(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (count, rest) = option(bytes);
    let (lengths, stream) = rest.split_at(rest.len().min(usize::from(count % 16)));
    let mut pieces = Vec::new();
    let mut left = stream;
    for length in lengths {
        let (piece, rest) = left.split_at(left.len().min(usize::from(*length)));
        pieces.push(piece);
        left = rest;
    }
    pieces.push(left);
    pieces.retain(|piece| !piece.is_empty());
    (pieces, stream)
}

/// RFC 5321 §4.5.3.1.5 and RFC 2034: what we say is printable, short, and of one class.
fn check_reply(reply: &mail::smtp::reply::Reply) {
    let mut wire = Vec::new();
    reply.write_to(&mut wire);
    let wire = String::from_utf8(wire).expect("a reply is ASCII");
    for line in wire.strip_suffix("\r\n").expect("a reply ends in CRLF").split("\r\n") {
        assert!(line.len() <= 510, "{} octets", line.len());
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line:?}");
        assert_eq!(line[..3].parse(), Ok(reply.code()), "{line:?}");
    }
    if let Some((class, _, _)) = reply.enhanced() {
        assert_eq!(class, reply.code() / 100);
        assert!(matches!(class, 2 | 4 | 5), "{wire:?}");
    }
}
