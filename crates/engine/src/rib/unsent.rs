//! Routes that cannot be sent to a peer: they fit into no message (RFC 8654 section 4), or have no next
//! hop that the session can carry. The peer's operator is told, but not of each.

use std::time::Duration;

use chanter_bgp::Nlri;
use chanter_types::Instant;

use super::Rib;
use crate::{Event, Output};

/// After so long, a peer's are told again.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Those of one peer in its session.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// How many since it was told.
    count: u64,
    told: Option<Instant>,
}

impl Unsent {
    /// Counts some; returns how many there have been since it was told, if it is to be told now.
    fn add(&mut self, count: u64, now: Instant) -> Option<u64> {
        self.count += count;
        let is_recent = |at| now.saturating_since(at) < TELL_AGAIN;
        if self.told.is_some_and(is_recent) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl Rib {
    /// Tells of routes that could not be sent to a peer; in an update group, to the member for which
    /// they were to be written.
    pub(super) fn tell_unsent(&mut self, slot: u32, (nlri, count): (Nlri, u64)) {
        let now = self.changed_at;
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        if let Some(count) = peer.unsent.add(count, now) {
            self.notices.push_back(Output::Event(Event::NotSent {
                peer: peer.id,
                addr: peer.session.peer_addr,
                route: nlri.to_string(),
                count,
            }));
        }
    }
}
