//! Messages after OPEN, and silence.

use chanter_types::Instant;

use super::Session;
use crate::session::event::{Output, State};
use crate::session::reason::DownReason;
use crate::{NotificationMessage, RefreshKind, RouteRefreshMessage, notification};

impl Session {
    pub(super) fn keepalive_received(&mut self, at: usize, now: Instant) {
        if let Some(yielding) = &mut self.connections[at].yielding {
            yielding.confirmed = true;
            return;
        }
        match self.connections[at].state {
            State::OpenConfirm => self.establish(at, now),
            State::Established => self.connections[at].timers.received(now),
            _ => self.unexpected(at, "KEEPALIVE", now),
        }
    }

    pub(super) fn update_received(&mut self, at: usize, now: Instant) {
        if self.connections[at].state == State::Established {
            self.connections[at].timers.received(now);
        } else {
            self.unexpected(at, "UPDATE", now);
        }
    }

    /// RFC 2918 section 4, RFC 7313 section 4.
    pub(super) fn route_refresh_received(
        &mut self,
        at: usize,
        refresh: RouteRefreshMessage,
        now: Instant,
    ) {
        let connection = &mut self.connections[at];
        if connection.state != State::Established {
            self.unexpected(at, "ROUTE-REFRESH", now);
            return;
        }
        let RouteRefreshMessage { family, kind } = refresh;
        let negotiated = connection.negotiated.as_deref();
        let (known, marked) = negotiated.map_or((false, false), |negotiated| {
            (
                negotiated.families.contains(family),
                negotiated.enhanced_refresh,
            )
        });
        let under_way = connection.refreshing.contains(&family);
        let ignored = |because| Output::RefreshIgnored { refresh, because };
        self.outputs.push_back(match kind {
            RefreshKind::Unknown(_) => ignored("the subtype is not known"),
            _ if !known => ignored("the family was not negotiated"),
            RefreshKind::Request => Output::RouteRefresh(family),
            _ if !marked => ignored("enhanced route refresh was not negotiated"),
            RefreshKind::End if !under_way => ignored("no BoRR came before"),
            RefreshKind::End => {
                connection.refreshing.retain(|other| *other != family);
                Output::EndOfRefresh(family)
            }
            RefreshKind::Begin => {
                if !under_way {
                    connection.refreshing.push(family);
                }
                Output::BeginOfRefresh(family)
            }
        });
    }

    /// RFC 4271 section 6.6, with the subcodes of RFC 6608.
    pub(super) fn unexpected(&mut self, at: usize, message: &'static str, now: Instant) {
        let state = self.connections[at].state;
        let farewell = unexpected_message(state);
        let reason = DownReason::UnexpectedMessage { message, state };
        self.end(at, Some(farewell), reason, now);
    }

    /// Event 10.
    pub(super) fn hold_expired(&mut self, at: usize, now: Instant) {
        let connection = &self.connections[at];
        let limit = connection.timers.hold_time;
        let reason = match connection.state {
            State::Connect => DownReason::ConnectTimeout(limit),
            State::OpenConfirm => DownReason::NoKeepalive(limit),
            State::Established => DownReason::HoldTimerExpired(limit),
            _ => DownReason::NoOpen(limit),
        };
        let farewell = (connection.state != State::Connect).then(notification::hold_timer_expired);
        self.end(at, farewell, reason, now);
    }
}

/// A message that has no place in `state`.
fn unexpected_message(state: State) -> NotificationMessage {
    notification::fsm_error(match state {
        State::OpenSent => notification::fsm::UNEXPECTED_IN_OPEN_SENT,
        State::OpenConfirm => notification::fsm::UNEXPECTED_IN_OPEN_CONFIRM,
        State::Established => notification::fsm::UNEXPECTED_IN_ESTABLISHED,
        State::Idle | State::Connect | State::Active => notification::fsm::UNSPECIFIC,
    })
}
