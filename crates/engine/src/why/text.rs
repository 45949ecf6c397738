//! The lines of an explanation.

use std::net::IpAddr;

use chanter_types::MacAddr;

use crate::desired::DesiredValue;
use crate::view::{PathSource, PathView, RouteView, WhyStage, WhyStep};
use crate::vpn::{MacEntry, RemoteMac};

pub(super) fn step(stage: WhyStage, text: impl Into<String>) -> WhyStep {
    WhyStep {
        stage,
        since: None,
        text: text.into(),
        rejected: Vec::new(),
    }
}

/// A list as people write it; `None` if it is empty.
pub(super) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> Option<String> {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    (!items.is_empty()).then(|| items.join(", "))
}

pub(super) fn rib_step(route: &RouteView) -> WhyStep {
    let mut rejected = Vec::new();
    for path in route.paths.iter().skip(1) {
        let reason = path.lost_because.as_deref().unwrap_or("it is not the best");
        rejected.push(format!("path from {}: {reason}", path_text(path)));
    }
    let best = route.paths.first();
    let text = match best {
        Some(path) => {
            let stale = if path.stale { ", stale" } else { "" };
            format!(
                "{} from {}{stale}: {}",
                route.nlri,
                path_text(path),
                path.attributes
            )
        }
        None => format!("{} has no path", route.nlri),
    };
    WhyStep {
        stage: WhyStage::Rib,
        since: best.map(|path| path.since),
        text,
        rejected,
    }
}

/// Where a path came from, and which of several it is (RFC 7911).
fn path_text(path: &PathView) -> String {
    let source = source_text(&path.source);
    match path.data.path_id {
        0 => source,
        id => format!("{source} path id {id}"),
    }
}

pub(super) fn source_text(source: &PathSource) -> String {
    match source {
        PathSource::Peer { addr, .. } => format!("peer {addr}"),
        PathSource::Instance(id) => format!("instance {id}"),
        PathSource::Local => "this node".to_owned(),
    }
}

pub(super) fn remote_text(mac: MacAddr, remote: &RemoteMac) -> String {
    let RemoteMac {
        vtep,
        vni,
        sequence,
        ..
    } = remote;
    let sticky = if remote.sticky { ", sticky" } else { "" };
    let assumed = if remote.assumed {
        ", VXLAN assumed as no encapsulation is told"
    } else {
        ""
    };
    format!("{mac} is at VTEP {vtep} VNI {vni}, sequence {sequence}{sticky}{assumed}")
}

/// Why a route lost against a better one of the same MAC.
pub(super) fn loss(lost: &RemoteMac, best: &RemoteMac) -> String {
    if best.sticky && !lost.sticky {
        "the other is sticky".to_owned()
    } else if lost.sequence != best.sequence {
        format!("sequence {} is lower than {}", lost.sequence, best.sequence)
    } else if lost.local_pref != best.local_pref {
        format!(
            "LOCAL_PREF {} is lower than {}",
            lost.local_pref, best.local_pref
        )
    } else if lost.vtep != best.vtep {
        format!("VTEP {} is higher than {}", lost.vtep, best.vtep)
    } else {
        "another route of the same VTEP".to_owned()
    }
}

/// Why the best route lost against local attachments.
pub(super) fn local_loss(entry: &MacEntry, remote: &RemoteMac, own: IpAddr) -> String {
    let reason = if entry.local_sticky() && !remote.sticky {
        "the local MAC is sticky".to_owned()
    } else if entry.sequence != remote.sequence {
        format!(
            "sequence {} is lower than {}",
            remote.sequence, entry.sequence
        )
    } else {
        format!("VTEP {} is higher than the own {own}", remote.vtep)
    };
    format!("VTEP {}: {reason}", remote.vtep)
}

/// Why local attachments lost against the best route.
pub(super) fn remote_win(entry: &MacEntry, remote: &RemoteMac, own: IpAddr) -> String {
    if remote.sticky && !entry.local_sticky() {
        "the route is sticky".to_owned()
    } else if entry.sequence != remote.sequence {
        format!(
            "sequence {} is lower than {}",
            entry.sequence, remote.sequence
        )
    } else {
        format!("the own VTEP {own} is higher than {}", remote.vtep)
    }
}

pub(super) fn value_text(value: &DesiredValue) -> String {
    match value {
        DesiredValue::Domain(domain) => format!(" VNI {} VTEP {}", domain.vni, domain.vtep),
        DesiredValue::Port { vlan: Some(vlan) } => format!(" VLAN {vlan}"),
        DesiredValue::Port { vlan: None } => String::new(),
        DesiredValue::LocalMac { port } => format!(" at port {port}"),
        DesiredValue::Flood { vni } => format!(" VNI {vni}"),
        DesiredValue::RemoteMac { vtep, vni, .. } => format!(" at VTEP {vtep} VNI {vni}"),
        DesiredValue::Neighbor { mac } => format!(" MAC {mac}"),
    }
}
