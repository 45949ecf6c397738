//! A node: a namespace with a sink, and endpoints in namespaces of their own.

use std::time::{Duration, Instant};

use chanter_engine::desired::{DesiredChange, DesiredKey, Report};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::namespace::{Namespace, PATIENCE};
use crate::linux::LinuxConfig;
use crate::linux::netlink::Received;
use crate::linux::plan::{Rules, Scope, plan};
use crate::linux::sink::Sink;

pub(super) struct State {
    runtime: Runtime,
    sink: Option<Sink>,
    reports: Vec<Report>,
    overruns: u32,
}

pub(super) struct Node {
    pub(super) ns: Namespace<State>,
}

impl Node {
    /// A node without a sink.
    pub(super) fn new() -> Node {
        let ns = Namespace::with(|| State {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            sink: None,
            reports: Vec::new(),
            overruns: 0,
        });
        Node { ns }
    }

    /// A node with the sink running.
    pub(super) fn started() -> Node {
        let node = Node::new();
        node.start();
        node
    }

    pub(super) fn start(&self) {
        self.ns.run(|state| {
            let sink = state.runtime.block_on(Sink::open(LinuxConfig::default()));
            state.sink = Some(sink.expect("the sink opens"));
        });
    }

    /// As `kill -9` does: nothing is said to the kernel.
    pub(super) fn kill(&self) {
        self.ns.run(|state| drop(state.sink.take()));
    }

    /// An endpoint behind `port`, in a namespace of its own, where its device is `eth0`.
    pub(super) fn endpoint(&self, port: &str, mac: &str, addresses: &[&str]) -> Namespace {
        let endpoint = Namespace::new();
        self.ns.ip(&format!(
            "link add {port} type veth peer name eth0 netns {}",
            endpoint.tid
        ));
        self.ns.ip(&format!("link set {port} up"));
        endpoint.ip(&format!("link set eth0 address {mac}"));
        endpoint.ip("link set eth0 up");
        for address in addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            endpoint.ip(&format!("addr add {address} dev eth0 {nodad}"));
        }
        endpoint
    }

    /// Tells the sink what is desired and converges once; what it reports.
    pub(super) fn submit(&self, changes: Vec<DesiredChange>) -> Vec<Report> {
        self.submit_with(changes, false)
    }

    pub(super) fn prune(&self) -> Vec<Report> {
        self.submit_with(Vec::new(), true)
    }

    fn submit_with(&self, changes: Vec<DesiredChange>, prune: bool) -> Vec<Report> {
        self.ns.run(move |State { runtime, sink, .. }| {
            let sink = sink.as_mut().expect("the sink is started");
            sink.submit(changes, prune);
            runtime
                .block_on(sink.converge(Instant::now()))
                .expect("netlink works")
        })
    }

    /// Tells the sink what is desired, all of which must succeed, and leave nothing to do.
    #[track_caller]
    pub(super) fn install(&self, changes: Vec<DesiredChange>) {
        let keys: Vec<DesiredKey> = changes.iter().map(|change| change.key.clone()).collect();
        let reports = self.submit(changes);
        for key in keys {
            let result = reports
                .iter()
                .find(|report| report.key == key)
                .map(|r| &r.result);
            assert_eq!(result, Some(&Ok(())), "{key}");
        }
        self.assert_nothing_to_do();
    }

    /// The second plan is empty.
    #[track_caller]
    pub(super) fn assert_nothing_to_do(&self) {
        let steps = self.ns.run(|State { runtime, sink, .. }| {
            let sink = sink.as_mut().expect("the sink is started");
            runtime.block_on(async {
                sink.converge(Instant::now()).await.expect("netlink works");
                sink.reopen().await.expect("netlink works");
            });
            let scope = Scope::everything(sink.desired());
            let rules = Rules {
                udp_port: LinuxConfig::VXLAN_PORT,
                prune: false,
            };
            plan(sink.desired(), sink.observed(), &scope, rules).steps
        });
        assert_eq!(steps, [], "after a dump there is still something to do");
    }

    /// Leaves the sink so little room for notifications that they are soon lost.
    pub(super) fn squeeze_notifications(&self) {
        self.ns
            .run(|state| state.sink.as_mut().map(Sink::squeeze_notifications));
    }

    /// How often notifications were lost.
    pub(super) fn overruns(&self) -> u32 {
        self.ns.run(|state| state.overruns)
    }

    /// What the sink believes is what a dump says.
    #[track_caller]
    pub(super) fn assert_observed(&self) {
        let (believed, dumped) = self.ns.run(|State { runtime, sink, .. }| {
            let sink = sink.as_mut().expect("the sink is started");
            let believed = sink.observed().clone();
            runtime.block_on(sink.reopen()).expect("netlink works");
            (believed, sink.observed().clone())
        });
        assert_eq!(believed, dumped);
    }

    /// Lets the sink run until `condition` holds of the node's namespace.
    #[track_caller]
    pub(super) fn settle(&self, what: &str, mut condition: impl FnMut(&Node) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            self.ns.run(
                |State {
                     runtime,
                     sink,
                     reports,
                     overruns,
                 }| {
                    let sink = sink.as_mut().expect("the sink is started");
                    runtime.block_on(async {
                        let news =
                            timeout(Duration::from_millis(50), sink.next_notification()).await;
                        if let Ok(received) = news {
                            let received = received.expect("netlink works");
                            *overruns += u32::from(matches!(received, Received::Overrun));
                            sink.absorb(received).await.expect("netlink works");
                        }
                        reports.extend(sink.converge(Instant::now()).await.expect("netlink works"));
                    });
                },
            );
        }
    }

    /// What was reported while settling.
    pub(super) fn take_reports(&self) -> Vec<Report> {
        self.ns.run(|state| std::mem::take(&mut state.reports))
    }

    /// The FDBs, as iproute2 prints them.
    pub(super) fn fdb(&self) -> String {
        self.ns.bridge("fdb show")
    }

    pub(super) fn has_fdb(&self, words: &[&str]) -> bool {
        self.fdb()
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    }

    #[track_caller]
    pub(super) fn assert_fdb(&self, words: &[&str]) {
        assert!(self.has_fdb(words), "no {words:?} in\n{}", self.fdb());
    }

    pub(super) fn has_neighbor(&self, words: &[&str]) -> bool {
        let table = self.ns.ip("neigh show nud all");
        table
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    }

    pub(super) fn has_device(&self, name: &str) -> bool {
        self.ns.try_program(&format!("ip link show {name}")).0
    }
}

/// The underlay: a link between two nodes with these addresses.
pub(super) fn connect(a: &Node, b: &Node, addresses: [&str; 2]) {
    a.ns.ip(&format!(
        "link add u0 type veth peer name u0 netns {}",
        b.ns.tid
    ));
    for (node, address) in [a, b].into_iter().zip(addresses) {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        node.ns.ip(&format!("addr add {address} dev u0 {nodad}"));
        node.ns.ip("link set u0 up");
    }
}

/// How the report on `key` reads.
#[track_caller]
pub(super) fn error_of(reports: &[Report], key: &DesiredKey) -> (String, bool) {
    let report = reports.iter().find(|report| report.key == *key);
    match report.map(|report| &report.result) {
        Some(Err(error)) => (error.message.clone(), error.caused_by_intent),
        other => panic!("{key}: {other:?}"),
    }
}
