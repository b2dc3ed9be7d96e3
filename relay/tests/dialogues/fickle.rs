//! Next hops that answer by themselves, each reply by the next of a list of choices; and a log of
//! everything that everybody hears.

use super::stage::{Mark, Speech, Voice};
use mail::smtp::reply::Reply;
use relay::event::{Event, Value};
use relay::next_hop::Outcome;
use std::collections::{HashMap, VecDeque};

/// What a next hop does with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best reply there is.
    Yes,
    /// 450
    Later,
    /// 550
    No,
    /// 421
    Farewell,
    /// The connection is lost.
    Lost,
    /// What is said is no reply.
    Nonsense,
}

/// Something that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By the client: a reply, and how it looks on the wire.
    Client(u16, String),
    /// By a next hop, of this name: a command.
    Hop(String, String),
    /// By a next hop: content to its final dot, transparency undone, without our trace field.
    Content(Vec<u8>),
    /// By us: a reply of a next hop to a command or (`true`) to content.
    Answer(u16, bool),
    /// By the administrator: an event, and whom it is about.
    Event(&'static str, String),
    /// Handshakes, waits, the close.
    Mark(Mark),
}

#[derive(Default)]
struct Hop {
    unfinished: Vec<u8>,
    /// The content so far, when it is being received.
    content: Option<Vec<u8>>,
    in_trace: bool,
    says: VecDeque<Option<Vec<u8>>>,
}

/// The next hops and the log.
pub struct Fickle {
    /// Used in turn; [`Choice::Yes`] when there are no more.
    pub choices: VecDeque<Choice>,
    /// EHLO is answered with PIPELINING.
    pub pipelining: bool,
    pub log: Vec<Entry>,
    hops: HashMap<String, Hop>,
}

impl Fickle {
    pub fn new(choices: impl IntoIterator<Item = Choice>, pipelining: bool) -> Self {
        let choices = choices.into_iter().collect();
        Self { choices, pipelining, log: Vec::new(), hops: HashMap::new() }
    }

    /// The code of the last reply to the client.
    pub fn last_code(&self) -> u16 {
        let mut codes = self.log.iter().rev();
        let code = codes.find_map(|entry| match entry {
            Entry::Client(code, _) => Some(*code),
            _ => None,
        });
        code.unwrap_or(0)
    }

    /// Every command and content that a next hop heard.
    pub fn heard_by_hops(&self) -> impl Iterator<Item = &Entry> {
        self.log.iter().filter(|entry| matches!(entry, Entry::Hop(..) | Entry::Content(_)))
    }

    fn answer(&mut self, hop: &str, yes: &str, content: bool) -> bool {
        let choice = self.choices.pop_front().unwrap_or(Choice::Yes);
        let text = match choice {
            Choice::Yes => Some(yes.to_owned()),
            Choice::Later => Some("450 4.2.1 later".to_owned()),
            Choice::No => Some("550 5.7.1 no".to_owned()),
            Choice::Farewell => Some("421 4.3.2 bye".to_owned()),
            Choice::Nonsense => Some("what?".to_owned()),
            Choice::Lost => None,
        };
        if let Some(code) = text.as_ref().and_then(|text| text.get(..3)?.parse().ok()) {
            self.log.push(Entry::Answer(code, content));
        }
        let says = &mut self.hops.get_mut(hop).unwrap().says;
        says.push_back(text.map(|text| format!("{text}\r\n").into_bytes()));
        choice == Choice::Yes
    }

    fn line(&mut self, hop: &str, line: &str) {
        let state = self.hops.get_mut(hop).unwrap();
        if let Some(content) = &mut state.content {
            if line == "." {
                let content = state.content.take().unwrap_or_default();
                self.log.push(Entry::Content(content));
                self.answer(hop, "250 ok", true);
            } else if !std::mem::take(&mut state.in_trace) {
                content.extend_from_slice(line.strip_prefix('.').unwrap_or(line).as_bytes());
                content.extend_from_slice(b"\r\n");
            }
            return;
        }
        self.log.push(Entry::Hop(hop.to_owned(), line.to_owned()));
        match line.get(..4) {
            Some("EHLO") if self.pipelining => self.answer(hop, "250-hop\r\n250 PIPELINING", false),
            Some("EHLO") => self.answer(hop, "250 hop", false),
            Some("DATA") => {
                let yes = self.answer(hop, "354 go", false);
                let state = self.hops.get_mut(hop).unwrap();
                (state.content, state.in_trace) = (yes.then(Vec::new), true);
                yes
            }
            _ => self.answer(hop, "250 ok", false),
        };
    }
}

impl Voice for Fickle {
    fn reply(&mut self, reply: &Reply) {
        self.log.push(Entry::Client(reply.code(), reply.to_string()));
    }

    fn event(&mut self, event: &Event<'_>) {
        let mut to = String::new();
        event.fields(&mut |name, value| match value {
            Value::Address(mailbox) if name == "to" => to = mailbox.to_string(),
            Value::Shown(shown) if name == "to" => to = shown.to_string(),
            _ => {}
        });
        self.log.push(Entry::Event(event.kind.name(), to));
    }

    fn opens(&mut self, hop: &str) -> Result<(), Outcome> {
        self.hops.insert(hop.to_owned(), Hop::default());
        self.answer(hop, "220 hop", false);
        Ok(())
    }

    fn hears(&mut self, hop: &str, octets: &[u8]) {
        self.hops.get_mut(hop).unwrap().unfinished.extend_from_slice(octets);
        loop {
            let unfinished = &mut self.hops.get_mut(hop).unwrap().unfinished;
            let Some(end) = unfinished.windows(2).position(|pair| pair == b"\r\n") else { return };
            let line: Vec<u8> = unfinished.drain(..end + 2).take(end).collect();
            self.line(hop, &String::from_utf8(line).unwrap());
        }
    }

    fn hears_trace(&mut self, hop: &str, _: &str) {
        self.hears(hop, b"Received: ours\r\n");
    }

    fn speaks(&mut self, hop: &str) -> Speech {
        match self.hops.get_mut(hop).unwrap().says.pop_front() {
            Some(Some(octets)) => Speech::Octets(octets),
            Some(None) | None => Speech::Lost,
        }
    }

    fn mark(&mut self, mark: Mark) {
        self.log.push(Entry::Mark(mark));
    }
}
