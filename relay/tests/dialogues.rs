//! Plays `relay/dialogues/**/*.smtp` against an `Exchange`: no network, a virtual clock, every
//! dialogue once as written and again for many cuts of both streams. `BLESS=1` rewrites what must
//! come out, `DIALOGUE=rcpt/unknown` plays only files whose name contains that.

// The format
//
// Flush left is the conversation with the client, indented the one with the next hop.
// What comes from outside:
//
// given …                    settings and facts, see below
// C: text                    the client says this; lines without anything between are one flight
//         S: text            the next hop says this, when it is listened to; lines that stand
//                            together come together
//         lost               its connection is gone, or we have waited long enough
//         lost in content    the same, before the final dot was sent
//         unavailable, busy  it cannot be reached; all connections to it are in use
//         no room            the content that was kept cannot be read back
// +301s                      time passes
// gone                       the client's connection is lost
// connect [192.0.2.7] [lifted] [normalized] [tls]     the next session
// drain                      we are asked to shut down
// pressure busy              normal, busy or stress from now on
//
// What must come of it, and is rewritten by `BLESS=1`:
//
// S: text                    the client hears this; `(id …)` is left out
//         C: text            the next hop hears this; our trace field is `<trace>`
//         at NAME            where there are several: who is spoken to from here on
// tls                        handshake, with the client or (indented) with the next hop
// waits 2s                   we make the client wait
// closed                     we close
// event NAME field=value …   this was recorded since the last such line; other events and
//                            other fields may have been, too
//
// Escapes: `<hex:0d0a>`, `<repeat:41:1000>` (hexadecimal octets, so many times), and `<no-crlf>`
// at the end of a line. Givens, with their options:
//
// given domain NAME [next_hop NAME] [alias NAME] [separator +] [case exact] [characters /=]
//     [catch_all ADDRESS] [postmaster ADDRESS]        ours; next hop `inside.example.com`
// given listener [hostname NAME] [size OCTETS] [withholds KEYWORD]
//                             another name and another EHLO than those of the process
// given recipient ADDRESS exists | unknown | unavailable | left "TEXT" | bitbucket "REASON"
//     | target ADDRESS                                unknown when not given
// given next_hop NAME tls required | tls opportunistic | told client | line_octets_max N
//     | offers KEYWORD SIZE=N …                       one option a line; the last: known before
// given client [192.0.2.1] [lifted] [normalized] [tls]
// given limit NAME VALUE                              a field of `relay::settings`
// given hostname NAME                                 ours, `mx.example.com`
// given tls                                           STARTTLS is offered
// given early talker | refusing | connections ALL OF-THE-CLIENT
// given connections of the network N | connections at most N | known client
//                             1, as many as are set, and a stranger when not given
// given pressure busy                                 normal when not given
// given flights whole                                 what comes together is the point: no cuts
// given ids shown | trace shown

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that stops says where")]
#![allow(clippy::disallowed_methods, reason = "dialogues are files")]

#[path = "dialogues/compare.rs"]
mod compare;
#[path = "dialogues/given.rs"]
mod given;
#[path = "dialogues/player.rs"]
mod player;
#[path = "dialogues/script.rs"]
mod script;
#[path = "dialogues/stage.rs"]
mod stage;

use compare::{blessed, side_by_side};
use player::{Played, play};
use relay::policy::{Stage, rules};
use script::{Line, Script};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Plays a dialogue in all ways; the text says what differs.
fn check(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).unwrap();
    let script = Rc::new(Script::parse(&text)?);
    let whole = play(&script, usize::MAX, usize::MAX);
    let expected: Vec<String> = (script.lines.iter().zip(&script.written))
        .filter_map(|(line, written)| match line {
            Line::Input(_) => Some(written.trim_end().to_owned()),
            Line::Output(text) => Some(text.clone()),
            Line::Silent | Line::Given(_) | Line::Event(..) => None,
        })
        .collect();
    let differs = |played: &Played| {
        let actual: Vec<String> = played.heard.iter().map(|(_, line)| line.clone()).collect();
        let wrong = actual != expected || !played.missing.is_empty();
        wrong.then(|| format!("{}{}", side_by_side(&expected, &actual), played.missing.concat()))
    };
    if let Some(difference) = differs(&whole) {
        if std::env::var_os("BLESS").is_some()
            && let Some(text) = blessed(&script, &whole.heard, &whole.events)
        {
            std::fs::write(path, text).unwrap();
        }
        return Err(difference);
    }
    for cut in (1..=40).chain([64, 100, 333, 1_000, 2_047, 4_096]) {
        for (piece, bite) in [(cut, usize::MAX), (usize::MAX, cut), (cut, cut)] {
            if let Some(difference) = differs(&play(&script, piece, bite)) {
                return Err(format!("  in pieces of {piece} and {bite} octets:\n{difference}"));
            }
        }
    }
    Ok(())
}

fn dialogues() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "smtp") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues"), &mut found);
    found.sort();
    found
}

#[test]
fn every_dialogue_goes_as_it_is_written() {
    let wanted = std::env::var("DIALOGUE").unwrap_or_default();
    let (mut played, mut failed) = (0, Vec::new());
    for path in dialogues().iter().filter(|path| path.to_string_lossy().contains(&wanted)) {
        played += 1;
        if let Err(why) = check(path) {
            println!("{}:\n{why}", path.display());
            failed.push(path.display().to_string());
        }
    }
    println!("{played} dialogues, {} failed", failed.len());
    assert!(played > 0, "no dialogue is called {wanted:?}");
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn every_rule_is_named_in_a_dialogue() {
    let all: String = dialogues().iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    for rule in Stage::ALL.iter().flat_map(|stage| rules::at(*stage)) {
        let named = all.lines().filter(|line| line.starts_with("event "));
        let mut named =
            named.filter(|line| line.split(' ').any(|w| w == format!("rule={}", rule.name)));
        assert!(named.next().is_some(), "no dialogue shows the rule {}", rule.name);
    }
}

#[test]
fn every_dialogue_says_what_it_is_about_and_why() {
    for path in dialogues() {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().take(2).collect();
        let commented = lines.len() == 2 && lines.iter().all(|line| line.starts_with("# "));
        assert!(commented, "{} lacks its two lines", path.display());
        let cited = ["§", "RFC ", "docs/", "CVE-", "README"];
        let cites = cited.iter().any(|source| lines.concat().contains(source));
        assert!(cites, "{} cites nothing", path.display());
    }
}
