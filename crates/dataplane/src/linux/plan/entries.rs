//! Entries in the FDBs and the neighbour table of a domain's devices.

use std::net::IpAddr;

use chanter_engine::desired::{DataplaneError, DesiredKey};
use chanter_types::{MacAddr, Vni};

use super::devices::{Device, Devices};
use super::ports::PortState;
use super::{PROTOCOL, Planner, intent_error, node_error};
use crate::linux::desired::DomainObjects;
use crate::linux::observe::{BridgeEntry, DevName, Remote};
use crate::linux::op::Op;

/// Where a MAC address should be in the FDB of a bridge.
struct Place {
    name: DevName,
    /// `None`: the port is not in the bridge yet, so neither is the entry.
    index: Option<u32>,
    sticky: bool,
}

impl Planner<'_> {
    pub(super) fn plan_local_mac(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        mac: MacAddr,
    ) {
        let Some(port) = objects.local_macs.get(&mac) else {
            return self.plan_removed_local_mac(objects, devices, key, mac);
        };
        match self.port_state(objects, devices, key, port) {
            Err(error) => self.fail(key, error),
            Ok(_) if !objects.ports.contains_key(port) => {
                self.fail(
                    key,
                    intent_error(format!("port {port}: it is not in this domain")),
                );
            }
            Ok(PortState { link, attached }) => {
                // Sticky: no other station draws the endpoint's traffic to itself by sending from
                // its address.
                let place = Place {
                    name: link.name.clone(),
                    index: attached.then_some(link.index),
                    sticky: true,
                };
                self.plan_bridge_entry(devices, key, mac, place);
            }
        }
    }

    fn plan_removed_local_mac(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        mac: MacAddr,
    ) {
        if objects.remote_macs.contains_key(&mac) {
            // It moved away: that entry replaces this one in place.
            return;
        }
        let Some(entry) = self.bridge_entry(devices, mac) else {
            return;
        };
        let marked = entry.ext_learned && entry.sticky;
        if Some(entry.port) == devices.vxlan.index
            || entry.local
            || !self.may_remove(objects, key, marked)
        {
            return;
        }
        if let Some(port) = self.observed.link(entry.port) {
            self.remove(
                key,
                Op::Forget {
                    port: port.name.clone(),
                    mac,
                },
            );
        }
    }

    pub(super) fn plan_remote_mac(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        mac: MacAddr,
    ) {
        let Some(remote_mac) = objects.remote_macs.get(&mac) else {
            return self.plan_removed_remote_mac(objects, devices, key, mac);
        };
        let remote = match remote(devices, remote_mac.vtep, remote_mac.vni) {
            Ok(remote) => remote,
            Err(error) => return self.fail(key, error),
        };
        let tunnel = devices
            .vxlan
            .index
            .and_then(|vxlan| self.observed.tunnel_entry(vxlan, mac));
        if tunnel.is_none_or(|entry| entry.remotes.iter().ne([&remote])) {
            self.step(
                key,
                Op::Tunnel {
                    vxlan: devices.vxlan.name.clone(),
                    mac,
                    remote,
                },
            );
        }
        if !objects.local_macs.contains_key(&mac) {
            let place = Place {
                name: devices.vxlan.name.clone(),
                index: devices.vxlan.index,
                sticky: remote_mac.sticky,
            };
            self.plan_bridge_entry(devices, key, mac, place);
        }
    }

    fn plan_removed_remote_mac(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        mac: MacAddr,
    ) {
        let Device {
            name,
            index: Some(vxlan),
            ours,
        } = &devices.vxlan
        else {
            return;
        };
        if let Some(entry) = self.observed.tunnel_entry(*vxlan, mac)
            && self.may_remove(objects, key, *ours || entry.ext_learned)
        {
            for remote in entry.remotes.clone() {
                self.remove(
                    key,
                    Op::Untunnel {
                        vxlan: name.clone(),
                        mac,
                        remote,
                    },
                );
            }
        }
        if objects.local_macs.contains_key(&mac) {
            return;
        }
        if let Some(entry) = self.bridge_entry(devices, mac)
            && entry.port == *vxlan
            && !entry.local
            && self.may_remove(objects, key, entry.ext_learned)
        {
            self.remove(
                key,
                Op::Forget {
                    port: name.clone(),
                    mac,
                },
            );
        }
    }

    /// The MAC address in the bridge's FDB at its place, replaced in place if it is elsewhere.
    fn plan_bridge_entry(
        &mut self,
        devices: &Devices,
        key: &DesiredKey,
        mac: MacAddr,
        place: Place,
    ) {
        let Place {
            name: port,
            index,
            sticky,
        } = place;
        let entry = self.bridge_entry(devices, mac);
        if entry.is_some_and(|entry| entry.local) {
            return self.fail(
                key,
                intent_error(format!(
                    "MAC address {mac} is that of a device of bridge {}",
                    devices.bridge.name
                )),
            );
        }
        if entry.is_none_or(|entry| !entry.ext_learned || Some(entry.port) != index) {
            self.step(
                key,
                Op::Learn {
                    port: port.clone(),
                    mac,
                },
            );
        }
        let fixed = entry.map_or((false, false), |entry| (entry.fixed, entry.sticky));
        if fixed != (sticky, sticky) {
            self.step(key, Op::Fix { port, mac, sticky });
        }
    }

    pub(super) fn plan_flood(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        vtep: IpAddr,
    ) {
        let wanted = match objects.floods.get(&vtep) {
            None => None,
            Some(vni) => match remote(devices, vtep, *vni) {
                Ok(remote) => Some(remote),
                Err(error) => return self.fail(key, error),
            },
        };
        let vxlan = &devices.vxlan;
        let entry = vxlan
            .index
            .and_then(|index| self.observed.tunnel_entry(index, MacAddr::ZERO));
        let marked = vxlan.ours || entry.is_some_and(|entry| entry.ext_learned);
        let present: Vec<Remote> = entry
            .map(|entry| {
                entry
                    .remotes
                    .iter()
                    .filter(|remote| remote.dst == vtep)
                    .copied()
            })
            .into_iter()
            .flatten()
            .collect();
        if let Some(remote) = wanted
            && !present.contains(&remote)
        {
            self.step(
                key,
                Op::Flood {
                    vxlan: vxlan.name.clone(),
                    remote,
                },
            );
        }
        let may_remove = match wanted {
            // The same target under another VNI: every frame would arrive there twice.
            Some(_) => marked,
            None => self.may_remove(objects, key, marked),
        };
        for remote in present
            .into_iter()
            .filter(|remote| may_remove && Some(*remote) != wanted)
        {
            let vxlan = vxlan.name.clone();
            self.remove(
                key,
                Op::Untunnel {
                    vxlan,
                    mac: MacAddr::ZERO,
                    remote,
                },
            );
        }
    }

    pub(super) fn plan_neighbor(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        ip: IpAddr,
    ) {
        let Some(mac) = objects.neighbors.get(&ip) else {
            return self.plan_removed_neighbor(objects, devices, key, ip);
        };
        self.plan_bagpipe_neighbor(devices, key, ip);
        let device = devices.neighbor_device();
        let entry = device
            .index
            .and_then(|index| self.observed.neighbor(index, ip));
        match entry {
            Some(entry) if entry.mac == *mac && (entry.protocol == PROTOCOL || !device.ours) => {}
            Some(entry) if !device.ours && entry.protocol != PROTOCOL => {
                let message = format!(
                    "neighbour {ip} on {}: another program has a permanent entry with MAC \
                     address {} there, left alone",
                    device.name, entry.mac
                );
                self.fail(key, node_error(message));
            }
            _ => self.step(
                key,
                Op::Neighbor {
                    dev: device.name.clone(),
                    ip,
                    mac: *mac,
                },
            ),
        }
    }

    /// bagpipe-bgp has its entries on the VXLAN device. Ours is on the bridge and answers first.
    fn plan_bagpipe_neighbor(&mut self, devices: &Devices, key: &DesiredKey, ip: IpAddr) {
        let Device {
            name,
            index: Some(vxlan),
            ours: true,
        } = &devices.vxlan
        else {
            return;
        };
        if self.rules.prune && self.observed.neighbor(*vxlan, ip).is_some() {
            self.remove(
                key,
                Op::RemoveNeighbor {
                    dev: name.clone(),
                    ip,
                },
            );
        }
    }

    fn plan_removed_neighbor(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        ip: IpAddr,
    ) {
        for device in [&devices.bridge, &devices.vxlan] {
            let Some(entry) = device
                .index
                .and_then(|index| self.observed.neighbor(index, ip))
            else {
                continue;
            };
            // On the VXLAN device are those of bagpipe-bgp, without a mark.
            let of_device = device.ours && device.index == devices.vxlan.index;
            let marked = entry.protocol == PROTOCOL;
            if (marked || of_device) && self.may_remove(objects, key, true) {
                self.remove(
                    key,
                    Op::RemoveNeighbor {
                        dev: device.name.clone(),
                        ip,
                    },
                );
            }
        }
    }

    fn bridge_entry(&self, devices: &Devices, mac: MacAddr) -> Option<BridgeEntry> {
        let entry = self.observed.bridge_entry(devices.bridge.index?, mac)?;
        // The entry goes with the device behind it.
        let port = self.observed.link(entry.port);
        let leaves = |name| self.freed.contains(name) || self.moved.contains(name);
        port.is_none_or(|port| !leaves(&port.name)).then_some(entry)
    }
}

/// The destination in the FDB of the domain's VXLAN device.
fn remote(devices: &Devices, vtep: IpAddr, vni: Vni) -> Result<Remote, DataplaneError> {
    if vtep.is_ipv4() != devices.local.is_ipv4() {
        return Err(node_error(format!(
            "VTEP {vtep} cannot be reached from {}: the address families differ",
            devices.local
        )));
    }
    let vni = vni.value();
    Ok(Remote {
        dst: vtep,
        vni: (vni != devices.vni).then_some(vni),
    })
}
