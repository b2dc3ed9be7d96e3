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
    begins_with_white_space: bool,
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
    /// There is none yet.
    None,
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
            field: Field::None,
            ended: false,
            begins_with_white_space: false,
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

    /// Whether there is no header section, and the content begins with what would continue
    /// whatever field is put in front of it (RFC 5322 §2.2.3).
    #[must_use]
    pub fn begins_with_white_space(&self) -> bool {
        self.begins_with_white_space
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
        if continued && self.field == Field::None {
            (self.ended, self.begins_with_white_space) = (true, true);
            return;
        }
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
    fn what_would_continue_a_field_before_the_first_is_body() {
        for content in [&b" by mx.example.com\r\nReceived: x\r\n"[..], b"\tx\r\n\r\n", b" \r\n"] {
            for size in 1..=content.len() {
                let mut scan = HeaderScan::new("mx.example.com");
                content.chunks(size).for_each(|piece| scan.read(piece));
                assert!(scan.begins_with_white_space() && scan.is_ended());
                assert_eq!((scan.received_fields, scan.own_received_fields), (0, 0));
            }
        }
        for content in [&b"\r\n x\r\n"[..], b"Subject:\r\n x\r\n\r\n", b"x\r\n y\r\n", b""] {
            let mut scan = HeaderScan::new("mx.example.com");
            scan.read(content);
            assert!(!scan.begins_with_white_space());
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
