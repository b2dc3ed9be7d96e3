//! `mode` of `[[ldap]]`, and the keys that go with either: those of the other are mistakes, since
//! they would never count.

use super::super::filter::{FilterError, Template};
use super::super::preset::Preset;
use super::super::table::LdapTable;
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::value::{Given, Text};
use std::time::Duration;

/// How a directory is used, with all that this takes.
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

/// Asks for each address.
pub(in super::super) fn live(written: &LdapTable, context: &mut LoadContext) -> Mode {
    let w = written;
    let foreign = [
        w.every_seconds.written(),
        w.changes_seconds.written(),
        w.address_attributes.as_ref().and_then(Given::written),
        w.list_filter.as_ref().and_then(Given::written),
    ];
    refuse(foreign, "live", "add mode = \"snapshot\", or take it out", context);
    Mode::Live
}

/// Lists all addresses; `None` when a mistake was reported.
pub(in super::super) fn snapshot(
    written: &LdapTable,
    preset: Preset,
    context: &mut LoadContext,
) -> Option<Mode> {
    let w = written;
    let foreign = [
        w.filter.as_ref().and_then(Given::written),
        w.connections_max.written(),
        w.outstanding_max.written(),
        w.idle_seconds_max.written(),
        w.age_seconds_max.written(),
        w.positive_seconds.written(),
        w.negative_seconds.written(),
    ];
    let help = "take it out; what finds everybody is `list_filter`, how often is `every_seconds`";
    refuse(foreign, "snapshot", help, context);
    let attributes = attributes(written, preset, context);
    let filter = list_filter(written, attributes.as_deref().unwrap_or_default(), preset, context);
    Some(Mode::Snapshot(Export {
        every: *written.every_seconds,
        changes: *written.changes_seconds,
        attributes: attributes?,
        filter: filter?,
    }))
}

/// What would find one address in these attributes.
pub(in super::super) fn finding(attributes: &[String]) -> Option<Template> {
    let each = attributes.iter().map(|attribute| format!("({attribute}={{address}})"));
    Template::parse(&format!("(|{})", each.collect::<String>())).ok()
}

/// Keys of the other mode.
fn refuse<const N: usize>(
    keys: [Option<Given<()>>; N],
    mode: &str,
    help: &str,
    context: &mut LoadContext,
) {
    for key in keys.iter().flatten() {
        let message = format!("`{}` means nothing with `mode = \"{mode}\"`", key.path().key);
        context.refuse(key.wrong(message, "never counts").help(help));
    }
}

fn attributes(
    written: &LdapTable,
    preset: Preset,
    context: &mut LoadContext,
) -> Option<Vec<String>> {
    const HELP: &str = "for example: address_attributes = [\"mail\", \"proxyAddresses\"]";
    let Some(list) = &written.address_attributes else {
        let known = preset.attributes();
        if known.is_empty() {
            let preset = written.preset.as_ref()?;
            let message = "`custom` without `address_attributes`";
            context.refuse(preset.wrong(message, "which hold addresses?").help(HELP));
            return None;
        }
        return Some(known.iter().map(|&name| name.to_owned()).collect());
    };
    if list.is_empty() {
        context.refuse(list.wrong("no attribute that holds addresses", "").help(HELP));
    }
    for name in list.iter().filter(|name| !is_attribute(name)) {
        context.refuse(name.wrong(format!("\"{name}\" is no attribute"), "").help(HELP));
    }
    Some(list.iter().map(ToString::to_string).collect())
}

/// Without options: what a server holds back of an attribute is asked for by one.
fn is_attribute(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn list_filter(
    written: &LdapTable,
    attributes: &[String],
    preset: Preset,
    context: &mut LoadContext,
) -> Option<String> {
    let Some(text) = &written.list_filter else {
        if preset == Preset::ActiveDirectory && written.address_attributes.is_none() {
            // Its index of `proxyAddresses` is by value, and many entries have only others.
            return Some("(proxyAddresses=smtp:*)".to_owned());
        }
        let each: String = attributes.iter().map(|name| format!("({name}=*)")).collect();
        return Some(if attributes.len() == 1 { each } else { format!("(|{each})") });
    };
    match Template::listing(text) {
        Ok(()) => Some(text.to_string()),
        Err(error) => {
            let help = "for example: list_filter = \"(&(objectClass=person)(mail=*))\"";
            malformed(text, &error, help, context);
            None
        }
    }
}

/// Says where a filter is malformed.
pub(in super::super) fn malformed(
    text: &Text,
    error: &FilterError,
    help: &str,
    context: &mut LoadContext,
) {
    // Octets of the text are octets of the file unless it has escapes or several lines.
    let span = text.span();
    let is_plain = span.len() == text.len() + 2;
    let from = if is_plain { span.start + 1 + error.at } else { span.start };
    let to = if is_plain { span.end - 1 } else { span.end };
    let mistake = Mistake::new("the filter is malformed").key(text.path());
    context.refuse(mistake.at(from..to.max(from), error.what).help(help));
}
