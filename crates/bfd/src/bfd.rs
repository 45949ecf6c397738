//! What the rest of the program holds: the service, and a watch on each peer.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::{oneshot, watch};

use crate::config::{BfdConfig, BfdPeer, BfdSignal, BfdStatus};
use crate::packet::{BfdState, Diagnostic};
use crate::run;

/// What the thread is asked to do.
pub(crate) enum Command {
    Watch {
        watcher: u64,
        peer: BfdPeer,
        signal: watch::Sender<BfdSignal>,
    },
    Unwatch {
        watcher: u64,
    },
    Sessions(oneshot::Sender<Vec<BfdStatus>>),
    /// Take all sessions down and end; tells when the peers have been told.
    Stop(Option<oneshot::Sender<()>>),
}

/// Commands on their way to the thread. As many as were given since its last turn, which is after
/// each command: two for each watcher at the most, and one for each question.
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    wake: EventFd,
}

impl Mailbox {
    fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self {
            commands: Mutex::default(),
            wake: EventFd::from_flags(flags)?,
        })
    }

    fn send(&self, command: Command) {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(command);
        // It fails if the counter is full: then the thread is about to wake anyway.
        let _ = self.wake.write(1);
    }

    /// All commands that wait.
    pub(crate) fn take(&self) -> Vec<Command> {
        // It fails if nobody has woken us.
        let _ = self.wake.read();
        std::mem::take(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Becomes readable when there are commands.
    pub(crate) fn wake(&self) -> &EventFd {
        &self.wake
    }
}

/// The BFD service of a node; clones are handles to the same. When the last one and every
/// [`BfdWatch`] are gone it takes its sessions down (AdminDown) and ends.
#[derive(Clone)]
pub struct Bfd {
    inner: Arc<Inner>,
}

struct Inner {
    mailbox: Arc<Mailbox>,
    watchers: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.send(Command::Stop(None));
    }
}

impl std::fmt::Debug for Bfd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bfd").finish_non_exhaustive()
    }
}

impl Bfd {
    /// Starts the thread. It opens sockets when there is something to watch, in the network
    /// namespace of the caller.
    ///
    /// # Errors
    /// If the operating system gives no thread or no event descriptor.
    pub fn start(config: BfdConfig) -> io::Result<Self> {
        let mailbox = Arc::new(Mailbox::new()?);
        run::spawn(config, Arc::clone(&mailbox))?;
        Ok(Self {
            inner: Arc::new(Inner {
                mailbox,
                watchers: AtomicU64::new(0),
            }),
        })
    }

    /// Watches a peer until the [`BfdWatch`] is dropped. Watchers of the same peer (address, local
    /// address, interface, single or multihop) share a session; the timers are those of the latest,
    /// brought in by a Poll Sequence without taking the session down.
    pub fn watch(&self, peer: BfdPeer) -> BfdWatch {
        let (signal, watched) = watch::channel(BfdSignal {
            state: BfdState::Down,
            diagnostic: Diagnostic::NONE,
            peer_admin_down: false,
            downs: 0,
        });
        let watcher = self.inner.watchers.fetch_add(1, Ordering::Relaxed);
        self.inner.mailbox.send(Command::Watch {
            watcher,
            peer: peer.clone(),
            signal,
        });
        BfdWatch {
            inner: Arc::clone(&self.inner),
            watcher,
            peer,
            watched,
        }
    }

    /// All sessions, by peer address.
    pub async fn sessions(&self) -> Vec<BfdStatus> {
        let (reply, answer) = oneshot::channel();
        self.inner.mailbox.send(Command::Sessions(reply));
        // No answer: it has been stopped, and there are none.
        answer.await.unwrap_or_default()
    }

    /// Takes all sessions down (AdminDown) and ends; returns when the peers have been told, after
    /// little more than a second at the most. Watches stay at their last state.
    pub async fn stop(&self) {
        let (reply, told) = oneshot::channel();
        self.inner.mailbox.send(Command::Stop(Some(reply)));
        // An error: it has been stopped before.
        let _ = told.await;
    }
}

/// A watch on a peer; dropping it ends the session, unless another one watches the same peer.
pub struct BfdWatch {
    inner: Arc<Inner>,
    watcher: u64,
    peer: BfdPeer,
    watched: watch::Receiver<BfdSignal>,
}

impl BfdWatch {
    /// What is watched.
    pub fn peer(&self) -> &BfdPeer {
        &self.peer
    }

    /// The state of the session.
    pub fn state(&self) -> BfdState {
        self.watched.borrow().state
    }

    /// The state, and why it last left Up.
    pub fn signal(&self) -> BfdSignal {
        *self.watched.borrow()
    }

    /// Waits for a change that was not seen yet, and returns what holds then. Changes in between
    /// may not be seen; [`BfdSignal::downs`] counts the departures from Up. Never completes
    /// after [`Bfd::stop`]. Cancel safe.
    pub async fn changed(&mut self) -> BfdSignal {
        if self.watched.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.watched.borrow_and_update()
    }
}

impl std::fmt::Debug for BfdWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BfdWatch")
            .field("peer", &self.peer)
            .field("signal", &self.signal())
            .finish_non_exhaustive()
    }
}

impl Drop for BfdWatch {
    fn drop(&mut self) {
        let watcher = self.watcher;
        self.inner.mailbox.send(Command::Unwatch { watcher });
    }
}
