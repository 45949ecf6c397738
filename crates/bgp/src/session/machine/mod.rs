//! The state machine.

mod collide;
mod connect;
mod control;
mod end;
mod receive;

use std::collections::VecDeque;

use chanter_types::Instant;

use super::config::SessionConfig;
use super::connection::{Connection, Due};
use super::damping::Damping;
use super::event::{ConnectionId, ControlMessage, Direction, Input, Output, State};
use super::negotiate::Negotiated;
use super::random::Random;
use super::reason::DownReason;
use crate::notification;

/// The session with one peer.
#[derive(Debug, Clone)]
pub struct Session {
    config: SessionConfig,
    random: Random,
    damping: Damping,
    started: bool,
    /// Closed and not to be tried again before a time or an operator's word.
    held: Option<Held>,
    /// The peer is told that its connection is rejected while the session is Idle, and until when
    /// it is while the session is Active.
    rejects: bool,
    rejects_until: Option<Instant>,
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

/// Why and until when a session is Idle though it is started (IdleHoldTimer, RFC 4271 section 8.1.1).
#[derive(Debug, Clone)]
struct Held {
    because: DownReason,
    /// `None`: until it is started or reset.
    until: Option<Instant>,
}

impl Session {
    /// A session that is stopped.
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        Self {
            random: Random::new(config.seed),
            damping: Damping::new(&config.times),
            config,
            started: false,
            held: None,
            rejects: false,
            rejects_until: None,
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
            Input::Close { cause, hold } => self.close_for(&cause, hold, now),
            Input::Configure(config) => self.configure(*config, now),
            Input::Refresh(family) => self.ask_refresh(family),
            Input::Accepted(id) => self.accepted(id, now),
            Input::Connected(id) => self.on(id, |session, at| session.connected(at, now)),
            Input::ConnectFailed { conn, error } => self.on(conn, |session, at| {
                if session.connections[at].state == State::Connect {
                    session.gone(at, DownReason::ConnectFailed(error), now);
                }
            }),
            Input::Closed { conn, error } => self.on(conn, |session, at| {
                let reason = error.map_or(DownReason::ClosedByPeer, DownReason::ConnectionBroke);
                session.gone(at, reason, now);
            }),
            Input::Open { conn, open } => self.on(conn, |session, at| {
                session.open_received(at, &open, now);
            }),
            Input::Keepalive(conn) => {
                self.on(conn, |session, at| session.keepalive_received(at, now));
            }
            Input::Update(conn) => self.on(conn, |session, at| session.update_received(at, now)),
            Input::RouteRefresh { conn, refresh } => self.on(conn, |session, at| {
                session.route_refresh_received(at, refresh, now);
            }),
            Input::Notification { conn, notification } => self.on(conn, |session, at| {
                let reason = DownReason::NotificationReceived(notification);
                session.end(at, None, reason, now);
            }),
            Input::Invalid {
                conn,
                notification: sent,
                detail,
            } => self.on(conn, |session, at| {
                let farewell = Some(sent.clone());
                let reason = DownReason::InvalidMessage { sent, detail };
                session.end(at, farewell, reason, now);
            }),
            Input::Unread(conn) => self.on(conn, |session, at| {
                let connection = &mut session.connections[at];
                if connection.state == State::Established {
                    connection.timers.received(now);
                }
            }),
            Input::Written(conn) => self.on(conn, |session, at| {
                session.connections[at].timers.written(now);
            }),
        }
        self.end_of_yielding(now);
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
                    let farewell = notification::send_hold_timer_expired();
                    self.end(at, Some(farewell), reason, now);
                }
            }
        }
        // Event 13.
        if self.idle_until().is_some_and(|at| at <= now) {
            self.release(now);
        }
        // Event 9.
        if self.connect_retry_at.take_if(|at| *at <= now).is_some() {
            self.connect(now);
        }
        self.end_of_yielding(now);
        self.note_state(now);
    }

    /// When [`Session::handle_deadline`] has to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let timers = self.connections.iter().flat_map(|connection| {
            let yields_until = connection.yielding.map(|yielding| yielding.until);
            [connection.timers.next_deadline(), yields_until]
        });
        timers
            .flatten()
            .chain(self.connect_retry_at)
            .chain(self.idle_until())
            .min()
    }

    /// What to do; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The configuration.
    pub fn config(&self) -> &SessionConfig {
        &self.config
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

    /// Why the session is held Idle though it is started, if it is.
    pub fn held(&self) -> Option<&DownReason> {
        self.held.as_ref().map(|held| &held.because)
    }

    /// Until when the session is held Idle; `None`: it is not, or until it is started or reset.
    pub fn idle_until(&self) -> Option<Instant> {
        self.held.as_ref()?.until
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
    fn on(&mut self, id: ConnectionId, f: impl FnOnce(&mut Self, usize)) {
        if let Some(at) = self.index(id) {
            f(self, at);
        }
    }

    fn index(&self, id: ConnectionId) -> Option<usize> {
        self.position(|connection| connection.id == id)
    }

    fn note_state(&mut self, now: Instant) {
        let idle = if self.is_running() {
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

    /// Whether a session is wanted now.
    fn is_running(&self) -> bool {
        self.started && self.held.is_none()
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
