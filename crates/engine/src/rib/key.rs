//! What differs between the tables of the families: the key, what a path carries beside it, and
//! which indexes there are.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_bgp::{
    EvpnNlri, Family, FlowSpecNlri, InclusiveMulticast, MacIp, Nlri, Overlay, PathData,
    RtMembership, Vpnv4Prefix, Vpnv6Prefix,
};
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

/// The label of a VPN route.
pub(super) type LabelData = [u8; 3];

fn unpack_label_data(label: LabelData) -> PathData {
    PathData::with_label(unpack_label(label))
}

impl Key for Vpnv4Prefix {
    type Data = LabelData;
    const FAMILY: Family = Family::IPV4_VPN;
    const NLRI_LEN: usize = 15;
    const BY_ROUTE_TARGET: bool = true;
    const SELECTED_PER_PEER: bool = false;

    fn vacant() -> Self {
        Vpnv4Prefix {
            rd: RouteDistinguisher([0; 8]),
            prefix: Ipv4Prefix::host(Ipv4Addr::UNSPECIFIED),
        }
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::Vpn4(*self)
    }
    fn pack(data: PathData) -> LabelData {
        pack_label(data.label)
    }
    fn unpack(label: LabelData) -> PathData {
        unpack_label_data(label)
    }
    fn concerns(&self, ip: IpAddr) -> bool {
        self.prefix.concerns(ip)
    }
}

impl Key for Vpnv6Prefix {
    type Data = LabelData;
    const FAMILY: Family = Family::IPV6_VPN;
    const NLRI_LEN: usize = 27;
    const BY_ROUTE_TARGET: bool = true;
    const SELECTED_PER_PEER: bool = false;

    fn vacant() -> Self {
        Vpnv6Prefix {
            rd: RouteDistinguisher([0; 8]),
            prefix: Ipv6Prefix::host(Ipv6Addr::UNSPECIFIED),
        }
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::Vpn6(*self)
    }
    fn pack(data: PathData) -> LabelData {
        pack_label(data.label)
    }
    fn unpack(label: LabelData) -> PathData {
        unpack_label_data(label)
    }
    fn concerns(&self, ip: IpAddr) -> bool {
        self.prefix.concerns(ip)
    }
}

/// [`PathData`] of an EVPN route in 19 octets. Only an IP prefix route has a gateway, and then
/// neither a segment nor a second label (RFC 9136 section 3.1), so they share room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EvpnData {
    label: LabelData,
    /// An IPv6 gateway; or [`EvpnData::NO_GATEWAY6`], with which no unicast address begins, what
    /// follows, and that.
    room: [u8; 16],
}

impl EvpnData {
    const NO_GATEWAY6: u8 = 0xff;
    const SEGMENT: u8 = 0;
    const SEGMENT_AND_LABEL: u8 = 1;
    const GATEWAY4: u8 = 2;
}

impl Default for EvpnData {
    fn default() -> Self {
        EvpnNlri::pack(PathData::default())
    }
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
        let mut room = [0; 16];
        match data.overlay {
            Overlay::Gateway(IpAddr::V6(gateway)) if !gateway.is_multicast() => {
                room = gateway.octets();
            }
            Overlay::Gateway(IpAddr::V6(_)) => return Self::pack(PathData::with_label(data.label)),
            Overlay::Gateway(IpAddr::V4(gateway)) => {
                room[..2].copy_from_slice(&[EvpnData::NO_GATEWAY6, EvpnData::GATEWAY4]);
                room[2..6].copy_from_slice(&gateway.octets());
            }
            Overlay::Segment { esi, label2 } => {
                let kind = match label2 {
                    Some(_) => EvpnData::SEGMENT_AND_LABEL,
                    None => EvpnData::SEGMENT,
                };
                room[..2].copy_from_slice(&[EvpnData::NO_GATEWAY6, kind]);
                room[2..12].copy_from_slice(&esi.0);
                room[12..15].copy_from_slice(&label2.unwrap_or_default());
            }
        }
        EvpnData {
            label: pack_label(data.label),
            room,
        }
    }
    fn unpack(data: EvpnData) -> PathData {
        let overlay = match data.room {
            [EvpnData::NO_GATEWAY6, EvpnData::GATEWAY4, a, b, c, d, ..] => {
                Overlay::Gateway(Ipv4Addr::new(a, b, c, d).into())
            }
            [EvpnData::NO_GATEWAY6, kind, rest @ ..] => {
                let [esi @ .., a, b, c, _] = rest;
                Overlay::Segment {
                    esi: Esi(esi),
                    label2: (kind == EvpnData::SEGMENT_AND_LABEL).then_some([a, b, c]),
                }
            }
            gateway => Overlay::Gateway(Ipv6Addr::from(gateway).into()),
        };
        PathData {
            overlay,
            ..PathData::with_label(unpack_label(data.label))
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
            EvpnNlri::EthernetSegment(route) => route.originator == ip,
            EvpnNlri::IpPrefix(route) => route.prefix.contains(ip),
            EvpnNlri::EthernetAd(_) | EvpnNlri::Other { .. } => false,
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

/// A FlowSpec NLRI of the family `AFI`/`SAFI`: one key for the tables of four families.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FlowSpecKey<const AFI: u16, const SAFI: u8>(pub(super) FlowSpecNlri);

/// IPv4 FlowSpec.
pub(super) type FlowSpec4 = FlowSpecKey<1, 133>;
/// IPv6 FlowSpec.
pub(super) type FlowSpec6 = FlowSpecKey<2, 133>;
/// IPv4 FlowSpec within VPNs.
pub(super) type FlowSpecVpn4 = FlowSpecKey<1, 134>;
/// IPv6 FlowSpec within VPNs.
pub(super) type FlowSpecVpn6 = FlowSpecKey<2, 134>;

impl<const AFI: u16, const SAFI: u8> Key for FlowSpecKey<AFI, SAFI> {
    type Data = ();
    const FAMILY: Family = Family {
        afi: AFI,
        safi: SAFI,
    };
    const NLRI_LEN: usize = 32;
    const BY_ROUTE_TARGET: bool = SAFI == Family::IPV4_FLOWSPEC_VPN.safi;
    const SELECTED_PER_PEER: bool = false;

    fn vacant() -> Self {
        Self(FlowSpecNlri::empty(Self::FAMILY))
    }
    fn to_nlri(&self) -> Nlri {
        Nlri::FlowSpec(self.0.clone())
    }
    fn pack(_: PathData) {}
    fn unpack((): ()) -> PathData {
        PathData::default()
    }
    fn concerns(&self, ip: IpAddr) -> bool {
        self.0
            .destination()
            .is_some_and(|prefix| prefix.contains(ip))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_an_evpn_route_carries_comes_back() {
        let esi = Esi([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let with = |label2, esi, gateway| {
            let data = PathData::with_label(0x00ab_cdef);
            data.segment(esi, label2).via(gateway)
        };
        for data in [
            PathData::default(),
            with(None, esi, None),
            with(Some(0x0012_3456), esi, None),
            with(Some(0), Esi::ZERO, None),
            with(None, Esi::ZERO, Some(IpAddr::from([192, 0, 2, 1]))),
            with(None, Esi::ZERO, Some("2001:db8::1".parse().unwrap())),
            with(None, Esi::ZERO, Some("fe80::1".parse().unwrap())),
        ] {
            assert_eq!(EvpnNlri::unpack(EvpnNlri::pack(data)), data);
        }
        assert_eq!(
            EvpnNlri::unpack(EvpnData::default()),
            PathData::default(),
            "vacant"
        );
    }

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
