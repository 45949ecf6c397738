//! What a speaker is told to do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use chanter_bfd::Bfd;
use chanter_bgp::Hostname;
use chanter_bgp::session::{LocalAs, SessionTimes};
use chanter_types::{Asn, Prefix};

use crate::{MessageTap, PeerAddr, PeerOptions, RemoteAs};

/// What a speaker is told to do.
#[derive(Debug, Clone)]
pub struct SpeakerConfig {
    /// Our AS.
    pub local_as: LocalAs,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// The name that peers are told, for their operators' eyes.
    pub hostname: Option<Hostname>,
    /// Where connections are accepted. Peers over link-local addresses need `[::]`.
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
    /// At most so many peers from ranges may be there of which no OPEN has been accepted.
    pub unidentified_max: usize,
    /// How often the kernel is asked for segments that it dropped for want of the right key.
    pub key_check_time: Duration,
    /// Where what goes over sessions is copied to, for BMP and MRT.
    pub tap: Option<MessageTap>,
    /// What watches paths to peers that have [`PeerOptions::bfd`].
    pub bfd: Option<Bfd>,
}

impl SpeakerConfig {
    /// A speaker without peers that listens nowhere.
    pub fn new(local_as: LocalAs, router_id: Ipv4Addr) -> Self {
        Self {
            local_as,
            router_id,
            hostname: None,
            listen: Vec::new(),
            peers: Vec::new(),
            ranges: Vec::new(),
            restarting: false,
            times: SessionTimes::default(),
            range_open_time: Duration::from_secs(60),
            // A fabric that comes up at once, without a port scan being able to use up the sockets.
            unidentified_max: 4096,
            key_check_time: Duration::from_secs(60),
            tap: None,
            bfd: None,
        }
    }
}

/// A configured peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// What it is called.
    pub addr: PeerAddr,
    /// The TCP port to connect to.
    pub port: u16,
    /// How the session is to be.
    pub options: PeerOptions,
}

impl PeerConfig {
    /// A peer at an address, otherwise as [`PeerOptions::new`].
    pub fn new(addr: IpAddr, remote_as: Asn) -> Self {
        Self::named(addr.into(), remote_as)
    }

    /// A peer, otherwise as [`PeerOptions::new`].
    pub fn named(addr: PeerAddr, remote_as: impl Into<RemoteAs>) -> Self {
        Self {
            addr,
            port: 179,
            options: PeerOptions::new(remote_as),
        }
    }
}

/// A range of addresses from which peers are accepted. Such peers are waited for, never connected
/// to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenRange {
    /// The addresses; of several ranges that hold one, the most specific counts.
    pub prefix: Prefix,
    /// How sessions are to be.
    pub options: PeerOptions,
    /// At most so many peers.
    pub limit: usize,
}

impl ListenRange {
    /// A range of up to 1000 peers, otherwise as [`PeerOptions::new`].
    pub fn new(prefix: Prefix, remote_as: Option<Asn>) -> Self {
        Self {
            prefix,
            options: PeerOptions::new(remote_as.map_or(RemoteAs::Any, RemoteAs::Is)),
            limit: 1000,
        }
    }
}
