//! Shared by the tests: making attributes and messages by hand, and at random.

#![allow(dead_code)] // each test binary uses a part of it

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_bgp::{
    Aggregator, AttributeCode, Attributes, BitmaskMatch, CodecContext, Community, EthernetAd,
    EthernetSegment, EvpnNlri, EvpnPrefix, ExtendedCommunity, Family, Fault, FlowSpecComponent,
    FlowSpecNlri, FlowSpecPrefix, FlowSpecType, InclusiveMulticast, LargeCommunity, MacIp, Message,
    Nlri, NotificationMessage, NumericMatch, Origin, PathData, PmsiTunnel, RouteEvent,
    RtMembership, SegmentKind, UpdateBatch, Vpnv4Prefix, Vpnv6Prefix, decode_message,
    decode_update, frame_len,
};
use chanter_types::{
    Asn, Esi, EthernetTag, Ipv4Prefix, Ipv6Prefix, MacAddr, Prefix, RouteDistinguisher,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A route as it was advertised or withdrawn, its attributes resolved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Reach(Nlri, PathData, Attributes),
    Withdraw(Nlri, u32),
    EndOfRib(Family),
}

/// The events of a batch with their attributes.
pub(crate) fn said(batch: &UpdateBatch) -> Vec<Said> {
    let resolve = |event: &RouteEvent| match event {
        RouteEvent::Reach {
            nlri,
            data,
            attributes,
        } => {
            let attributes = batch.attributes(*attributes).expect("the index is within");
            Said::Reach(nlri.clone(), *data, attributes.clone())
        }
        RouteEvent::Withdraw { nlri, path_id } => Said::Withdraw(nlri.clone(), *path_id),
        RouteEvent::EndOfRib(family) => Said::EndOfRib(*family),
    };
    batch.events.iter().map(resolve).collect()
}

/// The messages that stand one behind the other in `octets`, cut by their headers.
pub(crate) fn frames(octets: &[u8], message_len_max: usize) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let header = rest.first_chunk().expect("a whole header");
        let len = frame_len(header, message_len_max).expect("a valid header");
        let (frame, tail) = rest.split_at(len);
        frames.push(frame);
        rest = tail;
    }
    frames
}

/// Decodes UPDATE messages that stand one behind the other into one batch.
pub(crate) fn decode_all(octets: &[u8], ctx: &CodecContext) -> (UpdateBatch, Vec<Fault>) {
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    for frame in frames(octets, ctx.message_len_max) {
        let Ok(Message::Update(body)) = decode_message(frame) else {
            panic!("not an UPDATE: {frame:02x?}");
        };
        decode_update(body, ctx, &mut batch, &mut faults).expect("no session reset");
    }
    (batch, faults)
}

/// What came of one body.
pub(crate) struct Outcome {
    pub(crate) result: Result<(), NotificationMessage>,
    pub(crate) batch: UpdateBatch,
    pub(crate) faults: Vec<Fault>,
}

pub(crate) fn decode_body(body: &[u8], ctx: &CodecContext) -> Outcome {
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let result = decode_update(body, ctx, &mut batch, &mut faults);
    Outcome {
        result,
        batch,
        faults,
    }
}

/// An attribute on the wire, the length in one octet where it fits.
pub(crate) fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let mut out = match u8::try_from(value.len()) {
        Ok(len) => vec![flags, code, len],
        Err(_) => {
            let [high, low] = u16::try_from(value.len()).expect("a length").to_be_bytes();
            vec![flags | 0x10, code, high, low]
        }
    };
    out.extend_from_slice(value);
    out
}

/// The body of an UPDATE.
pub(crate) fn body(withdrawn: &[u8], attributes: &[Vec<u8>], nlri: &[u8]) -> Vec<u8> {
    let len = |octets: &[u8]| u16::try_from(octets.len()).expect("a length").to_be_bytes();
    let attributes = attributes.concat();
    let mut out = Vec::new();
    out.extend(len(withdrawn));
    out.extend_from_slice(withdrawn);
    out.extend(len(&attributes));
    out.extend_from_slice(&attributes);
    out.extend_from_slice(nlri);
    out
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|octet| !octet.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hexadecimal digits")
        })
        .collect()
}

/// A host's address.
pub(crate) fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any_ipv4().prop_map(IpAddr::V4),
        any_ipv6().prop_map(IpAddr::V6)
    ]
}

/// The address of a host.
pub(crate) fn any_ipv4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![0x0100_0000u32..0x7f00_0000, 0x8000_0000u32..0xdfff_ffff].prop_map(Ipv4Addr::from)
}

pub(crate) fn any_ipv6() -> impl Strategy<Value = Ipv6Addr> {
    any::<u64>().prop_map(|low| Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(low)))
}

fn any_asn() -> impl Strategy<Value = Asn> {
    prop_oneof![(1..=0xffffu32).prop_map(Asn), (1..=u32::MAX).prop_map(Asn)]
}

fn any_rd() -> impl Strategy<Value = RouteDistinguisher> {
    (0u8..3, any::<[u8; 6]>())
        .prop_map(|(kind, [a, b, c, d, e, f])| RouteDistinguisher([0, kind, a, b, c, d, e, f]))
}

fn any_label() -> impl Strategy<Value = u32> {
    0..0x0100_0000u32
}

pub(crate) fn any_mac_ip() -> impl Strategy<Value = (Nlri, PathData)> {
    let key = (
        any_rd(),
        any::<u32>(),
        any::<[u8; 6]>(),
        option::of(any_ip()),
    )
        .prop_map(|(rd, tag, mac, ip)| {
            Nlri::from(MacIp {
                rd,
                tag: EthernetTag(tag),
                mac: MacAddr(mac),
                ip,
            })
        });
    let data = (any_label(), option::of(any_label()), any::<[u8; 10]>())
        .prop_map(|(label, label2, esi)| PathData::with_label(label).segment(Esi(esi), label2));
    (key, data)
}

pub(crate) fn any_inclusive_multicast() -> impl Strategy<Value = (Nlri, PathData)> {
    (any_rd(), any::<u32>(), any_ip()).prop_map(|(rd, tag, originator)| {
        let route = InclusiveMulticast {
            rd,
            tag: EthernetTag(tag),
            originator,
        };
        (Nlri::from(route), PathData::default())
    })
}

fn any_ipv4_prefix() -> impl Strategy<Value = Ipv4Prefix> {
    (any::<u32>(), 0u8..=32)
        .prop_map(|(addr, len)| Ipv4Prefix::new(addr.into(), len).expect("the length is in range"))
}

fn any_ipv6_prefix() -> impl Strategy<Value = Ipv6Prefix> {
    (any::<u128>(), 0u8..=128)
        .prop_map(|(addr, len)| Ipv6Prefix::new(addr.into(), len).expect("the length is in range"))
}

fn any_esi() -> impl Strategy<Value = Esi> {
    any::<[u8; 10]>().prop_map(Esi)
}

pub(crate) fn any_ethernet_ad() -> impl Strategy<Value = (Nlri, PathData)> {
    (any_rd(), any_esi(), any::<u32>(), any_label()).prop_map(|(rd, esi, tag, label)| {
        let tag = EthernetTag(tag);
        let route = EthernetAd { rd, esi, tag };
        (Nlri::from(route), PathData::with_label(label))
    })
}

pub(crate) fn any_ethernet_segment() -> impl Strategy<Value = (Nlri, PathData)> {
    (any_rd(), any_esi(), any_ip()).prop_map(|(rd, esi, originator)| {
        let route = EthernetSegment {
            rd,
            esi,
            originator,
        };
        (Nlri::from(route), PathData::default())
    })
}

/// The overlay index is an Ethernet segment, a gateway or neither (RFC 9136 section 3.1).
pub(crate) fn any_evpn_prefix() -> impl Strategy<Value = (Nlri, PathData)> {
    let v4 = (any_ipv4_prefix(), 1u32..0xe000_0000)
        .prop_map(|(prefix, gateway)| (Prefix::V4(prefix), IpAddr::V4(gateway.into())));
    let v6 = (any_ipv6_prefix(), 1u128..u128::MAX / 2)
        .prop_map(|(prefix, gateway)| (Prefix::V6(prefix), IpAddr::V6(gateway.into())));
    let key = (any_rd(), any::<u32>(), prop_oneof![v4, v6]);
    (key, any_label(), any_esi(), 0u8..3).prop_map(|((rd, tag, place), label, esi, index)| {
        let (prefix, gateway) = place;
        let tag = EthernetTag(tag);
        let esi = if index == 1 { esi } else { Esi::ZERO };
        let gateway = (index == 2).then_some(gateway);
        let data = PathData::with_label(label).segment(esi, None).via(gateway);
        (Nlri::from(EvpnPrefix { rd, tag, prefix }), data)
    })
}

fn any_numeric_match(octets_max: u8) -> impl Strategy<Value = NumericMatch> {
    let flags = any::<(bool, bool, bool, bool)>();
    (flags, any::<u64>(), 0u8..4).prop_map(move |((and, less, greater, equal), value, width)| {
        let octets = (1 << width).min(octets_max);
        NumericMatch {
            and,
            less,
            greater,
            equal,
            value: value >> (64 - 8 * u32::from(octets)),
            octets,
        }
    })
}

fn any_bitmask_match(octets_max: u8) -> impl Strategy<Value = BitmaskMatch> {
    let flags = any::<(bool, bool, bool)>();
    (flags, any::<u16>(), 0u8..2).prop_map(move |((and, not, all), value, width)| {
        let octets = (1 << width).min(octets_max);
        BitmaskMatch {
            and,
            not,
            all,
            value: u64::from(value >> (16 - 8 * u32::from(octets))),
            octets,
        }
    })
}

fn any_flowspec_prefix(is_v6: bool) -> BoxedStrategy<FlowSpecPrefix> {
    if !is_v6 {
        return any_ipv4_prefix()
            .prop_map(|prefix| FlowSpecPrefix::new(Prefix::V4(prefix), 0).expect("no offset"))
            .boxed();
    }
    (any_ipv6_prefix(), any::<u8>())
        .prop_map(|(prefix, offset)| {
            let offset = offset.checked_rem(prefix.len()).unwrap_or(0);
            FlowSpecPrefix::new(Prefix::V6(prefix), offset).expect("shorter than the prefix")
        })
        .boxed()
}

fn any_flowspec_component(family: Family) -> impl Strategy<Value = FlowSpecComponent> {
    let is_v6 = family.afi == 2;
    let last = if is_v6 { 13u8 } else { 12 };
    (1..=last).prop_flat_map(move |code| {
        let kind = FlowSpecType::from_code(code, family).expect("a number of a type");
        match kind {
            FlowSpecType::Destination => any_flowspec_prefix(is_v6)
                .prop_map(FlowSpecComponent::Destination)
                .boxed(),
            FlowSpecType::Source => any_flowspec_prefix(is_v6)
                .prop_map(FlowSpecComponent::Source)
                .boxed(),
            FlowSpecType::TcpFlags | FlowSpecType::Fragment => {
                let octets_max = if kind == FlowSpecType::TcpFlags { 2 } else { 1 };
                vec(any_bitmask_match(octets_max), 1..4)
                    .prop_map(move |tests| FlowSpecComponent::Bitmask(kind, tests))
                    .boxed()
            }
            _ => {
                let octets_max = if kind == FlowSpecType::Dscp { 1 } else { 8 };
                vec(any_numeric_match(octets_max), 1..4)
                    .prop_map(move |tests| FlowSpecComponent::Numeric(kind, tests))
                    .boxed()
            }
        }
    })
}

pub(crate) fn any_flowspec(family: Family) -> impl Strategy<Value = FlowSpecNlri> {
    let components = vec(any_flowspec_component(family), 1..6);
    (any_rd(), components).prop_map(move |(rd, components)| {
        let mut kinds = BTreeSet::new();
        let once: Vec<FlowSpecComponent> = components
            .into_iter()
            .filter(|component| kinds.insert(component.kind()))
            .collect();
        let rd = family.is_vpn().then_some(rd);
        FlowSpecNlri::new(family, rd, &once).expect("right components")
    })
}

fn any_other_evpn() -> impl Strategy<Value = (Nlri, PathData)> {
    // Types of which nothing is known.
    (6u8.., vec(any::<u8>(), 0..=255)).prop_map(|(route_type, octets)| {
        let nlri = EvpnNlri::Other {
            route_type,
            octets: octets.into(),
        };
        (Nlri::Evpn(nlri), PathData::default())
    })
}

pub(crate) fn any_rt_membership() -> impl Strategy<Value = RtMembership> {
    let len = prop_oneof![1 => Just(0u8), 2 => 32u8..=96, 4 => Just(96u8)];
    (len, any::<[u8; 8]>(), any::<bool>(), any::<[u8; 4]>()).prop_map(
        |(len, mut rt, is_rt, [a, b, c, d])| {
            if is_rt {
                (rt[0], rt[1]) = (rt[0] % 3, 2);
            }
            let [e, f, g, h, i, j, k, l] = rt;
            RtMembership::from_prefix(len, [a, b, c, d, e, f, g, h, i, j, k, l])
                .expect("the length is in range")
        },
    )
}

/// A route of `family`.
pub(crate) fn any_route(family: Family) -> BoxedStrategy<(Nlri, PathData)> {
    let plain = |nlri: Nlri| (nlri, PathData::default());
    match family {
        Family::IPV4_UNICAST => any_ipv4_prefix()
            .prop_map(move |prefix| plain(prefix.into()))
            .boxed(),
        Family::IPV6_UNICAST => any_ipv6_prefix()
            .prop_map(move |prefix| plain(prefix.into()))
            .boxed(),
        Family::IPV4_RTC => any_rt_membership()
            .prop_map(move |rtc| plain(rtc.into()))
            .boxed(),
        Family::IPV4_VPN => (any_rd(), any_ipv4_prefix(), any_label())
            .prop_map(|(rd, prefix, label)| {
                let nlri = Nlri::from(Vpnv4Prefix { rd, prefix });
                (nlri, PathData::with_label(label))
            })
            .boxed(),
        Family::IPV6_VPN => (any_rd(), any_ipv6_prefix(), any_label())
            .prop_map(|(rd, prefix, label)| {
                let nlri = Nlri::from(Vpnv6Prefix { rd, prefix });
                (nlri, PathData::with_label(label))
            })
            .boxed(),
        Family::L2VPN_EVPN => prop_oneof![
            4 => any_mac_ip(),
            2 => any_inclusive_multicast(),
            1 => any_ethernet_ad(),
            1 => any_ethernet_segment(),
            2 => any_evpn_prefix(),
            1 => any_other_evpn(),
        ]
        .boxed(),
        _ => any_flowspec(family)
            .prop_map(move |nlri| plain(nlri.into()))
            .boxed(),
    }
}

pub(crate) fn any_family() -> impl Strategy<Value = Family> {
    prop::sample::select(Family::SUPPORTED.to_vec())
}

/// Sets are not for routes (RFC 9774).
fn any_segment() -> impl Strategy<Value = (SegmentKind, Vec<Asn>)> {
    vec(any_asn(), 1..6).prop_map(|asns| (SegmentKind::Sequence, asns))
}

fn any_pmsi_tunnel() -> impl Strategy<Value = PmsiTunnel> {
    prop_oneof![
        (any_label(), any_ip())
            .prop_map(|(label, endpoint)| PmsiTunnel::ingress_replication(label, endpoint)),
        (any::<u8>(), any_label(), any::<[u8; 8]>()).prop_map(|(flags, label, id)| PmsiTunnel {
            flags,
            tunnel_type: 3,
            label,
            id: id.into(),
        }),
    ]
}

/// An attribute set as a decoder may give it; `next_hop` fits to the family.
pub(crate) fn any_attributes(family: Family) -> impl Strategy<Value = Attributes> {
    let next_hop = match family {
        Family::IPV6_UNICAST | Family::IPV6_VPN => any_ipv6().prop_map(IpAddr::V6).boxed(),
        _ => any_ip().boxed(),
    };
    let link_local =
        any::<u64>().prop_map(|low| Ipv6Addr::from(0xfe80u128 << 112 | u128::from(low)));
    let next_hop =
        (next_hop, option::weighted(0.2, link_local)).prop_map(move |(next_hop, link_local)| {
            let is_unicast = matches!(family.safi, 1 | 128);
            let next_hop = Some(next_hop).filter(|_| !family.is_flowspec());
            (next_hop, link_local.filter(|_| is_unicast))
        });
    let well_known = (
        next_hop,
        0u8..3,
        vec(any_segment(), 0..4),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        any::<bool>(),
        option::of((any_asn(), any_ipv4())),
    );
    let optional = (
        vec(any::<u32>(), 0..5),
        vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..3),
        vec(any::<[u8; 8]>().prop_map(ExtendedCommunity), 0..40),
        option::of(any_ipv4()),
        vec(any_ipv4(), 0..4),
        option::of(any_pmsi_tunnel()),
        vec(
            (
                prop::sample::select(vec![12u8, 21, 60, 99, 200, 254]),
                vec(any::<u8>(), 0..300),
            ),
            0..3,
        ),
    );
    (well_known, optional).prop_map(|(well_known, optional)| {
        let ((next_hop, link_local), origin, path, med, local_pref, atomic, aggregator) =
            well_known;
        let (communities, large, extended, originator, clusters, tunnel, unknown) = optional;
        let large = large
            .into_iter()
            .map(|(admin, data1, data2)| LargeCommunity::new(admin, data1, data2));
        let mut builder = Attributes::builder()
            .next_hop(next_hop)
            .next_hop_link_local(link_local)
            .origin(Origin::from_code(origin).expect("0 to 2"))
            .med(med)
            .local_pref(local_pref)
            .atomic_aggregate(atomic)
            .aggregator(aggregator.map(|(asn, router_id)| Aggregator { asn, router_id }))
            .communities(communities.into_iter().map(Community).collect())
            .large_communities(large.collect())
            .extended_communities(extended)
            .originator_id(originator)
            .pmsi_tunnel(tunnel);
        for (kind, asns) in path {
            builder = builder.append_segment(kind, &asns);
        }
        for cluster in clusters {
            builder = builder.prepend_cluster(cluster);
        }
        for (code, value) in unknown {
            builder = builder.unknown(0xc0, AttributeCode(code), &value);
        }
        builder.mark_unknown_partial().build()
    })
}
