//! What the operator sees of a peer: its status and its log lines.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chanter_bfd::BfdState;
use chanter_bgp::session::{ConnectionId, Down, DownReason, LocalAs, Negotiated, Session, State};
use chanter_bgp::{FamilySet, OpenMessage};
use chanter_driver::Clock;
use chanter_engine::PeerId;
use chanter_types::Instant;
use tracing::{debug, info, warn};

use crate::settings::PeerSettings;
use crate::status::{LastDown, MessageCounts, NegotiatedStatus, PeerStatus};
use crate::{PeerAddr, PeerOptions, Ttl};

/// How often the log says again that a peer still cannot be reached.
const REMIND_AFTER: Duration = Duration::from_secs(600);

/// What is shown of a peer that has just been made.
pub(crate) fn first_status(id: PeerId, settings: &PeerSettings, clock: Clock) -> PeerStatus {
    let options = &settings.options;
    PeerStatus {
        peer: id,
        name: settings.name.clone(),
        addr: settings.name.ip().unwrap_or(Ipv6Addr::UNSPECIFIED.into()),
        local_addr: options.local_addr,
        endpoints: None,
        remote_as: settings.session.remote_as,
        remote_as_wanted: options.remote_as,
        local_as: own_as(settings),
        router_id: None,
        hostname: None,
        state: State::Idle,
        previous_state: State::Idle,
        since: clock.time_of_day(clock.now()),
        held: None,
        held_until: None,
        hold_time: None,
        keepalive_time: None,
        families: Vec::new(),
        negotiated: None,
        capabilities: Vec::new(),
        own_capabilities: Vec::new(),
        received: MessageCounts::default(),
        sent: MessageCounts::default(),
        last_error: None,
        last_down: None,
        next_attempt: None,
        dynamic: settings.dynamic,
        passive: settings.session.passive,
        established: 0,
        flaps: 0,
        auth: options.auth.name(),
        ttl: options.ttl,
        bfd: None,
        description: options.description.clone(),
    }
}

/// What the operator sees of a peer.
pub(super) struct Report {
    name: PeerAddr,
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
            name: settings.name.clone(),
            dynamic: settings.dynamic,
            clock,
            shown,
            told: None,
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
        }
    }

    /// Shows where the session stands; `hold`: why it is stopped though the session itself has
    /// nothing against it.
    pub(super) fn update(&self, session: &Session, hold: Option<String>, bfd: Option<BfdState>) {
        self.show(|status| {
            status.state = session.state();
            status.previous_state = session.previous_state();
            status.since = self.clock.time_of_day(session.state_since());
            let time = |at: Option<Instant>| at.map(|at| self.clock.time_of_day(at));
            status.next_attempt = time(session.retry_at());
            status.held = hold.or_else(|| session.held().map(ToString::to_string));
            status.held_until = time(session.idle_until());
            status.bfd = bfd;
            status.received = self.received;
            status.sent = self.sent;
        });
    }

    /// Other settings hold.
    pub(super) fn settings(&self, settings: &PeerSettings) {
        let options = &settings.options;
        self.show(|status| {
            status.remote_as_wanted = options.remote_as;
            status.passive = settings.session.passive;
            status.auth = options.auth.name();
            status.ttl = options.ttl;
            status.description.clone_from(&options.description);
            if status.hold_time.is_none() {
                status.local_addr = options.local_addr;
                status.remote_as = settings.session.remote_as;
                status.local_as = own_as(settings);
            }
        });
    }

    /// The address of a peer that is known by its link.
    pub(super) fn found(&self, remote: SocketAddr) {
        let name = &self.name;
        if matches!(name, PeerAddr::Interface(_)) {
            info!(peer = %name, "peer on {name} is {}", remote.ip());
        }
        self.show(|status| status.addr = remote.ip());
    }

    /// `addrs`: ours, the peer's.
    pub(super) fn up(
        &mut self,
        settings: &PeerSettings,
        addrs: (SocketAddr, SocketAddr),
        negotiated: &Negotiated,
        own_open: Option<&OpenMessage>,
    ) {
        self.told = None;
        self.show(|status| {
            status.addr = addrs.1.ip();
            status.local_addr = Some(addrs.0.ip());
            status.endpoints = Some(addrs);
            status.established += 1;
            status.remote_as = Some(negotiated.peer_as);
            status.local_as = Some(negotiated.local_as);
            status.router_id = Some(negotiated.peer_router_id);
            status.hostname.clone_from(&negotiated.peer_hostname);
            let hold_time = negotiated.hold_time;
            status.hold_time = Some(hold_time);
            status.keepalive_time = (!hold_time.is_zero()).then(|| hold_time / 3);
            status.families = negotiated.families.iter().collect();
            status.negotiated = Some(shown(negotiated));
            status
                .capabilities
                .clone_from(&negotiated.peer_capabilities);
            if let Some(open) = own_open {
                status.own_capabilities.clone_from(&open.capabilities);
            }
        });
        self.tell_up(settings, addrs.1.ip(), negotiated);
    }

    fn tell_up(&self, settings: &PeerSettings, addr: IpAddr, negotiated: &Negotiated) {
        let ours = settings.session.families.iter();
        let missed: FamilySet = ours
            .filter(|family| !negotiated.families.contains(*family))
            .collect();
        let missed = if missed.is_empty() {
            String::new()
        } else {
            format!(", without {} that the peer does not offer", listed(&missed))
        };
        let name = &self.name;
        let place = match name {
            PeerAddr::Interface(_) => format!(" ({addr})"),
            _ => String::new(),
        };
        info!(
            peer = %name,
            "session with peer {name}{place} is up: AS {}, identifier {}, hold time {} s, {}{missed}",
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
            status.keepalive_time = None;
            status.endpoints = None;
            status.negotiated = None;
            status.families.clear();
            status.last_error = Some(reason.clone());
            status.last_down = Some(LastDown {
                at: self.clock.time_of_day(self.clock.now()),
                reason: reason.clone(),
                name: down.reason.name(),
            });
        });
        let kept = if down.retain.is_empty() {
            String::new()
        } else {
            let seconds = down.retain_time.as_secs();
            format!("; its routes are kept for up to {seconds} s")
        };
        let next = self.next(down.retry_in, &down.reason);
        let name = &self.name;
        if matches!(down.reason, DownReason::Stopped | DownReason::Reset) {
            info!(peer = %name, "session with peer {name} is down: {reason}{kept}{next}");
        } else {
            warn!(peer = %name, "session with peer {name} is down: {reason}{kept}{next}");
        }
    }

    /// An attempt failed. The log tells of each reason once, and from time to time again, if there
    /// may be a `line`; what is in it comes at the end.
    pub(super) fn attempt_failed(
        &mut self,
        reason: &DownReason,
        retry_in: Option<Duration>,
        options: &PeerOptions,
        line: impl FnOnce() -> Option<String>,
    ) {
        let next = self.next(retry_in, reason);
        let text = format!("{reason}{}", doubt(reason, options));
        let name = &self.name;
        if matches!(reason, DownReason::Stopped | DownReason::Reset) {
            debug!(peer = %name, "attempt at a session with peer {name} ended: {text}{next}");
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
            warn!(peer = %name, "no session with peer {name}: {text}{next}{more}");
            self.told = Some((text, now));
        } else {
            debug!(peer = %name, "no session with peer {name}: {text}{next}");
        }
    }

    /// A connection came from beyond what GTSM allows; the log may tell of it in a `line`.
    pub(super) fn too_far(&self, ttl: u8, least: u8, line: Option<String>) {
        let name = &self.name;
        let text = format!(
            "a connection arrived with TTL {ttl}, and GTSM wants at least {least}: the peer is \
             without GTSM, too far away, or somebody else"
        );
        if let Some(more) = line {
            warn!(peer = %name, "no session with peer {name}: {text}{more}");
        }
        self.show(|status| status.last_error = Some(text));
    }

    pub(super) fn collision_lost(&self, id: ConnectionId) {
        let name = &self.name;
        debug!(peer = %name, "{id} of peer {name} closed in favour of another one");
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
            (None, DownReason::Ceased { .. }) => String::new(),
            (None, _) if self.dynamic => String::new(),
            (None, _) => "; waiting for the peer to connect".to_owned(),
        }
    }

    fn show(&self, change: impl FnOnce(&mut PeerStatus)) {
        // Nothing that holds the lock can panic halfway.
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// TCP drops segments whose signature is wrong or missing without a word (RFC 2385 section 2, RFC
/// 5925 section 7.3), and those that come from too far (RFC 5082): all that shows is silence.
fn doubt(reason: &DownReason, options: &PeerOptions) -> String {
    let mut causes = Vec::new();
    let connects = matches!(reason, DownReason::ConnectTimeout(_));
    if let Some(name) = options.auth.name().filter(|_| connects) {
        causes.push(format!(
            "{name} is on, and the peer may have another key or none"
        ));
    }
    let is_silence = connects || matches!(reason, DownReason::NoOpen(_));
    if let Ttl::Security { hops } = options.ttl
        && is_silence
    {
        causes.push(format!(
            "GTSM is on, and the peer may be without it or farther than {} hops away",
            hops.max(1)
        ));
    }
    if causes.is_empty() {
        return String::new();
    }
    format!(" ({})", causes.join("; "))
}

fn shown(negotiated: &Negotiated) -> NegotiatedStatus {
    let restart = negotiated.peer_restart.as_ref();
    NegotiatedStatus {
        four_octet_as: negotiated.four_octet_as,
        route_refresh: negotiated.route_refresh,
        enhanced_refresh: negotiated.enhanced_refresh,
        message_len_max: negotiated.message_len_max,
        add_path_receive: negotiated.add_path_receive.iter().collect(),
        add_path_send: negotiated.add_path_send.iter().collect(),
        extended_next_hop: negotiated.extended_next_hop.iter().collect(),
        restart_time: restart.map(|restart| restart.restart_time),
        restart_on_notification: restart.is_some_and(|restart| restart.notification),
        long_lived: negotiated.peer_long_lived.clone(),
        peer_role: negotiated.peer_role,
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
