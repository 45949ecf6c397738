//! What a peer is called.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use chanter_types::IfName;

/// What a peer is called in the configuration, and what it is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerAddr {
    /// An address.
    Ip(IpAddr),
    /// A link-local address, which means something only on its link: `fe80::1%eth0`.
    LinkLocal(Ipv6Addr, IfName),
    /// Whoever is at the other end of this link, an "unnumbered" peer: `eth0`.
    Interface(IfName),
}

impl PeerAddr {
    /// The address, if it is known beforehand.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            PeerAddr::Ip(addr) => Some(*addr),
            PeerAddr::LinkLocal(addr, _) => Some((*addr).into()),
            PeerAddr::Interface(_) => None,
        }
    }

    /// The network device, where it belongs to the name.
    pub fn interface(&self) -> Option<&IfName> {
        match self {
            PeerAddr::Ip(_) => None,
            PeerAddr::LinkLocal(_, interface) | PeerAddr::Interface(interface) => Some(interface),
        }
    }
}

impl From<IpAddr> for PeerAddr {
    fn from(addr: IpAddr) -> Self {
        Self::Ip(addr)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddr::Ip(addr) => write!(f, "{addr}"),
            PeerAddr::LinkLocal(addr, interface) => write!(f, "{addr}%{interface}"),
            PeerAddr::Interface(interface) => write!(f, "{interface}"),
        }
    }
}

/// A text that names no peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no peer; accepted are an address (192.0.2.1, 2001:db8::1), a link-local address \
     with its network device (fe80::1%eth0), and a network device (eth0)"
)]
pub struct PeerAddrError(String);

impl FromStr for PeerAddr {
    type Err = PeerAddrError;

    fn from_str(text: &str) -> Result<Self, PeerAddrError> {
        let error = || PeerAddrError(text.to_owned());
        if let Some((addr, interface)) = text.split_once('%') {
            let addr: Ipv6Addr = addr.parse().map_err(|_| error())?;
            let interface = interface.parse().map_err(|_| error())?;
            return if addr.is_unicast_link_local() {
                Ok(PeerAddr::LinkLocal(addr, interface))
            } else {
                Err(error())
            };
        }
        match text.parse::<IpAddr>() {
            // Without its link it means nothing.
            Ok(IpAddr::V6(addr)) if addr.is_unicast_link_local() => Err(error()),
            Ok(addr) => Ok(PeerAddr::Ip(addr)),
            // Not an address that was mistyped.
            Err(_) if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.') => {
                Err(error())
            }
            Err(_) => text.parse().map(PeerAddr::Interface).map_err(|_| error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_text_each() {
        for text in [
            "192.0.2.1",
            "2001:db8::1",
            "fe80::1%eth0",
            "eth0",
            "swp1.100",
        ] {
            assert_eq!(text.parse::<PeerAddr>().unwrap().to_string(), text);
        }
        for text in ["", "fe80::1", "2001:db8::1%eth0", "192.0.2", "a b", "%eth0"] {
            assert!(text.parse::<PeerAddr>().is_err(), "{text}");
        }
    }
}
