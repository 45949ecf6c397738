//! `TABLE_DUMP_V2`: peers, then a record for each destination (RFC 6396 section 4.3, RFC 8050
//! section 4).

use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{AttributeCode, Attributes, CodecContext, Family, Nlri, PathData, UpdateWriter};

use crate::record::{Reader, Record, RecordError, TABLE_DUMP_V2, push_ip, u16_of};

/// `PEER_INDEX_TABLE`.
pub const PEER_INDEX_TABLE: u16 = 1;
/// `RIB_IPV4_UNICAST`.
pub const RIB_IPV4_UNICAST: u16 = 2;
/// `RIB_IPV6_UNICAST`.
pub const RIB_IPV6_UNICAST: u16 = 4;
/// `RIB_GENERIC`.
pub const RIB_GENERIC: u16 = 6;
/// `RIB_IPV4_UNICAST_ADDPATH`.
pub const RIB_IPV4_UNICAST_ADDPATH: u16 = 8;
/// `RIB_IPV6_UNICAST_ADDPATH`.
pub const RIB_IPV6_UNICAST_ADDPATH: u16 = 10;
/// `RIB_GENERIC_ADDPATH`.
pub const RIB_GENERIC_ADDPATH: u16 = 12;

const PEER_IPV6: u8 = 1;
const PEER_AS4: u8 = 2;

const FLAG_TRANSITIVE: u8 = 0x40;
const FLAG_OPTIONAL: u8 = 0x80;
const FLAG_EXTENDED_LENGTH: u8 = 0x10;

/// A peer of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Its address.
    pub addr: IpAddr,
    /// Its AS.
    pub asn: u32,
}

/// Whose table it is, and the peers that entries refer to by place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIndex {
    /// Our BGP identifier.
    pub collector: Ipv4Addr,
    /// The name of the view; may be empty.
    pub view: String,
    /// The peers; at most 65,535.
    pub peers: Vec<Peer>,
}

impl PeerIndex {
    /// Appends the record.
    pub fn encode(&self, seconds: u32, out: &mut Vec<u8>) {
        let peers = &self.peers[..self.peers.len().min(usize::from(u16::MAX))];
        let view = &self.view.as_bytes()[..self.view.len().min(usize::from(u16::MAX))];
        let mut body = Vec::with_capacity(8 + view.len() + 25 * peers.len());
        body.extend(self.collector.octets());
        body.extend(u16_of(view.len()));
        body.extend_from_slice(view);
        body.extend(u16_of(peers.len()));
        for peer in peers {
            let version = if peer.addr.is_ipv6() { PEER_IPV6 } else { 0 };
            body.push(version | PEER_AS4);
            body.extend(peer.router_id.octets());
            push_ip(peer.addr, &mut body);
            body.extend(peer.asn.to_be_bytes());
        }
        push_record(seconds, PEER_INDEX_TABLE, &body, out);
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(record: &Record<'_>) -> Result<Self, RecordError> {
        if (record.kind, record.subtype) != (TABLE_DUMP_V2, PEER_INDEX_TABLE) {
            return Err(RecordError::Unknown(record.kind, record.subtype));
        }
        let mut reader = Reader(record.body);
        let collector = reader.array().map(|octets: [u8; 4]| octets.into())?;
        let view_len = reader.u16()?;
        let view = String::from_utf8_lossy(reader.take(view_len.into())?).into_owned();
        let count = reader.u16()?;
        let mut peers = Vec::new();
        for _ in 0..count {
            let kind = reader.u8()?;
            let router_id = reader.array().map(|octets: [u8; 4]| octets.into())?;
            let addr = reader.ip(kind & PEER_IPV6 != 0)?;
            let asn = match kind & PEER_AS4 {
                0 => reader.u16()?.into(),
                _ => reader.u32()?,
            };
            peers.push(Peer {
                router_id,
                addr,
                asn,
            });
        }
        Ok(Self {
            collector,
            view,
            peers,
        })
    }
}

/// A path of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The peer's place in the index.
    pub peer: u16,
    /// Since when, in seconds since 1970.
    pub originated: u32,
    /// The path identifier; 0 where the record has none.
    pub path_id: u32,
    /// The attributes, in the form of section 4.3.4.
    pub attributes: Vec<u8>,
}

/// A destination with its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rib {
    /// The number of the record in its file.
    pub sequence: u32,
    /// The family.
    pub family: Family,
    /// Length and address, or for other families than IPv4 and IPv6 unicast all of the NLRI (with a
    /// path identifier in front in a `RIB_GENERIC_ADDPATH`).
    pub nlri: Vec<u8>,
    /// The paths.
    pub entries: Vec<Entry>,
}

impl Rib {
    /// Appends the record. `add_path`: with path identifiers.
    pub fn encode(&self, seconds: u32, add_path: bool, out: &mut Vec<u8>) {
        let subtype = match (self.family, add_path) {
            (Family::IPV4_UNICAST, false) => RIB_IPV4_UNICAST,
            (Family::IPV4_UNICAST, true) => RIB_IPV4_UNICAST_ADDPATH,
            (Family::IPV6_UNICAST, false) => RIB_IPV6_UNICAST,
            (Family::IPV6_UNICAST, true) => RIB_IPV6_UNICAST_ADDPATH,
            (_, false) => RIB_GENERIC,
            (_, true) => RIB_GENERIC_ADDPATH,
        };
        let mut body = Vec::new();
        body.extend(self.sequence.to_be_bytes());
        if matches!(subtype, RIB_GENERIC | RIB_GENERIC_ADDPATH) {
            body.extend(self.family.afi.to_be_bytes());
            body.push(self.family.safi);
        }
        body.extend_from_slice(&self.nlri);
        body.extend(u16_of(self.entries.len()));
        for entry in &self.entries {
            body.extend(entry.peer.to_be_bytes());
            body.extend(entry.originated.to_be_bytes());
            // Section 4 of RFC 8050: in a RIB_GENERIC_ADDPATH it is in the NLRI instead.
            if matches!(subtype, RIB_IPV4_UNICAST_ADDPATH | RIB_IPV6_UNICAST_ADDPATH) {
                body.extend(entry.path_id.to_be_bytes());
            }
            body.extend(u16_of(entry.attributes.len()));
            body.extend_from_slice(&entry.attributes);
        }
        push_record(seconds, subtype, &body, out);
    }

    /// Reads the body of a record of IPv4 or IPv6 unicast. (The NLRI of a `RIB_GENERIC` has no
    /// length that could be read without knowing its family.)
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(record: &Record<'_>) -> Result<Self, RecordError> {
        let unknown = RecordError::Unknown(record.kind, record.subtype);
        let (family, bits, add_path) = match (record.kind, record.subtype) {
            (TABLE_DUMP_V2, RIB_IPV4_UNICAST) => (Family::IPV4_UNICAST, 32, false),
            (TABLE_DUMP_V2, RIB_IPV6_UNICAST) => (Family::IPV6_UNICAST, 128, false),
            (TABLE_DUMP_V2, RIB_IPV4_UNICAST_ADDPATH) => (Family::IPV4_UNICAST, 32, true),
            (TABLE_DUMP_V2, RIB_IPV6_UNICAST_ADDPATH) => (Family::IPV6_UNICAST, 128, true),
            _ => return Err(unknown),
        };
        let mut reader = Reader(record.body);
        let sequence = reader.u32()?;
        let prefix_len = reader.u8()?;
        if prefix_len > bits {
            return Err(RecordError::Malformed("a prefix length beyond the address"));
        }
        let mut nlri = vec![prefix_len];
        nlri.extend_from_slice(reader.take(usize::from(prefix_len).div_ceil(8))?);
        let entries = read_entries(&mut reader, add_path)?;
        Ok(Self {
            sequence,
            family,
            nlri,
            entries,
        })
    }

    /// Reads the body of a `RIB_GENERIC` or `RIB_GENERIC_ADDPATH` whose NLRI has `nlri_len` octets,
    /// the path identifier included.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode_generic(record: &Record<'_>, nlri_len: usize) -> Result<Self, RecordError> {
        let is_generic = matches!(record.subtype, RIB_GENERIC | RIB_GENERIC_ADDPATH);
        if record.kind != TABLE_DUMP_V2 || !is_generic {
            return Err(RecordError::Unknown(record.kind, record.subtype));
        }
        let mut reader = Reader(record.body);
        let sequence = reader.u32()?;
        let (afi, safi) = (reader.u16()?, reader.u8()?);
        let nlri = reader.take(nlri_len)?.to_vec();
        Ok(Self {
            sequence,
            family: Family { afi, safi },
            nlri,
            entries: read_entries(&mut reader, false)?,
        })
    }
}

fn read_entries(reader: &mut Reader<'_>, add_path: bool) -> Result<Vec<Entry>, RecordError> {
    let count = reader.u16()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let (peer, originated) = (reader.u16()?, reader.u32()?);
        let path_id = if add_path { reader.u32()? } else { 0 };
        let len = reader.u16()?;
        entries.push(Entry {
            peer,
            originated,
            path_id,
            attributes: reader.take(len.into())?.to_vec(),
        });
    }
    Ok(entries)
}

/// The NLRI as a RIB record has it, without a path identifier; `None` if it cannot be written.
pub fn nlri_octets(nlri: &Nlri, data: PathData) -> Option<Vec<u8>> {
    match nlri {
        Nlri::Ipv4(prefix) => Some(prefix_octets(prefix.len(), &prefix.addr().octets())),
        Nlri::Ipv6(prefix) => Some(prefix_octets(prefix.len(), &prefix.addr().octets())),
        _ => from_update(nlri, data),
    }
}

fn prefix_octets(len: u8, addr: &[u8]) -> Vec<u8> {
    let mut out = vec![len];
    out.extend_from_slice(&addr[..usize::from(len).div_ceil(8)]);
    out
}

/// The NLRI out of an UPDATE that has nothing else in its MP_REACH_NLRI.
fn from_update(nlri: &Nlri, data: PathData) -> Option<Vec<u8>> {
    /// Header, withdrawn routes, the length of attributes; flags, type and length of the first;
    /// AFI and SAFI.
    const NEXT_HOP_LEN_AT: usize = 19 + 2 + 2 + 4 + 3;
    const LEN_AT: usize = 19 + 2 + 2 + 2;
    let mut update = Vec::new();
    let ctx = CodecContext::default();
    let data = PathData { path_id: 0, ..data };
    let family = nlri.family();
    // Any will do: some routes have none, and it is not looked at.
    let next_hop = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let attributes = Attributes::builder().next_hop(next_hop).build();
    UpdateWriter::new(&ctx, &mut update).reach(family, &attributes, [(nlri, data)]);
    let next_hop_len = usize::from(*update.get(NEXT_HOP_LEN_AT)?);
    let mp_len = u16::from_be_bytes([*update.get(LEN_AT)?, *update.get(LEN_AT + 1)?]);
    // The reserved octet follows the next hop.
    let from = NEXT_HOP_LEN_AT + 1 + next_hop_len + 1;
    update
        .get(from..LEN_AT + 2 + usize::from(mp_len))
        .map(<[u8]>::to_vec)
}

/// The attributes in the form of section 4.3.4: AS numbers of four octets, and of MP_REACH_NLRI
/// only the next hop. `None` if they are too long for an entry.
pub fn attribute_octets(attributes: &Attributes, family: Family) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    let next_hop = next_hop(attributes, family);
    let mut pending = next_hop.as_ref();
    for raw in attributes.raw() {
        if let Some((code, flags, value)) = pending.take_if(|(code, ..)| *code < raw.code) {
            push_attribute(*flags, *code, value, &mut out);
        }
        push_attribute(raw.flags, raw.code, raw.value, &mut out);
    }
    if let Some((code, flags, value)) = pending {
        push_attribute(*flags, *code, value, &mut out);
    }
    (out.len() <= usize::from(u16::MAX)).then_some(out)
}

/// NEXT_HOP, or the part of MP_REACH_NLRI that a dump has.
fn next_hop(attributes: &Attributes, family: Family) -> Option<(AttributeCode, u8, Vec<u8>)> {
    let addr = attributes.next_hop()?;
    if let (Family::IPV4_UNICAST, IpAddr::V4(addr)) = (family, addr) {
        let value = addr.octets().to_vec();
        return Some((AttributeCode::NEXT_HOP, FLAG_TRANSITIVE, value));
    }
    let mut value = vec![0];
    // The next hop of a VPN route has a route distinguisher of zero before it (RFC 4364 section
    // 4.3.4, RFC 4659 section 3.2.1).
    if matches!(family, Family::IPV4_VPN | Family::IPV6_VPN) {
        value.extend([0; 8]);
    }
    push_ip(addr, &mut value);
    value[0] = u8::try_from(value.len() - 1).unwrap_or(u8::MAX);
    Some((AttributeCode::MP_REACH_NLRI, FLAG_OPTIONAL, value))
}

fn push_attribute(flags: u8, code: AttributeCode, value: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(value.len()) {
        Ok(len) => out.extend([flags & !FLAG_EXTENDED_LENGTH, code.0, len]),
        Err(_) => {
            out.extend([flags | FLAG_EXTENDED_LENGTH, code.0]);
            out.extend(u16_of(value.len()));
        }
    }
    out.extend_from_slice(value);
}

fn push_record(seconds: u32, subtype: u16, body: &[u8], out: &mut Vec<u8>) {
    let record = Record {
        seconds,
        microseconds: None,
        kind: TABLE_DUMP_V2,
        subtype,
        body,
    };
    record.encode(out);
}
