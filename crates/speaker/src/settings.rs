//! All that the task of a peer has to know, and what a change of it means.

use chanter_bgp::Family;
use chanter_bgp::session::{
    LocalAs, Offers, RestartConfig, SessionChange, SessionConfig, SessionTimes,
};
use chanter_policy::PeerPolicy;
use chanter_types::{Asn, Instant};

use crate::{ListenRange, PeerAddr, PeerConfig, PeerOptions, RemoteAs, SpeakerConfig, Ttl};

/// All that the task of a peer has to know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PeerSettings {
    pub(crate) name: PeerAddr,
    pub(crate) port: u16,
    pub(crate) options: PeerOptions,
    /// Accepted from a range.
    pub(crate) dynamic: bool,
    /// Without a seed.
    pub(crate) session: SessionConfig,
}

impl PeerSettings {
    /// Whether a peer with that AS is to be refused though the session has no such rule.
    pub(crate) fn refuses_as(&self, asn: Asn) -> bool {
        let LocalAs::Fixed(local_as) = self.session.local_as else {
            return false;
        };
        self.options.remote_as == RemoteAs::External && asn == local_as
    }

    /// Whether the peer is known to be in another AS before it says so.
    pub(crate) fn is_external(&self) -> bool {
        match (self.options.remote_as, self.session.local_as) {
            (RemoteAs::External, LocalAs::Fixed(_)) => true,
            (RemoteAs::Is(asn), LocalAs::Fixed(local_as)) => asn != local_as,
            _ => false,
        }
    }

    /// The TTL that we send with, and the least that we take from the peer.
    pub(crate) fn hops(&self, external: bool) -> (u8, Option<u8>) {
        match self.options.ttl {
            Ttl::Auto if external => (1, None),
            Ttl::Auto => (64, None),
            Ttl::MultiHop(hops) => (hops.max(1), None),
            // RFC 5082 section 3.
            Ttl::Security { hops } => (255, Some(255 - hops.saturating_sub(1))),
        }
    }

    /// What of a connection with these settings would not hold with the `new` ones, in an
    /// operator's words; empty if it can go on.
    pub(crate) fn changed_transport(&self, new: &PeerSettings) -> Vec<&'static str> {
        let (was, is) = (&self.options, &new.options);
        let by_rule = self.session.remote_as.is_none() && new.session.remote_as.is_none();
        let table = [
            (self.port != new.port, "the port"),
            (
                by_rule && was.remote_as != is.remote_as,
                "the AS of the peer",
            ),
            (was.local_addr != is.local_addr, "our address"),
            (was.device != is.device, "the device"),
            (was.role_client != is.role_client, "whether it is a client"),
            (was.add_path_limit != is.add_path_limit, "ADD-PATH"),
            (!was.auth.same_kind(&is.auth), "authentication"),
            (was.ttl != is.ttl, "the TTL"),
            (was.mss != is.mss, "the MSS"),
        ];
        let changed = table.into_iter().filter(|(changed, _)| *changed);
        changed.map(|(_, what)| what).collect()
    }

    /// What is different in the `new` settings and does not concern a session that is up, in an
    /// operator's words.
    pub(crate) fn changed_options(&self, new: &PeerSettings) -> Vec<&'static str> {
        let (was, is) = (&self.options, &new.options);
        let table = [
            (was.description != is.description, "description"),
            (was.shutdown != is.shutdown, "shutdown"),
            (self.session.passive != new.session.passive, "who connects"),
            (was.hold_time != is.hold_time, "hold time"),
            (
                was.graceful_restart != is.graceful_restart,
                "graceful restart",
            ),
            (
                was.long_lived != is.long_lived,
                "long-lived graceful restart",
            ),
            (was.bfd != is.bfd, "BFD"),
            (was.auth != is.auth, "keys"),
        ];
        let changed = table.into_iter().filter(|(changed, _)| *changed);
        let mut changed: Vec<&str> = changed.map(|(_, what)| what).collect();
        changed.extend(changed_policy(&was.policy, &is.policy));
        changed
    }

    /// Why a session with these settings has to be reset for the `new` ones; `None`: it need not
    /// be.
    pub(crate) fn reset_reason(&self, new: &PeerSettings) -> Option<String> {
        let mut reasons: Vec<String> = match self.session.change(&new.session) {
            SessionChange::Reset { because } => vec![because],
            SessionChange::Nothing | SessionChange::Apply => Vec::new(),
        };
        reasons.extend(self.changed_transport(new).into_iter().map(str::to_owned));
        (!reasons.is_empty()).then(|| reasons.join(", "))
    }
}

impl SpeakerConfig {
    /// `start`: when the speaker started.
    pub(crate) fn settings_of_peer(&self, peer: &PeerConfig, start: Instant) -> PeerSettings {
        // Who has no AS of its own has nothing to say first.
        let passive = peer.options.passive || self.local_as == LocalAs::MirrorPeer;
        PeerSettings {
            port: peer.port,
            dynamic: false,
            session: self.session(&peer.addr, &peer.options, passive, start),
            name: peer.addr.clone(),
            options: peer.options.clone(),
        }
    }

    pub(crate) fn settings_of_range(
        &self,
        range: &ListenRange,
        name: PeerAddr,
        start: Instant,
    ) -> PeerSettings {
        let mut session = self.session(&name, &range.options, true, start);
        session.times = SessionTimes {
            open: self.range_open_time,
            ..self.times
        };
        PeerSettings {
            port: 0,
            dynamic: true,
            session,
            name,
            options: range.options.clone(),
        }
    }

    fn session(
        &self,
        name: &PeerAddr,
        options: &PeerOptions,
        passive: bool,
        start: Instant,
    ) -> SessionConfig {
        SessionConfig {
            local_as: self.local_as,
            router_id: self.router_id,
            remote_as: match (options.remote_as, self.local_as) {
                (RemoteAs::Is(asn), LocalAs::Fixed(_)) => Some(asn),
                (RemoteAs::Internal, LocalAs::Fixed(local_as)) => Some(local_as),
                _ => None,
            },
            passive,
            hold_time: options.hold_time,
            families: options.families.iter().copied().collect(),
            graceful_restart: options.graceful_restart.map(|restart_time| RestartConfig {
                restart_time,
                restarting_until: self.restarting.then(|| start + restart_time),
                notification: true,
            }),
            offers: self.offers(name, options),
            collision_detect_established: false,
            times: self.times,
            seed: 0,
        }
    }

    fn offers(&self, name: &PeerAddr, options: &PeerOptions) -> Offers {
        let families = options.families.iter().copied();
        let is_on_link = name.interface().is_some();
        let with_next_hop = |family: &Family| {
            is_ipv4_route(*family) && options.extended_next_hop.unwrap_or(is_on_link)
        };
        Offers {
            add_path: options.add_path.clone(),
            extended_next_hop: families.clone().filter(with_next_hop).collect(),
            long_lived: match options.long_lived {
                Some(time) => families.map(|family| (family, time)).collect(),
                None => Vec::new(),
            },
            role: options.bgp_role,
            role_strict: options.bgp_role_strict,
            hostname: self.hostname.clone(),
            ..Offers::default()
        }
    }
}

fn changed_policy(was: &PeerPolicy, is: &PeerPolicy) -> impl Iterator<Item = &'static str> {
    let table = [
        (was.import != is.import, "import policy"),
        (was.export != is.export, "export policy"),
        (was.require_policy != is.require_policy, "require_policy"),
        (was.allow_as_in != is.allow_as_in, "allow_as_in"),
        (was.next_hop_self != is.next_hop_self, "next_hop_self"),
        (
            was.next_hop_unchanged != is.next_hop_unchanged,
            "next_hop_unchanged",
        ),
        (
            was.remove_private_as != is.remove_private_as,
            "remove_private_as",
        ),
        (
            was.graceful_shutdown != is.graceful_shutdown,
            "graceful_shutdown",
        ),
        (
            was.accept_graceful_shutdown != is.accept_graceful_shutdown,
            "accept_graceful_shutdown",
        ),
        (was.max_prefixes != is.max_prefixes, "limits of prefixes"),
    ];
    let changed = table.into_iter().filter(|(changed, _)| *changed);
    changed.map(|(_, what)| what)
}

/// Whether its routes have IPv4 next hops unless RFC 8950 is in use: unicast and VPN.
fn is_ipv4_route(family: Family) -> bool {
    family.afi == 1 && matches!(family.safi, 1 | 128)
}
