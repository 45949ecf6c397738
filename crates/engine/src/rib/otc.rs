//! Route leaks, prevented and detected by ONLY_TO_CUSTOMER (RFC 9234 section 5).

use chanter_bgp::{Attributes, BgpRole, Family};
use chanter_types::Asn;

use super::import::RejectReason;
use crate::{PeerRole, SessionInfo};

/// Our role towards the peer, where the rules apply: for IPv4 and IPv6 unicast, between ASes.
fn role(session: &SessionInfo, family: Family) -> Option<BgpRole> {
    let applies = session.role == PeerRole::Ebgp
        && [Family::IPV4_UNICAST, Family::IPV6_UNICAST].contains(&family);
    session.bgp_role.filter(|_| applies)
}

/// Whether a received route is a leak; and the AS with which to mark it, if it is to be marked.
pub(super) fn on_receipt(
    session: &SessionInfo,
    family: Family,
    attributes: &Attributes,
) -> Result<Option<Asn>, RejectReason> {
    let Some(role) = role(session, family) else {
        return Ok(None);
    };
    match (role, attributes.only_to_customer()) {
        // From a customer or a client of our route server it cannot have the mark.
        (BgpRole::Provider | BgpRole::RouteServer, Some(_)) => Err(RejectReason::RouteLeak),
        (BgpRole::Peer, Some(asn)) if asn != session.peer_as => Err(RejectReason::RouteLeak),
        (BgpRole::Customer | BgpRole::Peer | BgpRole::RouteServerClient, None) => {
            Ok(Some(session.peer_as))
        }
        _ => Ok(None),
    }
}

/// Whether a route may go to the peer; and the AS with which to mark it, if it is to be marked.
pub(super) fn on_sending(
    session: &SessionInfo,
    family: Family,
    attributes: &Attributes,
) -> Result<Option<Asn>, OnlyToCustomer> {
    let Some(role) = role(session, family) else {
        return Ok(None);
    };
    match (role, attributes.only_to_customer()) {
        (BgpRole::Customer | BgpRole::Peer | BgpRole::RouteServerClient, Some(_)) => {
            Err(OnlyToCustomer)
        }
        (BgpRole::Provider | BgpRole::Peer | BgpRole::RouteServer, None) => {
            Ok(Some(session.local_as))
        }
        _ => Ok(None),
    }
}

/// The route is for customers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnlyToCustomer;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const REMOTE: Asn = Asn(64501);
    const LOCAL: Asn = Asn(64500);
    const OTHER: Asn = Asn(64509);

    fn session(role: Option<BgpRole>) -> SessionInfo {
        let addr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        SessionInfo {
            bgp_role: role,
            ..SessionInfo::new(
                (addr, addr),
                (REMOTE, LOCAL),
                Ipv4Addr::new(10, 0, 0, 1),
                PeerRole::Ebgp,
            )
        }
    }

    fn marked(asn: Option<Asn>) -> Attributes {
        let builder = Attributes::builder();
        match asn {
            Some(asn) => builder.only_to_customer(asn).build(),
            None => builder.build(),
        }
    }

    /// Every line of RFC 9234 section 5, by our role: what becomes of a route without the mark, with
    /// the neighbour's AS, with another one.
    #[test]
    fn every_role_and_mark_on_receipt() {
        use BgpRole::{Customer, Peer, Provider, RouteServer, RouteServerClient};
        let leak = Err(RejectReason::RouteLeak);
        let (add, keep) = (Ok(Some(REMOTE)), Ok(None));
        let table = [
            (Some(Provider), [keep, leak, leak]),
            (Some(RouteServer), [keep, leak, leak]),
            (Some(Peer), [add, keep, leak]),
            (Some(Customer), [add, keep, keep]),
            (Some(RouteServerClient), [add, keep, keep]),
            (None, [keep, keep, keep]),
        ];
        for (role, wanted) in table {
            let found = [None, Some(REMOTE), Some(OTHER)]
                .map(|asn| on_receipt(&session(role), Family::IPV4_UNICAST, &marked(asn)));
            assert_eq!(found, wanted, "{role:?}");
        }
    }

    #[test]
    fn every_role_and_mark_on_sending() {
        use BgpRole::{Customer, Peer, Provider, RouteServer, RouteServerClient};
        let stop = Err(OnlyToCustomer);
        let (add, keep) = (Ok(Some(LOCAL)), Ok(None));
        let table = [
            (Some(Provider), [add, keep]),
            (Some(RouteServer), [add, keep]),
            (Some(Peer), [add, stop]),
            (Some(Customer), [keep, stop]),
            (Some(RouteServerClient), [keep, stop]),
            (None, [keep, keep]),
        ];
        for (role, wanted) in table {
            let found = [None, Some(OTHER)]
                .map(|asn| on_sending(&session(role), Family::IPV6_UNICAST, &marked(asn)));
            assert_eq!(found, wanted, "{role:?}");
        }
    }

    #[test]
    fn only_unicast_between_ases_is_concerned() {
        let route = marked(Some(OTHER));
        let mut session = session(Some(BgpRole::Provider));
        assert_eq!(on_receipt(&session, Family::IPV4_VPN, &route), Ok(None));
        session.role = PeerRole::Ibgp;
        assert_eq!(on_receipt(&session, Family::IPV4_UNICAST, &route), Ok(None));
    }
}
