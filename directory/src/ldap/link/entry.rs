//! Entries as servers send them (RFC 4511 §4.5.2). Nothing in them is a reason to panic, which is
//! why the library's own reading of them is not used.

use crate::list::typed;
use ldap3::ResultEntry;
use ldap3::asn1::{PL, StructureTag};
use ldap3::controls::Control;

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// Its name, for people.
    pub name: String,
    /// Its attributes and their values.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
    /// What the server added to it.
    pub controls: Vec<Control>,
}

impl Entry {
    /// The values of an attribute; names are compared without regard to case.
    #[must_use]
    pub fn values(&self, attribute: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        found.map_or(&[], |(_, values)| values)
    }
}

/// What an answer holds, in octets; the little that frames it is not counted.
pub(super) fn octets_of(tag: &StructureTag) -> usize {
    match &tag.payload {
        PL::P(octets) => octets.len() + 2,
        PL::C(inner) => inner.iter().map(octets_of).sum::<usize>() + 2,
    }
}

/// Nothing when any of it is not as it should be: whoever is in it exists, and would be unknown, or
/// hear of no target, were it passed over.
pub(super) fn entry(item: ResultEntry) -> Option<Entry> {
    of_tag(item.0, item.1)
}

fn of_tag(tag: StructureTag, controls: Vec<Control>) -> Option<Entry> {
    let mut parts = tag.expect_constructed()?.into_iter();
    let name = String::from_utf8_lossy(&parts.next()?.expect_primitive()?).into_owned();
    let attributes = parts.next()?.expect_constructed()?;
    let attributes = attributes.into_iter().map(|attribute| {
        let mut parts = attribute.expect_constructed()?.into_iter();
        let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let values = parts.next()?.expect_constructed()?;
        let values = values.into_iter().map(StructureTag::expect_primitive);
        Some((name, values.collect::<Option<_>>()?))
    });
    Some(Entry { name, attributes: attributes.collect::<Option<_>>()?, controls })
}

/// Name and value of an intermediate response (RFC 4511 §4.13), either of which may be missing.
pub(super) fn intermediate(item: ResultEntry) -> Option<(String, Vec<u8>)> {
    let (mut name, mut value) = (String::new(), Vec::new());
    for part in item.0.expect_constructed()? {
        match (part.id, part.expect_primitive()?) {
            (0, octets) => name = String::from_utf8_lossy(&octets).into_owned(),
            (1, octets) => value = octets,
            _ => {}
        }
    }
    Some((name, value))
}

/// The texts of a search reference, or of anything else that is a list of texts.
pub(super) fn texts(tag: &StructureTag) -> Vec<String> {
    let PL::C(inner) = &tag.payload else { return Vec::new() };
    let text = |tag: &StructureTag| match &tag.payload {
        PL::P(octets) => String::from_utf8_lossy(octets).into_owned(),
        PL::C(_) => String::new(),
    };
    inner.iter().map(text).collect()
}

/// An address without its type, which Exchange writes before it: `SMTP:jones@example.test`.
pub(in super::super) fn untyped(value: &[u8]) -> &[u8] {
    match typed(value) {
        Some((kind, address)) if kind.eq_ignore_ascii_case(b"smtp") => address.trim_ascii(),
        _ => value.trim_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::asn1::TagClass;

    fn tag(id: u64, payload: PL) -> StructureTag {
        StructureTag { class: TagClass::Universal, id, payload }
    }

    fn text(text: &[u8]) -> StructureTag {
        tag(4, PL::P(text.to_vec()))
    }

    fn read(attribute: StructureTag) -> Option<Entry> {
        let good = tag(16, PL::C(vec![text(b"cn"), tag(17, PL::C(vec![text(b"jones")]))]));
        let attributes = tag(16, PL::C(vec![good, attribute]));
        of_tag(tag(4, PL::C(vec![text(b"cn=jones"), attributes])), Vec::new())
    }

    #[test]
    fn an_entry_of_which_a_part_cannot_be_read_is_not_read_without_it() {
        let attribute = |name: &[u8], values| tag(16, PL::C(vec![text(name), tag(17, values)]));
        let whole = read(attribute(b"mail", PL::C(vec![text(b"jones@example.test")]))).unwrap();
        assert_eq!(whole.values("MAIL"), [b"jones@example.test"]);
        assert!(read(attribute(b"mail", PL::C(Vec::new()))).is_some(), "types only");
        let nested = tag(4, PL::C(Vec::new()));
        for broken in [
            attribute(b"mail", PL::P(b"jones@example.test".to_vec())),
            attribute(b"mail", PL::C(vec![nested])),
            attribute(b"\xff", PL::C(Vec::new())),
            text(b"mail"),
            tag(16, PL::C(Vec::new())),
        ] {
            assert!(read(broken).is_none());
        }
    }
}
