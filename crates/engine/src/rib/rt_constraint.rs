//! Which route targets a peer asked for (RFC 4684), from the memberships in its Adj-RIB-In.

use std::collections::BTreeSet;

use chanter_bgp::RtMembership;
use chanter_types::RouteTarget;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

/// The memberships of one peer.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Single route targets, with the number of memberships (they differ by origin AS).
    single: HashMap<RouteTarget, u32, FxBuildHasher>,
    /// Prefixes of route targets, and the default as the shortest of them.
    prefixes: BTreeSet<RtMembership>,
    all: bool,
}

impl Wanted {
    pub(super) fn wants(&self, rt: RouteTarget) -> bool {
        self.all
            || self.single.contains_key(&rt)
            || self.prefixes.iter().any(|membership| membership.covers(rt))
    }

    /// Whether there is more than single route targets.
    pub(super) fn has_prefixes(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// Whether the default membership is among them.
    pub(super) fn wants_all(&self) -> bool {
        self.all
    }

    pub(super) fn single(&self) -> impl Iterator<Item = RouteTarget> + '_ {
        self.single.keys().copied()
    }

    /// The single route targets in order.
    pub(super) fn sorted(&self) -> Vec<RouteTarget> {
        let mut rts: Vec<_> = self.single().collect();
        rts.sort_unstable();
        rts
    }

    /// Adds a membership that was not there.
    pub(super) fn add(&mut self, membership: RtMembership) {
        match membership.rt() {
            Some(rt) => *self.single.entry(rt).or_insert(0) += 1,
            None => {
                self.prefixes.insert(membership);
                self.all |= membership.is_default();
            }
        }
    }

    /// Removes one that was there.
    pub(super) fn remove(&mut self, membership: RtMembership) {
        let Some(rt) = membership.rt() else {
            self.prefixes.remove(&membership);
            self.all &= !membership.is_default();
            return;
        };
        if let Some(count) = self.single.get_mut(&rt) {
            *count -= 1;
            if *count == 0 {
                self.single.remove(&rt);
            }
        }
    }
}
