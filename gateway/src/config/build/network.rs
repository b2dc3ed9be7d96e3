//! `[[network]]`: who is no stranger.

use super::super::written;
use crate::settings::address;
use crate::settings::mistake::Mistake;
use crate::settings::networks::{Network, Networks, canonical};
use crate::settings::site::{Site, at, word};
use ipnet::IpNet;
use serde_spanned::Spanned;
use std::collections::HashMap;
use std::ops::Range;

pub(super) fn networks(list: &[Spanned<written::Network>], site: &mut Site) -> Networks {
    let mut built: Vec<Network> = Vec::new();
    let mut names: HashMap<&str, Range<usize>> = HashMap::new();
    let mut seen: Vec<(IpNet, usize, Range<usize>)> = Vec::new();
    for network in list {
        let (head, network) = (network.span(), network.get_ref());
        if let Some(name) = &network.name
            && let Some(first) = names.insert(name.get_ref(), name.span())
        {
            let message = format!("two networks are called \"{}\"", name.get_ref());
            site.refuse(at("network.name", name, message, "again here").at(first, "first here"));
        }
        let is_lifted = word(network.limits.as_ref(), "normal") == "lifted";
        let addresses = addresses(network, &head, is_lifted, built.len(), &mut seen, site);
        warn_of_forgers(network, &addresses, site);
        built.push(Network {
            name: network.name.as_ref().map_or(String::new(), |name| name.get_ref().clone()),
            addresses,
            limits_lifted: is_lifted,
            normalizes_line_endings: word(network.line_endings.as_ref(), "strict") == "normalize",
            teaches: network.teaches.unwrap_or(false),
        });
    }
    overlaps(&built, &seen, site);
    Networks::new(built)
}

/// Where everybody teaches, a forged sender makes any name exist.
fn warn_of_forgers(network: &written::Network, addresses: &[IpNet], site: &mut Site) {
    let Some(list) = network.addresses.as_ref().filter(|_| network.teaches == Some(true)) else {
        return;
    };
    if addresses.iter().any(|net| net.prefix_len() == 0) {
        site.warn(
            at("network.teaches", list, "everybody teaches who exists", "every address")
                .help("a forged sender would do; name networks where nobody can forge one"),
        );
    }
}

fn addresses(
    network: &written::Network,
    head: &Range<usize>,
    is_lifted: bool,
    index: usize,
    seen: &mut Vec<(IpNet, usize, Range<usize>)>,
    site: &mut Site,
) -> Vec<IpNet> {
    let key = "network.addresses";
    let Some(list) = &network.addresses else { return Vec::new() };
    if list.get_ref().is_empty() {
        site.refuse(
            at(key, list, "a network without addresses", "expected at least one")
                .at(head.clone(), "")
                .help("for example: addresses = [\"10.0.0.0/8\"]"),
        );
    }
    let mut nets = Vec::new();
    for text in list.get_ref() {
        let net = match address::network(key, text) {
            Ok(net) => canonical(net),
            Err(mistake) => {
                site.refuse(mistake);
                continue;
            }
        };
        if net.prefix_len() == 0 && is_lifted {
            site.warn(
                at(key, text, "the limits are lifted for everybody", "every address")
                    .help("name the networks that you trust"),
            );
        }
        seen.push((net, index, text.span()));
        nets.push(net);
    }
    nets
}

/// The more specific network decides, which is often meant; and as often not.
fn overlaps(built: &[Network], seen: &[(IpNet, usize, Range<usize>)], site: &mut Site) {
    let mut sorted: Vec<&(IpNet, usize, Range<usize>)> = seen.iter().collect();
    // Each network comes right after those it lies in, so a stack of those is enough.
    sorted.sort_by_key(|(net, index, _)| (net.network(), net.prefix_len(), *index));
    let mut around: Vec<&(IpNet, usize, Range<usize>)> = Vec::new();
    for entry in sorted {
        let (net, index, span) = entry;
        while around.last().is_some_and(|(outer, ..)| !outer.contains(net)) {
            around.pop();
        }
        if let Some((outer, other, first)) = around.last()
            && other != index
        {
            let is_same = outer == net;
            let (wide, narrow) = (&built[*other].name, &built[*index].name);
            let mistake = if is_same {
                Mistake::new(format!("{net} is in \"{wide}\" and in \"{narrow}\""))
                    .help(format!("\"{wide}\" decides, as the first; take out the other"))
            } else {
                Mistake::new(format!("{net} lies within {outer} of \"{wide}\""))
                    .help(format!("\"{narrow}\" decides for these addresses"))
            };
            site.warn(mistake.key("network.addresses").at(span.clone(), "").at(first.clone(), ""));
        }
        around.push(entry);
    }
}
