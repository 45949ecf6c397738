//! Attributes that are passed on without being used: is their structure what their RFC wants.
//!
//! Many speakers end the session over such an attribute that is malformed. Passed on by a reflector,
//! one route of one client would end the sessions of all others.

use super::fault::Disposition;
use crate::attributes::AttributeCode;
use crate::reader::Reader;

/// RFC 9012.
const TUNNEL_ENCAPSULATION: AttributeCode = AttributeCode(23);
/// RFC 5701.
const IPV6_EXTENDED_COMMUNITIES: AttributeCode = AttributeCode(25);
/// RFC 9234.
const ONLY_TO_CUSTOMER: AttributeCode = AttributeCode(35);
/// RFC 8669, RFC 9252.
const PREFIX_SID: AttributeCode = AttributeCode(40);

/// What has to be done about the attribute, if it is malformed.
pub(super) fn objection(code: AttributeCode, value: &[u8]) -> Option<Disposition> {
    let (is_right, disposition) = match code {
        // RFC 9012 section 13.
        TUNNEL_ENCAPSULATION => (is_tunnels(value), Disposition::TreatAsWithdraw),
        // RFC 7606 section 7.15.
        IPV6_EXTENDED_COMMUNITIES => (
            !value.is_empty() && value.len().is_multiple_of(20),
            Disposition::TreatAsWithdraw,
        ),
        // RFC 9234 section 5.
        ONLY_TO_CUSTOMER => (value.len() == 4, Disposition::TreatAsWithdraw),
        // RFC 8669 section 6.
        PREFIX_SID => (is_prefix_sid(value), Disposition::AttributeDiscard),
        _ => return None,
    };
    (!is_right).then_some(disposition)
}

/// RFC 9012 section 2: tunnels, of two octets each for type and length, with sub-TLVs, whose length
/// has two octets from type 128 on.
fn is_tunnels(value: &[u8]) -> bool {
    let mut reader = Reader::new(value, 0);
    while !reader.is_empty() {
        let len = reader.u16().and_then(|_| reader.u16()).map(usize::from);
        let Some(mut tunnel) = len.and_then(|len| reader.sub(len)) else {
            return false;
        };
        while !tunnel.is_empty() {
            let len = match tunnel.u8() {
                Some(..128) => tunnel.u8().map(usize::from),
                _ => tunnel.u16().map(usize::from),
            };
            if len.and_then(|len| tunnel.bytes(len)).is_none() {
                return false;
            }
        }
    }
    !value.is_empty()
}

/// RFC 8669 section 3: TLVs with a length of two octets.
fn is_prefix_sid(value: &[u8]) -> bool {
    const LABEL_INDEX: u8 = 1;
    const ORIGINATOR_SRGB: u8 = 3;

    let mut reader = Reader::new(value, 0);
    while !reader.is_empty() {
        let kind = reader.u8();
        let len = reader.u16().map(usize::from);
        let value = len.and_then(|len| reader.bytes(len));
        let (Some(kind), Some(value)) = (kind, value) else {
            return false;
        };
        let is_right = match kind {
            LABEL_INDEX => value.len() == 7,
            ORIGINATOR_SRGB => value.len() >= 8 && (value.len() - 2).is_multiple_of(6),
            _ => true,
        };
        if !is_right {
            return false;
        }
    }
    !value.is_empty()
}
