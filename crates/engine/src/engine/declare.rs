//! What sources declare becomes instances, attachments, and the route targets to ask peers for.

use std::collections::BTreeMap;

use chanter_bgp::{Family, RtMembership};
use chanter_intent::{
    Change, InstanceId, Object, ObjectKey, SourceEvent, SourceId, Verdict, VpnInstance, VpnKind,
};
use chanter_types::{Instant, RouteDistinguisher};

use super::Engine;
use crate::Event;
use crate::desired::DesiredKey;
use crate::rib::DestRef;
use crate::vpn::{self, Identity, TargetChange};

impl Engine {
    pub(super) fn handle_source(&mut self, source: SourceId, event: SourceEvent, now: Instant) {
        match &event {
            SourceEvent::Synced => self.events.push(Event::SourceSynced { source }),
            SourceEvent::Lost => self.events.push(Event::SourceLost { source }),
            SourceEvent::Upsert(object) => {
                self.said.entry((object.key(), source)).or_insert(now);
            }
            SourceEvent::Remove(_) => {}
        }
        let outcome = self.intent.apply(source, event);
        let mut released = BTreeMap::new();
        for change in outcome.changes {
            if change.new.is_none() {
                released.insert(change.key.clone(), self.dataplane_keys(&change.key));
            }
            self.statuses.touch(change.key.clone());
            self.apply_change(change, now);
        }
        self.compute(now);
        for (source, key, verdict) in outcome.verdicts {
            if verdict == Verdict::Withdrawn {
                self.said.remove(&(key.clone(), source));
                let left = released.remove(&key).unwrap_or_default();
                let left = left
                    .into_iter()
                    .filter(|key| self.program.is_leaving(key))
                    .collect();
                self.statuses.withdrawn(source, key, left);
            } else {
                self.statuses.said(source, key);
            }
        }
    }

    fn apply_change(&mut self, change: Change, now: Instant) {
        let Change { key, old, new } = change;
        match (key, new.as_deref()) {
            (ObjectKey::Instance(_), Some(Object::Instance(declared))) => {
                self.apply_instance(declared, old.is_some(), now);
            }
            (ObjectKey::Instance(id), _) => self.remove_instance(&id, now),
            (ObjectKey::Attachment(key), new) => {
                let Some(number) = self.vpn.number_of(&key.instance) else {
                    return;
                };
                let Some(instance) = self.vpn.get_mut(number) else {
                    return;
                };
                match new {
                    Some(Object::Attachment(attachment)) => instance.attach(attachment, now),
                    _ => instance.detach(key.mac, key.ip),
                }
            }
        }
    }

    fn apply_instance(&mut self, declared: &VpnInstance, exists: bool, now: Instant) {
        let Some(identity) = self.identify(declared) else {
            return;
        };
        self.intent
            .allocated(&declared.id, identity.vni, identity.rd);
        let change = if exists {
            self.vpn.change(declared, identity)
        } else {
            self.vpn.add(declared, identity, now)
        };
        self.apply_targets(change, now);
    }

    /// The numbers of an instance: those that it has or declares, else new ones. There are more than
    /// the intent store accepts instances.
    fn identify(&self, declared: &VpnInstance) -> Option<Identity> {
        let id = &declared.id;
        let existing = self.vpn.by_id(id);
        let number = match existing {
            Some(instance) => instance.number.0,
            None => vpn::allocate_number(id, |number| self.vpn.get(number).is_none())?,
        };
        let VpnKind::MacVrf(kind) = &declared.kind;
        let vni = match kind.vni {
            Some(vni) => vni,
            None => {
                let free = |vni| self.intent.vni_user(vni).is_none_or(|user| user == id);
                vpn::allocate_vni(id, free)?
            }
        };
        let rd = match declared.rd {
            Some(rd) => rd,
            None => self.allocate_rd(id, number)?,
        };
        Some(Identity { number, rd, vni })
    }

    /// A route distinguisher of type 1 (RFC 4364 section 4.2) from the instance number, unless
    /// another instance declares just that one.
    fn allocate_rd(&self, id: &InstanceId, number: u32) -> Option<RouteDistinguisher> {
        let numbers = (1..=u16::MAX)
            .cycle()
            .skip(number as usize - 1)
            .take(usize::from(u16::MAX));
        numbers
            .map(|number| RouteDistinguisher::from_ipv4(self.config.router_id, number))
            .find(|rd| self.intent.rd_user(*rd).is_none_or(|user| user == id))
    }

    fn remove_instance(&mut self, id: &InstanceId, now: Instant) {
        let Some((mut instance, change)) = self.vpn.remove(id) else {
            return;
        };
        for nlri in instance.withdraw_all() {
            self.rib.unoriginate(instance.number.0, &nlri);
        }
        instance.tear_down(&mut self.program, now);
        self.apply_targets(change, now);
    }

    /// Follows a change of imported route targets. Memberships are added before others are removed,
    /// so that a peer always sends what it is to send before and after.
    fn apply_targets(&mut self, change: TargetChange, now: Instant) {
        for rt in &change.touched {
            let routes: Vec<DestRef> = self
                .rib
                .destinations_with_rt(Family::L2VPN_EVPN, *rt)
                .collect();
            for route in routes {
                self.import(route, Some(change.number));
            }
        }
        if !self.config.rt_constraint {
            return;
        }
        let of = |rt| vpn::membership(RtMembership::new(self.config.local_as, rt));
        for rt in change.gained {
            let (nlri, route) = of(rt);
            self.rib
                .originate(0, nlri, route.data, &route.attributes, now);
        }
        for rt in change.lost {
            self.rib.unoriginate(0, &of(rt).0);
        }
    }

    /// The dataplane objects that a declared object consists of.
    pub(crate) fn dataplane_keys(&self, key: &ObjectKey) -> Vec<DesiredKey> {
        match key {
            ObjectKey::Instance(id) => {
                let instance = self.vpn.by_id(id);
                instance
                    .map(|vrf| DesiredKey::Domain(vrf.number))
                    .into_iter()
                    .collect()
            }
            ObjectKey::Attachment(key) => {
                let Some(vrf) = self.vpn.by_id(&key.instance) else {
                    return Vec::new();
                };
                let Some(entry) = vrf.macs.get(&key.mac) else {
                    return Vec::new();
                };
                let Some(local) = entry.local.get(&key.ip) else {
                    return Vec::new();
                };
                vec![
                    DesiredKey::Domain(vrf.number),
                    DesiredKey::Port(vrf.number, local.port.name.clone()),
                    DesiredKey::LocalMac(vrf.number, key.mac),
                ]
            }
        }
    }
}
