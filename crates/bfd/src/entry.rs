//! A session, its watchers and its sending socket.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use chanter_types::Instant;
use nix::libc;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::{BfdPeer, BfdSignal, BfdStatus};
use crate::packet::{BfdState, Discard, Packet};
use crate::session::{Session, Timers, Transition};
use crate::socket::{ReceiverKey, Sender};

/// What tells one session from another before discriminators are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionKey {
    pub(crate) receiver: ReceiverKey,
    pub(crate) addr: IpAddr,
    pub(crate) local: Option<IpAddr>,
}

impl SessionKey {
    pub(crate) fn of(peer: &BfdPeer) -> Self {
        Self {
            receiver: ReceiverKey::of(peer),
            addr: peer.addr,
            local: peer.local,
        }
    }
}

struct Watcher {
    peer: BfdPeer,
    signal: watch::Sender<BfdSignal>,
}

/// A session, its watchers and its sending socket.
pub(crate) struct Entry {
    pub(crate) key: SessionKey,
    pub(crate) session: Session,
    /// Where it stands in the queue of deadlines.
    pub(crate) deadline: Option<Instant>,
    /// Nobody watches it any more: until then it tells the peer so.
    pub(crate) leaving_until: Option<Instant>,
    /// What is wrong with the receiving socket.
    pub(crate) receiver_problem: Option<String>,
    peer: BfdPeer,
    watchers: BTreeMap<u64, Watcher>,
    sender: Option<Sender>,
    sender_problem: Option<String>,
    peer_problem: Option<String>,
    told: Option<BfdSignal>,
    port_hint: u64,
    since: Instant,
    sent: u64,
    received: u64,
    discarded: u64,
    downs: u64,
}

impl Entry {
    pub(crate) fn new(peer: &BfdPeer, discriminator: u32, seed: u64, now: Instant) -> Self {
        Self {
            key: SessionKey::of(peer),
            session: Session::new(discriminator, timers(peer), seed, now),
            deadline: None,
            leaving_until: None,
            receiver_problem: None,
            peer: peer.clone(),
            watchers: BTreeMap::new(),
            sender: None,
            sender_problem: None,
            peer_problem: None,
            told: None,
            port_hint: seed,
            since: now,
            sent: 0,
            received: 0,
            discarded: 0,
            downs: 0,
        }
    }

    pub(crate) fn minimum_ttl(&self) -> u8 {
        self.peer.minimum_ttl
    }

    pub(crate) fn add_watcher(
        &mut self,
        watcher: u64,
        peer: BfdPeer,
        signal: watch::Sender<BfdSignal>,
        now: Instant,
    ) {
        self.leaving_until = None;
        self.session.bring_up();
        signal.send_replace(self.signal());
        self.watchers.insert(watcher, Watcher { peer, signal });
        self.follow_latest(now);
    }

    /// Without watchers the session is taken down.
    pub(crate) fn remove_watcher(&mut self, watcher: u64, now: Instant) {
        self.watchers.remove(&watcher);
        if self.watchers.is_empty() {
            self.leave(now);
        } else {
            self.follow_latest(now);
        }
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        self.session.take_down(now);
        self.leaving_until = Some(now + self.session.peer_detection_time());
    }

    /// Whether the peer knows that the session was taken down, or has had the time to find out.
    pub(crate) fn has_left(&self, now: Instant) -> bool {
        let remote = self.session.remote();
        let knows = remote.discriminator == 0
            || matches!(remote.state, BfdState::Down | BfdState::AdminDown);
        self.leaving_until
            .is_some_and(|until| until <= now || (knows && self.sent > 0))
    }

    fn follow_latest(&mut self, now: Instant) {
        if let Some((_, latest)) = self.watchers.last_key_value() {
            self.peer = latest.peer.clone();
            self.session.set_timers(timers(&self.peer), now);
        }
    }

    pub(crate) fn receive(&mut self, packet: &Packet, now: Instant) {
        match self.session.receive(packet, now) {
            Ok(()) => {
                self.received += 1;
                self.peer_problem = None;
            }
            Err(discard) => self.discard(discard),
        }
    }

    pub(crate) fn discard(&mut self, discard: Discard) {
        self.discarded += 1;
        // What our own doing brings about is no problem: a session taken down, and packets for the
        // session of a former life of this process.
        let expected = matches!(
            discard,
            Discard::AdminDown | Discard::UnknownDiscriminator(_)
        );
        if !expected {
            let problem = format!("a packet of the peer was discarded: {discard}");
            if self.peer_problem.as_ref() != Some(&problem) {
                warn!("BFD with {}: {problem}", self.key.addr);
                self.peer_problem = Some(problem);
            }
        }
    }

    /// Sends what waits, and tells the log and the watchers what changed.
    pub(crate) fn pump(&mut self, now: Instant) {
        while let Some(packet) = self.session.poll_transmit(now) {
            self.send(&packet);
        }
        if let Some(transition) = self.session.poll_transition() {
            self.changed(transition, now);
        }
        let signal = self.signal();
        if self.told.replace(signal) != Some(signal) {
            for watcher in self.watchers.values() {
                watcher.signal.send_replace(signal);
            }
        }
    }

    fn changed(&mut self, transition: Transition, now: Instant) {
        self.since = now;
        let (addr, to) = (self.key.addr, transition.to);
        if to == BfdState::AdminDown {
            // Our own doing; whoever did it says why.
            info!("BFD with {addr}: no longer watched");
        } else if transition.from == BfdState::Up {
            self.downs += 1;
            let remote = self.session.remote().diagnostic;
            warn!(
                "BFD with {addr}: Up -> {to}: {}; the peer says: {remote}",
                transition.diagnostic
            );
        } else if to == BfdState::Up {
            info!("BFD with {addr}: Up");
        }
    }

    fn signal(&self) -> BfdSignal {
        BfdSignal {
            state: self.session.state(),
            diagnostic: self.session.diagnostic(),
            peer_admin_down: self.session.remote().state == BfdState::AdminDown,
            downs: self.downs,
        }
    }

    fn send(&mut self, packet: &Packet) {
        let result = self.try_send(packet);
        if result.is_ok() {
            self.sent += 1;
        }
        let problem = result.err().map(|error| format!("cannot send: {error}"));
        if problem != self.sender_problem {
            if let Some(problem) = &problem {
                warn!("BFD with {}: {problem}", self.key.addr);
            }
            self.sender_problem = problem;
        }
    }

    fn try_send(&mut self, packet: &Packet) -> io::Result<()> {
        let sender = match self.sender.take() {
            Some(sender) => sender,
            None => Sender::open(&self.peer, self.port_hint)?,
        };
        let result = sender.send(&packet.encode());
        // The device or the local address has gone, and may come back as another one.
        let stale = [libc::ENODEV, libc::ENXIO, libc::EADDRNOTAVAIL, libc::EINVAL];
        let is_stale = |error: &io::Error| {
            error
                .raw_os_error()
                .is_some_and(|code| stale.contains(&code))
        };
        if !result.as_ref().is_err_and(is_stale) {
            self.sender = Some(sender);
        }
        result
    }

    /// What is shown; `time_of_day` turns our time into the operator's.
    pub(crate) fn status(
        &self,
        time_of_day: impl Fn(Instant) -> std::time::SystemTime,
    ) -> BfdStatus {
        let remote = self.session.remote();
        let micros = |value: u32| Duration::from_micros(value.into());
        BfdStatus {
            peer: self.peer.clone(),
            state: self.session.state(),
            since: time_of_day(self.since),
            remote_state: remote.state,
            diagnostic: self.session.diagnostic(),
            remote_diagnostic: remote.diagnostic,
            local_discriminator: self.session.discriminator(),
            remote_discriminator: remote.discriminator,
            tx_interval: self.session.transmit_interval(),
            detection_time: self.session.detection_time(),
            remote_min_tx: micros(remote.min_tx),
            remote_min_rx: micros(remote.min_rx),
            remote_multiplier: remote.multiplier,
            sent: self.sent,
            received: self.received,
            discarded: self.discarded,
            downs: self.downs,
            problem: self
                .receiver_problem
                .clone()
                .or_else(|| self.sender_problem.clone())
                .or_else(|| self.peer_problem.clone()),
        }
    }
}

fn timers(peer: &BfdPeer) -> Timers {
    Timers::new(
        peer.min_tx.max(BfdPeer::INTERVAL_MIN),
        peer.min_rx.max(BfdPeer::INTERVAL_MIN),
        peer.multiplier,
    )
}
