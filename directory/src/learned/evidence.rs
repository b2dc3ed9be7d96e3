//! What one address has shown of itself, and what is to be believed of it: pure, and the whole
//! judgement. The weights and half-lives are here, each with its reason.

use serde::{Deserialize, Serialize};

/// Where evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A message with the address as its reverse-path was handed over for a client of a network
    /// that teaches: whoever writes as it reads there.
    OutboundSender,
    /// A next hop that refuses unknown recipients took a message for it.
    Delivered,
    /// The next hop refused it, with a status that speaks of the mailbox.
    RefusedByNextHop,
    /// The next hop refused it without an enhanced status: it may have meant the client.
    RefusedPlainly,
    /// The server behind reported it as unknown. Nothing tells of these yet.
    Reported,
}

/// How many kinds there are.
const KINDS: usize = 5;
/// Sightings beyond these add nothing: otherwise a name that is guessed, or written to, every
/// minute could never be believed to have changed.
const COUNTED_MAX: u16 = 8;
/// The least strength with which a refusal is believed: a quarter, which a refusal with a status
/// falls below after two half-lives, and one without a status does not reach before the third.
const BELIEVED_MIN: f64 = 0.25;

const DAY_SECONDS: f64 = 86_400.0;

impl Kind {
    /// All of them.
    pub const ALL: [Self; KINDS] = [
        Self::OutboundSender,
        Self::Delivered,
        Self::RefusedByNextHop,
        Self::RefusedPlainly,
        Self::Reported,
    ];

    /// Its name where it is kept.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::OutboundSender => "outbound_sender",
            Self::Delivered => "delivered",
            Self::RefusedByNextHop => "refused_by_next_hop",
            Self::RefusedPlainly => "refused_plainly",
            Self::Reported => "reported",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What it says, for people.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OutboundSender => "mail from it was handed over for a network that teaches",
            Self::Delivered => "an honest next hop took mail for it",
            Self::RefusedByNextHop => "the next hop refused it as unknown",
            Self::RefusedPlainly => "the next hop refused it without saying why",
            Self::Reported => "the server behind reported it as unknown",
        }
    }

    /// Whether it speaks for the address.
    #[must_use]
    pub fn is_positive(self) -> bool {
        matches!(self, Self::OutboundSender | Self::Delivered)
    }

    /// What one sighting weighs on the day.
    ///
    /// Somebody who writes weighs more than somebody who is written to, since honest next hops
    /// are only found to be so now and then. A refusal weighs less than either: it must not
    /// outweigh a person by one mistake of a server. A report comes from the server that has the
    /// mailboxes, after it has tried. A plain refusal needs a third one to be believed.
    #[must_use]
    pub fn weight(self) -> f64 {
        match self {
            Self::OutboundSender => 4.0,
            Self::Delivered => 2.0,
            Self::RefusedByNextHop => 1.0,
            Self::RefusedPlainly => 0.1,
            Self::Reported => 8.0,
        }
    }

    /// After how many days it weighs half. People stay for years and may be silent for months;
    /// a name that is refused today may be hired next week, and in the mode `enforce` nobody asks
    /// the next hop again while the refusal is believed.
    #[must_use]
    pub fn half_life_days(self) -> f64 {
        if self.is_positive() { 180.0 } else { 7.0 }
    }
}

/// When, and how often, one kind was seen. Times are seconds since 1970, good until 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// At first.
    pub first: u32,
    /// At last.
    pub last: u32,
    /// How often; 0 for never.
    pub count: u32,
}

impl Sighting {
    /// Once more. A clock that was set back does not make it older.
    pub fn add(&mut self, at: u32) {
        if self.count == 0 {
            *self = Self { first: at, last: at, count: 1 };
            return;
        }
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.count = self.count.saturating_add(1);
    }

    /// What it weighs now.
    #[must_use]
    pub fn strength(&self, kind: Kind, now: u32) -> f64 {
        let counted = u16::try_from(self.count).unwrap_or(COUNTED_MAX).min(COUNTED_MAX);
        let days = f64::from(now.saturating_sub(self.last)) / DAY_SECONDS;
        kind.weight() * f64::from(counted) * (-days / kind.half_life_days()).exp2()
    }
}

/// What is believed of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Belief {
    /// It is there.
    Exists,
    /// There is none.
    Unknown,
    /// Nothing is known of it, or nothing that still counts.
    Unseen,
}

/// All evidence about one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record([Sighting; KINDS]);

impl Record {
    /// What was seen of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Sighting {
        self.0[kind as usize]
    }

    /// What was seen of one kind, to be changed.
    pub fn of_mut(&mut self, kind: Kind) -> &mut Sighting {
        &mut self.0[kind as usize]
    }

    /// The kinds that were seen.
    pub fn seen(&self) -> impl Iterator<Item = (Kind, Sighting)> {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, sighting)| sighting.count > 0)
    }

    /// The same, with what speaks for another address.
    #[must_use]
    pub fn with_positives_of(mut self, other: &Self) -> Self {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_positive()) {
            *self.of_mut(kind) = other.of(kind);
        }
        self
    }

    /// When evidence for it, or against it, was last seen.
    #[must_use]
    pub fn last(&self, positive: bool) -> Option<u32> {
        let side = self.seen().filter(|(kind, _)| kind.is_positive() == positive);
        side.map(|(_, sighting)| sighting.last).max()
    }

    /// What the evidence for it, or against it, weighs now.
    #[must_use]
    pub fn strength(&self, positive: bool, now: u32) -> f64 {
        let side = self.seen().filter(|(kind, _)| kind.is_positive() == positive);
        side.map(|(kind, sighting)| sighting.strength(kind, now)).sum()
    }

    /// What to believe. A positive that is as new as the newest negative, or newer, kills it; an
    /// older one is believed until the negatives outweigh it. A positive alone has no end: a
    /// mailbox does not vanish because nobody writes to it.
    #[must_use]
    pub fn belief(&self, now: u32) -> Belief {
        let (positive, negative) = (self.last(true), self.last(false));
        let against = self.strength(false, now);
        match (positive, negative) {
            (None, _) if against >= BELIEVED_MIN => Belief::Unknown,
            (None, _) => Belief::Unseen,
            (Some(positive), Some(negative))
                if negative > positive
                    && against >= BELIEVED_MIN
                    && against > self.strength(true, now) =>
            {
                Belief::Unknown
            }
            (Some(_), _) => Belief::Exists,
        }
    }
}
