//! What can be done to the kernel, one netlink message each.
//!
//! Devices are named, not numbered: a plan may use a device that it creates.

use std::fmt;
use std::net::IpAddr;

use chanter_engine::desired::DesiredKey;
use chanter_types::MacAddr;

use super::observe::{DevName, Remote};

/// One change of the kernel's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// A bridge with the settings of ours.
    CreateBridge {
        bridge: DevName,
    },
    /// With STP the kernel refuses a forward delay of 0, so this comes before `SetBridge`.
    SetNoStp {
        bridge: DevName,
    },
    /// Gives an existing bridge the other settings of ours.
    SetBridge {
        bridge: DevName,
    },
    /// A VXLAN device that does not learn. UDP port 0 is the kernel's default.
    CreateVxlan {
        vxlan: DevName,
        vni: u32,
        local: IpAddr,
        udp_port: u16,
    },
    /// Another address of the same family for an existing VXLAN device.
    SetVxlanLocal {
        vxlan: DevName,
        local: IpAddr,
    },
    SetVxlanNoLearning {
        vxlan: DevName,
    },
    /// Removes a device.
    DeleteDevice {
        dev: DevName,
    },
    /// Sets the interface alias.
    Tag {
        dev: DevName,
        tag: String,
    },
    /// Stops the kernel from giving the device IPv6 addresses: the node is no station of the VPN.
    NoAddresses {
        dev: DevName,
    },
    /// Makes the node deaf to IPv4 on the device, but for addresses that an operator puts there.
    NoIpv4 {
        dev: DevName,
    },
    SetUp {
        dev: DevName,
    },
    /// Makes a device a port of a bridge.
    Attach {
        port: DevName,
        bridge: DevName,
    },
    Detach {
        port: DevName,
    },
    /// Turns learning off and suppression of ARP and ND on.
    SetTunnelPort {
        port: DevName,
    },
    /// In the bridge's FDB: the MAC address is behind this port, by word of a control plane.
    /// Replaces an entry in place, its `Fix` included.
    Learn {
        port: DevName,
        mac: MacAddr,
    },
    /// In the bridge's FDB: makes an entry static and sticky, or neither.
    Fix {
        port: DevName,
        mac: MacAddr,
        sticky: bool,
    },
    /// Removes a MAC address from the bridge's FDB.
    Forget {
        port: DevName,
        mac: MacAddr,
    },
    /// In the VXLAN device's FDB: the one destination of a MAC address, replaced in place.
    Tunnel {
        vxlan: DevName,
        mac: MacAddr,
        remote: Remote,
    },
    /// One more destination of frames for everybody.
    Flood {
        vxlan: DevName,
        remote: Remote,
    },
    /// Removes a destination from the VXLAN device's FDB; for all zero one of flooding.
    Untunnel {
        vxlan: DevName,
        mac: MacAddr,
        remote: Remote,
    },
    /// A permanent neighbour entry, replaced in place.
    Neighbor {
        dev: DevName,
        ip: IpAddr,
        mac: MacAddr,
    },
    RemoveNeighbor {
        dev: DevName,
        ip: IpAddr,
    },
}

impl Op {
    /// Removals come in this order, highest first: what was built last goes first.
    pub(super) fn teardown_rank(&self) -> u8 {
        match self {
            Op::RemoveNeighbor { .. } => 5,
            Op::Untunnel { .. } => 4,
            Op::Forget { .. } => 3,
            Op::Detach { .. } => 2,
            _ => 1,
        }
    }

    /// Whether it makes a device, so that what follows can be addressed only afterwards.
    pub(super) fn creates(&self) -> bool {
        matches!(self, Op::CreateBridge { .. } | Op::CreateVxlan { .. })
    }

    /// Whether it takes something away: then "no such thing" is success.
    pub(super) fn removes(&self) -> bool {
        matches!(
            self,
            Op::DeleteDevice { .. }
                | Op::Detach { .. }
                | Op::Forget { .. }
                | Op::Untunnel { .. }
                | Op::RemoveNeighbor { .. }
        )
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::CreateBridge { bridge } => write!(f, "create bridge {bridge}"),
            Op::SetNoStp { bridge } => write!(f, "set {bridge}: STP off"),
            Op::SetBridge { bridge } => {
                write!(f, "set {bridge}: forward delay 0, multicast snooping off")
            }
            Op::CreateVxlan {
                vxlan,
                vni,
                local,
                udp_port,
            } => {
                write!(
                    f,
                    "create VXLAN device {vxlan}: VNI {vni}, local {local}, port {udp_port}"
                )
            }
            Op::SetVxlanLocal { vxlan, local } => write!(f, "set {vxlan}: local {local}"),
            Op::SetVxlanNoLearning { vxlan } => write!(f, "set {vxlan}: learning off"),
            Op::DeleteDevice { dev } => write!(f, "delete device {dev}"),
            Op::Tag { dev, tag } => write!(f, "set {dev}: alias {tag}"),
            Op::NoAddresses { dev } => write!(f, "set {dev}: no IPv6 addresses of its own"),
            Op::NoIpv4 { dev } => {
                write!(f, "set {dev}: ARP and IPv4 only for addresses of its own")
            }
            Op::SetUp { dev } => write!(f, "set {dev}: up"),
            Op::Attach { port, bridge } => write!(f, "make {port} a port of {bridge}"),
            Op::Detach { port } => write!(f, "take {port} out of its bridge"),
            Op::SetTunnelPort { port } => {
                write!(
                    f,
                    "set bridge port {port}: learning off, ARP and ND suppression on"
                )
            }
            Op::Learn { port, mac } => write!(f, "bridge {mac} to {port}"),
            Op::Fix {
                port,
                mac,
                sticky: true,
            } => write!(f, "keep {mac} at {port}"),
            Op::Fix {
                port,
                mac,
                sticky: false,
            } => write!(f, "let {mac} move from {port}"),
            Op::Forget { port, mac } => write!(f, "do not bridge {mac} to {port}"),
            Op::Tunnel { vxlan, mac, remote } => write!(f, "tunnel {mac} by {vxlan} to {remote}"),
            Op::Flood { vxlan, remote } => write!(f, "flood by {vxlan} to {remote}"),
            Op::Untunnel { vxlan, mac, remote } if *mac == MacAddr::ZERO => {
                write!(f, "do not flood by {vxlan} to {remote}")
            }
            Op::Untunnel { vxlan, mac, remote } => {
                write!(f, "do not tunnel {mac} by {vxlan} to {remote}")
            }
            Op::Neighbor { dev, ip, mac } => write!(f, "answer for {ip} on {dev}: {mac}"),
            Op::RemoveNeighbor { dev, ip } => write!(f, "do not answer for {ip} on {dev}"),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vni {
            Some(vni) => write!(f, "{} VNI {vni}", self.dst),
            None => self.dst.fmt(f),
        }
    }
}

/// A change with the desired object for which it is made; `None` for leftovers of objects that
/// nobody wants any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) key: Option<DesiredKey>,
    pub(super) op: Op,
}
