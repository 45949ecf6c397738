//! Peers that do what they must not, and strangers.

use std::net::SocketAddr;
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_speaker::{PeerConfig, SpeakerHandle};
use chanter_types::Asn;

use crate::engine::{FakeEngine, LOCAL_AS, config, eventually, only, start, updates};
use crate::peer::{FakePeer, Heard, ip, open, open_of, own_addr};

struct Rig {
    engine: FakeEngine,
    speaker: SpeakerHandle,
    peer: PeerConfig,
    addr: SocketAddr,
}

impl Rig {
    /// A speaker that waits for one peer, which may take so long to send OPEN.
    async fn new(open_time: Duration) -> Self {
        let engine = FakeEngine::new();
        let mut config = config();
        config.listen = vec![SocketAddr::new(own_addr(), 0)];
        config.times.open = open_time;
        let mut peer = PeerConfig::new(own_addr(), LOCAL_AS);
        peer.options.passive = true;
        config.peers = vec![peer.clone()];
        let speaker = start(config, &engine).await;
        let addr = speaker.listen_addrs()[0];
        Self {
            engine,
            speaker,
            peer,
            addr,
        }
    }

    async fn established(&self) -> FakePeer {
        let mut remote = FakePeer::connect(ip(&self.peer), self.addr).await;
        remote.establish(&open([10, 0, 0, 9])).await;
        let up = || only(&self.speaker).state == State::Established;
        eventually("it is up", &true, up, || self.engine.told()).await;
        remote
    }

    /// The error that is shown.
    async fn error(&self) -> String {
        let error = || only(&self.speaker).last_error;
        eventually("an error is shown", &"one", || error().is_some(), error).await;
        error().unwrap()
    }
}

fn message(type_code: u8, len: u16, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend(len.to_be_bytes());
    message.push(type_code);
    message.extend(body);
    message
}

#[tokio::test]
async fn a_malformed_message_gets_its_notification_on_the_wire() {
    let mut no_marker = message(4, 19, &[]);
    no_marker[0] = 0;
    // The length of withdrawn routes is beyond the message.
    let bad_update = message(2, 23, &[0xff, 0xff, 0, 0]);
    let keepalive_too_long = message(4, 20, &[0]);
    for (octets, codes, words) in [
        (no_marker, (1, 1), "the marker of a header"),
        (
            message(2, 4097, &[]),
            (1, 2),
            "a header has length 4097 for UPDATE",
        ),
        (
            message(2, 18, &[]),
            (1, 2),
            "a header has length 18 for UPDATE",
        ),
        (
            keepalive_too_long,
            (1, 2),
            "a header has length 20 for KEEPALIVE",
        ),
        (message(7, 19, &[]), (1, 3), "a header has message type 7"),
        (bad_update, (3, 1), "in UPDATE"),
    ] {
        let rig = Rig::new(Duration::from_secs(60)).await;
        let mut remote = rig.established().await;
        // What was in order before it still counts.
        let mut wire = updates(23);
        wire.extend(&octets);
        remote.send(&wire).await;
        let Heard::Notification(notification) = remote.hear_news().await else {
            panic!("{words}: no NOTIFICATION");
        };
        assert_eq!((notification.code, notification.subcode), codes, "{words}");
        assert_eq!(remote.hear().await, Heard::End);
        rig.engine
            .wait_for(&["up 1", "updates 1", "down 1 [] 0"])
            .await;
        let error = rig.error().await;
        assert!(error.contains(words), "{error}");
        // The next attempt is welcome.
        rig.established().await;
    }
}

#[tokio::test]
async fn the_wrong_as_is_refused_with_both_named() {
    let rig = Rig::new(Duration::from_secs(60)).await;
    let mut remote = FakePeer::connect(ip(&rig.peer), rig.addr).await;
    assert!(matches!(remote.hear().await, Heard::Open(_)));
    remote.send_open(&open_of(Asn(65001))).await;
    let Heard::Notification(notification) = remote.hear().await else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code, notification.subcode), (2, 2));
    let error = rig.error().await;
    assert!(
        error.contains("its AS is 65001, configured is 64512"),
        "{error}"
    );
    assert!(rig.engine.told().is_empty());
}

#[tokio::test]
async fn routes_before_the_session_is_up_are_an_error() {
    let rig = Rig::new(Duration::from_secs(60)).await;
    let mut remote = FakePeer::connect(ip(&rig.peer), rig.addr).await;
    assert!(matches!(remote.hear().await, Heard::Open(_)));
    remote.send(&updates(23)).await;
    let Heard::Notification(notification) = remote.hear().await else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code, notification.subcode), (5, 1));
    assert!(rig.engine.told().is_empty());
}

#[tokio::test]
async fn who_says_nothing_or_half_an_open_is_given_up() {
    for half in [&[][..], &message(1, 4096, &[4; 10])] {
        let rig = Rig::new(Duration::from_millis(300)).await;
        let mut remote = FakePeer::connect(ip(&rig.peer), rig.addr).await;
        remote.send(half).await;
        assert!(matches!(remote.hear().await, Heard::Open(_)));
        let Heard::Notification(notification) = remote.hear().await else {
            panic!("no NOTIFICATION");
        };
        assert_eq!((notification.code, notification.subcode), (4, 0));
        assert_eq!(rig.error().await, "the peer sent no OPEN within 0.3 s");
    }
}

#[tokio::test]
async fn many_connections_of_one_peer_cost_no_more_than_one() {
    let rig = Rig::new(Duration::from_secs(60)).await;
    let mut open_connections = Vec::new();
    for _ in 0..50 {
        open_connections.push(FakePeer::connect(ip(&rig.peer), rig.addr).await);
    }
    // Only the newest is there still; the others get OPEN, then the end.
    let mut last = open_connections.pop().unwrap();
    for mut remote in open_connections {
        loop {
            match remote.hear().await {
                Heard::Open(_) | Heard::Notification(_) => {}
                heard => break assert_eq!(heard, Heard::End),
            }
        }
    }
    last.establish(&open([10, 0, 0, 9])).await;
    rig.engine.wait_for(&["up 1"]).await;
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let rig = Rig::new(Duration::from_secs(60)).await;
    for _ in 0..20 {
        let mut stranger = FakePeer::connect(own_addr(), rig.addr).await;
        assert_eq!(stranger.hear().await, Heard::End);
    }
    rig.established().await;
    assert_eq!(rig.speaker.peers().len(), 1);
}

#[tokio::test]
async fn a_faulty_update_does_not_end_the_session() {
    let rig = Rig::new(Duration::from_secs(60)).await;
    let mut remote = rig.established().await;
    // ORIGIN with value 9, then a prefix: RFC 7606 section 7.1, treat-as-withdraw.
    let body = [0, 0, 0, 4, 0x40, 1, 1, 9, 24, 10, 1, 2];
    let update = message(2, 19 + 12, &body);
    for _ in 0..100 {
        remote.send(&update).await;
    }
    remote.send_keepalive().await;
    let received = || only(&rig.speaker).received;
    let all = || received().update == 100 && received().keepalive >= 2;
    eventually("all is read", &100, all, received).await;
    assert_eq!(only(&rig.speaker).state, State::Established);
}

#[tokio::test]
async fn a_fault_of_ours_in_one_session_is_survived() {
    let rig = Rig::new(Duration::from_secs(60)).await;
    let mut remote = rig.established().await;
    rig.engine.break_next();
    remote.send(&updates(23)).await;
    assert_eq!(remote.hear_news().await, Heard::End);
    rig.engine.wait_for(&["up 1", "down 1 [] 0"]).await;
    assert_eq!(rig.error().await, "a fault of this program");
    // After a while the same peer is served again.
    let mut remote = loop {
        let mut remote = FakePeer::connect(ip(&rig.peer), rig.addr).await;
        if let Heard::Open(_) = remote.hear().await {
            break remote;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    remote.send_open(&open([10, 0, 0, 9])).await;
    remote.send_keepalive().await;
    rig.engine.wait_for(&["up 1", "down 1 [] 0", "up 1"]).await;
}
