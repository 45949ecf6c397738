//! The engine: what comes in, what follows from it, what goes out.

mod declare;
mod sessions;
mod settle;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use chanter_intent::{IntentStore, Object, ObjectKey, Rejection, SourceId};
use chanter_types::{Asn, Instant};

use crate::gate::{Gates, PeerBoard};
use crate::program::Program;
use crate::rib::{MonitorId, MonitorScope, Monitored, Rib, RibConfig};
use crate::status::StatusBoard;
use crate::vpn::Vpn;
use crate::{Event, Input, ObjectStatus, Output, PeerId};

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
    /// How many peers are configured; so many have to be up before anything is removed, unless
    /// the time to wait for them is over.
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
    pub(crate) peers: PeerBoard,
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
            peers: PeerBoard::default(),
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
            Input::PeerDown {
                peer,
                retain,
                restart_time,
            } => {
                self.handle_peer_down(peer, &retain, restart_time, now);
            }
            Input::PeerRemoved { peer } => {
                self.handle_peer_down(peer, &[], Duration::ZERO, now);
                self.rib.peer_removed(peer, now);
            }
            Input::Updates { peer, batch } => self.handle_updates(peer, batch, now),
            Input::RouteRefresh { peer, family } => self.rib.route_refresh(peer, family),
            Input::BeginOfRefresh { peer, family } => self.rib.begin_refresh(peer, family, now),
            Input::EndOfRefresh { peer, family } => self.handle_end_of_refresh(peer, family),
            Input::SetPolicy { peer, policy } => self.rib.set_policy(peer, policy),
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
            if self.rib.session(peer).is_none() {
                self.peers.remove(peer);
            }
        }
        self.settle(now);
    }

    /// Writes UPDATE messages for the peer, at most about `budget` octets; whether more is waiting.
    pub fn export(&mut self, peer: PeerId, budget: usize, out: &mut Vec<u8>) -> bool {
        self.rib.export(peer, budget, out)
    }

    /// As [`export`](Self::export): octets that several peers are sent are not copied for each.
    pub fn export_octets(&mut self, peer: PeerId, budget: usize) -> (Bytes, bool) {
        self.rib.export_octets(peer, budget)
    }

    /// From now on there is a monitor; it is told all from the start.
    pub fn monitor_start(&mut self, scope: MonitorScope) -> MonitorId {
        self.rib.monitor_start(scope)
    }

    /// What a monitor has not been told yet, at most about `budget` octets.
    pub fn monitor_pull(&mut self, id: MonitorId, budget: usize) -> Vec<Monitored> {
        self.rib.monitor_pull(id, budget)
    }

    /// Whether [`monitor_pull`](Self::monitor_pull) is worth while.
    pub fn monitor_has_news(&self, id: MonitorId) -> bool {
        self.rib.monitor_has_news(id)
    }

    /// Forgets a monitor.
    pub fn monitor_stop(&mut self, id: MonitorId) {
        self.rib.monitor_stop(id);
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
