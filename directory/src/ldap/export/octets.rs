//! Values of controls, which the screen lets through as they are: read element by element, never
//! by recursion. What they mean is left to whoever asked for them.

use super::super::link::screen::element;

/// The elements of a constructed value, one after another: tag and content. Ends at what is none.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, content) = element(self.0)?;
        let (this, rest) = self.0.split_at(content.end);
        self.0 = rest;
        Some((tag, &this[content.start..]))
    }
}

impl<'a> Elements<'a> {
    /// Those of a SEQUENCE that is all there is.
    pub(super) fn of_sequence(octets: &'a [u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        match element(octets)? {
            (SEQUENCE, content) if content.end == octets.len() => Some(Self(&octets[content])),
            _ => None,
        }
    }
}

/// Tags of universal types.
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const INTEGER: u8 = 0x02;
