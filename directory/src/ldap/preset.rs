//! The directories that we know: what their entries look like, and where they listen.

use settings::table::value::choice;

/// What connections are protected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// TLS from the first octet.
    Ldaps,
    /// TLS begun by the StartTLS operation (RFC 4511 §4.14).
    StartTls,
    /// Nothing.
    Plain,
}

choice!(Protection { Ldaps = "ldaps", StartTls = "starttls", Plain = "plain" });

/// Kinds of directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Active Directory, by its global catalogue.
    ActiveDirectory,
    /// The directory of Exchange 5.5.
    Exchange55,
    /// OpenLDAP and its like.
    OpenLdap,
    /// Whatever the operator's filter fits.
    Custom,
}

choice!(Preset {
    ActiveDirectory = "active-directory",
    Exchange55 = "exchange-5.5",
    OpenLdap = "openldap",
    Custom = "custom",
});

impl Preset {
    /// Its filter; none for `Custom`.
    #[must_use]
    pub fn filter(self) -> Option<&'static str> {
        match self {
            // The value is `SMTP:` for the primary address: these values match in any case.
            Self::ActiveDirectory => Some("(proxyAddresses=smtp:{address})"),
            // Sources differ on whether `otherMailbox` holds the primary address, and on what
            // stands between type and address: all are asked for.
            Self::Exchange55 => Some(
                "(|(mail={address})(rfc822Mailbox={address})(otherMailbox=smtp${address})\
                 (otherMailbox=smtp:{address}))",
            ),
            // `mail` of inetOrgPerson (RFC 2798), `mailLocalAddress` of inetLocalMailRecipient, and
            // `mailAlternateAddress` of the schemas of qmail, Zarafa and Dovecot set-ups. What a
            // server does not know matches nothing (RFC 4511 §4.5.1.7).
            Self::OpenLdap => Some(
                "(|(mail={address})(mailLocalAddress={address})(mailAlternateAddress={address}))",
            ),
            Self::Custom => None,
        }
    }

    /// The attributes that hold its addresses; none for `Custom`.
    #[must_use]
    pub fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::ActiveDirectory => &["proxyAddresses"],
            Self::Exchange55 => &["mail", "rfc822Mailbox", "otherMailbox", "proxyAddresses"],
            Self::OpenLdap => &["mail", "mailLocalAddress", "mailAlternateAddress"],
            Self::Custom => &[],
        }
    }

    /// The attributes that mark an entry which is kept for a while after it was deleted, and may
    /// still hold its addresses.
    #[must_use]
    pub fn marks_of_deletion(self) -> &'static [&'static str] {
        match self {
            Self::Exchange55 => &["Is-Deleted"],
            Self::ActiveDirectory | Self::OpenLdap | Self::Custom => &[],
        }
    }

    /// The port that it listens on, when none is written.
    #[must_use]
    pub fn port(self, protection: Protection) -> u16 {
        match (self, protection) {
            (Self::ActiveDirectory, Protection::Ldaps) => 3269,
            (Self::ActiveDirectory, _) => 3268,
            (_, Protection::Ldaps) => 636,
            (_, _) => 389,
        }
    }
}
