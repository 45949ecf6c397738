//! The state as plain values, for the looking glass, metrics and commands.

use std::net::IpAddr;

use chanter_bgp::{EvpnNlri, Family};
use chanter_intent::{AttachmentKey, InstanceId, ObjectKey};
use chanter_types::MacAddr;

use crate::view::{AttachmentView, DesiredView, InstanceView, ObjectView, PeerView, Summary};
use crate::vpn::{MacEntry, MacVrf, Place};
use crate::{Engine, ObjectStatus, PeerId};

/// What the engine shows of itself.
impl Engine {
    /// The engine in a few numbers.
    pub fn summary(&self) -> Summary {
        let families = self.rib.summary();
        let routes = families
            .iter()
            .filter(|table| table.family != Family::IPV4_RTC);
        let (routes_local, paths) = routes.fold((0, 0), |(local, paths), table| {
            (
                local + self.rib.local_path_count(table.family),
                paths + table.paths,
            )
        });
        Summary {
            local_as: self.config.local_as,
            router_id: self.config.router_id,
            peers_established: self.peers.tally().established,
            instances: self.vpn.len(),
            attachments: self.intent.attachment_count(),
            routes_local,
            routes_received: paths - routes_local,
            attribute_sets: self.rib.attribute_set_count(),
            desired_objects: self.program.len(),
            desired_failed: self.program.failed(),
            sources: self.intent.sources().collect(),
            prune_allowed: self.gates.prune_allowed(),
            families,
        }
    }

    /// All peers that are established or have stale paths.
    pub fn peers(&self) -> Vec<PeerView> {
        self.rib
            .peers()
            .into_iter()
            .filter_map(|peer| self.peer_view(peer))
            .collect()
    }

    fn peer_view(&self, peer: PeerId) -> Option<PeerView> {
        let (session, established) = self.rib.session(peer)?;
        let wanted = self.rib.wanted_rts(peer);
        let reasons = self.rib.rejected(peer).into_iter();
        let reasons = reasons.map(|(reason, count)| (reason.to_string(), count));
        let rules = self.rib.rejected_by_rule(peer).into_iter();
        let rules = rules.map(|(rule, count)| (format!("rule {rule}"), count));
        Some(PeerView {
            peer,
            addr: session.peer_addr,
            role: session.role,
            established,
            families: self.rib.peer_families(peer),
            rejected: reasons.chain(rules).collect(),
            wants_all: wanted.as_ref().is_some_and(|(_, all)| *all),
            wanted_rts: wanted.map(|(rts, _)| rts),
        })
    }

    /// All VPN instances, by name.
    pub fn instances(&self) -> Vec<InstanceView> {
        self.vpn
            .iter()
            .filter_map(|instance| self.instance_view(instance))
            .collect()
    }

    /// One VPN instance.
    pub fn instance(&self, id: &InstanceId) -> Option<InstanceView> {
        self.vpn
            .by_id(id)
            .and_then(|instance| self.instance_view(instance))
    }

    /// What the dataplane should hold, all of it or that of one instance.
    pub fn desired(&self, instance: Option<&InstanceId>) -> Vec<DesiredView> {
        let entries: Vec<_> = match instance {
            None => self.program.iter().collect(),
            Some(id) => {
                let domain = self.vpn.by_id(id).map(|instance| instance.number);
                let entries = domain.map(|domain| self.program.of_domain(domain));
                entries.into_iter().flatten().collect()
            }
        };
        entries
            .into_iter()
            .filter_map(|(key, entry)| {
                let instance = self.vpn.get(key.domain().0)?.id.clone();
                let result = entry.report.clone();
                let result = result.map(|report| report.map_err(|error| error.message));
                Some(DesiredView {
                    key: key.clone(),
                    value: entry.value.clone(),
                    instance,
                    result,
                })
            })
            .collect()
    }

    /// Every declared object with its status.
    pub fn objects(&self) -> Vec<ObjectView> {
        let told = self.statuses.iter();
        told.map(|(key, source, status)| ObjectView {
            source,
            key: key.clone(),
            status: status.clone(),
        })
        .collect()
    }

    fn instance_view(&self, vrf: &MacVrf) -> Option<InstanceView> {
        let declared = self.intent.instance(&vrf.id)?.clone();
        let key = ObjectKey::Instance(vrf.id.clone());
        let holder = self.intent.holder(&key)?;
        let attachments = vrf.macs.iter().flat_map(|(mac, entry)| {
            let keys = entry.local.keys();
            keys.filter_map(|ip| self.attachment_view(vrf, entry, (*mac, *ip)))
        });
        let remote = vrf
            .macs
            .values()
            .filter(|mac| matches!(mac.place, Place::Remote(_)));
        Some(InstanceView {
            sources: self.intent.declarations(&key).map(|d| d.source).collect(),
            number: vrf.number,
            rd: vrf.rd,
            vni: vrf.vni,
            attachments: attachments.collect(),
            remote_macs: remote.count(),
            remote_vteps: vrf.vteps.keys().copied().collect(),
            status: self
                .statuses
                .get(holder, &key)
                .cloned()
                .unwrap_or(ObjectStatus::Pending),
            notes: notes(vrf),
            declared,
        })
    }

    fn attachment_view(
        &self,
        vrf: &MacVrf,
        entry: &MacEntry,
        (mac, ip): (MacAddr, Option<IpAddr>),
    ) -> Option<AttachmentView> {
        let key = AttachmentKey {
            instance: vrf.id.clone(),
            mac,
            ip,
        };
        let declared = self.intent.attachment(&key)?;
        let object = ObjectKey::Attachment(key.clone());
        let source = self.intent.holder(&object)?;
        let advertised = entry.originated.keys().any(
            |nlri| matches!(nlri, EvpnNlri::MacIp(route) if route.ip == ip && route.rd == vrf.rd),
        );
        Some(AttachmentView {
            source,
            port: declared.port.clone(),
            local_pref: declared.local_pref,
            sticky: declared.sticky,
            description: declared.description.clone(),
            sequence: entry.sequence,
            advertised,
            status: self
                .statuses
                .get(source, &object)
                .cloned()
                .unwrap_or(ObjectStatus::Pending),
            key,
        })
    }
}

/// What an operator should know of the imported routes.
fn notes(vrf: &MacVrf) -> Vec<String> {
    let mut notes = Vec::new();
    let macs = vrf.macs.values().flat_map(|entry| entry.remote.values());
    let assumed = macs.filter(|remote| remote.assumed).count()
        + vrf.floods.values().filter(|flood| flood.assumed).count();
    if assumed > 0 {
        notes.push(format!(
            "routes taken as VXLAN, as they have no encapsulation community: {assumed}"
        ));
    }
    if let Some((nlri, reason)) = vrf.unusable.first_key_value() {
        let count = vrf.unusable.len();
        notes.push(format!(
            "routes that are not installed: {count}, such as {nlri}: {reason}"
        ));
    }
    notes
}
