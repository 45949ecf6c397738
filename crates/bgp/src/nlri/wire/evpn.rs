//! EVPN NLRI (RFC 7432 section 7, RFC 9136 section 3.1).

use std::net::IpAddr;

use chanter_types::{Esi, EthernetTag, MacAddr, Prefix, RouteDistinguisher};

use super::{Form, NlriError};
use crate::nlri::text::bits;
use crate::nlri::{
    EthernetAd, EthernetSegment, EvpnNlri, EvpnPrefix, InclusiveMulticast, MacIp, Nlri, Overlay,
    PathData,
};
use crate::reader::Reader;

/// Takes the next EVPN NLRI. Each tells its length, so that the next one can be found behind one
/// that is malformed (RFC 7606 section 5.4).
pub(super) fn decode(form: Form, reader: &mut Reader<'_>) -> Result<(Nlri, PathData), NlriError> {
    let offset = reader.offset();
    let Some([route_type, len]) = reader.array() else {
        return Err(NlriError::lost(offset, "EVPN NLRI cut off".to_owned()));
    };
    let Some(value) = reader.sub(usize::from(len)) else {
        let left = reader.remaining();
        let message = format!("EVPN NLRI of length {len} with {left} octets left");
        return Err(NlriError::lost(offset, message));
    };
    let plain = |nlri| (nlri, PathData::default());
    let (nlri, data) = match route_type {
        MacIp::ROUTE_TYPE => {
            let (route, data) = decode_mac_ip(value)?;
            (EvpnNlri::MacIp(route), data)
        }
        EthernetAd::ROUTE_TYPE => {
            let (route, data) = decode_ethernet_ad(value)?;
            (EvpnNlri::EthernetAd(route), data)
        }
        InclusiveMulticast::ROUTE_TYPE => plain(EvpnNlri::InclusiveMulticast(
            decode_inclusive_multicast(value)?,
        )),
        EthernetSegment::ROUTE_TYPE => {
            plain(EvpnNlri::EthernetSegment(decode_ethernet_segment(value)?))
        }
        EvpnPrefix::ROUTE_TYPE => {
            let (route, data) = decode_ip_prefix(form, value)?;
            (EvpnNlri::IpPrefix(route), data)
        }
        _ => plain(EvpnNlri::Other {
            route_type,
            octets: value.rest().into(),
        }),
    };
    Ok((Nlri::Evpn(nlri), data))
}

fn label([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

#[cold]
fn wrong_length(name: &str, start: usize, len: usize) -> NlriError {
    NlriError::skip(start, format!("EVPN {name} of length {len}"))
}

/// RFC 7432 section 7.2.
#[inline]
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
    let first = value.array().map(label);
    let label2 = value.array();
    let (Some(ip), Some(first), true) = (ip, first, value.is_empty()) else {
        return Err(wrong_length("MAC/IP advertisement", start, len));
    };
    let key = MacIp {
        rd: RouteDistinguisher(part(&fixed, 0)),
        tag: EthernetTag(u32::from_be_bytes(part(&fixed, 18))),
        mac: MacAddr(part(&fixed, 23)),
        ip,
    };
    let data = PathData {
        label: first,
        path_id: 0,
        overlay: Overlay::Segment {
            esi: Esi(part(&fixed, 8)),
            label2,
        },
    };
    Ok((key, data))
}

/// `N` octets of a field, from `at` on.
fn part<const N: usize>(field: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&field[at..at + N]);
    part
}

/// RFC 7432 section 7.1.
fn decode_ethernet_ad(mut value: Reader<'_>) -> Result<(EthernetAd, PathData), NlriError> {
    let (start, len) = (value.offset(), value.remaining());
    let (Some(rd), Some(esi), Some(tag), Some(octets), true) = (
        value.array(),
        value.array(),
        value.array(),
        value.array(),
        value.is_empty(),
    ) else {
        return Err(wrong_length("Ethernet auto-discovery route", start, len));
    };
    let key = EthernetAd {
        rd: RouteDistinguisher(rd),
        esi: Esi(esi),
        tag: EthernetTag(u32::from_be_bytes(tag)),
    };
    Ok((key, PathData::with_label(label(octets))))
}

/// RFC 7432 section 7.3.
fn decode_inclusive_multicast(mut value: Reader<'_>) -> Result<InclusiveMulticast, NlriError> {
    let (start, len) = (value.offset(), value.remaining());
    let wrong_length = || wrong_length("inclusive multicast route", start, len);
    let (Some(rd), Some(tag)) = (value.array(), value.array()) else {
        return Err(wrong_length());
    };
    Ok(InclusiveMulticast {
        rd: RouteDistinguisher(rd),
        tag: EthernetTag(u32::from_be_bytes(tag)),
        originator: decode_last_ip(&mut value, wrong_length)?,
    })
}

/// RFC 7432 section 7.4.
fn decode_ethernet_segment(mut value: Reader<'_>) -> Result<EthernetSegment, NlriError> {
    let (start, len) = (value.offset(), value.remaining());
    let wrong_length = || wrong_length("Ethernet segment route", start, len);
    let (Some(rd), Some(esi)) = (value.array(), value.array()) else {
        return Err(wrong_length());
    };
    Ok(EthernetSegment {
        rd: RouteDistinguisher(rd),
        esi: Esi(esi),
        originator: decode_last_ip(&mut value, wrong_length)?,
    })
}

/// An address after its length in bits, with nothing behind it.
fn decode_last_ip(
    value: &mut Reader<'_>,
    wrong_length: impl Fn() -> NlriError,
) -> Result<IpAddr, NlriError> {
    let offset = value.offset();
    let ip = match value.u8().ok_or_else(&wrong_length)? {
        32 => value.array::<4>().map(IpAddr::from),
        128 => value.array::<16>().map(IpAddr::from),
        len => return Err(NlriError::skip(offset, format!("IP address length {len}"))),
    };
    ip.filter(|_| value.is_empty()).ok_or_else(wrong_length)
}

/// RFC 9136 section 3.1.
fn decode_ip_prefix(
    form: Form,
    mut value: Reader<'_>,
) -> Result<(EvpnPrefix, PathData), NlriError> {
    /// RD, ESI, tag and the length of the prefix.
    const FIXED_LEN: usize = 8 + 10 + 4 + 1;
    const ADDR_LEN_V4: usize = 4;
    const ADDR_LEN_V6: usize = 16;
    const LEN_V4: usize = FIXED_LEN + 2 * ADDR_LEN_V4 + 3;
    const LEN_V6: usize = FIXED_LEN + 2 * ADDR_LEN_V6 + 3;
    const PREFIX_LEN: usize = 22;

    let (start, len) = (value.offset(), value.remaining());
    let wrong_length = || wrong_length("IP prefix route", start, len);
    let fixed = value.array::<FIXED_LEN>().ok_or_else(wrong_length)?;
    let addrs: Option<[IpAddr; 2]> = match len {
        LEN_V4 => value.array::<8>().map(|octets| {
            [
                IpAddr::from(part::<ADDR_LEN_V4>(&octets, 0)),
                IpAddr::from(part::<ADDR_LEN_V4>(&octets, ADDR_LEN_V4)),
            ]
        }),
        LEN_V6 => value.array::<32>().map(|octets| {
            [
                IpAddr::from(part::<ADDR_LEN_V6>(&octets, 0)),
                IpAddr::from(part::<ADDR_LEN_V6>(&octets, ADDR_LEN_V6)),
            ]
        }),
        _ => None,
    };
    let (Some([addr, gateway]), Some(octets)) = (addrs, value.array()) else {
        return Err(wrong_length());
    };
    let Some(prefix) = Prefix::new(addr, fixed[PREFIX_LEN]) else {
        let message = format!("prefix length {}", fixed[PREFIX_LEN]);
        return Err(NlriError::skip(start + PREFIX_LEN, message));
    };
    let key = EvpnPrefix {
        rd: RouteDistinguisher(part(&fixed, 0)),
        tag: EthernetTag(u32::from_be_bytes(part(&fixed, 18))),
        prefix,
    };
    let esi = Esi(part(&fixed, 8));
    let gateway = Some(gateway).filter(|gateway| !gateway.is_unspecified());
    if !form.is_withdrawn {
        check_overlay_index(key, (esi, gateway), start)?;
    }
    let data = PathData::with_label(label(octets))
        .segment(esi, None)
        .via(gateway);
    Ok((key, data))
}

/// RFC 9136 section 3.1: a gateway and an Ethernet segment exclude each other.
fn check_overlay_index(
    key: EvpnPrefix,
    (esi, gateway): (Esi, Option<IpAddr>),
    start: usize,
) -> Result<(), NlriError> {
    let message = match gateway {
        Some(gateway) if gateway.is_multicast() => format!("gateway {gateway}"),
        Some(gateway) if !esi.is_zero() => {
            format!("both gateway {gateway} and Ethernet segment {esi}")
        }
        _ => return Ok(()),
    };
    Err(NlriError {
        withdrawn: Some(Box::new((key.into(), 0))),
        ..NlriError::skip(start, message)
    })
}

/// Appends an EVPN NLRI.
pub(super) fn encode(nlri: &EvpnNlri, data: &PathData, out: &mut Vec<u8>) {
    out.extend([nlri.route_type(), 0]);
    let start = out.len();
    match nlri {
        EvpnNlri::MacIp(route) => encode_mac_ip(route, data, out),
        EvpnNlri::InclusiveMulticast(route) => {
            out.extend_from_slice(&route.rd.0);
            out.extend_from_slice(&route.tag.0.to_be_bytes());
            out.push(bits(&route.originator));
            encode_ip(route.originator, out);
        }
        EvpnNlri::EthernetAd(route) => {
            out.extend_from_slice(&route.rd.0);
            out.extend_from_slice(&route.esi.0);
            out.extend_from_slice(&route.tag.0.to_be_bytes());
            encode_label(data.label, out);
        }
        EvpnNlri::EthernetSegment(route) => {
            out.extend_from_slice(&route.rd.0);
            out.extend_from_slice(&route.esi.0);
            out.push(bits(&route.originator));
            encode_ip(route.originator, out);
        }
        EvpnNlri::IpPrefix(route) => encode_ip_prefix(route, data, out),
        EvpnNlri::Other { octets, .. } => {
            out.extend(octets.iter().take(usize::from(u8::MAX)));
        }
    }
    out[start - 1] = u8::try_from(out.len() - start).unwrap_or(u8::MAX);
}

fn encode_mac_ip(MacIp { rd, tag, mac, ip }: &MacIp, data: &PathData, out: &mut Vec<u8>) {
    out.extend_from_slice(&rd.0);
    out.extend_from_slice(&data.esi().0);
    out.extend_from_slice(&tag.0.to_be_bytes());
    out.push(48);
    out.extend_from_slice(&mac.0);
    match ip {
        Some(ip) => {
            out.push(bits(ip));
            encode_ip(*ip, out);
        }
        None => out.push(0),
    }
    encode_label(data.label, out);
    if let Some(label) = data.label2() {
        encode_label(label, out);
    }
}

/// A gateway of the other version than the prefix has no encoding (RFC 9136 section 3.1) and is left
/// out.
fn encode_ip_prefix(route: &EvpnPrefix, data: &PathData, out: &mut Vec<u8>) {
    out.extend_from_slice(&route.rd.0);
    let gateway = data.gateway().filter(|gateway| !gateway.is_unspecified());
    out.extend_from_slice(&data.esi().0);
    out.extend_from_slice(&route.tag.0.to_be_bytes());
    out.push(route.prefix.len());
    encode_ip(route.prefix.addr(), out);
    match (route.prefix, gateway) {
        (Prefix::V4(_), Some(IpAddr::V4(gateway))) => out.extend(gateway.octets()),
        (Prefix::V6(_), Some(IpAddr::V6(gateway))) => out.extend(gateway.octets()),
        (Prefix::V4(_), _) => out.extend([0; 4]),
        (Prefix::V6(_), _) => out.extend([0; 16]),
    }
    encode_label(data.label, out);
}

fn encode_label(label: u32, out: &mut Vec<u8>) {
    let [_, octets @ ..] = label.to_be_bytes();
    out.extend_from_slice(&octets);
}

fn encode_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(addr) => out.extend_from_slice(&addr.octets()),
        IpAddr::V6(addr) => out.extend_from_slice(&addr.octets()),
    }
}
