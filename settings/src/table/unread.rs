//! A table that is taken as it stands, to be read by the kind of source that it is of.

use super::context::LoadContext;
use super::keys::{Kind, Table};
use super::reader::{Fields, Raw};
use super::value::{At, Element, Value};

/// An entry of `recipients`: its keys come from the kinds of sources, each of which reads its own.
pub const RECIPIENTS: Table = Table {
    path: "domain.recipients",
    head: "recipients = [{ … }]",
    help: "A source of addresses that exist: a file, or the name of a table that says more.",
    keys: &[],
};

/// A table that its kind of source will read.
#[derive(Clone, Debug)]
pub struct Unread(pub Fields);

impl Value for Unread {
    const KIND: Kind = Kind::Table(&RECIPIENTS);
    fn read(raw: Raw, at: &At<'_>, context: &mut LoadContext) -> Option<Self> {
        if let Raw::Table(fields) = raw { Some(Self(fields)) } else { at.wrong_kind(context) }
    }
}

impl Element for Unread {
    const LIST: Kind = Kind::Tables(&RECIPIENTS);
}
