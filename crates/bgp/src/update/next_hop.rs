//! The next hop in MP_REACH_NLRI (RFC 4760 section 3, RFC 2545 section 3, RFC 4364 section 4.3.2, RFC
//! 4659 section 3.2.1, RFC 8950 section 3, RFC 8955 section 4).
//!
//! FlowSpec routes have none, and what stands there does not count, unless it is where they redirect
//! to (draft-simpson-idr-flowspec-redirect).

use std::net::{IpAddr, Ipv6Addr};

use crate::attributes::NextHop;
use crate::extended_community::{ExtendedCommunity, FlowAction};
use crate::family::{Family, FamilySet};

/// The octets of the route distinguisher before each address in families of VPN prefixes. It is
/// zero, and receivers do not look at it.
const RD_LEN: usize = 8;
const V4_LEN: usize = 4;
const V6_LEN: usize = 16;

/// Whether a route distinguisher stands before each address.
fn has_rd(family: Family) -> bool {
    matches!(family, Family::IPV4_VPN | Family::IPV6_VPN)
}

/// Whether routes of `family` may have a next hop of IPv6: those of IPv4 only where that was
/// negotiated (RFC 8950 section 4).
fn may_be_v6(family: Family, extended: &FamilySet) -> bool {
    !matches!(family, Family::IPV4_UNICAST | Family::IPV4_VPN) || extended.contains(family)
}

/// Whether routes of `family` may have a next hop of four octets.
fn may_be_v4(family: Family) -> bool {
    !matches!(family, Family::IPV6_UNICAST | Family::IPV6_VPN)
}

/// Whether a link-local address may stand beside the next hop (RFC 2545 section 3, RFC 4659 section
/// 3.2.1.1, RFC 8950 section 3).
fn may_be_pair(family: Family) -> bool {
    matches!(
        family,
        Family::IPV4_UNICAST | Family::IPV6_UNICAST | Family::IPV4_VPN | Family::IPV6_VPN
    )
}

/// Whether these extended communities redirect to the next hop.
pub(super) fn redirects(mut communities: impl Iterator<Item = ExtendedCommunity>) -> bool {
    communities.any(|community| {
        let action = community.as_flow_action();
        matches!(action, Some(FlowAction::RedirectToNextHop { .. }))
    })
}

/// Reads the field, on whose length the kind of next hop depends. `Some(None)` where there is none to
/// read; `None` if no next hop of the family has that length.
pub(super) fn decode(
    family: Family,
    octets: &[u8],
    extended: &FamilySet,
) -> Option<Option<NextHop>> {
    let Some((first, second)) = split(family, octets) else {
        return family.is_flowspec().then_some(None);
    };
    if let Ok(addr) = <[u8; V4_LEN]>::try_from(first) {
        return may_be_v4(family).then_some(Some(IpAddr::from(addr).into()));
    }
    let addr = |octets: &[u8]| <[u8; V6_LEN]>::try_from(octets).ok().map(Ipv6Addr::from);
    let mut next_hop = pair(addr(first)?, second.and_then(addr));
    if !may_be_pair(family) {
        next_hop.link_local = None;
    }
    may_be_v6(family, extended).then_some(Some(next_hop))
}

/// The addresses in the field.
fn split(family: Family, octets: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    const V4_RD_LEN: usize = RD_LEN + V4_LEN;
    const V6_RD_LEN: usize = RD_LEN + V6_LEN;
    const V6_PAIR_LEN: usize = 2 * V6_LEN;
    const V6_RD_PAIR_LEN: usize = 2 * V6_RD_LEN;

    match (has_rd(family), octets.len()) {
        (true, V4_RD_LEN | V6_RD_LEN) => Some((&octets[RD_LEN..], None)),
        (true, V6_RD_PAIR_LEN) => {
            let (first, second) = octets.split_at(V6_RD_LEN);
            Some((&first[RD_LEN..], Some(&second[RD_LEN..])))
        }
        // RFC 5549, which RFC 8950 replaced, had no route distinguisher here.
        (true, V6_LEN | V6_PAIR_LEN) if family != Family::IPV4_VPN => None,
        (_, V6_PAIR_LEN) => {
            let (first, second) = octets.split_at(V6_LEN);
            Some((first, Some(second)))
        }
        (true, V6_LEN) | (false, V4_LEN | V6_LEN) => Some((octets, None)),
        _ => None,
    }
}

/// Of two addresses the first is the global one, and the second link-local. Speakers that have no
/// global address leave it unspecified, or send the link-local one twice.
fn pair(first: Ipv6Addr, second: Option<Ipv6Addr>) -> NextHop {
    let link_local = second.filter(Ipv6Addr::is_unicast_link_local);
    match link_local {
        Some(only) if first.is_unspecified() => IpAddr::V6(only).into(),
        _ => {
            let mut next_hop = NextHop::from(IpAddr::V6(first));
            next_hop.set_link_local(link_local);
            next_hop
        }
    }
}

/// Whether the session can tell the peer of routes of `family` with this next hop.
pub(super) fn can_be_sent(family: Family, next_hop: IpAddr, extended: &FamilySet) -> bool {
    next_hop.is_ipv4() || may_be_v6(family, extended)
}

/// Appends length and octets. Routes of IPv6 have a next hop of IPv6, an IPv4-mapped one if need be
/// (RFC 4798 section 2, RFC 4659 section 3.2.1.2).
pub(super) fn encode(family: Family, next_hop: Option<NextHop>, out: &mut Vec<u8>) {
    let at = out.len();
    out.push(0);
    if let Some(NextHop { addr, link_local }) = next_hop {
        push(family, addr, out);
        if let Some(link_local) = link_local.filter(|_| may_be_pair(family)) {
            push(family, IpAddr::V6(link_local), out);
        }
    }
    out[at] = u8::try_from(out.len() - at - 1).unwrap_or(0);
}

fn push(family: Family, addr: IpAddr, out: &mut Vec<u8>) {
    if has_rd(family) {
        out.extend_from_slice(&[0; RD_LEN]);
    }
    match addr {
        IpAddr::V4(addr) if may_be_v4(family) => out.extend_from_slice(&addr.octets()),
        IpAddr::V4(addr) => out.extend_from_slice(&addr.to_ipv6_mapped().octets()),
        IpAddr::V6(addr) => out.extend_from_slice(&addr.octets()),
    }
}
