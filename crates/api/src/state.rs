//! What all handlers of both APIs share.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chanter_bgp::Family;
use chanter_driver::EngineHandle;
use chanter_engine::PeerId;
use chanter_types::Asn;

use crate::LogRing;
use crate::control::Control;
use crate::dto::{Direction, PeerDetail};
use crate::rest::RestSource;

/// What all handlers share.
pub struct ApiState {
    /// The engine.
    pub engine: EngineHandle,
    /// What REST clients attached.
    pub rest: RestSource,
    /// The BGP sessions.
    pub sessions: Arc<dyn Sessions>,
    /// What operators can change.
    pub control: Arc<dyn Control>,
    /// The last warnings.
    pub logs: LogRing,
    /// What does not change while the process runs.
    pub node: NodeInfo,
}

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct NodeInfo {
    /// The release.
    pub version: String,
    /// When the process started.
    pub started: SystemTime,
    /// A number by which clients of bagpipe-bgp's API notice a restart: [`NodeInfo::draw_ping`].
    pub ping: u64,
    /// The effective configuration as bagpipe-bgp's looking glass shows it: an object of sections.
    pub config: serde_json::Value,
    /// The dataplane.
    pub dataplane: DataplaneInfo,
    /// Our AS.
    pub local_as: u32,
    /// Whether RT constraint (RFC 4684) is enabled.
    pub rt_constraint: bool,
}

impl NodeInfo {
    /// Draws a [`NodeInfo::ping`]: clients take 0 for "never seen" and -1 for "unreachable", and
    /// some keep the number in a signed integer of 64 bits.
    pub fn draw_ping() -> u64 {
        rand::random_range(1..=i64::MAX.unsigned_abs())
    }
}

/// The dataplane of EVPN instances.
#[derive(Debug, Clone)]
pub struct DataplaneInfo {
    /// Its name: `linux`, `dummy`.
    pub name: String,
    /// The address of this node's VTEP.
    pub local_address: Option<IpAddr>,
}

/// Who knows the BGP sessions.
pub trait Sessions: Send + Sync {
    /// All sessions, configured and accepted.
    fn peers(&self) -> Vec<PeerSession>;
}

impl<F> Sessions for F
where
    F: Fn() -> Vec<PeerSession> + Send + Sync,
{
    fn peers(&self) -> Vec<PeerSession> {
        self()
    }
}

/// One BGP session, as far as its speaker knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerSession {
    /// The peer.
    pub peer: PeerId,
    /// What it is called in the configuration.
    pub name: String,
    /// Its address; unspecified where only its link is known.
    pub addr: IpAddr,
    /// Its host name, where it tells it.
    pub hostname: Option<String>,
    /// Our address on the session, once there is a connection.
    pub local_addr: Option<IpAddr>,
    /// The peer's AS; `None`: any, and none connected yet.
    pub remote_as: Option<Asn>,
    /// Our AS.
    pub local_as: Asn,
    /// The peer's BGP identifier, once it has said it.
    pub router_id: Option<Ipv4Addr>,
    /// The state as RFC 4271 section 8.2.2 names it: `Idle` to `Established`.
    pub state: String,
    /// The state before that.
    pub previous_state: Option<String>,
    /// Since when it is in that state.
    pub since: SystemTime,
    /// The hold time in force.
    pub hold_time: Option<Duration>,
    /// The families in force.
    pub families: Vec<Family>,
    /// Messages received.
    pub received: MessageCounts,
    /// Messages sent.
    pub sent: MessageCounts,
    /// Why the session is stopped, in an operator's words.
    pub held: Option<String>,
    /// Directions in which eBGP exchanges no routes for want of a policy (RFC 8212).
    pub without_policy: Vec<Direction>,
    /// Why the session was lost last.
    pub last_error: Option<String>,
    /// Why it has not come up since.
    pub attempt_error: Option<String>,
    /// Whether it was accepted from a listen range.
    pub dynamic: bool,
    /// How often it left Established.
    pub flaps: u64,
    /// The operator's description.
    pub description: Option<String>,
    /// What is shown of one peer only.
    pub detail: PeerDetail,
}

impl PeerSession {
    /// Whether routes are exchanged.
    pub fn is_established(&self) -> bool {
        self.state == "Established"
    }
}

/// Messages by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageCounts {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub route_refresh: u64,
}
