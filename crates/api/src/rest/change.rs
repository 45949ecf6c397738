//! A planned change of the store, which can be reverted.

use chanter_intent::{ObjectKey, SourceEvent};

use super::Record;

/// What one request changes, in the order in which the engine is to be told: what is declared
/// before what is removed, instances around their attachments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// The single steps.
    pub edits: Vec<Edit>,
}

/// One object before and after; at least one of the two is there. Where both are equal, the object
/// is only declared again, so that its status can be waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What identifies the object.
    pub key: ObjectKey,
    /// As it was; `None`: it was not.
    pub before: Option<Record>,
    /// As it is to be; `None`: it is not to be.
    pub after: Option<Record>,
}

impl Change {
    /// Declares `after`, whatever was before.
    pub(crate) fn set(&mut self, before: Option<Record>, after: Record) {
        self.edits.push(Edit {
            key: after.key(),
            before,
            after: Some(after),
        });
    }

    /// Removes what was.
    pub(crate) fn remove(&mut self, before: Record) {
        self.edits.push(Edit {
            key: before.key(),
            before: Some(before),
            after: None,
        });
    }

    /// What to tell the engine.
    pub fn events(&self) -> Vec<SourceEvent> {
        self.edits.iter().map(Edit::event).collect()
    }

    /// The change that takes this one back.
    pub fn reverted(self) -> Change {
        let edits = self
            .edits
            .into_iter()
            .rev()
            .filter(|edit| !edit.is_repetition());
        Change {
            edits: edits
                .map(|edit| Edit {
                    key: edit.key,
                    before: edit.after,
                    after: edit.before,
                })
                .collect(),
        }
    }
}

impl Edit {
    fn event(&self) -> SourceEvent {
        match &self.after {
            Some(record) => SourceEvent::Upsert(record.object()),
            None => SourceEvent::Remove(self.key.clone()),
        }
    }

    /// Whether the object only is declared once more.
    pub fn is_repetition(&self) -> bool {
        self.before == self.after
    }
}
