//! A simulated kernel: what each operation does to what is observed.

use chanter_types::MacAddr;

use crate::linux::observe::{
    BridgeEntry, BridgeSettings, DevName, Link, LinkKind, NeighborEntry, Notice, Observed,
    PortSettings, Remote, VxlanSettings,
};
use crate::linux::op::{Op, Step};
use crate::linux::plan::PROTOCOL;

/// A device without any settings.
pub(super) fn link(index: u32, name: &str, kind: LinkKind) -> Link {
    Link {
        index,
        name: DevName::from(name),
        alias: None,
        up: false,
        master: None,
        generates_addresses: Some(true),
        takes_ipv4: Some(true),
        kind,
        port: None,
    }
}

pub(super) fn put(observed: &mut Observed, link: Link) {
    observed.apply(Notice::Link(Box::new(link)));
}

/// Executes steps as the kernel would; an operation that the kernel would refuse fails the test.
pub(super) fn execute(observed: &mut Observed, steps: &[Step]) {
    for step in steps {
        if let Op::Forget { port, .. } = &step.op
            && observed.by_name(port).is_none()
        {
            // The port went in the same plan, and the entry with it.
            continue;
        }
        execute_op(observed, &step.op);
    }
}

fn named(observed: &Observed, name: &str) -> Link {
    observed
        .by_name(name)
        .cloned()
        .unwrap_or_else(|| panic!("device {name} does not exist"))
}

fn change(observed: &mut Observed, name: &str, change: impl FnOnce(&mut Link)) {
    let mut link = named(observed, name);
    change(&mut link);
    put(observed, link);
}

fn create(observed: &mut Observed, name: &str, kind: LinkKind) {
    assert!(observed.by_name(name).is_none(), "device {name} exists");
    let index = 1 + observed
        .links()
        .map(|link| link.index)
        .max()
        .unwrap_or_default();
    put(observed, link(index, name, kind));
}

fn execute_op(observed: &mut Observed, op: &Op) {
    match op {
        Op::CreateBridge { bridge } => {
            create(observed, bridge, LinkKind::Bridge(BridgeSettings::OURS));
        }
        Op::CreateVxlan {
            vxlan,
            vni,
            local,
            udp_port,
        } => {
            let rival = observed
                .by_vni(*vni)
                .find(|(_, settings)| settings.udp_port == *udp_port)
                .map(|(link, _)| link.name.clone());
            assert_eq!(rival, None, "VNI {vni} is taken");
            let settings = VxlanSettings {
                vni: *vni,
                local: Some(*local),
                udp_port: *udp_port,
                learning: false,
                proxy: false,
                external: false,
            };
            create(observed, vxlan, LinkKind::Vxlan(settings));
        }
        Op::SetNoStp { bridge } => change(observed, bridge, |link| {
            let LinkKind::Bridge(settings) = &mut link.kind else {
                panic!("no bridge")
            };
            settings.stp = false;
        }),
        Op::SetBridge { bridge } => change(observed, bridge, |link| {
            let LinkKind::Bridge(settings) = &mut link.kind else {
                panic!("no bridge")
            };
            assert!(!settings.stp, "forward delay 0 is out of range with STP");
            *settings = BridgeSettings::OURS;
        }),
        Op::SetVxlanLocal { vxlan, local } => change(observed, vxlan, |link| {
            let LinkKind::Vxlan(settings) = &mut link.kind else {
                panic!("no VXLAN device")
            };
            settings.local = Some(*local);
        }),
        Op::SetVxlanNoLearning { vxlan } => change(observed, vxlan, |link| {
            let LinkKind::Vxlan(settings) = &mut link.kind else {
                panic!("no VXLAN device")
            };
            settings.learning = false;
        }),
        Op::Tag { dev, tag } => {
            change(observed, dev, |link| link.alias = Some(tag.as_str().into()));
        }
        Op::NoAddresses { dev } => {
            change(observed, dev, |link| link.generates_addresses = Some(false));
        }
        Op::NoIpv4 { dev } => change(observed, dev, |link| link.takes_ipv4 = Some(false)),
        Op::SetUp { dev } => change(observed, dev, |link| link.up = true),
        Op::SetTunnelPort { port } => change(observed, port, |link| {
            assert!(link.master.is_some(), "{port} is no port");
            link.port = Some(PortSettings::TUNNEL);
        }),
        Op::DeleteDevice { .. } | Op::Attach { .. } | Op::Detach { .. } => topology(observed, op),
        _ => entry(observed, op),
    }
}

fn topology(observed: &mut Observed, op: &Op) {
    match op {
        Op::DeleteDevice { dev } => {
            let index = named(observed, dev).index;
            let ports: Vec<Link> = observed.ports(index).cloned().collect();
            for port in ports {
                put(
                    observed,
                    Link {
                        master: None,
                        port: None,
                        ..port
                    },
                );
            }
            observed.apply(Notice::LinkGone { index });
        }
        Op::Attach { port, bridge } => {
            let bridge = named(observed, bridge).index;
            change(observed, port, |link| {
                link.master = Some(bridge);
                link.port = Some(PortSettings::DEFAULT);
            });
        }
        Op::Detach { port } => change(observed, port, |link| {
            link.master = None;
            link.port = None;
        }),
        _ => unreachable!("handled by the caller"),
    }
}

/// The bridge that a port is in, the port, and what is known of the MAC address.
fn bridge_entry(observed: &Observed, port: &str, mac: MacAddr) -> (u32, u32, Option<BridgeEntry>) {
    let port = named(observed, port);
    let bridge = port.master.expect("the port is in a bridge");
    (bridge, port.index, observed.bridge_entry(bridge, mac))
}

#[expect(clippy::too_many_lines, reason = "a flat match")]
fn entry(observed: &mut Observed, op: &Op) {
    let notice = match op {
        Op::Learn { port, mac } => {
            let (bridge, port, old) = bridge_entry(observed, port, *mac);
            let new = BridgeEntry {
                port,
                ext_learned: true,
                fixed: false,
                sticky: false,
                local: false,
            };
            let entry = old.map_or(new, |old| BridgeEntry {
                port,
                ext_learned: true,
                ..old
            });
            Notice::BridgeFdb {
                bridge,
                mac: *mac,
                entry: Some(entry),
            }
        }
        Op::Fix { port, mac, sticky } => {
            let (bridge, port, old) = bridge_entry(observed, port, *mac);
            let ext_learned = old.is_some_and(|old| old.ext_learned);
            let entry = BridgeEntry {
                port,
                ext_learned,
                fixed: *sticky,
                sticky: *sticky,
                local: false,
            };
            Notice::BridgeFdb {
                bridge,
                mac: *mac,
                entry: Some(entry),
            }
        }
        Op::Forget { port, mac } => {
            let (bridge, port, old) = bridge_entry(observed, port, *mac);
            assert_eq!(old.map(|old| old.port), Some(port), "{mac} is elsewhere");
            Notice::BridgeFdb {
                bridge,
                mac: *mac,
                entry: None,
            }
        }
        Op::Tunnel { vxlan, mac, remote } => tunnel(observed, vxlan, *mac, *remote),
        Op::Flood { vxlan, remote } => tunnel(observed, vxlan, MacAddr::ZERO, *remote),
        Op::Untunnel { vxlan, mac, remote } => Notice::TunnelFdbGone {
            vxlan: named(observed, vxlan).index,
            mac: *mac,
            remote: *remote,
        },
        Op::Neighbor { dev, ip, mac } => {
            let entry = Some(NeighborEntry {
                mac: *mac,
                protocol: PROTOCOL,
            });
            Notice::Neighbor {
                dev: named(observed, dev).index,
                ip: *ip,
                entry,
            }
        }
        Op::RemoveNeighbor { dev, ip } => Notice::Neighbor {
            dev: named(observed, dev).index,
            ip: *ip,
            entry: None,
        },
        _ => unreachable!("handled by the caller"),
    };
    assert!(observed.apply(notice).is_some(), "{op} changes nothing");
}

fn tunnel(observed: &Observed, vxlan: &str, mac: MacAddr, remote: Remote) -> Notice {
    let link = named(observed, vxlan);
    assert!(
        matches!(link.kind, LinkKind::Vxlan(_)),
        "{vxlan} is no VXLAN device"
    );
    // The mark is given when the entry is made, and not later.
    let ext_learned = observed
        .tunnel_entry(link.index, mac)
        .is_none_or(|entry| entry.ext_learned);
    Notice::TunnelFdb {
        vxlan: link.index,
        mac,
        remote,
        ext_learned,
    }
}
