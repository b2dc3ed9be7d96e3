//! What one page of a list shows of the settings: for `check` and for the start.

use super::super::link::Link;
use super::super::settings::Settings;
use super::super::trouble::{Problem, shortened};
use super::modes::Export;
use super::page::{Pages, Query};
use super::person::person;
use super::root::{Mark, root};
use crate::live::TroubleKind;

/// What a trial finds: how many there are on the first page, in which attributes, and whether
/// their changes can be followed.
pub(in super::super) async fn described(
    link: &Link,
    settings: &Settings,
    export: &Export,
) -> Result<String, Problem> {
    let root = root(link, settings.answer_max).await?;
    let attributes = export.asked(settings);
    let (base, filter) = (&*settings.base, &*export.filter);
    let (attributes, halved_by) = (&attributes[..], &*export.attributes[0]);
    let query = Query { base, filter, attributes, halved_by, shows_deleted: false };
    let mut pages = Pages::new(link, query);
    let entries = pages.next().await?.unwrap_or_default();
    if let Some(problem) = pages.is_elsewhere() {
        return Err(problem);
    }
    let mut found = Vec::new();
    for attribute in &export.attributes {
        let mut count = 0;
        for entry in &entries {
            count += person(link, entry, std::slice::from_ref(attribute), None).await?.values.len();
        }
        if count > 0 {
            found.push(format!("{count} of {attribute}"));
        }
    }
    if found.is_empty() {
        let what = format!("`base`: nobody below it with an address matches {filter}");
        let remedy = "`base`: where the people are; `bind_dn`: who may see them; \
                      `address_attributes` and `list_filter`, where they are set";
        return Err(Problem::new(TroubleKind::Misconfigured, what, remedy));
    }
    let changes = match root.mark(link, base, settings.answer_max).await? {
        Some(Mark::Usn { .. }) => "changes by update sequence number",
        Some(Mark::Cookie { .. }) => "changes by syncrepl",
        None => "no changes between readings: the server has no way to tell them",
    };
    let more = if pages.is_paged && entries.len() >= 500 { " and more" } else { "" };
    let elsewhere = match pages.references.len() {
        0 => String::new(),
        count => format!(
            "; {count} references to other servers ({}) are not followed: who is not here hears 451",
            shortened(&pages.references[0])
        ),
    };
    let count = entries.len();
    Ok(format!("{count} entries{more} with {}; {changes}{elsewhere}", found.join(", ")))
}
