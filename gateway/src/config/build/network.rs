//! `[[network]]`: who is no stranger.

use super::super::tables::{self, LineEndings, NetworkLimits};
use ipnet::IpNet;
use settings::address;
use settings::mistake::Mistake;
use settings::networks::{Network, Networks, canonical};
use settings::table::context::LoadContext;
use settings::table::value::Given;
use std::collections::HashMap;
use std::ops::Range;

pub(super) fn networks(list: &[Given<tables::Network>], context: &mut LoadContext) -> Networks {
    let mut built: Vec<Network> = Vec::new();
    let mut names: HashMap<&str, Range<usize>> = HashMap::new();
    let mut seen: Vec<(IpNet, usize, Range<usize>)> = Vec::new();
    for network in list {
        if let Some(name) = &network.name
            && let Some(first) = names.insert(name, name.span())
        {
            let message = format!("two networks are called \"{}\"", name);
            context.refuse(name.wrong(message, "again here").at(first, "first here"));
        }
        let is_lifted = *network.limits == NetworkLimits::Lifted;
        let addresses = addresses(network, is_lifted, built.len(), &mut seen, context);
        warn_of_forgers(network, &addresses, context);
        built.push(Network {
            name: network.name.as_ref().map_or(String::new(), |name| name.to_string()),
            addresses,
            limits_lifted: is_lifted,
            normalizes_line_endings: *network.line_endings == LineEndings::Normalize,
            teaches: *network.teaches,
        });
    }
    overlaps(&built, &seen, context);
    Networks::new(built)
}

/// Where everybody teaches, a forged sender makes any name exist.
fn warn_of_forgers(
    network: &Given<tables::Network>,
    addresses: &[IpNet],
    context: &mut LoadContext,
) {
    let Some(list) = network.addresses.as_ref().filter(|_| *network.teaches) else {
        return;
    };
    if addresses.iter().any(|net| net.prefix_len() == 0) {
        context.warn(
            list.wrong("everybody teaches who exists", "every address")
                .key(network.teaches.path())
                .help("a forged sender would do; name networks where nobody can forge one"),
        );
    }
}

fn addresses(
    network: &Given<tables::Network>,
    is_lifted: bool,
    index: usize,
    seen: &mut Vec<(IpNet, usize, Range<usize>)>,
    context: &mut LoadContext,
) -> Vec<IpNet> {
    let Some(list) = &network.addresses else { return Vec::new() };
    if list.is_empty() {
        context.refuse(
            list.wrong("a network without addresses", "expected at least one")
                .at(network.span(), "")
                .help("for example: addresses = [\"10.0.0.0/8\"]"),
        );
    }
    let mut nets = Vec::new();
    for text in list.iter() {
        let Some(net) = context.told(address::network(text)).map(canonical) else { continue };
        if net.prefix_len() == 0 && is_lifted {
            context.warn(
                text.wrong("the limits are lifted for everybody", "every address")
                    .help("name the networks that you trust"),
            );
        }
        seen.push((net, index, text.span()));
        nets.push(net);
    }
    nets
}

/// The more specific network decides, which is often meant; and as often not.
fn overlaps(built: &[Network], seen: &[(IpNet, usize, Range<usize>)], context: &mut LoadContext) {
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
            context
                .warn(mistake.key("network.addresses").at(span.clone(), "").at(first.clone(), ""));
        }
        around.push(entry);
    }
}
