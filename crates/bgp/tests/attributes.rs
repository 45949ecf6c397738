//! Attributes and communities at random: text and wire tell the same as the value.

mod common;

use std::fmt::{Debug, Display};
use std::net::IpAddr;
use std::str::FromStr;

use chanter_bgp::{
    Attributes, CodecContext, Community, ExtendedCommunity, Family, FlowAction,
    Ipv6ExtendedCommunity, LargeCommunity, Nlri, PathData, PrefixSid, PrefixSidTlv, RouteEvent,
    SidStructure, Srv6Service, Srv6Sid, Tunnel, TunnelEncapsulation, TunnelSubTlv, UpdateBatch,
    UpdateWriter, decode_update,
};
use chanter_types::{Asn, MacAddr};
use common::{any_attributes, any_ip, any_ipv6, decode_all};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn round_trip<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(value: &T) {
    let text = value.to_string();
    assert_eq!(&text.parse::<T>().expect(&text), value, "{text}");
}

/// Types and sub-types that have words, and others; reserved octets are mostly zero.
fn any_extended_community() -> impl Strategy<Value = ExtendedCommunity> {
    let kind = prop_oneof![
        Just(0u8),
        Just(1),
        Just(2),
        Just(3),
        Just(6),
        Just(8),
        Just(0x40),
        Just(0x80),
        Just(0x81),
        Just(0x82),
        any::<u8>(),
    ];
    let octet = || prop_oneof![3 => Just(0u8), 1 => any::<u8>()];
    (
        kind,
        0u8..0x16,
        [octet(), octet(), octet(), octet(), octet(), octet()],
    )
        .prop_map(|(kind, sub_type, [a, b, c, d, e, f])| {
            ExtendedCommunity([kind, sub_type, a, b, c, d, e, f])
        })
}

fn any_ipv6_community() -> impl Strategy<Value = Ipv6ExtendedCommunity> {
    let known = (
        prop::sample::select(vec![2u8, 3, 0x0b, 0x0c, 0x0d]),
        any::<[u8; 18]>(),
    )
        .prop_map(|(sub_type, value)| {
            let mut octets = [0; 20];
            octets[1] = sub_type;
            octets[2..].copy_from_slice(&value);
            octets
        });
    prop_oneof![known, any::<[u8; 20]>()].prop_map(Ipv6ExtendedCommunity)
}

fn any_sub_tlv() -> impl Strategy<Value = TunnelSubTlv> {
    let vni = option::of(0u32..1 << 24);
    let mac = option::of(any::<[u8; 6]>().prop_map(MacAddr));
    prop_oneof![
        option::of(any_ip()).prop_map(TunnelSubTlv::EgressEndpoint),
        (vni, mac).prop_map(|(vni, mac)| TunnelSubTlv::VirtualNetwork { vni, mac }),
        any::<u16>().prop_map(TunnelSubTlv::ProtocolType),
        any::<u32>().prop_map(TunnelSubTlv::Color),
        any::<u16>().prop_map(TunnelSubTlv::UdpDestinationPort),
        (20u8.., vec(any::<u8>(), 0..40)).prop_map(|(kind, value)| TunnelSubTlv::Other {
            kind,
            value: value.into(),
        }),
    ]
}

fn any_tunnels() -> impl Strategy<Value = TunnelEncapsulation> {
    let tunnel = vec(any_sub_tlv(), 0..4).prop_map(|sub_tlvs| Tunnel {
        tunnel_type: chanter_bgp::encapsulation::VXLAN,
        sub_tlvs,
    });
    vec(tunnel, 1..4).prop_map(|tunnels| TunnelEncapsulation { tunnels })
}

fn any_sid() -> impl Strategy<Value = Srv6Sid> {
    let structure = any::<[u8; 6]>().prop_map(|[a, b, c, d, e, f]| SidStructure {
        locator_block: a,
        locator_node: b,
        function: c,
        argument: d,
        transposition_len: e,
        transposition_offset: f,
    });
    (any_ipv6(), any::<u16>(), option::of(structure)).prop_map(|(sid, behavior, structure)| {
        Srv6Sid {
            sid,
            flags: 0,
            behavior,
            structure,
        }
    })
}

fn any_prefix_sid() -> impl Strategy<Value = PrefixSid> {
    let service = || vec(any_sid(), 0..3).prop_map(|sids| Srv6Service { sids });
    let ranges = vec((0u32..1 << 24, 0u32..1 << 24), 1..4);
    let tlv = prop_oneof![
        any::<u32>().prop_map(|index| PrefixSidTlv::LabelIndex { flags: 0, index }),
        ranges.prop_map(|ranges| PrefixSidTlv::OriginatorSrgb { flags: 0, ranges }),
        service().prop_map(PrefixSidTlv::Srv6L3Service),
        service().prop_map(PrefixSidTlv::Srv6L2Service),
        (7u8.., vec(any::<u8>(), 0..20)).prop_map(|(kind, value)| PrefixSidTlv::Other {
            kind,
            value: value.into(),
        }),
    ];
    vec(tlv, 1..4).prop_map(|tlvs| PrefixSid { tlvs })
}

/// Sets with the attributes that are mostly carried.
fn any_rich_attributes() -> impl Strategy<Value = Attributes> {
    (
        any_attributes(Family::IPV4_UNICAST),
        option::of(any_tunnels()),
        option::of(any_prefix_sid()),
        option::of(any::<u64>()),
        option::of(any::<u32>().prop_map(Asn)),
        vec(any_ipv6_community(), 0..4),
    )
        .prop_map(|(attributes, tunnels, sid, aigp, otc, communities)| {
            let rich = attributes
                .to_builder()
                .next_hop(IpAddr::from([192, 0, 2, 1]))
                .tunnel_encapsulation(tunnels.as_ref())
                .prefix_sid(sid.as_ref())
                .aigp(aigp)
                .only_to_customer(otc)
                .ipv6_extended_communities(communities)
                .build();
            assert_eq!(rich.tunnel_encapsulation(), tunnels);
            assert_eq!(rich.prefix_sid(), sid);
            assert_eq!((rich.aigp(), rich.only_to_customer()), (aigp, otc));
            rich
        })
}

proptest! {
    #[test]
    fn communities_print_as_what_they_are_read_from(
        standard in any::<u32>(),
        large in any::<[u32; 3]>(),
        extended in any_extended_community(),
        ipv6 in any_ipv6_community(),
    ) {
        round_trip(&Community(standard));
        round_trip(&Community(standard | 0xffff_0000));
        let [admin, data1, data2] = large;
        round_trip(&LargeCommunity::new(admin, data1, data2));
        round_trip(&extended);
        round_trip(&ipv6);
    }

    #[test]
    fn flow_actions_print_as_what_they_are_read_from(extended in any_extended_community()) {
        if let Some(action) = extended.as_flow_action() {
            let again = ExtendedCommunity::from(action);
            prop_assert_eq!(again.as_flow_action(), Some(action));
            let is_plain = !matches!(
                action,
                FlowAction::RateBytes { rate, .. } | FlowAction::RatePackets { rate, .. }
                    if !rate.is_finite()
            );
            if is_plain {
                round_trip(&action);
            }
        }
    }

    #[test]
    fn attributes_come_back_from_the_wire(attributes in any_rich_attributes()) {
        let ctx = CodecContext { message_len_max: 65535, ..CodecContext::default() };
        let nlri: Nlri = "10.0.0.0/8".parse().expect("a prefix");
        let mut out = Vec::new();
        let mut writer = UpdateWriter::new(&ctx, &mut out);
        let family = Family::IPV4_UNICAST;
        prop_assert_eq!(writer.reach(family, &attributes, [(&nlri, PathData::default())]), 1);
        let (batch, faults) = decode_all(&out, &ctx);
        prop_assert_eq!(faults, vec![]);
        prop_assert_eq!(batch.attributes.as_slice(), std::slice::from_ref(&attributes));
        prop_assert_eq!(attributes.to_builder().build(), attributes);
    }

    /// AIGP, Prefix-SID and what is internal stay within the AS (RFC 7311 section 3.1, RFC 8669 section
    /// 4, RFC 4271 section 5.1.5).
    #[test]
    fn what_is_internal_is_not_sent_to_another_as(attributes in any_rich_attributes()) {
        let ctx = CodecContext { ebgp: true, message_len_max: 65535, ..CodecContext::default() };
        let nlri: Nlri = "10.0.0.0/8".parse().expect("a prefix");
        let mut out = Vec::new();
        let mut writer = UpdateWriter::new(&ctx, &mut out);
        writer.reach(Family::IPV4_UNICAST, &attributes, [(&nlri, PathData::default())]);
        let (batch, faults) = decode_all(&out, &ctx);
        prop_assert_eq!(faults, vec![]);
        let received = &batch.attributes[0];
        prop_assert_eq!((received.aigp(), received.local_pref()), (None, None));
        prop_assert_eq!(received.originator_id(), None);
        prop_assert_eq!(received.only_to_customer(), attributes.only_to_customer());
        prop_assert_eq!(received.prefix_sid(), None);
    }

    /// Values at random under each type: never a panic, and what is kept can be told.
    #[test]
    fn any_value_is_kept_or_objected_to(code in any::<u8>(), value in vec(any::<u8>(), 0..80)) {
        let mut attributes = vec![
            common::attribute(0x40, 1, &[0]),
            common::attribute(0x40, 2, &[]),
            common::attribute(0x40, 3, &[192, 0, 2, 1]),
        ];
        attributes.push(common::attribute(0xc0, code, &value));
        let body = common::body(&[], &attributes, &[8, 10]);
        let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
        let result = decode_update(&body, &CodecContext::default(), &mut batch, &mut faults);
        prop_assert_eq!(result.is_err() || !faults.is_empty() || !batch.events.is_empty(), true);
        for event in &batch.events {
            if let RouteEvent::Reach { attributes, .. } = event {
                let attributes = batch.attributes(*attributes).expect("the index is within");
                prop_assert!(!attributes.to_string().is_empty());
                prop_assert_eq!(&attributes.to_builder().build(), attributes);
            }
        }
    }
}
