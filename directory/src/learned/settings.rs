//! `{ learned = true }`: what the operator may say about it.

pub use relay::recipient::Unseen;
use settings::mistake::Mistake;
use settings::table::context::LoadContext;
use settings::table::keys::table;
use settings::table::unread::RECIPIENTS;
use settings::table::value::{Given, choice};

/// One `{ learned = true }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LearnedSettings {
    /// Whether anybody is refused because of it.
    pub mode: Mode,
    /// What becomes of an address that nothing is known of.
    pub unseen: Unseen,
}

/// Whether anybody is refused because of what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nobody; it is only noted who would be.
    Observe,
    /// Whoever is known not to be there.
    Enforce,
}

choice!(Mode { Observe = "observe", Enforce = "enforce" });

table! {
    /// What mail itself shows.
    pub struct Entry("domain.recipients", "recipients = [{ … }]") {
        /// What mail itself shows: who writes from a network that `teaches`, whose mail an honest
        /// next hop takes, whom the next hop refuses. It must stand last.
        learned: Option<Given<bool>> = optional("none").like("true"),
        /// Of `learned`. `observe`: it refuses nobody, and `postern recipients report` lists whom
        /// it would refuse; `enforce`: it refuses.
        mode: Given<Mode> = choice("observe"),
        /// Of `learned`: an address that nothing is known of, and that no other source has.
        /// `defer`: 451, since nobody knows; `refuse`: 550, since everybody has been seen;
        /// `accept`: it passes, and only addresses that the next hop has refused are refused.
        unseen: Given<Unseen> = choice("defer"),
    }
}

/// Understands one entry; `None` when a mistake was reported.
pub(crate) fn read(entry: &Entry, context: &mut LoadContext) -> Option<LearnedSettings> {
    let learned = entry.learned.as_ref()?;
    if !**learned {
        context.refuse(
            learned
                .wrong("`learned` can only be true", "expected true")
                .help("take the entry out, when nothing is to be learned"),
        );
        return None;
    }
    Some(LearnedSettings { mode: *entry.mode, unseen: *entry.unseen })
}

/// What is not right about where `learned` stands in a list, or what it means there.
pub struct ListPosition {
    /// No other source is listed.
    pub is_alone: bool,
    /// No other source is listed behind it.
    pub is_last: bool,
    /// Where it is written.
    pub span: std::ops::Range<usize>,
}

/// Checks where it stands, and warns where it refuses nobody.
pub fn check(settings: &LearnedSettings, place: ListPosition, context: &mut LoadContext) {
    let key = format!("{}.learned", RECIPIENTS.path);
    let ListPosition { is_alone, is_last, span } = place;
    if !is_last {
        // The first source that has an address decides what the next hop hears, and what was
        // learned knows of no targets.
        context.refuse(
            Mistake::new("`learned` must be the last source of a domain")
                .key(key)
                .at(span, "sources that may know better stand behind it")
                .help("move this entry to the end of `recipients`"),
        );
        return;
    }
    if !is_alone {
        return;
    }
    let warning = match (settings.mode, settings.unseen) {
        (Mode::Observe, _) => "every recipient of this domain is accepted: `learned` only observes",
        (Mode::Enforce, Unseen::Accept) => {
            "a recipient of this domain is accepted until the next hop has refused it"
        }
        (Mode::Enforce, Unseen::Defer | Unseen::Refuse) => return,
    };
    context.warn(
        Mistake::new(warning)
            .key(key)
            .at(span, "")
            .help("what the next hop takes and bounces later is still backscatter")
            .help("read `postern recipients report`, then set mode = \"enforce\""),
    );
}
