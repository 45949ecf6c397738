//! What a received EVPN route says to a MAC-VRF, or why it says nothing.

use std::fmt;
use std::net::IpAddr;

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, InclusiveMulticast, MacIp, PathData, PmsiTunnel,
    encapsulation,
};
use chanter_types::{MacAddr, Vni};

use crate::rib::mac_mobility;

/// What a route says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Imported {
    /// Type 2: a MAC address, perhaps with an IP address, is behind a VTEP.
    Mac(MacIp, RemoteMac),
    /// Type 3: a VTEP wants flooded traffic.
    Flood(InclusiveMulticast, RemoteFlood),
}

/// A MAC address behind a VTEP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoteMac {
    pub(crate) vtep: IpAddr,
    pub(crate) vni: Vni,
    pub(crate) sticky: bool,
    pub(crate) sequence: u32,
    pub(crate) local_pref: u32,
    /// Whether VXLAN was assumed, as no encapsulation was told.
    pub(crate) assumed: bool,
}

/// A VTEP that wants flooded traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemoteFlood {
    pub(crate) vtep: IpAddr,
    pub(crate) vni: Vni,
    pub(crate) assumed: bool,
}

/// Why a route with the right route target is not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    OwnVtep,
    RouteType(u8),
    Encapsulation(Vec<u16>),
    NextHop(Option<IpAddr>),
    VtepFamily { vtep: IpAddr, own: IpAddr },
    Label(u32),
    Mac(MacAddr),
    Tunnel(Option<u8>),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::OwnVtep => f.write_str("it leads to the VTEP of this node"),
            Unusable::RouteType(kind) => write!(f, "EVPN route type {kind} is not used here"),
            Unusable::Encapsulation(types) => {
                f.write_str("it cannot be reached by VXLAN, only by")?;
                let names = types
                    .iter()
                    .map(|kind| ExtendedCommunity::encapsulation(*kind));
                for (place, name) in names.enumerate() {
                    let separator = if place == 0 { "" } else { "," };
                    let name = name.to_string();
                    let name = name.strip_prefix("encap:").unwrap_or(&name);
                    write!(f, "{separator} {}", name.to_uppercase())?;
                }
                Ok(())
            }
            Unusable::NextHop(None) => f.write_str("it has no next hop"),
            Unusable::NextHop(Some(hop)) => write!(f, "{hop} cannot be the address of a VTEP"),
            Unusable::VtepFamily { vtep, own } => {
                write!(
                    f,
                    "VTEP {vtep} is not of the address family of the own VTEP {own}"
                )
            }
            Unusable::Label(label) => write!(f, "label {label} is not a VNI"),
            Unusable::Mac(mac) => write!(f, "{mac} is not the MAC address of a single station"),
            Unusable::Tunnel(None) => f.write_str("it has no PMSI tunnel attribute"),
            Unusable::Tunnel(Some(kind)) => {
                write!(f, "its tunnel type {kind} is not ingress replication (6)")
            }
        }
    }
}

/// Reads a route for a node whose own VTEP is `own`.
pub(crate) fn read(
    nlri: &EvpnNlri,
    data: PathData,
    attributes: &Attributes,
    own: IpAddr,
) -> Result<Imported, Unusable> {
    let assumed = check_encapsulation(attributes)?;
    match nlri {
        EvpnNlri::MacIp(route) => {
            if route.mac == MacAddr::ZERO || route.mac.is_multicast() {
                return Err(Unusable::Mac(route.mac));
            }
            let vtep = check_vtep(attributes.next_hop(), own)?;
            let vni = Vni::new(data.label).ok_or(Unusable::Label(data.label))?;
            let (sticky, sequence) = mac_mobility(attributes);
            let local_pref = attributes.local_pref().unwrap_or(100);
            let remote = RemoteMac {
                vtep,
                vni,
                sticky,
                sequence,
                local_pref,
                assumed,
            };
            Ok(Imported::Mac(*route, remote))
        }
        EvpnNlri::InclusiveMulticast(route) => {
            let tunnel = attributes.pmsi_tunnel().ok_or(Unusable::Tunnel(None))?;
            if tunnel.tunnel_type != PmsiTunnel::INGRESS_REPLICATION {
                return Err(Unusable::Tunnel(Some(tunnel.tunnel_type)));
            }
            // The tunnel identifier is the endpoint for ingress replication (RFC 7432 section 11.2).
            let vtep = check_vtep(tunnel.endpoint().or(attributes.next_hop()), own)?;
            let vni = Vni::new(tunnel.label).ok_or(Unusable::Label(tunnel.label))?;
            Ok(Imported::Flood(*route, RemoteFlood { vtep, vni, assumed }))
        }
        EvpnNlri::EthernetAd(_)
        | EvpnNlri::EthernetSegment(_)
        | EvpnNlri::IpPrefix(_)
        | EvpnNlri::Other { .. } => Err(Unusable::RouteType(nlri.route_type())),
    }
}

/// Whether VXLAN has to be assumed. No encapsulation community means the encapsulation that the
/// receiver is configured for (RFC 8365 section 5.1.3): ours is VXLAN.
fn check_encapsulation(attributes: &Attributes) -> Result<bool, Unusable> {
    let types: Vec<u16> = attributes
        .extended_communities()
        .filter_map(|c| c.as_encapsulation())
        .collect();
    if types.is_empty() || types.contains(&encapsulation::VXLAN) {
        Ok(types.is_empty())
    } else {
        Err(Unusable::Encapsulation(types))
    }
}

fn check_vtep(vtep: Option<IpAddr>, own: IpAddr) -> Result<IpAddr, Unusable> {
    let addr = vtep.filter(|addr| !addr.is_unspecified() && !addr.is_multicast());
    let addr = addr.ok_or(Unusable::NextHop(vtep))?;
    if addr == own {
        Err(Unusable::OwnVtep)
    } else if addr.is_ipv4() != own.is_ipv4() {
        Err(Unusable::VtepFamily { vtep: addr, own })
    } else {
        Ok(addr)
    }
}
