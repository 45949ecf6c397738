//! NLRI, path identifiers and next hops of the VPN families and of EVPN: octets, and what is malformed.

mod common;

use std::net::IpAddr;

use chanter_bgp::{Attributes, CodecContext, Family, Nlri, PathData, RouteEvent, UpdateWriter};
use common::{Outcome, attribute, body, decode_body, frames, unhex};

fn reach(family: Family, next_hop: &str, nlri: &str, ctx: &CodecContext) -> Outcome {
    let [a, b] = family.afi.to_be_bytes();
    let next_hop = unhex(next_hop);
    let len = u8::try_from(next_hop.len()).expect("short");
    let head = vec![a, b, family.safi, len];
    let mp_reach = [head, next_hop, vec![0], unhex(nlri)].concat();
    let attributes = [
        attribute(0x80, 14, &mp_reach),
        attribute(0x40, 1, &[0]),
        attribute(0x40, 2, &[]),
    ];
    decode_body(&body(&[], &attributes, &[]), ctx)
}

fn unreach(family: Family, nlri: &str, ctx: &CodecContext) -> Outcome {
    let [a, b] = family.afi.to_be_bytes();
    let mp_unreach = [vec![a, b, family.safi], unhex(nlri)].concat();
    decode_body(&body(&[], &[attribute(0x80, 15, &mp_unreach)], &[]), ctx)
}

fn told(outcome: &Outcome) -> Vec<String> {
    let tell = |event: &RouteEvent| match event {
        RouteEvent::Reach { nlri, data, .. } => {
            let gateway = data.gateway().map(|gateway| format!(" gateway {gateway}"));
            let (label, path) = (data.label, data.path_id);
            format!(
                "{nlri} label {label} path {path}{}",
                gateway.unwrap_or_default()
            )
        }
        RouteEvent::Withdraw { nlri, path_id } => format!("withdraw {nlri} path {path_id}"),
        RouteEvent::EndOfRib(family) => format!("end-of-rib {family}"),
    };
    outcome.batch.events.iter().map(tell).collect()
}

fn fault(outcome: &Outcome) -> String {
    let faults: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
    faults.join(", ")
}

const V6: &str = "20010db8000000000000000000000001";
const LINK_LOCAL: &str = "fe800000000000000000000000000001";
const RD: &str = "0000000000000000";

/// RFC 8277 section 2.4: the label of a withdrawal is not looked at.
#[test]
fn a_vpn_withdrawal_has_any_label() {
    let ctx = CodecContext::default();
    for label in ["800000", "000000", "000641"] {
        let nlri = format!("70 {label} 0000fc0000000001 0a0100");
        let outcome = unreach(Family::IPV4_VPN, &nlri, &ctx);
        assert_eq!(told(&outcome), ["withdraw 64512:1:10.1.0.0/24 path 0"]);
        let nlri = format!("78 {label} 0000fc0000000001 20010db8");
        let outcome = unreach(Family::IPV6_VPN, &nlri, &ctx);
        assert_eq!(told(&outcome), ["withdraw 64512:1 2001:db8::/32 path 0"]);
    }
    let nlri: Nlri = "64512:1:10.1.0.0/24".parse().unwrap();
    let mut out = Vec::new();
    let route = [(&nlri, PathData::with_label(0x641))];
    UpdateWriter::new(&ctx, &mut out).withdraw(Family::IPV4_VPN, route);
    assert!(out.ends_with(&unhex("000180 70 800000 0000fc0000000001 0a0100")));
}

/// RFC 8277 section 2.2: one label, whatever its bottom-of-stack bit.
#[test]
fn a_vpn_route_has_one_label() {
    let ctx = CodecContext::default();
    let next_hop = format!("{RD} 0a620001");
    for (label, value) in [("000641", 0x641), ("000640", 0x640)] {
        let nlri = format!("70 {label} 0000fc0000000001 0a0100");
        let outcome = reach(Family::IPV4_VPN, &next_hop, &nlri, &ctx);
        assert_eq!(
            told(&outcome),
            [format!("64512:1:10.1.0.0/24 label {value} path 0")]
        );
    }
}

/// RFC 7606 section 5.3.
#[test]
fn a_vpn_prefix_of_the_wrong_length_resets_the_session() {
    let ctx = CodecContext::default();
    for (family, next_hop, nlri, expected) in [
        (
            Family::IPV4_VPN,
            format!("{RD} 0a620001"),
            "79 000641 0000fc0000000001 0a010000 80",
            "prefix length 121",
        ),
        (
            Family::IPV4_VPN,
            format!("{RD} 0a620001"),
            "57 000641 0000fc00000000",
            "prefix length 87",
        ),
        (
            Family::IPV4_VPN,
            format!("{RD} 0a620001"),
            "70 000641 0000fc0000000001 0a01",
            "prefix length 112 with 13 octets left",
        ),
        (
            Family::IPV6_VPN,
            format!("{RD} {V6}"),
            "d9 000641 0000fc0000000001 20010db8",
            "prefix length 217",
        ),
    ] {
        let outcome = reach(family, &next_hop, nlri, &ctx);
        assert!(outcome.result.is_err(), "{nlri}");
        assert!(fault(&outcome).contains(expected), "{}", fault(&outcome));
    }
}

/// RFC 4364 section 4.3.2, RFC 4659 section 3.2.1, RFC 2545 section 3, RFC 8950 section 3.
#[test]
fn next_hops_by_family() {
    let plain = CodecContext::default();
    let extended = CodecContext {
        extended_next_hop: [Family::IPV4_UNICAST, Family::IPV4_VPN].into(),
        ..CodecContext::default()
    };
    let (v4, v6, vpn4, vpn6) = (
        (Family::IPV4_UNICAST, "08 0a"),
        (Family::IPV6_UNICAST, "20 20010db8"),
        (Family::IPV4_VPN, "70 000641 0000fc0000000001 0a0100"),
        (Family::IPV6_VPN, "78 000641 0000fc0000000001 20010db8"),
    );
    let (pair, rd_pair) = (
        V6.to_owned() + LINK_LOCAL,
        RD.to_owned() + V6 + RD + LINK_LOCAL,
    );
    let mapped = RD.to_owned() + "00000000000000000000ffff0a620001";
    let global = Some(("2001:db8::1", None));
    let both = Some(("2001:db8::1", Some("fe80::1")));
    for ((family, nlri), next_hop, ctx, expected) in [
        (v4, "0a620001", &plain, Some(("10.98.0.1", None))),
        (v4, V6, &plain, None),
        (v4, V6, &extended, global),
        (v4, &pair, &plain, None),
        (v4, &pair, &extended, both),
        (v6, V6, &plain, global),
        (v6, &pair, &plain, both),
        (v6, LINK_LOCAL, &plain, Some(("fe80::1", Some("fe80::1")))),
        (
            v6,
            &LINK_LOCAL.repeat(2),
            &plain,
            Some(("fe80::1", Some("fe80::1"))),
        ),
        (v6, "0a620001", &plain, None),
        (
            vpn4,
            &(RD.to_owned() + "0a620001"),
            &plain,
            Some(("10.98.0.1", None)),
        ),
        (vpn4, "0a620001", &plain, None),
        (vpn4, &(RD.to_owned() + V6), &plain, None),
        (vpn4, &(RD.to_owned() + V6), &extended, global),
        (vpn4, &rd_pair, &extended, both),
        (vpn4, V6, &extended, global),
        (vpn6, &(RD.to_owned() + V6), &plain, global),
        (vpn6, &rd_pair, &plain, both),
        (vpn6, &mapped, &plain, Some(("::ffff:10.98.0.1", None))),
        (vpn6, V6, &plain, None),
    ] {
        let outcome = reach(family, next_hop, nlri, ctx);
        let found = outcome.batch.attributes.first().map(|set| {
            let link_local = set.next_hop_link_local().map(|addr| addr.to_string());
            (set.next_hop().expect("a next hop").to_string(), link_local)
        });
        let expected = expected.map(|(addr, local)| (addr.to_owned(), local.map(str::to_owned)));
        assert_eq!(found, expected, "{family} {next_hop}: {}", fault(&outcome));
        assert_eq!(
            outcome.result.is_ok(),
            expected.is_some(),
            "RFC 7606 section 7.11"
        );
    }
}

/// RFC 8950 section 4: without the capability such a route cannot be advertised.
#[test]
fn ipv4_routes_behind_ipv6_need_the_capability() {
    let next_hop: IpAddr = "2001:db8::1".parse().unwrap();
    let set = Attributes::builder().next_hop(next_hop).build();
    let plain = CodecContext::default();
    let extended = CodecContext {
        extended_next_hop: [Family::IPV4_UNICAST].into(),
        ..CodecContext::default()
    };
    for (text, ctx, written) in [
        ("10.0.0.0/8", &plain, 0),
        ("10.0.0.0/8", &extended, 1),
        ("64512:1:10.0.0.0/8", &extended, 0),
        ("64512:1 2001:db8::/32", &plain, 1),
    ] {
        let nlri: Nlri = text.parse().unwrap();
        let mut out = Vec::new();
        let mut writer = UpdateWriter::new(ctx, &mut out);
        let routes = [(&nlri, PathData::default())];
        assert_eq!(writer.reach(nlri.family(), &set, routes), written, "{text}");
    }
}

/// RFC 7911 section 3.
#[test]
fn path_identifiers_stand_before_each_nlri() {
    let ctx = CodecContext {
        add_path_receive: [Family::IPV4_UNICAST, Family::L2VPN_EVPN].into(),
        ..CodecContext::default()
    };
    let mut attributes = vec![attribute(0x40, 1, &[0]), attribute(0x40, 2, &[])];
    attributes.push(attribute(0x40, 3, &[10, 98, 0, 1]));
    let withdrawn = unhex("00000007 08 0b");
    let nlri = unhex("00000001 08 0a 00000002 08 0a");
    let outcome = decode_body(&body(&withdrawn, &attributes, &nlri), &ctx);
    assert_eq!(
        told(&outcome),
        [
            "withdraw 11.0.0.0/8 path 7",
            "10.0.0.0/8 label 0 path 1",
            "10.0.0.0/8 label 0 path 2",
        ]
    );
    // A family without it has none.
    let outcome = reach(Family::IPV6_UNICAST, V6, "20 20010db8", &ctx);
    assert_eq!(told(&outcome), ["2001:db8::/32 label 0 path 0"]);
    // RFC 7606 section 5.3: one that is cut off.
    let outcome = reach(Family::L2VPN_EVPN, "0a620001", "000001", &ctx);
    assert!(
        fault(&outcome).contains("path identifier cut off"),
        "{}",
        fault(&outcome)
    );
    assert!(outcome.result.is_err());
    // Attributes that are wrong withdraw the paths of the message, and no others.
    attributes.remove(0);
    let outcome = decode_body(&body(&[], &attributes, &nlri), &ctx);
    assert_eq!(
        told(&outcome),
        ["withdraw 10.0.0.0/8 path 1", "withdraw 10.0.0.0/8 path 2"]
    );
}

/// RFC 9136 section 3.1.
#[test]
fn an_evpn_prefix_has_one_overlay_index() {
    let ctx = CodecContext {
        add_path_receive: [Family::L2VPN_EVPN].into(),
        ..CodecContext::default()
    };
    let route = |esi: &str, gateway: &str| {
        format!("00000009 0522 0000fc0000000001 {esi} 00000000 18 0a020000 {gateway} 001770")
    };
    let (no_esi, esi) = ("00000000000000000000", "00112233445566778899");
    for (nlri, expected) in [
        (
            route(no_esi, "00000000"),
            "[5]:[0]:[24]:[10.2.0.0] rd 64512:1 label 6000 path 9",
        ),
        (
            route(esi, "00000000"),
            "[5]:[0]:[24]:[10.2.0.0] rd 64512:1 label 6000 path 9",
        ),
        (
            route(no_esi, "ac100001"),
            "[5]:[0]:[24]:[10.2.0.0] rd 64512:1 label 6000 path 9 gateway 172.16.0.1",
        ),
    ] {
        let outcome = reach(Family::L2VPN_EVPN, "0a620001", &nlri, &ctx);
        assert_eq!(
            (told(&outcome), fault(&outcome)),
            (vec![expected.to_owned()], String::new())
        );
    }
    let withdrawn = ["withdraw [5]:[0]:[24]:[10.2.0.0] rd 64512:1 path 9"];
    for (gateway, expected) in [
        ("ac100001", "both gateway"),
        ("e0000001", "gateway 224.0.0.1"),
    ] {
        let nlri = route(esi, gateway);
        let outcome = reach(Family::L2VPN_EVPN, "0a620001", &nlri, &ctx);
        assert_eq!(told(&outcome), withdrawn);
        assert!(fault(&outcome).contains(expected), "{}", fault(&outcome));
        // Only the key of a withdrawal counts.
        let outcome = unreach(Family::L2VPN_EVPN, &nlri, &ctx);
        assert_eq!(
            (told(&outcome), fault(&outcome)),
            (withdrawn.map(str::to_owned).to_vec(), String::new())
        );
    }
}

/// RFC 8955 section 4: a next hop of a traffic filter does not count, and is not sent.
#[test]
fn flowspec_has_no_next_hop() {
    let ctx = CodecContext::default();
    for next_hop in ["", "0a620001", V6] {
        let outcome = reach(Family::IPV4_FLOWSPEC, next_hop, "03 03 81 06", &ctx);
        assert_eq!(told(&outcome), ["flow4 { protocol =tcp } label 0 path 0"]);
        assert_eq!(outcome.batch.attributes[0].next_hop(), None);
    }
    let nlri: Nlri = "flow4 { protocol =tcp }".parse().unwrap();
    let mut out = Vec::new();
    let set = Attributes::builder()
        .next_hop(IpAddr::from([10, 98, 0, 1]))
        .build();
    UpdateWriter::new(&ctx, &mut out).reach(nlri.family(), &set, [(&nlri, PathData::default())]);
    assert_eq!(frames(&out, 4096).len(), 1);
    let mp_reach = unhex("900e 0009 0001 85 00 00 03 03 81 06");
    assert!(
        out.windows(mp_reach.len()).any(|part| part == mp_reach),
        "{out:02x?}"
    );
}

#[test]
fn vpn_texts_with_a_colon_or_a_space() {
    for (text, printed) in [
        ("64512:1:10.0.0.0/24", "64512:1:10.0.0.0/24"),
        ("64512:1 10.0.0.0/24", "64512:1:10.0.0.0/24"),
        ("10.0.0.1:7:10.0.0.0/24", "10.0.0.1:7:10.0.0.0/24"),
        ("64512:1:2001:db8::/32", "64512:1 2001:db8::/32"),
        ("1:1 2001:db8::/32", "1:1 2001:db8::/32"),
        (
            "0x0003000000000001:10.0.0.0/24",
            "0x0003000000000001:10.0.0.0/24",
        ),
        // With such small numbers it is an IPv6 prefix.
        ("1:1:2001:db8::/64", "1:1:2001:db8::/64"),
    ] {
        assert_eq!(
            text.parse::<Nlri>().map(|nlri| nlri.to_string()).as_deref(),
            Ok(printed)
        );
    }
    for bad in [
        "64512:1:",
        "64512:1 ",
        "64512:10.0.0.0/24",
        "64512:1:10.0.0.1/24",
        ":10.0.0.0/8",
    ] {
        assert!(bad.parse::<Nlri>().is_err(), "{bad}");
    }
}
