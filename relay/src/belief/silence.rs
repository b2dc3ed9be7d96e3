//! Whether a source has gone silent: so many troubles in a row, with no answer between them.

/// Troubles in a row after which a source counts as down.
const TROUBLES_MIN: u32 = 3;

/// Counts troubles in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    troubles: u32,
}

impl Silence {
    /// It gave no answer. True when that makes it silent.
    #[must_use]
    pub fn trouble(&mut self) -> bool {
        self.troubles = self.troubles.saturating_add(1);
        self.troubles == TROUBLES_MIN
    }

    /// It said yes or no. True when it was silent until now.
    #[must_use]
    pub fn answer(&mut self) -> bool {
        std::mem::take(&mut self.troubles) >= TROUBLES_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_troubles_in_a_row_are_silence_which_is_told_once_and_ends_with_an_answer() {
        let mut silence = Silence::default();
        let heard = [false, true, false, false]
            .map(|is_answer| if is_answer { silence.answer() } else { silence.trouble() });
        assert_eq!(heard, [false; 4], "an answer between them");
        assert!(silence.trouble());
        assert!(!silence.trouble(), "nothing new");
        assert!(silence.answer());
        assert!(!silence.answer());
        silence.troubles = u32::MAX;
        assert!(!silence.trouble(), "for ever");
    }
}
