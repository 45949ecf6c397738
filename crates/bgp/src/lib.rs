//! BGP without I/O: packets, the session state machine, UPDATE packing.
//!
//! Octets come in as slices and go out into a `Vec<u8>`; sockets and clocks are the caller's matter.
//! A received UPDATE becomes flat [`RouteEvent`]s ([`decode_update`]), judged attribute by attribute
//! as RFC 7606 wants, each objection a [`Fault`]. Routes become UPDATEs again by an [`UpdateWriter`],
//! as many to a message as fit. What is the key of a route ([`Nlri`]) is kept apart from what the
//! NLRI carries beside it ([`PathData`]), so that a route with another label replaces the old one.

mod attributes;
mod community;
mod context;
#[cfg(feature = "corpus")]
pub mod corpus;
mod extended_community;
mod family;
mod message;
mod nlri;
mod pmsi;
mod reader;
pub mod session;
mod text;
mod update;

pub use attributes::{
    Aggregator, AsPath, AsPathSegment, AttributeCode, Attributes, AttributesBuilder, Origin,
    PrefixSid, PrefixSidTlv, RawAttribute, SegmentKind, SidStructure, Srv6Service, Srv6Sid, Tunnel,
    TunnelEncapsulation, TunnelSubTlv,
};
pub use community::{Community, LargeCommunity};
pub use context::CodecContext;
pub use extended_community::{ExtendedCommunity, FlowAction, Ipv6ExtendedCommunity, encapsulation};
pub use family::{Family, FamilySet};
pub use message::{
    AddPathMode, BgpRole, Capability, ExtendedNextHop, GracefulRestart, HEADER_LEN, Hostname,
    LongLivedFamily, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX, Message, MessageType,
    NotificationMessage, OpenMessage, RefreshKind, RouteRefreshMessage, codes as notification,
    decode_message, encode_keepalive, frame_len,
};
pub use nlri::{
    BitmaskMatch, EthernetAd, EthernetSegment, EvpnNlri, EvpnPrefix, FlowSpecComponent,
    FlowSpecError, FlowSpecNlri, FlowSpecPrefix, FlowSpecType, InclusiveMulticast, MacIp, Nlri,
    NumericMatch, Overlay, PathData, RtMembership, Vpnv4Prefix, Vpnv6Prefix, fragment, tcp_flags,
};
pub use pmsi::{PmsiTunnel, PmsiTunnelKind};
pub use update::{Disposition, Fault, RouteEvent, UpdateBatch, UpdateWriter, decode_update};
