//! The Tunnel Encapsulation attribute (RFC 9012).

use std::fmt;
use std::net::IpAddr;

use chanter_types::MacAddr;

use crate::extended_community::{ExtendedCommunity, encapsulation};
use crate::reader::Reader;
use crate::text::Hex;

/// The tunnels that lead to a destination, any of which may be taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TunnelEncapsulation {
    /// The tunnels, in the order of the attribute.
    pub tunnels: Vec<Tunnel>,
}

/// A tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// The tunnel type; see [`encapsulation`].
    pub tunnel_type: u16,
    /// What is told of it.
    pub sub_tlvs: Vec<TunnelSubTlv>,
}

/// What is told of a tunnel (RFC 9012 section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TunnelSubTlv {
    /// Tunnel Egress Endpoint; `None`: the next hop of the route.
    EgressEndpoint(Option<IpAddr>),
    /// Encapsulation of VXLAN and of NVGRE.
    VirtualNetwork {
        /// The VNI or VSID.
        vni: Option<u32>,
        /// The inner destination MAC.
        mac: Option<MacAddr>,
    },
    /// Encapsulation of GRE and of MPLS in GRE: the key.
    GreKey(u32),
    /// Protocol Type: the EtherType of the payload.
    ProtocolType(u16),
    /// Color.
    Color(u32),
    /// UDP Destination Port.
    UdpDestinationPort(u16),
    /// Another one, or one that is not of the form that its type has.
    Other {
        /// The type.
        kind: u8,
        /// The value.
        value: Box<[u8]>,
    },
}

const ENCAPSULATION: u8 = 1;
const PROTOCOL_TYPE: u8 = 2;
const COLOR: u8 = 4;
const EGRESS_ENDPOINT: u8 = 6;
const UDP_DESTINATION_PORT: u8 = 8;
/// From this type on a sub-TLV has a length of two octets.
const LONG: u8 = 128;

impl TunnelEncapsulation {
    /// The attribute's value; `None` if it is malformed (RFC 9012 section 13).
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value, 0);
        let mut tunnels = Vec::new();
        while !reader.is_empty() {
            let (tunnel_type, mut rest) = tunnel(&mut reader)?;
            let mut sub_tlvs = Vec::new();
            while !rest.is_empty() {
                let (kind, value) = sub_tlv(&mut rest)?;
                sub_tlvs.push(TunnelSubTlv::decode(tunnel_type, kind, value));
            }
            tunnels.push(Tunnel {
                tunnel_type,
                sub_tlvs,
            });
        }
        (!tunnels.is_empty()).then_some(Self { tunnels })
    }

    /// Whether [`Self::decode`] would give something, without the work.
    pub(crate) fn is_well_formed(value: &[u8]) -> bool {
        let mut reader = Reader::new(value, 0);
        while !reader.is_empty() {
            let Some((_, mut rest)) = tunnel(&mut reader) else {
                return false;
            };
            while !rest.is_empty() {
                if sub_tlv(&mut rest).is_none() {
                    return false;
                }
            }
        }
        !value.is_empty()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for tunnel in &self.tunnels {
            out.extend(tunnel.tunnel_type.to_be_bytes());
            let at = out.len();
            out.extend([0, 0]);
            for sub_tlv in &tunnel.sub_tlvs {
                sub_tlv.encode(out);
            }
            let len = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
            out[at..at + 2].copy_from_slice(&len.to_be_bytes());
        }
    }
}

fn tunnel<'a>(reader: &mut Reader<'a>) -> Option<(u16, Reader<'a>)> {
    let tunnel_type = reader.u16()?;
    let len = usize::from(reader.u16()?);
    Some((tunnel_type, reader.sub(len)?))
}

fn sub_tlv<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let kind = reader.u8()?;
    let len = if kind < LONG {
        usize::from(reader.u8()?)
    } else {
        usize::from(reader.u16()?)
    };
    Some((kind, reader.bytes(len)?))
}

impl TunnelSubTlv {
    fn decode(tunnel_type: u16, kind: u8, value: &[u8]) -> Self {
        Self::typed(tunnel_type, kind, value)
            .filter(|typed| typed.value() == value)
            .unwrap_or_else(|| Self::Other {
                kind,
                value: value.into(),
            })
    }

    fn typed(tunnel_type: u16, kind: u8, value: &[u8]) -> Option<Self> {
        Some(match (kind, value) {
            (EGRESS_ENDPOINT, [_, _, _, _, 0, 0]) => Self::EgressEndpoint(None),
            (EGRESS_ENDPOINT, [_, _, _, _, 0, 1, addr @ ..]) => {
                Self::EgressEndpoint(Some(<[u8; 4]>::try_from(addr).ok()?.into()))
            }
            (EGRESS_ENDPOINT, [_, _, _, _, 0, 2, addr @ ..]) => {
                Self::EgressEndpoint(Some(<[u8; 16]>::try_from(addr).ok()?.into()))
            }
            (ENCAPSULATION, [flags, a, b, c, d, e, f, g, h, i, _, _])
                if matches!(tunnel_type, encapsulation::VXLAN | encapsulation::NVGRE) =>
            {
                Self::VirtualNetwork {
                    vni: (flags & 0x80 != 0).then(|| u32::from_be_bytes([0, *a, *b, *c])),
                    mac: (flags & 0x40 != 0).then_some(MacAddr([*d, *e, *f, *g, *h, *i])),
                }
            }
            (ENCAPSULATION, [a, b, c, d])
                if matches!(tunnel_type, encapsulation::GRE | encapsulation::MPLS_IN_GRE) =>
            {
                Self::GreKey(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            (PROTOCOL_TYPE, [a, b]) => Self::ProtocolType(u16::from_be_bytes([*a, *b])),
            (COLOR, value) => {
                let community = ExtendedCommunity(value.try_into().ok()?);
                Self::Color(community.as_color()?)
            }
            (UDP_DESTINATION_PORT, [a, b]) => {
                Self::UdpDestinationPort(u16::from_be_bytes([*a, *b]))
            }
            _ => return None,
        })
    }

    fn kind(&self) -> u8 {
        match self {
            Self::EgressEndpoint(_) => EGRESS_ENDPOINT,
            Self::VirtualNetwork { .. } | Self::GreKey(_) => ENCAPSULATION,
            Self::ProtocolType(_) => PROTOCOL_TYPE,
            Self::Color(_) => COLOR,
            Self::UdpDestinationPort(_) => UDP_DESTINATION_PORT,
            Self::Other { kind, .. } => *kind,
        }
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::EgressEndpoint(None) => vec![0; 6],
            Self::EgressEndpoint(Some(IpAddr::V4(addr))) => {
                [&[0, 0, 0, 0, 0, 1][..], &addr.octets()].concat()
            }
            Self::EgressEndpoint(Some(IpAddr::V6(addr))) => {
                [&[0, 0, 0, 0, 0, 2][..], &addr.octets()].concat()
            }
            Self::VirtualNetwork { vni, mac } => {
                let flags = u8::from(vni.is_some()) << 7 | u8::from(mac.is_some()) << 6;
                let [_, a, b, c] = vni.unwrap_or(0).to_be_bytes();
                let MacAddr([d, e, f, g, h, i]) = mac.unwrap_or(MacAddr([0; 6]));
                vec![flags, a, b, c, d, e, f, g, h, i, 0, 0]
            }
            Self::GreKey(key) => key.to_be_bytes().to_vec(),
            Self::ProtocolType(number) | Self::UdpDestinationPort(number) => {
                number.to_be_bytes().to_vec()
            }
            Self::Color(color) => ExtendedCommunity::color(*color).0.to_vec(),
            Self::Other { value, .. } => value.to_vec(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, value) = (self.kind(), self.value());
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let len = if kind < LONG { len.min(255) } else { len };
        let [high, low] = len.to_be_bytes();
        if kind < LONG {
            out.extend([kind, low]);
        } else {
            out.extend([kind, high, low]);
        }
        out.extend(value.into_iter().take(usize::from(len)));
    }
}

impl fmt::Display for TunnelEncapsulation {
    /// `vxlan endpoint 192.0.2.1 vni 5; mpls`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, tunnel) in self.tunnels.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            f.write_str(&encapsulation::text(tunnel.tunnel_type))?;
            for sub_tlv in &tunnel.sub_tlvs {
                write!(f, " {sub_tlv}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TunnelSubTlv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EgressEndpoint(Some(addr)) => write!(f, "endpoint {addr}"),
            Self::EgressEndpoint(None) => f.write_str("endpoint next-hop"),
            Self::VirtualNetwork { vni, mac } => {
                f.write_str("network")?;
                if let Some(vni) = vni {
                    write!(f, " vni {vni}")?;
                }
                if let Some(mac) = mac {
                    write!(f, " mac {mac}")?;
                }
                Ok(())
            }
            Self::GreKey(key) => write!(f, "key {key}"),
            Self::ProtocolType(number) => write!(f, "protocol 0x{number:04x}"),
            Self::Color(color) => write!(f, "color {color}"),
            Self::UdpDestinationPort(port) => write!(f, "udp-port {port}"),
            Self::Other { kind, value } => write!(f, "sub-tlv {kind} 0x{}", Hex(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_hex;

    fn decode(digits: &str) -> Option<TunnelEncapsulation> {
        let octets = parse_hex(&digits.replace(' ', "")).unwrap();
        let tunnels = TunnelEncapsulation::decode(&octets);
        assert_eq!(
            tunnels.is_some(),
            TunnelEncapsulation::is_well_formed(&octets)
        );
        if let Some(tunnels) = &tunnels {
            let mut out = Vec::new();
            tunnels.encode(&mut out);
            assert_eq!(out, octets);
        }
        tunnels
    }

    #[test]
    fn tunnels_are_read_written_and_told() {
        for (digits, text) in [
            (
                "0008 001a 060a 00000000 0001 c0000201 010c c0 000005 020000000001 0000",
                "vxlan endpoint 192.0.2.1 network vni 5 mac 02:00:00:00:00:01",
            ),
            ("0008 0008 0606 00000000 0000 0000 0000", ""),
            (
                "0002 0016 0104 00000007 0202 0800 0408 030b000000000064 0000 000b 0000",
                "",
            ),
            ("0013 0004 0802 17c1", "geneve udp-port 6081"),
            ("0002 0006 0104 00000007", "gre key 7"),
            ("0002 0004 0202 0800", "gre protocol 0x0800"),
            ("000a 000a 0408 030b000000000064", "mpls color 100"),
            ("000a 0000 0008 0000", "mpls; vxlan"),
            ("000f 0006 8100 03 010203", "sr-policy sub-tlv 129 0x010203"),
            // Reserved octets that are not zero.
            (
                "0008 0008 0606 00000001 0000",
                "vxlan sub-tlv 6 0x000000010000",
            ),
            ("0008 0008 0606 00000000 0000", "vxlan endpoint next-hop"),
        ] {
            let tunnels = decode(digits);
            if !text.is_empty() {
                assert_eq!(
                    tunnels.map(|tunnels| tunnels.to_string()).as_deref(),
                    Some(text)
                );
            }
        }
        let v6 = "0008 0018 0616 00000000 0002 20010db8000000000000000000000001";
        let tunnels = decode(v6).unwrap();
        assert_eq!(tunnels.to_string(), "vxlan endpoint 2001:db8::1");
    }

    #[test]
    fn what_is_cut_off_is_malformed() {
        for digits in [
            "",
            "00",
            "0008",
            "0008 00",
            "0008 0001",
            "0008 0001 06",
            "0008 0003 0602 00",
            "0008 0004 8000 0200",
            "0008 0002 8000",
        ] {
            assert_eq!(decode(digits), None, "{digits}");
        }
    }
}
