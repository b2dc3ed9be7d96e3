//! What a source says of itself: for the figures, and as it is for the control socket and the
//! commands. Fields are added and never change their meaning.

use super::trouble::TroubleKind;
use relay::belief::class::Class;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a source is and did since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its name.
    pub name: String,
    /// What it has shown itself to be; nothing for a source that shows nothing, such as a file.
    #[serde(with = "class_word")]
    pub class: Option<Class>,
    /// What the class follows from.
    pub why: String,
    /// Domains that list it.
    pub domains: Vec<String>,
    /// Questions asked of it.
    pub asked: u64,
    /// Questions answered from memory.
    pub recalled: u64,
    /// Answers that were believed: there is such an address.
    pub yes: u64,
    /// Answers that were believed: there is none.
    pub no: u64,
    /// Answers that were not believed.
    pub doubted: u64,
    /// Questions without an answer, by kind.
    pub troubles: BTreeMap<TroubleKind, u64>,
    /// Addresses remembered that exist.
    pub remembered_yes: u64,
    /// Addresses remembered that do not.
    pub remembered_no: u64,
    /// Addresses and patterns it holds, when it holds a list.
    pub entries: Option<u64>,
    /// Whether its last load is held back, so that a person may confirm it.
    pub is_held: bool,
    /// The last trouble with it. Of a list, why it is not in use as it is now.
    pub last_trouble: Option<String>,
    /// How long ago that was, in seconds; nothing of a list, whose trouble lasts.
    #[serde(default)]
    pub last_trouble_age_seconds: Option<u64>,
}

/// A class is written by its word, none as nothing. Words of a newer process are no class here.
mod class_word {
    use super::Class;
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde gives the field by reference")]
    pub(super) fn serialize<S: Serializer>(
        class: &Option<Class>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(class.map_or("", Class::word))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Class>, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Class::ALL.into_iter().find(|class| class.word() == word))
    }
}
