//! What an operator changes while the speaker runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_bgp::{Capability, Family, RouteRefreshMessage};
use chanter_engine::PeerOrder;
use chanter_policy::{LimitAction, PeerPolicy, PrefixLimit};
use chanter_speaker::{
    ListenRange, MessageTap, PeerConfig, PeerError, SpeakerConfig, SpeakerHandle, TapDirection,
    TapWants, TapWhat,
};
use chanter_types::Prefix;

use crate::engine::{FakeEngine, LOCAL_AS, config, eventually, start, updates};
use crate::peer::{FakePeer, Heard, ip, open, own_addr};

/// A speaker that waits for `count` peers.
fn waiting(count: usize) -> SpeakerConfig {
    let mut config = config();
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    for _ in 0..count {
        let mut peer = PeerConfig::new(own_addr(), LOCAL_AS);
        peer.options.passive = true;
        config.peers.push(peer);
    }
    config
}

async fn connect(speaker: &SpeakerHandle, peer: &PeerConfig, id: u8) -> FakePeer {
    let mut remote = FakePeer::connect(ip(peer), speaker.listen_addrs()[0]).await;
    remote.establish(&open([10, 0, 0, id])).await;
    let up = || {
        let peers = speaker.peers();
        peers
            .iter()
            .any(|status| status.addr == ip(peer) && status.state == State::Established)
    };
    eventually("it is up", &id, up, || speaker.peers()).await;
    remote
}

fn flaps(speaker: &SpeakerHandle) -> Vec<u64> {
    speaker.peers().iter().map(|peer| peer.flaps).collect()
}

async fn hear_cease(remote: &mut FakePeer, subcode: u8) {
    match remote.hear_news().await {
        Heard::Notification(notification) => {
            assert_eq!((notification.code, notification.subcode), (6, subcode));
        }
        heard => panic!("no NOTIFICATION but {heard:?}"),
    }
}

#[tokio::test]
async fn only_what_is_concerned_is_reset() {
    let engine = FakeEngine::new();
    let mut config = waiting(3);
    let speaker = start(config.clone(), &engine).await;
    let mut remotes = Vec::new();
    for (peer, id) in config.peers.iter().zip(7..) {
        remotes.push(connect(&speaker, peer, id).await);
    }
    assert_eq!(speaker.reconfigure(config.clone()).await.unwrap(), [""; 0]);

    // Words, times for the next OPEN, and policy.
    config.peers[0].options.description = Some("the first".to_owned());
    config.peers[1].options.hold_time = Duration::from_secs(30);
    config.peers[2].options.policy = Arc::new(PeerPolicy {
        next_hop_self: true,
        ..PeerPolicy::default()
    });
    let changes = speaker.reconfigure(config.clone()).await.unwrap();
    let names: Vec<_> = config
        .peers
        .iter()
        .map(|peer| peer.addr.to_string())
        .collect();
    let expected = names
        .iter()
        .zip(["description", "hold time", "next_hop_self"])
        .map(|(name, what)| format!("peer {name} changed: {what}"));
    assert_eq!(changes, expected.collect::<Vec<_>>());
    let told = || {
        engine
            .told()
            .iter()
            .any(|word| word.starts_with("SetPolicy"))
    };
    eventually("the engine knows the policy", &1, told, || engine.told()).await;
    let described = || {
        let described = |peer: &chanter_speaker::PeerStatus| peer.description.is_some();
        speaker.peers().iter().any(described)
    };
    eventually("it is shown", &1, described, || speaker.peers()).await;

    // Families of one, another one is removed, a fourth is added.
    config.peers[0].options.families.push(Family::IPV4_UNICAST);
    let removed = config.peers.remove(1);
    let mut added = waiting(1);
    config.peers.append(&mut added.peers);
    let changes = speaker.reconfigure(config.clone()).await.unwrap();
    let expected = [
        format!("peer {} removed", removed.addr),
        format!("peer {} changed and reset: the address families", names[0]),
        format!("peer {} added", config.peers[2].addr),
    ];
    assert_eq!(changes, expected);
    hear_cease(&mut remotes[0], 6).await;
    hear_cease(&mut remotes[1], 3).await;
    let _fourth = connect(&speaker, &config.peers[2], 17).await;
    let _again = connect(&speaker, &config.peers[0], 7).await;
    let mut all = flaps(&speaker);
    all.sort_unstable();
    assert_eq!(all, [0, 0, 1]);
    let removed = || engine.told().contains(&"removed 2".to_owned());
    eventually("the engine forgets it", &2, removed, || engine.told()).await;
    // The third one has not noticed anything.
    remotes[2].send(&updates(1)).await;
    let told = || engine.told().contains(&"updates 3".to_owned());
    eventually("its session lives", &3, told, || engine.told()).await;
}

#[tokio::test]
async fn a_listening_address_that_cannot_be_had_changes_nothing() {
    let engine = FakeEngine::new();
    let mut config = waiting(1);
    let speaker = start(config.clone(), &engine).await;
    let _remote = connect(&speaker, &config.peers[0], 9).await;
    let before = config.clone();
    config.listen.push("192.0.2.1:179".parse().unwrap());
    config.peers.clear();
    let error = speaker.reconfigure(config).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot listen for BGP on 192.0.2.1:179");
    assert_eq!(speaker.reconfigure(before).await.unwrap(), [""; 0]);
    assert_eq!(flaps(&speaker), [0]);
}

#[tokio::test]
async fn a_peer_is_shut_down_and_enabled() {
    let engine = FakeEngine::new();
    let config = waiting(1);
    let speaker = start(config.clone(), &engine).await;
    let mut remote = connect(&speaker, &config.peers[0], 9).await;
    let id = speaker.peers()[0].peer;
    speaker.shutdown_peer(id, "work".to_owned()).await.unwrap();
    let Heard::Notification(notification) = remote.hear_news().await else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code, notification.subcode), (6, 2));
    assert_eq!(notification.data, b"\x04work");
    let held = || speaker.peers()[0].held.as_deref() == Some("administratively down");
    eventually("it is held", &1, held, || speaker.peers()).await;
    speaker.enable_peer(id).await.unwrap();
    let free = || speaker.peers()[0].held.is_none();
    eventually("it is free", &1, free, || speaker.peers()).await;
    let _remote = connect(&speaker, &config.peers[0], 9).await;

    // By configuration.
    let mut down = config.clone();
    down.peers[0].options.shutdown = Some(String::new());
    speaker.reconfigure(down).await.unwrap();
    eventually("it is held", &2, held, || speaker.peers()).await;
    speaker.reconfigure(config.clone()).await.unwrap();
    eventually("it is free", &2, free, || speaker.peers()).await;
    let unknown = chanter_engine::PeerId(99);
    assert_eq!(speaker.enable_peer(unknown).await, Err(PeerError::Unknown));
}

#[tokio::test]
async fn routes_are_asked_for_and_sent_again() {
    let engine = FakeEngine::new();
    let config = waiting(1);
    let speaker = start(config.clone(), &engine).await;
    let id = speaker.peers()[0].peer;
    let refused = Err(PeerError::NotEstablished);
    assert_eq!(speaker.refresh_in(id, Vec::new()).await, refused);
    assert_eq!(speaker.refresh_out(id, Vec::new()).await, refused);
    let mut remote = connect(&speaker, &config.peers[0], 9).await;
    speaker.refresh_in(id, Vec::new()).await.unwrap();
    let request = RouteRefreshMessage::request(Family::L2VPN_EVPN);
    assert_eq!(remote.hear_news().await, Heard::Refresh(request));
    speaker
        .refresh_out(id, vec![Family::L2VPN_EVPN])
        .await
        .unwrap();
    let told = || engine.told().contains(&"refresh 1 l2vpn-evpn".to_owned());
    eventually("the engine sends again", &1, told, || engine.told()).await;
    // As the engine asks.
    let order = PeerOrder::Refresh {
        peer: id,
        families: vec![Family::L2VPN_EVPN],
    };
    engine.order(order).await;
    assert_eq!(remote.hear_news().await, Heard::Refresh(request));
    assert_eq!(speaker.peers()[0].sent.route_refresh, 2);

    drop(remote);
    let mut plain = open([10, 0, 0, 9]);
    plain
        .capabilities
        .retain(|capability| *capability != Capability::RouteRefresh);
    let mut remote = FakePeer::connect(ip(&config.peers[0]), speaker.listen_addrs()[0]).await;
    remote.establish(&plain).await;
    let up = || speaker.peers()[0].established == 2;
    eventually("it is up again", &2, up, || speaker.peers()).await;
    let refused = Err(PeerError::NoRouteRefresh);
    assert_eq!(speaker.refresh_in(id, Vec::new()).await, refused);
}

#[tokio::test]
async fn beyond_its_limit_a_peer_has_to_wait() {
    let engine = FakeEngine::new();
    let mut config = waiting(1);
    let family = Family::L2VPN_EVPN;
    let limit = |restart| {
        let action = LimitAction::Close { restart };
        let limit = PrefixLimit {
            limit: 10,
            warn_percent: 75,
            action,
        };
        Arc::new(PeerPolicy {
            max_prefixes: [(family, limit)].into(),
            ..PeerPolicy::default()
        })
    };
    config.peers[0].options.policy = limit(Some(Duration::from_millis(300)));
    let speaker = start(config.clone(), &engine).await;
    let mut remote = connect(&speaker, &config.peers[0], 9).await;
    let id = speaker.peers()[0].peer;
    let order = PeerOrder::PrefixLimit {
        peer: id,
        family,
        limit: 10,
    };
    engine.order(order.clone()).await;
    hear_cease(&mut remote, 1).await;
    let free = || speaker.peers()[0].state == State::Active;
    eventually("it may come back", &1, free, || speaker.peers()).await;
    let mut remote = connect(&speaker, &config.peers[0], 9).await;

    // For good, until an operator says otherwise.
    config.peers[0].options.policy = limit(None);
    speaker.reconfigure(config.clone()).await.unwrap();
    engine.order(order).await;
    hear_cease(&mut remote, 1).await;
    let held = || {
        let peer = speaker.peers().remove(0);
        let text = "more routes of l2vpn-evpn than the 10 that are allowed";
        peer.state == State::Idle && peer.held.is_some_and(|held| held.contains(text))
    };
    eventually("it is held", &1, held, || speaker.peers()).await;
    speaker.enable_peer(id).await.unwrap();
    connect(&speaker, &config.peers[0], 9).await;
}

#[tokio::test]
async fn strangers_that_say_nothing_make_room_for_others() {
    let engine = FakeEngine::new();
    let mut config = waiting(0);
    let addrs: Vec<_> = (0..5).map(|_| own_addr()).collect();
    let prefix = Prefix::new(addrs[0], 8).unwrap();
    let mut range = ListenRange::new(prefix, Some(LOCAL_AS));
    range.limit = 1;
    config.ranges = vec![range];
    config.unidentified_max = 3;
    let speaker = start(config, &engine).await;
    let listen = speaker.listen_addrs()[0];
    let mut idle = Vec::new();
    for addr in &addrs[..3] {
        let mut stranger = FakePeer::connect(*addr, listen).await;
        assert!(matches!(stranger.hear().await, Heard::Open(_)));
        idle.push(stranger);
    }
    // None of them counts for the range. As soon as they have had their time, one has to go.
    let mut client = loop {
        let mut client = FakePeer::connect(addrs[3], listen).await;
        match client.hear().await {
            Heard::Open(_) => break client,
            heard => assert_eq!(heard, Heard::End),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    client.send_open(&open([10, 0, 0, 9])).await;
    client.send_keepalive().await;
    engine.wait_for(&["up 4"]).await;
    // But a second one with a session is one too many.
    idle[2].send_open(&open([10, 0, 0, 8])).await;
    hear_cease(&mut idle[2], 5).await;
}

#[tokio::test]
async fn a_tap_gets_all_and_holds_up_nobody() {
    let engine = FakeEngine::new();
    let mut config = waiting(1);
    let wants = TapWants {
        received: true,
        sent: true,
    };
    let (tap, mut events) = MessageTap::channel(1000, wants);
    config.tap = Some(tap.clone());
    let speaker = start(config.clone(), &engine).await;
    let mut remote = connect(&speaker, &config.peers[0], 9).await;
    let update = updates(1);
    remote.send(&update).await;
    drop(remote);
    let mut seen = Vec::new();
    let down = loop {
        let event = events.recv().await.expect("the speaker runs");
        match event.what {
            TapWhat::Message { direction, octets } => seen.push((direction, octets[18])),
            TapWhat::Up {
                sent_open,
                received_open,
            } => {
                assert_eq!((sent_open[18], received_open[18]), (1, 1));
                assert_eq!(event.peer.remote.ip(), ip(&config.peers[0]));
                assert_eq!(event.peer.peer_as, LOCAL_AS);
            }
            TapWhat::Down { reason } => break reason,
            TapWhat::State { .. } | TapWhat::Removed => {}
        }
    };
    assert_eq!(down.name(), "closed-by-peer");
    let of = |wanted| {
        let of = seen
            .iter()
            .filter(move |(direction, _)| *direction == wanted);
        of.map(|(_, code)| *code).collect::<Vec<_>>()
    };
    assert_eq!(of(TapDirection::Received), [1, 4, 2]);
    assert_eq!(of(TapDirection::Sent)[..2], [1, 4]);
    assert_eq!(tap.dropped(), 0);

    // Nobody reads any more.
    let _remote = {
        let mut remote = connect(&speaker, &config.peers[0], 9).await;
        for _ in 0..10 {
            remote.send(&updates(10_000)).await;
        }
        remote
    };
    let lost = || tap.dropped() > 0;
    eventually("some are dropped", &1, lost, || tap.dropped()).await;
    assert_eq!(speaker.peers()[0].state, State::Established);
}
