//! All sessions, and which packet is whose (RFC 5880 section 6.3, RFC 5881 section 3, RFC 5883
//! section 4).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_types::Instant;

use crate::config::BfdPeer;
use crate::entry::{Entry, SessionKey};
use crate::packet::{Discard, Packet};
use crate::random::Random;
use crate::socket::ReceiverKey;

/// All sessions, by discriminator and by address, and their deadlines in order.
pub(crate) struct Table {
    entries: BTreeMap<u32, Entry>,
    by_key: BTreeMap<SessionKey, u32>,
    by_watcher: BTreeMap<u64, u32>,
    deadlines: BTreeSet<(Instant, u32)>,
    random: Random,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_watcher: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            random: Random::new(seed),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_key
            .values()
            .filter_map(|number| self.entries.get(number))
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// The sockets that the sessions want.
    pub(crate) fn receivers(&self) -> BTreeSet<ReceiverKey> {
        self.by_key.keys().map(|key| key.receiver.clone()).collect()
    }

    /// The session of `peer`, made if there is none.
    pub(crate) fn join(&mut self, watcher: u64, peer: &BfdPeer, now: Instant) -> &mut Entry {
        let key = SessionKey::of(peer);
        let number = match self.by_key.get(&key) {
            Some(&number) => number,
            None => {
                let number = self.free_discriminator();
                self.by_key.insert(key, number);
                number
            }
        };
        self.by_watcher.insert(watcher, number);
        let seed = self.random.next();
        self.entries
            .entry(number)
            .or_insert_with(|| Entry::new(peer, number, seed, now))
    }

    pub(crate) fn leave(&mut self, watcher: u64, now: Instant) -> Option<u32> {
        let number = self.by_watcher.remove(&watcher)?;
        self.entries.get_mut(&number)?.remove_watcher(watcher, now);
        Some(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.get_mut(&number)
    }

    /// Random, so that what peers remember of our last run fits no session of this one.
    fn free_discriminator(&mut self) -> u32 {
        loop {
            let number = (self.random.next() >> 32) as u32;
            if number != 0 && !self.entries.contains_key(&number) {
                return number;
            }
        }
    }

    /// The session that a packet is for. A socket bound to a device takes precedence in the kernel,
    /// so that what it hears may be for a session without one.
    pub(crate) fn find(
        &self,
        receiver: &ReceiverKey,
        packet: &Packet,
        source: IpAddr,
        destination: Option<IpAddr>,
    ) -> Result<u32, Discard> {
        let number = packet.your_discriminator;
        if number != 0 {
            let heard_there = |entry: &&Entry| hears(&entry.key.receiver, receiver);
            return match self.entries.get(&number).filter(heard_there) {
                Some(_) => Ok(number),
                None => Err(Discard::UnknownDiscriminator(number)),
            };
        }
        self.by_address(receiver, source, destination)
            .ok_or(Discard::UnknownPeer)
    }

    /// The session with `source`, for one that knows no discriminator or whose packet is no good.
    pub(crate) fn by_address(
        &self,
        receiver: &ReceiverKey,
        source: IpAddr,
        destination: Option<IpAddr>,
    ) -> Option<u32> {
        let unbound = ReceiverKey {
            interface: None,
            ..receiver.clone()
        };
        let locals = [destination, None];
        let mut keys = [receiver, &unbound].into_iter().flat_map(|receiver| {
            locals.map(|local| SessionKey {
                receiver: receiver.clone(),
                addr: source,
                local,
            })
        });
        keys.find_map(|key| self.by_key.get(&key).copied())
    }

    /// After anything happened to a session: sends, tells, and queues its next deadline. A session
    /// that has left is removed.
    pub(crate) fn settle(&mut self, number: u32, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        entry.pump(now);
        let next = entry
            .session
            .next_deadline()
            .into_iter()
            .chain(entry.leaving_until)
            .min();
        if entry.deadline != next {
            if let Some(before) = std::mem::replace(&mut entry.deadline, next) {
                self.deadlines.remove(&(before, number));
            }
            self.deadlines.extend(next.map(|next| (next, number)));
        }
        if entry.has_left(now) {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u32) {
        if let Some(entry) = self.entries.remove(&number) {
            self.by_key.remove(&entry.key);
            if let Some(deadline) = entry.deadline {
                self.deadlines.remove(&(deadline, number));
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The first session with something due.
    pub(crate) fn due(&self, now: Instant) -> Option<u32> {
        self.deadlines
            .first()
            .filter(|(at, _)| *at <= now)
            .map(|(_, number)| *number)
    }

    /// Takes all sessions down.
    pub(crate) fn leave_all(&mut self, now: Instant) {
        let numbers: Vec<u32> = self.entries.keys().copied().collect();
        for number in numbers {
            if let Some(entry) = self.entries.get_mut(&number)
                && entry.leaving_until.is_none()
            {
                entry.leave(now);
            }
            self.settle(number, now);
        }
    }
}

/// Whether a session that listens at `session` hears what arrived at `socket`.
fn hears(session: &ReceiverKey, socket: &ReceiverKey) -> bool {
    let same_port = (session.ipv6, session.multihop) == (socket.ipv6, socket.multihop);
    same_port && (session.interface.is_none() || session.interface == socket.interface)
}
