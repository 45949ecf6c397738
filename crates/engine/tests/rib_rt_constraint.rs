//! RT constraint (RFC 4684): what peers ask for decides what they are sent.

mod rib_support;

use chanter_bgp::{Attributes, Family};
use chanter_engine::rib::NotExported;
use chanter_engine::{PeerId, PeerRole};
use rib_support::{MEMBERSHIP_WAIT, Net, attributes, config, mac_ip, nlri, rt, with_rts};

use PeerRole::{Ibgp, RouteReflectorClient as Client};

const FAMILIES: &[Family] = &[Family::IPV4_RTC, Family::L2VPN_EVPN];

fn set(rts: &[&str]) -> Attributes {
    with_rts(attributes(), rts).build()
}

fn membership(rt: &str) -> chanter_bgp::Nlri {
    nlri(&format!("64512:target:{rt}/96"))
}

/// A peer that has sent three routes with different route targets, and another one.
fn net() -> (Net, PeerId, PeerId) {
    let mut net = Net::new(config(false));
    let (source, target) = (net.up(1, Client, FAMILIES), net.up(2, Client, FAMILIES));
    net.send(source, mac_ip(1, 1), &set(&["64512:1"]));
    net.send(source, mac_ip(2, 1), &set(&["64512:2"]));
    net.send(source, mac_ip(3, 1), &set(&["64512:1", "64512:2"]));
    net.drain_ready();
    (net, source, target)
}

fn macs(net: &Net, peer: PeerId) -> Vec<u8> {
    let routes = net.received[&peer].routes.keys();
    routes
        .filter_map(|nlri| match nlri {
            chanter_bgp::Nlri::Evpn(chanter_bgp::EvpnNlri::MacIp(route)) => Some(route.mac.0[5]),
            _ => None,
        })
        .collect()
}

#[test]
fn nothing_is_sent_unasked() {
    let (net, _, target) = net();
    assert!(macs(&net, target).is_empty());
    let at = net.rib.lookup(&mac_ip(1, 1)).unwrap();
    assert_eq!(
        net.rib.exported(target, at),
        Err(NotExported::RouteTargetNotWanted)
    );
}

#[test]
fn a_membership_brings_just_what_it_asks_for() {
    let (mut net, _, target) = net();
    net.send(target, membership("64512:1"), &attributes().build());
    assert!(net.drain_ready().contains(&target));
    assert_eq!(macs(&net, target), [1, 3]);
    net.send(target, membership("64512:2"), &attributes().build());
    net.drain_ready();
    assert_eq!(macs(&net, target), [1, 2, 3]);
    let evpn = |net: &Net| net.received[&target].reaches;
    let before = evpn(&net);
    // The route that has both stays; nothing is sent again.
    net.withdraw(target, membership("64512:1"));
    net.drain_ready();
    assert_eq!(macs(&net, target), [2, 3]);
    assert_eq!(evpn(&net), before);
    assert_eq!(
        net.rib.wanted_rts(target),
        Some((vec![rt("64512:2")], false))
    );
}

#[test]
fn memberships_of_several_ases_count_apart() {
    let (mut net, _, target) = net();
    net.send(target, membership("64512:1"), &attributes().build());
    net.send(
        target,
        nlri("64999:target:64512:1/96"),
        &attributes().build(),
    );
    net.withdraw(target, membership("64512:1"));
    net.drain_ready();
    assert_eq!(macs(&net, target), [1, 3]);
    net.withdraw(target, nlri("64999:target:64512:1/96"));
    net.drain_ready();
    assert!(macs(&net, target).is_empty());
}

#[test]
fn prefixes_of_route_targets_and_the_default_match() {
    let (mut net, source, target) = net();
    net.send(source, mac_ip(4, 1), &set(&["64513:1"]));
    net.send(source, mac_ip(5, 1), &attributes().build());
    net.send(
        target,
        nlri("64512:0x0002fc0000000000/64"),
        &attributes().build(),
    );
    net.drain_ready();
    assert_eq!(macs(&net, target), [1, 2, 3], "all of AS 64512");
    net.send(
        target,
        nlri("64512:0x0000000000000000/32"),
        &attributes().build(),
    );
    net.drain_ready();
    assert_eq!(macs(&net, target), [1, 2, 3, 4], "all route targets");
    net.send(target, nlri("default"), &attributes().build());
    net.drain_ready();
    assert_eq!(macs(&net, target), [1, 2, 3, 4, 5], "also what has none");
    net.send(source, mac_ip(6, 1), &set(&["1:1"]));
    net.drain_ready();
    assert_eq!(macs(&net, target), [1, 2, 3, 4, 5, 6]);
    for text in [
        "default",
        "64512:0x0000000000000000/32",
        "64512:0x0002fc0000000000/64",
    ] {
        net.withdraw(target, nlri(text));
    }
    net.drain_ready();
    assert!(macs(&net, target).is_empty());
}

#[test]
fn a_route_that_changes_its_route_target_comes_and_goes() {
    let (mut net, source, target) = net();
    net.send(target, membership("64512:1"), &attributes().build());
    net.drain_ready();
    net.send(source, mac_ip(1, 1), &set(&["64512:9"]));
    net.send(source, mac_ip(2, 1), &set(&["64512:1"]));
    net.withdraw(source, mac_ip(3, 1));
    assert!(net.drain_ready().contains(&target));
    assert_eq!(macs(&net, target), [2]);
}

#[test]
fn peers_without_a_stake_are_not_woken() {
    let (mut net, source, target) = net();
    let other = net.up(3, Client, FAMILIES);
    net.send(target, membership("64512:1"), &attributes().build());
    net.send(other, membership("64512:7"), &attributes().build());
    net.drain_ready();
    net.send(source, mac_ip(9, 1), &set(&["64512:1"]));
    let told: Vec<PeerId> = std::iter::from_fn(|| net.rib.poll_export_ready()).collect();
    assert_eq!(told, [target]);
}

#[test]
fn a_reflector_asks_clients_for_all_and_others_for_what_clients_want() {
    let mut net = Net::new(config(true));
    let (a, b) = (net.up(1, Client, FAMILIES), net.up(2, Client, FAMILIES));
    let (outside, twin) = (net.up(3, Ibgp, FAMILIES), net.up(4, Ibgp, FAMILIES));
    net.send(a, membership("64512:1"), &attributes().build());
    net.send(outside, membership("64512:2"), &attributes().build());
    net.rib.originate(
        0,
        membership("64512:5"),
        Default::default(),
        &attributes().build(),
        net.now,
    );
    net.drain_ready();
    let of = |net: &Net, peer| net.received[&peer].nlri();
    let for_clients = ["default", "64512:target:64512:5/96"];
    assert_eq!(of(&net, a), for_clients);
    assert_eq!(of(&net, b), for_clients);
    let for_others = ["64512:target:64512:1/96", "64512:target:64512:5/96"];
    assert_eq!(of(&net, outside), for_others);
    assert_eq!(of(&net, twin), for_others);

    // RFC 4684 section 3.2: the best path is the non-client's, the client's goes to the others.
    net.send(
        outside,
        membership("64512:1"),
        &attributes().local_pref(500).build(),
    );
    net.drain_ready();
    assert_eq!(of(&net, twin), for_others);
    assert_eq!(of(&net, outside), for_others);
    net.rib.unoriginate(0, &membership("64512:5"));
    net.drain_ready();
    assert_eq!(of(&net, b), ["default"]);
}

#[test]
fn without_the_default_clients_are_asked_on_our_own_behalf() {
    let mut net = Net::new(config(false));
    let (a, b) = (net.up(1, Client, FAMILIES), net.up(2, Client, FAMILIES));
    net.send(a, membership("64512:1"), &attributes().build());
    net.send(b, membership("64512:1"), &attributes().build());
    net.drain_ready();
    for peer in [a, b] {
        let (_, sent) = &net.received[&peer].routes[&membership("64512:1")];
        assert_eq!(sent.originator_id(), Some(rib_support::ROUTER_ID));
        assert_eq!(sent.next_hop(), Some(rib_support::LOCAL_ADDR));
    }
}

#[test]
fn end_of_rib_of_vpn_families_waits_for_that_of_memberships() {
    let mut net = Net::new(config(false));
    let prompt = net.up(1, Client, FAMILIES);
    let silent = net.up(2, Client, FAMILIES);
    let plain = net.up(3, Client, &[Family::L2VPN_EVPN]);
    net.drain_ready();
    let ends = |net: &Net, peer| net.received[&peer].ends.iter().copied().collect::<Vec<_>>();
    assert_eq!(ends(&net, prompt), [Family::IPV4_RTC]);
    assert_eq!(ends(&net, plain), [Family::L2VPN_EVPN]);
    net.end_of_rib(prompt, Family::IPV4_RTC);
    assert_eq!(net.drain_ready(), [prompt]);
    assert_eq!(ends(&net, prompt), FAMILIES);
    assert_eq!(net.rib.next_deadline(), Some(net.now + MEMBERSHIP_WAIT));
    net.now = net.now + MEMBERSHIP_WAIT;
    assert_eq!(net.rib.expire_stale(net.now), []);
    assert_eq!(net.drain_ready(), [silent]);
    assert_eq!(ends(&net, silent), FAMILIES);
    assert_eq!(net.rib.next_deadline(), None);
}

/// An agent that has yet to learn its instances does not say that it wants nothing; a reflector, for
/// whose memberships its peers may wait, says at once what it wants.
#[test]
fn a_held_end_of_rib_holds_that_of_memberships_but_at_a_reflector() {
    for reflect in [false, true] {
        let mut net = Net::new(config(reflect));
        net.rib.hold_end_of_rib(true);
        let peer = net.up(1, Client, FAMILIES);
        net.end_of_rib(peer, Family::IPV4_RTC);
        net.drain_ready();
        let held: Vec<Family> = net.received[&peer].ends.iter().copied().collect();
        let expected: &[Family] = if reflect { &[Family::IPV4_RTC] } else { &[] };
        assert_eq!(held, expected);
        net.rib.hold_end_of_rib(false);
        net.drain_ready();
        assert_eq!(net.received[&peer].ends.len(), 2);
    }
}

#[test]
fn a_refresh_sends_what_is_wanted_again() {
    let (mut net, _, target) = net();
    net.send(target, membership("64512:1"), &attributes().build());
    net.drain_ready();
    let before = net.received[&target].reaches;
    net.rib.route_refresh(target, Family::L2VPN_EVPN);
    assert_eq!(net.drain_ready(), [target]);
    assert_eq!(net.received[&target].reaches, before + 2);
    assert_eq!(net.received[&target].withdrawals, 0);
}
