//! The decoder finds the one true end however the stream is cut; what passes is canonical and
//! is encoded into mail data with exactly one end.

use mail::smtp::content::{ContentDecoder, ContentEncoder, ContentFault, ContentLimits};
use mail::smtp::line::LineEndings;

/// What came of decoding; the content only where there is no fault.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    content: Vec<u8>,
    /// Octets of the stream up to the end of mail data, where there is one.
    end: Option<usize>,
    fault: Option<ContentFault>,
    endless: bool,
    longest_line_octets: u32,
}

/// The option: bit 0 for the line endings, bit 1 for narrow limits. Then the pieces.
pub fn check(bytes: &[u8]) {
    let (option, rest) = crate::option(bytes);
    let (pieces, stream) = crate::pieces(rest);
    let narrow = option & 2 != 0;
    let limits = ContentLimits {
        size_octets_max: if narrow { 40 } else { 1 << 20 },
        line_octets_max: if narrow { 10 } else { 1 << 20 },
        endings: if option & 1 == 0 { LineEndings::Strict } else { LineEndings::Normalized },
    };
    let whole = decode(&[stream], limits);
    assert_eq!(decode(&pieces, limits), whole);
    assert_eq!(decode(&stream.chunks(1).collect::<Vec<_>>(), limits), whole);
    assert_eq!(whole.end, specified_end(stream));
    if whole.fault.is_some() || whole.end.is_none() {
        return;
    }
    assert!(whole.content.len() as u64 <= limits.size_octets_max);
    assert_canonical(&whole.content);
    let wire = encode(&whole.content);
    assert_eq!(specified_end(&wire), Some(wire.len()));
    let limits = ContentLimits { endings: LineEndings::Strict, ..limits };
    let again = decode(&[&wire], limits);
    assert_eq!((again.content, again.fault), (whole.content, None));
}

fn decode(pieces: &[&[u8]], limits: ContentLimits) -> Outcome {
    let mut decoder = ContentDecoder::new(limits);
    let (mut content, mut consumed, mut end) = (Vec::new(), 0, None);
    for piece in pieces {
        let decoded = decoder.decode(piece, &mut |slice| content.extend_from_slice(slice));
        assert!(decoded.end || decoded.consumed == piece.len());
        consumed += decoded.consumed;
        if decoded.end {
            end = Some(consumed);
            break;
        }
    }
    assert_eq!(decoder.octets(), content.len() as u64);
    let fault = decoder.fault();
    let mut longest_line_octets = decoder.longest_line_octets();
    if fault.is_some() || end.is_none() {
        content.clear();
        longest_line_octets = 0;
    }
    Outcome { content, end, fault, endless: decoder.is_endless(), longest_line_octets }
}

/// RFC 5321 §4.1.1.4: the CRLF that ends the DATA command counts.
fn specified_end(stream: &[u8]) -> Option<usize> {
    let with_start = [b"\r\n", stream].concat();
    with_start.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 3)
}

pub(crate) fn assert_canonical(content: &[u8]) {
    for (at, octet) in content.iter().enumerate() {
        match octet {
            b'\r' => assert_eq!(content.get(at + 1), Some(&b'\n'), "bare CR"),
            b'\n' => assert!(at > 0 && content[at - 1] == b'\r', "bare LF"),
            0 => panic!("NUL"),
            _ => {}
        }
    }
    assert!(content.is_empty() || content.ends_with(b"\r\n"));
}

fn encode(content: &[u8]) -> Vec<u8> {
    let mut encoder = ContentEncoder::default();
    let mut wire = Vec::new();
    for slice in content.chunks(3) {
        encoder.encode(slice, |slice| wire.extend_from_slice(slice));
    }
    wire.extend_from_slice(encoder.finish());
    wire
}
