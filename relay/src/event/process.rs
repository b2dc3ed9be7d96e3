//! What can happen to the process itself. The edge tells of it, with a subject and a detail in
//! words for people; whoever has to tell one from another has the variant.

macro_rules! process_events {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something about the process; in the order of the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProcessEvent {
            $($(#[$doc])* $name,)*
        }

        impl ProcessEvent {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it is written in the log and in the figures.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

process_events! {
    /// A part of the program panicked, or failed as it never should.
    Bug,
    /// New files of the certificate cannot be used; the old ones go on.
    CertificateRefused,
    /// The certificate was read again.
    CertificateReloaded,
    /// Recipients of a client or a network are put off, since it guesses.
    ClientBlocked,
    /// A person has let a client or a network in again.
    ClientLifted,
    /// What was known of clients could not be kept for the next start, or not be read.
    ClientsNotKept,
    /// A configuration that was read again has mistakes; the old one goes on.
    ConfigurationRefused,
    /// A configuration that was read again is in force.
    ConfigurationReloaded,
    /// A connection to a next hop was taken back from a client that let it wait.
    ConnectionRecalled,
    /// There can be no control socket.
    ControlRefused,
    /// The store of what sources said was damaged, and begun anew.
    DirectoryStateDamaged,
    /// The store of what sources said could not be read or written.
    DirectoryStateFailed,
    /// There can be no store of what sources said.
    DirectoryStateRefused,
    /// No new connections are taken.
    Draining,
    /// Entries of a list could not be stored; a restart reads the list whole.
    EntriesNotKept,
    /// The system does not allow as much as is set.
    LimitLowered,
    /// A listener is open.
    Listening,
    /// Lines of the log were given up, since the disk was too slow.
    LogLost,
    /// The log cannot be opened again; the old file goes on.
    LogRefused,
    /// A next hop has shown that it checks recipients, or that it does not.
    NextHopClassChanged,
    /// No host of a next hop is tried until a pause is over.
    NextHopDown,
    /// A connection to a next hop failed.
    NextHopFailed,
    /// TLS with a next hop failed.
    NextHopTlsFailed,
    /// It cannot be found out whether a next hop checks recipients.
    NextHopUnmeasured,
    /// A next hop answers again.
    NextHopUp,
    /// A list of recipients is in use as it was read.
    RecipientsAdopted,
    /// The snapshot of a list could not be read or written.
    RecipientsCacheFailed,
    /// A list of recipients could not be read; what was in use still is.
    RecipientsFailed,
    /// A list of recipients is held back until a person confirms it.
    RecipientsHeld,
    /// A source that asks elsewhere is now believed in another degree.
    SourceClassChanged,
    /// An answer of a source was not believed.
    SourceDoubted,
    /// What a source said could not be read back after a restart.
    SourceMemoryLost,
    /// A source was tried out and answers.
    SourceReady,
    /// A source cannot be opened.
    SourceRefused,
    /// A source does not answer as it should.
    SourceTrouble,
    /// Content could not be moved to a temporary file.
    SpillFailed,
    /// The process has ended; always the last event.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operators look for these: a name that changes, or goes, is told in CHANGELOG.md.
    const NAMES: &[&str] = &[
        "Bug",
        "CertificateRefused",
        "CertificateReloaded",
        "ClientBlocked",
        "ClientLifted",
        "ClientsNotKept",
        "ConfigurationRefused",
        "ConfigurationReloaded",
        "ConnectionRecalled",
        "ControlRefused",
        "DirectoryStateDamaged",
        "DirectoryStateFailed",
        "DirectoryStateRefused",
        "Draining",
        "EntriesNotKept",
        "LimitLowered",
        "Listening",
        "LogLost",
        "LogRefused",
        "NextHopClassChanged",
        "NextHopDown",
        "NextHopFailed",
        "NextHopTlsFailed",
        "NextHopUnmeasured",
        "NextHopUp",
        "RecipientsAdopted",
        "RecipientsCacheFailed",
        "RecipientsFailed",
        "RecipientsHeld",
        "SourceClassChanged",
        "SourceDoubted",
        "SourceMemoryLost",
        "SourceReady",
        "SourceRefused",
        "SourceTrouble",
        "SpillFailed",
        "Stopped",
    ];

    #[test]
    fn operators_find_process_events_by_these_names() {
        let names: Vec<&str> = ProcessEvent::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names, NAMES);
        assert!(names.is_sorted(), "the figures list them in this order");
    }
}
