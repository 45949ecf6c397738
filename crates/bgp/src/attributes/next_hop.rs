//! Next hops, of one address or of a pair.

use std::net::{IpAddr, Ipv6Addr};

/// A next hop as an attribute set keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NextHop {
    /// The address that counts; the global one of a pair.
    pub(crate) addr: IpAddr,
    /// The second address of a pair (RFC 2545 section 3).
    pub(crate) link_local: Option<Ipv6Addr>,
}

impl From<IpAddr> for NextHop {
    fn from(addr: IpAddr) -> Self {
        Self {
            addr,
            link_local: None,
        }
    }
}

impl NextHop {
    /// Puts `link_local` beside the address, if that is a global one of IPv6.
    pub(crate) fn set_link_local(&mut self, link_local: Option<Ipv6Addr>) {
        let IpAddr::V6(addr) = self.addr else {
            return;
        };
        self.link_local = link_local.filter(|_| !addr.is_unicast_link_local());
    }
}
