//! The state machine.

use std::collections::VecDeque;
use std::time::Duration;

use chanter_types::Instant;

use super::collision::{Speaker, preferred};
use super::config::{LocalAs, SessionConfig};
use super::connection::{Connection, Due};
use super::event::{ConnectionId, ControlMessage, Direction, Down, Input, Output, State, StopMode};
use super::farewell;
use super::open::{self, Negotiated};
use super::random::{Backoff, Random};
use super::reason::DownReason;
use crate::{Family, NotificationMessage, OpenMessage};

/// A connection that comes this soon after the session was Established may have been opened at the
/// same time as the one that won; a later one says that the peer has forgotten the session.
const SIMULTANEOUS: Duration = Duration::from_secs(10);

/// The session with one peer.
#[derive(Debug, Clone)]
pub struct Session {
    config: SessionConfig,
    random: Random,
    backoff: Backoff,
    started: bool,
    /// At most two: see [`Session::accepted`].
    connections: Vec<Connection>,
    next_outgoing: u32,
    connect_retry_at: Option<Instant>,
    /// Whether the session has been Established since the process started.
    was_established: bool,
    state: State,
    previous_state: State,
    state_since: Instant,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that is stopped.
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        let times = config.times;
        Self {
            random: Random::new(config.seed),
            backoff: Backoff::new(times.connect_retry, times.connect_retry_max),
            config,
            started: false,
            connections: Vec::with_capacity(2),
            next_outgoing: 0,
            connect_retry_at: None,
            was_established: false,
            state: State::Idle,
            previous_state: State::Idle,
            state_since: now,
            outputs: VecDeque::new(),
        }
    }

    /// Takes note of what happened. What is told of a connection that is gone is ignored.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Start => self.start(now),
            Input::Stop(mode) => self.stop(&mode, now),
            Input::Reset { text } => self.reset(&text, now),
            Input::Accepted(id) => self.accepted(id, now),
            Input::Connected(id) => self.on(id, now, Self::connected),
            Input::ConnectFailed { conn, error } => self.on(conn, now, |session, at, now| {
                if session.connections[at].state == State::Connect {
                    session.gone(at, DownReason::ConnectFailed(error), now);
                }
            }),
            Input::Closed { conn, error } => self.on(conn, now, |session, at, now| {
                let reason = error.map_or(DownReason::ClosedByPeer, DownReason::ConnectionBroke);
                session.gone(at, reason, now);
            }),
            Input::Open { conn, open } => self.on(conn, now, |session, at, now| {
                session.open_received(at, &open, now);
            }),
            Input::Keepalive(conn) => self.on(conn, now, Self::keepalive_received),
            Input::Update(conn) => self.on(conn, now, Self::update_received),
            Input::RouteRefresh { conn, family } => self.on(conn, now, |session, at, now| {
                session.route_refresh_received(at, family, now);
            }),
            Input::Notification { conn, notification } => self.on(conn, now, |session, at, now| {
                let reason = DownReason::NotificationReceived(notification);
                session.end(at, None, reason, now);
            }),
            Input::Invalid {
                conn,
                notification: sent,
                detail,
            } => self.on(conn, now, |session, at, now| {
                let farewell = Some(sent.clone());
                let reason = DownReason::InvalidMessage { sent, detail };
                session.end(at, farewell, reason, now);
            }),
            Input::Unread(conn) => self.on(conn, now, |session, at, now| {
                let connection = &mut session.connections[at];
                if connection.state == State::Established {
                    connection.timers.received(now);
                }
            }),
            Input::Written(conn) => self.on(conn, now, |session, at, now| {
                session.connections[at].timers.written(now);
            }),
        }
        self.note_state(now);
    }

    /// Does what is due at `now`.
    pub fn handle_deadline(&mut self, now: Instant) {
        let mut at = 0;
        while let Some(connection) = self.connections.get_mut(at) {
            match connection.timers.poll_due(&mut self.random, now) {
                None => at += 1,
                Some(Due::Keepalive) => self.send(at, ControlMessage::Keepalive),
                Some(Due::Hold) => self.hold_expired(at, now),
                Some(Due::SendHold) => {
                    let reason = DownReason::SendHoldTimerExpired(connection.timers.send_hold_time);
                    let farewell = farewell::send_hold_timer_expired();
                    self.end(at, Some(farewell), reason, now);
                }
            }
        }
        // Event 9.
        if self.connect_retry_at.take_if(|at| *at <= now).is_some() {
            self.connect(now);
        }
        self.note_state(now);
    }

    /// When [`Session::handle_deadline`] has to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timers = self
            .connections
            .iter()
            .filter_map(|connection| connection.timers.next_deadline());
        timers.chain(self.connect_retry_at).min()
    }

    /// What to do; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The state, that of the connection that is furthest.
    pub fn state(&self) -> State {
        self.state
    }

    /// The state before.
    pub fn previous_state(&self) -> State {
        self.previous_state
    }

    /// Since when the state is what it is.
    pub fn state_since(&self) -> Instant {
        self.state_since
    }

    /// When the next attempt to connect comes.
    pub fn retry_at(&self) -> Option<Instant> {
        self.connect_retry_at
    }

    /// Whether there is any connection, be it one that is only asked for.
    pub fn has_connections(&self) -> bool {
        !self.connections.is_empty()
    }

    /// The Established connection and what holds on it.
    pub fn established(&self) -> Option<(ConnectionId, &Negotiated)> {
        let connection = self
            .connections
            .iter()
            .find(|connection| connection.state == State::Established)?;
        Some((connection.id, connection.negotiated.as_deref()?))
    }

    /// Runs `f` on the connection `id`, if it is still there.
    fn on(&mut self, id: ConnectionId, now: Instant, f: impl FnOnce(&mut Self, usize, Instant)) {
        if let Some(at) = self.index(id) {
            f(self, at, now);
        }
    }

    fn index(&self, id: ConnectionId) -> Option<usize> {
        self.connections
            .iter()
            .position(|connection| connection.id == id)
    }

    fn note_state(&mut self, now: Instant) {
        let idle = if self.started {
            State::Active
        } else {
            State::Idle
        };
        let states = self.connections.iter().map(|connection| connection.state);
        let state = states.max().unwrap_or(idle);
        if state != self.state {
            self.previous_state = self.state;
            self.state = state;
            self.state_since = now;
        }
    }

    fn start(&mut self, now: Instant) {
        if !self.started {
            self.started = true;
            self.connect(now);
        }
    }

    fn stop(&mut self, mode: &StopMode, now: Instant) {
        self.started = false;
        self.connect_retry_at = None;
        self.backoff.reset();
        let farewell = match mode {
            StopMode::Silent => None,
            StopMode::Cease { text } => Some(farewell::administrative_shutdown(text)),
        };
        self.end_all(farewell.as_ref(), &DownReason::Stopped, now);
    }

    fn reset(&mut self, text: &str, now: Instant) {
        if !self.started {
            return;
        }
        self.connect_retry_at = None;
        self.backoff.reset();
        let farewell = farewell::administrative_reset(text);
        if self.connections.is_empty() {
            self.connect(now);
        } else {
            self.end_all(Some(&farewell), &DownReason::Reset, now);
        }
    }

    /// Opens a connection, where this is the side to do so and none is there already.
    fn connect(&mut self, now: Instant) {
        if self.config.passive || self.has_outgoing() || self.has_confirmed() {
            return;
        }
        let id = ConnectionId::outgoing(self.next_outgoing);
        self.next_outgoing = self.next_outgoing.wrapping_add(1);
        let limit = self.config.times.connect;
        self.connections
            .push(Connection::new(id, State::Connect, limit, now));
        self.outputs.push_back(Output::Connect(id));
    }

    fn connected(&mut self, at: usize, now: Instant) {
        if self.connections[at].state == State::Connect {
            self.send_open(at, State::OpenSent, now);
        }
    }

    /// The peer has connected. Of connections that it opened and that are not Established the
    /// newest counts: a peer gives up one before it opens another, whether we have heard or not.
    /// So there are never more than two, one that is Established or was opened here, and one more.
    fn accepted(&mut self, id: ConnectionId, now: Instant) {
        if self.index(id).is_some() {
            return;
        }
        if !self.started {
            // RFC 4271 section 8.2.2: Idle refuses connections.
            self.outputs.push_back(Output::Close(id));
            return;
        }
        let older = self.connections.iter().position(|connection| {
            connection.id.direction == Direction::Incoming && connection.state < State::Established
        });
        if let Some(older) = older {
            self.drop_loser(older);
            self.schedule_retry(now);
        }
        let limit = self.config.times.open;
        self.connections
            .push(Connection::new(id, State::Active, limit, now));
        if self.config.local_as != LocalAs::MirrorPeer {
            self.send_open(self.connections.len() - 1, State::OpenSent, now);
        }
    }

    fn send_open(&mut self, at: usize, state: State, now: Instant) {
        let local_as = match self.config.local_as {
            LocalAs::Fixed(local_as) => Some(local_as),
            LocalAs::MirrorPeer => self.connections[at]
                .negotiated
                .as_ref()
                .map(|negotiated| negotiated.local_as),
        };
        let Some(local_as) = local_as else {
            return;
        };
        let open = open::own_open(&self.config, local_as, self.was_established, now);
        self.send(at, ControlMessage::Open(open));
        let connection = &mut self.connections[at];
        connection.state = state;
        connection.timers.limit(self.config.times.open, now);
    }

    fn open_received(&mut self, at: usize, open: &OpenMessage, now: Instant) {
        let state = self.connections[at].state;
        if !matches!(state, State::Active | State::OpenSent) {
            self.unexpected(at, "OPEN", now);
            return;
        }
        match open::negotiate(&self.config, open) {
            Err(refusal) => {
                let sent = refusal.notification;
                let farewell = Some(sent.clone());
                let detail = refusal.detail;
                self.end(at, farewell, DownReason::OpenRefused { sent, detail }, now);
            }
            Ok(negotiated) => {
                let id = self.connections[at].id;
                self.connections[at].negotiated = Some(Box::new(negotiated));
                self.settle_collisions(id, now);
                // It may have been the loser.
                self.on(id, now, Self::confirm);
            }
        }
    }

    /// To OpenConfirm.
    fn confirm(&mut self, at: usize, now: Instant) {
        if self.connections[at].state == State::Active {
            self.send_open(at, State::OpenSent, now);
        }
        self.send(at, ControlMessage::Keepalive);
        let connection = &mut self.connections[at];
        connection.state = State::OpenConfirm;
        let hold_time = connection
            .negotiated
            .as_ref()
            .map_or(Duration::ZERO, |negotiated| negotiated.hold_time);
        let limit = self.config.times.open;
        connection
            .timers
            .confirm(hold_time, limit, &mut self.random, now);
        // The peer is there: no need to go on connecting. Safe from both sides giving up at once,
        // as neither can prefer a connection on which we never sent OPEN.
        self.connect_retry_at = None;
        if let Some(at) = self.position(|connection| connection.state == State::Connect) {
            let connecting = self.connections.remove(at);
            self.outputs.push_back(Output::Close(connecting.id));
        }
    }

    /// RFC 4271 section 6.8, on an OPEN that is in order: closes what loses, `id` or another one.
    fn settle_collisions(&mut self, id: ConnectionId, now: Instant) {
        let Some(at) = self.index(id) else { return };
        let Some(other) =
            self.position(|connection| connection.id != id && connection.state >= State::OpenSent)
        else {
            return;
        };
        let Some(negotiated) = self.connections[at].negotiated.as_deref() else {
            return;
        };
        let own = Speaker {
            router_id: self.config.router_id,
            asn: negotiated.local_as,
        };
        let peer = Speaker {
            router_id: negotiated.peer_router_id,
            asn: negotiated.peer_as,
        };
        let is_preferred = preferred(own, peer) == id.direction;
        match self.connections[other].state {
            State::Established => self.settle_with_established(id, other, is_preferred, now),
            _ if is_preferred => self.drop_loser(other),
            State::OpenConfirm => self.drop_loser(at),
            // The other one may be dead: it has to answer OPEN before it can win.
            _ => {}
        }
    }

    /// A collision with a session that is Established, which is kept, unless:
    /// - the peer can restart gracefully and has forgotten the session: the new connection takes its
    ///   place and no route is lost (RFC 4724 section 5);
    /// - it is configured otherwise.
    fn settle_with_established(
        &mut self,
        id: ConnectionId,
        other: usize,
        is_preferred: bool,
        now: Instant,
    ) {
        let Some(at) = self.index(id) else { return };
        if self.is_restarted(&self.connections[at], &self.connections[other], now) {
            // So that the end of the old one finds a session that goes on.
            self.connections[at].state = State::OpenConfirm;
            self.end(other, None, DownReason::PeerReconnected, now);
        } else if self.config.collision_detect_established
            && is_preferred
            && self.connections[other].id.direction != id.direction
        {
            self.connections[at].state = State::OpenConfirm;
            let farewell = farewell::collision();
            self.end(other, Some(farewell), DownReason::Collision, now);
        } else {
            // If the peer has forgotten the session, its TCP answers this with a reset, and its next
            // attempt finds the way free.
            self.send(other, ControlMessage::Keepalive);
            self.drop_loser(at);
        }
    }

    /// Whether `new` shows that the peer of the Established connection `old` has restarted, as
    /// opposed to having opened both at the same time.
    fn is_restarted(&self, new: &Connection, old: &Connection, now: Instant) -> bool {
        let restart = |connection: &Connection| {
            let negotiated = connection.negotiated.as_deref()?;
            Some(negotiated.peer_restart.as_ref()?.restarting)
        };
        let (Some(new_restarting), Some(old_restarting)) = (restart(new), restart(old)) else {
            return false;
        };
        let age = old
            .established_at
            .map_or(Duration::ZERO, |since| now.saturating_since(since));
        age >= SIMULTANEOUS || (new_restarting && !old_restarting)
    }

    fn keepalive_received(&mut self, at: usize, now: Instant) {
        match self.connections[at].state {
            State::OpenConfirm => self.establish(at, now),
            State::Established => self.connections[at].timers.received(now),
            _ => self.unexpected(at, "KEEPALIVE", now),
        }
    }

    fn establish(&mut self, at: usize, now: Instant) {
        let connection = &mut self.connections[at];
        let Some(negotiated) = connection.negotiated.clone() else {
            return;
        };
        let id = connection.id;
        connection.state = State::Established;
        connection.established_at = Some(now);
        let send_hold = self.config.times.send_hold;
        connection
            .timers
            .establish(negotiated.hold_time, send_hold, now);
        self.connect_retry_at = None;
        self.was_established = true;
        while let Some(other) = self.position(|connection| connection.id != id) {
            self.drop_loser(other);
        }
        self.outputs.push_back(Output::Up {
            conn: id,
            negotiated,
        });
    }

    fn update_received(&mut self, at: usize, now: Instant) {
        if self.connections[at].state == State::Established {
            self.connections[at].timers.received(now);
        } else {
            self.unexpected(at, "UPDATE", now);
        }
    }

    fn route_refresh_received(&mut self, at: usize, family: Family, now: Instant) {
        let connection = &self.connections[at];
        if connection.state != State::Established {
            self.unexpected(at, "ROUTE-REFRESH", now);
            return;
        }
        // RFC 2918 section 4: a family that was not agreed on is ignored.
        let negotiated = connection.negotiated.as_deref();
        if negotiated.is_some_and(|negotiated| negotiated.families.contains(family)) {
            self.outputs.push_back(Output::RouteRefresh(family));
        }
    }

    /// RFC 4271 section 6.6, with the subcodes of RFC 6608.
    fn unexpected(&mut self, at: usize, message: &'static str, now: Instant) {
        let state = self.connections[at].state;
        let farewell = farewell::unexpected_message(state);
        let reason = DownReason::UnexpectedMessage { message, state };
        self.end(at, Some(farewell), reason, now);
    }

    /// Event 10.
    fn hold_expired(&mut self, at: usize, now: Instant) {
        let connection = &self.connections[at];
        let limit = connection.timers.hold_time;
        let reason = match connection.state {
            State::Connect => DownReason::ConnectTimeout(limit),
            State::OpenConfirm => DownReason::NoKeepalive(limit),
            State::Established => DownReason::HoldTimerExpired(limit),
            _ => DownReason::NoOpen(limit),
        };
        let farewell = (connection.state != State::Connect).then(farewell::hold_timer_expired);
        self.end(at, farewell, reason, now);
    }

    /// The connection is gone by itself.
    fn gone(&mut self, at: usize, reason: DownReason, now: Instant) {
        let connection = self.connections.remove(at);
        self.ended(&connection, reason, now);
    }

    /// Ends a connection, with a NOTIFICATION where one is given and can be sent.
    fn end(
        &mut self,
        at: usize,
        farewell: Option<NotificationMessage>,
        reason: DownReason,
        now: Instant,
    ) {
        let connection = self.close(at, farewell);
        self.ended(&connection, reason, now);
    }

    fn end_all(
        &mut self,
        farewell: Option<&NotificationMessage>,
        reason: &DownReason,
        now: Instant,
    ) {
        // All are closed before the first is spoken of: none is left that could go on.
        let ended: Vec<_> = std::iter::from_fn(|| {
            let last = self.connections.len().checked_sub(1)?;
            Some(self.close(last, farewell.cloned()))
        })
        .collect();
        for connection in ended {
            self.ended(&connection, reason.clone(), now);
        }
    }

    /// A connection that lost a collision, which is no error (event 23).
    fn drop_loser(&mut self, at: usize) {
        let farewell = farewell::collision();
        let connection = self.close(at, Some(farewell));
        self.outputs.push_back(Output::CollisionLost(connection.id));
    }

    fn close(&mut self, at: usize, farewell: Option<NotificationMessage>) -> Connection {
        // A connection that is not there yet carries nothing.
        if let Some(farewell) = farewell.filter(|_| self.connections[at].state != State::Connect) {
            self.send(at, ControlMessage::Notification(farewell));
        }
        let connection = self.connections.remove(at);
        self.outputs.push_back(Output::Close(connection.id));
        connection
    }

    /// Says that a connection has ended, and sees to it that the session goes on.
    fn ended(&mut self, connection: &Connection, reason: DownReason, now: Instant) {
        if let Some(since) = connection.established_at {
            if now.saturating_since(since) >= self.backoff.session_min() {
                self.backoff.reset();
            }
            let retry_in = self.schedule_retry(now);
            let (retain, restart_time) = self.retention(connection, &reason);
            self.outputs.push_back(Output::Down(Box::new(Down {
                reason,
                retain,
                restart_time,
                retry_in,
            })));
        } else {
            let retry_in = self.schedule_retry(now);
            self.outputs
                .push_back(Output::AttemptFailed { reason, retry_in });
        }
    }

    /// Which routes are kept for how long, now that the Established `connection` is gone.
    fn retention(&self, connection: &Connection, reason: &DownReason) -> (Vec<Family>, Duration) {
        let restart = connection
            .negotiated
            .as_deref()
            .and_then(|negotiated| negotiated.peer_restart.as_ref());
        match restart {
            Some(restart) if reason.retains_routes() && !restart.restart_time.is_zero() => {
                (restart.families.iter().collect(), restart.restart_time)
            }
            _ => (Vec::new(), Duration::ZERO),
        }
    }

    /// When our next attempt comes, if it is on us to connect.
    fn schedule_retry(&mut self, now: Instant) -> Option<Duration> {
        if !self.started || self.config.passive || self.has_outgoing() || self.has_confirmed() {
            return None;
        }
        if let Some(at) = self.connect_retry_at {
            return Some(at.saturating_since(now));
        }
        let wait = self.backoff.next(&mut self.random);
        self.connect_retry_at = Some(now + wait);
        Some(wait)
    }

    fn has_outgoing(&self) -> bool {
        self.position(|connection| connection.id.direction == Direction::Outgoing)
            .is_some()
    }

    /// Whether the peer has been heard and found in order on some connection.
    fn has_confirmed(&self) -> bool {
        self.position(|connection| connection.state >= State::OpenConfirm)
            .is_some()
    }

    fn position(&self, which: impl Fn(&Connection) -> bool) -> Option<usize> {
        self.connections.iter().position(which)
    }

    fn send(&mut self, at: usize, message: ControlMessage) {
        let conn = self.connections[at].id;
        self.outputs.push_back(Output::Send { conn, message });
    }
}
