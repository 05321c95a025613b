//! Which addresses a webhook may be sent to.
//!
//! A registry is often inside a network that those who set up webhooks are not in, so a delivery must not reach what
//! only the registry can: other machines of that network, the registry itself, the cloud's metadata. Only addresses of
//! the public internet are called, and what the operator allows besides. Names are looked at by what they resolve to,
//! each time, and exactly the address that was looked at is called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::endpoint::{Endpoint, Host, is_label};

/// What is allowed besides the public internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    allowed: Vec<Allowed>,
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All addresses whose first so many bits are these.
    Network(IpAddr, u8),
    /// Whatever this name resolves to.
    Name(Box<str>),
}

/// Why a text is no exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no address, network like 10.0.0.0/8 or host name")]
pub struct AllowedError;

/// An address that is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {what}, and webhooks.allow does not name it")]
pub struct Forbidden {
    /// Who was to be called.
    pub host: String,
    /// What kind of address it is.
    pub what: &'static str,
}

impl Guard {
    /// With these exceptions.
    pub fn new(allowed: Vec<Allowed>) -> Self {
        Self { allowed }
    }

    /// What can be said of a URL without resolving a name.
    pub fn check(&self, endpoint: &Endpoint) -> Result<(), Forbidden> {
        match endpoint.host() {
            Host::Address(address) => self.check_address(endpoint.host(), *address),
            Host::Name(name) => {
                let is_here = &**name == "localhost" || name.ends_with(".localhost");
                let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
                if is_here { self.check_address(endpoint.host(), loopback) } else { Ok(()) }
            }
        }
    }

    /// Whether an address of a host may be called.
    pub fn check_address(&self, host: &Host, address: IpAddr) -> Result<(), Forbidden> {
        let Some(what) = special(address) else { return Ok(()) };
        let is_allowed = self.allowed.iter().any(|allowed| match (allowed, host) {
            (Allowed::Name(name), Host::Name(host)) => name == host,
            (Allowed::Name(_), Host::Address(_)) => false,
            (Allowed::Network(network, bits), _) => {
                spellings(address).any(|it| contains(*network, *bits, it))
            }
        });
        if is_allowed { Ok(()) } else { Err(Forbidden { host: host.to_string(), what }) }
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        if let Ok(address) = address.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = match bits {
                None => most,
                Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or(AllowedError)?,
            };
            return Ok(Self::Network(address, bits));
        }
        let name = text.to_ascii_lowercase();
        let is_name = name.split('.').all(is_label) && name.bytes().any(|byte| byte.is_ascii_alphabetic());
        if is_name { Ok(Self::Name(name.into())) } else { Err(AllowedError) }
    }
}

/// An address, and the one that is called when it is a spelling of another.
fn spellings(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let other = match address {
        IpAddr::V6(address) => embedded(address).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    std::iter::once(address).chain(other)
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let shift = 32 - u32::from(bits);
            u32::from(network).checked_shr(shift) == u32::from(address).checked_shr(shift)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let shift = 128 - u32::from(bits);
            u128::from(network).checked_shr(shift) == u128::from(address).checked_shr(shift)
        }
        _ => false,
    }
}

/// The IPv4 address that is called by an IPv6 one: mapped (`::ffff:0:0/96`) or translated (`64:ff9b::/96`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let is_mapped = [a, b, c, d, e, f] == [0, 0, 0, 0, 0, 0xffff];
    let is_translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    (is_mapped || is_translated).then(|| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

/// What kind of address it is, if it is not of the public internet (the IANA special-purpose registries).
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => special_v4(address),
            None => special_v6(address),
        },
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "an address of no network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address of a carrier's network",
        [127, ..] => "an address of the registry's own machine",
        [169, 254, ..] => "a link-local address",
        [192, 0, 0, _] | [192, 88, 99, _] => "an address of a protocol",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [198, 18..=19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an address of no network",
        [0, 0, 0, 0, 0, 0, 0, 1] => "an address of the registry's own machine",
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "an address for documentation",
        // Teredo and 6to4 lead through a tunnel to an IPv4 address of the sender's choice.
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => "an address of a protocol",
        // All that was ever given out.
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: [&str; 49] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ];

    const PUBLIC: [&str; 12] = [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2606:4700::1111",
    ];

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(allowed.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn only_the_public_internet_is_called() {
        let host = Host::Name("h".into());
        for text in PRIVATE {
            let refused = guard(&[]).check_address(&host, address(text)).unwrap_err();
            assert!(refused.to_string().contains("webhooks.allow"), "{text}: {refused}");
        }
        for text in PUBLIC {
            assert_eq!(guard(&[]).check_address(&host, address(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_a_url_says_itself_is_refused_before_anything_is_sent() {
        for text in ["http://127.0.0.1/", "http://[::1]:5000/", "http://localhost/", "http://a.localhost/"] {
            assert!(guard(&[]).check(&text.parse().unwrap()).is_err(), "{text}");
            let allowing = guard(&["127.0.0.0/8", "::1"]);
            assert_eq!(allowing.check(&text.parse().unwrap()), Ok(()), "{text}");
        }
        assert_eq!(guard(&[]).check(&"https://hooks.example.com/".parse().unwrap()), Ok(()));
    }

    #[test]
    fn an_exception_is_a_network_or_a_name_and_nothing_beyond() {
        let named: Host = Host::Name("hooks.internal".into());
        let allowing = guard(&["10.1.0.0/16", "Hooks.Internal", "fd00::/8"]);
        let literal = |text: &str| (Host::Address(address(text)), address(text));
        for (host, of) in [
            literal("10.1.2.3"),
            literal("::ffff:10.1.2.3"),
            literal("64:ff9b::a01:203"),
            literal("fd12::1"),
            (named.clone(), address("192.168.7.7")),
        ] {
            assert_eq!(allowing.check_address(&host, of), Ok(()), "{host} {of}");
        }
        for (host, of) in [
            literal("10.2.0.1"),
            literal("192.168.7.7"),
            literal("fc00::1"),
            (Host::Name("other.internal".into()), address("192.168.7.7")),
        ] {
            assert!(allowing.check_address(&host, of).is_err(), "{host} {of}");
        }
        let everything = guard(&["0.0.0.0/0", "::/0"]);
        for text in PRIVATE {
            assert_eq!(everything.check_address(&named, address(text)), Ok(()), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "::/129", "300.1.1.1", "a b", "10.0.0.0/x", "-x", "*"] {
            assert_eq!(text.parse::<Allowed>(), Err(AllowedError), "{text}");
        }
    }
}
