//! Views of what a tap copies: the Adj-RIB-In of every peer, before policy.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chanter_bgp::session::DownReason;
use chanter_bgp::{MessageType, NotificationMessage};
use chanter_driver::EngineHandle;
use chanter_engine::PeerId;
use chanter_speaker::{TapDirection, TapEvent, TapPeer, TapSession, TapWhat};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::loc_rib::since_1970;
use crate::message::{Message, PeerDownReason, PeerHeader, PeerKind, PeerUp, Statistic};
use crate::station::{MonitorFeed, MonitorView};

/// Events of the tap that are taken at once.
const BATCH_LEN: usize = 256;

/// A message beside the octets of the UPDATE in it.
const MESSAGE_COST: usize = 256;

/// How the hub is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubConfig {
    /// So many octets may wait for a station. One that is slower gets the sessions anew: Peer Down,
    /// Peer Up, and all routes by ROUTE-REFRESH.
    pub queue_octets: usize,
    /// A peer is not asked for its routes more often.
    pub refresh_min: Duration,
    /// How often numbers are reported; zero: never.
    pub statistics: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            queue_octets: 64 << 20,
            refresh_min: Duration::from_secs(60),
            statistics: Duration::from_secs(60),
        }
    }
}

/// What the hub needs of the node.
pub trait MonitoredNode: Send + Sync + 'static {
    /// Asks a peer for its routes again, without waiting for them.
    fn refresh(&self, peer: PeerId);

    /// Numbers about peers.
    fn statistics(&self) -> impl Future<Output = Vec<(PeerId, Vec<Statistic>)>> + Send;
}

/// The engine for the numbers, and what sends a ROUTE-REFRESH.
impl<R: Fn(PeerId) + Send + Sync + 'static> MonitoredNode for (EngineHandle, R) {
    fn refresh(&self, peer: PeerId) {
        self.1(peer);
    }

    async fn statistics(&self) -> Vec<(PeerId, Vec<Statistic>)> {
        peer_statistics(&self.0).await
    }
}

/// What the engine knows of peers in numbers.
pub(crate) async fn peer_statistics(engine: &EngineHandle) -> Vec<(PeerId, Vec<Statistic>)> {
    let peers = engine.query(|engine| engine.peers()).await;
    let of_peer = |peer: chanter_engine::view::PeerView| {
        let received = |family: &chanter_engine::view::PeerFamilyView| family.received as u64;
        let total = peer.families.iter().map(received).sum();
        let mut statistics = vec![Statistic::Gauge(Statistic::ADJ_RIB_IN, total)];
        for family in &peer.families {
            let (kind, count) = (Statistic::ADJ_RIB_IN_OF_FAMILY, received(family));
            statistics.push(Statistic::FamilyGauge(kind, family.family, count));
            let (kind, count) = (Statistic::ADJ_RIB_OUT_OF_FAMILY, family.advertised as u64);
            statistics.push(Statistic::FamilyGauge(kind, family.family, count));
        }
        (peer.peer, statistics)
    };
    // The engine has stopped: there are none.
    peers.unwrap_or_default().into_iter().map(of_peer).collect()
}

/// Makes views of what a tap copies; clones are handles to the same. Its task ends with the tap.
#[derive(Debug, Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: HubConfig,
    state: Mutex<State>,
    /// There is somebody to ask for routes.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions that are Established.
    peers: BTreeMap<PeerId, Session>,
    views: Vec<Weak<Queue>>,
    ended: bool,
}

#[derive(Debug)]
struct Session {
    peer: Arc<TapPeer>,
    up: PeerUp,
    since: SystemTime,
    /// Its routes are to be asked for.
    wanted: bool,
    asked_at: Option<Instant>,
}

impl Session {
    fn message(&self) -> Message {
        Message::PeerUp {
            peer: header(&self.peer, self.since),
            up: Box::new(self.up.clone()),
        }
    }
}

impl Hub {
    /// Starts the task, within a tokio runtime. The tap should copy what is received. `sessions` are
    /// those of before the first event.
    pub fn start<N: MonitoredNode>(
        config: HubConfig,
        (events, sessions): (mpsc::Receiver<TapEvent>, Vec<TapSession>),
        node: N,
    ) -> Self {
        let mut state = State::default();
        for session in sessions.into_iter().filter(|session| session.is_up) {
            state.up(
                &session.peer,
                session.opens,
                session.since,
                config.queue_octets,
            );
        }
        let shared = Arc::new(Shared {
            config,
            state: Mutex::new(state),
            wanted: Notify::new(),
        });
        tokio::spawn(run(Arc::clone(&shared), events, node));
        Self { shared }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run<N: MonitoredNode>(shared: Arc<Shared>, mut events: mpsc::Receiver<TapEvent>, node: N) {
    let mut batch = Vec::with_capacity(BATCH_LEN);
    let period = shared.config.statistics;
    let mut report_at = (!period.is_zero()).then(|| Instant::now() + period);
    loop {
        let refresh_at = ask(&shared, &node);
        let due = async {
            match refresh_at.into_iter().chain(report_at).min() {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            count = events.recv_many(&mut batch, BATCH_LEN) => {
                if count == 0 {
                    break;
                }
                let mut state = shared.state();
                for event in batch.drain(..) {
                    state.event(event, shared.config.queue_octets);
                }
            }
            () = shared.wanted.notified() => {}
            () = due => {}
        }
        if report_at.is_some_and(|at| at <= Instant::now()) {
            report_at = Some(Instant::now() + period);
            let numbers = node.statistics().await;
            shared.state().report(numbers, shared.config.queue_octets);
        }
    }
    let mut state = shared.state();
    state.ended = true;
    for queue in state.queues() {
        queue.ready.notify_one();
    }
}

/// Asks the peers whose time has come; returns when the next one's does.
fn ask(shared: &Shared, node: &impl MonitoredNode) -> Option<Instant> {
    let now = Instant::now();
    let mut next = None;
    for (id, session) in &mut shared.state().peers {
        if !session.wanted {
            continue;
        }
        let at = session
            .asked_at
            .map_or(now, |at| at + shared.config.refresh_min);
        if at <= now {
            session.wanted = false;
            session.asked_at = Some(now);
            node.refresh(*id);
        } else {
            next = next.into_iter().chain([at]).min();
        }
    }
    next
}

impl State {
    fn event(&mut self, event: TapEvent, limit: usize) {
        let id = event.peer.id;
        if event.lost_before > 0
            && let Some(session) = self.peers.get(&id)
        {
            // What was said is not known: the station forgets it, and gets all of it again.
            let down = not_monitored(session, event.at);
            let up = session.message();
            self.tell(id, [down, up], limit);
            self.want(id);
        }
        let peer = header(&event.peer, event.at);
        match event.what {
            TapWhat::Message { direction, octets } => {
                let is_update = octets.get(18) == Some(&MessageType::Update.code());
                if direction == TapDirection::Received && is_update && self.peers.contains_key(&id)
                {
                    let update = octets;
                    self.tell(id, [Message::RouteMonitoring { peer, update }], limit);
                }
            }
            TapWhat::Up {
                sent_open,
                received_open,
            } => self.up(&event.peer, (sent_open, received_open), event.at, limit),
            TapWhat::Down { reason } => {
                if self.peers.remove(&id).is_some() {
                    let reason = down_reason(&reason);
                    self.tell(id, [Message::PeerDown { peer, reason }], limit);
                }
            }
            TapWhat::Removed => {
                if self.peers.remove(&id).is_some() {
                    let reason = PeerDownReason::NotMonitored;
                    self.tell(id, [Message::PeerDown { peer, reason }], limit);
                }
            }
            TapWhat::State { .. } => {}
        }
    }

    fn up(&mut self, peer: &Arc<TapPeer>, opens: (Bytes, Bytes), at: SystemTime, limit: usize) {
        let (sent_open, received_open) = opens;
        let session = Session {
            up: PeerUp {
                local_addr: peer.local.ip(),
                local_port: peer.local.port(),
                remote_port: peer.remote.port(),
                sent_open,
                received_open,
                information: Vec::new(),
            },
            peer: Arc::clone(peer),
            since: at,
            wanted: false,
            asked_at: None,
        };
        let up = session.message();
        // Its Down was lost: a station that hears Up twice would keep the old routes.
        let before = self.peers.insert(peer.id, session);
        let down = before.map(|before| not_monitored(&before, at));
        self.tell(peer.id, down.into_iter().chain([up]), limit);
    }

    fn want(&mut self, id: PeerId) {
        if let Some(session) = self.peers.get_mut(&id) {
            session.wanted = true;
        }
    }

    fn queues(&mut self) -> Vec<Arc<Queue>> {
        self.views.retain(|view| view.strong_count() > 0);
        self.views.iter().filter_map(Weak::upgrade).collect()
    }

    fn tell(&mut self, id: PeerId, messages: impl IntoIterator<Item = Message>, limit: usize) {
        let messages: Vec<Message> = messages.into_iter().collect();
        for queue in self.queues() {
            queue.push(id, &messages, limit);
        }
    }

    fn report(&mut self, numbers: Vec<(PeerId, Vec<Statistic>)>, limit: usize) {
        let now = SystemTime::now();
        for (id, statistics) in numbers {
            if let Some(session) = self.peers.get(&id) {
                let peer = header(&session.peer, now);
                self.tell(id, [Message::StatisticsReport { peer, statistics }], limit);
            }
        }
    }
}

/// What waits for a station.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<(PeerId, Message)>,
    octets: usize,
    /// It was too slow: what waited is gone, and all sessions have to be told anew.
    overrun: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, id: PeerId, messages: &[Message], limit: usize) {
        let mut waiting = self.waiting();
        if waiting.overrun {
            return;
        }
        for message in messages {
            waiting.octets += cost(message);
            waiting.messages.push_back((id, message.clone()));
        }
        if waiting.octets > limit {
            waiting.messages = VecDeque::new();
            waiting.octets = 0;
            waiting.overrun = true;
        }
        drop(waiting);
        self.ready.notify_one();
    }
}

fn cost(message: &Message) -> usize {
    let octets = match message {
        Message::RouteMonitoring { update, .. } => update.len(),
        Message::PeerUp { up, .. } => up.sent_open.len() + up.received_open.len(),
        _ => 0,
    };
    MESSAGE_COST + octets
}

/// What one station is to be told.
#[derive(Debug)]
pub struct View {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// The headers of the sessions that the station knows, for Peer Down.
    told: BTreeMap<PeerId, PeerHeader>,
}

impl MonitorFeed for Hub {
    type View = View;

    async fn open(&self) -> View {
        let queue = Arc::new(Queue::default());
        queue.waiting().overrun = true;
        let mut state = self.shared.state();
        state.views.push(Arc::downgrade(&queue));
        drop(state);
        View {
            shared: Arc::clone(&self.shared),
            queue,
            told: BTreeMap::new(),
        }
    }
}

impl MonitorView for View {
    async fn next(&mut self, budget: usize) -> Option<Vec<Message>> {
        loop {
            if let Some(messages) = self.restart() {
                return Some(messages);
            }
            let messages = self.take(budget);
            if !messages.is_empty() {
                return Some(messages);
            }
            if self.shared.state().ended {
                return None;
            }
            self.queue.ready.notified().await;
        }
    }
}

impl View {
    /// At the beginning and after an overrun: all sessions anew. `None`: no need, or there are
    /// none.
    fn restart(&mut self) -> Option<Vec<Message>> {
        // The state is locked first, so that nothing is told between what is read of it and the end
        // of the overrun.
        let mut state = self.shared.state();
        let mut waiting = self.queue.waiting();
        if !std::mem::take(&mut waiting.overrun) {
            return None;
        }
        let gone = std::mem::take(&mut self.told).into_values();
        let mut messages: Vec<Message> = gone
            .map(|peer| Message::PeerDown {
                peer,
                reason: PeerDownReason::NotMonitored,
            })
            .collect();
        for (id, session) in &mut state.peers {
            session.wanted = true;
            messages.push(session.message());
            self.told.insert(*id, header(&session.peer, session.since));
        }
        self.shared.wanted.notify_one();
        (!messages.is_empty()).then_some(messages)
    }

    fn take(&mut self, budget: usize) -> Vec<Message> {
        let mut waiting = self.queue.waiting();
        let (mut messages, mut octets) = (Vec::new(), 0);
        while octets < budget
            && let Some((id, message)) = waiting.messages.pop_front()
        {
            waiting.octets -= cost(&message);
            octets += cost(&message);
            match &message {
                Message::PeerUp { peer, .. } => {
                    self.told.insert(id, *peer);
                }
                Message::PeerDown { .. } => {
                    self.told.remove(&id);
                }
                _ => {}
            }
            messages.push(message);
        }
        messages
    }
}

pub(crate) fn header(peer: &TapPeer, at: SystemTime) -> PeerHeader {
    PeerHeader {
        kind: PeerKind::Global,
        post_policy: false,
        two_octet_as: !peer.four_octet_as,
        adj_rib_out: false,
        filtered: false,
        distinguisher: 0,
        addr: peer.remote.ip(),
        asn: peer.peer_as.0,
        router_id: peer.router_id,
        at: since_1970(at),
    }
}

fn not_monitored(session: &Session, at: SystemTime) -> Message {
    Message::PeerDown {
        peer: header(&session.peer, at),
        reason: PeerDownReason::NotMonitored,
    }
}

/// Events of RFC 4271 section 8.1, and of RFC 9687.
const MANUAL_STOP: u16 = 2;
const COLLISION_DUMP: u16 = 23;
const SEND_HOLD_TIMER_EXPIRES: u16 = 29;

pub(crate) fn down_reason(reason: &DownReason) -> PeerDownReason {
    let octets = |notification: &NotificationMessage| {
        let mut out = Vec::new();
        notification.encode(&mut out);
        Bytes::from(out)
    };
    match reason {
        DownReason::Ceased { sent, .. }
        | DownReason::OpenRefused { sent, .. }
        | DownReason::InvalidMessage { sent, .. } => {
            PeerDownReason::LocalNotification(octets(sent))
        }
        DownReason::HoldTimerExpired(_) => {
            let sent = NotificationMessage {
                code: chanter_bgp::notification::HOLD_TIMER_EXPIRED,
                subcode: 0,
                data: Vec::new(),
            };
            PeerDownReason::LocalNotification(octets(&sent))
        }
        DownReason::NotificationReceived(received) => {
            PeerDownReason::RemoteNotification(octets(received))
        }
        DownReason::ClosedByPeer | DownReason::ConnectionBroke(_) | DownReason::PeerReconnected => {
            PeerDownReason::RemoteClosed
        }
        DownReason::Stopped | DownReason::Reset => PeerDownReason::LocalEvent(MANUAL_STOP),
        DownReason::Collision => PeerDownReason::LocalEvent(COLLISION_DUMP),
        DownReason::SendHoldTimerExpired(_) => PeerDownReason::LocalEvent(SEND_HOLD_TIMER_EXPIRES),
        DownReason::ConnectFailed(_)
        | DownReason::ConnectTimeout(_)
        | DownReason::NoOpen(_)
        | DownReason::NoKeepalive(_)
        | DownReason::UnexpectedMessage { .. } => PeerDownReason::LocalEvent(0),
    }
}
