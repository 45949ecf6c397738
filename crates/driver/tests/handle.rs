//! The engine behind its handle: callers wait for what they declare, exports wait for news, the
//! thread ends with the last handle.

use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_bgp::Family;
use chanter_driver::{DesiredFeed, EngineHandle};
use chanter_engine::desired::{DataplaneError, DesiredChange, DesiredKey, Report};
use chanter_engine::{EngineConfig, Input, ObjectStatus, PeerId, PeerRole, SessionInfo};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Object, ObjectKey, Port, PortName, SourceEvent,
    SourceId, VpnInstance, VpnKind,
};
use chanter_types::{Asn, MacAddr, RouteTarget, Vni};

const PATIENCE: Duration = Duration::from_secs(20);

fn spawn() -> (EngineHandle, DesiredFeed) {
    let config = EngineConfig {
        local_as: Asn(64512),
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        vtep: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
        cluster_id: None,
        reflect: false,
        rt_constraint: true,
        sources: vec![SourceId::Rest],
        peers_expected: 1,
        restarting: false,
        deferral: EngineConfig::DEFERRAL,
    };
    EngineHandle::spawn(config).expect("a thread can be had")
}

fn instance() -> Object {
    let rt = RouteTarget::from_as2(64512, 1);
    Object::Instance(VpnInstance {
        id: InstanceId::new("net"),
        kind: VpnKind::MacVrf(MacVrf {
            vni: Vni::new(100),
            bridge: None,
        }),
        import: [rt].into(),
        export: [rt].into(),
        rd: None,
        gateway_ip: None,
        description: None,
    })
}

fn attachment(octet: u8, port: &str) -> Object {
    Object::Attachment(Attachment {
        key: AttachmentKey {
            instance: InstanceId::new("net"),
            mac: MacAddr([2, 0, 0, 0, 0, octet]),
            ip: Some([10, 0, 0, octet].into()),
        },
        port: Port {
            name: PortName::new(port),
            vlan: None,
        },
        local_pref: None,
        sticky: false,
        description: None,
    })
}

/// A dataplane that obeys, except for ports called `missing`.
fn obey(mut feed: DesiredFeed, engine: EngineHandle) {
    tokio::spawn(async move {
        while let Some(batch) = feed.next().await {
            let report = |change: DesiredChange| {
                let missing =
                    matches!(&change.key, DesiredKey::Port(_, port) if port.as_str() == "missing");
                let error = DataplaneError {
                    message: "there is no device `missing`".to_owned(),
                    caused_by_intent: true,
                };
                Report {
                    result: if missing { Err(error) } else { Ok(()) },
                    key: change.key,
                    version: change.version,
                }
            };
            let reports = batch.changes.into_iter().map(report).collect();
            if engine.input(Input::Dataplane(reports)).await.is_err() {
                return;
            }
        }
    });
}

async fn declare(
    engine: &EngineHandle,
    events: Vec<SourceEvent>,
) -> Vec<(ObjectKey, ObjectStatus)> {
    engine
        .declare(SourceId::Rest, events, PATIENCE)
        .await
        .expect("the engine lives")
}

fn upsert(object: Object) -> SourceEvent {
    SourceEvent::Upsert(object)
}

#[tokio::test]
async fn a_declaration_is_answered_when_the_dataplane_has_it() {
    let (engine, feed) = spawn();
    obey(feed, engine.clone());
    let (net, one) = (instance(), attachment(1, "tap1"));
    let statuses = declare(&engine, vec![upsert(net.clone()), upsert(one.clone())]).await;
    assert!(
        statuses
            .iter()
            .all(|(_, status)| *status == ObjectStatus::Installed),
        "{statuses:?}"
    );
    assert_eq!(statuses.len(), 2);
    // The same again is settled already.
    let statuses = declare(&engine, vec![upsert(one.clone())]).await;
    assert_eq!(statuses, [(one.key(), ObjectStatus::Installed)]);
    let removed = declare(
        &engine,
        vec![
            SourceEvent::Remove(one.key()),
            SourceEvent::Remove(net.key()),
        ],
    )
    .await;
    assert!(
        removed
            .iter()
            .all(|(_, status)| *status == ObjectStatus::Removed),
        "{removed:?}"
    );
    // What never was is gone already.
    let never = attachment(9, "tap9").key();
    let removed = declare(&engine, vec![SourceEvent::Remove(never.clone())]).await;
    assert_eq!(removed, [(never, ObjectStatus::Removed)]);
}

#[tokio::test]
async fn failures_and_rejections_are_answers_too() {
    let (engine, feed) = spawn();
    obey(feed, engine.clone());
    let lost = declare(&engine, vec![upsert(attachment(1, "tap1"))]).await;
    assert!(
        matches!(
            lost[0].1,
            ObjectStatus::Rejected {
                field: "instance",
                ..
            }
        ),
        "{lost:?}"
    );
    let failed = declare(
        &engine,
        vec![upsert(instance()), upsert(attachment(2, "missing"))],
    )
    .await;
    let status = &failed
        .iter()
        .find(|(key, _)| *key == attachment(2, "missing").key());
    assert!(
        matches!(status, Some((_, ObjectStatus::Failed { .. }))),
        "{failed:?}"
    );
}

#[tokio::test]
async fn patience_ends() {
    // Nobody obeys.
    let (engine, _feed) = spawn();
    let short = Duration::from_millis(20);
    let events = vec![upsert(instance()), upsert(attachment(1, "tap1"))];
    let statuses = engine
        .declare(SourceId::Rest, events, short)
        .await
        .expect("the engine lives");
    assert!(
        statuses
            .iter()
            .all(|(_, status)| *status == ObjectStatus::Pending),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn an_export_waits_for_news_and_carries_it() {
    let (engine, feed) = spawn();
    obey(feed, engine.clone());
    let peer = PeerId(1);
    let (addr, own_addr) = (Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 1));
    let session = SessionInfo {
        families: vec![Family::L2VPN_EVPN],
        end_of_rib: vec![Family::L2VPN_EVPN],
        ..SessionInfo::new(
            (addr.into(), own_addr.into()),
            (Asn(64512), Asn(64512)),
            addr,
            PeerRole::Ibgp,
        )
    };
    engine
        .input(Input::PeerUp {
            peer,
            session: Box::new(session),
        })
        .await
        .expect("it lives");
    let puller = engine.clone();
    let pull = tokio::spawn(async move { puller.pull(peer, 4096).await });
    declare(
        &engine,
        vec![upsert(instance()), upsert(attachment(1, "tap1"))],
    )
    .await;
    let octets = tokio::time::timeout(PATIENCE, pull)
        .await
        .expect("there is something to send")
        .expect("the task ends well")
        .expect("the engine lives");
    assert_eq!(
        octets[..16],
        [0xff; 16],
        "whole messages from the first octet on"
    );
    assert_eq!(octets[18], 2, "an UPDATE");
}

#[tokio::test]
async fn the_feed_ends_when_the_last_handle_is_dropped() {
    let (engine, mut feed) = spawn();
    let answer = engine.query(|engine| engine.summary().local_as).await;
    assert_eq!(answer, Ok(Asn(64512)));
    drop(engine);
    let end = tokio::time::timeout(PATIENCE, feed.next())
        .await
        .expect("the thread ends");
    assert!(end.is_none());
}
