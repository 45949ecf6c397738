//! BFD watches the path to the peer; when it goes down, so does the session (RFC 5882 section 4,
//! RFC 9384).

use chanter_bfd::{Bfd, BfdPeer, BfdSignal, BfdState, BfdWatch};
use chanter_bgp::session::{CloseCause, Hold, Input as SessionInput};
use tracing::warn;

use super::PeerTask;
use crate::settings::PeerSettings;
use crate::socket::is_link_local;
use crate::{Routes, Ttl};

/// BFD as one peer has it.
pub(super) struct BfdTie {
    service: Option<Bfd>,
    watch: Option<BfdWatch>,
    /// How often it had left Up when that was looked at last.
    downs: u64,
}

impl BfdTie {
    pub(super) fn new(service: Option<Bfd>) -> Self {
        Self {
            service,
            watch: None,
            downs: 0,
        }
    }

    /// The state, where there is a watch.
    pub(super) fn state(&self) -> Option<BfdState> {
        self.watch.as_ref().map(BfdWatch::state)
    }

    pub(super) fn forget(&mut self) {
        self.watch = None;
    }

    /// Waits for news. Cancel-safe.
    pub(super) async fn changed(&mut self) -> BfdSignal {
        match &mut self.watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    }
}

impl<R: Routes> PeerTask<R> {
    /// Has the path watched, if that is wanted and it is known where the peer is.
    pub(super) fn watch_path(&mut self) {
        let options = self.settings.options.bfd;
        let strict = options.is_some_and(|options| options.strict);
        self.holds.bfd = strict && self.bfd.service.is_some() && !self.path_is_up();
        let (Some(_), Some(service), Some(remote)) = (options, &self.bfd.service, self.remote)
        else {
            return;
        };
        let Some(wanted) = bfd_peer(&self.settings, remote.ip()) else {
            return;
        };
        let is_watched = self.bfd.watch.as_ref().map(BfdWatch::peer) == Some(&wanted);
        if !is_watched {
            self.bfd.watch = Some(service.watch(wanted));
            self.bfd.downs = 0;
            self.holds.bfd = strict;
        }
    }

    fn path_is_up(&self) -> bool {
        self.bfd.state() == Some(BfdState::Up)
    }

    /// RFC 5882 section 4.3: only a path that was up and failed ends the session; one that has never
    /// been up may belong to a peer without BFD, and AdminDown is not about the path.
    pub(super) fn path_changed(&mut self, signal: BfdSignal) {
        let failed = signal.downs > self.bfd.downs && !signal.peer_admin_down;
        self.bfd.downs = signal.downs;
        let strict = self.settings.options.bfd.is_some_and(|bfd| bfd.strict);
        if failed {
            let name = &self.settings.name;
            warn!(peer = %name, "BFD session with peer {name} is down: {}", signal.diagnostic);
            self.say(SessionInput::Close {
                cause: CloseCause::BfdDown,
                hold: Hold::No,
            });
        }
        self.holds.bfd = strict && signal.state != BfdState::Up && !signal.peer_admin_down;
        self.start_or_stop();
    }
}

/// What is to be watched.
fn bfd_peer(settings: &PeerSettings, addr: std::net::IpAddr) -> Option<BfdPeer> {
    let options = settings.options.bfd?;
    let (far, minimum_ttl) = match settings.options.ttl {
        Ttl::Auto => (false, 0),
        Ttl::MultiHop(hops) | Ttl::Security { hops } => (hops > 1, 255 - hops.saturating_sub(1)),
    };
    let multihop = options.multihop.unwrap_or(far);
    let interface = match settings.name.interface() {
        Some(interface) if is_link_local(addr) => Some(interface),
        _ => settings.options.device.as_ref(),
    };
    Some(BfdPeer {
        addr,
        local: settings.options.local_addr,
        interface: interface.map(|interface| interface.as_str().to_owned()),
        multihop,
        minimum_ttl: if multihop { minimum_ttl } else { 255 },
        min_tx: options.min_tx,
        min_rx: options.min_rx,
        multiplier: options.multiplier,
    })
}
