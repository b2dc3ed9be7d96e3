//! Changes as a provider of RFC 4533 tells them: a search with a cookie is answered with what is
//! new, what changed and what is gone. Limits: where it says instead what is still there (the
//! present phase, §3.3.1), everything is read anew; we do not keep a connection for more to come.

use super::super::TroubleKind::{Busy, Down};
use super::super::link::{Link, Reply, Search};
use super::super::settings::Settings;
use super::super::trouble::Problem;
use super::followed::{Held, Seen};
use super::modes::Export;
use super::octets::{BOOLEAN, ENUMERATED, Elements, OCTET_STRING};
use super::page::{PAGE_MAX, refused, search};
use super::person::person;
use crate::list::Scope as Domains;
use crate::snapshot::overlay::CHANGES_MAX;
use ldap3::Scope;
use ldap3::controls::{Control, MakeCritical, SyncRequest};

/// Offers and asks for synchronisation.
pub(super) const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// Stands beside each entry.
const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
/// Stands at the end.
const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
/// Comes between entries.
const SYNC_INFO: &str = "1.3.6.1.4.1.4203.1.9.1.4";
/// The most of one answer, in octets.
const ANSWER_OCTETS_MAX: usize = 64 << 20;
const UUID_OCTETS: usize = 16;

/// What an answer comes to.
#[derive(Debug, Default)]
struct Told {
    /// Still there, whether or not it changed; so there must be others that are not.
    is_present_phase: bool,
    gone: Vec<Box<[u8]>>,
    cookie: Option<Vec<u8>>,
}

/// What changed since a cookie, and the next cookie, which may be the same; nothing when the
/// server cannot say it all.
pub(super) async fn seen(
    link: &Link,
    settings: &Settings,
    export: &Export,
    domains: &Domains,
    cookie: &[u8],
) -> Result<Option<(Seen, Vec<u8>)>, Problem> {
    let attributes = export.asked(settings);
    let request = SyncRequest { cookie: Some(cookie.to_vec()), ..SyncRequest::default() };
    let wanted = Search {
        base: &settings.base,
        scope: Scope::Subtree,
        filter: &export.filter,
        attributes: &attributes,
        entries_max: u32::try_from(CHANGES_MAX).unwrap_or(u32::MAX),
        octets_max: ANSWER_OCTETS_MAX,
        controls: vec![request.critical().into()],
    };
    let reply = search(link, &wanted, PAGE_MAX).await?;
    match reply.result.rc {
        0 => {}
        code => {
            let problem = refused(&reply, code);
            // e-syncRefreshRequired (§2.5), a limit, a cookie that is none of its own: whatever it
            // is, reading everything settles it. Not so for a server that has no time.
            let is_over = !matches!(problem.kind, Busy | Down);
            return if is_over { Ok(None) } else { Err(problem) };
        }
    }
    let Some(mut told) = told(&reply).filter(|told| !told.is_present_phase) else {
        return Ok(None);
    };
    let mut seen: Seen = told.gone.drain(..).map(|id| (id, Held::new())).collect();
    for entry in &reply.entries {
        let Some((state, id)) = state(&entry.controls) else { return Ok(None) };
        let held = match state {
            State::Present => return Ok(None),
            State::Gone => Held::new(),
            State::Changed => {
                let target = settings.target_attribute.as_deref();
                person(link, entry, &export.attributes, target).await?.held(domains)
            }
        };
        seen.insert(id, held);
    }
    Ok(Some((seen, told.cookie.unwrap_or_else(|| cookie.to_vec()))))
}

enum State {
    Present,
    Changed,
    Gone,
}

/// What stands beside an entry (§2.3).
fn state(controls: &[Control]) -> Option<(State, Box<[u8]>)> {
    let mut parts = Elements::of_sequence(value_of(controls, SYNC_STATE)?)?;
    let state = match parts.next()? {
        (ENUMERATED, [0]) => State::Present,
        (ENUMERATED, [1 | 2]) => State::Changed,
        (ENUMERATED, [3]) => State::Gone,
        _ => return None,
    };
    match parts.next()? {
        (OCTET_STRING, id) if id.len() == UUID_OCTETS => Some((state, id.into())),
        _ => None,
    }
}

/// What stands between the entries and behind them; nothing when it is not understood.
fn told(reply: &Reply) -> Option<Told> {
    let mut told = Told::default();
    for (name, value) in &reply.intermediates {
        if name == SYNC_INFO {
            take_info(value, &mut told)?;
        }
    }
    // §2.4: a cookie, and whether all that is gone was named.
    let (cookie, names_what_is_gone) =
        last_words(Elements::of_sequence(value_of(&reply.result.ctrls, SYNC_DONE)?)?)?;
    told.cookie = cookie.or(told.cookie);
    told.is_present_phase |= !names_what_is_gone;
    Some(told)
}

/// §2.5: one of a new cookie, the end of a phase, a set of entries.
fn take_info(value: &[u8], told: &mut Told) -> Option<()> {
    const NEW_COOKIE: u8 = 0x80;
    const REFRESH_DELETE: u8 = 0xa1;
    const REFRESH_PRESENT: u8 = 0xa2;
    const ID_SET: u8 = 0xa3;
    const SET: u8 = 0x31;
    let (tag, content) = Elements(value).next()?;
    match tag {
        NEW_COOKIE => told.cookie = Some(content.to_vec()),
        REFRESH_DELETE => told.cookie = last_words(Elements(content))?.0.or(told.cookie.take()),
        REFRESH_PRESENT => told.is_present_phase = true,
        ID_SET => {
            let (mut is_of_gone, mut ids) = (false, None);
            for (tag, content) in Elements(content) {
                match tag {
                    OCTET_STRING => told.cookie = Some(content.to_vec()),
                    BOOLEAN => is_of_gone = content != [0],
                    SET => ids = Some(Elements(content)),
                    _ => return None,
                }
            }
            if !is_of_gone {
                told.is_present_phase = true;
                return Some(());
            }
            for (tag, id) in ids? {
                let is_id = tag == OCTET_STRING && id.len() == UUID_OCTETS;
                told.gone.push(is_id.then(|| id.into())?);
            }
        }
        _ => return None,
    }
    Some(())
}

/// A cookie and a boolean that is false when it is not there.
fn last_words(parts: Elements<'_>) -> Option<(Option<Vec<u8>>, bool)> {
    let (mut cookie, mut flag) = (None, false);
    for (tag, content) in parts {
        match tag {
            OCTET_STRING => cookie = Some(content.to_vec()),
            BOOLEAN => flag = content != [0],
            _ => return None,
        }
    }
    Some((cookie, flag))
}

fn value_of<'a>(controls: &'a [Control], oid: &str) -> Option<&'a [u8]> {
    controls.iter().find(|control| control.1.ctype == oid)?.1.val.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::LdapResult;
    use ldap3::controls::RawControl;

    fn control(oid: &str, value: &[u8]) -> Control {
        let val = Some(value.to_vec());
        Control(None, RawControl { ctype: oid.to_owned(), crit: false, val })
    }

    fn reply(intermediates: &[&[u8]], done: &[u8]) -> Reply {
        let info = |value: &&[u8]| (SYNC_INFO.to_owned(), value.to_vec());
        Reply {
            entries: Vec::new(),
            references: Vec::new(),
            intermediates: intermediates.iter().map(info).collect(),
            result: LdapResult {
                rc: 0,
                matched: String::new(),
                text: String::new(),
                refs: Vec::new(),
                ctrls: vec![control(SYNC_DONE, done)],
            },
        }
    }

    const NAMES_WHAT_IS_GONE: &[u8] = b"\x30\x05\x04\x00\x01\x01\xff";

    #[test]
    fn what_is_gone_is_named_by_sets_and_by_states() {
        let set = [b"\xa3\x17\x01\x01\xff\x31\x12\x04\x10", &[7; 16][..]].concat();
        let told = told(&reply(&[&set], b"\x30\x06\x04\x01c\x01\x01\xff")).unwrap();
        assert!(!told.is_present_phase);
        assert_eq!((told.gone, told.cookie), (vec![[7; 16].into()], Some(b"c".to_vec())));
        let deleted = [b"\x30\x15\x0a\x01\x03\x04\x10", &[9; 16][..]].concat();
        let (state, id) = state(&[control(SYNC_STATE, &deleted)]).unwrap();
        assert!(matches!(state, State::Gone));
        assert_eq!(*id, [9; 16]);
    }

    #[test]
    fn what_is_present_is_no_list_of_changes() {
        let is_present =
            |info: &[&[u8]], done: &[u8]| told(&reply(info, done)).unwrap().is_present_phase;
        assert!(is_present(&[], b"\x30\x00"), "the end without a word about deletions");
        assert!(is_present(&[b"\xa2\x00"], NAMES_WHAT_IS_GONE));
        assert!(is_present(&[b"\xa3\x02\x31\x00"], NAMES_WHAT_IS_GONE));
        assert!(!is_present(&[b"\xa1\x00", b"\x80\x01c"], NAMES_WHAT_IS_GONE));
    }

    #[test]
    fn what_is_not_understood_is_no_answer() {
        let wrong: &[&[u8]] = &[
            b"",
            b"\xa3",
            b"\xa3\x80",
            b"\xa4\x00",
            b"\xa3\x03\x01\x01\xff",
            b"\xa3\x09\x01\x01\xff\x31\x04\x04\x02no",
        ];
        for info in wrong {
            assert!(told(&reply(&[info], NAMES_WHAT_IS_GONE)).is_none(), "{info:x?}");
        }
        assert!(told(&reply(&[], b"\x31\x00")).is_none());
        for wrong in [&b"\x30\x00"[..], b"\x30\x03\x0a\x01\x09", b"\x30\x05\x0a\x01\x01\x04\x00"] {
            assert!(state(&[control(SYNC_STATE, wrong)]).is_none(), "{wrong:x?}");
        }
    }
}
