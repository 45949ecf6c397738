//! What waits to be written to a connection.

use bytes::{Buf, Bytes};
use chanter_bgp::HEADER_LEN;

use crate::status::MessageCounts;

/// What waits to be written to a connection: a run of UPDATEs from the engine, and messages of the
/// session, which go first, but never into the middle of another message.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    session: Vec<u8>,
    session_written: usize,
    updates: Bytes,
    /// So many octets of `updates` belong to a message that has been begun.
    begun: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.session.is_empty() && self.updates.is_empty()
    }

    /// Adds messages of the session, written by `encode`.
    pub(super) fn push_session(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.session);
    }

    /// Whether all UPDATEs are written, so that more may be pulled.
    pub(super) fn takes_updates(&self) -> bool {
        self.updates.is_empty()
    }

    /// Adds whole UPDATE messages; to be called where [`Outbox::takes_updates`].
    pub(super) fn put_updates(&mut self, updates: Bytes) {
        debug_assert!(self.updates.is_empty(), "pulled before all was written");
        self.updates = updates;
    }

    /// Forgets UPDATEs that have not been begun: the session is over.
    pub(super) fn cut_updates(&mut self) {
        self.updates.truncate(self.begun);
    }

    /// What to write next.
    pub(super) fn next(&self) -> &[u8] {
        if self.begun > 0 {
            self.updates.get(..self.begun).unwrap_or_default()
        } else if self.session.is_empty() {
            &self.updates
        } else {
            self.session.get(self.session_written..).unwrap_or_default()
        }
    }

    /// `count` octets of [`Outbox::next`] were written; counts the messages that begin in them.
    pub(super) fn written(&mut self, count: usize, counts: &mut MessageCounts) {
        if self.begun > 0 {
            self.begun -= count;
            self.updates.advance(count);
        } else if self.session.is_empty() {
            self.begun = overhang(&self.updates, count, counts);
            self.updates.advance(count);
        } else {
            self.session_written += count;
            if self.session_written == self.session.len() {
                overhang(&self.session, self.session.len(), counts);
                self.session.clear();
                self.session_written = 0;
            }
        }
    }
}

/// Walks over the messages that begin before `end`, counts them, and returns how far the last one
/// reaches beyond `end`.
fn overhang(octets: &[u8], end: usize, counts: &mut MessageCounts) -> usize {
    let mut at = 0;
    while at < end {
        let Some(&[.., high, low, type_code]) =
            octets.get(at..).and_then(<[u8]>::first_chunk::<HEADER_LEN>)
        else {
            return octets.len() - end;
        };
        counts.count(type_code);
        at += usize::from(u16::from_be_bytes([high, low])).max(HEADER_LEN);
    }
    at.min(octets.len()) - end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(type_code: u8, len: u16) -> Vec<u8> {
        let mut message = vec![0xff; 16];
        message.extend(len.to_be_bytes());
        message.push(type_code);
        message.resize(usize::from(len), type_code);
        message
    }

    /// Writes all that waits in pieces of `piece` octets; a KEEPALIVE comes up after each.
    fn write_all(outbox: &mut Outbox, piece: usize, keepalives: usize) -> (Vec<u8>, MessageCounts) {
        let mut wire = Vec::new();
        let mut counts = MessageCounts::default();
        let mut left = keepalives;
        while !outbox.is_empty() {
            let next = outbox.next();
            let count = next.len().min(piece);
            wire.extend_from_slice(&next[..count]);
            outbox.written(count, &mut counts);
            if left > 0 {
                left -= 1;
                outbox.push_session(|out| out.extend(message(4, 19)));
            }
        }
        (wire, counts)
    }

    fn types(wire: &[u8]) -> Vec<u8> {
        let mut types = Vec::new();
        let mut at = 0;
        while at < wire.len() {
            assert_eq!(wire[at..at + 16], [0xff; 16], "a message begins at {at}");
            types.push(wire[at + 18]);
            at += usize::from(u16::from_be_bytes([wire[at + 16], wire[at + 17]]));
        }
        assert_eq!(at, wire.len());
        types
    }

    #[test]
    fn keepalives_go_between_messages_however_the_socket_takes_them() {
        for piece in 1..300 {
            let mut outbox = Outbox::default();
            let updates = [message(2, 100), message(2, 23), message(2, 90)].concat();
            outbox.put_updates(updates.into());
            let (wire, counts) = write_all(&mut outbox, piece, 5);
            let types = types(&wire);
            assert_eq!(types.iter().filter(|code| **code == 2).count(), 3);
            assert_eq!(
                (counts.update, counts.keepalive),
                (3, types.len() as u64 - 3)
            );
        }
    }

    #[test]
    fn a_keepalive_waits_for_no_more_than_the_message_that_was_begun() {
        let mut outbox = Outbox::default();
        let mut counts = MessageCounts::default();
        outbox.put_updates([message(2, 100), message(2, 100)].concat().into());
        outbox.written(30, &mut counts);
        outbox.push_session(|out| out.extend(message(4, 19)));
        assert_eq!(outbox.next().len(), 70);
        let (wire, _) = write_all(&mut outbox, 1000, 0);
        assert_eq!(types(&wire[70..]), [4, 2]);
    }

    #[test]
    fn at_the_end_only_what_was_begun_is_finished() {
        let mut outbox = Outbox::default();
        let mut counts = MessageCounts::default();
        outbox.put_updates([message(2, 100), message(2, 100)].concat().into());
        outbox.written(30, &mut counts);
        outbox.push_session(|out| out.extend(message(3, 21)));
        outbox.cut_updates();
        let (wire, _) = write_all(&mut outbox, 7, 0);
        assert_eq!(types(&wire[70..]), [3]);
    }
}
