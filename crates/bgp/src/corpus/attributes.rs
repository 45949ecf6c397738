//! Each attribute, spoilt in each way.

use std::net::Ipv4Addr;

use chanter_types::Ipv4Prefix;

use super::Expected::{Discard, Keep, Reset, Withdraw};
use super::{Case, Expected, Spoil, attribute, base, octets, update};
use crate::attributes::{AttributeCode, FLAG_EXTENDED_LENGTH, FLAG_PARTIAL};

/// RFC 4271 section 6.3: the subcodes that the corpus knows.
const MALFORMED_ATTRIBUTE_LIST: Expected = Reset {
    code: 3,
    subcode: 1,
};
const UNRECOGNIZED_WELL_KNOWN: Expected = Reset {
    code: 3,
    subcode: 2,
};
pub(super) const OPTIONAL_ATTRIBUTE_ERROR: Expected = Reset {
    code: 3,
    subcode: 9,
};

/// A kind of attribute: a good value, and what has to come of each way to spoil it.
struct Row {
    code: AttributeCode,
    flags: u8,
    value: &'static str,
    /// An octet short, an octet long, none.
    lengths: [Expected; 3],
    /// The optional flag turned, the transitive flag turned.
    turned: [Expected; 2],
    duplicate: Expected,
}

const fn row(code: AttributeCode, flags: u8, value: &'static str, lengths: [Expected; 3]) -> Row {
    Row {
        code,
        flags,
        value,
        lengths,
        // RFC 7606 section 3 (c) and (g).
        turned: [Withdraw; 2],
        duplicate: Discard,
    }
}

/// RFC 4271 section 6.3: without the optional flag it would be a well-known attribute.
const fn unknown(code: AttributeCode, flags: u8) -> Row {
    Row {
        turned: [UNRECOGNIZED_WELL_KNOWN, Keep],
        ..row(code, flags, "0102", [Keep; 3])
    }
}

/// RFC 7606 section 7, but where another one is named.
const ROWS: [Row; 26] = [
    row(AttributeCode::ORIGIN, 0x40, "00", [Withdraw; 3]),
    row(
        AttributeCode::AS_PATH,
        0x40,
        "02 01 0000fc01",
        [Withdraw, Withdraw, Keep],
    ),
    row(AttributeCode::NEXT_HOP, 0x40, "c0000201", [Withdraw; 3]),
    row(
        AttributeCode::MULTI_EXIT_DISC,
        0x80,
        "00000001",
        [Withdraw; 3],
    ),
    row(AttributeCode::LOCAL_PREF, 0x40, "00000064", [Withdraw; 3]),
    row(
        AttributeCode::ATOMIC_AGGREGATE,
        0x40,
        "",
        [Keep, Discard, Keep],
    ),
    row(
        AttributeCode::AGGREGATOR,
        0xc0,
        "0000fc01 c0000201",
        [Discard; 3],
    ),
    row(
        AttributeCode::COMMUNITIES,
        0xc0,
        "fc000001 fc000002",
        [Withdraw; 3],
    ),
    row(
        AttributeCode::ORIGINATOR_ID,
        0x80,
        "c0000201",
        [Withdraw; 3],
    ),
    row(AttributeCode::CLUSTER_LIST, 0x80, "c0000201", [Withdraw; 3]),
    // RFC 7606 sections 5.3 and 7.11, 7.12; section 3 (g).
    Row {
        duplicate: MALFORMED_ATTRIBUTE_LIST,
        ..row(
            AttributeCode::MP_REACH_NLRI,
            0x80,
            "0019 46 04 c0000201 00 c804 01020304",
            [OPTIONAL_ATTRIBUTE_ERROR; 3],
        )
    },
    Row {
        duplicate: MALFORMED_ATTRIBUTE_LIST,
        ..row(
            AttributeCode::MP_UNREACH_NLRI,
            0x80,
            "0019 46 c804 01020304",
            [OPTIONAL_ATTRIBUTE_ERROR; 3],
        )
    },
    row(
        AttributeCode::EXTENDED_COMMUNITIES,
        0xc0,
        "0002fc0000000001",
        [Withdraw; 3],
    ),
    // RFC 6793 section 6.
    row(
        AttributeCode::AS4_PATH,
        0xc0,
        "02 01 00010000",
        [Discard; 3],
    ),
    row(
        AttributeCode::AS4_AGGREGATOR,
        0xc0,
        "00010000 c0000201",
        [Discard; 3],
    ),
    // RFC 6514 section 5.
    row(
        AttributeCode::PMSI_TUNNEL,
        0xc0,
        "00 06 001388 c0000201",
        [Withdraw; 3],
    ),
    // RFC 9012 section 13.
    row(
        AttributeCode::TUNNEL_ENCAPSULATION,
        0xc0,
        "0008 0004 0802 12b5",
        [Withdraw; 3],
    ),
    row(
        AttributeCode::IPV6_EXTENDED_COMMUNITIES,
        0xc0,
        "0002 20010db8000000000000000000000001 0001",
        [Withdraw; 3],
    ),
    // RFC 7311 section 3.
    row(
        AttributeCode::AIGP,
        0x80,
        "01 000b 0000000000000005",
        [Discard; 3],
    ),
    // RFC 8092 section 6.
    row(
        AttributeCode::LARGE_COMMUNITIES,
        0xc0,
        "00000001 00000002 00000003",
        [Withdraw; 3],
    ),
    // RFC 8205: not negotiated, and not transitive.
    row(AttributeCode::BGPSEC_PATH, 0x80, "0102", [Keep; 3]),
    // RFC 9234 section 5.
    row(
        AttributeCode::ONLY_TO_CUSTOMER,
        0xc0,
        "0000fc01",
        [Withdraw; 3],
    ),
    // RFC 8669 section 6.
    row(
        AttributeCode::PREFIX_SID,
        0xc0,
        "01 0007 00 0000 00000007",
        [Discard; 3],
    ),
    row(
        AttributeCode::ATTR_SET,
        0xc0,
        "0000fc01 40010100",
        [Withdraw; 3],
    ),
    // RFC 4271 section 5: unknown ones, transitive and not.
    unknown(AttributeCode(99), 0xc0),
    unknown(AttributeCode(98), 0x80),
];

/// Values that cannot be.
const VALUES: [(AttributeCode, u8, &str, Expected); 21] = [
    (AttributeCode::ORIGIN, 0x40, "03", Withdraw),
    (AttributeCode::AS_PATH, 0x40, "05 01 0000fc01", Withdraw),
    (AttributeCode::AS_PATH, 0x40, "02 00", Withdraw),
    (AttributeCode::AS_PATH, 0x40, "02 02 0000fc01", Withdraw),
    (AttributeCode::AS_PATH, 0x40, "02 01 00000000", Withdraw),
    (AttributeCode::AS_PATH, 0x40, "01 01 0000fc01", Withdraw),
    (AttributeCode::NEXT_HOP, 0x40, "00000000", Withdraw),
    (AttributeCode::NEXT_HOP, 0x40, "e0000001", Withdraw),
    (AttributeCode::NEXT_HOP, 0x40, "ffffffff", Withdraw),
    (
        AttributeCode::AGGREGATOR,
        0xc0,
        "00000000 c0000201",
        Discard,
    ),
    (
        AttributeCode::PMSI_TUNNEL,
        0xc0,
        "00 03 000000 c0000201",
        Withdraw,
    ),
    (
        AttributeCode::TUNNEL_ENCAPSULATION,
        0xc0,
        "0008 0004 0803 12b5",
        Withdraw,
    ),
    (
        AttributeCode::TUNNEL_ENCAPSULATION,
        0xc0,
        "0008 0004 8000 0200",
        Withdraw,
    ),
    (AttributeCode::AIGP, 0x80, "01 000a 00000000000005", Discard),
    (AttributeCode::AIGP, 0x80, "02 0002", Discard),
    (
        AttributeCode::PREFIX_SID,
        0xc0,
        "01 0006 000000000001",
        Discard,
    ),
    (
        AttributeCode::PREFIX_SID,
        0xc0,
        "03 0009 0000 003e80 0003e8 00",
        Discard,
    ),
    // RFC 9252 section 7.
    (
        AttributeCode::PREFIX_SID,
        0xc0,
        "05 0004 00 01 0009",
        Withdraw,
    ),
    (
        AttributeCode::PREFIX_SID,
        0xc0,
        "06 0005 00 01 0001 00",
        Withdraw,
    ),
    (
        AttributeCode::ATTR_SET,
        0xc0,
        "0000fc01 40010100 40010100",
        Withdraw,
    ),
    (
        AttributeCode::ATTR_SET,
        0xc0,
        "0000fc01 800f03 000101",
        Withdraw,
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut made = Made::default();
    for row in &ROWS {
        made.row(row);
    }
    made.values();
    made.lists();
    made.cases
}

#[derive(Default)]
struct Made {
    cases: Vec<Case>,
}

impl Made {
    fn row(&mut self, row: &Row) {
        let value = octets(row.value);
        let whole = |flags: u8, value: &[u8]| attribute(flags, row.code, value);
        let good = whole(row.flags, &value);
        self.case(row.code, "whole", Spoil::Nothing, &good, Keep);
        let [short, long, empty] = row.lengths;
        if let [kept @ .., _] = value.as_slice() {
            let octets = whole(row.flags, kept);
            self.case(row.code, "truncated", Spoil::Truncated, &octets, short);
        }
        let octets = whole(row.flags, &[&value[..], &[1]].concat());
        self.case(row.code, "over-long", Spoil::OverLong, &octets, long);
        if !value.is_empty() {
            let octets = whole(row.flags, &[]);
            self.case(row.code, "zero-length", Spoil::ZeroLength, &octets, empty);
        }
        // RFC 7606 section 4: the length of all attributes still tells where the NLRI field begins.
        let mut octets = good.clone();
        octets[2] += 1;
        self.case(row.code, "cut off", Spoil::CutOff, &octets, Withdraw);
        let [optional, transitive] = row.turned;
        let octets = whole(row.flags ^ 0x80, &value);
        let how = "with the optional flag turned";
        self.case(row.code, how, Spoil::Flags, &octets, optional);
        let octets = whole(row.flags ^ 0x40, &value);
        let how = "with the transitive flag turned";
        self.case(row.code, how, Spoil::Flags, &octets, transitive);
        let octets = whole(row.flags | FLAG_PARTIAL, &value);
        let how = "with the partial flag";
        self.case(row.code, how, Spoil::Flags, &octets, Keep);
        let mut octets = vec![row.flags | FLAG_EXTENDED_LENGTH, row.code.0, 0];
        octets.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        octets.extend_from_slice(&value);
        let how = "with the length in two octets";
        self.case(row.code, how, Spoil::Flags, &octets, Keep);
        let octets = [&good[..], &good].concat();
        self.case(row.code, "twice", Spoil::Duplicate, &octets, row.duplicate);
        // RFC 6793 section 4.1: with four-octet AS numbers they are not for us.
        if is_for_two_octets(row.code) {
            let how = "between four-octet speakers";
            self.add(row.code, how, Spoil::Value, &good, (Discard, true));
        }
    }

    /// Values that cannot be, of the right length.
    fn values(&mut self) {
        for (code, flags, value, expected) in VALUES {
            let octets = attribute(flags, code, &octets(value));
            let how = format!("of value {value}");
            self.case(code, &how, Spoil::Value, &octets, expected);
        }
    }

    /// What is wrong with the list of attributes.
    fn lists(&mut self) {
        // RFC 7606 section 3 (d).
        for code in [
            AttributeCode::ORIGIN,
            AttributeCode::AS_PATH,
            AttributeCode::NEXT_HOP,
        ] {
            self.case(code, "missing", Spoil::Missing, &[], Withdraw);
        }
        // RFC 7606 section 4: not even flags, type and length.
        let code = AttributeCode::COMMUNITIES;
        for octets in [&[0xc0][..], &[0xc0, 8], &[0xd0, 8, 0]] {
            let how = format!("header cut off after {} octets", octets.len());
            self.case(code, &how, Spoil::CutOff, octets, Withdraw);
        }
        // RFC 4271 section 6.3: fields of which the end is not in the message.
        for (how, at) in [("Withdrawn Routes", 0), ("Total Path Attribute", 2)] {
            let mut update = update(&[], &base(AttributeCode(0), true), &[]);
            let at = crate::message::HEADER_LEN + at;
            update[at..at + 2].copy_from_slice(&[0xff, 0xff]);
            self.cases.push(Case {
                name: format!("{how} Length beyond the message"),
                update,
                spoil: Spoil::CutOff,
                expected: MALFORMED_ATTRIBUTE_LIST,
                attribute: None,
                route: None,
                four_octet_as: true,
            });
        }
    }

    fn case(
        &mut self,
        code: AttributeCode,
        how: &str,
        spoil: Spoil,
        octets: &[u8],
        expected: Expected,
    ) {
        let four_octet_as = !is_for_two_octets(code);
        self.add(code, how, spoil, octets, (expected, four_octet_as));
    }

    /// Adds a message with the attribute as `octets`, behind all others.
    fn add(
        &mut self,
        code: AttributeCode,
        how: &str,
        spoil: Spoil,
        octets: &[u8],
        (expected, four_octet_as): (Expected, bool),
    ) {
        let route = self.route();
        let mut attributes = base(code, four_octet_as);
        attributes.extend_from_slice(octets);
        let [a, b, c, _] = route.addr().octets();
        self.cases.push(Case {
            name: format!("{code} {how}"),
            update: update(&[], &attributes, &[route.len(), a, b, c]),
            spoil,
            expected,
            attribute: Some(code),
            route: Some(route),
            four_octet_as,
        });
    }

    /// A route that no message has had.
    fn route(&self) -> Ipv4Prefix {
        let number = u32::try_from(self.cases.len()).unwrap_or(0);
        let addr = Ipv4Addr::from_bits(0x0a00_0000 | number << 8);
        Ipv4Prefix::new(addr, 24).unwrap_or(Ipv4Prefix::host(addr))
    }
}

fn is_for_two_octets(code: AttributeCode) -> bool {
    matches!(
        code,
        AttributeCode::AS4_PATH | AttributeCode::AS4_AGGREGATOR
    )
}
