//! Records: the common header (RFC 6396 section 2), and a reader of files.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

/// `TABLE_DUMP_V2` (section 4.3).
pub const TABLE_DUMP_V2: u16 = 13;
/// `BGP4MP` (section 4.4).
pub const BGP4MP: u16 = 16;
/// `BGP4MP` with microseconds (section 3).
pub const BGP4MP_ET: u16 = 17;

const HEADER_LEN: usize = 12;
const MICROSECONDS_LEN: usize = 4;

/// No record is longer: the limit of the reader, so that a file that is none is found out.
pub const RECORD_LEN_MAX: usize = 1 << 24;

/// A record, its body not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Seconds since 1970.
    pub seconds: u32,
    /// Microseconds, where the type has them.
    pub microseconds: Option<u32>,
    /// The type.
    pub kind: u16,
    /// The subtype.
    pub subtype: u16,
    /// What follows the header, and the microseconds.
    pub body: &'a [u8],
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It ends in the middle.
    #[error("the record ends early")]
    Truncated,
    /// It claims to be longer than any.
    #[error("a length of {0} octets: no MRT file")]
    TooLong(u32),
    /// A field that does not fit the others.
    #[error("{0}")]
    Malformed(&'static str),
    /// A type or subtype that is not read here.
    #[error("type {0}, subtype {1} is not known")]
    Unknown(u16, u16),
}

impl<'a> Record<'a> {
    /// The first record of `octets`, and what follows it; `None` at the end.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn split(octets: &'a [u8]) -> Result<Option<(Self, &'a [u8])>, RecordError> {
        if octets.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader(octets);
        let seconds = reader.u32()?;
        let (kind, subtype) = (reader.u16()?, reader.u16()?);
        let len = reader.u32()?;
        if len as usize > RECORD_LEN_MAX {
            return Err(RecordError::TooLong(len));
        }
        let mut body = Reader(reader.take(len as usize)?);
        let microseconds = match kind {
            BGP4MP_ET => Some(body.u32()?),
            _ => None,
        };
        let record = Self {
            seconds,
            microseconds,
            kind,
            subtype,
            body: body.0,
        };
        Ok(Some((record, reader.0)))
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let extra = self.microseconds.map_or(0, |_| MICROSECONDS_LEN);
        out.reserve(HEADER_LEN + extra + self.body.len());
        out.extend(self.seconds.to_be_bytes());
        out.extend(self.kind.to_be_bytes());
        out.extend(self.subtype.to_be_bytes());
        let len = u32::try_from(self.body.len() + extra).unwrap_or(u32::MAX);
        out.extend(len.to_be_bytes());
        out.extend(self.microseconds.into_iter().flat_map(u32::to_be_bytes));
        out.extend_from_slice(self.body);
    }
}

/// All records of a file in memory; stops after the first error.
pub fn records(octets: &[u8]) -> impl Iterator<Item = Result<Record<'_>, RecordError>> {
    let mut rest = octets;
    std::iter::from_fn(move || match Record::split(rest) {
        Ok(None) => None,
        Ok(Some((record, behind))) => {
            rest = behind;
            Some(Ok(record))
        }
        Err(error) => {
            rest = &[];
            Some(Err(error))
        }
    })
}

/// Seconds and microseconds since 1970.
pub(crate) fn timestamp(at: SystemTime) -> (u32, u32) {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
    (seconds, since.subsec_micros())
}

/// Takes fields from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(RecordError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RecordError> {
        self.array().map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn ip(&mut self, is_ipv6: bool) -> Result<IpAddr, RecordError> {
        if is_ipv6 {
            self.array::<16>()
                .map(|octets| Ipv6Addr::from(octets).into())
        } else {
            self.array::<4>()
                .map(|octets| Ipv4Addr::from(octets).into())
        }
    }
}

pub(crate) fn push_ip(addr: IpAddr, out: &mut Vec<u8>) {
    match addr {
        IpAddr::V4(addr) => out.extend(addr.octets()),
        IpAddr::V6(addr) => out.extend(addr.octets()),
    }
}

/// A 16-bit length or count; what does not fit is a mistake of the caller, who cuts before.
pub(crate) fn u16_of(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}
