//! Placeholders in each dialect, and what is no query for one address.

use super::Dialect::{MySql, Postgres, Sqlite};
use super::Placeholder::{Address, Domain, LocalPart};
use super::*;

fn fault(text: &str, dialect: Dialect) -> (FaultKind, &str) {
    let fault = Statement::query(text, dialect).unwrap_err();
    (fault.kind, &text[fault.at])
}

#[test]
fn a_placeholder_becomes_a_parameter_of_the_dialect() {
    let text = "select 1 from p where a = {address} or l={local_part} and d={domain} \
                or a={address};\n";
    let query = |dialect| Statement::query(text, dialect).unwrap();
    let all = [Address, LocalPart, Domain, Address];
    let expected = "select 1 from p where a =  $1  or l= $2  and d= $3  or a= $1";
    assert_eq!(&*query(Postgres).text, expected);
    assert_eq!(*query(Postgres).parameters, all[..3]);
    let expected = "select 1 from p where a =  ?  or l= ?  and d= ?  or a= ?";
    assert_eq!(&*query(MySql).text, expected);
    assert_eq!(*query(MySql).parameters, all);
    assert!(query(Sqlite).text.ends_with("d= ?3  or a= ?4"));
    assert_eq!(*query(Sqlite).parameters, all);
    let expected = "select 1 from p where a =  null  or l= null  and d= null  or a= null";
    assert_eq!(&*query(Postgres).blank, expected);
}

#[test]
fn a_placeholder_between_quotes_or_in_a_comment_is_a_fault() {
    for (text, dialect) in [
        ("select 1 where a = '{address}'", Postgres),
        ("select 1 where a = 'it''s {address}'", Sqlite),
        ("select 1 where a = E'it\\'s {address}'", Postgres),
        ("select 1 where a = 'it\\'s {address}'", MySql),
        ("select 1 where a = \"{address}\"", MySql),
        ("select 1 as \"{address}\"", Postgres),
        ("select `{address}`", MySql),
        ("select [{address}]", Sqlite),
        ("select $$ it's {address} $$", Postgres),
        ("select $a$ $$ {address} $a$", Postgres),
    ] {
        assert_eq!(fault(text, dialect), (FaultKind::Quoted(Address), "{address}"), "{text}");
    }
    for (text, dialect) in [
        ("select 1 -- {address}", Postgres),
        ("select 1 # {address}", MySql),
        ("select /* {address} */ 1", Sqlite),
        ("select /* /* */ {address} */ 1", Postgres),
    ] {
        let expected = (FaultKind::Commented(Address), "{address}");
        assert_eq!(fault(text, dialect), expected, "{text}");
    }
}

#[test]
fn a_quote_ends_where_the_server_ends_it() {
    for (text, dialect) in [
        ("select 'it''s', {address}", Postgres),
        ("select '\\', {address}", Postgres),
        ("select 'it\\'s', {address}", MySql),
        ("select '\\', {address}", Sqlite),
        ("select \"a'b\", {address}", Sqlite),
        ("select $x$ ' $x$, {address}", Postgres),
        ("select date'\\', {address}", Postgres),
        ("select a[1], {address}", Postgres),
        ("select /* ' */ {address} -- it's", Postgres),
    ] {
        assert_eq!(*Statement::query(text, dialect).unwrap().parameters, [Address], "{text}");
    }
    assert_eq!(fault("select 'x {domain}", Postgres).0, FaultKind::Open);
    assert_eq!(fault("select {address} /* x", Postgres).0, FaultKind::Open);
}

#[test]
fn what_would_not_do_what_it_says_is_a_fault() {
    let unknown = (FaultKind::Unknown("adress".into()), "{adress}");
    assert_eq!(fault("select {adress}", Postgres), unknown);
    assert_eq!(fault("select {", Postgres).0, FaultKind::Unknown(String::new()));
    assert_eq!(fault("  ;", Postgres).0, FaultKind::Empty);
    assert_eq!(fault("select 1 where d = {domain}", Postgres).0, FaultKind::Nobody);
    assert_eq!(fault("select {address}; drop x", Postgres), (FaultKind::Several, "drop x"));
    for (text, dialect, parameter) in [
        ("select $1, {address}", Postgres, "$1"),
        ("select ?, {address}", MySql, "?"),
        ("select :a, {address}", Sqlite, ":a"),
    ] {
        let expected = (FaultKind::Parameter(parameter.into()), parameter);
        assert_eq!(fault(text, dialect), expected);
    }
    let cast = "select a::text, {address}::citext, d ? 'x'";
    assert!(Statement::query(cast, Postgres).is_ok());
}

#[test]
fn an_address_is_never_a_pattern_but_may_be_compared_with_one() {
    for text in [
        "select 1 where a like {address}",
        "select 1 where a ILIKE lower({address})",
        "select 1 where a like concat('%', {address})",
        "select 1 where a similar to {address}",
        "select 1 where a ~* {address}",
    ] {
        assert_eq!(fault(text, Postgres).0, FaultKind::Pattern(Address), "{text}");
    }
    let text = "select 1 where {address} like a or b like '%x' and c = {address}";
    assert!(Statement::query(text, Postgres).is_ok());
}

#[test]
fn a_listing_has_no_placeholder() {
    let kind = |text| Statement::listing(text, Postgres).map_err(|fault| fault.kind);
    assert!(kind("select address from people").is_ok());
    let expected = Err(FaultKind::Placed(Domain));
    assert_eq!(kind("select a from p where d = {domain}"), expected);
}
