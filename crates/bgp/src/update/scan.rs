//! The first pass over an UPDATE: where its fields and attributes are (RFC 4271 section 4.3).

use smallvec::SmallVec;

use super::fault::{Disposition, Faults};
use crate::attributes::{AttributeCode, FLAG_EXTENDED_LENGTH, FLAG_OPTIONAL, FLAG_TRANSITIVE};
use crate::extended_community::ExtendedCommunity;
use crate::message::{HEADER_LEN, NotificationMessage, codes};
use crate::reader::Reader;

/// An attribute and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) flags: u8,
    pub(super) code: AttributeCode,
    pub(super) value: &'a [u8],
    /// Of the value, from the begin of the message.
    pub(super) offset: usize,
}

impl Slot<'_> {
    /// Takes the attribute off the front of `wire`, attributes in canonical form; gives whether it is
    /// there.
    #[inline]
    pub(super) fn take_from(&self, wire: &mut &[u8]) -> bool {
        let is_extended = self.flags & FLAG_EXTENDED_LENGTH != 0;
        let head_len = if is_extended { 4 } else { 3 };
        let Some((taken, rest)) = wire.split_at_checked(head_len + self.value.len()) else {
            return false;
        };
        *wire = rest;
        let (head, value) = taken.split_at(head_len);
        let len = self.value.len();
        let lens_equal = if is_extended {
            usize::from(u16::from_be_bytes([head[2], head[3]])) == len
        } else {
            usize::from(head[2]) == len
        };
        head[..2] == [self.flags, self.code.0] && lens_equal && value == self.value
    }
}

/// An UPDATE cut into its parts.
pub(super) struct Scan<'a> {
    pub(super) withdrawn: Reader<'a>,
    pub(super) nlri: Reader<'a>,
    pub(super) mp_reach: Option<Slot<'a>>,
    pub(super) mp_unreach: Option<Slot<'a>>,
    pub(super) next_hop: Option<Slot<'a>>,
    /// All other attributes, each once, in ascending order of type.
    pub(super) slots: SmallVec<[Slot<'a>; 8]>,
    /// Whether there is any octet of attributes.
    pub(super) has_attributes: bool,
    /// Whether the last attribute is cut off.
    cut: bool,
}

impl<'a> Scan<'a> {
    /// Whether MP_UNREACH_NLRI is all that the message has.
    pub(super) fn is_only_mp_unreach(&self) -> bool {
        self.withdrawn.is_empty() && self.nlri.is_empty() && !self.has_path_attributes()
    }

    /// Whether there are attributes besides MP_UNREACH_NLRI.
    pub(super) fn has_path_attributes(&self) -> bool {
        self.mp_reach.is_some() || self.next_hop.is_some() || !self.slots.is_empty() || self.cut
    }

    /// The extended communities, whether well-formed or not.
    pub(super) fn extended_communities(&self) -> impl Iterator<Item = ExtendedCommunity> {
        let mut slots = self.slots.iter();
        let slot = slots.find(|slot| slot.code == AttributeCode::EXTENDED_COMMUNITIES);
        let value = slot.map_or(&[][..], |slot| slot.value);
        value.as_chunks().0.iter().copied().map(ExtendedCommunity)
    }

    /// Nothing yet.
    pub(super) fn new() -> Self {
        let nothing = Reader::new(&[], HEADER_LEN);
        Self {
            withdrawn: nothing,
            nlri: nothing,
            mp_reach: None,
            mp_unreach: None,
            next_hop: None,
            slots: SmallVec::new(),
            has_attributes: false,
            cut: false,
        }
    }

    /// Cuts the body of an UPDATE. In place, as a scan is too large to be moved about.
    pub(super) fn read(
        &mut self,
        body: &'a [u8],
        faults: &mut Faults<'_>,
    ) -> Result<(), NotificationMessage> {
        let mut reader = Reader::new(body, HEADER_LEN);
        let mut field = |name: &str| {
            let offset = reader.offset();
            let len = reader.u16().map(usize::from);
            len.and_then(|len| reader.sub(len)).ok_or_else(|| {
                // RFC 4271 section 6.3; RFC 7606 has no milder way: the fields cannot be found.
                let message = format!("{name} beyond the end of the message");
                let notification = NotificationMessage::new(
                    codes::UPDATE_MESSAGE_ERROR,
                    codes::update::MALFORMED_ATTRIBUTE_LIST,
                    Vec::new(),
                );
                faults.reset(None, offset, message, notification)
            })
        };
        self.withdrawn = field("Withdrawn Routes Length")?;
        let attributes = field("Total Path Attribute Length")?;
        self.nlri = reader;
        self.has_attributes = !attributes.is_empty();
        self.attributes(attributes, faults)
    }

    fn attributes(
        &mut self,
        mut reader: Reader<'a>,
        faults: &mut Faults<'_>,
    ) -> Result<(), NotificationMessage> {
        let mut seen = [0u64; 4];
        let mut sorted = true;
        while !reader.is_empty() {
            let start = reader;
            let Some(slot) = next_slot(&mut reader) else {
                let code = start.rest().get(1).copied().map(AttributeCode);
                faults.add(
                    code,
                    start.offset(),
                    Disposition::TreatAsWithdraw,
                    // RFC 7606 section 4.
                    format!("attribute cut off after {} octets", start.remaining()),
                );
                self.cut = true;
                break;
            };
            let (word, bit) = (usize::from(slot.code.0 >> 6), 1u64 << (slot.code.0 & 63));
            if seen[word] & bit != 0 {
                repeated(slot, start, faults)?;
                continue;
            }
            seen[word] |= bit;
            check_flags(slot, start, faults)?;
            match slot.code {
                AttributeCode::MP_REACH_NLRI => self.mp_reach = Some(slot),
                AttributeCode::MP_UNREACH_NLRI => self.mp_unreach = Some(slot),
                AttributeCode::NEXT_HOP => self.next_hop = Some(slot),
                _ => {
                    sorted &= self.slots.last().is_none_or(|last| last.code < slot.code);
                    self.slots.push(slot);
                }
            }
        }
        if !sorted {
            self.slots.sort_unstable_by_key(|slot| slot.code);
        }
        Ok(())
    }
}

fn next_slot<'a>(reader: &mut Reader<'a>) -> Option<Slot<'a>> {
    let [flags, code] = reader.array()?;
    let len = if flags & FLAG_EXTENDED_LENGTH == 0 {
        usize::from(reader.u8()?)
    } else {
        usize::from(reader.u16()?)
    };
    let offset = reader.offset();
    let value = reader.bytes(len)?;
    Some(Slot {
        flags,
        code: AttributeCode(code),
        value,
        offset,
    })
}

/// RFC 7606 section 3 (g).
fn repeated(
    slot: Slot<'_>,
    start: Reader<'_>,
    faults: &mut Faults<'_>,
) -> Result<(), NotificationMessage> {
    let message = "attribute is there twice".to_owned();
    match slot.code {
        AttributeCode::MP_REACH_NLRI | AttributeCode::MP_UNREACH_NLRI => {
            let notification = NotificationMessage::new(
                codes::UPDATE_MESSAGE_ERROR,
                codes::update::MALFORMED_ATTRIBUTE_LIST,
                Vec::new(),
            );
            Err(faults.reset(Some(slot.code), start.offset(), message, notification))
        }
        _ => {
            let disposition = Disposition::AttributeDiscard;
            faults.add(Some(slot.code), start.offset(), disposition, message);
            Ok(())
        }
    }
}

/// RFC 7606 section 3 (c): a conflict of the optional or the transitive flag. RFC 4271 section 6.3:
/// a well-known attribute that we do not know ends the session.
fn check_flags(
    slot: Slot<'_>,
    start: Reader<'_>,
    faults: &mut Faults<'_>,
) -> Result<(), NotificationMessage> {
    let flags = slot.flags & (FLAG_OPTIONAL | FLAG_TRANSITIVE);
    match slot.code.flags() {
        Some(expected) if flags != expected => {
            let message = format!("flags 0x{:02x}", slot.flags);
            faults.add(
                Some(slot.code),
                start.offset(),
                Disposition::TreatAsWithdraw,
                message,
            );
            Ok(())
        }
        None if flags & FLAG_OPTIONAL == 0 => {
            let len = slot.offset - start.offset() + slot.value.len();
            let notification = NotificationMessage::new(
                codes::UPDATE_MESSAGE_ERROR,
                codes::update::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE,
                start.rest().get(..len).unwrap_or_default().to_vec(),
            );
            let message = "well-known attribute that is not known".to_owned();
            Err(faults.reset(Some(slot.code), start.offset(), message, notification))
        }
        _ => Ok(()),
    }
}
