//! NLRI on the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_types::{Esi, EthernetTag, Ipv4Prefix, Ipv6Prefix, MacAddr, RouteDistinguisher};

use super::text::bits;
use super::{EvpnNlri, InclusiveMulticast, MacIp, Nlri, PathData, RtMembership};
use crate::family::Family;
use crate::reader::Reader;

/// What is wrong with an NLRI, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NlriError {
    pub(crate) offset: usize,
    pub(crate) message: String,
    /// Whether the next NLRI can be found all the same.
    pub(crate) skippable: bool,
}

impl NlriError {
    /// The field is syntactically incorrect: what follows cannot be found (RFC 7606 section 5.3).
    fn lost(offset: usize, message: String) -> Self {
        Self {
            offset,
            message,
            skippable: false,
        }
    }

    /// The NLRI tells its own length, and the next one begins behind it.
    fn skip(offset: usize, message: String) -> Self {
        Self {
            offset,
            message,
            skippable: true,
        }
    }
}

/// Takes the next NLRI of `family` off `reader`, which is not empty.
pub(crate) fn decode(
    family: Family,
    reader: &mut Reader<'_>,
) -> Result<(Nlri, PathData), NlriError> {
    let plain = |nlri| (nlri, PathData::default());
    match family {
        Family::IPV4_UNICAST => {
            let (len, octets) = decode_prefix::<4>(reader)?;
            Ipv4Prefix::new(Ipv4Addr::from(octets), len).map(|prefix| plain(Nlri::Ipv4(prefix)))
        }
        Family::IPV6_UNICAST => {
            let (len, octets) = decode_prefix::<16>(reader)?;
            Ipv6Prefix::new(Ipv6Addr::from(octets), len).map(|prefix| plain(Nlri::Ipv6(prefix)))
        }
        Family::IPV4_RTC => {
            let offset = reader.offset();
            let (len, octets) = decode_prefix::<12>(reader)?;
            let membership = RtMembership::from_prefix(len, octets).ok_or_else(|| {
                NlriError::skip(
                    offset,
                    format!("prefix length {len}, neither 0 nor 32 to 96,"),
                )
            })?;
            Some(plain(Nlri::Rtc(membership)))
        }
        Family::L2VPN_EVPN => return decode_evpn(reader),
        _ => None,
    }
    // Families are checked before, prefix lengths by `decode_prefix`.
    .ok_or_else(|| NlriError::lost(reader.offset(), format!("NLRI of family {family}")))
}

/// A length in bits and so many octets as it needs; the rest is zero.
fn decode_prefix<const N: usize>(reader: &mut Reader<'_>) -> Result<(u8, [u8; N]), NlriError> {
    let offset = reader.offset();
    let cut = || NlriError::lost(offset, "NLRI cut off".to_owned());
    let len = reader.u8().ok_or_else(cut)?;
    let count = usize::from(len).div_ceil(8);
    if count > N {
        return Err(NlriError::lost(offset, format!("prefix length {len}")));
    }
    let mut octets = [0; N];
    let present = reader.bytes(count).ok_or_else(|| {
        NlriError::lost(
            offset,
            format!(
                "prefix length {len} with {} octets left",
                reader.remaining()
            ),
        )
    })?;
    octets[..count].copy_from_slice(present);
    Ok((len, octets))
}

fn decode_evpn(reader: &mut Reader<'_>) -> Result<(Nlri, PathData), NlriError> {
    let offset = reader.offset();
    let cut = || NlriError::lost(offset, "EVPN NLRI cut off".to_owned());
    let route_type = reader.u8().ok_or_else(cut)?;
    let len = reader.u8().ok_or_else(cut)?;
    let value = reader.sub(usize::from(len)).ok_or_else(|| {
        let left = reader.remaining();
        NlriError::lost(
            offset,
            format!("EVPN NLRI of length {len} with {left} octets left"),
        )
    })?;
    let (nlri, data) = match route_type {
        MacIp::ROUTE_TYPE => {
            decode_mac_ip(value).map(|(route, data)| (EvpnNlri::MacIp(route), data))?
        }
        InclusiveMulticast::ROUTE_TYPE => {
            let route = decode_inclusive_multicast(value)?;
            (EvpnNlri::InclusiveMulticast(route), PathData::default())
        }
        _ => {
            let (start, len) = (value.offset(), value.remaining());
            if !opaque::may_be(route_type, value.rest()) {
                let name = format!("route of type {route_type}");
                return Err(wrong_length(&name, start, len));
            }
            let mut octets: Box<[u8]> = value.rest().into();
            let data = opaque::take_data(route_type, &mut octets);
            (EvpnNlri::Other { route_type, octets }, data)
        }
    };
    Ok((Nlri::Evpn(nlri), data))
}

/// RFC 7432 section 7.2.
fn decode_mac_ip(mut value: Reader<'_>) -> Result<(MacIp, PathData), NlriError> {
    /// RD, ESI, tag, MAC address and the lengths of both addresses.
    const FIXED_LEN: usize = 8 + 10 + 4 + 1 + 6 + 1;
    const MAC_LEN: usize = 22;
    const IP_LEN: usize = 29;

    let (start, len) = (value.offset(), value.remaining());
    let Some(fixed) = value.array::<FIXED_LEN>() else {
        return Err(wrong_length("MAC/IP advertisement", start, len));
    };
    if fixed[MAC_LEN] != 48 {
        let message = format!("MAC address length {}", fixed[MAC_LEN]);
        return Err(NlriError::skip(start + MAC_LEN, message));
    }
    let ip = match fixed[IP_LEN] {
        0 => Some(None),
        32 => value.array::<4>().map(|octets| Some(IpAddr::from(octets))),
        128 => value.array::<16>().map(|octets| Some(IpAddr::from(octets))),
        bits => {
            let message = format!("IP address length {bits}");
            return Err(NlriError::skip(start + IP_LEN, message));
        }
    };
    let label = |[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]);
    let first = value.array().map(label);
    let label2 = value.array().map(label);
    let (Some(ip), Some(first), true) = (ip, first, value.is_empty()) else {
        return Err(wrong_length("MAC/IP advertisement", start, len));
    };
    Ok((
        MacIp {
            rd: RouteDistinguisher(part(&fixed, 0)),
            tag: EthernetTag(u32::from_be_bytes(part(&fixed, 18))),
            mac: MacAddr(part(&fixed, 23)),
            ip,
        },
        PathData {
            label: first,
            label2,
            esi: Esi(part(&fixed, 8)),
        },
    ))
}

/// `N` octets of a field, from `at` on.
fn part<const N: usize>(field: &[u8; 30], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&field[at..at + N]);
    part
}

#[cold]
fn wrong_length(name: &str, start: usize, len: usize) -> NlriError {
    NlriError::skip(start, format!("EVPN {name} of length {len}"))
}

/// RFC 7432 section 7.3.
fn decode_inclusive_multicast(mut value: Reader<'_>) -> Result<InclusiveMulticast, NlriError> {
    let (start, len) = (value.offset(), value.remaining());
    let wrong_length = || wrong_length("inclusive multicast route", start, len);
    let rd = value
        .array()
        .map(RouteDistinguisher)
        .ok_or_else(wrong_length)?;
    let tag = value
        .array()
        .map(u32::from_be_bytes)
        .map(EthernetTag)
        .ok_or_else(wrong_length)?;
    let originator = decode_ip(&mut value, wrong_length)?;
    if !value.is_empty() {
        return Err(wrong_length());
    }
    Ok(InclusiveMulticast {
        rd,
        tag,
        originator,
    })
}

/// An address after its length in bits.
fn decode_ip(
    value: &mut Reader<'_>,
    wrong_length: impl Fn() -> NlriError,
) -> Result<IpAddr, NlriError> {
    let offset = value.offset();
    let ip = match value.u8().ok_or_else(&wrong_length)? {
        32 => value.array::<4>().map(IpAddr::from),
        128 => value.array::<16>().map(IpAddr::from),
        len => return Err(NlriError::skip(offset, format!("IP address length {len}"))),
    };
    ip.ok_or_else(wrong_length)
}

/// Appends `nlri` as an advertisement carries it.
pub(crate) fn encode(nlri: &Nlri, data: PathData, out: &mut Vec<u8>) {
    match nlri {
        Nlri::Ipv4(prefix) => encode_prefix(prefix.len(), &prefix.addr().octets(), out),
        Nlri::Ipv6(prefix) => encode_prefix(prefix.len(), &prefix.addr().octets(), out),
        Nlri::Rtc(membership) => encode_prefix(membership.len(), &membership.octets(), out),
        Nlri::Evpn(nlri) => encode_evpn(nlri, data, out),
    }
}

/// Appends `nlri` as a withdrawal carries it. Label and Ethernet segment of a MAC/IP advertisement
/// are not part of the key (RFC 7432 section 7.2) and are zero.
pub(crate) fn encode_withdrawn(nlri: &Nlri, data: PathData, out: &mut Vec<u8>) {
    match nlri {
        Nlri::Evpn(EvpnNlri::MacIp(_)) => encode(nlri, PathData::default(), out),
        _ => encode(nlri, data, out),
    }
}

fn encode_prefix(len: u8, octets: &[u8], out: &mut Vec<u8>) {
    out.push(len);
    out.extend(octets.iter().take(usize::from(len).div_ceil(8)));
}

fn encode_evpn(nlri: &EvpnNlri, data: PathData, out: &mut Vec<u8>) {
    out.extend([nlri.route_type(), 0]);
    let start = out.len();
    match nlri {
        EvpnNlri::MacIp(MacIp { rd, tag, mac, ip }) => {
            out.extend(rd.0);
            out.extend(data.esi.0);
            out.extend(tag.0.to_be_bytes());
            out.push(48);
            out.extend(mac.0);
            match ip {
                Some(ip) => encode_ip(ip, out),
                None => out.push(0),
            }
            for label in [Some(data.label), data.label2].into_iter().flatten() {
                out.extend_from_slice(&label.to_be_bytes()[1..]);
            }
        }
        EvpnNlri::InclusiveMulticast(InclusiveMulticast {
            rd,
            tag,
            originator,
        }) => {
            out.extend(rd.0);
            out.extend(tag.0.to_be_bytes());
            encode_ip(originator, out);
        }
        EvpnNlri::Other { route_type, octets } => {
            out.extend(octets.iter().take(usize::from(u8::MAX)));
            opaque::put_data(*route_type, data, &mut out[start..]);
        }
    }
    out[start - 1] = u8::try_from(out.len() - start).unwrap_or(u8::MAX);
}

fn encode_ip(ip: &IpAddr, out: &mut Vec<u8>) {
    out.push(bits(ip));
    match ip {
        IpAddr::V4(addr) => out.extend(addr.octets()),
        IpAddr::V6(addr) => out.extend(addr.octets()),
    }
}

/// Opaque EVPN routes: what their RFC keeps out of the key is zero in the key and kept in
/// [`PathData`], so that a withdrawal with another label finds the route.
mod opaque {
    use std::ops::Range;

    use chanter_types::Esi;

    use super::PathData;

    /// Ethernet auto-discovery (RFC 7432 section 7.1): RD 8, ESI 10, tag 4, label 3.
    const ETHERNET_AUTO_DISCOVERY: u8 = 1;
    /// IP prefix (RFC 9136 section 3.1): RD 8, ESI 10, tag 4, length 1, prefix and gateway 4 or 16
    /// octets each, label 3.
    const IP_PREFIX: u8 = 5;

    /// Ethernet segment (RFC 7432 section 7.4): RD 8, ESI 10, length 1, address 4 or 16.
    const ETHERNET_SEGMENT: u8 = 4;

    /// Whether a route of a known type has the lengths that its RFC wants: peers to which a
    /// malformed one were reflected would end the session.
    pub(super) fn may_be(route_type: u8, octets: &[u8]) -> bool {
        let at = |place: usize| octets.get(place).copied().unwrap_or_default();
        match (route_type, octets.len()) {
            (ETHERNET_AUTO_DISCOVERY, len) => len == 25,
            (ETHERNET_SEGMENT, 23) => at(18) == 32,
            (ETHERNET_SEGMENT, 35) => at(18) == 128,
            (IP_PREFIX, 34) => at(22) <= 32,
            (IP_PREFIX, 58) => at(22) <= 128,
            (ETHERNET_SEGMENT | IP_PREFIX, _) => false,
            _ => true,
        }
    }

    /// Where the Ethernet segment and the label stand, as far as they are not part of the key.
    fn places(route_type: u8, len: usize) -> (Option<Range<usize>>, Option<Range<usize>>) {
        match (route_type, len) {
            (ETHERNET_AUTO_DISCOVERY, 25) => (None, Some(22..25)),
            (IP_PREFIX, 34 | 58) => (Some(8..18), Some(len - 3..len)),
            _ => (None, None),
        }
    }

    /// Moves what is not part of the key out of `octets`.
    pub(super) fn take_data(route_type: u8, octets: &mut [u8]) -> PathData {
        let (esi, label) = places(route_type, octets.len());
        let mut data = PathData::default();
        if let Some(place) = esi.and_then(|range| octets.get_mut(range)) {
            data.esi.0.copy_from_slice(place);
            place.fill(0);
        }
        if let Some([a, b, c]) = label.and_then(|range| octets.get_mut(range)) {
            data.label = u32::from_be_bytes([0, *a, *b, *c]);
            (*a, *b, *c) = (0, 0, 0);
        }
        data
    }

    /// Puts it back.
    pub(super) fn put_data(route_type: u8, data: PathData, octets: &mut [u8]) {
        let (esi, label) = places(route_type, octets.len());
        let Esi(segment) = data.esi;
        if let Some(place) = esi.and_then(|range| octets.get_mut(range)) {
            place.copy_from_slice(&segment);
        }
        if let Some(place) = label.and_then(|range| octets.get_mut(range)) {
            place.copy_from_slice(&data.label.to_be_bytes()[1..]);
        }
    }
}
