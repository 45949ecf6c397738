//! Desired changes on their way to a dataplane: the latest value of each key, never a growing list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chanter_engine::desired::{DesiredChange, DesiredKey};
use tokio::sync::Notify;

/// What changed since the last batch.
#[derive(Debug, Clone, Default)]
pub struct DesiredBatch {
    /// At most one change for each key, in the order of keys: what is built first comes first.
    pub changes: Vec<DesiredChange>,
    /// Whether what is not desired may be removed; once true it stays so.
    pub prune_allowed: bool,
}

#[derive(Debug, Default)]
struct Pending {
    changes: BTreeMap<DesiredKey, DesiredChange>,
    prune_allowed: bool,
    prune_news: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    news: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Every critical section leaves the map whole, so a poisoned lock is still good.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's end.
#[derive(Debug)]
pub(crate) struct FeedSender {
    shared: Arc<Shared>,
}

/// The dataplane's end.
#[derive(Debug)]
pub struct DesiredFeed {
    shared: Arc<Shared>,
}

pub(crate) fn feed() -> (FeedSender, DesiredFeed) {
    let shared = Arc::new(Shared::default());
    (
        FeedSender {
            shared: shared.clone(),
        },
        DesiredFeed { shared },
    )
}

impl FeedSender {
    pub(crate) fn send(&self, change: DesiredChange) {
        let mut pending = self.shared.lock();
        pending.changes.insert(change.key.clone(), change);
        drop(pending);
        self.shared.news.notify_one();
    }

    pub(crate) fn allow_prune(&self) {
        let mut pending = self.shared.lock();
        pending.prune_allowed = true;
        pending.prune_news = true;
        drop(pending);
        self.shared.news.notify_one();
    }
}

impl Drop for FeedSender {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.news.notify_one();
    }
}

impl DesiredFeed {
    /// Waits for news; `None` once the engine is gone. Cancel-safe: a batch is taken only when it is
    /// returned.
    pub async fn next(&mut self) -> Option<DesiredBatch> {
        loop {
            if let Some(result) = self.take() {
                return result;
            }
            self.shared.news.notified().await;
        }
    }

    /// `Some(None)`: the end. `None`: nothing now.
    fn take(&mut self) -> Option<Option<DesiredBatch>> {
        let mut pending = self.shared.lock();
        if pending.changes.is_empty() && !pending.prune_news {
            return pending.closed.then_some(None);
        }
        pending.prune_news = false;
        let prune_allowed = pending.prune_allowed;
        let changes = std::mem::take(&mut pending.changes);
        drop(pending);
        Some(Some(DesiredBatch {
            changes: changes.into_values().collect(),
            prune_allowed,
        }))
    }
}

#[cfg(test)]
mod tests {
    use chanter_engine::desired::{DesiredValue, DomainId, Version};
    use chanter_types::MacAddr;

    use super::*;

    fn change(octet: u8, mac: Option<u8>) -> DesiredChange {
        DesiredChange {
            key: DesiredKey::Neighbor(DomainId(1), [192, 0, 2, octet].into()),
            version: Version(mac.unwrap_or_default().into()),
            value: mac.map(|mac| DesiredValue::Neighbor {
                mac: MacAddr([2, 0, 0, 0, 0, mac]),
            }),
        }
    }

    #[tokio::test]
    async fn the_latest_value_of_a_key_is_the_one_delivered() {
        let (sender, mut feed) = feed();
        for mac in 0..100 {
            sender.send(change(1, Some(mac)));
        }
        sender.send(change(2, Some(1)));
        sender.send(change(2, None));
        let batch = feed.next().await.expect("the engine lives");
        assert_eq!(batch.changes, [change(1, Some(99)), change(2, None)]);
        assert!(!batch.prune_allowed);
    }

    #[tokio::test]
    async fn leave_to_prune_is_news_and_the_end_comes_after_all_changes() {
        let (sender, mut feed) = feed();
        sender.allow_prune();
        let batch = feed.next().await.expect("the engine lives");
        assert!(batch.prune_allowed && batch.changes.is_empty());
        sender.send(change(1, None));
        drop(sender);
        let batch = feed.next().await.expect("a change is waiting");
        assert!(batch.prune_allowed && batch.changes.len() == 1);
        assert!(feed.next().await.is_none());
    }
}
