//! Which `[[network]]` an address belongs to: one hash lookup for each length of prefix that is
//! in use, the longest first.

use ipnet::{IpNet, Ipv4Net};
use std::collections::HashMap;
use std::net::IpAddr;

/// One `[[network]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// For the log.
    pub name: String,
    /// Its addresses, without host bits.
    pub addresses: Vec<IpNet>,
    /// No rate, harvest, error-count, messages-per-session or per-client connection limits.
    pub limits_lifted: bool,
    /// A bare CR or LF in content becomes CRLF instead of a refusal.
    pub normalizes_line_endings: bool,
    /// Whoever writes from here with an address of ours is taken to have it.
    pub teaches: bool,
}

/// The networks of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    list: Vec<Network>,
    /// By length of prefix, longest first.
    v4: Vec<(u8, HashMap<u32, usize>)>,
    v6: Vec<(u8, HashMap<u128, usize>)>,
}

impl Networks {
    /// Of two networks with the same addresses the first counts.
    #[must_use]
    pub fn new(list: Vec<Network>) -> Self {
        let mut networks = Self::default();
        for (index, network) in list.iter().enumerate() {
            for addresses in &network.addresses {
                match canonical(*addresses) {
                    IpNet::V4(net) => {
                        let map = of_length(&mut networks.v4, net.prefix_len());
                        map.entry(net.network().to_bits()).or_insert(index);
                    }
                    IpNet::V6(net) => {
                        let map = of_length(&mut networks.v6, net.prefix_len());
                        map.entry(net.network().to_bits()).or_insert(index);
                    }
                }
            }
        }
        networks.v4.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        networks.v6.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        networks.list = list;
        networks
    }

    /// Counts into [`Self::list`]: the most specific network of an address; `None` for a
    /// stranger. An IPv4 address in IPv6 form (`::ffff:192.0.2.1`) is an IPv4 address.
    #[must_use]
    pub fn classify(&self, client: IpAddr) -> Option<usize> {
        match client.to_canonical() {
            IpAddr::V4(ip) => {
                let bits = ip.to_bits();
                self.v4.iter().find_map(|(length, map)| {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                    map.get(&(bits & mask))
                })
            }
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                self.v6.iter().find_map(|(length, map)| {
                    let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
                    map.get(&(bits & mask))
                })
            }
        }
        .copied()
    }

    /// The networks, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Network] {
        &self.list
    }
}

fn of_length<K>(
    by_length: &mut Vec<(u8, HashMap<K, usize>)>,
    length: u8,
) -> &mut HashMap<K, usize> {
    let at = match by_length.iter().position(|(other, _)| *other == length) {
        Some(at) => at,
        None => {
            by_length.push((length, HashMap::new()));
            by_length.len() - 1
        }
    };
    &mut by_length[at].1
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`: clients are compared by their canonical address.
#[must_use]
pub fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.network().to_ipv4_mapped();
    match (v4, v6.prefix_len().checked_sub(96)) {
        (Some(ip), Some(length)) => Ipv4Net::new(ip, length).map_or(net, IpNet::V4),
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use crate::networks::*;

    fn networks(addresses: &[&[&str]]) -> Networks {
        let list = addresses.iter().enumerate().map(|(i, nets)| Network {
            name: i.to_string(),
            addresses: nets.iter().map(|net| net.parse().unwrap()).collect(),
            limits_lifted: false,
            normalizes_line_endings: false,
            teaches: false,
        });
        Networks::new(list.collect())
    }

    #[test]
    fn the_most_specific_network_decides() {
        let networks = networks(&[
            &["10.0.0.0/8", "2001:db8::/32"],
            &["10.1.0.0/16"],
            &["10.1.2.3/32", "2001:db8::1/128"],
        ]);
        for (client, index) in [
            ("10.2.0.1", Some(0)),
            ("10.1.0.1", Some(1)),
            ("10.1.2.3", Some(2)),
            ("::ffff:10.1.2.3", Some(2)),
            ("11.0.0.1", None),
            ("2001:db8:5::1", Some(0)),
            ("2001:db8::1", Some(2)),
            ("2001:db9::1", None),
        ] {
            assert_eq!(networks.classify(client.parse().unwrap()), index, "{client}");
        }
    }

    #[test]
    fn a_prefix_of_no_bits_is_everybody() {
        let networks = networks(&[&["0.0.0.0/0"], &["::/0"]]);
        assert_eq!(networks.classify("203.0.113.9".parse().unwrap()), Some(0));
        assert_eq!(networks.classify("2001:db8::1".parse().unwrap()), Some(1));
    }

    #[test]
    fn a_mapped_network_is_an_ipv4_network() {
        let networks = networks(&[&["::ffff:10.0.0.0/104"]]);
        assert_eq!(networks.classify("10.9.9.9".parse().unwrap()), Some(0));
        assert_eq!(networks.classify("11.9.9.9".parse().unwrap()), None);
    }
}
