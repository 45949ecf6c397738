//! A reflector, a peer that says what the test wants, and a station.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chanter_bgp::{
    Attributes, Capability, CodecContext, Family, HEADER_LEN, MessageType, Nlri, OpenMessage,
    PathData, RouteEvent, UpdateBatch, UpdateWriter, decode_update, frame_len,
};
use chanter_bmp::message::{Message, PeerKind};
use chanter_types::Asn;
use tempfile::TempDir;

use crate::node::{PATIENCE, chanter, free_port};

/// A reflector of AS 64512 whose one client is 127.0.0.1.
pub(crate) struct Reflector {
    dir: TempDir,
    pub(crate) port: u16,
    process: Child,
}

impl Reflector {
    pub(crate) fn start(bmp: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        configure(&dir, port, bmp);
        let process = chanter()
            .arg("rr")
            .arg("--config")
            .arg(dir.path().join("chanter.toml"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let reflector = Self { dir, port, process };
        let is_ready = |one: &Self| one.run(&["show", "summary"]).status.success();
        reflector.wait("the reflector answers", is_ready);
        reflector
    }

    pub(crate) fn reload(&self, bmp: &str) {
        configure(&self.dir, self.port, bmp);
        let done = self.run(&["reload"]);
        assert!(done.status.success(), "{done:?}");
    }

    fn run(&self, args: &[&str]) -> Output {
        let socket = self.dir.path().join("sock");
        chanter()
            .args(args)
            .env("CHANTER_SOCKET", socket)
            .output()
            .unwrap()
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what}: not in time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it has so many IPv4 destinations.
    pub(crate) fn wait_for_destinations(&self, count: usize) {
        self.wait("all routes", |one| {
            let shown = one.run(&["show", "summary", "--json"]);
            let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
            let families = shown["families"].as_array().unwrap();
            families
                .iter()
                .any(|one| one["family"] == "ipv4-unicast" && one["destinations"] == count)
        });
    }

    /// Its memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configure(dir: &TempDir, port: u16, bmp: &str) {
    let path = dir.path().display();
    let config = format!(
        "state_dir = \"{path}/state\"\nsocket = \"{path}/sock\"\n\
         [bgp]\nas = 64512\nrouter_id = \"192.0.2.9\"\nlisten = [\"127.0.0.1:{port}\"]\n\
         [[bgp.peers]]\naddress = \"127.0.0.1\"\nremote_as = 64512\npassive = true\n\
         graceful_restart = 0\nfamilies = [\"ipv4-unicast\"]\n\
         [bmp]\nretry = 1\nstatistics = 1\n{bmp}"
    );
    std::fs::write(dir.path().join("chanter.toml"), config).unwrap();
}

/// The client: no more than the test needs of a speaker.
pub(crate) struct Peer {
    stream: TcpStream,
    pub(crate) sent_open: Bytes,
    pub(crate) received_open: Bytes,
}

impl Peer {
    /// Connects until the session is Established.
    pub(crate) fn up(port: u16) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_up(port) {
                Ok(peer) => return peer,
                Err(error) => assert!(Instant::now() < deadline, "no session: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn try_up(port: u16) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let open = OpenMessage {
            asn: Asn(64512),
            hold_time: 240,
            router_id: [192, 0, 2, 1].into(),
            capabilities: vec![
                Capability::MultiProtocol(Family::IPV4_UNICAST),
                Capability::FourOctetAs(Asn(64512)),
            ],
        };
        let mut sent = Vec::new();
        open.encode(&mut sent);
        stream.write_all(&sent)?;
        let received_open = message(&mut stream)?;
        let mut keepalive = vec![0xff; 16];
        keepalive.extend([0, 19, MessageType::Keepalive.code()]);
        stream.write_all(&keepalive)?;
        message(&mut stream)?;
        let mut ignored = stream.try_clone()?;
        std::thread::spawn(move || {
            let mut octets = [0; 65536];
            while let Ok(1..) | Err(_) = ignored.read(&mut octets) {
                if ignored.peer_addr().is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            stream,
            sent_open: sent.into(),
            received_open,
        })
    }

    pub(crate) fn reach(&mut self, routes: &[Nlri], attributes: &Attributes) {
        self.write(|writer| {
            let routes = routes.iter().map(|nlri| (nlri, PathData::default()));
            writer.reach(Family::IPV4_UNICAST, attributes, routes);
        });
    }

    pub(crate) fn withdraw(&mut self, nlri: &Nlri) {
        self.write(|writer| {
            writer.withdraw(Family::IPV4_UNICAST, [(nlri, PathData::default())]);
        });
    }

    pub(crate) fn end_of_rib(&mut self) {
        self.write(|writer| writer.end_of_rib(Family::IPV4_UNICAST));
    }

    fn write(&mut self, write: impl FnOnce(&mut UpdateWriter<'_>)) {
        let (mut out, context) = (Vec::new(), CodecContext::default());
        write(&mut UpdateWriter::new(&context, &mut out));
        self.stream.write_all(&out).unwrap();
    }

    /// Without a word.
    pub(crate) fn close(self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

fn message(stream: &mut TcpStream) -> std::io::Result<Bytes> {
    let mut octets = vec![0; HEADER_LEN];
    stream.read_exact(&mut octets)?;
    let len = frame_len(octets.first_chunk().unwrap(), 4096).unwrap();
    octets.resize(len, 0);
    stream.read_exact(&mut octets[HEADER_LEN..])?;
    let is_expected =
        [MessageType::Open.code(), MessageType::Keepalive.code()].contains(&octets[18]);
    if is_expected {
        Ok(octets.into())
    } else {
        Err(std::io::Error::other(format!(
            "message of type {}",
            octets[18]
        )))
    }
}

/// Where the reflector finds a station.
pub(crate) struct StationPort(TcpListener);

impl StationPort {
    pub(crate) fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn configured(&self, more: &str) -> String {
        let addr = self.0.local_addr().unwrap();
        format!("[[bmp.stations]]\naddress = \"{addr}\"\n{more}\n")
    }

    pub(crate) fn accept(&self) -> Station {
        let (stream, _) = self.0.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        Station {
            stream,
            unread: Vec::new(),
            messages: Vec::new(),
            known: BTreeMap::new(),
        }
    }
}

/// What a station knows of the peer, or of the best paths.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) routes: BTreeMap<Nlri, Attributes>,
    pub(crate) ends: BTreeSet<Family>,
}

pub(crate) struct Station {
    stream: TcpStream,
    unread: Vec<u8>,
    messages: Vec<Message>,
    pub(crate) known: BTreeMap<PeerKind, Known>,
}

/// The port in [`Station::capture`].
pub(crate) const CAPTURE_PORT: u16 = 11019;

impl Station {
    /// Reads until it is so.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not in time; known is {:#?}",
                self.known
            );
            self.read();
        }
    }

    /// The messages so far that are meant.
    pub(crate) fn seen(&self, is_meant: impl Fn(&Message) -> bool) -> Vec<Message> {
        self.messages
            .iter()
            .filter(|one| is_meant(one))
            .cloned()
            .collect()
    }

    fn read(&mut self) {
        let mut octets = vec![0; 1 << 18];
        match self.stream.read(&mut octets) {
            Ok(0) => panic!("closed by the reflector"),
            Ok(len) => self.unread.extend_from_slice(&octets[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
        let unread = std::mem::take(&mut self.unread);
        let mut rest = unread.as_slice();
        while let Some((message, tail)) = Message::split(rest).unwrap() {
            self.take(&message);
            self.messages.push(message);
            rest = tail;
        }
        self.unread = rest.to_vec();
    }

    fn take(&mut self, message: &Message) {
        if self.messages.is_empty() {
            assert!(matches!(message, Message::Initiation(_)), "{message:?}");
        }
        match message {
            Message::PeerUp { peer, .. } => {
                let before = self.known.insert(peer.kind, Known::default());
                assert!(before.is_none(), "{peer:?} was up");
            }
            Message::PeerDown { peer, .. } => {
                assert!(
                    self.known.remove(&peer.kind).is_some(),
                    "{peer:?} was not up"
                );
            }
            Message::RouteMonitoring { peer, update } => {
                let known = self.known.get_mut(&peer.kind).expect("Peer Up comes first");
                known.take(update);
            }
            _ => {}
        }
    }

    /// A capture with one TCP segment for each message, and how many there are; checksums are left out.
    pub(crate) fn capture(&self) -> (Vec<u8>, usize) {
        /// Packets begin with the IP header.
        const LINK_TYPE_RAW: u32 = 101;
        let mut out = Vec::new();
        out.extend(0xa1b2_c3d4u32.to_be_bytes());
        out.extend([0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(65_535u32.to_be_bytes());
        out.extend(LINK_TYPE_RAW.to_be_bytes());
        let mut sequence = 1u32;
        for message in &self.messages {
            let mut data = Vec::new();
            message.encode(&mut data);
            let len = 40 + data.len() as u32;
            out.extend([0; 8]);
            out.extend(len.to_be_bytes());
            out.extend(len.to_be_bytes());
            out.extend([0x45, 0]);
            out.extend((len as u16).to_be_bytes());
            out.extend([0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
            out.extend(40_000u16.to_be_bytes());
            out.extend(CAPTURE_PORT.to_be_bytes());
            out.extend(sequence.to_be_bytes());
            out.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
            sequence += data.len() as u32;
            out.extend(data);
        }
        (out, self.messages.len())
    }
}

impl Known {
    fn take(&mut self, update: &[u8]) {
        let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
        let context = CodecContext::default();
        decode_update(&update[HEADER_LEN..], &context, &mut batch, &mut faults).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        for event in &batch.events {
            match event {
                RouteEvent::Reach {
                    nlri, attributes, ..
                } => {
                    let attributes = batch.attributes(*attributes).unwrap().clone();
                    self.routes.insert(nlri.clone(), attributes);
                }
                RouteEvent::Withdraw { nlri, .. } => {
                    assert!(self.routes.remove(nlri).is_some(), "{nlri} was not there");
                }
                RouteEvent::EndOfRib(family) => {
                    assert!(self.ends.insert(*family), "a second End-of-RIB of {family}");
                }
            }
        }
    }
}
