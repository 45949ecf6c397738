//! Sessions come and go, and their peers say what they know.

use std::time::Duration;

use chanter_bgp::{Family, UpdateBatch};
use chanter_types::Instant;

use super::Engine;
use crate::gate::PeerState;
use crate::rib::EndOfRib;
use crate::{Event, PeerId, SessionInfo};

impl Engine {
    pub(super) fn handle_peer_up(&mut self, peer: PeerId, session: SessionInfo, now: Instant) {
        let addr = session.peer_addr;
        self.events.push(Event::PeerUp { peer, addr });
        self.peers.insert(peer, PeerState::new(session.clone()));
        let dropped = self.rib.peer_up(peer, session, now);
        self.report_stale(
            peer,
            dropped,
            "the peer did not preserve its forwarding state",
        );
    }

    pub(super) fn handle_peer_down(
        &mut self,
        peer: PeerId,
        retain: &[Family],
        restart_time: Duration,
        now: Instant,
    ) {
        let stale = self.rib.peer_down(peer, retain, now + restart_time, now);
        let ended = self.peers.update(peer, |state| {
            let was_established = std::mem::replace(&mut state.established, false);
            was_established.then_some(state.session.peer_addr)
        });
        if let Some(addr) = ended.flatten() {
            self.events.push(Event::PeerDown { peer, addr, stale });
        }
        if stale == 0 {
            self.peers.remove(peer);
        }
    }

    pub(super) fn handle_updates(&mut self, peer: PeerId, batch: UpdateBatch, now: Instant) {
        for EndOfRib {
            family,
            stale_removed,
        } in self.rib.apply(peer, batch, now)
        {
            let marked = self.peers.update(peer, |state| {
                state.mark(family);
                state.session.peer_addr
            });
            let Some(addr) = marked else {
                continue;
            };
            self.events.push(Event::EndOfRib { peer, addr, family });
            self.report_stale(peer, stale_removed, "the peer did not repeat them");
        }
    }

    pub(super) fn handle_end_of_refresh(&mut self, peer: PeerId, family: Family) {
        let removed = self.rib.end_refresh(peer, family);
        self.report_stale(
            peer,
            removed,
            "the peer sent all its routes again without them",
        );
    }

    pub(super) fn report_stale(&mut self, peer: PeerId, paths: usize, reason: &'static str) {
        if paths > 0
            && let Some(state) = self.peers.get(peer)
        {
            let addr = state.session.peer_addr;
            self.events.push(Event::StaleRemoved {
                peer,
                addr,
                paths,
                reason,
            });
        }
    }
}
