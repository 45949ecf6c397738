//! How a session is to be.

use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_types::{Asn, Instant};

use crate::{AddPathMode, BgpRole, Family, FamilySet, Hostname};

/// The AS with which this speaker presents itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LocalAs {
    /// This one.
    Fixed(Asn),
    /// The peer's own, whatever it is: every session is internal. Our OPEN waits for the peer's (as
    /// with DelayOpen, RFC 4271 section 8.1.1), so the session must be passive.
    MirrorPeer,
}

/// Our part in graceful restart (RFC 4724).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartConfig {
    /// How long peers shall keep our routes after we went away; at most 4095 s on the wire.
    pub restart_time: Duration,
    /// We have restarted and forwarding went on meanwhile: until then the R bit is set, until the
    /// first session is Established. `None`: a first start.
    pub restarting_until: Option<Instant>,
    /// Offer that routes are kept also where a session ends with NOTIFICATION, unless by a hard
    /// reset (RFC 8538).
    pub notification: bool,
}

/// What is offered to the peer beside families and graceful restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// Messages of up to 65535 octets (RFC 8654).
    pub extended_message: bool,
    /// Marks at begin and end of an answer to ROUTE-REFRESH (RFC 7313).
    pub enhanced_refresh: bool,
    /// Several paths per destination, by family (RFC 7911).
    pub add_path: Vec<(Family, AddPathMode)>,
    /// Families of IPv4 whose routes may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// For how long, after the restart time, peers may keep our routes of a family as long-lived
    /// stale (RFC 9494). Only with graceful restart.
    pub long_lived: Vec<(Family, Duration)>,
    /// What we are to the peer (RFC 9234); of no effect inside the AS.
    pub role: Option<BgpRole>,
    /// Whether a peer that says nothing of its role is refused (RFC 9234 section 4.2).
    pub role_strict: bool,
    /// The name of this speaker (draft-walton-bgp-hostname-capability).
    pub hostname: Option<Hostname>,
}

impl Default for Offers {
    /// What costs nothing and changes nothing by itself.
    fn default() -> Self {
        Self {
            extended_message: true,
            enhanced_refresh: true,
            add_path: Vec::new(),
            extended_next_hop: FamilySet::new(),
            long_lived: Vec::new(),
            role: None,
            role_strict: false,
            hostname: None,
        }
    }
}

/// How a session is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// The AS of this speaker.
    pub local_as: LocalAs,
    /// The BGP identifier of this speaker.
    pub router_id: Ipv4Addr,
    /// The AS that the peer must have; `None`: any.
    pub remote_as: Option<Asn>,
    /// Wait for the peer to connect, never connect.
    pub passive: bool,
    /// The hold time that is proposed; zero: none.
    pub hold_time: Duration,
    /// The families that are offered.
    pub families: FamilySet,
    /// `None`: graceful restart is not offered and no routes are kept.
    pub graceful_restart: Option<RestartConfig>,
    /// What is offered beside that.
    pub offers: Offers,
    /// Settle a collision by BGP identifier even if one connection is Established
    /// (CollisionDetectEstablishedState, RFC 4271 section 8.1.1).
    pub collision_detect_established: bool,
    /// The limits of time.
    pub times: SessionTimes,
    /// Where jitter begins; to differ between speakers.
    pub seed: u64,
}

/// The limits of time of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimes {
    /// The first wait before connecting again; doubles with each attempt.
    pub connect_retry: Duration,
    /// The longest wait before connecting again.
    pub connect_retry_max: Duration,
    /// How long TCP may take to connect.
    pub connect: Duration,
    /// How long the peer may take to send OPEN: the "large value" of the hold timer in OpenSent,
    /// for which RFC 4271 section 8.2.2 suggests 4 minutes.
    pub open: Duration,
    /// How long the peer may take nothing of what we send; at least twice the hold time is used
    /// (RFC 9687 section 3.1). Zero: for ever.
    pub send_hold: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self {
            connect_retry: Duration::from_secs(1),
            connect_retry_max: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            open: Duration::from_secs(240),
            send_hold: Duration::from_secs(480),
        }
    }
}
