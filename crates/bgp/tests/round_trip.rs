//! What is encoded is what is decoded, and no message is longer than it may be.

mod common;

use chanter_bgp::{
    Attributes, Capability, CodecContext, Family, FlowSpecComponent, FlowSpecNlri, GracefulRestart,
    Message, Nlri, NotificationMessage, OpenMessage, PathData, RouteRefreshMessage, UpdateWriter,
    decode_message, notification,
};
use chanter_types::Asn;
use common::{
    Said, any_attributes, any_family, any_flowspec, any_ipv4, any_route, decode_all, decode_body,
    frames, said, unhex,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Routes of one family with their attributes, or to be withdrawn.
#[derive(Debug, Clone)]
struct Group {
    family: Family,
    attributes: Option<Attributes>,
    routes: Vec<(Nlri, PathData)>,
}

fn any_group() -> impl Strategy<Value = Group> {
    any_family().prop_flat_map(|family| {
        let attributes = prop::option::weighted(0.8, any_attributes(family));
        (attributes, vec(any_route(family), 1..200)).prop_map(move |(attributes, routes)| Group {
            family,
            attributes,
            routes,
        })
    })
}

fn any_flowspec_family() -> impl Strategy<Value = Family> {
    any_family().prop_filter("FlowSpec", |family| family.is_flowspec())
}

/// A path identifier for each route (RFC 7911).
fn with_path_ids(mut group: Group, ids: &[u32]) -> Group {
    for ((_, data), id) in group.routes.iter_mut().zip(ids.iter().cycle()) {
        data.path_id = *id;
    }
    group
}

fn context(four_octet_as: bool, extended: bool) -> CodecContext {
    CodecContext {
        four_octet_as,
        message_len_max: if extended { 65535 } else { 4096 },
        extended_next_hop: [Family::IPV4_UNICAST, Family::IPV4_VPN].into(),
        ..CodecContext::default()
    }
}

/// ADD-PATH in all families, both ways.
fn add_path_context() -> CodecContext {
    CodecContext {
        add_path_receive: Family::SUPPORTED.into(),
        add_path_send: Family::SUPPORTED.into(),
        ..context(true, false)
    }
}

fn write(groups: &[Group], ctx: &CodecContext) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = UpdateWriter::new(ctx, &mut out);
    for group in groups {
        let routes = group.routes.iter().map(|(nlri, data)| (nlri, *data));
        let written = match &group.attributes {
            Some(attributes) => writer.reach(group.family, attributes, routes),
            None => writer.withdraw(group.family, routes),
        };
        assert_eq!(written, group.routes.len(), "everything fits");
    }
    let len = writer.len();
    assert_eq!(len, out.len());
    out
}

fn expected(groups: &[Group]) -> Vec<Said> {
    let mut expected = Vec::new();
    for Group {
        attributes, routes, ..
    } in groups
    {
        expected.extend(routes.iter().map(|(nlri, data)| match attributes {
            Some(attributes) => Said::Reach(nlri.clone(), *data, attributes.clone()),
            None => Said::Withdraw(nlri.clone(), data.path_id),
        }));
    }
    expected
}

fn any_capability() -> impl Strategy<Value = Capability> {
    let family = (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| Family { afi, safi });
    prop_oneof![
        family.clone().prop_map(Capability::MultiProtocol),
        Just(Capability::RouteRefresh),
        Just(Capability::ExtendedMessage),
        Just(Capability::EnhancedRouteRefresh),
        (
            any::<bool>(),
            0u16..4096,
            vec((family, any::<bool>()), 0..5)
        )
            .prop_map(|(restarting, restart_time, families)| {
                Capability::GracefulRestart(GracefulRestart {
                    notification: false,
                    restarting,
                    restart_time,
                    families,
                })
            }),
        (100u8.., vec(any::<u8>(), 0..60)).prop_map(|(code, value)| Capability::Unknown {
            code,
            value: value.into()
        }),
    ]
}

fn any_open() -> impl Strategy<Value = OpenMessage> {
    let hold_time = prop_oneof![Just(0u16), 3u16..];
    (
        1..=u32::MAX,
        hold_time,
        any_ipv4(),
        vec(any_capability(), 0..12),
    )
        .prop_map(|(asn, hold_time, router_id, offered)| {
            // What is there twice is kept once.
            let mut capabilities = vec![Capability::FourOctetAs(Asn(asn))];
            for capability in offered {
                if !capabilities.contains(&capability) {
                    capabilities.push(capability);
                }
            }
            OpenMessage {
                asn: Asn(asn),
                hold_time,
                router_id,
                capabilities,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches(
        groups in vec(any_group(), 1..4),
        four_octet_as: bool,
        extended: bool,
    ) {
        let ctx = context(four_octet_as, extended);
        let out = write(&groups, &ctx);
        // `frames` fails on a message that is longer than the session allows.
        let (batch, faults) = decode_all(&out, &ctx);
        prop_assert_eq!(faults, vec![]);
        prop_assert_eq!(said(&batch), expected(&groups));
    }

    #[test]
    fn path_identifiers(
        groups in vec((any_group(), vec(any::<u32>(), 1..9)), 1..4),
    ) {
        let groups: Vec<Group> =
            groups.into_iter().map(|(group, ids)| with_path_ids(group, &ids)).collect();
        let ctx = add_path_context();
        let (batch, faults) = decode_all(&write(&groups, &ctx), &ctx);
        prop_assert_eq!(faults, vec![]);
        prop_assert_eq!(said(&batch), expected(&groups));
        // Without ADD-PATH they are not sent.
        let plain: Vec<Group> =
            groups.iter().map(|group| with_path_ids(group.clone(), &[0])).collect();
        let ctx = context(true, false);
        let (batch, faults) = decode_all(&write(&groups, &ctx), &ctx);
        prop_assert_eq!(faults, vec![]);
        prop_assert_eq!(said(&batch), expected(&plain));
    }

    #[test]
    fn flowspec_components(nlri in any_flowspec_family().prop_flat_map(any_flowspec)) {
        let components: Vec<FlowSpecComponent> = nlri.components().collect();
        prop_assert!(components.is_sorted_by_key(FlowSpecComponent::kind));
        let again = FlowSpecNlri::new(nlri.family(), nlri.rd(), &components);
        prop_assert_eq!(again.as_ref(), Ok(&nlri));
        let shuffled: Vec<FlowSpecComponent> = components.into_iter().rev().collect();
        prop_assert_eq!(FlowSpecNlri::new(nlri.family(), nlri.rd(), &shuffled), Ok(nlri));
    }

    #[test]
    fn flowspec_precedence_is_an_order(
        nlri in any_flowspec_family().prop_flat_map(|family| vec(any_flowspec(family), 3)),
    ) {
        let [a, b, c] = nlri.as_slice() else { panic!("three of them") };
        prop_assert_eq!(a.precedence(b), b.precedence(a).reverse());
        prop_assert!(a.precedence(a).is_eq());
        if a.precedence(b).is_le() && b.precedence(c).is_le() {
            prop_assert!(a.precedence(c).is_le());
        }
    }

    #[test]
    fn attribute_sets_are_equal_if_built_again(attributes in any_attributes(Family::L2VPN_EVPN)) {
        let again = attributes.to_builder().build();
        prop_assert_eq!(&again, &attributes);
        prop_assert_eq!(again.fingerprint(), attributes.fingerprint());
        prop_assert!(!again.ptr_eq(&attributes));
        prop_assert_eq!(attributes.as_path_len(), attributes.as_path().path_len());
        let other = attributes.to_builder().prepend(Asn(64512)).build();
        prop_assert_ne!(&other, &attributes);
        prop_assert_eq!(other.as_path().first_as(), Some(Asn(64512)));
        prop_assert_eq!(other.as_path_len(), attributes.as_path_len() + 1);
    }

    #[test]
    fn nlri_texts((nlri, _) in any_family().prop_flat_map(any_route)) {
        prop_assert_eq!(nlri.to_string().parse(), Ok(nlri));
    }

    #[test]
    fn extended_community_texts(octets: [u8; 8]) {
        let community = chanter_bgp::ExtendedCommunity(octets);
        prop_assert_eq!(community.to_string().parse(), Ok(community));
    }

    #[test]
    fn known_extended_community_texts(head in 0u8..8, sub in 0u8..24, rest: [u8; 6]) {
        let [a, b, c, d, e, f] = rest;
        let community = chanter_bgp::ExtendedCommunity([head, sub, a, b, c, d, e, f]);
        prop_assert_eq!(community.to_string().parse(), Ok(community));
    }

    #[test]
    fn opens(open in any_open()) {
        let mut out = Vec::new();
        open.encode(&mut out);
        prop_assert_eq!(decode_message(&out), Ok(Message::Open(open)));
    }

    #[test]
    fn notifications(code: u8, subcode: u8, data in vec(any::<u8>(), 0..300)) {
        let message = NotificationMessage::new(code, subcode, data);
        let mut out = Vec::new();
        message.encode(&mut out);
        prop_assert!(!message.to_string().is_empty());
        prop_assert_eq!(decode_message(&out), Ok(Message::Notification(message)));
    }

    #[test]
    fn shutdown_texts(text in ".{0,300}") {
        let message = notification::administrative_shutdown(&text);
        prop_assert!(message.data.len() <= 256);
        let told = message.text().unwrap_or_default();
        let printable: String = text
            .chars()
            .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        prop_assert!(printable.starts_with(&told));
        prop_assert!(told == printable || message.data.len() > 250);
    }

    #[test]
    fn route_refreshes(afi: u16, safi: u8) {
        let message = RouteRefreshMessage::request(Family { afi, safi });
        let mut out = Vec::new();
        message.encode(&mut out);
        prop_assert_eq!(decode_message(&out), Ok(Message::RouteRefresh(message)));
    }
}

/// Octet strings that decoders must survive, and messages with a few octets changed.
mod hostile {
    use super::*;

    fn survives(octets: &[u8]) {
        let _ = decode_message(octets);
        for ctx in [
            context(true, false),
            context(false, true),
            CodecContext {
                ebgp: true,
                ..context(true, false)
            },
        ] {
            let outcome = decode_body(octets, &ctx);
            for fault in &outcome.faults {
                assert!(
                    fault.offset <= octets.len() + 19,
                    "{fault} of {}",
                    octets.len()
                );
            }
            if outcome.result.is_err() {
                assert!(outcome.batch.events.is_empty() && outcome.batch.attributes.is_empty());
            }
            for event in said(&outcome.batch) {
                if let Said::Reach(nlri, _, attributes) = event {
                    assert!(!format!("{nlri} {attributes:?}").is_empty());
                    assert_eq!(attributes.to_builder().build(), attributes);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn random_octets(octets in vec(any::<u8>(), 0..200)) {
            survives(&octets);
        }

        #[test]
        fn changed_messages(
            group in any_group(),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
            cuts: bool,
        ) {
            let ctx = context(true, false);
            let out = write(&[group], &ctx);
            let message = frames(&out, 4096)[0];
            let mut changed = message[19..].to_vec();
            for (at, octet) in changes {
                let at = at.index(changed.len());
                changed[at] = octet;
            }
            if cuts {
                changed.truncate(cut.index(changed.len()));
            }
            survives(&changed);
        }
    }
}

#[test]
fn equal_attributes_share_one_set_over_messages() {
    let ctx = CodecContext::default();
    let attributes = Attributes::builder()
        .next_hop("192.0.2.1".parse::<std::net::IpAddr>().unwrap())
        .local_pref(100)
        .build();
    let other = attributes.to_builder().med(5).build();
    let nlri: Nlri = "10.0.0.0/8".parse().unwrap();
    for four_octet_as in [true, false] {
        let ctx = CodecContext {
            four_octet_as,
            ..ctx.clone()
        };
        let mut out = Vec::new();
        let mut writer = UpdateWriter::new(&ctx, &mut out);
        for attributes in [&attributes, &attributes, &other, &other, &attributes] {
            writer.reach(
                Family::IPV4_UNICAST,
                attributes,
                [(&nlri, PathData::default())],
            );
        }
        let (batch, _) = decode_all(&out, &ctx);
        assert_eq!(
            batch.attributes,
            [attributes.clone(), other.clone(), attributes.clone()]
        );
        assert_eq!(batch.events.len(), 5);
    }
}

#[test]
fn multihoming_and_prefix_routes_pass_unchanged_and_their_key_has_no_label() {
    let (ead, ead_relabelled) = (
        unhex("0119 00010a0000010005 00010203040506070809 ffffffff 000001"),
        unhex("0119 00010a0000010005 00010203040506070809 ffffffff 000002"),
    );
    let (prefix, prefix_withdrawn) = (
        unhex("0522 00010a0000010005 00000000000000000001 00000000 18 c0000200 00000000 001388"),
        unhex("0522 00010a0000010005 00000000000000000000 00000000 18 c0000200 00000000 000000"),
    );
    let segment = unhex("0417 00010a0000010005 00010203040506070809 20 0a000001");
    let ctx = CodecContext::default();
    let decode = |nlri: &[u8]| {
        let mp_reach = [&unhex("0019 46 04 0a000001 00"), nlri].concat();
        let attributes = [
            common::attribute(0x80, 14, &mp_reach),
            common::attribute(0x40, 1, &[0]),
            common::attribute(0x40, 2, &[]),
        ];
        let outcome = decode_body(&common::body(&[], &attributes, &[]), &ctx);
        assert_eq!(outcome.faults, []);
        match said(&outcome.batch).as_slice() {
            [Said::Reach(nlri, data, _)] => (nlri.clone(), *data),
            other => panic!("{other:?}"),
        }
    };
    for octets in [&ead, &prefix, &segment] {
        let (nlri, data) = decode(octets);
        let attributes = Attributes::builder()
            .next_hop("10.0.0.1".parse::<std::net::IpAddr>().unwrap())
            .build();
        let mut out = Vec::new();
        UpdateWriter::new(&ctx, &mut out).reach(Family::L2VPN_EVPN, &attributes, [(&nlri, data)]);
        assert!(
            out.windows(octets.len())
                .any(|window| window == octets.as_slice()),
            "{nlri}"
        );
    }
    assert_eq!(decode(&ead).0, decode(&ead_relabelled).0);
    assert_eq!(decode(&prefix).0, decode(&prefix_withdrawn).0);
    assert_ne!(decode(&ead).1, decode(&ead_relabelled).1);
}

#[test]
fn messages_are_as_full_as_they_may_be() {
    let ctx = CodecContext::default();
    let attributes = Attributes::builder()
        .next_hop("192.0.2.1".parse::<std::net::IpAddr>().unwrap())
        .local_pref(100)
        .build();
    let nlri: Vec<Nlri> = (0u32..2000)
        .map(|number| chanter_types::Ipv4Prefix::host(number.into()).into())
        .collect();
    let routes = || nlri.iter().map(|nlri| (nlri, PathData::default()));
    let mut out = Vec::new();
    let mut writer = UpdateWriter::new(&ctx, &mut out);
    assert_eq!(
        writer.reach(Family::IPV4_UNICAST, &attributes, routes()),
        2000
    );
    assert_eq!(writer.withdraw(Family::IPV4_UNICAST, routes()), 2000);
    // 23 octets around, 21 of attributes, 5 for a route: 810 fit; withdrawn, 814.
    let lens: Vec<usize> = frames(&out, 4096).iter().map(|frame| frame.len()).collect();
    assert_eq!(lens, [4094, 4094, 44 + 5 * 380, 4093, 4093, 23 + 5 * 372]);
}

#[test]
fn what_cannot_be_advertised_is_not_written() {
    let ctx = CodecContext::default();
    let nlri: Nlri = "10.0.0.0/8".parse().unwrap();
    let route = [(&nlri, PathData::default())];
    let mut out = Vec::new();
    let mut writer = UpdateWriter::new(&ctx, &mut out);
    let no_next_hop = Attributes::builder().build();
    assert_eq!(writer.reach(Family::IPV4_UNICAST, &no_next_hop, route), 0);
    let huge = Attributes::builder()
        .next_hop("192.0.2.1".parse::<std::net::IpAddr>().unwrap())
        .communities(vec![chanter_bgp::Community(7); 2000])
        .build();
    assert_eq!(writer.reach(Family::IPV4_UNICAST, &huge, route), 0);
    assert!(writer.is_empty());
    let extended = CodecContext {
        message_len_max: 65535,
        ..ctx
    };
    let mut writer = UpdateWriter::new(&extended, &mut out);
    assert_eq!(writer.reach(Family::IPV4_UNICAST, &huge, route), 1);
}

#[test]
fn another_as_is_not_told_what_is_internal() {
    let inside = Attributes::builder()
        .next_hop("192.0.2.1".parse::<std::net::IpAddr>().unwrap())
        .local_pref(200)
        .originator_id("192.0.2.2".parse::<std::net::Ipv4Addr>().unwrap())
        .prepend_cluster("192.0.2.3".parse().unwrap())
        .med(7)
        .build();
    let ctx = CodecContext {
        ebgp: true,
        ..CodecContext::default()
    };
    let nlri: Nlri = "10.0.0.0/8".parse().unwrap();
    let mut out = Vec::new();
    UpdateWriter::new(&ctx, &mut out).reach(
        Family::IPV4_UNICAST,
        &inside,
        [(&nlri, PathData::default())],
    );
    // A decoder inside the AS would tell if they were there.
    let (batch, faults) = decode_all(&out, &CodecContext::default());
    assert_eq!(faults, []);
    let outside = inside
        .to_builder()
        .local_pref(None)
        .originator_id(None)
        .clear_cluster_list();
    assert_eq!(batch.attributes, [outside.build()]);
}

#[test]
fn the_end_of_rib_of_each_family() {
    let ctx = CodecContext::default();
    let mut out = Vec::new();
    let mut writer = UpdateWriter::new(&ctx, &mut out);
    for family in Family::SUPPORTED {
        writer.end_of_rib(family);
    }
    let (batch, faults) = decode_all(&out, &ctx);
    assert_eq!(faults, []);
    assert_eq!(said(&batch), Family::SUPPORTED.map(Said::EndOfRib));
}
