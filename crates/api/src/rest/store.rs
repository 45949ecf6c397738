//! What REST clients attached, and the rules by which requests change it (pure).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, ObjectKey, Port, SourceEvent, VpnInstance,
    VpnKind,
};
use chanter_types::{IfName, MacAddr, RouteTarget, Vni};

use super::{AttachmentRecord, Change, Edit, InstanceRecord, Record};

/// What an attach says of its VPN instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Its name.
    pub id: InstanceId,
    /// Route targets to import, in place of the former ones.
    pub import: BTreeSet<RouteTarget>,
    /// Route targets to export, in place of the former ones.
    pub export: BTreeSet<RouteTarget>,
    /// The VNI; only the first one given counts.
    pub vni: Option<Vni>,
    /// An existing bridge to use; only the first attach counts.
    pub bridge: Option<IfName>,
    /// The gateway's address; only the first one given counts.
    pub gateway_ip: Option<IpAddr>,
    /// The client's description, in place of the former one.
    pub description: Option<serde_json::Value>,
}

/// An attach: an attachment together with its instance, as bagpipe-bgp's API has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachSpec {
    /// The instance.
    pub instance: InstanceSpec,
    /// The attachment.
    pub record: AttachmentRecord,
    /// The prefix length of the address.
    pub subnet_len: Option<u8>,
}

/// Why a request does not fit what is attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No REST client declared that instance.
    #[error("instance {0} is not known to REST")]
    UnknownInstance(InstanceId),
    /// Nothing is attached under that MAC address, or under that MAC and IP address.
    #[error("no REST client attached {}", ObjectKey::Attachment(.0.clone()))]
    UnknownAttachment(AttachmentKey),
    /// The MAC address is attached, but not with that IP address.
    #[error("MAC {} of instance {} is not attached with that IP address", .0.mac, .0.instance)]
    OtherAddress(AttachmentKey),
    /// A MAC address can be behind one port only.
    #[error("MAC {mac} is already attached at port {}", PortText(.current))]
    OtherPort {
        /// The MAC address.
        mac: MacAddr,
        /// Where it is attached.
        current: Port,
        /// Where it was to be attached.
        requested: Port,
    },
    /// An IP address can belong to one MAC address only.
    #[error("IP {ip} is already bound to MAC {current}")]
    OtherMac {
        /// The IP address.
        ip: IpAddr,
        /// The MAC address that has it.
        current: MacAddr,
    },
}

/// A port as `NAME` or `NAME vlan N`.
pub(crate) struct PortText<'a>(pub(crate) &'a Port);

impl std::fmt::Display for PortText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.vlan {
            Some(vlan) => write!(f, "{} vlan {vlan}", self.0.name),
            None => self.0.name.fmt(f),
        }
    }
}

type Endpoint = (MacAddr, Option<IpAddr>);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Instance {
    /// `None`: another source declares the instance, REST only attaches to it.
    record: Option<InstanceRecord>,
    attachments: BTreeMap<Endpoint, AttachmentRecord>,
    /// Who has an IP address, so that an attach need not search for it.
    macs: BTreeMap<IpAddr, MacAddr>,
}

impl Instance {
    /// Whether the instance came with its attachments, and goes with the last one.
    fn is_implicit(&self) -> bool {
        self.record.as_ref().is_some_and(|record| !record.standing)
    }

    /// All attachments of one MAC address; the one without IP address first.
    fn of_mac(&self, mac: MacAddr) -> impl Iterator<Item = (&Endpoint, &AttachmentRecord)> {
        self.attachments
            .range((mac, None)..)
            .take_while(move |((other, _), _)| *other == mac)
    }
}

/// What REST clients attached. It holds only what is in force: a request is planned against it, run
/// through the engine, and committed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestStore {
    instances: BTreeMap<InstanceId, Instance>,
    /// How many records there are, so that an attach need not count them.
    len: usize,
}

impl RestStore {
    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is attached.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// All records: each instance, then its attachments.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.instances.values().flat_map(|instance| {
            let attachments = instance
                .attachments
                .values()
                .cloned()
                .map(Record::Attachment);
            instance
                .record
                .clone()
                .map(Record::Instance)
                .into_iter()
                .chain(attachments)
        })
    }

    /// The record of an instance.
    pub fn instance(&self, id: &InstanceId) -> Option<&InstanceRecord> {
        self.instances.get(id)?.record.as_ref()
    }

    /// The records of an instance's attachments.
    pub fn attachments(&self, id: &InstanceId) -> impl Iterator<Item = &AttachmentRecord> {
        self.instances
            .get(id)
            .into_iter()
            .flat_map(|instance| instance.attachments.values())
    }

    /// The record of an attachment.
    pub fn attachment(&self, key: &AttachmentKey) -> Option<&AttachmentRecord> {
        self.instances
            .get(&key.instance)?
            .attachments
            .get(&(key.mac, key.ip))
    }

    /// All that a restarted source has to say.
    pub fn events(&self) -> Vec<SourceEvent> {
        let objects = self
            .records()
            .map(|record| SourceEvent::Upsert(record.object()));
        objects.chain([SourceEvent::Synced]).collect()
    }

    /// An attach of bagpipe-bgp's API: creates the instance or takes over its route targets and
    /// description, and takes the place of an attachment of that MAC without IP address.
    pub fn plan_attach(&self, spec: AttachSpec) -> Result<Change, StoreError> {
        let existing = self.instance(&spec.instance.id);
        let mut change = Change::default();
        let after = instance_after(existing, &spec);
        if existing != Some(&after) {
            change.set(
                existing.cloned().map(Record::Instance),
                Record::Instance(after),
            );
        }
        self.check_endpoint(&spec.record.attachment)?;
        let key = spec.record.attachment.key.clone();
        let before = self.attachment(&key).cloned().map(Record::Attachment);
        change.set(before, Record::Attachment(spec.record));
        // An address takes the place of the MAC without one.
        let bare = AttachmentKey {
            ip: None,
            ..key.clone()
        };
        if let Some(bare) = self.attachment(&bare).filter(|_| key.ip.is_some()) {
            change.remove(Record::Attachment(bare.clone()));
        }
        Ok(change)
    }

    /// A detach of bagpipe-bgp's API: of one address, or without `ip` of the MAC and all its
    /// addresses; an implicit instance goes with its last attachment.
    pub fn plan_detach(
        &self,
        id: &InstanceId,
        mac: MacAddr,
        ip: Option<IpAddr>,
    ) -> Result<Change, StoreError> {
        let key = AttachmentKey {
            instance: id.clone(),
            mac,
            ip,
        };
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| StoreError::UnknownInstance(id.clone()))?;
        let gone: Vec<_> = match ip {
            Some(_) => instance
                .attachments
                .get_key_value(&(mac, ip))
                .into_iter()
                .collect(),
            // All with an address, then the one without.
            None => instance
                .of_mac(mac)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect(),
        };
        if gone.is_empty() {
            return Err(if instance.of_mac(mac).next().is_some() {
                StoreError::OtherAddress(key)
            } else {
                StoreError::UnknownAttachment(key)
            });
        }
        Ok(plan_removal(
            instance,
            gone.into_iter().map(|(_, record)| record),
        ))
    }

    /// Declares an instance for itself.
    pub fn plan_put_instance(&self, instance: VpnInstance) -> Change {
        let existing = self.instance(&instance.id);
        let after = InstanceRecord {
            standing: true,
            subnet_len: existing.and_then(|record| record.subnet_len),
            instance,
        };
        let mut change = Change::default();
        change.set(
            existing.cloned().map(Record::Instance),
            Record::Instance(after),
        );
        change
    }

    /// Removes an instance with all its attachments.
    pub fn plan_delete_instance(&self, id: &InstanceId) -> Result<Change, StoreError> {
        let instance = self
            .instances
            .get(id)
            .ok_or_else(|| StoreError::UnknownInstance(id.clone()))?;
        let mut change = Change::default();
        for record in instance.attachments.values() {
            change.remove(Record::Attachment(record.clone()));
        }
        if let Some(record) = &instance.record {
            change.remove(Record::Instance(record.clone()));
        }
        Ok(change)
    }

    /// Declares an attachment. With `instance`, that is declared along and goes with its last
    /// attachment; without, it has to be there: of REST, or (`elsewhere`) of another source.
    pub fn plan_put_attachment(
        &self,
        attachment: Attachment,
        instance: Option<VpnInstance>,
        elsewhere: bool,
    ) -> Result<Change, StoreError> {
        let id = &attachment.key.instance;
        let existing = self.instance(id);
        if instance.is_none() && existing.is_none() && !elsewhere {
            return Err(StoreError::UnknownInstance(id.clone()));
        }
        let mut change = Change::default();
        if let Some(instance) = instance {
            let after = InstanceRecord {
                standing: existing.is_some_and(|record| record.standing),
                subnet_len: existing.and_then(|record| record.subnet_len),
                instance,
            };
            change.set(
                existing.cloned().map(Record::Instance),
                Record::Instance(after),
            );
        }
        let before = self
            .attachment(&attachment.key)
            .cloned()
            .map(Record::Attachment);
        change.set(
            before,
            Record::Attachment(AttachmentRecord::canonical(attachment)),
        );
        Ok(change)
    }

    /// Removes exactly one attachment; an implicit instance goes with its last one.
    pub fn plan_delete_attachment(&self, key: &AttachmentKey) -> Result<Change, StoreError> {
        let unknown = || StoreError::UnknownAttachment(key.clone());
        let instance = self.instances.get(&key.instance).ok_or_else(unknown)?;
        let record = instance
            .attachments
            .get(&(key.mac, key.ip))
            .ok_or_else(unknown)?;
        Ok(plan_removal(instance, [record]))
    }

    /// Takes over a change that is in force.
    pub fn commit(&mut self, change: &Change) {
        for Edit { key, after, .. } in &change.edits {
            match after {
                Some(record) => self.put(record.clone()),
                None => self.remove(key),
            }
        }
    }

    /// Puts a record in.
    pub(crate) fn put(&mut self, record: Record) {
        let is_new = match record {
            Record::Instance(record) => {
                let id = record.instance.id.clone();
                let instance = self.instances.entry(id).or_default();
                instance.record.replace(record).is_none()
            }
            Record::Attachment(record) => {
                let AttachmentKey { instance, mac, ip } = record.attachment.key.clone();
                let instance = self.instances.entry(instance).or_default();
                if let Some(ip) = ip {
                    instance.macs.insert(ip, mac);
                }
                instance.attachments.insert((mac, ip), record).is_none()
            }
        };
        self.len += usize::from(is_new);
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        let (ObjectKey::Instance(id) | ObjectKey::Attachment(AttachmentKey { instance: id, .. })) =
            key;
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        let was_there = match key {
            ObjectKey::Instance(_) => instance.record.take().is_some(),
            ObjectKey::Attachment(AttachmentKey { mac, ip, .. }) => {
                if let Some(ip) = ip.filter(|ip| instance.macs.get(ip) == Some(mac)) {
                    instance.macs.remove(&ip);
                }
                instance.attachments.remove(&(*mac, *ip)).is_some()
            }
        };
        self.len -= usize::from(was_there);
        if instance.record.is_none() && instance.attachments.is_empty() {
            self.instances.remove(id);
        }
    }

    /// Drops the attachments that `keep` refuses and the implicit instances left without any;
    /// returns the attachments dropped.
    pub fn retain(&mut self, keep: impl Fn(&Attachment) -> bool) -> Vec<AttachmentKey> {
        let dropped: Vec<AttachmentKey> = self
            .instances
            .values()
            .flat_map(|instance| instance.attachments.values())
            .filter(|record| !keep(&record.attachment))
            .map(|record| record.attachment.key.clone())
            .collect();
        for key in &dropped {
            self.remove(&ObjectKey::Attachment(key.clone()));
        }
        let emptied: Vec<InstanceId> = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.is_implicit() && instance.attachments.is_empty())
            .map(|(id, _)| id.clone())
            .collect();
        for id in emptied {
            self.remove(&ObjectKey::Instance(id));
        }
        dropped
    }

    /// What bagpipe-bgp refuses: a MAC behind two ports, an IP address of two MACs. The engine
    /// refuses that too, but looks at one object at a time.
    fn check_endpoint(&self, attachment: &Attachment) -> Result<(), StoreError> {
        let AttachmentKey { instance, mac, ip } = &attachment.key;
        let Some(instance) = self.instances.get(instance) else {
            return Ok(());
        };
        if let Some((_, other)) = instance.of_mac(*mac).next()
            && other.attachment.port != attachment.port
        {
            return Err(StoreError::OtherPort {
                mac: *mac,
                current: other.attachment.port.clone(),
                requested: attachment.port.clone(),
            });
        }
        let bound = ip.and_then(|ip| Some((ip, *instance.macs.get(&ip)?)));
        match bound.filter(|(_, current)| current != mac) {
            Some((ip, current)) => Err(StoreError::OtherMac { ip, current }),
            None => Ok(()),
        }
    }
}

/// What an attach makes of its instance's record.
fn instance_after(existing: Option<&InstanceRecord>, spec: &AttachSpec) -> InstanceRecord {
    let asked = &spec.instance;
    let mut after = match existing {
        Some(record) => record.clone(),
        None => InstanceRecord {
            instance: VpnInstance {
                id: asked.id.clone(),
                kind: VpnKind::MacVrf(MacVrf {
                    vni: asked.vni,
                    bridge: asked.bridge.clone(),
                }),
                import: BTreeSet::new(),
                export: BTreeSet::new(),
                rd: None,
                gateway_ip: None,
                description: None,
            },
            standing: false,
            subnet_len: spec.subnet_len,
        },
    };
    let instance = &mut after.instance;
    instance.import.clone_from(&asked.import);
    instance.export.clone_from(&asked.export);
    instance.description.clone_from(&asked.description);
    instance.gateway_ip = instance.gateway_ip.or(asked.gateway_ip);
    after
}

/// Removes `gone`, and the instance if it is implicit and nothing else is left in it.
fn plan_removal<'a>(
    instance: &Instance,
    gone: impl IntoIterator<Item = &'a AttachmentRecord>,
) -> Change {
    let mut change = Change::default();
    for record in gone {
        change.remove(Record::Attachment(record.clone()));
    }
    if change.edits.len() == instance.attachments.len()
        && let Some(record) = instance.record.as_ref().filter(|record| !record.standing)
    {
        change.remove(Record::Instance(record.clone()));
    }
    change
}
