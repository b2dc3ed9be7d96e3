//! What a response says. Only the two that were agreed on are answers: the status alone, or a
//! value in JSON; everything else is trouble.

use super::settings::Answer;
use crate::live::{Existence, Trouble, TroubleKind};
use mail::address::Mailbox;
use serde_json::Value;

/// Reads a response that came whole. `place` says whose, for the log.
pub(super) fn read(
    status: u16,
    body: &[u8],
    answer: &Answer,
    asked: &Mailbox,
    place: &str,
) -> Result<Existence, Trouble> {
    match status {
        200 => said(body, answer, asked, place),
        // Not there, or there no more (RFC 9110 §15.5.5, §15.5.11).
        404 | 410 => Ok(Existence::Unknown),
        _ => Err(refused(status, place)),
    }
}

fn refused(status: u16, place: &str) -> Trouble {
    let (kind, remedy) = match status {
        300..=399 => (
            TroubleKind::Misconfigured,
            "redirects are not followed; write in `url` where it redirects to",
        ),
        401 | 403 | 407 => (TroubleKind::Misconfigured, "see `token_file`"),
        408 | 429 | 503 => (TroubleKind::Busy, ""),
        // Not "unexpected": what is broken now may yet say yes to everybody.
        500.. => (TroubleKind::Down, "see the server's own log"),
        _ => (
            TroubleKind::Unexpected,
            "the server must answer 200 for an address that exists and 404 for one that does not",
        ),
    };
    Trouble::new(kind, format!("{place}: answered {status}")).remedy(remedy)
}

fn said(body: &[u8], answer: &Answer, asked: &Mailbox, place: &str) -> Result<Existence, Trouble> {
    let Answer { exists, target } = answer;
    if exists.is_none() && target.is_none() {
        return Ok(Existence::Exists { target: None });
    }
    let unexpected = |what: String| {
        Trouble::new(TroubleKind::Unexpected, format!("{place}: {what}"))
            .remedy("compare what the server answers with `json_pointer` and `target_pointer`")
    };
    let json: Value = serde_json::from_slice(body)
        .map_err(|error| unexpected("answered what is not JSON".into()).because(error))?;
    if let Some(pointer) = exists {
        match json.pointer(pointer) {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(Existence::Unknown),
            other => {
                let found = kind_of(other);
                return Err(unexpected(format!(
                    "expected true or false at {pointer:?}, found {found}"
                )));
            }
        }
    }
    let Some(pointer) = target else { return Ok(Existence::Exists { target: None }) };
    match json.pointer(pointer) {
        Some(Value::String(text)) => match Mailbox::parse(text) {
            Ok(target) => Ok(Existence::Exists { target: Some(target).filter(|t| t != asked) }),
            Err(error) => {
                Err(unexpected(format!("found no address at {pointer:?}")).because(error))
            }
        },
        // That it is there has been said already.
        None | Some(Value::Null) if exists.is_some() => Ok(Existence::Exists { target: None }),
        other => {
            let found = kind_of(other);
            Err(unexpected(format!("expected an address at {pointer:?}, found {found}")))
        }
    }
}

/// Never the value itself: the log is no place for what a directory holds.
fn kind_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "true or false",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        status: u16,
        body: &str,
        exists: Option<&str>,
        target: Option<&str>,
    ) -> Result<Existence, TroubleKind> {
        let answer = Answer { exists: exists.map(Into::into), target: target.map(Into::into) };
        let asked = Mailbox::parse("jones@example.test").unwrap();
        read(status, body.as_bytes(), &answer, &asked, "http x").map_err(|trouble| trouble.kind)
    }

    #[test]
    fn the_status_alone_says_it_where_no_pointer_is_set() {
        let exists = Ok(Existence::Exists { target: None });
        assert_eq!(of(200, "whatever", None, None), exists);
        assert_eq!(of(404, "", None, None), Ok(Existence::Unknown));
        assert_eq!(of(410, "", None, None), Ok(Existence::Unknown));
        for (status, kind) in [
            (201, TroubleKind::Unexpected),
            (204, TroubleKind::Unexpected),
            (302, TroubleKind::Misconfigured),
            (400, TroubleKind::Unexpected),
            (401, TroubleKind::Misconfigured),
            (403, TroubleKind::Misconfigured),
            (429, TroubleKind::Busy),
            (500, TroubleKind::Down),
            (503, TroubleKind::Busy),
        ] {
            assert_eq!(of(status, "", None, None), Err(kind), "{status}");
            assert_eq!(of(status, "{\"ok\":false}", Some("/ok"), None), Err(kind), "{status}");
        }
    }

    #[test]
    fn a_value_says_it_where_a_pointer_is_set_and_nothing_else_does() {
        let exists = Ok(Existence::Exists { target: None });
        let ok = Some("/user/ok");
        assert_eq!(of(200, r#"{"user":{"ok":true}}"#, ok, None), exists);
        assert_eq!(of(200, r#"{"user":{"ok":false}}"#, ok, None), Ok(Existence::Unknown));
        assert_eq!(of(200, "true", Some(""), None), exists);
        assert_eq!(of(404, "not even JSON", ok, None), Ok(Existence::Unknown));
        for body in [
            "",
            "<html>",
            "{}",
            "[]",
            r#"{"user":{"ok":"true"}}"#,
            r#"{"user":{"ok":1}}"#,
            r#"{"user":{"ok":null}}"#,
            r#"{"user":{"ok":true}"#,
            r#"{"user":{"ok":true}} {}"#,
        ] {
            assert_eq!(of(200, body, ok, None), Err(TroubleKind::Unexpected), "{body}");
        }
    }

    #[test]
    fn a_target_is_an_address_and_nothing_else() {
        let target = Some("/to");
        let to = |text| Ok(Existence::Exists { target: Some(Mailbox::parse(text).unwrap()) });
        assert_eq!(
            of(200, r#"{"to":"j.jones@inside.test"}"#, None, target),
            to("j.jones@inside.test")
        );
        let itself = Ok(Existence::Exists { target: None });
        assert_eq!(of(200, r#"{"to":"jones@EXAMPLE.test"}"#, None, target), itself);
        for body in
            [r#"{"to":"jones"}"#, r#"{"to":""}"#, r#"{"to":null}"#, "{}", r#"{"to":["a@b.c"]}"#]
        {
            assert_eq!(of(200, body, None, target), Err(TroubleKind::Unexpected), "{body}");
        }
        let both = |body| of(200, body, Some("/ok"), target);
        assert_eq!(both(r#"{"ok":true}"#), itself);
        assert_eq!(both(r#"{"ok":true,"to":null}"#), itself);
        assert_eq!(both(r#"{"ok":true,"to":"a@inside.test"}"#), to("a@inside.test"));
        assert_eq!(both(r#"{"ok":false,"to":"a@inside.test"}"#), Ok(Existence::Unknown));
        assert_eq!(both(r#"{"ok":true,"to":7}"#), Err(TroubleKind::Unexpected));
    }
}
