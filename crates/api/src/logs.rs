//! The last warnings and errors, for the looking glass.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many records are kept: bagpipe-bgp keeps as many.
const LEN: usize = 100;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// WARN or ERROR.
    pub level: Level,
    /// When.
    pub at: Timestamp,
    /// The module.
    pub target: String,
    /// The message, with its fields behind it.
    pub message: String,
    /// The fields alone, by name.
    pub fields: Vec<(&'static str, String)>,
}

/// A ring of the newest records of level WARN and above. Clones are the same ring; as a [`Layer`] of
/// the process's subscriber it fills itself.
#[derive(Debug, Clone, Default)]
pub struct LogRing {
    records: Arc<Mutex<VecDeque<LogRecord>>>,
}

impl LogRing {
    /// The records, the newest first.
    pub fn records(&self) -> Vec<LogRecord> {
        self.lock().iter().rev().cloned().collect()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing went wrong yet.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LogRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LogRing {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        // The order of tracing's levels: the more severe, the smaller.
        if level > Level::WARN {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let record = LogRecord {
            level,
            at: Timestamp::now(),
            target: event.metadata().target().to_owned(),
            message: text.whole(),
            fields: text.fields,
        };
        let mut records = self.lock();
        if records.len() == LEN {
            records.pop_front();
        }
        records.push_back(record);
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Text {
    fn whole(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            // Writing to a String does not fail.
            let _ = write!(text, " {name}={value}");
        }
        text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.fields.push((field.name(), value.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_newest_hundred_warnings_are_kept_newest_first() {
        let ring = LogRing::default();
        let subscriber = tracing_subscriber::registry().with(ring.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("not kept");
            for number in 0..150 {
                tracing::warn!(number, peer = "192.0.2.1", "look");
            }
            tracing::error!("last");
        });
        let records = ring.records();
        assert_eq!(records.len(), 100);
        assert_eq!(
            (records[0].level, records[0].message.as_str()),
            (Level::ERROR, "last")
        );
        assert_eq!(records[1].message, "look number=149 peer=192.0.2.1");
        assert_eq!(records[1].fields[1], ("peer", "192.0.2.1".to_owned()));
        assert_eq!(records[99].message, "look number=51 peer=192.0.2.1");
    }
}
