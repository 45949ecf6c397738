//! The end of connections, and what comes then.

use std::time::Duration;

use chanter_types::Instant;

use super::Session;
use crate::session::connection::Connection;
use crate::session::event::{ControlMessage, Down, Output, State};
use crate::session::negotiate::Negotiated;
use crate::session::reason::DownReason;
use crate::{Family, FamilySet, NotificationMessage, notification};

impl Session {
    /// The connection is gone by itself.
    pub(super) fn gone(&mut self, at: usize, reason: DownReason, now: Instant) {
        let connection = self.connections.remove(at);
        self.ended(&connection, reason, now);
    }

    /// Ends a connection, with a NOTIFICATION where one is given and can be sent.
    pub(super) fn end(
        &mut self,
        at: usize,
        farewell: Option<NotificationMessage>,
        reason: DownReason,
        now: Instant,
    ) {
        let connection = self.close(at, farewell);
        self.ended(&connection, reason, now);
    }

    pub(super) fn end_all(
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
    pub(super) fn drop_loser(&mut self, at: usize) {
        let farewell = notification::connection_collision_resolution();
        let connection = self.close(at, Some(farewell));
        self.outputs.push_back(Output::CollisionLost(connection.id));
    }

    pub(super) fn close(&mut self, at: usize, farewell: Option<NotificationMessage>) -> Connection {
        // A connection that is not there yet carries nothing.
        if let Some(mut farewell) =
            farewell.filter(|_| self.connections[at].state != State::Connect)
        {
            let negotiated = self.connections[at].negotiated.as_deref();
            if farewell.ends_retention() && negotiated.is_some_and(Negotiated::has_hard_reset) {
                farewell = farewell.into_hard_reset();
            }
            self.send(at, ControlMessage::Notification(farewell));
        }
        let connection = self.connections.remove(at);
        self.outputs.push_back(Output::Close(connection.id));
        connection
    }

    /// Says that a connection has ended, and sees to it that the session goes on.
    pub(super) fn ended(&mut self, connection: &Connection, reason: DownReason, now: Instant) {
        if let Some(since) = connection.established_at {
            self.damping
                .ended(now.saturating_since(since), reason.ending());
            self.rejects_until = self.damping.reject_for().map(|wait| now + wait);
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

    /// Which routes are kept for how long, now that the Established `connection` is gone. A family
    /// that is long-lived only goes without the restart time (RFC 9494 section 4.2), which is the
    /// matter of who keeps the routes.
    pub(super) fn retention(
        &self,
        connection: &Connection,
        reason: &DownReason,
    ) -> (Vec<Family>, Duration) {
        let nothing = (Vec::new(), Duration::ZERO);
        let Some(negotiated) = connection.negotiated.as_deref() else {
            return nothing;
        };
        match &negotiated.peer_restart {
            Some(restart) if reason.retains_routes(restart.notification) => {
                let long_lived = negotiated.peer_long_lived.iter();
                let mut retain: FamilySet = long_lived.map(|entry| entry.family).collect();
                if !restart.restart_time.is_zero() {
                    for family in restart.families.iter() {
                        retain.insert(family);
                    }
                }
                (retain.iter().collect(), restart.restart_time)
            }
            _ => nothing,
        }
    }

    /// When our next attempt comes, if it is on us to connect.
    pub(super) fn schedule_retry(&mut self, now: Instant) -> Option<Duration> {
        if !self.is_running() || self.config.passive || self.has_outgoing() || self.has_confirmed()
        {
            return None;
        }
        if let Some(at) = self.connect_retry_at {
            return Some(at.saturating_since(now));
        }
        let wait = self.damping.next(&mut self.random);
        self.connect_retry_at = Some(now + wait);
        Some(wait)
    }
}
