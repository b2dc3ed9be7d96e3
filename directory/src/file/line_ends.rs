//! Every line end becomes a line feed: CR LF of Windows, and the CR alone that spreadsheets of old
//! Macs write. Read as white space instead, a CR would put one person's address into the next
//! column and so send his mail to another.

use std::io::{self, Read};

/// What is read through it has no CR.
pub(super) struct LineEnds<R> {
    from: R,
    /// The last octet was a CR, so that a line feed belongs to it.
    follows_cr: bool,
}

impl<R> LineEnds<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, follows_cr: false }
    }

    /// Mends what was read where it lies, and says how much is left of it.
    fn mend(&mut self, octets: &mut [u8]) -> usize {
        if !self.follows_cr && memchr::memchr(b'\r', octets).is_none() {
            return octets.len();
        }
        let mut mended = 0;
        for at in 0..octets.len() {
            let octet = octets[at];
            let follows_cr = std::mem::replace(&mut self.follows_cr, octet == b'\r');
            if follows_cr && octet == b'\n' {
                continue;
            }
            octets[mended] = if octet == b'\r' { b'\n' } else { octet };
            mended += 1;
        }
        mended
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.from.read(buffer)?;
            let mended = self.mend(&mut buffer[..count]);
            // A line feed alone may be all that was read, which is not the end.
            if count == 0 || mended > 0 {
                return Ok(mended);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one octet at a time.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1);
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn every_line_end_is_one_however_the_octets_come() {
        let written = b"a\r\nb\rc\n\r\n\n\rd\r";
        let expected = "a\nb\nc\n\n\n\nd\n";
        let (mut whole, mut slow) = (String::new(), String::new());
        LineEnds::new(&written[..]).read_to_string(&mut whole).unwrap();
        LineEnds::new(Slowly(written)).read_to_string(&mut slow).unwrap();
        assert_eq!((&*whole, &*slow), (expected, expected));
    }
}
