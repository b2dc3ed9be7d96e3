//! What the rows of a query say of an address. The columns `exists` and `target` count, others
//! do not; what they hold must be what they are for, or nothing is said. Databases turn their
//! rows into [`Row`]s.

use super::super::live::{Existence, Trouble, TroubleKind};
use super::statement::Placeholder;
use crate::target::Target;
use mail::address::Mailbox;

/// Rows that are read for one address. A query that gives more has lost its condition.
pub const ROWS_MAX: usize = 100;
/// The column that says whether the address exists.
pub const EXISTS: &str = "exists";
/// The column with the address that the next hop hears.
pub const TARGET: &str = "target";

/// What one column of one row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// NULL.
    Null,
    /// Text.
    Text(String),
    /// A whole number or a boolean.
    Number(i64),
    /// Something of this type.
    Other(String),
}

/// The columns of one row that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// `exists`, when there is such a column.
    pub exists: Option<Cell>,
    /// `target`, when there is such a column.
    pub target: Option<Cell>,
}

/// What is bound to the placeholders for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// The whole, quoted where a client must quote it.
    pub address: String,
    /// Without quotes.
    pub local_part: String,
    /// In lower case.
    pub domain: String,
}

impl Values {
    /// Those of a mailbox.
    #[must_use]
    pub fn new(mailbox: &Mailbox) -> Self {
        let domain = match mailbox.host.domain() {
            Some(domain) => domain.to_canonical(),
            None => mailbox.host.to_string(),
        };
        let address = format!("{}@{domain}", mailbox.local_part);
        Self { address, local_part: mailbox.local_part.as_str().to_owned(), domain }
    }

    /// Those of an address that nobody has: `.invalid` is nobody's (RFC 2606 §2).
    #[must_use]
    pub fn of_nobody() -> Self {
        let mut key = [0; 8];
        // Without randomness the name is merely known beforehand.
        let _ = getrandom::fill(&mut key);
        let local_part = format!("postern-{:016x}", u64::from_be_bytes(key));
        let domain = "nobody.invalid".to_owned();
        Self { address: format!("{local_part}@{domain}"), local_part, domain }
    }

    /// What a placeholder stands for.
    #[must_use]
    pub fn of(&self, placeholder: Placeholder) -> &str {
        match placeholder {
            Placeholder::Address => &self.address,
            Placeholder::LocalPart => &self.local_part,
            Placeholder::Domain => &self.domain,
        }
    }

    /// Whether NUL is in it, which text in PostgreSQL cannot hold.
    #[must_use]
    pub fn has_nul(&self) -> bool {
        self.address.contains('\0') || self.local_part.contains('\0')
    }
}

/// What the rows come to.
/// # Errors
/// When a column holds what it is not for, or the rows contradict each other.
pub fn said(rows: &[Row]) -> Result<Existence, Trouble> {
    if rows.len() > ROWS_MAX {
        let what = format!("query: more than {ROWS_MAX} rows for one address");
        return Err(Trouble::new(TroubleKind::Misconfigured, what)
            .remedy("compare with {address} in its `where`"));
    }
    let mut found: Option<Target> = None;
    for row in rows {
        if !exists(row)? {
            continue;
        }
        let target = row.target.as_ref().map_or(Ok(Target::Same), target)?;
        let target = found.unwrap_or_default().and(target);
        if target == Target::Unclear {
            let what = "column `target`: several addresses for one recipient";
            return Err(Trouble::new(TroubleKind::Unexpected, what).remedy(
                "the next hop hears one: choose it in the query, or leave `target` out and let \
                 the next hop expand",
            ));
        }
        found = Some(target);
    }
    Ok(match found {
        None => Existence::Unknown,
        Some(Target::Other(mailbox)) => Existence::Exists { target: Some(mailbox) },
        Some(_) => Existence::Exists { target: None },
    })
}

fn exists(row: &Row) -> Result<bool, Trouble> {
    let what = match &row.exists {
        None => return Ok(true),
        Some(Cell::Number(0)) => return Ok(false),
        Some(Cell::Number(1..)) => return Ok(true),
        Some(Cell::Number(number)) => number.to_string(),
        Some(Cell::Null) => "NULL".to_owned(),
        Some(Cell::Text(_)) => "text".to_owned(),
        Some(Cell::Other(name)) => format!("of type {name}"),
    };
    let what = format!("column `exists` is {what}, not a boolean, 0 or 1");
    Err(Trouble::new(TroubleKind::Misconfigured, what)
        .remedy("give another column that name in the query, or leave it out"))
}

fn target(cell: &Cell) -> Result<Target, Trouble> {
    let text = match cell {
        Cell::Null => return Ok(Target::Same),
        Cell::Text(text) => text,
        Cell::Number(_) => return Err(of_another_type("a number")),
        Cell::Other(name) => return Err(of_another_type(&format!("of type {name}"))),
    };
    Target::read(Some(text.as_bytes())).map_err(|error| {
        Trouble::new(TroubleKind::Unexpected, "column `target` holds no address")
            .remedy("give an address or NULL")
            .because(error.to_string())
    })
}

fn of_another_type(name: &str) -> Trouble {
    Trouble::new(TroubleKind::Misconfigured, format!("column `target` is {name}, not text"))
        .remedy("give an address or NULL")
}

/// What is doubtful about the columns of a query, before any row is seen.
/// # Errors
/// When the query gives a row for every address, whether it exists or not.
pub fn judge_columns<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), Trouble> {
    let names: Vec<String> = names.into_iter().map(str::to_ascii_lowercase).collect();
    if names.is_empty() {
        return Err(Trouble::new(TroubleKind::Misconfigured, "query: it gives no rows")
            .remedy("it must begin with select"));
    }
    let is_one = |name: &str| names.iter().any(|other| other == name);
    let is_always = |name: &String| {
        let call = name.replace(' ', "");
        *name == "count" || call.starts_with("count(") || call.starts_with("exists(")
    };
    match names.iter().find(|name| is_always(name) && !is_one(EXISTS)) {
        None => Ok(()),
        Some(name) => {
            let what = format!("query: column `{name}` is there for every address");
            Err(Trouble::new(TroubleKind::Misconfigured, what)
                .remedy("name the column: `count(*) as \"exists\"`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(exists: Option<Cell>, target: Option<Cell>) -> Row {
        Row { exists, target }
    }

    fn kind(rows: &[Row]) -> Option<TroubleKind> {
        said(rows).err().map(|trouble| trouble.kind)
    }

    #[test]
    fn a_row_means_that_the_address_exists() {
        let nobody = Existence::Exists { target: None };
        assert_eq!(said(&[]).unwrap(), Existence::Unknown);
        assert_eq!(said(&[Row::default(), Row::default()]).unwrap(), nobody);
        assert_eq!(said(&[row(None, Some(Cell::Null))]).unwrap(), nobody);
        for (number, expected) in [(0, Existence::Unknown), (1, nobody.clone()), (7, nobody)] {
            assert_eq!(said(&[row(Some(Cell::Number(number)), None)]).unwrap(), expected);
        }
    }

    #[test]
    fn a_target_is_one_address() {
        let text = |text: &str| row(None, Some(Cell::Text(text.into())));
        let target = Some(Mailbox::parse("a@inside.test").unwrap());
        assert_eq!(said(&[text("a@inside.test  ")]).unwrap(), Existence::Exists { target });
        assert!(said(&[text("a@inside.test"), text("a@inside.test")]).is_ok());
        let several = [text("a@inside.test"), text("b@inside.test")];
        assert_eq!(kind(&several), Some(TroubleKind::Unexpected));
        for blank in ["", "  "] {
            assert_eq!(said(&[text(blank)]).unwrap(), Existence::Exists { target: None });
        }
        for wrong in ["a", "a@", "a@inside.test b"] {
            assert_eq!(kind(&[text(wrong)]), Some(TroubleKind::Unexpected), "{wrong}");
        }
    }

    #[test]
    fn a_column_of_another_type_says_nothing() {
        let date = Cell::Other("DATE".into());
        for exists in [Cell::Null, Cell::Text("t".into()), Cell::Number(-1), date.clone()] {
            let found = kind(&[row(Some(exists), None)]);
            assert_eq!(found, Some(TroubleKind::Misconfigured));
        }
        for target in [Cell::Number(1), date] {
            assert_eq!(kind(&[row(None, Some(target))]), Some(TroubleKind::Misconfigured));
        }
    }

    #[test]
    fn a_query_without_condition_is_noticed() {
        let rows = vec![Row::default(); ROWS_MAX + 1];
        assert_eq!(kind(&rows), Some(TroubleKind::Misconfigured));
        assert!(said(&rows[1..]).is_ok());
    }

    #[test]
    fn a_count_must_be_called_exists() {
        for names in [&["count"] as &[&str], &["COUNT(*)"], &["exists (select 1)"], &[]] {
            assert!(judge_columns(names.iter().copied()).is_err(), "{names:?}");
        }
        for names in [&["?column?"] as &[&str], &["exists"], &["EXISTS", "count"], &["target"]] {
            assert!(judge_columns(names.iter().copied()).is_ok(), "{names:?}");
        }
    }

    #[test]
    fn values_are_the_address_and_its_halves() {
        let values = Values::new(&Mailbox::parse("\"john doe\"@Example.test").unwrap());
        assert_eq!(values.address, "\"john doe\"@example.test");
        assert_eq!(values.local_part, "john doe");
        assert_eq!(values.domain, "example.test");
        assert!(Mailbox::parse(&Values::of_nobody().address).is_ok());
    }
}
