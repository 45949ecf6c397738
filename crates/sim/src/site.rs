//! Many processes, the links between them, and what the seed does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use chanter_engine::desired::{DesiredKey, DesiredValue};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Object, ObjectKey, Port, PortName, SourceEvent,
    VpnInstance, VpnKind,
};
use chanter_types::{Instant, MacAddr, RouteTarget, Vni};

use crate::node::{Node, NodeId, SITE_AS};
use crate::random::Random;

/// The size of a site.
#[derive(Debug, Clone, Copy)]
pub struct SiteConfig {
    /// Nodes beside the reflector: 1 to 200.
    pub nodes: usize,
    /// VPN instances, each of which may be on any node.
    pub instances: usize,
    /// Endpoints, each of which belongs to one instance.
    pub endpoints: usize,
}

/// A site in virtual time. Process 0 is the reflector.
pub struct Site {
    config: SiteConfig,
    random: Random,
    now: Instant,
    processes: Vec<Node>,
    sessions: BTreeSet<NodeId>,
    /// Where each attached endpoint is.
    places: BTreeMap<usize, NodeId>,
    /// What was done, for the message of a failure.
    history: Vec<String>,
}

const REFLECTOR: NodeId = NodeId(0);

impl Site {
    /// A site whose life `seed` determines; all sessions are up, nothing is attached.
    pub fn new(config: SiteConfig, seed: u64) -> Self {
        let now = Instant::from_secs(1);
        let processes = (0..=config.nodes)
            .map(|index| {
                let peers = if index == 0 { config.nodes } else { 1 };
                Node::start(NodeId(index), index == 0, peers, now)
            })
            .collect();
        let mut site = Self {
            config,
            random: Random::new(seed),
            now,
            processes,
            sessions: BTreeSet::new(),
            places: BTreeMap::new(),
            history: Vec::new(),
        };
        for node in site.nodes() {
            site.connect(node);
        }
        site
    }

    fn nodes(&self) -> Vec<NodeId> {
        (1..=self.config.nodes).map(NodeId).collect()
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
        let node = NodeId(1 + self.random.below(self.config.nodes));
        match self.random.below(100) {
            0..40 => self.deliver_some(),
            40..70 => self.place(node),
            70..80 => self.detach(),
            80..86 => self.break_session(node),
            86..94 => self.connect(node),
            94..97 => self.kill(node),
            97 => self.kill(REFLECTOR),
            _ => {
                let secs = 1 + self.random.below(20) as u64;
                self.wait(Duration::from_secs(secs));
            }
        }
    }

    /// Lets everything that is under way arrive, with all sessions up.
    pub fn quiesce(&mut self) {
        for node in self.nodes() {
            self.connect(node);
        }
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
        if node == REFLECTOR {
            for node in self.nodes() {
                self.connect(node);
            }
        } else {
            self.connect(node);
        }
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
        // A machine that moves is attached to its new node before or after it leaves the old one.
        let before = self.random.percent(50);
        if !before {
            self.remove(endpoint);
        }
        self.log(format!("endpoint {endpoint} to node {}", node.0));
        let old = self.places.insert(endpoint, node);
        let instance = Object::Instance(instance_object(self.instance_of(endpoint)));
        let attachment =
            Object::Attachment(attachment_object(self.instance_of(endpoint), endpoint));
        for object in [instance, attachment] {
            let process = &mut self.processes[node.0];
            if !process.declared.contains(&object) {
                process.declared.push(object.clone());
            }
            process.source(SourceEvent::Upsert(object), self.now);
        }
        if let Some(old) = old.filter(|_| before) {
            // The old node sees the move before its own client detaches.
            self.deliver_all();
            self.detach_from(old, endpoint);
        }
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
        let id = InstanceId::new(&format!("net-{number}"));
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

    fn connect(&mut self, node: NodeId) {
        if self.sessions.insert(node) {
            self.log(format!("session of node {} up", node.0));
            self.processes[node.0].peer_up(REFLECTOR, false, self.now);
            self.processes[REFLECTOR.0].peer_up(node, true, self.now);
        }
    }

    fn break_session(&mut self, node: NodeId) {
        if self.sessions.remove(&node) {
            self.log(format!("session of node {} down", node.0));
            self.processes[node.0].peer_down(REFLECTOR, self.now);
            self.processes[REFLECTOR.0].peer_down(node, self.now);
        }
    }

    fn kill(&mut self, id: NodeId) {
        self.log(format!("process {} killed and started", id.0));
        let sessions = if id == REFLECTOR {
            self.nodes()
        } else {
            vec![id]
        };
        for node in sessions {
            if self.sessions.remove(&node) {
                // Only the survivor hears of it.
                let (survivor, dead) = if id == REFLECTOR {
                    (node, id)
                } else {
                    (REFLECTOR, node)
                };
                self.processes[survivor.0].peer_down(dead, self.now);
            }
        }
        let peers = if id == REFLECTOR {
            self.config.nodes
        } else {
            1
        };
        self.processes[id.0].restart(peers, self.now);
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
            let number = self.instance_of(endpoint);
            if !here.contains(&number) {
                continue;
            }
            let name = format!("net-{number}");
            let (mac, ip) = (endpoint_mac(endpoint), endpoint_ip(endpoint));
            if place == node {
                expected.insert(format!("{name} domain"));
                expected.insert(format!("{name} port tap{endpoint}"));
                expected.insert(format!("{name} local {mac} tap{endpoint}"));
            } else {
                let vtep = place.addr();
                expected.insert(format!("{name} flood {vtep}"));
                expected.insert(format!("{name} remote {mac} {vtep}"));
                expected.insert(format!("{name} neighbor {ip} {mac}"));
            }
        }
        expected
    }
}

/// A dataplane in the words of [`Site::expected`].
fn reduce(dataplane: &BTreeMap<DesiredKey, DesiredValue>) -> BTreeSet<String> {
    let name = |key: &DesiredKey| match dataplane.get(&DesiredKey::Domain(key.domain())) {
        Some(DesiredValue::Domain(domain)) => domain.instance.to_string(),
        _ => format!("no domain {}", key.domain()),
    };
    dataplane
        .iter()
        .map(|(key, value)| {
            let name = name(key);
            match (key, value) {
                (DesiredKey::Port(_, port), _) => format!("{name} port {port}"),
                (DesiredKey::LocalMac(_, mac), DesiredValue::LocalMac { port }) => {
                    format!("{name} local {mac} {port}")
                }
                (DesiredKey::Flood(_, vtep), _) => format!("{name} flood {vtep}"),
                (DesiredKey::RemoteMac(_, mac), DesiredValue::RemoteMac { vtep, .. }) => {
                    format!("{name} remote {mac} {vtep}")
                }
                (DesiredKey::Neighbor(_, ip), DesiredValue::Neighbor { mac }) => {
                    format!("{name} neighbor {ip} {mac}")
                }
                _ => format!("{name} domain"),
            }
        })
        .collect()
}

fn endpoint_mac(endpoint: usize) -> MacAddr {
    let [.., a, b] = endpoint.to_be_bytes();
    MacAddr([2, 0, 0, 0, a, b])
}

fn endpoint_ip(endpoint: usize) -> IpAddr {
    let [.., a, b] = endpoint.to_be_bytes();
    [10, 0, a, b].into()
}

fn instance_object(number: usize) -> VpnInstance {
    let rt = RouteTarget::from_as2(SITE_AS.0 as u16, number as u32 + 1);
    VpnInstance {
        id: InstanceId::new(&format!("net-{number}")),
        kind: VpnKind::MacVrf(MacVrf {
            vni: Vni::new(number as u32 + 100),
            bridge: None,
        }),
        import: [rt].into(),
        export: [rt].into(),
        rd: None,
        gateway_ip: None,
        description: None,
    }
}

fn attachment_object(instance: usize, endpoint: usize) -> Attachment {
    Attachment {
        key: AttachmentKey {
            instance: InstanceId::new(&format!("net-{instance}")),
            mac: endpoint_mac(endpoint),
            ip: Some(endpoint_ip(endpoint)),
        },
        port: Port {
            name: PortName::new(&format!("tap{endpoint}")),
            vlan: None,
        },
        local_pref: None,
        sticky: false,
        description: None,
    }
}
