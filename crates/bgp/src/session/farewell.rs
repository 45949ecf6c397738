//! NOTIFICATIONs with which a session ends.

use super::event::State;
use crate::{NotificationMessage, notification};

/// RFC 4271 section 6.5.
pub(super) fn hold_timer_expired() -> NotificationMessage {
    NotificationMessage::new(notification::HOLD_TIMER_EXPIRED, 0, Vec::new())
}

/// RFC 9687 section 3.3.
pub(super) fn send_hold_timer_expired() -> NotificationMessage {
    NotificationMessage::new(notification::SEND_HOLD_TIMER_EXPIRED, 0, Vec::new())
}

/// RFC 4271 section 6.8, RFC 4486.
pub(super) fn collision() -> NotificationMessage {
    let subcode = notification::cease::CONNECTION_COLLISION;
    NotificationMessage::new(notification::CEASE, subcode, Vec::new())
}

/// The session is stopped by an operator, for a reason that may be empty (RFC 4486).
pub(super) fn administrative_shutdown(text: &str) -> NotificationMessage {
    let subcode = notification::cease::ADMINISTRATIVE_SHUTDOWN;
    NotificationMessage::new(notification::CEASE, subcode, shutdown_text(text))
}

/// The session is reset by an operator, for a reason that may be empty (RFC 4486).
pub(super) fn administrative_reset(text: &str) -> NotificationMessage {
    let subcode = notification::cease::ADMINISTRATIVE_RESET;
    NotificationMessage::new(notification::CEASE, subcode, shutdown_text(text))
}

/// The text with its length in an octet, cut at the end of a character (RFC 9003 section 2).
fn shutdown_text(text: &str) -> Vec<u8> {
    let end = text.floor_char_boundary(usize::from(u8::MAX));
    let text = text.get(..end).unwrap_or_default();
    match u8::try_from(text.len()) {
        Ok(len @ 1..) => [&[len], text.as_bytes()].concat(),
        _ => Vec::new(),
    }
}

/// A message that has no place in `state`: RFC 4271 section 6.6, with the subcodes of RFC 6608.
pub(super) fn unexpected_message(state: State) -> NotificationMessage {
    let subcode = match state {
        State::OpenSent => notification::fsm::UNEXPECTED_IN_OPEN_SENT,
        State::OpenConfirm => notification::fsm::UNEXPECTED_IN_OPEN_CONFIRM,
        State::Established => notification::fsm::UNEXPECTED_IN_ESTABLISHED,
        State::Idle | State::Connect | State::Active => 0,
    };
    NotificationMessage::new(notification::FSM_ERROR, subcode, Vec::new())
}
