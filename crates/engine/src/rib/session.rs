//! Sessions come and go: what is sent from the start, what stays as stale (RFC 4724, RFC 9494).

use std::sync::Arc;

use chanter_bgp::{Family, RtMembership};
use chanter_policy::PeerPolicy;
use chanter_types::Instant;

use super::key::Key;
use super::peers::{ExportState, Kept, Peer};
use super::table::Which;
use super::{EndOfRib, Rib, TableId, on_table};
use crate::{Event, Output, PeerId, PeerOrder, SessionInfo};

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
        let session_number = self.monitors.number_session();
        let Some(peer) = self.peers.get_mut(slot) else {
            return removed;
        };
        peer.established = true;
        peer.session_number = session_number;
        peer.export = ExportState::Idle;
        peer.memberships_due = peer.constrains_rts().then(|| now + wait);
        for kept in &mut peer.kept {
            // A long-lived stale path goes when it would have gone otherwise (RFC 9494 section 4.2).
            if let Kept::Restart(until) = kept {
                *until = now + peer.restart_time;
            }
        }
        self.arm(slot);
        self.tell_missing_policy(slot);
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
            let kept = self
                .peers
                .get(slot)
                .map_or(Kept::No, |p| p.kept[id as usize]);
            let is_preserved = match kept {
                Kept::No | Kept::Restart(_) => session.forwarding_preserved.contains(&family),
                Kept::LongLived(_) => session
                    .long_lived
                    .iter()
                    .any(|one| one.family == family && one.preserved),
            };
            if !session.families.contains(&family) || !is_preserved {
                removed += self.remove_paths(slot, id, Which::All);
                self.set_kept(slot, id, Kept::No);
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
        on_table!(self, id, table => table.start_export(peer, slot, is_pushed));
    }

    /// A session left Established. Paths of the families in `retain` stay as stale until the peer is
    /// back, at most until `until`, and then as long-lived stale if that was negotiated; returns how
    /// many. Paths that were stale before go, unless they are long-lived stale.
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
        self.monitors.note_session();
        for id in TableId::ALL {
            let Some(peer) = self.peers.get_mut(slot) else {
                return 0;
            };
            peer.refresh_until[id as usize] = None;
            let is_long_lived = peer.long_lived_time(id.family()).is_some();
            on_table!(self, id, table => table.stop_export(peer, slot));
            if retain.contains(&id.family()) {
                self.keep_stale(slot, id, until);
            } else if is_long_lived && !retain.is_empty() {
                // Without graceful restart its time counts as zero (RFC 9494 section 4.2).
                self.keep_stale(slot, id, now);
            } else {
                self.remove_paths(slot, id, Which::All);
                self.set_kept(slot, id, Kept::No);
            }
        }
        let stale = self.stale_count(slot);
        if stale == 0 {
            self.forget(slot);
            return 0;
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.established = false;
            peer.export = ExportState::Idle;
            peer.memberships_due = None;
            peer.restart_time = until.saturating_since(now);
        }
        self.arm(slot);
        stale
    }

    fn keep_stale(&mut self, slot: u32, id: TableId, until: Instant) {
        let kept = self.peers.get(slot).map(|peer| peer.kept[id as usize]);
        if let Some(long_lived @ Kept::LongLived(_)) = kept {
            // Their time goes on (RFC 9494 section 4.2); what is newer is not kept for longer.
            on_table!(self, id, table => table.mark_stale(slot));
            self.depreference(slot, id);
            return self.set_kept(slot, id, long_lived);
        }
        self.remove_paths(slot, id, Which::Stale);
        let stale = on_table!(self, id, table => table.mark_stale(slot));
        let kept = if stale > 0 {
            Kept::Restart(until)
        } else {
            Kept::No
        };
        self.set_kept(slot, id, kept);
    }

    /// The peer is no longer configured: all its paths go.
    pub fn peer_removed(&mut self, id: PeerId, now: Instant) {
        self.peer_down(id, &[], now, now);
    }

    fn forget(&mut self, slot: u32) {
        for id in TableId::ALL {
            on_table!(self, id, table => table.forget_peer(slot));
        }
        if let Some(at) = self.peers.get(slot).and_then(|peer| peer.armed) {
            self.timers.remove(&(at, slot));
        }
        self.peers.remove(slot);
    }

    /// Sends a family to the peer again (RFC 2918), with marks around the answer where the peer knows
    /// them (RFC 7313).
    pub fn route_refresh(&mut self, peer: PeerId, family: Family) {
        let (Some(slot), Some(id)) = (self.established(peer), TableId::of(family)) else {
            return;
        };
        if let Some(peer) = self.peers.get(slot) {
            if peer.session.enhanced_refresh {
                on_table!(self, id, table => table.answer(slot));
            } else {
                on_table!(self, id, table => table.refresh(peer, slot));
            }
        }
        self.wake(slot);
    }

    /// The peer begins to send all its routes of a family again (RFC 7313 section 4): what it does not
    /// repeat goes at the end, or after the time that it would have for a restart.
    pub fn begin_refresh(&mut self, peer: PeerId, family: Family, now: Instant) {
        let (Some(slot), Some(id)) = (self.established(peer), TableId::of(family)) else {
            return;
        };
        on_table!(self, id, table => table.mark_unrepeated(slot));
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.refresh_until[id as usize] = Some(now + super::REFRESH_TIME);
        }
        self.arm(slot);
    }

    /// The peer has sent all its routes of a family again; returns how many it did not repeat, which
    /// go. Without a begin, nothing is known of that.
    pub fn end_refresh(&mut self, peer: PeerId, family: Family) -> usize {
        let (Some(slot), Some(id)) = (self.established(peer), TableId::of(family)) else {
            return 0;
        };
        let Some(peer) = self.peers.get_mut(slot) else {
            return 0;
        };
        if peer.refresh_until[id as usize].take().is_none() {
            return 0;
        }
        self.arm(slot);
        let removed = self.remove_paths(slot, id, Which::Unrepeated);
        self.review_limit(slot, id);
        removed
    }

    /// Another policy holds for the peer. What it was given is judged again at once; of what it said
    /// only the attributes as the former policy made them are there, so it is asked to say it again
    /// (RFC 2918), and until then all stays as it is. Where there is no import policy any more and there
    /// has to be one (RFC 8212), its paths go at once.
    pub fn set_policy(&mut self, id: PeerId, policy: Arc<PeerPolicy>) {
        let Some(slot) = self.peers.slot(id) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        let old = peer.session.policy.clone();
        if *old == *policy {
            return;
        }
        let (is_ebgp, established) = (peer.is_ebgp(), peer.established);
        peer.set_policy(policy.clone());
        if !established {
            return;
        }
        let limits_changed = old.max_prefixes != policy.max_prefixes;
        let import_changed = differs_on_import(&old, &policy, is_ebgp);
        let export_changed = differs_on_export(&old, &policy, is_ebgp);
        if limits_changed {
            TableId::ALL
                .into_iter()
                .for_each(|id| self.review_limit(slot, id));
        }
        if import_changed {
            self.renew_import(slot, policy.lacks_import(is_ebgp));
        }
        if export_changed {
            self.renew_export(slot);
        }
        if import_changed || export_changed {
            self.tell_missing_policy(slot);
        }
    }

    fn renew_import(&mut self, slot: u32, lacks_policy: bool) {
        if lacks_policy {
            for id in TableId::ALL {
                self.remove_paths(slot, id, Which::All);
            }
            return;
        }
        let Some(peer) = self.peers.get(slot) else {
            return;
        };
        let (peer, addr, session) = (peer.id, peer.session.peer_addr, &peer.session);
        self.notices.push_back(if session.route_refresh {
            Output::Order(PeerOrder::Refresh {
                peer,
                families: session.families.clone(),
            })
        } else {
            Output::Event(Event::ClearNeeded { peer, addr })
        });
    }

    fn renew_export(&mut self, slot: u32) {
        for id in TableId::ALL {
            if let Some(peer) = self.peers.get(slot) {
                on_table!(self, id, table => table.refresh(peer, slot));
            }
        }
        self.wake(slot);
    }

    /// RFC 8212 section 3 asks for a clear word.
    fn tell_missing_policy(&mut self, slot: u32) {
        let Some(peer) = self.peers.get(slot) else {
            return;
        };
        let policy = &peer.session.policy;
        let missing = match (
            policy.lacks_import(peer.is_ebgp()),
            policy.lacks_export(peer.is_ebgp()),
        ) {
            (true, true) => "import and export",
            (true, false) => "import",
            (false, true) => "export",
            (false, false) => return,
        };
        self.notices.push_back(Output::Event(Event::NoPolicy {
            peer: peer.id,
            addr: peer.session.peer_addr,
            missing,
        }));
    }

    pub(super) fn end_of_rib(&mut self, slot: u32, family: Family) -> Option<EndOfRib> {
        let id = TableId::of(family)?;
        let stale_removed = self.remove_paths(slot, id, Which::Stale);
        on_table!(self, id, table => table.end_of_rib(slot));
        self.monitors.note_session();
        self.set_kept(slot, id, Kept::No);
        self.arm(slot);
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

    pub(super) fn remove_paths(&mut self, slot: u32, id: TableId, which: Which) -> usize {
        let mut memberships: Vec<RtMembership> = Vec::new();
        let removed = on_table!(self, id, table => {
            table.remove_paths(&self.peers, slot, which, |key| memberships.extend(key.membership()))
        });
        for membership in memberships {
            self.remove_membership(slot, membership);
        }
        removed
    }

    fn set_kept(&mut self, slot: u32, id: TableId, kept: Kept) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.kept[id as usize] = kept;
        }
    }

    fn stale_count(&self, slot: u32) -> usize {
        TableId::ALL
            .into_iter()
            .map(|id| super::in_table!(self, id, table => table.stale_count(slot)))
            .sum()
    }

    /// Sets the timer of a peer to what is due next.
    pub(super) fn arm(&mut self, slot: u32) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        let next = peer.next_deadline();
        if peer.armed == next {
            return;
        }
        let old = std::mem::replace(&mut peer.armed, next);
        if let Some(old) = old {
            self.timers.remove(&(old, slot));
        }
        self.timers.extend(next.map(|at| (at, slot)));
    }

    /// When [`Rib::expire_stale`] has to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does what is due: stale paths whose time is over go, or become long-lived stale; peers that have
    /// not said which route targets they want are not waited for any longer. Returns how many paths of
    /// which peers went.
    pub fn expire_stale(&mut self, now: Instant) -> Vec<(PeerId, usize)> {
        let mut expired = Vec::new();
        while let Some((at, slot)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, slot));
            let Some(peer) = self.peers.get_mut(slot) else {
                continue;
            };
            peer.armed = None;
            let (id, established) = (peer.id, peer.established);
            if peer.memberships_due.take_if(|at| *at <= now).is_some() {
                self.wake(slot);
            }
            let tables = TableId::ALL.into_iter();
            let removed: usize = tables.map(|id| self.expire_table(slot, id, now)).sum();
            if removed > 0 {
                expired.push((id, removed));
            }
            if !established && self.stale_count(slot) == 0 {
                self.forget(slot);
            }
            self.arm(slot);
        }
        expired
    }

    fn expire_table(&mut self, slot: u32, id: TableId, now: Instant) -> usize {
        let Some(peer) = self.peers.get_mut(slot) else {
            return 0;
        };
        let mut removed = 0;
        let refresh = &mut peer.refresh_until[id as usize];
        let refresh_over = refresh.take_if(|at| *at <= now).is_some();
        let kept = peer.kept[id as usize];
        let long_lived = peer.long_lived_time(id.family());
        if refresh_over {
            removed += self.remove_paths(slot, id, Which::Unrepeated);
        }
        if kept.until().is_none_or(|until| until > now) {
            return removed;
        }
        match (kept, long_lived) {
            (Kept::Restart(since), Some(time)) => {
                removed += self.depreference(slot, id);
                self.set_kept(slot, id, Kept::LongLived(since + time));
            }
            _ => {
                removed += self.remove_paths(slot, id, Which::Stale);
                self.set_kept(slot, id, Kept::No);
            }
        }
        removed
    }

    /// The stale paths of the peer become long-lived stale (RFC 9494 section 4.2); returns how many may
    /// not, and went.
    fn depreference(&mut self, slot: u32, id: TableId) -> usize {
        let mut memberships: Vec<RtMembership> = Vec::new();
        let (paths, removed) = on_table!(self, id, table => {
            table.make_long_lived(&self.peers, slot, |key| memberships.extend(key.membership()))
        });
        for membership in memberships {
            self.remove_membership(slot, membership);
        }
        if let Some(peer) = self.peers.get(slot).filter(|_| paths > 0) {
            self.notices.push_back(Output::Event(Event::LongLived {
                peer: peer.id,
                addr: peer.session.peer_addr,
                family: id.family(),
                paths,
            }));
        }
        removed
    }
}

/// Whether routes would be judged in another way on their way in.
fn differs_on_import(old: &PeerPolicy, new: &PeerPolicy, is_ebgp: bool) -> bool {
    old.import != new.import
        || old.lacks_import(is_ebgp) != new.lacks_import(is_ebgp)
        || old.allow_as_in != new.allow_as_in
        || old.graceful_shutdown != new.graceful_shutdown
        || old.accept_graceful_shutdown != new.accept_graceful_shutdown
}

/// The same on their way out.
fn differs_on_export(old: &PeerPolicy, new: &PeerPolicy, is_ebgp: bool) -> bool {
    old.export != new.export
        || old.lacks_export(is_ebgp) != new.lacks_export(is_ebgp)
        || old.next_hop_self != new.next_hop_self
        || old.next_hop_unchanged != new.next_hop_unchanged
        || old.remove_private_as != new.remove_private_as
        || old.graceful_shutdown != new.graceful_shutdown
}
