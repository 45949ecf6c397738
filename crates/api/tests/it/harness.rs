//! A node without sockets: engine, REST source, both routers, and an obliging dataplane.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use chanter_api::control::{
    Answer as ControlAnswer, Control, PeerAction, PeerActionError, ReloadError, Reloaded,
};
use chanter_api::dto::{PeerDetail, PeerPolicy};
use chanter_api::rest::RestSource;
use chanter_api::{ApiState, DataplaneInfo, LogRing, MessageCounts, NodeInfo, PeerSession};
use chanter_bfd::BfdStatus;
use chanter_bgp::Family;
use chanter_driver::{DesiredFeed, EngineHandle};
use chanter_engine::desired::{DataplaneError, DesiredChange, DesiredKey, Report};
use chanter_engine::view::{InstanceView, ObjectView};
use chanter_engine::{EngineConfig, Input, PeerId, PeerRole, SessionInfo};
use chanter_intent::{Attachment, SourceId};
use chanter_policy::{Action, Adjust, Condition, Policy, Rule, Verdict};
use chanter_types::Asn;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Our own address.
pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 61);
/// The route reflector.
pub(crate) const REFLECTOR: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);

/// What the dataplane says of ports.
pub(crate) type Faults = Arc<Mutex<BTreeMap<String, DataplaneError>>>;

pub(crate) struct Node {
    pub(crate) state: Arc<ApiState>,
    pub(crate) bagpipe: Router,
    pub(crate) native: Router,
    pub(crate) faults: Faults,
    pub(crate) control: Arc<TestControl>,
}

/// A status and a body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {}", self.body))
    }
}

impl Node {
    pub(crate) async fn start() -> Node {
        Node::start_with(None, |_| true, Duration::from_secs(20)).await
    }

    pub(crate) async fn start_with(
        state_dir: Option<&Path>,
        keep: impl Fn(&Attachment) -> bool,
        patience: Duration,
    ) -> Node {
        let (engine, feed) = EngineHandle::spawn(engine_config()).unwrap();
        let faults = Faults::default();
        tokio::spawn(acknowledge(feed, engine.clone(), faults.clone()));
        Node::with_engine(engine, faults, state_dir, keep, patience).await
    }

    /// A node whose dataplane says nothing.
    pub(crate) async fn start_silent(patience: Duration) -> Node {
        let (engine, _) = EngineHandle::spawn(engine_config()).unwrap();
        Node::with_engine(engine, Faults::default(), None, |_| true, patience).await
    }

    async fn with_engine(
        engine: EngineHandle,
        faults: Faults,
        state_dir: Option<&Path>,
        keep: impl Fn(&Attachment) -> bool,
        patience: Duration,
    ) -> Node {
        let rest = RestSource::open(engine.clone(), state_dir, patience, keep).unwrap();
        rest.restore().await.unwrap();
        let control = Arc::new(TestControl::default());
        let state = Arc::new(ApiState {
            engine,
            rest,
            sessions: Arc::new(sessions),
            control: Arc::clone(&control) as Arc<dyn Control>,
            logs: LogRing::default(),
            node: node_info(),
        });
        Node {
            bagpipe: chanter_api::bagpipe::router(state.clone()),
            native: chanter_api::native::router(state.clone()),
            state,
            faults,
            control,
        }
    }

    /// Lets the reflector's session come up.
    pub(crate) async fn peer_up(&self) {
        let session = SessionInfo {
            families: vec![Family::L2VPN_EVPN, Family::IPV4_RTC],
            ..SessionInfo::new(
                (REFLECTOR.into(), LOCAL.into()),
                (Asn(64512), Asn(64512)),
                REFLECTOR,
                PeerRole::Ibgp,
            )
        };
        let session = Box::new(session);
        self.state
            .engine
            .input(Input::PeerUp {
                peer: PeerId(1),
                session,
            })
            .await
            .unwrap();
    }

    /// A dataplane fault at a port, from now on.
    pub(crate) fn break_port(&self, port: &str, caused_by_intent: bool) {
        let message = format!("device {port} cannot be used");
        let error = DataplaneError {
            message,
            caused_by_intent,
        };
        self.faults.lock().unwrap().insert(port.to_owned(), error);
    }

    /// All that is declared and in force, to compare.
    pub(crate) async fn snapshot(&self) -> (Vec<InstanceView>, Vec<ObjectView>) {
        let query = self
            .state
            .engine
            .query(|engine| (engine.instances(), engine.objects()));
        query.await.unwrap()
    }

    pub(crate) async fn bagpipe(&self, method: &str, path: &str, body: &str) -> Answer {
        call(&self.bagpipe, method, path, &[], body.to_owned()).await
    }

    pub(crate) async fn bagpipe_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        call(&self.bagpipe, method, path, headers, body.to_owned()).await
    }

    pub(crate) async fn attach(&self, body: &Value) -> Answer {
        self.bagpipe("POST", "/attach_localport", &body.to_string())
            .await
    }

    pub(crate) async fn detach(&self, body: &Value) -> Answer {
        self.bagpipe("POST", "/detach_localport", &body.to_string())
            .await
    }

    pub(crate) async fn glass(&self, path: &str) -> Value {
        let answer = self
            .bagpipe("GET", &format!("/looking-glass{path}"), "")
            .await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub(crate) async fn native(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        call(&self.native, method, path, &[], body).await
    }
}

pub(crate) async fn call(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("host", "127.0.0.1:8082");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router
        .clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let content_type = response.headers().get("content-type");
    let content_type = content_type
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let octets = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        content_type,
        body: String::from_utf8(octets.to_vec()).unwrap(),
    }
}

/// A good attach of an EVPN endpoint.
pub(crate) fn evpn(instance: &str, octet: u8) -> Value {
    json!({
        "vpn_type": "evpn", "vpn_instance_id": instance,
        "mac_address": format!("02:00:00:00:0a:{octet:02x}"),
        "ip_address": format!("192.168.10.{octet}/24"), "gateway_ip": "192.168.10.254",
        "import_rt": ["64512:513"], "export_rt": ["64512:513"],
        "local_port": {"linuxif": format!("tap{octet}")},
    })
}

/// The body with one member changed; `null` in `value` stays `null`.
pub(crate) fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

/// The body without one member.
pub(crate) fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().unwrap().remove(name);
    body
}

fn engine_config() -> EngineConfig {
    EngineConfig {
        local_as: Asn(64512),
        router_id: LOCAL,
        vtep: Some(LOCAL.into()),
        cluster_id: None,
        reflect: false,
        rt_constraint: true,
        sources: vec![SourceId::Rest],
        peers_expected: 1,
        restarting: false,
        deferral: EngineConfig::DEFERRAL,
    }
}

fn node_info() -> NodeInfo {
    NodeInfo {
        version: "0.1.0".to_owned(),
        started: SystemTime::now(),
        ping: NodeInfo::draw_ping(),
        config: json!({
            "API": {"host": "127.0.0.1", "port": 8082},
            "BGP": {"bgp_port": 179, "enable_rtc": true, "local_address": LOCAL, "my_as": 64512,
                "peers": [REFLECTOR]},
            "COMMON": {"root_helper": "", "root_helper_daemon": null},
            "DATAPLANE_DRIVER_EVPN":
                {"dataplane_driver": "dummy", "dataplane_local_address": null},
            "DATAPLANE_DRIVER_IPVPN":
                {"dataplane_driver": "dummy", "dataplane_local_address": null},
        }),
        dataplane: DataplaneInfo {
            name: "dummy".to_owned(),
            local_address: Some(LOCAL.into()),
        },
        local_as: 64512,
        rt_constraint: true,
    }
}

/// Does nothing but remember what it was told.
#[derive(Default)]
pub(crate) struct TestControl {
    /// What was done with peers.
    pub(crate) actions: Mutex<Vec<(PeerId, PeerAction)>>,
    /// What is wrong with the configuration.
    pub(crate) fault: Mutex<Option<String>>,
}

impl Control for TestControl {
    fn reload(&self) -> ControlAnswer<'_, Result<Reloaded, ReloadError>> {
        let fault = self.fault.lock().unwrap().clone();
        Box::pin(async move {
            match fault {
                Some(fault) => Err(ReloadError::Configuration(fault)),
                None => Ok(Reloaded {
                    changed: vec!["peer 192.0.2.1 is gone".to_owned()],
                    kept: vec!["bgp.as changed: takes a restart, left as it was".to_owned()],
                    warnings: Vec::new(),
                }),
            }
        })
    }

    fn peer(
        &self,
        peer: PeerId,
        action: PeerAction,
    ) -> ControlAnswer<'_, Result<(), PeerActionError>> {
        let refresh = matches!(action, PeerAction::RefreshIn { .. });
        self.actions.lock().unwrap().push((peer, action));
        Box::pin(async move {
            match refresh {
                true => Err(PeerActionError::NotNow("no route refresh".to_owned())),
                false => Ok(()),
            }
        })
    }

    fn policies(&self) -> Vec<Arc<Policy>> {
        let rules = vec![
            Rule::new("no transit", Verdict::Reject)
                .matching(vec![Condition::AsPathContains(vec![Asn(174)])]),
            Rule::new("rest", Verdict::Accept).doing(vec![Action::LocalPref(Adjust::Set(50))]),
        ];
        vec![Arc::new(Policy::new("customer-in", rules))]
    }

    fn bfd(&self) -> ControlAnswer<'_, Vec<BfdStatus>> {
        Box::pin(async { Vec::new() })
    }
}

fn sessions() -> Vec<PeerSession> {
    vec![PeerSession {
        peer: PeerId(1),
        name: REFLECTOR.to_string(),
        addr: IpAddr::V4(REFLECTOR),
        hostname: Some("rr1".to_owned()),
        local_addr: Some(LOCAL.into()),
        remote_as: Some(Asn(64512)),
        local_as: Asn(64512),
        router_id: Some(REFLECTOR),
        state: "Established".to_owned(),
        previous_state: Some("OpenConfirm".to_owned()),
        since: SystemTime::now(),
        hold_time: Some(Duration::from_secs(90)),
        families: vec![Family::L2VPN_EVPN, Family::IPV4_RTC],
        received: MessageCounts {
            open: 1,
            update: 7,
            keepalive: 3,
            ..MessageCounts::default()
        },
        sent: MessageCounts {
            open: 1,
            update: 5,
            keepalive: 4,
            ..MessageCounts::default()
        },
        held: None,
        without_policy: Vec::new(),
        last_error: None,
        attempt_error: None,
        dynamic: false,
        flaps: 2,
        description: None,
        detail: PeerDetail {
            capabilities_received: vec!["route-refresh".to_owned()],
            policy: PeerPolicy {
                import: Some("customer-in".to_owned()),
                ..PeerPolicy::default()
            },
            ..PeerDetail::default()
        },
    }]
}

/// Reports every desired change as done, except at ports that are broken.
async fn acknowledge(mut feed: DesiredFeed, engine: EngineHandle, faults: Faults) {
    while let Some(batch) = feed.next().await {
        let judge = |change: DesiredChange| {
            let faults = faults.lock().unwrap();
            let fault = match &change.key {
                DesiredKey::Port(_, name) if change.value.is_some() => faults.get(name.as_str()),
                _ => None,
            };
            Report {
                key: change.key,
                version: change.version,
                result: fault.cloned().map_or(Ok(()), Err),
            }
        };
        let reports = batch.changes.into_iter().map(judge).collect();
        if engine.input(Input::Dataplane(reports)).await.is_err() {
            return;
        }
    }
}
