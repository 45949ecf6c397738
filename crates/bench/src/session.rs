//! A BGP session of the generator: connects, stays up, hands UPDATEs to its owner.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chanter_bgp::{
    Capability, CodecContext, Family, FamilySet, HEADER_LEN, MESSAGE_LEN_MAX, Message, OpenMessage,
    UpdateWriter, decode_message, encode_keepalive, frame_len,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{ASN, DEVICE, interrupt};

/// Longer than any run may take; the device's own is shorter and decides.
const HOLD_TIME: u16 = 240;
/// Below a third of every device's hold time.
const KEEPALIVE: Duration = Duration::from_secs(10);
const PORT: u16 = 179;

/// One end of an established session. Clones write to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Whole messages are written while it is held.
    writer: Arc<Mutex<TcpStream>>,
    /// What was negotiated.
    pub(crate) ctx: Arc<CodecContext>,
}

/// The reading side: whoever has it must call [`Reader::run`].
#[derive(Debug)]
pub(crate) struct Reader {
    stream: TcpStream,
    session: Session,
    buffer: Vec<u8>,
    filled: usize,
}

impl Session {
    /// Connects from `source` within `patience` and waits until the session is established.
    pub(crate) fn establish(
        source: Ipv4Addr,
        family: Family,
        patience: Duration,
    ) -> Result<(Session, Reader)> {
        let deadline = Instant::now() + patience;
        loop {
            interrupt::check()?;
            match Self::attempt(source, family) {
                Ok(session) => return Ok(session),
                Err(error) if Instant::now() >= deadline => {
                    return Err(error).with_context(|| {
                        format!("no session from {source} within {} s", patience.as_secs())
                    });
                }
                // The device is not listening yet.
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn attempt(source: Ipv4Addr, family: Family) -> Result<(Session, Reader)> {
        let stream = connect_from(source)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let ctx = CodecContext {
            families: FamilySet::from([family]),
            ..CodecContext::default()
        };
        let session = Session {
            writer: Arc::new(Mutex::new(stream.try_clone()?)),
            ctx: Arc::new(ctx),
        };
        let mut reader = Reader {
            stream,
            session: session.clone(),
            buffer: vec![0; 1 << 20],
            filled: 0,
        };
        session.send(&open(source, family))?;
        reader.expect_established(family)?;
        // There is nothing to say at first.
        let mut end = Vec::new();
        UpdateWriter::new(&session.ctx, &mut end).end_of_rib(family);
        session.send(&end)?;
        reader.stream.set_read_timeout(Some(KEEPALIVE))?;
        Ok((session, reader))
    }

    /// Writes whole messages.
    pub(crate) fn send(&self, messages: &[u8]) -> Result<()> {
        let mut stream = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(messages).context("writing to the device")
    }

    /// Ends the session, which lets its reader end.
    pub(crate) fn close(&self) {
        let stream = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Closed by the device is as good.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}

fn connect_from(source: Ipv4Addr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddrV4::new(source, 0).into())?;
    socket.connect_timeout(
        &SocketAddrV4::new(DEVICE, PORT).into(),
        Duration::from_secs(5),
    )?;
    Ok(TcpStream::from(socket))
}

fn open(source: Ipv4Addr, family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    let message = OpenMessage {
        asn: ASN,
        hold_time: HOLD_TIME,
        router_id: source,
        capabilities: vec![
            Capability::MultiProtocol(family),
            Capability::RouteRefresh,
            Capability::FourOctetAs(ASN),
        ],
    };
    message.encode(&mut out);
    out
}

impl Reader {
    /// OPEN and KEEPALIVE of the device, each answered by a KEEPALIVE.
    fn expect_established(&mut self, family: Family) -> Result<()> {
        let mut opened = false;
        loop {
            let mut established = false;
            ensure!(self.fill()?, "the device says nothing");
            let mut reply = Vec::new();
            self.drain(|message| {
                match message {
                    Message::Open(open) => {
                        let has = open.families().contains(&family);
                        ensure!(has, "the device does not offer {family}");
                        opened = true;
                        encode_keepalive(&mut reply);
                    }
                    Message::Keepalive => established = opened,
                    Message::Notification(reason) => bail!("the device refuses: {reason:?}"),
                    Message::Update(_) | Message::RouteRefresh(_) => {}
                }
                Ok(())
            })?;
            self.session.send(&reply)?;
            if established {
                return Ok(());
            }
        }
    }

    /// Reads until the session ends; `on_updates` gets the bodies of the UPDATEs of one read, and
    /// when that was.
    pub(crate) fn run(
        mut self,
        mut on_updates: impl FnMut(Instant, &mut dyn Iterator<Item = &[u8]>) -> Result<()>,
    ) -> Result<()> {
        let mut keepalive = Vec::new();
        encode_keepalive(&mut keepalive);
        let mut sent = Instant::now();
        loop {
            if self.fill()? {
                let at = Instant::now();
                let frames = self.frames()?;
                let mut ended = None;
                let mut bodies = frames.iter().filter_map(|&(start, end)| {
                    match decode_message(&self.buffer[start..end]) {
                        Ok(Message::Update(body)) => Some(body),
                        Ok(Message::Notification(reason)) => {
                            ended = Some(reason);
                            None
                        }
                        _ => None,
                    }
                });
                on_updates(at, &mut bodies)?;
                bodies.by_ref().for_each(drop);
                drop(bodies);
                if let Some(reason) = ended {
                    bail!("the device ended the session: {reason:?}");
                }
                self.consume(frames.last().map_or(0, |frame| frame.1));
            }
            if sent.elapsed() >= KEEPALIVE {
                self.session.send(&keepalive)?;
                sent = Instant::now();
            }
        }
    }

    /// Reads what there is; `false`: nothing within the timeout.
    fn fill(&mut self) -> Result<bool> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => bail!("the device closed the session"),
            Ok(count) => {
                self.filled += count;
                Ok(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("reading from the device"),
        }
    }

    fn drain(&mut self, mut on_message: impl FnMut(Message<'_>) -> Result<()>) -> Result<()> {
        let frames = self.frames()?;
        for &(start, end) in &frames {
            let message = decode_message(&self.buffer[start..end])
                .map_err(|reason| anyhow::anyhow!("from the device: {reason:?}"))?;
            on_message(message)?;
        }
        self.consume(frames.last().map_or(0, |frame| frame.1));
        Ok(())
    }

    /// Where the whole messages in the buffer are.
    fn frames(&self) -> Result<Vec<(usize, usize)>> {
        let (mut frames, mut start) = (Vec::new(), 0);
        while let Some(header) = self.buffer[start..self.filled].first_chunk::<HEADER_LEN>() {
            let len = frame_len(header, MESSAGE_LEN_MAX)
                .map_err(|reason| anyhow::anyhow!("from the device: {reason:?}"))?;
            if start + len > self.filled {
                break;
            }
            frames.push((start, start + len));
            start += len;
        }
        Ok(frames)
    }

    fn consume(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}
