//! From the engine's views to the wire's types (pure).

use std::time::{Duration, SystemTime};

use chanter_bfd::BfdStatus;
use chanter_bgp::{Attributes, Nlri, encapsulation};
use chanter_driver::{Clock, TimedEvent};
use chanter_engine::view::{
    AttachmentView, DesiredView, FamilySummary, InstanceView, PathSource, PathView, PeerView,
    RouteView, Summary, WhyReport, WhyStage, WhyStep,
};
use chanter_engine::{ObjectStatus, PeerRole};
use chanter_intent::VpnKind;
use chanter_types::{Instant, RouteTarget};
use jiff::Timestamp;
use serde_json::Value;

use crate::{ApiState, MessageCounts, PeerSession, dto};

/// RFC 3339, in UTC.
pub(crate) fn time(at: SystemTime) -> String {
    // Times before the year -9999 or after 9999 cannot be told; a clock does not show such.
    let at = Timestamp::try_from(at).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn instant(clock: Clock, at: Instant) -> String {
    time(clock.time_of_day(at))
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

pub(super) fn status(status: &ObjectStatus) -> dto::Status {
    let (state, field, reason) = match status {
        ObjectStatus::Pending => (dto::StatusName::Pending, None, None),
        ObjectStatus::Installed => (dto::StatusName::Installed, None, None),
        ObjectStatus::Rejected { field, reason } => (
            dto::StatusName::Rejected,
            Some((*field).to_owned()),
            Some(reason.clone()),
        ),
        ObjectStatus::Failed { error } => (dto::StatusName::Failed, None, Some(error.to_string())),
        ObjectStatus::Removed => (dto::StatusName::Removed, None, None),
    };
    dto::Status {
        state,
        field,
        reason,
    }
}

pub(super) fn instance(view: &InstanceView) -> dto::Instance {
    let declared = &view.declared;
    let VpnKind::MacVrf(mac_vrf) = &declared.kind;
    dto::Instance {
        id: declared.id.to_string(),
        kind: "evpn".to_owned(),
        number: view.number.0,
        sources: texts(&view.sources),
        import: texts(&declared.import),
        export: texts(&declared.export),
        vni: view.vni.value(),
        rd: view.rd.to_string(),
        bridge: mac_vrf.bridge.as_ref().map(ToString::to_string),
        gateway_ip: declared.gateway_ip.map(|ip| ip.to_string()),
        description: declared.description.clone(),
        attachments: view.attachments.len(),
        remote_macs: view.remote_macs,
        remote_vteps: texts(&view.remote_vteps),
        status: status(&view.status),
    }
}

pub(super) fn attachment(view: &AttachmentView) -> dto::Attachment {
    dto::Attachment {
        instance: view.key.instance.to_string(),
        mac: view.key.mac.to_string(),
        ip: view.key.ip.map(|ip| ip.to_string()),
        source: view.source.to_string(),
        port: view.port.name.to_string(),
        vlan: view.port.vlan,
        local_pref: view.local_pref,
        sticky: view.sticky,
        sequence: view.sequence,
        advertised: view.advertised,
        description: view.description.clone(),
        status: status(&view.status),
    }
}

pub(super) fn peer(session: &PeerSession, view: Option<&PeerView>) -> dto::Peer {
    let role = view.map(|view| {
        match view.role {
            PeerRole::Ebgp => "ebgp",
            PeerRole::Ibgp => "ibgp",
            PeerRole::RouteReflectorClient => "route-reflector-client",
        }
        .to_owned()
    });
    let families = view
        .iter()
        .flat_map(|view| &view.families)
        .map(|family| dto::PeerFamily {
            family: family.family.to_string(),
            received: family.received,
            stale: family.stale,
            advertised: family.advertised,
            end_of_rib_received: family.end_of_rib_received,
            end_of_rib_sent: family.end_of_rib_sent,
        });
    dto::Peer {
        id: session.peer.0,
        name: session.name.clone(),
        addr: session.addr.to_string(),
        hostname: session.hostname.clone(),
        local_addr: session.local_addr.map(|addr| addr.to_string()),
        remote_as: session.remote_as.map(|asn| asn.0),
        local_as: session.local_as.0,
        router_id: session.router_id.map(|id| id.to_string()),
        role,
        state: session.state.clone(),
        since: time(session.since),
        hold_time_secs: session.hold_time.map(|time| time.as_secs()),
        held: session.held.clone(),
        without_policy: session.without_policy.clone(),
        last_error: session.last_error.clone(),
        attempt_error: session.attempt_error.clone(),
        dynamic: session.dynamic,
        flaps: session.flaps,
        description: session.description.clone(),
        received: message_counts(session.received),
        sent: message_counts(session.sent),
        families: families.collect(),
        wanted_rts: view
            .and_then(|view| view.wanted_rts.as_ref())
            .map(texts::<&RouteTarget>),
        wants_all: view.is_some_and(|view| view.wants_all),
    }
}

pub(super) fn bfd(status: &BfdStatus) -> dto::BfdSession {
    let peer = &status.peer;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    dto::BfdSession {
        peer: peer.addr.to_string(),
        local: peer.local.map(|addr| addr.to_string()),
        interface: peer.interface.clone(),
        multihop: peer.multihop,
        state: status.state.to_string(),
        since: time(status.since),
        remote_state: status.remote_state.to_string(),
        diagnostic: status.diagnostic.to_string(),
        remote_diagnostic: status.remote_diagnostic.to_string(),
        local_discriminator: status.local_discriminator,
        remote_discriminator: status.remote_discriminator,
        tx_interval_ms: status.tx_interval.map(millis),
        detection_time_ms: status.detection_time.map(millis),
        sent: status.sent,
        received: status.received,
        discarded: status.discarded,
        downs: status.downs,
        problem: status.problem.clone(),
    }
}

fn message_counts(counts: MessageCounts) -> dto::MessageCounts {
    dto::MessageCounts {
        open: counts.open,
        update: counts.update,
        notification: counts.notification,
        keepalive: counts.keepalive,
        route_refresh: counts.route_refresh,
    }
}

/// The label field as what it means: a VNI, or an MPLS label (RFC 8365 section 5.1.3).
fn label(nlri: &Nlri, view: &PathView) -> Option<u32> {
    let field = Some(view.data.label).filter(|field| *field != 0)?;
    let mut encapsulations = view
        .attributes
        .extended_communities()
        .filter_map(|community| community.as_encapsulation());
    match nlri {
        Nlri::Vpn4(_) | Nlri::Vpn6(_) => Some(field >> 4),
        Nlri::Evpn(_) => match encapsulations.all(|number| number == encapsulation::MPLS) {
            // RFC 8365 section 5.1.3: without the community it is MPLS.
            true => Some(field >> 4),
            false => Some(field),
        },
        _ => None,
    }
}

pub(super) fn route(view: &RouteView, clock: Clock, sessions: &[PeerSession]) -> dto::Route {
    dto::Route {
        family: view.nlri.family().to_string(),
        nlri: view.nlri.to_string(),
        paths: view
            .paths
            .iter()
            .map(|path| self::path(view, path, clock, sessions))
            .collect(),
    }
}

fn path(route: &RouteView, view: &PathView, clock: Clock, sessions: &[PeerSession]) -> dto::Path {
    let source = match &view.source {
        PathSource::Peer { peer, addr } => dto::PathSource::Peer {
            id: peer.0,
            addr: addr.to_string(),
            name: sessions
                .iter()
                .find(|session| session.peer == *peer)
                .map_or_else(|| addr.to_string(), |session| session.name.clone()),
        },
        PathSource::Instance(id) => dto::PathSource::Instance { id: id.to_string() },
        PathSource::Local => dto::PathSource::Local,
    };
    let attributes = &view.attributes;
    dto::Path {
        source,
        best: view.lost_because.is_none(),
        lost_because: view.lost_because.clone(),
        next_hop: attributes.next_hop().map(|addr| addr.to_string()),
        label: label(&route.nlri, view),
        gateway: view.data.gateway().map(|addr| addr.to_string()),
        path_id: Some(view.data.path_id).filter(|id| *id != 0),
        esi: Some(view.data.esi())
            .filter(|esi| !esi.is_zero())
            .map(|esi| esi.to_string()),
        local_pref: attributes.local_pref(),
        med: attributes.med(),
        as_path: attributes.as_path().to_string(),
        origin: attributes.origin().to_string(),
        communities: communities(attributes),
        route_targets: texts(attributes.route_targets()),
        attributes: attributes.to_string(),
        since: instant(clock, view.since),
        stale: view.stale,
        imported_by: texts(&view.imported_by),
    }
}

/// Communities of all kinds.
fn communities(attributes: &Attributes) -> Vec<String> {
    let mut all = texts(attributes.communities());
    all.extend(texts(attributes.large_communities()));
    all.extend(texts(attributes.extended_communities()));
    all
}

pub(super) fn desired(view: &DesiredView) -> dto::DesiredObject {
    let (state, error) = match &view.result {
        None => (dto::StatusName::Pending, None),
        Some(Ok(())) => (dto::StatusName::Installed, None),
        Some(Err(error)) => (dto::StatusName::Failed, Some(error.clone())),
    };
    dto::DesiredObject {
        instance: view.instance.to_string(),
        key: view.key.to_string(),
        // Plain data with text keys: it cannot fail.
        value: serde_json::to_value(&view.value).unwrap_or(Value::Null),
        state,
        error,
    }
}

pub(super) fn summary(
    state: &ApiState,
    summary: &Summary,
    sessions: &[PeerSession],
) -> dto::Summary {
    let family = |family: &FamilySummary| dto::FamilyCounts {
        family: family.family.to_string(),
        destinations: family.destinations,
        paths: family.paths,
    };
    let source = |(source, synced): &(chanter_intent::SourceId, bool)| dto::SourceState {
        source: source.to_string(),
        synced: *synced,
    };
    dto::Summary {
        version: state.node.version.clone(),
        started: time(state.node.started),
        local_as: summary.local_as.0,
        router_id: summary.router_id.to_string(),
        dataplane: state.node.dataplane.name.clone(),
        peers: sessions.len(),
        peers_established: summary.peers_established,
        instances: summary.instances,
        attachments: summary.attachments,
        routes_local: summary.routes_local,
        routes_received: summary.routes_received,
        attribute_sets: summary.attribute_sets,
        desired_objects: summary.desired_objects,
        desired_failed: summary.desired_failed,
        prune_allowed: summary.prune_allowed,
        warnings: state.logs.len(),
        sources: summary.sources.iter().map(source).collect(),
        families: summary.families.iter().map(family).collect(),
    }
}

pub(super) fn why(report: &WhyReport, clock: Clock) -> dto::WhyReport {
    let step = |step: &WhyStep| dto::WhyStep {
        stage: stage(step.stage),
        since: step.since.map(|at| instant(clock, at)),
        text: step.text.clone(),
        rejected: step.rejected.clone(),
    };
    let instances = report.instances.iter().map(|part| dto::WhyInstance {
        instance: part.instance.to_string(),
        verdict: part.verdict.clone(),
        steps: part.steps.iter().map(step).collect(),
    });
    dto::WhyReport {
        instances: instances.collect(),
        routes: report.routes.iter().map(step).collect(),
        not_taken: report.not_taken.clone(),
    }
}

fn stage(stage: WhyStage) -> dto::WhyStage {
    match stage {
        WhyStage::Source => dto::WhyStage::Source,
        WhyStage::Intent => dto::WhyStage::Intent,
        WhyStage::Rib => dto::WhyStage::Rib,
        WhyStage::Import => dto::WhyStage::Import,
        WhyStage::Advertise => dto::WhyStage::Advertise,
        WhyStage::Dataplane => dto::WhyStage::Dataplane,
    }
}

pub(super) fn event(event: &TimedEvent) -> dto::EventRecord {
    // Plain data with text keys: it cannot fail.
    let mut detail = serde_json::to_value(&event.event).unwrap_or(Value::Null);
    let name = detail
        .as_object_mut()
        .and_then(|members| members.shift_remove("event"));
    dto::EventRecord {
        at: time(event.at),
        event: name
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or("event")
            .to_owned(),
        text: event.event.to_string(),
        detail,
    }
}

/// What a watcher gets that was too slow.
pub(super) fn lost(count: u64) -> dto::EventRecord {
    dto::EventRecord {
        at: time(SystemTime::now()),
        event: "lost".to_owned(),
        text: format!("{count} events are left out: they came faster than they were read"),
        detail: serde_json::json!({"count": count}),
    }
}
