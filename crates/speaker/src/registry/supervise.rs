//! Keeps the task of a peer alive.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chanter_bgp::session::State;
use chanter_engine::Input;
use tracing::error;

use crate::Routes;
use crate::peer::{PeerParts, PeerTask};

/// How long after a fault of this program a session is tried again.
const REVIVE_AFTER: Duration = Duration::from_secs(3);

/// Runs the task of a peer. A fault of this program in it costs the one session, not the others, and
/// is tried again later.
pub(super) async fn supervise<R: Routes>(parts: PeerParts<R>) {
    let (id, settings, routes) = (parts.id, parts.settings.clone(), parts.routes.clone());
    let (registry, status) = (Arc::clone(&parts.registry), Arc::clone(&parts.status));
    let services = parts.services.clone();
    let mut next = Some(parts);
    while let Some(parts) = next.take() {
        let task = tokio::spawn(PeerTask::new(parts).run());
        match task.await {
            Err(error) if error.is_panic() => {}
            _ => return,
        }
        let name = settings.borrow().name.clone();
        error!(
            peer = %name,
            "session with peer {name} ended by a fault of this program, which should be reported; \
             trying again in {} s",
            REVIVE_AFTER.as_secs()
        );
        {
            let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
            status.previous_state = std::mem::replace(&mut status.state, State::Idle);
            status.last_error = Some("a fault of this program".to_owned());
        }
        let down = Input::PeerDown {
            peer: id,
            retain: Vec::new(),
            restart_time: Duration::ZERO,
        };
        if routes.input(down).await.is_err() {
            return;
        }
        tokio::time::sleep(REVIVE_AFTER).await;
        next = registry.reconnect(&name, id).map(|commands| PeerParts {
            id,
            settings: settings.clone(),
            routes: routes.clone(),
            commands,
            registry: Arc::clone(&registry),
            status: Arc::clone(&status),
            services: services.clone(),
            is_stranger: false,
        });
        if next.is_none() {
            // It does not matter if the engine is gone too.
            let _ = routes.input(Input::PeerRemoved { peer: id }).await;
        }
    }
}
