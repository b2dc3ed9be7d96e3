//! What a source is asked and what it says: the values that all kinds have in common.

use super::pattern::may_be_run;
use mail::address::{LOCAL_PART_OCTETS_MAX, LocalPart, Mailbox};
use relay::event::ProcessEvent;
use relay::recipient::Ground;
use relay::settings::{DomainId, DomainSettings, LocalPartCase};
use relay::turns::Party;
use std::pin::Pin;
use std::sync::Arc;

/// What a source says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is there.
    Exists {
        /// The address the next hop hears instead.
        target: Option<Mailbox>,
        /// What it was found by.
        by: Matched,
    },
    /// The source knows all addresses it answers for, and this is none of them.
    Unknown,
    /// The source cannot say.
    Unavailable,
    /// The source has nothing to say, and leaves it to the others.
    Abstains {
        /// What it comes to when no other has anything to say: the address passes on this ground,
        /// or nobody knows.
        passes: Option<Ground>,
    },
}

/// What an address was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// The address itself.
    Exact,
    /// The part before the sub-address separator.
    SubAddress,
    /// This pattern.
    Pattern(Box<str>),
}

/// A finding, now or later.
pub enum SourceAnswer {
    /// From memory.
    Now(Finding),
    /// From elsewhere. The future ends by itself: a source keeps its own time limit.
    Later(Pin<Box<dyn Future<Output = Finding> + Send>>),
}

/// A local part as it is looked up: in lower case when the domain folds. Lives on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Canonical {
    octets: [u8; LOCAL_PART_OCTETS_MAX],
    len: u8,
    base_len: Option<u8>,
}

impl Canonical {
    /// Folds as the domain says and finds the sub-address separator.
    #[must_use]
    pub fn new(local_part: &LocalPart, settings: &DomainSettings) -> Self {
        let text = local_part.as_str();
        // A LocalPart has no more, and so its length fits in one octet.
        let len = text.len().min(LOCAL_PART_OCTETS_MAX);
        let mut octets = [0; LOCAL_PART_OCTETS_MAX];
        octets[..len].copy_from_slice(&text.as_bytes()[..len]);
        if settings.local_part_case == LocalPartCase::Folded || is_reserved(text) {
            octets[..len].make_ascii_lowercase();
        }
        let base_len = settings.sub_address_separator.and_then(|separator| text.find(separator));
        let base_len = base_len.filter(|&at| at > 0 && !may_be_run(text.as_bytes()));
        let base_len = base_len.and_then(|at| u8::try_from(at).ok());
        Self { octets, len: len as u8, base_len }
    }

    /// The whole.
    #[must_use]
    pub fn exact(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// What stands before the separator, when there is one.
    #[must_use]
    pub fn base(&self) -> Option<&[u8]> {
        self.base_len.map(|len| &self.octets[..usize::from(len)])
    }
}

const _: () = assert!(LOCAL_PART_OCTETS_MAX <= u8::MAX as usize, "lengths of `Canonical`");

/// Whether every domain must have this address (RFC 5321 §4.5.1, RFC 2142 §2).
pub(crate) fn is_reserved(local_part: &str) -> bool {
    local_part.eq_ignore_ascii_case("postmaster") || local_part.eq_ignore_ascii_case("abuse")
}

/// What a source is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Whose address.
    pub domain: DomainId,
    /// What is set for it.
    pub settings: &'a DomainSettings,
    /// As the client wrote it.
    pub local_part: &'a LocalPart,
    /// As it is compared.
    pub canonical: Canonical,
    /// On whose behalf: what is scarce where it is asked for is given out by turns.
    pub party: Party,
}

/// Takes events about a process: which, subject, detail.
pub type Teller = Arc<dyn Fn(ProcessEvent, &str, &str) + Send + Sync>;
