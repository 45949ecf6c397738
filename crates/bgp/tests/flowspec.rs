//! FlowSpec NLRI (RFC 8955, RFC 8956): octets, texts and order.

mod common;

use std::cmp::Ordering;
use std::net::IpAddr;

use chanter_bgp::{
    Attributes, BitmaskMatch, CodecContext, ExtendedCommunity, Family, FlowAction,
    FlowSpecComponent, FlowSpecNlri, FlowSpecPrefix, FlowSpecType, Nlri, NumericMatch, PathData,
    RouteEvent, UpdateWriter, tcp_flags,
};
use common::{attribute, body, decode_body, unhex};

/// What an UPDATE with these NLRI says, and what is wrong with it.
fn decode(family: Family, nlri: &str) -> (Vec<String>, Vec<String>) {
    let [a, b] = family.afi.to_be_bytes();
    let mp_reach = [vec![a, b, family.safi, 0, 0], unhex(nlri)].concat();
    let attributes = [
        attribute(0x80, 14, &mp_reach),
        attribute(0x40, 1, &[0]),
        attribute(0x40, 2, &[]),
    ];
    let outcome = decode_body(&body(&[], &attributes, &[]), &CodecContext::default());
    let told = outcome.batch.events.iter().map(|event| match event {
        RouteEvent::Reach { nlri, .. } => nlri.to_string(),
        RouteEvent::Withdraw { nlri, .. } => format!("withdraw {nlri}"),
        RouteEvent::EndOfRib(family) => format!("end-of-rib {family}"),
    });
    let faults = outcome.faults.iter().map(ToString::to_string);
    (told.collect(), faults.collect())
}

/// draft-simpson-idr-flowspec-redirect; RFC 8955 section 4 wants any other next hop ignored.
#[test]
fn a_redirect_to_the_next_hop_keeps_it() {
    let redirect = FlowAction::RedirectToNextHop { copy: false };
    let limit = FlowAction::RateBytes {
        asn: 0,
        rate: 1000.0,
    };
    for (action, next_hop, expected) in [
        (redirect, "04 c0000209", Some("192.0.2.9")),
        (
            redirect,
            "10 20010db8000000000000000000000009",
            Some("2001:db8::9"),
        ),
        (redirect, "00", None),
        (redirect, "03 010203", None),
        (limit, "04 c0000209", None),
    ] {
        let mp_reach = unhex(&format!("0001 85 {next_hop} 00 05 01 18 c00002"));
        let action = ExtendedCommunity::from(action).0;
        let attributes = [
            attribute(0x80, 14, &mp_reach),
            attribute(0x40, 1, &[0]),
            attribute(0x40, 2, &[]),
            attribute(0xc0, 16, &action),
        ];
        let ctx = CodecContext::default();
        let outcome = decode_body(&body(&[], &attributes, &[]), &ctx);
        assert_eq!(outcome.faults, []);
        let kept = &outcome.batch.attributes[0];
        let addr = kept.next_hop().map(|addr| addr.to_string());
        assert_eq!(addr.as_deref(), expected, "{next_hop}");
        let mut again = Vec::new();
        let flow = flow("flow4 { destination 192.0.2.0/24 }");
        let routes = [(&flow.into(), PathData::default())];
        assert_eq!(
            UpdateWriter::new(&ctx, &mut again).reach(Family::IPV4_FLOWSPEC, kept, routes),
            1
        );
        let outcome = decode_body(&again[chanter_bgp::HEADER_LEN..], &ctx);
        assert_eq!(outcome.batch.attributes[0], *kept);
    }
    // Nothing is sent that does not count.
    let attributes = Attributes::builder().next_hop("192.0.2.9".parse::<IpAddr>().ok());
    let mut out = Vec::new();
    let flow = flow("flow4 { destination 192.0.2.0/24 }");
    let routes = [(&flow.into(), PathData::default())];
    let ctx = CodecContext::default();
    UpdateWriter::new(&ctx, &mut out).reach(Family::IPV4_FLOWSPEC, &attributes.build(), routes);
    let outcome = decode_body(&out[chanter_bgp::HEADER_LEN..], &ctx);
    assert_eq!(outcome.batch.attributes[0].next_hop(), None);
}

fn flow(text: &str) -> FlowSpecNlri {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// RFC 8955 section 4.3, RFC 8956 section 3.8.
#[test]
fn the_examples_of_the_standards() {
    for (family, octets, text) in [
        (
            Family::IPV4_FLOWSPEC,
            "0b 01 18 c00002 03 81 06 04 81 19",
            "flow4 { destination 192.0.2.0/24; protocol =tcp; port =25 }",
        ),
        (
            Family::IPV4_FLOWSPEC,
            "10 01 18 c00002 02 08 cb 04 03 89 45 8b 91 1f90",
            "flow4 { destination 192.0.2.0/24; source 203.0.0.0/8; port >=137&<=139|=8080 }",
        ),
        (
            Family::IPV4_FLOWSPEC,
            "08 01 18 c00002 0c 80 05",
            "flow4 { destination 192.0.2.0/24; fragment dont-fragment+first-fragment }",
        ),
        (
            Family::IPV6_FLOWSPEC,
            "0b 01 00 00 02 68 40 123456789a",
            "flow6 { destination ::/0; source ::1234:5678:9a00:0/104 offset 64 }",
        ),
        (
            Family::IPV4_FLOWSPEC_VPN,
            "10 0000fc0000000001 01 18 c00002 03 81 06",
            "flow4 { destination 192.0.2.0/24; protocol =tcp } rd 64512:1",
        ),
    ] {
        assert_eq!(decode(family, octets), (vec![text.to_owned()], vec![]));
        let nlri = flow(text);
        assert_eq!((nlri.to_string(), nlri.family()), (text.to_owned(), family));
        assert_eq!(text.parse(), Ok(Nlri::from(nlri)));
    }
}

/// RFC 8955 section 4.1: a length of two octets is allowed for any NLRI, and needed from 240 on.
#[test]
fn lengths_of_one_and_two_octets() {
    let short = decode(Family::IPV4_FLOWSPEC, "f005 01 18 c00002").0;
    assert_eq!(short, ["flow4 { destination 192.0.2.0/24 }"]);
    for (tests, head) in [(119, "ef"), (120, "f0f1")] {
        let values = "0150".repeat(tests - 1) + "8150";
        let octets = head.to_owned() + "04" + &values;
        let (told, faults) = decode(Family::IPV4_FLOWSPEC, &octets);
        assert_eq!((told.len(), faults.len()), (1, 0), "{told:?} {faults:?}");
        let nlri: Nlri = told[0].parse().unwrap();
        let (mut out, ctx) = (Vec::new(), CodecContext::default());
        let routes = [(&nlri, PathData::default())];
        UpdateWriter::new(&ctx, &mut out).withdraw(nlri.family(), routes);
        assert!(out.ends_with(&unhex(&octets)));
    }
}

/// RFC 8955 section 4.2.1.1: reserved bits and the AND bit of the first operator do not count.
/// Section 4.2.2.1, RFC 8956 section 3.1: nor do bits behind a prefix.
#[test]
fn what_receivers_ignore_is_not_part_of_the_key() {
    for (family, octets, plain) in [
        (Family::IPV4_FLOWSPEC, "03 03 c9 06", "03 03 81 06"),
        (Family::IPV4_FLOWSPEC, "03 09 cd 02", "03 09 81 02"),
        (Family::IPV4_FLOWSPEC, "05 01 14 c000ff", "05 01 14 c000f0"),
        (
            Family::IPV6_FLOWSPEC,
            "05 01 15 08 20 ff",
            "05 01 15 08 20 f8",
        ),
    ] {
        assert_eq!(decode(family, octets), decode(family, plain));
        assert_eq!(decode(family, plain).1, [""; 0]);
    }
    // A value in more octets than it needs is another NLRI: section 5.1 compares octets.
    let [short, long] = ["03 04 81 50", "04 04 91 0050"].map(|octets| {
        let (told, faults) = decode(Family::IPV4_FLOWSPEC, octets);
        assert_eq!(faults, [""; 0]);
        told[0].clone()
    });
    // RFC 8956 section 3.7 wants four octets for a flow label, but others are received too.
    let label = decode(Family::IPV6_FLOWSPEC, "03 0d 81 05").0;
    assert_eq!(label, ["flow6 { flow-label =0x05 }"]);
    let [label, usual] = [&label[0], "flow6 { flow-label =5 }"].map(flow);
    assert_eq!(label.rules(), unhex("0d 81 05"));
    assert_eq!(usual.rules(), unhex("0d a1 00000005"));
    let components: Vec<FlowSpecComponent> = label.components().collect();
    assert_eq!(
        FlowSpecNlri::new(label.family(), None, &components),
        Ok(label)
    );
    assert_eq!(short, "flow4 { port =80 }");
    assert_eq!(long, "flow4 { port =0x0050 }");
    assert_eq!(flow(&long).to_string(), long);
}

/// NLRI of IPv4, and what is wrong with them.
const MALFORMED: [(&str, &str); 13] = [
    ("00", "FlowSpec NLRI without components"),
    ("03 0e 81 06", "FlowSpec component of unknown type 14"),
    ("03 0d 81 06", "FlowSpec component of unknown type 13"),
    ("03 00 81 06", "FlowSpec component of unknown type 0"),
    (
        "06 04 81 50 03 81 06",
        "FlowSpec component protocol out of order",
    ),
    (
        "06 03 81 06 03 81 11",
        "FlowSpec component protocol out of order",
    ),
    ("03 03 01 06", "FlowSpec component protocol cut off"),
    ("04 04 a1 0050", "FlowSpec component port cut off"),
    ("03 01 18 c0", "FlowSpec component destination malformed"),
    (
        "07 01 21 c000020100",
        "FlowSpec component destination malformed",
    ),
    ("04 0b 91 002e", "FlowSpec component dscp of 2 octets"),
    ("04 0c 91 0002", "FlowSpec component fragment of 2 octets"),
    (
        "06 09 a1 00000002",
        "FlowSpec component tcp-flags of 4 octets",
    ),
];

/// Each tells its own length: the others are found, and withdrawn with it (RFC 7606 section 5.4).
#[test]
fn a_malformed_nlri_leaves_the_next_one() {
    let good = "05 01 18 c00002";
    for (octets, fault) in MALFORMED {
        let (told, faults) = decode(Family::IPV4_FLOWSPEC, &[octets, good].concat());
        assert_eq!(
            told,
            ["withdraw flow4 { destination 192.0.2.0/24 }"],
            "{octets}"
        );
        assert_eq!(faults.len(), 1, "{octets}: {faults:?}");
        assert!(faults[0].contains(fault), "{octets}: {}", faults[0]);
        assert!(faults[0].ends_with("(treat-as-withdraw)"), "{}", faults[0]);
    }
    // RFC 8956 section 3.1: the offset is below the length.
    for octets in ["05 01 10 10 2001", "03 01 00 08", "04 01 81 00 20"] {
        let (told, faults) = decode(Family::IPV6_FLOWSPEC, octets);
        assert_eq!(told, [""; 0], "{octets}");
        assert!(faults[0].contains("destination malformed"), "{faults:?}");
    }
    let (_, faults) = decode(Family::IPV4_FLOWSPEC_VPN, "05 01 18 c00002");
    assert!(
        faults[0].contains("without route distinguisher"),
        "{faults:?}"
    );
}

#[test]
fn lengths_beyond_the_end_reset_the_session() {
    for octets in ["06 01 18 c00002", "f0", "f100 01 18 c00002"] {
        let (told, faults) = decode(Family::IPV4_FLOWSPEC, octets);
        assert_eq!(told, [""; 0]);
        assert!(faults[0].ends_with("(session-reset)"), "{faults:?}");
    }
}

#[test]
fn texts_that_are_not_as_printed_are_read_too() {
    for (text, printed) in [
        (
            "flow4{port =80 | >=1024 & <=2048;destination 10.0.0.0/24;}",
            "flow4 { destination 10.0.0.0/24; port =80|>=1024&<=2048 }",
        ),
        (
            "flow6 { next-header =udp; flow-label =0x00000005; }",
            "flow6 { protocol =udp; flow-label =5 }",
        ),
        (
            "flow4 { tcp-flags = syn + ack & ! fin; dscp !=46; icmp-type true }",
            "flow4 { icmp-type true; tcp-flags =syn+ack&!fin; dscp !=46 }",
        ),
        (
            "flow4 { source 10.0.0.0/8; packet-length false } rd 10.0.0.1:7",
            "flow4 { source 10.0.0.0/8; packet-length false } rd 10.0.0.1:7",
        ),
    ] {
        assert_eq!(flow(text).to_string(), printed);
    }
    for bad in [
        "flow4 {}",
        "flow4 { }",
        "flow5 { port =80 }",
        "flow4 { port 80 }",
        "flow4 { port =+80 }",
        "flow4 { port =65536; port =1 }",
        "flow4 { port =80&|=90 }",
        "flow4 { destination 2001:db8::/32 }",
        "flow4 { destination 10.0.0.0/24 offset 8 }",
        "flow6 { destination 2001:db8::/32 offset 32 }",
        "flow6 { destination 10.0.0.0/24 }",
        "flow4 { flow-label =5 }",
        "flow4 { dscp =256 }",
        "flow4 { fragment =0x0100 }",
        "flow4 { tcp-flags =xyz }",
        "flow4 { port =80 } rd",
        "flow4 { port =80",
        "flow4 { port =18446744073709551616 }",
    ] {
        assert!(bad.parse::<Nlri>().is_err(), "{bad}");
    }
}

/// RFC 8955 section 5.1, RFC 8956 section 4: each goes before the next.
#[test]
fn the_more_specific_filter_goes_first() {
    for order in [
        &[
            "flow4 { destination 10.0.0.0/24; source 10.0.0.0/8 }",
            "flow4 { destination 10.0.0.0/24; protocol =tcp }",
            "flow4 { destination 10.0.0.0/24 }",
            "flow4 { destination 10.0.0.0/16 }",
            "flow4 { destination 10.1.0.0/24 }",
            "flow4 { source 10.0.0.0/8 }",
            "flow4 { port =25|=80 }",
            "flow4 { port =25 }",
            "flow4 { port =0x0019 }",
        ][..],
        &[
            "flow6 { destination 2001:db8::/48 }",
            "flow6 { destination 2001:db8::/32 }",
            "flow6 { destination 2001:db9::/32 }",
            "flow6 { destination 0:db8::/32 offset 16 }",
            "flow6 { flow-label =5 }",
        ],
    ] {
        let flows: Vec<FlowSpecNlri> = order.iter().map(|text| flow(text)).collect();
        for (place, first) in flows.iter().enumerate() {
            for (other_place, other) in flows.iter().enumerate() {
                assert_eq!(
                    first.precedence(other),
                    place.cmp(&other_place),
                    "{first} and {other}"
                );
            }
        }
    }
    let in_vpns = ["64512:1", "64512:2"].map(|rd| flow(&format!("flow4 {{ port =25 }} rd {rd}")));
    assert_eq!(in_vpns[0].precedence(&in_vpns[1]), Ordering::Equal);
}

#[test]
fn components_make_an_nlri() {
    let http = FlowSpecComponent::Numeric(
        FlowSpecType::DestinationPort,
        [
            vec![NumericMatch::equal(80)],
            NumericMatch::range(1024, 2048).to_vec(),
        ]
        .concat(),
    );
    let prefix = "10.0.0.0/24".parse().unwrap();
    let prefix = FlowSpecComponent::Destination(FlowSpecPrefix::new(prefix, 0).unwrap());
    let syn = FlowSpecComponent::Bitmask(
        FlowSpecType::TcpFlags,
        vec![BitmaskMatch::all(tcp_flags::SYN)],
    );
    let family = Family::IPV4_FLOWSPEC;
    let nlri = FlowSpecNlri::new(family, None, &[syn, http.clone(), prefix.clone()]).unwrap();
    assert_eq!(
        nlri.to_string(),
        "flow4 { destination 10.0.0.0/24; destination-port =80|>=1024&<=2048; tcp-flags =syn }"
    );
    assert_eq!(nlri.destination(), Some("10.0.0.0/24".parse().unwrap()));
    assert_eq!(nlri.components().count(), 3);
    let error = |rd, family, components: &[FlowSpecComponent]| {
        FlowSpecNlri::new(family, rd, components)
            .unwrap_err()
            .to_string()
    };
    let rd = Some("64512:1".parse().unwrap());
    let http = &[http][..];
    assert!(error(rd, family, http).contains("has no route distinguisher"));
    assert!(error(None, Family::IPV4_FLOWSPEC_VPN, http).contains("needs a route distinguisher"));
    assert!(error(None, Family::IPV4_UNICAST, http).contains("not one of FlowSpec"));
    assert!(error(None, family, &[]).contains("without components"));
    assert!(error(None, family, &[http, http].concat()).contains("out of order"));
    assert!(error(None, Family::IPV6_FLOWSPEC, &[prefix]).contains("prefix 10.0.0.0/24"));
    let wrong = FlowSpecComponent::Numeric(FlowSpecType::TcpFlags, vec![NumericMatch::equal(2)]);
    assert!(error(None, family, &[wrong]).contains("for tcp-flags"));
    let long = vec![NumericMatch::equal(80); 2048];
    let long = FlowSpecComponent::Numeric(FlowSpecType::Port, long);
    assert!(error(None, family, &[long]).contains("longer than 4095 octets"));
}
