//! ICMP echo from inside a namespace: a ping that counts exactly, at any interval.
//!
//! The `ping` program cannot be stopped without a packet in flight counting as lost; a claim of "no
//! packet lost" needs better. Requests are sent by the clock, replies matched by sequence number,
//! and at the end there is time for the last replies to come in.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

use super::netns;

/// What to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EchoPlan {
    /// Whom to ask.
    pub(crate) target: IpAddr,
    /// Requests at most; sequence numbers have 16 bits.
    pub(crate) count: u16,
    /// Time between requests.
    pub(crate) interval: Duration,
    /// How long to wait for replies after the last request.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EchoStats {
    pub(crate) sent: u32,
    pub(crate) received: u32,
    /// The longest time without a reply while requests were sent.
    pub(crate) longest_silence: Duration,
    /// The shortest and the longest round trip.
    pub(crate) fastest: Option<Duration>,
    pub(crate) slowest: Option<Duration>,
}

impl EchoStats {
    pub(crate) fn lost(&self) -> u32 {
        self.sent - self.received
    }
}

/// Sends requests from inside `namespace` until all are sent or `stop` is set. Blocks.
pub(crate) fn echo(
    namespace: &str,
    plan: EchoPlan,
    stop: &AtomicBool,
) -> anyhow::Result<EchoStats> {
    netns::inside(namespace, || {
        let mut session = Session::open(plan)
            .with_context(|| format!("ping {} from {namespace}", plan.target))?;
        session
            .run(stop)
            .with_context(|| format!("ping {} from {namespace}", plan.target))
    })
}

/// Numbers that tell sessions of this process apart.
static NEXT_IDENT: AtomicU16 = AtomicU16::new(1);

struct Session {
    socket: Socket,
    plan: EchoPlan,
    ident: u16,
    sent_at: Vec<Instant>,
    answered: Vec<bool>,
    last_reply: Instant,
    stats: EchoStats,
}

impl Session {
    fn open(plan: EchoPlan) -> std::io::Result<Self> {
        let (domain, protocol) = match plan.target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        socket.connect(&SocketAddr::new(plan.target, 0).into())?;
        let process = (std::process::id() as u16).rotate_left(6);
        let ident = process ^ NEXT_IDENT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            socket,
            plan,
            ident,
            sent_at: Vec::new(),
            answered: Vec::new(),
            last_reply: Instant::now(),
            stats: EchoStats::default(),
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> std::io::Result<EchoStats> {
        let start = Instant::now();
        self.last_reply = start;
        for number in 0..self.plan.count {
            let due = start + self.plan.interval * u32::from(number);
            self.receive_until(due, false)?;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.send(number)?;
        }
        self.receive_until(Instant::now() + self.plan.patience, true)?;
        if self.stats.lost() > 0 {
            // Silence up to the end counts, too.
            let until = self.sent_at.last().copied().unwrap_or(start);
            self.note_silence(until);
        }
        Ok(std::mem::take(&mut self.stats))
    }

    fn send(&mut self, sequence: u16) -> std::io::Result<()> {
        let packet = self.request(sequence);
        self.sent_at.push(Instant::now());
        self.answered.push(false);
        self.stats.sent += 1;
        match self.socket.send(&packet) {
            Ok(_) => Ok(()),
            // No route, no neighbour, an ICMP error for an earlier request: the request is lost,
            // which is what is being measured.
            Err(error) if is_loss(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn request(&self, sequence: u16) -> [u8; 64] {
        let mut packet = [0; 64];
        packet[0] = if self.plan.target.is_ipv4() { 8 } else { 128 };
        packet[4..6].copy_from_slice(&self.ident.to_be_bytes());
        packet[6..8].copy_from_slice(&sequence.to_be_bytes());
        if self.plan.target.is_ipv4() {
            // The kernel fills in ICMPv6's checksum, but not ICMP's.
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// Takes replies until `deadline`, or until there is nothing more to wait for.
    fn receive_until(&mut self, deadline: Instant, all_sent: bool) -> std::io::Result<()> {
        let mut buffer = [0; 256];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (all_sent && self.stats.lost() == 0) {
                return Ok(());
            }
            self.socket.set_read_timeout(Some(left))?;
            let length = match self.socket.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if is_timeout(&error) || is_loss(&error) => continue,
                Err(error) => return Err(error),
            };
            self.reply(&buffer[..length]);
        }
    }

    fn reply(&mut self, packet: &[u8]) {
        let (wanted, message) = match self.plan.target {
            // A raw IPv4 socket gives the IP header too.
            IpAddr::V4(_) => {
                let header = packet
                    .first()
                    .map_or(0, |octet| usize::from(octet & 0x0f) * 4);
                (0, packet.get(header..).unwrap_or_default())
            }
            IpAddr::V6(_) => (129, packet),
        };
        let [kind, _, _, _, i1, i2, s1, s2, ..] = message else {
            return;
        };
        if *kind != wanted || u16::from_be_bytes([*i1, *i2]) != self.ident {
            return;
        }
        let sequence = usize::from(u16::from_be_bytes([*s1, *s2]));
        let (Some(answered), Some(sent_at)) =
            (self.answered.get_mut(sequence), self.sent_at.get(sequence))
        else {
            return;
        };
        if std::mem::replace(answered, true) {
            return;
        }
        let now = Instant::now();
        let round_trip = now.saturating_duration_since(*sent_at);
        self.stats.received += 1;
        self.stats.fastest = Some(
            self.stats
                .fastest
                .map_or(round_trip, |best| best.min(round_trip)),
        );
        self.stats.slowest = Some(
            self.stats
                .slowest
                .map_or(round_trip, |best| best.max(round_trip)),
        );
        self.note_silence(now);
        self.last_reply = now;
    }

    fn note_silence(&mut self, until: Instant) {
        let silence = until.saturating_duration_since(self.last_reply);
        self.stats.longest_silence = self.stats.longest_silence.max(silence);
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn is_loss(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionRefused | HostUnreachable | NetworkUnreachable
    )
}

/// The Internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_rfc_1071() {
        // The example of RFC 1071 section 3.
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
        assert_eq!(checksum(&[0xff]), !0xff00);
    }
}
