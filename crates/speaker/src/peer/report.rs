//! What the operator sees of a peer: its status and its log lines.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chanter_bgp::FamilySet;
use chanter_bgp::session::{ConnectionId, Down, DownReason, LocalAs, Negotiated, Session, State};
use chanter_driver::Clock;
use chanter_engine::PeerId;
use chanter_types::Instant;
use tracing::{debug, info, warn};

use crate::config::PeerSettings;
use crate::status::{MessageCounts, PeerStatus};

/// How often the log says again that a peer still cannot be reached.
const REMIND_AFTER: Duration = Duration::from_secs(600);

/// What is shown of a peer that has just been made.
pub(crate) fn first_status(id: PeerId, settings: &PeerSettings, clock: Clock) -> PeerStatus {
    PeerStatus {
        peer: id,
        addr: settings.addr,
        local_addr: settings.local_addr,
        remote_as: settings.session.remote_as,
        local_as: own_as(settings),
        router_id: None,
        state: State::Idle,
        previous_state: State::Idle,
        since: clock.time_of_day(clock.now()),
        hold_time: None,
        families: Vec::new(),
        capabilities: Vec::new(),
        received: MessageCounts::default(),
        sent: MessageCounts::default(),
        last_error: None,
        next_attempt: None,
        dynamic: settings.dynamic,
        flaps: 0,
        description: settings.description.clone(),
    }
}

/// What the operator sees of a peer.
pub(super) struct Report {
    addr: IpAddr,
    dynamic: bool,
    clock: Clock,
    shown: Arc<Mutex<PeerStatus>>,
    /// The failure that the log told last, and when.
    told: Option<(String, Instant)>,
    pub(super) received: MessageCounts,
    pub(super) sent: MessageCounts,
}

impl Report {
    pub(super) fn new(
        shown: Arc<Mutex<PeerStatus>>,
        settings: &PeerSettings,
        clock: Clock,
    ) -> Self {
        Self {
            addr: settings.addr,
            dynamic: settings.dynamic,
            clock,
            shown,
            told: None,
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
        }
    }

    /// Shows where the session stands.
    pub(super) fn update(&self, session: &Session) {
        self.show(|status| {
            status.state = session.state();
            status.previous_state = session.previous_state();
            status.since = self.clock.time_of_day(session.state_since());
            let retry_at = session.retry_at();
            status.next_attempt = retry_at.map(|at| self.clock.time_of_day(at));
            status.received = self.received;
            status.sent = self.sent;
        });
    }

    pub(super) fn up(
        &mut self,
        settings: &PeerSettings,
        local_addr: IpAddr,
        negotiated: &Negotiated,
    ) {
        self.told = None;
        self.show(|status| {
            status.local_addr = Some(local_addr);
            status.remote_as = Some(negotiated.peer_as);
            status.local_as = Some(negotiated.local_as);
            status.router_id = Some(negotiated.peer_router_id);
            status.hold_time = Some(negotiated.hold_time);
            status.families = negotiated.families.iter().collect();
            status
                .capabilities
                .clone_from(&negotiated.peer_capabilities);
        });
        let ours = settings.session.families.iter();
        let missed: FamilySet = ours
            .filter(|family| !negotiated.families.contains(*family))
            .collect();
        let missed = if missed.is_empty() {
            String::new()
        } else {
            format!(", without {} that the peer does not offer", listed(&missed))
        };
        info!(
            peer = %self.addr,
            "session with peer {} is up: AS {}, identifier {}, hold time {} s, {}{missed}",
            self.addr,
            negotiated.peer_as,
            negotiated.peer_router_id,
            negotiated.hold_time.as_secs(),
            listed(&negotiated.families),
        );
    }

    pub(super) fn down(&mut self, down: &Down) {
        let reason = down.reason.to_string();
        self.show(|status| {
            status.flaps += 1;
            status.hold_time = None;
            status.families.clear();
            status.last_error = Some(reason.clone());
        });
        let kept = if down.retain.is_empty() {
            String::new()
        } else {
            let seconds = down.restart_time.as_secs();
            format!("; its routes are kept for up to {seconds} s")
        };
        let next = self.next(down.retry_in, &down.reason);
        let addr = self.addr;
        if matches!(down.reason, DownReason::Stopped | DownReason::Reset) {
            info!(peer = %addr, "session with peer {addr} is down: {reason}{kept}{next}");
        } else {
            warn!(peer = %addr, "session with peer {addr} is down: {reason}{kept}{next}");
        }
    }

    /// An attempt failed. The log tells of each reason once, and from time to time again, if there
    /// may be a `line`; what is in it comes at the end.
    pub(super) fn attempt_failed(
        &mut self,
        reason: &DownReason,
        retry_in: Option<Duration>,
        line: impl FnOnce() -> Option<String>,
    ) {
        let next = self.next(retry_in, reason);
        let text = reason.to_string();
        let addr = self.addr;
        if matches!(reason, DownReason::Stopped | DownReason::Reset) {
            debug!(peer = %addr, "attempt at a session with peer {addr} ended: {text}{next}");
            return;
        }
        self.show(|status| status.last_error = Some(text.clone()));
        let now = self.clock.now();
        let is_told = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| *told == text && now.saturating_since(*at) < REMIND_AFTER);
        let line = if is_told { None } else { line() };
        if let Some(more) = line {
            warn!(peer = %addr, "no session with peer {addr}: {text}{next}{more}");
            self.told = Some((text, now));
        } else {
            debug!(peer = %addr, "no session with peer {addr}: {text}{next}");
        }
    }

    pub(super) fn collision_lost(&self, id: ConnectionId) {
        let addr = self.addr;
        debug!(peer = %addr, "{id} of peer {addr} closed in favour of another one");
    }

    /// The last words on a connection were said.
    pub(super) fn sent_farewell(&mut self, counts: Option<MessageCounts>) {
        if let Some(counts) = counts {
            self.sent.add(counts);
        }
    }

    /// What comes next, as the end of a line.
    fn next(&self, retry_in: Option<Duration>, reason: &DownReason) -> String {
        match (retry_in, reason) {
            (Some(wait), _) => format!("; trying again in {:.1} s", wait.as_secs_f64()),
            (None, DownReason::Stopped | DownReason::PeerReconnected) => String::new(),
            (None, _) if self.dynamic => String::new(),
            (None, _) => "; waiting for the peer to connect".to_owned(),
        }
    }

    fn show(&self, change: impl FnOnce(&mut PeerStatus)) {
        // Nothing that holds the lock can panic halfway.
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn own_as(settings: &PeerSettings) -> Option<chanter_types::Asn> {
    match settings.session.local_as {
        LocalAs::Fixed(asn) => Some(asn),
        LocalAs::MirrorPeer => None,
    }
}

fn listed(families: &FamilySet) -> String {
    let names: Vec<_> = families.iter().map(|family| family.to_string()).collect();
    names.join(" ")
}
