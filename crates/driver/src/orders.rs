//! Orders of the engine on their way to the speaker: what is asked of a peer twice is asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chanter_bgp::Family;
use chanter_engine::{PeerId, PeerOrder};
use tokio::sync::Notify;

/// What is ordered of one peer and not taken yet.
#[derive(Debug, Default)]
struct PeerOrders {
    refresh: BTreeSet<Family>,
    prefix_limit: BTreeMap<Family, u32>,
}

#[derive(Debug, Default)]
struct Pending {
    peers: BTreeMap<PeerId, PeerOrders>,
    closed: bool,
}

impl Pending {
    fn add(&mut self, order: PeerOrder) {
        let orders = self.peers.entry(order.peer()).or_default();
        match order {
            PeerOrder::Refresh { families, .. } => orders.refresh.extend(families),
            PeerOrder::PrefixLimit { family, limit, .. } => {
                orders.prefix_limit.insert(family, limit);
            }
        }
    }

    fn take(&mut self) -> Option<PeerOrder> {
        let mut entry = self.peers.first_entry()?;
        let peer = *entry.key();
        let orders = entry.get_mut();
        // A session that is to be closed need not be asked for anything.
        if let Some((family, limit)) = orders.prefix_limit.pop_first() {
            entry.remove();
            return Some(PeerOrder::PrefixLimit {
                peer,
                family,
                limit,
            });
        }
        let families = std::mem::take(&mut orders.refresh).into_iter().collect();
        entry.remove();
        Some(PeerOrder::Refresh { peer, families })
    }
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
pub(crate) struct OrderSender {
    shared: Arc<Shared>,
}

/// The speaker's end.
#[derive(Debug)]
pub struct OrderFeed {
    shared: Arc<Shared>,
}

pub(crate) fn orders() -> (OrderSender, OrderFeed) {
    let shared = Arc::new(Shared::default());
    (
        OrderSender {
            shared: shared.clone(),
        },
        OrderFeed { shared },
    )
}

impl OrderSender {
    pub(crate) fn send(&self, order: PeerOrder) {
        self.shared.lock().add(order);
        self.shared.news.notify_one();
    }
}

impl Drop for OrderSender {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.news.notify_one();
    }
}

impl OrderFeed {
    /// Waits for an order; `None` once the engine is gone. Cancel-safe: an order is taken only when it
    /// is returned.
    pub async fn next(&mut self) -> Option<PeerOrder> {
        loop {
            {
                let mut pending = self.shared.lock();
                if let Some(order) = pending.take() {
                    return Some(order);
                }
                if pending.closed {
                    return None;
                }
            }
            self.shared.news.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh(peer: u32, families: &[Family]) -> PeerOrder {
        PeerOrder::Refresh {
            peer: PeerId(peer),
            families: families.to_vec(),
        }
    }

    #[tokio::test]
    async fn orders_of_a_peer_run_together_and_the_end_comes_after_all() {
        let (sender, mut feed) = orders();
        for _ in 0..100 {
            sender.send(refresh(2, &[Family::IPV6_UNICAST]));
            sender.send(refresh(2, &[Family::IPV4_UNICAST]));
        }
        let limit = PeerOrder::PrefixLimit {
            peer: PeerId(1),
            family: Family::IPV4_UNICAST,
            limit: 10,
        };
        sender.send(refresh(1, &[Family::IPV4_UNICAST]));
        sender.send(limit.clone());
        drop(sender);
        assert_eq!(feed.next().await, Some(limit));
        let both = refresh(2, &[Family::IPV4_UNICAST, Family::IPV6_UNICAST]);
        assert_eq!(feed.next().await, Some(both));
        assert_eq!(feed.next().await, None);
    }
}
