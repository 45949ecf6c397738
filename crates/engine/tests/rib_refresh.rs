//! Answers to ROUTE-REFRESH and the marks around them (RFC 7313), and what is told of routes that
//! cannot be sent.

mod rib_support;

use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{Community, Family, MESSAGE_LEN_MAX, frame_len};
use chanter_engine::{Event, Output, PeerId, PeerRole};
use chanter_policy::PeerPolicy;
use rib_support::{Net, attributes, config, nlri};

use PeerRole::RouteReflectorClient as Client;

const FAMILY: Family = Family::IPV4_UNICAST;
const IPV4: &[Family] = &[FAMILY];
const ROUTES: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Begin,
    End,
    EndOfRib,
    Update,
}

use Sent::{Begin, End, EndOfRib, Update};

/// What a peer is sent in one call, each kind once in a row; and whether more is waiting.
fn pull(net: &mut Net, peer: PeerId, budget: usize) -> (Vec<Sent>, bool) {
    let mut out = Vec::new();
    let has_more = net.rib.export(peer, budget, &mut out);
    let mut sent = Vec::new();
    let mut rest = &out[..];
    while let Some(header) = rest.first_chunk() {
        let len = frame_len(header, MESSAGE_LEN_MAX).expect("whole messages");
        let (message, tail) = rest.split_at(len);
        rest = tail;
        sent.push(match (message[18], &message[19..]) {
            (5, [0, 1, 1, 1]) => Begin,
            (5, [0, 1, 2, 1]) => End,
            (2, [0, 0, 0, 0]) => EndOfRib,
            (2, _) => Update,
            other => panic!("{other:?}"),
        });
    }
    sent.dedup();
    (sent, has_more)
}

fn drain(net: &mut Net, peer: PeerId, budget: usize) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        let (sent, has_more) = pull(net, peer, budget);
        all.extend(sent);
        all.dedup();
        if !has_more {
            return all;
        }
    }
}

/// A sender with routes of an attribute set each, and peers beside it.
fn net(peers: &[(u32, bool)]) -> Net {
    let mut net = Net::new(config(false));
    let sender = net.up(1, Client, IPV4);
    for (number, is_enhanced) in peers {
        let mut session = rib_support::session(*number, Client, IPV4);
        session.enhanced_refresh = *is_enhanced;
        net.up_as(*number, session);
    }
    for number in 0..ROUTES {
        let route = nlri(&format!("10.0.{number}.0/24"));
        net.send(sender, route, &attributes().med(number).build());
    }
    net
}

#[test]
fn the_answer_stands_between_marks_where_the_peer_knows_them() {
    let mut net = net(&[(2, true), (3, true), (4, false)]);
    let [a, b, c] = [2, 3, 4].map(PeerId);
    for peer in [a, b, c] {
        assert_eq!(drain(&mut net, peer, 4096), [Update, EndOfRib]);
    }
    drain(&mut net, PeerId(1), 4096);
    net.rib.route_refresh(a, FAMILY);
    assert_eq!(net.rib.poll_export_ready(), Some(a));
    assert_eq!(drain(&mut net, a, 200), [Begin, Update, End]);
    net.rib.route_refresh(c, FAMILY);
    assert_eq!(drain(&mut net, c, 4096), [Update]);
    for peer in [a, b, c] {
        assert_eq!(drain(&mut net, peer, 4096), [], "{peer:?} was answered");
    }
    // A family without a route has an answer too.
    net.rib.peer_down(PeerId(1), &[], net.now, net.now);
    for peer in [a, b, c] {
        assert_eq!(drain(&mut net, peer, 4096), [Update]);
    }
    net.rib.route_refresh(a, FAMILY);
    assert_eq!(drain(&mut net, a, 4096), [Begin, End]);
    for peer in [a, b, c] {
        net.rib.peer_down(peer, &[], net.now, net.now);
    }
    assert!(net.rib.is_empty());
}

/// RFC 7313 section 4: not before End-of-RIB; one that comes during an answer begins it anew.
#[test]
fn an_answer_waits_for_the_first_dump_and_may_begin_again() {
    let mut net = net(&[(2, true)]);
    let peer = PeerId(2);
    let (first, has_more) = pull(&mut net, peer, 200);
    assert!(has_more && first == [Update]);
    net.rib.route_refresh(peer, FAMILY);
    let all = drain(&mut net, peer, 200);
    assert_eq!(all, [Update, EndOfRib, Begin, Update, End]);
    net.rib.route_refresh(peer, FAMILY);
    let (begun, has_more) = pull(&mut net, peer, 200);
    assert!(has_more && begun == [Begin, Update]);
    net.rib.route_refresh(peer, FAMILY);
    assert_eq!(drain(&mut net, peer, 200), [Begin, Update, End]);
}

#[test]
fn what_another_policy_changes_is_no_answer() {
    let mut net = net(&[(2, true)]);
    let peer = PeerId(2);
    drain(&mut net, peer, 4096);
    let policy = PeerPolicy {
        next_hop_self: true,
        ..PeerPolicy::default()
    };
    net.rib.set_policy(peer, Arc::new(policy));
    assert_eq!(drain(&mut net, peer, 4096), [Update]);
}

#[test]
fn routes_that_cannot_be_sent_are_told_but_not_each() {
    let mut net = net(&[(2, true)]);
    let peer = PeerId(2);
    drain(&mut net, peer, 4096);
    while net.rib.poll_notice().is_some() {}
    // 1100 communities are 4400 octets, and messages have 4096.
    let mut told = |after: u64, med: u32| {
        net.now = net.now + Duration::from_secs(after);
        let communities = (1..1100).map(Community).collect();
        let set = attributes().med(med).communities(communities).build();
        net.send(PeerId(1), nlri("10.0.0.0/24"), &set);
        drain(&mut net, peer, 4096);
        let notice = net.rib.poll_notice()?;
        assert_eq!(net.rib.poll_notice(), None);
        match notice {
            Output::Event(Event::NotSent {
                peer, route, count, ..
            }) => Some((peer, route, count)),
            other => panic!("{other:?}"),
        }
    };
    let route = || "10.0.0.0/24".to_owned();
    assert_eq!(told(0, 1), Some((peer, route(), 1)));
    assert_eq!(told(1, 2), None);
    assert_eq!(told(58, 3), None);
    assert_eq!(told(1, 4), Some((peer, route(), 3)));
}
