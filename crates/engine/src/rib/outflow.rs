//! What one export call gives: octets of its own, or octets that several peers share.

use bytes::Bytes;

/// Octets on their way to one peer. While they are one piece that others are sent too, they are not
/// copied.
#[derive(Debug, Default)]
pub(super) struct Outflow {
    shared: Bytes,
    own: Vec<u8>,
}

impl Outflow {
    pub(super) fn len(&self) -> usize {
        self.shared.len() + self.own.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends octets that are shared.
    pub(super) fn push(&mut self, octets: Bytes) {
        if self.is_empty() {
            self.shared = octets;
        } else {
            self.writer().extend_from_slice(&octets);
        }
    }

    /// To append octets of its own.
    pub(super) fn writer(&mut self) -> &mut Vec<u8> {
        if !self.shared.is_empty() {
            self.own.extend_from_slice(&self.shared);
            self.shared = Bytes::new();
        }
        &mut self.own
    }

    /// All of it as one piece.
    pub(super) fn finish(self) -> Bytes {
        if self.shared.is_empty() {
            self.own.into()
        } else {
            self.shared
        }
    }
}
