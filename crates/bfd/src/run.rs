//! The thread: sockets, clock, and which packet is whose.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chanter_types::Instant;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::bfd::{Command, Mailbox};
use crate::config::BfdConfig;
use crate::packet::{Discard, Packet};
use crate::socket::{Datagram, Receiver, ReceiverKey, TTL_MAX};
use crate::table::Table;

/// How many packets are read from a socket before timers get their turn: no flood delays what we
/// have to send.
const RECEIVE_BATCH: usize = 1024;

/// How often sockets that could not be opened are tried again, and those open are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How long an end with a session taken down goes on saying so: one packet at once, and one by the
/// slow timer in case that one was lost.
const STOP_TIME: Duration = Duration::from_millis(1100);

/// Above everything that is not real-time, below the kernel's own threads.
const REALTIME_PRIORITY: u8 = 50;

/// Starts the thread.
pub(crate) fn spawn(config: BfdConfig, mailbox: Arc<Mailbox>) -> io::Result<()> {
    std::thread::Builder::new()
        .name("bfd".to_owned())
        .spawn(move || {
            if config.realtime {
                raise_priority();
            }
            Runner::new(config.seed, mailbox).run();
        })
        .map(drop)
}

fn raise_priority() {
    let priority = ThreadPriority::Crossplatform(
        REALTIME_PRIORITY
            .try_into()
            .unwrap_or(thread_priority::ThreadPriorityValue::MIN),
    );
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        info!(
            "BFD runs without real-time scheduling ({error:?}): allow CAP_SYS_NICE, or choose \
             longer intervals for a busy node"
        );
    }
}

struct Clock {
    epoch: std::time::Instant,
    epoch_wall: SystemTime,
}

impl Clock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    fn time_of_day(&self, instant: Instant) -> SystemTime {
        self.epoch_wall + instant.since_epoch()
    }
}

/// The end of the thread.
struct Stopping {
    until: Instant,
    told: Vec<oneshot::Sender<()>>,
}

struct Runner {
    clock: Clock,
    mailbox: Arc<Mailbox>,
    table: Table,
    /// `None`: it could not be opened, and is tried again.
    receivers: BTreeMap<ReceiverKey, Option<Receiver>>,
    housekeeping_at: Instant,
    stopping: Option<Stopping>,
}

impl Runner {
    fn new(seed: u64, mailbox: Arc<Mailbox>) -> Self {
        Self {
            clock: Clock {
                epoch: std::time::Instant::now(),
                epoch_wall: SystemTime::now(),
            },
            mailbox,
            table: Table::new(seed),
            receivers: BTreeMap::new(),
            housekeeping_at: Instant::ZERO,
            stopping: None,
        }
    }

    fn run(mut self) {
        loop {
            if let Err(error) = self.wait() {
                error!("BFD has stopped: cannot wait for packets: {error}");
                return;
            }
            // What was received while we were kept from running counts before any timer.
            self.receive();
            for command in self.mailbox.take() {
                self.command(command);
            }
            self.timers();
            if self.has_stopped() {
                return;
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let stop = self.stopping.as_ref().map(|stopping| stopping.until);
        let housekeeping = (!self.table.is_empty()).then_some(self.housekeeping_at);
        let next = [self.table.next_deadline(), housekeeping, stop];
        let timeout = next
            .into_iter()
            .flatten()
            .min()
            .map(|at| TimeSpec::from(at.saturating_since(self.clock.now())));
        let mut descriptors = vec![PollFd::new(self.mailbox.wake().as_fd(), PollFlags::POLLIN)];
        descriptors.extend(
            self.receivers
                .values()
                .flatten()
                .map(|receiver| PollFd::new(receiver.as_fd(), PollFlags::POLLIN)),
        );
        match ppoll(&mut descriptors, timeout, None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self) {
        for (key, slot) in &mut self.receivers {
            let Some(receiver) = slot else { continue };
            for _ in 0..RECEIVE_BATCH {
                match receiver.receive() {
                    Ok(None) => break,
                    Ok(Some(datagram)) => {
                        let now = self.clock.now();
                        let octets = receiver.octets(&datagram);
                        accept(&mut self.table, key, &datagram, octets, now);
                    }
                    Err(error) => {
                        warn!("BFD on UDP port {}: {error}; opening it anew", key.port());
                        *slot = None;
                        break;
                    }
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Watch {
                watcher,
                peer,
                signal,
            } => {
                let entry = self.table.join(watcher, &peer, now);
                entry.add_watcher(watcher, peer, signal, now);
                let number = entry.session.discriminator();
                self.open_receivers();
                self.table.settle(number, now);
            }
            Command::Unwatch { watcher } => {
                if let Some(number) = self.table.leave(watcher, now) {
                    self.table.settle(number, now);
                }
            }
            Command::Sessions(reply) => {
                let time_of_day = |instant| self.clock.time_of_day(instant);
                let all = self.table.entries().map(|entry| entry.status(time_of_day));
                // Whoever asked may have gone away.
                let _ = reply.send(all.collect());
            }
            Command::Stop(told) => {
                self.table.leave_all(now);
                let stopping = self.stopping.get_or_insert(Stopping {
                    until: now + STOP_TIME,
                    told: Vec::new(),
                });
                stopping.told.extend(told);
            }
        }
    }

    fn timers(&mut self) {
        let now = self.clock.now();
        while let Some(number) = self.table.due(now) {
            if let Some(entry) = self.table.get_mut(number) {
                entry.session.handle_deadline(now);
            }
            self.table.settle(number, now);
        }
        if self.housekeeping_at <= now {
            self.housekeeping_at = now + HOUSEKEEPING;
            for (key, slot) in &mut self.receivers {
                if slot
                    .as_ref()
                    .is_some_and(|receiver| !receiver.is_current(key))
                {
                    *slot = None;
                }
            }
            self.open_receivers();
        }
    }

    /// Opens the sockets that the sessions want, and closes those that none does.
    fn open_receivers(&mut self) {
        let wanted = self.table.receivers();
        self.receivers.retain(|key, _| wanted.contains(key));
        for key in wanted {
            if matches!(self.receivers.get(&key), Some(Some(_))) {
                continue;
            }
            let same_port = |(other, slot): (&ReceiverKey, &Option<Receiver>)| {
                slot.is_some() && other.ipv6 == key.ipv6 && other.multihop == key.multihop
            };
            let first = !self.receivers.iter().any(same_port);
            let (slot, problem) = match Receiver::open(&key, first) {
                Ok(receiver) => (Some(receiver), None),
                Err(error) => (None, Some(receiver_problem(&key, &error))),
            };
            self.receivers.insert(key.clone(), slot);
            for entry in self
                .table
                .entries_mut()
                .filter(|entry| entry.key.receiver == key)
            {
                if let Some(problem) = &problem
                    && entry.receiver_problem != Some(problem.clone())
                {
                    warn!("BFD with {}: {problem}; trying again", entry.key.addr);
                }
                entry.receiver_problem = problem.clone();
            }
        }
    }

    fn has_stopped(&mut self) -> bool {
        let over =
            |stopping: &Stopping| self.table.is_empty() || stopping.until <= self.clock.now();
        if !self.stopping.as_ref().is_some_and(over) {
            return false;
        }
        for told in self
            .stopping
            .take()
            .into_iter()
            .flat_map(|stopping| stopping.told)
        {
            // Whoever asked may have gone away.
            let _ = told.send(());
        }
        true
    }
}

fn receiver_problem(key: &ReceiverKey, error: &io::Error) -> String {
    let port = key.port();
    match (error.kind(), &key.interface) {
        (io::ErrorKind::AddrInUse, _) => {
            format!("UDP port {port} is taken: is another BFD daemon running?")
        }
        (_, Some(interface)) => format!("cannot listen on {interface}, UDP port {port}: {error}"),
        (_, None) => format!("cannot listen on UDP port {port}: {error}"),
    }
}

/// Gives a datagram to the session that it is for.
fn accept(
    table: &mut Table,
    receiver: &ReceiverKey,
    datagram: &Datagram,
    octets: &[u8],
    now: Instant,
) {
    let (source, destination) = (datagram.source, datagram.destination);
    let ttl = datagram.ttl.unwrap_or(0);
    let found = match Packet::decode(octets) {
        _ if !receiver.multihop && ttl != TTL_MAX => Err(Discard::Ttl(ttl)),
        Err(discard) => Err(discard),
        Ok(packet) => table
            .find(receiver, &packet, source, destination)
            .map(|number| (number, packet)),
    };
    let number = match found {
        Ok((number, packet)) => {
            if let Some(entry) = table.get_mut(number) {
                if receiver.multihop && ttl < entry.minimum_ttl() {
                    entry.discard(Discard::Ttl(ttl));
                } else {
                    entry.receive(&packet, now);
                }
            }
            number
        }
        // Shown at the session of that address, if there is one: an operator will look there.
        Err(discard) => {
            let Some(number) = table.by_address(receiver, source, destination) else {
                return;
            };
            if let Some(entry) = table.get_mut(number) {
                entry.discard(discard);
            }
            number
        }
    };
    table.settle(number, now);
}
