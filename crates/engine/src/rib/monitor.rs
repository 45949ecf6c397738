//! Monitors: whoever is told all that the RIB holds, for BMP (RFC 7854, RFC 9069).
//!
//! A monitor asks for what has changed since it asked last. Many changes of a destination are told
//! once; what is kept for a monitor is bounded by the RIB, however seldom it asks. While there is no
//! monitor nothing is kept.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bytes::Bytes;
use chanter_bgp::{CodecContext, Family, FamilySet, UpdateWriter};
use chanter_types::Instant;

use super::peers::{Peer, Peers};
use super::{Rib, TableId, in_table, on_table};
use crate::PeerId;

/// A monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorId(u32);

/// What a monitor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonitorScope {
    /// The best paths (RFC 9069).
    pub loc_rib: bool,
    /// What each peer with a session has said, as import policy made it (RFC 7854 section 5).
    pub adj_rib_in: bool,
}

/// Whose RIB it is that a monitor is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MonitorPeer {
    /// Ours: the best paths.
    LocRib,
    /// A peer's Adj-RIB-In.
    Peer(PeerId),
}

/// What a monitor is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Monitored {
    /// A peer's session is Established; nothing of it has been told yet.
    Up(PeerId),
    /// It is no more, and with it all that was told of it.
    Down(PeerId),
    /// Whole UPDATE messages.
    Updates {
        /// Whose.
        peer: MonitorPeer,
        /// Since when the routes are there; `None`: they have gone, or it is an End-of-RIB.
        at: Option<Instant>,
        /// The messages: AS numbers have four octets, and path identifiers are there where the peer
        /// sends some (RFC 7911).
        octets: Bytes,
    },
}

/// A RIB that is told: the best paths, or those of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View {
    session: u32,
    slot: u32,
}

impl View {
    pub(super) const LOC_RIB: View = View {
        session: 0,
        slot: u32::MAX,
    };
    /// Of a place that holds nothing.
    pub(super) const VACANT: View = View {
        session: u32::MAX,
        slot: u32::MAX,
    };
}

/// A session that a monitor was told of.
#[derive(Debug)]
struct Session {
    view: View,
    peer: PeerId,
    /// The families in which the peer puts a path identifier before each NLRI.
    add_path: FamilySet,
}

/// An End-of-RIB that is to be told.
#[derive(Debug)]
struct End {
    view: View,
    table: TableId,
    /// Only when the peer has sent its own.
    waits: bool,
}

#[derive(Debug)]
struct Monitor {
    id: MonitorId,
    scope: MonitorScope,
    /// The generation of sessions that it was told of.
    seen: Option<u64>,
    /// By slot.
    sessions: BTreeMap<u32, Session>,
    ends: Vec<End>,
    /// The table to begin with: each in its turn.
    first: usize,
}

/// All monitors.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    monitors: Vec<Monitor>,
    next_id: u32,
    last_session: u32,
    /// Counts what happens to sessions.
    generation: u64,
}

impl Monitors {
    /// A session came, went, or sent an End-of-RIB.
    pub(super) fn note_session(&mut self) {
        self.generation += 1;
    }

    /// A number for a session that no other has.
    pub(super) fn number_session(&mut self) -> u32 {
        self.note_session();
        // Two numbers have a meaning of their own.
        self.last_session = (self.last_session + 1) % (u32::MAX - 1);
        self.last_session = self.last_session.max(1);
        self.last_session
    }
}

/// What a monitor is told in one go.
pub(super) struct Teller<'a> {
    sessions: &'a BTreeMap<u32, Session>,
    scope: MonitorScope,
    /// Ours.
    pub(super) router_id: Ipv4Addr,
    limit: usize,
    told: usize,
    out: Vec<Monitored>,
    /// What goes together: messages about the same view and time.
    open: Option<(View, Option<Instant>, Vec<u8>)>,
}

impl Teller<'_> {
    /// Whether with so many octets more it is all that may be told.
    pub(super) fn is_full(&self, more: usize) -> bool {
        self.told + more >= self.limit
    }

    pub(super) fn is_told(&self, view: View) -> bool {
        match view {
            View::LOC_RIB => self.scope.loc_rib,
            view => self.view_of(view.slot) == Some(view),
        }
    }

    /// The session of a peer, if it was told.
    pub(super) fn view_of(&self, slot: u32) -> Option<View> {
        self.sessions.get(&slot).map(|session| session.view)
    }

    pub(super) fn context(&self, view: View, family: Family) -> CodecContext {
        let session = self.sessions.get(&view.slot);
        let has_path_id = session.is_some_and(|session| session.add_path.contains(family));
        let add_path: Option<Family> = has_path_id.then_some(family);
        CodecContext {
            add_path_send: add_path.into_iter().collect(),
            extended_next_hop: [Family::IPV4_UNICAST, Family::IPV4_VPN]
                .into_iter()
                .collect(),
            ..CodecContext::default()
        }
    }

    pub(super) fn tell(&mut self, view: View, at: Option<Instant>, octets: Vec<u8>) {
        self.told += octets.len();
        match &mut self.open {
            Some((open, since, before)) if (*open, *since) == (view, at) => {
                before.extend_from_slice(&octets);
            }
            _ => {
                self.close();
                self.open = Some((view, at, octets));
            }
        }
    }

    fn close(&mut self) {
        let Some((view, at, octets)) = self.open.take() else {
            return;
        };
        let peer = match view {
            View::LOC_RIB => Some(MonitorPeer::LocRib),
            view => {
                let session = self.sessions.get(&view.slot);
                session.map(|session| MonitorPeer::Peer(session.peer))
            }
        };
        let octets = Bytes::from(octets);
        let updates = peer.filter(|_| !octets.is_empty());
        self.out
            .extend(updates.map(|peer| Monitored::Updates { peer, at, octets }));
    }
}

impl Rib {
    /// From now on there is a monitor; it is told all from the start.
    pub fn monitor_start(&mut self, scope: MonitorScope) -> MonitorId {
        let id = MonitorId(self.monitors.next_id);
        self.monitors.next_id += 1;
        let tables = TableId::ALL.into_iter().filter(|_| scope.loc_rib);
        let ends = tables.map(|table| End {
            view: View::LOC_RIB,
            table,
            waits: false,
        });
        self.monitors.monitors.push(Monitor {
            id,
            scope,
            seen: None,
            sessions: BTreeMap::new(),
            ends: ends.collect(),
            first: 0,
        });
        for table in TableId::ALL {
            on_table!(self, table, table => table.start_monitor(id, scope));
        }
        id
    }

    /// Forgets a monitor.
    pub fn monitor_stop(&mut self, id: MonitorId) {
        self.monitors.monitors.retain(|monitor| monitor.id != id);
        for table in TableId::ALL {
            on_table!(self, table, table => table.stop_monitor(id));
        }
    }

    /// Whether [`Rib::monitor_pull`] would look at something.
    pub fn monitor_has_news(&self, id: MonitorId) -> bool {
        let monitor = self.monitors.monitors.iter().find(|one| one.id == id);
        let is_behind = monitor.is_some_and(|one| one.seen != Some(self.monitors.generation));
        is_behind
            || TableId::ALL
                .into_iter()
                .any(|table| in_table!(self, table, table => table.has_for_monitor(id)))
    }

    /// What a monitor has not been told, about `limit` octets at most; nothing: that is all for now, or
    /// there is no such monitor.
    pub fn monitor_pull(&mut self, id: MonitorId, limit: usize) -> Vec<Monitored> {
        let monitors = &mut self.monitors.monitors;
        let Some(place) = monitors.iter().position(|monitor| monitor.id == id) else {
            return Vec::new();
        };
        let mut monitor = monitors.swap_remove(place);
        let mut out = self.tell_sessions(&mut monitor);
        out.extend(self.tell_routes(&mut monitor, limit.max(1)));
        self.monitors.monitors.push(monitor);
        out
    }

    /// Sessions that came and went since the monitor asked last.
    fn tell_sessions(&mut self, monitor: &mut Monitor) -> Vec<Monitored> {
        let mut out = Vec::new();
        let is_first = monitor.seen.is_none();
        if monitor.seen.replace(self.monitors.generation) == Some(self.monitors.generation)
            || !monitor.scope.adj_rib_in
        {
            return out;
        }
        let peers = &self.peers;
        monitor.sessions.retain(|slot, session| {
            let is_there = view_of(peers, *slot) == Some(session.view);
            if !is_there {
                out.push(Monitored::Down(session.peer));
            }
            is_there
        });
        let sessions = &monitor.sessions;
        monitor.ends.retain(|end| {
            let session = sessions.get(&end.view.slot);
            end.view == View::LOC_RIB || session.is_some_and(|session| session.view == end.view)
        });
        let new: Vec<(u32, View)> = peers
            .iter()
            .filter(|(slot, _)| !monitor.sessions.contains_key(slot))
            .filter_map(|(slot, _)| Some((slot, view_of(peers, slot)?)))
            .collect();
        for (slot, view) in new {
            let Some(peer) = self.peers.get(slot) else {
                continue;
            };
            out.push(Monitored::Up(peer.id));
            let session = Session {
                view,
                peer: peer.id,
                add_path: peer.session.add_path_receive.iter().copied().collect(),
            };
            monitor.sessions.insert(slot, session);
            monitor.ends.extend(ends_of(peer, view, is_first));
            // From its start the journal holds all anyway.
            for table in TableId::ALL.into_iter().filter(|_| !is_first) {
                on_table!(self, table, table => table.monitor_again(monitor.id, slot));
            }
        }
        out
    }

    fn tell_routes(&mut self, monitor: &mut Monitor, limit: usize) -> Vec<Monitored> {
        let mut teller = Teller {
            sessions: &monitor.sessions,
            scope: monitor.scope,
            router_id: self.config.router_id,
            limit,
            told: 0,
            out: Vec::new(),
            open: None,
        };
        let first = monitor.first;
        for step in 0..TableId::ALL.len() {
            let table = TableId::ALL[(first + step) % TableId::ALL.len()];
            let has_more =
                on_table!(self, table, table => table.tell_monitor(monitor.id, &mut teller));
            if has_more {
                monitor.first = (first + step + 1) % TableId::ALL.len();
                break;
            }
            self.tell_ends(&mut monitor.ends, table, &mut teller);
        }
        teller.close();
        teller.out
    }

    /// Of a table that has been told.
    fn tell_ends(&self, ends: &mut Vec<End>, table: TableId, teller: &mut Teller<'_>) {
        ends.retain(|end| {
            let is_due = end.table == table
                && (!end.waits || in_table!(self, table, table => table.has_ended(end.view.slot)));
            if is_due {
                let mut out = Vec::new();
                let context = teller.context(end.view, table.family());
                UpdateWriter::new(&context, &mut out).end_of_rib(table.family());
                teller.tell(end.view, None, out);
            }
            !is_due
        });
    }
}

/// The session of a peer, if it has one.
fn view_of(peers: &Peers, slot: u32) -> Option<View> {
    let peer = peers.get(slot).filter(|peer| peer.established)?;
    let session = peer.session_number;
    Some(View { session, slot })
}

/// The End-of-RIBs of a session. One that was there before the monitor is dumped as it is; of another,
/// the peer says itself when it has said all, if it does (RFC 4724 section 3).
fn ends_of(peer: &Peer, view: View, is_first: bool) -> impl Iterator<Item = End> + '_ {
    let tables = TableId::ALL.into_iter();
    let tables = tables.filter(|table| peer.session.families.contains(&table.family()));
    tables.map(move |table| End {
        view,
        table,
        waits: !is_first && peer.session.end_of_rib.contains(&table.family()),
    })
}
