//! What has to be done so that the kernel holds what is desired: a pure function.
//!
//! A plan is made for a [`Scope`], the domains and objects that news have come about, so its cost
//! is that of the change and not of the node. Within a domain devices come first, then what is in
//! them; removals come at the end, in reverse. Executing a plan and planning again gives none.
//!
//! What may be removed: objects that were desired in the life of this process and are no more, at
//! once; everything else that carries our mark only when `prune` is set, which is after every source
//! has synced. Marks: the alias of devices, `extern_learn` in FDBs, the protocol number of
//! neighbours. Everything in a VXLAN device of ours is ours, marked or not, since bagpipe-bgp
//! marked nothing and the kernel does not let the mark be added.

mod devices;
mod entries;
mod ports;
mod removal;

use std::collections::{BTreeMap, BTreeSet};

use chanter_engine::desired::{DataplaneError, DesiredKey, DomainId};

use self::devices::Devices;
use super::desired::{Desired, DomainObjects};
use super::observe::{DevName, Observed};
use super::op::{Op, Step};

/// The protocol number (`rtm_protocol`) that marks neighbour entries of ours. Not one of those in
/// iproute2's `rt_protos`.
pub(super) const PROTOCOL: u8 = 201;

/// What holds for all domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// The UDP port of VXLAN devices; 0: the kernel's default.
    pub(super) udp_port: u16,
    /// Whether marked objects that nobody wants may go.
    pub(super) prune: bool,
}

/// What to plan for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    domains: BTreeMap<DomainId, Part>,
    /// Whether to look for devices of instances that are not desired.
    orphans: bool,
}

/// What to plan for in a domain: its devices and these objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Part {
    keys: BTreeSet<DesiredKey>,
    /// And all that is desired or observed.
    whole: bool,
}

impl Part {
    fn keys_of(&self, id: DomainId, objects: &DomainObjects) -> BTreeSet<DesiredKey> {
        let mut keys = self.keys.clone();
        if self.whole {
            keys.append(&mut objects.keys(id));
        }
        keys
    }
}

impl Scope {
    #[cfg(test)]
    pub(super) fn everything(desired: &Desired) -> Scope {
        let mut scope = Scope::default();
        scope.add_everything(desired);
        scope
    }

    pub(super) fn add_everything(&mut self, desired: &Desired) {
        desired.domains().for_each(|(id, _)| self.add_domain(id));
        self.orphans = true;
    }

    pub(super) fn add_domain(&mut self, id: DomainId) {
        self.domains.entry(id).or_default().whole = true;
    }

    pub(super) fn add_orphans(&mut self) {
        self.orphans = true;
    }

    pub(super) fn add_key(&mut self, key: DesiredKey) {
        self.domains
            .entry(key.domain())
            .or_default()
            .keys
            .insert(key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty() && !self.orphans
    }
}

/// What to do, and what cannot be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Objects for which nothing can be done as things are.
    pub(super) failures: BTreeMap<DesiredKey, DataplaneError>,
    /// The objects that were looked at.
    pub(super) examined: BTreeSet<DesiredKey>,
    /// The devices in use by each domain that was looked at; `None`: it has none.
    pub(super) bindings: BTreeMap<DomainId, Option<Binding>>,
    /// What an operator should know, though nothing is done about it.
    pub(super) notes: BTreeSet<String>,
}

/// The devices of a domain that exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) bridge: Option<u32>,
    pub(super) vxlan: Option<u32>,
}

/// Plans for what is in `scope`.
pub(super) fn plan(desired: &Desired, observed: &Observed, scope: &Scope, rules: Rules) -> Plan {
    let mut planner = Planner {
        desired,
        observed,
        rules,
        taken: BTreeSet::new(),
        freed: BTreeSet::new(),
        orphaned: BTreeSet::new(),
        moved: BTreeSet::new(),
        teardown: Vec::new(),
        plan: Plan::default(),
    };
    for id in scope.domains.keys() {
        if let Some(domain) = desired
            .domain(*id)
            .and_then(|objects| objects.domain.as_ref())
        {
            planner.plan_misfits(&DesiredKey::Domain(*id), domain);
        }
    }
    for (id, part) in &scope.domains {
        planner.plan_domain(*id, part);
    }
    if scope.orphans {
        planner.plan_orphans();
    }
    let Planner {
        mut plan,
        mut teardown,
        freed,
        ..
    } = planner;
    // What moved from one domain to another, or made room already, is not removed again.
    let moved: BTreeSet<DevName> = plan.steps.iter().filter_map(attached).cloned().collect();
    teardown.retain(|step| match &step.op {
        Op::DeleteDevice { dev } => !freed.contains(dev),
        // What was known behind it is forgotten with the move, and what is known now stays.
        Op::Detach { port } | Op::Forget { port, .. } => !moved.contains(port),
        _ => true,
    });
    teardown.sort_by_key(|step| std::cmp::Reverse(step.op.teardown_rank()));
    plan.steps.append(&mut teardown);
    plan
}

fn attached(step: &Step) -> Option<&DevName> {
    match &step.op {
        Op::Attach { port, .. } => Some(port),
        _ => None,
    }
}

struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    rules: Rules,
    /// Names of devices that this plan creates.
    taken: BTreeSet<DevName>,
    /// Names of devices that this plan deletes before it creates others.
    freed: BTreeSet<DevName>,
    /// Names of devices that this plan deletes at its end.
    orphaned: BTreeSet<DevName>,
    /// Names of ports that this plan, as far as it goes by now, puts into another bridge: what the
    /// old one knew behind them is forgotten.
    moved: BTreeSet<DevName>,
    teardown: Vec<Step>,
    plan: Plan,
}

impl Planner<'_> {
    fn step(&mut self, key: &DesiredKey, op: Op) {
        self.plan.steps.push(Step {
            key: Some(key.clone()),
            op,
        });
    }

    fn remove(&mut self, key: &DesiredKey, op: Op) {
        self.teardown.push(Step {
            key: Some(key.clone()),
            op,
        });
    }

    fn fail(&mut self, key: &DesiredKey, error: DataplaneError) {
        self.plan.failures.insert(key.clone(), error);
    }

    fn plan_domain(&mut self, id: DomainId, part: &Part) {
        let Some(objects) = self.desired.domain(id) else {
            self.plan.examined.extend(part.keys.iter().cloned());
            return;
        };
        let Some(domain) = &objects.domain else {
            self.plan_removed_domain(id, objects, part);
            return;
        };
        if part.whole {
            self.plan_left_bridges(objects);
        }
        let key = DesiredKey::Domain(id);
        let devices = match self.plan_devices(&key, domain) {
            Ok(devices) => devices,
            Err(error) => {
                self.plan_nothing(id, objects, part, error);
                return;
            }
        };
        let binding = Binding {
            bridge: devices.bridge.index,
            vxlan: devices.vxlan.index,
        };
        self.plan.bindings.insert(id, Some(binding));
        self.plan.examined.insert(key);
        if part.whole {
            self.plan_unused_bridge(domain);
        }
        let mut keys = part.keys_of(id, objects);
        if part.whole && self.rules.prune {
            self.add_observed_keys(id, &devices, &mut keys);
        }
        for key in keys {
            self.plan_object(objects, &devices, &key);
            self.plan.examined.insert(key);
        }
    }

    fn plan_object(&mut self, objects: &DomainObjects, devices: &Devices, key: &DesiredKey) {
        match key {
            DesiredKey::Domain(_) => {}
            DesiredKey::Port(_, port) => self.plan_port(objects, devices, key, port),
            DesiredKey::LocalMac(_, mac) => self.plan_local_mac(objects, devices, key, *mac),
            DesiredKey::Flood(_, vtep) => self.plan_flood(objects, devices, key, *vtep),
            DesiredKey::RemoteMac(_, mac) => self.plan_remote_mac(objects, devices, key, *mac),
            DesiredKey::Neighbor(_, ip) => self.plan_neighbor(objects, devices, key, *ip),
        }
    }

    /// Nothing can be done in a domain that has no devices: each object says why.
    fn plan_nothing(
        &mut self,
        id: DomainId,
        objects: &DomainObjects,
        part: &Part,
        error: DataplaneError,
    ) {
        self.plan.bindings.insert(id, None);
        let keys = part.keys_of(id, objects);
        for key in keys {
            if objects.wants(&key) {
                self.fail(&key, error.clone());
            }
            self.plan.examined.insert(key);
        }
        self.fail(&DesiredKey::Domain(id), error);
        self.plan.examined.insert(DesiredKey::Domain(id));
    }

    /// Whether an object that is not desired may be taken out of the kernel: it was desired
    /// before, or it is marked as ours and pruning is allowed.
    fn may_remove(&self, objects: &DomainObjects, key: &DesiredKey, marked: bool) -> bool {
        objects.gone.contains(key) || (marked && self.rules.prune)
    }
}

/// An error that another intent, or another state of the node, would mend.
fn intent_error(message: String) -> DataplaneError {
    DataplaneError {
        message,
        caused_by_intent: true,
    }
}

/// An error of the node.
fn node_error(message: String) -> DataplaneError {
    DataplaneError {
        message,
        caused_by_intent: false,
    }
}
