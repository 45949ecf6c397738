//! FlowSpec NLRI on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use chanter_types::{Ipv4Prefix, Ipv6Prefix, Prefix, RouteDistinguisher};

use super::component::{ALL_BITS, AND, END, EQUAL, GREATER, LESS, NOT};
use super::{
    BitmaskMatch, FlowSpecComponent, FlowSpecNlri, FlowSpecPrefix, FlowSpecType, NumericMatch,
};
use crate::family::Family;
use crate::nlri::wire::NlriError;
use crate::reader::Reader;

/// Takes the next NLRI (RFC 8955 section 4.1). It tells its length, so that the next one can be found
/// behind one that is malformed.
pub(crate) fn decode(family: Family, reader: &mut Reader<'_>) -> Result<FlowSpecNlri, NlriError> {
    let offset = reader.offset();
    let cut = || NlriError::lost(offset, "FlowSpec NLRI cut off".to_owned());
    let len = match reader.u8().ok_or_else(cut)? {
        short @ 0..0xf0 => usize::from(short),
        high => usize::from(high & 0x0f) << 8 | usize::from(reader.u8().ok_or_else(cut)?),
    };
    let Some(mut value) = reader.sub(len) else {
        let left = reader.remaining();
        let message = format!("FlowSpec NLRI of length {len} with {left} octets left");
        return Err(NlriError::lost(offset, message));
    };
    let rd = if family.is_vpn() {
        let Some(rd) = value.array() else {
            let message = format!("FlowSpec NLRI of length {len} without route distinguisher");
            return Err(NlriError::skip(offset, message));
        };
        Some(RouteDistinguisher(rd))
    } else {
        None
    };
    let rules = canonical(family, value.rest(), value.offset())?.into_boxed_slice();
    Ok(FlowSpecNlri { family, rd, rules })
}

/// Appends the NLRI. The length takes one octet where that is enough.
pub(crate) fn encode(nlri: &FlowSpecNlri, out: &mut Vec<u8>) {
    let rd = nlri.rd.map(|rd| rd.0);
    let len = nlri.rules.len() + rd.map_or(0, |rd| rd.len());
    let [high, low] = u16::try_from(len.min(FlowSpecNlri::LEN_MAX))
        .unwrap_or(0)
        .to_be_bytes();
    if len < 0xf0 {
        out.push(low);
    } else {
        out.extend([0xf0 | high, low]);
    }
    out.extend(rd.into_iter().flatten());
    out.extend_from_slice(&nlri.rules);
}

/// The canonical form of components, if they are right: in strictly ascending order of type, with
/// operators that end where the component ends (RFC 8955 section 4.2).
pub(super) fn canonical(
    family: Family,
    octets: &[u8],
    offset: usize,
) -> Result<Vec<u8>, NlriError> {
    let mut out = octets.to_vec();
    let mut reader = Reader::new(octets, 0);
    let mut last = None;
    while !reader.is_empty() {
        let at = reader.offset();
        let kind = component(family, &mut reader, &mut out)
            .map_err(|message| NlriError::skip(offset + at, message))?;
        if last.is_some_and(|last| last >= kind) {
            let message = format!("FlowSpec component {kind} out of order");
            return Err(NlriError::skip(offset + at, message));
        }
        last = Some(kind);
    }
    if last.is_none() {
        let message = "FlowSpec NLRI without components".to_owned();
        return Err(NlriError::skip(offset, message));
    }
    Ok(out)
}

/// Takes the next component and clears in `out` what receivers ignore.
fn component(
    family: Family,
    reader: &mut Reader<'_>,
    out: &mut [u8],
) -> Result<FlowSpecType, String> {
    let code = reader.u8().unwrap_or(0);
    let Some(kind) = FlowSpecType::from_code(code, family) else {
        return Err(format!("FlowSpec component of unknown type {code}"));
    };
    let is_whole = match kind {
        FlowSpecType::Destination | FlowSpecType::Source => {
            let prefix = take_prefix(family, reader)
                .ok_or_else(|| format!("FlowSpec component {kind} malformed"))?;
            let used = prefix.bits & 7;
            if used != 0 {
                out[reader.offset() - 1] &= 0xff << (8 - used);
            }
            true
        }
        _ => take_operators(kind, reader, out)?,
    };
    if is_whole {
        Ok(kind)
    } else {
        Err(format!("FlowSpec component {kind} cut off"))
    }
}

/// Takes operators and values up to the one that is marked as the last; `false` if none is.
fn take_operators(
    kind: FlowSpecType,
    reader: &mut Reader<'_>,
    out: &mut [u8],
) -> Result<bool, String> {
    let meaningful = if kind.is_bitmask() {
        NOT | ALL_BITS
    } else {
        LESS | GREATER | EQUAL
    };
    let mut first = true;
    loop {
        let at = reader.offset();
        let Some((operator, _, octets)) = take_operator(reader) else {
            return Ok(false);
        };
        if octets > kind.octets_max() {
            return Err(format!("FlowSpec component {kind} of {octets} octets"));
        }
        // RFC 8955 section 4.2.1.1: reserved bits, and the AND bit of the first operator.
        let and = if first { 0 } else { AND };
        out[at] &= END | LEN_BITS | and | meaningful;
        if operator & END != 0 {
            return Ok(true);
        }
        first = false;
    }
}

const LEN_BITS: u8 = 0x30;

/// An operator, its value and in how many octets that stands.
fn take_operator(reader: &mut Reader<'_>) -> Option<(u8, u64, u8)> {
    let operator = reader.u8()?;
    let octets = 1u8 << ((operator & LEN_BITS) >> 4);
    let value = reader
        .bytes(usize::from(octets))?
        .iter()
        .fold(0u64, |value, octet| value << 8 | u64::from(*octet));
    Some((operator, value, octets))
}

/// A prefix as it stands: how long, what is left out, and the bits between, from the highest on.
struct RawPrefix {
    len: u8,
    offset: u8,
    bits: u8,
    pattern: u128,
}

/// RFC 8955 section 4.2.2.1, RFC 8956 section 3.1.
fn take_prefix(family: Family, reader: &mut Reader<'_>) -> Option<RawPrefix> {
    let is_v6 = family.afi == Family::IPV6_FLOWSPEC.afi;
    let len = reader.u8()?;
    let offset = if is_v6 { reader.u8()? } else { 0 };
    let is_right = len <= if is_v6 { 128 } else { 32 } && (offset < len || (len, offset) == (0, 0));
    let bits = len.checked_sub(offset).filter(|_| is_right)?;
    let octets = reader.bytes(usize::from(bits).div_ceil(8))?;
    let mut pattern = [0; 16];
    pattern[..octets.len()].copy_from_slice(octets);
    Some(RawPrefix {
        len,
        offset,
        bits,
        pattern: u128::from_be_bytes(pattern),
    })
}

/// The components of canonical octets.
pub(super) fn components(
    family: Family,
    rules: &[u8],
) -> impl Iterator<Item = FlowSpecComponent> + '_ {
    let mut reader = Reader::new(rules, 0);
    std::iter::from_fn(move || {
        let kind = FlowSpecType::from_code(reader.u8()?, family)?;
        Some(match kind {
            FlowSpecType::Destination => {
                FlowSpecComponent::Destination(prefix(family, &mut reader)?)
            }
            FlowSpecType::Source => FlowSpecComponent::Source(prefix(family, &mut reader)?),
            _ if kind.is_bitmask() => {
                FlowSpecComponent::Bitmask(kind, tests(&mut reader, BitmaskMatch::from_raw)?)
            }
            _ => FlowSpecComponent::Numeric(kind, tests(&mut reader, NumericMatch::from_raw)?),
        })
    })
}

fn prefix(family: Family, reader: &mut Reader<'_>) -> Option<FlowSpecPrefix> {
    let raw = take_prefix(family, reader)?;
    let addr = raw.pattern.checked_shr(raw.offset.into()).unwrap_or(0);
    let prefix = if family.afi == Family::IPV6_FLOWSPEC.afi {
        Prefix::V6(Ipv6Prefix::new(Ipv6Addr::from_bits(addr), raw.len)?)
    } else {
        let addr = u32::try_from(addr >> 96).ok()?;
        Prefix::V4(Ipv4Prefix::new(Ipv4Addr::from_bits(addr), raw.len)?)
    };
    FlowSpecPrefix::new(prefix, raw.offset)
}

fn tests<T>(reader: &mut Reader<'_>, make: fn(u8, u64, u8) -> T) -> Option<Vec<T>> {
    let mut tests = Vec::new();
    loop {
        let (operator, value, octets) = take_operator(reader)?;
        tests.push(make(operator, value, octets));
        if operator & END != 0 {
            return Some(tests);
        }
    }
}

/// The components of canonical octets as they stand: type, and the octets behind it.
pub(super) fn raw_components(
    family: Family,
    rules: &[u8],
) -> impl Iterator<Item = (FlowSpecType, &[u8])> {
    let mut reader = Reader::new(rules, 0);
    std::iter::from_fn(move || {
        let kind = FlowSpecType::from_code(reader.u8()?, family)?;
        let start = reader.offset();
        match kind {
            FlowSpecType::Destination | FlowSpecType::Source => {
                take_prefix(family, &mut reader)?;
            }
            _ => while take_operator(&mut reader)?.0 & END == 0 {},
        }
        Some((kind, rules.get(start..reader.offset())?))
    })
}
