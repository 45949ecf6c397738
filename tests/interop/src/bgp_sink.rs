//! A BGP peer that only listens and writes down when it heard of which MAC address.
//!
//! Reads EVPN by itself, in a few lines, so that it owes nothing to the codec under test. It
//! negotiates EVPN alone (no RT constraint: a speaker sends it everything) and sends no route.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::lab::Node;

/// Longer than the 30 seconds that bagpipe-bgp insists on.
const HOLD_SECONDS: u16 = 90;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How often the reader looks whether it should end. Arrival times do not depend on it: data wakes
/// the reader.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
const MESSAGE_MAX: usize = 4096;

/// One EVPN type 2 NLRI, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct MacSeen {
    /// When the read that completed its UPDATE returned.
    pub at: Instant,
    /// Which MAC address.
    pub mac: [u8; 6],
    /// Advertised, or withdrawn.
    pub advertised: bool,
}

/// The listening peer. Dropping it closes the session.
#[derive(Debug)]
pub struct BgpSink {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    record: Mutex<Record>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Record {
    established: bool,
    seen: Vec<MacSeen>,
    error: Option<String>,
}

impl BgpSink {
    /// Listens on port 179 of `node`.
    pub fn listen(node: &Node, asn: u16) -> Result<Self> {
        let (ip, shared) = (node.ip(), Arc::new(Shared::default()));
        let listener = node
            .namespace
            .inside(|| Ok(TcpListener::bind(SocketAddr::from((ip, 179)))?))?;
        listener.set_nonblocking(true)?;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            if let Err(error) = serve(&listener, asn, ip, &theirs) {
                theirs.lock().error = Some(format!("{error:#}"));
                theirs.changed.notify_all();
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Waits for the session.
    pub fn wait_established(&self, patience: Duration) -> Result<()> {
        self.wait(patience, "a BGP session", |record| {
            record.established.then_some(())
        })
    }

    /// When `mac` was first advertised (or withdrawn) at position `from` of the record or later;
    /// waits for it.
    pub fn wait_for(
        &self,
        mac: [u8; 6],
        advertised: bool,
        from: usize,
        patience: Duration,
    ) -> Result<Instant> {
        self.wait(patience, "an UPDATE with the MAC address", |record| {
            let seen = record
                .seen
                .iter()
                .skip(from)
                .find(|seen| seen.mac == mac && seen.advertised == advertised);
            seen.map(|seen| seen.at)
        })
    }

    /// Waits until `count` NLRI have been heard from position `from` on.
    pub fn wait_for_count(&self, from: usize, count: usize, patience: Duration) -> Result<()> {
        self.wait(patience, &format!("{count} EVPN type 2 NLRI"), |record| {
            (record.seen.len() >= from + count).then_some(())
        })
    }

    /// Everything heard so far, in order of arrival.
    pub fn seen(&self) -> Vec<MacSeen> {
        self.shared.lock().seen.clone()
    }

    fn wait<T>(
        &self,
        patience: Duration,
        what: &str,
        find: impl Fn(&Record) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        let mut record = self.shared.lock();
        loop {
            if let Some(found) = find(&record) {
                return Ok(found);
            }
            if let Some(error) = &record.error {
                bail!("waiting for {what}: {error}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(
                !left.is_zero(),
                "{what}: not within {} s ({} NLRI so far)",
                patience.as_secs(),
                record.seen.len()
            );
            let woken = self.shared.changed.wait_timeout(record, left);
            record = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for BgpSink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the reader has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn serve(listener: &TcpListener, asn: u16, router_id: Ipv4Addr, shared: &Shared) -> Result<()> {
    let Some(mut stream) = accept(listener, shared)? else {
        return Ok(());
    };
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.write_all(&open(asn, router_id))?;
    let (mut buffer, mut told) = (Vec::new(), Instant::now());
    while !shared.stopped() {
        if told.elapsed() >= KEEPALIVE_INTERVAL {
            stream.write_all(&message(4, &[]))?;
            told = Instant::now();
        }
        if !read_more(&mut stream, &mut buffer)? {
            continue;
        }
        let at = Instant::now();
        while let Some((kind, body)) = take_message(&mut buffer)? {
            handle(kind, &body, at, &mut stream, shared)?;
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, shared: &Shared) -> Result<Option<TcpStream>> {
    while !shared.stopped() {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5))
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<bool> {
    let mut chunk = [0; 65536];
    match stream.read(&mut chunk) {
        Ok(0) => bail!("the speaker closed the session"),
        Ok(count) => {
            buffer.extend_from_slice(&chunk[..count]);
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn handle(
    kind: u8,
    body: &[u8],
    at: Instant,
    stream: &mut TcpStream,
    shared: &Shared,
) -> Result<()> {
    match kind {
        1 => stream.write_all(&message(4, &[]))?,
        2 => {
            let macs = read_update(body).context("an UPDATE that is cut short")?;
            let mut record = shared.lock();
            record
                .seen
                .extend(macs.into_iter().map(|(advertised, mac)| MacSeen {
                    at,
                    mac,
                    advertised,
                }));
            drop(record);
            shared.changed.notify_all();
        }
        3 => bail!("NOTIFICATION {body:?}"),
        _ => {
            shared.lock().established = true;
            shared.changed.notify_all();
        }
    }
    Ok(())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap_or(u16::MAX);
    [&[0xff; 16], &length.to_be_bytes()[..], &[kind], body].concat()
}

fn open(asn: u16, router_id: Ipv4Addr) -> Vec<u8> {
    // One optional parameter (2) with one capability (1): multiprotocol L2VPN EVPN.
    let parameters = [2, 6, 1, 4, 0, 25, 0, 70];
    let head = [
        &[4][..],
        &asn.to_be_bytes(),
        &HOLD_SECONDS.to_be_bytes(),
        &router_id.octets(),
        &[8],
    ]
    .concat();
    message(1, &[&head[..], &parameters].concat())
}

fn take_message(buffer: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>> {
    let Some(head) = buffer.get(..19) else {
        return Ok(None);
    };
    let (length, kind) = (
        usize::from(u16::from_be_bytes([head[16], head[17]])),
        head[18],
    );
    ensure!(
        (19..=MESSAGE_MAX).contains(&length),
        "a BGP message of {length} octets"
    );
    if buffer.len() < length {
        return Ok(None);
    }
    let body = buffer.drain(..length).skip(19).collect();
    Ok(Some((kind, body)))
}

/// The MAC addresses of the type 2 NLRI of an UPDATE, with whether each is advertised; `None` if it
/// is cut short.
fn read_update(body: &[u8]) -> Option<Vec<(bool, [u8; 6])>> {
    let withdrawn = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    let rest = body.get(2 + withdrawn..)?;
    let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    let mut attributes = rest.get(2..2 + length)?;
    let mut macs = Vec::new();
    while let [flags, kind, ..] = *attributes {
        let extended = flags & 0x10 != 0;
        let (start, length) = match extended {
            true => (
                4,
                usize::from(u16::from_be_bytes([
                    *attributes.get(2)?,
                    *attributes.get(3)?,
                ])),
            ),
            false => (3, usize::from(*attributes.get(2)?)),
        };
        let value = attributes.get(start..start + length)?;
        match kind {
            14 if value.get(..3)? == [0, 25, 70] => {
                let next_hop = usize::from(*value.get(3)?);
                read_evpn(value.get(5 + next_hop..)?, true, &mut macs)?;
            }
            15 if value.get(..3)? == [0, 25, 70] => read_evpn(value.get(3..)?, false, &mut macs)?,
            _ => {}
        }
        attributes = attributes.get(start + length..)?;
    }
    Some(macs)
}

fn read_evpn(mut nlri: &[u8], advertised: bool, macs: &mut Vec<(bool, [u8; 6])>) -> Option<()> {
    while let [route_type, length, ..] = *nlri {
        let value = nlri.get(2..2 + usize::from(length))?;
        if route_type == 2 {
            // RD 8, ESI 10, Ethernet tag 4, MAC length 1.
            macs.push((advertised, value.get(23..29)?.try_into().ok()?));
        }
        nlri = nlri.get(2 + usize::from(length)..)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_of_an_update_are_read() {
        let value = [&[0; 22][..], &[48, 2, 0, 0, 0, 0, 7, 0, 0, 3, 0xe9]].concat();
        let reach = [&[0, 25, 70, 4, 10, 0, 0, 1, 0, 2, 33][..], &value].concat();
        let unreach = [&[0, 25, 70, 3, 1, 0, 2, 33][..], &value].concat();
        let attributes = [
            &[0x90, 14, 0, u8::try_from(reach.len()).unwrap()][..],
            &reach,
            &[0x80, 15, u8::try_from(unreach.len()).unwrap()],
            &unreach,
        ]
        .concat();
        let body = [
            &[0, 0, 0, u8::try_from(attributes.len()).unwrap()][..],
            &attributes,
        ]
        .concat();
        assert_eq!(
            read_update(&body).unwrap(),
            [(true, [2, 0, 0, 0, 0, 7]), (false, [2, 0, 0, 0, 0, 7])]
        );
        assert_eq!(read_update(&body[..body.len() - 1]), None);
    }
}
