//! VPN import and export: a pipe between the table of all EVPN routes and the MAC-VRFs of this node.
//!
//! A route enters the MAC-VRFs that import one of its route targets, found by an index; whatever a
//! MAC-VRF originates is handed to the RIB. Sessions know nothing of instances.

mod allocate;
mod mac_vrf;
mod originate;
mod remote;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_bgp::{Attributes, EvpnNlri, PathData};
use chanter_intent::{InstanceId, VpnInstance, VpnKind};
use chanter_types::{Instant, RouteDistinguisher, RouteTarget, Vni};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use crate::desired::DomainId;

pub(crate) use allocate::{number as allocate_number, vni as allocate_vni};
pub(crate) use mac_vrf::{MacEntry, MacVrf, Place, Surroundings};
pub(crate) use originate::{advertised, membership};
pub(crate) use remote::{RemoteMac, read};

/// Instance numbers in ascending order.
type Numbers = SmallVec<[u32; 2]>;

/// The numbers under which an instance works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) number: u32,
    pub(crate) rd: RouteDistinguisher,
    pub(crate) vni: Vni,
}

/// All VPN instances of this node.
#[derive(Debug, Default)]
pub(crate) struct Vpn {
    instances: BTreeMap<u32, MacVrf>,
    by_id: BTreeMap<InstanceId, u32>,
    /// The instances that import a route target.
    importers: BTreeMap<RouteTarget, BTreeSet<u32>>,
    /// The instances that hold a route. Only looked up, never walked: its order cannot show.
    holders: HashMap<EvpnNlri, Numbers, FxBuildHasher>,
    dirty: BTreeSet<u32>,
}

/// How the set of imported route targets of the node changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetChange {
    /// The instance that imports others.
    pub(crate) number: u32,
    /// Route targets whose routes are to be imported anew.
    pub(crate) touched: BTreeSet<RouteTarget>,
    /// Route targets that no instance imported before.
    pub(crate) gained: BTreeSet<RouteTarget>,
    /// Route targets that no instance imports any more.
    pub(crate) lost: BTreeSet<RouteTarget>,
}

impl Vpn {
    pub(crate) fn len(&self) -> usize {
        self.instances.len()
    }

    pub(crate) fn number_of(&self, id: &InstanceId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&MacVrf> {
        self.instances.get(&number)
    }

    pub(crate) fn by_id(&self, id: &InstanceId) -> Option<&MacVrf> {
        self.get(self.number_of(id)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &MacVrf> {
        // By name, as people look for them.
        self.by_id
            .values()
            .filter_map(|number| self.instances.get(number))
    }

    /// The instance, to be changed: what it marks is settled later.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut MacVrf> {
        let instance = self.instances.get_mut(&number)?;
        self.dirty.insert(number);
        Some(instance)
    }

    /// An instance with something to compute anew.
    pub(crate) fn pop_dirty(&mut self) -> Option<&mut MacVrf> {
        while let Some(number) = self.dirty.pop_first() {
            if self.instances.get(&number).is_some_and(MacVrf::is_dirty) {
                return self.instances.get_mut(&number);
            }
        }
        None
    }

    /// The instances that hold a route, usable or not.
    pub(crate) fn holders(&self, nlri: &EvpnNlri) -> impl Iterator<Item = &MacVrf> {
        let numbers = self.holders.get(nlri).into_iter().flatten();
        numbers.filter_map(|number| self.instances.get(number))
    }

    /// Creates an instance.
    pub(crate) fn add(
        &mut self,
        declared: &VpnInstance,
        identity: Identity,
        now: Instant,
    ) -> TargetChange {
        let Identity { number, rd, vni } = identity;
        let instance = MacVrf::new(declared, DomainId(number), rd, vni, now);
        self.by_id.insert(declared.id.clone(), number);
        self.instances.insert(number, instance);
        self.dirty.insert(number);
        self.set_import(number, &BTreeSet::new(), &declared.import)
    }

    /// Changes an instance in place.
    pub(crate) fn change(&mut self, declared: &VpnInstance, identity: Identity) -> TargetChange {
        let Identity { number, rd, vni } = identity;
        let Some(instance) = self.instances.get_mut(&number) else {
            return TargetChange::default();
        };
        let VpnKind::MacVrf(kind) = &declared.kind;
        instance.rd = rd;
        instance.vni = vni;
        instance.bridge.clone_from(&kind.bridge);
        instance.export.clone_from(&declared.export);
        instance.dirty.domain = true;
        instance.dirty.routes = true;
        let old = std::mem::replace(&mut instance.import, declared.import.clone());
        self.dirty.insert(number);
        self.set_import(number, &old, &declared.import)
    }

    /// Takes an instance out.
    pub(crate) fn remove(&mut self, id: &InstanceId) -> Option<(MacVrf, TargetChange)> {
        let number = self.by_id.remove(id)?;
        let instance = self.instances.remove(&number)?;
        self.dirty.remove(&number);
        let change = self.set_import(number, &instance.import, &BTreeSet::new());
        Some((instance, change))
    }

    fn set_import(
        &mut self,
        number: u32,
        old: &BTreeSet<RouteTarget>,
        new: &BTreeSet<RouteTarget>,
    ) -> TargetChange {
        let mut change = TargetChange {
            number,
            ..TargetChange::default()
        };
        for rt in new.difference(old) {
            let importers = self.importers.entry(*rt).or_default();
            if importers.is_empty() {
                change.gained.insert(*rt);
            }
            importers.insert(number);
            change.touched.insert(*rt);
        }
        for rt in old.difference(new) {
            if let Some(importers) = self.importers.get_mut(rt) {
                importers.remove(&number);
                if importers.is_empty() {
                    self.importers.remove(rt);
                    change.lost.insert(*rt);
                }
            }
            change.touched.insert(*rt);
        }
        change
    }

    /// Brings a route to the instances that import it, and away from those that no longer do.
    /// `path` is the best path that a peer has given, if any. If it is as it was and one instance
    /// imports other route targets, that is `only`: to the others the route says nothing new.
    pub(crate) fn import(
        &mut self,
        nlri: &EvpnNlri,
        path: Option<(PathData, &Attributes)>,
        own_vtep: IpAddr,
        only: Option<u32>,
    ) {
        let mut numbers = Numbers::new();
        if let Some((_, attributes)) = path {
            for rt in attributes.route_targets() {
                numbers.extend(self.importers.get(&rt).into_iter().flatten().copied());
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let old = match (numbers.is_empty(), self.holders.get(nlri)) {
            (true, None) => return,
            (true, Some(_)) => self.holders.remove(nlri),
            (false, Some(old)) if *old == numbers => None,
            (false, _) => self.holders.insert(nlri.clone(), numbers.clone()),
        };
        if let Some((data, attributes)) = path.filter(|_| !numbers.is_empty()) {
            let read = read(nlri, data, attributes, own_vtep);
            let concerned = numbers
                .iter()
                .filter(|number| only.is_none_or(|only| only == **number));
            for number in concerned {
                if let Some(instance) = self.get_mut(*number) {
                    instance.import(nlri, read.clone());
                }
            }
        }
        for number in old.unwrap_or_default() {
            if numbers.binary_search(&number).is_err()
                && let Some(instance) = self.get_mut(number)
            {
                instance.unimport(nlri);
            }
        }
    }
}
