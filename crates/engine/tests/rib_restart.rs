//! Graceful restart of peers (RFC 4724 section 4.2), as far as paths are concerned.

mod rib_support;

use std::time::Duration;

use chanter_bgp::Family;
use chanter_engine::rib::PathOrigin;
use chanter_engine::{PeerId, PeerRole, SessionInfo};
use rib_support::{Net, attributes, config, mac_ip, nlri, with_rts};

use PeerRole::RouteReflectorClient as Client;

const FAMILIES: &[Family] = &[Family::IPV4_UNICAST, Family::L2VPN_EVPN];
const RESTART_TIME: Duration = Duration::from_secs(120);

fn net() -> (Net, PeerId, PeerId) {
    let mut net = Net::new(config(false));
    let (restarting, other) = (net.up(1, Client, FAMILIES), net.up(2, Client, FAMILIES));
    for text in ["10.0.0.0/8", "10.1.0.0/16"] {
        net.send(restarting, nlri(text), &attributes().build());
    }
    net.send(restarting, mac_ip(1, 1), &attributes().build());
    net.drain_ready();
    (net, restarting, other)
}

fn down(net: &mut Net, peer: PeerId, retain: &[Family]) -> usize {
    let until = net.now + RESTART_TIME;
    net.rib.peer_down(peer, retain, until, net.now)
}

fn back(preserved: &[Family]) -> SessionInfo {
    let mut session = rib_support::session(1, Client, FAMILIES);
    session.forwarding_preserved = preserved.to_vec();
    session
}

fn stale(net: &Net, peer: PeerId) -> usize {
    net.rib
        .peer_families(peer)
        .iter()
        .map(|family| family.stale)
        .sum()
}

#[test]
fn without_retention_all_goes_at_once() {
    let (mut net, peer, other) = net();
    assert_eq!(down(&mut net, peer, &[]), 0);
    assert_eq!(net.drain(other).routes.len(), 0);
    assert_eq!(net.rib.peers(), [other]);
    assert_eq!(net.rib.next_deadline(), None);
}

#[test]
fn retained_paths_stay_in_use() {
    let (mut net, peer, other) = net();
    assert_eq!(down(&mut net, peer, FAMILIES), 3);
    net.drain_ready();
    let received = &net.received[&other];
    assert_eq!(
        (received.reaches, received.withdrawals),
        (3, 0),
        "nobody notices"
    );
    let at = net.rib.lookup(&mac_ip(1, 1)).unwrap();
    let best = net.rib.destination(at).best().unwrap();
    assert!(best.stale);
    assert_eq!(best.origin, PathOrigin::Peer(peer));
    assert!(!net.rib.session(peer).unwrap().1);
}

#[test]
fn what_is_repeated_stays_and_end_of_rib_ends_the_rest() {
    let (mut net, peer, other) = net();
    down(&mut net, peer, FAMILIES);
    let since = net
        .rib
        .destination(net.rib.lookup(&nlri("10.0.0.0/8")).unwrap())
        .best()
        .unwrap()
        .since;
    net.now = net.now + Duration::from_secs(5);
    assert_eq!(net.up_as(1, back(FAMILIES)), 0);
    assert_eq!(stale(&net, peer), 3);
    net.send(peer, nlri("10.0.0.0/8"), &attributes().build());
    net.send(
        peer,
        mac_ip(1, 1),
        &with_rts(attributes(), &["64512:1"]).build(),
    );
    assert_eq!(stale(&net, peer), 1);
    assert_eq!(net.end_of_rib(peer, Family::IPV4_UNICAST), 1);
    assert_eq!(net.end_of_rib(peer, Family::L2VPN_EVPN), 0);
    net.drain_ready();
    let received = &net.received[&other];
    assert_eq!(received.nlri().len(), 2);
    assert_eq!(
        (received.reaches, received.withdrawals),
        (4, 1),
        "only what changed is sent"
    );
    let same = net
        .rib
        .destination(net.rib.lookup(&nlri("10.0.0.0/8")).unwrap())
        .best()
        .unwrap();
    assert_eq!(
        (same.since, same.stale),
        (since, false),
        "it never was away"
    );
    net.now = net.now + RESTART_TIME;
    assert_eq!(net.rib.expire_stale(net.now), []);
}

#[test]
fn families_without_preserved_forwarding_go_when_the_peer_is_back() {
    let (mut net, peer, _) = net();
    down(&mut net, peer, FAMILIES);
    assert_eq!(net.up_as(1, back(&[Family::L2VPN_EVPN])), 2);
    assert_eq!(stale(&net, peer), 1);
    assert!(net.rib.lookup(&nlri("10.0.0.0/8")).is_none());
}

#[test]
fn a_peer_that_does_not_come_back_loses_its_paths() {
    let (mut net, peer, other) = net();
    down(&mut net, peer, FAMILIES);
    let due = net.now + RESTART_TIME;
    assert_eq!(net.rib.next_deadline(), Some(due));
    assert_eq!(net.rib.expire_stale(net.now), []);
    assert_eq!(net.rib.expire_stale(due), [(peer, 3)]);
    assert_eq!(net.rib.peers(), [other]);
    assert_eq!(net.drain(other).routes.len(), 0);
}

#[test]
fn a_peer_that_is_back_but_says_nothing_loses_them_too() {
    let (mut net, peer, _) = net();
    down(&mut net, peer, FAMILIES);
    net.now = net.now + Duration::from_secs(100);
    net.up_as(1, back(FAMILIES));
    let due = net.now + RESTART_TIME;
    assert_eq!(
        net.rib.expire_stale(net.now + Duration::from_secs(60)),
        [],
        "time runs anew"
    );
    assert_eq!(net.rib.expire_stale(due), [(peer, 3)]);
    assert_eq!(net.rib.peers().len(), 2, "the session is up");
}

/// RFC 4724 section 4.2: restarts in a row do not carry paths on and on.
#[test]
fn a_second_restart_ends_what_was_stale_before() {
    let (mut net, peer, _) = net();
    down(&mut net, peer, FAMILIES);
    net.up_as(1, back(FAMILIES));
    net.send(peer, nlri("10.0.0.0/8"), &attributes().build());
    assert_eq!(down(&mut net, peer, FAMILIES), 1);
    assert!(net.rib.lookup(&nlri("10.1.0.0/16")).is_none());
    assert!(net.rib.lookup(&nlri("10.0.0.0/8")).is_some());
}

/// Stale or not makes no difference to selection: forwarding must not tell them apart.
#[test]
fn stale_paths_keep_their_rank() {
    let (mut net, peer, other) = net();
    net.send(other, nlri("10.0.0.0/8"), &attributes().build());
    down(&mut net, peer, FAMILIES);
    let at = net.rib.lookup(&nlri("10.0.0.0/8")).unwrap();
    assert_eq!(
        net.rib.destination(at).best().unwrap().origin,
        PathOrigin::Peer(peer)
    );
}

#[test]
fn a_peer_that_is_back_with_another_router_id_is_ranked_anew() {
    let (mut net, peer, other) = net();
    net.send(other, nlri("10.0.0.0/8"), &attributes().build());
    down(&mut net, peer, FAMILIES);
    let mut session = back(FAMILIES);
    session.peer_router_id = rib_support::router_id(9);
    net.up_as(1, session);
    let at = net.rib.lookup(&nlri("10.0.0.0/8")).unwrap();
    assert_eq!(
        net.rib.destination(at).best().unwrap().origin,
        PathOrigin::Peer(other)
    );
}

#[test]
fn a_removed_peer_keeps_nothing() {
    let (mut net, peer, other) = net();
    down(&mut net, peer, FAMILIES);
    net.rib.peer_removed(peer, net.now);
    net.drain(other);
    while net.rib.poll_changed().is_some() {}
    assert!(net.rib.is_empty());
}
