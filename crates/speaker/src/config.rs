//! What a speaker is told to do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use chanter_bgp::Family;
use chanter_bgp::session::{LocalAs, RestartConfig, SessionConfig, SessionTimes};
use chanter_types::{Asn, Instant, Prefix};

/// What a speaker is told to do.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeakerConfig {
    /// Our AS.
    pub local_as: LocalAs,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Where connections are accepted.
    pub listen: Vec<SocketAddr>,
    /// Configured peers.
    pub peers: Vec<PeerConfig>,
    /// Addresses from which further peers are accepted.
    pub ranges: Vec<ListenRange>,
    /// This is a restart, and forwarding went on meanwhile (RFC 4724): peers are told so.
    pub restarting: bool,
    /// The limits of time of all sessions.
    pub times: SessionTimes,
    /// How long a peer from a range, of which nothing is known but its address, may take to send
    /// OPEN.
    pub range_open_time: Duration,
    /// At most so many peers from ranges may be without a session at a time.
    pub unidentified_max: usize,
}

impl SpeakerConfig {
    /// A speaker without peers that listens nowhere.
    pub fn new(local_as: LocalAs, router_id: Ipv4Addr) -> Self {
        Self {
            local_as,
            router_id,
            listen: Vec::new(),
            peers: Vec::new(),
            ranges: Vec::new(),
            restarting: false,
            times: SessionTimes::default(),
            range_open_time: Duration::from_secs(60),
            // A fabric that comes up at once, without a port scan being able to use up the sockets.
            unidentified_max: 1024,
        }
    }
}

/// A configured peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its address.
    pub addr: IpAddr,
    /// The TCP port to connect to.
    pub port: u16,
    /// Its AS; not looked at where ours is the peer's ([`LocalAs::MirrorPeer`]).
    pub remote_as: Asn,
    /// The address to connect from; `None`: as the kernel chooses.
    pub local_addr: Option<IpAddr>,
    /// Whether only the peer connects.
    pub passive: bool,
    /// Whether this speaker reflects its routes (RFC 4456); matters inside the AS only.
    pub role_client: bool,
    /// The hold time that we propose; zero: none.
    pub hold_time: Duration,
    /// The families that we offer.
    pub families: Vec<Family>,
    /// For how long the peer shall keep our routes while we restart; `None`: no graceful restart.
    pub graceful_restart: Option<Duration>,
    /// The operator's words for it.
    pub description: Option<String>,
}

impl PeerConfig {
    /// A peer with the customary hold time, EVPN and RT constraint, and graceful restart.
    pub fn new(addr: IpAddr, remote_as: Asn) -> Self {
        Self {
            addr,
            port: 179,
            remote_as,
            local_addr: None,
            passive: false,
            role_client: false,
            hold_time: Duration::from_secs(90),
            families: vec![Family::L2VPN_EVPN, Family::IPV4_RTC],
            graceful_restart: Some(Duration::from_secs(120)),
            description: None,
        }
    }
}

/// A range of addresses from which peers are accepted: what a configured peer has but for its
/// address. Such peers are waited for, never connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenRange {
    /// The addresses; of several ranges that hold one, the most specific counts.
    pub prefix: Prefix,
    /// Their AS; `None`: any.
    pub remote_as: Option<Asn>,
    /// Whether this speaker reflects their routes.
    pub role_client: bool,
    /// The hold time that we propose; zero: none.
    pub hold_time: Duration,
    /// The families that we offer.
    pub families: Vec<Family>,
    /// For how long peers shall keep our routes while we restart; `None`: no graceful restart.
    pub graceful_restart: Option<Duration>,
    /// The operator's words for them.
    pub description: Option<String>,
    /// At most so many peers.
    pub limit: usize,
}

impl ListenRange {
    /// A range of up to 1000 peers, otherwise as [`PeerConfig::new`].
    pub fn new(prefix: Prefix, remote_as: Option<Asn>) -> Self {
        Self {
            prefix,
            remote_as,
            role_client: false,
            hold_time: Duration::from_secs(90),
            families: vec![Family::L2VPN_EVPN, Family::IPV4_RTC],
            graceful_restart: Some(Duration::from_secs(120)),
            description: None,
            limit: 1000,
        }
    }
}

/// All that a peer's task has to know.
#[derive(Debug, Clone)]
pub(crate) struct PeerSettings {
    pub(crate) addr: IpAddr,
    pub(crate) port: u16,
    pub(crate) local_addr: Option<IpAddr>,
    pub(crate) role_client: bool,
    pub(crate) description: Option<String>,
    /// Accepted from a range.
    pub(crate) dynamic: bool,
    pub(crate) session: SessionConfig,
}

impl SpeakerConfig {
    pub(crate) fn settings_of_peer(&self, peer: &PeerConfig, now: Instant) -> PeerSettings {
        PeerSettings {
            addr: peer.addr,
            port: peer.port,
            local_addr: peer.local_addr,
            role_client: peer.role_client,
            description: peer.description.clone(),
            dynamic: false,
            session: SessionConfig {
                local_as: self.local_as,
                router_id: self.router_id,
                remote_as: match self.local_as {
                    LocalAs::Fixed(_) => Some(peer.remote_as),
                    LocalAs::MirrorPeer => None,
                },
                // Who has no AS of its own has nothing to say first.
                passive: peer.passive || self.local_as == LocalAs::MirrorPeer,
                hold_time: peer.hold_time,
                families: peer.families.iter().copied().collect(),
                graceful_restart: self.restart_config(peer.graceful_restart, now),
                collision_detect_established: false,
                times: self.times,
                seed: rand::random(),
            },
        }
    }

    pub(crate) fn settings_of_range(
        &self,
        range: &ListenRange,
        addr: IpAddr,
        now: Instant,
    ) -> PeerSettings {
        PeerSettings {
            addr,
            port: 0,
            local_addr: None,
            role_client: range.role_client,
            description: range.description.clone(),
            dynamic: true,
            session: SessionConfig {
                local_as: self.local_as,
                router_id: self.router_id,
                remote_as: range.remote_as,
                passive: true,
                hold_time: range.hold_time,
                families: range.families.iter().copied().collect(),
                graceful_restart: self.restart_config(range.graceful_restart, now),
                collision_detect_established: false,
                times: SessionTimes {
                    open: self.range_open_time,
                    ..self.times
                },
                seed: rand::random(),
            },
        }
    }

    /// `start`: when the speaker started.
    fn restart_config(&self, time: Option<Duration>, start: Instant) -> Option<RestartConfig> {
        time.map(|restart_time| RestartConfig {
            restart_time,
            restarting_until: self.restarting.then(|| start + restart_time),
        })
    }
}
