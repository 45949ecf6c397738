//! A BGP peer that sends whatever octets it is given, and hands out what it hears as octets.
//!
//! Reads and writes messages by itself, in a few lines, so that it owes nothing to the codec under
//! test. The hold time is 0: nobody sends KEEPALIVE, and no timer ends the session.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use socket2::{Domain, Socket, Type};

use crate::lab::Node;
use crate::wait::{secs, wait_until};

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
const HEADER_LEN: usize = 19;
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What it says in OPEN.
#[derive(Clone, Debug)]
pub struct RawOpen {
    /// Its AS.
    pub asn: u16,
    /// AFI and SAFI of each family.
    pub families: Vec<(u16, u8)>,
    /// Whether it knows four-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
}

/// What it hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An UPDATE, without its header.
    Update(Vec<u8>),
    /// A NOTIFICATION.
    Notification {
        /// The error code.
        code: u8,
        /// The error subcode.
        subcode: u8,
    },
    /// The connection is closed.
    Closed,
}

/// The peer, with an established session. Dropping it closes the connection.
#[derive(Debug)]
pub struct RawPeer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl RawPeer {
    /// Connects from `node` to `to`, and goes on trying until the session is established.
    pub fn connect(node: &Node, to: Ipv4Addr, open: &RawOpen) -> Result<Self> {
        Self::connect_as(node, node.ip(), to, open)
    }

    /// The same with `from`, which `node` has, as its address and its BGP identifier.
    pub fn connect_as(node: &Node, from: Ipv4Addr, to: Ipv4Addr, open: &RawOpen) -> Result<Self> {
        wait_until(secs(30), &format!("a session with {to}"), || {
            let stream = node.namespace.inside(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                socket.bind(&SocketAddr::from((from, 0)).into())?;
                socket.connect_timeout(&SocketAddr::from((to, 179)).into(), secs(5))?;
                Ok(TcpStream::from(socket))
            })?;
            stream.set_nodelay(true)?;
            let mut peer = Self {
                stream,
                buffer: Vec::new(),
            };
            peer.send(&open.encode(from))?;
            peer.send(&message(KEEPALIVE, &[]))?;
            let deadline = Instant::now() + READ_TIMEOUT;
            loop {
                match peer.message(deadline)? {
                    Some((KEEPALIVE, _)) => return Ok(peer),
                    Some((OPEN, _)) => {}
                    other => bail!("{other:?} in place of OPEN and KEEPALIVE"),
                }
            }
        })
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.write_all(octets)?;
        Ok(())
    }

    /// The next UPDATE or NOTIFICATION, or the end of the connection; `None` if there is none until
    /// `patience` is over.
    pub fn hear(&mut self, patience: Duration) -> Result<Option<Heard>> {
        let deadline = Instant::now() + patience;
        loop {
            match self.message(deadline) {
                Ok(Some((UPDATE, body))) => return Ok(Some(Heard::Update(body))),
                Ok(Some((NOTIFICATION, body))) => {
                    ensure!(body.len() >= 2, "a NOTIFICATION of {} octets", body.len());
                    let (code, subcode) = (body[0], body[1]);
                    return Ok(Some(Heard::Notification { code, subcode }));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) if is_closed(&error) => return Ok(Some(Heard::Closed)),
                Err(error) => return Err(error),
            }
        }
    }

    /// One message, type and body; `None` if there is none until `deadline`.
    fn message(&mut self, deadline: Instant) -> Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some(head) = self.buffer.get(..HEADER_LEN) {
                let length = usize::from(u16::from_be_bytes([head[16], head[17]]));
                let kind = head[18];
                let marked = head.starts_with(&[0xff; 16]);
                ensure!(
                    marked && (HEADER_LEN..=4096).contains(&length),
                    "no message begins with {head:?}"
                );
                if self.buffer.len() >= length {
                    let body = self.buffer.drain(..length).skip(HEADER_LEN).collect();
                    return Ok(Some((kind, body)));
                }
            }
            if !self.read_more(deadline)? {
                return Ok(None);
            }
        }
    }

    fn read_more(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        // A timeout of zero would mean none at all.
        self.stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    matches!(
        kind,
        Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
    )
}

impl RawOpen {
    fn encode(&self, router_id: Ipv4Addr) -> Vec<u8> {
        let mut capabilities = Vec::new();
        for (afi, safi) in &self.families {
            // Multiprotocol (RFC 4760 section 8).
            capabilities.extend([1, 4]);
            capabilities.extend(afi.to_be_bytes());
            capabilities.extend([0, *safi]);
        }
        if self.four_octet_as {
            capabilities.extend([65, 4]);
            capabilities.extend(u32::from(self.asn).to_be_bytes());
        }
        let length = u8::try_from(capabilities.len()).unwrap_or(u8::MAX);
        let body = [
            &[4][..],
            &self.asn.to_be_bytes(),
            &0_u16.to_be_bytes(),
            &router_id.octets(),
            &[length + 2, 2, length],
            &capabilities,
        ]
        .concat();
        message(OPEN, &body)
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER_LEN + body.len()).unwrap_or(u16::MAX);
    [&[0xff; 16], &length.to_be_bytes()[..], &[kind], body].concat()
}
