//! A receiver: counts distinct routes as they come and go.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use chanter_bgp::{RouteEvent, UpdateBatch, decode_update};

use crate::session::{Reader, Session};
use crate::workload::Workload;

/// What a receiver has seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// Routes that it has now.
    routes: u32,
    /// When that last changed.
    at: Option<Instant>,
    /// UPDATE messages received.
    updates: u64,
    /// Why its session has ended.
    ended: Option<String>,
}

/// What the measuring thread knows of a receiver.
#[derive(Debug)]
pub(crate) struct Sink {
    session: Session,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

/// What came of waiting for a number of routes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waited {
    /// All were there at that time.
    Reached(Instant),
    /// So many were there when time ran out.
    TimedOut(u32),
}

impl Sink {
    /// Starts a thread that reads the session until it ends.
    pub(crate) fn start(session: Session, reader: Reader, workload: Workload) -> Self {
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let sink = Self {
            session: session.clone(),
            seen: Arc::clone(&seen),
        };
        std::thread::spawn(move || {
            let mut table = Table::new(workload);
            let ended = reader.run(|at, bodies| {
                let before = table.routes;
                let updates = table.take(&session, bodies)?;
                let mut state = lock(&seen.0);
                state.updates += updates;
                if table.routes != before {
                    state.routes = table.routes;
                    state.at = Some(at);
                    seen.1.notify_all();
                }
                Ok(())
            });
            lock(&seen.0).ended = ended.err().map(|error| format!("{error:#}"));
            seen.1.notify_all();
        });
        sink
    }

    /// Waits until it has exactly `routes`. An error: the session has ended.
    pub(crate) fn wait_for(&self, routes: u32, deadline: Instant) -> Result<Waited> {
        let mut state = lock(&self.seen.0);
        loop {
            if let Some(at) = state.at.filter(|_| state.routes == routes) {
                return Ok(Waited::Reached(at));
            }
            if let Some(reason) = &state.ended {
                return Err(anyhow!("{reason}")
                    .context(format!("with {} of {routes} routes received", state.routes)));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Waited::TimedOut(state.routes));
            }
            state = self
                .seen
                .1
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// UPDATE messages received so far.
    pub(crate) fn updates(&self) -> u64 {
        lock(&self.seen.0).updates
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.session.close();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which routes a receiver has.
#[derive(Debug)]
struct Table {
    workload: Workload,
    present: Vec<bool>,
    routes: u32,
    batch: UpdateBatch,
}

impl Table {
    fn new(workload: Workload) -> Self {
        Self {
            workload,
            present: vec![false; workload.routes as usize],
            routes: 0,
            batch: UpdateBatch::new(),
        }
    }

    /// Applies UPDATEs; gives how many. One that is wrong, or a route that nobody has sent, is an
    /// error: what is measured would not be what was meant.
    fn take(&mut self, session: &Session, bodies: &mut dyn Iterator<Item = &[u8]>) -> Result<u64> {
        let (mut updates, mut faults) = (0, Vec::new());
        self.batch.clear();
        for body in bodies {
            updates += 1;
            decode_update(body, &session.ctx, &mut self.batch, &mut faults)
                .map_err(|_| anyhow!("a malformed UPDATE: {faults:?}"))?;
            ensure!(faults.is_empty(), "a malformed UPDATE: {faults:?}");
        }
        for event in &self.batch.events {
            let (nlri, present) = match event {
                RouteEvent::Reach { nlri, .. } => (nlri, true),
                RouteEvent::Withdraw { nlri, .. } => (nlri, false),
                RouteEvent::EndOfRib(_) => continue,
            };
            let index = self
                .workload
                .index_of(nlri)
                .ok_or_else(|| anyhow!("a route that was not sent: {nlri:?}"))?;
            let slot = &mut self.present[index as usize];
            match (std::mem::replace(slot, present), present) {
                (false, true) => self.routes += 1,
                (true, false) => self.routes -= 1,
                _ => {}
            }
        }
        Ok(updates)
    }
}
