//! Path selection step by step, with the reason that an operator is shown.

mod rib_support;

use chanter_bgp::{Attributes, AttributesBuilder, ExtendedCommunity, Family, Origin, SegmentKind};
use chanter_engine::PeerRole::{Ebgp, Ibgp};
use chanter_engine::rib::PathOrigin;
use chanter_engine::{PeerId, PeerRole};
use chanter_types::Asn;
use rib_support::{Net, attributes, config, mac_ip, nlri, router_id, session};

const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::L2VPN_EVPN];

struct Case {
    rule: &'static str,
    winner: (PeerRole, Attributes),
    loser: (PeerRole, Attributes),
    reason: &'static str,
}

/// A peer, of this AS if it is an eBGP peer.
fn up(net: &mut Net, number: u32, role: PeerRole, asn: u32) {
    let mut session = session(number, role, &FAMILIES);
    if role == Ebgp {
        session.peer_as = Asn(asn);
    }
    net.up_as(number, session);
}

fn path(asns: &[u32]) -> AttributesBuilder {
    let asns: Vec<Asn> = asns.iter().copied().map(Asn).collect();
    attributes().append_segment(SegmentKind::Sequence, &asns)
}

fn external(asns: &[u32]) -> AttributesBuilder {
    path(asns).local_pref(None)
}

fn mobility(sticky: bool, sequence: u32) -> AttributesBuilder {
    attributes().push_extended_community(ExtendedCommunity::mac_mobility(sticky, sequence))
}

/// The winner is peer 2, the loser peer 1, whose address and router id are lower: but for the rule,
/// it would win.
fn preferences() -> Vec<Case> {
    let case = |rule, winner, loser, reason| Case {
        rule,
        winner,
        loser,
        reason,
    };
    vec![
        case(
            "LOCAL_PREF",
            (Ibgp, attributes().local_pref(200).build()),
            (Ibgp, attributes().local_pref(150).build()),
            "LOCAL_PREF 150 is lower than 200",
        ),
        case(
            "LOCAL_PREF lacking counts as 100",
            (Ibgp, attributes().local_pref(None).build()),
            (Ibgp, attributes().local_pref(99).build()),
            "LOCAL_PREF 99 is lower than 100",
        ),
        case(
            "AS_PATH length",
            (Ibgp, path(&[65001]).build()),
            (Ibgp, path(&[65001, 65002, 65003]).build()),
            "AS_PATH length 3 is longer than 1",
        ),
        case(
            "AS_SET counts once",
            (
                Ibgp,
                attributes()
                    .append_segment(SegmentKind::Set, &[Asn(1), Asn(2), Asn(3)])
                    .build(),
            ),
            (Ibgp, path(&[65001, 65002]).build()),
            "AS_PATH length 2 is longer than 1",
        ),
        case(
            "ORIGIN",
            (Ibgp, attributes().origin(Origin::Igp).build()),
            (Ibgp, attributes().origin(Origin::Incomplete).build()),
            "ORIGIN incomplete is worse than igp",
        ),
    ]
}

fn tie_breaks() -> Vec<Case> {
    let case = |rule, winner, loser, reason| Case {
        rule,
        winner,
        loser,
        reason,
    };
    vec![
        case(
            "MED of one neighbouring AS",
            (Ebgp, external(&[65001]).med(10).build()),
            (Ebgp, external(&[65001]).med(20).build()),
            "MED 20 is higher than 10 of another path from AS 65001",
        ),
        case(
            "MED lacking counts as 0",
            (Ibgp, attributes().build()),
            (Ibgp, attributes().med(1).build()),
            "MED 1 is higher than 0 of another path from this AS",
        ),
        case(
            "eBGP over iBGP",
            (Ebgp, external(&[65001]).build()),
            (Ibgp, path(&[65001]).build()),
            "learned by iBGP, the best path is learned by eBGP",
        ),
        case(
            "ORIGINATOR_ID in place of the router id",
            (Ibgp, attributes().originator_id(router_id(0)).build()),
            (Ibgp, attributes().build()),
            "router id 10.0.0.1 of the originator is higher than 10.0.0.0",
        ),
        case(
            "CLUSTER_LIST length",
            (Ibgp, attributes().originator_id(router_id(9)).build()),
            (
                Ibgp,
                attributes()
                    .originator_id(router_id(9))
                    .prepend_cluster(router_id(8))
                    .build(),
            ),
            "CLUSTER_LIST length 1 is longer than 0",
        ),
        case(
            "MAC mobility: sticky before LOCAL_PREF",
            (Ibgp, mobility(true, 0).build()),
            (Ibgp, mobility(false, 7).local_pref(500).build()),
            "the MAC address of the best path is sticky",
        ),
        case(
            "MAC mobility: sequence before LOCAL_PREF",
            (Ibgp, mobility(false, 3).build()),
            (Ibgp, mobility(false, 1).local_pref(500).build()),
            "MAC mobility sequence 1 is lower than 3",
        ),
    ]
}

#[test]
fn each_step_decides_and_says_why() {
    for Case {
        rule,
        winner,
        loser,
        reason,
    } in preferences().into_iter().chain(tie_breaks())
    {
        for order in [[1, 2], [2, 1]] {
            let mut net = Net::new(config(false));
            up(&mut net, 1, loser.0, 65001);
            up(&mut net, 2, winner.0, 65001);
            for number in order {
                let (_, attributes) = if number == 1 { &loser } else { &winner };
                net.send(PeerId(number), mac_ip(1, 1), attributes);
            }
            let at = net.rib.lookup(&mac_ip(1, 1)).unwrap();
            let paths = net.rib.destination(at).paths();
            let shown: Vec<_> = paths
                .iter()
                .map(|(path, reason)| (path.origin, reason.map(|reason| reason.to_string())))
                .collect();
            let expected = [
                (PathOrigin::Peer(PeerId(2)), None),
                (PathOrigin::Peer(PeerId(1)), Some(reason.to_owned())),
            ];
            assert_eq!(shown, expected, "{rule}, order {order:?}");
        }
    }
}

#[test]
fn mac_mobility_does_not_count_for_other_families() {
    let mut net = Net::new(config(false));
    let low = net.up(1, Ibgp, &FAMILIES);
    let high = net.up(2, Ibgp, &FAMILIES);
    net.send(high, nlri("10.0.0.0/8"), &mobility(true, 9).build());
    net.send(low, nlri("10.0.0.0/8"), &attributes().build());
    let at = net.rib.lookup(&nlri("10.0.0.0/8")).unwrap();
    assert_eq!(
        net.rib.destination(at).best().unwrap().origin,
        PathOrigin::Peer(low)
    );
}

#[test]
fn the_router_id_decides_and_then_the_peer_address() {
    let mut net = Net::new(config(false));
    let low = net.up(1, Ibgp, &FAMILIES);
    let high = net.up(2, Ibgp, &FAMILIES);
    let mut twin = session(3, Ibgp, &FAMILIES);
    twin.peer_router_id = router_id(1);
    net.up_as(3, twin);
    for peer in [PeerId(3), high, low] {
        net.send(peer, mac_ip(1, 1), &attributes().build());
    }
    let at = net.rib.lookup(&mac_ip(1, 1)).unwrap();
    let paths = net.rib.destination(at).paths();
    assert_eq!(paths[0].0.origin, PathOrigin::Peer(low));
    let reasons: std::collections::BTreeSet<String> = paths
        .iter()
        .filter_map(|(_, reason)| Some(reason.as_ref()?.to_string()))
        .collect();
    let expected = [
        "peer address 192.0.2.3 is higher than 192.0.2.1",
        "router id 10.0.0.2 of the originator is higher than 10.0.0.1",
    ];
    assert!(reasons.iter().eq(expected.iter()), "{reasons:?}");
}

#[test]
fn own_routes_go_before_those_of_peers_with_the_same_preference() {
    let mut net = Net::new(config(false));
    let peer = net.up(1, Ibgp, &FAMILIES);
    net.send(peer, mac_ip(1, 1), &attributes().build());
    for number in [8, 7] {
        let set = attributes().build();
        net.rib
            .originate(number, mac_ip(1, 1), Default::default(), &set, net.now);
    }
    let at = net.rib.lookup(&mac_ip(1, 1)).unwrap();
    let paths = net.rib.destination(at).paths();
    assert_eq!(paths[0].0.origin, PathOrigin::Local(7));
    let mut reasons: Vec<_> = paths
        .iter()
        .filter_map(|(_, reason)| Some(reason.as_ref()?.to_string()))
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "instance number 8 is higher than 7",
            "the best path originates at this node"
        ]
    );
    let of_peers = net.rib.destination(at).best_of_peers().unwrap();
    assert_eq!(of_peers.origin, PathOrigin::Peer(peer));

    // Importers hear of what peers say also where it changes nothing of the best path.
    while net.rib.poll_changed().is_some() {}
    net.send(peer, mac_ip(1, 1), &attributes().local_pref(99).build());
    assert_eq!(net.rib.poll_changed(), Some(at));
    assert_eq!(net.rib.poll_changed(), None);

    net.send(peer, mac_ip(1, 1), &attributes().local_pref(101).build());
    assert_eq!(
        net.rib.destination(at).best().unwrap().origin,
        PathOrigin::Peer(peer)
    );
}

/// RFC 4271 section 9.1.2.2 compares MEDs among all paths of one AS, so that a path from another AS
/// does not shield one; the known case in which comparing path by path depends on the order.
#[test]
fn med_does_not_depend_on_the_order_of_arrival() {
    let paths = [
        (1, external(&[65001]).med(20).build()),
        (2, external(&[65002]).med(5).build()),
        (3, external(&[65001]).med(10).build()),
    ];
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let mut net = Net::new(config(false));
        for (number, asn) in [(1, 65001), (2, 65002), (3, 65001)] {
            up(&mut net, number, Ebgp, asn);
        }
        for place in order {
            let (number, attributes) = &paths[place];
            net.send(PeerId(*number), nlri("10.0.0.0/8"), attributes);
        }
        let at = net.rib.lookup(&nlri("10.0.0.0/8")).unwrap();
        // Peer 1 has the lowest router id but loses by MED against 3, which loses against 2.
        let best = net.rib.destination(at).best().unwrap().origin;
        assert_eq!(best, PathOrigin::Peer(PeerId(2)), "{order:?}");
        net.withdraw(PeerId(3), nlri("10.0.0.0/8"));
        let best = net.rib.destination(at).best().unwrap().origin;
        assert_eq!(best, PathOrigin::Peer(PeerId(1)), "{order:?}");
    }
}
