//! Two connections to one peer (RFC 4271 section 6.8).

use std::time::Duration;

use chanter_types::Instant;

use super::Session;
use crate::notification;
use crate::session::collision::{Speaker, preferred};
use crate::session::connection::{Connection, Yielding};
use crate::session::event::{ConnectionId, ControlMessage, Direction, State};
use crate::session::negotiate::Negotiated;
use crate::session::reason::DownReason;

/// A connection that comes this soon after the session was Established may have been opened at the
/// same time as the one that won; a later one says that the peer has forgotten the session.
const SIMULTANEOUS: Duration = Duration::from_secs(10);

/// How long a connection waits for OPEN on the one that would win over it: a few round trips, and
/// the time that a busy peer takes.
const YIELD_TIME: Duration = Duration::from_secs(2);

impl Session {
    /// RFC 4271 section 6.8, on an OPEN that is in order: closes what loses, `id` or another one.
    pub(super) fn settle_collisions(&mut self, id: ConnectionId, now: Instant) {
        let Some(at) = self.index(id) else { return };
        let Some(other) =
            self.position(|connection| connection.id != id && connection.state >= State::OpenSent)
        else {
            return;
        };
        let Some(negotiated) = self.connections[at].negotiated.as_deref() else {
            return;
        };
        let is_preferred = self.preferred(negotiated) == id.direction;
        match self.connections[other].state {
            State::Established => self.settle_with_established(id, other, is_preferred, now),
            _ if is_preferred => self.drop_loser(other),
            State::OpenConfirm => self.drop_loser(at),
            // The other one may be dead: it has to answer OPEN before it can win.
            _ => {}
        }
    }

    /// Whether the connection `id`, whose OPEN is in order, has to wait, since OPEN on another one
    /// would make it the loser.
    ///
    /// If it went on, the peer could be Established on it before that OPEN arrives here: one side
    /// would keep this connection and the other one that, and both would be lost. KEEPALIVE held
    /// back is as KEEPALIVE that takes longer on its way, so that the state machine of the peer is
    /// none the wiser.
    pub(super) fn yields(&mut self, id: ConnectionId, now: Instant) -> bool {
        let Some(at) = self.index(id).filter(|at| self.has_stronger(*at)) else {
            return false;
        };
        self.connections[at].yielding = Some(Yielding {
            until: now + YIELD_TIME,
            confirmed: false,
        });
        true
    }

    /// Goes on with connections that have no reason to wait any more, be it that the other one has
    /// ended or that nothing comes on it.
    pub(super) fn end_of_yielding(&mut self, now: Instant) {
        while let Some(at) = self.position(|connection| connection.yielding.is_some()) {
            let Some(yielding) = self.connections[at].yielding else {
                return;
            };
            if yielding.until > now && self.has_stronger(at) {
                return;
            }
            self.connections[at].yielding = None;
            self.confirm(at, now);
            if yielding.confirmed {
                let id = self.connections[at].id;
                self.on(id, |session, at| session.establish(at, now));
            }
        }
    }

    /// Whether there is another connection that would win over this one with an OPEN of the peer.
    fn has_stronger(&self, at: usize) -> bool {
        let connection = &self.connections[at];
        let Some(negotiated) = connection.negotiated.as_deref() else {
            return false;
        };
        let winner = self.preferred(negotiated);
        winner != connection.id.direction
            && self.connections.iter().any(|other| {
                other.id.direction == winner
                    && other.negotiated.is_none()
                    && matches!(other.state, State::Active | State::OpenSent)
            })
    }

    /// Which side's connections are kept.
    fn preferred(&self, negotiated: &Negotiated) -> Direction {
        let own = Speaker {
            router_id: self.config.router_id,
            asn: negotiated.local_as,
        };
        let peer = Speaker {
            router_id: negotiated.peer_router_id,
            asn: negotiated.peer_as,
        };
        preferred(own, peer)
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
            let farewell = notification::connection_collision_resolution();
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
}
