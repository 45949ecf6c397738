//! Peers over IPv6 link-local addresses, by address and by interface:
//!
//! ```text
//! [left] eth0 fe80::1 ---------- fe80::2 eth0 [right]
//! ```

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use chanter_bgp::Family;
use chanter_bgp::session::{LocalAs, State};
use chanter_speaker::{Auth, PeerConfig, RemoteAs, Secret, SpeakerConfig};
use chanter_types::Asn;
use tokio::net::TcpSocket;

use crate::engine::config;
use crate::node::Node;
use crate::peer::{FakePeer, open_of};

/// The speaker on the node `side` of both, which are 0 and 1.
fn side(side: u32, peer: &str) -> SpeakerConfig {
    let mut config = config();
    config.local_as = LocalAs::Fixed(Asn(64512 + side));
    config.router_id = [10, 0, 0, u8::try_from(side + 1).unwrap()].into();
    config.listen = vec!["[::]:179".parse().unwrap()];
    let mut peer = PeerConfig::named(peer.parse().unwrap(), RemoteAs::External);
    peer.options.families = vec![Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    config.peers = vec![peer];
    config
}

fn link_local(host: u16) -> IpAddr {
    IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, host])
}

#[tokio::test]
async fn two_nodes_find_each_other_by_router_advertisements() {
    let nodes = Node::pair();
    let left = nodes[0].speaker(side(0, "eth0")).await;
    left.until("it waits", |peer| {
        let held = peer.held.as_deref().unwrap_or_default();
        held == "waiting for a router advertisement or a connection on eth0"
    })
    .await;
    // So that connections of both sides do not get in each other's way.
    let mut passive = side(1, "eth0");
    passive.peers[0].options.passive = true;
    let right = nodes[1].speaker(passive).await;
    for (speaker, host, asn) in [(&left, 2, 64513), (&right, 1, 64512)] {
        speaker.until_up().await;
        let peer = speaker.peer();
        assert_eq!(
            (peer.addr, peer.remote_as),
            (link_local(host), Some(Asn(asn)))
        );
        assert_eq!(peer.name.to_string(), "eth0");
        let session = speaker.engine.last_session();
        // Where there are no IPv4 addresses, IPv4 routes have this next hop.
        assert_eq!(session.extended_next_hop, [Family::IPV4_UNICAST]);
        assert_eq!(
            session.local_link_local.map(IpAddr::V6),
            Some(session.local_addr)
        );
        assert_eq!(session.peer_addr, link_local(host));
    }

    // The link goes: both ends know at once, and wait.
    nodes[0].ip("link set eth0 down");
    for speaker in [&left, &right] {
        speaker
            .until("it waits for the link", |peer| {
                peer.state == State::Idle
                    && peer.held.as_deref() == Some("network device eth0 is down")
            })
            .await;
        let down = speaker.peer().last_down.expect("it was up");
        assert_eq!(
            down.reason,
            "the connection broke: network device eth0 is down"
        );
    }
    nodes[0].ip("link set eth0 up");
    nodes[0].ip("addr replace fe80::1/64 dev eth0 nodad");
    for speaker in [&left, &right] {
        speaker.until_up().await;
    }

    // The device goes, and another one of the same name comes.
    nodes[0].ip("link del eth0");
    left.until("it waits for the device", |peer| {
        peer.held.as_deref() == Some("network device eth0 is not there")
    })
    .await;
    nodes[0].link_to(&nodes[1]);
    for speaker in [&left, &right] {
        speaker.until_up().await;
        assert_eq!(speaker.peer().flaps, 2);
    }
}

#[tokio::test]
async fn a_peer_that_connects_is_found_without_advertisement() {
    let nodes = Node::pair();
    let left = nodes[0].speaker(side(0, "eth0")).await;
    left.until("the link is seen", |peer| {
        peer.held
            .as_deref()
            .is_some_and(|held| held.contains("advertisement"))
    })
    .await;
    let open = open_of(Asn(64513));
    let mut families = open.clone();
    families.capabilities[0] = chanter_bgp::Capability::MultiProtocol(Family::IPV4_UNICAST);
    let peer = nodes[1].run(async move {
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        let IpAddr::V6(to) = link_local(1) else {
            panic!("it is IPv6");
        };
        let to = SocketAddrV6::new(to, 179, 0, index);
        let socket = TcpSocket::new_v6().unwrap();
        let stream = socket.connect(SocketAddr::V6(to)).await;
        let mut peer = FakePeer {
            stream: stream.expect("it listens"),
        };
        peer.establish(&families).await;
        peer
    });
    let _peer = peer.await;
    left.until_up().await;
    assert_eq!(left.peer().addr, link_local(2));
}

#[tokio::test]
async fn link_local_addresses_are_peers_too_with_password() {
    let nodes = Node::pair();
    let with_password = |index: u32, peer: &str| {
        let mut config = side(index, peer);
        config.peers[0].options.auth = Auth::Md5(Secret::new("swordfish").unwrap());
        config
    };
    // One knows the address, the other one the interface only.
    let left = nodes[0].speaker(with_password(0, "fe80::2%eth0")).await;
    let right = nodes[1].speaker(with_password(1, "eth0")).await;
    for speaker in [&left, &right] {
        speaker.until_up().await;
    }
    assert_eq!(left.peer().name.to_string(), "fe80::2%eth0");
}

#[tokio::test]
async fn external_is_not_the_own_as() {
    let nodes = Node::pair();
    let left = nodes[0].speaker(side(0, "eth0")).await;
    let mut same = side(1, "eth0");
    same.local_as = LocalAs::Fixed(Asn(64512));
    same.peers[0].options.remote_as = RemoteAs::Any;
    let right = nodes[1].speaker(same).await;
    left.until("it is refused", |peer| {
        let error = peer.last_error.as_deref().unwrap_or_default();
        error.contains("its AS is 64512, which is ours; configured is external")
    })
    .await;
    assert_eq!(right.peer().established, 0);
}
