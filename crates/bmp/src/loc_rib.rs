//! The Loc-RIB as a peer of its own (RFC 9069).

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chanter_bgp::{
    AddPathMode, Capability, Family, HEADER_LEN, MESSAGE_LEN_EXTENDED, OpenMessage, frame_len,
};
use chanter_types::Asn;

use crate::message::{Information, Message, PeerHeader, PeerKind, PeerUp};

/// What a Loc-RIB is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocRibInfo {
    /// Our AS.
    pub asn: Asn,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// The name of the table: `global`, or that of a VRF.
    pub table: String,
    /// The route distinguisher of a VRF; 0: the global table.
    pub distinguisher: u64,
    /// The families in it.
    pub families: Vec<Family>,
    /// Several paths of a destination are told, each with its path identifier.
    pub add_path: bool,
}

impl LocRibInfo {
    /// The header of messages about it (section 4.1).
    pub fn header(&self, at: SystemTime) -> PeerHeader {
        PeerHeader {
            kind: PeerKind::LocRib,
            post_policy: false,
            two_octet_as: false,
            adj_rib_out: false,
            filtered: false,
            distinguisher: self.distinguisher,
            addr: Ipv4Addr::UNSPECIFIED.into(),
            asn: self.asn.0,
            router_id: self.router_id,
            at: since_1970(at),
        }
    }
}

/// Since 1970.
pub(crate) fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// The Peer Up of a Loc-RIB: with OPENs that no peer has sent, which say what its UPDATEs look like
/// (section 4.4).
pub fn loc_rib_peer_up(info: &LocRibInfo, at: SystemTime) -> Message {
    let families = info.families.iter().copied();
    let mut capabilities: Vec<Capability> = families.map(Capability::MultiProtocol).collect();
    capabilities.push(Capability::FourOctetAs(info.asn));
    if info.add_path {
        let families = info.families.iter().copied();
        let modes = families.map(|family| (family, AddPathMode::Both));
        capabilities.push(Capability::AddPath(modes.collect()));
    }
    let open = OpenMessage {
        asn: info.asn,
        hold_time: 0,
        router_id: info.router_id,
        capabilities,
    };
    let mut octets = Vec::new();
    open.encode(&mut octets);
    let open = Bytes::from(octets);
    Message::PeerUp {
        peer: info.header(at),
        up: Box::new(PeerUp {
            local_addr: Ipv4Addr::UNSPECIFIED.into(),
            local_port: 0,
            remote_port: 0,
            sent_open: open.clone(),
            received_open: open,
            information: vec![Information::text(Information::TABLE_NAME, &info.table)],
        }),
    }
}

/// Whole UPDATEs in a row, as the engine gives them, each in a Route Monitoring message. What is
/// behind an octet string that is no message is left out.
pub fn route_monitoring(peer: PeerHeader, updates: Bytes) -> impl Iterator<Item = Message> {
    let mut rest = updates;
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<HEADER_LEN>()?;
        let len = frame_len(header, MESSAGE_LEN_EXTENDED).ok()?;
        if len > rest.len() {
            return None;
        }
        let update = rest.split_to(len);
        Some(Message::RouteMonitoring { peer, update })
    })
}
