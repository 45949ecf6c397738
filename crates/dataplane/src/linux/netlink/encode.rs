//! From [`Op`]s to netlink messages.

use std::net::IpAddr;

use chanter_types::MacAddr;
use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL,
    NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoBridgePort,
    InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::numbers::{AF_INET, IFLA_INET_CONF, IPV4_DEVCONF_ARP_IGNORE, IPV4_DEVCONF_RP_FILTER};
use crate::linux::observe::{BridgeSettings, DevName, PortSettings, Remote};
use crate::linux::op::Op;
use crate::linux::plan::PROTOCOL;

/// A device that an [`Op`] names does not exist (any more).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("device {0} does not exist")]
pub(in crate::linux) struct MissingDevice(pub(in crate::linux) DevName);

/// A message to the kernel.
#[derive(Debug, Clone)]
pub(in crate::linux) struct Request {
    message: RouteNetlinkMessage,
    flags: u16,
}

impl Request {
    /// The message for `op`; `index_of` tells the numbers of devices.
    pub(in crate::linux) fn of(
        op: &Op,
        index_of: impl Fn(&str) -> Option<u32>,
    ) -> Result<Request, MissingDevice> {
        let index = |dev: &DevName| index_of(dev).ok_or_else(|| MissingDevice(dev.clone()));
        Ok(match op {
            Op::CreateBridge { bridge } => create(bridge, bridge_info()),
            Op::SetNoStp { bridge } => {
                let data = InfoBridge::StpState(BridgeStpState::Disabled);
                change(
                    index(bridge)?,
                    info(InfoKind::Bridge, InfoData::Bridge(vec![data])),
                )
            }
            Op::CreateVxlan {
                vxlan,
                vni,
                local,
                udp_port,
            } => create(vxlan, vxlan_info(*vni, *local, *udp_port)),
            Op::SetBridge { bridge } => change(index(bridge)?, bridge_info()),
            Op::SetVxlanLocal { vxlan, local } => change(
                index(vxlan)?,
                info(InfoKind::Vxlan, InfoData::Vxlan(vec![local_nla(*local)])),
            ),
            Op::SetVxlanNoLearning { vxlan } => {
                let data = InfoData::Vxlan(vec![InfoVxlan::Learning(false)]);
                change(index(vxlan)?, info(InfoKind::Vxlan, data))
            }
            Op::DeleteDevice { dev } => {
                let message = link_message(index(dev)?, Vec::new());
                Request {
                    message: RouteNetlinkMessage::DelLink(message),
                    flags: 0,
                }
            }
            Op::Tag { dev, tag } => set(index(dev)?, LinkAttribute::IfAlias(tag.clone())),
            Op::NoAddresses { dev } => {
                let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
                let spec = vec![AfSpecUnspec::Inet6(vec![mode])];
                set(index(dev)?, LinkAttribute::AfSpecUnspec(spec))
            }
            Op::NoIpv4 { dev } => set(index(dev)?, LinkAttribute::AfSpecUnspec(vec![no_ipv4()])),
            Op::SetUp { dev } => set_up(index(dev)?),
            Op::Attach { port, bridge } => {
                set(index(port)?, LinkAttribute::Controller(index(bridge)?))
            }
            Op::Detach { port } => set(index(port)?, LinkAttribute::Controller(0)),
            Op::SetTunnelPort { port } => change(index(port)?, tunnel_port_info()),
            Op::Learn { .. } | Op::Fix { .. } | Op::Forget { .. } => bridge_fdb(op, index)?,
            Op::Tunnel { .. } | Op::Flood { .. } | Op::Untunnel { .. } => tunnel_fdb(op, index)?,
            Op::Neighbor { dev, ip, mac } => neighbor(index(dev)?, *ip, Some(*mac)),
            Op::RemoveNeighbor { dev, ip } => neighbor(index(dev)?, *ip, None),
        })
    }

    pub(super) fn encode(self, sequence: u32, octets: &mut Vec<u8>) {
        let flags = self.flags;
        let mut message = NetlinkMessage::from(self.message);
        // A dump ends with a message of its own.
        let answer = if flags & NLM_F_DUMP == NLM_F_DUMP {
            0
        } else {
            NLM_F_ACK
        };
        message.header.flags = flags | NLM_F_REQUEST | answer;
        message.header.sequence_number = sequence;
        message.finalize();
        let start = octets.len();
        octets.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.emit(&mut octets[start..]);
    }
}

fn link_message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

fn create(name: &DevName, info: Vec<LinkInfo>) -> Request {
    let attributes = vec![
        LinkAttribute::IfName(name.to_string()),
        LinkAttribute::LinkInfo(info),
    ];
    let message = RouteNetlinkMessage::NewLink(link_message(0, attributes));
    Request {
        message,
        flags: NLM_F_CREATE | NLM_F_EXCL,
    }
}

/// Settings of the device's kind can be changed by `RTM_NEWLINK` only.
fn change(index: u32, info: Vec<LinkInfo>) -> Request {
    let attributes = vec![LinkAttribute::LinkInfo(info)];
    Request {
        message: RouteNetlinkMessage::NewLink(link_message(index, attributes)),
        flags: 0,
    }
}

fn set(index: u32, attribute: LinkAttribute) -> Request {
    let message = link_message(index, vec![attribute]);
    Request {
        message: RouteNetlinkMessage::SetLink(message),
        flags: 0,
    }
}

/// `arp_ignore` 1: ARP is answered only for addresses of the device itself. `rp_filter` 1: a packet
/// is taken only where its source would be reached by the device, which has neither address nor
/// route.
fn no_ipv4() -> AfSpecUnspec {
    let mut settings = Vec::new();
    for setting in [IPV4_DEVCONF_ARP_IGNORE, IPV4_DEVCONF_RP_FILTER] {
        settings.extend(nla_header(4, setting));
        settings.extend(1u32.to_ne_bytes());
    }
    let mut octets = nla_header(settings.len(), IFLA_INET_CONF).to_vec();
    octets.append(&mut settings);
    AfSpecUnspec::Other(DefaultNla::new(AF_INET.into(), octets))
}

/// The header of an attribute with a short value of this length.
fn nla_header(value_len: usize, kind: u16) -> [u8; 4] {
    let len = u16::try_from(4 + value_len).unwrap_or(u16::MAX);
    let ([l0, l1], [k0, k1]) = (len.to_ne_bytes(), kind.to_ne_bytes());
    [l0, l1, k0, k1]
}

fn set_up(index: u32) -> Request {
    let mut message = link_message(index, Vec::new());
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    Request {
        message: RouteNetlinkMessage::SetLink(message),
        flags: 0,
    }
}

fn info(kind: InfoKind, data: InfoData) -> Vec<LinkInfo> {
    vec![LinkInfo::Kind(kind), LinkInfo::Data(data)]
}

fn bridge_info() -> Vec<LinkInfo> {
    // A new bridge has STP off.
    let BridgeSettings {
        forward_delay,
        multicast_snooping,
        ..
    } = BridgeSettings::OURS;
    let data = vec![
        InfoBridge::ForwardDelay(forward_delay),
        InfoBridge::MulticastSnooping(multicast_snooping),
    ];
    info(InfoKind::Bridge, InfoData::Bridge(data))
}

fn vxlan_info(vni: u32, local: IpAddr, udp_port: u16) -> Vec<LinkInfo> {
    let mut data = vec![
        InfoVxlan::Id(vni),
        local_nla(local),
        InfoVxlan::Learning(false),
    ];
    if udp_port != 0 {
        data.push(InfoVxlan::Port(udp_port));
    }
    info(InfoKind::Vxlan, InfoData::Vxlan(data))
}

fn local_nla(local: IpAddr) -> InfoVxlan {
    match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }
}

fn tunnel_port_info() -> Vec<LinkInfo> {
    let PortSettings {
        learning,
        neigh_suppress,
    } = PortSettings::TUNNEL;
    let data = vec![
        InfoBridgePort::Learning(learning),
        InfoBridgePort::NeighSupress(neigh_suppress),
    ];
    vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(data)),
    ]
}

/// `struct ndmsg` with a MAC address, in the bridge family: an FDB entry.
fn fdb_message(index: u32, mac: MacAddr, flags: NeighbourFlags) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.flags = flags;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
    message
}

fn bridge_fdb(
    op: &Op,
    index: impl Fn(&DevName) -> Result<u32, MissingDevice>,
) -> Result<Request, MissingDevice> {
    let master = NeighbourFlags::Controller;
    Ok(match op {
        Op::Learn { port, mac } => {
            let message = fdb_message(index(port)?, *mac, master | NeighbourFlags::ExtLearned);
            replace(message)
        }
        Op::Fix { port, mac, sticky } => {
            let flags = if *sticky {
                master | NeighbourFlags::Sticky
            } else {
                master
            };
            let mut message = fdb_message(index(port)?, *mac, flags);
            message.header.state = if *sticky {
                NeighbourState::Noarp
            } else {
                NeighbourState::Reachable
            };
            replace(message)
        }
        Op::Forget { port, mac } => delete(fdb_message(index(port)?, *mac, master)),
        _ => unreachable!("called for the operations above"),
    })
}

fn tunnel_fdb(
    op: &Op,
    index: impl Fn(&DevName) -> Result<u32, MissingDevice>,
) -> Result<Request, MissingDevice> {
    let message = |vxlan, mac, remote: &Remote, flags| -> Result<_, MissingDevice> {
        let mut message = fdb_message(index(vxlan)?, mac, NeighbourFlags::Own | flags);
        message
            .attributes
            .push(NeighbourAttribute::Destination(remote.dst.into()));
        message
            .attributes
            .extend(remote.vni.map(NeighbourAttribute::Vni));
        Ok(message)
    };
    let marked = NeighbourFlags::ExtLearned;
    Ok(match op {
        Op::Tunnel { vxlan, mac, remote } => replace(message(vxlan, *mac, remote, marked)?),
        Op::Flood { vxlan, remote } => {
            let message = message(vxlan, MacAddr::ZERO, remote, marked)?;
            let message = RouteNetlinkMessage::NewNeighbour(message);
            Request {
                message,
                flags: NLM_F_CREATE | NLM_F_APPEND,
            }
        }
        Op::Untunnel { vxlan, mac, remote } => {
            delete(message(vxlan, *mac, remote, NeighbourFlags::empty())?)
        }
        _ => unreachable!("called for the operations above"),
    })
}

fn neighbor(index: u32, ip: IpAddr, mac: Option<MacAddr>) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = if ip.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    message.header.ifindex = index;
    message.attributes = vec![NeighbourAttribute::Destination(ip.into())];
    match mac {
        Some(mac) => {
            message.header.state = NeighbourState::Permanent;
            message
                .attributes
                .push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
            message
                .attributes
                .push(NeighbourAttribute::Protocol(PROTOCOL.into()));
            replace(message)
        }
        None => delete(message),
    }
}

fn replace(message: NeighbourMessage) -> Request {
    let message = RouteNetlinkMessage::NewNeighbour(message);
    Request {
        message,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
    }
}

fn delete(message: NeighbourMessage) -> Request {
    Request {
        message: RouteNetlinkMessage::DelNeighbour(message),
        flags: 0,
    }
}

/// What can be listed.
#[derive(Debug, Clone, Copy)]
pub(super) enum DumpKind {
    Links,
    Fdb,
    Neighbors,
}

impl DumpKind {
    /// In the order in which they must be taken in: entries are told apart by their device.
    pub(super) const ALL: [DumpKind; 3] = [DumpKind::Links, DumpKind::Fdb, DumpKind::Neighbors];

    pub(super) fn name(self) -> &'static str {
        match self {
            DumpKind::Links => "devices",
            DumpKind::Fdb => "FDB entries",
            DumpKind::Neighbors => "neighbours",
        }
    }

    pub(super) fn request(self) -> Request {
        let mut neighbors = NeighbourMessage::default();
        let message = match self {
            DumpKind::Links => RouteNetlinkMessage::GetLink(LinkMessage::default()),
            DumpKind::Fdb => {
                neighbors.header.family = AddressFamily::Bridge;
                RouteNetlinkMessage::GetNeighbour(neighbors)
            }
            DumpKind::Neighbors => RouteNetlinkMessage::GetNeighbour(neighbors),
        };
        Request {
            message,
            flags: NLM_F_DUMP,
        }
    }
}

/// A request that can only fail, in one way that means that something is missing.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) request: Request,
    pub(super) fatal: Errno,
    pub(super) missing: &'static str,
}

pub(super) fn probes() -> [Probe; 3] {
    // Permission is checked before anything else; there is no device with this number.
    let nobody = link_message(i32::MAX as u32, Vec::new());
    let delete = Request {
        message: RouteNetlinkMessage::DelLink(nobody),
        flags: 0,
    };
    // The kind is looked up (and its module loaded) before its settings are checked: a bridge with
    // an address of one octet, a VXLAN device without a VNI.
    let address = LinkAttribute::Address(vec![0]);
    let kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]);
    let bridge = RouteNetlinkMessage::NewLink(link_message(0, vec![address, kind]));
    let kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vxlan)]);
    let vxlan = RouteNetlinkMessage::NewLink(link_message(0, vec![kind]));
    let create = |message| Request {
        message,
        flags: NLM_F_CREATE | NLM_F_EXCL,
    };
    [
        Probe {
            request: delete,
            fatal: Errno::EPERM,
            missing: "the capability CAP_NET_ADMIN",
        },
        Probe {
            request: create(bridge),
            fatal: Errno::EOPNOTSUPP,
            missing: "bridges in the kernel (module `bridge`)",
        },
        Probe {
            request: create(vxlan),
            fatal: Errno::EOPNOTSUPP,
            missing: "VXLAN in the kernel (module `vxlan`)",
        },
    ]
}
