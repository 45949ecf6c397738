//! Whether a path goes to a peer, and in which form: split horizon and reflection (RFC 4456), the
//! well-known communities (RFC 1997), RT constraint (RFC 4684).
//!
//! Nothing here depends on the destination, so one verdict serves all routes of an attribute set from
//! one source.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{Attributes, Family};
use chanter_types::Asn;

use super::attr_store::AttrSet;
use super::peers::{Peer, Peers, Source};
use crate::PeerRole;

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
        })
    }
}

/// The form in which a path goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Inside the AS, as it is but for what must not lack.
    Internal {
        /// Where the set has none.
        next_hop: IpAddr,
    },
    /// Reflected inside the AS (RFC 4456 section 8).
    Reflected {
        /// Where the set has none.
        originator: Ipv4Addr,
    },
    /// A membership to a client, asking on our own behalf (RFC 4684 section 3.2).
    OwnMembership { next_hop: IpAddr },
    /// To another AS.
    External {
        local_as: Asn,
        /// `None`: the next hop stays.
        next_hop: Option<IpAddr>,
        /// MULTI_EXIT_DISC of other ASes does not go on to third ones (RFC 4271 section 5.1.4).
        keep_med: bool,
    },
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
        let target_peer = peers
            .get(target)
            .filter(|peer| peer.established)
            .ok_or(NotExported::NotEstablished)?;
        if source.slot() == Some(target) {
            return Err(NotExported::SamePeer);
        }
        if set.no_advertise {
            return Err(NotExported::NoAdvertise);
        }
        if set.no_export && target_peer.is_ebgp() {
            return Err(NotExported::NoExport);
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
            return Ok(Form::External {
                local_as: target.session.local_as,
                next_hop: next_hop_self(family, local_addr),
                keep_med: source.is_local(),
            });
        }
        let Some(from) = from.filter(|from| !from.is_ebgp()) else {
            return Ok(Form::Internal {
                next_hop: local_addr,
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
        if originator == target.session.peer_router_id {
            return Err(NotExported::PeerIsOriginator);
        }
        Ok(Form::Reflected { originator })
    }
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

/// Our address as the next hop towards another AS (RFC 4271 section 5.1.3). An overlay's next hop is
/// the tunnel endpoint, which stays (RFC 8365 section 5.1.3).
fn next_hop_self(family: Family, local_addr: IpAddr) -> Option<IpAddr> {
    match (family, local_addr) {
        (Family::L2VPN_EVPN, _) => None,
        // IPv6 routes over an IPv4 session: the mapped form (as RFC 4798 section 2 has it).
        (Family::IPV6_UNICAST, IpAddr::V4(addr)) => Some(addr.to_ipv6_mapped().into()),
        // It would take RFC 8950, which is not negotiated.
        (Family::IPV4_UNICAST, IpAddr::V6(_)) => None,
        (_, addr) => Some(addr),
    }
}
