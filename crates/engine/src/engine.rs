//! The engine: what comes in, what follows from it, what goes out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chanter_bgp::{Family, Nlri, RtMembership, UpdateBatch};
use chanter_intent::{
    Change, InstanceId, IntentStore, Object, ObjectKey, Rejection, SourceEvent, SourceId, Verdict,
    VpnInstance, VpnKind,
};
use chanter_types::{Asn, Instant, RouteDistinguisher};

use crate::desired::{DesiredKey, Report};
use crate::gate::{Circumstances, Gates, PeerState};
use crate::program::Program;
use crate::rib::{DestRef, EndOfRib, PathOrigin, Rib, RibConfig};
use crate::status::StatusBoard;
use crate::vpn::{self, Identity, Surroundings, TargetChange, Vpn};
use crate::{Event, Input, ObjectStatus, Output, PeerId, SessionInfo};

/// How long a peer may take to say which route targets it wants; after that End-of-RIB is sent to it
/// although nothing may have been (RFC 4684 section 6).
const MEMBERSHIP_WAIT: Duration = Duration::from_secs(60);

/// What the engine is to be.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Our AS.
    pub local_as: Asn,
    /// Our BGP identifier; the first part of route distinguishers.
    pub router_id: Ipv4Addr,
    /// The address of this node's VTEP; a node without hosts no instances.
    pub vtep: Option<IpAddr>,
    /// The cluster that this node reflects routes for (RFC 4456); its BGP identifier where `None`.
    pub cluster_id: Option<Ipv4Addr>,
    /// Whether this node is a route reflector: it asks its clients for all routes.
    pub reflect: bool,
    /// Whether to tell peers which route targets the instances import (RFC 4684).
    pub rt_constraint: bool,
    /// The sources that have to sync before anything is removed.
    pub sources: Vec<SourceId>,
    /// How many peers are configured; one of them has to be up before anything is removed.
    pub peers_expected: usize,
    /// Whether peers may hold routes of ours from before a restart.
    pub restarting: bool,
    /// How long to wait for peers before what they did not repeat is removed, and before End-of-RIB
    /// is sent in spite of missing reports (RFC 4724 section 4.1, Selection_Deferral_Timer).
    pub deferral: Duration,
}

impl EngineConfig {
    /// The usual waiting time for peers.
    pub const DEFERRAL: Duration = Duration::from_secs(60);
}

/// All decisions of a node, without I/O, clock, or randomness.
///
/// Inputs go in by [`handle`](Self::handle) and [`handle_deadline`](Self::handle_deadline); after
/// each, outputs are taken by [`poll_output`](Self::poll_output) until there are none, and
/// [`next_deadline`](Self::next_deadline) is asked. UPDATE messages are pulled by
/// [`export`](Self::export). Everything else shows state and changes nothing.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) intent: IntentStore,
    pub(crate) rib: Rib,
    pub(crate) vpn: Vpn,
    pub(crate) program: Program,
    pub(crate) statuses: StatusBoard,
    pub(crate) peers: BTreeMap<PeerId, PeerState>,
    pub(crate) gates: Gates,
    /// Since when sources have declared what they do.
    pub(crate) said: BTreeMap<(ObjectKey, SourceId), Instant>,
    outputs: VecDeque<Output>,
    events: Vec<Event>,
    now: Instant,
}

/// Inputs and outputs.
impl Engine {
    /// An engine that has just started.
    pub fn new(config: EngineConfig, now: Instant) -> Engine {
        let mut rib = Rib::new(RibConfig {
            local_as: config.local_as,
            router_id: config.router_id,
            cluster_id: config.cluster_id,
            reflect: config.reflect,
            membership_wait: MEMBERSHIP_WAIT,
        });
        rib.hold_end_of_rib(true);
        let mut intent = IntentStore::new(config.sources.iter().copied());
        if config.vtep.is_none() {
            intent.refuse_instances("this node has no VTEP address and hosts no VPN instances");
        }
        let gates = Gates::new(now + config.deferral, config.reflect, config.restarting);
        let mut engine = Engine {
            config,
            intent,
            rib,
            vpn: Vpn::default(),
            program: Program::default(),
            statuses: StatusBoard::default(),
            peers: BTreeMap::new(),
            gates,
            said: BTreeMap::new(),
            outputs: VecDeque::new(),
            events: Vec::new(),
            now,
        };
        engine.settle(now);
        engine
    }

    /// Takes in an input.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Source { source, event } => self.handle_source(source, event, now),
            Input::PeerUp { peer, session } => self.handle_peer_up(peer, *session, now),
            Input::PeerDown { peer, retain, restart_time } => {
                self.handle_peer_down(peer, &retain, restart_time, now);
            }
            Input::PeerRemoved { peer } => {
                self.handle_peer_down(peer, &[], Duration::ZERO, now);
                self.rib.peer_removed(peer, now);
            }
            Input::Updates { peer, batch } => self.handle_updates(peer, batch, now),
            Input::RouteRefresh { peer, family } => self.rib.route_refresh(peer, family),
            Input::Dataplane(reports) => self.handle_reports(reports, now),
        }
        self.settle(now);
    }

    /// The next output, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let gates = self.gates.next_deadline(self.now);
        gates.into_iter().chain(self.rib.next_deadline()).min()
    }

    /// Does what is due by now.
    pub fn handle_deadline(&mut self, now: Instant) {
        for (peer, paths) in self.rib.expire_stale(now) {
            self.report_stale(peer, paths, "the peer did not repeat them in time");
            if self.peers.get(&peer).is_some_and(|peer| !peer.established) {
                self.peers.remove(&peer);
            }
        }
        self.settle(now);
    }

    /// Writes UPDATE messages for the peer, at most about `budget` octets; whether more is waiting.
    pub fn export(&mut self, peer: PeerId, budget: usize, out: &mut Vec<u8>) -> bool {
        self.rib.export(peer, budget, out)
    }

    /// Whether `source` could declare `object` and have it accepted. Changes nothing.
    pub fn validate(&self, source: SourceId, object: &Object) -> Result<(), Rejection> {
        self.intent.validate(source, object)
    }

    /// The status of a declared object; `None` when the source does not declare it, and nothing is
    /// left of it.
    pub fn status(&self, source: SourceId, key: &ObjectKey) -> Option<ObjectStatus> {
        self.statuses.get(source, key).cloned()
    }
}

impl Engine {
    fn handle_source(&mut self, source: SourceId, event: SourceEvent, now: Instant) {
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
                let left = left.into_iter().filter(|key| self.program.is_leaving(key)).collect();
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
                let Some(number) = self.vpn.number_of(&key.instance) else { return };
                let Some(instance) = self.vpn.get_mut(number) else { return };
                match new {
                    Some(Object::Attachment(attachment)) => instance.attach(attachment, now),
                    _ => instance.detach(key.mac, key.ip),
                }
            }
        }
    }

    fn apply_instance(&mut self, declared: &VpnInstance, exists: bool, now: Instant) {
        let Some(identity) = self.identify(declared) else { return };
        self.intent.allocated(&declared.id, identity.vni, identity.rd);
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
        let numbers = (1..=u16::MAX).cycle().skip(number as usize - 1).take(usize::from(u16::MAX));
        numbers
            .map(|number| RouteDistinguisher::from_ipv4(self.config.router_id, number))
            .find(|rd| self.intent.rd_user(*rd).is_none_or(|user| user == id))
    }

    fn remove_instance(&mut self, id: &InstanceId, now: Instant) {
        let Some((mut instance, change)) = self.vpn.remove(id) else { return };
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
            let routes: Vec<DestRef> =
                self.rib.destinations_with_rt(Family::L2VPN_EVPN, *rt).collect();
            for route in routes {
                self.import(route);
            }
        }
        if !self.config.rt_constraint {
            return;
        }
        let of = |rt| vpn::membership(RtMembership::new(self.config.local_as, rt));
        for rt in change.gained {
            let (nlri, route) = of(rt);
            self.rib.originate(0, nlri, route.data, &route.attributes, now);
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
                instance.map(|vrf| DesiredKey::Domain(vrf.number)).into_iter().collect()
            }
            ObjectKey::Attachment(key) => {
                let Some(vrf) = self.vpn.by_id(&key.instance) else { return Vec::new() };
                let Some(entry) = vrf.macs.get(&key.mac) else { return Vec::new() };
                let Some(local) = entry.local.get(&key.ip) else { return Vec::new() };
                vec![
                    DesiredKey::Domain(vrf.number),
                    DesiredKey::Port(vrf.number, local.port.name.clone()),
                    DesiredKey::LocalMac(vrf.number, key.mac),
                ]
            }
        }
    }
}

/// Peers.
impl Engine {
    fn handle_peer_up(&mut self, peer: PeerId, session: SessionInfo, now: Instant) {
        let addr = session.peer_addr;
        self.events.push(Event::PeerUp { peer, addr });
        self.peers.insert(peer, PeerState::new(session.clone()));
        let dropped = self.rib.peer_up(peer, session, now);
        self.report_stale(peer, dropped, "the peer did not preserve its forwarding state");
    }

    fn handle_peer_down(
        &mut self,
        peer: PeerId,
        retain: &[Family],
        restart_time: Duration,
        now: Instant,
    ) {
        let stale = self.rib.peer_down(peer, retain, now + restart_time, now);
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let addr = state.session.peer_addr;
        if std::mem::replace(&mut state.established, false) {
            self.events.push(Event::PeerDown { peer, addr, stale });
        }
        if stale == 0 {
            self.peers.remove(&peer);
        }
    }

    fn handle_updates(&mut self, peer: PeerId, batch: UpdateBatch, now: Instant) {
        for EndOfRib { family, stale_removed } in self.rib.apply(peer, batch, now) {
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            state.mark(family);
            let addr = state.session.peer_addr;
            self.events.push(Event::EndOfRib { peer, addr, family });
            self.report_stale(peer, stale_removed, "the peer did not repeat them");
        }
    }

    fn report_stale(&mut self, peer: PeerId, paths: usize, reason: &'static str) {
        if paths > 0
            && let Some(state) = self.peers.get(&peer)
        {
            let addr = state.session.peer_addr;
            self.events.push(Event::StaleRemoved { peer, addr, paths, reason });
        }
    }
}

/// What follows from inputs.
impl Engine {
    fn handle_reports(&mut self, reports: Vec<Report>, now: Instant) {
        for report in reports {
            let result = report.result.clone();
            let Some(reported) = self.program.report(report, now) else { continue };
            let key = reported.key;
            if let Some(failure) = reported.failure {
                let error = failure.map(|error| error.message);
                self.events.push(Event::Dataplane { key: key.clone(), error });
            }
            if reported.unwanted {
                self.statuses.left(&key, &result);
            } else {
                self.touch_object(&key);
            }
        }
    }

    /// Marks what depends on the state of a dataplane object: statuses and originated routes.
    fn touch_object(&mut self, key: &DesiredKey) {
        let Some(instance) = self.vpn.get_mut(key.domain().0) else { return };
        let macs: BTreeSet<_> = match key {
            DesiredKey::Domain(_) => {
                instance.dirty.routes = true;
                self.statuses.touch(ObjectKey::Instance(instance.id.clone()));
                instance.macs.keys().copied().collect()
            }
            DesiredKey::Port(_, port) => {
                let users = instance.ports.get(port).into_iter().flatten();
                users.map(|(mac, _)| *mac).collect()
            }
            DesiredKey::LocalMac(_, mac) => [*mac].into(),
            DesiredKey::Flood(..) | DesiredKey::RemoteMac(..) | DesiredKey::Neighbor(..) => {
                BTreeSet::new()
            }
        };
        for mac in macs {
            let Some(entry) = instance.macs.get(&mac).filter(|entry| !entry.local.is_empty())
            else {
                continue;
            };
            for ip in entry.local.keys() {
                let key = chanter_intent::AttachmentKey {
                    instance: instance.id.clone(),
                    mac,
                    ip: *ip,
                };
                self.statuses.touch(ObjectKey::Attachment(key));
            }
            instance.dirty.macs.insert(mac);
        }
    }

    fn import(&mut self, route: DestRef) {
        let Some(own_vtep) = self.config.vtep else { return };
        let destination = self.rib.destination(route);
        let Some(Nlri::Evpn(nlri)) = destination.nlri() else { return };
        let best = destination.best();
        let path = best.filter(|path| matches!(path.origin, PathOrigin::Peer(_)));
        let path = path.map(|path| (path.data, path.attributes));
        self.vpn.import(&nlri, path, own_vtep);
    }

    /// Imports what changed in the RIB and computes what follows, until nothing does any more.
    fn compute(&mut self, now: Instant) {
        loop {
            while let Some(route) = self.rib.poll_changed() {
                self.import(route);
            }
            let Some(own_vtep) = self.config.vtep else { return };
            let mut computed = false;
            while let Some(instance) = self.vpn.pop_dirty() {
                computed = true;
                instance.settle(&mut Surroundings {
                    own_vtep,
                    program: &mut self.program,
                    events: &mut self.events,
                    now,
                });
                let updates = instance.settle_routes(own_vtep, &self.program);
                let number = instance.number.0;
                for (nlri, route) in updates.originate {
                    self.rib.originate(number, nlri, route.data, &route.attributes, now);
                }
                for nlri in updates.unoriginate {
                    self.rib.unoriginate(number, &nlri);
                }
            }
            if !computed {
                return;
            }
        }
    }

    /// Brings everything that follows up to date and queues the outputs.
    fn settle(&mut self, now: Instant) {
        self.now = now;
        self.compute(now);
        self.emit_events();
        while self.program.has_changes() {
            for change in self.program.take_changes() {
                self.touch_object(&change.key);
                if change.value.is_some() {
                    self.statuses.left(&change.key, &Ok(()));
                }
                self.outputs.push_back(Output::Program(change));
            }
            self.compute(now);
            self.emit_events();
        }
        self.emit_statuses();
        self.open_gates(now);
        while let Some(peer) = self.rib.poll_export_ready() {
            self.outputs.push_back(Output::ExportReady(peer));
        }
    }

    fn emit_events(&mut self) {
        self.outputs.extend(self.events.drain(..).map(Output::Event));
    }

    fn emit_statuses(&mut self) {
        for (source, key, repeated) in self.statuses.take_touched(&self.intent) {
            let status = self.compute_status(source, &key);
            let changed = self.statuses.set(source, &key, status.clone());
            if changed || repeated {
                self.push_status(source, key, status, changed);
            }
        }
        for (source, key, status) in self.statuses.take_withdrawn() {
            self.push_status(source, key, status, true);
        }
    }

    fn push_status(
        &mut self,
        source: SourceId,
        key: ObjectKey,
        status: ObjectStatus,
        changed: bool,
    ) {
        if changed {
            let (key, status) = (key.clone(), status.clone());
            self.outputs.push_back(Output::Event(Event::Object { source, key, status }));
        }
        self.outputs.push_back(Output::Status { source, key, status });
    }

    /// The status of what a source declares, from what the store and the sinks say.
    fn compute_status(&self, source: SourceId, key: &ObjectKey) -> ObjectStatus {
        let declaration = self.intent.declarations(key).find(|d| d.source == source);
        if let Some(rejection) = declaration.and_then(|declaration| declaration.rejection) {
            let Rejection { field, reason } = rejection.clone();
            return ObjectStatus::Rejected { field, reason };
        }
        let keys = self.dataplane_keys(key);
        let entries = keys.iter().filter_map(|key| self.program.get(key));
        let reports: Vec<_> = entries.map(|entry| entry.report.as_ref()).collect();
        if let Some(error) = reports.iter().flatten().find_map(|report| report.as_ref().err()) {
            ObjectStatus::Failed { error: error.clone() }
        } else if reports.is_empty() || reports.contains(&None) {
            ObjectStatus::Pending
        } else {
            ObjectStatus::Installed
        }
    }

    fn open_gates(&mut self, now: Instant) {
        let circumstances = Circumstances {
            sources_synced: self.intent.all_synced(),
            peers: &self.peers,
            peers_expected: self.config.peers_expected,
            awaits_local_reports: self.program.awaits_local_reports(),
            now,
        };
        if self.gates.poll_end_of_rib(&circumstances) {
            self.rib.hold_end_of_rib(false);
        }
        if let Some(reason) = self.gates.poll_prune(&circumstances) {
            self.outputs.push_back(Output::PruneAllowed);
            self.outputs.push_back(Output::Event(Event::PruneAllowed { reason }));
        }
    }
}
