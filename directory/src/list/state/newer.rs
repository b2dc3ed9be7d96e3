//! A newer list than the one in use, which is there and was not adopted: who it may have, and who
//! the list in use lacks, is not unknown. Until it is mended or confirmed, such a name is
//! `Unavailable`, and a person is reminded of it.

use super::super::source::Listed;
use super::{DomainState, State};
use crate::load::LoadError;
use crate::{Finding, Question};
use std::sync::Arc;

/// Between two reminders of a list that is not in use, in nanoseconds.
pub(in super::super) const REMINDER_NANOSECONDS: i64 = 3_600 * 1_000_000_000;

/// By place in the scope.
pub(in super::super) type Newer = Vec<Unused>;

/// What there is for one domain beside what is in use.
#[derive(Clone, Debug, Default)]
pub(in super::super) enum Unused {
    /// Nothing.
    #[default]
    Nothing,
    /// A list that could not be read: it may have anybody.
    Unread,
    /// A list that a guard holds back. It costs as much memory again as the one in use.
    Held(Arc<DomainState>),
}

impl Unused {
    fn may_have(&self, exact: &[u8], base: Option<&[u8]>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Unread => true,
            Self::Held(part) => part.find(exact, base) != Finding::Unknown,
        }
    }
}

impl Listed {
    /// What the list in use says; but its no counts only where no newer one may have the address.
    pub(in super::super) fn find(&self, question: &Question<'_>) -> Finding {
        let Some(place) = self.scope.place_of(question.domain) else { return Finding::Unavailable };
        let (exact, base) = (question.canonical.exact(), question.canonical.base());
        let find = |state: &State| {
            state[place].as_ref().map_or(Finding::Unavailable, |here| here.find(exact, base))
        };
        let state = self.state.load();
        let found = find(&state);
        if found != Finding::Unknown {
            return found;
        }
        if self.newer.load()[place].may_have(exact, base) {
            return Finding::Unavailable;
        }
        // What was newer may have come into use since.
        let now = self.state.load();
        if Arc::ptr_eq(&state, &now) { found } else { find(&now) }
    }

    /// Notes that a list failed to be read.
    pub(in super::super) fn note_unread(&self, error: &LoadError) {
        if error.is_of_what_is_there() {
            self.newer.store(Arc::new(vec![Unused::Unread; self.scope.domains().len()]));
        }
    }
}
