//! Messages of all kinds, and a tap.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chanter_bgp::{
    Attributes, Capability, CodecContext, Family, Nlri, OpenMessage, PathData, UpdateWriter,
};
use chanter_bmp::message::{Message, PeerHeader, PeerKind};
use chanter_engine::PeerId;
use chanter_speaker::{PeerAddr, TapEvent, TapPeer, TapWhat};
use chanter_types::Asn;

pub(crate) fn header(kind: PeerKind) -> PeerHeader {
    PeerHeader {
        kind,
        post_policy: false,
        two_octet_as: false,
        adj_rib_out: false,
        filtered: false,
        distinguisher: 0,
        addr: match kind {
            PeerKind::LocRib => Ipv4Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::new(198, 51, 100, 1).into(),
        },
        asn: 4_200_000_001,
        router_id: Ipv4Addr::new(10, 0, 0, 1),
        at: Duration::from_micros(1_700_000_000_123_456),
    }
}

pub(crate) fn open(asn: u32, router_id: [u8; 4]) -> Bytes {
    let open = OpenMessage {
        asn: Asn(asn),
        hold_time: 90,
        router_id: router_id.into(),
        capabilities: vec![
            Capability::MultiProtocol(Family::IPV4_UNICAST),
            Capability::FourOctetAs(Asn(asn)),
        ],
    };
    let mut out = Vec::new();
    open.encode(&mut out);
    out.into()
}

pub(crate) fn update(prefix: &str) -> Bytes {
    let attributes = Attributes::builder()
        .prepend(Asn(4_200_000_001))
        .next_hop(IpAddr::from([198, 51, 100, 1]))
        .build();
    let mut out = Vec::new();
    let nlri: Nlri = prefix.parse().unwrap();
    let route = [(&nlri, PathData::default())];
    let ctx = CodecContext::default();
    UpdateWriter::new(&ctx, &mut out).reach(Family::IPV4_UNICAST, &attributes, route);
    out.into()
}

pub(crate) fn tap_event(peer: u8, what: TapWhat) -> TapEvent {
    let peer = TapPeer {
        id: PeerId(peer.into()),
        name: PeerAddr::Ip([198, 51, 100, peer].into()),
        remote: ([198, 51, 100, peer], 179).into(),
        local: ([198, 51, 100, 254], 40000).into(),
        peer_as: Asn(4_200_000_001),
        local_as: Asn(64512),
        router_id: [10, 0, 0, peer].into(),
        four_octet_as: true,
        add_path_receive: false,
        add_path_send: false,
    };
    TapEvent {
        peer: Arc::new(peer),
        at: SystemTime::now(),
        lost_before: 0,
        what,
    }
}

/// All messages in the octets.
pub(crate) fn decode_all(mut octets: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((message, rest)) = Message::split(octets).unwrap() {
        messages.push(message);
        octets = rest;
    }
    assert!(octets.is_empty());
    messages
}
