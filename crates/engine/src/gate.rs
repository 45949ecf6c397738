//! What has to be known before anything is removed, and before peers are told that they have all.
//!
//! After a start the kernel and the peers may hold more than this process knows of yet. Nothing is
//! removed before the sources have said all that they want and the peers have sent their routes,
//! and no peer is told End-of-RIB, upon which it drops what it kept of us, before our own routes are
//! out (RFC 4724 sections 4.1 and 4.2).

use std::collections::{BTreeMap, BTreeSet};

use chanter_bgp::Family;
use chanter_types::Instant;

use crate::{PeerId, SessionInfo};

/// An established session and what its peer has marked.
#[derive(Debug, Clone)]
pub(crate) struct PeerState {
    pub(crate) session: SessionInfo,
    pub(crate) established: bool,
    end_of_rib: BTreeSet<Family>,
}

impl PeerState {
    pub(crate) fn new(session: SessionInfo) -> Self {
        PeerState {
            session,
            established: true,
            end_of_rib: BTreeSet::new(),
        }
    }

    pub(crate) fn mark(&mut self, family: Family) {
        self.end_of_rib.insert(family);
    }

    pub(crate) fn has_marked(&self, family: Family) -> bool {
        self.end_of_rib.contains(&family)
    }

    /// Whether the peer has marked all families for which it said that it would.
    fn has_kept_word(&self) -> bool {
        self.session
            .end_of_rib
            .iter()
            .all(|family| self.has_marked(*family))
    }

    /// Whether all EVPN routes of the peer are known to be in. Of a peer that does not mark the end
    /// that is never known.
    fn is_complete(&self) -> bool {
        let evpn = Family::L2VPN_EVPN;
        let expected = self.session.families.contains(&evpn);
        self.has_kept_word() && (!expected || self.has_marked(evpn))
    }
}

/// All peers, and how many of those that are established have said what. Thousands of sessions come
/// up at about the same time, so nobody counts them anew at each input.
#[derive(Debug, Default)]
pub(crate) struct PeerBoard {
    peers: BTreeMap<PeerId, PeerState>,
    tally: Tally,
}

/// Established sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) established: usize,
    complete: usize,
    kept_word: usize,
}

impl Tally {
    fn add(&mut self, peer: &PeerState) {
        if peer.established {
            self.established += 1;
            self.complete += usize::from(peer.is_complete());
            self.kept_word += usize::from(peer.has_kept_word());
        }
    }

    fn take(&mut self, peer: &PeerState) {
        if peer.established {
            self.established -= 1;
            self.complete -= usize::from(peer.is_complete());
            self.kept_word -= usize::from(peer.has_kept_word());
        }
    }
}

impl PeerBoard {
    pub(crate) fn get(&self, peer: PeerId) -> Option<&PeerState> {
        self.peers.get(&peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &PeerState)> {
        self.peers.iter().map(|(id, peer)| (*id, peer))
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn insert(&mut self, id: PeerId, peer: PeerState) {
        self.remove(id);
        self.tally.add(&peer);
        self.peers.insert(id, peer);
    }

    pub(crate) fn remove(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.remove(&id) {
            self.tally.take(&peer);
        }
    }

    /// Changes what is known of a peer.
    pub(crate) fn update<T>(
        &mut self,
        id: PeerId,
        change: impl FnOnce(&mut PeerState) -> T,
    ) -> Option<T> {
        let peer = self.peers.get_mut(&id)?;
        self.tally.take(peer);
        let result = change(peer);
        self.tally.add(peer);
        Some(result)
    }
}

/// What the decision rests on.
pub(crate) struct Circumstances {
    pub(crate) sources_synced: bool,
    pub(crate) peers: Tally,
    pub(crate) peers_expected: usize,
    /// Own endpoints of which the dataplane has not said whether they are in place.
    pub(crate) awaits_local_reports: bool,
    pub(crate) now: Instant,
}

/// The two gates.
#[derive(Debug)]
pub(crate) struct Gates {
    /// When waiting for peers and for the dataplane ends.
    deferral_ends: Instant,
    reflect: bool,
    restarting: bool,
    prune_allowed: bool,
    end_of_rib_held: bool,
}

impl Gates {
    pub(crate) fn new(deferral_ends: Instant, reflect: bool, restarting: bool) -> Self {
        Gates {
            deferral_ends,
            reflect,
            restarting,
            prune_allowed: false,
            end_of_rib_held: true,
        }
    }

    pub(crate) fn prune_allowed(&self) -> bool {
        self.prune_allowed
    }

    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let open = self.prune_allowed && !self.end_of_rib_held;
        (!open && now < self.deferral_ends).then_some(self.deferral_ends)
    }

    /// Whether pruning becomes allowed just now, and why. It never stops being allowed.
    pub(crate) fn poll_prune(&mut self, c: &Circumstances) -> Option<&'static str> {
        // The grace is for peers only: as long as a source has not spoken, what it wants is unknown.
        if self.prune_allowed || !c.sources_synced {
            return None;
        }
        let reason = if c.peers_expected == 0 && c.peers.established == 0 {
            "all sources have synced"
        } else if c.peers.established >= c.peers_expected.max(1)
            && c.peers.complete == c.peers.established
        {
            "all sources have synced and all peers have sent End-of-RIB"
        } else if c.now >= self.deferral_ends {
            "all sources have synced and the time to wait for peers is over"
        } else {
            return None;
        };
        self.prune_allowed = true;
        Some(reason)
    }

    /// Whether End-of-RIB becomes free to be sent just now. It never stops being free.
    pub(crate) fn poll_end_of_rib(&mut self, c: &Circumstances) -> bool {
        if !self.end_of_rib_held || !c.sources_synced {
            return false;
        }
        let waiting = c.awaits_local_reports || (self.reflect && self.awaits_peers(c));
        if waiting && c.now < self.deferral_ends {
            return false;
        }
        self.end_of_rib_held = false;
        true
    }

    /// A reflector passes on what its peers send: it is complete when they are. After a restart
    /// those that have not come back yet count too, as far as their number is known.
    fn awaits_peers(&self, c: &Circumstances) -> bool {
        let missing = match c.peers_expected {
            0 => self.restarting,
            expected => self.restarting && c.peers.established < expected,
        };
        missing || c.peers.kept_word < c.peers.established
    }
}
