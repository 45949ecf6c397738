//! What capabilities look like on the wire, and in words.

use chanter_bgp::{
    AddPathMode, BgpRole, Capability, ExtendedNextHop, Family, GracefulRestart, HEADER_LEN,
    Hostname, LongLivedFamily, MESSAGE_LEN_MAX, Message, OpenMessage, decode_message,
};
use chanter_types::Asn;

use crate::support::{HIGHER_ID, secs};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let octet = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

fn unknown(code: u8, value: &str) -> Capability {
    let value = unhex(value).into();
    Capability::Unknown { code, value }
}

fn next_hop(family: Family) -> ExtendedNextHop {
    let next_hop_afi = ExtendedNextHop::IPV6;
    ExtendedNextHop {
        family,
        next_hop_afi,
    }
}

/// As BIRD 2.0.12, FRR 8.4.4 and GoBGP 3.10 send them: see `tests/data`.
fn recorded() -> Vec<(&'static str, Capability, &'static str)> {
    use Family as F;
    vec![
        (
            "05 06 0001 0001 0002",
            Capability::ExtendedNextHop(vec![next_hop(F::IPV4_UNICAST)]),
            "extended-next-hop ipv4-unicast by ipv6",
        ),
        ("06 00", Capability::ExtendedMessage, "extended-message"),
        (
            "09 01 00",
            Capability::Role(BgpRole::Provider),
            "role provider",
        ),
        (
            "09 01 03",
            Capability::Role(BgpRole::Customer),
            "role customer",
        ),
        (
            "40 0a 404d 00010100 00194600",
            Capability::GracefulRestart(GracefulRestart {
                restarting: false,
                notification: true,
                restart_time: 77,
                families: vec![(F::IPV4_UNICAST, false), (F::L2VPN_EVPN, false)],
            }),
            "graceful-restart 77 s notification ipv4-unicast l2vpn-evpn",
        ),
        (
            "45 08 00010103 00020101",
            Capability::AddPath(vec![
                (F::IPV4_UNICAST, AddPathMode::Both),
                (F::IPV6_UNICAST, AddPathMode::Receive),
            ]),
            "add-path ipv4-unicast both, ipv6-unicast receive",
        ),
    ]
}

/// As [`recorded`], of codes from 70 on.
fn recorded_from_70() -> Vec<(&'static str, Capability, &'static str)> {
    use Family as F;
    vec![
        (
            "46 00",
            Capability::EnhancedRouteRefresh,
            "enhanced-route-refresh",
        ),
        (
            "47 0e 00010180000e10 00020100000e10",
            Capability::LongLivedGracefulRestart(vec![
                LongLivedFamily {
                    family: F::IPV4_UNICAST,
                    time: secs(3600),
                    preserved: true,
                },
                LongLivedFamily {
                    family: F::IPV6_UNICAST,
                    time: secs(3600),
                    preserved: false,
                },
            ]),
            "long-lived-graceful-restart ipv4-unicast 3600 s (preserved), ipv6-unicast 3600 s",
        ),
        (
            "49 11 04 72722d31 0b 6578616d706c652e6e6574",
            Capability::Hostname(Hostname {
                host: "rr-1".to_owned(),
                domain: "example.net".to_owned(),
            }),
            "fqdn rr-1.example.net",
        ),
        (
            "49 04 02 766d 00",
            Capability::Hostname(Hostname {
                host: "vm".to_owned(),
                domain: String::new(),
            }),
            "fqdn vm",
        ),
        // The code that was used before RFC 2918.
        ("80 00", unknown(128, ""), "capability 128"),
    ]
}

#[test]
fn capabilities_of_other_speakers() {
    for (octets, capability, text) in [recorded(), recorded_from_70()].concat() {
        let octets = unhex(octets);
        assert_eq!(
            Capability::decode(octets[0], &octets[2..]),
            Some(capability.clone())
        );
        let mut out = Vec::new();
        capability.encode(&mut out);
        assert_eq!(out, octets, "{text}");
        assert_eq!(capability.to_string(), text);
        assert_eq!(capability.code(), octets[0]);
    }
}

#[test]
fn a_capability_without_meaning_has_no_effect() {
    for (code, value) in [
        // RFC 7911 section 4: one entry out of order spoils the capability.
        (69, "00010103 00020100"),
        (69, "00010103 00020104"),
        (69, "00010103 0002"),
        (5, "0001 0001 00"),
        (71, "00010180000e"),
        // No role that there is (RFC 9234 section 4.1).
        (9, "05"),
        (9, "ff"),
        (9, ""),
        (9, "0003"),
        (73, ""),
        (73, "05 7272"),
        (73, "02 7272"),
        (73, "02 7272 00 00"),
    ] {
        let expected = Some(unknown(code, value));
        assert_eq!(Capability::decode(code, &unhex(value)), expected, "{value}");
    }
}

#[test]
fn a_capability_that_the_session_stands_on_must_be_whole() {
    for (code, value) in [
        (1, "000100"),
        (1, "0001000100"),
        (2, "00"),
        (6, "00"),
        (64, "40"),
        (64, "404d 000101"),
        (65, "0000fc"),
        (70, "00"),
    ] {
        assert_eq!(
            Capability::decode(code, &unhex(value)),
            None,
            "{code} {value}"
        );
    }
}

#[test]
fn what_is_not_there_is_left_out() {
    // A SAFI of two octets that names no family (RFC 8950 section 4 has two octets for it).
    let decoded = Capability::decode(5, &unhex("0001 0101 0002 0001 0080 0002"));
    let family = Family { afi: 1, safi: 128 };
    let expected = Capability::ExtendedNextHop(vec![next_hop(family)]);
    assert_eq!(decoded, Some(expected));
    // No name.
    let decoded = Capability::decode(73, &[0, 0]).unwrap();
    assert_eq!(decoded, Capability::Hostname(Hostname::default()));
    // Octets for a terminal.
    let decoded = Capability::decode(73, &unhex("03 41 1b ff 00")).unwrap();
    assert_eq!(decoded.to_string(), "fqdn A\u{fffd}\u{fffd}");
    // More than is kept, and three octets for each that is replaced: the same again.
    let value = [&[200][..], &[0xff; 200], &[0]].concat();
    let decoded = Capability::decode(73, &value).unwrap();
    let mut out = Vec::new();
    decoded.encode(&mut out);
    assert_eq!(Capability::decode(73, &out[2..]), Some(decoded));
}

#[test]
fn lists_and_times_are_cut_to_what_the_wire_has() {
    let family = Family::IPV4_UNICAST;
    let long = LongLivedFamily {
        family,
        time: secs(1 << 30),
        preserved: false,
    };
    let hostname = Hostname {
        host: "ö".repeat(50),
        domain: "d".repeat(300),
    };
    for (capability, len) in [
        (
            Capability::LongLivedGracefulRestart(vec![long; 100]),
            36 * 7,
        ),
        (
            Capability::AddPath(vec![(family, AddPathMode::Both); 100]),
            63 * 4,
        ),
        (
            Capability::ExtendedNextHop(vec![next_hop(family); 100]),
            42 * 6,
        ),
        (Capability::Hostname(hostname), 1 + 64 + 1 + 64),
    ] {
        let mut out = Vec::new();
        capability.encode(&mut out);
        assert_eq!(out.len(), 2 + len, "{capability}");
        let again = Capability::decode(out[0], &out[2..]).unwrap();
        assert_eq!(again.code(), capability.code());
        assert!(!matches!(again, Capability::Unknown { .. }), "{again}");
        let times = |capability: &Capability| match capability {
            Capability::LongLivedGracefulRestart(list) => list[0].time,
            _ => LongLivedFamily::TIME_MAX,
        };
        assert_eq!(times(&again), LongLivedFamily::TIME_MAX);
    }
}

/// An OPEN whose capabilities are `count` of 100 octets and one of 4.
fn big_open(count: u8) -> OpenMessage {
    let code = |code| Capability::Unknown {
        code,
        value: [7; 98].into(),
    };
    let mut capabilities: Vec<_> = (100..100 + count).map(code).collect();
    capabilities.push(Capability::Role(BgpRole::Peer));
    OpenMessage {
        asn: Asn(64512),
        hold_time: 90,
        router_id: HIGHER_ID,
        capabilities,
    }
}

#[test]
fn the_extended_form_of_parameters_is_used_where_it_is_needed() {
    for (count, len) in [(2, 29 + 2 + 203), (3, 29 + 3 + 3 + 303)] {
        let open = big_open(count);
        let mut out = Vec::new();
        open.encode(&mut out);
        assert_eq!(out.len(), len);
        // RFC 9072 section 2.
        let extended = out[HEADER_LEN + 9..HEADER_LEN + 11] == [255, 255];
        assert_eq!(extended, count == 3);
        assert_eq!(decode_message(&out), Ok(Message::Open(open)));
    }
}

#[test]
fn open_stays_within_4096_octets() {
    let open = big_open(60);
    let mut out = Vec::new();
    open.encode(&mut out);
    assert!(out.len() <= MESSAGE_LEN_MAX, "{}", out.len());
    let Ok(Message::Open(again)) = decode_message(&out) else {
        panic!("not an OPEN");
    };
    // What does not fit is left out, what does is there.
    assert_eq!(again.capabilities.len(), 41);
    assert_eq!(again.capabilities.last(), open.capabilities.last());
}
