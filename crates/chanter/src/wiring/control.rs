//! What operators change while the daemon runs: the configuration, and peers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chanter_api::PeerSession;
use chanter_api::control::{Answer, Control, PeerAction, PeerActionError, ReloadError, Reloaded};
use chanter_engine::PeerId;
use chanter_policy::{PeerPolicy, Policy};
use chanter_speaker::{PeerError, PeerStatus, SpeakerHandle};
use tracing::{info, warn};

use super::monitoring::Monitoring;
use super::sessions;
use super::speaking::Surroundings;
use crate::config::{BgpConfig, Config};

/// Reads the configuration that the daemon was started with again, while another one is in force.
pub(super) type Load = Arc<dyn Fn(&Config) -> Result<Config, String> + Send + Sync>;

/// Changes what runs.
pub(super) struct Controller {
    pub(super) speaker: Arc<SpeakerHandle>,
    pub(super) surroundings: Surroundings,
    pub(super) monitoring: Monitoring,
    /// What holds now. Also keeps reloads one after the other.
    current: tokio::sync::Mutex<Config>,
    /// What questions are answered from.
    bgp: Mutex<Arc<BgpConfig>>,
    load: Load,
}

impl Controller {
    pub(super) fn new(
        (speaker, surroundings): (Arc<SpeakerHandle>, Surroundings),
        monitoring: Monitoring,
        current: Config,
        load: Load,
    ) -> Self {
        Self {
            speaker,
            surroundings,
            monitoring,
            bgp: Mutex::new(Arc::new(current.bgp.clone())),
            current: tokio::sync::Mutex::new(current),
            load,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<BgpConfig>> {
        // It holds one whole value or another.
        self.bgp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All sessions as the API shows them.
    pub(super) fn sessions(&self) -> Vec<PeerSession> {
        let bgp = Arc::clone(&self.lock());
        let statuses = self.speaker.peers().into_iter();
        statuses
            .map(|status| {
                let policy = policy_of(&bgp, &status);
                sessions::session(status, bgp.local_as, &policy)
            })
            .collect()
    }

    async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut current = self.current.lock().await;
        let mut next = (self.load)(&current).map_err(ReloadError::Configuration)?;
        let kept = keep_what_is_fixed(&current, &mut next);
        let mut changed = changed_policies(&current.bgp, &mut next.bgp);
        let speaker_config = self.surroundings.speaker_config(&next.bgp);
        let done = self.speaker.reconfigure(speaker_config).await;
        changed.extend(done.map_err(|error| ReloadError::Failed(error.to_string()))?);
        changed.extend(self.monitoring.apply(&next).await);
        let warnings = next.warnings.iter();
        let warnings: Vec<String> = warnings.map(|warning| warning.message.clone()).collect();
        *self.lock() = Arc::new(next.bgp.clone());
        *current = next;
        Ok(Reloaded {
            changed,
            kept,
            warnings,
        })
    }

    /// Reloads and tells the log.
    async fn reload_and_tell(&self) -> Result<Reloaded, ReloadError> {
        let done = self.reload().await;
        match &done {
            Ok(reloaded) => tell(reloaded),
            Err(error) => warn!("the configuration is not reloaded, nothing changed: {error}"),
        }
        done
    }
}

fn tell(reloaded: &Reloaded) {
    for warning in &reloaded.warnings {
        warn!("{warning}");
    }
    for kept in &reloaded.kept {
        warn!("{kept}");
    }
    for change in &reloaded.changed {
        info!("{change}");
    }
    if reloaded.changed.is_empty() {
        info!("configuration reloaded: nothing changed");
    }
}

/// What is configured for a peer: of several ranges that hold it, that of the most specific.
fn policy_of(bgp: &BgpConfig, status: &PeerStatus) -> Arc<PeerPolicy> {
    let configured = bgp.peers.iter().find(|peer| peer.addr == status.name);
    let options = configured.map(|peer| &peer.options).or_else(|| {
        let ranges = bgp.ranges.iter();
        let holding = ranges.filter(|range| range.prefix.contains(status.addr));
        let range = holding.max_by_key(|range| range.prefix.len())?;
        Some(&range.options)
    });
    options.map_or_else(Arc::default, |options| Arc::clone(&options.policy))
}

/// What cannot change while the process runs stays as it is in `next`; says what differed.
fn keep_what_is_fixed(current: &Config, next: &mut Config) -> Vec<String> {
    let mut kept = Vec::new();
    let mut keep = |name: &str, differs: bool| {
        if differs {
            kept.push(format!("{name} changed: takes a restart, left as it was"));
        }
    };
    let (old, new) = (&current.bgp, &mut next.bgp);
    keep("bgp.as", old.local_as != new.local_as);
    new.local_as = old.local_as;
    keep("bgp.router_id", old.router_id != new.router_id);
    new.router_id = old.router_id;
    keep("bgp.cluster_id", old.cluster_id != new.cluster_id);
    new.cluster_id = old.cluster_id;
    keep("bgp.rt_constraint", old.rt_constraint != new.rt_constraint);
    new.rt_constraint = old.rt_constraint;
    keep("bgp.listen", old.listen != new.listen);
    new.listen.clone_from(&old.listen);
    keep("[dataplane.evpn]", current.evpn != next.evpn);
    next.evpn = current.evpn.clone();
    keep("[log]", current.log != next.log);
    next.log = current.log.clone();
    keep("[api]", current.api != next.api);
    next.api = current.api;
    keep("socket", current.socket != next.socket);
    next.socket.clone_from(&current.socket);
    keep("state_dir", current.state_dir != next.state_dir);
    next.state_dir.clone_from(&current.state_dir);
    kept
}

/// Policies that say the same stay the same, with their counters; says which others there are.
fn changed_policies(old: &BgpConfig, new: &mut BgpConfig) -> Vec<String> {
    let mut changed = Vec::new();
    let mut same: BTreeMap<String, Arc<Policy>> = BTreeMap::new();
    for (name, policy) in &new.policies {
        match old.policies.get(name) {
            Some(before) if before == policy => {
                same.insert(name.clone(), Arc::clone(before));
            }
            Some(_) => changed.push(format!("policy {name} changed")),
            None => changed.push(format!("policy {name} is new")),
        }
    }
    let gone = old.policies.keys();
    let gone = gone.filter(|name| !new.policies.contains_key(*name));
    changed.extend(gone.map(|name| format!("policy {name} is gone")));
    let adopt = |policy: &mut Option<Arc<Policy>>| {
        if let Some(current) = policy
            && let Some(before) = same.get(current.name())
        {
            *current = Arc::clone(before);
        }
    };
    let peers = new.peers.iter_mut().map(|peer| &mut peer.options);
    let ranges = new.ranges.iter_mut().map(|range| &mut range.options);
    for options in peers.chain(ranges) {
        let policy = Arc::make_mut(&mut options.policy);
        adopt(&mut policy.import);
        adopt(&mut policy.export);
    }
    new.policies.extend(same);
    changed
}

impl Control for Controller {
    fn reload(&self) -> Answer<'_, Result<Reloaded, ReloadError>> {
        Box::pin(self.reload_and_tell())
    }

    fn peer(&self, peer: PeerId, action: PeerAction) -> Answer<'_, Result<(), PeerActionError>> {
        Box::pin(async move {
            let speaker = &self.speaker;
            let done = match action {
                PeerAction::Shutdown { text } => speaker.shutdown_peer(peer, text).await,
                PeerAction::Enable => speaker.enable_peer(peer).await,
                PeerAction::Reset { text } => speaker.reset_peer(peer, text).await,
                PeerAction::RefreshIn { families } => speaker.refresh_in(peer, families).await,
                PeerAction::RefreshOut { families } => speaker.refresh_out(peer, families).await,
            };
            done.map_err(|error| match error {
                PeerError::Unknown => PeerActionError::Unknown,
                other => PeerActionError::NotNow(other.to_string()),
            })
        })
    }

    fn policies(&self) -> Vec<Arc<Policy>> {
        self.lock().policies.values().cloned().collect()
    }

    fn bfd(&self) -> Answer<'_, Vec<chanter_bfd::BfdStatus>> {
        Box::pin(async move {
            match &self.surroundings.bfd {
                Some(bfd) => bfd.sessions().await,
                None => Vec::new(),
            }
        })
    }
}
