//! `BGP4MP` and `BGP4MP_ET`: messages and state changes (RFC 6396 section 4.4, RFC 8050 section 3).

use std::net::IpAddr;
use std::time::SystemTime;

use chanter_bgp::session::State;

use crate::record::{BGP4MP, BGP4MP_ET, Reader, Record, RecordError, push_ip, timestamp};

const STATE_CHANGE: u16 = 0;
const MESSAGE: u16 = 1;
const MESSAGE_AS4: u16 = 4;
const STATE_CHANGE_AS4: u16 = 5;
const MESSAGE_LOCAL: u16 = 6;
const MESSAGE_AS4_LOCAL: u16 = 7;
const MESSAGE_ADDPATH: u16 = 8;
const MESSAGE_AS4_ADDPATH: u16 = 9;
const MESSAGE_LOCAL_ADDPATH: u16 = 10;
const MESSAGE_AS4_LOCAL_ADDPATH: u16 = 11;

const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;

/// Between whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The peer's AS.
    pub peer_as: u32,
    /// Our AS.
    pub local_as: u32,
    /// The number of the interface; 0: not known.
    pub interface: u16,
    /// The peer's address.
    pub peer_addr: IpAddr,
    /// Our address, of the same version.
    pub local_addr: IpAddr,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What<'a> {
    /// A whole message, with its header.
    Message {
        /// We sent it.
        is_local: bool,
        /// Path identifiers are in its NLRI.
        add_path: bool,
        /// AS numbers in it have four octets. (Those of [`Session`] have, if so.)
        four_octet_as: bool,
        /// The octets.
        octets: &'a [u8],
    },
    /// The state of the session changed; numbers as in section 4.4.1.
    StateChange {
        /// From.
        old: u16,
        /// To.
        new: u16,
    },
}

/// The number of a state in MRT (section 4.4.1).
pub fn state_number(state: State) -> u16 {
    match state {
        State::Idle => 1,
        State::Connect => 2,
        State::Active => 3,
        State::OpenSent => 4,
        State::OpenConfirm => 5,
        State::Established => 6,
    }
}

/// Appends a `BGP4MP_ET` record, or nothing where the addresses are not of one version.
pub fn encode(at: SystemTime, session: &Session, what: &What<'_>, out: &mut Vec<u8>) {
    let afi = match (session.peer_addr, session.local_addr) {
        (IpAddr::V4(_), IpAddr::V4(_)) => AFI_IPV4,
        (IpAddr::V6(_), IpAddr::V6(_)) => AFI_IPV6,
        _ => return,
    };
    let subtype = subtype(what);
    let mut body = Vec::new();
    for asn in [session.peer_as, session.local_as] {
        if has_wide_as(subtype) {
            body.extend(asn.to_be_bytes());
        } else {
            // RFC 6793 section 4.2.2: what does not fit is AS_TRANS.
            body.extend(u16::try_from(asn).unwrap_or(23456).to_be_bytes());
        }
    }
    body.extend(session.interface.to_be_bytes());
    body.extend(afi.to_be_bytes());
    push_ip(session.peer_addr, &mut body);
    push_ip(session.local_addr, &mut body);
    match what {
        What::Message { octets, .. } => body.extend_from_slice(octets),
        What::StateChange { old, new } => {
            body.extend(old.to_be_bytes());
            body.extend(new.to_be_bytes());
        }
    }
    let (seconds, microseconds) = timestamp(at);
    let record = Record {
        seconds,
        microseconds: Some(microseconds),
        kind: BGP4MP_ET,
        subtype,
        body: &body,
    };
    record.encode(out);
}

fn subtype(what: &What<'_>) -> u16 {
    let What::Message {
        is_local,
        add_path,
        four_octet_as,
        ..
    } = what
    else {
        return STATE_CHANGE_AS4;
    };
    match (add_path, is_local, four_octet_as) {
        (false, false, false) => MESSAGE,
        (false, false, true) => MESSAGE_AS4,
        (false, true, false) => MESSAGE_LOCAL,
        (false, true, true) => MESSAGE_AS4_LOCAL,
        (true, false, false) => MESSAGE_ADDPATH,
        (true, false, true) => MESSAGE_AS4_ADDPATH,
        (true, true, false) => MESSAGE_LOCAL_ADDPATH,
        (true, true, true) => MESSAGE_AS4_LOCAL_ADDPATH,
    }
}

fn has_wide_as(subtype: u16) -> bool {
    matches!(
        subtype,
        MESSAGE_AS4
            | STATE_CHANGE_AS4
            | MESSAGE_AS4_LOCAL
            | MESSAGE_AS4_ADDPATH
            | MESSAGE_AS4_LOCAL_ADDPATH
    )
}

/// Reads the body of a `BGP4MP` or `BGP4MP_ET` record.
///
/// # Errors
/// [`RecordError`].
pub fn decode<'a>(record: &Record<'a>) -> Result<(Session, What<'a>), RecordError> {
    let Record { kind, subtype, .. } = *record;
    let is_known = subtype <= MESSAGE_AS4_LOCAL_ADDPATH && !matches!(subtype, 2 | 3);
    if !matches!(kind, BGP4MP | BGP4MP_ET) || !is_known {
        return Err(RecordError::Unknown(kind, subtype));
    }
    let mut reader = Reader(record.body);
    let mut asn = || match has_wide_as(subtype) {
        true => reader.u32(),
        false => reader.u16().map(u32::from),
    };
    let (peer_as, local_as) = (asn()?, asn()?);
    let interface = reader.u16()?;
    let is_ipv6 = match reader.u16()? {
        AFI_IPV4 => false,
        AFI_IPV6 => true,
        _ => {
            return Err(RecordError::Malformed(
                "an address family that is none of IP",
            ));
        }
    };
    let session = Session {
        peer_as,
        local_as,
        interface,
        peer_addr: reader.ip(is_ipv6)?,
        local_addr: reader.ip(is_ipv6)?,
    };
    let what = match subtype {
        STATE_CHANGE | STATE_CHANGE_AS4 => What::StateChange {
            old: reader.u16()?,
            new: reader.u16()?,
        },
        _ => What::Message {
            is_local: matches!(subtype, 6 | 7 | 10 | 11),
            add_path: subtype >= MESSAGE_ADDPATH,
            four_octet_as: has_wide_as(subtype),
            octets: reader.0,
        },
    };
    Ok((session, what))
}
