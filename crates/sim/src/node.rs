//! A process with an engine: a node's agent, or the route reflector.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{CodecContext, Family, UpdateBatch, decode_update};
use chanter_engine::desired::{DataplaneError, DesiredChange, DesiredKey, DesiredValue, Report};
use chanter_engine::{
    Engine, EngineConfig, Input, Output, PeerId, PeerOrder, PeerRole, SessionInfo,
};
use chanter_intent::{Object, SourceEvent, SourceId};
use chanter_policy::PeerPolicy;
use chanter_types::{Asn, Instant};

/// The AS of the site.
pub(crate) const SITE_AS: Asn = Asn(64512);

/// How long peers keep the routes of a process that is restarting.
pub(crate) const RESTART_TIME: Duration = Duration::from_secs(120);

/// The families of all sessions.
pub(crate) const FAMILIES: [Family; 2] = [Family::L2VPN_EVPN, Family::IPV4_RTC];

/// The length of a message header (RFC 4271 section 4.1).
const HEADER_LEN: usize = 19;

/// A process of the site, by its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

impl NodeId {
    pub(crate) fn addr(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.0 as u8 + 1)
    }

    pub(crate) fn peer(self) -> PeerId {
        PeerId(self.0 as u32)
    }
}

/// How the dataplane of a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does what it is told, and says so at once.
    Well,
    /// It does what it is told, and says so some time later.
    Slow,
    /// It does nothing of what it is told, and says so.
    Failing,
}

/// A process with its engine, and the dataplane which outlives it.
pub struct Node {
    id: NodeId,
    reflector: bool,
    engine: Engine,
    /// What the kernel holds: it survives the process.
    pub dataplane: BTreeMap<DesiredKey, DesiredValue>,
    prune_allowed: bool,
    desired: BTreeMap<DesiredKey, DesiredValue>,
    health: Health,
    /// What the dataplane could not do yet.
    undone: BTreeMap<DesiredKey, DesiredChange>,
    /// Reports on their way to the engine.
    reports: VecDeque<Report>,
    /// What the clients of this node have attached, as its journal has it.
    pub declared: Vec<Object>,
    /// UPDATE messages on their way to each peer.
    pub(crate) outgoing: BTreeMap<NodeId, VecDeque<Vec<u8>>>,
    /// The policy for each peer that does not have the default one.
    policies: BTreeMap<NodeId, Arc<PeerPolicy>>,
    /// Peers to be asked for their routes again.
    pub(crate) refreshes: Vec<(PeerId, Vec<Family>)>,
}

impl Node {
    pub(crate) fn start(id: NodeId, reflector: bool, peers_expected: usize, now: Instant) -> Self {
        let engine = Engine::new(engine_config(id, reflector, peers_expected, false), now);
        let mut node = Self {
            id,
            reflector,
            engine,
            dataplane: BTreeMap::new(),
            prune_allowed: false,
            desired: BTreeMap::new(),
            health: Health::Well,
            undone: BTreeMap::new(),
            reports: VecDeque::new(),
            declared: Vec::new(),
            outgoing: BTreeMap::new(),
            policies: BTreeMap::new(),
            refreshes: Vec::new(),
        };
        node.declare_all(now);
        node
    }

    /// Kills the process and starts it again: the dataplane and the journal are all that is left.
    pub(crate) fn restart(&mut self, peers_expected: usize, now: Instant) {
        self.engine = Engine::new(
            engine_config(self.id, self.reflector, peers_expected, true),
            now,
        );
        self.prune_allowed = false;
        self.desired.clear();
        self.undone.clear();
        self.reports.clear();
        self.outgoing.clear();
        self.refreshes.clear();
        self.declare_all(now);
    }

    fn declare_all(&mut self, now: Instant) {
        for object in self.declared.clone() {
            self.source(SourceEvent::Upsert(object), now);
        }
        self.source(SourceEvent::Synced, now);
    }

    pub(crate) fn source(&mut self, event: SourceEvent, now: Instant) {
        if self.reflector {
            return;
        }
        self.engine.handle(
            Input::Source {
                source: SourceId::Rest,
                event,
            },
            now,
        );
        self.settle(now);
    }

    pub(crate) fn peer_up(&mut self, peer: NodeId, client: bool, now: Instant) {
        self.outgoing.insert(peer, VecDeque::new());
        let role = if client {
            PeerRole::RouteReflectorClient
        } else {
            PeerRole::Ibgp
        };
        let session = SessionInfo {
            families: FAMILIES.to_vec(),
            end_of_rib: FAMILIES.to_vec(),
            forwarding_preserved: FAMILIES.to_vec(),
            policy: self.policies.get(&peer).cloned().unwrap_or_default(),
            ..SessionInfo::new(
                (peer.addr().into(), self.id.addr().into()),
                (SITE_AS, SITE_AS),
                peer.addr(),
                role,
            )
        };
        self.engine.handle(
            Input::PeerUp {
                peer: peer.peer(),
                session: Box::new(session),
            },
            now,
        );
        self.settle(now);
    }

    /// Another policy holds for what `peer` sends from now on.
    pub(crate) fn set_policy(&mut self, peer: NodeId, policy: PeerPolicy, now: Instant) {
        let policy = Arc::new(policy);
        self.policies.insert(peer, policy.clone());
        let peer = peer.peer();
        self.engine.handle(Input::SetPolicy { peer, policy }, now);
        self.settle(now);
    }

    /// The peer wants the routes of the families again.
    pub(crate) fn refresh(&mut self, peer: NodeId, families: Vec<Family>, now: Instant) {
        let peer = peer.peer();
        for family in families {
            self.engine
                .handle(Input::RouteRefresh { peer, family }, now);
        }
        self.settle(now);
    }

    /// The session ends without NOTIFICATION: paths are retained.
    pub(crate) fn peer_down(&mut self, peer: NodeId, now: Instant) {
        self.outgoing.remove(&peer);
        self.engine.handle(
            Input::PeerDown {
                peer: peer.peer(),
                retain: FAMILIES.to_vec(),
                restart_time: RESTART_TIME,
            },
            now,
        );
        self.settle(now);
    }

    pub(crate) fn receive(&mut self, peer: NodeId, message: &[u8], now: Instant) {
        let context = CodecContext {
            four_octet_as: true,
            families: FAMILIES.into_iter().collect(),
            ebgp: false,
            message_len_max: 4096,
            ..CodecContext::default()
        };
        let mut batch = UpdateBatch::default();
        let mut faults = Vec::new();
        let outcome = decode_update(&message[HEADER_LEN..], &context, &mut batch, &mut faults);
        assert!(
            outcome.is_ok() && faults.is_empty(),
            "{outcome:?} {faults:?} in {message:02x?}"
        );
        self.engine.handle(
            Input::Updates {
                peer: peer.peer(),
                batch,
            },
            now,
        );
        self.settle(now);
    }

    pub(crate) fn timers(&mut self, now: Instant) {
        while self
            .engine
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.engine.handle_deadline(now);
            self.settle(now);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.engine.next_deadline()
    }

    /// Lets the dataplane obey, and puts what is to be sent on the links.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Program(change) => {
                    self.program(change);
                    self.report(now);
                }
                Output::PruneAllowed => {
                    self.prune_allowed = true;
                    self.dataplane
                        .retain(|key, _| self.desired.contains_key(key));
                }
                Output::Order(PeerOrder::Refresh { peer, families }) => {
                    self.refreshes.push((peer, families));
                }
                Output::ExportReady(_)
                | Output::Status { .. }
                | Output::Event(_)
                | Output::Order(PeerOrder::PrefixLimit { .. }) => {}
            }
        }
        let peers: Vec<NodeId> = self.outgoing.keys().copied().collect();
        for peer in peers {
            self.export(peer);
        }
    }

    /// From now on the dataplane is well, slow to report, or fails.
    pub(crate) fn set_health(&mut self, health: Health, now: Instant) {
        self.health = health;
        if health != Health::Failing {
            for change in std::mem::take(&mut self.undone).into_values() {
                self.program(change);
            }
        }
        self.report(now);
        self.settle(now);
    }

    fn program(&mut self, change: DesiredChange) {
        let DesiredChange {
            key,
            version,
            value,
        } = change.clone();
        match &value {
            Some(value) => self.desired.insert(key.clone(), value.clone()),
            None => self.desired.remove(&key),
        };
        let result = if self.health == Health::Failing {
            self.undone.insert(key.clone(), change);
            Err(DataplaneError {
                message: "the simulation refuses".to_owned(),
                caused_by_intent: false,
            })
        } else {
            match value {
                Some(value) => self.dataplane.insert(key.clone(), value),
                None => self.dataplane.remove(&key),
            };
            Ok(())
        };
        self.reports.push_back(Report {
            key,
            version,
            result,
        });
    }

    /// Delivers the reports, unless they are slow.
    fn report(&mut self, now: Instant) {
        if self.health != Health::Slow {
            let reports = self.reports.drain(..).collect();
            self.engine.handle(Input::Dataplane(reports), now);
        }
    }

    fn export(&mut self, peer: NodeId) {
        let mut octets = Vec::new();
        loop {
            let before = octets.len();
            let more = self.engine.export(peer.peer(), 8192, &mut octets);
            if !more || octets.len() == before {
                break;
            }
        }
        let link = self.outgoing.entry(peer).or_default();
        let mut rest = octets.as_slice();
        while let [_, .., _] = rest {
            let len = usize::from(u16::from_be_bytes([rest[16], rest[17]]));
            let (message, after) = rest.split_at(len);
            link.push_back(message.to_vec());
            rest = after;
        }
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether sinks may remove what is not desired.
    pub fn prune_allowed(&self) -> bool {
        self.prune_allowed
    }
}

fn engine_config(
    id: NodeId,
    reflector: bool,
    peers_expected: usize,
    restarting: bool,
) -> EngineConfig {
    EngineConfig {
        local_as: SITE_AS,
        router_id: id.addr(),
        vtep: (!reflector).then(|| id.addr().into()),
        cluster_id: reflector.then(|| id.addr()),
        reflect: reflector,
        rt_constraint: !reflector,
        sources: if reflector {
            Vec::new()
        } else {
            vec![SourceId::Rest]
        },
        restarting,
        deferral: Duration::from_secs(60),
        peers_expected,
    }
}
