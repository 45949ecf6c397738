//! The messages of BMP (RFC 7854 section 4). Route Mirroring is not among them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::Family;

/// The kind of a monitored RIB (RFC 7854 section 4.2, RFC 9069 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerKind {
    /// A peer outside VRFs.
    Global,
    /// A peer in a VRF that is told by its route distinguisher.
    Rd,
    /// A peer in a VRF that is told by a number of our own.
    Local,
    /// Not a peer: what was chosen.
    LocRib,
}

impl PeerKind {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Global, Self::Rd, Self::Local, Self::LocRib]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// Whose RIB a message is about: the per-peer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerHeader {
    /// The kind.
    pub kind: PeerKind,
    /// After policy, not before (the L flag). Not with [`PeerKind::LocRib`].
    pub post_policy: bool,
    /// AS_PATH has AS numbers of two octets (the A flag). Not with [`PeerKind::LocRib`].
    pub two_octet_as: bool,
    /// What the peer is sent, not what it sends (the O flag, RFC 8671). Not with
    /// [`PeerKind::LocRib`].
    pub adj_rib_out: bool,
    /// Only a part of the RIB (the F flag, RFC 9069); with [`PeerKind::LocRib`] only.
    pub filtered: bool,
    /// Tells peers of the same address apart; 0 with [`PeerKind::Global`].
    pub distinguisher: u64,
    /// The peer's address; unspecified with [`PeerKind::LocRib`].
    pub addr: IpAddr,
    /// The peer's AS; our own with [`PeerKind::LocRib`].
    pub asn: u32,
    /// The peer's BGP identifier; our own with [`PeerKind::LocRib`].
    pub router_id: Ipv4Addr,
    /// When the routes were received, since 1970; zero: not known.
    pub at: Duration,
}

/// A type and a value (section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Information {
    /// The type; what it means depends on the message.
    pub kind: u16,
    /// The value; of most types UTF-8 text.
    pub value: Vec<u8>,
}

impl Information {
    /// Text of any content: in all messages.
    pub const STRING: u16 = 0;
    /// The description of the system: in Initiation.
    pub const SYS_DESCR: u16 = 1;
    /// The name of the system: in Initiation.
    pub const SYS_NAME: u16 = 2;
    /// The name of the table (RFC 9069 section 5.3): in Peer Up and Peer Down of a Loc-RIB.
    pub const TABLE_NAME: u16 = 3;
    /// Why the session ends, two octets: in Termination.
    pub const REASON: u16 = 1;

    /// Of text.
    pub fn text(kind: u16, text: &str) -> Self {
        Self {
            kind,
            value: text.as_bytes().to_vec(),
        }
    }
}

/// Why we end the session with the station (section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum TerminationReason {
    /// By an operator.
    AdministrativelyClosed = 0,
    /// It is not said.
    Unspecified = 1,
    /// We lack what it takes.
    OutOfResources = 2,
    /// There is another connection of the same station.
    RedundantConnection = 3,
    /// By an operator, for good.
    PermanentlyClosed = 4,
}

/// Why a session ended (section 4.9, RFC 9069 section 5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerDownReason {
    /// We sent this NOTIFICATION, header included.
    LocalNotification(Bytes),
    /// We closed without one, at this event of the state machine (RFC 4271 section 8.1); 0: none
    /// of those.
    LocalEvent(u16),
    /// The peer sent this NOTIFICATION, header included.
    RemoteNotification(Bytes),
    /// The peer closed without one.
    RemoteClosed,
    /// The station is told no more of it.
    NotMonitored,
    /// A Loc-RIB is no longer monitored.
    LocRibClosed(Vec<Information>),
}

/// The end of the OPEN exchange (section 4.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUp {
    /// Our address on the session.
    pub local_addr: IpAddr,
    /// Our port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
    /// Our OPEN, header included.
    pub sent_open: Bytes,
    /// The peer's, header included.
    pub received_open: Bytes,
    /// More.
    pub information: Vec<Information>,
}

/// A number about a peer (section 4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// A counter of 32 bits.
    Counter(u16, u32),
    /// A gauge of 64 bits.
    Gauge(u16, u64),
    /// A gauge of 64 bits, of one family.
    FamilyGauge(u16, Family, u64),
}

impl Statistic {
    /// Prefixes rejected by import policy: a counter.
    pub const REJECTED_BY_POLICY: u16 = 0;
    /// Routes in Adj-RIBs-In: a gauge.
    pub const ADJ_RIB_IN: u16 = 7;
    /// Routes in the Loc-RIB: a gauge.
    pub const LOC_RIB: u16 = 8;
    /// Routes in the Adj-RIB-In of a family: a gauge.
    pub const ADJ_RIB_IN_OF_FAMILY: u16 = 9;
    /// Routes in the Loc-RIB of a family: a gauge.
    pub const LOC_RIB_OF_FAMILY: u16 = 10;
    /// Routes in the Adj-RIB-Out after policy, of a family (RFC 8671 section 6.2): a gauge.
    pub const ADJ_RIB_OUT_OF_FAMILY: u16 = 17;

    pub(crate) fn has_family(kind: u16) -> bool {
        matches!(kind, 9 | 10 | 16 | 17)
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A whole UPDATE, header included.
    RouteMonitoring {
        /// Whose.
        peer: PeerHeader,
        /// The octets.
        update: Bytes,
    },
    /// Numbers.
    StatisticsReport {
        /// Whose.
        peer: PeerHeader,
        /// The numbers.
        statistics: Vec<Statistic>,
    },
    /// The end of a session, and of all its routes.
    PeerDown {
        /// Whose.
        peer: PeerHeader,
        /// Why.
        reason: PeerDownReason,
    },
    /// A session is Established.
    PeerUp {
        /// Whose.
        peer: PeerHeader,
        /// How.
        up: Box<PeerUp>,
    },
    /// The first message.
    Initiation(Vec<Information>),
    /// The last message.
    Termination {
        /// Why.
        reason: TerminationReason,
        /// In words; may be empty.
        text: String,
    },
}
