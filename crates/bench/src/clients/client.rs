//! One client.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chanter_bgp::{
    Attributes, Capability, CodecContext, ExtendedCommunity, Family, FamilySet, HEADER_LEN,
    LargeCommunity, MESSAGE_LEN_MAX, Message, Nlri, OpenMessage, PathData, RouteEvent,
    RtMembership, UpdateBatch, UpdateWriter, decode_message, decode_update, encapsulation,
    encode_keepalive, frame_len,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, interval_at};

use super::state::{Phase, Plan, Shared, owner};
use crate::{ASN, DEVICE};

/// Changes go out this often, several at a time.
const TICK: Duration = Duration::from_millis(100);
const KEEPALIVE: Duration = Duration::from_secs(10);
const HOLD_TIME: u16 = 90;

pub(super) struct Client {
    plan: Plan,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    ctx: CodecContext,
    next: u32,
}

/// How a session ended.
enum End {
    /// On purpose.
    Flap,
    /// The run is over.
    Over,
}

impl Client {
    pub(super) fn new(plan: Plan, shared: Arc<Shared>, phase: watch::Receiver<Phase>) -> Self {
        let families = FamilySet::from([Family::L2VPN_EVPN, Family::IPV4_RTC]);
        Self {
            plan,
            shared,
            phase,
            ctx: CodecContext {
                families,
                ..CodecContext::default()
            },
            next: 0,
        }
    }

    /// Keeps a session up until the run is over; anything else is reported.
    pub(super) async fn run(mut self) {
        loop {
            match self.session().await {
                Ok(End::Flap) => {
                    self.shared.flaps.fetch_add(1, Ordering::Relaxed);
                }
                Ok(End::Over) => return,
                Err(error) => {
                    return self
                        .shared
                        .report(format!("client {}: {error:#}", self.plan.id));
                }
            }
        }
    }

    async fn session(&mut self) -> Result<End> {
        let mut stream = self.connect().await?;
        let mut buffer = Buffer::default();
        stream.write_all(&self.open()).await?;
        self.expect_established(&mut stream, &mut buffer).await?;
        let established = Instant::now();
        self.shared.state(self.plan.id).heard.clear();
        let first = self.first_messages();
        stream.write_all(&first).await?;
        self.shared.established.fetch_add(1, Ordering::Relaxed);
        let end = self.talk(&mut stream, &mut buffer, established).await;
        self.shared.established.fetch_sub(1, Ordering::Relaxed);
        end
    }

    /// The device may not be listening yet, or be busy.
    async fn connect(&self) -> Result<TcpStream> {
        let deadline = Instant::now() + super::PATIENCE;
        loop {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::from((self.plan.addr(), 0)))?;
            let device = SocketAddr::V4(SocketAddrV4::new(DEVICE, 179));
            match socket.connect(device).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) if Instant::now() >= deadline => {
                    return Err(error).context("connecting");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn open(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let families = self.ctx.families.iter().map(Capability::MultiProtocol);
        let others = [Capability::RouteRefresh, Capability::FourOctetAs(ASN)];
        OpenMessage {
            asn: ASN,
            hold_time: HOLD_TIME,
            router_id: self.plan.addr(),
            capabilities: families.chain(others).collect(),
        }
        .encode(&mut out);
        out
    }

    async fn expect_established(&self, stream: &mut TcpStream, buffer: &mut Buffer) -> Result<()> {
        let mut opened = false;
        loop {
            buffer.fill(stream).await?;
            let mut reply = Vec::new();
            let mut established = false;
            // The device may begin with its routes at once: what follows its KEEPALIVE stays.
            while !established && let Some(message) = buffer.next()? {
                match message {
                    Message::Open(_) => {
                        opened = true;
                        encode_keepalive(&mut reply);
                    }
                    Message::Keepalive => established = opened,
                    Message::Notification(reason) => bail!("refused: {reason:?}"),
                    Message::Update(_) | Message::RouteRefresh(_) => {}
                }
            }
            stream.write_all(&reply).await?;
            if established {
                return Ok(());
            }
        }
    }

    /// The subscription, all own routes, and the end of both.
    fn first_messages(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let membership = Nlri::Rtc(RtMembership::new(ASN, self.plan.rt()));
        let attributes = Attributes::builder()
            .next_hop(std::net::IpAddr::V4(self.plan.addr()))
            .local_pref(100)
            .build();
        let data = PathData::default();
        let mut writer = UpdateWriter::new(&self.ctx, &mut out);
        writer.reach(Family::IPV4_RTC, &attributes, [(&membership, data)]);
        writer.end_of_rib(Family::IPV4_RTC);
        for route in 0..self.plan.routes {
            self.change(route, &mut out);
        }
        UpdateWriter::new(&self.ctx, &mut out).end_of_rib(Family::L2VPN_EVPN);
        out
    }

    /// The next version of a route, with the time.
    fn change(&self, route: u32, out: &mut Vec<u8>) {
        let version = {
            let mut state = self.shared.state(self.plan.id);
            let said = &mut state.said[route as usize];
            *said += 1;
            *said
        };
        let attributes = Attributes::builder()
            .next_hop(std::net::IpAddr::V4(self.plan.addr()))
            .local_pref(100)
            .large_communities(vec![LargeCommunity {
                admin: ASN.0,
                data1: version,
                data2: self.micros(),
            }])
            .extended_communities(vec![
                ExtendedCommunity::route_target(self.plan.rt()),
                ExtendedCommunity::encapsulation(encapsulation::VXLAN),
            ])
            .build();
        let nlri = self.plan.nlri(route);
        let data = PathData::with_label(1000 + self.plan.vpn);
        UpdateWriter::new(&self.ctx, out).reach(Family::L2VPN_EVPN, &attributes, [(&nlri, data)]);
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Microseconds since the start, which wrap after more than an hour.
    fn micros(&self) -> u32 {
        self.shared.start.elapsed().as_micros() as u32
    }

    async fn talk(
        &mut self,
        stream: &mut TcpStream,
        buffer: &mut Buffer,
        established: Instant,
    ) -> Result<End> {
        let since = established.duration_since(self.shared.start).as_micros() as u32;
        let mut keepalive = interval(KEEPALIVE);
        // Not all at once.
        let shift = TICK * self.plan.id / self.shared.plans.len() as u32;
        let mut tick = interval_at(tokio::time::Instant::now() + shift, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = 0.0;
        self.take(buffer, since)?;
        loop {
            let phase = *self.phase.borrow_and_update();
            let changing = phase == Phase::Change;
            if changing
                && self
                    .plan
                    .flap
                    .is_some_and(|flap| established.elapsed() >= flap)
            {
                return Ok(End::Flap);
            }
            let reads = !(changing && self.plan.stuck);
            tokio::select! {
                filled = buffer.fill(stream), if reads => {
                    filled?;
                    self.take(buffer, since)?;
                }
                _ = tick.tick(), if changing => {
                    due += f64::from(self.plan.rate) * TICK.as_secs_f64();
                    let mut out = Vec::new();
                    while due >= 1.0 {
                        self.change(self.next, &mut out);
                        self.next = (self.next + 1) % self.plan.routes;
                        due -= 1.0;
                    }
                    stream.write_all(&out).await?;
                }
                _ = keepalive.tick() => {
                    let mut out = Vec::new();
                    encode_keepalive(&mut out);
                    stream.write_all(&out).await?;
                }
                changed = self.phase.changed() => {
                    if changed.is_err() {
                        return Ok(End::Over);
                    }
                }
            }
        }
    }

    /// Takes in what was read.
    fn take(&self, buffer: &mut Buffer, since: u32) -> Result<()> {
        let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
        while let Some(message) = buffer.next()? {
            match message {
                Message::Update(body) => decode_update(body, &self.ctx, &mut batch, &mut faults)
                    .map_err(|_| anyhow::anyhow!("a malformed UPDATE: {faults:?}"))?,
                Message::Notification(reason) => bail!("the device ended the session: {reason:?}"),
                Message::Open(_) | Message::Keepalive | Message::RouteRefresh(_) => {}
            }
        }
        ensure!(faults.is_empty(), "a malformed UPDATE: {faults:?}");
        let now = self.micros();
        let mut state = self.shared.state(self.plan.id);
        let mut received = 0;
        for event in &batch.events {
            let (nlri, said) = match event {
                RouteEvent::Reach {
                    nlri, attributes, ..
                } => (nlri, batch.attributes(*attributes)),
                RouteEvent::Withdraw { nlri, .. } => (nlri, None),
                RouteEvent::EndOfRib(_) => continue,
            };
            if matches!(nlri, Nlri::Rtc(_)) {
                continue;
            }
            let route = self.of_my_vpn(nlri)?;
            received += 1;
            match said.and_then(|attributes| attributes.large_communities().next()) {
                Some(stamp) => {
                    state.heard.insert(route, stamp.data1);
                    if stamp.data2 > since && !self.plan.stuck {
                        self.shared
                            .latency
                            .add(u64::from(now.wrapping_sub(stamp.data2)));
                    }
                }
                None => {
                    state.heard.remove(&route);
                }
            }
        }
        self.shared.received.fetch_add(received, Ordering::Relaxed);
        Ok(())
    }

    /// Whose route it is. One that was not asked for is an error.
    fn of_my_vpn(&self, nlri: &Nlri) -> Result<(u32, u32)> {
        let route = owner(nlri).with_context(|| format!("a route that was not sent: {nlri}"))?;
        let vpn = self.shared.plans.get(route.0 as usize).map(|plan| plan.vpn);
        ensure!(
            vpn == Some(self.plan.vpn),
            "a route that was not asked for: {nlri}"
        );
        Ok(route)
    }
}

/// What was read and not yet taken.
#[derive(Default)]
struct Buffer {
    octets: Vec<u8>,
    taken: usize,
}

impl Buffer {
    /// Reads more; an error when the other side has closed. Loses nothing when dropped.
    async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.octets.drain(..self.taken);
        self.taken = 0;
        self.octets.reserve(16 * 1024);
        match stream.read_buf(&mut self.octets).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next whole message.
    fn next(&mut self) -> Result<Option<Message<'_>>> {
        let rest = &self.octets[self.taken..];
        let Some(header) = rest.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let len = frame_len(header, MESSAGE_LEN_MAX)
            .map_err(|reason| anyhow::anyhow!("from the device: {reason:?}"))?;
        let Some(message) = rest.get(..len) else {
            return Ok(None);
        };
        self.taken += len;
        decode_message(message)
            .map(Some)
            .map_err(|reason| anyhow::anyhow!("from the device: {reason:?}"))
    }
}
