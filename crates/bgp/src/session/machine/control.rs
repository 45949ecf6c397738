//! What operators and the shell want of the session.

use chanter_types::Instant;

use super::{Held, Session};
use crate::Family;
use crate::session::change::SessionChange;
use crate::session::config::SessionConfig;
use crate::session::event::{CloseCause, ControlMessage, Hold, Output, State, StopMode};
use crate::session::reason::DownReason;
use crate::{RouteRefreshMessage, notification};

impl Session {
    pub(super) fn start(&mut self, now: Instant) {
        if !self.started {
            self.started = true;
            self.rejects = false;
            self.connect(now);
        } else if self.held.is_some() {
            self.release(now);
        }
    }

    /// The hold of a started session ends.
    pub(super) fn release(&mut self, now: Instant) {
        self.held = None;
        self.damping.reset();
        self.connect(now);
    }

    pub(super) fn stop(&mut self, mode: &StopMode, now: Instant) {
        self.started = false;
        self.held = None;
        self.rejects = *mode != StopMode::Silent;
        self.forget_failures();
        let farewell = match mode {
            StopMode::Silent => None,
            StopMode::Cease { text } => Some(notification::administrative_shutdown(text)),
            StopMode::Deconfigured => {
                Some(notification::cease(notification::cease::PEER_DECONFIGURED))
            }
        };
        self.end_all(farewell.as_ref(), &DownReason::Stopped, now);
    }

    pub(super) fn reset(&mut self, text: &str, now: Instant) {
        if !self.started {
            return;
        }
        if self.held.is_some() {
            return self.release(now);
        }
        let farewell = notification::administrative_reset(text);
        self.restart(&farewell, &DownReason::Reset, now);
    }

    pub(super) fn close_for(&mut self, cause: &CloseCause, hold: Hold, now: Instant) {
        if !self.is_running() {
            return;
        }
        let reason = DownReason::Ceased {
            sent: cause.notification(),
            detail: cause.to_string(),
        };
        let until = match hold {
            Hold::No => None,
            Hold::For(time) => Some(Some(now + time)),
            Hold::UntilStarted => Some(None),
        };
        // Before the end, so that it finds a session that does not go on.
        self.held = until.map(|until| Held {
            because: reason.clone(),
            until,
        });
        if self.held.is_some() {
            self.connect_retry_at = None;
        }
        self.end_all(Some(&cause.notification()), &reason, now);
    }

    pub(super) fn configure(&mut self, new: SessionConfig, now: Instant) {
        let change = self.config.change(&new);
        if new.times != self.config.times {
            self.damping.configure(&new.times);
        }
        self.config = new;
        if !self.is_running() {
            return;
        }
        match change {
            SessionChange::Nothing => {}
            SessionChange::Reset { because } => {
                let cause = CloseCause::ConfigurationChange { because };
                let reason = DownReason::Ceased {
                    sent: cause.notification(),
                    detail: cause.to_string(),
                };
                self.restart(&cause.notification(), &reason, now);
            }
            SessionChange::Apply => self.apply(now),
        }
    }

    /// What was configured is for the next OPEN; one that was sent and is not agreed on yet is taken
    /// back.
    fn apply(&mut self, now: Instant) {
        let under_way = |state| matches!(state, State::OpenSent | State::OpenConfirm);
        while let Some(at) = self.position(|connection| under_way(connection.state)) {
            let cause = CloseCause::ConfigurationChange {
                because: "its OPEN was on the way".to_owned(),
            };
            let reason = DownReason::Ceased {
                sent: cause.notification(),
                detail: cause.to_string(),
            };
            self.end(at, Some(cause.notification()), reason, now);
        }
        if self.config.passive {
            self.connect_retry_at = None;
            if let Some(at) = self.position(|connection| connection.state == State::Connect) {
                let connecting = self.connections.remove(at);
                self.outputs.push_back(Output::Close(connecting.id));
            }
        } else if self.connections.is_empty() && self.connect_retry_at.is_none() {
            self.connect(now);
        }
    }

    /// Ends what there is and tries again soon.
    fn restart(
        &mut self,
        farewell: &crate::NotificationMessage,
        reason: &DownReason,
        now: Instant,
    ) {
        self.forget_failures();
        if self.connections.is_empty() {
            self.connect(now);
        } else {
            self.end_all(Some(farewell), reason, now);
        }
    }

    fn forget_failures(&mut self) {
        self.connect_retry_at = None;
        self.rejects_until = None;
        self.damping.reset();
    }

    /// Asks the peer for its routes of a family again.
    pub(super) fn ask_refresh(&mut self, family: Family) {
        let Some(at) = self.position(|connection| connection.state == State::Established) else {
            return;
        };
        let negotiated = self.connections[at].negotiated.as_deref();
        let (known, understood) = negotiated.map_or((false, false), |negotiated| {
            (
                negotiated.families.contains(family),
                negotiated.route_refresh,
            )
        });
        if known && understood {
            let request = RouteRefreshMessage::request(family);
            self.send(at, ControlMessage::RouteRefresh(request));
        } else if known {
            self.outputs.push_back(Output::RefreshNotUnderstood(family));
        }
    }
}
