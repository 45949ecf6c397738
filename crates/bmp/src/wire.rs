//! Messages on the wire (RFC 7854 section 4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::{Family, HEADER_LEN};

use crate::message::{
    Information, Message, PeerDownReason, PeerHeader, PeerKind, PeerUp, Statistic,
    TerminationReason,
};

const VERSION: u8 = 3;
const COMMON_LEN: usize = 6;

/// No message of ours is longer: two OPENs or an UPDATE of 65,535 octets, and what is around.
const MESSAGE_LEN_MAX: usize = 1 << 18;

const ROUTE_MONITORING: u8 = 0;
const STATISTICS_REPORT: u8 = 1;
const PEER_DOWN: u8 = 2;
const PEER_UP: u8 = 3;
const INITIATION: u8 = 4;
const TERMINATION: u8 = 5;

const FLAG_IPV6: u8 = 0x80;
const FLAG_POST_POLICY: u8 = 0x40;
const FLAG_TWO_OCTET_AS: u8 = 0x20;
const FLAG_ADJ_RIB_OUT: u8 = 0x10;
/// The same bit as [`FLAG_IPV6`], of a Loc-RIB (RFC 9069 section 4.2).
const FLAG_FILTERED: u8 = 0x80;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BmpError {
    /// It ends in the middle.
    #[error("the message ends early")]
    Truncated,
    /// The version is not 3.
    #[error("version {0}, not 3")]
    Version(u8),
    /// The length cannot be.
    #[error("a length of {0} octets")]
    Length(u32),
    /// A type that is not read here.
    #[error("message type {0}")]
    Type(u8),
    /// A field that does not fit the others.
    #[error("{0}")]
    Malformed(&'static str),
}

impl Message {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([VERSION, 0, 0, 0, 0, self.kind()]);
        match self {
            Message::RouteMonitoring { peer, update } => {
                encode_peer(peer, out);
                out.extend_from_slice(update);
            }
            Message::StatisticsReport { peer, statistics } => {
                encode_peer(peer, out);
                encode_statistics(statistics, out);
            }
            Message::PeerDown { peer, reason } => {
                encode_peer(peer, out);
                encode_reason(reason, out);
            }
            Message::PeerUp { peer, up } => {
                encode_peer(peer, out);
                encode_up(up, out);
            }
            Message::Initiation(information) => encode_information(information, out),
            Message::Termination { reason, text } => {
                let code = (*reason as u16).to_be_bytes().to_vec();
                let mut information = vec![Information {
                    kind: Information::REASON,
                    value: code,
                }];
                if !text.is_empty() {
                    information.push(Information::text(Information::STRING, text));
                }
                encode_information(&information, out);
            }
        }
        let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        out[start + 1..start + 5].copy_from_slice(&len.to_be_bytes());
    }

    fn kind(&self) -> u8 {
        match self {
            Message::RouteMonitoring { .. } => ROUTE_MONITORING,
            Message::StatisticsReport { .. } => STATISTICS_REPORT,
            Message::PeerDown { .. } => PEER_DOWN,
            Message::PeerUp { .. } => PEER_UP,
            Message::Initiation(_) => INITIATION,
            Message::Termination { .. } => TERMINATION,
        }
    }

    /// The first message of `octets` and what follows it; `None`: more octets are needed.
    ///
    /// # Errors
    /// [`BmpError`].
    pub fn split(octets: &[u8]) -> Result<Option<(Self, &[u8])>, BmpError> {
        let Some(&[version, a, b, c, d, kind]) = octets.first_chunk::<COMMON_LEN>() else {
            return Ok(None);
        };
        if version != VERSION {
            return Err(BmpError::Version(version));
        }
        let len = u32::from_be_bytes([a, b, c, d]);
        if !(COMMON_LEN..=MESSAGE_LEN_MAX).contains(&(len as usize)) {
            return Err(BmpError::Length(len));
        }
        let Some((message, rest)) = octets.split_at_checked(len as usize) else {
            return Ok(None);
        };
        let mut reader = Reader(&message[COMMON_LEN..]);
        let message = decode(kind, &mut reader)?;
        Ok(Some((message, rest)))
    }
}

fn decode(kind: u8, reader: &mut Reader<'_>) -> Result<Message, BmpError> {
    Ok(match kind {
        ROUTE_MONITORING => Message::RouteMonitoring {
            peer: reader.peer()?,
            update: reader.rest(),
        },
        STATISTICS_REPORT => Message::StatisticsReport {
            peer: reader.peer()?,
            statistics: reader.statistics()?,
        },
        PEER_DOWN => Message::PeerDown {
            peer: reader.peer()?,
            reason: reader.reason()?,
        },
        PEER_UP => {
            let peer = reader.peer()?;
            let up = Box::new(reader.up(&peer)?);
            Message::PeerUp { peer, up }
        }
        INITIATION => Message::Initiation(reader.information()?),
        TERMINATION => reader.termination()?,
        kind => return Err(BmpError::Type(kind)),
    })
}

fn encode_peer(peer: &PeerHeader, out: &mut Vec<u8>) {
    let mut flags = 0;
    if peer.kind == PeerKind::LocRib {
        flags |= if peer.filtered { FLAG_FILTERED } else { 0 };
    } else {
        for (set, flag) in [
            (peer.addr.is_ipv6(), FLAG_IPV6),
            (peer.post_policy, FLAG_POST_POLICY),
            (peer.two_octet_as, FLAG_TWO_OCTET_AS),
            (peer.adj_rib_out, FLAG_ADJ_RIB_OUT),
        ] {
            flags |= if set { flag } else { 0 };
        }
    }
    out.extend([peer.kind.code(), flags]);
    out.extend(peer.distinguisher.to_be_bytes());
    push_ip(peer.addr, out);
    out.extend(peer.asn.to_be_bytes());
    out.extend(peer.router_id.octets());
    let seconds = u32::try_from(peer.at.as_secs()).unwrap_or(u32::MAX);
    out.extend(seconds.to_be_bytes());
    out.extend(peer.at.subsec_micros().to_be_bytes());
}

/// Sixteen octets; an IPv4 address stands at the end.
fn push_ip(addr: IpAddr, out: &mut Vec<u8>) {
    match addr {
        IpAddr::V4(addr) => {
            out.extend([0; 12]);
            out.extend(addr.octets());
        }
        IpAddr::V6(addr) => out.extend(addr.octets()),
    }
}

fn encode_information(information: &[Information], out: &mut Vec<u8>) {
    for Information { kind, value } in information {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        out.extend(kind.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend_from_slice(value);
    }
}

fn encode_statistics(statistics: &[Statistic], out: &mut Vec<u8>) {
    let count = u32::try_from(statistics.len()).unwrap_or(u32::MAX);
    out.extend(count.to_be_bytes());
    for statistic in statistics {
        match *statistic {
            Statistic::Counter(kind, value) => {
                out.extend(kind.to_be_bytes());
                out.extend([0, 4]);
                out.extend(value.to_be_bytes());
            }
            Statistic::Gauge(kind, value) => {
                out.extend(kind.to_be_bytes());
                out.extend([0, 8]);
                out.extend(value.to_be_bytes());
            }
            Statistic::FamilyGauge(kind, family, value) => {
                out.extend(kind.to_be_bytes());
                out.extend([0, 11]);
                out.extend(family.afi.to_be_bytes());
                out.push(family.safi);
                out.extend(value.to_be_bytes());
            }
        }
    }
}

fn encode_reason(reason: &PeerDownReason, out: &mut Vec<u8>) {
    match reason {
        PeerDownReason::LocalNotification(notification) => {
            out.push(1);
            out.extend_from_slice(notification);
        }
        PeerDownReason::LocalEvent(event) => {
            out.push(2);
            out.extend(event.to_be_bytes());
        }
        PeerDownReason::RemoteNotification(notification) => {
            out.push(3);
            out.extend_from_slice(notification);
        }
        PeerDownReason::RemoteClosed => out.push(4),
        PeerDownReason::NotMonitored => out.push(5),
        PeerDownReason::LocRibClosed(information) => {
            out.push(6);
            encode_information(information, out);
        }
    }
}

fn encode_up(up: &PeerUp, out: &mut Vec<u8>) {
    push_ip(up.local_addr, out);
    out.extend(up.local_port.to_be_bytes());
    out.extend(up.remote_port.to_be_bytes());
    out.extend_from_slice(&up.sent_open);
    out.extend_from_slice(&up.received_open);
    encode_information(&up.information, out);
}

/// Takes fields from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Result<&[u8], BmpError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(BmpError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BmpError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BmpError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, BmpError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, BmpError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, BmpError> {
        self.array().map(u64::from_be_bytes)
    }

    fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }

    fn ip(&mut self, is_ipv6: bool) -> Result<IpAddr, BmpError> {
        let octets: [u8; 16] = self.array()?;
        if is_ipv6 {
            return Ok(Ipv6Addr::from(octets).into());
        }
        let [.., a, b, c, d] = octets;
        Ok(Ipv4Addr::new(a, b, c, d).into())
    }

    fn peer(&mut self) -> Result<PeerHeader, BmpError> {
        let [kind, flags] = self.array()?;
        let kind = PeerKind::from_code(kind).ok_or(BmpError::Malformed("an unknown peer type"))?;
        let is_peer = kind != PeerKind::LocRib;
        let has = |flag| is_peer && flags & flag != 0;
        Ok(PeerHeader {
            kind,
            post_policy: has(FLAG_POST_POLICY),
            two_octet_as: has(FLAG_TWO_OCTET_AS),
            adj_rib_out: has(FLAG_ADJ_RIB_OUT),
            filtered: !is_peer && flags & FLAG_FILTERED != 0,
            distinguisher: self.u64()?,
            addr: self.ip(has(FLAG_IPV6))?,
            asn: self.u32()?,
            router_id: self.array().map(|octets: [u8; 4]| octets.into())?,
            at: {
                let (seconds, micros) = (self.u32()?, self.u32()?);
                Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into())
            },
        })
    }

    fn information(&mut self) -> Result<Vec<Information>, BmpError> {
        let mut information = Vec::new();
        while !self.0.is_empty() {
            let (kind, len) = (self.u16()?, self.u16()?);
            let value = self.take(len.into())?.to_vec();
            information.push(Information { kind, value });
        }
        Ok(information)
    }

    fn statistics(&mut self) -> Result<Vec<Statistic>, BmpError> {
        let mut statistics = Vec::new();
        for _ in 0..self.u32()? {
            let (kind, len) = (self.u16()?, self.u16()?);
            statistics.push(match len {
                4 => Statistic::Counter(kind, self.u32()?),
                8 => Statistic::Gauge(kind, self.u64()?),
                11 if Statistic::has_family(kind) => {
                    let (afi, [safi]) = (self.u16()?, self.array()?);
                    Statistic::FamilyGauge(kind, Family { afi, safi }, self.u64()?)
                }
                _ => return Err(BmpError::Malformed("a statistic of an unknown length")),
            });
        }
        Ok(statistics)
    }

    fn reason(&mut self) -> Result<PeerDownReason, BmpError> {
        let [code] = self.array()?;
        Ok(match code {
            1 => PeerDownReason::LocalNotification(self.rest()),
            2 => PeerDownReason::LocalEvent(self.u16()?),
            3 => PeerDownReason::RemoteNotification(self.rest()),
            4 => PeerDownReason::RemoteClosed,
            5 => PeerDownReason::NotMonitored,
            6 => PeerDownReason::LocRibClosed(self.information()?),
            _ => return Err(BmpError::Malformed("an unknown reason")),
        })
    }

    fn up(&mut self, peer: &PeerHeader) -> Result<PeerUp, BmpError> {
        Ok(PeerUp {
            local_addr: self.ip(peer.addr.is_ipv6())?,
            local_port: self.u16()?,
            remote_port: self.u16()?,
            sent_open: self.bgp_message()?,
            received_open: self.bgp_message()?,
            information: self.information()?,
        })
    }

    /// A message of BGP, which says itself how long it is.
    fn bgp_message(&mut self) -> Result<Bytes, BmpError> {
        let len = self.0.get(16..18).ok_or(BmpError::Truncated)?;
        let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
        if len < HEADER_LEN {
            return Err(BmpError::Malformed("a BGP message shorter than its header"));
        }
        self.take(len).map(Bytes::copy_from_slice)
    }

    fn termination(&mut self) -> Result<Message, BmpError> {
        let (mut reason, mut text) = (TerminationReason::Unspecified, String::new());
        for Information { kind, value } in self.information()? {
            match (kind, &value[..]) {
                (Information::REASON, [high, low]) => {
                    reason = match u16::from_be_bytes([*high, *low]) {
                        0 => TerminationReason::AdministrativelyClosed,
                        2 => TerminationReason::OutOfResources,
                        3 => TerminationReason::RedundantConnection,
                        4 => TerminationReason::PermanentlyClosed,
                        _ => TerminationReason::Unspecified,
                    };
                }
                (Information::STRING, text_octets) => {
                    text = String::from_utf8_lossy(text_octets).into_owned();
                }
                _ => {}
            }
        }
        Ok(Message::Termination { reason, text })
    }
}
