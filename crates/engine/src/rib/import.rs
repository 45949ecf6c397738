//! What is taken from a peer: loops (RFC 4271, 4456), leaks (RFC 9234), import policy.
//!
//! Of a route that is not taken nothing is kept but a number for each reason, and the last few of
//! them with the reason for `why`. The attributes of a route that is taken are kept as the policy
//! made them: a changed policy counts for what the peer sends from then on, and so it is asked to
//! send all again (RFC 2918). To ask the policy anew about what is held would apply it twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{Attributes, BgpRole, Family, Nlri, PathData};
use chanter_policy::{Decision, PolicyRoute};
use chanter_types::Instant;

use super::otc;
use super::peers::Peer;
use super::verdict::ExportRules;

/// How many routes that were not taken are remembered of a peer.
const REMEMBERED_MAX: usize = 32;
/// How long nothing is said of more routes of a peer that are rejected for the same reason.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Why a received path was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// Our AS stands in AS_PATH (RFC 4271 section 9.1.2).
    AsLoop,
    /// ORIGINATOR_ID is our BGP identifier (RFC 4456 section 8).
    OwnOriginatorId,
    /// Our cluster stands in CLUSTER_LIST (RFC 4456 section 8).
    ClusterLoop,
    /// The family was not negotiated with the peer.
    FamilyNotNegotiated,
    /// AS_PATH does not begin with the AS of the eBGP peer (RFC 4271 section 6.3).
    FirstAs,
    /// NEXT_HOP is our address (RFC 4271 section 5.1.3).
    OwnNextHop,
    /// ONLY_TO_CUSTOMER says that the route should not have come this way (RFC 9234 section 5).
    RouteLeak,
    /// FlowSpec from another AS, which nothing vouches for (RFC 8955 section 6).
    FlowSpecNotValidated,
    /// The peer may not send more routes of the family.
    PrefixLimit,
    /// The import policy, or that there is none (RFC 8212).
    Policy,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [RejectReason; 10] = [
        RejectReason::AsLoop,
        RejectReason::OwnOriginatorId,
        RejectReason::ClusterLoop,
        RejectReason::FamilyNotNegotiated,
        RejectReason::FirstAs,
        RejectReason::OwnNextHop,
        RejectReason::RouteLeak,
        RejectReason::FlowSpecNotValidated,
        RejectReason::PrefixLimit,
        RejectReason::Policy,
    ];

    /// Whether an operator should look at it, in the log. That a policy rejects is what it is for; the
    /// limit of prefixes is told of by itself.
    fn is_trouble(self) -> bool {
        !matches!(self, RejectReason::Policy | RejectReason::PrefixLimit)
    }
}

impl std::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RejectReason::AsLoop => "the local AS stands in AS_PATH",
            RejectReason::OwnOriginatorId => "ORIGINATOR_ID is this node",
            RejectReason::ClusterLoop => "the local cluster stands in CLUSTER_LIST",
            RejectReason::FamilyNotNegotiated => "the family was not negotiated",
            RejectReason::FirstAs => "AS_PATH does not begin with the AS of the peer",
            RejectReason::OwnNextHop => "NEXT_HOP is the local address",
            RejectReason::RouteLeak => "ONLY_TO_CUSTOMER shows a route leak",
            RejectReason::FlowSpecNotValidated => {
                "FlowSpec from another AS, and no import policy accepts it"
            }
            RejectReason::PrefixLimit => "the limit of prefixes is reached",
            RejectReason::Policy => "the import policy rejects it",
        })
    }
}

/// A route that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRoute {
    /// Its key.
    pub nlri: Nlri,
    /// Tells routes of one peer apart (RFC 7911).
    pub path_id: u32,
    /// Why it was not taken.
    pub reason: RejectReason,
    /// The rule of the policy, where that was it.
    pub rule: Option<Arc<str>>,
}

impl std::fmt::Display for RejectedRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reason)?;
        match &self.rule {
            Some(rule) => write!(f, ": {rule}"),
            None => Ok(()),
        }
    }
}

/// A reason with the name of the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: RejectReason,
    pub(super) rule: Option<Arc<str>>,
}

impl From<RejectReason> for Rejection {
    fn from(reason: RejectReason) -> Self {
        Self { reason, rule: None }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: u64,
    /// How many, and when, at the last time that it was told.
    told: Option<(u64, Instant)>,
}

/// What was not taken from a peer in its session.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    counts: [Count; RejectReason::ALL.len()],
    by_rule: BTreeMap<Arc<str>, u64>,
    last: VecDeque<RejectedRoute>,
}

impl Rejections {
    /// Counts one; returns how many there have been for that reason since it was told, if it is to
    /// be told now.
    pub(super) fn add(
        &mut self,
        nlri: &Nlri,
        path_id: u32,
        rejection: &Rejection,
        now: Instant,
    ) -> Option<u64> {
        let count = &mut self.counts[rejection.reason as usize];
        count.all += 1;
        let (told, at) = count.told.unwrap_or_default();
        let is_due = count.told.is_none() || now.saturating_since(at) >= TELL_AGAIN;
        let news = (rejection.reason.is_trouble() && is_due).then_some(count.all - told);
        if news.is_some() {
            count.told = Some((count.all, now));
        }
        self.remember(nlri, path_id, rejection);
        news
    }

    fn remember(&mut self, nlri: &Nlri, path_id: u32, rejection: &Rejection) {
        if let Some(rule) = &rejection.rule {
            *self.by_rule.entry(rule.clone()).or_default() += 1;
        }
        let is_it = |route: &RejectedRoute| route.path_id == path_id && route.nlri == *nlri;
        if let Some(known) = self.last.iter_mut().find(|route| is_it(route)) {
            known.reason = rejection.reason;
            known.rule.clone_from(&rejection.rule);
            return;
        }
        if self.last.len() == REMEMBERED_MAX {
            self.last.pop_front();
        }
        self.last.push_back(RejectedRoute {
            nlri: nlri.clone(),
            path_id,
            reason: rejection.reason,
            rule: rejection.rule.clone(),
        });
    }

    /// Forgets a route, which was taken or withdrawn.
    pub(super) fn forget(&mut self, nlri: &Nlri, path_id: u32) {
        if !self.last.is_empty() {
            self.last
                .retain(|route| route.path_id != path_id || route.nlri != *nlri);
        }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        RejectReason::ALL
            .into_iter()
            .zip(self.counts.iter().map(|count| count.all))
            .filter(|(_, count)| *count > 0)
    }

    pub(super) fn by_rule(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_rule.iter().map(|(rule, count)| (&**rule, *count))
    }

    pub(super) fn last(&self) -> impl Iterator<Item = &RejectedRoute> {
        self.last.iter()
    }
}

/// The attributes of a route that is taken.
pub(super) enum Taken {
    AsReceived,
    Changed(Attributes),
}

impl Taken {
    pub(super) fn or<'a>(&'a self, received: &'a Attributes) -> &'a Attributes {
        match self {
            Taken::AsReceived => received,
            Taken::Changed(attributes) => attributes,
        }
    }
}

/// What holds for all routes of an attribute set, whatever their NLRI.
pub(super) fn check(
    peer: &Peer,
    rules: &ExportRules,
    family: Family,
    attributes: &Attributes,
) -> Result<Taken, RejectReason> {
    let session = &peer.session;
    if !session.families.contains(&family) {
        return Err(RejectReason::FamilyNotNegotiated);
    }
    // In an overlay it is a tunnel endpoint, and a matter of import into the instances.
    let is_hop = [Family::IPV4_UNICAST, Family::IPV6_UNICAST].contains(&family);
    if is_hop && attributes.next_hop() == Some(session.local_addr) {
        return Err(RejectReason::OwnNextHop);
    }
    let path = attributes.as_path();
    if peer.is_ebgp() {
        // A route server does not put its AS in front (RFC 7947 section 2.2.2.1).
        let is_transparent = session.bgp_role == Some(BgpRole::RouteServerClient);
        if !is_transparent && path.first_as() != Some(session.peer_as) {
            return Err(RejectReason::FirstAs);
        }
        if family.is_flowspec() && session.policy.import.is_none() {
            return Err(RejectReason::FlowSpecNotValidated);
        }
    } else {
        if attributes.originator_id() == Some(rules.router_id) {
            return Err(RejectReason::OwnOriginatorId);
        }
        let own_cluster = |cluster| cluster == rules.cluster_id;
        if attributes.cluster_list().any(own_cluster) {
            return Err(RejectReason::ClusterLoop);
        }
    }
    if !session.policy.allow_as_in.permits(path, session.local_as) {
        return Err(RejectReason::AsLoop);
    }
    if !peer.is_ebgp() {
        return Ok(Taken::AsReceived);
    }
    // LOCAL_PREF is of no meaning from another AS (RFC 4271 section 5.1.5), AIGP neither unless it is
    // agreed upon (RFC 7311 section 3.4); what stands there later is the policy's.
    let is_clean = attributes.local_pref().is_none() && attributes.aigp().is_none();
    let mark = otc::on_receipt(session, family, attributes)?;
    if is_clean && mark.is_none() {
        return Ok(Taken::AsReceived);
    }
    let mut builder = attributes.to_builder().local_pref(None).aigp(None);
    if let Some(asn) = mark {
        builder = builder.only_to_customer(asn);
    }
    Ok(Taken::Changed(builder.build()))
}

/// Asks the import policy.
pub(super) fn decide(
    peer: &Peer,
    (nlri, data): (&Nlri, &PathData),
    attributes: &Attributes,
) -> Result<Taken, Rejection> {
    let session = &peer.session;
    let route = PolicyRoute {
        nlri,
        path: data,
        attributes,
        peer_as: session.peer_as,
        local_as: session.local_as,
        local_addr: Some(session.local_addr),
        ebgp: peer.is_ebgp(),
    };
    match session.policy.import(&route) {
        Decision::Accept(None) => Ok(Taken::AsReceived),
        Decision::Accept(Some(changed)) => Ok(Taken::Changed(changed)),
        Decision::Reject { rule } => Err(Rejection {
            reason: RejectReason::Policy,
            rule: Some(rule.into()),
        }),
    }
}
