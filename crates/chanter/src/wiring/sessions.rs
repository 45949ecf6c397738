//! The speaker's peers as the API shows them.

use std::time::SystemTime;

use chanter_api::dto::{
    Direction, Negotiated, PeerDetail, PeerDown, PeerPolicy as ShownPolicy, PrefixLimit,
};
use chanter_api::{MessageCounts, PeerSession};
use chanter_bgp::session::State;
use chanter_policy::{AllowAsIn, LimitAction, PeerPolicy};
use chanter_speaker::{NegotiatedStatus, PeerStatus, RemoteAs, Ttl};
use chanter_types::Asn;
use jiff::Timestamp;

/// A peer's session as the API shows it; `local_as` where the session itself has none yet.
pub(super) fn session(status: PeerStatus, local_as: Asn, policy: &PeerPolicy) -> PeerSession {
    let local_as = status.local_as.unwrap_or(local_as);
    let ebgp = match (status.remote_as, status.remote_as_wanted) {
        (Some(remote_as), _) => remote_as != local_as,
        (None, wanted) => wanted == RemoteAs::External,
    };
    let detail = detail(&status, policy, ebgp);
    let held = status.held.map(|held| match status.held_until {
        Some(until) => format!("{held}, until {}", time(until)),
        None => held,
    });
    let last_error = status.last_down.map(|down| down.reason);
    // What kept an earlier attempt from it is of no interest once it is up.
    let attempt_error = status
        .last_error
        .filter(|error| status.state != State::Established && last_error.as_ref() != Some(error));
    let lacks = [
        (policy.lacks_import(ebgp), Direction::In),
        (policy.lacks_export(ebgp), Direction::Out),
    ];
    let lacks = lacks.into_iter().filter(|(lacks, _)| *lacks);
    PeerSession {
        peer: status.peer,
        name: status.name.to_string(),
        addr: status.addr,
        hostname: status.hostname,
        local_addr: status.local_addr,
        remote_as: status.remote_as,
        local_as,
        router_id: status.router_id,
        state: status.state.to_string(),
        previous_state: Some(status.previous_state.to_string()),
        since: status.since,
        hold_time: status.hold_time,
        families: status.families,
        received: counts(status.received),
        sent: counts(status.sent),
        held,
        without_policy: lacks.map(|(_, direction)| direction).collect(),
        last_error,
        attempt_error,
        dynamic: status.dynamic,
        flaps: status.flaps,
        description: status.description,
        detail,
    }
}

fn detail(status: &PeerStatus, policy: &PeerPolicy, ebgp: bool) -> PeerDetail {
    let last_down = status.last_down.as_ref().map(|down| PeerDown {
        at: time(down.at),
        reason: down.reason.clone(),
    });
    PeerDetail {
        local_endpoint: status.endpoints.map(|(local, _)| local.to_string()),
        remote_endpoint: status.endpoints.map(|(_, remote)| remote.to_string()),
        remote_as_wanted: status.remote_as_wanted.to_string(),
        passive: status.passive,
        keepalive_secs: status.keepalive_time.map(|time| time.as_secs()),
        established: status.established,
        last_down,
        next_attempt: status.next_attempt.map(time),
        capabilities_sent: texts(&status.own_capabilities),
        capabilities_received: texts(&status.capabilities),
        negotiated: status.negotiated.as_ref().map(negotiated),
        auth: status.auth.map(str::to_owned),
        ttl: ttl(status.ttl, ebgp),
        bfd: status.bfd.map(|state| state.to_string()),
        policy: shown_policy(policy),
    }
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn time(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn ttl(ttl: Ttl, ebgp: bool) -> String {
    match ttl {
        Ttl::Auto if ebgp => "1 hop, as it is in another AS".to_owned(),
        Ttl::Auto => "any".to_owned(),
        Ttl::MultiHop(hops) => format!("up to {hops} hops"),
        Ttl::Security { hops } => format!("at most {} by GTSM (RFC 5082)", hops_text(hops.max(1))),
    }
}

fn hops_text(hops: u8) -> String {
    match hops {
        1 => "1 hop".to_owned(),
        hops => format!("{hops} hops"),
    }
}

fn negotiated(status: &NegotiatedStatus) -> Negotiated {
    Negotiated {
        four_octet_as: status.four_octet_as,
        route_refresh: status.route_refresh,
        enhanced_refresh: status.enhanced_refresh,
        message_len_max: status.message_len_max,
        add_path_receive: texts(&status.add_path_receive),
        add_path_send: texts(&status.add_path_send),
        extended_next_hop: texts(&status.extended_next_hop),
        restart_secs: status.restart_time.map(|time| time.as_secs()),
        restart_on_notification: status.restart_on_notification,
        long_lived: texts(&status.long_lived),
        peer_role: status.peer_role.map(|role| role.to_string()),
    }
}

fn shown_policy(policy: &PeerPolicy) -> ShownPolicy {
    let allow_as_in = match policy.allow_as_in {
        AllowAsIn::Never => None,
        AllowAsIn::Times(times) => Some(format!("allow-as-in {times}")),
        AllowAsIn::OwnOrigin => Some("allow-as-in origin".to_owned()),
    };
    let flags = [
        (policy.next_hop_self, "next-hop-self"),
        (policy.next_hop_unchanged, "next-hop-unchanged"),
        (policy.remove_private_as, "remove-private-as"),
        (policy.graceful_shutdown, "graceful-shutdown"),
    ];
    let flags = flags.into_iter().filter(|(on, _)| *on);
    let flags = flags.map(|(_, name)| name.to_owned());
    let limits = policy
        .max_prefixes
        .iter()
        .map(|(family, limit)| PrefixLimit {
            family: family.to_string(),
            limit: limit.limit,
            warn_percent: limit.warn_percent,
            action: match limit.action {
                LimitAction::Warn => "warn".to_owned(),
                LimitAction::Close { restart: None } => "close".to_owned(),
                LimitAction::Close {
                    restart: Some(time),
                } => format!("close, restart after {} s", time.as_secs()),
            },
        });
    ShownPolicy {
        import: policy
            .import
            .as_ref()
            .map(|policy| policy.name().to_owned()),
        export: policy
            .export
            .as_ref()
            .map(|policy| policy.name().to_owned()),
        options: allow_as_in.into_iter().chain(flags).collect(),
        max_prefixes: limits.collect(),
    }
}

fn counts(counts: chanter_speaker::MessageCounts) -> MessageCounts {
    MessageCounts {
        open: counts.open,
        update: counts.update,
        notification: counts.notification,
        keepalive: counts.keepalive,
        route_refresh: counts.route_refresh,
    }
}
