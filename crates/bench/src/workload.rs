//! The routes that are sent: which ones, how they go on the wire, how they are told apart.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{
    Attributes, CodecContext, EvpnNlri, ExtendedCommunity, Family, MacIp, Nlri, PathData,
    UpdateWriter, Vpnv4Prefix, encapsulation,
};
use chanter_types::{EthernetTag, Ipv4Prefix, MacAddr, RouteDistinguisher, RouteTarget};
use clap::ValueEnum;

use crate::ASN;

/// Route targets, and so route distinguishers and VNIs, that VPN routes are spread over.
const VPNS: u32 = 100;

/// The generator writes so many octets at a time, in whole messages.
const CHUNK: usize = 64 * 1024;

/// What kind of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// IPv4 unicast
    Ipv4,
    /// VPNv4, each VPN with an RD and a label of its own
    Vpnv4,
    /// EVPN type 2, MAC and IPv4 address
    Evpn,
}

impl Kind {
    /// The address family that it is negotiated as.
    pub fn family(self) -> Family {
        match self {
            Kind::Ipv4 => Family::IPV4_UNICAST,
            Kind::Vpnv4 => Family::IPV4_VPN,
            Kind::Evpn => Family::L2VPN_EVPN,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Ipv4 => "IPv4 unicast",
            Kind::Vpnv4 => "VPNv4",
            Kind::Evpn => "EVPN type 2",
        })
    }
}

/// So many routes of one kind, so many to an attribute set. Route `i` and its number are each
/// other's function, so that a receiver needs a bit per route and no hash table.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// What they are.
    pub kind: Kind,
    /// How many.
    pub routes: u32,
    /// How many share one set of attributes, and one UPDATE.
    pub per_set: u32,
    /// Their next hop.
    pub next_hop: Ipv4Addr,
}

impl Workload {
    /// The most routes that it can number: the /24 from 128.0.0.0 up to the multicast range.
    pub const ROUTES_MAX: u32 = 96 << 16;

    /// What announces all of them: chunks of whole messages, an UPDATE per attribute set.
    pub fn announce(&self, ctx: &CodecContext) -> Vec<Vec<u8>> {
        let mut chunks = vec![Vec::new()];
        for first in (0..self.routes).step_by(self.per_set as usize) {
            let last = (first + self.per_set).min(self.routes);
            let routes: Vec<_> = (first..last)
                .map(|i| (self.nlri(i), self.data(i)))
                .collect();
            let attributes = self.attributes(first / self.per_set);
            let out = open_chunk(&mut chunks);
            UpdateWriter::new(ctx, out).reach(
                self.kind.family(),
                &attributes,
                routes.iter().map(|(nlri, data)| (nlri, *data)),
            );
        }
        chunks
    }

    /// What withdraws all of them, as many to an UPDATE as fit.
    pub fn withdraw(&self, ctx: &CodecContext) -> Vec<Vec<u8>> {
        let mut chunks = vec![Vec::new()];
        for first in (0..self.routes).step_by(1024) {
            let last = (first + 1024).min(self.routes);
            let routes: Vec<_> = (first..last)
                .map(|i| (self.nlri(i), self.data(i)))
                .collect();
            let out = open_chunk(&mut chunks);
            UpdateWriter::new(ctx, out).withdraw(
                self.kind.family(),
                routes.iter().map(|(nlri, data)| (nlri, *data)),
            );
        }
        chunks
    }

    /// The number of the route with that key; `None`: it is none of ours.
    pub fn index_of(&self, nlri: &Nlri) -> Option<u32> {
        let index = match (self.kind, nlri) {
            (Kind::Ipv4, Nlri::Ipv4(prefix)) => {
                prefix.addr().to_bits().checked_sub(0x8000_0000)? >> 8
            }
            (Kind::Vpnv4, Nlri::Vpn4(route)) => {
                route.prefix.addr().to_bits().checked_sub(0x8000_0000)? >> 8
            }
            (Kind::Evpn, Nlri::Evpn(EvpnNlri::MacIp(route))) => {
                let [_, _, a, b, c, d] = route.mac.0;
                u32::from_be_bytes([a, b, c, d])
            }
            _ => return None,
        };
        (index < self.routes && self.nlri(index) == *nlri).then_some(index)
    }

    fn nlri(&self, index: u32) -> Nlri {
        match self.kind {
            Kind::Ipv4 => Nlri::Ipv4(prefix(index)),
            Kind::Vpnv4 => Nlri::Vpn4(Vpnv4Prefix {
                rd: self.rd(index),
                prefix: prefix(index),
            }),
            Kind::Evpn => {
                let [a, b, c, d] = index.to_be_bytes();
                Nlri::from(MacIp {
                    rd: self.rd(index),
                    tag: EthernetTag(0),
                    mac: MacAddr([0x02, 0, a, b, c, d]),
                    ip: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + index))),
                })
            }
        }
    }

    fn data(&self, index: u32) -> PathData {
        match self.kind {
            Kind::Ipv4 => PathData::default(),
            // Twenty bits, and the bottom of the stack.
            Kind::Vpnv4 => PathData::with_label((1000 + self.vpn(index)) << 4 | 1),
            Kind::Evpn => PathData::with_label(1000 + self.vpn(index)),
        }
    }

    /// Two communities number the set, which makes each different from all others.
    fn attributes(&self, set: u32) -> Attributes {
        let asn = ASN.0 << 16;
        let builder = Attributes::builder()
            .next_hop(IpAddr::V4(self.next_hop))
            .local_pref(100)
            .communities(vec![
                chanter_bgp::Community(asn | (set & 0xffff)),
                chanter_bgp::Community((asn + 0x1_0000) | (set >> 16)),
            ]);
        let rt = ExtendedCommunity::route_target(RouteTarget::from_as2(64512, set % VPNS));
        match self.kind {
            Kind::Ipv4 => builder.build(),
            Kind::Vpnv4 => builder.extended_communities(vec![rt]).build(),
            Kind::Evpn => builder
                .extended_communities(vec![
                    rt,
                    ExtendedCommunity::encapsulation(encapsulation::VXLAN),
                ])
                .build(),
        }
    }

    fn vpn(&self, index: u32) -> u32 {
        index / self.per_set % VPNS
    }

    fn rd(&self, index: u32) -> RouteDistinguisher {
        let number = u16::try_from(self.vpn(index) + 1).unwrap_or(u16::MAX);
        RouteDistinguisher::from_ipv4(self.next_hop, number)
    }
}

fn prefix(index: u32) -> Ipv4Prefix {
    let addr = Ipv4Addr::from_bits(0x8000_0000 + (index << 8));
    Ipv4Prefix::new(addr, 24).unwrap_or(Ipv4Prefix::host(addr))
}

fn open_chunk(chunks: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
    if chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
        chunks.push(Vec::with_capacity(CHUNK + 4096));
    }
    let last = chunks.len() - 1;
    &mut chunks[last]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chanter_bgp::{
        HEADER_LEN, Message, RouteEvent, UpdateBatch, decode_message, decode_update, frame_len,
    };

    use super::*;

    fn events(chunks: &[Vec<u8>], ctx: &CodecContext) -> (usize, UpdateBatch) {
        let (mut messages, mut batch) = (0, UpdateBatch::new());
        for chunk in chunks {
            let mut rest = chunk.as_slice();
            while let Some(header) = rest.first_chunk::<HEADER_LEN>() {
                let (message, tail) = rest.split_at(frame_len(header, 4096).unwrap());
                let Message::Update(body) = decode_message(message).unwrap() else {
                    panic!("an UPDATE");
                };
                let mut faults = Vec::new();
                decode_update(body, ctx, &mut batch, &mut faults).unwrap();
                assert_eq!(faults, []);
                (messages, rest) = (messages + 1, tail);
            }
            assert!(rest.is_empty(), "chunks hold whole messages");
        }
        (messages, batch)
    }

    #[test]
    fn every_route_is_announced_and_withdrawn_once_and_known_by_its_number() {
        let ctx = CodecContext::default();
        for kind in [Kind::Ipv4, Kind::Vpnv4, Kind::Evpn] {
            for (per_set, sets) in [(10, 251), (1, 2501)] {
                let workload = Workload {
                    kind,
                    routes: 2501,
                    per_set,
                    next_hop: Ipv4Addr::new(10, 98, 0, 2),
                };
                let (messages, batch) = events(&workload.announce(&ctx), &ctx);
                assert_eq!(messages, sets);
                assert_eq!(batch.attributes.iter().collect::<HashSet<_>>().len(), sets);
                let reached = batch.events.iter().map(|event| match event {
                    RouteEvent::Reach { nlri, .. } => workload.index_of(nlri),
                    _ => None,
                });
                assert!(reached.eq((0..2501).map(Some)), "{kind} {per_set}");
                let (_, batch) = events(&workload.withdraw(&ctx), &ctx);
                let withdrawn = batch.events.iter().map(|event| match event {
                    RouteEvent::Withdraw { nlri, .. } => workload.index_of(nlri),
                    _ => None,
                });
                assert!(withdrawn.eq((0..2501).map(Some)), "{kind} {per_set}");
            }
        }
    }

    #[test]
    fn a_route_of_somebody_else_has_no_number() {
        let workload = Workload {
            kind: Kind::Ipv4,
            routes: 4,
            per_set: 1,
            next_hop: Ipv4Addr::new(10, 98, 0, 2),
        };
        for other in ["128.0.4.0/24", "128.0.1.0/25", "10.0.0.0/24"] {
            let prefix = other.parse().unwrap();
            assert_eq!(workload.index_of(&Nlri::Ipv4(prefix)), None, "{other}");
        }
    }
}
