//! The engine's thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chanter_engine::rib::{MonitorId, MonitorScope};
use chanter_engine::{Engine, Event, Input, ObjectStatus, Output, PeerId};
use chanter_intent::{SourceEvent, SourceId};
use chanter_types::Instant;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::{info, warn};

use crate::feed::FeedSender;
use crate::monitor::{MonitorPull, Monitors};
use crate::orders::OrderSender;
use crate::shared::Shared;
use crate::waiters::{Goal, Reply, Waiters};
use crate::{Clock, TimedEvent};

/// How many pieces of work are done between two looks at timers and outputs.
const WORK_BATCH_LEN: usize = 64;

/// A question to the engine.
type Question = Box<dyn FnOnce(&Engine) + Send>;

/// A piece of work for the engine.
pub(crate) enum Work {
    /// Look at the deadlines anew.
    Wake,
    Input(Box<Input>),
    Query(Question),
    Declare {
        source: SourceId,
        events: Vec<SourceEvent>,
        deadline: Instant,
        reply: Reply,
    },
    Pull {
        peer: PeerId,
        budget: usize,
        reply: oneshot::Sender<Bytes>,
    },
    MonitorStart(MonitorScope, oneshot::Sender<(MonitorId, Arc<()>)>),
    MonitorPull(MonitorId, MonitorPull),
}

/// A session that waits for something to send.
struct Pull {
    budget: usize,
    reply: oneshot::Sender<Bytes>,
}

/// Starts the engine's thread; it ends when all senders of `queue` are gone.
pub(crate) fn spawn(shared: Arc<Shared>, queue: mpsc::Receiver<Work>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let end = End { shared: &shared };
            runtime.block_on(run(end.shared, queue));
        })?;
    Ok(())
}

/// The engine ends with its thread, also if that panics.
struct End<'a> {
    shared: &'a Shared,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

async fn run(shared: &Shared, mut queue: mpsc::Receiver<Work>) {
    let mut batch = Vec::with_capacity(WORK_BATCH_LEN);
    loop {
        let Some(wait) = work_off(shared, &mut batch) else {
            return;
        };
        tokio::select! {
            biased;
            count = queue.recv_many(&mut batch, WORK_BATCH_LEN) => {
                if count == 0 {
                    return;
                }
            }
            () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
        }
    }
}

/// Does what was taken from the queue, and what is due; says until when there is nothing to do, or
/// that a caller's piece of work has panicked.
fn work_off(shared: &Shared, batch: &mut Vec<Work>) -> Option<Option<Duration>> {
    // From here on callers leave their pieces to this thread, so that it gets the engine in time for what
    // is due however many there are.
    shared.announce();
    let mut guard = shared.lock()?;
    let runner = guard.as_mut()?;
    let mut done = 1;
    for work in batch.drain(..) {
        // That was not announced.
        done += usize::from(!matches!(work, Work::Wake));
        runner.work(work);
    }
    let wait = runner.arm();
    shared.done(done);
    Some(wait)
}

pub(crate) struct Runner {
    engine: Engine,
    clock: Clock,
    feed: FeedSender,
    orders: OrderSender,
    events: broadcast::Sender<Arc<TimedEvent>>,
    waiters: Waiters,
    pulls: BTreeMap<PeerId, Pull>,
    monitors: Monitors,
    /// The deadline for which the engine's thread wakes up.
    armed: Option<Instant>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

impl Runner {
    pub(crate) fn new(
        engine: Engine,
        clock: Clock,
        (feed, orders): (FeedSender, OrderSender),
        events: broadcast::Sender<Arc<TimedEvent>>,
    ) -> Self {
        Self {
            engine,
            clock,
            feed,
            orders,
            events,
            waiters: Waiters::default(),
            pulls: BTreeMap::new(),
            monitors: Monitors::default(),
            armed: None,
        }
    }

    /// Whether there is a deadline before the one for which the engine's thread wakes up.
    pub(crate) fn is_alarm_due(&self) -> bool {
        match (self.next_deadline(), self.armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, _) => next.is_some(),
        }
    }

    /// Does what is due, and says what to wait for.
    fn arm(&mut self) -> Option<Duration> {
        self.settle();
        self.timers();
        self.settle();
        self.armed = self.next_deadline();
        self.armed.map(|deadline| self.clock.until(deadline))
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.engine
            .next_deadline()
            .into_iter()
            .chain(self.waiters.next_deadline())
            .min()
    }

    fn timers(&mut self) {
        let now = self.clock.now();
        if self
            .engine
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.engine.handle_deadline(now);
        }
        self.waiters.expire(now);
    }

    pub(crate) fn work(&mut self, work: Work) {
        match work {
            Work::Input(input) => self.engine.handle(*input, self.clock.now()),
            Work::Wake => {}
            Work::Query(question) => question(&self.engine),
            Work::Declare {
                source,
                events,
                deadline,
                reply,
            } => {
                self.declare(source, events, deadline, reply);
            }
            Work::Pull {
                peer,
                budget,
                reply,
            } => {
                self.pulls.insert(peer, Pull { budget, reply });
                self.export(peer);
            }
            Work::MonitorStart(scope, reply) => {
                self.monitors.start(&mut self.engine, scope, reply);
            }
            Work::MonitorPull(id, pull) => self.monitors.pull(id, pull),
        }
    }

    fn declare(
        &mut self,
        source: SourceId,
        events: Vec<SourceEvent>,
        deadline: Instant,
        reply: Reply,
    ) {
        let now = self.clock.now();
        let mut goals = BTreeMap::new();
        for event in events {
            match &event {
                SourceEvent::Upsert(object) => {
                    goals.insert(object.key(), Goal::Settled);
                }
                SourceEvent::Remove(key) => {
                    goals.insert(key.clone(), Goal::Removed);
                }
                SourceEvent::Synced | SourceEvent::Lost => {}
            }
            self.engine.handle(Input::Source { source, event }, now);
        }
        let mut waiting = BTreeMap::new();
        let mut done = Vec::new();
        for (key, goal) in goals {
            let status = self
                .engine
                .status(source, &key)
                .unwrap_or(ObjectStatus::Removed);
            if goal.is_met_by(&status) {
                done.push((key, status));
            } else {
                waiting.insert(key, (goal, status));
            }
        }
        self.waiters.add(source, waiting, done, deadline, reply);
    }

    /// Answers a waiting session, if there is one and there is something for it.
    fn export(&mut self, peer: PeerId) {
        let Some(pull) = self.pulls.remove(&peer) else {
            return;
        };
        // What is exported to a session that has gone would be lost: look first.
        if pull.reply.is_closed() {
            return;
        }
        let (out, _) = self.engine.export_octets(peer, pull.budget);
        if out.is_empty() {
            self.pulls.insert(peer, pull);
        } else {
            // It went within this very moment: its end resets what was advertised to it.
            let _ = pull.reply.send(out);
        }
    }

    /// Delivers all outputs.
    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::ExportReady(peer) => self.export(peer),
                Output::Program(change) => self.feed.send(change),
                Output::PruneAllowed => self.feed.allow_prune(),
                Output::Status {
                    source,
                    key,
                    status,
                } => {
                    self.waiters.status(source, &key, &status);
                }
                Output::Event(event) => self.event(event),
                Output::Order(order) => self.orders.send(order),
            }
        }
        self.monitors.settle(&mut self.engine);
    }

    fn event(&self, event: Event) {
        match &event {
            // The speaker says these, with the reason and what it does next.
            Event::PeerUp { .. } | Event::PeerDown { .. } => {}
            event if is_trouble(event) => warn!("{event}"),
            event => info!("{event}"),
        }
        // Nobody may be watching.
        let _ = self.events.send(Arc::new(TimedEvent {
            at: self.clock.time_of_day(self.clock.now()),
            event,
        }));
    }
}

/// Whether an operator should look at it.
fn is_trouble(event: &Event) -> bool {
    match event {
        Event::SourceLost { .. }
        | Event::NoPolicy { .. }
        | Event::ClearNeeded { .. }
        | Event::RoutesRejected { .. }
        | Event::PrefixLimit { .. }
        | Event::NotSent { .. } => true,
        Event::PrefixCount { is_high, .. } => *is_high,
        Event::Dataplane { error, .. } => error.is_some(),
        Event::Object { status, .. } => {
            matches!(
                status,
                ObjectStatus::Rejected { .. } | ObjectStatus::Failed { .. }
            )
        }
        _ => false,
    }
}
