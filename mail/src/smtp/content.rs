//! Mail data: the one decoder and the one encoder. RFC 5321 §4.1.1.4, §4.5.2.
//! Only CRLF.CRLF ends data, and between decoder and encoder there is nothing but lines that end
//! in CRLF; so what we send has exactly one end, whatever we were sent.

use super::line::LineEndings;
use memchr::{memchr3, memmem};

/// Why the content cannot be accepted. Reading goes on to the true end, so that the client hears
/// the refusal; nothing more is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentFault {
    /// A CR without LF or an LF without CR: what smuggling is made of.
    BareLineEnding,
    /// A NUL.
    Nul,
    /// A line beyond the limit.
    LineTooLong,
    /// More octets than the limit.
    TooBig,
}

/// The limits of one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// All of it, in octets after transparency is undone.
    pub size_octets_max: u64,
    /// One line without its end, in octets.
    pub line_octets_max: u32,
    /// How bare line endings are met.
    pub endings: LineEndings,
}

/// Where the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    LineStart,
    Line,
    /// Behind a CR that has not been emitted.
    Cr,
    /// Behind a dot at the start of a line, which is never emitted (RFC 5321 §4.5.2).
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
}

/// What a call of [`ContentDecoder::decode`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Octets of input that are done with: all of it, unless the end was reached.
    pub consumed: usize,
    /// The end of mail data was reached; what follows in the input is the next command.
    pub end: bool,
}

/// Undoes transparency and finds the end, whatever the pieces the stream comes in.
#[derive(Clone, Debug)]
pub struct ContentDecoder {
    limits: ContentLimits,
    position: Position,
    fault: Option<ContentFault>,
    octets: u64,
    /// Octets of mail data seen, as they came.
    data_octets: u64,
    line_octets: u32,
    longest_line_octets: u32,
}

impl ContentDecoder {
    /// At the first octet after 354.
    #[must_use]
    pub fn new(limits: ContentLimits) -> Self {
        Self {
            limits,
            position: Position::LineStart,
            fault: None,
            octets: 0,
            data_octets: 0,
            line_octets: 0,
            longest_line_octets: 0,
        }
    }

    /// The first fault met.
    #[must_use]
    pub fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// Octets kept so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The longest line so far, in octets without its end.
    #[must_use]
    pub fn longest_line_octets(&self) -> u32 {
        self.longest_line_octets
    }

    /// Whether there is a fault and more mail data than twice the size limit: a client that goes
    /// on and on. Once true it stays true, so that the answer does not depend on the pieces.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.fault.is_some() && self.data_octets > self.limits.size_octets_max.saturating_mul(2)
    }

    /// Decodes `input` up to its end or the end of mail data, whichever comes first, and emits
    /// the content in as few slices as there are.
    pub fn decode(&mut self, input: &[u8], emit: &mut impl FnMut(&[u8])) -> Decoded {
        let (mut from, mut at) = (0, 0);
        while let Some(&octet) = input.get(at) {
            match (self.position, octet) {
                (Position::Cr, b'\n') => {
                    if at == 0 {
                        self.emit(b"\r", emit);
                    }
                    self.end_line();
                    at += 1;
                }
                (Position::DotCr, b'\n') => {
                    self.position = Position::LineStart;
                    return self.decoded(at + 1, true);
                }
                (Position::Cr | Position::DotCr, _) => {
                    // The CR was bare. The octet behind it is looked at again.
                    if self.position == Position::Cr && at > 0 {
                        self.emit(&input[from..at - 1], emit);
                    }
                    self.meet(ContentFault::BareLineEnding, b" ", emit);
                    self.position = Position::Line;
                    from = at;
                }
                (Position::LineStart, b'.') => {
                    self.emit(&input[from..at], emit);
                    self.position = Position::Dot;
                    at += 1;
                    from = at;
                }
                (Position::Dot, b'\r') => {
                    self.position = Position::DotCr;
                    at += 1;
                    from = at;
                }
                (Position::LineStart | Position::Line | Position::Dot, _) => {
                    at = self.run(input, from, at);
                    let (fault, mended): (_, &[u8]) = match input.get(at) {
                        None => continue,
                        Some(b'\r') => {
                            self.position = Position::Cr;
                            at += 1;
                            continue;
                        }
                        Some(b'\n') => (ContentFault::BareLineEnding, b"\r\n"),
                        Some(_) => (ContentFault::Nul, b" "),
                    };
                    self.emit(&input[from..at], emit);
                    self.meet(fault, mended, emit);
                    at += 1;
                    from = at;
                }
            }
        }
        // A CR at the end of the input is emitted when its LF comes.
        let held = usize::from(self.position == Position::Cr && at > 0);
        self.emit(&input[from..(at - held).max(from)], emit);
        self.decoded(at, false)
    }

    /// To the next octet that is not plain; what stands before it from `from` on is not emitted.
    fn run(&mut self, input: &[u8], from: usize, at: usize) -> usize {
        self.position = Position::Line;
        let run = memchr3(b'\r', b'\n', 0, &input[at..]).unwrap_or(input.len() - at);
        self.count_line(run, at - from);
        at + run
    }

    /// Of two limits the one that is reached first counts, however the stream is cut.
    fn count_line(&mut self, octets: usize, not_emitted: usize) {
        let before = self.line_octets;
        self.line_octets = before.saturating_add(u32::try_from(octets).unwrap_or(u32::MAX));
        if self.line_octets > self.limits.line_octets_max {
            let fits = self.limits.line_octets_max.saturating_sub(before);
            let size = self.octets + not_emitted as u64 + u64::from(fits);
            let too_big = size > self.limits.size_octets_max;
            let fault = if too_big { ContentFault::TooBig } else { ContentFault::LineTooLong };
            self.fault.get_or_insert(fault);
        }
    }

    fn end_line(&mut self) {
        self.longest_line_octets = self.longest_line_octets.max(self.line_octets);
        self.line_octets = 0;
        self.position = Position::LineStart;
    }

    /// A fault is an error, or mended where that is allowed. What follows a bare LF is no start
    /// of a line to us: a dot there must neither vanish nor end anything.
    fn meet(&mut self, fault: ContentFault, mended: &[u8], emit: &mut impl FnMut(&[u8])) {
        match self.limits.endings {
            LineEndings::Normalized => self.emit(mended, emit),
            LineEndings::Strict => {
                self.fault.get_or_insert(fault);
            }
        }
        if mended.ends_with(b"\n") {
            self.end_line();
            self.position = Position::Line;
        } else {
            self.count_line(mended.len(), 0);
        }
    }

    fn emit(&mut self, content: &[u8], emit: &mut impl FnMut(&[u8])) {
        if content.is_empty() || self.fault.is_some() {
            return;
        }
        if self.octets + content.len() as u64 > self.limits.size_octets_max {
            self.fault = Some(ContentFault::TooBig);
            return;
        }
        self.octets += content.len() as u64;
        emit(content);
    }

    fn decoded(&mut self, consumed: usize, end: bool) -> Decoded {
        self.data_octets = self.data_octets.saturating_add(consumed as u64);
        Decoded { consumed, end }
    }
}

/// Makes mail data of content: the only way to the data connection of a next hop.
#[derive(Clone, Debug)]
pub struct ContentEncoder {
    at_line_start: bool,
}

impl Default for ContentEncoder {
    fn default() -> Self {
        Self { at_line_start: true }
    }
}

impl ContentEncoder {
    /// Emits `content` with transparency added (RFC 5321 §4.5.2), in slices that need no copy.
    pub fn encode<'a>(&mut self, content: &'a [u8], mut emit: impl FnMut(&'a [u8])) {
        let Some(last) = content.last() else { return };
        debug_assert!(!content.contains(&0), "a NUL in content");
        let mut from = 0;
        if self.at_line_start && content[0] == b'.' {
            emit(b".");
        }
        for at in memmem::find_iter(content, b"\n.") {
            emit(&content[from..=at]);
            emit(b".");
            from = at + 1;
        }
        emit(&content[from..]);
        self.at_line_start = *last == b'\n';
    }

    /// The end of mail data; a last line without an end gets one.
    #[must_use]
    pub fn finish(self) -> &'static [u8] {
        if self.at_line_start { b".\r\n" } else { b"\r\n.\r\n" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ContentLimits = ContentLimits {
        size_octets_max: 1_000,
        line_octets_max: 100,
        endings: LineEndings::Strict,
    };

    /// The content, what stands behind its end, and the fault; `None` where there is no end.
    type Outcome = (Vec<u8>, Option<Vec<u8>>, Option<ContentFault>);

    fn decode(pieces: &[&[u8]], limits: ContentLimits) -> Outcome {
        let mut decoder = ContentDecoder::new(limits);
        let mut content = Vec::new();
        let mut rest = None;
        for piece in pieces {
            if let Some(rest) = &mut rest {
                let rest: &mut Vec<u8> = rest;
                rest.extend_from_slice(piece);
                continue;
            }
            let decoded = decoder.decode(piece, &mut |slice| content.extend_from_slice(slice));
            assert!(decoded.end || decoded.consumed == piece.len());
            rest = decoded.end.then(|| piece[decoded.consumed..].to_vec());
        }
        (content, rest, decoder.fault())
    }

    fn encode(content: &[u8]) -> Vec<u8> {
        let mut encoder = ContentEncoder::default();
        let mut wire = Vec::new();
        encoder.encode(content, |slice| wire.extend_from_slice(slice));
        wire.extend_from_slice(encoder.finish());
        wire
    }

    /// All strings over the alphabet up to this length.
    fn strings(alphabet: &[u8], length_max: usize, mut check: impl FnMut(&[u8])) {
        let mut string = Vec::new();
        let mut digits: Vec<usize> = Vec::new();
        loop {
            check(&string);
            let mut at = digits.len();
            loop {
                if at == 0 {
                    if digits.len() == length_max {
                        return;
                    }
                    digits = vec![0; digits.len() + 1];
                    break;
                }
                at -= 1;
                digits[at] += 1;
                if digits[at] < alphabet.len() {
                    break;
                }
                digits[at] = 0;
            }
            string = digits.iter().map(|d| alphabet[*d]).collect();
        }
    }

    /// The specification in one line: the end is the first CRLF.CRLF of CRLF followed by the
    /// stream (RFC 5321 §4.1.1.4).
    fn specified_end(stream: &[u8]) -> Option<usize> {
        let with_start = [b"\r\n", stream].concat();
        memmem::find(&with_start, b"\r\n.\r\n").map(|at| at + 3)
    }

    #[test]
    fn the_end_is_where_the_specification_says_for_every_string_up_to_eight_octets() {
        for endings in [LineEndings::Strict, LineEndings::Normalized] {
            strings(b"\r\n.a", 8, |stream| {
                let (_, rest, _) = decode(&[stream], ContentLimits { endings, ..LIMITS });
                let end = specified_end(stream).map(|end| stream[end..].to_vec());
                assert_eq!(rest, end, "{:?}", String::from_utf8_lossy(stream));
            });
        }
    }

    #[test]
    fn however_it_is_cut_the_content_is_the_same() {
        for endings in [LineEndings::Strict, LineEndings::Normalized] {
            let limits = ContentLimits { endings, ..LIMITS };
            strings(b"\r\n.a\0", 6, |stream| {
                let whole = decode(&[stream], limits);
                for cut in 1..stream.len() {
                    let (a, b) = stream.split_at(cut);
                    assert_eq!(decode(&[a, b], limits), whole, "{stream:?} at {cut}");
                }
                let octets: Vec<&[u8]> = stream.chunks(1).collect();
                assert_eq!(decode(&octets, limits), whole, "{stream:?} in octets");
            });
        }
    }

    #[test]
    fn what_passes_is_canonical_and_what_is_encoded_has_one_end() {
        for endings in [LineEndings::Strict, LineEndings::Normalized] {
            strings(b"\r\n.a\0", 6, |stream| {
                let limits = ContentLimits { endings, ..LIMITS };
                let (content, rest, fault) = decode(&[stream], limits);
                if fault.is_some() || rest.is_none() {
                    return;
                }
                let bare = content.iter().filter(|b| matches!(b, b'\r' | b'\n')).count();
                assert_eq!(memmem::find_iter(&content, b"\r\n").count() * 2, bare);
                let wire = encode(&content);
                assert_eq!(specified_end(&wire), Some(wire.len()), "{stream:?}");
                assert_eq!(decode(&[&wire], LIMITS).0, content, "{stream:?}");
            });
        }
    }

    #[test]
    fn bare_line_endings_and_nul_are_refused_but_read_to_the_end() {
        for stream in [&b"a\n.\r\nMAIL\r\n.\r\n"[..], b"a\r.\r\n\r\n.\r\n", b"a\n\r\n.\r\n"] {
            let (_, rest, fault) = decode(&[stream], LIMITS);
            assert_eq!(fault, Some(ContentFault::BareLineEnding));
            assert_eq!(rest.as_deref(), Some(&b""[..]));
        }
        assert_eq!(decode(&[b"a\0b\r\n.\r\n"], LIMITS).2, Some(ContentFault::Nul));
    }

    #[test]
    fn a_trusted_network_is_mended() {
        let limits = ContentLimits { endings: LineEndings::Normalized, ..LIMITS };
        let (content, rest, fault) = decode(&[b"a\nb\rc\0d\n.\ne\r\n..f\r\n.\r\n"], limits);
        assert_eq!(content, b"a\r\nb c d\r\n.\r\ne\r\n.f\r\n");
        assert_eq!((rest, fault), (Some(vec![]), None));
        assert_eq!(encode(&content), b"a\r\nb c d\r\n..\r\ne\r\n..f\r\n.\r\n");
    }

    #[test]
    fn limits_are_reached() {
        let long = [&[b'a'; 101][..], b"\r\n.\r\n"].concat();
        assert_eq!(decode(&[&long], LIMITS).2, Some(ContentFault::LineTooLong));
        let fits = [&[b'a'; 100][..], b"\r\n.\r\n"].concat();
        assert_eq!(decode(&[&fits], LIMITS).2, None);
        let big = [&b"12345678\r\n".repeat(101)[..], b".\r\n"].concat();
        let (content, rest, fault) = decode(&[&big], LIMITS);
        assert_eq!((rest, fault), (Some(vec![]), Some(ContentFault::TooBig)));
        assert!(content.len() <= 1_000);
        let mut decoder = ContentDecoder::new(LIMITS);
        for _ in 0..400 {
            assert!(!decoder.is_endless());
            decoder.decode(b"12345678\r\n", &mut |_| ());
            if decoder.is_endless() {
                return;
            }
        }
        panic!("never endless");
    }

    #[test]
    fn mended_octets_count_towards_the_line() {
        let limits = ContentLimits { endings: LineEndings::Normalized, ..LIMITS };
        for octet in [b'\0', b'\r'] {
            let long = [&[octet; 101][..], b"a\r\n.\r\n"].concat();
            assert_eq!(decode(&[&long], limits).2, Some(ContentFault::LineTooLong));
        }
    }

    #[test]
    fn the_first_fault_is_the_first_however_it_is_cut() {
        let stream = [&b"12345678\r\n".repeat(95)[..], &[b'a'; 101], b"\r\n.\r\n"].concat();
        let whole = decode(&[&stream], LIMITS).2;
        for cut in 1..stream.len() {
            let (a, b) = stream.split_at(cut);
            assert_eq!(decode(&[a, b], LIMITS).2, whole, "{cut}");
        }
    }

    #[test]
    fn a_last_line_without_an_end_gets_one() {
        assert_eq!(encode(b"a"), b"a\r\n.\r\n");
        assert_eq!(encode(b""), b".\r\n");
        assert_eq!(encode(b".a\r\n.\r\n"), b"..a\r\n..\r\n.\r\n");
    }
}
