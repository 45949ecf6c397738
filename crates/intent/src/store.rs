//! The merge of what all sources declare into what is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chanter_types::{MacAddr, RouteDistinguisher, Vni};

use crate::resource::{InForce, Resource};
use crate::{
    Attachment, AttachmentKey, InstanceId, Object, ObjectKey, Port, Rejection, SourceEvent,
    SourceId, VpnInstance,
};

/// An object came into force, changed, or is no longer in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which one.
    pub key: ObjectKey,
    /// What was in force.
    pub old: Option<Arc<Object>>,
    /// What is in force.
    pub new: Option<Arc<Object>>,
}

/// What the store thinks of a source's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in force, or says the same as the declaration that is.
    Accepted,
    /// It is not in force. A previous declaration of the same source may still be.
    Rejected(Rejection),
    /// The source does not declare it (any more).
    Withdrawn,
}

/// What a source event led to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What is in force now and was not before, in the order in which it came about.
    pub changes: Vec<Change>,
    /// Verdicts on what the event said, and on other declarations where the verdict changed.
    pub verdicts: Vec<(SourceId, ObjectKey, Verdict)>,
}

/// A declaration as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration<'a> {
    /// The source.
    pub source: SourceId,
    /// What it declares.
    pub object: &'a Arc<Object>,
    /// Why that is not in force.
    pub rejection: Option<&'a Rejection>,
}

/// What one source declares under one key.
#[derive(Debug, Clone)]
struct Claim {
    object: Arc<Object>,
    /// The connection of the source in which it was said.
    epoch: u64,
    /// When it was first said, among all claims: whoever waits longest comes first.
    order: u64,
    rejection: Option<Rejection>,
    waits_for: Option<Resource>,
}

/// All claims under one key.
#[derive(Debug, Clone, Default)]
struct Slot {
    claims: BTreeMap<SourceId, Claim>,
    in_force: Option<(SourceId, Arc<Object>)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Source {
    /// Whether it is one that has to sync.
    expected: bool,
    /// Counts reconnects.
    epoch: u64,
    synced: bool,
    synced_once: bool,
}

/// Keys to look at again, in the order of their first declaration.
type Worklist = BTreeSet<(u64, ObjectKey)>;

/// What all sources declare, and what of it is in force.
///
/// A source owns what it declares: no other can change or remove it. Under one key the source that
/// is first in the order of [`SourceId`] and whose declaration can be in force has it. Between
/// objects that contradict each other, the one that was in force first stays so; the other waits,
/// and comes into force when nothing stands in its way any more.
#[derive(Debug, Clone, Default)]
pub struct IntentStore {
    slots: BTreeMap<ObjectKey, Slot>,
    sources: BTreeMap<SourceId, Source>,
    force: InForce,
    waiting: BTreeMap<Resource, Worklist>,
    order: u64,
}

impl IntentStore {
    /// An empty store which expects to hear of these sources.
    pub fn new(sources: impl IntoIterator<Item = SourceId>) -> Self {
        let expected = Source {
            expected: true,
            ..Source::default()
        };
        let sources = sources.into_iter().map(|source| (source, expected));
        let sources = sources.collect();
        IntentStore {
            sources,
            ..IntentStore::default()
        }
    }

    /// Rejects all instances, for this reason: the node cannot host any.
    pub fn refuse_instances(&mut self, reason: &'static str) {
        self.force.no_instances = Some(reason);
    }

    /// Takes in what a source says.
    pub fn apply(&mut self, source: SourceId, event: SourceEvent) -> Outcome {
        let mut outcome = Outcome::default();
        match event {
            SourceEvent::Upsert(object) => self.upsert(source, object, &mut outcome),
            SourceEvent::Remove(key) => {
                outcome
                    .verdicts
                    .push((source, key.clone(), Verdict::Withdrawn));
                self.withdraw(source, &key, &mut outcome);
            }
            SourceEvent::Synced => self.synced(source, &mut outcome),
            SourceEvent::Lost => {
                let source = self.sources.entry(source).or_default();
                source.epoch += 1;
                source.synced = false;
            }
        }
        outcome
    }

    /// Whether `source` could declare `object` and have it in force.
    pub fn validate(&self, source: SourceId, object: &Object) -> Result<(), Rejection> {
        let key = object.key();
        let holder = self.slots.get(&key).and_then(|slot| slot.in_force.as_ref());
        if let Some((holder, held)) = holder
            && *holder < source
        {
            return if says_the_same(held, object) {
                Ok(())
            } else {
                Err(overruled(*holder))
            };
        }
        self.check(object).map_err(|obstacle| obstacle.rejection)
    }

    fn upsert(&mut self, source: SourceId, object: Object, outcome: &mut Outcome) {
        let key = object.key();
        let epoch = self.sources.entry(source).or_default().epoch;
        self.order += 1;
        let order = self.order;
        let slot = self.slots.entry(key.clone()).or_default();
        let object = Arc::new(object);
        let claim = slot.claims.entry(source).or_insert_with(|| Claim {
            object: object.clone(),
            epoch,
            order,
            rejection: None,
            waits_for: None,
        });
        claim.epoch = epoch;
        claim.object = object.clone();
        let order = claim.order;
        let mut worklist = Worklist::from([(order, key.clone())]);
        // Attachments of the same MAC or port may have waited for this one to be declared alike.
        for resource in self.force.resources(&object) {
            self.wake(&resource, &mut worklist);
        }
        self.work(worklist, outcome);
        if !outcome
            .verdicts
            .iter()
            .any(|(of, said, _)| (*of, said) == (source, &key))
        {
            let claim = self
                .slots
                .get(&key)
                .and_then(|slot| slot.claims.get(&source));
            let verdict = claim.map_or(Verdict::Withdrawn, Claim::verdict);
            outcome.verdicts.push((source, key, verdict));
        }
    }

    fn withdraw(&mut self, source: SourceId, key: &ObjectKey, outcome: &mut Outcome) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(claim) = slot.claims.remove(&source) else {
            return;
        };
        if let Some(resource) = &claim.waits_for {
            self.stop_waiting(resource, claim.order, key);
        }
        let mut worklist = Worklist::from([(claim.order, key.clone())]);
        for resource in self.force.resources(&claim.object) {
            self.wake(&resource, &mut worklist);
        }
        self.work(worklist, outcome);
    }

    /// Mark and sweep: what the source said over an earlier connection and did not repeat goes.
    fn synced(&mut self, source: SourceId, outcome: &mut Outcome) {
        let state = self.sources.entry(source).or_default();
        state.synced = true;
        state.synced_once = true;
        let epoch = state.epoch;
        let swept: Vec<ObjectKey> = self
            .slots
            .iter()
            .filter(|(_, slot)| {
                slot.claims
                    .get(&source)
                    .is_some_and(|claim| claim.epoch < epoch)
            })
            .map(|(key, _)| key.clone())
            .collect();
        // Attachments before their instances, so that each goes for its own reason.
        for key in swept.into_iter().rev() {
            outcome
                .verdicts
                .push((source, key.clone(), Verdict::Withdrawn));
            self.withdraw(source, &key, outcome);
        }
    }

    fn work(&mut self, mut worklist: Worklist, outcome: &mut Outcome) {
        while let Some((_, key)) = worklist.pop_first() {
            self.evaluate(&key, &mut worklist, outcome);
        }
    }

    /// Decides anew what is in force under a key; what that may have changed for others goes on the
    /// worklist.
    fn evaluate(&mut self, key: &ObjectKey, worklist: &mut Worklist, outcome: &mut Outcome) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let mut holder: Option<(SourceId, Arc<Object>)> = None;
        let mut results = Vec::new();
        for (source, claim) in &slot.claims {
            let result = match &holder {
                Some((holder, object)) if !says_the_same(object, &claim.object) => {
                    Err((overruled(*holder), None))
                }
                Some(_) => Ok(()),
                None => match self.check(&claim.object) {
                    Ok(()) => {
                        holder = Some((*source, claim.object.clone()));
                        Ok(())
                    }
                    Err(obstacle) => {
                        // A bad update takes nothing away: what was good before stays in force.
                        let good = slot.in_force.as_ref().filter(|(by, _)| by == source);
                        holder = good.filter(|(_, good)| self.check(good).is_ok()).cloned();
                        Err((obstacle.rejection, obstacle.resource))
                    }
                },
            };
            results.push((*source, result));
        }
        for (source, result) in results {
            self.note(source, key, result, outcome);
        }
        self.put_in_force(key, holder, worklist, outcome);
    }

    /// Notes the verdict on a claim.
    fn note(
        &mut self,
        source: SourceId,
        key: &ObjectKey,
        result: Result<(), (Rejection, Option<Resource>)>,
        outcome: &mut Outcome,
    ) {
        let slot = self.slots.get_mut(key);
        let Some(claim) = slot.and_then(|slot| slot.claims.get_mut(&source)) else {
            return;
        };
        let (rejection, resource) = match result {
            Ok(()) => (None, None),
            Err((rejection, resource)) => (Some(rejection), resource),
        };
        let order = claim.order;
        let waited_for = std::mem::replace(&mut claim.waits_for, resource.clone());
        if claim.rejection != rejection {
            claim.rejection = rejection;
            outcome
                .verdicts
                .push((source, key.clone(), claim.verdict()));
        }
        if waited_for != resource {
            if let Some(resource) = waited_for {
                self.stop_waiting(&resource, order, key);
            }
            if let Some(resource) = resource {
                self.waiting
                    .entry(resource)
                    .or_default()
                    .insert((order, key.clone()));
            }
        }
    }

    fn put_in_force(
        &mut self,
        key: &ObjectKey,
        holder: Option<(SourceId, Arc<Object>)>,
        worklist: &mut Worklist,
        outcome: &mut Outcome,
    ) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let new = holder.as_ref().map(|(_, object)| object.clone());
        let old = std::mem::replace(&mut slot.in_force, holder).map(|(_, object)| object);
        if slot.claims.is_empty() {
            self.slots.remove(key);
        }
        if old == new {
            return;
        }
        let mut resources: Vec<Resource> = Vec::new();
        resources.extend(old.iter().flat_map(|object| self.force.resources(object)));
        self.force.replace(key, new.as_ref());
        resources.extend(new.iter().flat_map(|object| self.force.resources(object)));
        for resource in resources {
            self.wake(&resource, worklist);
        }
        if let (ObjectKey::Instance(id), true) = (key, new.is_none()) {
            let orphans = self.force.attachments_of(id, None);
            let keys = orphans.map(|orphan| ObjectKey::Attachment(orphan.key.clone()));
            worklist.extend(keys.map(|key| (self.order_of(&key), key)));
        }
        outcome.changes.push(Change {
            key: key.clone(),
            old,
            new,
        });
    }

    fn order_of(&self, key: &ObjectKey) -> u64 {
        let claims = self
            .slots
            .get(key)
            .into_iter()
            .flat_map(|slot| slot.claims.values());
        claims.map(|claim| claim.order).min().unwrap_or(0)
    }

    fn wake(&self, resource: &Resource, worklist: &mut Worklist) {
        worklist.extend(self.waiting.get(resource).into_iter().flatten().cloned());
    }

    fn stop_waiting(&mut self, resource: &Resource, order: u64, key: &ObjectKey) {
        if let Some(waiting) = self.waiting.get_mut(resource) {
            waiting.remove(&(order, key.clone()));
            if waiting.is_empty() {
                self.waiting.remove(resource);
            }
        }
    }

    fn check(&self, object: &Object) -> Result<(), crate::resource::Obstacle> {
        self.force.check(object, |key| self.wanted_port(key))
    }

    /// The port that the holder of an attachment declares by now.
    fn wanted_port(&self, key: &AttachmentKey) -> Option<Port> {
        let slot = self.slots.get(&ObjectKey::Attachment(key.clone()))?;
        let (holder, _) = slot.in_force.as_ref()?;
        match slot.claims.get(holder)?.object.as_ref() {
            Object::Attachment(attachment) => Some(attachment.port.clone()),
            Object::Instance(_) => None,
        }
    }
}

/// What is known.
impl IntentStore {
    /// The sources, and whether each has said all since it (re)connected.
    pub fn sources(&self) -> impl Iterator<Item = (SourceId, bool)> + '_ {
        self.sources
            .iter()
            .map(|(source, state)| (*source, state.synced))
    }

    /// Whether every expected source has said all that it wants at least once.
    pub fn all_synced(&self) -> bool {
        self.sources
            .values()
            .all(|source| source.synced_once || !source.expected)
    }

    /// An instance in force.
    pub fn instance(&self, id: &InstanceId) -> Option<&VpnInstance> {
        self.force.instance(id)
    }

    /// All instances in force.
    pub fn instances(&self) -> impl Iterator<Item = &VpnInstance> {
        self.force.instances()
    }

    /// An attachment in force.
    pub fn attachment(&self, key: &AttachmentKey) -> Option<&Attachment> {
        self.force.attachment(key)
    }

    /// The attachments in force of an instance, or of one MAC in it.
    pub fn attachments_of(
        &self,
        instance: &InstanceId,
        mac: Option<MacAddr>,
    ) -> impl Iterator<Item = &Attachment> {
        self.force.attachments_of(instance, mac)
    }

    /// How many attachments are in force.
    pub fn attachment_count(&self) -> usize {
        self.force.attachment_count()
    }

    /// The source whose declaration is in force under this key.
    pub fn holder(&self, key: &ObjectKey) -> Option<SourceId> {
        self.slots
            .get(key)?
            .in_force
            .as_ref()
            .map(|(source, _)| *source)
    }

    /// What the sources declare under this key, in order of precedence.
    pub fn declarations(&self, key: &ObjectKey) -> impl Iterator<Item = Declaration<'_>> {
        let claims = self
            .slots
            .get(key)
            .into_iter()
            .flat_map(|slot| &slot.claims);
        claims.map(|(source, claim)| claim.declaration(*source))
    }

    /// All that the sources declare.
    pub fn all_declarations(&self) -> impl Iterator<Item = (&ObjectKey, Declaration<'_>)> {
        self.slots.iter().flat_map(|(key, slot)| {
            let claims = slot.claims.iter();
            claims.map(move |(source, claim)| (key, claim.declaration(*source)))
        })
    }
}

/// Numbers that the owner of the store gives to instances which declare none.
impl IntentStore {
    /// Notes the VNI and the route distinguisher that an instance in force has, so that no other
    /// may declare them.
    pub fn allocated(&mut self, id: &InstanceId, vni: Vni, rd: RouteDistinguisher) {
        if self.force.instance(id).is_some() {
            self.force.allocated(id, vni, rd);
        }
    }

    /// The instance that has this VNI.
    pub fn vni_user(&self, vni: Vni) -> Option<&InstanceId> {
        self.force.vni_user(vni)
    }

    /// The instance that has this route distinguisher.
    pub fn rd_user(&self, rd: RouteDistinguisher) -> Option<&InstanceId> {
        self.force.rd_user(rd)
    }
}

impl Claim {
    fn verdict(&self) -> Verdict {
        match &self.rejection {
            Some(rejection) => Verdict::Rejected(rejection.clone()),
            None => Verdict::Accepted,
        }
    }

    fn declaration(&self, source: SourceId) -> Declaration<'_> {
        Declaration {
            source,
            object: &self.object,
            rejection: self.rejection.as_ref(),
        }
    }
}

fn overruled(holder: SourceId) -> Rejection {
    let reason = format!("source {holder} declares it otherwise, and goes first");
    Rejection::new("source", reason)
}

/// Whether two declarations of one key ask for the same: descriptions are for people.
fn says_the_same(one: &Object, other: &Object) -> bool {
    match (one, other) {
        (Object::Instance(one), Object::Instance(other)) => {
            one.id == other.id
                && one.kind == other.kind
                && one.import == other.import
                && one.export == other.export
                && one.rd == other.rd
        }
        (Object::Attachment(one), Object::Attachment(other)) => {
            one.key == other.key
                && one.port == other.port
                && one.local_pref == other.local_pref
                && one.sticky == other.sticky
        }
        _ => false,
    }
}
