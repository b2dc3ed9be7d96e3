//! How an address is written in a list: its type, its local part, its target. What becomes of it
//! is `intake.rs`; the grammar itself is in `mail`.

use super::error::LineProblem;
use mail::address::{LOCAL_PART_OCTETS_MAX, LocalPart, Mailbox};

/// What a local part looks like.
pub(crate) enum Shape {
    /// A dot-string, not too long: nearly every address there is.
    Plain,
    /// Has a `*` and no quotes.
    Starred,
    /// Quoted or malformed; [`Mailbox::parse`] says which.
    Other,
}

/// RFC 5322 §3.2.3 atext, the dot and the star.
const IN_DOT_STRING: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"!#$%&'+-/=?^_`{|}~.*";
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

/// Looks once; `is_pattern` says whether a `*` makes one.
pub(crate) fn shape(local_part: &[u8], is_pattern: bool) -> Shape {
    if is_pattern && local_part.first() != Some(&b'"') && local_part.contains(&b'*') {
        return Shape::Starred;
    }
    let mut after_dot = true;
    for &b in local_part {
        if !IN_DOT_STRING[usize::from(b)] || (after_dot && b == b'.') {
            return Shape::Other;
        }
        after_dot = b == b'.';
    }
    if after_dot || local_part.len() > LOCAL_PART_OCTETS_MAX {
        return Shape::Other;
    }
    Shape::Plain
}

/// An address without the quotation marks or angle brackets around the whole of it, which tools
/// write where nobody asked for them: `"a@b"`, `'a@b'`, `<a@b>`. What has no domain inside stays as
/// it is, since `"a b"` is a local part.
pub(super) fn unquoted(written: &[u8]) -> &[u8] {
    let (open, close) = match written {
        [open @ (b'"' | b'\'' | b'<'), .., close] => (*open, *close),
        _ => return written,
    };
    let inside = &written[1..written.len() - 1];
    let is_pair = close == if open == b'<' { b'>' } else { open };
    let is_address = matches!(split(inside), (local, Some(name)) if !local.is_empty()
        && !name.is_empty() && !inside.contains(&open));
    if is_pair && is_address { inside.trim_ascii() } else { written }
}

/// Splits an address at its last `@`; nothing behind it when it is a local part alone.
pub(crate) fn split(written: &[u8]) -> (&[u8], Option<&[u8]>) {
    let quoted_alone = written.first() == Some(&b'"') && written.last() == Some(&b'"');
    let at = memchr::memrchr(b'@', written).filter(|_| !quoted_alone);
    at.map_or((written, None), |at| (&written[..at], Some(&written[at + 1..])))
}

pub(crate) fn parse_local_part(written: &[u8]) -> Result<LocalPart, LineProblem> {
    let text = str::from_utf8(written).map_err(|_| LineProblem::NotUtf8)?;
    // The grammar of a local part is in `mail`; any domain will do to ask for it.
    Ok(Mailbox::parse(&format!("{text}@example.invalid"))?.local_part)
}

/// `SMTP:jones@example.test` or `smtp$jones@example.test` (LDAP of Exchange 5.5): type, rest.
#[must_use]
pub fn typed(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = value.iter().position(|b| !b.is_ascii_alphanumeric())?;
    (at > 0 && matches!(value[at], b':' | b'$')).then(|| (&value[..at], &value[at + 1..]))
}
