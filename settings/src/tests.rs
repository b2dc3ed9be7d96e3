//! What a table of keys promises: all mistakes at once, each with its key and its place; a default
//! where nothing right is written.

use crate::mistake::{Mistakes, Report};
use crate::table::context::LoadContext;
use crate::table::keys::{Default, Kind, table};
use crate::table::reader::{Fields, FromTable, Reader};
use crate::table::value::{Given, List, Text, all, choice};
use miette::NamedSource;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    Red,
    Green,
}

choice!(Colour { Red = "red", Green = "green" });

table! {
    /// A thing.
    struct Thing("thing", "[[thing]]") {
        /// What it is
        /// called.
        name: Option<Text> = required().like("chair"),
        /// Its colour.
        colour: Given<Colour> = choice("green"),
        /// How many.
        number_max: Given<u32> = number(8, 1..=1_000).because("nobody has more"),
        /// How long.
        wait_seconds: Given<Duration> = number(5, 0..=60),
        /// Whether.
        is_there: Given<bool> = flag(true),
        /// Of what.
        parts: List<Part> = optional("none"),
    }
}

table! {
    /// A part.
    struct Part("thing.parts", "[[thing.parts]]") {
        /// Its names.
        names: List<String> = required().like(r#"["leg"]"#),
    }
}

fn read(text: &str) -> (Thing, Mistakes) {
    let source = Arc::new(NamedSource::new("thing.toml", Arc::from(text)));
    let tables = Box::leak(Box::new([*Thing::TABLE, *Part::TABLE]));
    let report = Report::new(source);
    let mut context = LoadContext { report, tables, directory: "".into(), becomes: None };
    let fields: Fields = toml::de::DeTable::parse(text).unwrap().into_inner().into();
    let thing = Thing::from_table(&mut Reader::open(fields, 0..0, Thing::TABLE, &mut context));
    (thing, context.report.into_mistakes())
}

fn keys(mistakes: &Mistakes) -> Vec<&str> {
    mistakes.mistakes.iter().filter_map(|mistake| mistake.key_name()).collect()
}

#[test]
fn what_is_right_is_read_and_knows_where_it_stands() {
    let (thing, mistakes) =
        read("name = \"a\"\ncolour = \"red\"\nnumber_max = 9\n[[parts]]\nnames = [\"b\"]\n");
    assert!(mistakes.mistakes.is_empty(), "{mistakes}");
    assert_eq!(
        (thing.name.unwrap().as_str(), *thing.colour, *thing.number_max),
        ("a", Colour::Red, 9)
    );
    assert_eq!((thing.number_max.span(), thing.number_max.is_written()), (39..40, true));
    assert_eq!(
        (*thing.wait_seconds, thing.wait_seconds.is_written()),
        (Duration::from_secs(5), false)
    );
    let names = all(&all(&thing.parts)[0].names);
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(names[0].wrong("wrong", "").key_name(), Some("thing.parts.names"));
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_the_defaults_hold() {
    let (thing, mistakes) = read(
        "nme = 1\ncolour = \"gren\"\nnumber_max = 0\nwait_seconds = \"5\"\nis_there = 1\n\
         parts = [{}, 3, { names = [4] }]\n",
    );
    let expected = [
        "thing.nme",
        "thing.colour",
        "thing.number_max",
        "thing.wait_seconds",
        "thing.is_there",
        "thing.parts.names",
        "thing.parts",
        "thing.parts.names",
    ];
    assert_eq!(keys(&mistakes), expected);
    assert_eq!((*thing.colour, *thing.number_max, *thing.is_there), (Colour::Green, 8, true));
    let help = |n: usize| mistakes.mistakes[n].help_text().unwrap();
    assert_eq!(help(0), "did you mean `name`?");
    assert_eq!(help(1), "did you mean \"green\"?");
    assert_eq!(help(2), "nobody has more\nfor example: number_max = 8");
}

#[test]
fn a_number_out_of_its_limits_is_wrong_however_large() {
    for (written, is_right) in [
        ("1", true),
        ("1_000", true),
        ("0x3e8", true),
        ("0", false),
        ("-1", false),
        ("1001", false),
        ("9223372036854775807", false),
    ] {
        let (thing, mistakes) = read(&format!("name = \"a\"\nnumber_max = {written}\n"));
        assert_eq!(mistakes.mistakes.is_empty(), is_right, "{written}");
        assert_eq!(thing.number_max.is_written(), is_right, "{written}");
    }
}

#[test]
fn a_key_that_is_missing_is_told_once_with_a_line_that_would_be_right() {
    let (_, mistakes) = read("");
    assert_eq!(keys(&mistakes), ["thing.name"]);
    assert_eq!(mistakes.mistakes[0].help_text(), Some("for example: name = \"chair\""));
}

#[test]
fn comments_are_the_help_and_the_list_is_the_table() {
    let names: Vec<&str> = Thing::TABLE.keys.iter().map(|key| key.name).collect();
    assert_eq!(names, ["name", "colour", "number_max", "wait_seconds", "is_there", "parts"]);
    let [name, colour, number, .., parts] = Thing::TABLE.keys else { panic!("six keys") };
    assert_eq!((Thing::TABLE.help, name.help), ("A thing.", "What it is called."));
    assert!(matches!((colour.kind, colour.default), (Kind::Choice(_), Default::Word("green"))));
    assert!(matches!((number.kind, number.default), (Kind::Number(1, 1_000), Default::Number(8))));
    assert_eq!(parts.example(), "\n    [[thing.parts]]\n    names = [\"leg\"]");
}

#[test]
fn nothing_written_is_the_defaults() {
    let thing = Thing::default_of();
    assert!(thing.name.is_none() && thing.parts.is_none());
    assert_eq!((*thing.number_max, *thing.colour), (8, Colour::Green));
}
