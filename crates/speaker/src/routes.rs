//! The engine, as the speaker sees it.

use std::future::Future;

use bytes::Bytes;
use chanter_driver::{Clock, EngineGone, EngineHandle};
use chanter_engine::{Input, PeerId};

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
}
