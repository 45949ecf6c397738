//! Our OPEN: what we say of ourselves.

use std::time::Duration;

use chanter_types::{Asn, Instant};

use super::config::{LocalAs, RestartConfig, SessionConfig};
use crate::{
    Capability, ExtendedNextHop, FamilySet, GracefulRestart, LongLivedFamily, OpenMessage,
};

/// Our OPEN.
pub(super) fn own_open(
    config: &SessionConfig,
    local_as: Asn,
    was_established: bool,
    now: Instant,
) -> OpenMessage {
    let offers = &config.offers;
    let families = config.families.iter();
    let mut capabilities: Vec<_> = families.map(Capability::MultiProtocol).collect();
    capabilities.push(Capability::RouteRefresh);
    if offers.enhanced_refresh {
        capabilities.push(Capability::EnhancedRouteRefresh);
    }
    capabilities.push(Capability::FourOctetAs(local_as));
    if offers.extended_message {
        capabilities.push(Capability::ExtendedMessage);
    }
    capabilities.extend(next_hops(config));
    capabilities.extend(add_path(config));
    if let Some(role) = offers.role.filter(|_| may_be_external(config, local_as)) {
        capabilities.push(Capability::Role(role));
    }
    if let Some(restart) = &config.graceful_restart {
        let restart = own_restart(restart, &config.families, was_established, now);
        let preserved = restart.families.iter().any(|(_, preserved)| *preserved);
        capabilities.push(Capability::GracefulRestart(restart));
        capabilities.extend(long_lived(config, preserved));
    }
    let hostname = offers.hostname.clone();
    capabilities.extend(hostname.map(Capability::Hostname));
    OpenMessage {
        asn: local_as,
        hold_time: seconds(config.hold_time),
        router_id: config.router_id,
        capabilities,
    }
}

/// Whether the peer is not known to be in our AS, where roles have no meaning (RFC 9234 section 3).
fn may_be_external(config: &SessionConfig, local_as: Asn) -> bool {
    config.local_as != LocalAs::MirrorPeer && config.remote_as != Some(local_as)
}

fn next_hops(config: &SessionConfig) -> Option<Capability> {
    let families = config.offers.extended_next_hop.iter();
    let list: Vec<_> = families
        .filter(|family| config.families.contains(*family))
        .map(|family| ExtendedNextHop {
            family,
            next_hop_afi: ExtendedNextHop::IPV6,
        })
        .collect();
    (!list.is_empty()).then_some(Capability::ExtendedNextHop(list))
}

fn add_path(config: &SessionConfig) -> Option<Capability> {
    let list = config.offers.add_path.iter();
    let list: Vec<_> = list
        .filter(|(family, _)| config.families.contains(*family))
        .copied()
        .collect();
    (!list.is_empty()).then_some(Capability::AddPath(list))
}

fn long_lived(config: &SessionConfig, preserved: bool) -> Option<Capability> {
    let list = config.offers.long_lived.iter();
    let list: Vec<_> = list
        .filter(|(family, _)| config.families.contains(*family))
        .map(|&(family, time)| LongLivedFamily {
            family,
            time,
            preserved,
        })
        .collect();
    (!list.is_empty()).then_some(Capability::LongLivedGracefulRestart(list))
}

fn own_restart(
    config: &RestartConfig,
    families: &FamilySet,
    was_established: bool,
    now: Instant,
) -> GracefulRestart {
    let until = config.restarting_until;
    // What was programmed outlives the session, and where we adopted it also the process.
    let preserved = until.is_some() || was_established;
    GracefulRestart {
        // RFC 4724 section 3: only after a restart, and once peers know of it no more.
        restarting: !was_established && until.is_some_and(|until| now < until),
        notification: config.notification,
        restart_time: seconds(config.restart_time).min(GracefulRestart::RESTART_TIME_MAX),
        families: families.iter().map(|family| (family, preserved)).collect(),
    }
}

pub(super) fn seconds(duration: Duration) -> u16 {
    u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
}
