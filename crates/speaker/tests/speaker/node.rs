//! Nodes in network namespaces of their own, with a speaker each.

use std::future::Future;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use chanter_speaker::{PeerStatus, Speaker, SpeakerConfig, SpeakerHandle, State};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::engine::{FakeEngine, eventually};

/// A network namespace with a thread and a runtime in it; gone when it is dropped.
pub(crate) struct Node {
    tid: i32,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Node {
    pub(crate) fn new() -> Self {
        let (stop, stopped) = oneshot::channel();
        let (sender, started) = mpsc::channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("tests in namespaces need root");
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let handle = runtime.handle().clone();
            sender.send((gettid().as_raw(), handle)).unwrap();
            // Ends as well when the sender is dropped.
            let _ = runtime.block_on(stopped);
        });
        let (tid, runtime) = started.recv().expect("a namespace is there");
        let node = Self {
            tid,
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        };
        node.ip("link set lo up");
        node
    }

    /// Two nodes with a link between them, `eth0` on either side, 10.0.0.1 and 10.0.0.2.
    pub(crate) fn pair() -> [Self; 2] {
        let nodes = [Self::new(), Self::new()];
        nodes[0].link_to(&nodes[1]);
        nodes
    }

    /// A cable between two nodes; what is at its ends has the same name on both.
    pub(crate) fn cable(&self, name: &str, other: &Self) {
        let tid = other.tid;
        self.ip(&format!(
            "link add {name} type veth peer name {name} netns {tid}"
        ));
    }

    /// Makes the link of [`Node::pair`].
    pub(crate) fn link_to(&self, other: &Self) {
        self.cable("eth0", other);
        for (node, host) in [(self, 1), (other, 2)] {
            node.ip(&format!("addr add 10.0.0.{host}/24 dev eth0"));
            node.ip(&format!("addr add fe80::{host}/64 dev eth0 nodad"));
            node.ip("link set eth0 up");
        }
    }

    /// Runs `ip` in the namespace.
    pub(crate) fn ip(&self, args: &str) {
        self.command(&format!("ip {args}"));
    }

    /// From now on it forwards IPv4 packets.
    pub(crate) fn forwards(&self) {
        self.command("sysctl -q -w net.ipv4.ip_forward=1");
    }

    fn command(&self, line: &str) {
        let namespace = format!(
            "--net=/proc/{}/task/{}/ns/net",
            std::process::id(),
            self.tid
        );
        let status = Command::new("nsenter")
            .arg(namespace)
            .args(line.split_whitespace())
            .status();
        assert!(status.expect("nsenter runs").success(), "{line}");
    }

    /// Runs in the namespace.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.runtime.spawn(future).await.expect("it does not panic")
    }

    pub(crate) async fn speaker(&self, config: SpeakerConfig) -> Running {
        let engine = FakeEngine::new();
        let routes = engine.clone();
        let speaker = self.run(async move { Speaker::start(config, routes).await });
        Running {
            speaker: std::sync::Arc::new(speaker.await.expect("it starts")),
            engine,
            runtime: self.runtime.clone(),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked: that has been told.
            let _ = thread.join();
        }
    }
}

/// A speaker on a node.
pub(crate) struct Running {
    pub(crate) speaker: std::sync::Arc<SpeakerHandle>,
    pub(crate) engine: FakeEngine,
    runtime: Handle,
}

impl Running {
    pub(crate) async fn reconfigure(&self, config: SpeakerConfig) -> Vec<String> {
        let speaker = std::sync::Arc::clone(&self.speaker);
        let task = self
            .runtime
            .spawn(async move { speaker.reconfigure(config).await });
        task.await.unwrap().expect("it can be so")
    }

    /// The only peer.
    pub(crate) fn peer(&self) -> PeerStatus {
        crate::engine::only(&self.speaker)
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&PeerStatus) -> bool) {
        let now = || self.speaker.peers();
        let holds = || now().first().is_some_and(&holds);
        eventually(what, &"", holds, now).await;
    }

    pub(crate) async fn until_up(&self) {
        self.until("the session is up", |peer| peer.state == State::Established)
            .await;
    }
}
