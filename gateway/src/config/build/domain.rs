//! `[[domain]]`: what mail is taken, for whom, and where it goes.

use super::super::built::DomainSources;
use super::super::tables_mail::{self as tables, Custody, OnOutage};
use super::next_hop::NextHops;
use super::sources::SourceTables;
use directory::kinds::Surroundings;
use mail::address::{Domain, Mailbox};
use relay::settings::{DomainId, DomainSettings};
use settings::address;
use settings::mistake::Mistake;
use settings::recipients::{BitbucketRule, LeaverRule};
use settings::table::context::LoadContext;
use settings::table::value::{Given, Text, all};
use std::collections::HashMap;
use std::ops::Range;

/// RFC 5321 §4.5.3.1.5 gives a reply line 512 octets; code, address and CRLF need the rest.
const TEXT_OCTETS_MAX: usize = 400;

/// All domains; what counts into `settings` counts into `sources`.
#[derive(Default)]
pub(super) struct Domains {
    pub(super) names: HashMap<Box<str>, DomainId>,
    pub(super) settings: Vec<DomainSettings>,
    pub(super) sources: Vec<DomainSources>,
    places: HashMap<String, Range<usize>>,
}

pub(super) fn domains(
    list: &[Given<tables::Domain>],
    hops: &mut NextHops,
    tables: &mut SourceTables,
    context: &mut LoadContext,
) -> Domains {
    let mut domains = Domains::default();
    for domain in list {
        let id = DomainId(u32::try_from(domains.settings.len()).unwrap_or(u32::MAX));
        // All that there is until messages can be stored.
        let Custody::Never = *domain.custody;
        let name = domain.name.as_ref().and_then(|n| domains.name(n, id, context));
        let mut aliases = Vec::new();
        for alias in all(&domain.aliases) {
            aliases.extend(domains.name(alias, id, context));
        }
        let next_hop = domain.next_hop.as_ref().and_then(|hop| hops.of_domain(hop, context));
        let names: Vec<&Domain> = name.iter().chain(&aliases).collect();
        let separator = separator(domain, context);
        let characters = characters(domain, context);
        let catch_all = target(domain.catch_all.as_ref(), &names, context);
        let postmaster = target(domain.postmaster.as_ref(), &names, context);
        let surroundings =
            Surroundings { next_hop: next_hop.and_then(|id| hops.list.get(id.0 as usize)) };
        let sources = tables.of_domain(all(&domain.recipients), &surroundings, context);
        let canary = canary(domain, &names, context);
        let accepts_in_outage = accepts_in_outage(domain, context);
        let bitbucket = bitbucket(domain, &names, context);
        let leavers = leavers(domain, &names, context);
        // What lacks one of these has been refused: the numbers of the others do not matter.
        let (Some(name), Some(next_hop)) = (name, next_hop) else { continue };
        let settings = DomainSettings {
            name: name.clone(),
            next_hop,
            local_part_case: *domain.local_part_case,
            sub_address_separator: separator,
            local_part_characters: characters,
            catch_all,
            postmaster,
        };
        let sources =
            DomainSources { name, aliases, sources, canary, accepts_in_outage, bitbucket, leavers };
        domains.settings.push(settings);
        domains.sources.push(sources);
    }
    domains
}

impl Domains {
    fn name(&mut self, text: &Text, id: DomainId, context: &mut LoadContext) -> Option<Domain> {
        let domain = context.told(address::domain(text))?;
        if address::ends_in_a_number(&domain) {
            let message = format!("\"{domain}\" is no domain name");
            context.refuse(text.wrong(message, "no top-level domain is a number"));
            return None;
        }
        let canonical = domain.to_canonical();
        if let Some(first) = self.places.get(&canonical) {
            let message = format!("the domain \"{canonical}\" is there twice");
            context.refuse(
                text.wrong(message, "again here")
                    .at(first.clone(), "first here")
                    .help("names and aliases are compared without regard to case"),
            );
            return None;
        }
        self.places.insert(canonical.clone(), text.span());
        self.names.insert(canonical.into(), id);
        Some(domain)
    }
}

fn separator(domain: &tables::Domain, context: &mut LoadContext) -> Option<char> {
    let text = domain.sub_address_separator.as_ref()?;
    let mut characters = text.chars();
    if let (Some(c), None) = (characters.next(), characters.next())
        && "+-_=#~$&*'^`{}".contains(c)
    {
        return Some(c);
    }
    context.refuse(text.wrong("cannot separate local parts", "").help(
        "expected one character that a local part may hold, but no letter, digit or dot, \
                 for example: \"+\"",
    ));
    None
}

fn characters(domain: &tables::Domain, context: &mut LoadContext) -> Box<str> {
    let Some(text) = &domain.local_part_characters else { return "".into() };
    let wrong: String = text.chars().filter(|c| !"/=".contains(*c)).collect();
    if !wrong.is_empty() {
        let dangerous = wrong.contains(['%', '!', '@', ':', '\\', '|', '"']);
        let mistake = text.wrong(
            format!("`local_part_characters` cannot have `{wrong}`"),
            "expected only `/` and `=`",
        );
        context.refuse(mistake.help(if dangerous {
            "the server behind may read a route into it and relay for strangers: \
             user%elsewhere.test@example.test"
        } else {
            "other characters need no permission"
        }));
    }
    text.as_str().into()
}

/// Where mail is redirected to: any address, but one elsewhere is doubtful.
fn target(text: Option<&Text>, names: &[&Domain], context: &mut LoadContext) -> Option<Mailbox> {
    let text = text?;
    let mailbox = context.told(address::mailbox(text))?;
    if !names.is_empty() && !address::is_of(&mailbox, names) {
        let message = format!("\"{}\" is not of this domain", text);
        context
            .warn(text.wrong(message, "").help("the domain's next hop must be willing to take it"));
    }
    Some(mailbox)
}

fn accepts_in_outage(domain: &tables::Domain, context: &mut LoadContext) -> bool {
    if *domain.on_outage == OnOutage::Defer {
        return false;
    }
    let message = "mail for anybody is accepted while the sources are down";
    context.warn(
        domain
            .on_outage
            .wrong(message, "")
            .help("the server behind then sends bounces to forged senders: backscatter"),
    );
    true
}

fn canary(
    domain: &tables::Domain,
    names: &[&Domain],
    context: &mut LoadContext,
) -> Option<Mailbox> {
    let text = domain.canary.as_ref()?;
    let mailbox = context.told(address::mailbox(text))?;
    if !names.is_empty() && !address::is_of(&mailbox, names) {
        let message = format!("\"{}\" is not of this domain", text);
        context.refuse(
            text.wrong(message, "its sources would never know it")
                .help("name an address of the domain that will always exist"),
        );
        return None;
    }
    Some(mailbox)
}

/// `local-part@domain`, the domain in A-labels and one of ours; `None` when it is not.
fn pattern(text: &Text, names: &[&Domain]) -> Result<String, Mistake> {
    let written = text.as_str();
    let example = names.first().map_or("example.test", |name| name.as_str());
    let wrong = |label: &str| {
        text.wrong(format!("\"{written}\" is no address or pattern"), label)
            .help(format!("for example: \"noreply@{example}\" or \"*-bounces@{example}\""))
    };
    let Some((local_part, host)) = written.rsplit_once('@') else {
        return Err(wrong("the domain is missing"));
    };
    let printable = local_part.bytes().all(|b| b.is_ascii_graphic());
    if local_part.is_empty() || !printable || local_part.contains('@') {
        return Err(wrong("the local part is malformed"));
    }
    let host = Domain::from_unicode(host).map_err(|error| wrong(&error.to_string()))?;
    if !names.is_empty() && !names.contains(&&host) {
        return Err(wrong("not of this domain"));
    }
    Ok(format!("{local_part}@{host}"))
}

fn bitbucket(
    domain: &tables::Domain,
    names: &[&Domain],
    context: &mut LoadContext,
) -> Vec<BitbucketRule> {
    let mut rules = Vec::new();
    for rule in all(&domain.bitbucket) {
        let (Some(address), Some(reason)) = (&rule.address, &rule.reason) else { continue };
        match pattern(address, names) {
            Ok(pattern) => {
                if pattern.trim_start_matches('*').starts_with('@') {
                    context.warn(
                        address
                            .wrong("all mail of the domain would be discarded", "")
                            .help("senders would hear 250 for it"),
                    );
                }
                rules.push(BitbucketRule { pattern, reason: reason.to_string() });
            }
            Err(mistake) => context.refuse(mistake),
        }
        if reason.trim().is_empty() {
            context.refuse(
                reason
                    .wrong("why is this mail discarded?", "is empty")
                    .help("for example: reason = \"nobody reads it\""),
            );
        }
    }
    rules
}

fn leavers(
    domain: &tables::Domain,
    names: &[&Domain],
    context: &mut LoadContext,
) -> Vec<LeaverRule> {
    let mut rules = Vec::new();
    for rule in all(&domain.leavers) {
        let (Some(address), Some(text)) = (&rule.address, &rule.text) else { continue };
        match pattern(address, names) {
            Ok(pattern) => rules.push(LeaverRule { pattern, text: text.to_string() }),
            Err(mistake) => context.refuse(mistake),
        }
        let octets = text.as_bytes();
        let label = if octets.iter().all(|b| *b == b' ') {
            "is empty"
        } else if !octets.iter().all(|b| (b' '..=b'~').contains(b)) {
            "expected printable ASCII, on one line"
        } else if octets.len() > TEXT_OCTETS_MAX {
            "expected at most 400 characters"
        } else {
            continue;
        };
        context.refuse(text.wrong("the text does not fit into a reply", label).help(
            "RFC 5321 §4.2: replies are ASCII, for example: text = \"has left, write to \
                 jones@example.test\"",
        ));
    }
    rules
}
