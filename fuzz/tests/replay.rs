//! The fuzz targets on a stable compiler: each file of the corpus, then mutations of them by a
//! seed. A failure names the target and holds the input; `POSTERN_FUZZ_SEED` starts elsewhere,
//! `POSTERN_FUZZ_MUTATIONS` runs longer.

use checks::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const MUTATIONS: u64 = 20_000;
const OCTETS_MAX: usize = 4_096;

/// What mail is made of, and single octets would take long to find.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b".\r\n",
    b"\r\n.\r\n",
    b"..",
    b"\0",
    b"EHLO x\r\n",
    b"STARTTLS\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<a@b.example>\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
    b"NOOP\r\n",
    b"AUTH X\r\n",
    b"220 x\r\n",
    b"250 ok\r\n",
    b"250-PIPELINING\r\n",
    b"250-",
    b"354 go\r\n",
    b"421 x\r\n",
    b"550 5.1.1 no\r\n",
    b"250 STARTTLS\r\n",
    b"250 XCLIENT ADDR\r\n",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"@",
    b"[IPv6:::1]",
    b" SIZE=1",
    b" BODY=8BITMIME",
    b"xn--",
    b"\xff",
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a folder's entry").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a readable file")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

fn mutate(random: &mut Random, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = files[random.below(files.len())].1.clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(32)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            4 => {
                let other = &files[random.below(files.len())].1;
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
        }
    }
    bytes.truncate(OCTETS_MAX);
    bytes
}

fn run((name, check): &Target, source: &str, bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(bytes))) {
        eprintln!("{name}: {source}, the input is b\"{}\"", bytes.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|(n, _)| *n == name).expect("a target");
    let files = corpus(name);
    for (source, bytes) in &files {
        run(target, source, bytes);
    }
    let from = setting("POSTERN_FUZZ_SEED", 0);
    for seed in from..from + setting("POSTERN_FUZZ_MUTATIONS", MUTATIONS) {
        let bytes = mutate(&mut Random(seed), &files);
        run(target, &format!("POSTERN_FUZZ_SEED={seed}"), &bytes);
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|(name, _)| *name).eq(replayed));
        }
    };
}

replays! { line content command address reply server_session client_session }
