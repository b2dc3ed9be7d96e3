//! Reads the header section as it streams by: counts trace fields (RFC 5321 §6.3) and octets.
//! Leaves MIME and everything that needs the whole message to the content checks.

/// What is looked at of one header line, in octets; longer lines are counted, not read.
const LINE_OCTETS_MAX: usize = 998;

/// A header section that streams by.
#[derive(Clone, Debug)]
pub struct HeaderScan {
    hostname: Box<str>,
    /// The unfinished line, as far as it is looked at.
    line: Vec<u8>,
    field: Field,
    ended: bool,
    /// Octets of the header section so far.
    pub octets: u64,
    /// `Received` fields.
    pub received_fields: u32,
    /// `Received` fields in which we are the receiver.
    pub own_received_fields: u32,
}

/// The field that a continuation line would belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Other,
    /// A `Received` field in which we have not yet been seen.
    Received,
}

impl HeaderScan {
    /// Before the first octet; `hostname` is ours.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.to_ascii_lowercase().into(),
            line: Vec::new(),
            field: Field::Other,
            ended: false,
            octets: 0,
            received_fields: 0,
            own_received_fields: 0,
        }
    }

    /// Whether the header section is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads the next slice of content, whatever the cuts.
    pub fn read(&mut self, mut content: &[u8]) {
        while !self.ended && !content.is_empty() {
            let end = memchr::memchr(b'\n', content);
            let (part, rest) = content.split_at(end.map_or(content.len(), |end| end + 1));
            content = rest;
            self.octets += part.len() as u64;
            if end.is_none() {
                self.hold(part);
            } else if self.line.is_empty() {
                self.line(part);
            } else {
                self.hold(part);
                let line = std::mem::take(&mut self.line);
                self.line(&line);
            }
        }
    }

    fn hold(&mut self, part: &[u8]) {
        let room = LINE_OCTETS_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn line(&mut self, line: &[u8]) {
        if line == b"\r\n" {
            self.ended = true;
            return;
        }
        let continued = matches!(line.first(), Some(b' ' | b'\t'));
        if !continued {
            let received =
                line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"Received:"));
            self.field = if received { Field::Received } else { Field::Other };
            self.received_fields += u32::from(received);
        }
        if self.field == Field::Received && names_receiver(line, self.hostname.as_bytes()) {
            self.own_received_fields += 1;
            self.field = Field::Other;
        }
    }
}

/// Whether ` by hostname` stands in the line (RFC 5321 §4.4, By-domain).
fn names_receiver(line: &[u8], hostname: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"by") {
            let name = words.next().unwrap_or_default();
            return name.strip_suffix(b";").unwrap_or(name).eq_ignore_ascii_case(hostname);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"Received: from a\r\n\tby MX.example.com with ESMTP;\r\n\tnow\r\n\
        received: from by.example by other.example; now\r\n\
        Subject: Received: by mx.example.com\r\n by mx.example.com\r\n\r\n\
        Received: by mx.example.com\r\n";

    #[test]
    fn trace_fields_are_counted_in_the_header_section_only() {
        for size in 1..MESSAGE.len() {
            let mut scan = HeaderScan::new("mx.example.com");
            MESSAGE.chunks(size).for_each(|piece| scan.read(piece));
            assert!(scan.is_ended());
            assert_eq!((scan.received_fields, scan.own_received_fields), (2, 1), "{size}");
            assert_eq!(scan.octets, 165);
        }
    }

    #[test]
    fn an_endless_line_holds_a_bounded_buffer() {
        let mut scan = HeaderScan::new("mx.example.com");
        for _ in 0..100 {
            scan.read(&[b'a'; 1_000]);
        }
        assert!(scan.line.len() <= LINE_OCTETS_MAX);
        assert_eq!(scan.octets, 100_000);
    }
}
