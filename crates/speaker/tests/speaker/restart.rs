//! Restarts, of the peer and of this speaker (RFC 4724).

use std::net::SocketAddr;
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_bgp::{Capability, Family};
use chanter_speaker::{PeerConfig, SpeakerHandle};

use crate::engine::{FakeEngine, LOCAL_AS, config, eventually, only, start};
use crate::peer::{FakePeer, Heard, ip, open_graceful, own_addr};

async fn speaker(engine: &FakeEngine, restarting: bool) -> (SpeakerHandle, PeerConfig, SocketAddr) {
    let mut config = config();
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    config.restarting = restarting;
    let mut peer = PeerConfig::new(own_addr(), LOCAL_AS);
    peer.options.passive = true;
    config.peers = vec![peer.clone()];
    let speaker = start(config, engine).await;
    let addr = speaker.listen_addrs()[0];
    (speaker, peer, addr)
}

#[tokio::test]
async fn a_peer_that_comes_back_while_its_old_session_stands_loses_no_route() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = speaker(&engine, false).await;
    let mut old = FakePeer::connect(ip(&peer), addr).await;
    old.establish(&open_graceful(false, 77)).await;
    engine.wait_for(&["up 1"]).await;
    assert_eq!(engine.last_session().end_of_rib, [Family::L2VPN_EVPN]);

    let mut new = FakePeer::connect(ip(&peer), addr).await;
    new.establish(&open_graceful(true, 77)).await;
    engine
        .wait_for(&["up 1", "down 1 [l2vpn-evpn] 77", "up 1"])
        .await;
    assert_eq!(
        engine.last_session().forwarding_preserved,
        [Family::L2VPN_EVPN]
    );
    assert_eq!(
        old.hear_news().await,
        Heard::End,
        "closed without NOTIFICATION"
    );
    let status = only(&speaker);
    assert_eq!((status.state, status.flaps), (State::Established, 1));
    let error = status.last_error.expect("it says why");
    assert_eq!(error, "the peer restarted and connected anew");
}

#[tokio::test]
async fn routes_of_a_peer_that_goes_away_are_kept_as_long_as_it_asked() {
    let engine = FakeEngine::new();
    let (_speaker, peer, addr) = speaker(&engine, false).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open_graceful(false, 77)).await;
    drop(remote);
    engine.wait_for(&["up 1", "down 1 [l2vpn-evpn] 77"]).await;
}

#[tokio::test]
async fn a_notification_ends_the_session_and_its_routes() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = speaker(&engine, false).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    remote.establish(&open_graceful(false, 77)).await;
    let mut octets = Vec::new();
    let text = [&[4], &b"bye!"[..]].concat();
    chanter_bgp::NotificationMessage::new(6, 2, text).encode(&mut octets);
    remote.send(&octets).await;
    engine.wait_for(&["up 1", "down 1 [] 0"]).await;
    let error = only(&speaker).last_error.expect("it says why");
    assert!(
        error.contains("Administrative Shutdown") && error.contains("bye!"),
        "{error}"
    );
}

#[tokio::test]
async fn after_our_restart_peers_are_told_that_forwarding_went_on() {
    for restarting in [false, true] {
        let engine = FakeEngine::new();
        let (_speaker, peer, addr) = speaker(&engine, restarting).await;
        let mut remote = FakePeer::connect(ip(&peer), addr).await;
        let heard = remote.establish(&open_graceful(false, 77)).await;
        let restart = heard
            .capabilities
            .iter()
            .find_map(|capability| match capability {
                Capability::GracefulRestart(restart) => Some(restart),
                _ => None,
            })
            .expect("it is offered");
        assert_eq!(restart.restarting, restarting);
        assert_eq!(restart.restart_time, 120);
        let families = vec![
            (Family::IPV4_RTC, restarting),
            (Family::L2VPN_EVPN, restarting),
        ];
        assert_eq!(restart.families, families);
    }
}

#[tokio::test]
async fn a_silent_peer_is_given_up_after_the_hold_time_and_its_routes_are_kept() {
    let engine = FakeEngine::new();
    let (speaker, peer, addr) = speaker(&engine, false).await;
    let mut remote = FakePeer::connect(ip(&peer), addr).await;
    let mut offer = open_graceful(false, 77);
    offer.hold_time = 3;
    remote.establish(&offer).await;
    engine.wait_for(&["up 1"]).await;
    let start = std::time::Instant::now();
    let Heard::Notification(notification) = remote.hear_news().await else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code, notification.subcode), (4, 0));
    assert!(
        start.elapsed() >= Duration::from_millis(2500),
        "not before its time"
    );
    engine.wait_for(&["up 1", "down 1 [l2vpn-evpn] 77"]).await;
    let idle = || only(&speaker).state == State::Active;
    eventually("it waits", &State::Active, idle, || only(&speaker).state).await;
}
