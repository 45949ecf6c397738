//! Path selection: which path of a destination is the best, and why each other one is not.
//!
//! The steps of RFC 4271 section 9.1.2.2 with the additions of RFC 4456 section 9, one rank for each;
//! at every step the paths with the lowest rank stay. In front stand the degree of preference
//! (section 9.1.1) and, for MAC/IP advertisements, MAC mobility (RFC 7432 section 15). The IGP cost
//! to the next hop is not known here and counts as equal.
//!
//! MULTI_EXIT_DISC is compared among the paths from one neighbouring AS that are left at its step, not
//! path by path, so that the result does not depend on the order in which paths came. Stale paths
//! (RFC 4724 section 4.2) lose nothing: forwarding must not tell them from others. Long-lived stale
//! ones (RFC 9494 section 4.3) lose against all others. AIGP does not count: it is of use only
//! together with the IGP cost to the next hop (RFC 7311 section 4).
//!
//! An import policy may set LOCAL_PREF on what another AS sends; what that AS says of it itself is not
//! taken (RFC 4271 section 5.1.5).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{Attributes, Origin};
use chanter_types::Asn;
use smallvec::SmallVec;

use super::peers::{Peers, Source};

/// Why a path is not the best one: the first step at which it lost, with its value and the better
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossReason {
    /// It is long-lived stale, the best path is not (RFC 9494 section 4.3).
    LongLivedStale,
    /// The best path's MAC address must not move (RFC 7432 section 15.2).
    NotSticky,
    /// MAC mobility sequence number (RFC 7432 section 15).
    MacSequence {
        /// Of this path.
        own: u32,
        /// Of the best path.
        best: u32,
    },
    /// LOCAL_PREF.
    LocalPref {
        /// Of this path.
        own: u32,
        /// Of the best path.
        best: u32,
    },
    /// The best path originates at this node.
    NotLocal,
    /// Length of AS_PATH.
    AsPathLength {
        /// Of this path.
        own: u32,
        /// Of the best path.
        best: u32,
    },
    /// ORIGIN.
    Origin {
        /// Of this path.
        own: Origin,
        /// Of the best path.
        best: Origin,
    },
    /// MULTI_EXIT_DISC, compared with another path from the same neighbouring AS.
    Med {
        /// Of this path.
        own: u32,
        /// Of the other path, which need not be the best.
        other: u32,
        /// The neighbouring AS; `None`: the own one.
        neighbor_as: Option<Asn>,
    },
    /// Learned inside the AS, the best path outside.
    NotExternal,
    /// ORIGINATOR_ID, or else the BGP identifier of the peer.
    RouterId {
        /// Of this path.
        own: Ipv4Addr,
        /// Of the best path.
        best: Ipv4Addr,
    },
    /// Length of CLUSTER_LIST.
    ClusterListLength {
        /// Of this path.
        own: u32,
        /// Of the best path.
        best: u32,
    },
    /// Address of the peer.
    PeerAddress {
        /// Of this path's peer.
        own: IpAddr,
        /// Of the best path's peer.
        best: IpAddr,
    },
    /// Path identifier, where one peer sent both (RFC 7911).
    PathId {
        /// Of this path.
        own: u32,
        /// Of the best path.
        best: u32,
    },
    /// All is equal, both paths originate at this node: number of the VPN instance.
    InstanceNumber {
        /// Of this path.
        own: u32,
        /// Of the best path.
        best: u32,
    },
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossReason::LongLivedStale => {
                f.write_str("it is long-lived stale, which the best path is not")
            }
            LossReason::NotSticky => f.write_str("the MAC address of the best path is sticky"),
            LossReason::MacSequence { own, best } => {
                write!(f, "MAC mobility sequence {own} is lower than {best}")
            }
            LossReason::LocalPref { own, best } => {
                write!(f, "LOCAL_PREF {own} is lower than {best}")
            }
            LossReason::NotLocal => f.write_str("the best path originates at this node"),
            LossReason::AsPathLength { own, best } => {
                write!(f, "AS_PATH length {own} is longer than {best}")
            }
            LossReason::Origin { own, best } => write!(f, "ORIGIN {own} is worse than {best}"),
            LossReason::Med {
                own,
                other,
                neighbor_as: Some(asn),
            } => {
                write!(
                    f,
                    "MED {own} is higher than {other} of another path from AS {asn}"
                )
            }
            LossReason::Med {
                own,
                other,
                neighbor_as: None,
            } => {
                write!(
                    f,
                    "MED {own} is higher than {other} of another path from this AS"
                )
            }
            LossReason::NotExternal => {
                f.write_str("learned by iBGP, the best path is learned by eBGP")
            }
            LossReason::RouterId { own, best } => {
                write!(f, "router id {own} of the originator is higher than {best}")
            }
            LossReason::ClusterListLength { own, best } => {
                write!(f, "CLUSTER_LIST length {own} is longer than {best}")
            }
            LossReason::PeerAddress { own, best } => {
                write!(f, "peer address {own} is higher than {best}")
            }
            LossReason::PathId { own, best } => {
                write!(f, "path id {own} is higher than {best}")
            }
            LossReason::InstanceNumber { own, best } => {
                write!(f, "instance number {own} is higher than {best}")
            }
        }
    }
}

/// A path that stands for selection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) attributes: &'a Attributes,
    pub(super) source: Source,
    pub(super) path_id: u32,
    /// LLGR_STALE (RFC 9494).
    pub(super) is_last_resort: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    LongLivedStale,
    Sticky,
    MacSequence,
    LocalPref,
    Local,
    AsPathLength,
    Origin,
    Med,
    External,
    RouterId,
    ClusterListLength,
    PeerAddress,
    PathId,
    Number,
}

const STEPS: [Step; 14] = [
    Step::LongLivedStale,
    Step::Sticky,
    Step::MacSequence,
    Step::LocalPref,
    Step::Local,
    Step::AsPathLength,
    Step::Origin,
    Step::Med,
    Step::External,
    Step::RouterId,
    Step::ClusterListLength,
    Step::PeerAddress,
    Step::PathId,
    Step::Number,
];

/// Path selection in one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection<'a> {
    pub(super) peers: &'a Peers,
    /// Whether the destination is a MAC/IP advertisement.
    pub(super) mobility: bool,
}

impl Selection<'_> {
    /// The place of the best candidate. There must be one at least.
    pub(super) fn best(self, candidates: &[Candidate<'_>]) -> usize {
        let mut left: SmallVec<[usize; 8]> = (0..candidates.len()).collect();
        for step in self.steps() {
            if left.len() <= 1 {
                break;
            }
            if step == Step::Med {
                let lowest = |place: &usize| self.med_rival(candidates, &left, *place).is_none();
                left = left.iter().copied().filter(lowest).collect();
                continue;
            }
            let rank = |place: &usize| self.rank(step, &candidates[*place]);
            let Some(lowest) = left.iter().map(rank).min() else {
                break;
            };
            left.retain(|place| rank(place) == lowest);
        }
        left.first().copied().unwrap_or(0)
    }

    /// Whether `a` is better than `b`; exact only where no MULTI_EXIT_DISC counts.
    pub(super) fn is_better(self, a: &Candidate<'_>, b: &Candidate<'_>) -> bool {
        self.steps()
            .map(|step| self.rank(step, a).cmp(&self.rank(step, b)))
            .find(|order| order.is_ne())
            .is_some_and(std::cmp::Ordering::is_lt)
    }

    /// For each candidate why it lost against the one at `best`, or `None` for that one.
    pub(super) fn reasons(
        self,
        candidates: &[Candidate<'_>],
        best: usize,
    ) -> Vec<Option<LossReason>> {
        let winner = &candidates[best];
        let equal_before_med = |candidate: &Candidate<'_>| {
            self.steps()
                .take_while(|step| *step < Step::Med)
                .all(|step| self.rank(step, candidate) == self.rank(step, winner))
        };
        let left: SmallVec<[usize; 8]> = (0..candidates.len())
            .filter(|place| equal_before_med(&candidates[*place]))
            .collect();
        (0..candidates.len())
            .map(|place| {
                (place != best)
                    .then(|| self.reason(candidates, &left, place, winner))
                    .flatten()
            })
            .collect()
    }

    fn reason(
        self,
        candidates: &[Candidate<'_>],
        left_at_med: &[usize],
        place: usize,
        winner: &Candidate<'_>,
    ) -> Option<LossReason> {
        let candidate = &candidates[place];
        for step in self.steps() {
            if step == Step::Med {
                if let Some(rival) = self.med_rival(candidates, left_at_med, place) {
                    return Some(LossReason::Med {
                        own: candidate.attributes.med().unwrap_or(0),
                        other: candidates[rival].attributes.med().unwrap_or(0),
                        neighbor_as: candidate.attributes.as_path().first_as(),
                    });
                }
            } else if self.rank(step, candidate) > self.rank(step, winner) {
                return self.describe(step, candidate, winner);
            }
        }
        None
    }

    fn steps(self) -> impl Iterator<Item = Step> {
        let is_skipped =
            move |step: &Step| !self.mobility && matches!(step, Step::Sticky | Step::MacSequence);
        STEPS.into_iter().filter(move |step| !is_skipped(step))
    }

    /// Lower is better.
    fn rank(self, step: Step, candidate: &Candidate<'_>) -> u128 {
        let attributes = candidate.attributes;
        match step {
            Step::LongLivedStale => u128::from(candidate.is_last_resort),
            Step::Sticky => u128::from(!mac_mobility(attributes).0),
            Step::MacSequence => u128::from(u32::MAX - mac_mobility(attributes).1),
            Step::LocalPref => u128::from(u32::MAX - local_pref(candidate)),
            Step::Local => u128::from(!candidate.source.is_local()),
            Step::AsPathLength => u128::from(attributes.as_path_len()),
            Step::Origin => u128::from(attributes.origin().code()),
            Step::Med => 0,
            Step::External => u128::from(!self.is_external(candidate)),
            Step::RouterId => u128::from(self.router_id(candidate).to_bits()),
            Step::ClusterListLength => attributes.cluster_list().count() as u128,
            // IPv4 addresses stand below all IPv6 addresses that a peer can have.
            Step::PeerAddress => match self.peers.addr(candidate.source) {
                Some(IpAddr::V4(addr)) => u128::from(addr.to_bits()),
                Some(IpAddr::V6(addr)) => addr.to_bits(),
                None => 0,
            },
            Step::PathId => u128::from(candidate.path_id),
            Step::Number => u128::from(candidate.source.number()),
        }
    }

    /// A path from the same neighbouring AS with a lower MULTI_EXIT_DISC; none counts as 0.
    fn med_rival(
        self,
        candidates: &[Candidate<'_>],
        left: &[usize],
        place: usize,
    ) -> Option<usize> {
        let own = candidates[place].attributes;
        let med = own.med().filter(|med| *med > 0)?;
        let is_lower = |other: &Attributes| {
            other.med().unwrap_or(0) < med && other.as_path().first_as() == own.as_path().first_as()
        };
        left.iter()
            .copied()
            .filter(|other| is_lower(candidates[*other].attributes))
            .min_by_key(|other| candidates[*other].attributes.med().unwrap_or(0))
    }

    fn describe(self, step: Step, own: &Candidate<'_>, best: &Candidate<'_>) -> Option<LossReason> {
        let len = |candidate: &Candidate<'_>| {
            u32::try_from(candidate.attributes.cluster_list().count()).unwrap_or(u32::MAX)
        };
        Some(match step {
            Step::LongLivedStale => LossReason::LongLivedStale,
            Step::Sticky => LossReason::NotSticky,
            Step::MacSequence => LossReason::MacSequence {
                own: mac_mobility(own.attributes).1,
                best: mac_mobility(best.attributes).1,
            },
            Step::LocalPref => LossReason::LocalPref {
                own: local_pref(own),
                best: local_pref(best),
            },
            Step::Local => LossReason::NotLocal,
            Step::AsPathLength => LossReason::AsPathLength {
                own: own.attributes.as_path_len(),
                best: best.attributes.as_path_len(),
            },
            Step::Origin => LossReason::Origin {
                own: own.attributes.origin(),
                best: best.attributes.origin(),
            },
            Step::Med => return None,
            Step::External => LossReason::NotExternal,
            Step::RouterId => LossReason::RouterId {
                own: self.router_id(own),
                best: self.router_id(best),
            },
            Step::ClusterListLength => LossReason::ClusterListLength {
                own: len(own),
                best: len(best),
            },
            Step::PeerAddress => LossReason::PeerAddress {
                own: self.peers.addr(own.source)?,
                best: self.peers.addr(best.source)?,
            },
            Step::PathId => LossReason::PathId {
                own: own.path_id,
                best: best.path_id,
            },
            Step::Number => LossReason::InstanceNumber {
                own: own.source.number(),
                best: best.source.number(),
            },
        })
    }

    fn is_external(self, candidate: &Candidate<'_>) -> bool {
        self.peers
            .of(candidate.source)
            .is_some_and(|peer| peer.is_ebgp())
    }

    fn router_id(self, candidate: &Candidate<'_>) -> Ipv4Addr {
        candidate
            .attributes
            .originator_id()
            .unwrap_or_else(|| self.peers.router_id(candidate.source))
    }
}

/// The degree of preference (RFC 4271 section 9.1.1).
fn local_pref(candidate: &Candidate<'_>) -> u32 {
    let own = candidate.attributes.local_pref();
    own.unwrap_or(super::LOCAL_PREF_DEFAULT)
}

/// Whether a MAC address must not move, and how often it has moved (RFC 7432 section 15: without the
/// community, never). Where several are present the highest counts.
pub(crate) fn mac_mobility(attributes: &Attributes) -> (bool, u32) {
    let all = attributes
        .extended_communities()
        .filter_map(chanter_bgp::ExtendedCommunity::as_mac_mobility);
    all.fold((false, 0), |(sticky, sequence), (s, n)| {
        (sticky | s, sequence.max(n))
    })
}
