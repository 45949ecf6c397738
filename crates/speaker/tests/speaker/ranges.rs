//! Peers that nobody configured, from listen ranges.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_engine::{PeerId, PeerRole};
use chanter_speaker::{ListenRange, PeerConfig, RemoteAs, SpeakerConfig, SpeakerHandle};
use chanter_types::{Asn, Prefix};

use crate::engine::{FakeEngine, LOCAL_AS, config, eventually, only, start};
use crate::peer::{FakePeer, Heard, open, open_graceful, open_of, own_addr};

/// The range that holds `addr` and few others.
fn range_of(addr: IpAddr, len: u8) -> ListenRange {
    let prefix = Prefix::new(addr, len).unwrap();
    let mut range = ListenRange::new(prefix, Some(LOCAL_AS));
    range.options.role_client = true;
    range
}

async fn speaker(
    engine: &FakeEngine,
    ranges: Vec<ListenRange>,
    change: impl FnOnce(&mut SpeakerConfig),
) -> (SpeakerHandle, SocketAddr) {
    let mut config = config();
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    config.ranges = ranges;
    change(&mut config);
    let speaker = start(config, engine).await;
    let addr = speaker.listen_addrs()[0];
    (speaker, addr)
}

async fn no_peer_is_left(speaker: &SpeakerHandle) {
    let peers = || speaker.peers();
    eventually("no peer is left", &0, || peers().is_empty(), peers).await;
}

#[tokio::test]
async fn a_peer_from_a_range_comes_and_goes() {
    let engine = FakeEngine::new();
    let addr = own_addr();
    let (speaker, listen) = speaker(&engine, vec![range_of(addr, 32)], |_| {}).await;
    assert!(speaker.peers().is_empty());
    for id in 1..=3 {
        let mut remote = FakePeer::connect(addr, listen).await;
        remote.establish(&open([10, 0, 0, 9])).await;
        let up = || {
            speaker
                .peers()
                .iter()
                .any(|peer| peer.state == State::Established)
        };
        eventually("it is up", &id, up, || engine.told()).await;
        let status = only(&speaker);
        assert!(status.dynamic);
        // Numbers are not used again.
        assert_eq!((status.addr, status.peer), (addr, PeerId(id)));
        assert_eq!(engine.last_session().role, PeerRole::RouteReflectorClient);
        drop(remote);
        no_peer_is_left(&speaker).await;
    }
    let words: Vec<_> = (1..=3)
        .flat_map(|id| {
            [
                format!("up {id}"),
                format!("down {id} [] 0"),
                format!("removed {id}"),
            ]
        })
        .collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    engine.wait_for(&words).await;
}

#[tokio::test]
async fn a_peer_whose_routes_are_kept_is_kept() {
    let engine = FakeEngine::new();
    let addr = own_addr();
    let (speaker, listen) = speaker(&engine, vec![range_of(addr, 32)], |_| {}).await;
    let mut remote = FakePeer::connect(addr, listen).await;
    remote.establish(&open_graceful(false, 1)).await;
    engine.wait_for(&["up 1"]).await;
    drop(remote);
    engine.wait_for(&["up 1", "down 1 [l2vpn-evpn] 1"]).await;
    // It is back in time: the same peer.
    let mut remote = FakePeer::connect(addr, listen).await;
    remote.establish(&open_graceful(true, 1)).await;
    let back = ["up 1", "down 1 [l2vpn-evpn] 1", "up 1"];
    engine.wait_for(&back).await;
    drop(remote);
    no_peer_is_left(&speaker).await;
    let gone = [&back[..], &["down 1 [l2vpn-evpn] 1", "removed 1"]].concat();
    engine.wait_for(&gone).await;
}

#[tokio::test]
async fn a_peer_that_never_had_a_session_leaves_no_trace() {
    let engine = FakeEngine::new();
    let addr = own_addr();
    let short = |config: &mut SpeakerConfig| config.range_open_time = Duration::from_millis(200);
    let (speaker, listen) = speaker(&engine, vec![range_of(addr, 32)], short).await;
    let mut remote = FakePeer::connect(addr, listen).await;
    assert!(matches!(remote.hear().await, Heard::Open(_)));
    assert_eq!(speaker.peers().len(), 1);
    let Heard::Notification(notification) = remote.hear().await else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code, notification.subcode), (4, 0));
    drop(remote);
    no_peer_is_left(&speaker).await;
    assert!(engine.told().is_empty());
}

#[tokio::test]
async fn ranges_have_limits() {
    let engine = FakeEngine::new();
    let addrs = [own_addr(), own_addr(), own_addr()];
    let mut range = range_of(addrs[0], 8);
    range.limit = 2;
    let (speaker, listen) = speaker(&engine, vec![range], |_| {}).await;
    let mut remotes = Vec::new();
    for addr in &addrs[..2] {
        let mut remote = FakePeer::connect(*addr, listen).await;
        remote.establish(&open([10, 0, 0, 9])).await;
        remotes.push(remote);
    }
    let mut third = FakePeer::connect(addrs[2], listen).await;
    assert_eq!(third.hear().await, Heard::End);
    // Room is made when one goes.
    remotes.pop();
    let one = || speaker.peers().len() == 1;
    eventually("one goes", &1, one, || speaker.peers()).await;
    let mut third = FakePeer::connect(addrs[2], listen).await;
    third.establish(&open([10, 0, 0, 8])).await;
}

#[tokio::test]
async fn those_without_a_session_are_limited_over_all_ranges() {
    let engine = FakeEngine::new();
    let addrs = [own_addr(), own_addr(), own_addr()];
    let limit = |config: &mut SpeakerConfig| config.unidentified_max = 1;
    let (speaker, listen) = speaker(&engine, vec![range_of(addrs[0], 8)], limit).await;
    let mut first = FakePeer::connect(addrs[0], listen).await;
    assert!(matches!(first.hear().await, Heard::Open(_)));
    let mut second = FakePeer::connect(addrs[1], listen).await;
    assert_eq!(second.hear().await, Heard::End);
    // The first one gets its session and is a stranger no more.
    first.send_open(&open([10, 0, 0, 9])).await;
    first.send_keepalive().await;
    engine.wait_for(&["up 1"]).await;
    let mut third = FakePeer::connect(addrs[2], listen).await;
    third.establish(&open([10, 0, 0, 8])).await;
    let peers = || speaker.peers();
    eventually("both are there", &2, || peers().len() == 2, peers).await;
}

#[tokio::test]
async fn the_most_specific_range_counts_and_configured_peers_before_all() {
    let engine = FakeEngine::new();
    let (special, other, configured) = (own_addr(), own_addr(), own_addr());
    let mut narrow = range_of(special, 32);
    narrow.options.remote_as = RemoteAs::Is(Asn(65010));
    let mut wide = range_of(special, 8);
    wide.options.remote_as = RemoteAs::Any;
    let (speaker, listen) = speaker(&engine, vec![wide, narrow], |config| {
        let mut peer = PeerConfig::new(configured, Asn(65020));
        peer.options.passive = true;
        config.peers = vec![peer];
    })
    .await;
    let mut all = Vec::new();
    for (addr, asn) in [(special, 65010), (other, 64999), (configured, 65020)] {
        let mut remote = FakePeer::connect(addr, listen).await;
        remote.establish(&open_of(Asn(asn))).await;
        all.push(remote);
    }
    let up = || {
        let peers = speaker.peers();
        peers.len() == 3 && peers.iter().all(|peer| peer.state == State::Established)
    };
    eventually("all are up", &3, up, || speaker.peers()).await;
    let mut wrong = FakePeer::connect(special, listen).await;
    assert!(matches!(wrong.hear().await, Heard::Open(_)));
    wrong.send_open(&open_of(Asn(64999))).await;
    let Heard::Notification(notification) = wrong.hear().await else {
        panic!("no NOTIFICATION");
    };
    assert_eq!((notification.code, notification.subcode), (2, 2));
}
