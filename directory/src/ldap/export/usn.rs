//! Changes by the numbers that Active Directory and Exchange 5.5 give them: whatever has a higher
//! one than the list. Deleted entries show themselves to those who may see them, have lost their
//! addresses, and moved to where no search for people looks: so first it is asked who changed,
//! anywhere, and then what of that is there now.

use super::super::link::Link;
use super::super::preset::Preset;
use super::super::settings::Settings;
use super::super::trouble::Problem;
use super::followed::{Held, Seen};
use super::modes::Export;
use super::page::{Pages, Query};
use super::person::{OPERATIONAL, id, is_deleted, person};
use super::root::{Mark, Root};
use crate::list::Scope as Domains;
use crate::snapshot::overlay::CHANGES_MAX;

/// What changed since a number; nothing when that is too much.
pub(super) async fn seen(
    link: &Link,
    settings: &Settings,
    export: &Export,
    domains: &Domains,
    root: &Root,
    since: (&Mark, u64),
) -> Result<Option<Seen>, Problem> {
    let (mark, highest) = since;
    let usn = match settings.preset {
        Preset::Exchange55 => "USN-Changed",
        _ => "uSNChanged",
    };
    let newer = format!("({usn}>={})", highest.saturating_add(1));
    let mut seen = Seen::new();
    let anywhere = Query {
        base: root.context(&settings.base),
        filter: &newer,
        attributes: &OPERATIONAL,
        halved_by: &export.attributes[0],
        shows_deleted: true,
    };
    let mut pages = Pages::new(link, anywhere);
    while let Some(page) = pages.next().await? {
        seen.extend(page.iter().filter_map(|entry| Some((id(entry, mark)?, Held::new()))));
        if seen.len() > CHANGES_MAX {
            return Ok(None);
        }
    }
    if seen.is_empty() {
        return Ok(Some(seen));
    }
    let (filter, attributes) = (format!("(&{newer}{})", export.filter), export.asked(settings));
    let here = Query {
        base: &settings.base,
        filter: &filter,
        attributes: &attributes,
        halved_by: &export.attributes[0],
        shows_deleted: false,
    };
    let mut pages = Pages::new(link, here);
    while let Some(page) = pages.next().await? {
        for entry in page.iter().filter(|entry| !is_deleted(entry)) {
            let Some(id) = id(entry, mark) else { continue };
            let target = settings.target_attribute.as_deref();
            let person = person(link, entry, &export.attributes, target).await?;
            seen.insert(id, person.held(domains));
        }
        if seen.len() > CHANGES_MAX {
            return Ok(None);
        }
    }
    Ok(Some(seen))
}
