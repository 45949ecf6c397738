//! The speaker's peers as the API shows them.

use chanter_api::{MessageCounts, PeerSession};
use chanter_speaker::PeerStatus;
use chanter_types::Asn;

/// A peer's session as the API shows it; `local_as` where the session itself has none yet.
pub(super) fn session(status: PeerStatus, local_as: Asn) -> PeerSession {
    PeerSession {
        peer: status.peer,
        addr: status.addr,
        local_addr: status.local_addr,
        remote_as: status.remote_as,
        local_as: status.local_as.unwrap_or(local_as),
        router_id: status.router_id,
        state: status.state.to_string(),
        previous_state: Some(status.previous_state.to_string()),
        since: status.since,
        hold_time: status.hold_time,
        families: status.families,
        received: counts(status.received),
        sent: counts(status.sent),
        last_error: status.last_error,
        dynamic: status.dynamic,
        flaps: status.flaps,
        description: status.description,
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
