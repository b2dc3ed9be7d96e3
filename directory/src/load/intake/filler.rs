//! Values that stand in an export where an address should: the type of a list instead of the list,
//! and words for nothing. Taken for local parts, they would hide every alias that is missing.

use super::super::error::LineProblem;

/// How .NET writes a type that holds several values; PowerShell's `Export-Csv` writes that name.
const NAMESPACES: &[&str] = &["System.", "Microsoft.", "Deserialized."];
/// What the names of such types hold besides.
const MARKS: &[&str] = &["[", "Collection", ".Exchange.Data.", ".ActiveDirectory.", "__ComObject"];
/// What databases, spreadsheets and people write for nothing, compared without case.
const FILLERS: &[&str] = &[
    "null",
    "(null)",
    "<null>",
    "\\n",
    "n/a",
    "#n/a",
    "-",
    "--",
    "none",
    "(none)",
    "<none>",
    "nil",
    "undefined",
    "nan",
    "(empty)",
    "<empty>",
    "#ref!",
    "#value!",
    "#name?",
];

/// What is wrong with a value that has no domain, if it is known for not being a name. In a list
/// that was declared to hold names (`is_name_declared`), somebody may be called Null.
pub(super) fn problem(value: &[u8], is_name_declared: bool) -> Option<LineProblem> {
    let text = str::from_utf8(value).ok()?;
    if is_list_type(text) {
        return Some(LineProblem::ListType);
    }
    let is_filler = FILLERS.iter().any(|filler| filler.eq_ignore_ascii_case(text));
    (is_filler && !is_name_declared).then_some(LineProblem::Filler)
}

fn is_list_type(text: &str) -> bool {
    NAMESPACES.iter().any(|namespace| text.starts_with(namespace))
        && MARKS.iter().any(|mark| text.contains(mark))
}

/// `{a@b, c@d...}`: PowerShell shows lists so, and cuts them off.
pub(crate) fn is_shown_list(value: &[u8]) -> bool {
    value.len() > 1 && value.first() == Some(&b'{') && value.last() == Some(&b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_lists_are_no_names_and_people_who_are_called_alike_are() {
        for value in [
            "Microsoft.Exchange.Data.ProxyAddressCollection",
            "Microsoft.ActiveDirectory.Management.ADPropertyValueCollection",
            "System.Collections.ArrayList",
            "System.Collections.Generic.List`1[System.String]",
            "System.String[]",
            "System.Object[]",
            "System.__ComObject",
            "Deserialized.Microsoft.Exchange.Data.ProxyAddressCollection",
        ] {
            assert_eq!(problem(value.as_bytes(), true), Some(LineProblem::ListType), "{value}");
        }
        for value in ["System.Admin", "microsoft", "null.tom", "na", "collection"] {
            assert_eq!(problem(value.as_bytes(), false), None, "{value}");
        }
        for value in ["NULL", "N/A", "-", "none", "\\N", "#N/A"] {
            assert_eq!(problem(value.as_bytes(), false), Some(LineProblem::Filler), "{value}");
            assert_eq!(problem(value.as_bytes(), true), None, "{value}");
        }
    }
}
