//! Taking in what peers send.

use chanter_bgp::{Attributes, Nlri, PathData, RouteEvent, UpdateBatch};
use chanter_types::Instant;

use super::import::{self, RejectReason, Rejection, Taken};
use super::limit::Warning;
use super::peers::Source;
use super::{EndOfRib, Rib, TableId, on_table, table_of};
use crate::{Event, Output, PeerId, PeerOrder};

/// So many events are looked at together.
const LOOK_AHEAD: usize = 32;

/// What is to become of routes with an attribute set of a batch in one table.
struct Judged {
    table: TableId,
    verdict: Verdict,
}

enum Verdict {
    /// All are taken with this set, which the batch holds.
    Take(u32),
    /// The import policy looks at each route, with these attributes.
    Ask(Attributes),
    Reject(Rejection),
}

impl Rib {
    /// Takes in UPDATE messages of an established peer. A route that is not taken counts as withdrawn.
    pub fn apply(&mut self, peer: PeerId, batch: UpdateBatch, now: Instant) -> Vec<EndOfRib> {
        let mut ends = Vec::new();
        let Some(slot) = self.established(peer) else {
            return ends;
        };
        self.changed_at = now;
        let mut judged: Vec<Option<Judged>> = Vec::new();
        judged.resize_with(batch.attributes.len(), || None);
        let mut held = Vec::new();
        let mut touched = [false; TableId::ALL.len()];
        let mut events = batch.events.into_iter();
        let mut ahead = 0;
        loop {
            if ahead == 0 {
                ahead = LOOK_AHEAD;
                self.look_ahead(events.as_slice());
            }
            ahead -= 1;
            let Some(event) = events.next() else {
                break;
            };
            match event {
                RouteEvent::Reach {
                    nlri,
                    data,
                    attributes,
                } => {
                    let place = attributes as usize;
                    let Some(set) = batch.attributes.get(place) else {
                        continue;
                    };
                    let table = table_of(&nlri);
                    touched[table as usize] = true;
                    let judged = match &mut judged[place] {
                        Some(judged) if judged.table == table => judged,
                        place => {
                            let verdict = self.judge(slot, table, (&nlri, &data), set);
                            if let Verdict::Take(set) = verdict {
                                held.push((table, set));
                            }
                            place.insert(Judged { table, verdict })
                        }
                    };
                    self.receive(slot, judged, (nlri, data), now);
                }
                RouteEvent::Withdraw { nlri, path_id } => {
                    touched[table_of(&nlri) as usize] = true;
                    if let Some(peer) = self.peers.get_mut(slot) {
                        peer.rejected.forget(&nlri, path_id);
                    }
                    self.withdraw((Source::peer(slot), path_id), &nlri);
                }
                RouteEvent::EndOfRib(family) => ends.extend(self.end_of_rib(slot, family)),
            }
        }
        for (table, set) in held {
            on_table!(self, table, table => table.release_set(set));
        }
        for id in TableId::ALL {
            if touched[id as usize] {
                self.review_limit(slot, id);
            }
        }
        ends
    }

    /// Looks at the destinations of the next events together: each takes several cache misses to reach,
    /// which overlap where nothing has to be done in between.
    fn look_ahead(&self, events: &[RouteEvent]) {
        let mut seen = 0;
        for event in events.iter().take(LOOK_AHEAD) {
            seen ^= match event {
                RouteEvent::Reach { nlri, .. } | RouteEvent::Withdraw { nlri, .. } => match nlri {
                    Nlri::Ipv4(key) => self.ipv4.touch(key),
                    Nlri::Ipv6(key) => self.ipv6.touch(key),
                    Nlri::Evpn(key) => self.evpn.touch(key),
                    Nlri::Vpn4(key) => self.vpn4.touch(key),
                    Nlri::Vpn6(key) => self.vpn6.touch(key),
                    Nlri::Rtc(_) | Nlri::FlowSpec(_) => 0,
                },
                RouteEvent::EndOfRib(_) => 0,
            };
        }
        std::hint::black_box(seen);
    }

    /// Judges attributes that a peer sent, and puts them in store if that is all there is to judge.
    fn judge(
        &mut self,
        slot: u32,
        table: TableId,
        route: (&Nlri, &PathData),
        attributes: &Attributes,
    ) -> Verdict {
        let Some(peer) = self.peers.get(slot) else {
            return Verdict::Reject(RejectReason::FamilyNotNegotiated.into());
        };
        let checked = match import::check(peer, &self.rules, table.family(), attributes) {
            Ok(checked) => checked,
            Err(reason) => return Verdict::Reject(reason.into()),
        };
        let checked = checked.or(attributes);
        if peer.session.policy.import_looks_at_nlri() {
            return Verdict::Ask(checked.clone());
        }
        match import::decide(peer, route, checked) {
            Ok(taken) => {
                let set = taken.or(checked);
                Verdict::Take(on_table!(self, table, table => table.hold_set(set)))
            }
            Err(rejection) => Verdict::Reject(rejection),
        }
    }

    fn receive(&mut self, slot: u32, judged: &Judged, route: (Nlri, PathData), now: Instant) {
        let attributes = match &judged.verdict {
            Verdict::Take(set) => return self.take(slot, (judged.table, *set), route, now),
            Verdict::Reject(rejection) => return self.reject(slot, &route, rejection, now),
            Verdict::Ask(attributes) => attributes,
        };
        let Some(peer) = self.peers.get(slot) else {
            return;
        };
        let decision = import::decide(peer, (&route.0, &route.1), attributes);
        match decision.as_ref().map(|taken: &Taken| taken.or(attributes)) {
            Ok(attributes) => {
                let table = judged.table;
                let set = on_table!(self, table, table => table.hold_set(attributes));
                self.take(slot, (table, set), route, now);
                on_table!(self, table, table => table.release_set(set));
            }
            Err(rejection) => self.reject(slot, &route, rejection, now),
        }
    }

    fn take(
        &mut self,
        slot: u32,
        (table, set): (TableId, u32),
        route: (Nlri, PathData),
        now: Instant,
    ) {
        if !self.has_room(slot, table, &route.0, route.1.path_id) {
            let rejection = RejectReason::PrefixLimit.into();
            return self.reject(slot, &route, &rejection, now);
        }
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.rejected.forget(&route.0, route.1.path_id);
        }
        self.reach(Source::peer(slot), route, set, now);
    }

    /// Whether the peer may have the route. Beyond the limit it has none that it does not have already,
    /// while the session is being closed.
    fn has_room(&mut self, slot: u32, table: TableId, nlri: &Nlri, path_id: u32) -> bool {
        let Some(peer) = self.peers.get(slot) else {
            return false;
        };
        let watch = &peer.limits[table as usize];
        if !watch.is_enforced() {
            return true;
        }
        let count = on_table!(self, table, table => table.path_count_of(slot));
        if !watch.is_full(count) || self.has_path(slot, nlri, path_id) {
            return true;
        }
        let (family, limit) = (table.family(), watch.limit());
        let (id, addr) = (peer.id, peer.session.peer_addr);
        let is_news = self
            .peers
            .get_mut(slot)
            .is_some_and(|peer| peer.limits[table as usize].exceed());
        if is_news {
            self.notices.push_back(Output::Event(Event::PrefixLimit {
                peer: id,
                addr,
                family,
                limit,
            }));
            self.notices
                .push_back(Output::Order(PeerOrder::PrefixLimit {
                    peer: id,
                    family,
                    limit,
                }));
        }
        false
    }

    /// Whether the peer has a path to this destination.
    fn has_path(&self, slot: u32, nlri: &Nlri, path_id: u32) -> bool {
        self.lookup(nlri).is_some_and(|at| {
            super::in_table!(self, at.table, table => {
                table.has_path(at.index, Source::peer(slot), path_id)
            })
        })
    }

    /// Warns of a number of routes near the limit, or says that it is normal again.
    pub(super) fn review_limit(&mut self, slot: u32, id: TableId) {
        let count = on_table!(self, id, table => table.path_count_of(slot));
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        let watch = &mut peer.limits[id as usize];
        if let Some(warning) = watch.review(count) {
            let event = Event::PrefixCount {
                peer: peer.id,
                addr: peer.session.peer_addr,
                family: id.family(),
                count,
                limit: watch.limit(),
                is_high: warning == Warning::High,
            };
            self.notices.push_back(Output::Event(event));
        }
    }

    fn reject(
        &mut self,
        slot: u32,
        (nlri, data): &(Nlri, PathData),
        rejection: &Rejection,
        now: Instant,
    ) {
        if let Some(peer) = self.peers.get_mut(slot)
            && let Some(count) = peer.rejected.add(nlri, data.path_id, rejection, now)
        {
            let event = Event::RoutesRejected {
                peer: peer.id,
                addr: peer.session.peer_addr,
                route: nlri.to_string(),
                reason: rejection.reason.to_string(),
                count,
            };
            self.notices.push_back(Output::Event(event));
        }
        self.withdraw((Source::peer(slot), data.path_id), nlri);
    }
}
