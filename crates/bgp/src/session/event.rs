//! What a session is told, and what it says in return.

use std::fmt;
use std::time::Duration;

use super::open::Negotiated;
use super::reason::DownReason;
use crate::{Family, NotificationMessage, OpenMessage};

/// Which side opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// This speaker.
    Outgoing,
    /// The peer.
    Incoming,
}

/// A TCP connection of a session. Outgoing ones are numbered by the session, incoming ones by the
/// shell; a number is used once in the life of a session, so that late news of a connection that is
/// gone is recognised and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Which side opened it.
    pub direction: Direction,
    /// Which of those.
    pub number: u32,
}

impl ConnectionId {
    /// The `number`th connection that this speaker opened.
    pub const fn outgoing(number: u32) -> Self {
        Self {
            direction: Direction::Outgoing,
            number,
        }
    }

    /// The `number`th connection that the peer opened.
    pub const fn incoming(number: u32) -> Self {
        Self {
            direction: Direction::Incoming,
            number,
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Outgoing => "outgoing",
            Direction::Incoming => "incoming",
        };
        write!(f, "{direction} connection {}", self.number)
    }
}

/// The state of a session (RFC 4271 section 8.2.2): that of its connection that is furthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Stopped: connections are refused.
    Idle,
    /// Waiting for TCP to connect.
    Connect,
    /// Waiting for the peer to connect, or for the next attempt.
    Active,
    /// OPEN sent, waiting for the peer's.
    OpenSent,
    /// Both OPENs are in order, waiting for KEEPALIVE.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

impl State {
    /// The name in RFC 4271.
    pub const fn name(self) -> &'static str {
        match self {
            State::Idle => "Idle",
            State::Connect => "Connect",
            State::Active => "Active",
            State::OpenSent => "OpenSent",
            State::OpenConfirm => "OpenConfirm",
            State::Established => "Established",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How to stop a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StopMode {
    /// TCP is closed without a NOTIFICATION: a peer that is a graceful restart helper keeps the
    /// routes (RFC 4724 section 4.2).
    Silent,
    /// Cease, Administrative Shutdown: the peer removes the routes at once (RFC 4486, RFC 9003).
    Cease {
        /// Why, for the peer's operator; may be empty.
        text: String,
    },
}

/// An input of [`Session::handle`](super::Session::handle), with its event number of RFC 4271
/// section 8.1.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Start (1, 3; with passive establishment 4, 5).
    Start,
    /// Stop, and stay stopped (2, 8).
    Stop(StopMode),
    /// Cease, Administrative Reset, then start anew.
    Reset {
        /// Why, for the peer's operator; may be empty.
        text: String,
    },
    /// The connection asked for by [`Output::Connect`] is there (16).
    Connected(ConnectionId),
    /// The connection asked for by [`Output::Connect`] cannot be had (18).
    ConnectFailed {
        /// Which one.
        conn: ConnectionId,
        /// Why.
        error: String,
    },
    /// The peer has connected (17).
    Accepted(ConnectionId),
    /// The peer has closed a connection, or it broke (18).
    Closed {
        /// Which one.
        conn: ConnectionId,
        /// The error; `None`: the peer closed it in order.
        error: Option<String>,
    },
    /// OPEN (19; 20 where our OPEN waits for the peer's).
    Open {
        /// From where.
        conn: ConnectionId,
        /// The message.
        open: OpenMessage,
    },
    /// KEEPALIVE (26).
    Keepalive(ConnectionId),
    /// One or several UPDATEs, whose content is not the session's matter (27).
    Update(ConnectionId),
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh {
        /// From where.
        conn: ConnectionId,
        /// The family to send again.
        family: Family,
    },
    /// NOTIFICATION (24, 25).
    Notification {
        /// From where.
        conn: ConnectionId,
        /// The message.
        notification: NotificationMessage,
    },
    /// A message that ends the session was received (21, 22, 28).
    Invalid {
        /// From where.
        conn: ConnectionId,
        /// What to answer.
        notification: NotificationMessage,
        /// What is wrong, in an operator's words.
        detail: String,
    },
    /// Octets of the peer wait to be read, and this speaker is too busy to. That is a sign of life:
    /// the hold timer must not run out by our own fault.
    Unread(ConnectionId),
    /// The peer's TCP has taken octets: the send hold timer starts anew (RFC 9687).
    Written(ConnectionId),
}

/// A message that the session wants sent.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlMessage {
    /// OPEN.
    Open(OpenMessage),
    /// KEEPALIVE.
    Keepalive,
    /// NOTIFICATION; [`Output::Close`] follows.
    Notification(NotificationMessage),
}

impl ControlMessage {
    /// Appends the message with its header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ControlMessage::Open(open) => open.encode(out),
            ControlMessage::Keepalive => crate::encode_keepalive(out),
            ControlMessage::Notification(notification) => notification.encode(out),
        }
    }
}

/// An output of [`Session::poll_output`](super::Session::poll_output).
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Connect to the peer; answer with [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect(ConnectionId),
    /// Send a message, before any that waits and is not begun.
    Send {
        /// Where.
        conn: ConnectionId,
        /// What.
        message: ControlMessage,
    },
    /// Close a connection after what was given to send, or give up connecting. Nothing more is
    /// heard of it from the session, and nothing more need be reported.
    Close(ConnectionId),
    /// The session is Established.
    Up {
        /// On this connection.
        conn: ConnectionId,
        /// What holds on it.
        negotiated: Box<Negotiated>,
    },
    /// The session is no longer Established.
    Down(Box<Down>),
    /// An attempt ended before the session was Established.
    AttemptFailed {
        /// Why.
        reason: DownReason,
        /// When the next attempt comes; `None`: the peer is waited for, or another connection goes
        /// on.
        retry_in: Option<Duration>,
    },
    /// A connection lost to another one of the same session; nothing is wrong.
    CollisionLost(ConnectionId),
    /// The peer wants the routes of a family again.
    RouteRefresh(Family),
}

/// The end of an Established session.
#[derive(Debug, Clone, PartialEq)]
pub struct Down {
    /// Why.
    pub reason: DownReason,
    /// Families whose routes are to be kept as stale (RFC 4724 section 4.2).
    pub retain: Vec<Family>,
    /// For how long, as the peer asked.
    pub restart_time: Duration,
    /// When the next attempt to connect comes; `None`: the peer is waited for, or already there
    /// with a new connection, or the session is stopped.
    pub retry_in: Option<Duration>,
}
