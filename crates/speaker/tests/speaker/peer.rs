//! A peer that is played by the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use chanter_bgp::{
    Capability, Family, GracefulRestart, HEADER_LEN, MESSAGE_LEN_EXTENDED, Message,
    NotificationMessage, OpenMessage, RouteRefreshMessage, decode_message, encode_keepalive,
    frame_len,
};
use chanter_speaker::PeerConfig;
use chanter_types::Asn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::engine::{LOCAL_AS, PATIENCE};

/// A loopback address that no other test uses.
pub(crate) fn own_addr() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = number.to_be_bytes();
    let [.., process] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, process.max(1), high, low).into()
}

/// What the peer hears.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Open(OpenMessage),
    Update(Vec<u8>),
    Notification(NotificationMessage),
    Keepalive,
    Refresh(RouteRefreshMessage),
    /// The connection is closed in order.
    End,
}

/// A connection of the peer.
pub(crate) struct FakePeer {
    pub(crate) stream: TcpStream,
}

pub(crate) fn open(router_id: [u8; 4]) -> OpenMessage {
    OpenMessage {
        asn: LOCAL_AS,
        hold_time: 30,
        router_id: router_id.into(),
        capabilities: vec![
            Capability::MultiProtocol(Family::L2VPN_EVPN),
            Capability::RouteRefresh,
            Capability::FourOctetAs(LOCAL_AS),
        ],
    }
}

pub(crate) fn open_of(asn: Asn) -> OpenMessage {
    let mut open = open([10, 0, 0, 9]);
    open.asn = asn;
    open.capabilities[2] = Capability::FourOctetAs(asn);
    open
}

/// An OPEN with graceful restart.
pub(crate) fn open_graceful(restarting: bool, restart_time: u16) -> OpenMessage {
    let mut open = open([10, 0, 0, 9]);
    open.capabilities
        .push(Capability::GracefulRestart(GracefulRestart {
            notification: false,
            restarting,
            restart_time,
            families: vec![(Family::L2VPN_EVPN, true)],
        }));
    open
}

impl FakePeer {
    /// Connects from `local`.
    pub(crate) async fn connect(local: IpAddr, remote: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(local, 0)).unwrap();
        let stream = socket.connect(remote).await.expect("somebody listens");
        Self { stream }
    }

    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let (stream, _) = accepted.expect("the speaker connects").unwrap();
        Self { stream }
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.expect("it is open");
    }

    pub(crate) async fn send_open(&mut self, open: &OpenMessage) {
        let mut octets = Vec::new();
        open.encode(&mut octets);
        self.send(&octets).await;
    }

    pub(crate) async fn send_keepalive(&mut self) {
        let mut octets = Vec::new();
        encode_keepalive(&mut octets);
        self.send(&octets).await;
    }

    /// Both OPENs and the first KEEPALIVEs.
    pub(crate) async fn establish(&mut self, open: &OpenMessage) -> OpenMessage {
        let Heard::Open(heard) = self.hear().await else {
            panic!("no OPEN");
        };
        self.send_open(open).await;
        assert_eq!(self.hear().await, Heard::Keepalive);
        self.send_keepalive().await;
        heard
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Heard {
        timeout(PATIENCE, self.read())
            .await
            .expect("something is heard")
    }

    /// The next message but KEEPALIVE.
    pub(crate) async fn hear_news(&mut self) -> Heard {
        loop {
            match self.hear().await {
                Heard::Keepalive => {}
                heard => return heard,
            }
        }
    }

    async fn read(&mut self) -> Heard {
        let mut message = vec![0; HEADER_LEN];
        if self.stream.read_exact(&mut message).await.is_err() {
            return Heard::End;
        }
        let header = message.first_chunk().unwrap();
        let len = frame_len(header, MESSAGE_LEN_EXTENDED).expect("what is heard is a message");
        message.resize(len, 0);
        if self
            .stream
            .read_exact(&mut message[HEADER_LEN..])
            .await
            .is_err()
        {
            panic!("the connection ends within a message");
        }
        match decode_message(&message).expect("what is heard can be decoded") {
            Message::Open(open) => Heard::Open(open),
            Message::Update(_) => Heard::Update(message),
            Message::Notification(notification) => Heard::Notification(notification),
            Message::Keepalive => Heard::Keepalive,
            Message::RouteRefresh(refresh) => Heard::Refresh(refresh),
        }
    }
}

/// The address of a configured peer.
pub(crate) fn ip(peer: &PeerConfig) -> IpAddr {
    peer.addr.ip().expect("it is configured by address")
}
