//! Plays one dialogue: who speaks when, and what is written down of it. The world around is
//! `stage`; comparing what came out with the file is `compare`.

use super::given::{self, Givens};
use super::script::{Line, Script, is_next_hops};
use super::stage::{Mark, Speech, Stage, Visit, Voice};
use dialogue::{Line as Input, escaped, quoted};
use mail::smtp::reply::Reply;
use relay::event::{Event, Value};
use relay::exchange::Done;
use relay::next_hop::Outcome;
use std::fmt::Write;
use std::rc::Rc;

/// An event that was recorded: its name and fields.
type Recorded = (String, Vec<(String, String)>);

/// Says what the file lets the next hop say, and writes down what everybody hears.
struct Reader {
    script: Rc<Script>,
    /// Up to here the next hop's lines have been played.
    at: usize,
    several_hops: bool,
    ids: bool,
    trace: bool,
    spoken_to: String,
    unfinished: Vec<u8>,
    /// Lines, and whether they are inputs.
    heard: Vec<(bool, String)>,
    recorded: Vec<Recorded>,
}

impl Reader {
    fn output(&mut self, line: String) {
        self.heard.push((false, line));
    }

    fn input(&mut self, at: usize) {
        self.heard.push((true, self.script.written[at].trim_end().to_owned()));
    }

    /// The next hop's next line, unless the client's turn comes first.
    fn peek(&self) -> Option<(usize, &Input)> {
        let inputs = self.script.lines.iter().enumerate().skip(self.at);
        let mut inputs = inputs.filter_map(|(n, line)| match line {
            Line::Input(input) => Some((n, input)),
            _ => None,
        });
        inputs.next().filter(|(_, input)| is_next_hops(input))
    }

    fn take(&mut self, wanted: &Input) -> bool {
        let Some((at, _)) = self.peek().filter(|(_, input)| *input == wanted) else { return false };
        self.input(at);
        self.at = at + 1;
        true
    }

    fn at(&mut self, hop: &str) {
        if self.several_hops && self.spoken_to != hop {
            hop.clone_into(&mut self.spoken_to);
            self.output(format!("        at {hop}"));
        }
    }
}

impl Voice for Reader {
    fn reply(&mut self, reply: &Reply) {
        let mut wire = Vec::new();
        reply.write_to(&mut wire);
        let id = reply.id().filter(|_| !self.ids).map(|id| format!(" (id {id})"));
        for line in String::from_utf8(wire).unwrap().lines() {
            let line = id.as_deref().and_then(|id| line.strip_suffix(id)).unwrap_or(line);
            self.output(format!("S: {line}"));
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        let mut fields = Vec::new();
        event.fields(&mut |name, value| {
            let value = match value {
                Value::Text(text) | Value::Word(text) => text.to_owned(),
                Value::Status(class, subject, detail) => format!("{class}.{subject}.{detail}"),
                Value::Shown(shown) => shown.to_string(),
                Value::Address(mailbox) => mailbox.to_string(),
                Value::List(paths) => {
                    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
                }
                Value::Number(number) => number.to_string(),
            };
            fields.push((name.to_owned(), value));
        });
        self.recorded.push((event.kind.name().to_owned(), fields));
    }

    fn opens(&mut self, hop: &str) -> Result<(), Outcome> {
        self.at(hop);
        if self.take(&Input::NextHopUnavailable) {
            return Err(Outcome::Unavailable);
        }
        if self.take(&Input::NextHopBusy) { Err(Outcome::Busy) } else { Ok(()) }
    }

    fn hears(&mut self, hop: &str, octets: &[u8]) {
        self.at(hop);
        self.unfinished.extend_from_slice(octets);
        while let Some(end) = self.unfinished.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.unfinished.drain(..end + 2).collect();
            let mark = if end == 0 { "C:" } else { "C: " };
            self.output(format!("        {mark}{}", escaped(&line[..end])));
        }
    }

    fn hears_trace(&mut self, hop: &str, field: &str) {
        let text = if self.trace { field } else { "<trace>\r\n" };
        self.hears(hop, text.as_bytes());
    }

    /// All lines that stand together come together.
    fn speaks(&mut self, hop: &str) -> Speech {
        self.at(hop);
        if self.take(&Input::NextHopLost) {
            return Speech::Lost;
        }
        let mut octets = Vec::new();
        for at in self.peek().map_or(0..0, |(at, _)| at..self.script.lines.len()) {
            match self.script.lines[at].clone() {
                Line::Input(Input::NextHopSays(wire)) => {
                    octets.extend(wire.octets);
                    self.input(at);
                    self.at = at + 1;
                }
                _ => break,
            }
        }
        if octets.is_empty() {
            self.output("        (the dialogue has nothing for the next hop to say)".to_owned());
            return Speech::Lost;
        }
        Speech::Octets(octets)
    }

    fn breaks_in_content(&mut self, _: &str) -> bool {
        self.take(&Input::NextHopLostInContent)
    }

    fn keeps_content(&mut self) -> bool {
        !self.take(&Input::NoRoom)
    }

    fn mark(&mut self, mark: Mark) {
        self.output(match mark {
            Mark::Tls => "tls".to_owned(),
            Mark::HopTls => "        tls".to_owned(),
            Mark::Waits(milliseconds) => format!("waits {}s", milliseconds as f64 / 1_000.0),
            Mark::Closed => "closed".to_owned(),
        });
    }
}

/// What came of a dialogue.
#[derive(PartialEq, Eq)]
pub struct Played {
    pub heard: Vec<(bool, String)>,
    /// The `event` lines with the values that were recorded.
    pub events: Vec<String>,
    /// Events that were expected and did not happen.
    pub missing: Vec<String>,
}

/// Plays a dialogue; at most `piece` octets of the client's come at once, and `bite` of the next
/// hop's.
pub fn play(script: &Rc<Script>, piece: usize, bite: usize) -> Played {
    let (mut givens, mut later) = (Givens::default(), Vec::new());
    for line in &script.lines {
        match line {
            Line::Given(words) if !givens.take(words) => later.push(words.clone()),
            Line::Input(_) => break,
            _ => {}
        }
    }
    let reader = Reader {
        script: Rc::clone(script),
        at: 0,
        several_hops: givens.hops.len() > 1,
        ids: givens.ids,
        trace: givens.trace,
        spoken_to: String::new(),
        unfinished: Vec::new(),
        heard: Vec::new(),
        recorded: Vec::new(),
    };
    let mut stage = givens.stage(reader);
    stage.bite = bite;
    for words in later {
        assert!(given::change(&mut stage, &words), "nothing is known of given {words:?}");
    }
    let piece = if givens.whole { usize::MAX } else { piece };
    let mut player = Player { givens, stage, piece, visit: None, events: Vec::new(), seen: 0 };
    let missing = player.play(script);
    Played { heard: player.stage.voice.heard, events: player.events, missing }
}

struct Player {
    givens: Givens,
    stage: Stage<Reader>,
    piece: usize,
    visit: Option<Visit>,
    events: Vec<String>,
    /// So many of the recorded events have been looked at.
    seen: usize,
}

impl Player {
    fn play(&mut self, script: &Rc<Script>) -> Vec<String> {
        let first = script.lines.iter().find(|line| matches!(line, Line::Input(_)));
        if !matches!(first, Some(Line::Input(Input::Connect(_)))) {
            self.visit = Some(self.stage.visit(self.givens.client.clone()));
        }
        let (mut at, mut missing) = (0, Vec::new());
        while at < script.lines.len() {
            let mut next = at + 1;
            match &script.lines[at] {
                Line::Input(Input::ClientSays(_)) => {
                    let (octets, lines) = script.flight(at);
                    next = lines.end;
                    self.begin(lines);
                    self.fly(&octets);
                }
                Line::Input(input) if !is_next_hops(input) => {
                    self.begin(at..next);
                    self.act(input);
                }
                Line::Event(name, fields) => {
                    missing.extend(self.expect(&script.written[at], name, fields));
                }
                Line::Given(words) => {
                    given::change(&mut self.stage, words);
                }
                Line::Input(_) | Line::Output(_) | Line::Silent => {}
            }
            at = next;
        }
        missing
    }

    /// Lines of the client's are played; from behind them on the next hop may speak.
    fn begin(&mut self, lines: std::ops::Range<usize>) {
        self.stage.voice.at = lines.end;
        for at in lines {
            if matches!(self.stage.voice.script.lines[at], Line::Input(_)) {
                self.stage.voice.input(at);
            }
        }
    }

    fn fly(&mut self, octets: &[u8]) {
        let Some(visit) = &mut self.visit else { return };
        let mut pieces = octets.chunks(self.piece.min(octets.len())).peekable();
        while let Some(piece) = pieces.next() {
            visit.unread = pieces.peek().is_some();
            self.stage.say(visit, piece);
        }
    }

    fn act(&mut self, input: &Input) {
        match input {
            Input::After(seconds) => self.stage.pass(self.visit.as_mut(), *seconds * 1_000),
            Input::Connect(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                given::set_client(&mut self.givens.client, &words);
                given::next_session(&mut self.givens.client);
                self.visit = Some(self.stage.visit(self.givens.client.clone()));
            }
            Input::Pressure(name) => {
                self.stage.set_pressure(self.visit.as_mut(), given::pressure(name));
            }
            Input::ClientGone => {
                if let Some(mut visit) = self.visit.take() {
                    self.stage.report(&mut visit, Done::Gone);
                }
            }
            Input::Drain => {
                if let Some(visit) = &mut self.visit {
                    visit.exchange.drain();
                    self.stage.run(visit);
                }
            }
            _ => unreachable!("the next hop's lines are played when it is listened to"),
        }
    }

    /// Looks for an event that was recorded since the last one that was looked for.
    fn expect(&mut self, line: &str, name: &str, fields: &[(String, String)]) -> Option<String> {
        let new = &self.stage.voice.recorded[self.seen..];
        let is = |(recorded, values): &Recorded| {
            recorded == name && fields.iter().all(|field| values.contains(field))
        };
        if let Some(at) = new.iter().position(is) {
            self.seen += at + 1;
            self.events.push(line.trim_end().to_owned());
            return None;
        }
        let mut said = format!("  ! {line}\n    not recorded; but:\n");
        for (name, fields) in new {
            let _ = writeln!(said, "    {}", event_line(name, fields, |_| true));
        }
        // What comes closest, for BLESS.
        self.events.push(match new.iter().position(|(recorded, _)| recorded == name) {
            Some(at) => {
                let (name, values) = &new[at];
                let wanted = |key: &str| fields.iter().any(|(field, _)| field == key);
                let line = event_line(name, values, wanted);
                self.seen += at + 1;
                line
            }
            None => line.trim_end().to_owned(),
        });
        Some(said)
    }
}

fn event_line(name: &str, fields: &[(String, String)], wanted: impl Fn(&str) -> bool) -> String {
    fields
        .iter()
        .filter(|(key, _)| wanted(key))
        .fold(format!("event {name}"), |line, (key, v)| format!("{line} {key}={}", quoted(v)))
}
