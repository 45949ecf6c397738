//! Our codec beside three others: what one encodes, the other must understand the same way.

mod common;

use std::io::Cursor;
use std::net::IpAddr;
use std::path::PathBuf;

use bytes::Bytes;
use chanter_bgp::{
    Aggregator, AttributeCode, Attributes, AttributesBuilder, BitmaskMatch, CodecContext,
    Community, EvpnNlri, ExtendedCommunity, Family, FlowAction, FlowSpecComponent, FlowSpecNlri,
    FlowSpecPrefix, FlowSpecType, LargeCommunity, MacIp, Message, Nlri, NumericMatch, Origin,
    PathData, PmsiTunnel, RtMembership, SegmentKind, UpdateWriter, Vpnv4Prefix, Vpnv6Prefix,
    decode_message,
};
use chanter_types::{
    Asn, Esi, EthernetTag, Ipv4Prefix, Ipv6Prefix, MacAddr, Prefix, RouteDistinguisher,
};
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
            .map(|entry| Said::Withdraw(classic(entry), 0)),
    );
    if let Some(mp) = unreach {
        let mut routes = routes(&mp.withdrawn, &mp.evpn_withdrawn, &mp.rtc_withdrawn);
        routes.extend(mp.vpn_withdrawn.iter().map(vpn_route));
        let family = (mp.afi as u16, &mp.flowspec_withdrawn[..]);
        routes.extend(flowspec_routes(family));
        said.extend(routes.into_iter().map(|(nlri, _)| Said::Withdraw(nlri, 0)));
    }
    if let Some(mp) = reach {
        // It makes up a next hop where there is none.
        let next_hop = Some(mp.next_hop).filter(|_| mp.safi != theirs::Safi::FlowSpec);
        let attributes = builder
            .clone()
            .next_hop(next_hop)
            .next_hop_link_local(mp.link_local_next_hop)
            .build();
        let mut routes = routes(&mp.announced, &mp.evpn_announced, &mp.rtc_announced);
        routes.extend(mp.vpn_announced.iter().map(vpn_route));
        let family = (mp.afi as u16, &mp.flowspec_announced[..]);
        routes.extend(flowspec_routes(family));
        let reached = |(nlri, data)| Said::Reach(nlri, data, attributes.clone());
        said.extend(routes.into_iter().map(reached));
    }
    if let Some(next_hop) = classic_next_hop {
        let attributes = builder.next_hop(IpAddr::V4(next_hop)).build();
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
        Theirs::Communities(values) => {
            builder.communities(values.into_iter().map(Community).collect())
        }
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
            let label2 = route.label2.map(|label| label.as_vni());
            let data = PathData::with_label(route.label1.as_vni());
            let data = data.segment(Esi(route.esi.0), label2);
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
        theirs::EvpnRoute::EadPerEs(theirs::EvpnEadPerEs {
            rd,
            esi,
            ethernet_tag,
            label,
        })
        | theirs::EvpnRoute::EadPerEvi(theirs::EvpnEadPerEvi {
            rd,
            esi,
            ethernet_tag,
            label,
        }) => {
            let key = chanter_bgp::EthernetAd {
                rd: RouteDistinguisher(rd.0),
                esi: Esi(esi.0),
                tag: EthernetTag(ethernet_tag.0),
            };
            (key.into(), PathData::with_label(label.as_vni()))
        }
        theirs::EvpnRoute::Es(route) => {
            let key = chanter_bgp::EthernetSegment {
                rd: RouteDistinguisher(route.rd.0),
                esi: Esi(route.esi.0),
                originator: route.originator_ip,
            };
            (key.into(), PathData::default())
        }
        theirs::EvpnRoute::IpPrefix(route) => evpn_prefix(route),
        other => panic!("not among what the test makes: {other:?}"),
    }
}

fn evpn_prefix(route: &theirs::EvpnIpPrefixRoute) -> (Nlri, PathData) {
    let (addr, len): (IpAddr, u8) = match route.prefix {
        theirs::EvpnIpPrefixValue::V4(prefix) => (prefix.addr.into(), prefix.len),
        theirs::EvpnIpPrefixValue::V6(prefix) => (prefix.addr.into(), prefix.len),
    };
    let key = chanter_bgp::EvpnPrefix {
        rd: RouteDistinguisher(route.rd.0),
        tag: EthernetTag(route.ethernet_tag.0),
        prefix: Prefix::new(addr, len).expect("a prefix"),
    };
    let gateway = Some(route.gateway).filter(|gateway| !gateway.is_unspecified());
    let data = PathData::with_label(route.label.as_vni());
    let data = data.segment(Esi(route.esi.0), None).via(gateway);
    (key.into(), data)
}

fn vpn_route(entry: &theirs::VpnNlriEntry) -> (Nlri, PathData) {
    let route = &entry.nlri;
    let rd = RouteDistinguisher(route.route_distinguisher.0);
    let nlri = match route.prefix {
        theirs::VpnPrefix::V4 { addr, len } => {
            let prefix = Ipv4Prefix::new(addr, len).expect("a prefix");
            Nlri::from(Vpnv4Prefix { rd, prefix })
        }
        theirs::VpnPrefix::V6 { addr, len } => {
            let prefix = Ipv6Prefix::new(addr, len).expect("a prefix");
            Nlri::from(Vpnv6Prefix { rd, prefix })
        }
    };
    let [label] = route.labels[..] else {
        // It drops the field of a withdrawal.
        assert!(route.labels.is_empty(), "{:?}", route.labels);
        return (nlri, PathData::default());
    };
    let label = label.label << 4 | u32::from(label.traffic_class) << 1;
    // The bottom of the stack is where its list ends.
    (nlri, PathData::with_label(label | 1))
}

fn flowspec_routes(
    (afi, rules): (u16, &[theirs::FlowSpecRule]),
) -> impl Iterator<Item = (Nlri, PathData)> + '_ {
    let family = Family { afi, safi: 133 };
    rules.iter().map(move |rule| {
        let components: Vec<FlowSpecComponent> =
            rule.components.iter().map(flowspec_component).collect();
        let nlri = FlowSpecNlri::new(family, None, &components).expect("right components");
        (Nlri::from(nlri), PathData::default())
    })
}

fn flowspec_component(component: &theirs::FlowSpecComponent) -> FlowSpecComponent {
    use theirs::FlowSpecComponent as Theirs;
    let family = Family::IPV6_FLOWSPEC;
    let kind = FlowSpecType::from_code(component.type_code(), family).expect("a type");
    let numeric = |test: &theirs::NumericMatch| NumericMatch {
        and: test.and_bit,
        less: test.lt,
        greater: test.gt,
        equal: test.eq,
        ..NumericMatch::equal(test.value)
    };
    let bitmask = |test: &theirs::BitmaskMatch| BitmaskMatch {
        and: test.and_bit,
        not: test.not_bit,
        all: test.match_bit,
        ..BitmaskMatch::all(test.value.into())
    };
    let prefix = |prefix: &theirs::FlowSpecPrefix| {
        let (addr, len, offset): (IpAddr, u8, u8) = match prefix {
            theirs::FlowSpecPrefix::V4(prefix) => (prefix.addr.into(), prefix.len, 0),
            theirs::FlowSpecPrefix::V6(theirs::Ipv6PrefixOffset { prefix, offset }) => {
                (prefix.addr.into(), prefix.len, *offset)
            }
        };
        let prefix = Prefix::new(addr, len).expect("a prefix");
        FlowSpecPrefix::new(prefix, offset).expect("an offset within")
    };
    match component {
        Theirs::DestinationPrefix(place) => FlowSpecComponent::Destination(prefix(place)),
        Theirs::SourcePrefix(place) => FlowSpecComponent::Source(prefix(place)),
        Theirs::TcpFlags(tests) | Theirs::Fragment(tests) => {
            FlowSpecComponent::Bitmask(kind, tests.iter().map(bitmask).collect())
        }
        Theirs::IpProtocol(tests)
        | Theirs::Port(tests)
        | Theirs::DestinationPort(tests)
        | Theirs::SourcePort(tests)
        | Theirs::IcmpType(tests)
        | Theirs::IcmpCode(tests)
        | Theirs::PacketLength(tests)
        | Theirs::Dscp(tests)
        | Theirs::FlowLabel(tests) => {
            FlowSpecComponent::Numeric(kind, tests.iter().map(numeric).collect())
        }
        other => panic!("not among what the test makes: {other:?}"),
    }
}

/// What rustbgpd leaves out of FlowSpec: how many octets a value had, and VPNs. Behind an offset it
/// expects the bits of the whole prefix, where RFC 8956 section 3.1 has only those that count. It
/// goes through a label stack to the bottom-of-stack bit.
fn as_rustbgpd_keeps_it(mut group: Group) -> Group {
    group.withdrawn.iter_mut().for_each(shorten);
    group.routes.iter_mut().for_each(shorten);
    group
}

fn shorten((nlri, data): &mut (Nlri, PathData)) {
    match nlri {
        Nlri::Vpn4(_) | Nlri::Vpn6(_) => data.label |= 1,
        Nlri::FlowSpec(flow) => {
            let components: Vec<FlowSpecComponent> = flow.components().map(shortest).collect();
            let short = FlowSpecNlri::new(flow.family(), flow.rd(), &components);
            *nlri = short.expect("right components").into();
        }
        _ => {}
    }
}

fn shortest(mut component: FlowSpecComponent) -> FlowSpecComponent {
    match &mut component {
        FlowSpecComponent::Numeric(_, tests) => tests.iter_mut().for_each(|test| test.octets = 0),
        FlowSpecComponent::Bitmask(_, tests) => tests.iter_mut().for_each(|test| test.octets = 0),
        FlowSpecComponent::Destination(prefix) | FlowSpecComponent::Source(prefix) => {
            prefix.offset = 0;
        }
    }
    component
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
    let mut families = Family::SUPPORTED.to_vec();
    families.retain(|family| !(family.is_flowspec() && family.is_vpn()));
    any_group_of(families).prop_map(as_rustbgpd_keeps_it)
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
    // Of EVPN it knows two types.
    let is_known = |(nlri, _): &(Nlri, PathData)| match nlri {
        Nlri::Evpn(nlri) => matches!(nlri.route_type(), 2 | 3),
        _ => true,
    };
    group.withdrawn.retain(is_known);
    group.routes.retain(is_known);
    let is_mac_ip = |nlri: &Nlri| matches!(nlri, Nlri::Evpn(EvpnNlri::MacIp(_)));
    group.withdrawn.retain(|(nlri, _)| !is_mac_ip(nlri));
    for (nlri, data) in &mut group.routes {
        if is_mac_ip(nlri) {
            data.label |= 1;
            *data = data.segment(data.esi(), None);
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
        let ctx = CodecContext {
            extended_next_hop: [Family::IPV4_UNICAST].into(),
            ..CodecContext::default()
        };
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
        // It clears what it takes for reserved octets, so that only communities are left that words
        // tell in full. It writes the type of a route target for that of a source AS with four octets
        // (RFC 6514).
        group.attributes = group
            .attributes
            .to_builder()
            .retain_extended_communities(|one| {
                !one.to_string().starts_with("0x") && one.0[..2] != [2, 9]
            })
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
                Said::Withdraw(nlri, _) => (false, nlri),
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

/// It does not know AIGP (RFC 7311), which is not transitive.
fn without_aigp(said: Vec<Said>) -> Vec<Said> {
    let without = |said| match said {
        Said::Reach(nlri, data, attributes) => {
            Said::Reach(nlri, data, attributes.to_builder().aigp(None).build())
        }
        other => other,
    };
    said.into_iter().map(without).collect()
}

#[test]
fn rustbgpd_sees_the_same_in_recorded_messages() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of captures") {
        let path = entry.expect("an entry").path();
        let name = path.to_string_lossy();
        if name.ends_with("-add-path.txt") || name.ends_with("-extended-next-hop.txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a capture");
        for frame in text
            .lines()
            .filter_map(|line| line.strip_prefix("> "))
            .map(unhex)
        {
            let Ok(Message::Update(_)) = decode_message(&frame) else {
                continue;
            };
            let (batch, faults) = decode_all(&frame, &CodecContext::default());
            // It refuses FlowSpec routes with a next hop, which ExaBGP gives those that redirect to it.
            let is_refused = |said: &Said| match said {
                Said::Reach(Nlri::FlowSpec(flow), ..) if flow.rd().is_some() => true,
                Said::Reach(Nlri::FlowSpec(_), _, set) => set.extended_communities().any(|one| {
                    matches!(
                        one.as_flow_action(),
                        Some(FlowAction::RedirectToNextHop { .. })
                    )
                }),
                // And it knows none in VPNs; of labels it keeps no bottom of the stack.
                Said::Reach(Nlri::Vpn4(_) | Nlri::Vpn6(_), data, _) => data.label & 1 == 0,
                Said::Withdraw(Nlri::FlowSpec(flow), _) => flow.rd().is_some(),
                // It leaves End-of-RIB to its caller.
                Said::EndOfRib(_) => true,
                _ => false,
            };
            let said = without_aigp(said(&batch));
            if faults.is_empty() && !said.iter().any(is_refused) {
                assert_eq!(seen_by_rustbgpd(&frame, true), said, "{frame:02x?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "only {compared} messages compared");
}
