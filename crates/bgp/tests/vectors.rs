//! Octets and values side by side, both directions.

#![allow(clippy::unwrap_used)] // the makers of test data unwrap literals

mod common;

use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{
    Attributes, Capability, CodecContext, ExtendedCommunity, HEADER_LEN, Message, Nlri,
    NotificationMessage, OpenMessage, PathData, PmsiTunnel, UpdateWriter, decode_message,
    encapsulation, encode_keepalive, frame_len, notification,
};
use chanter_types::{Asn, RouteTarget};
use common::{Said, decode_all, said, unhex};

const MARKER: &str = "ffffffffffffffffffffffffffffffff";

fn attributes(next_hop: &str) -> Attributes {
    let rt: RouteTarget = "64512:513".parse().unwrap();
    Attributes::builder()
        .next_hop(next_hop.parse::<IpAddr>().unwrap())
        .local_pref(100)
        .extended_communities(vec![
            ExtendedCommunity::encapsulation(encapsulation::VXLAN),
            rt.into(),
        ])
        .build()
}

/// A route, its attributes, and the UPDATE that advertises it.
fn advertisements() -> Vec<(&'static str, u32, Attributes, &'static str)> {
    let tunnel = PmsiTunnel::ingress_replication(5000, "10.98.0.61".parse().unwrap());
    vec![
        (
            "[2]:[0]:[48]:[02:00:00:00:0a:01]:[32]:[192.168.10.1] rd 10.98.0.61:0",
            5000,
            attributes("10.98.0.61"),
            "006c 02 0000 0055 900e0030 0019 46 04 0a62003d 00
             02 25 00010a62003d0000 00000000000000000000 00000000 30 020000000a01 20 c0a80a01 001388
             40010100 400200 40050400000064 c01010030c0000000000080002fc0000000201",
        ),
        (
            "[2]:[0]:[48]:[02:00:00:00:0a:04] rd 10.98.0.61:3",
            5000,
            attributes("2001:db8::1"),
            "0074 02 0000 005d 900e0038 0019 46 10 20010db8000000000000000000000001 00
             02 21 00010a62003d0003 00000000000000000000 00000000 30 020000000a04 00 001388
             40010100 400200 40050400000064 c01010030c0000000000080002fc0000000201",
        ),
        (
            "[3]:[0]:[32]:[10.98.0.61] rd 10.98.0.61:0",
            0,
            attributes("10.98.0.61")
                .to_builder()
                .pmsi_tunnel(tunnel)
                .build(),
            "0064 02 0000 004d 900e001c 0019 46 04 0a62003d 00
             03 11 00010a62003d0000 00000000 20 0a62003d
             40010100 400200 40050400000064 c01010030c0000000000080002fc0000000201
             c01609 00 06 001388 0a62003d",
        ),
        (
            "64512:target:64512:513/96",
            0,
            attributes("10.98.0.61")
                .to_builder()
                .extended_communities(vec![])
                .build(),
            "003f 02 0000 0028 900e0016 0001 84 04 0a62003d 00
             60 0000fc00 0002fc0000000201
             40010100 400200 40050400000064",
        ),
        (
            "192.0.2.0/25",
            0,
            attributes("10.98.0.61"),
            "0044 02 0000 0028 40010100 400200 4003040a62003d 40050400000064
             c01010030c0000000000080002fc0000000201 19 c0000200",
        ),
    ]
}

#[test]
fn updates() {
    let ctx = CodecContext::default();
    for (text, label, attributes, octets) in advertisements() {
        let nlri: Nlri = text.parse().unwrap();
        let data = PathData::with_label(label);
        let octets = unhex(&[MARKER, octets].concat());
        let mut out = Vec::new();
        UpdateWriter::new(&ctx, &mut out).reach(nlri.family(), &attributes, [(&nlri, data)]);
        assert_eq!(hex(&out), hex(&octets), "{text}");
        let (batch, faults) = decode_all(&octets, &ctx);
        assert_eq!(faults, []);
        assert_eq!(said(&batch), [Said::Reach(nlri, data, attributes)]);
    }
}

#[test]
fn withdrawals() {
    let ctx = CodecContext::default();
    for (text, octets) in [
        (
            "[2]:[0]:[48]:[02:00:00:00:0a:01]:[32]:[192.168.10.1] rd 10.98.0.61:0",
            "0045 02 0000 002e 900f002a 0019 46
             02 25 00010a62003d0000 00000000000000000000 00000000 30 020000000a01 20 c0a80a01 000000",
        ),
        (
            "64512:target:64512:513/96",
            "002b 02 0000 0014 900f0010 0001 84 60 0000fc00 0002fc0000000201",
        ),
        ("192.0.2.0/25", "001c 02 0005 19 c0000200 0000"),
    ] {
        let nlri: Nlri = text.parse().unwrap();
        let octets = unhex(&[MARKER, octets].concat());
        let mut out = Vec::new();
        let data = PathData::with_label(5000);
        UpdateWriter::new(&ctx, &mut out).withdraw(nlri.family(), [(&nlri, data)]);
        assert_eq!(hex(&out), hex(&octets), "{text}");
        assert_eq!(said(&decode_all(&octets, &ctx).0), [Said::Withdraw(nlri, 0)]);
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// As bagpipe-bgp sends it: each capability in a parameter of its own.
#[test]
fn open_with_a_parameter_for_each_capability() {
    let body = "04 fc00 00b4 7f000001 20 0206010400010080 0206010400010084 0206010400010086
                0206010400190046";
    let open = OpenMessage::decode(&unhex(body)).unwrap();
    assert_eq!((open.asn, open.hold_time), (Asn(64512), 180));
    assert_eq!(open.router_id, Ipv4Addr::LOCALHOST);
    let families: Vec<String> = open.families().iter().map(ToString::to_string).collect();
    assert_eq!(
        families,
        ["ipv4-vpn", "ipv4-rtc", "ipv4-flowspec-vpn", "l2vpn-evpn"]
    );
}

#[test]
fn open_with_extended_parameters() {
    // RFC 9072 section 2: type 255, two octets of length each.
    let body = "04 5ba0 00b4 0a000001 ff ff 0011 02 0006 410400010000 02 0005 46 00 80 01 07";
    let open = OpenMessage::decode(&unhex(body)).unwrap();
    assert_eq!(open.asn, Asn(65536));
    let unknown = Capability::Unknown {
        code: 128,
        value: [7].into(),
    };
    let expected = [
        Capability::FourOctetAs(Asn(65536)),
        Capability::EnhancedRouteRefresh,
        unknown,
    ];
    assert_eq!(open.capabilities, expected);
    // And back, where capabilities need more than 255 octets.
    let many = (100..110).map(|code| Capability::Unknown {
        code,
        value: [9; 60].into(),
    });
    let long = OpenMessage {
        capabilities: many.collect(),
        ..open
    };
    let long = OpenMessage {
        asn: Asn(1),
        ..long
    };
    let mut out = Vec::new();
    long.encode(&mut out);
    assert_eq!(out[28..32], [255, 255, 0x02, 0x6f]);
    assert_eq!(decode_message(&out), Ok(Message::Open(long)));
}

#[test]
fn bad_opens_and_their_notifications() {
    for (body, subcode, data) in [
        ("04 fc00 00b4 0a0000", 0, ""),
        ("03 fc00 00b4 0a000001 00", 1, "0004"),
        ("04 0000 00b4 0a000001 00", 2, ""),
        ("04 fc00 00b4 0a000001 08 0206 4104 00000000", 2, ""),
        ("04 fc00 00b4 00000000 00", 3, ""),
        ("04 fc00 00b4 0a000001 04 0102 0000", 4, ""),
        ("04 fc00 0002 0a000001 00", 6, ""),
        ("04 fc00 00b4 0a000001 05 0206 0104", 0, ""),
        ("04 fc00 00b4 0a000001 00 00", 0, ""),
        ("04 fc00 00b4 0a000001 07 0205 0103 000101", 0, ""),
        ("04 fc00 00b4 0a000001 05 0203 400100", 0, ""),
    ] {
        let expected = NotificationMessage::new(2, subcode, unhex(data));
        assert_eq!(OpenMessage::decode(&unhex(body)), Err(expected), "{body}");
    }
}

#[test]
fn headers() {
    let header = |text: &str| -> [u8; HEADER_LEN] {
        unhex(&[MARKER, text].concat())
            .try_into()
            .expect("19 octets")
    };
    for (text, max, expected) in [
        ("0013 04", 4096, Ok(19)),
        ("001d 01", 4096, Ok(29)),
        ("0017 02", 4096, Ok(23)),
        ("1000 02", 4096, Ok(4096)),
        ("ffff 02", 65535, Ok(65535)),
        ("0015 03", 4096, Ok(21)),
        ("0017 05", 4096, Ok(23)),
        ("0012 04", 4096, Err((2, vec![0, 0x12]))),
        ("0014 04", 4096, Err((2, vec![0, 0x14]))),
        ("001c 01", 4096, Err((2, vec![0, 0x1c]))),
        ("0016 02", 4096, Err((2, vec![0, 0x16]))),
        ("1001 02", 4096, Err((2, vec![0x10, 1]))),
        ("1001 01", 65535, Err((2, vec![0x10, 1]))),
        ("0013 06", 4096, Err((3, vec![6]))),
        ("0013 00", 4096, Err((3, vec![0]))),
    ] {
        let expected = expected.map_err(|(code, data)| NotificationMessage::new(1, code, data));
        assert_eq!(frame_len(&header(text), max), expected, "{text}");
    }
    let mut unsynchronized = header("0013 04");
    unsynchronized[7] = 0;
    assert_eq!(
        frame_len(&unsynchronized, 4096),
        Err(NotificationMessage::new(1, 1, vec![]))
    );
    let mut keepalive = Vec::new();
    encode_keepalive(&mut keepalive);
    assert_eq!(keepalive, header("0013 04"));
    assert_eq!(decode_message(&keepalive), Ok(Message::Keepalive));
    keepalive.push(0);
    assert!(
        decode_message(&keepalive).is_err(),
        "longer than its header says"
    );
}

#[test]
fn notifications_in_words() {
    let shutdown = notification::administrative_shutdown("going down");
    for (message, text) in [
        (
            shutdown.clone(),
            "Cease/Administrative Shutdown: \"going down\"",
        ),
        (
            shutdown.into_hard_reset(),
            "Cease/Hard Reset (Cease/Administrative Shutdown: \"going down\")",
        ),
        (notification::hold_timer_expired(), "Hold Timer Expired"),
        (
            notification::open_error(notification::open::BAD_PEER_AS, vec![]),
            "OPEN Message Error/Bad Peer AS",
        ),
        (
            NotificationMessage::new(3, 10, vec![1, 2]),
            "UPDATE Message Error/Invalid Network Field (data 0x0102)",
        ),
        (
            NotificationMessage::new(77, 5, vec![]),
            "error 77/subcode 5",
        ),
    ] {
        assert_eq!(message.to_string(), text);
    }
    // Control characters do not reach a terminal.
    let hostile = NotificationMessage::new(6, 2, [&[4][..], b"a\x1b[m"].concat());
    assert_eq!(hostile.text().as_deref(), Some("a\u{fffd}[m"));
}
