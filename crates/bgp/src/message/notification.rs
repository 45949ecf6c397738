//! NOTIFICATION (RFC 4271 section 4.5).

use std::fmt;

use super::capability::printable;
use super::{MessageType, begin, codes, end};
use crate::family::Family;
use crate::text::Hex;

/// A NOTIFICATION message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationMessage {
    /// The error code.
    pub code: u8,
    /// The error subcode.
    pub subcode: u8,
    /// What the sender adds; its form depends on the codes.
    pub data: Vec<u8>,
}

impl NotificationMessage {
    /// The octets of a NOTIFICATION's data that are sent at most: the message stays within 4096.
    const DATA_LEN_MAX: usize = super::MESSAGE_LEN_MAX - super::HEADER_LEN - 2;

    /// A NOTIFICATION with these fields.
    pub fn new(code: u8, subcode: u8, data: Vec<u8>) -> Self {
        Self {
            code,
            subcode,
            data,
        }
    }

    /// This NOTIFICATION within a hard reset (RFC 8538 section 3.1): retained routes go as well.
    pub fn into_hard_reset(self) -> Self {
        let mut data = vec![self.code, self.subcode];
        data.extend(self.data);
        Self::new(codes::CEASE, codes::cease::HARD_RESET, data)
    }

    /// Whether it is a hard reset, after which no route is retained (RFC 8538 section 3).
    pub fn is_hard_reset(&self) -> bool {
        (self.code, self.subcode) == (codes::CEASE, codes::cease::HARD_RESET)
    }

    /// Whether its sender wants retained routes to go as well, so that it is sent within a hard reset
    /// where both sides know of that (RFC 8538 section 3.1): the peer is not wanted any more, wants
    /// too much, cannot be reached by the forwarding plane, or an operator asked for a new beginning.
    pub fn ends_retention(&self) -> bool {
        use codes::cease;
        let wants = [
            cease::MAXIMUM_PREFIXES,
            cease::ADMINISTRATIVE_SHUTDOWN,
            cease::PEER_DECONFIGURED,
            cease::ADMINISTRATIVE_RESET,
            cease::OUT_OF_RESOURCES,
            cease::BFD_DOWN,
        ];
        self.code == codes::CEASE && wants.contains(&self.subcode)
    }

    /// The NOTIFICATION that a hard reset holds.
    pub fn hard_reset_reason(&self) -> Option<Self> {
        if self.is_hard_reset() {
            Self::decode(&self.data)
        } else {
            None
        }
    }

    /// The text of a shutdown or reset, also of one within a hard reset (RFC 9003). Octets that are
    /// not UTF-8 are replaced, control characters too: it goes to a terminal.
    pub fn text(&self) -> Option<String> {
        if let Some(reason) = self.hard_reset_reason() {
            // A hard reset within a hard reset says nothing.
            return reason.text_of_cease();
        }
        self.text_of_cease()
    }

    fn text_of_cease(&self) -> Option<String> {
        let has_text = self.code == codes::CEASE
            && [
                codes::cease::ADMINISTRATIVE_SHUTDOWN,
                codes::cease::ADMINISTRATIVE_RESET,
            ]
            .contains(&self.subcode);
        let (len, text) = self.data.split_first().filter(|_| has_text)?;
        let text = text.get(..usize::from(*len))?;
        (!text.is_empty()).then(|| printable(text))
    }

    /// The family and the limit of Maximum Number of Prefixes Reached, where the sender tells them
    /// (RFC 4486 section 4).
    pub fn prefix_limit(&self) -> Option<(Family, u32)> {
        if (self.code, self.subcode) != (codes::CEASE, codes::cease::MAXIMUM_PREFIXES) {
            return None;
        }
        let [a, b, safi, limit @ ..]: [u8; 7] = self.data[..].try_into().ok()?;
        let afi = u16::from_be_bytes([a, b]);
        Some((Family { afi, safi }, u32::from_be_bytes(limit)))
    }

    /// Decodes what follows the header; `None` if code or subcode is missing.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let ([code, subcode], data) = body.split_first_chunk()?;
        Some(Self::new(*code, *subcode, data.to_vec()))
    }

    /// Appends the message. Data is cut to what fits.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin(out, MessageType::Notification);
        out.extend([self.code, self.subcode]);
        out.extend(self.data.iter().take(Self::DATA_LEN_MAX));
        end(out, start);
    }

    /// The name of the error code.
    pub fn code_name(&self) -> Option<&'static str> {
        Some(match self.code {
            codes::MESSAGE_HEADER_ERROR => "Message Header Error",
            codes::OPEN_MESSAGE_ERROR => "OPEN Message Error",
            codes::UPDATE_MESSAGE_ERROR => "UPDATE Message Error",
            codes::HOLD_TIMER_EXPIRED => "Hold Timer Expired",
            codes::FSM_ERROR => "Finite State Machine Error",
            codes::CEASE => "Cease",
            codes::ROUTE_REFRESH_ERROR => "ROUTE-REFRESH Message Error",
            codes::SEND_HOLD_TIMER_EXPIRED => "Send Hold Timer Expired",
            _ => return None,
        })
    }

    /// The name of the error subcode.
    pub fn subcode_name(&self) -> Option<&'static str> {
        Some(match (self.code, self.subcode) {
            (codes::MESSAGE_HEADER_ERROR, 1) => "Connection Not Synchronized",
            (codes::MESSAGE_HEADER_ERROR, 2) => "Bad Message Length",
            (codes::MESSAGE_HEADER_ERROR, 3) => "Bad Message Type",
            (codes::OPEN_MESSAGE_ERROR, 1) => "Unsupported Version Number",
            (codes::OPEN_MESSAGE_ERROR, 2) => "Bad Peer AS",
            (codes::OPEN_MESSAGE_ERROR, 3) => "Bad BGP Identifier",
            (codes::OPEN_MESSAGE_ERROR, 4) => "Unsupported Optional Parameter",
            (codes::OPEN_MESSAGE_ERROR, 6) => "Unacceptable Hold Time",
            (codes::OPEN_MESSAGE_ERROR, 7) => "Unsupported Capability",
            (codes::OPEN_MESSAGE_ERROR, codes::open::ROLE_MISMATCH) => "Role Mismatch",
            (codes::UPDATE_MESSAGE_ERROR, 1) => "Malformed Attribute List",
            (codes::UPDATE_MESSAGE_ERROR, 2) => "Unrecognized Well-known Attribute",
            (codes::UPDATE_MESSAGE_ERROR, 3) => "Missing Well-known Attribute",
            (codes::UPDATE_MESSAGE_ERROR, 4) => "Attribute Flags Error",
            (codes::UPDATE_MESSAGE_ERROR, 5) => "Attribute Length Error",
            (codes::UPDATE_MESSAGE_ERROR, 6) => "Invalid ORIGIN Attribute",
            (codes::UPDATE_MESSAGE_ERROR, 8) => "Invalid NEXT_HOP Attribute",
            (codes::UPDATE_MESSAGE_ERROR, 9) => "Optional Attribute Error",
            (codes::UPDATE_MESSAGE_ERROR, 10) => "Invalid Network Field",
            (codes::UPDATE_MESSAGE_ERROR, 11) => "Malformed AS_PATH",
            (codes::FSM_ERROR, 1) => "Unexpected Message in OpenSent",
            (codes::FSM_ERROR, 2) => "Unexpected Message in OpenConfirm",
            (codes::FSM_ERROR, 3) => "Unexpected Message in Established",
            (codes::CEASE, 1) => "Maximum Number of Prefixes Reached",
            (codes::CEASE, 2) => "Administrative Shutdown",
            (codes::CEASE, 3) => "Peer De-configured",
            (codes::CEASE, 4) => "Administrative Reset",
            (codes::CEASE, 5) => "Connection Rejected",
            (codes::CEASE, 6) => "Other Configuration Change",
            (codes::CEASE, 7) => "Connection Collision Resolution",
            (codes::CEASE, 8) => "Out of Resources",
            (codes::CEASE, 9) => "Hard Reset",
            (codes::CEASE, 10) => "BFD Down",
            (codes::ROUTE_REFRESH_ERROR, 1) => "Invalid Message Length",
            _ => return None,
        })
    }
}

impl fmt::Display for NotificationMessage {
    /// `Cease/Administrative Shutdown: "going down"`; numbers where there is no name, data in
    /// hexadecimal where it is not text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code_name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "error {}", self.code)?,
        }
        match self.subcode_name() {
            Some(name) => write!(f, "/{name}")?,
            None if self.subcode == 0 => {}
            None => write!(f, "/subcode {}", self.subcode)?,
        }
        if let Some(reason) = self
            .hard_reset_reason()
            .filter(|reason| !reason.is_hard_reset())
        {
            return write!(f, " ({reason})");
        }
        if let Some((family, limit)) = self.prefix_limit() {
            return write!(f, " ({family}, limit {limit})");
        }
        match self.text() {
            Some(text) => write!(f, ": \"{text}\""),
            None if self.data.is_empty() => Ok(()),
            None => {
                let (shown, more) = self.data.split_at(self.data.len().min(32));
                write!(
                    f,
                    " (data 0x{}{})",
                    Hex(shown),
                    if more.is_empty() { "" } else { ".." }
                )
            }
        }
    }
}

impl std::error::Error for NotificationMessage {}
