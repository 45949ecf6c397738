//! What the kernel does for sessions: TCP-MD5, TCP-AO, GTSM, TTL. Two nodes on one link:
//!
//! ```text
//! [left] eth0 10.0.0.1 ---------- 10.0.0.2 eth0 [right]
//! ```

use std::net::IpAddr;
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_speaker::{
    AoAlgorithm, AoKey, Auth, ListenRange, LocalAs, PeerConfig, PeerOptions, Secret, Speaker,
    SpeakerConfig, Ttl,
};
use chanter_types::{Asn, Prefix};

use crate::engine::{FakeEngine, LOCAL_AS, config};
use crate::node::{Node, Running};

fn addr(host: usize) -> IpAddr {
    [10, 0, 0, u8::try_from(host).unwrap()].into()
}

/// The speaker on the node `side` of both, which are 0 and 1.
fn side(side: usize, change: impl Fn(&mut PeerOptions)) -> SpeakerConfig {
    let mut config = config();
    config.router_id = [10, 0, 0, u8::try_from(side + 1).unwrap()].into();
    config.listen = vec!["0.0.0.0:179".parse().unwrap()];
    config.times.connect = Duration::from_millis(700);
    config.times.open = Duration::from_millis(700);
    let mut peer = PeerConfig::new(addr(2 - side), LOCAL_AS);
    peer.options.hold_time = Duration::from_secs(3);
    // So that connections of both sides do not get in each other's way.
    peer.options.passive = side == 0;
    change(&mut peer.options);
    config.peers = vec![peer];
    config
}

fn md5(password: &str) -> Auth {
    Auth::Md5(Secret::new(password).unwrap())
}

async fn both(nodes: &[Node; 2], change: impl Fn(&mut PeerOptions)) -> [Running; 2] {
    [
        nodes[0].speaker(side(0, &change)).await,
        nodes[1].speaker(side(1, &change)).await,
    ]
}

#[tokio::test]
async fn a_password_is_changed_without_a_reset_and_a_wrong_one_is_told() {
    let nodes = Node::pair();
    let with = |password: &'static str| {
        move |options: &mut PeerOptions| {
            options.auth = md5(password);
        }
    };
    let speakers = both(&nodes, with("first")).await;
    for speaker in &speakers {
        speaker.until_up().await;
        assert_eq!(speaker.peer().auth, Some("TCP-MD5"));
    }
    // Within the hold time TCP repeats what the other side did not take meanwhile.
    for (index, speaker) in speakers.iter().enumerate() {
        let changes = speaker.reconfigure(side(index, with("second"))).await;
        assert_eq!(changes, [format!("peer {} changed: keys", addr(2 - index))]);
    }
    let keepalives = |speaker: &Running| speaker.peer().received.keepalive;
    let before = speakers.each_ref().map(keepalives);
    for (speaker, before) in speakers.iter().zip(before) {
        speaker
            .until("KEEPALIVEs go on", |peer| {
                peer.received.keepalive >= before + 3
            })
            .await;
        let peer = speaker.peer();
        assert_eq!((peer.flaps, peer.established), (0, 1), "{peer:?}");
    }
    // Only one side changes.
    speakers[0].reconfigure(side(0, with("third"))).await;
    let told = |peer: &chanter_speaker::PeerStatus| {
        let error = peer.last_error.as_deref().unwrap_or_default();
        peer.state != State::Established
            && error.contains("no answer within 0.7 s (TCP-MD5 is on, and the peer may have")
    };
    speakers[1].until("it is told", told).await;
    assert_eq!(speakers[0].peer().flaps, 1);
    speakers[1].reconfigure(side(1, with("third"))).await;
    for speaker in &speakers {
        speaker.until_up().await;
    }
    // Without a password the connection has to be a new one.
    for (index, speaker) in speakers.iter().enumerate() {
        let changes = speaker.reconfigure(side(index, |_| {})).await;
        let change = format!("peer {} changed and reset: authentication", addr(2 - index));
        assert_eq!(changes, [change]);
    }
    for speaker in &speakers {
        speaker
            .until("it is up without", |peer| {
                peer.state == State::Established && peer.auth.is_none()
            })
            .await;
    }
}

#[tokio::test]
async fn whose_password_is_wrong_is_told_where_only_the_peer_connects() {
    let nodes = Node::pair();
    let mut waiting = side(0, |options| options.auth = md5("ours"));
    waiting.key_check_time = Duration::from_millis(300);
    let waiting = nodes[0].speaker(waiting).await;
    let connecting = nodes[1]
        .speaker(side(1, |options| options.auth = md5("theirs")))
        .await;
    let error = |part: &'static str| {
        move |peer: &chanter_speaker::PeerStatus| {
            let error = peer.last_error.as_deref().unwrap_or_default();
            error.contains(part)
        }
    };
    let another = "the kernel dropped segments with another password of TCP-MD5";
    waiting.until("it is told", error(another)).await;
    connecting.reconfigure(side(1, |_| {})).await;
    let none = "the kernel dropped segments without TCP-MD5";
    waiting.until("it is told", error(none)).await;
    connecting
        .reconfigure(side(1, |options| options.auth = md5("ours")))
        .await;
    waiting.until_up().await;
}

#[tokio::test]
async fn who_has_no_password_is_not_in_a_range_with_one() {
    let mut config = side(0, |_| {});
    let mut range = ListenRange::new("10.0.0.0/24".parse().unwrap(), Some(LOCAL_AS));
    range.options.auth = md5("of the range");
    let narrow = ListenRange::new("10.0.0.64/26".parse().unwrap(), Some(LOCAL_AS));
    let start = async |config: &SpeakerConfig| {
        let started = Speaker::start(config.clone(), FakeEngine::new()).await;
        started.err().map(|error| error.to_string())
    };
    config.listen.clear();
    config.ranges = vec![range];
    let told = start(&config).await.expect("it is refused");
    assert!(
        told.starts_with("peer 10.0.0.2 has no password and is in listen range 10.0.0.0/24"),
        "{told}"
    );
    config.peers[0].options.auth = md5("of the peer");
    assert_eq!(start(&config).await, None);
    config.ranges.push(narrow);
    let told = start(&config).await.expect("it is refused");
    assert!(
        told.starts_with("listen range 10.0.0.64/26 has no password"),
        "{told}"
    );
}

#[tokio::test]
async fn on_one_link_the_engine_knows_our_link_local_address() {
    let nodes = Node::pair();
    for (node, host) in nodes.iter().zip(1..) {
        node.ip(&format!("addr add 2001:db8::{host}/64 dev eth0 nodad"));
        node.ip("addr add 2001:db8:1::1/128 dev lo nodad");
    }
    let of = |index: usize| {
        let mut config = side(index, |_| {});
        config.listen = vec!["[::]:179".parse().unwrap()];
        config.peers[0].addr = format!("2001:db8::{}", 2 - index).parse().unwrap();
        config
    };
    let speakers = [nodes[0].speaker(of(0)).await, nodes[1].speaker(of(1)).await];
    for speaker in &speakers {
        speaker.until_up().await;
        let link_local = || speaker.engine.last_session().local_link_local;
        let told = speaker.engine.told();
        assert!(!told.is_empty(), "the engine knows of it");
        let addr = link_local().expect("the link has one");
        assert!(addr.is_unicast_link_local(), "{addr}");
    }
}

#[tokio::test]
async fn a_range_has_a_password() {
    let nodes = Node::pair();
    let mut reflector = side(0, |_| {});
    reflector.peers.clear();
    let prefix: Prefix = "10.0.0.0/24".parse().unwrap();
    let mut range = ListenRange::new(prefix, Some(LOCAL_AS));
    range.options.auth = md5("of the range");
    reflector.ranges = vec![range];
    let reflector = nodes[0].speaker(reflector).await;
    let client = nodes[1].speaker(side(1, |_| {})).await;
    client
        .until("it cannot connect", |peer| {
            let error = peer.last_error.as_deref().unwrap_or_default();
            error.contains("no answer within")
        })
        .await;
    assert!(reflector.speaker.peers().is_empty());
    client
        .reconfigure(side(1, |options| options.auth = md5("of the range")))
        .await;
    client.until_up().await;
    reflector.until_up().await;
}

#[tokio::test]
async fn what_comes_from_afar_is_dropped_by_gtsm() {
    let nodes = Node::pair();
    let secure = |options: &mut PeerOptions| options.ttl = Ttl::Security { hops: 1 };
    let speakers = both(&nodes, secure).await;
    for speaker in &speakers {
        speaker.until_up().await;
        assert_eq!(speaker.peer().ttl, Ttl::Security { hops: 1 });
    }
    // Sent with TTL 254, it seems to have come through a router.
    speakers[1]
        .speaker
        .stop(chanter_speaker::StopMode::Silent)
        .await;
    let far = |options: &mut PeerOptions| options.ttl = Ttl::MultiHop(254);
    let far = nodes[1].speaker(side(1, far)).await;
    speakers[0]
        .until("it is told", |peer| {
            let error = peer.last_error.as_deref().unwrap_or_default();
            error.contains("arrived with TTL 254, and GTSM wants at least 255")
        })
        .await;
    assert_eq!(far.peer().established, 0);
    // Two hops are allowed.
    let nearer = |options: &mut PeerOptions| options.ttl = Ttl::Security { hops: 2 };
    let changes = speakers[0].reconfigure(side(0, nearer)).await;
    assert_eq!(changes, ["peer 10.0.0.2 changed and reset: the TTL"]);
    speakers[0].until_up().await;
}

#[tokio::test]
async fn a_peer_in_another_as_is_on_the_same_link_unless_it_is_configured_otherwise() {
    // [left] eth0 10.0.0.1 --- 10.0.0.2 eth0 [router] eth1 10.0.1.1 --- 10.0.1.2 eth1 [right]
    let [left, router] = Node::pair();
    let right = Node::new();
    router.cable("eth1", &right);
    for (node, line) in [
        (&router, "addr add 10.0.1.1/24 dev eth1"),
        (&right, "addr add 10.0.1.2/24 dev eth1"),
        (&router, "link set eth1 up"),
        (&right, "link set eth1 up"),
        (&left, "route add default via 10.0.0.2"),
        (&right, "route add default via 10.0.1.1"),
    ] {
        node.ip(line);
    }
    router.forwards();
    let external = |index: usize, ttl: Ttl| {
        let mut config = side(index, |options| options.ttl = ttl);
        let asn = |index: usize| Asn(64512 + u32::try_from(index).unwrap());
        config.local_as = LocalAs::Fixed(asn(index));
        let other: IpAddr = if index == 0 {
            [10, 0, 1, 2]
        } else {
            [10, 0, 0, 1]
        }
        .into();
        config.peers[0].addr = other.into();
        config.peers[0].options.remote_as = asn(1 - index).into();
        config
    };
    let speakers = [
        left.speaker(external(0, Ttl::Auto)).await,
        right.speaker(external(1, Ttl::Auto)).await,
    ];
    speakers[1]
        .until("it is too far", |peer| peer.last_error.is_some())
        .await;
    assert_eq!(speakers[0].peer().established, 0);
    for (index, speaker) in speakers.iter().enumerate() {
        speaker.reconfigure(external(index, Ttl::MultiHop(2))).await;
    }
    for speaker in &speakers {
        speaker.until_up().await;
    }
}

fn ao(keys: &[(u8, &str)]) -> Auth {
    let key = |(id, secret): &(u8, &str)| AoKey {
        send_id: *id,
        receive_id: *id,
        algorithm: AoAlgorithm::HmacSha1,
        secret: Secret::new(*secret).unwrap(),
        exclude_options: false,
    };
    Auth::Ao(keys.iter().map(key).collect())
}

/// Where the kernel has no TCP-AO, a session that is to have it never comes up, and it is said what
/// is missing.
#[tokio::test]
async fn tcp_ao_keys_roll_over_or_what_is_missing_is_named() {
    const MISSING: &str = "TCP-AO is not possible: this kernel does not have it; \
                           Linux 6.7 with CONFIG_TCP_AO is needed";
    let nodes = Node::pair();
    let first = |options: &mut PeerOptions| options.auth = ao(&[(1, "first")]);
    let speakers = both(&nodes, first).await;
    speakers[1]
        .until("it is up, or told why not", |peer| {
            let error = peer.last_error.as_deref().unwrap_or_default();
            peer.state == State::Established || error.contains(MISSING)
        })
        .await;
    if speakers[1].peer().state != State::Established {
        // Nobody gets in without a signature either.
        let plain = nodes[1].run(async {
            let mut stream = tokio::net::TcpStream::connect("10.0.0.1:179")
                .await
                .unwrap();
            let mut octet = [0];
            tokio::io::AsyncReadExt::read(&mut stream, &mut octet).await
        });
        assert!(
            matches!(plain.await, Ok(0) | Err(_)),
            "it is closed at once"
        );
        assert_eq!(speakers[0].peer().established, 0);
        return;
    }
    for keys in [
        &[(1, "first"), (2, "second")][..],
        &[(2, "second"), (1, "first")],
        &[(2, "second")],
    ] {
        for (index, speaker) in speakers.iter().enumerate() {
            speaker
                .reconfigure(side(index, |options| options.auth = ao(keys)))
                .await;
        }
        for speaker in &speakers {
            let before = speaker.peer().received.keepalive;
            speaker
                .until("KEEPALIVEs go on", |peer| {
                    peer.received.keepalive >= before + 2
                })
                .await;
            assert_eq!(speaker.peer().flaps, 0);
        }
    }
}
