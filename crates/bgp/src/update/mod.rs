//! UPDATE: received ones become [`RouteEvent`]s, routes become as few of them as can be.

mod as4;
mod check;
mod decode;
mod fault;
mod next_hop;
mod scan;
mod writer;

use crate::attributes::Attributes;
use crate::family::Family;
use crate::nlri::{Nlri, PathData};

pub use decode::decode_update;
pub use fault::{Disposition, Fault};
pub use writer::UpdateWriter;

/// What UPDATE messages said, in order; one batch may hold many messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateBatch {
    /// The attribute sets that the events refer to by index. Consecutive messages with equal
    /// attributes share one.
    pub attributes: Vec<Attributes>,
    /// The events.
    pub events: Vec<RouteEvent>,
}

impl UpdateBatch {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Forgets all, keeps the room.
    pub fn clear(&mut self) {
        self.attributes.clear();
        self.events.clear();
    }

    /// Adds an attribute set for the events to come, unless it equals the last one; gives its
    /// index.
    pub fn push_attributes(&mut self, attributes: Attributes) -> u32 {
        if self.attributes.last() != Some(&attributes) {
            self.attributes.push(attributes);
        }
        u32::try_from(self.attributes.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds that `nlri` is reached.
    pub fn reach(&mut self, nlri: Nlri, data: PathData, attributes: Attributes) {
        let attributes = self.push_attributes(attributes);
        self.events.push(RouteEvent::Reach {
            nlri,
            data,
            attributes,
        });
    }

    /// Adds that `nlri` is withdrawn.
    pub fn withdraw(&mut self, nlri: Nlri) {
        self.events.push(RouteEvent::Withdraw { nlri, path_id: 0 });
    }

    /// The attribute set of that index.
    pub fn attributes(&self, index: u32) -> Option<&Attributes> {
        self.attributes.get(usize::try_from(index).ok()?)
    }
}

/// One thing that a peer said of its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteEvent {
    /// A route, in place of what the peer said of the same destination before.
    Reach {
        /// The destination.
        nlri: Nlri,
        /// What the NLRI carried beside its key.
        data: PathData,
        /// The index of its attributes in [`UpdateBatch::attributes`].
        attributes: u32,
    },
    /// The peer has no route to the destination any more.
    Withdraw {
        /// The destination.
        nlri: Nlri,
        /// Which of its paths (RFC 7911); 0 where ADD-PATH is not in use.
        path_id: u32,
    },
    /// The peer has sent all its routes of a family (RFC 4724 section 2).
    EndOfRib(Family),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events are moved about: what is rare and large stands in boxes.
    #[test]
    fn events_stay_small() {
        assert!(size_of::<Nlri>() <= 40);
        assert!(size_of::<RouteEvent>() <= 72);
    }
}
