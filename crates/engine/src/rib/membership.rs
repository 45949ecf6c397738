//! RT memberships of peers, as they come and go, put to use in the VPN tables (RFC 4684).

use chanter_bgp::RtMembership;

use super::{Rib, TableId, on_table};

impl Rib {
    /// The peer asked for something that it had not asked for.
    pub(super) fn add_membership(&mut self, slot: u32, membership: RtMembership) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.wanted.add(membership);
        }
        self.review_membership(slot, membership);
    }

    /// The peer no longer asks for it.
    pub(super) fn remove_membership(&mut self, slot: u32, membership: RtMembership) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.wanted.remove(membership);
        }
        self.review_membership(slot, membership);
    }

    fn review_membership(&mut self, slot: u32, membership: RtMembership) {
        if let Some(peer) = self.peers.get(slot) {
            for id in TableId::ALL.into_iter().filter(|id| id.family().is_vpn()) {
                on_table!(self, id, table => table.review_membership(peer, slot, membership));
            }
        }
    }
}
