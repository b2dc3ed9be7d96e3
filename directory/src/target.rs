//! Under which address the next hop hears of somebody: the one reader of targets, for sources that
//! are asked and for lists, so that nobody is unknown to the one of whom the other cannot say
//! where his mail goes.

use mail::address::{AddressError, Domain, Host, Mailbox};

/// What the next hop hears instead of an address that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The address itself.
    #[default]
    Same,
    /// This one.
    Other(Mailbox),
    /// What stands there is no address, or several: mail for the address must wait.
    Unclear,
}

impl Target {
    /// Reads what stands beside an address; blank is nothing, as databases fill up columns.
    /// # Errors
    /// When it is no address.
    pub fn read(written: Option<&[u8]>) -> Result<Self, TargetError> {
        match written.map(<[u8]>::trim_ascii) {
            None | Some([]) => Ok(Self::Same),
            Some(written) => parsed(written).map(Self::Other),
        }
    }

    /// Reads all that stands beside an address.
    /// # Errors
    /// When one is no address, or they differ.
    pub fn read_all<'w>(written: impl IntoIterator<Item = &'w [u8]>) -> Result<Self, Unclear> {
        let mut all = Self::Same;
        for one in written {
            all = all.and(Self::read(Some(one)).map_err(Unclear::Malformed)?);
        }
        if all == Self::Unclear { Err(Unclear::Several) } else { Ok(all) }
    }

    /// What two entries for one address say together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same, one) | (one, Self::Same) => one,
            (Self::Other(one), Self::Other(other)) if is_same(&one, &other) => Self::Other(one),
            _ => Self::Unclear,
        }
    }

    /// As text in what is stored; nothing for the address itself.
    #[must_use]
    pub fn stored(&self) -> Option<String> {
        match self {
            Self::Same => None,
            Self::Other(mailbox) => Some(mailbox.to_string()),
            Self::Unclear => Some(String::new()),
        }
    }

    /// What [`Self::stored`] gave. What cannot be read back is unclear.
    #[must_use]
    pub fn of_stored(text: Option<&str>) -> Self {
        match text.map(Mailbox::parse) {
            None => Self::Same,
            Some(Ok(mailbox)) => Self::Other(mailbox),
            Some(Err(_)) => Self::Unclear,
        }
    }
}

/// Why it is not clear what the next hop is to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// Something that is no address.
    Malformed(TargetError),
    /// More than one address.
    Several,
}

/// Why a target is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Octets that are no text.
    #[error("not UTF-8")]
    NotUtf8,
    /// Text that is none.
    #[error(transparent)]
    Address(#[from] AddressError),
}

fn parsed(written: &[u8]) -> Result<Mailbox, TargetError> {
    let text = str::from_utf8(written).map_err(|_| TargetError::NotUtf8)?;
    let (local_part, name) = text.rsplit_once('@').ok_or(AddressError::DomainMissing)?;
    let local_part = Mailbox::parse(&format!("{local_part}@example.invalid"))?.local_part;
    let host = match Host::parse(name) {
        Ok(Host::Literal(ip)) => Host::Literal(ip),
        _ => Host::Domain(Domain::from_unicode(name)?),
    };
    Ok(Mailbox { local_part, host })
}

/// Directories keep no case apart, and what is written twice is often written differently.
fn is_same(one: &Mailbox, other: &Mailbox) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> Target {
        Target::read(Some(written.as_bytes())).unwrap_or(Target::Unclear)
    }

    #[test]
    fn blank_is_no_target_and_what_is_no_address_is_unclear() {
        assert_eq!((read(""), read("   ")), (Target::Same, Target::Same));
        assert_eq!(read("jones@inside.test  "), read("jones@inside.test"));
        assert_eq!(read("jones"), Target::Unclear);
        assert_eq!(Target::read(Some(b"\xff@inside.test")), Err(TargetError::NotUtf8));
    }

    #[test]
    fn entries_that_differ_are_unclear_and_one_that_says_nothing_agrees() {
        let (one, other) = (read("a@inside.test"), read("b@inside.test"));
        assert_eq!(one.clone().and(Target::Same), one);
        assert_eq!(Target::Same.and(one.clone()), one);
        assert_eq!(one.clone().and(read("A@Inside.test")), one);
        assert_eq!(one.clone().and(other), Target::Unclear);
        assert_eq!(Target::Unclear.and(one), Target::Unclear);
    }

    #[test]
    fn what_is_stored_comes_back() {
        for target in [Target::Same, read("a@inside.test"), Target::Unclear] {
            assert_eq!(Target::of_stored(target.stored().as_deref()), target);
        }
    }
}
