//! Our codec beside three others: what one encodes, the other must understand the same way.

mod common;

use std::io::Cursor;
use std::path::PathBuf;

use bytes::Bytes;
use chanter_bgp::{
    Aggregator, AttributeCode, Attributes, AttributesBuilder, CodecContext, EvpnNlri,
    ExtendedCommunity, Family, LargeCommunity, MacIp, Message, Nlri, Origin, PathData, PmsiTunnel,
    RtMembership, SegmentKind, UpdateWriter, decode_message,
};
use chanter_types::{Asn, Esi, EthernetTag, Ipv4Prefix, Ipv6Prefix, MacAddr, RouteDistinguisher};
use common::{Said, any_attributes, any_route, decode_all, frames, said, unhex};
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use proptest::collection::vec;
use proptest::prelude::*;
use rustbgpd_wire as theirs;
use zettabgp::prelude::{
    BgpAddrV4, BgpAddrV6, BgpAddrs, BgpAttrItem, BgpCapability, BgpEVPN, BgpMessage as _, BgpRD,
    BgpSessionParams, BgpTransportMode, BgpUpdateMessage,
};

/// What rustbgpd-wire makes of an UPDATE, in our types.
fn seen_by_rustbgpd(frame: &[u8], four_octet_as: bool) -> Vec<Said> {
    let mut octets = Bytes::copy_from_slice(frame);
    let message = theirs::decode_message(&mut octets, 65535).expect("rustbgpd-wire decodes it");
    let theirs::Message::Update(update) = message else {
        panic!("not an UPDATE");
    };
    let parsed = update
        .parse_revised(four_octet_as, true, false, &[])
        .expect("no reset");
    assert_eq!(parsed.malformed, vec![]);
    let update = parsed.update;
    let (mut builder, mut classic_next_hop) = (Attributes::builder(), None);
    let (mut reach, mut unreach) = (None, None);
    for attribute in update.attributes {
        match attribute {
            theirs::PathAttribute::NextHop(addr) => classic_next_hop = Some(addr),
            theirs::PathAttribute::MpReachNlri(mp) => reach = Some(*mp),
            theirs::PathAttribute::MpUnreachNlri(mp) => unreach = Some(*mp),
            other => builder = add(builder, other),
        }
    }
    let mut said = Vec::new();
    let classic = |entry: &theirs::Ipv4NlriEntry| {
        Ipv4Prefix::new(entry.prefix.addr, entry.prefix.len)
            .expect("a prefix")
            .into()
    };
    said.extend(
        update
            .withdrawn
            .iter()
            .map(|entry| Said::Withdraw(classic(entry))),
    );
    if let Some(mp) = unreach {
        let routes = routes(&mp.withdrawn, &mp.evpn_withdrawn, &mp.rtc_withdrawn);
        said.extend(routes.into_iter().map(|(nlri, _)| Said::Withdraw(nlri)));
    }
    if let Some(mp) = reach {
        let attributes = builder.clone().next_hop(mp.next_hop).build();
        let routes = routes(&mp.announced, &mp.evpn_announced, &mp.rtc_announced);
        let reached = |(nlri, data)| Said::Reach(nlri, data, attributes.clone());
        said.extend(routes.into_iter().map(reached));
    }
    if let Some(next_hop) = classic_next_hop {
        let attributes = builder.next_hop(std::net::IpAddr::V4(next_hop)).build();
        let reached = |entry| Said::Reach(classic(entry), PathData::default(), attributes.clone());
        said.extend(update.announced.iter().map(reached));
    }
    said
}

fn add(builder: AttributesBuilder, attribute: theirs::PathAttribute) -> AttributesBuilder {
    use theirs::PathAttribute as Theirs;
    match attribute {
        Theirs::Origin(origin) => builder.origin(Origin::from_code(origin as u8).expect("0 to 2")),
        Theirs::AsPath(path) => path.segments.iter().fold(builder, |builder, segment| {
            let (kind, asns) = match segment {
                theirs::AsPathSegment::AsSet(asns) => (SegmentKind::Set, asns),
                theirs::AsPathSegment::AsSequence(asns) => (SegmentKind::Sequence, asns),
            };
            let asns: Vec<Asn> = asns.iter().copied().map(Asn).collect();
            builder.append_segment(kind, &asns)
        }),
        Theirs::LocalPref(value) => builder.local_pref(value),
        Theirs::Med(value) => builder.med(value),
        Theirs::AtomicAggregate => builder.atomic_aggregate(true),
        Theirs::Aggregator(aggregator) => builder.aggregator(Aggregator {
            asn: Asn(aggregator.asn),
            router_id: aggregator.router_id,
        }),
        Theirs::Communities(values) => builder.communities(values),
        Theirs::ExtendedCommunities(values) => builder.extended_communities(
            values
                .iter()
                .map(|value| ExtendedCommunity(value.as_u64().to_be_bytes()))
                .collect(),
        ),
        Theirs::LargeCommunities(values) => builder.large_communities(
            values
                .iter()
                .map(|value| LargeCommunity {
                    admin: value.global_admin,
                    data1: value.local_data1,
                    data2: value.local_data2,
                })
                .collect(),
        ),
        Theirs::OriginatorId(addr) => builder.originator_id(addr),
        Theirs::ClusterList(clusters) => clusters
            .into_iter()
            .rev()
            .fold(builder, AttributesBuilder::prepend_cluster),
        Theirs::PmsiTunnel(tunnel) => builder.pmsi_tunnel(pmsi_tunnel(&tunnel)),
        Theirs::Unknown(raw) => {
            // We mark what we do not know as partial when it comes in, they when it goes out.
            builder.unknown(raw.flags | 0x20, AttributeCode(raw.type_code), &raw.data)
        }
        other => panic!("not among what the test makes: {other:?}"),
    }
}

fn pmsi_tunnel(tunnel: &theirs::PmsiTunnel) -> PmsiTunnel {
    let id: Vec<u8> = match &tunnel.tunnel_identifier {
        theirs::PmsiTunnelIdentifier::Empty => Vec::new(),
        theirs::PmsiTunnelIdentifier::Ipv4(addr) => addr.octets().to_vec(),
        theirs::PmsiTunnelIdentifier::Ipv6(addr) => addr.octets().to_vec(),
        theirs::PmsiTunnelIdentifier::Raw(octets) => octets.clone(),
        other => panic!("not among what the test makes: {other:?}"),
    };
    PmsiTunnel {
        flags: tunnel.flags,
        tunnel_type: tunnel.tunnel_type.as_u8(),
        label: tunnel.mpls_label,
        id: id.into(),
    }
}

fn routes(
    unicast: &[theirs::NlriEntry],
    evpn: &[theirs::EvpnRoute],
    rtc: &[theirs::RtcNlri],
) -> Vec<(Nlri, PathData)> {
    let plain = |nlri: Nlri| (nlri, PathData::default());
    let prefix = |entry: &theirs::NlriEntry| match entry.prefix {
        theirs::Prefix::V4(prefix) => plain(
            Ipv4Prefix::new(prefix.addr, prefix.len)
                .expect("a prefix")
                .into(),
        ),
        theirs::Prefix::V6(prefix) => plain(
            Ipv6Prefix::new(prefix.addr, prefix.len)
                .expect("a prefix")
                .into(),
        ),
    };
    let membership = |nlri: &theirs::RtcNlri| {
        let mut octets = [0; 12];
        octets[..4].copy_from_slice(&nlri.origin_as.to_be_bytes());
        octets[4..].copy_from_slice(&nlri.route_target_bits.to_be_bytes());
        plain(
            RtMembership::from_prefix(nlri.prefix_len, octets)
                .expect("a prefix")
                .into(),
        )
    };
    unicast
        .iter()
        .map(prefix)
        .chain(evpn.iter().map(evpn_route))
        .chain(rtc.iter().map(membership))
        .collect()
}

fn evpn_route(route: &theirs::EvpnRoute) -> (Nlri, PathData) {
    match route {
        theirs::EvpnRoute::MacIp(route) => {
            let key = MacIp {
                rd: RouteDistinguisher(route.rd.0),
                tag: EthernetTag(route.ethernet_tag.0),
                mac: MacAddr(route.mac.0),
                ip: route.ip,
            };
            let data = PathData {
                label: route.label1.as_vni(),
                label2: route.label2.map(|label| label.as_vni()),
                esi: Esi(route.esi.0),
            };
            (key.into(), data)
        }
        theirs::EvpnRoute::Imet(route) => {
            let key = chanter_bgp::InclusiveMulticast {
                rd: RouteDistinguisher(route.rd.0),
                tag: EthernetTag(route.ethernet_tag.0),
                originator: route.originator_ip,
            };
            (key.into(), PathData::default())
        }
        other => panic!("not among what the test makes: {other:?}"),
    }
}

/// Whether it is among what all of them decode: route types that we carry unseen are dropped there.
fn is_typed(nlri: &Nlri) -> bool {
    !matches!(nlri, Nlri::Evpn(EvpnNlri::Other { .. }))
}

#[derive(Debug, Clone)]
struct Group {
    family: Family,
    attributes: Attributes,
    routes: Vec<(Nlri, PathData)>,
    withdrawn: Vec<(Nlri, PathData)>,
}

fn any_group() -> impl Strategy<Value = Group> {
    any_group_of(Family::SUPPORTED.to_vec())
}

fn any_group_of(families: Vec<Family>) -> impl Strategy<Value = Group> {
    prop::sample::select(families).prop_flat_map(|family| {
        let route = || any_route(family).prop_filter("typed", |(nlri, _)| is_typed(nlri));
        let attributes = any_attributes(family);
        (attributes, vec(route(), 1..30), vec(route(), 1..30)).prop_map(
            move |(attributes, routes, withdrawn)| Group {
                family,
                attributes,
                routes,
                withdrawn,
            },
        )
    })
}

/// Not every library knows every type of tunnel.
fn with_known_tunnel(mut group: Group) -> Group {
    let known = |tunnel: &PmsiTunnel| tunnel.endpoint().is_some_and(|endpoint| endpoint.is_ipv4());
    if !group.attributes.pmsi_tunnel().as_ref().is_some_and(known) {
        group.attributes = group.attributes.to_builder().pmsi_tunnel(None).build();
    }
    group
}

/// zettabgp takes the label field for a label stack, and goes on to the bottom-of-stack bit.
fn with_label_stacks(mut group: Group) -> Group {
    let is_mac_ip = |nlri: &Nlri| matches!(nlri, Nlri::Evpn(EvpnNlri::MacIp(_)));
    group.withdrawn.retain(|(nlri, _)| !is_mac_ip(nlri));
    for (nlri, data) in &mut group.routes {
        if is_mac_ip(nlri) {
            (data.label, data.label2) = (data.label | 1, None);
        }
    }
    group
}

fn write(group: &Group, ctx: &CodecContext) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = UpdateWriter::new(ctx, &mut out);
    writer.reach(
        group.family,
        &group.attributes,
        group.routes.iter().map(|(nlri, data)| (nlri, *data)),
    );
    writer.withdraw(
        group.family,
        group.withdrawn.iter().map(|(nlri, data)| (nlri, *data)),
    );
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rustbgpd_understands_what_we_encode(group in any_group()) {
        let ctx = CodecContext::default();
        let out = write(&group, &ctx);
        let (batch, _) = decode_all(&out, &ctx);
        let theirs: Vec<Said> = frames(&out, 4096)
            .into_iter()
            .flat_map(|frame| seen_by_rustbgpd(frame, true))
            .collect();
        prop_assert_eq!(theirs, said(&batch));
    }
}

/// What netgauze-bgp-pkt makes of an UPDATE, encoded again by it.
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn netgauze_passes_on_what_we_encode(group in any_group_of(vec![Family::L2VPN_EVPN])) {
        // Of the other families it refuses what is valid: prefixes of multicast, short memberships.
        let mut group = with_known_tunnel(group);
        // It clears what it takes for reserved octets: the last of an E-Tree community (RFC 8317).
        group.attributes = group
            .attributes
            .to_builder()
            .retain_extended_communities(|community| community.0[..2] != [6, 4])
            .build();
        let ctx = CodecContext::default();
        let out = write(&group, &ctx);
        let (batch, _) = decode_all(&out, &ctx);
        let again: Vec<u8> = frames(&out, 4096).into_iter().flat_map(through_netgauze).collect();
        let (passed_on, faults) = decode_all(&again, &ctx);
        prop_assert_eq!(faults, vec![]);
        prop_assert_eq!(said(&passed_on), said(&batch));
    }

    #[test]
    fn zettabgp_sees_the_same_destinations(
        group in any_group_of(vec![
            Family::IPV4_UNICAST,
            Family::IPV6_UNICAST,
            Family::L2VPN_EVPN,
        ]),
    ) {
        let group = without_default_routes(with_label_stacks(with_known_tunnel(group)));
        let ctx = CodecContext::default();
        let out = write(&group, &ctx);
        let expected: Vec<(bool, Nlri)> = said(&decode_all(&out, &ctx).0)
            .into_iter()
            .map(|said| match said {
                Said::Reach(nlri, ..) => (true, nlri),
                Said::Withdraw(nlri) => (false, nlri),
                Said::EndOfRib(family) => panic!("no End-of-RIB of {family} was written"),
            })
            .collect();
        let seen: Vec<(bool, Nlri)> =
            frames(&out, 4096).into_iter().flat_map(seen_by_zettabgp).collect();
        prop_assert_eq!(seen, expected);
    }
}

/// zettabgp takes the zero octet of a default route for the begin of a path identifier (RFC 7911)
/// where the octets after it would make one.
fn without_default_routes(mut group: Group) -> Group {
    let is_default = |nlri: &Nlri| match nlri {
        Nlri::Ipv4(prefix) => prefix.len() == 0,
        Nlri::Ipv6(prefix) => prefix.len() == 0,
        _ => false,
    };
    group.routes.retain(|(nlri, _)| !is_default(nlri));
    group.withdrawn.retain(|(nlri, _)| !is_default(nlri));
    group
}

/// The destinations that zettabgp sees in an UPDATE, and whether they are reached.
fn seen_by_zettabgp(frame: &[u8]) -> Vec<(bool, Nlri)> {
    let session = BgpSessionParams::new(
        64512,
        180,
        BgpTransportMode::IPv4,
        std::net::Ipv4Addr::LOCALHOST,
        vec![BgpCapability::CapASN32(64512)],
    );
    let mut update = BgpUpdateMessage::new();
    update
        .decode_from(&session, &frame[19..])
        .expect("zettabgp decodes it");
    let mut seen: Vec<(bool, Nlri)> = Vec::new();
    seen.extend(
        destinations(&update.withdraws)
            .into_iter()
            .map(|nlri| (false, nlri)),
    );
    for attribute in &update.attrs {
        match attribute {
            BgpAttrItem::MPUpdates(mp) => {
                seen.extend(destinations(&mp.addrs).into_iter().map(|nlri| (true, nlri)));
            }
            BgpAttrItem::MPWithdraws(mp) => {
                seen.extend(
                    destinations(&mp.addrs)
                        .into_iter()
                        .map(|nlri| (false, nlri)),
                );
            }
            _ => {}
        }
    }
    seen.extend(
        destinations(&update.updates)
            .into_iter()
            .map(|nlri| (true, nlri)),
    );
    seen
}

fn destinations(addrs: &BgpAddrs) -> Vec<Nlri> {
    let rd = |rd: &BgpRD| {
        let [a, b, c, d] = rd.rdh.to_be_bytes();
        let [e, f, g, h] = rd.rdl.to_be_bytes();
        RouteDistinguisher([a, b, c, d, e, f, g, h])
    };
    // It keeps the octets of a MAC address in reverse.
    let mac = |mac: [u8; 6]| {
        let [a, b, c, d, e, f] = mac;
        MacAddr([f, e, d, c, b, a])
    };
    let evpn = |route: &BgpEVPN| -> Nlri {
        match route {
            BgpEVPN::EVPN2(route) => MacIp {
                rd: rd(&route.rd),
                tag: EthernetTag(route.ether_tag),
                mac: mac(route.mac.mac_address),
                ip: route.ip,
            }
            .into(),
            BgpEVPN::EVPN3(route) => chanter_bgp::InclusiveMulticast {
                rd: rd(&route.rd),
                tag: EthernetTag(route.ether_tag),
                originator: route.ip,
            }
            .into(),
            other => panic!("not among what the test makes: {other:?}"),
        }
    };
    let v4 = |prefix: &BgpAddrV4| {
        Nlri::from(Ipv4Prefix::new(prefix.addr, prefix.prefixlen).expect("a prefix"))
    };
    let v6 = |prefix: &BgpAddrV6| {
        Nlri::from(Ipv6Prefix::new(prefix.addr, prefix.prefixlen).expect("a prefix"))
    };
    match addrs {
        BgpAddrs::None => Vec::new(),
        BgpAddrs::IPV4U(prefixes) => prefixes.iter().map(v4).collect(),
        BgpAddrs::IPV6U(prefixes) => prefixes.iter().map(v6).collect(),
        BgpAddrs::EVPN(routes) => routes.iter().map(evpn).collect(),
        other => panic!("not among what the test makes: {other:?}"),
    }
}

#[test]
fn rustbgpd_sees_the_same_in_recorded_messages() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of captures") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a capture");
        for frame in text
            .lines()
            .filter_map(|line| line.strip_prefix("> "))
            .map(unhex)
        {
            let Ok(Message::Update(_)) = decode_message(&frame) else {
                continue;
            };
            let (batch, faults) = decode_all(&frame, &CodecContext::default());
            if faults.is_empty() {
                assert_eq!(seen_by_rustbgpd(&frame, true), said(&batch), "{frame:02x?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "only {compared} messages compared");
}
