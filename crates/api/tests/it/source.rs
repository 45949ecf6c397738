//! The REST source over restarts.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Node, evpn, with, without};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn attachments_outlive_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let node = Node::start_with(Some(dir.path()), |_| true, PATIENCE).await;
        for body in [
            with(evpn("a", 1), "vni", json!(5000)),
            with(evpn("a", 2), "description", json!({"port": "uuid"})),
            without(evpn("b", 3), "ip_address"),
            evpn("c", 4),
        ] {
            assert_eq!(node.attach(&body).await.status, 200);
        }
        assert_eq!(node.detach(&evpn("c", 4)).await.status, 200);
        assert!(node.state.rest.is_durable());
        node.snapshot().await
        // Dropped without a word to the journal, as kill -9 does.
    };
    let node = Node::start_with(Some(dir.path()), |_| true, PATIENCE).await;
    // A client that attaches again waits for the dataplane, so everything is reported after it.
    for body in [
        evpn("a", 1),
        evpn("a", 2),
        without(evpn("b", 3), "ip_address"),
    ] {
        let body = with(body, "import_rt", json!(["64512:513"]));
        let body = match body["vpn_instance_id"] == "a" && body["local_port"]["linuxif"] == "tap2" {
            true => with(body, "description", json!({"port": "uuid"})),
            false => body,
        };
        assert_eq!(node.attach(&body).await.status, 200);
    }
    assert_eq!(node.snapshot().await, before);
    let summary = node
        .state
        .engine
        .query(|engine| engine.summary())
        .await
        .unwrap();
    assert!(summary.sources.iter().all(|(_, synced)| *synced));
}

#[tokio::test]
async fn attachments_whose_port_is_gone_are_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_with(Some(dir.path()), |_| true, PATIENCE).await;
    assert_eq!(node.attach(&evpn("a", 1)).await.status, 200);
    assert_eq!(node.attach(&evpn("b", 2)).await.status, 200);
    drop(node);
    let keep = |attachment: &chanter_intent::Attachment| attachment.port.name.as_str() != "tap1";
    let node = Node::start_with(Some(dir.path()), keep, PATIENCE).await;
    let instances = node.snapshot().await.0;
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0].declared.id.as_str(), "b");
    drop(node);
    // And not at the next start either.
    let node = Node::start_with(Some(dir.path()), |_| true, PATIENCE).await;
    assert_eq!(node.snapshot().await.0.len(), 1);
}

#[tokio::test]
async fn a_refused_attach_is_not_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start_with(Some(dir.path()), |_| true, PATIENCE).await;
    node.break_port("tap2", true);
    assert_eq!(node.attach(&evpn("a", 1)).await.status, 200);
    assert_eq!(node.attach(&evpn("b", 2)).await.status, 400);
    drop(node);
    let node = Node::start_with(Some(dir.path()), |_| true, PATIENCE).await;
    assert_eq!(node.snapshot().await.0.len(), 1);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_no_attach_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("state");
    let node = Node::start_with(Some(&state_dir), |_| true, PATIENCE).await;
    // So many lines that say nothing any more make the next one a rewrite, which fails here.
    fs::remove_dir_all(&state_dir).unwrap();
    for round in 0..150 {
        let body = with(evpn("a", 1), "local_pref", json!(round + 1));
        assert_eq!(node.attach(&body).await.status, 200);
        let body = with(body, "instance_description", json!(round));
        assert_eq!(node.attach(&body).await.status, 200);
    }
    assert!(!node.state.rest.is_durable());
    let health = node.native("GET", "/v1/health", &json!(null)).await;
    assert_eq!(
        health.status, 200,
        "it is no reason to restart: {}",
        health.body
    );
    let checks = health.json()["checks"].clone();
    let journal = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == "journal");
    assert_eq!(journal.unwrap()["ok"], false);
    // Once the directory is back, everything is written again.
    fs::create_dir_all(&state_dir).unwrap();
    assert_eq!(node.attach(&evpn("b", 2)).await.status, 200);
    assert!(node.state.rest.is_durable());
    drop(node);
    let node = Node::start_with(Some(&state_dir), |_| true, PATIENCE).await;
    assert_eq!(node.snapshot().await.0.len(), 2);
}

#[tokio::test]
async fn an_attach_that_the_dataplane_does_not_answer_is_taken_back() {
    let node = Node::start_silent(Duration::from_millis(50)).await;
    let answer = node.attach(&evpn("a", 1)).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(
        answer.body.contains("did not report within"),
        "{}",
        answer.body
    );
    assert!(node.state.rest.read(|store| store.is_empty()));
    assert!(
        node.snapshot()
            .await
            .0
            .iter()
            .all(|view| view.attachments.is_empty())
    );
}

#[tokio::test]
async fn requests_of_many_instances_run_side_by_side_and_of_one_in_turn() {
    let node = Node::start().await;
    let attaches = (1..=60).map(|octet| {
        let router = node.bagpipe.clone();
        let body = evpn(["a", "b", "c"][usize::from(octet % 3)], octet).to_string();
        tokio::spawn(async move {
            crate::harness::call(&router, "POST", "/attach_localport", &[], body)
                .await
                .status
        })
    });
    for attach in attaches.collect::<Vec<_>>() {
        assert_eq!(attach.await.unwrap(), 200);
    }
    let instances = node.snapshot().await.0;
    assert_eq!(
        instances
            .iter()
            .map(|view| view.attachments.len())
            .collect::<Vec<_>>(),
        [20; 3]
    );
}
