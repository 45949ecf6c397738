//! One engine for the thread that runs it and for callers that find it idle.
//!
//! To hand a small piece of work to another thread costs more than the work: two threads have to be
//! woken, there and back. So a caller that finds the engine idle does its piece itself, on its own
//! thread. Large pieces go to the engine's thread always, so that callers read and decode meanwhile.
//!
//! Order: work in the queue counts as waiting from before it is put there until it is done, and
//! nobody does a piece of its own while any is waiting. So what one caller hands in is done in its
//! order, whichever way each piece goes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::mpsc;

use crate::run::{Runner, Work};

#[derive(Debug)]
pub(crate) struct Shared {
    /// `None` once the engine's thread has ended.
    runner: Mutex<Option<Runner>>,
    /// Pieces of work in the queue, or taken from there and not done yet.
    waiting: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(runner: Runner) -> Self {
        Self {
            runner: Mutex::new(Some(runner)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Work is about to be queued.
    pub(crate) fn announce(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Work that was announced is done, or will not be.
    pub(crate) fn done(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::SeqCst);
    }

    /// For the engine's thread: waits for callers to finish their pieces. `None`: one of them
    /// panicked.
    pub(crate) fn lock(&self) -> Option<MutexGuard<'_, Option<Runner>>> {
        self.runner.lock().ok()
    }

    /// Ends it all.
    pub(crate) fn close(&self) {
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        *runner = None;
    }

    /// Does a piece of work here and now if the engine is idle and nothing is waiting for it; gives it
    /// back otherwise. `queue` leads to the engine's thread.
    pub(crate) fn run_here(&self, work: Work, queue: &mpsc::Sender<Work>) -> Result<(), Work> {
        let mut guard = match self.runner.try_lock() {
            Ok(guard) => guard,
            // The engine's thread is told by what comes, and ends.
            Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => return Err(work),
        };
        if self.waiting.load(Ordering::SeqCst) > 0 {
            return Err(work);
        }
        let Some(runner) = guard.as_mut() else {
            return Err(work);
        };
        let alarm = Alarm { queue };
        runner.work(work);
        runner.settle();
        if runner.is_alarm_due() {
            alarm.ring();
        }
        Ok(())
    }
}

/// Wakes the engine's thread up: a deadline is nearer than it knows, or a piece of work panicked.
struct Alarm<'a> {
    queue: &'a mpsc::Sender<Work>,
}

impl Alarm<'_> {
    fn ring(&self) {
        // A full queue wakes it as well.
        let _ = self.queue.try_send(Work::Wake);
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ring();
        }
    }
}
