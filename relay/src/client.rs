//! Who connected: what the edge knows before the first octet.

use mail::smtp::line::LineEndings;
use mail::smtp::reply::SessionId;
use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The client of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; behind a load balancer, what the PROXY header says.
    pub address: SocketAddr,
    /// The name of this session in log and replies.
    pub session: SessionId,
    /// It belongs to a network that is free of rate, harvest and error limits.
    pub limits_lifted: bool,
    /// How its bare line endings are met.
    pub endings: LineEndings,
    /// TLS is on.
    pub tls: bool,
}

/// An address prefix: one client, or one network, in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix(u128, u8);

impl Prefix {
    /// One client: an IPv4 address, or an IPv6 /64, since a host owns all of its /64.
    #[must_use]
    pub fn client(address: IpAddr) -> Self {
        Self::new(address, 32, 64)
    }

    /// The network around it: /24, or /48.
    #[must_use]
    pub fn network(address: IpAddr) -> Self {
        Self::new(address, 24, 48)
    }

    /// The network around a client; nothing for what is a network.
    #[must_use]
    pub fn around(self) -> Option<Self> {
        match self.1 {
            32 => Some(Self(self.0 >> 8, 24)),
            192 => Some(Self(self.0 >> 16, 176)),
            _ => None,
        }
    }

    /// A number by which prefixes can be spread over shards; `key` is random, from the edge.
    /// Keyed, or else whoever has addresses enough chooses those of one shard and fills it until
    /// what is known of another in it is forgotten.
    #[must_use]
    pub fn spread(self, key: (u64, u64)) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(key.0, key.1);
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn new(address: IpAddr, v4_bits: u8, v6_bits: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => {
                let bits = u32::from(ip) >> (32 - v4_bits);
                Self(u128::from(bits), v4_bits)
            }
            // 128 is added to the length so that an IPv6 prefix never equals an IPv4 one.
            IpAddr::V6(ip) => Self(u128::from(ip) >> (128 - v6_bits), 128 + v6_bits),
        }
    }
}

/// `192.0.2.7`, `192.0.2.0/24`, `2001:db8:1:2::/64`, `2001:db8:1::/48`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(bits, 32) => write!(f, "{}", Ipv4Addr::from(bits as u32)),
            Self(bits, length @ ..=31) => {
                write!(f, "{}/{length}", Ipv4Addr::from((bits as u32) << (32 - length)))
            }
            Self(bits, length) => {
                let length = length - 128;
                write!(f, "{}/{length}", Ipv6Addr::from(bits << (128 - length)))
            }
        }
    }
}

/// What [`fmt::Display`] writes, and an IPv6 address for its /64.
impl FromStr for Prefix {
    type Err = NoPrefix;

    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoPrefix)?;
        match (address.to_canonical(), length) {
            (_, None) | (IpAddr::V4(_), Some("32")) | (IpAddr::V6(_), Some("64")) => {
                Ok(Self::client(address))
            }
            (IpAddr::V4(_), Some("24")) | (IpAddr::V6(_), Some("48")) => Ok(Self::network(address)),
            _ => Err(NoPrefix),
        }
    }
}

/// Not what clients and networks are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPrefix;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_64_and_a_network_a_24_or_a_48() {
        let client = |ip: &str| Prefix::client(ip.parse().unwrap());
        let network = |ip: &str| Prefix::network(ip.parse().unwrap());
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_eq!(network("192.0.2.1"), network("192.0.2.200"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}
