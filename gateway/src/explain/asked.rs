//! The directory, asked about one address: the answer, and what each source says on its own.

use directory::{Canonical, Directory, Finding, Matched, Question, SourceAnswer, Step, Trace};
use mail::address::{AddressError, Domain, ForwardPath, LocalPart};
use relay::settings::{DomainId, Settings};
use std::io;
use std::sync::Arc;

/// What was heard.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How the answer came about; sources behind the one that has the address are not in it.
    pub trace: Trace,
    /// What every source says, asked alone.
    pub sources: Vec<Step>,
    /// What stands before the sub-address separator, when there is one.
    pub base: Option<String>,
}

impl Asked {
    /// What the address was found by, when a source has it.
    #[must_use]
    pub fn matched(&self) -> Option<&Matched> {
        self.trace.steps.iter().find_map(|Step { finding, .. }| match finding {
            Some(Finding::Exists { by, .. }) => Some(by),
            _ => None,
        })
    }
}

/// Reads what an operator types: with or without angle brackets, U-labels included.
/// # Errors
/// When it is no address.
pub fn forward_path(text: &str) -> Result<ForwardPath, AddressError> {
    let text = text.trim();
    let inner = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    match inner.rsplit_once('@') {
        Some((local_part, name)) if !name.is_ascii() => {
            let name = Domain::from_unicode(name)?;
            ForwardPath::parse(&format!("<{local_part}@{name}>"))
        }
        _ => ForwardPath::parse(&format!("<{inner}>")),
    }
}

/// Asks, and waits for sources that must ask elsewhere. `<Postmaster>` is asked for as
/// `postmaster`.
/// # Errors
/// When the system gives no means to wait.
pub fn ask(
    directory: &Directory,
    settings: &Settings,
    domain: DomainId,
    path: &ForwardPath,
) -> io::Result<Asked> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask_all(directory, settings, domain, path)).map_err(io::Error::other)
}

/// As [`ask`], where there is a runtime.
/// # Errors
/// Never, since `postmaster` is a local part.
pub async fn ask_all(
    directory: &Directory,
    settings: &Settings,
    domain: DomainId,
    path: &ForwardPath,
) -> Result<Asked, AddressError> {
    let local_part = match path.mailbox() {
        Some(mailbox) => mailbox.local_part.clone(),
        None => LocalPart::new("postmaster")?,
    };
    let domain_settings = settings.domain(domain);
    let canonical = Canonical::new(&local_part, domain_settings);
    let question = Question {
        domain,
        settings: domain_settings,
        local_part: &local_part,
        canonical,
        party: relay::turns::Party::NAMELESS,
    };
    let trace = directory.trace(domain, domain_settings, &local_part).await;
    let mut sources = Vec::new();
    for source in directory.domain(domain).map_or(&[][..], |here| &here.sources) {
        let finding = match source.look_up(&question) {
            SourceAnswer::Now(finding) => finding,
            SourceAnswer::Later(finding) => finding.await,
        };
        let (source, account) = (Arc::clone(source.name()), source.account(&question));
        sources.push(Step { source, finding: Some(finding), account });
    }
    let base = canonical.base().map(|base| String::from_utf8_lossy(base).into_owned());
    Ok(Asked { trace, sources, base })
}
