//! What the kernel holds, as far as it concerns bridge domains.
//!
//! Filled by a dump at the start and kept by notifications, our own changes among them. Entries
//! that are not of the kinds we make (learned MAC addresses, dynamic neighbours, entries of a VLAN)
//! are left out: for planning they are the same as none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use chanter_types::MacAddr;

/// The name of a device as the kernel has it.
pub(super) type DevName = Arc<str>;

/// One network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: DevName,
    pub(super) alias: Option<Arc<str>>,
    pub(super) up: bool,
    /// The bridge (or other upper device) that it is a port of.
    pub(super) master: Option<u32>,
    /// Whether the kernel gives it IPv6 addresses by itself; `None` where it has no IPv6.
    pub(super) generates_addresses: Option<bool>,
    /// Whether the node takes ARP requests and IPv4 packets on it for all its addresses, wherever
    /// they are; `None` where it has no IPv4.
    pub(super) takes_ipv4: Option<bool>,
    pub(super) kind: LinkKind,
    /// Its settings as a bridge port.
    pub(super) port: Option<PortSettings>,
}

/// The kinds of devices that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkKind {
    Bridge(BridgeSettings),
    Vxlan(VxlanSettings),
    Other,
}

/// Settings of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BridgeSettings {
    /// In hundredths of a second.
    pub(super) forward_delay: u32,
    pub(super) stp: bool,
    pub(super) multicast_snooping: bool,
}

impl BridgeSettings {
    /// How our bridges are set: forwarding from the first frame on, and multicast, which ND is,
    /// reaching every port.
    pub(super) const OURS: BridgeSettings = BridgeSettings {
        forward_delay: 0,
        stp: false,
        multicast_snooping: false,
    };
}

/// Settings of a VXLAN device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VxlanSettings {
    pub(super) vni: u32,
    pub(super) local: Option<IpAddr>,
    pub(super) udp_port: u16,
    pub(super) learning: bool,
    /// Whether the device answers ARP and ND, and swallows what it cannot answer.
    pub(super) proxy: bool,
    /// Whether it takes the VNI of each packet from outside: then `vni` means nothing.
    pub(super) external: bool,
}

/// Settings of a bridge port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortSettings {
    pub(super) learning: bool,
    pub(super) neigh_suppress: bool,
}

impl PortSettings {
    /// What a device has that was just made a port.
    #[cfg(test)]
    pub(super) const DEFAULT: PortSettings = PortSettings {
        learning: true,
        neigh_suppress: false,
    };
    /// How the port of a VXLAN device of ours is set.
    pub(super) const TUNNEL: PortSettings = PortSettings {
        learning: false,
        neigh_suppress: true,
    };
}

/// A MAC address in the FDB of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BridgeEntry {
    /// The port's index.
    pub(super) port: u32,
    /// Put there by a control plane: our mark.
    pub(super) ext_learned: bool,
    /// Static (`NUD_NOARP`).
    pub(super) fixed: bool,
    /// Not moved by learning.
    pub(super) sticky: bool,
    /// A device's own address.
    pub(super) local: bool,
}

/// A destination in the FDB of a VXLAN device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Remote {
    pub(super) dst: IpAddr,
    /// `None`: that of the device.
    pub(super) vni: Option<u32>,
}

/// The destinations of a MAC address in the FDB of a VXLAN device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TunnelEntry {
    pub(super) remotes: BTreeSet<Remote>,
    /// Put there by a control plane: our mark.
    pub(super) ext_learned: bool,
}

/// A permanent neighbour entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NeighborEntry {
    pub(super) mac: MacAddr,
    /// The `rtm_protocol` number of who put it there.
    pub(super) protocol: u8,
}

/// One piece of news from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    Link(Box<Link>),
    LinkGone {
        index: u32,
    },
    PortSettings {
        index: u32,
        settings: PortSettings,
    },
    /// `entry` is `None` when it is gone, or became one of a kind that is left out.
    BridgeFdb {
        bridge: u32,
        mac: MacAddr,
        entry: Option<BridgeEntry>,
    },
    TunnelFdb {
        vxlan: u32,
        mac: MacAddr,
        remote: Remote,
        ext_learned: bool,
    },
    TunnelFdbGone {
        vxlan: u32,
        mac: MacAddr,
        remote: Remote,
    },
    Neighbor {
        dev: u32,
        ip: IpAddr,
        entry: Option<NeighborEntry>,
    },
}

/// What a notice changed; nothing is said where it repeated what was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Changed {
    /// A device came, went or changed: as it was, as it is.
    Link {
        old: Option<Box<Link>>,
        new: Option<Box<Link>>,
    },
    /// The entry of a MAC address in the FDB of the device with this index.
    Mac { dev: u32, mac: MacAddr },
    /// A flooding target of the VXLAN device with this index.
    Flood { vxlan: u32, dst: IpAddr },
    /// The neighbour entry of an address on the device with this index.
    Neighbor { dev: u32, ip: IpAddr },
}

/// The model. All maps are ordered so that plans are reproducible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Observed {
    links: BTreeMap<u32, Link>,
    by_name: BTreeMap<DevName, u32>,
    by_alias: BTreeMap<Arc<str>, BTreeSet<u32>>,
    by_vni: BTreeMap<u32, BTreeSet<u32>>,
    ports: BTreeMap<u32, BTreeSet<u32>>,
    bridge_fdb: BTreeMap<(u32, MacAddr), BridgeEntry>,
    tunnel_fdb: BTreeMap<(u32, MacAddr), TunnelEntry>,
    neighbors: BTreeMap<(u32, IpAddr), NeighborEntry>,
}

impl Observed {
    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(super) fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Link> {
        self.by_name
            .get(name)
            .and_then(|index| self.links.get(index))
    }

    pub(super) fn by_alias(&self, alias: &str) -> impl Iterator<Item = &Link> {
        self.by_alias
            .get(alias)
            .into_iter()
            .flatten()
            .filter_map(|index| self.links.get(index))
    }

    /// VXLAN devices that receive in this VNI.
    pub(super) fn by_vni(&self, vni: u32) -> impl Iterator<Item = (&Link, VxlanSettings)> {
        self.by_vni
            .get(&vni)
            .into_iter()
            .flatten()
            .filter_map(|index| {
                let link = self.links.get(index)?;
                match link.kind {
                    LinkKind::Vxlan(settings) if !settings.external => Some((link, settings)),
                    _ => None,
                }
            })
    }

    /// The devices that have this one as master.
    pub(super) fn ports(&self, master: u32) -> impl Iterator<Item = &Link> {
        self.ports
            .get(&master)
            .into_iter()
            .flatten()
            .filter_map(|index| self.links.get(index))
    }

    /// Whether the kernel has IPv6: some device (the loopback device at least) has settings of it.
    pub(super) fn has_ipv6(&self) -> bool {
        self.links
            .values()
            .any(|link| link.generates_addresses.is_some())
    }

    pub(super) fn bridge_entry(&self, bridge: u32, mac: MacAddr) -> Option<BridgeEntry> {
        self.bridge_fdb.get(&(bridge, mac)).copied()
    }

    pub(super) fn bridge_entries(
        &self,
        bridge: u32,
    ) -> impl Iterator<Item = (MacAddr, BridgeEntry)> {
        self.bridge_fdb
            .range(macs_of(bridge))
            .map(|((_, mac), entry)| (*mac, *entry))
    }

    pub(super) fn tunnel_entry(&self, vxlan: u32, mac: MacAddr) -> Option<&TunnelEntry> {
        self.tunnel_fdb.get(&(vxlan, mac))
    }

    pub(super) fn tunnel_entries(
        &self,
        vxlan: u32,
    ) -> impl Iterator<Item = (MacAddr, &TunnelEntry)> {
        self.tunnel_fdb
            .range(macs_of(vxlan))
            .map(|((_, mac), entry)| (*mac, entry))
    }

    pub(super) fn neighbor(&self, dev: u32, ip: IpAddr) -> Option<NeighborEntry> {
        self.neighbors.get(&(dev, ip)).copied()
    }

    pub(super) fn neighbors(&self, dev: u32) -> impl Iterator<Item = (IpAddr, NeighborEntry)> {
        self.neighbors
            .range((dev, IpAddr::from([0; 4]))..=(dev, IpAddr::from([0xff; 16])))
            .map(|((_, ip), entry)| (*ip, *entry))
    }

    /// Takes in one piece of news; says what is different now.
    pub(super) fn apply(&mut self, notice: Notice) -> Option<Changed> {
        match notice {
            Notice::Link(link) => self.put_link(*link),
            Notice::LinkGone { index } => {
                let old = self.drop_link(index)?;
                self.drop_entries(index);
                if let Some(bridge) = old.master {
                    self.flush_port(bridge, index);
                }
                Some(Changed::Link {
                    old: Some(Box::new(old)),
                    new: None,
                })
            }
            Notice::PortSettings { index, settings } => {
                let mut link = self.links.get(&index)?.clone();
                link.port = Some(settings);
                self.put_link(link)
            }
            Notice::BridgeFdb { bridge, mac, entry } => {
                let key = (bridge, mac);
                let old = match entry {
                    Some(entry) => self.bridge_fdb.insert(key, entry),
                    None => self.bridge_fdb.remove(&key),
                };
                (old != entry).then_some(Changed::Mac { dev: bridge, mac })
            }
            Notice::TunnelFdb {
                vxlan,
                mac,
                remote,
                ext_learned,
            } => self.put_remote(vxlan, mac, remote, ext_learned),
            Notice::TunnelFdbGone { vxlan, mac, remote } => self.drop_remote(vxlan, mac, remote),
            Notice::Neighbor { dev, ip, entry } => {
                let old = match entry {
                    Some(entry) => self.neighbors.insert((dev, ip), entry),
                    None => self.neighbors.remove(&(dev, ip)),
                };
                (old != entry).then_some(Changed::Neighbor { dev, ip })
            }
        }
    }

    fn put_link(&mut self, link: Link) -> Option<Changed> {
        if self.links.get(&link.index) == Some(&link) {
            return None;
        }
        let old = self.drop_link(link.index);
        if let Some(Link {
            index,
            master: Some(bridge),
            ..
        }) = &old
            && link.master != Some(*bridge)
        {
            // The kernel flushes what it knew behind the port, and need not say so one by one.
            self.flush_port(*bridge, *index);
        }
        self.by_name.insert(link.name.clone(), link.index);
        if let Some(alias) = &link.alias {
            self.by_alias
                .entry(alias.clone())
                .or_default()
                .insert(link.index);
        }
        if let LinkKind::Vxlan(settings) = link.kind {
            self.by_vni
                .entry(settings.vni)
                .or_default()
                .insert(link.index);
        }
        if let Some(master) = link.master {
            self.ports.entry(master).or_default().insert(link.index);
        }
        self.links.insert(link.index, link.clone());
        Some(Changed::Link {
            old: old.map(Box::new),
            new: Some(Box::new(link)),
        })
    }

    /// Takes the device out of all indexes; its entries stay.
    fn drop_link(&mut self, index: u32) -> Option<Link> {
        let link = self.links.remove(&index)?;
        // Another device may have taken over the name already.
        if self.by_name.get(&link.name) == Some(&index) {
            self.by_name.remove(&link.name);
        }
        if let Some(alias) = &link.alias {
            drop_from(&mut self.by_alias, alias, index);
        }
        if let LinkKind::Vxlan(settings) = link.kind {
            drop_from(&mut self.by_vni, &settings.vni, index);
        }
        if let Some(master) = link.master {
            drop_from(&mut self.ports, &master, index);
        }
        Some(link)
    }

    fn drop_entries(&mut self, index: u32) {
        let keys: Vec<_> = self
            .bridge_fdb
            .range(macs_of(index))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.bridge_fdb.remove(&key);
        }
        let keys: Vec<_> = self
            .tunnel_fdb
            .range(macs_of(index))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.tunnel_fdb.remove(&key);
        }
        let keys: Vec<_> = self.neighbors(index).map(|(ip, _)| (index, ip)).collect();
        for key in keys {
            self.neighbors.remove(&key);
        }
    }

    fn flush_port(&mut self, bridge: u32, port: u32) {
        let macs: Vec<_> = self
            .bridge_entries(bridge)
            .filter(|(_, entry)| entry.port == port)
            .map(|(mac, _)| mac)
            .collect();
        for mac in macs {
            self.bridge_fdb.remove(&(bridge, mac));
        }
    }

    fn put_remote(
        &mut self,
        vxlan: u32,
        mac: MacAddr,
        remote: Remote,
        ext_learned: bool,
    ) -> Option<Changed> {
        if !matches!(self.links.get(&vxlan)?.kind, LinkKind::Vxlan(_)) {
            // Address lists of other devices come in the same messages.
            return None;
        }
        let entry = self.tunnel_fdb.entry((vxlan, mac)).or_default();
        let old = (
            entry.ext_learned,
            entry.remotes.contains(&remote),
            entry.remotes.len(),
        );
        entry.ext_learned = ext_learned;
        if !has_many_remotes(mac) {
            // The kernel replaces the one destination in place and tells only of the new one.
            entry.remotes.clear();
        }
        entry.remotes.insert(remote);
        let new = (ext_learned, true, entry.remotes.len());
        (old != new).then(|| changed_remote(vxlan, mac, remote))
    }

    fn drop_remote(&mut self, vxlan: u32, mac: MacAddr, remote: Remote) -> Option<Changed> {
        let entry = self.tunnel_fdb.get_mut(&(vxlan, mac))?;
        let was_there = entry.remotes.remove(&remote);
        if entry.remotes.is_empty() {
            self.tunnel_fdb.remove(&(vxlan, mac));
        }
        was_there.then(|| changed_remote(vxlan, mac, remote))
    }
}

/// Whether the FDB of a VXLAN device takes several destinations for this MAC address.
pub(super) fn has_many_remotes(mac: MacAddr) -> bool {
    mac == MacAddr::ZERO || mac.is_multicast()
}

fn changed_remote(vxlan: u32, mac: MacAddr, remote: Remote) -> Changed {
    if mac == MacAddr::ZERO {
        Changed::Flood {
            vxlan,
            dst: remote.dst,
        }
    } else {
        Changed::Mac { dev: vxlan, mac }
    }
}

fn macs_of(dev: u32) -> std::ops::RangeInclusive<(u32, MacAddr)> {
    (dev, MacAddr::ZERO)..=(dev, MacAddr([0xff; 6]))
}

fn drop_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<u32>>, key: &K, member: u32) {
    if let Some(members) = index.get_mut(key) {
        members.remove(&member);
        if members.is_empty() {
            index.remove(key);
        }
    }
}
