//! What a source, or a next hop, has shown itself to be. Computed from what was seen, so that
//! there is nothing to forget to reset; a change is told by whoever saw it.

/// The classes, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing was seen yet.
    Unproven,
    /// Says no to a name that nobody has.
    Honest,
    /// As honest, and refuses the null reverse-path.
    RefusesNull,
    /// As honest, and takes its time.
    Tarpits,
    /// Says no only behind DATA.
    Late,
    /// Says yes to a name that nobody has.
    AcceptAll,
    /// Says no to people who exist.
    Lying,
    /// Says nothing.
    Down,
}

impl Class {
    /// All, the worst last.
    pub const ALL: [Self; 8] = [
        Self::Unproven,
        Self::Honest,
        Self::RefusesNull,
        Self::Tarpits,
        Self::Late,
        Self::AcceptAll,
        Self::Lying,
        Self::Down,
    ];

    /// The word in log, figures and commands.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Honest => "honest",
            Self::RefusesNull => "refuses-null",
            Self::Tarpits => "tarpits",
            Self::Late => "late",
            Self::AcceptAll => "accept-all",
            Self::Lying => "lying",
            Self::Down => "down",
        }
    }

    /// Whether its 250 to a whole message means that the recipient exists.
    #[must_use]
    pub fn is_honest(self) -> bool {
        matches!(self, Self::Honest | Self::RefusesNull | Self::Tarpits | Self::Late)
    }
}

/// What asking has shown about whom is asked, beyond the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Refuses unknown recipients only behind DATA.
    pub is_late: bool,
    /// Refuses the null reverse-path.
    pub refuses_null: bool,
    /// Takes long on purpose.
    pub tarpits: bool,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It answered a random name: with yes, or otherwise.
    pub accepts_random: Option<bool>,
    /// It said no to those who must be there.
    pub denies_known: bool,
    /// It did not answer, several times in a row.
    pub is_silent: bool,
    /// Its behaviour.
    pub behaviour: Behaviour,
}

impl Seen {
    /// The class that follows.
    #[must_use]
    pub fn class(&self) -> Class {
        let Self { accepts_random, denies_known, is_silent, behaviour } = *self;
        match accepts_random {
            _ if is_silent => Class::Down,
            _ if denies_known => Class::Lying,
            Some(_) if behaviour.is_late => Class::Late,
            Some(true) => Class::AcceptAll,
            None => Class::Unproven,
            Some(false) if behaviour.tarpits => Class::Tarpits,
            Some(false) if behaviour.refuses_null => Class::RefusesNull,
            Some(false) => Class::Honest,
        }
    }
}
