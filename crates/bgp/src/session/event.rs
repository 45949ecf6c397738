//! What a session is told, and what it says in return.

use std::fmt;
use std::time::Duration;

use super::config::SessionConfig;
use super::negotiate::Negotiated;
use super::reason::DownReason;
use crate::{Family, NotificationMessage, OpenMessage, RouteRefreshMessage, notification};

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
    /// Cease, Peer De-configured: as Administrative Shutdown, for good (RFC 4486).
    Deconfigured,
}

/// Why the shell closes a session (RFC 4486, RFC 9384).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CloseCause {
    /// The peer has sent more routes than it may.
    PrefixLimit {
        /// Of this family.
        family: Family,
        /// It may have so many.
        limit: u32,
    },
    /// BFD says that the peer cannot be reached.
    BfdDown,
    /// The configuration has changed in a way that needs a new session.
    ConfigurationChange {
        /// What has changed.
        because: String,
    },
    /// Memory or something else has run out.
    OutOfResources {
        /// What.
        because: String,
    },
}

impl CloseCause {
    /// What the peer is told.
    pub fn notification(&self) -> NotificationMessage {
        use notification::cease::{BFD_DOWN, OTHER_CONFIGURATION_CHANGE, OUT_OF_RESOURCES};
        use notification::{cease, maximum_prefixes};
        match self {
            Self::PrefixLimit { family, limit } => maximum_prefixes(*family, *limit),
            Self::BfdDown => cease(BFD_DOWN),
            Self::ConfigurationChange { .. } => cease(OTHER_CONFIGURATION_CHANGE),
            Self::OutOfResources { .. } => cease(OUT_OF_RESOURCES),
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrefixLimit { family, limit } => write!(
                f,
                "the peer has more routes of {family} than the {limit} that are allowed"
            ),
            Self::BfdDown => f.write_str("BFD says that the peer is down"),
            Self::ConfigurationChange { because } => {
                write!(f, "the configuration has changed: {because}")
            }
            Self::OutOfResources { because } => write!(f, "out of resources: {because}"),
        }
    }
}

/// What comes after a session was closed by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// The session is tried again.
    No,
    /// It is Idle for so long and rejects connections, then tried again (IdleHoldTimer).
    For(Duration),
    /// It is Idle until it is started or reset.
    UntilStarted,
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
    /// Close with Cease, and go on as `hold` says.
    Close {
        /// Why.
        cause: CloseCause,
        /// Whether to try again.
        hold: Hold,
    },
    /// Another configuration holds from now on. The session is reset only where it has to be; see
    /// [`SessionConfig::change`].
    Configure(Box<SessionConfig>),
    /// Ask the peer for its routes of a family again (RFC 2918).
    Refresh(Family),
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
    /// ROUTE-REFRESH (RFC 2918, RFC 7313).
    RouteRefresh {
        /// From where.
        conn: ConnectionId,
        /// The message.
        refresh: RouteRefreshMessage,
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
    /// ROUTE-REFRESH.
    RouteRefresh(RouteRefreshMessage),
}

impl ControlMessage {
    /// Appends the message with its header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ControlMessage::Open(open) => open.encode(out),
            ControlMessage::Keepalive => crate::encode_keepalive(out),
            ControlMessage::Notification(notification) => notification.encode(out),
            ControlMessage::RouteRefresh(refresh) => refresh.encode(out),
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
    /// The peer begins to send all its routes of a family again (BoRR): what it does not send until
    /// [`Output::EndOfRefresh`] it has no more (RFC 7313 section 4).
    BeginOfRefresh(Family),
    /// The peer has sent all its routes of a family again (EoRR).
    EndOfRefresh(Family),
    /// A ROUTE-REFRESH of the peer has no effect.
    RefreshIgnored {
        /// The message.
        refresh: RouteRefreshMessage,
        /// What is wrong with it.
        because: &'static str,
    },
    /// The peer cannot be asked for its routes of a family again: only a new session brings them.
    RefreshNotUnderstood(Family),
}

/// The end of an Established session.
#[derive(Debug, Clone, PartialEq)]
pub struct Down {
    /// Why.
    pub reason: DownReason,
    /// Families whose routes are to be kept as stale for [`Down::restart_time`] (RFC 4724 section
    /// 4.2); empty: no routes are kept. If any is, long-lived families are kept too, from now on as
    /// long-lived stale where they are not listed (RFC 9494 section 4.2).
    pub retain: Vec<Family>,
    /// For how long, as the peer asked. Zero: those listed are long-lived stale from now on.
    pub restart_time: Duration,
    /// The longest time for which any route is kept, long-lived stale ones included.
    pub retain_time: Duration,
    /// When the next attempt to connect comes; `None`: the peer is waited for, or already there
    /// with a new connection, or the session is stopped.
    pub retry_in: Option<Duration>,
}
