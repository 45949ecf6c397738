//! NOTIFICATION: error codes and subcodes (IANA "BGP Error (Notification) Codes"), and the messages
//! that sessions send.

use super::NotificationMessage;
use crate::family::Family;

/// Message Header Error.
pub const MESSAGE_HEADER_ERROR: u8 = 1;
/// OPEN Message Error.
pub const OPEN_MESSAGE_ERROR: u8 = 2;
/// UPDATE Message Error.
pub const UPDATE_MESSAGE_ERROR: u8 = 3;
/// Hold Timer Expired.
pub const HOLD_TIMER_EXPIRED: u8 = 4;
/// Finite State Machine Error.
pub const FSM_ERROR: u8 = 5;
/// Cease.
pub const CEASE: u8 = 6;
/// ROUTE-REFRESH Message Error (RFC 7313).
pub const ROUTE_REFRESH_ERROR: u8 = 7;
/// Send Hold Timer Expired (RFC 9687).
pub const SEND_HOLD_TIMER_EXPIRED: u8 = 8;

/// Subcodes of Message Header Error.
pub mod header {
    /// Connection Not Synchronized.
    pub const CONNECTION_NOT_SYNCHRONIZED: u8 = 1;
    /// Bad Message Length.
    pub const BAD_MESSAGE_LENGTH: u8 = 2;
    /// Bad Message Type.
    pub const BAD_MESSAGE_TYPE: u8 = 3;
}

/// Subcodes of OPEN Message Error.
pub mod open {
    /// Unspecific.
    pub const UNSPECIFIC: u8 = 0;
    /// Unsupported Version Number.
    pub const UNSUPPORTED_VERSION: u8 = 1;
    /// Bad Peer AS.
    pub const BAD_PEER_AS: u8 = 2;
    /// Bad BGP Identifier.
    pub const BAD_BGP_IDENTIFIER: u8 = 3;
    /// Unsupported Optional Parameter.
    pub const UNSUPPORTED_OPTIONAL_PARAMETER: u8 = 4;
    /// Unacceptable Hold Time.
    pub const UNACCEPTABLE_HOLD_TIME: u8 = 6;
    /// Unsupported Capability (RFC 5492).
    pub const UNSUPPORTED_CAPABILITY: u8 = 7;
    /// Role Mismatch (RFC 9234).
    pub const ROLE_MISMATCH: u8 = 11;
}

/// Subcodes of UPDATE Message Error.
pub mod update {
    /// Malformed Attribute List.
    pub const MALFORMED_ATTRIBUTE_LIST: u8 = 1;
    /// Unrecognized Well-known Attribute.
    pub const UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE: u8 = 2;
    /// Optional Attribute Error.
    pub const OPTIONAL_ATTRIBUTE_ERROR: u8 = 9;
    /// Invalid Network Field.
    pub const INVALID_NETWORK_FIELD: u8 = 10;
}

/// Subcodes of Finite State Machine Error (RFC 6608).
pub mod fsm {
    /// Unspecific.
    pub const UNSPECIFIC: u8 = 0;
    /// Unexpected message in OpenSent.
    pub const UNEXPECTED_IN_OPEN_SENT: u8 = 1;
    /// Unexpected message in OpenConfirm.
    pub const UNEXPECTED_IN_OPEN_CONFIRM: u8 = 2;
    /// Unexpected message in Established.
    pub const UNEXPECTED_IN_ESTABLISHED: u8 = 3;
}

/// Subcodes of ROUTE-REFRESH Message Error (RFC 7313).
pub mod refresh {
    /// Invalid Message Length.
    pub const INVALID_MESSAGE_LENGTH: u8 = 1;
}

/// Subcodes of Cease (RFC 4486, RFC 8538, RFC 9384).
pub mod cease {
    /// Maximum Number of Prefixes Reached.
    pub const MAXIMUM_PREFIXES: u8 = 1;
    /// Administrative Shutdown.
    pub const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
    /// Peer De-configured.
    pub const PEER_DECONFIGURED: u8 = 3;
    /// Administrative Reset.
    pub const ADMINISTRATIVE_RESET: u8 = 4;
    /// Connection Rejected.
    pub const CONNECTION_REJECTED: u8 = 5;
    /// Other Configuration Change.
    pub const OTHER_CONFIGURATION_CHANGE: u8 = 6;
    /// Connection Collision Resolution.
    pub const CONNECTION_COLLISION: u8 = 7;
    /// Out of Resources.
    pub const OUT_OF_RESOURCES: u8 = 8;
    /// Hard Reset.
    pub const HARD_RESET: u8 = 9;
    /// BFD Down.
    pub const BFD_DOWN: u8 = 10;
}

/// Hold Timer Expired.
pub fn hold_timer_expired() -> NotificationMessage {
    NotificationMessage::new(HOLD_TIMER_EXPIRED, 0, Vec::new())
}

/// Send Hold Timer Expired (RFC 9687 section 3.3).
pub fn send_hold_timer_expired() -> NotificationMessage {
    NotificationMessage::new(SEND_HOLD_TIMER_EXPIRED, 0, Vec::new())
}

/// Finite State Machine Error; see [`fsm`].
pub fn fsm_error(subcode: u8) -> NotificationMessage {
    NotificationMessage::new(FSM_ERROR, subcode, Vec::new())
}

/// OPEN Message Error; see [`open`].
pub fn open_error(subcode: u8, data: Vec<u8>) -> NotificationMessage {
    NotificationMessage::new(OPEN_MESSAGE_ERROR, subcode, data)
}

/// ROUTE-REFRESH Message Error, Invalid Message Length, with the whole message (RFC 7313 section 5).
pub fn bad_refresh_length(message: Vec<u8>) -> NotificationMessage {
    NotificationMessage::new(
        ROUTE_REFRESH_ERROR,
        refresh::INVALID_MESSAGE_LENGTH,
        message,
    )
}

/// Cease without data; see [`cease`](mod@cease).
pub fn cease(subcode: u8) -> NotificationMessage {
    NotificationMessage::new(CEASE, subcode, Vec::new())
}

/// Cease, Maximum Number of Prefixes Reached, with the family and the limit (RFC 4486 section 4).
pub fn maximum_prefixes(family: Family, limit: u32) -> NotificationMessage {
    let mut data = family.afi.to_be_bytes().to_vec();
    data.push(family.safi);
    data.extend(limit.to_be_bytes());
    NotificationMessage::new(CEASE, cease::MAXIMUM_PREFIXES, data)
}

/// Cease, Connection Collision Resolution.
pub fn connection_collision_resolution() -> NotificationMessage {
    cease(cease::CONNECTION_COLLISION)
}

/// Cease, Connection Rejected: to one that is not wanted, now or at all (RFC 4486 section 4).
pub fn connection_rejected() -> NotificationMessage {
    cease(cease::CONNECTION_REJECTED)
}

/// Cease, Administrative Shutdown, with a text for the peer's operator; none if it is empty.
pub fn administrative_shutdown(text: &str) -> NotificationMessage {
    with_text(cease::ADMINISTRATIVE_SHUTDOWN, text)
}

/// Cease, Administrative Reset, with a text for the peer's operator; none if it is empty.
pub fn administrative_reset(text: &str) -> NotificationMessage {
    with_text(cease::ADMINISTRATIVE_RESET, text)
}

/// RFC 9003 section 2: a length octet and at most 255 octets of UTF-8; cut at a character's end.
fn with_text(subcode: u8, text: &str) -> NotificationMessage {
    let text = &text.as_bytes()[..text.floor_char_boundary(usize::from(u8::MAX))];
    let mut data = Vec::new();
    if let Ok(len @ 1..) = u8::try_from(text.len()) {
        data.push(len);
        data.extend_from_slice(text);
    }
    NotificationMessage::new(CEASE, subcode, data)
}
