//! The siege: the real program with what is set when nothing is set, before a server that takes
//! everything at once, with a stream of good mail from three clients that it has never seen, and an
//! attack beside it. Prints for each attack what good mail feels without and with it, what the
//! attacker pays, and what it costs us. A good mail that is not taken is a failure.
//!
//! `make siege`; names of attacks as arguments choose, `SECONDS=5` makes each phase shorter, `EVENTS=1` counts
//! what was logged. IPv4
//! attackers come from the loopback range.
//! Limits: attackers and Postern share the machine, so times are those of a machine that is busy.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a siege that cannot go on has failed")]

mod attacks;
mod good;

use attacks::{ATTACKS, Attack, Cost, Target};
use good::Felt;
use kit::{Folder, Hop, config};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let seconds = std::env::var("SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    println!(
        "| attack | attacker | good mail before: p50, p99 | during: p50, p99 | lost | our CPU | log per octet |"
    );
    println!("|---|---|---|---|---|---|---|");
    // The attackers alone have more connections than many shells allow.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let mut lost = 0;
    for attack in ATTACKS.iter().filter(|a| wanted.is_empty() || wanted.iter().any(|w| w == a.name))
    {
        lost += besiege(attack, Duration::from_secs(seconds));
    }
    assert_eq!(lost, 0, "good mail was lost");
}

/// One attack; how many good mails were lost.
fn besiege(attack: &Attack, phase: Duration) -> usize {
    let (folder, hop) = (Folder::new(), Hop::acting(attack.next_hop));
    kit::certificates::Authority::new().sign("mx.example.test").write(&folder);
    fs::create_dir(folder.file("state")).unwrap();
    folder.write("users.txt", "jones@example.test\nsmith@example.test\ngood@example.test\n");
    let log = "[log]\nfile = \"postern.log\"\nformat = \"json\"\n";
    let text = config(hop.address, &format!("{}{log}", attack.settings));
    let text = text.replace("{ file = \"users.txt\" }", attack.recipients);
    let (smtp, figures, other) = (kit::closed_port(), kit::closed_port(), kit::closed_port());
    let text =
        text.replacen("127.0.0.1:0", &smtp.to_string(), 1).replace("__OTHER__", &other.to_string());
    let text = format!("state_dir = \"state\"\n{text}[metrics]\naddress = \"{figures}\"\n");
    let postern = start(&folder, &text);

    let before = good::mail(smtp, phase, attack);
    let (log_before, cpu_before, began) = (log_octets(&folder), cpu(postern.id()), Instant::now());
    let stop = AtomicBool::new(false);
    let target = Target { smtp, figures, other, stop: &stop };
    let (during, cost) = thread::scope(|scope| {
        let attacker = scope.spawn(|| (attack.run)(&target));
        // The attack stands before the mail comes.
        thread::sleep(phase / 5);
        let felt = good::mail(smtp, phase, attack);
        stop.store(true, SeqCst);
        (felt, attacker.join().unwrap())
    });
    let lasted = began.elapsed().as_secs_f64();
    let share = (cpu(postern.id()) - cpu_before) / lasted * 100.0;
    let logged = log_octets(&folder) - log_before;
    print(attack, &before, &during, &cost, (lasted, share, logged));
    if std::env::var_os("EVENTS").is_some() {
        eprintln!("{}: {:?}", attack.name, events(&folder));
    }
    before.lost + during.lost
}

fn print(attack: &Attack, before: &Felt, during: &Felt, cost: &Cost, ours: (f64, f64, u64)) {
    let (lasted, share, logged) = ours;
    println!(
        "| {} | {}; {:.1} KB/s | {}, {} ms | {}, {} ms | {} of {} | {share:.0} % | {:.2} |",
        attack.what,
        cost.who,
        cost.octets as f64 / 1e3 / lasted,
        before.at(50),
        before.at(99),
        during.at(50),
        during.at(99),
        before.lost + during.lost,
        before.sent + during.sent,
        logged as f64 / cost.octets.max(1) as f64,
    );
}

/// The program with its log in a file.
fn start(folder: &Folder, text: &str) -> kit::process::Process {
    let path = folder.write("postern.toml", text);
    let mut command = std::process::Command::new(kit::postern::program());
    let process = kit::process::Process::start(command.arg("run").arg("--config").arg(path));
    let listeners = text.matches("[[listener]]").count();
    kit::wait_until("it listens", || {
        let log = fs::read_to_string(folder.file("postern.log"));
        log.is_ok_and(|log| log.matches("\"SMTP\"").count() == listeners)
    });
    process
}

/// How many lines of each event there are.
fn events(folder: &Folder) -> BTreeMap<String, usize> {
    let log = fs::read_to_string(folder.file("postern.log")).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let name = line.split("\"event\":\"").nth(1).and_then(|rest| rest.split('"').next());
        *counts.entry(name.unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

fn log_octets(folder: &Folder) -> u64 {
    fs::metadata(folder.file("postern.log")).map_or(0, |file| file.len())
}

/// Seconds of CPU that a process has had.
fn cpu(process: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
