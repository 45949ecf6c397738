//! Each kind of NLRI, spoilt in each way.

use super::Expected::{Keep, Reset, Withdraw};
use super::attributes::OPTIONAL_ATTRIBUTE_ERROR;
use super::{Case, Expected, Spoil, attribute, base, octets, update};
use crate::attributes::AttributeCode;
use crate::family::Family;

/// RFC 4271 section 6.3, for the fields that are no attribute.
const INVALID_NETWORK_FIELD: Expected = Reset {
    code: 3,
    subcode: 10,
};
const MALFORMED_ATTRIBUTE_LIST: Expected = Reset {
    code: 3,
    subcode: 1,
};
/// In MP_REACH_NLRI and MP_UNREACH_NLRI, where the next NLRI cannot be found (RFC 7606 section 5.3).
const LOST: Expected = OPTIONAL_ATTRIBUTE_ERROR;

/// A kind of NLRI: a good one, and what has to come of each way to spoil it.
struct Row {
    name: &'static str,
    family: Family,
    good: &'static str,
    spoilt: &'static [(Spoil, &'static str, Expected)],
}

const ROWS: [Row; 16] = [
    // RFC 4760 section 5: a length in bits, and nothing that tells where the next one begins.
    Row {
        name: "IPv4 unicast",
        family: Family::IPV4_UNICAST,
        good: "18 c63364",
        spoilt: &[
            (Spoil::Truncated, "18 c633", LOST),
            (Spoil::OverLong, "21 c633640000", LOST),
            (Spoil::ZeroLength, "00", Keep),
        ],
    },
    Row {
        name: "IPv6 unicast",
        family: Family::IPV6_UNICAST,
        good: "20 20010db8",
        spoilt: &[
            (Spoil::Truncated, "20 20010d", LOST),
            (
                Spoil::OverLong,
                "81 20010db8000000000000000000000001 00",
                LOST,
            ),
            (Spoil::ZeroLength, "00", Keep),
        ],
    },
    // RFC 4364 section 4.3.4, RFC 4659 section 2.
    Row {
        name: "VPN-IPv4",
        family: Family::IPV4_VPN,
        good: "70 000641 00010a0000010005 c63364",
        spoilt: &[
            (Spoil::Truncated, "70 000641 00010a0000010005 c633", LOST),
            (
                Spoil::OverLong,
                "79 000641 00010a0000010005 c633640000",
                LOST,
            ),
            (Spoil::ZeroLength, "00", LOST),
        ],
    },
    Row {
        name: "VPN-IPv6",
        family: Family::IPV6_VPN,
        good: "78 000641 00010a0000010005 20010db8",
        spoilt: &[
            (Spoil::Truncated, "78 000641 00010a0000010005 20010d", LOST),
            (
                Spoil::OverLong,
                "d9 000641 00010a0000010005 20010db8000000000000000000000001 00",
                LOST,
            ),
            (Spoil::ZeroLength, "00", LOST),
        ],
    },
    // RFC 4684 section 4.
    Row {
        name: "route target membership",
        family: Family::IPV4_RTC,
        good: "60 0000fc01 0002fc0100000001",
        spoilt: &[
            (Spoil::Truncated, "60 0000fc01 0002fc01000000", LOST),
            (Spoil::OverLong, "61 0000fc01 0002fc010000000100", LOST),
            (Spoil::ZeroLength, "00", Keep),
            (Spoil::Value, "08 00", Withdraw),
        ],
    },
    // RFC 7432 section 7, RFC 9136: each tells its length (RFC 7606 section 5.4).
    Row {
        name: "Ethernet auto-discovery",
        family: Family::L2VPN_EVPN,
        good: "0119 00010a0000010005 00112233445566778899 00000000 001f41",
        spoilt: &[
            (
                Spoil::Truncated,
                "0118 00010a0000010005 00112233445566778899 00000000 001f",
                Withdraw,
            ),
            (
                Spoil::CutOff,
                "0119 00010a0000010005 00112233445566778899 00000000 001f",
                LOST,
            ),
            (
                Spoil::OverLong,
                "011a 00010a0000010005 00112233445566778899 00000000 001f4100",
                Withdraw,
            ),
            (Spoil::ZeroLength, "0100", Withdraw),
        ],
    },
    Row {
        name: "MAC/IP advertisement",
        family: Family::L2VPN_EVPN,
        good: "0221 00010a0000010005 00000000000000000000 00000000 30 020000000a01 00 001388",
        spoilt: &[
            (
                Spoil::Truncated,
                "0220 00010a0000010005 00000000000000000000 00000000 30 020000000a01 00 0013",
                Withdraw,
            ),
            (
                Spoil::CutOff,
                "0221 00010a0000010005 00000000000000000000 00000000 30 020000000a01 00 0013",
                LOST,
            ),
            (
                Spoil::OverLong,
                "0222 00010a0000010005 00000000000000000000 00000000 30 020000000a01 00 00138800",
                Withdraw,
            ),
            (Spoil::ZeroLength, "0200", Withdraw),
            (
                Spoil::Value,
                "0220 00010a0000010005 00000000000000000000 00000000 28 020000000a 00 001388",
                Withdraw,
            ),
            (
                Spoil::Value,
                "0224 00010a0000010005 00000000000000000000 00000000 30 020000000a01 18 c0a80a 001388",
                Withdraw,
            ),
        ],
    },
    Row {
        name: "inclusive multicast",
        family: Family::L2VPN_EVPN,
        good: "0311 00010a0000010005 00000000 20 0a000001",
        spoilt: &[
            (
                Spoil::Truncated,
                "0310 00010a0000010005 00000000 20 0a0000",
                Withdraw,
            ),
            (
                Spoil::CutOff,
                "0311 00010a0000010005 00000000 20 0a0000",
                LOST,
            ),
            (
                Spoil::OverLong,
                "0312 00010a0000010005 00000000 20 0a00000100",
                Withdraw,
            ),
            (Spoil::ZeroLength, "0300", Withdraw),
            (Spoil::Value, "030d 00010a0000010005 00000000 00", Withdraw),
        ],
    },
    Row {
        name: "Ethernet segment",
        family: Family::L2VPN_EVPN,
        good: "0417 00010a0000010005 00112233445566778899 20 0a000001",
        spoilt: &[
            (
                Spoil::Truncated,
                "0416 00010a0000010005 00112233445566778899 20 0a0000",
                Withdraw,
            ),
            (
                Spoil::CutOff,
                "0417 00010a0000010005 00112233445566778899 20 0a0000",
                LOST,
            ),
            (
                Spoil::OverLong,
                "0418 00010a0000010005 00112233445566778899 20 0a00000100",
                Withdraw,
            ),
            (Spoil::ZeroLength, "0400", Withdraw),
        ],
    },
    Row {
        name: "IP prefix",
        family: Family::L2VPN_EVPN,
        good: "0522 00010a0000010005 00000000000000000000 00000000 18 c6336400 00000000 001388",
        spoilt: &[
            (
                Spoil::Truncated,
                "0521 00010a0000010005 00000000000000000000 00000000 18 c6336400 00000000 0013",
                Withdraw,
            ),
            (
                Spoil::CutOff,
                "0522 00010a0000010005 00000000000000000000 00000000 18 c6336400 00000000 0013",
                LOST,
            ),
            (
                Spoil::OverLong,
                "0523 00010a0000010005 00000000000000000000 00000000 18 c6336400 00000000 00138800",
                Withdraw,
            ),
            (Spoil::ZeroLength, "0500", Withdraw),
            (
                Spoil::Value,
                "0522 00010a0000010005 00000000000000000000 00000000 21 c6336400 00000000 001388",
                Withdraw,
            ),
        ],
    },
    // RFC 7432 section 7.11: types that are not known are not looked into.
    Row {
        name: "EVPN route of another type",
        family: Family::L2VPN_EVPN,
        good: "c804 01020304",
        spoilt: &[
            (Spoil::Truncated, "c803 010203", Keep),
            (Spoil::CutOff, "c804 010203", LOST),
            (Spoil::OverLong, "c805 0102030405", Keep),
            (Spoil::ZeroLength, "c800", Keep),
        ],
    },
    // RFC 8955 section 4, RFC 8956 section 3.
    Row {
        name: "FlowSpec IPv4",
        family: Family::IPV4_FLOWSPEC,
        good: "08 0118c63364 038106",
        spoilt: &FLOWSPEC_V4,
    },
    Row {
        name: "FlowSpec IPv6",
        family: Family::IPV6_FLOWSPEC,
        good: "0a 01200020010db8 038106",
        spoilt: &[
            (Spoil::Truncated, "09 01200020010db8 0381", Withdraw),
            (Spoil::CutOff, "0a 01200020010db8 0381", LOST),
            (Spoil::OverLong, "0b 01200020010db8 038106 ff", Withdraw),
            (Spoil::ZeroLength, "00", Withdraw),
            (Spoil::Value, "07 01810020010db8", Withdraw),
        ],
    },
    Row {
        name: "FlowSpec VPN-IPv4",
        family: Family::IPV4_FLOWSPEC_VPN,
        good: "10 00010a0000010005 0118c63364 038106",
        spoilt: &[
            (
                Spoil::Truncated,
                "0f 00010a0000010005 0118c63364 0381",
                Withdraw,
            ),
            (Spoil::CutOff, "10 00010a0000010005 0118c63364 0381", LOST),
            (
                Spoil::OverLong,
                "11 00010a0000010005 0118c63364 038106 ff",
                Withdraw,
            ),
            (Spoil::ZeroLength, "00", Withdraw),
        ],
    },
    Row {
        name: "FlowSpec VPN-IPv6",
        family: Family::IPV6_FLOWSPEC_VPN,
        good: "12 00010a0000010005 01200020010db8 038106",
        spoilt: &[
            (
                Spoil::Truncated,
                "11 00010a0000010005 01200020010db8 0381",
                Withdraw,
            ),
            (
                Spoil::CutOff,
                "12 00010a0000010005 01200020010db8 0381",
                LOST,
            ),
            (
                Spoil::OverLong,
                "13 00010a0000010005 01200020010db8 038106 ff",
                Withdraw,
            ),
            (Spoil::ZeroLength, "00", Withdraw),
        ],
    },
    // The length in two octets (RFC 8955 section 4.1).
    Row {
        name: "FlowSpec with a long length",
        family: Family::IPV4_FLOWSPEC,
        good: "f008 0118c63364 038106",
        spoilt: &[
            (Spoil::CutOff, "f009 0118c63364 038106", LOST),
            (Spoil::CutOff, "f0", LOST),
            (Spoil::ZeroLength, "f000", Withdraw),
        ],
    },
];

const FLOWSPEC_V4: [(Spoil, &str, Expected); 7] = [
    (Spoil::Truncated, "07 0118c63364 0381", Withdraw),
    (Spoil::CutOff, "08 0118c63364 0381", LOST),
    (Spoil::OverLong, "09 0118c63364 038106 ff", Withdraw),
    (Spoil::ZeroLength, "00", Withdraw),
    // A prefix that is too long, components out of order, a component twice.
    (Spoil::Value, "07 0121c633640000", Withdraw),
    (Spoil::Value, "08 038106 0118c63364", Withdraw),
    (Spoil::Duplicate, "06 038106 038106", Withdraw),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in &ROWS {
        let good = octets(row.good);
        let twice = [&good[..], &good].concat();
        both(row, "whole", Spoil::Nothing, &good, Keep, &mut cases);
        both(row, "twice", Spoil::Duplicate, &twice, Keep, &mut cases);
        for (spoil, digits, expected) in row.spoilt {
            let how = format!("{spoil:?} as {digits}");
            both(row, &how, *spoil, &octets(digits), *expected, &mut cases);
        }
        attributes(row, &good, &mut cases);
    }
    classic(&mut cases);
    cases
}

/// In MP_REACH_NLRI and in MP_UNREACH_NLRI.
fn both(
    row: &Row,
    how: &str,
    spoil: Spoil,
    nlri: &[u8],
    expected: Expected,
    cases: &mut Vec<Case>,
) {
    let reach = attribute(
        0x80,
        AttributeCode::MP_REACH_NLRI,
        &mp_reach(row.family, nlri),
    );
    let attributes = [reach, base(AttributeCode::NEXT_HOP, true)].concat();
    let name = format!("{} {how}", row.name);
    let update_reach = update(&[], &attributes, &[]);
    let unreach = attribute(
        0x80,
        AttributeCode::MP_UNREACH_NLRI,
        &mp_unreach(row.family, nlri),
    );
    let update_unreach = update(&[], &unreach, &[]);
    for (update, name, code) in [
        (update_reach, name.clone(), AttributeCode::MP_REACH_NLRI),
        (
            update_unreach,
            format!("withdrawn {name}"),
            AttributeCode::MP_UNREACH_NLRI,
        ),
    ] {
        cases.push(case(name, update, spoil, expected, code));
    }
}

/// The attribute around the NLRI.
fn attributes(row: &Row, good: &[u8], cases: &mut Vec<Case>) {
    let code = AttributeCode::MP_REACH_NLRI;
    let value = mp_reach(row.family, good);
    let whole = attribute(0x80, code, &value);
    let mut bad_next_hop = value.clone();
    bad_next_hop[3] = 3;
    for (how, spoil, octets, expected) in [
        (
            "with the optional flag turned",
            Spoil::Flags,
            attribute(0x00, code, &value),
            Withdraw,
        ),
        (
            "with the transitive flag turned",
            Spoil::Flags,
            attribute(0xc0, code, &value),
            Withdraw,
        ),
        (
            "in two attributes",
            Spoil::Duplicate,
            [&whole[..], &whole].concat(),
            MALFORMED_ATTRIBUTE_LIST,
        ),
        (
            "with a next hop of three octets",
            Spoil::Value,
            attribute(0x80, code, &bad_next_hop),
            LOST,
        ),
        (
            "with the attribute ending in the next hop",
            Spoil::Truncated,
            attribute(0x80, code, &[&value[..3], &[200, 1]].concat()),
            LOST,
        ),
    ] {
        let attributes = [octets, base(AttributeCode::NEXT_HOP, true)].concat();
        let name = format!("{} {how}", row.name);
        cases.push(case(
            name,
            update(&[], &attributes, &[]),
            spoil,
            expected,
            code,
        ));
    }
}

/// The fields of RFC 4271, outside of attributes.
fn classic(cases: &mut Vec<Case>) {
    for (how, spoil, digits, expected) in [
        ("whole", Spoil::Nothing, "18 c63364", Keep),
        ("twice", Spoil::Duplicate, "18 c63364 18 c63364", Keep),
        (
            "truncated",
            Spoil::Truncated,
            "18 c633",
            INVALID_NETWORK_FIELD,
        ),
        (
            "over-long",
            Spoil::OverLong,
            "21 c633640000",
            INVALID_NETWORK_FIELD,
        ),
        ("zero-length", Spoil::ZeroLength, "00", Keep),
    ] {
        let nlri = octets(digits);
        let reach = update(&[], &base(AttributeCode(0), true), &nlri);
        let withdraw = update(&nlri, &[], &[]);
        for (field, update) in [("NLRI", reach), ("Withdrawn Routes", withdraw)] {
            let name = format!("{field} field {how}");
            let none = AttributeCode(0);
            cases.push(case(name, update, spoil, expected, none));
        }
    }
}

fn case(
    name: String,
    update: Vec<u8>,
    spoil: Spoil,
    expected: Expected,
    code: AttributeCode,
) -> Case {
    Case {
        name,
        update,
        spoil,
        expected,
        attribute: Some(code).filter(|code| *code != AttributeCode(0)),
        route: None,
        four_octet_as: true,
    }
}

fn mp_reach(family: Family, nlri: &[u8]) -> Vec<u8> {
    let next_hop = match family {
        Family::IPV6_UNICAST => octets("10 20010db8000000000000000000000001"),
        Family::IPV4_VPN => octets("0c 0000000000000000 c0000201"),
        Family::IPV6_VPN => octets("18 0000000000000000 20010db8000000000000000000000001"),
        family if family.is_flowspec() => vec![0],
        _ => octets("04 c0000201"),
    };
    [&mp_unreach(family, &[])[..], &next_hop, &[0], nlri].concat()
}

fn mp_unreach(family: Family, nlri: &[u8]) -> Vec<u8> {
    let [high, low] = family.afi.to_be_bytes();
    [&[high, low, family.safi][..], nlri].concat()
}
