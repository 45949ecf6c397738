//! Sessions come and go: what is sent from the start, what stays as stale (RFC 4724), and until when.

use chanter_bgp::{Family, RtMembership};
use chanter_types::Instant;

use super::key::Key;
use super::peers::{ExportState, Peer};
use super::table::Feed;
use super::{EndOfRib, Rib, TableId, on_table};
use crate::{PeerId, SessionInfo};

impl Rib {
    /// A session reached Established. Stale paths of the peer in families whose forwarding state it
    /// did not preserve go at once; returns how many went.
    pub fn peer_up(&mut self, id: PeerId, session: SessionInfo, now: Instant) -> usize {
        if self.established(id).is_some() {
            self.peer_down(id, &[], now, now);
        }
        let (slot, removed) = match self.peers.slot(id) {
            Some(slot) => (slot, self.resume(slot, session)),
            None => (self.peers.insert(Peer::new(id, session)), 0),
        };
        let wait = self.config.membership_wait;
        let has_stale = self.stale_count(slot) > 0;
        let Some(peer) = self.peers.get_mut(slot) else {
            return removed;
        };
        peer.established = true;
        peer.export = ExportState::Idle;
        peer.memberships_due = peer.constrains_rts().then(|| now + wait);
        peer.stale_until = has_stale.then(|| now + peer.restart_time);
        let deadlines = [peer.memberships_due, peer.stale_until];
        deadlines.into_iter().flatten().for_each(|at| self.arm(at));
        TableId::ALL
            .into_iter()
            .for_each(|id| self.start_export(slot, id));
        self.wake(slot);
        removed
    }

    /// A peer of which stale paths are left is back.
    fn resume(&mut self, slot: u32, session: SessionInfo) -> usize {
        let mut removed = 0;
        for id in TableId::ALL {
            let family = id.family();
            if !session.families.contains(&family)
                || !session.forwarding_preserved.contains(&family)
            {
                removed += self.remove_paths(slot, id);
            }
        }
        let Some(peer) = self.peers.get_mut(slot) else {
            return removed;
        };
        let ranks =
            |session: &SessionInfo| (session.role, session.peer_router_id, session.peer_addr);
        let is_reranked = ranks(&peer.session) != ranks(&session);
        peer.set_session(session);
        if is_reranked {
            for id in TableId::ALL {
                on_table!(self, id, table => table.rerank(&self.peers, slot));
            }
        }
        removed
    }

    fn start_export(&mut self, slot: u32, id: TableId) {
        let Some(peer) = self.peers.get(slot) else {
            return;
        };
        if !peer.session.families.contains(&id.family()) {
            return;
        }
        let is_pushed = if id == TableId::Rtc {
            self.config.reflect && peer.is_client()
        } else {
            id.family().is_vpn() && peer.constrains_rts() && !peer.wanted.has_prefixes()
        };
        let feed = if is_pushed {
            Feed::Pushed
        } else {
            Feed::Journal(0)
        };
        on_table!(self, id, table => {
            table.start_export(slot, feed);
            if is_pushed {
                table.start_pushing(peer, slot);
            }
        });
    }

    /// A session left Established. Paths of the families in `retain` stay as stale until the peer is
    /// back, at most until `until`; returns how many. Paths that were stale before go.
    pub fn peer_down(
        &mut self,
        id: PeerId,
        retain: &[Family],
        until: Instant,
        now: Instant,
    ) -> usize {
        let Some(slot) = self.peers.slot(id) else {
            return 0;
        };
        let mut stale = 0;
        for id in TableId::ALL {
            if let Some(peer) = self.peers.get(slot) {
                on_table!(self, id, table => table.stop_export(peer, slot));
            }
            if retain.contains(&id.family()) {
                stale += self.mark_stale(slot, id);
            } else {
                self.remove_paths(slot, id);
            }
        }
        if stale == 0 {
            self.forget(slot);
            return 0;
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.established = false;
            peer.export = ExportState::Idle;
            peer.memberships_due = None;
            peer.restart_time = until.saturating_since(now);
            peer.stale_until = Some(until);
        }
        self.arm(until);
        stale
    }

    /// The peer is no longer configured: all its paths go.
    pub fn peer_removed(&mut self, id: PeerId, now: Instant) {
        self.peer_down(id, &[], now, now);
    }

    fn forget(&mut self, slot: u32) {
        for id in TableId::ALL {
            on_table!(self, id, table => table.forget_peer(slot));
        }
        self.peers.remove(slot);
    }

    /// Sends a family to the peer again (RFC 2918).
    pub fn route_refresh(&mut self, peer: PeerId, family: Family) {
        let (Some(slot), Some(id)) = (self.established(peer), TableId::of(family)) else {
            return;
        };
        if let Some(peer) = self.peers.get(slot) {
            on_table!(self, id, table => table.refresh(peer, slot));
        }
        self.wake(slot);
    }

    pub(super) fn end_of_rib(&mut self, slot: u32, family: Family) -> Option<EndOfRib> {
        let id = TableId::of(family)?;
        let mut memberships = Vec::new();
        let stale_removed = on_table!(self, id, table => {
            table.end_of_rib(&self.peers, slot, |key| memberships.extend(key.membership()))
        });
        self.forget_memberships(slot, memberships);
        if id == TableId::Rtc
            && let Some(peer) = self.peers.get_mut(slot)
            && peer.memberships_due.take().is_some()
        {
            self.wake(slot);
        }
        Some(EndOfRib {
            family,
            stale_removed,
        })
    }

    fn mark_stale(&mut self, slot: u32, id: TableId) -> usize {
        let mut memberships = Vec::new();
        let stale = on_table!(self, id, table => {
            table.mark_stale(&self.peers, slot, |key| memberships.extend(key.membership()))
        });
        self.forget_memberships(slot, memberships);
        stale
    }

    fn remove_paths(&mut self, slot: u32, id: TableId) -> usize {
        let mut memberships = Vec::new();
        let removed = on_table!(self, id, table => {
            table.remove_paths(&self.peers, slot, false, |key| memberships.extend(key.membership()))
        });
        self.forget_memberships(slot, memberships);
        removed
    }

    fn remove_stale(&mut self, slot: u32) -> usize {
        let mut memberships = Vec::new();
        let mut removed = 0;
        for id in TableId::ALL {
            removed += on_table!(self, id, table => {
                table.remove_stale(&self.peers, slot, |key| memberships.extend(key.membership()))
            });
        }
        self.forget_memberships(slot, memberships);
        removed
    }

    fn forget_memberships(&mut self, slot: u32, memberships: Vec<RtMembership>) {
        for membership in memberships {
            self.remove_membership(slot, membership);
        }
    }

    fn stale_count(&self, slot: u32) -> usize {
        TableId::ALL
            .into_iter()
            .map(|id| super::in_table!(self, id, table => table.stale_count(slot)))
            .sum()
    }

    fn arm(&mut self, at: Instant) {
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    /// When [`Rib::expire_stale`] has to be called next; it may find nothing to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Does what is due: stale paths whose time is over go, peers that have not said which route
    /// targets they want are not waited for any longer. Returns how many paths of which peers went.
    pub fn expire_stale(&mut self, now: Instant) -> Vec<(PeerId, usize)> {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        self.deadline = None;
        let slots: Vec<u32> = self.peers.iter().map(|(slot, _)| slot).collect();
        let mut expired = Vec::new();
        for slot in slots {
            let Some(peer) = self.peers.get_mut(slot) else {
                continue;
            };
            let id = peer.id;
            let memberships_over = peer.memberships_due.take_if(|at| *at <= now).is_some();
            let stale_over = peer.stale_until.take_if(|at| *at <= now).is_some();
            let (established, next) = (peer.established, [peer.memberships_due, peer.stale_until]);
            next.into_iter().flatten().for_each(|at| self.arm(at));
            if memberships_over {
                self.wake(slot);
            }
            if stale_over {
                let removed = self.remove_stale(slot);
                if removed > 0 {
                    expired.push((id, removed));
                }
                if !established {
                    self.forget(slot);
                }
            }
        }
        expired
    }
}
