//! The engine's thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chanter_engine::{Engine, Event, Input, ObjectStatus, Output, PeerId};
use chanter_intent::{SourceEvent, SourceId};
use chanter_types::Instant;
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::{info, warn};

use crate::feed::FeedSender;
use crate::waiters::{Goal, Reply, Waiters};
use crate::{Clock, TimedEvent};

/// How many pieces of work are done between two looks at timers and outputs.
const WORK_BATCH_LEN: usize = 64;

/// A question to the engine.
type Question = Box<dyn FnOnce(&Engine) + Send>;

/// A piece of work for the engine.
pub(crate) enum Work {
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
}

/// A session that waits for something to send.
struct Pull {
    budget: usize,
    reply: oneshot::Sender<Bytes>,
}

pub(crate) struct Runner {
    engine: Engine,
    clock: Clock,
    feed: FeedSender,
    events: broadcast::Sender<Arc<TimedEvent>>,
    waiters: Waiters,
    pulls: BTreeMap<PeerId, Pull>,
}

impl Runner {
    pub(crate) fn new(
        engine: Engine,
        clock: Clock,
        feed: FeedSender,
        events: broadcast::Sender<Arc<TimedEvent>>,
    ) -> Self {
        Self {
            engine,
            clock,
            feed,
            events,
            waiters: Waiters::default(),
            pulls: BTreeMap::new(),
        }
    }

    /// Starts the thread; it ends when all senders of `queue` are gone.
    pub(crate) fn spawn(self, queue: mpsc::Receiver<Work>) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || runtime.block_on(self.run(queue)))?;
        Ok(())
    }

    async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut batch = Vec::with_capacity(WORK_BATCH_LEN);
        loop {
            self.settle();
            let wait = self
                .next_deadline()
                .map(|deadline| self.clock.until(deadline));
            tokio::select! {
                biased;
                count = queue.recv_many(&mut batch, WORK_BATCH_LEN) => {
                    if count == 0 {
                        return;
                    }
                    for work in batch.drain(..) {
                        self.work(work);
                    }
                }
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => {}
            }
            self.timers();
        }
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

    fn work(&mut self, work: Work) {
        match work {
            Work::Input(input) => self.engine.handle(*input, self.clock.now()),
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
        let mut out = Vec::new();
        self.engine.export(peer, pull.budget, &mut out);
        if out.is_empty() {
            self.pulls.insert(peer, pull);
        } else {
            // It went within this very moment: its end resets what was advertised to it.
            let _ = pull.reply.send(out.into());
        }
    }

    /// Delivers all outputs.
    fn settle(&mut self) {
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
            }
        }
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
        Event::SourceLost { .. } => true,
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
