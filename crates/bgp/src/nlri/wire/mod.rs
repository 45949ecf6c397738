//! NLRI on the wire.

mod evpn;
mod prefix;

use chanter_types::{Ipv4Prefix, Ipv6Prefix};

use super::{Nlri, PathData, RtMembership, Vpnv4Prefix, Vpnv6Prefix, flowspec};
use crate::family::Family;
use crate::reader::Reader;

use prefix::{decode_prefix, decode_vpn, encode_prefix, encode_vpn};

/// What is wrong with an NLRI, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NlriError {
    pub(crate) offset: usize,
    pub(crate) message: String,
    /// Whether the next NLRI can be found all the same.
    pub(crate) skippable: bool,
    /// The key and its path identifier, if that much is understood: it is then withdrawn.
    pub(crate) withdrawn: Option<Box<(Nlri, u32)>>,
}

impl NlriError {
    /// The field is syntactically incorrect: what follows cannot be found (RFC 7606 section 5.3).
    pub(crate) fn lost(offset: usize, message: String) -> Self {
        Self {
            offset,
            message,
            skippable: false,
            withdrawn: None,
        }
    }

    /// The NLRI tells its own length, and the next one begins behind it.
    pub(crate) fn skip(offset: usize, message: String) -> Self {
        Self {
            skippable: true,
            ..Self::lost(offset, message)
        }
    }
}

/// How the NLRI of a field are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) family: Family,
    /// Whether a path identifier stands before each (RFC 7911 section 3).
    pub(crate) has_path_id: bool,
    /// Whether they are withdrawn: then only the key counts.
    pub(crate) is_withdrawn: bool,
}

impl Form {
    /// Prefixes of IPv4 that are reached, without path identifiers.
    pub(crate) const IPV4: Self = Self {
        family: Family::IPV4_UNICAST,
        has_path_id: false,
        is_withdrawn: false,
    };
}

/// Takes the next prefix off `reader`, if there is one and it is right; else [`decode`] says what is
/// wrong with it.
#[inline]
pub(crate) fn take_ipv4(reader: &mut Reader<'_>) -> Option<Ipv4Prefix> {
    let (len, octets) = reader.rest().split_first()?;
    let count = usize::from(len.div_ceil(8));
    // What belongs to the next one is masked out.
    let addr = match octets.first_chunk::<4>() {
        Some(octets) => *octets,
        None => {
            let mut addr = [0; 4];
            addr[..octets.len()].copy_from_slice(octets);
            addr
        }
    };
    let prefix = Ipv4Prefix::new(addr.into(), *len)?;
    reader.bytes(1 + count).map(|_| prefix)
}

/// Takes the next NLRI off `reader`, which is not empty.
pub(crate) fn decode(form: Form, reader: &mut Reader<'_>) -> Result<(Nlri, PathData), NlriError> {
    if !form.has_path_id {
        return decode_one(form, reader);
    }
    let offset = reader.offset();
    let Some(path_id) = reader.array().map(u32::from_be_bytes) else {
        return Err(NlriError::lost(
            offset,
            "path identifier cut off".to_owned(),
        ));
    };
    match decode_one(form, reader) {
        Ok((nlri, mut data)) => {
            data.path_id = path_id;
            Ok((nlri, data))
        }
        Err(mut error) => {
            if let Some(withdrawn) = &mut error.withdrawn {
                withdrawn.1 = path_id;
            }
            Err(error)
        }
    }
}

#[inline]
fn decode_one(form: Form, reader: &mut Reader<'_>) -> Result<(Nlri, PathData), NlriError> {
    let plain = |nlri| (nlri, PathData::default());
    let start = reader.offset();
    match form.family {
        Family::IPV4_UNICAST => {
            let (len, octets) = decode_prefix(reader)?;
            Ipv4Prefix::new(octets.into(), len).map(|prefix| plain(Nlri::Ipv4(prefix)))
        }
        Family::IPV6_UNICAST => {
            let (len, octets) = decode_prefix::<16>(reader)?;
            Ipv6Prefix::new(octets.into(), len).map(|prefix| plain(Nlri::Ipv6(prefix)))
        }
        Family::L2VPN_EVPN => return evpn::decode(form, reader),
        Family::IPV4_VPN => {
            let (label, rd, len, octets) = decode_vpn(reader)?;
            Ipv4Prefix::new(octets.into(), len).map(|prefix| {
                let nlri = Nlri::Vpn4(Vpnv4Prefix { rd, prefix });
                (nlri, PathData::with_label(label))
            })
        }
        Family::IPV6_VPN => {
            let (label, rd, len, octets) = decode_vpn::<16>(reader)?;
            Ipv6Prefix::new(octets.into(), len).map(|prefix| {
                let nlri = Nlri::Vpn6(Vpnv6Prefix { rd, prefix });
                (nlri, PathData::with_label(label))
            })
        }
        Family::IPV4_RTC => {
            let (len, octets) = decode_prefix::<12>(reader)?;
            let membership = RtMembership::from_prefix(len, octets).ok_or_else(|| {
                let message = format!("prefix length {len}, neither 0 nor 32 to 96,");
                NlriError::skip(start, message)
            })?;
            Some(plain(Nlri::Rtc(membership)))
        }
        family if family.is_flowspec() => {
            Some(plain(Nlri::FlowSpec(flowspec::decode(family, reader)?)))
        }
        _ => None,
    }
    // Families are checked before, prefix lengths by `decode_prefix`.
    .ok_or_else(|| NlriError::lost(start, format!("NLRI of family {}", form.family)))
}

/// Appends `nlri` as `form` wants it; its family is that of `nlri`. In a withdrawal, what is not part
/// of the key is zero.
pub(crate) fn encode(form: Form, nlri: &Nlri, data: PathData, out: &mut Vec<u8>) {
    if form.has_path_id {
        out.extend_from_slice(&data.path_id.to_be_bytes());
    }
    if form.is_withdrawn {
        encode_one(nlri, &PathData::with_label(withdrawn_label(nlri)), out);
    } else {
        encode_one(nlri, &data, out);
    }
}

fn withdrawn_label(nlri: &Nlri) -> u32 {
    match nlri {
        Nlri::Vpn4(_) | Nlri::Vpn6(_) => prefix::WITHDRAWN_LABEL,
        _ => 0,
    }
}

fn encode_one(nlri: &Nlri, data: &PathData, out: &mut Vec<u8>) {
    match nlri {
        Nlri::Ipv4(prefix) => encode_prefix(prefix.len(), &prefix.addr().octets(), out),
        Nlri::Ipv6(prefix) => encode_prefix(prefix.len(), &prefix.addr().octets(), out),
        Nlri::Rtc(membership) => encode_prefix(membership.len(), &membership.octets(), out),
        Nlri::Evpn(nlri) => evpn::encode(nlri, data, out),
        Nlri::Vpn4(route) => {
            let octets = route.prefix.addr().octets();
            encode_vpn(data.label, route.rd, (route.prefix.len(), &octets), out);
        }
        Nlri::Vpn6(route) => {
            let octets = route.prefix.addr().octets();
            encode_vpn(data.label, route.rd, (route.prefix.len(), &octets), out);
        }
        Nlri::FlowSpec(nlri) => flowspec::encode(nlri, out),
    }
}
