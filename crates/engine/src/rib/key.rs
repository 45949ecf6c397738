//! What differs between the tables of the families: the key, what a path carries beside it, and
//! which indexes there are.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_bgp::{EvpnNlri, Family, InclusiveMulticast, MacIp, Nlri, PathData, RtMembership};
use chanter_types::{Esi, EthernetTag, Ipv4Prefix, Ipv6Prefix, MacAddr, RouteDistinguisher};
use rustc_hash::FxHasher;

/// The key of a table.
pub(super) trait Key: Clone + Eq + Hash {
    /// What a path stores of [`PathData`]; nothing for families whose NLRI carries nothing more.
    type Data: Copy + Eq + Default;

    /// The family.
    const FAMILY: Family;
    /// About how long it is in an UPDATE, in octets.
    const NLRI_LEN: usize;
    /// Whether routes are exchanged by route target (RFC 4684): then these are indexed.
    const BY_ROUTE_TARGET: bool;
    /// Whether what a peer is sent may be another path than the best one (RFC 4684 section 3.2), so
    /// that a change of any path matters.
    const SELECTED_PER_PEER: bool;

    /// Any key: it stands in vacant places.
    fn vacant() -> Self;
    /// As a key of any family.
    fn to_nlri(&self) -> Nlri;
    /// What is to be stored.
    fn pack(data: PathData) -> Self::Data;
    /// What was stored.
    fn unpack(data: Self::Data) -> PathData;
    /// The MAC address by which the destination can be found.
    fn mac(&self) -> Option<MacAddr> {
        None
    }
    /// What it asks for, in the table of RT memberships.
    fn membership(&self) -> Option<RtMembership> {
        None
    }
    /// Whether it is about this address, or a prefix that holds it.
    fn concerns(&self, ip: IpAddr) -> bool;

    /// The hash by which the table finds it. The hasher has no seed: the order of the table never
    /// shows.
    fn digest(&self) -> u32 {
        let mut hasher = FxHasher::default();
        self.hash(&mut hasher);
        let hash = hasher.finish();
        (hash ^ hash >> 32) as u32
    }
}

impl Key for Ipv4Prefix {
    type Data = ();
    const FAMILY: Family = Family::IPV4_UNICAST;
    const NLRI_LEN: usize = 5;
    const BY_ROUTE_TARGET: bool = false;
    const SELECTED_PER_PEER: bool = false;

    fn vacant() -> Self {
        Ipv4Prefix::host(Ipv4Addr::UNSPECIFIED)
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::Ipv4(*self)
    }
    fn pack(_: PathData) {}
    fn unpack((): ()) -> PathData {
        PathData::default()
    }
    fn concerns(&self, ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V4(ip) if self.contains(ip))
    }
}

impl Key for Ipv6Prefix {
    type Data = ();
    const FAMILY: Family = Family::IPV6_UNICAST;
    const NLRI_LEN: usize = 17;
    const BY_ROUTE_TARGET: bool = false;
    const SELECTED_PER_PEER: bool = false;

    fn vacant() -> Self {
        Ipv6Prefix::host(Ipv6Addr::UNSPECIFIED)
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::Ipv6(*self)
    }
    fn pack(_: PathData) {}
    fn unpack((): ()) -> PathData {
        PathData::default()
    }
    fn concerns(&self, ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V6(ip) if self.contains(ip))
    }
}

/// [`PathData`] of an EVPN route in 17 octets in place of 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct EvpnData {
    label: [u8; 3],
    label2: [u8; 3],
    has_label2: bool,
    esi: Esi,
}

fn pack_label(label: u32) -> [u8; 3] {
    let [_, label @ ..] = label.to_be_bytes();
    label
}

fn unpack_label([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

impl Key for EvpnNlri {
    type Data = EvpnData;
    const FAMILY: Family = Family::L2VPN_EVPN;
    const NLRI_LEN: usize = 39;
    const BY_ROUTE_TARGET: bool = true;
    const SELECTED_PER_PEER: bool = false;

    fn vacant() -> Self {
        EvpnNlri::InclusiveMulticast(InclusiveMulticast {
            rd: RouteDistinguisher([0; 8]),
            tag: EthernetTag(0),
            originator: Ipv4Addr::UNSPECIFIED.into(),
        })
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::Evpn(self.clone())
    }
    fn pack(data: PathData) -> EvpnData {
        EvpnData {
            label: pack_label(data.label),
            label2: pack_label(data.label2.unwrap_or(0)),
            has_label2: data.label2.is_some(),
            esi: data.esi,
        }
    }
    fn unpack(data: EvpnData) -> PathData {
        PathData {
            label: unpack_label(data.label),
            label2: data.has_label2.then(|| unpack_label(data.label2)),
            esi: data.esi,
        }
    }
    fn mac(&self) -> Option<MacAddr> {
        match self {
            EvpnNlri::MacIp(MacIp { mac, .. }) => Some(*mac),
            _ => None,
        }
    }
    fn concerns(&self, ip: IpAddr) -> bool {
        match self {
            EvpnNlri::MacIp(route) => route.ip == Some(ip),
            EvpnNlri::InclusiveMulticast(route) => route.originator == ip,
            EvpnNlri::Other { .. } => false,
        }
    }
}

impl Key for RtMembership {
    type Data = ();
    const FAMILY: Family = Family::IPV4_RTC;
    const NLRI_LEN: usize = 13;
    const BY_ROUTE_TARGET: bool = false;
    const SELECTED_PER_PEER: bool = true;

    fn vacant() -> Self {
        RtMembership::DEFAULT
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::Rtc(*self)
    }
    fn pack(_: PathData) {}
    fn unpack((): ()) -> PathData {
        PathData::default()
    }
    fn membership(&self) -> Option<RtMembership> {
        Some(*self)
    }
    fn concerns(&self, _: IpAddr) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Keys as an operator numbers them must not fall onto each other: 100,000 random digests of 32
    /// bits have one collision or two.
    #[test]
    fn digests_of_neighbouring_keys_differ() {
        let numbers = 0..100_000_u32;
        let addr = |number| Ipv4Addr::from_bits(0x0a00_0000 + number);
        let evpn = numbers.clone().map(|number| {
            let [a, b, c, d] = number.to_be_bytes();
            let key = MacIp {
                rd: RouteDistinguisher::from_ipv4(Ipv4Addr::LOCALHOST, (number % 10) as u16),
                tag: EthernetTag(0),
                mac: MacAddr([2, 0, a, b, c, d]),
                ip: Some(addr(number).into()),
            };
            EvpnNlri::MacIp(key).digest()
        });
        let ipv4 = numbers.map(|number| Ipv4Prefix::host(addr(number)).digest());
        for digests in [evpn.collect::<Vec<u32>>(), ipv4.collect()] {
            let distinct: BTreeSet<u32> = digests.iter().copied().collect();
            assert!(distinct.len() > 99_980, "{} digests", distinct.len());
            let low: BTreeSet<u16> = digests.iter().map(|digest| *digest as u16).collect();
            // Random ones leave 22 % of 65536 places empty.
            assert!(low.len() > 48_000, "{} places", low.len());
        }
    }
}
