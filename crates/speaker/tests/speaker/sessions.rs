//! Sessions come up, carry routes, and end.

use std::net::SocketAddr;
use std::time::Duration;

use chanter_bgp::session::{LocalAs, State, StopMode};
use chanter_bgp::{Family, RouteEvent, RouteRefreshMessage};
use chanter_engine::PeerRole;
use chanter_speaker::{PeerConfig, PeerError, RemoteAs, Speaker, SpeakerError};
use chanter_types::Asn;
use tokio::net::TcpListener;

use crate::engine::{FakeEngine, LOCAL_AS, config, eventually, only, start, updates};
use crate::peer::{FakePeer, Heard, ip, open, open_graceful, open_of, own_addr};

/// A speaker that waits for the one peer.
async fn passive(
    engine: &FakeEngine,
    change: impl FnOnce(&mut PeerConfig),
) -> (chanter_speaker::SpeakerHandle, PeerConfig, SocketAddr) {
    let mut config = config();
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    let mut peer = PeerConfig::new(own_addr(), LOCAL_AS);
    peer.options.passive = true;
    change(&mut peer);
    config.peers = vec![peer.clone()];
    let speaker = start(config, engine).await;
    let addr = speaker.listen_addrs()[0];
    (speaker, peer, addr)
}

#[tokio::test]
async fn routes_flow_both_ways() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = passive(&engine, |peer| peer.options.role_client = true).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    let heard = remote.establish(&open([10, 0, 0, 9])).await;
    assert_eq!((heard.asn, heard.hold_time), (LOCAL_AS, 90));
    engine.wait_for(&["up 1"]).await;
    let session = engine.last_session();
    assert_eq!(session.peer_addr, ip(&peer));
    assert_eq!(session.local_addr, addr.ip());
    assert_eq!(session.role, PeerRole::RouteReflectorClient);
    assert_eq!(session.families, [Family::L2VPN_EVPN]);
    assert!(session.end_of_rib.is_empty(), "it has no graceful restart");

    remote.send(&updates(100)).await;
    engine.wait_for(&["up 1", "updates 1"]).await;
    let events: Vec<_> = engine
        .batches()
        .into_iter()
        .flat_map(|batch| batch.events)
        .collect();
    assert!(
        events
            .iter()
            .all(|event| *event == RouteEvent::EndOfRib(Family::L2VPN_EVPN))
    );

    let id = only(&speaker).peer;
    let sent = updates(1);
    engine.export(id, sent.clone());
    assert_eq!(remote.hear_news().await, Heard::Update(sent));

    let mut refresh = Vec::new();
    RouteRefreshMessage::request(Family::L2VPN_EVPN).encode(&mut refresh);
    remote.send(&refresh).await;
    engine
        .wait_for(&["up 1", "updates 1", "refresh 1 l2vpn-evpn"])
        .await;

    let status = only(&speaker);
    assert_eq!(status.state, State::Established);
    assert_eq!(status.previous_state, State::OpenConfirm);
    assert_eq!(status.router_id, Some([10, 0, 0, 9].into()));
    assert_eq!(status.hold_time, Some(Duration::from_secs(30)));
    assert_eq!(status.families, [Family::L2VPN_EVPN]);
    assert_eq!(
        (status.received.open, status.received.route_refresh),
        (1, 1)
    );
    assert_eq!(
        status.received.update,
        updates(100).len() as u64 / sent_len()
    );
    assert_eq!((status.sent.open, status.sent.update), (1, 1));

    drop(remote);
    engine
        .wait_for(&["up 1", "updates 1", "refresh 1 l2vpn-evpn", "down 1 [] 0"])
        .await;
    let status = only(&speaker);
    assert_eq!(status.flaps, 1);
    let error = status.last_error.expect("it went down for a reason");
    assert_eq!(error, "the peer closed the connection without NOTIFICATION");
}

fn sent_len() -> u64 {
    updates(1).len() as u64
}

#[tokio::test]
async fn the_speaker_connects_and_tries_again() {
    let engine = FakeEngine::new();
    let mut config = config();
    let peer_addr = own_addr();
    let local_addr = own_addr();
    // A port on which nobody listens yet.
    let port = {
        let listener = TcpListener::bind((peer_addr, 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut peer = PeerConfig::new(peer_addr, LOCAL_AS);
    peer.port = port;
    peer.options.local_addr = Some(local_addr);
    config.peers = vec![peer];
    let speaker = start(config, &engine).await;
    let error = || only(&speaker).last_error;
    let refused = || error().is_some_and(|error| error.contains("refused"));
    eventually("an attempt fails", &"refused", refused, error).await;

    let listener = TcpListener::bind((peer_addr, port)).await.unwrap();
    let mut remote = FakePeer::accept(&listener).await;
    assert_eq!(remote.stream.peer_addr().unwrap().ip(), local_addr);
    remote.establish(&open([10, 0, 0, 9])).await;
    engine.wait_for(&["up 1"]).await;
    assert_eq!(engine.last_session().role, PeerRole::Ibgp);

    // It comes back by itself.
    drop(remote);
    let mut remote = FakePeer::accept(&listener).await;
    remote.establish(&open([10, 0, 0, 9])).await;
    engine.wait_for(&["up 1", "down 1 [] 0", "up 1"]).await;
}

#[tokio::test]
async fn of_two_connections_one_is_kept() {
    // The peer's identifier is lower, then higher than ours.
    for (router_id, outgoing_wins) in [([10, 0, 0, 1], true), ([10, 0, 0, 9], false)] {
        let engine = FakeEngine::new();
        let mut config = config();
        config.listen = vec![SocketAddr::new(own_addr(), 0)];
        let listener = TcpListener::bind((own_addr(), 0)).await.unwrap();
        let peer_addr = listener.local_addr().unwrap();
        let mut peer = PeerConfig::new(peer_addr.ip(), LOCAL_AS);
        peer.port = peer_addr.port();
        config.peers = vec![peer];
        let speaker = start(config, &engine).await;
        let mut theirs = FakePeer::accept(&listener).await;
        let mut ours = FakePeer::connect(peer_addr.ip(), speaker.listen_addrs()[0]).await;
        assert!(matches!(theirs.hear().await, Heard::Open(_)));
        assert!(matches!(ours.hear().await, Heard::Open(_)));
        let (mut winner, mut loser) = if outgoing_wins {
            (theirs, ours)
        } else {
            (ours, theirs)
        };
        loser.send_open(&open(router_id)).await;
        assert_eq!(loser.hear().await, Heard::Keepalive);
        winner.send_open(&open(router_id)).await;
        assert_eq!(winner.hear().await, Heard::Keepalive);
        let Heard::Notification(notification) = loser.hear().await else {
            panic!("the loser is told");
        };
        assert_eq!((notification.code, notification.subcode), (6, 7));
        assert_eq!(loser.hear().await, Heard::End);
        winner.send_keepalive().await;
        engine.wait_for(&["up 1"]).await;
    }
}

/// The end of the old connection and the new one are there at the same time; which is seen first is
/// left to chance.
#[tokio::test]
async fn who_hangs_up_and_connects_anew_at_once_is_no_collision() {
    for busy in [false, true] {
        let engine = FakeEngine::new();
        let (speaker, peer, addr) = passive(&engine, |_| {}).await;
        for _ in 0..10 {
            let mut remote = FakePeer::connect(ip(&peer), addr).await;
            remote.establish(&open([10, 0, 0, 9])).await;
            let up = || only(&speaker).state == State::Established;
            eventually("it is up", &true, up, || only(&speaker)).await;
            let before = only(&speaker).received.update;
            engine.stall(busy);
            if busy {
                remote.send(&updates(23)).await;
                let received = || only(&speaker).received.update;
                eventually("it reads", &1, || received() > before, received).await;
            }
            drop(remote);
            let mut remote = FakePeer::connect(ip(&peer), addr).await;
            remote.establish(&open([10, 0, 0, 9])).await;
            engine.stall(false);
            eventually("it is up", &true, up, || only(&speaker)).await;
            drop(remote);
            let down = || only(&speaker).state != State::Established;
            eventually("it is down", &true, down, || only(&speaker)).await;
        }
        assert_eq!(only(&speaker).flaps, 20);
    }
}

#[tokio::test]
async fn two_speakers_that_both_connect_find_together() {
    for round in 0..5 {
        let engines = [FakeEngine::new(), FakeEngine::new()];
        let addrs = [own_addr(), own_addr()];
        let port = {
            let listener = TcpListener::bind((addrs[0], 0)).await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let mut speakers = Vec::new();
        for (this, other) in [(0, 1), (1, 0)] {
            let mut config = config();
            config.router_id = [10, 0, 0, if this == round % 2 { 1 } else { 2 }].into();
            config.listen = vec![SocketAddr::new(addrs[this], port)];
            let mut peer = PeerConfig::new(addrs[other], LOCAL_AS);
            peer.port = port;
            peer.options.local_addr = Some(addrs[this]);
            config.peers = vec![peer];
            speakers.push(start(config, &engines[this]).await);
        }
        let states = || -> Vec<_> { speakers.iter().map(|speaker| only(speaker).state).collect() };
        let both = || states() == [State::Established; 2];
        eventually("both are up", &State::Established, both, states).await;
        // Routes flow on what was kept.
        let id = only(&speakers[0]).peer;
        engines[0].export(id, updates(1));
        let flow = || engines[1].batches().len() == 1;
        eventually("routes flow", &1, flow, || engines[1].told()).await;
        for speaker in &speakers {
            speaker.stop(StopMode::Silent).await;
        }
    }
}

#[tokio::test]
async fn another_as_is_an_external_peer() {
    let engine = FakeEngine::new();
    let (_speaker, peer, addr) = passive(&engine, |peer| {
        peer.options.remote_as = RemoteAs::Is(Asn(4_200_000_001));
        peer.options.role_client = true;
    })
    .await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open_of(Asn(4_200_000_001))).await;
    engine.wait_for(&["up 1"]).await;
    let session = engine.last_session();
    assert_eq!(session.role, PeerRole::Ebgp);
    assert_eq!(session.peer_as, Asn(4_200_000_001));
}

#[tokio::test]
async fn the_as_of_the_peer_is_mirrored() {
    let engine = FakeEngine::new();
    let mut config = config();
    config.local_as = LocalAs::MirrorPeer;
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    let peer = PeerConfig::new(own_addr(), Asn(1));
    config.peers = vec![peer.clone()];
    let speaker = start(config, &engine).await;
    let mut remote = FakePeer::connect(ip(&peer), speaker.listen_addrs()[0]).await;
    remote.send_open(&open_of(Asn(64999))).await;
    let Heard::Open(heard) = remote.hear().await else {
        panic!("OPEN is answered");
    };
    assert_eq!(heard.asn, Asn(64999));
    assert_eq!(remote.hear().await, Heard::Keepalive);
    remote.send_keepalive().await;
    engine.wait_for(&["up 1"]).await;
    assert_eq!(engine.last_session().role, PeerRole::Ibgp);
    assert_eq!(only(&speaker).local_as, Some(Asn(64999)));
}

#[tokio::test]
async fn stopped_silently_the_peer_sees_the_end_and_the_engine_nothing() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = passive(&engine, |_| {}).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open_graceful(false, 60)).await;
    engine.wait_for(&["up 1"]).await;
    // What is not read yet must not make a reset of the end.
    remote.send(&updates(100)).await;
    let (_, heard) = tokio::join!(speaker.stop(StopMode::Silent), async {
        let heard = remote.hear_news().await;
        drop(remote);
        heard
    });
    assert_eq!(heard, Heard::End);
    assert!(
        !engine.told().iter().any(|word| word.starts_with("down")),
        "{:?}",
        engine.told()
    );
    assert!(speaker.peers().is_empty());
}

#[tokio::test]
async fn stopped_silently_a_peer_without_graceful_restart_is_told() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = passive(&engine, |peer| peer.options.graceful_restart = None).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open_graceful(false, 60)).await;
    engine.wait_for(&["up 1"]).await;
    let (_, heard) = tokio::join!(speaker.stop(StopMode::Silent), async {
        let heard = remote.hear_news().await;
        drop(remote);
        heard
    });
    assert!(matches!(heard, Heard::Notification(_)), "{heard:?}");
    let told = engine.told();
    assert!(
        !told.iter().any(|word| word.starts_with("down")),
        "{told:?}"
    );
}

#[tokio::test]
async fn stopped_with_cease_both_are_told() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = passive(&engine, |_| {}).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open_graceful(false, 60)).await;
    engine.wait_for(&["up 1"]).await;
    let text = "moving to rack 7".to_owned();
    let (_, heard) = tokio::join!(
        speaker.stop(StopMode::Cease { text: text.clone() }),
        async {
            let heard = remote.hear_news().await;
            assert_eq!(remote.hear().await, Heard::End);
            drop(remote);
            heard
        }
    );
    let Heard::Notification(notification) = heard else {
        panic!("{heard:?}");
    };
    assert_eq!((notification.code, notification.subcode), (6, 2));
    assert_eq!(notification.text(), Some(text));
    engine.wait_for(&["up 1", "down 1 [] 0"]).await;
}

#[tokio::test]
async fn a_session_can_be_reset() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = passive(&engine, |_| {}).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open([10, 0, 0, 9])).await;
    engine.wait_for(&["up 1"]).await;
    let id = only(&speaker).peer;
    assert_eq!(speaker.reset_peer(id, "again".to_owned()).await, Ok(()));
    let Heard::Notification(notification) = remote.hear_news().await else {
        panic!("the peer is told");
    };
    assert_eq!((notification.code, notification.subcode), (6, 4));
    drop(remote);
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open([10, 0, 0, 9])).await;
    engine.wait_for(&["up 1", "down 1 [] 0", "up 1"]).await;
    let unknown = chanter_engine::PeerId(99);
    let reset = speaker.reset_peer(unknown, String::new()).await;
    assert_eq!(reset, Err(PeerError::Unknown));
}

#[tokio::test]
async fn ipv6_peers_are_accepted_beside_ipv4_on_one_port() {
    let engine = FakeEngine::new();
    let mut config = config();
    let port = {
        let listener = TcpListener::bind("[::]:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    config.listen = vec![
        SocketAddr::new([0, 0, 0, 0].into(), port),
        SocketAddr::new("::".parse().unwrap(), port),
    ];
    let mut v6 = PeerConfig::new("::1".parse().unwrap(), LOCAL_AS);
    v6.options.passive = true;
    let mut v4 = PeerConfig::new(own_addr(), LOCAL_AS);
    v4.options.passive = true;
    config.peers = vec![v6, v4.clone()];
    let speaker = start(config, &engine).await;
    let stream = tokio::net::TcpStream::connect(("::1", port)).await.unwrap();
    let mut remote = FakePeer { stream };
    remote.establish(&open([10, 0, 0, 6])).await;
    let mut other = FakePeer::connect(ip(&v4), SocketAddr::new(own_addr(), port)).await;
    other.establish(&open([10, 0, 0, 7])).await;
    let all_up = || {
        let peers = speaker.peers();
        peers.iter().all(|peer| peer.state == State::Established)
    };
    eventually("both are up", &2, all_up, || engine.told()).await;
}

#[tokio::test]
async fn what_cannot_work_is_said_at_once() {
    let engine = FakeEngine::new();
    let taken = TcpListener::bind((own_addr(), 0)).await.unwrap();
    let mut config = config();
    config.listen = vec![taken.local_addr().unwrap()];
    let error = Speaker::start(config.clone(), engine.clone())
        .await
        .expect_err("it is taken");
    assert!(matches!(error, SpeakerError::Listen { .. }));
    config.listen.clear();
    let peer = PeerConfig::new(own_addr(), LOCAL_AS);
    config.peers = vec![peer.clone(), peer.clone()];
    let error = Speaker::start(config, engine)
        .await
        .expect_err("it is there twice");
    assert_eq!(
        error.to_string(),
        format!("peer {} is configured twice", peer.addr)
    );
}
