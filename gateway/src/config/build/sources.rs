//! `recipients` of a domain, and the tables that describe sources for several domains. What a
//! kind of source may have, and what that means, its kind says (`directory/kinds.rs`).

use super::super::built::SourceEntry;
use super::{Placed, listener};
use crate::directory::kinds::{KINDS, Kind, SourceSettings, Surroundings};
use crate::directory::learned::settings as learned;
use crate::settings::entry::{Entry, Recipients};
use crate::settings::keys::nearest;
use crate::settings::mistake::Mistake;
use crate::settings::site::{Site, Text, at};
use mail::address::Domain;
use serde_spanned::Spanned;
use toml::de::DeValue;

/// A table that describes a source, before its kind has read it.
pub(crate) type Described<'t> = (&'static Kind, Spanned<DeValue<'t>>);

/// Sources that are described in tables of their own.
#[derive(Default)]
pub(super) struct SourceTables {
    all: Vec<SourceTable>,
}

struct SourceTable {
    kind: &'static str,
    name: Text,
    /// Nothing when it has a mistake.
    settings: Option<SourceSettings>,
    is_used: bool,
}

impl SourceTables {
    pub(super) fn read(described: Vec<Described<'_>>, site: &mut Site) -> Self {
        let mut tables = Self::default();
        for (kind, value) in described {
            let Some(name) = name_of(&value) else { continue };
            let key = format!("{}.name", kind.name);
            if let Some(first) = tables.find(kind.name, name.get_ref()) {
                let first = tables.all[first].name.span();
                let message = format!("two `[[{}]]` are called \"{}\"", kind.name, name.get_ref());
                site.refuse(at(&key, &name, message, "again here").at(first, "first here"));
                continue;
            }
            let settings = kind.table.as_ref().and_then(|table| (table.read)(value, site));
            tables.all.push(SourceTable { kind: kind.name, name, settings, is_used: false });
        }
        tables
    }

    fn find(&self, kind: &str, name: &str) -> Option<usize> {
        self.all.iter().position(|table| table.kind == kind && table.name.get_ref() == name)
    }

    fn called(&mut self, kind: &Kind, name: &Text, site: &mut Site) -> Option<SourceEntry> {
        if let Some(at) = self.find(kind.name, name.get_ref()) {
            self.all[at].is_used = true;
            let table = &self.all[at];
            return Some(SourceEntry {
                settings: table.settings.clone()?,
                place: table.name.span(),
            });
        }
        let key = format!("domain.recipients.{}", kind.name);
        let message = format!("there is no `[[{}]]` called \"{}\"", kind.name, name.get_ref());
        let names = self.all.iter().filter(|table| table.kind == kind.name);
        let mistake = at(&key, name, message, "not a known name");
        site.refuse(
            match nearest(name.get_ref(), names.map(|table| table.name.get_ref().as_str())) {
                Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
                None => mistake.help(format!(
                    "describe it: [[{}]] with name = \"{}\"",
                    kind.name,
                    name.get_ref()
                )),
            },
        );
        // One that is not used may be the one that was meant.
        self.all.iter_mut().filter(|t| t.kind == kind.name).for_each(|table| table.is_used = true);
        None
    }

    /// What nobody uses was probably meant to be used.
    pub(super) fn check(&self, site: &mut Site) {
        for table in self.all.iter().filter(|table| !table.is_used) {
            let message = format!("no domain uses the {} \"{}\"", table.kind, table.name.get_ref());
            let mistake = at(&format!("{}.name", table.kind), &table.name, message, "");
            site.warn(mistake.help(format!(
                "for example: recipients = [{{ {} = \"{}\" }}]",
                table.kind,
                table.name.get_ref()
            )));
        }
    }

    /// A call-out that asks us would have us ask ourselves. The next hop of a domain has been
    /// looked at already.
    pub(super) fn check_circles(
        &self,
        hostname: Option<&Domain>,
        listeners: &[Placed],
        site: &mut Site,
    ) {
        for table in &self.all {
            let Some(SourceSettings::Callout(callout)) = &table.settings else { continue };
            let own = callout.hosts.iter().find_map(|host| {
                let reaches =
                    |own: &&Placed| listener::is_reached_by(own, &host.host, host.port, hostname);
                Some((host, listeners.iter().find(reaches)?))
            });
            let Some((host, (_, listens))) = own else { continue };
            let message = format!("this call-out asks this relay itself, at port {}", host.port);
            site.refuse(
                at("callout.hosts", &table.name, message, "questions would go round in circles")
                    .at(listens.clone(), "we listen here")
                    .help("give the address of the server behind Postern"),
            );
        }
    }

    /// The sources of one domain, in their order.
    pub(super) fn of_domain(
        &mut self,
        list: &[Spanned<Recipients>],
        surroundings: &Surroundings<'_>,
        site: &mut Site,
    ) -> Vec<SourceEntry> {
        let mut entries: Vec<SourceEntry> = Vec::new();
        for written in list {
            let entry = Entry { written: written.get_ref(), span: written.span() };
            let Some(kind) = kind_of(&entry, site) else { continue };
            let source = match entry.text(kind.name).filter(|_| kind.table.is_some()) {
                Some(name) => self.called(kind, &name, site),
                None => (kind.read)(&entry, surroundings, site)
                    .map(|settings| SourceEntry { settings, place: entry.span(kind.name) }),
            };
            let Some(source) = source else { continue };
            if entries.iter().any(|known| known.settings == source.settings) {
                let key = format!("domain.recipients.{}", kind.name);
                let what = entry.text(kind.name).map_or(kind.name.into(), Spanned::into_inner);
                let twice = Mistake::new(format!("{what} is listed twice")).key(key);
                site.refuse(twice.at(entry.span(kind.name), "again here"));
            }
            entries.push(source);
        }
        check_learned(&entries, site);
        entries
    }
}

fn name_of(value: &Spanned<DeValue<'_>>) -> Option<Text> {
    let name = value.get_ref().as_table()?.get("name")?;
    Some(Spanned::new(name.span(), name.get_ref().as_str()?.to_owned()))
}

/// What was learned from mail stands behind everything else.
fn check_learned(entries: &[SourceEntry], site: &mut Site) {
    for (n, entry) in entries.iter().enumerate() {
        if let SourceSettings::Learned(settings) = &entry.settings {
            let (is_alone, is_last) = (entries.len() == 1, n + 1 == entries.len());
            let place = learned::Place { is_alone, is_last, span: entry.place.clone() };
            learned::check(settings, place, site);
        }
    }
}

/// The one kind that an entry is of.
fn kind_of(entry: &Entry<'_>, site: &mut Site) -> Option<&'static Kind> {
    let mut kinds = KINDS.iter().filter(|kind| entry.written.contains_key(kind.name));
    let Some(kind) = kinds.next() else {
        // A key that was refused is no longer there, and has been told.
        if entry.written.is_empty() && !site.report.is_clean() {
            return None;
        }
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        site.refuse(
            Mistake::new("an entry of `recipients` names no source")
                .key("domain.recipients")
                .at(entry.span.clone(), "expected one of its kinds")
                .help(format!("the kinds are: {}", names.join(", ")))
                .help("for example: recipients = [{ file = \"users.txt\" }]"),
        );
        return None;
    };
    let foreign = entry.written.keys().find(|key| !kind.entry.iter().any(|own| own.name == **key));
    let Some(foreign) = foreign else { return Some(kind) };
    site.refuse(
        Mistake::new(format!("`{foreign}` does not belong to `{}`", kind.name))
            .key(format!("domain.recipients.{foreign}"))
            .at(entry.span(foreign), "of another kind of source")
            .help("write each source as an entry of its own: [{ … }, { … }]"),
    );
    None
}
