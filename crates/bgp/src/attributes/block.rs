//! The layout of the one allocation: header, then canonical attributes.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::as_path::AsPath;
use super::{AttributeCode, Attributes, FLAG_EXTENDED_LENGTH, NextHop, Origin, RawAttribute};

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
/// The block ends with a link-local address.
const HAS_LINK_LOCAL: u8 = 16;

/// The octets of the link-local address behind the attributes.
const LINK_LOCAL_LEN: usize = 16;

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

    pub(super) fn link_local(self, block: &[u8]) -> Option<Ipv6Addr> {
        let octets = block.last_chunk::<LINK_LOCAL_LEN>();
        let octets = octets.filter(|_| self.has(HAS_LINK_LOCAL));
        octets.map(|octets| Ipv6Addr::from(*octets))
    }

    /// The attributes in `block`.
    pub(super) fn wire(self, block: &[u8]) -> &[u8] {
        let behind = if self.has(HAS_LINK_LOCAL) {
            LINK_LOCAL_LEN
        } else {
            0
        };
        let end = block.len().saturating_sub(behind);
        block.get(Header::LEN..end).unwrap_or_default()
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
pub(crate) struct Block(Buffer);

impl Block {
    pub(crate) fn new() -> Self {
        Self(Buffer::new())
    }

    /// Appends an attribute. Of `flags`, the extended-length flag is set as the length wants it.
    #[inline]
    pub(crate) fn push(&mut self, flags: u8, code: AttributeCode, value: &[u8]) {
        push_attribute(&mut self.0, flags, code, value);
        let to = self.0.len();
        self.note(code, value, (to - value.len(), to));
    }

    /// The attributes of a finished set.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let mut block = Self::new();
        let wire = attributes.wire();
        block.0.push_octets(wire);
        let mut at = Header::LEN;
        for attribute in self::attributes(wire) {
            let from = at + attribute.head_len();
            at = from + attribute.value.len();
            block.note(attribute.code, attribute.value, (from, at));
        }
        block
    }

    /// Keeps in the header what is asked for often; the value stands at this place.
    #[inline]
    fn note(&mut self, code: AttributeCode, value: &[u8], (from, to): (usize, usize)) {
        let header = self.0.header();
        match code {
            AttributeCode::ORIGIN => header[ORIGIN] = value.first().copied().unwrap_or(0),
            AttributeCode::AS_PATH => {
                put(header, AS_PATH_FROM, place(from));
                put(header, AS_PATH_TO, place(to));
                put(header, AS_PATH_LEN, AsPath::new(value).path_len());
            }
            AttributeCode::MULTI_EXIT_DISC => {
                header[PRESENT] |= HAS_MED;
                put(header, MED, number(value));
            }
            AttributeCode::LOCAL_PREF => {
                header[PRESENT] |= HAS_LOCAL_PREF;
                put(header, LOCAL_PREF, number(value));
            }
            AttributeCode::EXTENDED_COMMUNITIES => {
                put(header, EXTENDED_FROM, place(from));
                put(header, EXTENDED_TO, place(to));
            }
            _ => {}
        }
    }

    /// Completes the header and shares the whole. If `last` is the same, it is shared in place of a
    /// new one. May be called again, with another next hop.
    pub(crate) fn finish(
        &mut self,
        next_hop: Option<NextHop>,
        last: Option<&Attributes>,
    ) -> Attributes {
        self.set_next_hop(next_hop.map(|next_hop| next_hop.addr));
        let len = self.0.len();
        if let Some(link_local) = next_hop.and_then(|next_hop| next_hop.link_local) {
            self.0.header()[PRESENT] |= HAS_LINK_LOCAL;
            self.0.push_octets(&link_local.octets());
        }
        let mut hasher = rustc_hash::FxHasher::default();
        hasher.write(&self.0.octets()[FINGERPRINT + 8..]);
        self.0.header()[FINGERPRINT..FINGERPRINT + 8]
            .copy_from_slice(&hasher.finish().to_le_bytes());
        let octets = self.0.octets();
        let attributes = match last {
            Some(last) if *last.0 == *octets => last.clone(),
            _ => Attributes(Arc::from(octets)),
        };
        self.0.truncate(len);
        attributes
    }

    fn set_next_hop(&mut self, addr: Option<IpAddr>) {
        let header = self.0.header();
        header[PRESENT] &= !(HAS_NEXT_HOP_V4 | HAS_NEXT_HOP_V6 | HAS_LINK_LOCAL);
        header[NEXT_HOP..NEXT_HOP + 16].fill(0);
        match addr {
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
    }
}

/// The octets of a set under construction: in place as long as they fit there, as most do.
struct Buffer {
    inline: [u8; INLINE_LEN],
    inline_len: usize,
    /// All octets, once they did not fit; empty before.
    spilled: Vec<u8>,
}

impl Buffer {
    /// A header of zeros.
    fn new() -> Self {
        Self {
            inline: [0; INLINE_LEN],
            inline_len: Header::LEN,
            spilled: Vec::new(),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.octets().len()
    }

    #[inline]
    fn octets(&self) -> &[u8] {
        if self.spilled.is_empty() {
            &self.inline[..self.inline_len]
        } else {
            &self.spilled
        }
    }

    #[inline]
    fn header(&mut self) -> &mut [u8] {
        if self.spilled.is_empty() {
            &mut self.inline[..Header::LEN]
        } else {
            &mut self.spilled[..Header::LEN]
        }
    }

    /// Shortens it to `len`, which is no less than the header.
    fn truncate(&mut self, len: usize) {
        self.spilled.truncate(len);
        self.inline_len = self.inline_len.min(len);
    }

    #[cold]
    fn spill(&mut self, octets: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.reserve(2 * (self.inline_len + octets.len()));
            self.spilled
                .extend_from_slice(&self.inline[..self.inline_len]);
        }
        self.spilled.extend_from_slice(octets);
    }
}

impl Octets for Buffer {
    #[inline]
    fn push_octets(&mut self, octets: &[u8]) {
        let to = self.inline_len + octets.len();
        match self.inline.get_mut(self.inline_len..to) {
            Some(room) if self.spilled.is_empty() => {
                room.copy_from_slice(octets);
                self.inline_len = to;
            }
            _ => self.spill(octets),
        }
    }
}

fn put(header: &mut [u8], at: usize, value: u32) {
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
#[inline]
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
