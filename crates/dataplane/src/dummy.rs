//! A dataplane that programs nothing: it logs what is desired and reports all of it as done. For
//! route reflectors, control plane tests and machines without the privileges of the real one.

use chanter_driver::{DesiredFeed, EngineHandle};
use chanter_engine::Input;
use chanter_engine::desired::{DesiredChange, Report};
use tracing::{debug, info};

/// Reports every desired object as done until the engine or the feed ends.
pub async fn run(mut feed: DesiredFeed, engine: EngineHandle) {
    while let Some(batch) = feed.next().await {
        if batch.prune_allowed {
            debug!("what is not desired may be removed");
        }
        let reports = batch.changes.into_iter().map(acknowledge).collect();
        if engine.input(Input::Dataplane(reports)).await.is_err() {
            info!("the engine has ended, so does the dummy dataplane");
            return;
        }
    }
}

fn acknowledge(change: DesiredChange) -> Report {
    match &change.value {
        Some(value) => debug!(key = %change.key, ?value, "desired"),
        None => debug!(key = %change.key, "no longer desired"),
    }
    Report {
        key: change.key,
        version: change.version,
        result: Ok(()),
    }
}
