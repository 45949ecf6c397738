//! Many processes, the links between them, and what the seed does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chanter_intent::{Object, ObjectKey, SourceEvent};
use chanter_policy::{PeerPolicy, Policy};
use chanter_types::Instant;

use crate::node::{Health, Node, NodeId};
use crate::objects::{
    Targets, attachment_object, endpoint_ip, endpoint_mac, instance_id, instance_object, reduce,
};
use crate::random::Random;

/// The size of a site.
#[derive(Debug, Clone, Copy)]
pub struct SiteConfig {
    /// Route reflectors, to each of which every node has a session: 1 or more.
    pub reflectors: usize,
    /// Nodes beside the reflectors: 1 to 200.
    pub nodes: usize,
    /// VPN instances, each of which may be on any node.
    pub instances: usize,
    /// Endpoints, each of which belongs to one instance.
    pub endpoints: usize,
}

/// A session between a node and a reflector.
type Session = (NodeId, NodeId);

/// Route targets that instances choose from.
const TARGETS: u32 = 4;

/// A site in virtual time. The first processes are the reflectors.
pub struct Site {
    config: SiteConfig,
    random: Random,
    now: Instant,
    processes: Vec<Node>,
    sessions: BTreeSet<Session>,
    /// Where each attached endpoint is.
    places: BTreeMap<usize, NodeId>,
    /// Endpoints that are elsewhere by now, and still attached to the node which they left.
    ghosts: BTreeSet<(NodeId, usize)>,
    /// Sessions of which the node takes nothing.
    rejecting: BTreeSet<Session>,
    /// The route targets of each instance.
    targets: Vec<Targets>,
    /// What was done, for the message of a failure.
    history: Vec<String>,
}

impl Site {
    /// A site whose life `seed` determines; all sessions are up, nothing is attached.
    pub fn new(config: SiteConfig, seed: u64) -> Self {
        let now = Instant::from_secs(1);
        let processes = (0..config.reflectors + config.nodes)
            .map(|index| {
                let reflector = index < config.reflectors;
                Node::start(
                    NodeId(index),
                    reflector,
                    peers_of(config, NodeId(index)),
                    now,
                )
            })
            .collect();
        let targets = (1..=config.instances as u32)
            .map(|rt| Targets {
                import: [rt].into(),
                export: [rt].into(),
            })
            .collect();
        let mut site = Self {
            config,
            random: Random::new(seed),
            now,
            processes,
            sessions: BTreeSet::new(),
            places: BTreeMap::new(),
            ghosts: BTreeSet::new(),
            rejecting: BTreeSet::new(),
            targets,
            history: Vec::new(),
        };
        site.connect_all();
        site
    }

    fn nodes(&self) -> Vec<NodeId> {
        let first = self.config.reflectors;
        (first..first + self.config.nodes).map(NodeId).collect()
    }

    fn is_reflector(&self, id: NodeId) -> bool {
        id.0 < self.config.reflectors
    }

    /// The sessions of a process, up or not.
    fn sessions_of(&self, id: NodeId) -> Vec<Session> {
        if self.is_reflector(id) {
            self.nodes().into_iter().map(|node| (node, id)).collect()
        } else {
            let reflectors = (0..self.config.reflectors).map(NodeId);
            reflectors.map(|reflector| (id, reflector)).collect()
        }
    }

    fn connect_all(&mut self) {
        for node in self.nodes() {
            for session in self.sessions_of(node) {
                self.connect(session);
            }
        }
    }

    /// The processes, the reflector first.
    pub fn processes(&self) -> &[Node] {
        &self.processes
    }

    /// What was done so far, a line each.
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// Does one thing that the seed chooses.
    pub fn step(&mut self) {
        let nodes = self.nodes();
        let node = nodes[self.random.below(nodes.len())];
        let session = (node, NodeId(self.random.below(self.config.reflectors)));
        match self.random.below(100) {
            0..36 => self.deliver_some(),
            36..62 => self.place(node),
            62..70 => self.detach(),
            70..74 => self.retarget(),
            74..80 => self.break_session(session),
            80..88 => self.connect(session),
            88..91 => self.kill(node),
            91 => self.kill(session.1),
            92 => self.set_policy(session, true),
            93 => self.set_health(node, Health::Failing),
            94..96 => self.set_health(node, Health::Slow),
            96..98 => self.set_health(node, Health::Well),
            _ => {
                let secs = 1 + self.random.below(20) as u64;
                self.wait(Duration::from_secs(secs));
            }
        }
    }

    /// A node takes nothing, or everything, from a reflector from now on.
    fn set_policy(&mut self, (node, reflector): Session, rejects: bool) {
        let is_new = if rejects {
            self.rejecting.insert((node, reflector))
        } else {
            self.rejecting.remove(&(node, reflector))
        };
        if !is_new {
            return;
        }
        let what = if rejects { "rejects" } else { "accepts" };
        self.log(format!("node {} {what} what {} sends", node.0, reflector.0));
        let import = Policy::new("simulation", Vec::new()).accept_rest(!rejects);
        let policy = PeerPolicy {
            import: Some(Arc::new(import)),
            ..PeerPolicy::default()
        };
        self.processes[node.0].set_policy(reflector, policy, self.now);
        for (peer, families) in std::mem::take(&mut self.processes[node.0].refreshes) {
            assert_eq!(peer, reflector.peer());
            self.processes[reflector.0].refresh(node, families, self.now);
        }
    }

    /// Lets everything that is under way arrive, with all sessions up.
    pub fn quiesce(&mut self) {
        for session in self.rejecting.clone() {
            self.set_policy(session, false);
        }
        for (node, endpoint) in std::mem::take(&mut self.ghosts) {
            self.detach_from(node, endpoint);
        }
        for node in self.nodes() {
            self.set_health(node, Health::Well);
        }
        self.connect_all();
        self.deliver_all();
        // Restart times and deferrals run out; what was held back for them is sent.
        self.wait(Duration::from_secs(300));
        self.deliver_all();
    }

    /// As [`Site::quiesce`], with a look at all processes after each delivery and each second.
    pub fn quiesce_watching(&mut self, watch: impl Fn(&[Node])) {
        let settle = |site: &mut Self| {
            while let Some((from, to)) = site.links().first().copied() {
                site.deliver(from, to);
                watch(&site.processes);
            }
        };
        settle(self);
        for _ in 0..300 {
            self.wait(Duration::from_secs(1));
            watch(&self.processes);
            settle(self);
        }
    }

    /// Kills `node` and brings it back, with nothing lost on the way.
    pub fn restart(&mut self, node: NodeId) {
        self.kill(node);
        self.connect_all();
    }

    /// Compares each dataplane with what the places of the endpoints ask for.
    ///
    /// # Panics
    /// Where they differ, with the history.
    pub fn assert_converged(&self) {
        for node in self.nodes() {
            let expected = self.expected(node);
            let found = reduce(&self.processes[node.0].dataplane);
            assert_eq!(
                found,
                expected,
                "node {} differs (left: it holds; right: it should) after\n{}",
                node.0,
                self.history.join("\n")
            );
        }
    }

    fn log(&mut self, text: String) {
        self.history.push(format!(
            "{:>6} s {text}",
            self.now.as_nanos() / 1_000_000_000
        ));
    }

    fn instance_of(&self, endpoint: usize) -> usize {
        endpoint % self.config.instances
    }

    /// Attaches an endpoint to `node`, or moves it there.
    fn place(&mut self, node: NodeId) {
        let endpoint = self.random.below(self.config.endpoints);
        if self.places.get(&endpoint) == Some(&node) {
            return;
        }
        // A machine that moves is attached to its new node after it leaves the old one, before, or
        // long before: the old one may be the last to know.
        let overlap = self.random.below(3);
        if overlap == 0 {
            self.remove(endpoint);
        }
        self.log(format!("endpoint {endpoint} to node {}", node.0));
        let old = self.places.insert(endpoint, node);
        if self.ghosts.remove(&(node, endpoint)) {
            // It comes back before its end was told: to the node, it is attached anew.
            self.detach_from(node, endpoint);
        }
        let number = self.instance_of(endpoint);
        let instance = Object::Instance(instance_object(number, &self.targets[number]));
        let attachment = Object::Attachment(attachment_object(number, endpoint));
        for object in [instance, attachment] {
            self.declare(node, object);
        }
        match old {
            Some(old) if overlap == 1 => {
                // The old node sees the move before its own client detaches.
                self.deliver_all();
                self.detach_from(old, endpoint);
            }
            Some(old) => {
                self.ghosts.insert((old, endpoint));
            }
            None => {}
        }
    }

    fn declare(&mut self, node: NodeId, object: Object) {
        let process = &mut self.processes[node.0];
        let key = object.key();
        match process.declared.iter_mut().find(|old| old.key() == key) {
            Some(old) => *old = object.clone(),
            None => process.declared.push(object.clone()),
        }
        process.source(SourceEvent::Upsert(object), self.now);
    }

    /// An instance imports and exports other route targets from now on, node after node.
    fn retarget(&mut self) {
        let number = self.random.below(self.config.instances);
        let targets = Targets {
            import: self.some_targets(),
            export: self.some_targets(),
        };
        self.log(format!("instance {number}: {targets:?}"));
        self.targets[number] = targets;
        let object = Object::Instance(instance_object(number, &self.targets[number]));
        for node in self.nodes() {
            let declared = &self.processes[node.0].declared;
            if declared.iter().any(|old| old.key() == object.key()) {
                self.declare(node, object.clone());
                self.deliver_some();
            }
        }
    }

    fn some_targets(&mut self) -> BTreeSet<u32> {
        let count = 1 + self.random.below(2);
        (0..count)
            .map(|_| 1 + self.random.below(TARGETS as usize) as u32)
            .collect()
    }

    fn set_health(&mut self, node: NodeId, health: Health) {
        self.log(format!("dataplane of node {}: {health:?}", node.0));
        self.processes[node.0].set_health(health, self.now);
    }

    fn detach(&mut self) {
        let endpoint = self.random.below(self.config.endpoints);
        self.remove(endpoint);
    }

    fn remove(&mut self, endpoint: usize) {
        if let Some(node) = self.places.remove(&endpoint) {
            self.detach_from(node, endpoint);
        }
    }

    fn detach_from(&mut self, node: NodeId, endpoint: usize) {
        self.log(format!("endpoint {endpoint} off node {}", node.0));
        let number = self.instance_of(endpoint);
        let attachment = Object::Attachment(attachment_object(number, endpoint)).key();
        self.undeclare(node, &attachment);
        let id = instance_id(number);
        let empty = !self.processes[node.0]
            .declared
            .iter()
            .any(|object| matches!(object, Object::Attachment(other) if other.key.instance == id));
        if empty {
            self.undeclare(node, &ObjectKey::Instance(id));
        }
    }

    fn undeclare(&mut self, node: NodeId, key: &ObjectKey) {
        let process = &mut self.processes[node.0];
        process.declared.retain(|object| object.key() != *key);
        process.source(SourceEvent::Remove(key.clone()), self.now);
    }

    fn connect(&mut self, session: Session) {
        if self.sessions.insert(session) {
            let (node, reflector) = session;
            self.log(format!(
                "session of nodes {} and {} up",
                node.0, reflector.0
            ));
            self.processes[node.0].peer_up(reflector, false, self.now);
            self.processes[reflector.0].peer_up(node, true, self.now);
        }
    }

    fn break_session(&mut self, session: Session) {
        if self.sessions.remove(&session) {
            let (node, reflector) = session;
            self.log(format!(
                "session of nodes {} and {} down",
                node.0, reflector.0
            ));
            self.processes[node.0].peer_down(reflector, self.now);
            self.processes[reflector.0].peer_down(node, self.now);
        }
    }

    fn kill(&mut self, id: NodeId) {
        self.log(format!("process {} killed and started", id.0));
        for session in self.sessions_of(id) {
            if self.sessions.remove(&session) {
                // Only the survivor hears of it.
                let (node, reflector) = session;
                let survivor = if id == reflector { node } else { reflector };
                self.processes[survivor.0].peer_down(id, self.now);
            }
        }
        self.processes[id.0].restart(peers_of(self.config, id), self.now);
    }

    /// Delivers a few messages of links that the seed chooses, each link in its order.
    fn deliver_some(&mut self) {
        for _ in 0..1 + self.random.below(20) {
            let links = self.links();
            if links.is_empty() {
                return;
            }
            let (from, to) = links[self.random.below(links.len())];
            self.deliver(from, to);
        }
    }

    fn deliver_all(&mut self) {
        loop {
            let links = self.links();
            if links.is_empty() {
                return;
            }
            for (from, to) in links {
                self.deliver(from, to);
            }
        }
    }

    /// Links with messages on them.
    fn links(&self) -> Vec<(NodeId, NodeId)> {
        let mut links = Vec::new();
        for (index, process) in self.processes.iter().enumerate() {
            let waiting = process
                .outgoing
                .iter()
                .filter(|(_, queue)| !queue.is_empty());
            links.extend(waiting.map(|(to, _)| (NodeId(index), *to)));
        }
        links
    }

    fn deliver(&mut self, from: NodeId, to: NodeId) {
        let queue = self.processes[from.0].outgoing.get_mut(&to);
        if let Some(message) = queue.and_then(|queue| queue.pop_front()) {
            self.processes[to.0].receive(from, &message, self.now);
        }
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let deadlines = self.processes.iter().filter_map(Node::next_deadline);
            let Some(next) = deadlines.min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for process in &mut self.processes {
                process.timers(self.now);
            }
        }
        self.now = end;
    }

    /// What the dataplane of `node` should hold, with its instances by name.
    fn expected(&self, node: NodeId) -> BTreeSet<String> {
        let mut expected = BTreeSet::new();
        let here: BTreeSet<usize> = self
            .places
            .iter()
            .filter(|(_, place)| **place == node)
            .map(|(endpoint, _)| self.instance_of(*endpoint))
            .collect();
        for (&endpoint, &place) in &self.places {
            let from = self.instance_of(endpoint);
            let (mac, ip) = (endpoint_mac(endpoint), endpoint_ip(endpoint));
            if place == node {
                let name = instance_id(from);
                expected.insert(format!("{name} domain"));
                expected.insert(format!("{name} port tap{endpoint}"));
                expected.insert(format!("{name} local {mac} tap{endpoint}"));
                continue;
            }
            let exported = &self.targets[from].export;
            let importing = here
                .iter()
                .filter(|to| !self.targets[**to].import.is_disjoint(exported));
            for to in importing {
                let (name, vtep) = (instance_id(*to), place.addr());
                expected.insert(format!("{name} flood {vtep}"));
                expected.insert(format!("{name} remote {mac} {vtep}"));
                expected.insert(format!("{name} neighbor {ip} {mac}"));
            }
        }
        expected
    }
}

/// How many peers a process is configured with.
fn peers_of(config: SiteConfig, id: NodeId) -> usize {
    if id.0 < config.reflectors {
        config.nodes
    } else {
        config.reflectors
    }
}
