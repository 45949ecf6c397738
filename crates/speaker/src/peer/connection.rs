//! One TCP connection of a peer's task.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::session::ConnectionId;
use chanter_bgp::{CodecContext, MESSAGE_LEN_MAX, OpenMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::outbox::Outbox;
use crate::status::MessageCounts;

/// So many octets are read before others have their turn: some thousand routes, decoded in a few
/// milliseconds.
const READ_MAX: usize = 256 * 1024;

/// How long the last words may take to be written.
const FAREWELL_TIME: Duration = Duration::from_secs(3);

/// How long the peer's own end is waited for after our last words. To close while octets of it are
/// unread makes TCP send a reset, which can overtake the NOTIFICATION.
const LINGER_TIME: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) stream: TcpStream,
    /// What was read and is not a whole message yet: mostly nothing.
    pub(super) inbox: Vec<u8>,
    pub(super) outbox: Outbox,
    /// Once Established.
    pub(super) codec: Option<CodecContext>,
    /// What we said in OPEN, until Established.
    pub(super) own_open: Option<OpenMessage>,
    /// Our OPEN and the peer's, as they were on the wire, where somebody records them.
    pub(super) opens: (Bytes, Bytes),
}

/// What a connection is ready for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ready {
    Read,
    Write,
}

/// Waits until a connection can be read, or written where something waits to be. Connections that
/// carry routes are read only where `routes_wanted`.
pub(super) async fn ready(
    connections: &[Connection],
    routes_wanted: bool,
) -> (ConnectionId, Ready) {
    poll_fn(|context| {
        for connection in connections {
            let stream = &connection.stream;
            // An error of the socket shows when it is used.
            if (routes_wanted || connection.codec.is_none())
                && stream.poll_read_ready(context).is_ready()
            {
                return Poll::Ready((connection.id, Ready::Read));
            }
            if !connection.outbox.is_empty() && stream.poll_write_ready(context).is_ready() {
                return Poll::Ready((connection.id, Ready::Write));
            }
        }
        Poll::Pending
    })
    .await
}

/// What reading gave.
pub(super) enum Received {
    /// All that was there, or enough for one turn.
    Octets,
    /// The peer has closed; octets may have come before.
    End,
    /// The connection broke; octets may have come before.
    Error(io::Error),
}

impl Connection {
    pub(super) fn new(id: ConnectionId, stream: TcpStream) -> Self {
        Self {
            id,
            stream,
            inbox: Vec::new(),
            outbox: Outbox::default(),
            codec: None,
            own_open: None,
            opens: (Bytes::new(), Bytes::new()),
        }
    }

    /// The largest message that the peer may send.
    pub(super) fn message_len_max(&self) -> usize {
        self.codec
            .as_ref()
            .map_or(MESSAGE_LEN_MAX, |codec| codec.message_len_max)
    }

    /// Our address and the peer's.
    pub(super) fn addrs(&self) -> (SocketAddr, SocketAddr) {
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        (
            self.stream.local_addr().unwrap_or(nowhere),
            self.stream.peer_addr().unwrap_or(nowhere),
        )
    }

    /// Reads what is there, behind the beginning of a message that was read before, into `buffer`.
    /// Before the session is Established a few octets suffice: a stranger costs little.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>) -> Received {
        let limit = if self.codec.is_some() {
            READ_MAX
        } else {
            MESSAGE_LEN_MAX
        };
        buffer.clear();
        buffer.append(&mut self.inbox);
        self.inbox = Vec::new();
        buffer.reserve(limit.saturating_sub(buffer.len()));
        while buffer.len() < limit {
            match self.stream.try_read_buf(buffer) {
                Ok(0) => return Received::End,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Received::Error(error),
            }
        }
        Received::Octets
    }

    /// Writes what the socket takes of the outbox; says whether it took something.
    pub(super) fn write(&mut self, counts: &mut MessageCounts) -> io::Result<bool> {
        let mut progress = false;
        while !self.outbox.is_empty() {
            match self.stream.try_write(self.outbox.next()) {
                Ok(count) => {
                    self.outbox.written(count, counts);
                    progress = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(progress)
    }

    /// Writes what has to be written still, and closes, so that the peer gets all of it.
    pub(super) async fn finish(mut self) -> MessageCounts {
        let mut counts = MessageCounts::default();
        self.outbox.cut_updates();
        let farewell = async {
            while !self.outbox.is_empty() {
                let Ok(count @ 1..) = self.stream.write(self.outbox.next()).await else {
                    return false;
                };
                self.outbox.written(count, &mut counts);
            }
            self.stream.shutdown().await.is_ok()
        };
        if let Ok(true) = timeout(FAREWELL_TIME, farewell).await {
            let mut rest = [0; 4096];
            let drain = async { while let Ok(1..) = self.stream.read(&mut rest).await {} };
            // The peer may have no mind to close: it has had its time.
            let _ = timeout(LINGER_TIME, drain).await;
        }
        counts
    }
}
