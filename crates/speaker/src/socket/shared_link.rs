//! Our link-local address where the peer is on the same link.

use std::net::{IpAddr, Ipv6Addr};

use chanter_types::Prefix;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};

use super::is_link_local;

/// Our IPv6 link-local address on the link that `local` and `remote` share; `None`: they share none.
/// Where both next hops are on one link, a route has both addresses of it (RFC 2545 section 3).
pub(crate) fn local_link_local(local: IpAddr, remote: IpAddr) -> Option<Ipv6Addr> {
    let (IpAddr::V6(own), IpAddr::V6(_)) = (local, remote) else {
        return None;
    };
    if is_link_local(local) {
        return Some(own);
    }
    let all: Vec<InterfaceAddress> = getifaddrs().ok()?.collect();
    let shared = all.iter().find(|entry| {
        addr_of(entry) == Some(own)
            && prefix_of(entry).is_some_and(|prefix| prefix.contains(remote))
    })?;
    let of_link = all
        .iter()
        .filter(|entry| entry.interface_name == shared.interface_name);
    of_link
        .filter_map(addr_of)
        .find(|addr| addr.is_unicast_link_local())
}

fn addr_of(entry: &InterfaceAddress) -> Option<Ipv6Addr> {
    Some(entry.address?.as_sockaddr_in6()?.ip())
}

fn prefix_of(entry: &InterfaceAddress) -> Option<Prefix> {
    let mask = entry.netmask?.as_sockaddr_in6()?.ip();
    let len = u8::try_from(mask.to_bits().leading_ones()).ok()?;
    // An address of its own is on no link.
    Prefix::new(addr_of(entry)?.into(), len).filter(|_| len < 128)
}
