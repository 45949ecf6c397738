//! Why a session went down, or an attempt at one failed.

use std::fmt;
use std::time::Duration;

use super::damping::Ending;
use super::event::State;
use crate::{NotificationMessage, notification};

/// Why a session went down, or an attempt at one failed. The `Display` text is for operators.
#[derive(Debug, Clone, PartialEq)]
pub enum DownReason {
    /// It was stopped here.
    Stopped,
    /// It was reset here, by an operator.
    Reset,
    /// It was closed here, for a reason of the shell's.
    Ceased {
        /// What the peer was told.
        sent: NotificationMessage,
        /// Why.
        detail: String,
    },
    /// TCP did not connect.
    ConnectFailed(String),
    /// TCP did not connect in time.
    ConnectTimeout(Duration),
    /// The peer closed the connection without a NOTIFICATION.
    ClosedByPeer,
    /// The connection broke.
    ConnectionBroke(String),
    /// The peer was silent for the hold time.
    HoldTimerExpired(Duration),
    /// The peer's TCP took nothing for the send hold time (RFC 9687).
    SendHoldTimerExpired(Duration),
    /// The peer did not send OPEN in time.
    NoOpen(Duration),
    /// The peer did not answer OPEN with KEEPALIVE in time.
    NoKeepalive(Duration),
    /// The peer's OPEN cannot be accepted.
    OpenRefused {
        /// What it was told.
        sent: NotificationMessage,
        /// What is wrong.
        detail: String,
    },
    /// The peer sent a message that cannot be understood.
    InvalidMessage {
        /// What it was told.
        sent: NotificationMessage,
        /// What is wrong.
        detail: String,
    },
    /// The peer sent a message that has no place in the present state (RFC 6608).
    UnexpectedMessage {
        /// Its name.
        message: &'static str,
        /// The state of the connection.
        state: State,
    },
    /// The peer sent a NOTIFICATION.
    NotificationReceived(NotificationMessage),
    /// The peer came back with a new connection (RFC 4724 section 5).
    PeerReconnected,
    /// Another connection of the session was preferred (`collision_detect_established`).
    Collision,
}

impl DownReason {
    /// Whether routes of a peer with graceful restart are kept; `notification`: whether both sides
    /// have the N bit (RFC 8538).
    ///
    /// They are where the peer just went away, as one that restarts does: TCP closed or broke, or a
    /// new connection came. RFC 4724 section 4.2 wants no more. Silence counts too: it is how a
    /// crash of the peer's host shows, and forwarding may well go on (RFC 8538 section 4 came to
    /// the same view). A NOTIFICATION of either side means that the routes are not to be trusted,
    /// or not wanted (RFC 4724 section 4.2), unless both sides have the N bit, and then if it is a
    /// hard reset (RFC 8538 section 4).
    pub fn retains_routes(&self, notification: bool) -> bool {
        match self {
            Self::ClosedByPeer
            | Self::ConnectionBroke(_)
            | Self::HoldTimerExpired(_)
            | Self::SendHoldTimerExpired(_)
            | Self::PeerReconnected
            | Self::Collision => true,
            Self::InvalidMessage { .. } | Self::UnexpectedMessage { .. } => notification,
            Self::NotificationReceived(received) => notification && !received.is_hard_reset(),
            Self::Ceased { sent, .. } => notification && !sent.ends_retention(),
            Self::Stopped
            | Self::Reset
            | Self::ConnectFailed(_)
            | Self::ConnectTimeout(_)
            | Self::NoOpen(_)
            | Self::NoKeepalive(_)
            | Self::OpenRefused { .. } => false,
        }
    }

    /// What the end of an Established session says of the next one.
    pub(super) fn ending(&self) -> Ending {
        let errors = [
            notification::MESSAGE_HEADER_ERROR,
            notification::OPEN_MESSAGE_ERROR,
            notification::UPDATE_MESSAGE_ERROR,
            notification::FSM_ERROR,
            notification::ROUTE_REFRESH_ERROR,
        ];
        let change = notification::cease::OTHER_CONFIGURATION_CHANGE;
        match self {
            Self::Stopped | Self::Reset | Self::PeerReconnected | Self::Collision => Ending::Wanted,
            Self::Ceased { sent, .. } if sent.subcode == change => Ending::Wanted,
            Self::InvalidMessage { .. } | Self::UnexpectedMessage { .. } => Ending::Error,
            Self::NotificationReceived(received) if errors.contains(&received.code) => {
                Ending::Error
            }
            _ => Ending::Lost,
        }
    }

    /// A fixed name, for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Reset => "reset",
            Self::Ceased { .. } => "ceased",
            Self::ConnectFailed(_) => "connect-failed",
            Self::ConnectTimeout(_) => "connect-timeout",
            Self::ClosedByPeer => "closed-by-peer",
            Self::ConnectionBroke(_) => "connection-broke",
            Self::HoldTimerExpired(_) => "hold-timer-expired",
            Self::SendHoldTimerExpired(_) => "send-hold-timer-expired",
            Self::NoOpen(_) => "no-open",
            Self::NoKeepalive(_) => "no-keepalive",
            Self::OpenRefused { .. } => "open-refused",
            Self::InvalidMessage { .. } => "invalid-message",
            Self::UnexpectedMessage { .. } => "unexpected-message",
            Self::NotificationReceived(_) => "notification-received",
            Self::PeerReconnected => "peer-reconnected",
            Self::Collision => "collision",
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => write!(f, "stopped by this speaker"),
            Self::Reset => write!(f, "reset by an operator of this speaker"),
            Self::Ceased { sent, detail } => {
                write!(
                    f,
                    "closed by this speaker: {detail}; sent NOTIFICATION {sent}"
                )
            }
            Self::ConnectFailed(error) => write!(f, "cannot connect: {error}"),
            Self::ConnectTimeout(after) => {
                write!(f, "cannot connect: no answer within {}", Seconds(*after))
            }
            Self::ClosedByPeer => write!(f, "the peer closed the connection without NOTIFICATION"),
            Self::ConnectionBroke(error) => write!(f, "the connection broke: {error}"),
            Self::HoldTimerExpired(after) => write!(
                f,
                "hold timer expired: nothing received for {}",
                Seconds(*after)
            ),
            Self::SendHoldTimerExpired(after) => write!(
                f,
                "send hold timer expired: the peer has read nothing for {}",
                Seconds(*after)
            ),
            Self::NoOpen(after) => write!(f, "the peer sent no OPEN within {}", Seconds(*after)),
            Self::NoKeepalive(after) => write!(
                f,
                "the peer did not confirm OPEN by KEEPALIVE within {}",
                Seconds(*after)
            ),
            Self::OpenRefused { sent, detail } => {
                write!(
                    f,
                    "OPEN of the peer refused: {detail}; sent NOTIFICATION {sent}"
                )
            }
            Self::InvalidMessage { sent, detail } => {
                write!(
                    f,
                    "message of the peer is malformed: {detail}; sent NOTIFICATION {sent}"
                )
            }
            Self::UnexpectedMessage { message, state } => {
                write!(f, "the peer sent {message} in state {state}")
            }
            Self::NotificationReceived(notification) => {
                write!(f, "the peer sent NOTIFICATION {notification}")
            }
            Self::PeerReconnected => write!(f, "the peer restarted and connected anew"),
            Self::Collision => write!(f, "another connection of the same peer was preferred"),
        }
    }
}

/// A duration in an operator's form: `90 s`, `0.5 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}
