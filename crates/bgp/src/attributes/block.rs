//! The layout of the one allocation: header, then canonical attributes.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::as_path::AsPath;
use super::{AttributeCode, Attributes, FLAG_EXTENDED_LENGTH, Origin, RawAttribute};

/// Most attribute sets fit in so many octets and need no allocation while they are put together.
const INLINE_LEN: usize = 256;

/// The scalars in front of the attributes. Numbers are little-endian; places and lengths count from
/// the begin of the block.
#[derive(Clone, Copy)]
pub(super) struct Header<'a>(&'a [u8; Header::LEN]);

const FINGERPRINT: usize = 0;
const LOCAL_PREF: usize = 8;
const MED: usize = 12;
const AS_PATH_LEN: usize = 16;
const AS_PATH_FROM: usize = 20;
const AS_PATH_TO: usize = 24;
const EXTENDED_FROM: usize = 28;
const EXTENDED_TO: usize = 32;
const NEXT_HOP: usize = 36;
const PRESENT: usize = 52;
const ORIGIN: usize = 53;

const HAS_LOCAL_PREF: u8 = 1;
const HAS_MED: u8 = 2;
const HAS_NEXT_HOP_V4: u8 = 4;
const HAS_NEXT_HOP_V6: u8 = 8;

impl<'a> Header<'a> {
    /// Its octets.
    pub(super) const LEN: usize = 56;

    /// The header at the front of `block`, which has one as every [`Attributes`] has.
    pub(super) fn new(block: &'a [u8]) -> Self {
        static EMPTY: [u8; Header::LEN] = [0; Header::LEN];
        Self(block.first_chunk().unwrap_or(&EMPTY))
    }

    fn octets<const N: usize>(self, at: usize) -> [u8; N] {
        let mut octets = [0; N];
        octets.copy_from_slice(&self.0[at..at + N]);
        octets
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.octets(at))
    }

    fn has(self, flag: u8) -> bool {
        self.0[PRESENT] & flag != 0
    }

    fn slice(self, block: &'a [u8], from: usize, to: usize) -> &'a [u8] {
        let place = |at| usize::try_from(self.u32(at)).unwrap_or(usize::MAX);
        block.get(place(from)..place(to)).unwrap_or_default()
    }

    pub(super) fn fingerprint(self) -> u64 {
        u64::from_le_bytes(self.octets(FINGERPRINT))
    }

    pub(super) fn local_pref(self) -> Option<u32> {
        self.has(HAS_LOCAL_PREF).then(|| self.u32(LOCAL_PREF))
    }

    pub(super) fn med(self) -> Option<u32> {
        self.has(HAS_MED).then(|| self.u32(MED))
    }

    pub(super) fn origin(self) -> Origin {
        Origin::from_code(self.0[ORIGIN]).unwrap_or_default()
    }

    pub(super) fn next_hop(self) -> Option<IpAddr> {
        if self.has(HAS_NEXT_HOP_V4) {
            Some(IpAddr::from(self.octets::<4>(NEXT_HOP)))
        } else if self.has(HAS_NEXT_HOP_V6) {
            Some(IpAddr::from(self.octets::<16>(NEXT_HOP)))
        } else {
            None
        }
    }

    pub(super) fn as_path(self, block: &'a [u8]) -> &'a [u8] {
        self.slice(block, AS_PATH_FROM, AS_PATH_TO)
    }

    pub(super) fn as_path_len(self) -> u32 {
        self.u32(AS_PATH_LEN)
    }

    pub(super) fn extended_communities(self, block: &'a [u8]) -> &'a [u8] {
        self.slice(block, EXTENDED_FROM, EXTENDED_TO)
    }
}

/// An attribute set under construction. Attributes must come in ascending order of type, each once,
/// and be valid.
pub(crate) struct Block(SmallVec<[u8; INLINE_LEN]>);

impl Block {
    pub(crate) fn new() -> Self {
        Self(SmallVec::from_slice(&[0; Header::LEN]))
    }

    /// Appends an attribute. Of `flags`, the extended-length flag is set as the length wants it.
    pub(crate) fn push(&mut self, flags: u8, code: AttributeCode, value: &[u8]) {
        push_attribute(&mut self.0, flags, code, value);
    }

    /// The attributes of a finished set.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        Self(SmallVec::from_slice(&attributes.0))
    }

    /// The attributes so far.
    fn wire(&self) -> &[u8] {
        &self.0[Header::LEN..]
    }

    /// Fills the header and shares the whole. If `last` is the same, it is shared in place of a new
    /// one. May be called again, with another next hop.
    pub(crate) fn finish(
        &mut self,
        next_hop: Option<IpAddr>,
        last: Option<&Attributes>,
    ) -> Attributes {
        let header = self.header(next_hop);
        self.0[..Header::LEN].copy_from_slice(&header);
        let mut hasher = rustc_hash::FxHasher::default();
        hasher.write(&self.0[FINGERPRINT + 8..]);
        self.0[FINGERPRINT..FINGERPRINT + 8].copy_from_slice(&hasher.finish().to_le_bytes());
        match last {
            Some(last) if *last.0 == *self.0 => last.clone(),
            _ => Attributes(Arc::from(&self.0[..])),
        }
    }

    fn header(&self, next_hop: Option<IpAddr>) -> [u8; Header::LEN] {
        let mut header = [0; Header::LEN];
        let mut at = Header::LEN;
        for attribute in attributes(self.wire()) {
            let head = if attribute.flags & FLAG_EXTENDED_LENGTH == 0 {
                3
            } else {
                4
            };
            let (from, to) = (at + head, at + head + attribute.value.len());
            match attribute.code {
                AttributeCode::ORIGIN => {
                    header[ORIGIN] = attribute.value.first().copied().unwrap_or(0)
                }
                AttributeCode::AS_PATH => {
                    put(&mut header, AS_PATH_FROM, place(from));
                    put(&mut header, AS_PATH_TO, place(to));
                    put(
                        &mut header,
                        AS_PATH_LEN,
                        AsPath::new(attribute.value).path_len(),
                    );
                }
                AttributeCode::MULTI_EXIT_DISC => {
                    header[PRESENT] |= HAS_MED;
                    put(&mut header, MED, number(attribute.value));
                }
                AttributeCode::LOCAL_PREF => {
                    header[PRESENT] |= HAS_LOCAL_PREF;
                    put(&mut header, LOCAL_PREF, number(attribute.value));
                }
                AttributeCode::EXTENDED_COMMUNITIES => {
                    put(&mut header, EXTENDED_FROM, place(from));
                    put(&mut header, EXTENDED_TO, place(to));
                }
                _ => {}
            }
            at = to;
        }
        match next_hop {
            Some(IpAddr::V4(addr)) => {
                header[PRESENT] |= HAS_NEXT_HOP_V4;
                header[NEXT_HOP..NEXT_HOP + 4].copy_from_slice(&addr.octets());
            }
            Some(IpAddr::V6(addr)) => {
                header[PRESENT] |= HAS_NEXT_HOP_V6;
                header[NEXT_HOP..NEXT_HOP + 16].copy_from_slice(&addr.octets());
            }
            None => {}
        }
        header
    }
}

fn put(header: &mut [u8; Header::LEN], at: usize, value: u32) {
    header[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn number(value: &[u8]) -> u32 {
    value.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// Writes an attribute. Of `flags`, the extended-length flag is set as the length wants it.
///
/// Values have at most 65535 octets: received ones by the size of a message, built ones because the
/// builder cuts them.
pub(crate) fn push_attribute(out: &mut impl Octets, flags: u8, code: AttributeCode, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(len) => out.push_octets(&[flags & !FLAG_EXTENDED_LENGTH, code.0, len]),
        Err(_) => {
            let [a, b] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
            out.push_octets(&[flags | FLAG_EXTENDED_LENGTH, code.0, a, b]);
        }
    }
    out.push_octets(value);
}

/// What octets are appended to, many at a time.
pub(crate) trait Octets {
    fn push_octets(&mut self, octets: &[u8]);
}

impl Octets for Vec<u8> {
    fn push_octets(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

impl<A: smallvec::Array<Item = u8>> Octets for SmallVec<A> {
    fn push_octets(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

/// The attributes in `wire`; ends at the first that is cut off.
pub(crate) fn attributes(wire: &[u8]) -> impl Iterator<Item = RawAttribute<'_>> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&[flags, code], tail) = rest.split_first_chunk()?;
        let (len, tail) = if flags & FLAG_EXTENDED_LENGTH == 0 {
            let (len, tail) = tail.split_first()?;
            (usize::from(*len), tail)
        } else {
            let (len, tail) = tail.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), tail)
        };
        let (value, tail) = tail.split_at_checked(len)?;
        rest = tail;
        Some(RawAttribute {
            flags,
            code: AttributeCode(code),
            value,
        })
    })
}
