//! A cursor over received octets.

/// Takes fixed-size pieces off the front of a slice; every taking may find too little.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `octets`, which begin `offset` octets into what offsets are counted from.
    pub(crate) fn new(octets: &'a [u8], offset: usize) -> Self {
        Self { octets, offset }
    }

    /// Where the next octet stands.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.octets.len()
    }

    /// All that is left, without taking it.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.octets
    }

    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.octets.split_at_checked(count)?;
        self.octets = rest;
        self.offset += count;
        Some(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.octets.split_first_chunk::<N>()?;
        self.octets = rest;
        self.offset += N;
        Some(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A sub-reader over the next `count` octets.
    #[inline]
    pub(crate) fn sub(&mut self, count: usize) -> Option<Reader<'a>> {
        let offset = self.offset;
        self.bytes(count).map(|octets| Reader::new(octets, offset))
    }
}
