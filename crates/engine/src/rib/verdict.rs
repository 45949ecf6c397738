//! Whether a path goes to a peer, and in which form: split horizon and reflection (RFC 4456), the
//! well-known communities (RFC 1997), RT constraint (RFC 4684).
//!
//! Nothing here depends on the destination, so one verdict serves all routes of an attribute set from
//! one source.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_bgp::{Attributes, BgpRole, Family};
use chanter_types::Asn;

use super::attr_store::AttrSet;
use super::otc;
use super::peers::{Peer, Peers, Source};
use crate::{PeerRole, SessionInfo};

/// Why a peer is not sent a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotExported {
    /// There is no path.
    NoPath,
    /// The session is not Established.
    NotEstablished,
    /// The family was not negotiated.
    FamilyNotNegotiated,
    /// The path came from this very peer.
    SamePeer,
    /// Neither the peer nor where the path came from is a client (RFC 4456 section 6).
    NotReflected,
    /// ORIGINATOR_ID, or the speaker from which the path came, is the peer (RFC 4456 section 8).
    PeerIsOriginator,
    /// NO_ADVERTISE.
    NoAdvertise,
    /// NO_EXPORT, and the peer is in another AS.
    NoExport,
    /// The peer wants none of the route targets (RFC 4684).
    RouteTargetNotWanted,
    /// Clients get the default membership in place of single ones.
    MembershipForClient,
    /// The default membership is for clients only.
    DefaultMembership,
    /// eBGP without export policy (RFC 8212).
    NoPolicy,
    /// The export policy rejects it.
    Policy,
    /// ONLY_TO_CUSTOMER, and the peer is none (RFC 9234).
    OnlyToCustomer,
    /// The path is long-lived stale, and the peer does not know what that is (RFC 9494 section 4.3).
    LongLivedStale,
}

impl fmt::Display for NotExported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotExported::NoPath => "there is no path",
            NotExported::NotEstablished => "the session is not established",
            NotExported::FamilyNotNegotiated => "the family was not negotiated",
            NotExported::SamePeer => "the best path came from this peer",
            NotExported::NotReflected => {
                "the best path came by iBGP, and neither side of it is a route reflector client"
            }
            NotExported::PeerIsOriginator => "the peer is the originator",
            NotExported::NoAdvertise => "the community NO_ADVERTISE forbids it",
            NotExported::NoExport => "the community NO_EXPORT forbids it outside the AS",
            NotExported::RouteTargetNotWanted => "the peer wants none of the route targets",
            NotExported::MembershipForClient => {
                "route reflector clients are asked for all route targets at once"
            }
            NotExported::DefaultMembership => {
                "only route reflector clients are asked for all route targets"
            }
            NotExported::NoPolicy => "there is no export policy for the eBGP peer (RFC 8212)",
            NotExported::Policy => "the export policy rejects it",
            NotExported::OnlyToCustomer => {
                "ONLY_TO_CUSTOMER forbids it, the peer is not a customer (RFC 9234)"
            }
            NotExported::LongLivedStale => {
                "the best path is long-lived stale, and the peer has no such capability (RFC 9494)"
            }
        })
    }
}

/// The form in which a path goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Inside the AS, as it is but for what must not lack.
    Internal {
        /// Where the set has none, or one that means nothing elsewhere; a filter has none at all.
        next_hop: Option<IpAddr>,
        /// In place of any that the set has.
        is_forced: bool,
    },
    /// Reflected inside the AS (RFC 4456 section 8).
    Reflected {
        /// Where the set has none.
        originator: Ipv4Addr,
        /// `None`: the next hop stays, as it should (RFC 4456 section 10).
        next_hop: Option<IpAddr>,
    },
    /// A membership to a client, asking on our own behalf (RFC 4684 section 3.2).
    OwnMembership { next_hop: IpAddr },
    /// To another AS.
    External {
        /// The AS to put in front of AS_PATH; none by a route server (RFC 7947 section 2.2.2.1).
        prepend: Option<Asn>,
        /// `None`: the next hop stays.
        next_hop: Option<IpAddr>,
        /// Goes beside it (RFC 2545 section 3).
        link_local: Option<Ipv6Addr>,
        /// MULTI_EXIT_DISC of other ASes does not go on to third ones (RFC 4271 section 5.1.4).
        keep_med: bool,
        /// The mark to set (RFC 9234 section 5).
        only_to_customer: Option<Asn>,
    },
}

impl Form {
    /// Whether MULTI_EXIT_DISC does not go out.
    pub(super) fn drops_med(self) -> bool {
        matches!(
            self,
            Form::External {
                keep_med: false,
                ..
            }
        )
    }

    /// The form for what an export policy has made: a MULTI_EXIT_DISC is ours then.
    pub(super) fn of_policy(self) -> Self {
        match self {
            Form::External {
                prepend,
                next_hop,
                link_local,
                only_to_customer,
                ..
            } => Form::External {
                prepend,
                next_hop,
                link_local,
                keep_med: true,
                only_to_customer,
            },
            other => other,
        }
    }
}

/// What of the configuration export depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExportRules {
    pub(super) router_id: Ipv4Addr,
    pub(super) cluster_id: Ipv4Addr,
    pub(super) reflect: bool,
}

impl ExportRules {
    /// Whether `target` is sent a path of `source` with these attributes, and how.
    pub(super) fn judge(
        &self,
        peers: &Peers,
        target: u32,
        family: Family,
        source: Source,
        set: &AttrSet,
    ) -> Result<Form, NotExported> {
        if source.slot() == Some(target) {
            return Err(NotExported::SamePeer);
        }
        let form = self.judge_for_all(peers, target, family, source, set)?;
        let router_id = peers.get(target).map(|peer| peer.session.peer_router_id);
        match form {
            Form::Reflected { originator, .. } if router_id == Some(originator) => {
                Err(NotExported::PeerIsOriginator)
            }
            form => Ok(form),
        }
    }

    /// The same for all peers like `target`, whichever of them the path came from or originates at.
    pub(super) fn judge_for_all(
        &self,
        peers: &Peers,
        target: u32,
        family: Family,
        source: Source,
        set: &AttrSet,
    ) -> Result<Form, NotExported> {
        let target_peer = peers
            .get(target)
            .filter(|peer| peer.established)
            .ok_or(NotExported::NotEstablished)?;
        if set.no_advertise {
            return Err(NotExported::NoAdvertise);
        }
        if set.no_export && target_peer.is_ebgp() {
            return Err(NotExported::NoExport);
        }
        let session = &target_peer.session;
        if session.policy.lacks_export(target_peer.is_ebgp()) {
            return Err(NotExported::NoPolicy);
        }
        if set.llgr_stale && session.long_lived.is_empty() {
            return Err(NotExported::LongLivedStale);
        }
        if family == Family::IPV4_RTC {
            self.judge_membership(target_peer, source)?;
        } else if !wants(target_peer, family, set) {
            return Err(NotExported::RouteTargetNotWanted);
        }
        self.form(peers, target_peer, family, (source, set.attributes()))
    }

    /// A reflector asks its clients for everything, and nobody else so.
    fn judge_membership(&self, target: &Peer, source: Source) -> Result<(), NotExported> {
        if source == Source::DEFAULT_MEMBERSHIP && !target.is_client() {
            return Err(NotExported::DefaultMembership);
        }
        if self.reflect && target.is_client() && !source.is_local() {
            return Err(NotExported::MembershipForClient);
        }
        Ok(())
    }

    fn form(
        &self,
        peers: &Peers,
        target: &Peer,
        family: Family,
        (source, attributes): (Source, &Attributes),
    ) -> Result<Form, NotExported> {
        let local_addr = target.session.local_addr;
        let from = peers.of(source);
        if target.is_ebgp() {
            return external(target, family, (source, attributes));
        }
        let is_forced = target.session.policy.next_hop_self && has_next_hop_of_ours(family);
        let Some(from) = from.filter(|from| !from.is_ebgp()) else {
            return Ok(Form::Internal {
                next_hop: Some(local_addr).filter(|_| !family.is_flowspec()),
                is_forced: is_forced && !source.is_local(),
            });
        };
        if from.session.role == PeerRole::Ibgp && !target.is_client() {
            return Err(NotExported::NotReflected);
        }
        if family == Family::IPV4_RTC && target.is_client() {
            return Ok(Form::OwnMembership {
                next_hop: local_addr,
            });
        }
        let originator = attributes
            .originator_id()
            .unwrap_or(from.session.peer_router_id);
        Ok(Form::Reflected {
            originator,
            next_hop: is_forced.then_some(local_addr),
        })
    }
}

fn external(
    target: &Peer,
    family: Family,
    (source, attributes): (Source, &Attributes),
) -> Result<Form, NotExported> {
    let session = &target.session;
    let Ok(only_to_customer) = otc::on_sending(session, family, attributes) else {
        return Err(NotExported::OnlyToCustomer);
    };
    let is_transparent = session.bgp_role == Some(BgpRole::RouteServer);
    let stays = session.policy.next_hop_unchanged || is_transparent;
    let next_hop = next_hop_self(family, session).filter(|_| !stays);
    Ok(Form::External {
        prepend: (!is_transparent).then_some(session.local_as),
        next_hop,
        link_local: session
            .local_link_local
            .filter(|addr| matches!(next_hop, Some(IpAddr::V6(global)) if global != *addr)),
        keep_med: source.is_local() || is_transparent,
        only_to_customer,
    })
}

/// Whether the peer asked for one of the route targets, or need not ask.
pub(super) fn wants(peer: &Peer, family: Family, set: &AttrSet) -> bool {
    !family.is_vpn()
        || !peer.constrains_rts()
        || peer.wanted.wants_all()
        || set
            .attributes()
            .route_targets()
            .any(|rt| peer.wanted.wants(rt))
}

/// Whether a next hop of ours means something there. The label or VNI of a VPN route belongs to the
/// next hop that it came with, and so stays with it (RFC 4364 section 10 c, RFC 8365 section 5.1.3); a
/// filter has no next hop.
fn has_next_hop_of_ours(family: Family) -> bool {
    [Family::IPV4_UNICAST, Family::IPV6_UNICAST].contains(&family)
}

/// Our address as the next hop towards another AS (RFC 4271 section 5.1.3).
fn next_hop_self(family: Family, session: &SessionInfo) -> Option<IpAddr> {
    if !has_next_hop_of_ours(family) && family != Family::IPV4_RTC {
        return None;
    }
    match (family, session.local_addr) {
        // IPv6 routes over an IPv4 session: the mapped form (as RFC 4798 section 2 has it).
        (Family::IPV6_UNICAST, IpAddr::V4(addr)) => Some(addr.to_ipv6_mapped().into()),
        // It takes RFC 8950.
        (Family::IPV4_UNICAST, IpAddr::V6(_)) if !session.extended_next_hop.contains(&family) => {
            None
        }
        (_, addr) => Some(addr),
    }
}
