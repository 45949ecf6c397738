//! Metrics for Prometheus, gathered anew at each scrape.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chanter_bfd::{BfdState, BfdStatus};
use chanter_engine::ObjectStatus;
use chanter_engine::view::{InstanceView, PeerView, Summary};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::{ApiState, MessageCounts, PeerSession};

/// What the text format of OpenMetrics is sent as.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub(crate) async fn scrape(State(state): State<Arc<ApiState>>) -> Response {
    let question = state.engine.query(|engine| {
        let statuses = engine
            .objects()
            .into_iter()
            .map(|object| (object.source.to_string(), status_name(&object.status)));
        (
            engine.summary(),
            engine.peers(),
            engine.instances(),
            statuses.collect::<Vec<_>>(),
        )
    });
    let Ok((summary, peers, instances, statuses)) = question.await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the engine has stopped\n").into_response();
    };
    let mut registry = Registry::with_prefix("chanter");
    node(&mut registry, &state, &summary);
    tables(&mut registry, &summary);
    let known = state.sessions.peers();
    sessions(&mut registry, &known);
    negotiated(&mut registry, &known);
    peer_routes(&mut registry, &peers, &known);
    bfd(&mut registry, &state.control.bfd().await);
    vpns(&mut registry, &instances);
    objects(&mut registry, statuses);
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    version: String,
    dataplane: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFamily {
    family: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeer {
    peer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeerState {
    peer: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeerMessages {
    peer: String,
    direction: &'static str,
    r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeerFamily {
    peer: String,
    family: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeerFamilyDirection {
    peer: String,
    family: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeerReason {
    peer: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBfd {
    peer: String,
    interface: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBfdPackets {
    peer: String,
    interface: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfInstance {
    instance: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfObjects {
    source: String,
    status: &'static str,
}

/// A registered family of gauges.
fn gauges<L>(registry: &mut Registry, name: &str, help: &str) -> Family<L, Gauge>
where
    L: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static,
{
    family(registry, name, help)
}

fn family<L, M>(registry: &mut Registry, name: &str, help: &str) -> Family<L, M>
where
    L: EncodeLabelSet + Clone + Debug + Eq + Hash + Send + Sync + 'static,
    M: EncodeMetric + TypedMetric + Debug + Default + Send + Sync + 'static,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge = Gauge::<i64>::default();
    gauge.set(count(value));
    registry.register(name, help, gauge);
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn node(registry: &mut Registry, state: &ApiState, summary: &Summary) {
    let info = Info {
        version: state.node.version.clone(),
        dataplane: state.node.dataplane.name.clone(),
    };
    gauges(
        registry,
        "build_info",
        "The release and the dataplane, always 1",
    )
    .get_or_create(&info)
    .set(1);
    let synced = gauges(
        registry,
        "source_synced",
        "Whether a source has said all that it wants",
    );
    for (source, is_synced) in &summary.sources {
        let of = OfSource {
            source: source.to_string(),
        };
        synced.get_or_create(&of).set(i64::from(*is_synced));
    }
    counts(registry, state, summary);
}

fn counts(registry: &mut Registry, state: &ApiState, summary: &Summary) {
    for (name, help, value) in [
        ("instances", "VPN instances", summary.instances),
        ("attachments", "Attachments", summary.attachments),
        (
            "peers_established",
            "BGP sessions in Established",
            summary.peers_established,
        ),
        (
            "routes_local",
            "Paths that this node originates",
            summary.routes_local,
        ),
        (
            "routes_received",
            "Paths received from peers",
            summary.routes_received,
        ),
        (
            "attribute_sets",
            "Distinct attribute sets in store",
            summary.attribute_sets,
        ),
        (
            "dataplane_objects",
            "Desired dataplane objects",
            summary.desired_objects,
        ),
        (
            "dataplane_objects_failed",
            "Desired dataplane objects that are not in place",
            summary.desired_failed,
        ),
        (
            "dataplane_prune_allowed",
            "Whether what is not desired may be removed",
            usize::from(summary.prune_allowed),
        ),
        (
            "log_warnings",
            "Warnings and errors kept for the looking glass",
            state.logs.len(),
        ),
        (
            "rest_journal_durable",
            "Whether REST attachments outlive a restart",
            usize::from(state.rest.is_durable()),
        ),
    ] {
        gauge(registry, name, help, value);
    }
}

fn tables(registry: &mut Registry, summary: &Summary) {
    let destinations = gauges(registry, "rib_destinations", "Destinations by family");
    let paths = gauges(registry, "rib_paths", "Paths by family");
    for table in &summary.families {
        let of = OfFamily {
            family: table.family.to_string(),
        };
        destinations
            .get_or_create(&of)
            .set(count(table.destinations));
        paths.get_or_create(&of).set(count(table.paths));
    }
}

fn sessions(registry: &mut Registry, sessions: &[PeerSession]) {
    let up = gauges(
        registry,
        "peer_up",
        "Whether the BGP session is Established",
    );
    let states = gauges(
        registry,
        "peer_state",
        "The state of the BGP session, 1 for the current",
    );
    let flaps: Family<OfPeer, Counter> = family(
        registry,
        "peer_flaps",
        "How often the BGP session left Established",
    );
    let established: Family<OfPeer, Counter> = family(
        registry,
        "peer_established",
        "How often the BGP session became Established",
    );
    let messages: Family<OfPeerMessages, Counter> = family(
        registry,
        "peer_messages",
        "BGP messages by direction and type",
    );
    for session in sessions {
        let peer = session.name.clone();
        let of = OfPeer { peer: peer.clone() };
        established
            .get_or_create(&of)
            .inc_by(session.detail.established);
        up.get_or_create(&of)
            .set(i64::from(session.is_established()));
        flaps.get_or_create(&of).inc_by(session.flaps);
        let state = session.state.clone();
        states
            .get_or_create(&OfPeerState {
                peer: peer.clone(),
                state,
            })
            .set(1);
        for (direction, counts) in [("received", session.received), ("sent", session.sent)] {
            for (r#type, value) in by_type(counts) {
                let of = OfPeerMessages {
                    peer: peer.clone(),
                    direction,
                    r#type,
                };
                messages.get_or_create(&of).inc_by(value);
            }
        }
    }
}

/// What was agreed on, and what limits there are.
fn negotiated(registry: &mut Registry, sessions: &[PeerSession]) {
    let add_path = gauges(
        registry,
        "peer_add_path",
        "Families with ADD-PATH in force, by direction, always 1",
    );
    let limits = gauges(
        registry,
        "peer_prefix_limit",
        "Paths that the peer may send, by family",
    );
    for session in sessions {
        let peer = || session.name.clone();
        let detail = &session.detail;
        if let Some(negotiated) = &detail.negotiated {
            for (direction, families) in [
                ("received", &negotiated.add_path_receive),
                ("sent", &negotiated.add_path_send),
            ] {
                for family in families {
                    let of = OfPeerFamilyDirection {
                        peer: peer(),
                        family: family.clone(),
                        direction,
                    };
                    add_path.get_or_create(&of).set(1);
                }
            }
        }
        for limit in &detail.policy.max_prefixes {
            let of = OfPeerFamily {
                peer: peer(),
                family: limit.family.clone(),
            };
            limits.get_or_create(&of).set(i64::from(limit.limit));
        }
    }
}

fn bfd(registry: &mut Registry, sessions: &[BfdStatus]) {
    let up = gauges(registry, "bfd_up", "Whether the BFD session is Up");
    let downs: Family<OfBfd, Counter> = family(
        registry,
        "bfd_downs",
        "How often the BFD session has left Up",
    );
    let packets: Family<OfBfdPackets, Counter> = family(
        registry,
        "bfd_packets",
        "BFD packets: sent, received, discarded",
    );
    for session in sessions {
        let of = OfBfd {
            peer: session.peer.addr.to_string(),
            interface: session.peer.interface.clone().unwrap_or_default(),
        };
        let is_up = session.state == BfdState::Up;
        up.get_or_create(&of).set(i64::from(is_up));
        downs.get_or_create(&of).inc_by(session.downs);
        for (kind, count) in [
            ("sent", session.sent),
            ("received", session.received),
            ("discarded", session.discarded),
        ] {
            let of = OfBfdPackets {
                peer: of.peer.clone(),
                interface: of.interface.clone(),
                kind,
            };
            packets.get_or_create(&of).inc_by(count);
        }
    }
}

fn by_type(counts: MessageCounts) -> [(&'static str, u64); 5] {
    [
        ("open", counts.open),
        ("update", counts.update),
        ("notification", counts.notification),
        ("keepalive", counts.keepalive),
        ("route-refresh", counts.route_refresh),
    ]
}

fn peer_routes(registry: &mut Registry, peers: &[PeerView], sessions: &[PeerSession]) {
    let received = gauges(
        registry,
        "peer_paths_received",
        "Paths received, by peer and family",
    );
    let stale = gauges(
        registry,
        "peer_paths_stale",
        "Stale paths, by peer and family",
    );
    let advertised = gauges(
        registry,
        "peer_destinations_advertised",
        "Destinations advertised, by peer and family",
    );
    let rejected: Family<OfPeerReason, Counter> = family(
        registry,
        "peer_paths_rejected",
        "Paths not taken in this session, by reason or rule of the import policy",
    );
    for peer in peers {
        let session = sessions.iter().find(|session| session.peer == peer.peer);
        let name = session.map_or_else(|| peer.addr.to_string(), |session| session.name.clone());
        for (reason, count) in &peer.rejected {
            let of = OfPeerReason {
                peer: name.clone(),
                reason: reason.clone(),
            };
            rejected.get_or_create(&of).inc_by(*count);
        }
        for family in &peer.families {
            let of = OfPeerFamily {
                peer: name.clone(),
                family: family.family.to_string(),
            };
            received.get_or_create(&of).set(count(family.received));
            stale.get_or_create(&of).set(count(family.stale));
            advertised.get_or_create(&of).set(count(family.advertised));
        }
    }
}

fn vpns(registry: &mut Registry, instances: &[InstanceView]) {
    let attachments = gauges(
        registry,
        "instance_attachments",
        "Attachments of a VPN instance",
    );
    let macs = gauges(
        registry,
        "instance_remote_macs",
        "Remote MAC addresses in use",
    );
    let vteps = gauges(
        registry,
        "instance_remote_vteps",
        "Remote VTEPs to which is flooded",
    );
    for view in instances {
        let of = OfInstance {
            instance: view.declared.id.to_string(),
        };
        attachments
            .get_or_create(&of)
            .set(count(view.attachments.len()));
        macs.get_or_create(&of).set(count(view.remote_macs));
        vteps.get_or_create(&of).set(count(view.remote_vteps.len()));
    }
}

fn objects(registry: &mut Registry, statuses: Vec<(String, &'static str)>) {
    let objects = gauges(registry, "objects", "Declared objects by source and status");
    for (source, status) in statuses {
        objects.get_or_create(&OfObjects { source, status }).inc();
    }
}

fn status_name(status: &ObjectStatus) -> &'static str {
    match status {
        ObjectStatus::Pending => "pending",
        ObjectStatus::Installed => "installed",
        ObjectStatus::Rejected { .. } => "rejected",
        ObjectStatus::Failed { .. } => "failed",
        ObjectStatus::Removed => "removed",
    }
}
