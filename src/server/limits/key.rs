//! Whom a limit is about.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of an IPv6 address that its owner chooses, RFC 4291 section 2.5.4.
const INTERFACE: u32 = 64;

/// Whom a limit counts against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Somebody with credentials, as text: `user:ada`. It is kept as long as they owe something, so it has to be
    /// short; a checked name is.
    Principal(Box<str>),
    /// Everybody behind an address.
    Address(AddressPrefix),
}

impl Key {
    /// Somebody with credentials.
    pub fn principal(name: &str) -> Self {
        Self::Principal(name.into())
    }

    /// Everybody behind an address.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(address.into())
    }
}

/// As much of an address as one customer is given: all of an IPv4 address, and the /64 of an IPv6 address, whose other
/// half anybody chooses anew for every connection.
///
/// An IPv4 address that a socket of both families shows as `::ffff:192.0.2.1` is that IPv4 address; otherwise all of
/// IPv4 were one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressPrefix {
    /// A /32.
    V4(Ipv4Addr),
    /// The upper half of an address.
    V6(u64),
}

impl From<IpAddr> for AddressPrefix {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                Self::V6(u64::try_from(address.to_bits() >> INTERFACE).expect("it is half of an address"))
            }
        }
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}/32"),
            Self::V6(prefix) => {
                write!(f, "{}/{INTERFACE}", Ipv6Addr::from_bits(u128::from(*prefix) << INTERFACE))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str) -> String {
        AddressPrefix::from(address.parse::<IpAddr>().unwrap()).to_string()
    }

    #[test]
    fn an_ipv6_customer_is_its_64_and_an_ipv4_customer_its_address_on_every_socket() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.2", "192.0.2.2/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(prefix(address), expected, "{address}");
        }
    }

    #[test]
    fn a_principal_that_is_named_like_an_address_is_not_that_address() {
        assert_ne!(Key::principal("192.0.2.1"), Key::address("192.0.2.1".parse().unwrap()));
    }
}
