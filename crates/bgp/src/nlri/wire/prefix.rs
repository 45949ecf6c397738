//! Prefixes behind a length in bits: IPv4, IPv6, RT membership, VPNv4 and VPNv6.

use chanter_types::RouteDistinguisher;

use super::NlriError;
use crate::reader::Reader;

/// What stands in the place of the label in a withdrawal (RFC 8277 section 2.4); receivers ignore it.
pub(super) const WITHDRAWN_LABEL: u32 = 0x0080_0000;

/// The octets of label and route distinguisher.
const VPN_HEAD_LEN: usize = 3 + 8;

/// A length in bits and so many octets as it needs; the rest is zero.
#[inline]
pub(super) fn decode_prefix<const N: usize>(
    reader: &mut Reader<'_>,
) -> Result<(u8, [u8; N]), NlriError> {
    let offset = reader.offset();
    let Some(len) = reader.u8() else {
        return Err(cut_off(offset));
    };
    let count = usize::from(len).div_ceil(8);
    if count > N {
        return Err(too_long(offset, len));
    }
    let mut octets = [0; N];
    let Some(present) = reader.bytes(count) else {
        return Err(too_few(offset, len, reader.remaining()));
    };
    octets[..count].copy_from_slice(present);
    Ok((len, octets))
}

/// Label, route distinguisher and prefix behind the length of all of them.
///
/// There is exactly one label: the bottom-of-stack bit does not count where the multiple labels
/// capability is not in use (RFC 8277 section 2.2), nor does the field in a withdrawal.
#[inline]
pub(super) fn decode_vpn<const N: usize>(
    reader: &mut Reader<'_>,
) -> Result<(u32, RouteDistinguisher, u8, [u8; N]), NlriError> {
    const HEAD_BITS: u8 = 8 * VPN_HEAD_LEN as u8;

    let offset = reader.offset();
    let Some(bits) = reader.u8() else {
        return Err(cut_off(offset));
    };
    let count = usize::from(bits).div_ceil(8);
    let Some(len) = bits
        .checked_sub(HEAD_BITS)
        .filter(|len| usize::from(*len) <= 8 * N)
    else {
        return Err(too_long(offset, bits));
    };
    let Some(mut value) = reader.sub(count) else {
        return Err(too_few(offset, bits, reader.remaining()));
    };
    let (Some([a, b, c]), Some(rd)) = (value.array(), value.array()) else {
        return Err(cut_off(offset));
    };
    let mut octets = [0; N];
    octets[..value.remaining()].copy_from_slice(value.rest());
    let label = u32::from_be_bytes([0, a, b, c]);
    Ok((label, RouteDistinguisher(rd), len, octets))
}

#[cold]
fn cut_off(offset: usize) -> NlriError {
    NlriError::lost(offset, "NLRI cut off".to_owned())
}

#[cold]
fn too_long(offset: usize, len: u8) -> NlriError {
    NlriError::lost(offset, format!("prefix length {len}"))
}

#[cold]
fn too_few(offset: usize, len: u8, left: usize) -> NlriError {
    NlriError::lost(
        offset,
        format!("prefix length {len} with {left} octets left"),
    )
}

pub(super) fn encode_prefix(len: u8, octets: &[u8], out: &mut Vec<u8>) {
    out.push(len);
    let count = usize::from(len).div_ceil(8).min(octets.len());
    out.extend_from_slice(&octets[..count]);
}

pub(super) fn encode_vpn(
    label: u32,
    rd: RouteDistinguisher,
    (len, octets): (u8, &[u8]),
    out: &mut Vec<u8>,
) {
    let [_, label @ ..] = label.to_be_bytes();
    out.push(len.saturating_add(8 * VPN_HEAD_LEN as u8));
    out.extend_from_slice(&label);
    out.extend_from_slice(&rd.0);
    let count = usize::from(len).div_ceil(8).min(octets.len());
    out.extend_from_slice(&octets[..count]);
}
