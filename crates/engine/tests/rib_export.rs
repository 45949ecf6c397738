//! What goes to whom and in which form, how it is packed, and when End-of-RIB follows.

mod rib_support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chanter_bgp::{ExtendedCommunity, Family, UpdateBatch};
use chanter_engine::rib::{NotExported, RejectReason};
use chanter_engine::{PeerId, PeerRole};
use chanter_policy::PeerPolicy;
use chanter_types::Asn;
use proptest::prelude::*;
use rib_support::{
    CLUSTER_ID, LOCAL_ADDR, LOCAL_AS, Net, ROUTER_ID, attributes, config, mac_ip, nlri, router_id,
    with_rts,
};

use PeerRole::{Ebgp, Ibgp, RouteReflectorClient as Client};

const IPV4: &[Family] = &[Family::IPV4_UNICAST];
const EVPN: &[Family] = &[Family::L2VPN_EVPN];

/// RFC 4456 section 6, RFC 4271 section 9.2.1: from whom to whom.
#[test]
fn split_horizon() {
    let cases = [
        (Ibgp, Ibgp, Some(NotExported::NotReflected)),
        (Ibgp, Client, None),
        (Ibgp, Ebgp, None),
        (Client, Ibgp, None),
        (Client, Client, None),
        (Client, Ebgp, None),
        (Ebgp, Ibgp, None),
        (Ebgp, Client, None),
        (Ebgp, Ebgp, None),
    ];
    for (from, to, reason) in cases {
        let mut net = Net::new(config(false));
        let (source, target) = (net.up(1, from, IPV4), net.up(2, to, IPV4));
        let attributes = match from {
            Ebgp => attributes().prepend(Asn(65001)),
            Ibgp | Client => attributes(),
        };
        net.send(source, nlri("10.0.0.0/8"), &attributes.build());
        assert_eq!(
            net.drain(source).routes.len(),
            0,
            "{from:?} gets its own back"
        );
        assert_eq!(
            net.drain(target).routes.is_empty(),
            reason.is_some(),
            "{from:?} to {to:?}"
        );
        let at = net.rib.lookup(&nlri("10.0.0.0/8")).unwrap();
        assert_eq!(net.rib.exported(target, at).err(), reason);
        assert_eq!(
            net.rib.exported(source, at).err(),
            Some(NotExported::SamePeer)
        );
    }
}

#[test]
fn reflection_adds_originator_and_cluster() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, IPV4), net.up(2, Client, IPV4));
    let far = attributes()
        .originator_id(router_id(7))
        .prepend_cluster(router_id(8))
        .build();
    net.send(
        a,
        nlri("10.0.0.0/8"),
        &attributes().local_pref(None).build(),
    );
    net.send(a, nlri("10.1.0.0/16"), &far);
    net.send(
        a,
        nlri("10.2.0.0/16"),
        &attributes().originator_id(router_id(2)).build(),
    );
    let routes = &net.drain(b).routes;
    let (_, near) = &routes[&nlri("10.0.0.0/8")];
    assert_eq!(near.originator_id(), Some(router_id(1)));
    assert_eq!(near.cluster_list().collect::<Vec<_>>(), [CLUSTER_ID]);
    assert_eq!(near.local_pref(), Some(100));
    assert_eq!(near.next_hop(), attributes().build().next_hop());
    let (_, far) = &routes[&nlri("10.1.0.0/16")];
    assert_eq!(far.originator_id(), Some(router_id(7)));
    assert_eq!(
        far.cluster_list().collect::<Vec<_>>(),
        [CLUSTER_ID, router_id(8)]
    );
    assert!(
        !routes.contains_key(&nlri("10.2.0.0/16")),
        "it is the originator"
    );
}

#[test]
fn another_as_gets_the_as_prepended_and_nothing_internal() {
    let mut net = Net::new(config(false));
    let (inside, outside) = (
        net.up(1, Ibgp, &Family::SUPPORTED),
        net.up(2, Ebgp, &Family::SUPPORTED[..3]),
    );
    let set = attributes()
        .prepend(Asn(65009))
        .med(5)
        .push_extended_community(ExtendedCommunity([0x40, 0, 0, 0, 0, 0, 0, 1]));
    let set = with_rts(set, &["64512:1"]).build();
    net.send(inside, nlri("10.0.0.0/8"), &set);
    net.send(inside, mac_ip(1, 1), &set);
    net.rib
        .originate(1, nlri("10.1.0.0/16"), Default::default(), &set, net.now);
    let routes = &net.drain(outside).routes;
    let (_, unicast) = &routes[&nlri("10.0.0.0/8")];
    assert_eq!(
        unicast.as_path().asns().collect::<Vec<_>>(),
        [LOCAL_AS, Asn(65009)]
    );
    assert_eq!((unicast.local_pref(), unicast.med()), (None, None));
    assert_eq!(unicast.next_hop(), Some(LOCAL_ADDR));
    assert_eq!(
        unicast.extended_communities().count(),
        1,
        "the non-transitive one stays inside"
    );
    let (_, evpn) = &routes[&mac_ip(1, 1)];
    assert_eq!(evpn.next_hop(), set.next_hop(), "the VTEP is the next hop");
    let (_, own) = &routes[&nlri("10.1.0.0/16")];
    assert_eq!(own.med(), Some(5));
}

#[test]
fn what_comes_from_another_as_gets_a_local_pref_inside() {
    let mut net = Net::new(config(false));
    let (outside, inside) = (net.up(1, Ebgp, IPV4), net.up(2, Ibgp, IPV4));
    let set = attributes().local_pref(None).prepend(Asn(65001)).build();
    net.send(outside, nlri("10.0.0.0/8"), &set);
    let (_, sent) = &net.drain(inside).routes[&nlri("10.0.0.0/8")];
    assert_eq!((sent.local_pref(), sent.originator_id()), (Some(100), None));
    assert_eq!(sent.cluster_list().count(), 0);
}

#[test]
fn well_known_communities_are_obeyed() {
    for (community, to_ibgp, to_ebgp) in [
        (0xffff_ff01, true, false),
        (0xffff_ff02, false, false),
        (0xffff_ff03, true, false),
        (1, true, true),
    ] {
        let mut net = Net::new(config(false));
        let (inside, outside) = (net.up(1, Ibgp, IPV4), net.up(2, Ebgp, IPV4));
        let set = attributes()
            .communities(vec![chanter_bgp::Community(community)])
            .build();
        net.rib
            .originate(1, nlri("10.0.0.0/8"), Default::default(), &set, net.now);
        assert_eq!(
            !net.drain(inside).routes.is_empty(),
            to_ibgp,
            "{community:#x}"
        );
        assert_eq!(
            !net.drain(outside).routes.is_empty(),
            to_ebgp,
            "{community:#x}"
        );
    }
}

#[test]
fn loops_are_taken_as_withdrawn_and_counted() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, IPV4), net.up(2, Client, IPV4));
    let cases = [
        (attributes().prepend(LOCAL_AS), RejectReason::AsLoop),
        (
            attributes().originator_id(ROUTER_ID),
            RejectReason::OwnOriginatorId,
        ),
        (
            attributes().prepend_cluster(CLUSTER_ID),
            RejectReason::ClusterLoop,
        ),
    ];
    for (set, reason) in cases {
        net.send(a, nlri("10.0.0.0/8"), &attributes().build());
        assert_eq!(net.drain(b).routes.len(), 1);
        net.send(a, nlri("10.0.0.0/8"), &set.build());
        assert_eq!(net.drain(b).routes.len(), 0, "{reason}");
        assert!(net.rib.rejected(a).contains(&(reason, 1)));
    }
    net.send(a, mac_ip(1, 1), &attributes().build());
    assert!(
        net.rib
            .rejected(a)
            .contains(&(RejectReason::FamilyNotNegotiated, 1))
    );
    assert!(net.rib.lookup(&mac_ip(1, 1)).is_none());
}

/// Ten routes to an attribute set, in any order of arrival: no more than one message for each set in
/// the window.
#[test]
fn routes_are_packed_by_attribute_set() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, IPV4), net.up(2, Client, IPV4));
    let mut batch = UpdateBatch::new();
    for number in 0..500_u32 {
        let prefix = format!("10.{}.{}.0/24", number / 250, number % 250);
        batch.reach(
            nlri(&prefix),
            Default::default(),
            attributes().med(number % 5).build(),
        );
    }
    net.rib.apply(a, batch, net.now);
    let received = net.drain(b);
    assert_eq!(received.routes.len(), 500);
    // Five sets and End-of-RIB; a window is at most about the budget of 4096 octets.
    assert!(
        received.messages <= 5 * 5 + 1,
        "{} messages",
        received.messages
    );
}

#[test]
fn flaps_coalesce() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, IPV4), net.up(2, Client, IPV4));
    for med in 0..100 {
        net.send(a, nlri("10.0.0.0/8"), &attributes().med(med).build());
        net.withdraw(a, nlri("10.1.0.0/16"));
        net.send(a, nlri("10.1.0.0/16"), &attributes().med(med).build());
    }
    net.withdraw(a, nlri("10.1.0.0/16"));
    let received = net.drain(b);
    assert_eq!((received.reaches, received.withdrawals), (1, 0));
    assert_eq!(received.routes[&nlri("10.0.0.0/8")].1.med(), Some(99));
}

#[test]
fn a_peer_is_told_once_until_it_has_taken_all() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, IPV4), net.up(2, Client, IPV4));
    net.drain_ready();
    let routes: Vec<String> = (0..200)
        .map(|number| format!("10.0.{number}.0/24"))
        .collect();
    for (number, prefix) in (0..).zip(&routes) {
        net.send(a, nlri(prefix), &attributes().med(number).build());
    }
    let mut told = BTreeSet::new();
    while let Some(peer) = net.rib.poll_export_ready() {
        assert!(told.insert(peer));
    }
    assert!(told.contains(&b));
    assert!(net.pull(b, 1000), "more is waiting");
    net.send(a, nlri("10.1.0.0/16"), &attributes().build());
    assert_ne!(net.rib.poll_export_ready(), Some(b), "it is taking");
    assert_eq!(net.drain(b).routes.len(), 201);
    net.send(a, nlri("10.2.0.0/16"), &attributes().build());
    let again: BTreeSet<PeerId> = std::iter::from_fn(|| net.rib.poll_export_ready()).collect();
    assert!(again.contains(&b));
}

#[test]
fn end_of_rib_follows_the_first_dump_once() {
    let mut net = Net::new(config(false));
    net.rib.hold_end_of_rib(true);
    let (a, b) = (
        net.up(1, Client, IPV4),
        net.up(2, Client, &Family::SUPPORTED[..3]),
    );
    net.send(a, nlri("10.0.0.0/8"), &attributes().build());
    net.drain_ready();
    assert!(net.received[&b].ends.is_empty(), "held");
    assert_eq!(net.received[&b].routes.len(), 1, "routes are not held");
    net.rib.hold_end_of_rib(false);
    assert_eq!(net.drain_ready().len(), 2);
    assert_eq!(net.received[&b].ends.len(), 3);
    assert_eq!(net.received[&a].ends.len(), 1);
    assert!(
        net.rib
            .peer_families(b)
            .iter()
            .all(|family| family.end_of_rib_sent)
    );
    // A second one would trip the check of `Received`.
    net.rib.route_refresh(b, Family::IPV4_UNICAST);
    net.drain_ready();
    assert_eq!(net.received[&b].reaches, 2, "sent again");
}

#[test]
fn a_route_that_fits_no_message_is_withdrawn_instead() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, IPV4), net.up(2, Client, IPV4));
    net.send(a, nlri("10.0.0.0/8"), &attributes().build());
    assert_eq!(net.drain(b).routes.len(), 1);
    // 1100 communities are 4400 octets, and messages have 4096.
    net.send(
        a,
        nlri("10.0.0.0/8"),
        &attributes()
            .communities((1..1100).map(chanter_bgp::Community).collect())
            .build(),
    );
    net.send(a, nlri("10.1.0.0/16"), &attributes().build());
    let received = net.drain(b);
    assert_eq!(received.nlri(), ["10.1.0.0/16"]);
    net.withdraw(a, nlri("10.0.0.0/8"));
    net.withdraw(a, nlri("10.1.0.0/16"));
    assert!(net.drain(b).routes.is_empty());
    assert!(net.rib.is_empty());
}

#[test]
fn a_session_over_ipv6_keeps_the_next_hop_of_ipv4_routes() {
    let mut net = Net::new(config(false));
    let mut session = rib_support::session(1, Ebgp, EVPN);
    session.families = vec![Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    session.local_addr = "2001:db8::1".parse().unwrap();
    net.up_as(1, session);
    let v6 = attributes()
        .next_hop("2001:db8::2".parse::<IpAddr>().unwrap())
        .build();
    net.rib.originate(
        1,
        nlri("10.0.0.0/8"),
        Default::default(),
        &attributes().build(),
        net.now,
    );
    net.rib
        .originate(1, nlri("2001:db8:1::/48"), Default::default(), &v6, net.now);
    let routes = &net.drain(PeerId(1)).routes;
    let next_hop = |text: &str| routes[&nlri(text)].1.next_hop().unwrap();
    assert_eq!(
        next_hop("10.0.0.0/8"),
        IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1))
    );
    assert_eq!(
        next_hop("2001:db8:1::/48"),
        "2001:db8::1".parse::<IpAddr>().unwrap()
    );
}

/// More destinations go than are worth keeping in the hash table: those that stay are found, those that
/// went are not, and come back as new ones.
#[test]
fn destinations_that_went_are_swept_out() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, EVPN), net.up(2, Client, EVPN));
    let route = |number: u32| mac_ip((number % 250) as u8, (number / 250) as u8);
    let set = attributes().build();
    for round in 0..3 {
        (0..5000).for_each(|number| net.send(a, route(number), &set));
        assert_eq!(net.drain(b).routes.len(), 5000, "round {round}");
        for number in (0..5000).filter(|number| number % 5 != 0) {
            net.withdraw(a, route(number));
        }
        let left: BTreeSet<String> = net.drain(b).nlri().into_iter().collect();
        let expected = (0..5000).filter(|number| number % 5 == 0);
        let expected: BTreeSet<String> = expected.map(|number| route(number).to_string()).collect();
        assert_eq!(left, expected, "round {round}");
        for number in 0..5000 {
            let found = net.rib.lookup(&route(number)).is_some();
            assert_eq!(found, number % 5 == 0, "{number}");
        }
    }
    (0..5000).for_each(|number| net.withdraw(a, route(number)));
    assert!(net.drain(b).routes.is_empty());
    while net.rib.poll_changed().is_some() {}
    assert!(net.rib.is_empty());
}

/// What policy says counts for members of an update group alike, and a changed policy at once.
#[test]
fn export_policy_counts_and_can_change() {
    let mut net = Net::new(config(false));
    let source = net.up(1, Client, IPV4);
    let others = [net.up(2, Client, IPV4), net.up(3, Client, IPV4)];
    let mut stranger = rib_support::session(4, Ebgp, IPV4);
    stranger.policy = Arc::new(PeerPolicy {
        require_policy: true,
        ..PeerPolicy::default()
    });
    net.up_as(4, stranger);
    net.send(source, nlri("10.0.0.0/8"), &attributes().build());
    let marked = |net: &mut Net, peer| {
        let routes = &net.drain(peer).routes;
        routes[&nlri("10.0.0.0/8")].1.communities().count()
    };
    assert_eq!(others.map(|peer| marked(&mut net, peer)), [0, 0]);
    assert!(net.drain(PeerId(4)).routes.is_empty(), "RFC 8212");
    let leaving = PeerPolicy {
        graceful_shutdown: true,
        ..PeerPolicy::default()
    };
    net.rib.set_policy(others[0], Arc::new(leaving));
    assert_eq!(
        others.map(|peer| marked(&mut net, peer)),
        [1, 0],
        "RFC 8326"
    );
    net.rib.set_policy(others[0], Arc::default());
    assert_eq!(others.map(|peer| marked(&mut net, peer)), [0, 0]);
    net.rib.set_policy(PeerId(4), Arc::default());
    assert_eq!(net.drain(PeerId(4)).routes.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..rib_support::proptest_config() })]

    /// Enough changes that the journal squeezes out its holes again and again while peers stand
    /// anywhere in it: all have the same in the end.
    #[test]
    fn churn_does_not_lose_a_change(
        steps in prop::collection::vec((0..400_u32, any::<bool>(), 0..4_u32, 0..40_u8), 6000),
    ) {
        let mut net = Net::new(config(false));
        let source = net.up(1, Client, IPV4);
        let targets = [net.up(2, Client, IPV4), net.up(3, Ibgp, IPV4), net.up(4, Ebgp, IPV4)];
        for (number, reach, med, pull) in steps {
            let prefix = nlri(&format!("10.{}.{}.0/24", number / 250, number % 250));
            if reach {
                net.send(source, prefix, &attributes().med(med).build());
            } else {
                net.withdraw(source, prefix);
            }
            if let Some(target) = targets.get(usize::from(pull)) {
                net.pull(*target, 300);
            }
        }
        let expected: Vec<String> = net
            .rib
            .scan(Family::IPV4_UNICAST, chanter_engine::rib::Scope::All, 0)
            .filter_map(|at| Some(net.rib.destination(at).nlri()?.to_string()))
            .collect();
        let expected: BTreeSet<String> = expected.into_iter().collect();
        for target in targets {
            let received: BTreeSet<String> = net.drain(target).nlri().into_iter().collect();
            prop_assert_eq!(&received, &expected);
        }
        let reflected = net.received[&targets[0]].routes.clone();
        for (prefix, (_, attributes)) in &reflected {
            let at = net.rib.lookup(prefix).unwrap();
            let exported = net.rib.exported(targets[0], at).ok();
            prop_assert_eq!(exported.as_ref(), Some(attributes));
        }
    }
}
