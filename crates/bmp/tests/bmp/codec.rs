//! Messages there and back.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chanter_bgp::Family;
use chanter_bmp::message::*;
use chanter_bmp::{BmpError, LocRibInfo, loc_rib_peer_up, route_monitoring};
use chanter_types::Asn;
use proptest::prelude::*;

use crate::support::*;

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from)
}

fn any_header() -> impl Strategy<Value = PeerHeader> {
    let kinds = [
        PeerKind::Global,
        PeerKind::Rd,
        PeerKind::Local,
        PeerKind::LocRib,
    ];
    let fields = any::<(bool, bool, bool, bool, bool, u64, u32)>();
    (
        prop::sample::select(kinds.to_vec()),
        fields,
        any::<[u8; 16]>(),
        0..1u64 << 51,
    )
        .prop_map(|(kind, fields, addr, micros)| {
            let is_peer = kind != PeerKind::LocRib;
            let (is_ipv6, post_policy, two_octet_as, adj_rib_out, filtered, distinguisher, asn) =
                fields;
            let [a, b, c, d, ..] = addr;
            PeerHeader {
                kind,
                post_policy: is_peer && post_policy,
                two_octet_as: is_peer && two_octet_as,
                adj_rib_out: is_peer && adj_rib_out,
                filtered: !is_peer && filtered,
                distinguisher,
                addr: match (is_peer, is_ipv6) {
                    (false, _) => Ipv4Addr::UNSPECIFIED.into(),
                    (true, false) => Ipv4Addr::new(a, b, c, d).into(),
                    (true, true) => Ipv6Addr::from(addr).into(),
                },
                asn,
                router_id: Ipv4Addr::new(d, c, b, a),
                at: Duration::from_micros(micros),
            }
        })
}

fn any_information() -> impl Strategy<Value = Vec<Information>> {
    let one = (any::<u16>(), prop::collection::vec(any::<u8>(), 0..20));
    let one = one.prop_map(|(kind, value)| Information { kind, value });
    prop::collection::vec(one, 0..4)
}

fn any_statistic() -> impl Strategy<Value = Statistic> {
    let family = prop::sample::select(Family::SUPPORTED.to_vec());
    prop_oneof![
        (0u16..20, any::<u32>()).prop_map(|(kind, value)| Statistic::Counter(kind, value)),
        (0u16..20, any::<u64>()).prop_map(|(kind, value)| Statistic::Gauge(kind, value)),
        (9u16..11, family, any::<u64>())
            .prop_map(|(kind, family, value)| Statistic::FamilyGauge(kind, family, value)),
    ]
}

fn any_reason() -> impl Strategy<Value = PeerDownReason> {
    prop_oneof![
        any_bytes().prop_map(PeerDownReason::LocalNotification),
        any::<u16>().prop_map(PeerDownReason::LocalEvent),
        any_bytes().prop_map(PeerDownReason::RemoteNotification),
        Just(PeerDownReason::RemoteClosed),
        Just(PeerDownReason::NotMonitored),
        any_information().prop_map(PeerDownReason::LocRibClosed),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let reasons = [
        TerminationReason::AdministrativelyClosed,
        TerminationReason::Unspecified,
        TerminationReason::OutOfResources,
        TerminationReason::RedundantConnection,
        TerminationReason::PermanentlyClosed,
    ];
    prop_oneof![
        (any_header(), any_bytes())
            .prop_map(|(peer, update)| Message::RouteMonitoring { peer, update }),
        (any_header(), prop::collection::vec(any_statistic(), 0..5))
            .prop_map(|(peer, statistics)| Message::StatisticsReport { peer, statistics }),
        (any_header(), any_reason()).prop_map(|(peer, reason)| Message::PeerDown { peer, reason }),
        (any_header(), any::<[u16; 2]>(), any_information()).prop_map(
            |(peer, [local_port, remote_port], information)| {
                let up = PeerUp {
                    local_addr: peer.addr,
                    local_port,
                    remote_port,
                    sent_open: open(64512, [10, 0, 0, 9]),
                    received_open: open(peer.asn.max(1), [10, 0, 0, 1]),
                    information,
                };
                Message::PeerUp {
                    peer,
                    up: Box::new(up),
                }
            }
        ),
        any_information().prop_map(Message::Initiation),
        (prop::sample::select(reasons.to_vec()), "[a-z ]{0,9}")
            .prop_map(|(reason, text)| Message::Termination { reason, text }),
    ]
}

proptest! {
    #[test]
    fn messages_there_and_back(messages in prop::collection::vec(any_message(), 1..5)) {
        let mut octets = Vec::new();
        for message in &messages {
            message.encode(&mut octets);
        }
        prop_assert_eq!(decode_all(&octets), messages);
    }

    #[test]
    fn a_part_of_a_message_is_waited_for(message in any_message()) {
        let mut octets = Vec::new();
        message.encode(&mut octets);
        for len in 0..octets.len() {
            prop_assert_eq!(Message::split(&octets[..len]), Ok(None));
        }
    }

    #[test]
    fn nothing_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..150), kind in 0u8..8) {
        let mut octets = octets;
        if octets.len() >= 6 {
            let len = octets.len() as u32;
            octets[0] = 3;
            octets[1..5].copy_from_slice(&len.to_be_bytes());
            octets[5] = kind;
        }
        let _ = Message::split(&octets);
    }
}

/// By hand from RFC 7854 sections 4.1, 4.2 and 4.9.
#[test]
fn a_peer_down_octet_by_octet() {
    let message = Message::PeerDown {
        peer: PeerHeader {
            post_policy: true,
            addr: "2001:db8::1".parse().unwrap(),
            asn: 65001,
            at: Duration::new(1, 2000),
            ..header(PeerKind::Global)
        },
        reason: PeerDownReason::LocalEvent(2),
    };
    let mut expected = vec![3, 0, 0, 0, 51, 2, 0, 0xc0];
    expected.extend([0; 8]);
    expected.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expected.extend([
        0, 0, 0xfd, 0xe9, 10, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 2, 0, 2,
    ]);
    let mut octets = Vec::new();
    message.encode(&mut octets);
    assert_eq!(octets, expected);
}

#[test]
fn errors_are_named() {
    let split = |octets: &[u8]| Message::split(octets).unwrap_err();
    assert_eq!(split(&[4, 0, 0, 0, 6, 4]), BmpError::Version(4));
    assert_eq!(split(&[3, 0, 0, 0, 5, 4]), BmpError::Length(5));
    assert_eq!(split(&[3, 0xff, 0, 0, 6, 4]), BmpError::Length(0xff00_0006));
    assert_eq!(split(&[3, 0, 0, 0, 6, 6]), BmpError::Type(6));
    assert_eq!(split(&[3, 0, 0, 0, 6, 0]), BmpError::Truncated);
}

#[test]
fn a_loc_rib_is_presented_by_opens_of_its_own() {
    let info = LocRibInfo {
        asn: Asn(4_200_000_001),
        router_id: [10, 0, 0, 9].into(),
        table: "global".to_owned(),
        distinguisher: 0,
        families: vec![Family::IPV4_UNICAST, Family::L2VPN_EVPN],
        add_path: true,
    };
    let Message::PeerUp { peer, up } = loc_rib_peer_up(&info, SystemTime::now()) else {
        panic!("not a Peer Up");
    };
    assert_eq!((peer.kind, peer.asn), (PeerKind::LocRib, 4_200_000_001));
    assert_eq!(up.sent_open, up.received_open);
    assert_eq!(
        up.information,
        [Information::text(Information::TABLE_NAME, "global")]
    );
    let Ok(chanter_bgp::Message::Open(open)) = chanter_bgp::decode_message(&up.sent_open) else {
        panic!("not an OPEN");
    };
    assert_eq!((open.asn, open.capabilities.len()), (info.asn, 4));

    let updates = [update("10.1.0.0/16"), update("10.2.0.0/16")];
    let messages = route_monitoring(peer, updates.concat().into());
    let expected = updates.map(|update| Message::RouteMonitoring { peer, update });
    assert_eq!(messages.collect::<Vec<_>>(), expected);
}
