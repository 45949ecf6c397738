//! The end of connections, and what comes then.

use std::time::Duration;

use chanter_types::Instant;

use super::Session;
use crate::session::connection::Connection;
use crate::session::event::{ControlMessage, Down, Output, State};
use crate::session::negotiate::Negotiated;
use crate::session::reason::DownReason;
use crate::{FamilySet, NotificationMessage, notification};

/// Which routes are kept when a session ends.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Those of these families as stale.
    families: FamilySet,
    /// For so long.
    restart_time: Duration,
    /// The longest time for any.
    time: Duration,
}

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
            let kept = self.retention(connection, &reason);
            self.outputs.push_back(Output::Down(Box::new(Down {
                reason,
                retain: kept.families.iter().collect(),
                restart_time: kept.restart_time,
                retain_time: kept.time,
                retry_in,
            })));
        } else {
            let retry_in = self.schedule_retry(now);
            self.outputs
                .push_back(Output::AttemptFailed { reason, retry_in });
        }
    }

    /// Which routes are kept for how long, now that the Established `connection` is gone. A family
    /// that the peer's graceful restart leaves out goes without the restart time (RFC 9494 section
    /// 4.2).
    pub(super) fn retention(&self, connection: &Connection, reason: &DownReason) -> Retention {
        let Some(negotiated) = connection.negotiated.as_deref() else {
            return Retention::default();
        };
        let restart = negotiated.peer_restart.as_ref();
        let Some(restart) = restart.filter(|restart| reason.retains_routes(restart.notification))
        else {
            return Retention::default();
        };
        let long_lived = &negotiated.peer_long_lived;
        let (families, restart_time) =
            if restart.restart_time.is_zero() || restart.families.is_empty() {
                let families = long_lived.iter().map(|entry| entry.family).collect();
                (families, Duration::ZERO)
            } else {
                (restart.families.clone(), restart.restart_time)
            };
        let times = long_lived.iter().map(|entry| {
            let before = if families.contains(entry.family) {
                restart_time
            } else {
                Duration::ZERO
            };
            before.saturating_add(entry.time)
        });
        Retention {
            time: times.fold(restart_time, Duration::max),
            families,
            restart_time,
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
