//! Every type prints what it parses, and says what it accepts when it refuses.

use std::net::Ipv4Addr;

use chanter_types::{
    Esi, IfName, Ipv4Prefix, Ipv6Prefix, MacAddr, Prefix, RouteDistinguisher, RouteTarget, Vni,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn mac_round_trips(octets: [u8; 6]) {
        let mac = MacAddr(octets);
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn esi_round_trips(octets: [u8; 10]) {
        prop_assert_eq!(Esi(octets).to_string().parse(), Ok(Esi(octets)));
    }

    #[test]
    fn route_distinguisher_round_trips(kind in 0u8..4, rest: [u8; 6]) {
        let [a, b, c, d, e, f] = rest;
        let rd = RouteDistinguisher([0, kind, a, b, c, d, e, f]);
        prop_assert_eq!(rd.to_string().parse(), Ok(rd));
    }

    #[test]
    fn route_target_round_trips(kind in 0u8..3, rest: [u8; 6]) {
        let [a, b, c, d, e, f] = rest;
        let rt = RouteTarget::from_extended_community([kind, 2, a, b, c, d, e, f]);
        let rt = rt.expect("sub-type 2 is a route target");
        prop_assert_eq!(rt.to_string().parse(), Ok(rt));
    }

    #[test]
    fn prefixes_round_trip_with_host_bits_cleared(addr: u32, addr6: u128, len in 0u8..=32, len6 in 0u8..=128) {
        let prefix = Ipv4Prefix::new(addr.into(), len).expect("the length is in range");
        prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        prop_assert!(prefix.contains(addr.into()));
        let prefix = Ipv6Prefix::new(addr6.into(), len6).expect("the length is in range");
        prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        prop_assert!(prefix.contains(addr6.into()));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        let _ = text.parse::<MacAddr>();
        let _ = text.parse::<Prefix>();
        let _ = text.parse::<RouteTarget>();
        let _ = text.parse::<RouteDistinguisher>();
        let _ = text.parse::<IfName>();
        let _ = text.parse::<Esi>();
    }
}

#[test]
fn a_refusal_names_the_text_and_the_form() {
    let error = "64512".parse::<RouteTarget>().expect_err("no colon");
    assert_eq!(
        error.to_string(),
        "`64512` is not a route target: expected AS:NUMBER or IPV4:NUMBER such as 64512:100 or 192.0.2.1:100"
    );
}

#[test]
fn route_targets_know_their_type() {
    let two: RouteTarget = "64512:1".parse().expect("two-octet AS");
    let four: RouteTarget = "64512L:1".parse().expect("four-octet AS");
    assert_ne!(two, four);
    assert_eq!(two, RouteTarget::from_as2(64512, 1));
    assert_eq!(four, RouteTarget::from_as4(64512, 1));
    assert_eq!(
        "target:192.0.2.1:7".parse(),
        Ok(RouteTarget::from_ipv4(Ipv4Addr::new(192, 0, 2, 1), 7))
    );
    assert!("192.0.2.1:65536".parse::<RouteTarget>().is_err());
    assert!("4200000000:65536".parse::<RouteTarget>().is_err());
}

#[test]
fn prefixes_with_host_bits_or_long_masks_are_refused() {
    for text in [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "2001:db8::1/32",
        "::/129",
        "10.0.0.0/-1",
        "x/8",
    ] {
        assert!(text.parse::<Prefix>().is_err(), "{text}");
    }
    assert_eq!(
        "10.0.0.1".parse::<Prefix>().expect("a host").to_string(),
        "10.0.0.1/32"
    );
}

#[test]
fn vni_zero_is_none() {
    assert!(Vni::new(0).is_none());
    assert!(Vni::new(1 << 24).is_none());
    assert!("16777215".parse::<Vni>().is_ok());
}

#[test]
fn device_names_are_those_of_the_kernel() {
    for bad in ["", ".", "..", "a/b", "a b", "a:b", "sixteen-octets-x"] {
        assert!(bad.parse::<IfName>().is_err(), "{bad}");
    }
    assert!("evpn---0123abcd".parse::<IfName>().is_ok());
}
