//! OPEN, NOTIFICATION and ROUTE-REFRESH: there and back, by our codec and through two others.

use std::io::Cursor;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::{
    AddPathMode, BgpRole, Capability, ExtendedNextHop, Family, GracefulRestart, Hostname,
    LongLivedFamily, MESSAGE_LEN_MAX, Message, NotificationMessage, OpenMessage, RefreshKind,
    RouteRefreshMessage, decode_message,
};
use chanter_types::Asn;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

/// What rustbgpd-wire makes of a message, encoded again by it.
fn through_rustbgpd(frame: &[u8]) -> Vec<u8> {
    let mut octets = Bytes::copy_from_slice(frame);
    let message = rustbgpd_wire::decode_message(&mut octets, 65535)
        .unwrap_or_else(|error| panic!("rustbgpd-wire decodes it: {error}: {frame:02x?}"));
    let again = rustbgpd_wire::encode_message(&message).expect("rustbgpd-wire encodes it");
    again.to_vec()
}

/// What netgauze-bgp-pkt makes of a message, encoded again by it.
fn through_netgauze(frame: &[u8]) -> Vec<u8> {
    let mut ctx = BgpParsingContext::default();
    let message = BgpMessage::parse(&mut SliceReader::new(frame), &mut ctx)
        .unwrap_or_else(|error| panic!("netgauze decodes it: {error}: {frame:02x?}"));
    let mut out = Vec::new();
    message
        .write(&mut Cursor::new(&mut out))
        .expect("netgauze encodes it");
    out
}

/// Families that the other codecs know, too.
fn family() -> impl Strategy<Value = Family> {
    let known = vec![(1, 1), (2, 1), (25, 70), (1, 128), (2, 128), (1, 133)];
    proptest::sample::select(known).prop_map(|(afi, safi)| Family { afi, safi })
}

fn any_family() -> impl Strategy<Value = Family> {
    (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| Family { afi, safi })
}

fn graceful_restart(family: impl Strategy<Value = Family>) -> impl Strategy<Value = Capability> {
    let families = btree_map(family, any::<bool>(), 0..5);
    (any::<(bool, bool)>(), 0..4096u16, families).prop_map(
        |((restarting, notification), restart_time, families)| {
            Capability::GracefulRestart(GracefulRestart {
                restarting,
                notification,
                restart_time,
                families: families.into_iter().collect(),
            })
        },
    )
}

fn long_lived(family: impl Strategy<Value = Family>) -> impl Strategy<Value = Capability> {
    let entry = (0..1u64 << 24, any::<bool>());
    btree_map(family, entry, 1..5).prop_map(|entries| {
        let entry = |(family, (time, preserved))| LongLivedFamily {
            family,
            time: Duration::from_secs(time),
            preserved,
        };
        Capability::LongLivedGracefulRestart(entries.into_iter().map(entry).collect())
    })
}

fn add_path(family: impl Strategy<Value = Family>) -> impl Strategy<Value = Capability> {
    let mode = proptest::sample::select(&AddPathMode::ALL[..]);
    btree_map(family, mode, 1..5).prop_map(|modes| Capability::AddPath(modes.into_iter().collect()))
}

fn next_hops(
    family: impl Strategy<Value = Family>,
    next_hop_afi: impl Strategy<Value = u16>,
) -> impl Strategy<Value = Capability> {
    btree_map(family, next_hop_afi, 1..5).prop_map(|entries| {
        let entry = |(family, next_hop_afi)| ExtendedNextHop {
            family,
            next_hop_afi,
        };
        Capability::ExtendedNextHop(entries.into_iter().map(entry).collect())
    })
}

fn hostname() -> impl Strategy<Value = Capability> {
    ("[a-z]{0,60}", "[a-z.]{0,60}")
        .prop_map(|(host, domain)| Capability::Hostname(Hostname { host, domain }))
}

fn role() -> impl Strategy<Value = Capability> {
    proptest::sample::select(&BgpRole::ALL[..]).prop_map(Capability::Role)
}

/// One of each kind at most, as speakers send them, of families that all know.
fn usual_capabilities() -> impl Strategy<Value = Vec<Capability>> {
    let flags = proptest::sample::subsequence(
        vec![
            Capability::RouteRefresh,
            Capability::EnhancedRouteRefresh,
            Capability::ExtendedMessage,
        ],
        0..=3,
    );
    let some = |strategy: BoxedStrategy<Capability>| proptest::option::of(strategy);
    (
        btree_set(family(), 0..6),
        flags,
        some(graceful_restart(family()).boxed()),
        some(long_lived(family()).boxed()),
        some(add_path(family()).boxed()),
        some(next_hops(Just(Family::IPV4_UNICAST), Just(2)).boxed()),
        some(hostname().boxed()),
        some(role().boxed()),
    )
        .prop_map(
            |(families, flags, restart, long, paths, hops, name, role)| {
                let families = families.into_iter().map(Capability::MultiProtocol);
                let lists = [restart, long, paths, hops, name, role];
                families
                    .chain(flags)
                    .chain(lists.into_iter().flatten())
                    .collect()
            },
        )
}

fn any_capability() -> impl Strategy<Value = Capability> {
    let value = (100u8.., vec(any::<u8>(), 0..200));
    prop_oneof![
        any_family().prop_map(Capability::MultiProtocol),
        Just(Capability::EnhancedRouteRefresh),
        graceful_restart(any_family()),
        long_lived(any_family()),
        add_path(any_family()),
        next_hops(any_family(), any::<u16>()),
        hostname(),
        role(),
        value.prop_map(|(code, value)| Capability::Unknown {
            code,
            value: value.into(),
        }),
    ]
}

fn open(
    capabilities: impl Strategy<Value = Vec<Capability>>,
) -> impl Strategy<Value = OpenMessage> {
    let hold_time = prop_oneof![Just(0u16), 3u16..];
    // Of network 10: netgauze wants an address for an identifier, which RFC 6286 no longer does.
    let who = (1..=u32::MAX, hold_time, 0x0a00_0000..0x0b00_0000u32);
    (who, capabilities).prop_map(|((asn, hold_time, router_id), offered)| {
        let mut capabilities = vec![Capability::FourOctetAs(Asn(asn))];
        for capability in offered {
            if !capabilities.contains(&capability) {
                capabilities.push(capability);
            }
        }
        OpenMessage {
            asn: Asn(asn),
            hold_time,
            router_id: Ipv4Addr::from(router_id),
            capabilities,
        }
    })
}

fn encode_open(open: &OpenMessage) -> Vec<u8> {
    let mut out = Vec::new();
    open.encode(&mut out);
    assert!(out.len() <= MESSAGE_LEN_MAX);
    out
}

/// `capability` of an OPEN in the order of codes: other codecs have orders of their own.
fn sorted(message: &[u8]) -> OpenMessage {
    let Ok(Message::Open(mut open)) = decode_message(message) else {
        panic!("not an OPEN: {message:02x?}");
    };
    open.capabilities.sort_by_key(|capability| {
        let mut out = Vec::new();
        capability.encode(&mut out);
        out
    });
    open
}

fn notification() -> impl Strategy<Value = NotificationMessage> {
    let data = vec(any::<u8>(), 0..300);
    (any::<u8>(), any::<u8>(), data)
        .prop_map(|(code, subcode, data)| NotificationMessage::new(code, subcode, data))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn open_there_and_back(open in open(vec(any_capability(), 0..20))) {
        let frame = encode_open(&open);
        prop_assert_eq!(decode_message(&frame), Ok(Message::Open(open)));
    }

    #[test]
    fn rustbgpd_passes_on_our_open(open in open(usual_capabilities())) {
        let frame = encode_open(&open);
        prop_assert_eq!(sorted(&through_rustbgpd(&frame)), sorted(&frame));
    }

    #[test]
    fn netgauze_passes_on_our_open(open in open(usual_capabilities())) {
        let frame = encode_open(&open);
        prop_assert_eq!(sorted(&through_netgauze(&frame)), sorted(&frame));
    }

    #[test]
    fn notifications_there_and_back(notification in notification()) {
        let mut out = Vec::new();
        notification.encode(&mut out);
        let decoded = decode_message(&out);
        prop_assert_eq!(decoded, Ok(Message::Notification(notification.clone())));
        prop_assert_eq!(through_rustbgpd(&out), out);
        let text = notification.to_string();
        prop_assert!(!text.is_empty() && !text.chars().any(char::is_control), "{}", text);
        if !notification.is_hard_reset() {
            let hard = notification.clone().into_hard_reset();
            prop_assert_eq!(hard.hard_reset_reason(), Some(notification));
        }
    }

    #[test]
    fn refreshes_there_and_back(family in family(), subtype: u8) {
        let kind = RefreshKind::from_code(subtype);
        let refresh = RouteRefreshMessage { family, kind };
        let mut out = Vec::new();
        refresh.encode(&mut out);
        prop_assert_eq!(decode_message(&out), Ok(Message::RouteRefresh(refresh)));
        prop_assert_eq!(through_rustbgpd(&out), out.clone());
        if subtype < 3 {
            prop_assert_eq!(through_netgauze(&out), out);
        }
    }
}
