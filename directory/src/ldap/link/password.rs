//! The file with the password of a bind. How often what it holds is tried is left to `account.rs`.

use super::super::account::Stamp;
use super::super::trouble::Problem;
use crate::live::TroubleKind;
use std::path::Path;

/// A file with a password is never longer.
const PASSWORD_OCTETS_MAX: u64 = 1024;

/// Read at each bind, so that a new password needs no reload; with how the file was, to tell that
/// it is another one.
pub(in super::super) async fn password(path: &Path) -> Result<(String, Stamp), Problem> {
    let wrong = |why: String| {
        let what = format!("cannot read the password in {}: {why}", path.display());
        let remedy = "`password_file`: one line, readable by the user that Postern runs as";
        Problem::new(TroubleKind::Misconfigured, what, remedy)
    };
    let described = tokio::fs::metadata(path).await.map_err(|error| wrong(error.to_string()))?;
    if !described.is_file() || described.len() > PASSWORD_OCTETS_MAX {
        return Err(wrong("it is no file of at most 1024 octets".to_owned()));
    }
    let text = tokio::fs::read_to_string(path).await.map_err(|error| wrong(error.to_string()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        // A name without a password binds as nobody (RFC 4513 §5.1.2), and looks like success.
        return Err(wrong("it is empty".to_owned()));
    }
    Ok((password.to_owned(), Stamp::new(&described, password)))
}
