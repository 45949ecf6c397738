//! A peer that does not read, and an engine that does not take.

use std::net::SocketAddr;
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_speaker::{PeerConfig, SpeakerHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::engine::{FakeEngine, LOCAL_AS, config, eventually, start, updates};
use crate::peer::{FakePeer, ip, open, own_addr};

/// A speaker that waits for two peers.
async fn speaker(engine: &FakeEngine) -> (SpeakerHandle, [PeerConfig; 2], SocketAddr) {
    let mut config = config();
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    let peers = [(); 2].map(|()| {
        let mut peer = PeerConfig::new(own_addr(), LOCAL_AS);
        peer.options.passive = true;
        peer
    });
    config.peers = peers.to_vec();
    let speaker = start(config, engine).await;
    let addr = speaker.listen_addrs()[0];
    (speaker, peers, addr)
}

fn states(speaker: &SpeakerHandle) -> Vec<State> {
    speaker.peers().iter().map(|peer| peer.state).collect()
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_up_nobody_and_costs_little() {
    const PLENTY: usize = 32 * 1024 * 1024;
    let engine = FakeEngine::new();
    let (speaker, peers, addr) = speaker(&engine).await;
    let mut stuck = FakePeer::connect(ip(&peers[0]), addr).await;
    stuck.establish(&open([10, 0, 0, 8])).await;
    let mut reader = FakePeer::connect(ip(&peers[1]), addr).await;
    reader.establish(&open([10, 0, 0, 9])).await;
    engine.export_for_ever(updates(60_000));
    let mut read = 0;
    let mut octets = vec![0; 256 * 1024];
    while read < PLENTY {
        let count = reader.stream.read(&mut octets).await;
        let count = count.expect("the session lives");
        assert_ne!(count, 0, "it is closed");
        read += count;
    }
    let status = speaker.peers();
    let id = |addr| status.iter().find(|peer| peer.addr == addr).unwrap().peer;
    // What both kernels hold for it, and no more.
    let pulled = engine.pulled(id(ip(&peers[0])));
    assert!(
        pulled < PLENTY / 2,
        "{pulled} octets wait for a peer that does not read"
    );
    // It is heard all the same.
    let heard = engine.batches().len();
    stuck.send(&updates(100)).await;
    let hears = || engine.batches().len() > heard;
    eventually("it is heard", &1, hears, || engine.told()).await;
    assert_eq!(states(&speaker), [State::Established; 2]);
}

#[tokio::test]
async fn while_the_engine_is_busy_sessions_live_on_and_peers_wait() {
    const SENT_MAX: usize = 256 * 1024 * 1024;
    let engine = FakeEngine::new();
    let (speaker, peers, addr) = speaker(&engine).await;
    let mut remote = FakePeer::connect(ip(&peers[0]), addr).await;
    let mut offer = open([10, 0, 0, 9]);
    offer.hold_time = 3;
    remote.establish(&offer).await;
    engine.wait_for(&["up 1"]).await;
    engine.stall(true);
    // The peer sends until TCP takes no more.
    let (mut read_half, mut write_half) = remote.stream.into_split();
    let sender = tokio::spawn(async move {
        let octets = updates(64 * 1024);
        let mut sent = 0;
        loop {
            let write = write_half.write_all(&octets);
            match tokio::time::timeout(Duration::from_millis(700), write).await {
                Ok(result) => result.expect("the session lives"),
                Err(_) => return (sent, write_half),
            }
            sent += octets.len();
            assert!(sent < SENT_MAX, "nothing holds the peer back");
        }
    });
    // Twice the hold time: it hears KEEPALIVEs, and nothing of an end.
    let end = Instant::now() + Duration::from_secs(6);
    let mut keepalives = 0;
    let mut octets = Vec::new();
    loop {
        let read = read_half.read_buf(&mut octets);
        match tokio::time::timeout_at(end, read).await {
            Ok(result) => assert_ne!(result.expect("the session lives"), 0, "it is closed"),
            Err(_) => break,
        }
    }
    while let Some(message) = octets.get(keepalives * 19..(keepalives + 1) * 19) {
        assert_eq!(message[18], 4, "KEEPALIVE");
        keepalives += 1;
    }
    assert!(keepalives >= 5, "{keepalives} in 6 s at a hold time of 3 s");
    assert!(
        speaker
            .peers()
            .iter()
            .any(|peer| peer.state == State::Established)
    );
    assert_eq!(engine.batches().len(), 0);
    // When the engine goes on, so does the peer, and nothing was lost.
    engine.stall(false);
    let (sent, write_half) = sender.await.unwrap();
    let events = || -> usize {
        engine
            .batches()
            .iter()
            .map(|batch| batch.events.len())
            .sum()
    };
    let whole = sent / updates(1).len();
    eventually("all is taken", &whole, || events() >= whole, events).await;
    drop(write_half);
}

#[tokio::test]
async fn a_peer_comes_back_though_what_it_said_before_is_not_taken_yet() {
    let engine = FakeEngine::new();
    let (speaker, peers, addr) = speaker(&engine).await;
    let mut remote = FakePeer::connect(ip(&peers[0]), addr).await;
    remote.establish(&open([10, 0, 0, 9])).await;
    engine.wait_for(&["up 1"]).await;
    engine.stall(true);
    let status = || {
        let mut all = speaker.peers().into_iter();
        all.find(|peer| peer.addr == ip(&peers[0])).unwrap()
    };
    remote.send(&updates(10)).await;
    let waits = || status().received.update > 0;
    eventually("it waits for the engine", &1, waits, status).await;
    // This stays in the socket, with the end behind it.
    remote.send(&updates(10)).await;
    drop(remote);
    let mut again = FakePeer::connect(ip(&peers[0]), addr).await;
    again.establish(&open([10, 0, 0, 9])).await;
    let is_up = || status().established == 2 && status().state == State::Established;
    eventually("it is up again", &2, is_up, status).await;
    assert_eq!(status().flaps, 1);
}
