//! What stands for the engine: notes what it is told, and gives out what a test puts there.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::session::LocalAs;
use chanter_bgp::{CodecContext, Family, UpdateBatch, UpdateWriter};
use chanter_driver::{Clock, EngineGone};
use chanter_engine::{Input, PeerId, PeerOrder, SessionInfo};
use chanter_speaker::{
    Orders, PeerStatus, Routes, SessionTimes, Speaker, SpeakerConfig, SpeakerHandle,
};
use chanter_types::Asn;
use tokio::sync::{Notify, mpsc};

/// How long a test waits for what has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const LOCAL_AS: Asn = Asn(64512);

#[derive(Default)]
struct State {
    inputs: Vec<Input>,
    stalled: bool,
    broken: bool,
    exports: BTreeMap<PeerId, Vec<Bytes>>,
    /// A run of UPDATEs that the peer gets again and again.
    endless: Option<Bytes>,
    pulled: BTreeMap<PeerId, usize>,
}

/// What stands for the engine.
#[derive(Clone)]
pub(crate) struct FakeEngine {
    clock: Clock,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    orders: mpsc::Sender<PeerOrder>,
    ordered: Arc<Mutex<Option<mpsc::Receiver<PeerOrder>>>>,
}

impl FakeEngine {
    pub(crate) fn new() -> Self {
        let (orders, ordered) = mpsc::channel(16);
        Self {
            clock: Clock::start(),
            state: Arc::default(),
            changed: Arc::default(),
            orders,
            ordered: Arc::new(Mutex::new(Some(ordered))),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
        result
    }

    /// While it is stalled the engine takes nothing.
    pub(crate) fn stall(&self, stalled: bool) {
        self.change(|state| state.stalled = stalled);
    }

    /// Gives the speaker an order.
    pub(crate) async fn order(&self, order: PeerOrder) {
        self.orders.send(order).await.expect("the speaker runs");
    }

    /// The next UPDATEs make the task that brings them panic.
    pub(crate) fn break_next(&self) {
        self.change(|state| state.broken = true);
    }

    pub(crate) fn export(&self, peer: PeerId, updates: impl Into<Bytes>) {
        let updates = updates.into();
        self.change(|state| state.exports.entry(peer).or_default().push(updates));
    }

    /// From now on there is always something to send, to every peer.
    pub(crate) fn export_for_ever(&self, updates: impl Into<Bytes>) {
        let updates = updates.into();
        self.change(|state| state.endless = Some(updates));
    }

    /// How many octets were pulled for the peer.
    pub(crate) fn pulled(&self, peer: PeerId) -> usize {
        self.change(|state| state.pulled.get(&peer).copied().unwrap_or_default())
    }

    /// What the engine was told so far, in words.
    pub(crate) fn told(&self) -> Vec<String> {
        self.change(|state| state.inputs.iter().map(word).collect())
    }

    /// All batches so far, as one.
    pub(crate) fn batches(&self) -> Vec<UpdateBatch> {
        let batch = |input: &Input| match input {
            Input::Updates { batch, .. } => Some(batch.clone()),
            _ => None,
        };
        self.change(|state| state.inputs.iter().filter_map(batch).collect())
    }

    pub(crate) fn last_session(&self) -> SessionInfo {
        let session = |input: &Input| match input {
            Input::PeerUp { session, .. } => Some((**session).clone()),
            _ => None,
        };
        let last = self.change(|state| state.inputs.iter().rev().find_map(session));
        last.expect("a session was up")
    }

    /// Waits until the engine was told this.
    pub(crate) async fn wait_for(&self, words: &[&str]) {
        let told = || self.told();
        eventually("the engine is told", &words, || told() == words, told).await;
    }
}

impl Routes for FakeEngine {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn orders(&self) -> Option<Box<dyn Orders>> {
        Some(Box::new(self.ordered.lock().unwrap().take()?))
    }

    fn input(&self, input: Input) -> impl Future<Output = Result<(), EngineGone>> + Send {
        let this = self.clone();
        async move {
            loop {
                let changed = this.changed.notified();
                if !this.state.lock().unwrap().stalled {
                    break;
                }
                changed.await;
            }
            let breaks = matches!(input, Input::Updates { .. })
                && this.change(|state| std::mem::take(&mut state.broken));
            assert!(!breaks, "broken by the test");
            this.change(|state| state.inputs.push(input));
            Ok(())
        }
    }

    fn pull(
        &self,
        peer: PeerId,
        _budget: usize,
    ) -> impl Future<Output = Result<Bytes, EngineGone>> + Send {
        let this = self.clone();
        async move {
            loop {
                let changed = this.changed.notified();
                let next = {
                    let mut state = this.state.lock().unwrap();
                    let waiting = state
                        .exports
                        .get_mut(&peer)
                        .filter(|queue| !queue.is_empty());
                    let next = match waiting {
                        Some(queue) => Some(queue.remove(0)),
                        None => state.endless.clone(),
                    };
                    let count = next.as_ref().map_or(0, Bytes::len);
                    *state.pulled.entry(peer).or_default() += count;
                    next
                };
                if let Some(updates) = next {
                    return Ok(updates);
                }
                changed.await;
            }
        }
    }
}

fn word(input: &Input) -> String {
    match input {
        Input::PeerUp { peer, .. } => format!("up {}", peer.0),
        Input::PeerDown {
            peer,
            retain,
            restart_time,
        } => {
            let retain: Vec<_> = retain.iter().map(|family| family.to_string()).collect();
            let retain = retain.join(" ");
            format!("down {} [{retain}] {}", peer.0, restart_time.as_secs())
        }
        Input::PeerRemoved { peer } => format!("removed {}", peer.0),
        Input::Updates { peer, .. } => format!("updates {}", peer.0),
        Input::RouteRefresh { peer, family } => format!("refresh {} {family}", peer.0),
        other => format!("{other:?}"),
    }
}

/// Polls until `holds`, or fails with what is there instead.
pub(crate) async fn eventually<T: std::fmt::Debug>(
    what: &str,
    wanted: &dyn std::fmt::Debug,
    holds: impl Fn() -> bool,
    now: impl Fn() -> T,
) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what}: wanted {wanted:?}, is {:?}",
            now()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A speaker without peers that retries fast.
pub(crate) fn config() -> SpeakerConfig {
    let mut config = SpeakerConfig::new(LocalAs::Fixed(LOCAL_AS), [10, 0, 0, 5].into());
    config.times = SessionTimes {
        connect_retry: Duration::from_millis(50),
        connect_retry_max: Duration::from_millis(200),
        ..SessionTimes::default()
    };
    config
}

pub(crate) async fn start(config: SpeakerConfig, engine: &FakeEngine) -> SpeakerHandle {
    Speaker::start(config, engine.clone())
        .await
        .expect("it can listen")
}

/// The only peer.
pub(crate) fn only(speaker: &SpeakerHandle) -> PeerStatus {
    let mut peers = speaker.peers();
    assert_eq!(peers.len(), 1, "{peers:?}");
    peers.remove(0)
}

/// UPDATE messages of about `len` octets in all: as many End-of-RIB marks as fit.
pub(crate) fn updates(len: usize) -> Vec<u8> {
    let context = CodecContext::default();
    let mut out = Vec::new();
    while out.len() < len {
        UpdateWriter::new(&context, &mut out).end_of_rib(Family::L2VPN_EVPN);
    }
    out
}
