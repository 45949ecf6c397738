//! A future that outlives the `select!` in which it is waited for.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// At most one future, waited for as long as it takes.
pub(super) struct Pending<T>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Pending<T> {
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn start(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0 = Some(Box::pin(future));
    }

    pub(super) fn cancel(&mut self) {
        self.0 = None;
    }

    /// Waits for the future's result, or for ever where there is none. May be dropped and called
    /// again.
    pub(super) async fn result(&mut self) -> T {
        poll_fn(|context| {
            let Some(future) = &mut self.0 else {
                return Poll::Pending;
            };
            let result = future.as_mut().poll(context);
            if result.is_ready() {
                self.0 = None;
            }
            result
        })
        .await
    }
}
