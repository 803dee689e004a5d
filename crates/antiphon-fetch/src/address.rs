//! Which addresses are the public internet's, and which networks an operator opens.
//!
//! The tables follow IANA's registries of special-purpose addresses. Where those call a block
//! reachable though nobody serves pages there (relays, AS112), it is refused all the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses, written as `10.0.0.0/8`, `fd00::/8` or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// What is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; expected an address and the length of its prefix, such as `10.0.0.0/8`")]
pub struct NetworkError(String);

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(first: u16, second: u16, third: u16, prefix: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)), prefix }
    }

    /// Whether the address is in it. An IPv4 address in an IPv6 form is in no IPv4 network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (u32::from(first) ^ u32::from(address)) & mask == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (u128::from(first) ^ u128::from(address)) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (first, prefix) = text.split_once('/').map_or((text, None), |(first, prefix)| (first, Some(prefix)));
        let first: IpAddr = first.parse().map_err(|_| wrong())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().map_err(|_| wrong())?,
        };
        if prefix > most {
            return Err(wrong());
        }
        Ok(Self { first, prefix })
    }
}

const NOT_PUBLIC_V4: [Network; 20] = [
    Network::v4(0, 0, 0, 0, 8),        // this network; Linux takes 0.0.0.0 for itself
    Network::v4(10, 0, 0, 0, 8),       // private
    Network::v4(100, 64, 0, 0, 10),    // carriers' NAT, and a cloud's metadata
    Network::v4(127, 0, 0, 0, 8),      // loopback
    Network::v4(168, 63, 129, 16, 32), // a cloud's agent of the host, in public clothes
    Network::v4(169, 254, 0, 0, 16),   // link-local: the clouds' metadata
    Network::v4(172, 16, 0, 0, 12),    // private
    Network::v4(192, 0, 0, 0, 24),     // protocol assignments
    Network::v4(192, 0, 2, 0, 24),     // documentation
    Network::v4(192, 31, 196, 0, 24),  // AS112
    Network::v4(192, 52, 193, 0, 24),  // multicast tunnels
    Network::v4(192, 88, 99, 0, 24),   // 6to4 relays
    Network::v4(192, 168, 0, 0, 16),   // private
    Network::v4(192, 175, 48, 0, 24),  // AS112
    Network::v4(198, 18, 0, 0, 15),    // benchmarks
    Network::v4(198, 51, 100, 0, 24),  // documentation
    Network::v4(203, 0, 113, 0, 24),   // documentation
    Network::v4(224, 0, 0, 0, 4),      // multicast
    Network::v4(233, 252, 0, 0, 24),   // documentation
    Network::v4(240, 0, 0, 0, 4),      // reserved, and broadcast
];

/// All that was ever given out to be reached by others. Outside of it are loopback, the
/// unspecified address, IPv4 in its mapped, compatible and translated forms (64:ff9b::/96,
/// 64:ff9b:1::/48), discard-only, unique local, link-local, site-local and multicast.
const GLOBAL_UNICAST_V6: Network = Network::v6(0x2000, 0, 0, 3);

const NOT_PUBLIC_V6: [Network; 7] = [
    Network::v6(0x2001, 0, 0, 23),         // protocol assignments: Teredo, benchmarks, ORCHID
    Network::v6(0x2001, 0xdb8, 0, 32),     // documentation
    Network::v6(0x2001, 0x4, 0x112, 48),   // AS112
    Network::v6(0x2002, 0, 0, 16),         // 6to4: holds any IPv4 address
    Network::v6(0x2620, 0x4f, 0x8000, 48), // AS112
    Network::v6(0x3ffe, 0, 0, 16),         // a test bed, given back
    Network::v6(0x3fff, 0, 0, 20),         // documentation
];

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(_) => {
            GLOBAL_UNICAST_V6.contains(address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(address))
        }
    }
}
