//! What was wrong with an UPDATE, and what was done about it (RFC 7606).

use std::fmt;

use crate::attributes::AttributeCode;
use crate::message::NotificationMessage;

/// What was done about a fault, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// The attribute does not count, the routes do.
    AttributeDiscard,
    /// The routes of the message are withdrawn.
    TreatAsWithdraw,
    /// The session ends with a NOTIFICATION.
    SessionReset,
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Disposition::AttributeDiscard => "attribute-discard",
            Disposition::TreatAsWithdraw => "treat-as-withdraw",
            Disposition::SessionReset => "session-reset",
        })
    }
}

/// A fault in an UPDATE. Its text is the log line:
/// `in MP_REACH_NLRI: prefix length 133 at byte 47 (treat-as-withdraw)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, in octets from the begin of the message, header included.
    pub offset: usize,
    /// In which attribute; `None`: in the fields around the attributes.
    pub attribute: Option<AttributeCode>,
    /// What was done.
    pub disposition: Disposition,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attribute {
            Some(attribute) => write!(f, "in {attribute}: ")?,
            None => f.write_str("in UPDATE: ")?,
        }
        write!(
            f,
            "{} at byte {} ({})",
            self.message, self.offset, self.disposition
        )
    }
}

impl std::error::Error for Fault {}

/// Collects the faults of one UPDATE and keeps the severest disposition.
pub(super) struct Faults<'a> {
    list: &'a mut Vec<Fault>,
    room: usize,
    withdraw: bool,
}

impl<'a> Faults<'a> {
    /// So many faults of one message are told, so that a message full of them cannot flood the log.
    const TOLD_MAX: usize = 16;

    pub(super) fn new(list: &'a mut Vec<Fault>) -> Self {
        Self {
            list,
            room: Self::TOLD_MAX,
            withdraw: false,
        }
    }

    /// Whether the routes of the message are to be withdrawn.
    pub(super) fn withdraw(&self) -> bool {
        self.withdraw
    }

    pub(super) fn add(
        &mut self,
        attribute: Option<AttributeCode>,
        offset: usize,
        disposition: Disposition,
        message: String,
    ) {
        self.withdraw |= disposition >= Disposition::TreatAsWithdraw;
        if self.room > 0 {
            self.room -= 1;
            self.list.push(Fault {
                offset,
                attribute,
                disposition,
                message,
            });
        }
    }

    /// Tells of a fault that ends the session, and gives the NOTIFICATION back. It is told always.
    pub(super) fn reset(
        &mut self,
        attribute: Option<AttributeCode>,
        offset: usize,
        message: String,
        notification: NotificationMessage,
    ) -> NotificationMessage {
        let disposition = Disposition::SessionReset;
        self.list.push(Fault {
            offset,
            attribute,
            disposition,
            message,
        });
        notification
    }
}
