//! What is watched, and what is shown of it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::packet::{BfdState, Diagnostic};

/// How BFD is to run on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdConfig {
    /// Where discriminators, source ports and jitter begin; to differ between starts and nodes.
    pub seed: u64,
    /// Ask the kernel for real-time scheduling of BFD's thread; goes on without, with a word in the
    /// log.
    pub realtime: bool,
}

impl Default for BfdConfig {
    /// A seed from the time of day and the process.
    fn default() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let low = u64::try_from(since_epoch.as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            seed: low ^ u64::from(std::process::id()).rotate_left(40),
            realtime: true,
        }
    }
}

/// A peer to watch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BfdPeer {
    /// Its address.
    pub addr: IpAddr,
    /// Our address towards it; `None`: as the kernel chooses.
    pub local: Option<IpAddr>,
    /// The device of the session, or a VRF. Needed where `addr` is an IPv6 link-local one.
    pub interface: Option<String>,
    /// Routers may be in between (RFC 5883).
    pub multihop: bool,
    /// The least TTL accepted with `multihop`; a single hop takes 255 only (RFC 5881 section 5).
    pub minimum_ttl: u8,
    /// How often we would like to send; at least [`BfdPeer::INTERVAL_MIN`] is used.
    pub min_tx: Duration,
    /// How often we are able to receive; at least [`BfdPeer::INTERVAL_MIN`] is used.
    pub min_rx: Duration,
    /// How many packets in a row may be lost; at least 1.
    pub multiplier: u8,
}

impl BfdPeer {
    /// The shortest interval: below, a busy kernel makes failures of its own.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(10);

    /// A peer on a network of ours, with 3 times 300 ms.
    pub fn single_hop(addr: IpAddr) -> Self {
        Self {
            addr,
            local: None,
            interface: None,
            multihop: false,
            minimum_ttl: 255,
            min_tx: Duration::from_millis(300),
            min_rx: Duration::from_millis(300),
            multiplier: 3,
        }
    }

    /// A peer behind routers, with 3 times 300 ms and any TTL.
    pub fn multihop(addr: IpAddr, local: Option<IpAddr>) -> Self {
        Self {
            local,
            multihop: true,
            minimum_ttl: 0,
            ..Self::single_hop(addr)
        }
    }
}

/// What the watcher of a session is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BfdSignal {
    /// The state of the session here.
    pub state: BfdState,
    /// Why it last left Up.
    pub diagnostic: Diagnostic,
    /// The peer's operator has taken the session down: no sign of a failed path (RFC 5882 section
    /// 3.2).
    pub peer_admin_down: bool,
    /// How often the session has left Up: a watcher that was late for a Down sees it here.
    pub downs: u64,
}

/// What is shown of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct BfdStatus {
    /// The peer, as asked for by the latest watcher.
    pub peer: BfdPeer,
    /// The state here.
    pub state: BfdState,
    /// Since when.
    pub since: SystemTime,
    /// The state that the peer last reported.
    pub remote_state: BfdState,
    /// Why the session last left Up here.
    pub diagnostic: Diagnostic,
    /// Why it last left Up at the peer.
    pub remote_diagnostic: Diagnostic,
    /// Our number of the session.
    pub local_discriminator: u32,
    /// The peer's; zero if it is not heard.
    pub remote_discriminator: u32,
    /// The interval at which we send, before jitter; `None`: the peer wants no packets.
    pub tx_interval: Option<Duration>,
    /// After how long of silence the session fails; `None`: the peer is not heard.
    pub detection_time: Option<Duration>,
    /// What the peer says that it would like to send at.
    pub remote_min_tx: Duration,
    /// What the peer says that it is able to receive at.
    pub remote_min_rx: Duration,
    /// The peer's detection multiplier.
    pub remote_multiplier: u8,
    /// Packets sent.
    pub sent: u64,
    /// Packets accepted.
    pub received: u64,
    /// Packets discarded that were meant for this session.
    pub discarded: u64,
    /// How often it left Up.
    pub downs: u64,
    /// What keeps the session from working, as far as can be known here.
    pub problem: Option<String>,
}
