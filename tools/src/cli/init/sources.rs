//! Which sources of recipients go into the configuration, out of what was given and what was
//! found; and says why. What a person would have to know to say yes is never taken for granted:
//! where nobody is asked, the safest answer holds.

use super::answers::Answers;
use super::canary::{Canary, Manner};
use super::directory::{Found, Shows};
use directory::ldap::Protection;
use std::fmt::Write;
use std::path::PathBuf;

/// Asks for a yes: the question, and the answer that is safe.
pub(super) type Consent<'a> = dyn FnMut(&str, bool) -> bool + 'a;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Nothing when the next hop was not asked.
    pub(super) canary: Option<Canary>,
    pub(super) directory: Option<Found>,
}

/// How far the next hop is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Rcpt,
    Data,
}

/// What is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) file: Option<PathBuf>,
    pub(super) directory: Option<Found>,
    /// Whether domains ask it already.
    pub(super) asks_directory: bool,
    pub(super) callout: Option<Asked>,
    pub(super) learns: bool,
}

impl Sources {
    /// Takes what was found and agreed to. The file is still to come.
    pub(super) fn choose(seen: &Seen, allows_plain: bool, consent: &mut Consent<'_>) -> Self {
        let directory = seen.directory.clone().filter(|found| {
            found.protection != Protection::Plain
                || allows_plain
                || consent("  It speaks no TLS. Ask it in the clear?", false)
        });
        let asks_directory = directory.as_ref().is_some_and(|found| {
            found.is_ready() && consent("  Ask the directory for each recipient?", true)
        });
        let callout = match seen.canary.as_ref().map(|canary| &canary.manner) {
            Some(Manner::Honest) => Some(Asked::Rcpt),
            Some(Manner::Late) => Some(Asked::Data),
            Some(Manner::AcceptsAll | Manner::Unclear(_)) | None => None,
        };
        let callout = callout.filter(|_| consent("  Ask the next hop for each recipient?", true));
        Self { directory, asks_directory, callout, ..Self::default() }
    }

    /// Whether there is something to ask without a file. A directory that shows nothing yet is
    /// enough: until it does, clients hear 451.
    pub(super) fn can_do_without_file(&self) -> bool {
        self.asks_directory
            || self.callout.is_some()
            || self.directory.as_ref().is_some_and(Found::may_wait)
    }

    /// Adds the file, and what stands beside it.
    /// # Errors
    /// When nothing is left that could be asked, with what to do.
    pub(super) fn complete(
        mut self,
        file: Option<PathBuf>,
        seen: &Seen,
        consent: &mut Consent<'_>,
    ) -> Result<Self, String> {
        self.file = file;
        let has_none = self.file.is_none() && !self.asks_directory && self.callout.is_none();
        if has_none {
            if !self.can_do_without_file() {
                return Err("Nothing was found that knows who exists, so a list is needed:\n  \
                            --recipients users.txt"
                    .to_owned());
            }
            self.asks_directory = true;
        }
        let accepts_all = |canary: &Canary| canary.manner == Manner::AcceptsAll;
        self.learns = seen.canary.as_ref().is_some_and(accepts_all)
            && consent(
                "  Also watch what mail shows of who exists? No mail is refused because of it.",
                true,
            );
        Ok(self)
    }

    /// Whether a directory is listed that must be told something first.
    pub(super) fn has_gaps(&self) -> bool {
        self.asks_directory && self.directory.as_ref().is_some_and(|found| !found.is_ready())
    }

    /// What is asked, and why, for a person.
    pub(super) fn in_words(&self, answers: &Answers, seen: &Seen) -> String {
        let mut text = String::from("Who exists is said by:\n");
        let mut say = |line: String| text.push_str(&format!("  * {line}\n"));
        if let Some(file) = &self.file {
            say(format!("the file {}, which was given", file.display()));
        }
        if let Some(found) = &self.directory {
            say(match (self.asks_directory, found.is_ready()) {
                (true, true) => {
                    format!("the directory {}: it shows addresses of the domain", found.server())
                }
                (true, false) => format!(
                    "the directory {}: nothing else is there to ask; until what it needs is \
                     filled in,\n    clients hear 451",
                    found.server()
                ),
                (false, _) => format!(
                    "not yet the directory {}: fill in what it needs, then list it",
                    found.server()
                ),
            });
        } else if seen.directory.is_some() {
            say("not the directory: it would be asked in the clear, which wants a yes \
                 (--directory-plain)"
                .to_owned());
        }
        match self.callout {
            Some(Asked::Rcpt) => say(format!("{} itself, which is honest", answers.next_hop)),
            Some(Asked::Data) => {
                say(format!("{} itself, asked as far as DATA", answers.next_hop));
            }
            None => {}
        }
        if self.learns {
            say("what mail shows: no mail is refused because of it; with a state_dir, `postern recipients report` \
                 lists\n    whom it would refuse"
                .to_owned());
        }
        text
    }
}

impl Found {
    /// What was found, for a person.
    pub(super) fn in_words(&self) -> String {
        let how = match self.protection {
            Protection::Ldaps => "by LDAPS",
            Protection::StartTls => "by StartTLS",
            Protection::Plain => "without TLS",
        };
        let mut text =
            format!("{} is {}, {how}; base {}.\n", self.server(), self.software, self.base);
        if let Some(why) = &self.untrusted {
            let _ = writeln!(
                text,
                "  Its certificate is not believed: {why}.\n  To fill in: tls_ca or tls_fingerprint."
            );
        }
        let needs = "To fill in: bind_dn, password_file";
        match self.shows {
            Shows::Addresses if self.needs_name() => {
                text.push_str(
                    "  It hides mailboxes from all but its administrator, and they receive mail.\n",
                );
                let _ = writeln!(text, "  {needs}.");
            }
            Shows::Addresses => {
                text.push_str("  It shows addresses of the domain to whoever asks.\n");
            }
            Shows::Nothing => {
                let _ =
                    writeln!(text, "  It shows no address of the domain to a stranger. {needs}.");
            }
            Shows::Refuses(Some(code)) => {
                let _ = writeln!(text, "  It refuses strangers (result code {code}). {needs}.");
            }
            Shows::Refuses(None) => {
                let _ = writeln!(text, "  It did not answer a stranger's search. {needs}.");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use directory::ldap::Preset;

    fn found(preset: Preset, protection: Protection, shows: Shows) -> Found {
        Found {
            host: "10.0.0.5".into(),
            port: 3268,
            protection,
            software: "Active Directory".into(),
            preset,
            base: "DC=example,DC=test".into(),
            untrusted: None,
            shows,
        }
    }

    fn seen(directory: Option<Found>, manner: Option<Manner>) -> Seen {
        let canary = manner.map(|manner| Canary { manner, refuses_null: false });
        Seen { canary, directory }
    }

    /// As where nobody is asked.
    fn safest(seen: &Seen, file: Option<&str>) -> Result<Sources, String> {
        let consent = &mut |_: &str, safe| safe;
        Sources::choose(seen, false, consent).complete(file.map(Into::into), seen, consent)
    }

    #[test]
    fn where_nobody_is_asked_nothing_is_asked_in_the_clear() {
        let plain = found(Preset::OpenLdap, Protection::Plain, Shows::Addresses);
        let seen = seen(Some(plain), None);
        assert!(safest(&seen, Some("users.txt")).unwrap().directory.is_none());
        assert!(safest(&seen, None).unwrap_err().contains("--recipients"));
        let allowed = Sources::choose(&seen, true, &mut |_, safe| safe);
        assert!(allowed.asks_directory);
    }

    #[test]
    fn a_directory_that_shows_nothing_is_asked_only_where_there_is_nothing_else() {
        let silent = found(Preset::ActiveDirectory, Protection::Ldaps, Shows::Refuses(Some(1)));
        let seen = seen(Some(silent), None);
        let beside = safest(&seen, Some("users.txt")).unwrap();
        assert!(beside.directory.is_some() && !beside.asks_directory);
        let alone = safest(&seen, None).unwrap();
        assert!(alone.asks_directory && alone.has_gaps() && !beside.has_gaps());
    }

    #[test]
    fn exchange_is_never_asked_by_a_stranger_since_it_would_hide_people_who_exist() {
        let exchange = found(Preset::Exchange55, Protection::Ldaps, Shows::Addresses);
        let seen = seen(Some(exchange), None);
        assert!(!safest(&seen, Some("users.txt")).unwrap().asks_directory);
        assert!(safest(&seen, None).is_err());
    }

    #[test]
    fn the_next_hop_is_asked_as_it_deserves() {
        let chosen = |manner| safest(&seen(None, Some(manner)), Some("users.txt")).unwrap();
        assert_eq!(chosen(Manner::Honest).callout, Some(Asked::Rcpt));
        assert_eq!(chosen(Manner::Late).callout, Some(Asked::Data));
        let accepts_all = chosen(Manner::AcceptsAll);
        assert!(accepts_all.callout.is_none() && accepts_all.learns);
        let unclear = chosen(Manner::Unclear("down".into()));
        assert!(unclear.callout.is_none() && !unclear.learns);
        let refused = Sources::choose(&seen(None, Some(Manner::Honest)), false, &mut |_, _| false);
        assert!(refused.callout.is_none());
    }
}
