//! The part before the `@`: how it is written, and how that is read. Strictly for what is ours, as
//! it stands for what is not.

use super::{AddressError, LOCAL_PART_OCTETS_MAX};
use std::fmt;
use std::hash::{Hash, Hasher};

/// The part before the `@`, with quotes removed: two spellings of one local part are equal
/// (RFC 5321 §4.1.2). It prints in its shortest spelling, whose quotes follow from its characters,
/// but for that of a reverse-path, which prints as it was written.
#[derive(Clone, Debug)]
pub struct LocalPart {
    text: Box<str>,
    spelling: Spelling,
}

#[derive(Clone, Debug)]
enum Spelling {
    /// The text itself.
    DotString,
    /// It is no dot-string.
    Quoted,
    /// As its owner wrote it, where that is neither of these.
    AsWritten(Box<str>),
}

impl PartialEq for LocalPart {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for LocalPart {}

impl Hash for LocalPart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl LocalPart {
    /// Takes the unquoted text.
    /// # Errors
    /// When it is empty, longer than 255 octets as written, or not printable ASCII.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::LocalPartMissing);
        }
        let quoted = !is_dot_string(text.as_bytes());
        if quoted && !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(AddressError::NotAscii);
        }
        let spelling = if quoted { Spelling::Quoted } else { Spelling::DotString };
        let local_part = Self { text: text.into(), spelling };
        if local_part.written_octets() > LOCAL_PART_OCTETS_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
        Ok(local_part)
    }

    /// The text without quotes or backslashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is no dot-string, and so can only be written as a quoted string.
    #[must_use]
    pub fn needs_quotes(&self) -> bool {
        match self.spelling {
            Spelling::DotString => false,
            Spelling::Quoted => true,
            Spelling::AsWritten(_) => !is_dot_string(self.text.as_bytes()),
        }
    }

    /// Whether [`Self::as_str`] is how it is written.
    #[must_use]
    pub fn prints_as_its_text(&self) -> bool {
        matches!(self.spelling, Spelling::DotString)
    }

    fn written_octets(&self) -> usize {
        match &self.spelling {
            Spelling::DotString => self.text.len(),
            Spelling::Quoted => {
                let escaped = self.text.bytes().filter(|b| matches!(b, b'"' | b'\\'));
                2 + self.text.len() + escaped.count()
            }
            Spelling::AsWritten(written) => written.len(),
        }
    }

    /// The same, printed as it was written.
    fn spelled(self, written: &str) -> Result<Self, AddressError> {
        if written.len() > LOCAL_PART_OCTETS_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
        if self.prints_as_its_text() && &*self.text == written {
            return Ok(self);
        }
        Ok(Self { spelling: Spelling::AsWritten(written.into()), ..self })
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spelling {
            Spelling::DotString => return f.write_str(&self.text),
            Spelling::AsWritten(written) => return f.write_str(written),
            Spelling::Quoted => {}
        }
        f.write_str("\"")?;
        for c in self.text.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

/// As [`parse_local_part`], with dots wherever they stand, to be printed as it was written.
pub(super) fn foreign_local_part(text: &str) -> Result<(LocalPart, &str), AddressError> {
    let end = text.find('@').unwrap_or(text.len());
    let (written, rest) = text.split_at(end);
    if !written.is_empty() && written.bytes().all(|b| b == b'.' || is_atext(b)) {
        return Ok((LocalPart::new(written)?.spelled(written)?, rest));
    }
    let (local_part, rest) = parse_local_part(text)?;
    Ok((local_part.spelled(&text[..text.len() - rest.len()])?, rest))
}

/// The local part and what follows it, the `@` included.
pub(super) fn parse_local_part(text: &str) -> Result<(LocalPart, &str), AddressError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('@').unwrap_or(text.len());
        let (local_part, rest) = text.split_at(end);
        if local_part.is_empty() {
            return Err(AddressError::LocalPartMissing);
        }
        let local_part = LocalPart::new(local_part)?;
        if local_part.needs_quotes() {
            return Err(AddressError::LocalPartSyntax);
        }
        return Ok((local_part, rest));
    };
    let mut unquoted = String::with_capacity(quoted.len());
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((LocalPart::new(&unquoted)?, &quoted[at + 1..])),
            '\\' => unquoted.push(chars.next().ok_or(AddressError::LocalPartSyntax)?.1),
            c => unquoted.push(c),
        }
    }
    Err(AddressError::LocalPartSyntax)
}

/// RFC 5322 §3.2.3 atext.
const fn is_atext(b: u8) -> bool {
    ATEXT[b as usize]
}

const ATEXT: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"!#$%&'*+-/=?^_`{|}~";
    let mut n = 0;
    while n < others.len() {
        table[others[n] as usize] = true;
        n += 1;
    }
    let mut b = 0;
    while b < 128_u8 {
        if b.is_ascii_alphanumeric() {
            table[b as usize] = true;
        }
        b += 1;
    }
    table
};

fn is_dot_string(bytes: &[u8]) -> bool {
    let mut after_dot = true;
    for &b in bytes {
        if b == b'.' {
            if after_dot {
                return false;
            }
            after_dot = true;
        } else if is_atext(b) {
            after_dot = false;
        } else {
            return false;
        }
    }
    !after_dot
}
