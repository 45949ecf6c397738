use super::*;
use crate::FlowAction;

#[test]
fn octets_and_text_agree() {
    for (octets, text) in [
        ([0, 2, 0xfc, 0, 0, 0, 0, 12], "target:64512:12"),
        ([1, 2, 10, 0, 0, 1, 0, 5], "target:10.0.0.1:5"),
        ([2, 2, 0, 1, 0, 0, 0, 5], "target:65536:5"),
        ([2, 2, 0, 0, 0, 7, 0, 5], "target:7L:5"),
        ([0, 3, 0xfc, 0, 0, 0, 0, 1], "origin:64512:1"),
        ([1, 3, 10, 0, 0, 1, 0, 1], "origin:10.0.0.1:1"),
        ([2, 3, 0, 1, 0, 0, 0, 5], "origin:65536:5"),
        ([0, 5, 0, 1, 0, 0, 0, 5], "ospf-domain-id:1:5"),
        ([1, 0x0b, 10, 0, 0, 1, 0, 1], "vrf-route-import:10.0.0.1:1"),
        ([0, 9, 0xfc, 0, 0, 0, 0, 0], "source-as:64512:0"),
        ([0, 0x13, 0xfc, 0, 0, 0, 0, 12], "rt-record:64512:12"),
        ([3, 0x0c, 0, 0, 0, 0, 0, 8], "encap:vxlan"),
        ([3, 0x0c, 0, 0, 0, 0, 0, 99], "encap:99"),
        ([3, 0x0b, 0, 0, 0, 0, 0, 100], "color:100"),
        ([3, 0x0b, 0x40, 0, 0, 0, 0, 100], "color:01:100"),
        ([3, 0x0d, 0, 0, 0, 0, 0, 0], "default-gateway"),
        ([3, 0x14, 0, 0, 0, 7, 0, 0], "hash-order:7"),
        ([3, 6, 0, 0, 0, 1, 5, 1], "ospf-route-type:0.0.0.1:5:1"),
        ([1, 7, 10, 0, 0, 1, 0, 0], "ospf-router-id:10.0.0.1"),
        ([6, 0, 0, 0, 0, 0, 0, 3], "mac-mobility:3"),
        ([6, 0, 1, 0, 0, 0, 0, 0], "mac-mobility:0:sticky"),
        ([6, 1, 0, 0, 0, 0, 3, 0xe8], "esi-label:1000"),
        ([6, 1, 1, 0, 0, 0, 3, 0xe8], "esi-label:1000:single-active"),
        ([6, 2, 2, 0, 0, 0, 0, 1], "es-import:02:00:00:00:00:01"),
        ([6, 3, 2, 0, 0, 0, 0, 1], "router-mac:02:00:00:00:00:01"),
        (
            [0x40, 4, 0xfc, 0, 0x4c, 0xee, 0x6b, 0x28],
            "link-bandwidth:64512:125000000",
        ),
        (
            [0, 4, 0xfc, 0, 0x4c, 0xee, 0x6b, 0x28],
            "link-bandwidth:64512:125000000:transitive",
        ),
    ] {
        check(octets, text);
    }
}

/// RFC 8955 section 7, RFC 8956 section 6.
#[test]
fn flow_actions_have_words() {
    for (octets, text) in [
        ([0x80, 6, 0, 0, 0, 0, 0, 0], "discard"),
        (
            [0x80, 6, 0xfc, 0, 0x46, 0x16, 0, 0],
            "traffic-rate-bytes:64512:9600",
        ),
        (
            [0x80, 0x0c, 0, 0, 0x3f, 0xc0, 0, 0],
            "traffic-rate-packets:0:1.5",
        ),
        ([0x80, 7, 0, 0, 0, 0, 0, 0], "traffic-action:none"),
        ([0x80, 7, 0, 0, 0, 0, 0, 1], "traffic-action:terminal"),
        ([0x80, 7, 0, 0, 0, 0, 0, 2], "traffic-action:sample"),
        (
            [0x80, 7, 0, 0, 0, 0, 0, 3],
            "traffic-action:sample-terminal",
        ),
        ([0x80, 8, 0xfc, 0, 0, 0, 0, 0xa0], "redirect:64512:160"),
        ([0x81, 8, 10, 0, 0, 1, 0, 5], "redirect:10.0.0.1:5"),
        ([0x82, 8, 0, 1, 0, 0, 0, 5], "redirect:65536:5"),
        ([0x80, 9, 0, 0, 0, 0, 0, 46], "traffic-marking:46"),
        ([1, 0x0c, 192, 0, 2, 1, 0, 0], "redirect-to-ip:192.0.2.1"),
        (
            [1, 0x0c, 192, 0, 2, 1, 0, 1],
            "redirect-to-ip:192.0.2.1:copy",
        ),
        ([8, 0, 0, 0, 0, 0, 0, 0], "redirect-to-nexthop"),
        ([8, 0, 0, 0, 0, 0, 0, 1], "redirect-to-nexthop:copy"),
    ] {
        check(octets, text);
        let action: FlowAction = text.parse().unwrap();
        assert_eq!(ExtendedCommunity::from(action), ExtendedCommunity(octets));
        assert_eq!(ExtendedCommunity(octets).as_flow_action(), Some(action));
        assert_eq!(action.to_string(), text);
    }
    assert_eq!(
        "traffic-rate-bytes:0:0".parse(),
        Ok(ExtendedCommunity::from(FlowAction::DISCARD))
    );
}

fn check(octets: [u8; 8], text: &str) {
    let community = ExtendedCommunity(octets);
    assert_eq!(community.to_string(), text);
    assert_eq!(text.parse(), Ok(community));
}

#[test]
fn what_words_do_not_tell_in_full_is_told_in_digits() {
    for octets in [
        [3, 0x0c, 1, 0, 0, 0, 0, 8],
        [3, 0x0b, 0x20, 0, 0, 0, 0, 8],
        [6, 0, 2, 0, 0, 0, 0, 1],
        [6, 9, 0, 0, 0, 0, 0, 1],
        [0x80, 6, 0, 0, 0xc6, 0x16, 0, 0],
        [0x80, 6, 0, 0, 0x7f, 0xc0, 0, 0],
        [0x80, 6, 0, 0, 0x7f, 0x80, 0, 0],
        [0x80, 9, 0, 0, 0, 0, 0, 0x80],
        [0x40, 4, 0, 0, 0x7f, 0xc0, 0, 0],
        [0x40, 4, 0, 0, 0x80, 0, 0, 0],
        [0x90, 1, 2, 3, 4, 5, 6, 7],
    ] {
        let text = ExtendedCommunity(octets).to_string();
        assert_eq!(text, format!("0x{}", Hex(&octets)));
        assert_eq!(text.parse(), Ok(ExtendedCommunity(octets)));
    }
}

#[test]
fn reserved_octets_do_not_hide_a_value() {
    assert_eq!(
        ExtendedCommunity([3, 0x0c, 1, 2, 3, 4, 0, 8]).as_encapsulation(),
        Some(8)
    );
    assert_eq!(
        ExtendedCommunity([6, 0, 3, 9, 0, 0, 0, 1]).as_mac_mobility(),
        Some((true, 1))
    );
    // RFC 8955 section 7.1: a negative rate is zero.
    assert_eq!(
        ExtendedCommunity([0x80, 6, 0, 0, 0xc6, 0x16, 0, 0]).as_flow_action(),
        Some(FlowAction::DISCARD)
    );
}

#[test]
fn other_texts_are_refused_with_the_accepted_form() {
    for bad in [
        "",
        "target",
        "target:1",
        "target:target:1:2",
        "redirect:target:1:2",
        "origin:65536:65536",
        "color:1:100",
        "color:100:1",
        "mac-mobility:sticky",
        "esi-label:16777216",
        "traffic-rate-bytes:1:-5",
        "traffic-rate-bytes:1:nan",
        "traffic-rate-bytes:1:1e9",
        "traffic-marking:64",
        "redirect-to-ip:2001:db8::1",
        "0x00",
        "0x00020000000000000",
    ] {
        let error = bad.parse::<ExtendedCommunity>().unwrap_err();
        assert!(error.to_string().contains("target:64512:1"), "{error}");
    }
}
