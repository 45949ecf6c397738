//! VPNv4 and VPNv6 route keys (RFC 4364 section 4.1, RFC 4659 section 2).

use chanter_types::{Ipv4Prefix, Ipv6Prefix, RouteDistinguisher};

/// A VPNv4 prefix. The label is not part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vpnv4Prefix {
    /// The route distinguisher.
    pub rd: RouteDistinguisher,
    /// The prefix.
    pub prefix: Ipv4Prefix,
}

/// A VPNv6 prefix. The label is not part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vpnv6Prefix {
    /// The route distinguisher.
    pub rd: RouteDistinguisher,
    /// The prefix.
    pub prefix: Ipv6Prefix,
}
