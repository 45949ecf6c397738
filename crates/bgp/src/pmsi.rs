//! The PMSI tunnel attribute (RFC 6514 section 5): how flooded traffic reaches a VTEP.

use std::fmt;
use std::net::IpAddr;

use crate::text::Hex;

/// How broadcast, unknown unicast and multicast are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PmsiTunnelKind {
    /// 0: there is no tunnel.
    None,
    /// 6: a copy for each remote VTEP.
    IngressReplication,
    /// Another one, by its number.
    Other(u8),
}

/// A PMSI tunnel attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PmsiTunnel {
    /// The flags; bit 0 asks for leaf information.
    pub flags: u8,
    /// The tunnel type.
    pub tunnel_type: u8,
    /// The label field, 24 bits as they stand: a VNI where the encapsulation is VXLAN (RFC 8365
    /// section 5.1.3).
    pub label: u32,
    /// The tunnel identifier; its form depends on the type.
    pub id: Box<[u8]>,
}

impl PmsiTunnel {
    /// The tunnel type of ingress replication.
    pub const INGRESS_REPLICATION: u8 = 6;

    /// Ingress replication to `endpoint`.
    pub fn ingress_replication(label: u32, endpoint: IpAddr) -> Self {
        let id: Box<[u8]> = match endpoint {
            IpAddr::V4(addr) => addr.octets().into(),
            IpAddr::V6(addr) => addr.octets().into(),
        };
        Self {
            flags: 0,
            tunnel_type: Self::INGRESS_REPLICATION,
            label,
            id,
        }
    }

    /// The tunnel type in words.
    pub fn kind(&self) -> PmsiTunnelKind {
        match self.tunnel_type {
            0 => PmsiTunnelKind::None,
            Self::INGRESS_REPLICATION => PmsiTunnelKind::IngressReplication,
            other => PmsiTunnelKind::Other(other),
        }
    }

    /// The address of the tunnel's end, for ingress replication.
    pub fn endpoint(&self) -> Option<IpAddr> {
        if self.kind() != PmsiTunnelKind::IngressReplication {
            return None;
        }
        let id: &[u8] = &self.id;
        <[u8; 4]>::try_from(id)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(id).map(IpAddr::from))
            .ok()
    }

    /// The attribute's value, or `None` if it is too short.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let ([flags, tunnel_type, a, b, c], id) = value.split_first_chunk()?;
        Some(Self {
            flags: *flags,
            tunnel_type: *tunnel_type,
            label: u32::from_be_bytes([0, *a, *b, *c]),
            id: id.into(),
        })
    }

    /// Whether the identifier has a length that its type allows (RFC 6514 section 5, RFC 6515
    /// section 2). What types that are not known have is not known.
    pub(crate) fn is_well_formed(value: &[u8]) -> bool {
        const RSVP_TE_P2MP_LSP: u8 = 1;
        const PIM_SSM: u8 = 3;
        const BIDIR_PIM: u8 = 5;

        let [_, tunnel_type, _, _, _, id @ ..] = value else {
            return false;
        };
        match *tunnel_type {
            RSVP_TE_P2MP_LSP => matches!(id.len(), 12 | 24),
            PIM_SSM..=BIDIR_PIM => matches!(id.len(), 8 | 32),
            Self::INGRESS_REPLICATION => matches!(id.len(), 4 | 16),
            _ => true,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let [_, a, b, c] = self.label.to_be_bytes();
        out.extend_from_slice(&[self.flags, self.tunnel_type, a, b, c]);
        out.extend_from_slice(&self.id);
    }
}

impl fmt::Display for PmsiTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind(), self.endpoint()) {
            (PmsiTunnelKind::IngressReplication, Some(endpoint)) => {
                write!(f, "ingress-replication {endpoint} label {}", self.label)
            }
            (PmsiTunnelKind::None, _) => write!(f, "none label {}", self.label),
            _ => write!(
                f,
                "type {} id {} label {}",
                self.tunnel_type,
                Hex(&self.id),
                self.label
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ingress_replication_is_read_and_written() {
        let wire = [0, 6, 0, 0x03, 0xe9, 127, 0, 0, 1];
        let tunnel = PmsiTunnel::ingress_replication(1001, "127.0.0.1".parse().unwrap());
        assert_eq!(PmsiTunnel::decode(&wire), Some(tunnel.clone()));
        let mut out = Vec::new();
        tunnel.encode(&mut out);
        assert_eq!(out, wire);
        assert_eq!(
            tunnel.to_string(),
            "ingress-replication 127.0.0.1 label 1001"
        );
        assert_eq!(PmsiTunnel::decode(&wire[..4]), None);
    }

    #[test]
    fn only_ingress_replication_has_an_endpoint() {
        let wire = [0, 1, 0, 0, 0, 10, 0, 0, 1];
        let tunnel = PmsiTunnel::decode(&wire).expect("long enough");
        assert_eq!(tunnel.endpoint(), None);
        assert_eq!(tunnel.kind(), PmsiTunnelKind::Other(1));
    }
}
