//! From netlink messages to [`Notice`]s.
//!
//! Only the attributes that matter are looked at: one that is malformed or new must not hide a
//! device or an entry.

use std::net::IpAddr;

use chanter_types::MacAddr;
use netlink_packet_core::{NlaBuffer, NlasIterator, Parseable};
use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoBridgePort, InfoVxlan};

use super::numbers::*;
use crate::linux::observe::{
    BridgeEntry, BridgeSettings, DevName, Link, LinkKind, NeighborEntry, Notice, PortSettings,
    Remote, VxlanSettings,
};

type Nla<'a> = NlaBuffer<&'a [u8]>;

/// One message in a buffer.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages in a buffer, as far as they are whole.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Frames<'a> {
        Frames { rest: octets }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (header, _) = self.rest.split_first_chunk::<16>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let len = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let payload = self.rest.get(16..len)?;
        self.rest = self.rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Frame {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    }
}

/// What a message of the kernel says, if it concerns us.
pub(super) fn decode_notice(kind: u16, payload: &[u8]) -> Option<Notice> {
    match kind {
        RTM_NEWLINK => decode_link(payload),
        RTM_DELLINK => {
            let (family, index, _) = link_header(payload)?;
            // Of the bridge family it only says that a device has left its bridge.
            (family != AF_BRIDGE).then_some(Notice::LinkGone { index })
        }
        RTM_NEWNEIGH => decode_neighbor(payload, true),
        RTM_DELNEIGH => decode_neighbor(payload, false),
        _ => None,
    }
}

/// Family, index, flags of a `struct ifinfomsg`.
fn link_header(payload: &[u8]) -> Option<(u8, u32, u32)> {
    let (header, _) = payload.split_first_chunk::<16>()?;
    let [family, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    Some((
        family,
        u32::from_ne_bytes([i0, i1, i2, i3]),
        u32::from_ne_bytes([f0, f1, f2, f3]),
    ))
}

fn attributes(octets: &[u8]) -> impl Iterator<Item = Nla<'_>> {
    NlasIterator::new(octets).flatten()
}

fn decode_link(payload: &[u8]) -> Option<Notice> {
    let (family, index, flags) = link_header(payload)?;
    let octets = payload.get(16..)?;
    if family == AF_BRIDGE {
        let settings = attributes(octets).find(|nla| nla.kind() == IFLA_PROTINFO)?;
        let settings = port_settings(settings.value())?;
        return Some(Notice::PortSettings { index, settings });
    }
    let mut link = Link {
        index,
        name: DevName::from(""),
        alias: None,
        up: flags & IFF_UP != 0,
        master: None,
        generates_addresses: None,
        takes_ipv4: None,
        kind: LinkKind::Other,
        port: None,
    };
    for nla in attributes(octets) {
        match nla.kind() {
            IFLA_IFNAME => link.name = text(nla.value()).into(),
            IFLA_IFALIAS => link.alias = Some(text(nla.value()).into()),
            IFLA_MASTER => link.master = number(nla.value()).filter(|index| *index != 0),
            IFLA_LINKINFO => decode_link_info(nla.value(), &mut link),
            IFLA_AF_SPEC => {
                link.generates_addresses = generates_addresses(nla.value());
                link.takes_ipv4 = takes_ipv4(nla.value());
            }
            // Events of wireless devices have nothing but the event in them.
            IFLA_WIRELESS => return None,
            _ => {}
        }
    }
    (!link.name.is_empty()).then(|| Notice::Link(Box::new(link)))
}

fn decode_link_info(octets: &[u8], link: &mut Link) {
    let mut kind = String::new();
    let mut port_kind = String::new();
    // The kernel puts the kind before its settings.
    for nla in attributes(octets) {
        match nla.kind() {
            IFLA_INFO_KIND => kind = text(nla.value()),
            IFLA_INFO_PORT_KIND => port_kind = text(nla.value()),
            IFLA_INFO_DATA if kind == "bridge" => {
                link.kind = LinkKind::Bridge(bridge_settings(nla.value()));
            }
            IFLA_INFO_DATA if kind == "vxlan" => {
                link.kind = LinkKind::Vxlan(vxlan_settings(nla.value()));
            }
            IFLA_INFO_PORT_DATA if port_kind == "bridge" => link.port = port_settings(nla.value()),
            _ => {}
        }
    }
}

fn bridge_settings(octets: &[u8]) -> BridgeSettings {
    let mut settings = BridgeSettings {
        forward_delay: 0,
        stp: false,
        multicast_snooping: false,
    };
    for item in attributes(octets).filter_map(|nla| InfoBridge::parse(&nla).ok()) {
        match item {
            InfoBridge::ForwardDelay(delay) => settings.forward_delay = delay,
            InfoBridge::StpState(state) => settings.stp = state != BridgeStpState::Disabled,
            InfoBridge::MulticastSnooping(on) => settings.multicast_snooping = on,
            _ => {}
        }
    }
    settings
}

fn vxlan_settings(octets: &[u8]) -> VxlanSettings {
    let mut settings = VxlanSettings {
        vni: 0,
        local: None,
        udp_port: 0,
        learning: false,
        proxy: false,
        external: false,
    };
    for item in attributes(octets).filter_map(|nla| InfoVxlan::parse(&nla).ok()) {
        match item {
            InfoVxlan::Id(vni) => settings.vni = vni,
            InfoVxlan::Local(addr) => settings.local = Some(addr.into()),
            InfoVxlan::Local6(addr) => settings.local = Some(addr.into()),
            InfoVxlan::Port(port) => settings.udp_port = port,
            InfoVxlan::Learning(on) => settings.learning = on,
            InfoVxlan::Proxy(on) => settings.proxy = on,
            InfoVxlan::CollectMetadata(on) => settings.external = on,
            _ => {}
        }
    }
    settings
}

fn port_settings(octets: &[u8]) -> Option<PortSettings> {
    let mut learning = None;
    let mut neigh_suppress = None;
    for item in attributes(octets).filter_map(|nla| InfoBridgePort::parse(&nla).ok()) {
        match item {
            InfoBridgePort::Learning(on) => learning = Some(on),
            InfoBridgePort::NeighSupress(on) => neigh_suppress = Some(on),
            _ => {}
        }
    }
    Some(PortSettings {
        learning: learning?,
        neigh_suppress: neigh_suppress?,
    })
}

fn generates_addresses(octets: &[u8]) -> Option<bool> {
    let inet6 = attributes(octets).find(|nla| nla.kind() == u16::from(AF_INET6))?;
    let mode = attributes(inet6.value()).find(|nla| nla.kind() == IFLA_INET6_ADDR_GEN_MODE)?;
    Some(*mode.value().first()? != IN6_ADDR_GEN_MODE_NONE)
}

fn takes_ipv4(octets: &[u8]) -> Option<bool> {
    let inet = attributes(octets).find(|nla| nla.kind() == u16::from(AF_INET))?;
    let settings = attributes(inet.value()).find(|nla| nla.kind() == IFLA_INET_CONF)?;
    // An array of 32-bit values; the settings count from 1.
    let is_set = |setting: u16| {
        let start = 4 * (usize::from(setting) - 1);
        let value = settings.value().get(start..).and_then(number);
        value.map(|value| value != 0)
    };
    Some(!(is_set(IPV4_DEVCONF_ARP_IGNORE)? && is_set(IPV4_DEVCONF_RP_FILTER)?))
}

#[derive(Default)]
struct NeighborAttributes {
    dst: Option<IpAddr>,
    mac: Option<MacAddr>,
    vlan: bool,
    vni: Option<u32>,
    bridge: Option<u32>,
    protocol: u8,
}

fn decode_neighbor(payload: &[u8], present: bool) -> Option<Notice> {
    let (header, octets) = payload.split_first_chunk::<12>()?;
    let [family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _] = *header;
    let index = u32::from_ne_bytes([i0, i1, i2, i3]);
    let state = u16::from_ne_bytes([s0, s1]);
    let found = neighbor_attributes(octets);
    let fixed = state & NUD_NOARP != 0;
    let permanent = state & NUD_PERMANENT != 0;
    let ext_learned = flags & NTF_EXT_LEARNED != 0;
    match (family, found.bridge) {
        (AF_BRIDGE, _) if found.vlan => None,
        (AF_BRIDGE, Some(bridge)) => {
            let ours = present && (ext_learned || fixed || permanent);
            let entry = BridgeEntry {
                port: index,
                ext_learned,
                fixed,
                sticky: flags & NTF_STICKY != 0,
                local: permanent,
            };
            Some(Notice::BridgeFdb {
                bridge,
                mac: found.mac?,
                entry: ours.then_some(entry),
            })
        }
        (AF_BRIDGE, None) if flags & NTF_SELF != 0 => {
            let remote = Remote {
                dst: found.dst?,
                vni: found.vni,
            };
            let mac = found.mac?;
            Some(if present {
                Notice::TunnelFdb {
                    vxlan: index,
                    mac,
                    remote,
                    ext_learned,
                }
            } else {
                Notice::TunnelFdbGone {
                    vxlan: index,
                    mac,
                    remote,
                }
            })
        }
        (AF_INET | AF_INET6, _) => {
            let entry = (present && permanent)
                .then(|| {
                    Some(NeighborEntry {
                        mac: found.mac?,
                        protocol: found.protocol,
                    })
                })
                .flatten();
            Some(Notice::Neighbor {
                dev: index,
                ip: found.dst?,
                entry,
            })
        }
        _ => None,
    }
}

fn neighbor_attributes(octets: &[u8]) -> NeighborAttributes {
    let mut found = NeighborAttributes::default();
    for nla in attributes(octets) {
        let value = nla.value();
        match nla.kind() {
            NDA_DST => found.dst = address(value),
            NDA_LLADDR => found.mac = value.try_into().ok().map(MacAddr),
            NDA_VLAN => found.vlan = value.iter().any(|octet| *octet != 0),
            NDA_VNI => found.vni = number(value),
            NDA_MASTER => found.bridge = number(value),
            NDA_PROTOCOL => found.protocol = value.first().copied().unwrap_or_default(),
            _ => {}
        }
    }
    found
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn number(octets: &[u8]) -> Option<u32> {
    octets
        .first_chunk::<4>()
        .map(|octets| u32::from_ne_bytes(*octets))
}

fn text(octets: &[u8]) -> String {
    let octets = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    String::from_utf8_lossy(octets).into_owned()
}
