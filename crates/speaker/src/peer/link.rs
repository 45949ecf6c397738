//! Peers that are known by their link: IPv6 link-local addresses, and "unnumbered" ones.

use std::net::{IpAddr, SocketAddr};

use super::PeerTask;
use crate::link::{Follower, LinkView, Links};
use crate::settings::PeerSettings;
use crate::socket::{is_link_local, with_scope};
use crate::{PeerAddr, Routes};

/// The link of a peer, where it belongs to its name.
pub(super) struct LinkTie {
    follower: Option<Follower>,
    /// The number of the interface over which connections go.
    index: Option<u32>,
}

impl LinkTie {
    /// Also where the address of the peer is known we advertise ours: the peer may know no more
    /// than its interface. Not to peers from ranges, who have found us.
    pub(super) fn new(settings: &PeerSettings, links: &Links) -> Self {
        let follow = |interface| links.follow(interface, !settings.dynamic);
        Self {
            follower: settings.name.interface().map(follow),
            index: None,
        }
    }

    /// Waits until something about the link has changed. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        match &mut self.follower {
            Some(follower) => follower.changed().await,
            None => std::future::pending().await,
        }
    }

    fn view(&mut self) -> LinkView {
        let follower = self.follower.as_mut();
        follower.map(Follower::view).unwrap_or_default()
    }
}

impl<R: Routes> PeerTask<R> {
    /// Something about the link has changed.
    pub(super) fn link_changed(&mut self) {
        let before = self.link.index;
        self.look_at_link();
        if self.link.index != before && before.is_some() {
            // No need to wait for the hold timer: nothing gets through any more.
            let reason = self.holds.link.clone();
            let reason = reason.unwrap_or_else(|| "its network device was replaced".to_owned());
            for id in self.connection_ids() {
                self.connection_gone(id, Some(reason.clone()));
            }
        }
        self.start_or_stop();
    }

    /// Finds out where the peer is, and whether it can be reached at all.
    pub(super) fn look_at_link(&mut self) {
        let settings = std::sync::Arc::clone(&self.settings);
        let Some(interface) = settings.name.interface() else {
            return;
        };
        let view = self.link.view();
        let Some(link) = view.link.filter(|link| link.up) else {
            let what = match view.link {
                Some(_) => "is down",
                None => "is not there",
            };
            let problem = view.problem.map(|text| format!(" ({text})"));
            let problem = problem.unwrap_or_default();
            self.holds.link = Some(format!("network device {interface} {what}{problem}"));
            self.link.index = None;
            // After a while somebody else may be at the other end.
            self.remote = None;
            self.bfd.forget();
            return;
        };
        self.link.index = Some(link.index);
        let addr = match &settings.name {
            PeerAddr::LinkLocal(addr, _) => Some(*addr),
            _ => view.router,
        };
        let is_up = self.session.established().is_some();
        match (addr, self.remote) {
            // A session that is up shows best who is there.
            (_, Some(_)) if is_up => {}
            (Some(addr), _) => self.found(with_scope(addr.into(), settings.port, link.index)),
            (None, Some(_)) => {}
            (None, None) => {
                let problem = view.problem.map(|text| format!(" ({text})"));
                let problem = problem.unwrap_or_default();
                self.holds.link = Some(format!(
                    "waiting for a router advertisement or a connection on {interface}{problem}"
                ));
            }
        }
    }

    /// The peer has connected from there; its port does not matter.
    pub(super) fn heard_from(&mut self, remote: SocketAddr) {
        let is_discovered = matches!(self.settings.name, PeerAddr::Interface(_));
        let SocketAddr::V6(addr) = remote else {
            return;
        };
        if !is_discovered || !is_link_local(remote.ip()) || self.session.established().is_some() {
            return;
        }
        if self.link.index == Some(addr.scope_id()) {
            let port = self.settings.port;
            self.found(with_scope(remote.ip(), port, addr.scope_id()));
            self.start_or_stop();
        }
    }

    fn found(&mut self, remote: SocketAddr) {
        self.holds.link = None;
        if self.remote == Some(remote) {
            return;
        }
        self.remote = Some(remote);
        self.status.found(remote);
        if let (PeerAddr::Interface(interface), IpAddr::V6(addr)) =
            (&self.settings.name, remote.ip())
        {
            self.registry.learned(interface, addr);
        }
        self.watch_path();
    }
}
