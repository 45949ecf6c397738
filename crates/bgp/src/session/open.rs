//! OPEN: what we say of ourselves, and what comes of what the peer says (RFC 4271 section 6.2).

use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_types::{Asn, Instant};

use super::config::{LocalAs, RestartConfig, SessionConfig};
use crate::{
    Capability, CodecContext, FamilySet, GracefulRestart, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX,
    NotificationMessage, OpenMessage, notification,
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
    /// The peer's part in graceful restart, if both sides have it (RFC 4724).
    pub peer_restart: Option<PeerRestart>,
    /// All that the peer offered, for show.
    pub peer_capabilities: Vec<Capability>,
}

/// The peer's part in graceful restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRestart {
    /// The R bit: the peer has restarted.
    pub restarting: bool,
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

    /// What the codec has to know.
    pub fn codec_context(&self) -> CodecContext {
        CodecContext {
            four_octet_as: self.four_octet_as,
            families: self.families.clone(),
            ebgp: self.ebgp(),
            message_len_max: self.message_len_max,
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

/// Our OPEN.
pub(super) fn own_open(
    config: &SessionConfig,
    local_as: Asn,
    was_established: bool,
    now: Instant,
) -> OpenMessage {
    let families = config.families.iter();
    let mut capabilities: Vec<_> = families.map(Capability::MultiProtocol).collect();
    capabilities.push(Capability::RouteRefresh);
    capabilities.push(Capability::FourOctetAs(local_as));
    capabilities.push(Capability::ExtendedMessage);
    if let Some(restart) = &config.graceful_restart {
        let restart = own_restart(restart, &config.families, was_established, now);
        capabilities.push(Capability::GracefulRestart(restart));
    }
    OpenMessage {
        asn: local_as,
        hold_time: seconds(config.hold_time),
        router_id: config.router_id,
        capabilities,
    }
}

fn own_restart(
    config: &RestartConfig,
    families: &FamilySet,
    was_established: bool,
    now: Instant,
) -> GracefulRestart {
    let until = config.restarting_until;
    // What was programmed outlives the session, and where we adopted it also the process.
    let preserved = until.is_some() || was_established;
    GracefulRestart {
        // RFC 4724 section 3: only after a restart, and once peers know of it no more.
        restarting: !was_established && until.is_some_and(|until| now < until),
        restart_time: seconds(config.restart_time).min(GracefulRestart::RESTART_TIME_MAX),
        families: families.iter().map(|family| (family, preserved)).collect(),
    }
}

fn seconds(duration: Duration) -> u16 {
    u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
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
    let has = |capability: &Capability| open.capabilities.contains(capability);
    Ok(Negotiated {
        peer_as,
        local_as,
        peer_router_id: open.router_id,
        hold_time,
        four_octet_as: four_octet_as(open).is_some(),
        route_refresh: has(&Capability::RouteRefresh),
        message_len_max: if has(&Capability::ExtendedMessage) {
            MESSAGE_LEN_EXTENDED
        } else {
            MESSAGE_LEN_MAX
        },
        peer_restart: config
            .graceful_restart
            .and_then(|_| peer_restart(open, &families)),
        families,
        peer_capabilities: open.capabilities.clone(),
    })
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

fn peer_restart(open: &OpenMessage, families: &FamilySet) -> Option<PeerRestart> {
    let restart = open
        .capabilities
        .iter()
        .find_map(|capability| match capability {
            Capability::GracefulRestart(restart) => Some(restart),
            _ => None,
        })?;
    let of_session = || {
        let listed = restart.families.iter();
        listed.filter(|(family, _)| families.contains(*family))
    };
    Some(PeerRestart {
        restarting: restart.restarting,
        restart_time: Duration::from_secs(u64::from(restart.restart_time)),
        families: of_session().map(|(family, _)| *family).collect(),
        forwarding_preserved: of_session()
            .filter(|(_, preserved)| *preserved)
            .map(|(family, _)| *family)
            .collect(),
    })
}
