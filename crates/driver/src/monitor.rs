//! Monitors of the RIB: pulled by whoever sends them on, parked while there is nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use chanter_engine::Engine;
use chanter_engine::rib::{MonitorId, MonitorScope, Monitored};
use tokio::sync::oneshot;

use crate::handle::{EngineGone, EngineHandle};
use crate::run::Work;

/// Somebody who is told what the RIB holds; dropped, the engine forgets it.
#[derive(Debug)]
pub struct Monitor {
    engine: EngineHandle,
    id: MonitorId,
    /// While this is held, the engine has the monitor.
    alive: Option<Arc<()>>,
    /// An answer that is waited for.
    answer: Option<oneshot::Receiver<Vec<Monitored>>>,
}

impl Monitor {
    pub(crate) fn new(engine: EngineHandle, (id, alive): (MonitorId, Arc<()>)) -> Self {
        Self {
            engine,
            id,
            alive: Some(alive),
            answer: None,
        }
    }

    /// Waits until there is something that was not told yet, and returns about `budget` octets of it
    /// at most. Cancel safe: what is not returned is returned by the next call.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn pull(&mut self, budget: usize) -> Result<Vec<Monitored>, EngineGone> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => {
                let (reply, answer) = oneshot::channel();
                let id = self.id;
                self.engine
                    .run_or_send(Work::MonitorPull(id, MonitorPull { budget, reply }))
                    .await?;
                self.answer.insert(answer)
            }
        };
        let told = answer.await;
        self.answer = None;
        told.map_err(|_| EngineGone)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.answer = None;
        self.alive = None;
        self.engine.wake();
    }
}

/// A monitor that waits for something.
pub(crate) struct MonitorPull {
    budget: usize,
    reply: oneshot::Sender<Vec<Monitored>>,
}

/// All monitors.
#[derive(Default)]
pub(crate) struct Monitors {
    alive: BTreeMap<MonitorId, Weak<()>>,
    pulls: BTreeMap<MonitorId, MonitorPull>,
}

impl Monitors {
    pub(crate) fn start(
        &mut self,
        engine: &mut Engine,
        scope: MonitorScope,
        reply: oneshot::Sender<(MonitorId, Arc<()>)>,
    ) {
        let (id, alive) = (engine.monitor_start(scope), Arc::new(()));
        self.alive.insert(id, Arc::downgrade(&alive));
        // Whoever asked may have gone away: then the monitor goes with what keeps it.
        let _ = reply.send((id, alive));
    }

    pub(crate) fn pull(&mut self, id: MonitorId, pull: MonitorPull) {
        self.pulls.insert(id, pull);
    }

    /// Forgets those that are gone, and answers those for which there is something.
    pub(crate) fn settle(&mut self, engine: &mut Engine) {
        if self.alive.is_empty() {
            return;
        }
        self.alive.retain(|id, alive| {
            let is_alive = alive.strong_count() > 0;
            if !is_alive {
                engine.monitor_stop(*id);
            }
            is_alive
        });
        let alive = &self.alive;
        self.pulls.retain(|id, _| alive.contains_key(id));
        let news = |id: &MonitorId| engine.monitor_has_news(*id);
        let ready: Vec<MonitorId> = self.pulls.keys().copied().filter(news).collect();
        for id in ready {
            let Some(pull) = self.pulls.remove(&id) else {
                continue;
            };
            let told = engine.monitor_pull(id, pull.budget);
            if told.is_empty() {
                self.pulls.insert(id, pull);
            } else {
                // It went within this very moment: so does the monitor.
                let _ = pull.reply.send(told);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use chanter_engine::EngineConfig;
    use chanter_engine::rib::MonitorPeer;
    use chanter_types::Asn;

    use super::*;

    fn engine() -> EngineHandle {
        let config = EngineConfig {
            local_as: Asn(64512),
            router_id: Ipv4Addr::new(192, 0, 2, 9),
            vtep: None,
            cluster_id: None,
            reflect: true,
            rt_constraint: true,
            sources: Vec::new(),
            peers_expected: 0,
            restarting: false,
            deferral: EngineConfig::DEFERRAL,
        };
        EngineHandle::spawn(config).expect("a thread").0
    }

    #[tokio::test]
    async fn a_pull_that_is_dropped_loses_nothing() {
        let engine = engine();
        let scope = MonitorScope {
            loc_rib: true,
            adj_rib_in: true,
        };
        let mut monitor = engine.monitor(scope).await.expect("the engine runs");
        let mut told = Vec::new();
        // Dropped at its first wait, or done: either way the next one goes on.
        for _ in 0..100 {
            if let Ok(pulled) = tokio::time::timeout(Duration::ZERO, monitor.pull(1)).await {
                told.extend(pulled.expect("the engine runs"));
            }
            tokio::task::yield_now().await;
        }
        // The default membership and the End-of-RIB of all families.
        let expected = |one: &Monitored| {
            matches!(
                one,
                Monitored::Updates {
                    peer: MonitorPeer::LocRib,
                    ..
                }
            )
        };
        assert!(!told.is_empty() && told.iter().all(expected), "{told:?}");
        let octets = told.iter().map(|one| match one {
            Monitored::Updates { octets, .. } => octets.len(),
            _ => 0,
        });
        assert!(octets.sum::<usize>() > 10 * 23, "{told:?}");
        drop(monitor);
        let mut other = engine.monitor(scope).await.expect("the engine runs");
        assert!(
            !other
                .pull(1 << 16)
                .await
                .expect("the engine runs")
                .is_empty()
        );
    }
}
