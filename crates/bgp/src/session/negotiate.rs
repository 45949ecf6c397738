//! What comes of both OPENs (RFC 4271 section 6.2).

use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_types::Asn;

use super::config::{LocalAs, SessionConfig};
use super::offer::seconds;
use crate::{
    AddPathMode, BgpRole, Capability, CodecContext, ExtendedNextHop, Family, FamilySet, Hostname,
    LongLivedFamily, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX, NotificationMessage, OpenMessage,
    notification,
};

/// What holds on a session, from both OPENs.
#[derive(Debug, Clone, PartialEq)]
pub struct Negotiated {
    /// The AS of the peer.
    pub peer_as: Asn,
    /// Our AS on this session.
    pub local_as: Asn,
    /// The BGP identifier of the peer.
    pub peer_router_id: Ipv4Addr,
    /// The smaller of both hold times; zero: none.
    pub hold_time: Duration,
    /// The families that both sides have.
    pub families: FamilySet,
    /// Whether AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Whether the peer sends its routes again on ROUTE-REFRESH (RFC 2918).
    pub route_refresh: bool,
    /// The largest message, in octets: 4096, or 65535 (RFC 8654).
    pub message_len_max: usize,
    /// Whether begin and end of an answer to ROUTE-REFRESH are marked (RFC 7313).
    pub enhanced_refresh: bool,
    /// Families in which the peer may send several paths of a destination (RFC 7911).
    pub add_path_receive: FamilySet,
    /// Families in which it takes several.
    pub add_path_send: FamilySet,
    /// Families of IPv4 whose routes may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// The peer's part in graceful restart, if both sides have it (RFC 4724).
    pub peer_restart: Option<PeerRestart>,
    /// The families whose routes are kept beyond the restart time, and for how long (RFC 9494).
    pub peer_long_lived: Vec<LongLivedFamily>,
    /// What the peer says it is to us (RFC 9234), outside the AS.
    pub peer_role: Option<BgpRole>,
    /// The name of the peer (draft-walton-bgp-hostname-capability).
    pub peer_hostname: Option<String>,
    /// All that the peer offered, for show.
    pub peer_capabilities: Vec<Capability>,
}

/// The peer's part in graceful restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRestart {
    /// The R bit: the peer has restarted.
    pub restarting: bool,
    /// Whether both sides have the N bit: its routes are kept also where the session ends with
    /// NOTIFICATION, unless by a hard reset (RFC 8538).
    pub notification: bool,
    /// For how long we are to keep its routes when it goes away.
    pub restart_time: Duration,
    /// The families of the session whose routes we are to keep.
    pub families: FamilySet,
    /// Those of them of which it has kept the forwarding state over its last restart (F bits).
    pub forwarding_preserved: FamilySet,
}

impl Negotiated {
    /// Whether the peer is in another AS.
    pub fn ebgp(&self) -> bool {
        self.peer_as != self.local_as
    }

    /// Whether a NOTIFICATION keeps routes unless it is a hard reset (RFC 8538 section 3).
    pub fn has_hard_reset(&self) -> bool {
        let restart = self.peer_restart.as_ref();
        restart.is_some_and(|restart| restart.notification)
    }

    /// What the codec has to know.
    pub fn codec_context(&self) -> CodecContext {
        CodecContext {
            four_octet_as: self.four_octet_as,
            families: self.families.clone(),
            ebgp: self.ebgp(),
            message_len_max: self.message_len_max,
            add_path_receive: self.add_path_receive.clone(),
            add_path_send: self.add_path_send.clone(),
            extended_next_hop: self.extended_next_hop.clone(),
        }
    }
}

/// An OPEN that cannot be accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    /// What to answer.
    pub(super) notification: NotificationMessage,
    /// What is wrong, for our operator.
    pub(super) detail: String,
}

impl Refusal {
    fn new(subcode: u8, data: Vec<u8>, detail: String) -> Self {
        let code = notification::OPEN_MESSAGE_ERROR;
        Self {
            notification: NotificationMessage::new(code, subcode, data),
            detail,
        }
    }
}

/// What comes of the peer's OPEN, or why it cannot be accepted.
pub(super) fn negotiate(config: &SessionConfig, open: &OpenMessage) -> Result<Negotiated, Refusal> {
    let peer_as = check_as(config, open)?;
    let local_as = match config.local_as {
        LocalAs::Fixed(local_as) => local_as,
        LocalAs::MirrorPeer => peer_as,
    };
    check_router_id(config, open, peer_as == local_as)?;
    let hold_time = check_hold_time(config, open)?;
    let families = check_families(config, open)?;
    let peer_role = if peer_as == local_as {
        None
    } else {
        check_role(config, open)?
    };
    let offers = &config.offers;
    let has = |capability: &Capability| open.capabilities.contains(capability);
    let route_refresh = has(&Capability::RouteRefresh);
    let add_path = common_add_path(config, open, &families);
    let peer_restart = config
        .graceful_restart
        .and_then(|ours| peer_restart(open, &families, ours.notification));
    Ok(Negotiated {
        peer_as,
        local_as,
        peer_router_id: open.router_id,
        hold_time,
        four_octet_as: four_octet_as(open).is_some(),
        route_refresh,
        // RFC 7313 section 3.1: the capability implies that of RFC 2918 in no way.
        enhanced_refresh: offers.enhanced_refresh
            && route_refresh
            && has(&Capability::EnhancedRouteRefresh),
        // RFC 8654 section 4: only where both have it.
        message_len_max: if offers.extended_message && has(&Capability::ExtendedMessage) {
            MESSAGE_LEN_EXTENDED
        } else {
            MESSAGE_LEN_MAX
        },
        add_path_receive: add_path.receive,
        add_path_send: add_path.send,
        extended_next_hop: common_next_hops(config, open, &families),
        // RFC 9494 section 4.1: of no effect without graceful restart.
        peer_long_lived: peer_restart
            .as_ref()
            .map(|_| peer_long_lived(config, open, &families))
            .unwrap_or_default(),
        peer_restart,
        peer_role,
        peer_hostname: last(open, |capability| match capability {
            Capability::Hostname(hostname) => Some(hostname),
            _ => None,
        })
        .map(Hostname::to_string),
        families,
        peer_capabilities: open.capabilities.clone(),
    })
}

/// The last capability of a kind: where one is there more often than its RFC allows, the last counts
/// (RFC 4724 section 3 says so of its own).
fn last<'a, T>(open: &'a OpenMessage, of: impl Fn(&'a Capability) -> Option<T>) -> Option<T> {
    open.capabilities.iter().rev().find_map(of)
}

fn four_octet_as(open: &OpenMessage) -> Option<Asn> {
    open.capabilities
        .iter()
        .find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        })
}

fn check_as(config: &SessionConfig, open: &OpenMessage) -> Result<Asn, Refusal> {
    let bad = |detail: String| Refusal::new(notification::open::BAD_PEER_AS, Vec::new(), detail);
    let asn = four_octet_as(open).unwrap_or(open.asn);
    // RFC 7607 section 2: 0 names nobody; RFC 6793 section 9: AS_TRANS neither.
    if asn == Asn(0) || asn == Asn::TRANS {
        return Err(bad(format!("its AS is {asn}, which is reserved")));
    }
    match config.remote_as {
        Some(expected) if asn != expected => {
            Err(bad(format!("its AS is {asn}, configured is {expected}")))
        }
        _ => Ok(asn),
    }
}

fn check_router_id(config: &SessionConfig, open: &OpenMessage, ibgp: bool) -> Result<(), Refusal> {
    // RFC 6286 section 2.1: not zero, and unique within an AS.
    let id = open.router_id;
    let detail = if id.is_unspecified() {
        format!("its BGP identifier is {id}")
    } else if ibgp && id == config.router_id {
        format!("its BGP identifier is {id}, which is ours, and it is in our AS")
    } else {
        return Ok(());
    };
    let subcode = notification::open::BAD_BGP_IDENTIFIER;
    Err(Refusal::new(subcode, Vec::new(), detail))
}

fn check_hold_time(config: &SessionConfig, open: &OpenMessage) -> Result<Duration, Refusal> {
    match open.hold_time {
        // RFC 4271 section 4.2.
        seconds @ (1 | 2) => Err(Refusal::new(
            notification::open::UNACCEPTABLE_HOLD_TIME,
            Vec::new(),
            format!("its hold time is {seconds} s, at least 3 s is wanted, or 0 for none"),
        )),
        peers => Ok(Duration::from_secs(u64::from(
            peers.min(seconds(config.hold_time)),
        ))),
    }
}

fn check_families(config: &SessionConfig, open: &OpenMessage) -> Result<FamilySet, Refusal> {
    let theirs: FamilySet = open.families().into_iter().collect();
    let common: FamilySet = theirs
        .iter()
        .filter(|family| config.families.contains(*family))
        .collect();
    if !common.is_empty() {
        return Ok(common);
    }
    // RFC 5492 section 3: the capabilities that are missed are in the data.
    let mut data = Vec::new();
    for family in config.families.iter() {
        Capability::MultiProtocol(family).encode(&mut data);
    }
    let subcode = notification::open::UNSUPPORTED_CAPABILITY;
    let detail = format!(
        "no address family in common: it has {}, configured is {}",
        listed(&theirs),
        listed(&config.families)
    );
    Err(Refusal::new(subcode, data, detail))
}

fn listed(families: &FamilySet) -> String {
    let names: Vec<_> = families.iter().map(|family| family.to_string()).collect();
    names.join(", ")
}

/// RFC 9234 section 4.2.
fn check_role(config: &SessionConfig, open: &OpenMessage) -> Result<Option<BgpRole>, Refusal> {
    let told: Vec<_> = open
        .capabilities
        .iter()
        .filter_map(|capability| match capability {
            Capability::Role(role) => Some(Some(*role)),
            Capability::Unknown { code, .. } if *code == Capability::ROLE => Some(None),
            _ => None,
        })
        .collect();
    let Some(ours) = config.offers.role else {
        return Ok(told.first().copied().flatten());
    };
    let refuse = |detail: String| {
        let subcode = notification::open::ROLE_MISMATCH;
        Err(Refusal::new(subcode, Vec::new(), detail))
    };
    // What is there twice with one value was dropped when the message was decoded.
    match &told[..] {
        [] if config.offers.role_strict => refuse(format!(
            "it does not say its BGP role, wanted is {}",
            ours.counterpart()
        )),
        [] => Ok(None),
        [Some(theirs)] if *theirs == ours.counterpart() => Ok(Some(*theirs)),
        [Some(theirs)] => refuse(format!(
            "its BGP role is {theirs}, ours is {ours}, so it must be {}",
            ours.counterpart()
        )),
        [None] => refuse("its BGP role is none that there is".to_owned()),
        _ => refuse("it says several BGP roles".to_owned()),
    }
}

/// Families with several paths per destination, by direction.
#[derive(Default)]
struct AddPath {
    receive: FamilySet,
    send: FamilySet,
}

/// RFC 7911 section 4: a direction is used where its sender has said that it sends and its receiver
/// that it receives.
fn common_add_path(config: &SessionConfig, open: &OpenMessage, families: &FamilySet) -> AddPath {
    let theirs: Option<&Vec<(Family, AddPathMode)>> = last(open, |capability| match capability {
        Capability::AddPath(list) => Some(list),
        _ => None,
    });
    let mut common = AddPath::default();
    for (family, mode) in theirs.into_iter().flatten() {
        let ours = config.offers.add_path.iter();
        let ours = ours.filter(|(ours, _)| ours == family && families.contains(*family));
        for (_, ours) in ours {
            if ours.receives() && mode.sends() {
                common.receive.insert(*family);
            }
            if ours.sends() && mode.receives() {
                common.send.insert(*family);
            }
        }
    }
    common
}

/// RFC 8950 section 4.
fn common_next_hops(config: &SessionConfig, open: &OpenMessage, families: &FamilySet) -> FamilySet {
    let lists = open.capabilities.iter().map(|capability| match capability {
        Capability::ExtendedNextHop(list) => &list[..],
        _ => &[],
    });
    lists
        .flatten()
        .filter(|entry| entry.next_hop_afi == ExtendedNextHop::IPV6)
        .map(|entry| entry.family)
        .filter(|family| families.contains(*family))
        .filter(|family| config.offers.extended_next_hop.contains(*family))
        .collect()
}

/// RFC 9494 section 4.1: what we did not offer ourselves we do not do for the peer either.
fn peer_long_lived(
    config: &SessionConfig,
    open: &OpenMessage,
    families: &FamilySet,
) -> Vec<LongLivedFamily> {
    let offered = |family| {
        let mut ours = config.offers.long_lived.iter();
        families.contains(family) && ours.any(|(ours, _)| *ours == family)
    };
    let list: Option<&Vec<LongLivedFamily>> = last(open, |capability| match capability {
        Capability::LongLivedGracefulRestart(list) => Some(list),
        _ => None,
    });
    let mut kept: Vec<LongLivedFamily> = Vec::new();
    for entry in list.into_iter().flatten() {
        let known = kept.iter().any(|other| other.family == entry.family);
        // A time of zero asks for nothing.
        if offered(entry.family) && !known && !entry.time.is_zero() {
            kept.push(*entry);
        }
    }
    kept
}

fn peer_restart(
    open: &OpenMessage,
    families: &FamilySet,
    notification: bool,
) -> Option<PeerRestart> {
    let restart = last(open, |capability| match capability {
        Capability::GracefulRestart(restart) => Some(restart),
        _ => None,
    })?;
    let of_session = || {
        let listed = restart.families.iter();
        listed.filter(|(family, _)| families.contains(*family))
    };
    Some(PeerRestart {
        restarting: restart.restarting,
        notification: notification && restart.notification,
        restart_time: Duration::from_secs(u64::from(restart.restart_time)),
        families: of_session().map(|(family, _)| *family).collect(),
        forwarding_preserved: of_session()
            .filter(|(_, preserved)| *preserved)
            .map(|(family, _)| *family)
            .collect(),
    })
}
