//! Copies what goes over the session to who records it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use chanter_bgp::HEADER_LEN;
use chanter_bgp::session::{DownReason, Negotiated, State};
use chanter_driver::Clock;
use chanter_engine::PeerId;
use chanter_types::Asn;
use tokio::net::TcpStream;

use crate::tap::{TapDirection, TapEvent, TapPeer, TapWhat};
use crate::{MessageTap, PeerAddr};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Where a session is copied from. Without a tap it does nothing.
pub(super) struct TapPoint {
    tap: Option<MessageTap>,
    peer: Arc<TapPeer>,
    state: State,
    lost: u64,
}

impl TapPoint {
    pub(super) fn new(tap: Option<MessageTap>, id: PeerId, name: &PeerAddr) -> Self {
        let remote = name.ip().map_or(NOWHERE, |addr| SocketAddr::new(addr, 0));
        Self {
            tap,
            peer: Arc::new(TapPeer {
                id,
                name: name.clone(),
                remote,
                local: NOWHERE,
                peer_as: Asn(0),
                local_as: Asn(0),
                router_id: Ipv4Addr::UNSPECIFIED,
                four_octet_as: true,
                add_path_receive: false,
                add_path_send: false,
            }),
            state: State::Idle,
            lost: 0,
        }
    }

    /// Whether OPENs have to be kept.
    pub(super) fn is_on(&self) -> bool {
        self.tap.is_some()
    }

    /// A message that was received.
    pub(super) fn received(&mut self, message: &[u8], clock: Clock) {
        if self.tap.as_ref().is_some_and(|tap| tap.wants().received) {
            let octets = Bytes::copy_from_slice(message);
            let direction = TapDirection::Received;
            self.offer(TapWhat::Message { direction, octets }, clock);
        }
    }

    /// Messages that are handed to TCP.
    pub(super) fn sent(&mut self, messages: &Bytes, clock: Clock) {
        if !self.tap.as_ref().is_some_and(|tap| tap.wants().sent) {
            return;
        }
        let mut at = 0;
        while let Some(&[.., high, low, _]) = messages
            .get(at..)
            .and_then(<[u8]>::first_chunk::<HEADER_LEN>)
        {
            let len = usize::from(u16::from_be_bytes([high, low])).max(HEADER_LEN);
            let end = (at + len).min(messages.len());
            let octets = messages.slice(at..end);
            let direction = TapDirection::Sent;
            self.offer(TapWhat::Message { direction, octets }, clock);
            at = end;
        }
    }

    /// Where the session stands.
    pub(super) fn state(&mut self, new: State, clock: Clock) {
        let old = std::mem::replace(&mut self.state, new);
        if old != new && self.tap.is_some() {
            self.offer(TapWhat::State { old, new }, clock);
        }
    }

    /// The session is Established.
    pub(super) fn up(
        &mut self,
        stream: &TcpStream,
        negotiated: &Negotiated,
        (sent_open, received_open): (Bytes, Bytes),
        clock: Clock,
    ) {
        if self.tap.is_none() {
            return;
        }
        self.peer = Arc::new(TapPeer {
            id: self.peer.id,
            name: self.peer.name.clone(),
            remote: stream.peer_addr().unwrap_or(NOWHERE),
            local: stream.local_addr().unwrap_or(NOWHERE),
            peer_as: negotiated.peer_as,
            local_as: negotiated.local_as,
            router_id: negotiated.peer_router_id,
            four_octet_as: negotiated.four_octet_as,
            add_path_receive: !negotiated.add_path_receive.is_empty(),
            add_path_send: !negotiated.add_path_send.is_empty(),
        });
        self.state(State::Established, clock);
        let what = TapWhat::Up {
            sent_open,
            received_open,
        };
        self.offer(what, clock);
    }

    /// The session is no longer Established.
    pub(super) fn down(&mut self, reason: &DownReason, clock: Clock) {
        if self.tap.is_some() {
            let reason = Box::new(reason.clone());
            self.offer(TapWhat::Down { reason }, clock);
        }
    }

    /// The peer is no more.
    pub(super) fn removed(&mut self, clock: Clock) {
        self.offer(TapWhat::Removed, clock);
    }

    fn offer(&mut self, what: TapWhat, clock: Clock) {
        let Some(tap) = &self.tap else {
            return;
        };
        let event = TapEvent {
            peer: Arc::clone(&self.peer),
            at: clock.time_of_day(clock.now()),
            lost_before: self.lost,
            what,
        };
        if !matches!(event.what, TapWhat::Message { .. }) {
            tap.note(&event);
        }
        let taken = tap.offer(event);
        self.lost = if taken { 0 } else { self.lost + 1 };
    }
}
