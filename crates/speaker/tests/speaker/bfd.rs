//! BFD watches the path, and ends the session when it fails (RFC 5882, RFC 9384).

use std::net::IpAddr;
use std::time::Duration;

use chanter_bfd::{Bfd, BfdConfig, BfdState};
use chanter_bgp::session::State;
use chanter_speaker::{BfdOptions, PeerConfig, SpeakerConfig};

use crate::engine::{LOCAL_AS, config};
use crate::node::Node;

/// The speaker on the node `side` of both, which are 0 and 1.
async fn side(nodes: &[Node; 2], side: u8, strict: bool) -> SpeakerConfig {
    let mut config = config();
    config.router_id = [10, 0, 0, side + 1].into();
    config.listen = vec!["0.0.0.0:179".parse().unwrap()];
    let mut peer = PeerConfig::new(IpAddr::from([10, 0, 0, 2 - side]), LOCAL_AS);
    peer.options.passive = side == 0;
    peer.options.bfd = Some(BfdOptions {
        min_tx: Duration::from_millis(50),
        min_rx: Duration::from_millis(50),
        strict,
        ..BfdOptions::default()
    });
    config.peers = vec![peer];
    let bfd = nodes[usize::from(side)].run(async {
        Bfd::start(BfdConfig {
            realtime: false,
            ..BfdConfig::default()
        })
    });
    config.bfd = Some(bfd.await.unwrap());
    config
}

#[tokio::test]
async fn a_path_that_fails_ends_the_session_long_before_the_hold_time() {
    let nodes = Node::pair();
    let left = nodes[0].speaker(side(&nodes, 0, false).await).await;
    let right = nodes[1].speaker(side(&nodes, 1, false).await).await;
    for speaker in [&left, &right] {
        speaker
            .until("both are up", |peer| {
                peer.state == State::Established && peer.bfd == Some(BfdState::Up)
            })
            .await;
    }
    // TCP does not notice.
    nodes[0].ip("link set eth0 down");
    for speaker in [&left, &right] {
        speaker.until("it is down", |peer| peer.flaps == 1).await;
        let down = speaker.peer().last_down.expect("it was up");
        assert!(
            down.reason.contains("BFD says that the peer is down"),
            "{down:?}"
        );
    }
    nodes[0].ip("link set eth0 up");
    for speaker in [&left, &right] {
        speaker.until_up().await;
    }
}

#[tokio::test]
async fn a_strict_session_waits_for_bfd() {
    let nodes = Node::pair();
    let left = nodes[0].speaker(side(&nodes, 0, true).await).await;
    let mut without = side(&nodes, 1, false).await;
    let bfd = without.peers[0].options.bfd.take();
    let right = nodes[1].speaker(without.clone()).await;
    right
        .until("it is refused", |peer| peer.last_error.is_some())
        .await;
    let peer = left.peer();
    assert_eq!(peer.held.as_deref(), Some("waiting for BFD to be up"));
    assert_eq!((peer.state, peer.established), (State::Idle, 0));
    without.peers[0].options.bfd = bfd;
    right.reconfigure(without).await;
    for speaker in [&left, &right] {
        speaker.until_up().await;
    }
    assert_eq!(left.peer().bfd, Some(BfdState::Up));
}
