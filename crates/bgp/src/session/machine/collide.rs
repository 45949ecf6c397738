//! Two connections to one peer (RFC 4271 section 6.8).

use std::time::Duration;

use chanter_types::Instant;

use super::Session;
use crate::notification;
use crate::session::collision::{Speaker, preferred};
use crate::session::connection::Connection;
use crate::session::event::{ConnectionId, ControlMessage, State};
use crate::session::reason::DownReason;

/// A connection that comes this soon after the session was Established may have been opened at the
/// same time as the one that won; a later one says that the peer has forgotten the session.
const SIMULTANEOUS: Duration = Duration::from_secs(10);

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
