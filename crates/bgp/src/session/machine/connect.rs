//! From a connection to an Established session.

use std::time::Duration;

use chanter_types::Instant;

use super::Session;
use crate::session::config::LocalAs;
use crate::session::connection::Connection;
use crate::session::event::{ConnectionId, ControlMessage, Direction, Output, State};
use crate::session::negotiate::negotiate;
use crate::session::offer::own_open;
use crate::session::reason::DownReason;
use crate::{OpenMessage, notification};

impl Session {
    /// Opens a connection, where this is the side to do so and none is there already.
    pub(super) fn connect(&mut self, now: Instant) {
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

    pub(super) fn connected(&mut self, at: usize, now: Instant) {
        if self.connections[at].state == State::Connect {
            self.send_open(at, State::OpenSent, now);
        }
    }

    /// The peer has connected. Of connections that it opened and that are not Established the
    /// newest counts: a peer gives up one before it opens another, whether we have heard or not.
    /// So there are never more than two, one that is Established or was opened here, and one more.
    pub(super) fn accepted(&mut self, id: ConnectionId, now: Instant) {
        if self.index(id).is_some() {
            return;
        }
        if !self.is_running() || self.rejects_until.is_some_and(|at| now < at) {
            return self.reject(id);
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

    pub(super) fn send_open(&mut self, at: usize, state: State, now: Instant) {
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
        let open = own_open(&self.config, local_as, self.was_established, now);
        self.send(at, ControlMessage::Open(open));
        let connection = &mut self.connections[at];
        connection.state = state;
        connection.timers.limit(self.config.times.open, now);
    }

    pub(super) fn open_received(&mut self, at: usize, open: &OpenMessage, now: Instant) {
        let state = self.connections[at].state;
        let is_first = self.connections[at].negotiated.is_none();
        if !is_first || !matches!(state, State::Active | State::OpenSent) {
            self.unexpected(at, "OPEN", now);
            return;
        }
        match negotiate(&self.config, open) {
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
                // It may have been the loser, or may become it.
                if !self.yields(id, now) {
                    self.on(id, |session, at| session.confirm(at, now));
                }
            }
        }
    }

    /// To OpenConfirm.
    pub(super) fn confirm(&mut self, at: usize, now: Instant) {
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

    pub(super) fn establish(&mut self, at: usize, now: Instant) {
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
        self.rejects_until = None;
        self.damping.established();
        self.was_established = true;
        while let Some(other) = self.position(|connection| connection.id != id) {
            self.drop_loser(other);
        }
        self.outputs.push_back(Output::Up {
            conn: id,
            negotiated,
        });
    }

    /// RFC 4271 section 8.2.2: Idle refuses connections; RFC 4486 section 4: with a word, except
    /// where the session was never started or stopped without one.
    fn reject(&mut self, conn: ConnectionId) {
        if self.started || self.rejects {
            let message = ControlMessage::Notification(notification::connection_rejected());
            self.outputs.push_back(Output::Send { conn, message });
        }
        self.outputs.push_back(Output::Close(conn));
    }
}
