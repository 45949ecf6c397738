//! From the configuration to what the speaker and BFD are told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_bfd::Bfd;
use chanter_speaker::{ListenRange, LocalAs, MessageTap, PeerOptions, RemoteAs, SpeakerConfig};
use chanter_types::Prefix;

use super::daemon::OwnAs;
use crate::config::{BgpConfig, DEFAULT_GRACEFUL_RESTART, DEFAULT_HOLD_TIME, DEFAULT_RANGE_LIMIT};
use chanter_bgp::Family;

/// What does not come from configuration files, and does not change while the process runs.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) own_as: OwnAs,
    /// There was a life before this one.
    pub(super) restarting: bool,
    pub(super) bfd: Option<Bfd>,
    pub(super) tap: Option<MessageTap>,
}

impl Surroundings {
    /// What the speaker is told to do.
    pub(super) fn speaker_config(&self, bgp: &BgpConfig) -> SpeakerConfig {
        let local_as = match self.own_as {
            OwnAs::Configured => LocalAs::Fixed(bgp.local_as),
            OwnAs::ThatOfEachPeer => LocalAs::MirrorPeer,
        };
        SpeakerConfig {
            hostname: bgp.hostname.clone(),
            listen: bgp.listen.clone(),
            peers: bgp.peers.clone(),
            ranges: bgp.ranges.clone(),
            restarting: self.restarting,
            bfd: self.bfd.clone(),
            tap: self.tap.clone(),
            ..SpeakerConfig::new(local_as, bgp.router_id)
        }
    }
}

/// The ranges of a reflector that takes anybody as a client.
pub(super) fn everybody() -> Vec<ListenRange> {
    let addrs: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let options = PeerOptions {
        role_client: true,
        hold_time: DEFAULT_HOLD_TIME,
        graceful_restart: Some(DEFAULT_GRACEFUL_RESTART),
        families: vec![
            Family::L2VPN_EVPN,
            Family::IPV4_RTC,
            Family::IPV4_UNICAST,
            Family::IPV6_UNICAST,
        ],
        ..PeerOptions::new(RemoteAs::Any)
    };
    addrs
        .into_iter()
        .filter_map(|addr| Prefix::new(addr, 0))
        .map(|prefix| ListenRange {
            prefix,
            options: options.clone(),
            limit: DEFAULT_RANGE_LIMIT as usize,
        })
        .collect()
}
