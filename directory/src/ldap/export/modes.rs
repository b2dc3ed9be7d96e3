//! `mode` of `[[ldap]]`, and the keys that go with either: those of the other are mistakes, since
//! they would never count.

use super::super::filter::{FilterError, Template};
use super::super::preset::Preset;
use super::super::table::{TABLE, Written};
use crate::settings::mistake::Mistake;
use crate::settings::site::{Site, Text, at, number};
use serde_spanned::Spanned;
use std::ops::Range;
use std::time::Duration;

/// How a directory is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is asked for each address.
    Live,
    /// All addresses are listed.
    Snapshot(Export),
}

/// How a directory is listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Export {
    /// Between two readings of everything.
    pub every: Duration,
    /// Between two questions for what changed; zero is never.
    pub changes: Duration,
    /// Which attributes hold addresses; at least one.
    pub attributes: Vec<String>,
    /// What finds everybody who has one.
    pub filter: String,
}

/// `None` when a mistake was reported.
pub(in super::super) fn live(written: &Written, site: &mut Site) -> Option<Mode> {
    let keys = [
        ("every_seconds", place(&written.every_seconds)),
        ("changes_seconds", place(&written.changes_seconds)),
        ("address_attributes", place(&written.address_attributes)),
        ("list_filter", place(&written.list_filter)),
    ];
    belong(&keys, "live", "add mode = \"snapshot\", or take it out", site).then_some(Mode::Live)
}

/// `None` when a mistake was reported.
pub(in super::super) fn snapshot(
    written: &Written,
    preset: Preset,
    site: &mut Site,
) -> Option<Mode> {
    let keys = [
        ("filter", place(&written.filter)),
        ("connections_max", place(&written.connections_max)),
        ("outstanding_max", place(&written.outstanding_max)),
        ("idle_seconds_max", place(&written.idle_seconds_max)),
        ("age_seconds_max", place(&written.age_seconds_max)),
        ("positive_seconds", place(&written.positive_seconds)),
        ("negative_seconds", place(&written.negative_seconds)),
    ];
    let help = "take it out; what finds everybody is `list_filter`, how often is `every_seconds`";
    let are_right = belong(&keys, "snapshot", help, site);
    let attributes = attributes(written, preset, site);
    let filter = list_filter(written, attributes.as_deref().unwrap_or_default(), preset, site);
    let seconds = |name, written: &Option<Spanned<i64>>| {
        Duration::from_secs(number(&TABLE, name, written.as_ref()).into())
    };
    let export = Export {
        every: seconds("every_seconds", &written.every_seconds),
        changes: seconds("changes_seconds", &written.changes_seconds),
        attributes: attributes?,
        filter: filter?,
    };
    are_right.then_some(Mode::Snapshot(export))
}

/// What would find one address in these attributes.
pub(in super::super) fn finding(attributes: &[String]) -> Option<Template> {
    let each = attributes.iter().map(|attribute| format!("({attribute}={{address}})"));
    Template::parse(&format!("(|{})", each.collect::<String>())).ok()
}

fn place<T>(written: &Option<Spanned<T>>) -> Option<Range<usize>> {
    written.as_ref().map(Spanned::span)
}

/// Whether none of these was written.
fn belong(keys: &[(&str, Option<Range<usize>>)], mode: &str, help: &str, site: &mut Site) -> bool {
    let mut are_right = true;
    for (key, place) in keys {
        let Some(place) = place else { continue };
        are_right = false;
        site.refuse(
            Mistake::new(format!("`{key}` means nothing with `mode = \"{mode}\"`"))
                .key(format!("ldap.{key}"))
                .at(place.clone(), "never counts")
                .help(help),
        );
    }
    are_right
}

fn attributes(written: &Written, preset: Preset, site: &mut Site) -> Option<Vec<String>> {
    const HELP: &str = "for example: address_attributes = [\"mail\", \"proxyAddresses\"]";
    let Some(list) = &written.address_attributes else {
        let known = preset.attributes();
        if known.is_empty() {
            let preset = written.preset.as_ref()?;
            let message = "`custom` without `address_attributes`";
            site.refuse(at("ldap.preset", preset, message, "which hold addresses?").help(HELP));
            return None;
        }
        return Some(known.iter().map(|&name| name.to_owned()).collect());
    };
    let mut are_right = !list.get_ref().is_empty();
    if !are_right {
        let message = "no attribute that holds addresses";
        site.refuse(at("ldap.address_attributes", list, message, "").help(HELP));
    }
    for name in list.get_ref().iter().filter(|name| !is_attribute(name.get_ref())) {
        are_right = false;
        let message = format!("\"{}\" is no attribute", name.get_ref());
        site.refuse(at("ldap.address_attributes", name, message, "").help(HELP));
    }
    are_right.then(|| list.get_ref().iter().map(|name| name.get_ref().clone()).collect())
}

/// Without options: what a server holds back of an attribute is asked for by one.
fn is_attribute(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn list_filter(
    written: &Written,
    attributes: &[String],
    preset: Preset,
    site: &mut Site,
) -> Option<String> {
    let Some(text) = &written.list_filter else {
        if preset == Preset::ActiveDirectory && written.address_attributes.is_none() {
            // Its index of `proxyAddresses` is by value, and many entries have only others.
            return Some("(proxyAddresses=smtp:*)".to_owned());
        }
        let each: String = attributes.iter().map(|name| format!("({name}=*)")).collect();
        return Some(if attributes.len() == 1 { each } else { format!("(|{each})") });
    };
    match Template::listing(text.get_ref()) {
        Ok(()) => Some(text.get_ref().clone()),
        Err(error) => {
            let help = "for example: list_filter = \"(&(objectClass=person)(mail=*))\"";
            malformed("ldap.list_filter", text, &error, help, site);
            None
        }
    }
}

/// Says where a filter is malformed.
pub(in super::super) fn malformed(
    key: &str,
    text: &Text,
    error: &FilterError,
    help: &str,
    site: &mut Site,
) {
    // Octets of the text are octets of the file unless it has escapes or several lines.
    let span = text.span();
    let is_plain = span.len() == text.get_ref().len() + 2;
    let from = if is_plain { span.start + 1 + error.at } else { span.start };
    let to = if is_plain { span.end - 1 } else { span.end };
    let mistake = Mistake::new("the filter is malformed").key(key);
    site.refuse(mistake.at(from..to.max(from), error.what).help(help));
}
