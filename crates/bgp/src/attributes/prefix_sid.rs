//! The Prefix-SID attribute (RFC 8669) with the SRv6 service TLVs (RFC 9252).

use std::fmt;
use std::net::Ipv6Addr;

use crate::reader::Reader;
use crate::text::Hex;

/// A Prefix-SID attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PrefixSid {
    /// Its TLVs, in the order of the attribute.
    pub tlvs: Vec<PrefixSidTlv>,
}

/// A TLV of the Prefix-SID attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PrefixSidTlv {
    /// Label-Index (RFC 8669 section 3.1).
    LabelIndex {
        /// The flags; none is defined.
        flags: u16,
        /// The index in the SRGB.
        index: u32,
    },
    /// Originator SRGB (RFC 8669 section 3.2): base and size of each range.
    OriginatorSrgb {
        /// The flags; none is defined.
        flags: u16,
        /// Base and size, three octets each.
        ranges: Vec<(u32, u32)>,
    },
    /// SRv6 L3 Service (RFC 9252 section 2).
    Srv6L3Service(Srv6Service),
    /// SRv6 L2 Service (RFC 9252 section 2).
    Srv6L2Service(Srv6Service),
    /// Another one.
    Other {
        /// The type.
        kind: u8,
        /// The value.
        value: Box<[u8]>,
    },
}

/// A service that SIDs lead to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Srv6Service {
    /// The SIDs.
    pub sids: Vec<Srv6Sid>,
}

/// An SRv6 SID Information sub-TLV (RFC 9252 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Srv6Sid {
    /// The SID.
    pub sid: Ipv6Addr,
    /// The flags; none is defined.
    pub flags: u8,
    /// The endpoint behaviour (IANA "SRv6 Endpoint Behaviors").
    pub behavior: u16,
    /// How the SID is divided.
    pub structure: Option<SidStructure>,
}

/// The lengths of a SID's parts in bits (RFC 9252 section 3.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SidStructure {
    /// The locator's block.
    pub locator_block: u8,
    /// The locator's node.
    pub locator_node: u8,
    /// The function.
    pub function: u8,
    /// The argument.
    pub argument: u8,
    /// The bits that stand in the label field of the NLRI.
    pub transposition_len: u8,
    /// Where those bits belong.
    pub transposition_offset: u8,
}

/// Why a Prefix-SID attribute is malformed, which decides what is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrefixSidError {
    /// A TLV of RFC 8669, or the list of TLVs: attribute-discard (RFC 8669 section 6).
    Tlv,
    /// An SRv6 service TLV: treat-as-withdraw (RFC 9252 section 7).
    Service,
}

const LABEL_INDEX: u8 = 1;
const ORIGINATOR_SRGB: u8 = 3;
const SRV6_L3_SERVICE: u8 = 5;
const SRV6_L2_SERVICE: u8 = 6;
const SID_INFORMATION: u8 = 1;
const SID_STRUCTURE: u8 = 1;

impl PrefixSid {
    /// The attribute's value.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, PrefixSidError> {
        let mut reader = Reader::new(value, 0);
        let mut tlvs = Vec::new();
        while !reader.is_empty() {
            let (kind, value) = tlv(&mut reader).ok_or(PrefixSidError::Tlv)?;
            tlvs.push(PrefixSidTlv::decode(kind, value)?);
        }
        if tlvs.is_empty() {
            return Err(PrefixSidError::Tlv);
        }
        Ok(Self { tlvs })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for tlv in &self.tlvs {
            let (kind, value) = tlv.parts();
            push_tlv(kind, &value, out);
        }
    }

    /// The SIDs of all SRv6 services, with whether the service is of layer 3.
    pub fn srv6_sids(&self) -> impl Iterator<Item = (bool, &Srv6Sid)> {
        self.tlvs.iter().flat_map(|tlv| {
            let (is_l3, service) = match tlv {
                PrefixSidTlv::Srv6L3Service(service) => (true, Some(service)),
                PrefixSidTlv::Srv6L2Service(service) => (false, Some(service)),
                _ => (false, None),
            };
            let sids = service.map_or(&[][..], |service| &service.sids);
            sids.iter().map(move |sid| (is_l3, sid))
        })
    }
}

/// Type, length of two octets, value: at all three levels.
fn tlv<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let kind = reader.u8()?;
    let len = usize::from(reader.u16()?);
    Some((kind, reader.bytes(len)?))
}

fn push_tlv(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend(len.to_be_bytes());
    out.extend(value.iter().take(usize::from(len)));
}

impl PrefixSidTlv {
    fn decode(kind: u8, value: &[u8]) -> Result<Self, PrefixSidError> {
        let service = |value| Srv6Service::decode(value).ok_or(PrefixSidError::Service);
        match kind {
            LABEL_INDEX => match *value {
                [_, a, b, c, d, e, f] => Ok(Self::LabelIndex {
                    flags: u16::from_be_bytes([a, b]),
                    index: u32::from_be_bytes([c, d, e, f]),
                }),
                _ => Err(PrefixSidError::Tlv),
            },
            ORIGINATOR_SRGB => match value.split_first_chunk() {
                Some((flags, ranges)) if !ranges.is_empty() && ranges.len().is_multiple_of(6) => {
                    let range = |&[a, b, c, d, e, f]: &[u8; 6]| {
                        let number = |a, b, c| u32::from_be_bytes([0, a, b, c]);
                        (number(a, b, c), number(d, e, f))
                    };
                    Ok(Self::OriginatorSrgb {
                        flags: u16::from_be_bytes(*flags),
                        ranges: ranges.as_chunks().0.iter().map(range).collect(),
                    })
                }
                _ => Err(PrefixSidError::Tlv),
            },
            SRV6_L3_SERVICE => service(value).map(Self::Srv6L3Service),
            SRV6_L2_SERVICE => service(value).map(Self::Srv6L2Service),
            _ => Ok(Self::Other {
                kind,
                value: value.into(),
            }),
        }
    }

    fn parts(&self) -> (u8, Vec<u8>) {
        match self {
            Self::LabelIndex { flags, index } => {
                let ([a, b], [c, d, e, f]) = (flags.to_be_bytes(), index.to_be_bytes());
                (LABEL_INDEX, vec![0, a, b, c, d, e, f])
            }
            Self::OriginatorSrgb { flags, ranges } => {
                let mut value = flags.to_be_bytes().to_vec();
                for number in ranges.iter().flat_map(|(base, size)| [base, size]) {
                    let [_, a, b, c] = number.to_be_bytes();
                    value.extend([a, b, c]);
                }
                (ORIGINATOR_SRGB, value)
            }
            Self::Srv6L3Service(service) => (SRV6_L3_SERVICE, service.value()),
            Self::Srv6L2Service(service) => (SRV6_L2_SERVICE, service.value()),
            Self::Other { kind, value } => (*kind, value.to_vec()),
        }
    }
}

impl Srv6Service {
    /// A reserved octet, then sub-TLVs; those of unknown types are left out.
    fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value, 0);
        reader.u8()?;
        let mut sids = Vec::new();
        while !reader.is_empty() {
            let (kind, value) = tlv(&mut reader)?;
            if kind == SID_INFORMATION {
                sids.push(Srv6Sid::decode(value)?);
            }
        }
        Some(Self { sids })
    }

    fn value(&self) -> Vec<u8> {
        let mut out = vec![0];
        for sid in &self.sids {
            push_tlv(SID_INFORMATION, &sid.value(), &mut out);
        }
        out
    }
}

impl Srv6Sid {
    fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value, 0);
        let [_reserved] = reader.array()?;
        let sid = Ipv6Addr::from(reader.array::<16>()?);
        let flags = reader.u8()?;
        let behavior = reader.u16()?;
        let [_reserved] = reader.array()?;
        let mut structure = None;
        while !reader.is_empty() {
            let (kind, value) = tlv(&mut reader)?;
            if kind == SID_STRUCTURE && structure.is_none() {
                structure = Some(SidStructure::decode(value)?);
            }
        }
        Some(Self {
            sid,
            flags,
            behavior,
            structure,
        })
    }

    fn value(&self) -> Vec<u8> {
        let mut out = vec![0];
        out.extend(self.sid.octets());
        out.push(self.flags);
        out.extend(self.behavior.to_be_bytes());
        out.push(0);
        if let Some(structure) = self.structure {
            push_tlv(SID_STRUCTURE, &structure.octets(), &mut out);
        }
        out
    }
}

impl SidStructure {
    fn decode(value: &[u8]) -> Option<Self> {
        let &[
            locator_block,
            locator_node,
            function,
            argument,
            transposition_len,
            transposition_offset,
        ] = value
        else {
            return None;
        };
        Some(Self {
            locator_block,
            locator_node,
            function,
            argument,
            transposition_len,
            transposition_offset,
        })
    }

    fn octets(self) -> [u8; 6] {
        [
            self.locator_block,
            self.locator_node,
            self.function,
            self.argument,
            self.transposition_len,
            self.transposition_offset,
        ]
    }
}

/// Endpoint behaviours of services (RFC 8986 section 10.2.2).
const BEHAVIORS: [(u16, &str); 9] = [
    (16, "End.DX6"),
    (17, "End.DX4"),
    (18, "End.DT6"),
    (19, "End.DT4"),
    (20, "End.DT46"),
    (21, "End.DX2"),
    (22, "End.DX2V"),
    (23, "End.DT2U"),
    (24, "End.DT2M"),
];

impl fmt::Display for PrefixSid {
    /// `label-index 7, srv6-l3 2001:db8:1:: End.DT4 structure 40,24,16,0,16,64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tlv) in self.tlvs.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            match tlv {
                PrefixSidTlv::LabelIndex { index, .. } => write!(f, "label-index {index}")?,
                PrefixSidTlv::OriginatorSrgb { ranges, .. } => {
                    f.write_str("originator-srgb")?;
                    for (base, size) in ranges {
                        write!(f, " {base}+{size}")?;
                    }
                }
                PrefixSidTlv::Srv6L3Service(service) => write!(f, "srv6-l3{service}")?,
                PrefixSidTlv::Srv6L2Service(service) => write!(f, "srv6-l2{service}")?,
                PrefixSidTlv::Other { kind, value } => write!(f, "tlv {kind} 0x{}", Hex(value))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Srv6Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sid in &self.sids {
            write!(f, " {}", sid.sid)?;
            match BEHAVIORS.iter().find(|(code, _)| *code == sid.behavior) {
                Some((_, name)) => write!(f, " {name}")?,
                None => write!(f, " behavior 0x{:04x}", sid.behavior)?,
            }
            if let Some(structure) = sid.structure {
                let parts = structure.octets().map(|length| length.to_string());
                write!(f, " structure {}", parts.join(","))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_hex;

    fn octets(digits: &str) -> Vec<u8> {
        parse_hex(&digits.replace(' ', "")).unwrap()
    }

    #[test]
    fn tlvs_are_read_written_and_told() {
        for (digits, text) in [
            ("01 0007 00 0000 00000007", "label-index 7"),
            (
                "01 0007 00 0000 00000007 03 0008 0000 003e80 0003e8",
                "label-index 7; originator-srgb 16000+1000",
            ),
            (
                "05 0022 00 01 001e 00 20010db8000100000000000000000000 00 0013 00 \
                 01 0006 281810001040",
                "srv6-l3 2001:db8:1:: End.DT4 structure 40,24,16,0,16,64",
            ),
            (
                "06 0019 00 01 0015 00 20010db8000100000000000000000000 00 ffff 00",
                "srv6-l2 2001:db8:1:: behavior 0xffff",
            ),
            ("07 0002 0102", "tlv 7 0x0102"),
        ] {
            let octets = octets(digits);
            let sid = PrefixSid::decode(&octets).unwrap();
            assert_eq!(sid.to_string(), text);
            let mut out = Vec::new();
            sid.encode(&mut out);
            assert_eq!(out, octets);
        }
    }

    #[test]
    fn what_is_wrong_decides_what_is_done() {
        for (digits, error) in [
            ("", PrefixSidError::Tlv),
            ("01", PrefixSidError::Tlv),
            ("01 0006 000000000001", PrefixSidError::Tlv),
            ("03 0009 0000 003e80 0003e8 00", PrefixSidError::Tlv),
            ("03 0002 0000", PrefixSidError::Tlv),
            ("05 0003 0000", PrefixSidError::Tlv),
            ("05 0000", PrefixSidError::Service),
            ("05 0002 00 01", PrefixSidError::Service),
            ("05 0005 00 01 0001 00", PrefixSidError::Service),
            ("06 0004 00 01 0009", PrefixSidError::Service),
            (
                "05 0021 00 01 001d 00 20010db8000100000000000000000000 00 0013 00 \
                 01 0005 2818100010",
                PrefixSidError::Service,
            ),
        ] {
            assert_eq!(PrefixSid::decode(&octets(digits)), Err(error), "{digits}");
        }
    }
}
