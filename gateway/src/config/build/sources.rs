//! `recipients` of a domain, and the tables that describe sources for several domains. What a
//! kind of source may have, and what that means, its kind says (`directory/kinds.rs`).

use super::super::built::SourceEntry;
use super::super::keys::{refuse_missing, table_at};
use super::{Placed, listener};
use directory::kinds::{KINDS, Kind, Listed, SourceSettings, Surroundings};
use directory::learned::settings as learned;
use mail::address::Domain;
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::keys::{KeyPath, nearest};
use settings::table::reader::Reader;
use settings::table::unread::{RECIPIENTS, Unread};
use settings::table::value::{Given, Text};

/// A table that describes a source, before its kind has read it.
pub(crate) type Described = (&'static Kind, Given<Unread>);

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
    pub(super) fn read(described: Vec<Described>, context: &mut LoadContext) -> Self {
        let mut tables = Self::default();
        for (kind, table) in described {
            let name = table.0.text(KeyPath { table: kind.name, key: "name" });
            let before = context.report.mistakes();
            let settings =
                kind.table.as_ref().and_then(|described| (described.read)(table, context));
            let settings = settings.filter(|_| context.report.mistakes() == before);
            let Some(name) = name else { continue };
            if let Some(first) = tables.find(kind.name, &name) {
                let first = tables.all[first].name.span();
                let message = format!("two `[[{}]]` are called \"{name}\"", kind.name);
                context.refuse(name.wrong(message, "again here").at(first, "first here"));
                continue;
            }
            tables.all.push(SourceTable { kind: kind.name, name, settings, is_used: false });
        }
        tables
    }

    fn find(&self, kind: &str, name: &str) -> Option<usize> {
        self.all.iter().position(|table| table.kind == kind && *table.name == name)
    }

    fn called(
        &mut self,
        kind: &Kind,
        name: &Text,
        context: &mut LoadContext,
    ) -> Option<SourceEntry> {
        if let Some(at) = self.find(kind.name, name) {
            self.all[at].is_used = true;
            let table = &self.all[at];
            return Some(SourceEntry {
                settings: table.settings.clone()?,
                place: table.name.span(),
            });
        }
        let message = format!("there is no `[[{}]]` called \"{name}\"", kind.name);
        let names = self.all.iter().filter(|table| table.kind == kind.name);
        let mistake = name.wrong(message, "not a known name");
        context.refuse(match nearest(name, names.map(|table| table.name.as_str())) {
            Some(meant) => mistake.help(format!("did you mean \"{meant}\"?")),
            None => mistake.help(format!("describe it: [[{}]] with name = \"{name}\"", kind.name)),
        });
        // One that is not used may be the one that was meant.
        self.all.iter_mut().filter(|t| t.kind == kind.name).for_each(|table| table.is_used = true);
        None
    }

    /// What nobody uses was probably meant to be used.
    pub(super) fn check(&self, context: &mut LoadContext) {
        for SourceTable { kind, name, .. } in self.all.iter().filter(|table| !table.is_used) {
            let mistake = name.wrong(format!("no domain uses the {kind} \"{name}\""), "");
            context.warn(
                mistake.help(format!("for example: recipients = [{{ {kind} = \"{name}\" }}]")),
            );
        }
    }

    /// A call-out that asks us would have us ask ourselves. The next hop of a domain has been
    /// looked at already.
    pub(super) fn check_circles(
        &self,
        hostname: Option<&Domain>,
        listeners: &[Placed],
        context: &mut LoadContext,
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
            context.refuse(
                table
                    .name
                    .wrong(message, "questions would go round in circles")
                    .key("callout.hosts")
                    .at(listens.clone(), "we listen here")
                    .help("give the address of the server behind Postern"),
            );
        }
    }

    /// The sources of one domain, in their order.
    pub(super) fn of_domain(
        &mut self,
        list: &[Given<Unread>],
        surroundings: &Surroundings<'_>,
        context: &mut LoadContext,
    ) -> Vec<SourceEntry> {
        let mut entries: Vec<SourceEntry> = Vec::new();
        for entry in list {
            let Some((kind, entry)) = kind_of(entry, context) else { continue };
            let path = KeyPath { table: RECIPIENTS.path, key: kind.name };
            let place = entry.0.span(kind.name).unwrap_or(entry.span());
            let what = entry.0.text(path).map_or(kind.name.into(), Given::into_inner);
            let source = match (kind.read)(entry, surroundings, context) {
                Some(Listed::Named(name)) => self.called(kind, &name, context),
                Some(Listed::Itself(settings)) => {
                    Some(SourceEntry { settings, place: place.clone() })
                }
                None => None,
            };
            let Some(source) = source else { continue };
            if entries.iter().any(|known| known.settings == source.settings) {
                let twice = Mistake::new(format!("{what} is listed twice")).key(path);
                context.refuse(twice.at(place, "again here"));
            }
            entries.push(source);
        }
        check_learned(&entries, context);
        entries
    }
}

/// What was learned from mail stands behind everything else.
fn check_learned(entries: &[SourceEntry], context: &mut LoadContext) {
    for (n, entry) in entries.iter().enumerate() {
        if let SourceSettings::Learned(settings) = &entry.settings {
            let (is_alone, is_last) = (entries.len() == 1, n + 1 == entries.len());
            let place = learned::ListPosition { is_alone, is_last, span: entry.place.clone() };
            learned::check(settings, place, context);
        }
    }
}

/// The one kind that an entry is of, and what is known of its keys.
fn kind_of(
    entry: &Given<Unread>,
    context: &mut LoadContext,
) -> Option<(&'static Kind, Given<Unread>)> {
    let all = table_at(RECIPIENTS.path)?;
    let mut fields = entry.0.clone();
    if refuse_missing(&mut fields, RECIPIENTS.path, context) {
        return None;
    }
    let fields = Reader::open(fields, entry.span(), all, context).into_fields();
    let Some(kind) = KINDS.iter().find(|kind| fields.span(kind.name).is_some()) else {
        // A key that was refused is no longer there, and has been told.
        if !fields.is_empty() || entry.0.is_empty() {
            let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            context.refuse(
                Mistake::new("an entry of `recipients` names no source")
                    .key(RECIPIENTS.path)
                    .at(entry.span(), "expected one of its kinds")
                    .help(format!("the kinds are: {}", names.join(", ")))
                    .help("for example: recipients = [{ file = \"users.txt\" }]"),
            );
        }
        return None;
    };
    let foreign = fields.names().find(|name| !kind.entry.iter().any(|own| own.name == *name));
    let Some(foreign) = foreign else { return Some((kind, entry.with(Unread(fields)))) };
    context.refuse(
        Mistake::new(format!("`{foreign}` does not belong to `{}`", kind.name))
            .key(format!("{}.{foreign}", RECIPIENTS.path))
            .at(fields.span(foreign).unwrap_or(entry.span()), "of another kind of source")
            .help("write each source as an entry of its own: [{ … }, { … }]"),
    );
    None
}
