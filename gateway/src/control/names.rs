//! Which source a person means: by its whole name, or by the end of it that is enough.

use std::path::Path;
use thiserror::Error;

/// Why it is not clear.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unclear {
    /// None is called so.
    #[error("there is no source \"{wanted}\"; there are: {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Several are called so.
    #[error("\"{wanted}\" may be any of: {}", matching.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Which they are.
        matching: Vec<String>,
    },
    /// Nothing was asked for, and there are several.
    #[error("say which source: {}", known.join(", "))]
    Several {
        /// What there is.
        known: Vec<String>,
    },
    /// There is none of the kind that is needed.
    #[error("no source holds a list")]
    None,
}

/// The place of the one that is meant.
/// # Errors
/// When it is none, or several.
pub fn pick(names: &[&str], wanted: Option<&str>) -> Result<usize, Unclear> {
    let listed = |places: &[usize]| places.iter().map(|&at| names[at].to_owned()).collect();
    let all: Vec<usize> = (0..names.len()).collect();
    let Some(wanted) = wanted else {
        return match all[..] {
            [] => Err(Unclear::None),
            [only] => Ok(only),
            _ => Err(Unclear::Several { known: listed(&all) }),
        };
    };
    if let Some(at) = names.iter().position(|name| *name == wanted) {
        return Ok(at);
    }
    let matching: Vec<usize> = all.iter().copied().filter(|&at| ends(names[at], wanted)).collect();
    match matching[..] {
        [] => Err(Unclear::Unknown { wanted: wanted.to_owned(), known: listed(&all) }),
        [only] => Ok(only),
        _ => Err(Unclear::Ambiguous { wanted: wanted.to_owned(), matching: listed(&matching) }),
    }
}

/// `ldap ad` ends with `ad`, `file /etc/users.txt` with `users.txt`.
fn ends(name: &str, wanted: &str) -> bool {
    let Some((_, rest)) = name.split_once(' ') else { return false };
    let wanted = wanted.strip_prefix("./").unwrap_or(wanted);
    rest == wanted || (!wanted.is_empty() && Path::new(rest).ends_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["file /etc/a/users.txt", "file /etc/b/users.txt", "ldap ad"];

    #[test]
    fn a_source_is_meant_by_its_name_or_by_an_end_of_it() {
        assert_eq!(pick(NAMES, Some("ldap ad")), Ok(2));
        assert_eq!(pick(NAMES, Some("ad")), Ok(2));
        assert_eq!(pick(NAMES, Some("b/users.txt")), Ok(1));
        assert_eq!(pick(NAMES, Some("/etc/a/users.txt")), Ok(0));
        assert_eq!(pick(&NAMES[..1], None), Ok(0));
    }

    #[test]
    fn what_is_not_clear_is_said_with_what_there_is() {
        assert!(matches!(pick(NAMES, Some("sers.txt")), Err(Unclear::Unknown { .. })));
        assert!(matches!(pick(NAMES, Some("")), Err(Unclear::Unknown { .. })));
        let matching = NAMES[..2].iter().map(ToString::to_string).collect();
        let wanted = "users.txt".to_owned();
        assert_eq!(pick(NAMES, Some("users.txt")), Err(Unclear::Ambiguous { wanted, matching }));
        assert!(matches!(pick(NAMES, None), Err(Unclear::Several { .. })));
        assert_eq!(pick(&[], None), Err(Unclear::None));
    }
}
