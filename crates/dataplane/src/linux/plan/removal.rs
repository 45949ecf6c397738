//! Leftovers: what is observed and not desired.

use std::collections::BTreeSet;

use chanter_engine::desired::{DesiredKey, Domain, DomainId};
use chanter_intent::PortName;
use chanter_types::MacAddr;

use super::devices::{Device, Devices};
use super::{PROTOCOL, Part, Planner};
use crate::linux::desired::DomainObjects;
use crate::linux::names;
use crate::linux::observe::{DevName, Link, LinkKind, Remote};
use crate::linux::op::{Op, Step};

impl Planner<'_> {
    /// The keys of what the kernel holds of a domain that is marked as ours.
    pub(super) fn add_observed_keys(
        &self,
        id: DomainId,
        devices: &Devices,
        keys: &mut BTreeSet<DesiredKey>,
    ) {
        let vxlan = devices.vxlan.index;
        if let Some(bridge) = devices.bridge.index {
            let entries = self.observed.bridge_entries(bridge);
            for (mac, entry) in entries.filter(|(_, entry)| entry.ext_learned) {
                if Some(entry.port) == vxlan {
                    keys.insert(DesiredKey::RemoteMac(id, mac));
                } else if entry.sticky {
                    keys.insert(DesiredKey::LocalMac(id, mac));
                    keys.extend(self.port_key(id, entry.port));
                }
            }
        }
        if let Some(vxlan) = vxlan {
            for (mac, entry) in self.observed.tunnel_entries(vxlan) {
                if mac == MacAddr::ZERO {
                    let targets = entry.remotes.iter();
                    keys.extend(targets.map(|remote| DesiredKey::Flood(id, remote.dst)));
                } else {
                    keys.insert(DesiredKey::RemoteMac(id, mac));
                }
            }
        }
        for device in [&devices.bridge, &devices.vxlan] {
            let Device {
                index: Some(index),
                ours,
                ..
            } = device
            else {
                continue;
            };
            let all = *ours && Some(*index) == vxlan;
            let entries = self.observed.neighbors(*index);
            let ours = entries.filter(|(_, entry)| all || entry.protocol == PROTOCOL);
            keys.extend(ours.map(|(ip, _)| DesiredKey::Neighbor(id, ip)));
        }
    }

    fn port_key(&self, id: DomainId, port: u32) -> Option<DesiredKey> {
        let link = self
            .observed
            .link(port)
            .filter(|link| link.kind == LinkKind::Other)?;
        Some(DesiredKey::Port(id, PortName::new(&link.name)))
    }

    /// A domain that is no longer desired. Devices of ours go whole, as orphans; what is ours in
    /// devices of others goes one by one.
    pub(super) fn plan_removed_domain(
        &mut self,
        id: DomainId,
        objects: &DomainObjects,
        part: &Part,
    ) {
        self.plan.bindings.insert(id, None);
        let keys = part.keys_of(id, objects);
        if objects.gone.contains(&DesiredKey::Domain(id)) {
            self.plan.examined.insert(DesiredKey::Domain(id));
            self.plan_retired(id);
        }
        let devices = objects.last.as_ref().and_then(|domain| {
            let bridge = self.given_bridge(domain.bridge.as_ref()?).ok()?;
            let vxlan = match self.given_vxlan(&bridge, domain) {
                Some((link, settings)) => {
                    let device = Device {
                        name: link.name.clone(),
                        index: Some(link.index),
                        ours: false,
                    };
                    (device, settings.proxy)
                }
                None => (
                    Device {
                        name: "".into(),
                        index: None,
                        ours: true,
                    },
                    false,
                ),
            };
            Some(Devices {
                bridge,
                vxlan: vxlan.0,
                vni: domain.vni.value(),
                local: domain.vtep,
                vxlan_answers: vxlan.1,
            })
        });
        for key in keys {
            // Objects that are desired without their domain wait for it.
            if !objects.wants(&key) {
                if let Some(devices) = &devices {
                    self.plan_object(objects, devices, &key);
                }
                self.plan.examined.insert(key);
            }
        }
    }

    /// What is ours in bridges of others that the domain has left. Of the VXLAN device there, too,
    /// if it is shared: one of ours has gone with the domain.
    pub(super) fn plan_left_bridges(&mut self, objects: &DomainObjects) {
        for (name, domain) in &objects.left {
            let used = self.desired.domains().any(|(_, other)| {
                other.domain.as_ref().and_then(|used| used.bridge.as_ref()) == Some(name)
            });
            let Ok(bridge) = self.given_bridge(name) else {
                continue;
            };
            if used {
                continue;
            }
            let shared = self.given_vxlan(&bridge, domain).map(|(link, _)| link);
            if let Some(index) = bridge.index {
                self.plan_left_macs(index, shared.map(|link| link.index));
                self.plan_left_neighbors(index, bridge.name);
            }
            if let Some(link) = shared {
                self.plan_left_tunnels(objects, link);
                self.plan_left_neighbors(link.index, link.name.clone());
            }
        }
    }

    fn plan_left_macs(&mut self, bridge: u32, shared: Option<u32>) {
        for (mac, entry) in self.observed.bridge_entries(bridge) {
            let ours = entry.ext_learned && (entry.sticky || Some(entry.port) == shared);
            if let Some(port) = self.observed.link(entry.port).filter(|_| ours) {
                let port = port.name.clone();
                self.remove_marked(Op::Forget { port, mac });
            }
        }
    }

    fn plan_left_neighbors(&mut self, index: u32, dev: DevName) {
        for (ip, entry) in self.observed.neighbors(index) {
            if entry.protocol == PROTOCOL {
                let dev = dev.clone();
                self.remove_marked(Op::RemoveNeighbor { dev, ip });
            }
        }
    }

    fn plan_left_tunnels(&mut self, objects: &DomainObjects, link: &Link) {
        for (mac, entry) in self.observed.tunnel_entries(link.index) {
            // The mark of flooding targets is that of whoever put the first one there.
            let ours = |remote: &&Remote| match mac {
                MacAddr::ZERO => objects.floods.contains_key(&remote.dst),
                _ => entry.ext_learned,
            };
            for remote in entry.remotes.iter().filter(ours).copied() {
                let vxlan = link.name.clone();
                self.remove_marked(Op::Untunnel { vxlan, mac, remote });
            }
        }
    }

    /// Removes what is known by its mark alone.
    fn remove_marked(&mut self, op: Op) {
        self.teardown.push(Step { key: None, op });
    }

    /// Devices of all instances that are not desired.
    pub(super) fn plan_orphans(&mut self) {
        let orphans: Vec<&Link> = self
            .observed
            .links()
            .filter(|link| self.is_removable_orphan(link))
            .collect();
        self.delete_devices(orphans);
    }

    /// Devices of the instances that a domain had.
    fn plan_retired(&mut self, id: DomainId) {
        let tags = self.desired.retired_tags(id);
        let links: Vec<&Link> = tags
            .flat_map(|tag| self.observed.by_alias(tag))
            .filter(|link| self.is_removable_orphan(link))
            .collect();
        self.delete_devices(links);
    }

    /// The bridge of its own that a domain had before it was given one.
    pub(super) fn plan_unused_bridge(&mut self, domain: &Domain) {
        let tag = names::tag(&domain.instance);
        let links = self.observed.by_alias(&tag);
        let unused = links.filter(|link| self.is_removable_orphan(link));
        self.delete_devices(unused.collect());
    }

    /// VXLAN devices go before bridges.
    fn delete_devices(&mut self, links: Vec<&Link>) {
        let (bridges, others): (Vec<&Link>, Vec<&Link>) = links
            .into_iter()
            .partition(|link| matches!(link.kind, LinkKind::Bridge(_)));
        for link in others.into_iter().chain(bridges) {
            if self.orphaned.insert(link.name.clone()) {
                let key = self.retired_domain(link).map(DesiredKey::Domain);
                self.teardown.push(Step {
                    key,
                    op: Op::DeleteDevice {
                        dev: link.name.clone(),
                    },
                });
            }
        }
    }

    /// Whether a device carries the tag of an instance that is not desired, or no longer uses it,
    /// and may be removed.
    pub(super) fn is_removable_orphan(&self, link: &Link) -> bool {
        let Some(tag) = link.alias.as_deref().filter(|alias| names::is_tag(alias)) else {
            return false;
        };
        let user = self
            .desired
            .by_tag(tag)
            .and_then(|id| self.desired.domain(id)?.domain.as_ref());
        match (link.kind, user) {
            (LinkKind::Other, _) => false,
            // Moved to a given bridge, its own is of no use any more.
            (LinkKind::Bridge(_), Some(domain)) => domain.bridge.is_some(),
            (LinkKind::Vxlan(_), Some(_)) => false,
            (_, None) => self.rules.prune || self.retired_domain(link).is_some(),
        }
    }

    fn retired_domain(&self, link: &Link) -> Option<DomainId> {
        self.desired.retired(link.alias.as_deref()?)
    }
}
