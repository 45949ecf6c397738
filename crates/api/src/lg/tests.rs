//! Texts and addresses of the tree.

use std::time::{Duration, SystemTime};

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, Family, MacIp, Nlri, PathData, RtMembership,
    encapsulation,
};
use chanter_types::{Asn, EthernetTag, RouteDistinguisher};
use proptest::prelude::*;
use serde_json::json;

use super::node::{Url, descend, percent_decode};
use super::text;

#[test]
fn destinations_read_as_in_the_original() {
    let rd = RouteDistinguisher::from_ipv4([127, 0, 0, 1].into(), 3);
    let mac = "52:54:00:99:99:24".parse().unwrap();
    let ip = Some([10, 0, 0, 6].into());
    let route = |ip| {
        Nlri::Evpn(EvpnNlri::MacIp(MacIp {
            rd,
            tag: EthernetTag(0),
            mac,
            ip,
        }))
    };
    let data = PathData::with_label(1001);
    assert_eq!(
        text::nlri(&route(ip), &data),
        "evpn:macadv::127.0.0.1:3:-:0:52:54:00:99:99:24/48:10.0.0.6: label 62 (1001)"
    );
    assert_eq!(
        text::nlri(&route(None), &data),
        "evpn:macadv::127.0.0.1:3:-:0:52:54:00:99:99:24/48:: label 62 (1001)"
    );
    let membership = RtMembership::new(Asn(64512), "64512:22".parse().unwrap());
    assert_eq!(
        text::nlri(&Nlri::Rtc(membership), &data),
        "rtc 64512:target:64512:22"
    );
    assert_eq!(
        text::nlri(&Nlri::Rtc(RtMembership::DEFAULT), &data),
        "rtc wildcard"
    );
    assert_eq!(text::family(Family::L2VPN_EVPN), "l2vpn/evpn");
    assert_eq!(text::family_pair(Family::IPV4_RTC), "(ipv4, rtc)");
    assert_eq!(text::family(Family { afi: 1, safi: 128 }), "ipv4/mpls-vpn");
}

#[test]
fn attributes_read_as_in_the_original() {
    let communities = vec![
        ExtendedCommunity::route_target("64512:12".parse().unwrap()),
        ExtendedCommunity::encapsulation(encapsulation::MPLS),
        ExtendedCommunity::hash_order(0),
        ExtendedCommunity::encapsulation(77),
        ExtendedCommunity::mac_mobility(true, 3),
    ];
    let attributes = Attributes::builder()
        .med(Some(7))
        .extended_communities(communities)
        .build();
    assert_eq!(
        text::attributes(&attributes),
        json!({
            "extended-community": "[ target:64512:12 encap:MPLS consistentHashSortOrder:0 \
                encap:encap-77 mac-mobility:3:sticky ]",
            "med": "7",
        })
    );
}

#[test]
fn times_have_the_form_of_the_original() {
    let text = text::local_time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert!(text.starts_with("2023-11-1") && text.len() == 19, "{text}");
}

#[test]
fn what_is_not_there_is_named_with_its_place() {
    let root = Url::root("node:8082", "/looking-glass");
    let value = json!({"list": [1], "object": {"member": 7}});
    assert_eq!(
        descend(value.clone(), &root, &["object", "member"]),
        Ok(json!(7))
    );
    for (items, text) in [
        (
            &["nope"][..],
            "'nope' at http://node:8082/looking-glass/nope",
        ),
        (
            &["object", "no pe"],
            "'no pe' at http://node:8082/looking-glass/object/no%20pe",
        ),
        (&["list", "0"], "0 at http://node:8082/looking-glass/list"),
        (
            &["object", "member", "x"],
            "x at http://node:8082/looking-glass/object/member",
        ),
    ] {
        let failure = descend(value.clone(), &root, items).unwrap_err();
        assert_eq!(failure.status, 404);
        assert_eq!(
            failure.text,
            format!("No such looking glass object: {text}")
        );
    }
}

proptest! {
    /// An href leads back to the item that it was made for.
    #[test]
    fn path_items_survive_their_encoding(item in "\\PC{1,20}") {
        let href = Url::root("h", "").href(&item);
        let encoded = href["href"].as_str().unwrap().strip_prefix("http://h/").unwrap().to_owned();
        prop_assert!(!encoded.contains('/') && !encoded.contains('?') && !encoded.contains('#'));
        prop_assert_eq!(percent_decode(&encoded), item);
    }
}
