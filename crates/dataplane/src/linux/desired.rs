//! The desired objects by bridge domain, and which of them were taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_engine::desired::{DesiredChange, DesiredKey, DesiredValue, Domain, DomainId};
use chanter_intent::PortName;
use chanter_types::{IfName, MacAddr, Vni};

use super::names;

/// Where a remote MAC address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RemoteMac {
    pub(super) vtep: IpAddr,
    pub(super) vni: Vni,
    pub(super) sticky: bool,
}

/// All that is desired of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DomainObjects {
    /// The domain itself.
    pub(super) domain: Option<Domain>,
    /// What the domain was when it was last desired; its entries are in the devices of that.
    pub(super) last: Option<Domain>,
    /// Given bridges that the domain was in and is in no more, with what it was then: its entries
    /// stay in them when the devices go elsewhere.
    pub(super) left: BTreeMap<IfName, Domain>,
    pub(super) ports: BTreeMap<PortName, Option<u16>>,
    pub(super) local_macs: BTreeMap<MacAddr, PortName>,
    pub(super) floods: BTreeMap<IpAddr, Vni>,
    pub(super) remote_macs: BTreeMap<MacAddr, RemoteMac>,
    pub(super) neighbors: BTreeMap<IpAddr, MacAddr>,
    /// Objects that were desired in the life of this process and are no more: they go at once,
    /// prune or not, and leave this set when they are gone.
    pub(super) gone: BTreeSet<DesiredKey>,
}

impl DomainObjects {
    /// All keys, desired or gone, in the order in which objects are built.
    pub(super) fn keys(&self, id: DomainId) -> BTreeSet<DesiredKey> {
        let domain = self.domain.iter().map(|_| DesiredKey::Domain(id));
        let ports = self
            .ports
            .keys()
            .map(|port| DesiredKey::Port(id, port.clone()));
        let local = self
            .local_macs
            .keys()
            .map(|mac| DesiredKey::LocalMac(id, *mac));
        let floods = self.floods.keys().map(|vtep| DesiredKey::Flood(id, *vtep));
        let remote = self
            .remote_macs
            .keys()
            .map(|mac| DesiredKey::RemoteMac(id, *mac));
        let neighbors = self
            .neighbors
            .keys()
            .map(|ip| DesiredKey::Neighbor(id, *ip));
        domain
            .chain(ports)
            .chain(local)
            .chain(floods)
            .chain(remote)
            .chain(neighbors)
            .chain(self.gone.iter().cloned())
            .collect()
    }

    /// Whether the object is desired.
    pub(super) fn wants(&self, key: &DesiredKey) -> bool {
        match key {
            DesiredKey::Domain(_) => self.domain.is_some(),
            DesiredKey::Port(_, port) => self.ports.contains_key(port),
            DesiredKey::LocalMac(_, mac) => self.local_macs.contains_key(mac),
            DesiredKey::Flood(_, vtep) => self.floods.contains_key(vtep),
            DesiredKey::RemoteMac(_, mac) => self.remote_macs.contains_key(mac),
            DesiredKey::Neighbor(_, ip) => self.neighbors.contains_key(ip),
        }
    }

    fn is_empty(&self) -> bool {
        self.domain.is_none()
            && self.ports.is_empty()
            && self.local_macs.is_empty()
            && self.floods.is_empty()
            && self.remote_macs.is_empty()
            && self.neighbors.is_empty()
            && self.gone.is_empty()
    }
}

/// All that is desired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Desired {
    domains: BTreeMap<DomainId, DomainObjects>,
    /// By the tag of the instance, which is what devices carry.
    by_tag: BTreeMap<String, DomainId>,
    by_port: BTreeMap<PortName, BTreeSet<DomainId>>,
    /// Tags of instances that were desired in the life of this process and are no more, with the
    /// domain that they had.
    retired: BTreeMap<String, DomainId>,
}

impl Desired {
    pub(super) fn domains(&self) -> impl Iterator<Item = (DomainId, &DomainObjects)> {
        self.domains.iter().map(|(id, objects)| (*id, objects))
    }

    pub(super) fn domain(&self, id: DomainId) -> Option<&DomainObjects> {
        self.domains.get(&id)
    }

    /// The domain whose devices carry this tag.
    pub(super) fn by_tag(&self, tag: &str) -> Option<DomainId> {
        self.by_tag.get(tag).copied()
    }

    /// The domains that want a port, normally one.
    pub(super) fn by_port(&self, port: &PortName) -> impl Iterator<Item = DomainId> {
        self.by_port.get(port).into_iter().flatten().copied()
    }

    /// The domain whose devices carried this tag, if it was taken back.
    pub(super) fn retired(&self, tag: &str) -> Option<DomainId> {
        self.retired.get(tag).copied()
    }

    /// Tags of devices that a domain has no more use for.
    pub(super) fn retired_tags(&self, id: DomainId) -> impl Iterator<Item = &str> {
        self.retired
            .iter()
            .filter(move |(_, domain)| **domain == id)
            .map(|(tag, _)| tag.as_str())
    }

    /// Takes in one change. A value of another variant than its key counts as none.
    pub(super) fn apply(&mut self, change: DesiredChange) {
        let DesiredChange { key, value, .. } = change;
        if let DesiredKey::Domain(id) = key {
            let domain = match value {
                Some(DesiredValue::Domain(domain)) => Some(domain),
                _ => None,
            };
            return self.apply_domain(id, domain);
        }
        self.apply_to_indexes(&key, value.is_some());
        let objects = self.domains.entry(key.domain()).or_default();
        let existed = objects.wants(&key);
        let exists = match (&key, value) {
            (DesiredKey::Port(_, port), Some(DesiredValue::Port { vlan })) => {
                put(&mut objects.ports, port, vlan)
            }
            (DesiredKey::LocalMac(_, mac), Some(DesiredValue::LocalMac { port })) => {
                put(&mut objects.local_macs, mac, port)
            }
            (DesiredKey::Flood(_, vtep), Some(DesiredValue::Flood { vni })) => {
                put(&mut objects.floods, vtep, vni)
            }
            (
                DesiredKey::RemoteMac(_, mac),
                Some(DesiredValue::RemoteMac { vtep, vni, sticky }),
            ) => put(
                &mut objects.remote_macs,
                mac,
                RemoteMac { vtep, vni, sticky },
            ),
            (DesiredKey::Neighbor(_, ip), Some(DesiredValue::Neighbor { mac })) => {
                put(&mut objects.neighbors, ip, mac)
            }
            (key, _) => {
                take(objects, key);
                false
            }
        };
        if exists {
            objects.gone.remove(&key);
        } else if existed {
            objects.gone.insert(key);
        }
    }

    /// The object that was taken back is gone from the kernel: nothing is left to remember.
    pub(super) fn forget(&mut self, key: &DesiredKey) {
        let id = key.domain();
        if let Some(objects) = self.domains.get_mut(&id) {
            objects.gone.remove(key);
            if objects.is_empty() {
                self.domains.remove(&id);
            }
        }
        if let DesiredKey::Domain(id) = key {
            self.retired.retain(|_, domain| domain != id);
        }
    }

    fn apply_domain(&mut self, id: DomainId, domain: Option<Domain>) {
        let objects = self.domains.entry(id).or_default();
        let old = std::mem::replace(&mut objects.domain, domain.clone());
        if let (Some(old), Some(new)) = (&old, &domain)
            && let Some(bridge) = &old.bridge
            && old.bridge != new.bridge
        {
            objects.left.insert(bridge.clone(), old.clone());
        }
        if let Some(bridge) = domain.as_ref().and_then(|domain| domain.bridge.as_ref()) {
            objects.left.remove(bridge);
        }
        if let Some(old) = old
            && domain
                .as_ref()
                .is_none_or(|domain| domain.instance != old.instance)
        {
            let tag = names::tag(&old.instance);
            self.by_tag.remove(&tag);
            self.retired.insert(tag, id);
            objects.last = Some(old);
        }
        match domain {
            Some(domain) => {
                let tag = names::tag(&domain.instance);
                self.retired.remove(&tag);
                self.by_tag.insert(tag, id);
                objects.last = Some(domain);
                objects.gone.remove(&DesiredKey::Domain(id));
            }
            None => {
                objects.gone.insert(DesiredKey::Domain(id));
            }
        }
    }

    fn apply_to_indexes(&mut self, key: &DesiredKey, wanted: bool) {
        let DesiredKey::Port(id, port) = key else {
            return;
        };
        let domains = self.by_port.entry(port.clone()).or_default();
        if wanted {
            domains.insert(*id);
        } else {
            domains.remove(id);
            if domains.is_empty() {
                self.by_port.remove(port);
            }
        }
    }
}

fn put<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, value: V) -> bool {
    map.insert(key.clone(), value);
    true
}

fn take(objects: &mut DomainObjects, key: &DesiredKey) {
    match key {
        DesiredKey::Domain(_) => objects.domain = None,
        DesiredKey::Port(_, port) => drop(objects.ports.remove(port)),
        DesiredKey::LocalMac(_, mac) => drop(objects.local_macs.remove(mac)),
        DesiredKey::Flood(_, vtep) => drop(objects.floods.remove(vtep)),
        DesiredKey::RemoteMac(_, mac) => drop(objects.remote_macs.remove(mac)),
        DesiredKey::Neighbor(_, ip) => drop(objects.neighbors.remove(ip)),
    }
}
