//! Lists as people have them: values that are no addresses, odd line ends, lists that are newer and
//! cannot be used.

use super::tests::{Bench, PLAIN, holds, people, to};
use crate::RecipientList;
use crate::list::{LineProblem as P, LoadError};
use crate::load::guard::{Confirmation, Outcome};
use mail::address::AddressError;
use relay::recipient::RecipientStatus;

#[test]
fn quotation_marks_and_brackets_around_an_address_are_undone() {
    let bench = Bench::new("users.txt");
    let source = bench.with(
        "\"jones@example.test\"\n'green@example.test'\n<brown@example.test>\n\
         \"info@example.test\" \"sales@inside.test\"\n\"a b\"@example.test\n",
    );
    for address in ["jones", "green", "brown", "a b"] {
        assert_eq!(bench.status(&source, &format!("{address}@example.test")), PLAIN, "{address}");
    }
    assert_eq!(bench.status(&source, "info@example.test"), to("sales@inside.test"));
    let table = Bench::new("users.csv");
    let source = table.with("mail\n\"\"\"jones@example.test\"\"\"\n'green@example.test'\n");
    assert!(table.exists(&source, "jones@example.test"));
    assert!(table.exists(&source, "green@example.test"));
}

#[test]
fn names_without_a_domain_are_people_only_where_every_value_is_one_or_it_was_declared() {
    let mut bench = Bench::new("users.txt");
    let source = bench.with("jones\n\"a b\"\nsales-*  team@inside.test\n");
    assert!(bench.exists(&source, "jones@example.test"));
    assert!(bench.exists(&source, "a b@example.test"));
    assert_eq!(bench.status(&source, "sales-1@example.test"), to("team@inside.test"));
    let mixed = "jones\ngreen@example.test\nbrown\nteam-*\n";
    let expected = [1, 3, 4].map(|line| (line, P::NameAmongAddresses));
    assert_eq!(bench.problems(mixed).0, expected);
    bench.allowances.bare_names = true;
    let source = bench.with(mixed);
    for address in ["jones", "green", "brown", "team-1"] {
        assert!(bench.exists(&source, &format!("{address}@example.test")), "{address}");
    }
}

#[test]
fn what_exports_write_for_lists_and_for_nothing_is_no_name() {
    let list = "Microsoft.Exchange.Data.ProxyAddressCollection";
    let bench = Bench::new("export.csv");
    let with = |aliases: &str| {
        let header = "PrimarySmtpAddress,EmailAddresses\n";
        bench.problems(format!("{header}jones@example.test,{aliases}\n")).0
    };
    for value in [list, "System.Collections.ArrayList", "System.String[]", "System.Object[]"] {
        assert_eq!(with(value), [(2, P::ListType)], "{value}");
    }
    assert_eq!(with("\"{jones@example.test, tj@example.test...}\""), [(2, P::ListType)]);
    for value in ["NULL", "N/A", "-", "(null)", "#N/A", "None"] {
        assert_eq!(with(value), [(2, P::Filler)], "{value}");
    }
    let help = P::ListType.example();
    assert!(help.contains("-join ';'") && help.contains("Export-Csv"), "{help}");
    // Even where nothing else stands in the file.
    let (lines, _, good) = bench.problems(format!("proxyAddresses\n{list}\n{list}\nNULL\n"));
    assert_eq!(lines, [(2, P::ListType), (3, P::ListType), (4, P::Filler)]);
    assert_eq!(good, 0);
    // What the command that is named then writes.
    let source = bench.with(
        "\"mail\",\"ProxyAddresses\"\n\
         \"jones@example.test\",\"SMTP:jones@example.test;smtp:tj@example.test\"\n",
    );
    assert!(bench.exists(&source, "tj@example.test"));
}

#[test]
fn a_carriage_return_ends_a_line_and_separates_no_columns() {
    let bench = Bench::new("users.txt");
    let source = bench.with("jones@example.test\rgreen@example.test\rbrown@example.test\r");
    for address in ["jones", "green", "brown"] {
        assert_eq!(bench.status(&source, &format!("{address}@example.test")), PLAIN, "{address}");
    }
    let odd = P::Address(AddressError::DomainSyntax);
    assert_eq!(bench.problems("a@example.test\x0cb@example.test\n").0, [(1, odd)]);
    let bench = Bench::new("users.csv");
    let source = bench.with("name;mail\rJones;jones@example.test\rGreen;green@example.test\r");
    assert!(bench.exists(&source, "green@example.test"));
    let syntax = P::Address(AddressError::LocalPartSyntax);
    let (lines, ..) = bench.problems("mail\r\na@example.test\r\nTom Brown\r\n");
    assert_eq!(lines, [(3, syntax)]);
}

#[test]
fn a_newer_list_that_cannot_be_read_makes_nobody_unknown_and_is_told_each_hour() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(1_000));
    bench.write(people(1_001) + "bad@\n");
    let now = || wire::clock::unix_nanoseconds();
    source.poll();
    let outcomes = source.poll();
    assert!(outcomes[0].to_string().contains("hear 451"), "{}", outcomes[0]);
    let status = |name: &str| bench.status(&source, &format!("{name}@example.test"));
    assert_eq!((status("p999"), status("p1000")), (PLAIN, RecipientStatus::Unavailable));
    assert_eq!(status("stranger"), RecipientStatus::Unavailable, "who knows");
    assert!(source.poll().is_empty());
    let hour = 3_600 * 1_000_000_000;
    assert!(source.poll_at(now() + hour - 60_000_000_000).is_empty());
    assert!(matches!(source.poll_at(now() + hour)[0], Outcome::Failed { .. }), "a reminder");
    bench.write(people(1_001));
    source.poll();
    assert!(source.poll()[0].is_adopted());
    assert_eq!((status("p1000"), status("stranger")), (PLAIN, RecipientStatus::Unknown));
    assert!(source.poll_at(now() + hour).is_empty());
}

#[test]
fn whoever_is_only_in_a_list_that_is_held_back_is_not_unknown() {
    let bench = Bench::new("users.txt");
    let source = bench.with(people(100));
    bench.write(people(50) + "newcomer@example.test\n");
    assert_eq!(holds(&source.reload(None)).len(), 1);
    let status = |name: &str| bench.status(&source, &format!("{name}@example.test"));
    assert_eq!((status("p99"), status("stranger")), (PLAIN, RecipientStatus::Unknown));
    assert_eq!(status("newcomer"), RecipientStatus::Unavailable);
    assert!(source.reload(Some(Confirmation { entries: 51 }))[0].is_adopted());
    assert_eq!((status("newcomer"), status("p99")), (PLAIN, RecipientStatus::Unknown));
}

#[test]
fn good_lines_are_taken_beside_few_malformed_ones_where_the_operator_says_so() {
    let mut bench = Bench::new("users.txt");
    bench.allowances.good_lines = true;
    let source = bench.with(people(100) + "bad@\n");
    assert!(
        bench.exists(&source, "p99@example.test") && !bench.exists(&source, "bad@example.test")
    );
    bench.write(people(100) + &"bad@\n".repeat(26));
    let outcomes = source.reload(None);
    assert!(matches!(outcomes[0], Outcome::Failed { error: LoadError::Malformed { .. }, .. }));
}

#[test]
fn a_copy_that_brings_its_time_along_is_seen() {
    let bench = Bench::new("users.txt");
    let source = bench.with("leaver@example.test\n");
    let written = std::fs::metadata(bench.path()).unwrap().modified().unwrap();
    bench.write("joiner@example.test\n");
    let file = std::fs::File::options().write(true).open(bench.path()).unwrap();
    file.set_modified(written).unwrap();
    source.poll();
    assert!(source.poll()[0].is_adopted());
    assert!(bench.exists(&source, "joiner@example.test"));
}
