//! For whom failures are counted.

use std::net::{IpAddr, Ipv6Addr};

use super::{FREE, FREE_OF_ADDRESS};

/// An address, or a name at it. Of one size whatever was typed, and nothing of it can be read back: people type
/// passwords where the name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    place: IpAddr,
    name: Option<[u8; 32]>,
}

impl Key {
    pub(super) fn of_address(address: IpAddr) -> Self {
        Self { place: place(address), name: None }
    }

    pub(super) fn of_name(name: &str, address: IpAddr) -> Self {
        let hash = blake3::hash(name.as_bytes());
        Self { name: Some(hash.into()), ..Self::of_address(address) }
    }

    /// Failures before it has to wait.
    pub(super) fn free(self) -> u32 {
        if self.name.is_some() { FREE } else { FREE_OF_ADDRESS }
    }
}

/// What one client has of addresses: an IPv4 address, however it is written, or the /64 that a host of IPv6 chooses its
/// addresses from (RFC 7421).
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}
