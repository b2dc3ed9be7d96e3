//! Recipients at scale: what a lookup costs among 10 million addresses, and what loading costs.
//! Prints octets an address, load times and peak memory once, then measures lookups.

#![allow(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]
#![allow(missing_docs, reason = "the macros of criterion write none")]

use criterion::{Criterion, criterion_group, criterion_main};
use directory::chain::{Answer, Directory, DomainDirectory};
use directory::file::{self, FileSource};
use directory::list::{DomainScope, Listed, Scope};
use directory::{Environment, RecipientList, RecipientSource};
use mail::address::{Domain, LocalPart};
use relay::settings::{DomainId, DomainSettings, LocalPartCase, NextHopId};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Addresses in the large list.
const LARGE: u64 = 10_000_000;
/// Addresses that are asked for in turn: too many for the processor's caches to hold their paths.
const ASKED: u64 = 1 << 18;
/// Addresses in a list that must be there before the greeting is.
const SMALL: u64 = 100_000;

fn settings() -> DomainSettings {
    DomainSettings {
        name: Domain::new("example.test").expect("a domain"),
        next_hop: NextHopId(0),
        local_part_case: LocalPartCase::Folded,
        sub_address_separator: Some('+'),
        local_part_characters: "".into(),
        catch_all: None,
        postmaster: None,
    }
}

fn open(path: &Path, keep: Option<&Path>) -> Listed {
    let scope = Scope::new(vec![DomainScope::new(DomainId(0), &settings())]);
    let state_directory = keep.map(Path::to_owned);
    let hostname = mail::address::Domain::new("bench.example.test").expect("a domain");
    let environment = Environment { state_directory, ..Environment::bare(hostname) };
    let start = Instant::now();
    let (source, outcomes) = file::open(FileSource::new(path), scope, &environment);
    let took = start.elapsed();
    outcomes.iter().for_each(|outcome| println!("  {took:?}: {outcome}"));
    if keep.is_some() {
        let start = Instant::now();
        let problems = source.poll();
        println!("  {:?} to keep it, problems: {problems:?}", start.elapsed());
    }
    source
}

fn list(path: &Path, count: u64) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    for number in 0..count {
        writeln!(file, "First.Last{number}@example.test").expect("room on the disk");
    }
    file.flush().expect("room on the disk");
}

fn peak_kilobytes() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

fn lookups(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let small = folder.path().join("small.txt");
    list(&small, SMALL);
    println!("{SMALL} addresses, parsed three times, then kept, then from the state directory:");
    (0..3).for_each(|_| drop(open(&small, None)));
    (0..3).for_each(|_| drop(open(&small, Some(folder.path()))));
    let large = folder.path().join("large.txt");
    list(&large, LARGE);
    println!("{LARGE} addresses, parsed and kept, then from the state directory:");
    drop(open(&large, Some(folder.path())));
    println!("  {}", peak_kilobytes());
    let source = open(&large, Some(folder.path()));
    let statistics = source.statistics();
    println!("  {:?} octets an address", statistics.octets_per_address());

    let sources: Arc<[Arc<dyn RecipientSource>]> = Arc::new([Arc::new(source) as _]);
    let directory = Directory::new(vec![DomainDirectory { sources, ..DomainDirectory::default() }]);
    let settings = settings();
    let some = |range: u64| -> Vec<LocalPart> {
        let numbers = (0..ASKED).map(|n| range + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % LARGE);
        numbers.map(|n| LocalPart::new(&format!("first.last{n}")).expect("legal")).collect()
    };
    for (name, asked) in [("hit", some(0)), ("miss", some(LARGE))] {
        let mut next = asked.iter().cycle();
        c.bench_function(&format!("lookup among 10 million, {name}"), |b| {
            b.iter(|| {
                let Some(local_part) = next.next() else { return };
                let local_part = black_box(local_part);
                match directory.look_up(
                    DomainId(0),
                    &settings,
                    local_part,
                    relay::turns::Party::NAMELESS,
                    Duration::ZERO,
                ) {
                    Answer::Now(found) => drop(black_box(found)),
                    Answer::Later(_) => unreachable!("a file answers at once"),
                }
            });
        });
    }
}

criterion_group!(benches, lookups);
criterion_main!(benches);
