//! OPEN (RFC 4271 section 4.2).

use std::net::Ipv4Addr;

use chanter_types::Asn;

use super::{Capability, MessageType, NotificationMessage, begin, codes, end};
use crate::family::Family;
use crate::reader::Reader;

/// The one version of BGP.
const VERSION: u8 = 4;
/// The optional parameter that holds capabilities (RFC 5492).
const PARAMETER_CAPABILITIES: u8 = 2;
/// As first parameter type and as length: lengths have two octets (RFC 9072).
const PARAMETERS_EXTENDED: u8 = 255;

/// So many octets of capabilities fit beside the rest of an OPEN with the extended form of optional
/// parameters.
const CAPABILITIES_LEN_MAX: usize = super::MESSAGE_LEN_MAX - super::HEADER_LEN - 16;

/// An OPEN message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessage {
    /// The sender's AS: that of the four-octet AS capability where there is one. To send a number
    /// above 65535, [`Capability::FourOctetAs`] must be among the capabilities.
    pub asn: Asn,
    /// The hold time that the sender proposes, in seconds; 0: none.
    pub hold_time: u16,
    /// The sender's BGP identifier.
    pub router_id: Ipv4Addr,
    /// The capabilities, in order.
    pub capabilities: Vec<Capability>,
}

impl OpenMessage {
    /// Decodes what follows the header. What contradicts RFC 4271 section 6.2 is the NOTIFICATION
    /// to send.
    pub fn decode(body: &[u8]) -> Result<Self, NotificationMessage> {
        let mut reader = Reader::new(body, 0);
        let Some(
            [
                version,
                as_high,
                as_low,
                hold_high,
                hold_low,
                a,
                b,
                c,
                d,
                len,
            ],
        ) = reader.array()
        else {
            return Err(malformed());
        };
        if version != VERSION {
            let supported = u16::from(VERSION).to_be_bytes().to_vec();
            return Err(error(codes::open::UNSUPPORTED_VERSION, supported));
        }
        let hold_time = u16::from_be_bytes([hold_high, hold_low]);
        if matches!(hold_time, 1 | 2) {
            return Err(error(codes::open::UNACCEPTABLE_HOLD_TIME, Vec::new()));
        }
        let router_id = Ipv4Addr::new(a, b, c, d);
        if router_id.is_unspecified() {
            return Err(error(codes::open::BAD_BGP_IDENTIFIER, Vec::new()));
        }
        let capabilities = decode_parameters(reader, len)?;
        let two_octet = Asn(u32::from(u16::from_be_bytes([as_high, as_low])));
        let four_octet = capabilities.iter().find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        });
        let asn = four_octet.unwrap_or(two_octet);
        // RFC 7607: AS 0 names nobody.
        if asn == Asn(0) || two_octet == Asn(0) {
            return Err(error(codes::open::BAD_PEER_AS, Vec::new()));
        }
        Ok(Self {
            asn,
            hold_time,
            router_id,
            capabilities,
        })
    }

    /// Appends the message, all capabilities in one optional parameter, or in the extended form
    /// (RFC 9072) where they need more than 255 octets. A capability with which the message would be
    /// longer than 4096 octets, its limit also with extended messages (RFC 8654 section 4), is left
    /// out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut capabilities = Vec::new();
        for capability in &self.capabilities {
            let before = capabilities.len();
            capability.encode(&mut capabilities);
            if capabilities.len() > CAPABILITIES_LEN_MAX {
                capabilities.truncate(before);
            }
        }
        let start = begin(out, MessageType::Open);
        out.push(VERSION);
        let field = self.asn.two_octet().unwrap_or(23456);
        out.extend(field.to_be_bytes());
        out.extend(self.hold_time.to_be_bytes());
        out.extend(self.router_id.octets());
        encode_parameters(&capabilities, out);
        end(out, start);
    }

    /// The families of the multiprotocol capabilities; IPv4 unicast alone where there is none
    /// (RFC 4760 section 8).
    pub fn families(&self) -> Vec<Family> {
        let families: Vec<Family> = self
            .capabilities
            .iter()
            .filter_map(|capability| match capability {
                Capability::MultiProtocol(family) => Some(*family),
                _ => None,
            })
            .collect();
        if families.is_empty() {
            vec![Family::IPV4_UNICAST]
        } else {
            families
        }
    }
}

fn error(subcode: u8, data: Vec<u8>) -> NotificationMessage {
    NotificationMessage::new(codes::OPEN_MESSAGE_ERROR, subcode, data)
}

fn malformed() -> NotificationMessage {
    error(codes::open::UNSPECIFIC, Vec::new())
}

fn decode_parameters(
    mut reader: Reader<'_>,
    len: u8,
) -> Result<Vec<Capability>, NotificationMessage> {
    let extended = len != 0 && reader.rest().first() == Some(&PARAMETERS_EXTENDED);
    let len = if extended {
        reader.u8().and_then(|_| reader.u16()).map(usize::from)
    } else {
        Some(usize::from(len))
    };
    if len != Some(reader.remaining()) {
        return Err(malformed());
    }
    let mut capabilities = Vec::new();
    while !reader.is_empty() {
        let kind = reader.u8();
        let len = if extended {
            reader.u16().map(usize::from)
        } else {
            reader.u8().map(usize::from)
        };
        let value = len.and_then(|len| reader.sub(len));
        let (Some(kind), Some(value)) = (kind, value) else {
            return Err(malformed());
        };
        if kind != PARAMETER_CAPABILITIES {
            return Err(error(
                codes::open::UNSUPPORTED_OPTIONAL_PARAMETER,
                Vec::new(),
            ));
        }
        decode_capabilities(value, &mut capabilities)?;
    }
    Ok(capabilities)
}

fn decode_capabilities(
    mut reader: Reader<'_>,
    capabilities: &mut Vec<Capability>,
) -> Result<(), NotificationMessage> {
    while !reader.is_empty() {
        let code = reader.u8();
        let value = reader.u8().and_then(|len| reader.bytes(usize::from(len)));
        let (Some(code), Some(value)) = (code, value) else {
            return Err(malformed());
        };
        let capability = Capability::decode(code, value).ok_or_else(malformed)?;
        // RFC 5492 section 4: the same capability with the same value may be there twice.
        if !capabilities.contains(&capability) {
            capabilities.push(capability);
        }
    }
    Ok(())
}

fn encode_parameters(capabilities: &[u8], out: &mut Vec<u8>) {
    let parameter = [PARAMETER_CAPABILITIES];
    match u8::try_from(capabilities.len()) {
        Ok(0) => out.push(0),
        Ok(len @ ..=253) => {
            out.extend([len + 2, PARAMETER_CAPABILITIES, len]);
            out.extend_from_slice(capabilities);
        }
        _ => {
            let len = |extra: usize| {
                u16::try_from(capabilities.len() + extra)
                    .unwrap_or(u16::MAX)
                    .to_be_bytes()
            };
            out.extend([PARAMETERS_EXTENDED, PARAMETERS_EXTENDED]);
            out.extend(len(3));
            out.extend(parameter);
            out.extend(len(0));
            out.extend_from_slice(capabilities);
        }
    }
}
