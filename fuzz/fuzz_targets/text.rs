//! Texts of users and configuration files. What parses prints as a text that parses to the same.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    round_trip::<chanter_types::Asn>(text);
    round_trip::<chanter_types::Esi>(text);
    round_trip::<chanter_types::IfName>(text);
    round_trip::<chanter_types::Ipv4Prefix>(text);
    round_trip::<chanter_types::Ipv6Prefix>(text);
    round_trip::<chanter_types::MacAddr>(text);
    round_trip::<chanter_types::Prefix>(text);
    round_trip::<chanter_types::RouteDistinguisher>(text);
    round_trip::<chanter_types::RouteTarget>(text);
    round_trip::<chanter_types::Vni>(text);
    round_trip::<chanter_bgp::Community>(text);
    round_trip::<chanter_bgp::ExtendedCommunity>(text);
    round_trip::<chanter_bgp::Family>(text);
    round_trip::<chanter_bgp::FlowAction>(text);
    round_trip::<chanter_bgp::Ipv6ExtendedCommunity>(text);
    round_trip::<chanter_bgp::LargeCommunity>(text);
    round_trip::<chanter_bgp::FlowSpecNlri>(text);
    round_trip::<chanter_bgp::Nlri>(text);
    round_trip::<chanter_bgp::RtMembership>(text);
});

fn round_trip<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        assert!(
            printed.parse::<T>().is_ok_and(|again| again == value),
            "{text:?} {printed:?}"
        );
    }
}
