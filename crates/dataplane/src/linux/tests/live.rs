//! The whole task, [`run`], with a live engine: what is declared becomes devices.

use std::future::Future;
use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_driver::EngineHandle;
use chanter_engine::{Engine, EngineConfig, ObjectStatus};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Object, ObjectKey, Port, PortName, SourceEvent,
    SourceId, VpnInstance, VpnKind,
};
use chanter_types::{Asn, RouteTarget};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::desire::{addr, mac, vni};
use super::namespace::{Namespace, PATIENCE, poll};
use super::netlink_monitor::{heard, monitor, wait_for_quiet};
use crate::linux::{LinuxConfig, LinuxError, run};

const MAC_A: &str = "02:00:00:00:00:0a";
const BRIDGE: &str = "evpn---net";
const VXLAN: &str = "vxlan--net";

struct Life {
    engine: EngineHandle,
    task: JoinHandle<Result<(), LinuxError>>,
}

struct State {
    runtime: Runtime,
    life: Option<Life>,
}

/// A node with an engine and the task.
struct LiveNode {
    ns: Namespace<State>,
}

fn config(restarting: bool) -> EngineConfig {
    let vtep = Ipv4Addr::new(10, 0, 0, 1);
    EngineConfig {
        local_as: Asn(64512),
        router_id: vtep,
        vtep: Some(vtep.into()),
        cluster_id: None,
        reflect: false,
        rt_constraint: true,
        sources: vec![SourceId::Rest],
        peers_expected: 0,
        restarting,
        deferral: EngineConfig::DEFERRAL,
    }
}

impl LiveNode {
    fn new() -> LiveNode {
        let ns = Namespace::with(|| State {
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            life: None,
        });
        LiveNode { ns }
    }

    fn start(&self, restarting: bool) {
        self.ns.run(move |state| {
            let (engine, feed) = EngineHandle::spawn(config(restarting)).expect("a thread");
            let task = run(LinuxConfig::default(), feed, engine.clone());
            let task = state.runtime.spawn(task);
            state.life = Some(Life { engine, task });
        });
    }

    /// As `kill -9` does: nobody says anything to anybody.
    fn kill(&self) {
        self.ns.run(|State { runtime, life }| {
            let Life { engine, task } = life.take().expect("it lives");
            task.abort();
            let ended = runtime.block_on(task);
            assert!(ended.is_err_and(|error| error.is_cancelled()));
            drop(engine);
        });
    }

    fn block_on<T, F>(&self, work: impl FnOnce(EngineHandle) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        self.ns.run(move |State { runtime, life }| {
            let engine = life.as_ref().expect("it lives").engine.clone();
            runtime.block_on(work(engine))
        })
    }

    fn declare(&self, events: Vec<SourceEvent>) -> Vec<(ObjectKey, ObjectStatus)> {
        self.block_on(move |engine| async move {
            engine
                .declare(SourceId::Rest, events, PATIENCE)
                .await
                .expect("the engine lives")
        })
    }

    #[track_caller]
    fn install(&self, objects: Vec<Object>) {
        let statuses = self.declare(objects.into_iter().map(SourceEvent::Upsert).collect());
        for (key, status) in statuses {
            assert_eq!(status, ObjectStatus::Installed, "{key}");
        }
    }

    fn status(&self, object: &Object) -> Option<ObjectStatus> {
        let key = object.key();
        self.block_on(move |engine| async move {
            let question = move |engine: &Engine| {
                let views = engine.objects();
                let view = views.into_iter().find(|view| view.key == key)?;
                Some(view.status)
            };
            engine.query(question).await.expect("the engine lives")
        })
    }

    /// Lets the task run until `condition` holds.
    #[track_caller]
    fn settle(&self, what: &str, mut condition: impl FnMut() -> bool) {
        poll(what, || {
            self.block_on(|_| async { tokio::time::sleep(Duration::from_millis(20)).await });
            condition()
        });
    }

    fn endpoint(&self) -> Namespace {
        let endpoint = Namespace::new();
        self.ns.ip(&format!(
            "link add tap-a type veth peer name eth0 netns {}",
            endpoint.tid
        ));
        self.ns.ip("link set tap-a addrgenmode none");
        self.ns.ip("link set tap-a up");
        endpoint.ip("link set eth0 addrgenmode none");
        endpoint.ip("link set eth0 up");
        endpoint
    }

    fn has_local_mac(&self) -> bool {
        let fdb = self.ns.bridge("fdb show");
        fdb.lines().any(|line| {
            [MAC_A, "tap-a", "sticky", BRIDGE]
                .iter()
                .all(|word| line.contains(word))
        })
    }

    fn has_device(&self, name: &str) -> bool {
        self.ns.try_program(&format!("ip link show {name}")).0
    }
}

fn instance() -> Object {
    let rt = RouteTarget::from_as2(64512, 1);
    Object::Instance(VpnInstance {
        id: InstanceId::new("net"),
        kind: VpnKind::MacVrf(MacVrf {
            vni: Some(vni(100)),
            bridge: None,
        }),
        import: [rt].into(),
        export: [rt].into(),
        rd: None,
        gateway_ip: None,
        description: None,
    })
}

fn attachment() -> Object {
    Object::Attachment(Attachment {
        key: AttachmentKey {
            instance: InstanceId::new("net"),
            mac: mac(MAC_A),
            ip: Some(addr("192.168.0.10")),
        },
        port: Port {
            name: PortName::new("tap-a"),
            vlan: None,
        },
        local_pref: None,
        sticky: false,
        description: None,
    })
}

#[test]
fn what_is_declared_is_there_when_the_answer_comes_and_goes_when_taken_back() {
    let node = LiveNode::new();
    let _endpoint = node.endpoint();
    node.start(false);
    node.install(vec![instance(), attachment()]);
    assert!(node.has_local_mac() && node.has_device(VXLAN));
    let removals = [attachment(), instance()].map(|object| SourceEvent::Remove(object.key()));
    for (key, status) in node.declare(removals.to_vec()) {
        assert_eq!(status, ObjectStatus::Removed, "{key}");
    }
    assert!(!node.has_device(BRIDGE) && !node.has_device(VXLAN));
    assert!(!node.ns.ip("link show tap-a").contains("master"));
}

#[test]
fn tampering_is_mended_without_being_asked() {
    let node = LiveNode::new();
    let _endpoint = node.endpoint();
    node.start(false);
    node.install(vec![instance(), attachment()]);
    for damage in [
        "ip link set tap-a nomaster".to_owned(),
        format!("bridge fdb del {MAC_A} dev tap-a master"),
        format!("ip link del {BRIDGE}"),
    ] {
        node.ns.program(&damage);
        assert!(!node.has_local_mac(), "{damage} does damage");
        node.settle("it is mended", || node.has_local_mac());
    }
    node.ns.ip(&format!("link del {VXLAN}"));
    node.settle("the VXLAN device is back", || node.has_device(VXLAN));
    node.settle("the engine knows", || {
        node.status(&attachment()) == Some(ObjectStatus::Installed)
    });
}

#[test]
fn a_port_that_goes_and_comes_is_told_to_the_engine() {
    let node = LiveNode::new();
    let endpoint = node.endpoint();
    node.start(false);
    node.install(vec![instance(), attachment()]);
    node.ns.ip("link del tap-a");
    node.settle("the attachment has failed", || {
        matches!(
            node.status(&attachment()),
            Some(ObjectStatus::Failed { error }) if error.caused_by_intent
        )
    });
    drop(endpoint);
    let _endpoint = node.endpoint();
    node.settle("the attachment is there again", || {
        node.status(&attachment()) == Some(ObjectStatus::Installed)
    });
    assert!(node.has_local_mac());
}

#[test]
fn a_restart_of_the_whole_is_not_seen_by_the_kernel() {
    let node = LiveNode::new();
    let _endpoint = node.endpoint();
    node.start(false);
    node.install(vec![instance(), attachment()]);
    node.kill();
    let monitor = monitor(&node.ns);
    wait_for_quiet(&monitor);
    node.start(true);
    node.install(vec![instance(), attachment()]);
    // The source has said all that it wants: from now on pruning is allowed.
    node.declare(vec![SourceEvent::Synced]);
    // Something that comes after the pruning, and is heard.
    node.install(vec![instance(), attachment()]);
    assert_eq!(heard(&monitor), Vec::<u16>::new(), "the kernel was changed");
    // What nobody wants goes, so the pruning is at work.
    node.kill();
    node.start(true);
    node.declare(vec![SourceEvent::Synced]);
    node.settle("the devices are gone", || {
        !node.has_device(BRIDGE) && !node.has_device(VXLAN)
    });
}

#[test]
fn the_task_ends_with_the_engine_and_leaves_the_kernel_as_it_is() {
    let node = LiveNode::new();
    let _endpoint = node.endpoint();
    let ended = node.ns.run(|State { runtime, .. }| {
        let (engine, feed) = EngineHandle::spawn(config(false)).expect("a thread");
        let other = EngineHandle::spawn(config(false)).expect("a thread").0;
        runtime.block_on(async {
            // It reports to another engine, so that ours ends with our handle.
            let task = tokio::spawn(run(LinuxConfig::default(), feed, other));
            let events = [instance(), attachment()].map(SourceEvent::Upsert).to_vec();
            let declare = engine.declare(SourceId::Rest, events, Duration::from_millis(500));
            declare.await.expect("the engine lives");
            drop(engine);
            tokio::time::timeout(PATIENCE, task).await
        })
    });
    let ended = ended.expect("it ends").expect("it does not panic");
    assert!(ended.is_ok());
    assert!(node.has_local_mac() && node.has_device(VXLAN));
}
