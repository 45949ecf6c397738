//! From one configuration to another, at the start and at run time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Entry, Peers, Registry, range_of};
use crate::config::SpeakerConfig;
use crate::listeners::ListenError;
use crate::settings::PeerSettings;
use crate::{PeerAddr, Routes, listener};

impl<R: Routes> Registry<R> {
    /// From now on `config` holds. Sessions that it does not concern go on. Says what changed.
    ///
    /// # Errors
    /// If an address cannot be listened on; then all stays as it was.
    pub(crate) fn apply(
        self: &Arc<Self>,
        config: SpeakerConfig,
    ) -> Result<Vec<String>, ListenError> {
        let config = Arc::new(config);
        let mut peers = self.lock();
        if peers.stopped {
            return Ok(Vec::new());
        }
        let keys = peers.keys(&config);
        let mut changes = peers.listeners.open(&config.listen, &keys, |socket| {
            tokio::spawn(listener::run(socket, Arc::clone(self))).abort_handle()
        })?;
        peers.listeners.set_keys(&keys);
        changes.extend(global_changes(&peers.config, &config));
        let services_changed = {
            let same_bfd = peers.config.bfd.is_some() == config.bfd.is_some();
            peers.config.tap != config.tap || !same_bfd
        };
        peers.config = Arc::clone(&config);
        if services_changed {
            self.restart_for_services(&mut peers, &mut changes);
        }
        self.configured_peers(&mut peers, &config, &mut changes);
        self.peers_of_ranges(&mut peers, &config, &mut changes);
        Ok(changes)
    }

    /// A tap or BFD cannot be put into a running session.
    fn restart_for_services(&self, peers: &mut Peers, changes: &mut Vec<String>) {
        let names: Vec<PeerAddr> = peers.by_name.keys().cloned().collect();
        if !names.is_empty() {
            changes.push("all sessions reset: recording or BFD was turned on or off".to_owned());
        }
        for name in names {
            peers.remove(&name, "recording or BFD was turned on or off");
        }
    }

    fn configured_peers(
        self: &Arc<Self>,
        peers: &mut Peers,
        config: &SpeakerConfig,
        changes: &mut Vec<String>,
    ) {
        let names: BTreeSet<&PeerAddr> = config.peers.iter().map(|peer| &peer.addr).collect();
        let is_gone = |(name, entry): &(&PeerAddr, &Entry)| {
            // What came from a range is its own peer now.
            entry.range.is_none() != names.contains(name)
        };
        let gone: Vec<PeerAddr> = peers
            .by_name
            .iter()
            .filter(is_gone)
            .filter(|(name, entry)| entry.range.is_none() || names.contains(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if !names.contains(&name) {
                changes.push(format!("peer {name} removed"));
            }
            peers.remove(&name, "no longer configured");
        }
        for peer in &config.peers {
            let settings = config.settings_of_peer(peer, self.started_at);
            match peers.by_name.get(&peer.addr) {
                Some(entry) => changes.extend(entry.apply(settings)),
                None => {
                    let entry = self.spawn(peers, settings, None);
                    peers.by_name.insert(peer.addr.clone(), entry);
                    changes.push(format!("peer {} added", peer.addr));
                }
            }
        }
    }

    fn peers_of_ranges(
        self: &Arc<Self>,
        peers: &mut Peers,
        config: &SpeakerConfig,
        changes: &mut Vec<String>,
    ) {
        let mut gone = Vec::new();
        for (name, entry) in &mut peers.by_name {
            if entry.range.is_none() {
                continue;
            }
            match name.ip().and_then(|addr| range_of(config, addr)) {
                Some((index, range)) => {
                    entry.range = Some(index);
                    let settings = config.settings_of_range(range, name.clone(), self.started_at);
                    changes.extend(entry.apply(settings));
                }
                None => gone.push(name.clone()),
            }
        }
        for name in gone {
            changes.push(format!("peer {name} removed: no listen range holds it"));
            peers.remove(&name, "no listen range holds it any more");
        }
    }
}

impl Entry {
    /// Gives the task new settings, if they are new; says what that means.
    fn apply(&self, settings: PeerSettings) -> Option<String> {
        let old = Arc::clone(&self.settings.borrow());
        if *old == settings {
            return None;
        }
        let name = &settings.name;
        let change = match old.reset_reason(&settings) {
            None => {
                let what = old.changed_options(&settings).join(", ");
                let what = if what.is_empty() { "offers" } else { &what };
                format!("peer {name} changed: {what}")
            }
            Some(what) => format!("peer {name} changed and reset: {what}"),
        };
        self.settings.send_replace(Arc::new(settings));
        Some(change)
    }
}

fn global_changes(old: &SpeakerConfig, new: &SpeakerConfig) -> Vec<String> {
    let mut changes = Vec::new();
    if old.local_as != new.local_as {
        changes.push("local AS changed".to_owned());
    }
    if old.router_id != new.router_id {
        changes.push(format!("BGP identifier changed to {}", new.router_id));
    }
    if old.unidentified_max != new.unidentified_max {
        changes.push(format!(
            "limit of unidentified peers changed to {}",
            new.unidentified_max
        ));
    }
    for range in &new.ranges {
        let was = old.ranges.iter().find(|old| old.prefix == range.prefix);
        match was {
            None => changes.push(format!("listen range {} added", range.prefix)),
            Some(was) if was != range => {
                changes.push(format!("listen range {} changed", range.prefix));
            }
            Some(_) => {}
        }
    }
    let gone =
        |range: &&crate::ListenRange| !new.ranges.iter().any(|other| other.prefix == range.prefix);
    for range in old.ranges.iter().filter(gone) {
        changes.push(format!("listen range {} removed", range.prefix));
    }
    changes
}
