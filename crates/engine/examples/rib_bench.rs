//! Where the time and the memory of the RIB go: routes from one client to another through a reflector,
//! as octets in and octets out, without sockets.
//!
//! `cargo run --release -p chanter-engine --example rib_bench [ROUTES [RECEIVERS]]` prints nanoseconds
//! of processor time for each route (for export: and receiver) and octets of resident memory for each
//! route. Each load runs in a process of its own.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use chanter_bgp::{
    Attributes, CodecContext, ExtendedCommunity, Family, HEADER_LEN, MESSAGE_LEN_MAX, MacIp, Nlri,
    PathData, UpdateBatch, UpdateWriter, decode_update, frame_len,
};
use chanter_engine::rib::{Rib, RibConfig};
use chanter_engine::{PeerId, PeerRole, SessionInfo};
use chanter_types::{
    Asn, EthernetTag, Instant, Ipv4Prefix, MacAddr, RouteDistinguisher, RouteTarget,
};

const SENDER: PeerId = PeerId(0);
/// About what one read of a socket brings.
const READ_LEN: usize = 65536;

const LOADS: [(&str, Family, u32); 4] = [
    ("ipv4 10/set", Family::IPV4_UNICAST, 10),
    ("ipv4 1/set", Family::IPV4_UNICAST, 1),
    ("evpn 10/set", Family::L2VPN_EVPN, 10),
    ("evpn 1/set", Family::L2VPN_EVPN, 1),
];

fn main() {
    let arguments: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let routes = arguments.first().copied().unwrap_or(100_000);
    let receivers = arguments.get(1).copied().unwrap_or(1);
    if let Some(place) = arguments.get(2) {
        let (name, family, per_set) = LOADS[*place as usize];
        Run::new(family, receivers).all(
            name,
            &Load {
                family,
                routes,
                per_set,
            },
        );
        return;
    }
    println!(
        "{routes} routes, {receivers} receivers\n{:<14}{:>8}{:>8}{:>8}{:>8}{:>10}{:>10}{:>10}{:>8}",
        "", "decode", "apply", "pipe", "export", "withdraw", "w-export", "messages", "B/route"
    );
    for place in 0..LOADS.len() {
        let myself = std::env::current_exe().expect("this program has a path");
        let arguments = [routes.to_string(), receivers.to_string(), place.to_string()];
        let status = Command::new(myself).args(arguments).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

/// What is sent.
struct Load {
    family: Family,
    routes: u32,
    per_set: u32,
}

impl Load {
    fn nlri(&self, number: u32) -> Nlri {
        if self.family == Family::IPV4_UNICAST {
            return Nlri::Ipv4(Ipv4Prefix::host(Ipv4Addr::from_bits(0x0a00_0000 + number)));
        }
        let [a, b, c, d] = number.to_be_bytes();
        Nlri::from(MacIp {
            rd: RouteDistinguisher::from_ipv4(
                Ipv4Addr::new(10, 0, 0, 1),
                (self.set(number) % 100) as u16,
            ),
            tag: EthernetTag(0),
            mac: MacAddr([2, 0, a, b, c, d]),
            ip: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))),
        })
    }

    fn set(&self, number: u32) -> u32 {
        number / self.per_set
    }

    fn attributes(&self, number: u32) -> Attributes {
        let set = self.set(number);
        let builder = Attributes::builder()
            .local_pref(100)
            .med(set)
            .next_hop(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        if self.family == Family::IPV4_UNICAST {
            return builder.build();
        }
        let rt = RouteTarget::from_as2(64512, set % 100);
        builder
            .push_extended_community(ExtendedCommunity::route_target(rt))
            .push_extended_community(ExtendedCommunity::encapsulation(8))
            .build()
    }

    /// Writes UPDATE messages for routes from `from` on until a read is full; returns where to go on.
    fn announce(&self, from: u32, out: &mut Vec<u8>) -> u32 {
        let context = CodecContext::default();
        let mut next = from;
        while next < self.routes && out.len() < READ_LEN {
            let end = (next + self.per_set).min(self.routes);
            let nlri: Vec<Nlri> = (next..end).map(|number| self.nlri(number)).collect();
            let routes = nlri.iter().map(|nlri| (nlri, PathData::with_label(100)));
            UpdateWriter::new(&context, out).reach(self.family, &self.attributes(next), routes);
            next = end;
        }
        next
    }

    fn withdraw(&self, from: u32, out: &mut Vec<u8>) -> u32 {
        let context = CodecContext::default();
        let end = (from + 1000).min(self.routes);
        let nlri: Vec<Nlri> = (from..end).map(|number| self.nlri(number)).collect();
        let routes = nlri.iter().map(|nlri| (nlri, PathData::default()));
        UpdateWriter::new(&context, out).withdraw(self.family, routes);
        end
    }
}

struct Run {
    rib: Rib,
    receivers: Vec<PeerId>,
    decode: Duration,
    apply: Duration,
    pipe: Duration,
    export: Duration,
    messages: usize,
}

impl Run {
    fn new(family: Family, receivers: u32) -> Self {
        let mut rib = Rib::new(RibConfig {
            local_as: Asn(64512),
            router_id: Ipv4Addr::new(10, 0, 0, 100),
            cluster_id: None,
            reflect: false,
            membership_wait: Duration::ZERO,
        });
        for number in 0..=receivers {
            rib.peer_up(PeerId(number), session(number, family), Instant::ZERO);
        }
        Run {
            rib,
            receivers: (1..=receivers).map(PeerId).collect(),
            decode: Duration::ZERO,
            apply: Duration::ZERO,
            pipe: Duration::ZERO,
            export: Duration::ZERO,
            messages: 0,
        }
    }

    fn all(&mut self, name: &str, load: &Load) {
        let before = resident();
        self.feed(load.routes, |from, out| load.announce(from, out));
        let octets = resident().saturating_sub(before) / u64::from(load.routes);
        let per_route = |time: Duration| time.as_nanos() / u128::from(load.routes);
        let receivers = self.receivers.len().max(1) as u128;
        let announced = [self.decode, self.apply, self.pipe].map(per_route);
        let exported = per_route(self.export) / receivers;
        let messages = std::mem::take(&mut self.messages);
        (self.apply, self.export) = (Duration::ZERO, Duration::ZERO);
        self.feed(load.routes, |from, out| load.withdraw(from, out));
        let withdrawn = per_route(self.apply);
        let withdrawn_out = per_route(self.export) / receivers;
        let [decode, apply, pipe] = announced;
        println!(
            "{name:<14}{decode:>8}{apply:>8}{pipe:>8}{exported:>8}{withdrawn:>10}{withdrawn_out:>10}\
             {messages:>10}{octets:>8}"
        );
        assert!(self.rib.is_empty(), "all was withdrawn");
    }

    /// Sends all, one read after the other; after each, receivers take what there is.
    fn feed(&mut self, routes: u32, write: impl Fn(u32, &mut Vec<u8>) -> u32) {
        let mut octets = Vec::new();
        let mut next = 0;
        while next < routes {
            octets.clear();
            next = write(next, &mut octets);
            let start = cpu_time();
            let batch = decode(&octets);
            self.decode += cpu_time().saturating_sub(start);
            let start = cpu_time();
            self.rib.apply(SENDER, batch, Instant::ZERO);
            self.apply += cpu_time().saturating_sub(start);
            let start = cpu_time();
            while black_box(self.rib.poll_changed()).is_some() {}
            self.pipe += cpu_time().saturating_sub(start);
            self.take();
        }
    }

    fn take(&mut self) {
        let mut out = Vec::with_capacity(READ_LEN + MESSAGE_LEN_MAX);
        for peer in &self.receivers {
            let start = cpu_time();
            loop {
                out.clear();
                let has_more = self.rib.export(*peer, READ_LEN, &mut out);
                self.messages += count_messages(&out);
                if !has_more {
                    break;
                }
            }
            self.export += cpu_time().saturating_sub(start);
        }
    }
}

fn decode(octets: &[u8]) -> UpdateBatch {
    let context = CodecContext::default();
    let mut batch = UpdateBatch::new();
    let mut faults = Vec::new();
    let mut rest = octets;
    while let Some(header) = rest.first_chunk() {
        let len = frame_len(header, MESSAGE_LEN_MAX).expect("our own message");
        let (message, tail) = rest.split_at(len);
        decode_update(&message[HEADER_LEN..], &context, &mut batch, &mut faults).expect("our own");
        rest = tail;
    }
    batch
}

fn count_messages(mut octets: &[u8]) -> usize {
    let mut count = 0;
    while let Some(header) = octets.first_chunk() {
        let len = frame_len(header, MESSAGE_LEN_MAX).expect("our own message");
        octets = &octets[len..];
        count += 1;
    }
    count
}

fn session(number: u32, family: Family) -> SessionInfo {
    let [_, _, high, low] = number.to_be_bytes();
    SessionInfo {
        families: vec![family],
        message_len_max: MESSAGE_LEN_MAX,
        end_of_rib: vec![family],
        ..SessionInfo::new(
            (
                IpAddr::V4(Ipv4Addr::new(192, 0, high, low)),
                IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100)),
            ),
            (Asn(64512), Asn(64512)),
            Ipv4Addr::new(10, 1, high, low),
            PeerRole::RouteReflectorClient,
        )
    }
}

/// Processor time of this process so far, which other load on the machine does not lengthen much.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// VmRSS in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
