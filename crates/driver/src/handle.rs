//! What everybody else holds of the engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chanter_engine::rib::MonitorScope;
use chanter_engine::{Engine, EngineConfig, Event, Input, ObjectStatus, PeerId};
use chanter_intent::{ObjectKey, SourceEvent, SourceId};
use chanter_types::Instant;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::Clock;
use crate::feed::{DesiredFeed, feed};
use crate::monitor::Monitor;
use crate::orders::{OrderFeed, orders};
use crate::run::{Runner, Work, spawn};
use crate::shared::Shared;

/// How many pieces of work may wait for the engine. A piece is at most one socket read of a peer
/// (some hundred routes), so a full queue is a fraction of a second of work: enough to keep the
/// engine busy, little enough that a command is answered soon.
const WORK_QUEUE_LEN: usize = 256;

/// How many events a slow watcher may lag behind before it loses the oldest.
const EVENT_QUEUE_LEN: usize = 4096;

/// Up to so many routes are small work: some microseconds.
const SMALL_LEN: usize = 32;

/// Work that counts as waiting; no longer if it did not get into the queue.
struct Announced<'a> {
    shared: &'a Shared,
    is_kept: bool,
}

impl<'a> Announced<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.announce();
        Self {
            shared,
            is_kept: false,
        }
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.shared.done(1);
        }
    }
}

/// The engine's thread has ended; the process is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct EngineGone;

/// An event with its time of day.
#[derive(Debug, Clone)]
pub struct TimedEvent {
    /// When it happened.
    pub at: SystemTime,
    /// What happened.
    pub event: Event,
}

/// A handle to the engine's thread; clones are handles to the same. The thread ends when the last
/// one is dropped.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    work: mpsc::Sender<Work>,
    shared: Arc<Shared>,
    events: broadcast::Sender<Arc<TimedEvent>>,
    orders: Arc<Mutex<Option<OrderFeed>>>,
    clock: Clock,
}

impl EngineHandle {
    /// Starts the engine's thread. The [`DesiredFeed`] is for the dataplane; where there is none,
    /// drop it.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn spawn(config: EngineConfig) -> std::io::Result<(EngineHandle, DesiredFeed)> {
        let clock = Clock::start();
        let (work, queue) = mpsc::channel(WORK_QUEUE_LEN);
        let (events, _) = broadcast::channel(EVENT_QUEUE_LEN);
        let (sender, desired) = feed();
        let (orders_sender, orders) = orders();
        let runner = Runner::new(
            Engine::new(config, clock.now()),
            clock,
            (sender, orders_sender),
            events.clone(),
        );
        let shared = Arc::new(Shared::new(runner));
        spawn(shared.clone(), queue)?;
        Ok((
            EngineHandle {
                work,
                shared,
                events,
                orders: Arc::new(Mutex::new(Some(orders))),
                clock,
            },
            desired,
        ))
    }

    /// The present, on the engine's clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The clock of the engine.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Hands in an input; waits while the queue is full.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn input(&self, input: Input) -> Result<(), EngineGone> {
        let is_small =
            matches!(&input, Input::Updates { batch, .. } if batch.events.len() <= SMALL_LEN);
        let work = Work::Input(Box::new(input));
        if is_small {
            self.run_or_send(work).await
        } else {
            self.send(work).await
        }
    }

    /// Asks the engine a question. `question` runs on the engine's thread: it should look at a
    /// bounded part only.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn query<T, F>(&self, question: F) -> Result<T, EngineGone>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let question = Box::new(move |engine: &Engine| {
            // Whoever asked may have gone away; then nobody misses the answer.
            let _ = reply.send(question(engine));
        });
        self.send(Work::Query(question)).await?;
        answer.await.map_err(|_| EngineGone)
    }

    /// Applies `events` of `source` in order, nothing in between, and waits until each object named
    /// in them has come to rest: [`ObjectStatus::Installed`], `Rejected` or `Failed` where it is
    /// declared, `Removed` where it is not. After `patience` it answers with what holds then.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn declare(
        &self,
        source: SourceId,
        events: Vec<SourceEvent>,
        patience: Duration,
    ) -> Result<Vec<(ObjectKey, ObjectStatus)>, EngineGone> {
        let (reply, answer) = oneshot::channel();
        let deadline = self.now() + patience;
        self.send(Work::Declare {
            source,
            events,
            deadline,
            reply,
        })
        .await?;
        answer.await.map_err(|_| EngineGone)
    }

    /// Waits until there is something to send to `peer`, and returns whole UPDATE messages of at
    /// most about `budget` octets. Only the peer's session task calls this, and drops the future
    /// when the session goes down.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn pull(&self, peer: PeerId, budget: usize) -> Result<Bytes, EngineGone> {
        let (reply, answer) = oneshot::channel();
        let work = Work::Pull {
            peer,
            budget,
            reply,
        };
        self.run_or_send(work).await?;
        answer.await.map_err(|_| EngineGone)
    }

    /// A monitor of the RIB, which is told all from the start.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn monitor(&self, scope: MonitorScope) -> Result<Monitor, EngineGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Work::MonitorStart(scope, reply)).await?;
        let started = answer.await.map_err(|_| EngineGone)?;
        Ok(Monitor::new(self.clone(), started))
    }

    /// Events from now on. A receiver that lags loses the oldest and is told how many.
    pub fn events(&self) -> broadcast::Receiver<Arc<TimedEvent>> {
        self.events.subscribe()
    }

    /// What the engine wants done with sessions: for the speaker, which is given it once.
    pub fn orders(&self) -> Option<OrderFeed> {
        // Nothing can go wrong while the lock is held.
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.take()
    }

    /// Completes when the engine has stopped, which it never does while a handle is held unless it
    /// panicked.
    pub async fn gone(&self) {
        self.work.closed().await;
    }

    async fn send(&self, work: Work) -> Result<(), EngineGone> {
        let announced = Announced::new(&self.shared);
        self.work.send(work).await.map_err(|_| EngineGone)?;
        announced.keep();
        Ok(())
    }

    /// Lets the engine's thread look whether there is something to do.
    pub(crate) fn wake(&self) {
        // A full queue wakes it as well.
        let _ = self.work.try_send(Work::Wake);
    }

    /// Does the work here if the engine is idle, or hands it to the engine's thread.
    pub(crate) async fn run_or_send(&self, work: Work) -> Result<(), EngineGone> {
        match self.shared.run_here(work, &self.work) {
            Ok(()) => Ok(()),
            Err(work) => self.send(work).await,
        }
    }
}

#[cfg(test)]
mod tests;
