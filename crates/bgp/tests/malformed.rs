//! Malformed UPDATE messages: what is said of them and what is done (RFC 7606). That each attribute
//! and each kind of NLRI gets what it should in each way is shown by `corpus.rs`.

#![allow(clippy::unwrap_used)] // the makers of test data unwrap literals

mod common;

use Disposition::{AttributeDiscard, SessionReset, TreatAsWithdraw};
use chanter_bgp::{
    AttributeCode, Attributes, CodecContext, Disposition, Family, Nlri, NotificationMessage,
    PathData, RouteEvent, UpdateBatch, decode_update,
};
use common::{Said, attribute, body, decode_body, said, unhex};

const PREFIX: [u8; 2] = [8, 10];

/// Attributes that make a valid UPDATE, without those of type `except`.
fn base(except: AttributeCode, two_octet_as: bool) -> Vec<Vec<u8>> {
    let path: &[u8] = if two_octet_as {
        &[2, 1, 0xfc, 0]
    } else {
        &[2, 1, 0, 0, 0xfc, 0]
    };
    [
        (AttributeCode::ORIGIN, 0x40, &[0][..]),
        (AttributeCode::AS_PATH, 0x40, path),
        (AttributeCode::NEXT_HOP, 0x40, &[192, 0, 2, 1]),
        (AttributeCode::COMMUNITIES, 0xc0, &[0xfc, 0, 0, 9]),
    ]
    .into_iter()
    .filter(|(code, ..)| *code != except)
    .map(|(code, flags, value)| attribute(flags, code.0, value))
    .collect()
}

fn withdrawn_prefix() -> RouteEvent {
    RouteEvent::Withdraw {
        nlri: "10.0.0.0/8".parse().unwrap(),
        path_id: 0,
    }
}

#[test]
fn what_is_internal_does_not_count_from_another_as() {
    let ctx = CodecContext {
        ebgp: true,
        ..CodecContext::default()
    };
    let mut attributes = base(AttributeCode(0), false);
    attributes.push(attribute(0x40, 5, &[0, 0, 0, 200]));
    attributes.push(attribute(0x80, 9, &[192, 0, 2, 9]));
    attributes.push(attribute(0x80, 10, &[1, 2, 3])); // not even its length matters
    // RFC 8669 section 4: a Label-Index.
    attributes.push(attribute(0xc0, 40, &[1, 0, 7, 0, 0, 0, 0, 0, 0, 5]));
    // RFC 7311 section 3.1: quietly.
    attributes.push(attribute(0x80, 26, &[1, 0, 11, 0, 0, 0, 0, 0, 0, 0, 5]));
    let outcome = decode_body(&body(&[], &attributes, &PREFIX), &ctx);
    let dispositions: Vec<_> = outcome
        .faults
        .iter()
        .map(|fault| fault.disposition)
        .collect();
    assert_eq!(dispositions, [AttributeDiscard; 4]);
    let attributes = &outcome.batch.attributes[0];
    assert_eq!(attributes.local_pref(), None);
    assert_eq!(attributes.originator_id(), None);
    assert_eq!(attributes.cluster_list().count(), 0);
    assert_eq!(attributes.aigp(), None);
    assert_eq!(attributes.prefix_sid(), None);
}

/// RFC 1122 section 3.2.1.3, whichever attribute it stands in.
#[test]
fn a_next_hop_of_ipv4_routes_is_a_host() {
    for (next_hop, is_host) in [
        ("c0000201", true),
        ("00000064", false),
        ("7f000001", false),
        ("e0000001", false),
        ("f0000001", false),
        ("ffffffff", false),
    ] {
        let mut classic = base(AttributeCode::NEXT_HOP, false);
        let mut multi_protocol = classic.clone();
        classic.push(attribute(0x40, 3, &unhex(next_hop)));
        let value = unhex(&format!("0001 01 04 {next_hop} 00 08 0a"));
        multi_protocol.push(attribute(0x80, 14, &value));
        for body in [
            body(&[], &classic, &PREFIX),
            body(&[], &multi_protocol, &[]),
        ] {
            let outcome = decode_body(&body, &CodecContext::default());
            let withdrawn = outcome.batch.events == [withdrawn_prefix()];
            assert_eq!((withdrawn, outcome.faults.is_empty()), (!is_host, is_host));
        }
    }
}

#[test]
fn unknown_attributes() {
    let mut attributes = base(AttributeCode(0), false);
    attributes.push(attribute(0xc0, 99, &[1, 2]));
    attributes.push(attribute(0x80, 98, &[3]));
    // BGPsec is never negotiated (RFC 8205).
    attributes.push(attribute(0x80, 33, &[0, 0]));
    let outcome = decode_body(&body(&[], &attributes, &PREFIX), &CodecContext::default());
    assert_eq!(outcome.faults, []);
    let unknown: Vec<_> = outcome.batch.attributes[0].unknown().collect();
    assert_eq!(
        unknown.len(),
        1,
        "the one that is not transitive is dropped"
    );
    assert_eq!(
        (unknown[0].flags, unknown[0].code.0, unknown[0].value),
        (0xe0, 99, &[1, 2][..])
    );
    // RFC 4271 section 6.3: a well-known attribute cannot be unknown.
    attributes.push(attribute(0x40, 97, &[4]));
    let outcome = decode_body(&body(&[], &attributes, &PREFIX), &CodecContext::default());
    let expected = NotificationMessage::new(3, 2, vec![0x40, 97, 1, 4]);
    assert_eq!(outcome.result, Err(expected));
}

/// An UPDATE for EVPN with these NLRI.
fn evpn(reach: &[&str], unreach: &[&str]) -> Vec<u8> {
    let join = |nlri: &[&str]| unhex(&nlri.concat());
    let mut attributes = Vec::new();
    if !reach.is_empty() {
        let value = [unhex("0019 46 04 c0000201 00"), join(reach)].concat();
        attributes.push(attribute(0x80, 14, &value));
        attributes.extend(base(AttributeCode::NEXT_HOP, false));
    }
    if !unreach.is_empty() {
        attributes.push(attribute(
            0x80,
            15,
            &[unhex("0019 46"), join(unreach)].concat(),
        ));
    }
    body(&[], &attributes, &[])
}

const TYPE_3: &str = "0311 00010a0000010005 00000000 20 0a000001";

#[test]
fn evpn_routes_that_tell_their_length_are_skipped() {
    let good: Nlri = "[3]:[0]:[32]:[10.0.0.1] rd 10.0.0.1:5".parse().unwrap();
    for (bad, message) in [
        (
            "0225 00010a0000010005 00000000000000000000 00000000 28 0200000a0201 20 c0a80a01 001388",
            "in MP_REACH_NLRI: MAC address length 40 at byte 78 (treat-as-withdraw)",
        ),
        (
            "0225 00010a0000010005 00000000000000000000 00000000 30 02000000 0a01 85 c0a80a01 001388",
            "in MP_REACH_NLRI: IP address length 133 at byte 85 (treat-as-withdraw)",
        ),
        (
            "0226 00010a0000010005 00000000000000000000 00000000 30 02000000 0a01 20 c0a80a01 00138800",
            "in MP_REACH_NLRI: EVPN MAC/IP advertisement of length 38 at byte 56 (treat-as-withdraw)",
        ),
        (
            "0210 00010a0000010005 0000000000000000",
            "in MP_REACH_NLRI: EVPN MAC/IP advertisement of length 16 at byte 56 (treat-as-withdraw)",
        ),
        (
            "0312 00010a0000010005 00000000 20 0a000001 00",
            "in MP_REACH_NLRI: EVPN inclusive multicast route of length 18 at byte 56 (treat-as-withdraw)",
        ),
        (
            "0118 00010a0000010005 00000000000000000000 00000000 0013",
            "in MP_REACH_NLRI: EVPN Ethernet auto-discovery route of length 24 at byte 56 (treat-as-withdraw)",
        ),
        (
            "0417 00010a0000010005 00000000000000000000 80 0a000001",
            "in MP_REACH_NLRI: EVPN Ethernet segment route of length 23 at byte 56 (treat-as-withdraw)",
        ),
        (
            "0522 00010a0000010005 00000000000000000000 00000000 21 0a000000 00000000 001388",
            "in MP_REACH_NLRI: prefix length 33 at byte 78 (treat-as-withdraw)",
        ),
        (
            "030d 00010a0000010005 00000000 00",
            "in MP_REACH_NLRI: IP address length 0 at byte 68 (treat-as-withdraw)",
        ),
    ] {
        let outcome = decode_body(&evpn(&[TYPE_3, bad, TYPE_3], &[]), &CodecContext::default());
        let faults: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
        // 19 + 4 of the message, 3 of the attribute, 9 before the NLRI, 19 of the first, 2.
        assert_eq!(faults, [message]);
        assert_eq!(outcome.result, Ok(()));
        assert_eq!(
            said(&outcome.batch),
            vec![Said::Withdraw(good.clone(), 0); 2]
        );
    }
}

#[test]
fn evpn_withdrawals_that_tell_their_length_are_skipped() {
    let bad = "0210 00010a0000010005 0000000000000000";
    let outcome = decode_body(&evpn(&[], &[bad, TYPE_3]), &CodecContext::default());
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.faults.len(), 1);
    assert_eq!(outcome.batch.events.len(), 1);
}

#[test]
fn a_flood_of_faults_is_cut() {
    let bad = vec!["0200"; 500];
    let outcome = decode_body(&evpn(&bad, &[]), &CodecContext::default());
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.faults.len(), 16);
}

#[test]
fn nlri_after_which_nothing_can_be_found_reset_the_session() {
    let v6 = |nlri: &str| {
        let value = unhex(&format!(
            "0002 01 10 20010db8000000000000000000000001 00 {nlri}"
        ));
        let mut attributes = vec![attribute(0x80, 14, &value)];
        attributes.extend(base(AttributeCode::NEXT_HOP, false));
        body(&[], &attributes, &[])
    };
    let classic = |withdrawn: &str, nlri: &str| {
        body(
            &unhex(withdrawn),
            &base(AttributeCode(0), false),
            &unhex(nlri),
        )
    };
    for (body, subcode, message) in [
        (
            v6("85 20010db8"),
            9,
            "in MP_REACH_NLRI: prefix length 133 at byte 47 (session-reset)",
        ),
        (
            v6("40 20010db8"),
            9,
            "in MP_REACH_NLRI: prefix length 64 with 4 octets left at byte 47 (session-reset)",
        ),
        (
            classic("", "21 0a"),
            10,
            "in UPDATE: prefix length 33 at byte 50 (session-reset)",
        ),
        (
            classic("ff", "08 0a"),
            10,
            "in UPDATE: prefix length 255 at byte 21 (session-reset)",
        ),
        (
            evpn(&["0325 0001"], &[]),
            9,
            "in MP_REACH_NLRI: EVPN NLRI of length 37 with 2 octets left at byte 35 (session-reset)",
        ),
        (
            evpn(&[], &["03"]),
            9,
            "in MP_UNREACH_NLRI: EVPN NLRI cut off at byte 29 (session-reset)",
        ),
    ] {
        let outcome = decode_body(&body, &CodecContext::default());
        let faults: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, [message]);
        let notification = outcome.result.expect_err(message);
        assert_eq!(
            (notification.code, notification.subcode),
            (3, subcode),
            "{message}"
        );
    }
}

#[test]
fn lengths_of_the_fields_that_do_not_fit_reset_the_session() {
    for octets in [
        "",
        "00",
        "0000",
        "0001 00",
        "0000 0001",
        "ffff 0000",
        "0000 ffff 00",
    ] {
        let outcome = decode_body(&unhex(octets), &CodecContext::default());
        assert_eq!(
            outcome.result,
            Err(NotificationMessage::new(3, 1, vec![])),
            "{octets}"
        );
        assert_eq!(outcome.faults[0].disposition, SessionReset, "{octets}");
    }
}

#[test]
fn next_hops_that_are_no_host() {
    for next_hop in [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [127, 0, 0, 1],
        [224, 0, 0, 5],
        [240, 0, 0, 1],
        [255, 255, 255, 255],
    ] {
        let mut attributes = base(AttributeCode::NEXT_HOP, false);
        attributes.push(attribute(0x40, 3, &next_hop));
        let outcome = decode_body(&body(&[], &attributes, &PREFIX), &CodecContext::default());
        assert_eq!(outcome.batch.events, [withdrawn_prefix()], "{next_hop:?}");
    }
    for len in [0u8, 3, 5, 12, 17, 48] {
        let mut value = vec![0, 25, 70, len];
        value.resize(5 + usize::from(len), 1);
        let mut attributes = base(AttributeCode::NEXT_HOP, false);
        attributes.push(attribute(0x80, 14, &value));
        let outcome = decode_body(&body(&[], &attributes, &[]), &CodecContext::default());
        assert_eq!(
            outcome.result.map_err(|error| error.subcode),
            Err(9),
            "{len}"
        );
    }
}

/// RFC 7606 section 5.2: without routes that the attributes belong to, they may be lost.
#[test]
fn malformed_attributes_without_reachable_routes_reset_the_session() {
    let bad_med = attribute(0x80, 4, &[1]);
    let unreach = attribute(0x80, 15, &unhex(&format!("0019 46 {TYPE_3}")));
    let with_attributes = body(&[], &[unreach.clone(), bad_med.clone()], &[]);
    let outcome = decode_body(&with_attributes, &CodecContext::default());
    assert_eq!(outcome.result, Err(NotificationMessage::new(3, 1, vec![])));
    // Cut off before MP_REACH_NLRI could be found.
    let cut = body(&[], &[vec![0x80, 14, 200, 0]], &[]);
    let outcome = decode_body(&cut, &CodecContext::default());
    assert_eq!(outcome.result, Err(NotificationMessage::new(3, 1, vec![])));
    // Attributes that are well formed do no harm, as bagpipe-bgp sends them.
    let harmless = body(&[], &[base(AttributeCode(0), false).concat(), unreach], &[]);
    let outcome = decode_body(&harmless, &CodecContext::default());
    assert_eq!((outcome.result, outcome.faults), (Ok(()), vec![]));
    assert_eq!(outcome.batch.events.len(), 1);
}

#[test]
fn routes_of_families_that_were_not_negotiated_are_ignored() {
    let ctx = CodecContext {
        families: [Family::IPV4_RTC].into(),
        ..CodecContext::default()
    };
    let outcome = decode_body(&evpn(&[TYPE_3], &[TYPE_3]), &ctx);
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.batch.events, []);
    assert_eq!(outcome.faults.len(), 2);
    assert!(
        outcome
            .faults
            .iter()
            .all(|fault| fault.disposition == AttributeDiscard)
    );
    let outcome = decode_body(
        &body(&PREFIX, &base(AttributeCode(0), false), &PREFIX),
        &ctx,
    );
    assert_eq!((outcome.result, outcome.batch.events), (Ok(()), vec![]));
    assert_eq!(outcome.faults.len(), 2);
}

/// RFC 4271 section 3.1.
#[test]
fn a_route_both_withdrawn_and_advertised_is_advertised() {
    let both = body(&PREFIX, &base(AttributeCode(0), false), &PREFIX);
    let outcome = decode_body(&both, &CodecContext::default());
    let nlri: Nlri = "10.0.0.0/8".parse().unwrap();
    assert_eq!(outcome.batch.events[0], withdrawn_prefix());
    assert_eq!(
        outcome.batch.events[1],
        RouteEvent::Reach {
            nlri,
            data: PathData::default(),
            attributes: 0
        }
    );
}

#[test]
fn a_faulty_message_leaves_those_before_it_alone() {
    let good = body(&[], &base(AttributeCode(0), false), &PREFIX);
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let ctx = CodecContext::default();
    assert_eq!(decode_update(&good, &ctx, &mut batch, &mut faults), Ok(()));
    let before = batch.clone();
    let reset = body(&[], &base(AttributeCode(0), false), &[33, 1]);
    assert!(decode_update(&reset, &ctx, &mut batch, &mut faults).is_err());
    assert_eq!(batch, before);
    let withdraw = body(&[], &base(AttributeCode::ORIGIN, false), &PREFIX);
    assert_eq!(
        decode_update(&withdraw, &ctx, &mut batch, &mut faults),
        Ok(())
    );
    assert_eq!(batch.events[..1], before.events);
    assert_eq!(batch.events[1..], [withdrawn_prefix()]);
}

/// Peers would end the session over them: a reflector must not pass them on.
#[test]
fn attributes_that_are_only_passed_on_are_well_formed() {
    for (code, value, expected) in [
        // Tunnel Encapsulation (RFC 9012).
        (23, "0008 0004 0402 0102", None),
        (23, "0008 0004 8000 01 02 0008 0000", None),
        (23, "0008 0004 0403 0102", Some(TreatAsWithdraw)),
        (23, "0008 0005 0402 0102", Some(TreatAsWithdraw)),
        (23, "0008 00", Some(TreatAsWithdraw)),
        (23, "", Some(TreatAsWithdraw)),
        // IPv6 extended communities (RFC 5701).
        (25, "0002 20010db8000000000000000000000001 0001", None),
        (
            25,
            "0002 20010db8000000000000000000000001 00",
            Some(TreatAsWithdraw),
        ),
        // Only to Customer (RFC 9234).
        (35, "0000fc01", None),
        (35, "0000fc", Some(TreatAsWithdraw)),
        // Prefix-SID (RFC 8669).
        (40, "01 0007 00000000000001", None),
        (40, "01 0006 000000000001", Some(AttributeDiscard)),
        (40, "03 0008 0000 003e80 0003e8", None),
        (40, "03 0009 0000 003e80 0003e8 00", Some(AttributeDiscard)),
        (40, "05 0003 0000", Some(AttributeDiscard)),
        (40, "", Some(AttributeDiscard)),
        // With an SRv6 service TLV (RFC 9252).
        (
            40,
            "05 0019 00 01 0015 00 20010db8000100000000000000000000 00 0013 00",
            None,
        ),
        (40, "05 0004 00 01 0009", Some(TreatAsWithdraw)),
        // ATTR_SET (RFC 6368).
        (128, "0000fc01 40010100", None),
        (128, "0000fc01 400102", Some(TreatAsWithdraw)),
    ] {
        let mut attributes = base(AttributeCode(code), false);
        attributes.push(attribute(0xc0, code, &unhex(value)));
        let outcome = decode_body(&body(&[], &attributes, &PREFIX), &CodecContext::default());
        assert_eq!(outcome.result, Ok(()));
        let found = outcome.faults.first().map(|fault| fault.disposition);
        assert_eq!(found, expected, "{code} {value}");
        let withdraws = outcome.batch.events == [withdrawn_prefix()];
        assert_eq!(
            withdraws,
            expected == Some(TreatAsWithdraw),
            "{code} {value}"
        );
        let passed_on = outcome
            .batch
            .attributes
            .iter()
            .any(|set| set.raw().any(|raw| raw.code.0 == code));
        assert_eq!(passed_on, expected.is_none(), "{code} {value}");
    }
}

/// RFC 9774 section 3.
#[test]
fn routes_with_sets_in_their_path_are_withdrawn() {
    let decode = |path: &str, as4_path: Option<&str>| {
        let two_octet_as = as4_path.is_some();
        let mut attributes = base(AttributeCode::AS_PATH, two_octet_as);
        attributes.push(attribute(0x40, 2, &unhex(path)));
        attributes.extend(as4_path.map(|path| attribute(0xc0, 17, &unhex(path))));
        let ctx = CodecContext {
            four_octet_as: !two_octet_as,
            ..CodecContext::default()
        };
        let outcome = decode_body(&body(&[], &attributes, &PREFIX), &ctx);
        let withdraws = outcome.batch.events == [withdrawn_prefix()];
        let faults: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
        (withdraws, faults.join(", "))
    };
    for (path, as4_path, name) in [
        ("02 01 0000fc01 01 01 0000fc02", None, "AS_PATH: AS_SET"),
        ("01 02 0000fc01 0000fc02", None, "AS_PATH: AS_SET"),
        ("04 01 0000fc01", None, "AS_PATH: AS_CONFED_SET"),
        (
            "02 01 0113 01 01 fc01",
            Some("02 01 0000fc01"),
            "AS_PATH: AS_SET",
        ),
        (
            "02 02 0113 5ba0",
            Some("01 01 00011170"),
            "AS4_PATH: AS_SET",
        ),
    ] {
        let (withdraws, faults) = decode(path, as4_path);
        assert!(withdraws, "{path}");
        assert!(
            faults.starts_with(&format!("in {name} in the path at byte ")),
            "{faults}"
        );
    }
    assert_eq!(decode("02 01 0000fc01", None), (false, String::new()));
    assert_eq!(
        decode("02 02 0113 5ba0", Some("02 01 00011170")),
        (false, String::new())
    );
}

/// RFC 7607: AS 0 in AS4_AGGREGATOR does not count, and neither does what it would say otherwise.
#[test]
fn an_as4_aggregator_of_nobody_does_not_count() {
    let ctx = CodecContext {
        four_octet_as: false,
        ..CodecContext::default()
    };
    for (aggregator, asn, path) in [
        ("5ba0 c0000201", 23456, "275 70000"),
        ("0113 c0000201", 275, "275 70000"),
    ] {
        let mut attributes = base(AttributeCode::AS_PATH, true);
        attributes.push(attribute(0x40, 2, &unhex("02 02 0113 5ba0")));
        attributes.push(attribute(0xc0, 7, &unhex(aggregator)));
        attributes.push(attribute(0xc0, 17, &unhex("02 01 00011170")));
        attributes.push(attribute(0xc0, 18, &unhex("00000000 c0000202")));
        let outcome = decode_body(&body(&[], &attributes, &PREFIX), &ctx);
        let faults: Vec<_> = outcome.faults.iter().map(|fault| fault.attribute).collect();
        assert_eq!(faults, [Some(AttributeCode::AS4_AGGREGATOR)]);
        let kept = &outcome.batch.attributes[0];
        assert_eq!(kept.as_path().to_string(), path);
        let kept = kept.aggregator().expect("AGGREGATOR is in order");
        assert_eq!(kept.asn.0, asn);
        assert_eq!(kept.router_id.to_string(), "192.0.2.1");
    }
}

/// RFC 6793 section 4.2.3.
#[test]
fn four_octet_numbers_from_a_peer_that_knows_only_two() {
    let ctx = CodecContext {
        four_octet_as: false,
        ..CodecContext::default()
    };
    let attributes = |aggregator: &str| {
        let mut attributes = base(AttributeCode::AS_PATH, true);
        attributes.push(attribute(0x40, 2, &unhex("02 03 0113 5ba0 5ba0")));
        attributes.push(attribute(0xc0, 7, &unhex(aggregator)));
        attributes.push(attribute(0xc0, 17, &unhex("02 02 00011170 00013880")));
        attributes.push(attribute(0xc0, 18, &unhex("00011170 c0000201")));
        body(&[], &attributes, &PREFIX)
    };
    let decode = |body: &[u8]| -> Attributes {
        let outcome = decode_body(body, &ctx);
        assert_eq!(outcome.faults, []);
        outcome.batch.attributes[0].clone()
    };
    let merged = decode(&attributes("5ba0 c0000201"));
    assert_eq!(merged.as_path().to_string(), "275 70000 80000");
    assert_eq!(
        merged.aggregator().map(|aggregator| aggregator.asn.0),
        Some(70000)
    );
    // Aggregated since by a speaker that knows only two octets.
    let outdated = decode(&attributes("0113 c0000201"));
    assert_eq!(outdated.as_path().to_string(), "275 23456 23456");
    assert_eq!(
        outdated.aggregator().map(|aggregator| aggregator.asn.0),
        Some(275)
    );
    assert!(merged.raw().all(|raw| raw.code.0 != 17 && raw.code.0 != 18));
}
