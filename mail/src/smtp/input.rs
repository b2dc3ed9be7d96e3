//! What a client has sent and nobody has read yet: a buffer that is held only while there is
//! something in it, and the lines in it. Overlong lines are thrown away as they come.

use super::line::{COMMAND_LINE_OCTETS_MAX, DISCARDED_OCTETS_MAX, Framed, LineEndings, find_line};
use std::ops::Range;

/// Unread input.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// What stands before this is done with.
    at: usize,
    /// Octets of an overlong line thrown away so far.
    discarded_octets: Option<usize>,
}

/// What stands at the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// No line yet.
    Nothing,
    /// A line without its end, to be read with [`Input::slice`].
    Line(Range<usize>),
    /// The end of a line that was too long, and is gone.
    Overlong,
    /// A line that does not end within all patience.
    Endless,
    /// A CR or LF that stands alone.
    Bare,
}

impl Input {
    /// Adds bytes, without a copy when nothing else waits.
    pub(super) fn receive(&mut self, bytes: Vec<u8>) {
        if self.is_empty() {
            self.bytes = bytes;
        } else {
            self.bytes.drain(..self.at);
            self.bytes.extend_from_slice(&bytes);
        }
        self.at = 0;
    }

    /// Gives back the buffer; what little is left moves to one of its size.
    pub(super) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.len() - self.at;
        if self.bytes.capacity() <= rest.saturating_mul(4) {
            return None;
        }
        let small = self.bytes[self.at..].to_vec();
        let mut buffer = std::mem::replace(&mut self.bytes, small);
        self.at = 0;
        buffer.clear();
        Some(buffer)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Everything unread.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// So much is read.
    pub(super) fn consume(&mut self, octets: usize) {
        self.at += octets;
    }

    /// Takes a command line from the front.
    pub(super) fn take_line(&mut self, endings: LineEndings) -> Taken {
        if self.discarded_octets.is_none() {
            match find_line(self.rest(), COMMAND_LINE_OCTETS_MAX, endings) {
                Framed::Partial => return Taken::Nothing,
                Framed::Bare => return Taken::Bare,
                Framed::TooLong => self.discarded_octets = Some(0),
                Framed::Line { octets, consumed } => {
                    let line = self.at..self.at + octets;
                    self.consume(consumed);
                    return Taken::Line(line);
                }
            }
        }
        self.discard(endings)
    }

    /// Looks for the end of an overlong line, so that its tail is not read as a command.
    fn discard(&mut self, endings: LineEndings) -> Taken {
        let rest = self.rest();
        let end = match endings {
            LineEndings::Strict => memchr::memmem::find(rest, b"\r\n").map(|end| end + 2),
            LineEndings::Normalized => memchr::memchr(b'\n', rest).map(|end| end + 1),
        };
        // A CR at the very end may be half of the line end.
        let partial = rest.len() - usize::from(rest.ends_with(b"\r"));
        let octets = end.unwrap_or(partial);
        let discarded = self.discarded_octets.unwrap_or(0) + octets;
        self.consume(octets);
        self.discarded_octets = end.is_none().then_some(discarded);
        if discarded > DISCARDED_OCTETS_MAX {
            Taken::Endless
        } else if end.is_some() {
            Taken::Overlong
        } else {
            Taken::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_given_back_and_what_is_left_moves_to_a_small_one() {
        let mut input = Input::default();
        let mut bytes = Vec::with_capacity(65_536);
        bytes.extend_from_slice(b"NOOP\r\nNO");
        input.receive(bytes);
        assert!(matches!(input.take_line(LineEndings::Strict), Taken::Line(_)));
        assert_eq!(input.take_buffer().map(|buffer| buffer.capacity() >= 65_536), Some(true));
        assert_eq!(input.rest(), b"NO");
        assert!(input.take_buffer().is_none());
        input.receive(b"OP\r\n".to_vec());
        let Taken::Line(line) = input.take_line(LineEndings::Strict) else { panic!() };
        assert_eq!(input.slice(line), b"NOOP");
    }
}
