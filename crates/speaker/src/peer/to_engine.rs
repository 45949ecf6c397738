//! What waits for the engine, in order.

use std::collections::VecDeque;

use chanter_driver::EngineGone;
use chanter_engine::Input;

use super::pending::Pending;
use crate::Routes;

/// What waits for the engine, in order. It holds what one read of the socket gave at most, and the
/// beginning or end of a session: nothing is read while it is not empty.
pub(super) struct ToEngine<R> {
    routes: R,
    waiting: VecDeque<Input>,
    sending: Pending<Result<(), EngineGone>>,
}

impl<R: Routes> ToEngine<R> {
    pub(super) fn new(routes: R) -> Self {
        Self {
            routes,
            waiting: VecDeque::new(),
            sending: Pending::none(),
        }
    }

    pub(super) fn push(&mut self, input: Input) {
        self.waiting.push_back(input);
        self.send_next();
    }

    /// Whether the engine has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        !self.sending.is_some()
    }

    /// Waits until the engine has taken the next one.
    pub(super) async fn taken(&mut self) -> Result<(), EngineGone> {
        let result = self.sending.result().await;
        self.send_next();
        result
    }

    fn send_next(&mut self) {
        if self.sending.is_some() {
            return;
        }
        if let Some(input) = self.waiting.pop_front() {
            let routes = self.routes.clone();
            self.sending.start(async move { routes.input(input).await });
        }
    }
}
