//! What objects in force hold: things of which there is one, and which instance or MAC has it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use chanter_types::{MacAddr, RouteDistinguisher, Vni};

use crate::{
    Attachment, AttachmentKey, InstanceId, Object, ObjectKey, Port, PortName, Rejection,
    VpnInstance, VpnKind, rules,
};

/// VPN instances of one node: their numbers are the last two octets of route distinguishers
/// (RFC 4364 section 4.2, type 1), and 0 is not given out.
const INSTANCES_MAX: usize = 65_535;

/// Something that may stand in the way of an object: it is looked at again when this changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    /// The declaration of an instance.
    Instance(InstanceId),
    /// Room for one more instance.
    InstanceCount,
    /// A VXLAN network identifier.
    Vni(Vni),
    /// A route distinguisher.
    Rd(RouteDistinguisher),
    /// The port of a MAC address.
    Mac(InstanceId, MacAddr),
    /// The MAC address of an IP address.
    Ip(InstanceId, IpAddr),
    /// A port.
    Port(PortName),
}

/// Why an object cannot be in force, and what would have to change; nothing, if the object itself
/// is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) rejection: Rejection,
    pub(crate) resource: Option<Resource>,
}

impl Obstacle {
    fn new(field: &'static str, resource: Resource, reason: String) -> Self {
        let rejection = Rejection::new(field, reason);
        Obstacle {
            rejection,
            resource: Some(resource),
        }
    }
}

impl From<Rejection> for Obstacle {
    fn from(rejection: Rejection) -> Self {
        Obstacle {
            rejection,
            resource: None,
        }
    }
}

/// The objects in force, indexed by what they hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct InForce {
    /// Why this node hosts no instances at all, if so.
    pub(crate) no_instances: Option<&'static str>,
    instances: BTreeMap<InstanceId, Arc<Object>>,
    attachments: BTreeMap<AttachmentKey, Arc<Object>>,
    numbers: BTreeMap<InstanceId, Numbers>,
    vnis: BTreeMap<Vni, InstanceId>,
    rds: BTreeMap<RouteDistinguisher, InstanceId>,
    ips: BTreeMap<(InstanceId, IpAddr), BTreeSet<MacAddr>>,
    ports: BTreeMap<PortName, BTreeMap<PortUse, BTreeSet<AttachmentKey>>>,
}

/// The instance that a port is part of, with the VLAN there.
type PortUse = (InstanceId, Option<u16>);

/// The numbers that an instance has, declared or allocated.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    vni: Option<Vni>,
    rd: Option<RouteDistinguisher>,
}

impl InForce {
    pub(crate) fn instance(&self, id: &InstanceId) -> Option<&VpnInstance> {
        match self.instances.get(id).map(Arc::as_ref) {
            Some(Object::Instance(instance)) => Some(instance),
            _ => None,
        }
    }

    pub(crate) fn attachment(&self, key: &AttachmentKey) -> Option<&Attachment> {
        match self.attachments.get(key).map(Arc::as_ref) {
            Some(Object::Attachment(attachment)) => Some(attachment),
            _ => None,
        }
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = &VpnInstance> {
        self.instances
            .values()
            .filter_map(|object| match object.as_ref() {
                Object::Instance(instance) => Some(instance),
                Object::Attachment(_) => None,
            })
    }

    /// The attachments in force of one instance, or of one MAC in it.
    pub(crate) fn attachments_of(
        &self,
        instance: &InstanceId,
        mac: Option<MacAddr>,
    ) -> impl Iterator<Item = &Attachment> {
        let first = AttachmentKey {
            instance: instance.clone(),
            mac: mac.unwrap_or(MacAddr::ZERO),
            ip: None,
        };
        let instance = instance.clone();
        self.attachments
            .range(first..)
            .take_while(move |(key, _)| {
                key.instance == instance && mac.is_none_or(|mac| mac == key.mac)
            })
            .filter_map(|(_, object)| match object.as_ref() {
                Object::Attachment(attachment) => Some(attachment),
                Object::Instance(_) => None,
            })
    }

    pub(crate) fn attachment_count(&self) -> usize {
        self.attachments.len()
    }

    /// Notes which VNI and route distinguisher an instance has, where it declares none.
    pub(crate) fn allocated(&mut self, id: &InstanceId, vni: Vni, rd: RouteDistinguisher) {
        self.set_numbers(
            id,
            Numbers {
                vni: Some(vni),
                rd: Some(rd),
            },
        );
    }

    fn set_numbers(&mut self, id: &InstanceId, new: Numbers) {
        let old = self.numbers.insert(id.clone(), new).unwrap_or_default();
        old.vni.map(|vni| self.vnis.remove(&vni));
        old.rd.map(|rd| self.rds.remove(&rd));
        self.vnis.extend(new.vni.map(|vni| (vni, id.clone())));
        self.rds.extend(new.rd.map(|rd| (rd, id.clone())));
    }

    pub(crate) fn vni_user(&self, vni: Vni) -> Option<&InstanceId> {
        self.vnis.get(&vni)
    }

    pub(crate) fn rd_user(&self, rd: RouteDistinguisher) -> Option<&InstanceId> {
        self.rds.get(&rd)
    }

    /// Whether `object` could be in force, in place of what is now under its key. `wanted` tells the
    /// port that the declaration of another attachment asks for, even if it is not in force.
    pub(crate) fn check(
        &self,
        object: &Object,
        wanted: impl Fn(&AttachmentKey) -> Option<Port>,
    ) -> Result<(), Obstacle> {
        rules::check(object)?;
        match object {
            Object::Instance(instance) => self.check_instance(instance),
            Object::Attachment(attachment) => {
                self.check_endpoint(attachment, &wanted)?;
                self.check_port(attachment, &wanted)
            }
        }
    }

    fn check_instance(&self, instance: &VpnInstance) -> Result<(), Obstacle> {
        if let Some(reason) = self.no_instances {
            return Err(Rejection::new("id", reason).into());
        }
        if !self.instances.contains_key(&instance.id) && self.instances.len() >= INSTANCES_MAX {
            let reason = format!("this node has {INSTANCES_MAX} VPN instances, no more fit");
            return Err(Obstacle::new("id", Resource::InstanceCount, reason));
        }
        let VpnKind::MacVrf(mac_vrf) = &instance.kind;
        let other = |user: &&InstanceId| **user != instance.id;
        if let Some(vni) = mac_vrf.vni
            && self.vnis.get(&vni).filter(other).is_some()
        {
            // The text of bagpipe-bgp, which clients may look for.
            let reason = format!("A VPN instance using vni {vni} already exists.");
            return Err(Obstacle::new("vni", Resource::Vni(vni), reason));
        }
        if let Some(rd) = instance.rd
            && let Some(user) = self.rds.get(&rd).filter(other)
        {
            let reason = format!("route distinguisher {rd} is that of VPN instance {user}");
            return Err(Obstacle::new("rd", Resource::Rd(rd), reason));
        }
        Ok(())
    }

    /// One MAC is behind one port, one IP address has one MAC.
    fn check_endpoint(
        &self,
        attachment: &Attachment,
        wanted: impl Fn(&AttachmentKey) -> Option<Port>,
    ) -> Result<(), Obstacle> {
        let AttachmentKey { instance, mac, ip } = &attachment.key;
        if !self.instances.contains_key(instance) {
            let reason = format!("VPN instance {instance} is not declared");
            return Err(Obstacle::new(
                "instance",
                Resource::Instance(instance.clone()),
                reason,
            ));
        }
        // Several attachments of a MAC change their port one after the other; none goes first
        // unless it counts what the others are declared to be.
        let conflict = self.attachments_of(instance, Some(*mac)).find(|other| {
            other.key != attachment.key
                && other.port != attachment.port
                && wanted(&other.key).is_none_or(|port| port != attachment.port)
        });
        if let Some(other) = conflict {
            let reason = format!(
                "Port information is not consistent. MAC address {mac} is attached to {}, \
                 it cannot be attached to {} too",
                port_text(&other.port),
                port_text(&attachment.port),
            );
            return Err(Obstacle::new(
                "port",
                Resource::Mac(instance.clone(), *mac),
                reason,
            ));
        }
        if let Some(ip) = ip
            && let Some(macs) = self.ips.get(&(instance.clone(), *ip))
            && let Some(owner) = macs.iter().find(|owner| *owner != mac)
        {
            let reason = format!(
                "Inconsistent endpoint info: IP {ip} already bound to MAC address {owner}, \
                 it cannot be bound to {mac} too"
            );
            return Err(Obstacle::new(
                "ip",
                Resource::Ip(instance.clone(), *ip),
                reason,
            ));
        }
        Ok(())
    }

    /// A port (with its VLAN) is part of one instance, and has one VLAN there.
    fn check_port(
        &self,
        attachment: &Attachment,
        wanted: impl Fn(&AttachmentKey) -> Option<Port>,
    ) -> Result<(), Obstacle> {
        let AttachmentKey { instance, mac, .. } = &attachment.key;
        let port = &attachment.port;
        for ((user, vlan), keys) in self.ports.get(&port.name).into_iter().flatten() {
            let same_instance = user == instance;
            if same_instance == (*vlan == port.vlan) {
                continue;
            }
            // Others of the same MAC were looked at already.
            let conflict = keys.iter().find(|key| {
                !same_instance || (key.mac != *mac && wanted(key).as_ref() != Some(port))
            });
            let Some(other) = conflict else { continue };
            let reason = if same_instance {
                let other_port = port_text(&Port {
                    name: port.name.clone(),
                    vlan: *vlan,
                });
                let (mac, port) = (other.mac, port_text(port));
                format!(
                    "Port information is not consistent. MAC address {mac} is attached to \
                     {other_port}, which cannot be {port} too"
                )
            } else {
                format!(
                    "{} is attached to VPN instance {user} already",
                    port_text(port)
                )
            };
            return Err(Obstacle::new(
                "port",
                Resource::Port(port.name.clone()),
                reason,
            ));
        }
        Ok(())
    }

    /// Puts an object in force in place of the previous one under its key.
    pub(crate) fn replace(&mut self, key: &ObjectKey, new: Option<&Arc<Object>>) {
        match key {
            ObjectKey::Instance(id) => self.replace_instance(id, new),
            ObjectKey::Attachment(key) => self.replace_attachment(key, new),
        }
    }

    fn replace_instance(&mut self, id: &InstanceId, new: Option<&Arc<Object>>) {
        let Some(Object::Instance(instance)) = new.map(Arc::as_ref) else {
            self.set_numbers(id, Numbers::default());
            self.numbers.remove(id);
            self.instances.remove(id);
            return;
        };
        // An allocated number goes when one is declared, and stays while none is.
        let old_declared = self.instance(id).map_or((None, None), declared_numbers);
        let old = self.numbers.get(id).copied().unwrap_or_default();
        let (vni, rd) = declared_numbers(instance);
        let kept = Numbers {
            vni: if old_declared.0 == vni { old.vni } else { vni },
            rd: if old_declared.1 == rd { old.rd } else { rd },
        };
        self.set_numbers(id, kept);
        if let Some(object) = new {
            self.instances.insert(id.clone(), object.clone());
        }
    }

    fn replace_attachment(&mut self, key: &AttachmentKey, new: Option<&Arc<Object>>) {
        if let Some(old) = self.attachment(key).map(|old| old.port.clone()) {
            self.attachments.remove(key);
            if let Some(users) = self.ports.get_mut(&old.name) {
                remove_from(users, &(key.instance.clone(), old.vlan), key);
                if users.is_empty() {
                    self.ports.remove(&old.name);
                }
            }
            if let Some(ip) = key.ip {
                remove_from(&mut self.ips, &(key.instance.clone(), ip), &key.mac);
            }
        }
        let Some(object) = new else { return };
        if let Object::Attachment(attachment) = object.as_ref() {
            let Port { name, vlan } = attachment.port.clone();
            let users = self.ports.entry(name).or_default();
            users
                .entry((key.instance.clone(), vlan))
                .or_default()
                .insert(key.clone());
            if let Some(ip) = key.ip {
                self.ips
                    .entry((key.instance.clone(), ip))
                    .or_default()
                    .insert(key.mac);
            }
            self.attachments.insert(key.clone(), object.clone());
        }
    }

    /// What others may wait for that this object holds, while it is in force.
    pub(crate) fn resources(&self, object: &Object) -> Vec<Resource> {
        match object {
            Object::Instance(VpnInstance { id, .. }) => {
                let numbers = self.numbers.get(id).copied().unwrap_or_default();
                let mut resources = vec![Resource::Instance(id.clone()), Resource::InstanceCount];
                resources.extend(numbers.vni.map(Resource::Vni));
                resources.extend(numbers.rd.map(Resource::Rd));
                resources
            }
            Object::Attachment(attachment) => {
                let AttachmentKey { instance, mac, ip } = &attachment.key;
                let mut resources = vec![
                    Resource::Mac(instance.clone(), *mac),
                    Resource::Port(attachment.port.name.clone()),
                ];
                resources.extend(ip.map(|ip| Resource::Ip(instance.clone(), ip)));
                resources
            }
        }
    }
}

/// The VNI and the route distinguisher that an instance declares.
fn declared_numbers(instance: &VpnInstance) -> (Option<Vni>, Option<RouteDistinguisher>) {
    let VpnKind::MacVrf(mac_vrf) = &instance.kind;
    (mac_vrf.vni, instance.rd)
}

fn remove_from<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = map.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            map.remove(key);
        }
    }
}

fn port_text(port: &Port) -> String {
    match port.vlan {
        Some(vlan) => format!("port {} VLAN {vlan}", port.name),
        None => format!("port {} untagged", port.name),
    }
}
