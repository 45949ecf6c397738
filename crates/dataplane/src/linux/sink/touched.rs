//! Which objects a change in the kernel concerns.

use std::collections::btree_map::Entry;

use chanter_engine::desired::DesiredKey;
use chanter_intent::PortName;

use super::Sink;
use crate::linux::names;
use crate::linux::observe::{Changed, Link, LinkKind};
use crate::linux::plan::{Binding, Plan};

impl Sink {
    /// Remembers which devices the domains use.
    pub(super) fn bind(&mut self, plan: &Plan) {
        for (id, binding) in &plan.bindings {
            let old = self.bindings.get(id).copied();
            if old == *binding {
                continue;
            }
            for index in devices(old) {
                if let Entry::Occupied(mut users) = self.users.entry(index) {
                    users.get_mut().remove(id);
                    if users.get().is_empty() {
                        users.remove();
                    }
                }
            }
            for index in devices(*binding) {
                self.users.entry(index).or_default().insert(*id);
            }
            match binding {
                Some(binding) => drop(self.bindings.insert(*id, *binding)),
                None => drop(self.bindings.remove(id)),
            }
        }
    }

    /// Puts what a change concerns on the list of what has to be looked at.
    pub(super) fn touch(&mut self, changed: Changed) {
        match changed {
            Changed::Mac { dev, mac } => {
                for id in self.users.get(&dev).into_iter().flatten() {
                    self.scope.add_key(DesiredKey::LocalMac(*id, mac));
                    self.scope.add_key(DesiredKey::RemoteMac(*id, mac));
                }
            }
            Changed::Flood { vxlan, dst } => {
                for id in self.users.get(&vxlan).into_iter().flatten() {
                    self.scope.add_key(DesiredKey::Flood(*id, dst));
                }
            }
            Changed::Neighbor { dev, ip } => {
                for id in self.users.get(&dev).into_iter().flatten() {
                    self.scope.add_key(DesiredKey::Neighbor(*id, ip));
                }
            }
            Changed::Link { old, new } => {
                self.touch_domains(old.as_deref(), new.as_deref());
                for link in [&old, &new].into_iter().flatten() {
                    self.touch_port(&PortName::new(&link.name));
                }
                if let Some(new) = new.filter(|new| old.is_some_and(|old| old.alias != new.alias)) {
                    self.touch_ports_of(new.index);
                }
            }
        }
    }

    fn touch_domains(&mut self, old: Option<&Link>, new: Option<&Link>) {
        // What is in a device is lost with it, and what is behind a port when it leaves.
        let lost = match (old, new) {
            (Some(old), Some(new)) => old.master != new.master,
            _ => true,
        };
        for link in [old, new].into_iter().flatten() {
            for id in self.users.get(&link.index).into_iter().flatten() {
                if lost {
                    self.scope.add_domain(*id);
                } else {
                    self.scope.add_key(DesiredKey::Domain(*id));
                }
            }
            if let Some(tag) = link.alias.as_deref().filter(|alias| names::is_tag(alias)) {
                match self.desired.by_tag(tag) {
                    Some(id) => self.scope.add_key(DesiredKey::Domain(id)),
                    None => self.scope.add_orphans(),
                }
            }
        }
        let [old, new] = [old, new].map(|link| link.filter(|link| is_domain_device(link)));
        if old.is_some() || new.is_some() {
            self.touch_blocked();
        }
    }

    /// Domains that could not be made: a name, a VNI or a given bridge may be there now.
    fn touch_blocked(&mut self) {
        for id in &self.failed {
            let wanted = self
                .desired
                .domain(*id)
                .is_some_and(|objects| objects.domain.is_some());
            if wanted && self.holds.held(&DesiredKey::Domain(*id)).is_none() {
                self.scope.add_domain(*id);
            }
        }
    }

    /// The bridge is ours now: ports in it may be wanted elsewhere.
    fn touch_ports_of(&mut self, bridge: u32) {
        let ports = self.observed.ports(bridge);
        let ports: Vec<PortName> = ports.map(|port| PortName::new(&port.name)).collect();
        for port in ports {
            self.touch_port(&port);
        }
    }

    fn touch_port(&mut self, port: &PortName) {
        for id in self.desired.by_port(port) {
            self.scope.add_key(DesiredKey::Port(id, port.clone()));
            let Some(objects) = self.desired.domain(id) else {
                continue;
            };
            let macs = objects.local_macs.iter().filter(|(_, at)| *at == port);
            for (mac, _) in macs {
                self.scope.add_key(DesiredKey::LocalMac(id, *mac));
            }
        }
    }
}

fn devices(binding: Option<Binding>) -> impl Iterator<Item = u32> {
    binding
        .into_iter()
        .flat_map(|binding| binding.bridge.into_iter().chain(binding.vxlan))
}

fn is_domain_device(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Bridge(_) | LinkKind::Vxlan(_))
}
