//! BGP without I/O: packets, the session state machine, UPDATE packing.
//!
//! Octets come in as slices and go out into a `Vec<u8>`; sockets and clocks are the caller's matter.
//! A received UPDATE becomes flat [`RouteEvent`]s ([`decode_update`]), judged attribute by attribute
//! as RFC 7606 wants, each objection a [`Fault`]. Routes become UPDATEs again by an [`UpdateWriter`],
//! as many to a message as fit. What is the key of a route ([`Nlri`]) is kept apart from what the
//! NLRI carries beside it ([`PathData`]), so that a route with another label replaces the old one.

mod attributes;
mod context;
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
    Aggregator, AsPath, AsPathSegment, AttributeCode, Attributes, AttributesBuilder,
    LargeCommunity, Origin, RawAttribute, SegmentKind,
};
pub use context::CodecContext;
pub use extended_community::{ExtendedCommunity, encapsulation};
pub use family::{Family, FamilySet};
pub use message::{
    Capability, GracefulRestart, HEADER_LEN, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX, Message,
    MessageType, NotificationMessage, OpenMessage, RouteRefreshMessage, codes as notification,
    decode_message, encode_keepalive, frame_len,
};
pub use nlri::{EvpnNlri, InclusiveMulticast, MacIp, Nlri, PathData, RtMembership};
pub use pmsi::{PmsiTunnel, PmsiTunnelKind};
pub use update::{Disposition, Fault, RouteEvent, UpdateBatch, UpdateWriter, decode_update};
