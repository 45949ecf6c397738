//! The engine, as the speaker sees it.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use chanter_driver::{Clock, EngineGone, EngineHandle, OrderFeed};
use chanter_engine::{Input, PeerId, PeerOrder};
use tokio::sync::mpsc;

/// Where received routes go and routes to send come from: the engine, or what stands for it in a
/// test.
pub trait Routes: Clone + Send + Sync + 'static {
    /// The clock that deadlines refer to.
    fn clock(&self) -> Clock;

    /// Hands in an input; waits while the engine is busy.
    fn input(&self, input: Input) -> impl Future<Output = Result<(), EngineGone>> + Send;

    /// Waits until there is something to send to `peer`, and returns whole UPDATE messages of at
    /// most about `budget` octets.
    fn pull(
        &self,
        peer: PeerId,
        budget: usize,
    ) -> impl Future<Output = Result<Bytes, EngineGone>> + Send;

    /// What the engine wants done with sessions; given out once.
    fn orders(&self) -> Option<Box<dyn Orders>> {
        None
    }
}

/// What the engine wants done with sessions, as it comes up.
pub trait Orders: Send + 'static {
    /// Waits for the next order; `None` once the engine is gone.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<PeerOrder>> + Send + '_>>;
}

impl Orders for OrderFeed {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<PeerOrder>> + Send + '_>> {
        Box::pin(OrderFeed::next(self))
    }
}

impl Orders for mpsc::Receiver<PeerOrder> {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<PeerOrder>> + Send + '_>> {
        Box::pin(self.recv())
    }
}

impl Routes for EngineHandle {
    fn clock(&self) -> Clock {
        EngineHandle::clock(self)
    }

    async fn input(&self, input: Input) -> Result<(), EngineGone> {
        EngineHandle::input(self, input).await
    }

    async fn pull(&self, peer: PeerId, budget: usize) -> Result<Bytes, EngineGone> {
        EngineHandle::pull(self, peer, budget).await
    }

    fn orders(&self) -> Option<Box<dyn Orders>> {
        Some(Box::new(EngineHandle::orders(self)?))
    }
}
