//! What a lab consists of: names and addresses, no side effects.
//!
//! ```text
//!            NAME-fab (bridge "underlay")
//!     .---------+---------+---------.
//!  NAME-rr   NAME-node1  NAME-node2 ...          a BGP session from each node to rr
//!            |      |                            EVPN red and EVPN blue, VXLAN between nodes
//!      NAME-red1  NAME-blue1                     endpoints: the same MAC and addresses in both
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chanter_types::{Asn, MacAddr, RouteTarget, Vni};

use crate::cli::UnderlayFamily;

/// The name of a lab where none is given.
pub const DEFAULT_NAME: &str = "chlab";
/// The AS of all speakers (RFC 6996: private use).
pub(crate) const LAB_AS: Asn = Asn(64512);

/// The name of a lab: what its namespaces start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabName(String);

impl LabName {
    /// Reads a name: 1 to 8 letters and digits, so that names made of it fit everywhere.
    pub fn parse(text: &str) -> Result<Self, String> {
        let valid = (1..=8).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is not a lab's name: expected 1 to 8 lower-case letters and digits"
            ))
        }
    }

    /// The network namespace of `place`.
    pub(crate) fn namespace(&self, place: &str) -> String {
        format!("{}-{place}", self.0)
    }

    /// Whether a namespace of this name is part of such a lab.
    pub(crate) fn owns(&self, namespace: &str) -> bool {
        let place = namespace
            .strip_prefix(&self.0)
            .and_then(|rest| rest.strip_prefix('-'));
        place.is_some_and(|place| {
            let numbered = |kind: &str| {
                place
                    .strip_prefix(kind)
                    .is_some_and(|number| number.parse::<u8>().is_ok())
            };
            place == FABRIC
                || place == REFLECTOR
                || numbered("node")
                || NETWORKS.iter().any(|network| numbered(network.name))
        })
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of the underlay bridge.
pub(crate) const FABRIC: &str = "fab";
/// The place of the route reflector.
pub(crate) const REFLECTOR: &str = "rr";

/// An EVPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// Its name, also that of the VPN instance.
    pub(crate) name: &'static str,
    number: u32,
}

/// The two EVPNs.
pub(crate) const NETWORKS: [Network; 2] = [
    Network {
        name: "red",
        number: 100,
    },
    Network {
        name: "blue",
        number: 200,
    },
];

impl Network {
    /// Its route target.
    pub(crate) fn rt(self) -> RouteTarget {
        RouteTarget::from_as2(64512, self.number)
    }

    /// Its VNI.
    pub(crate) fn vni(self) -> Vni {
        Vni::new(self.number).unwrap_or(Vni::MAX)
    }

    /// The place of its endpoint on node `node`; also the name of the port there.
    pub(crate) fn endpoint(self, node: u8) -> String {
        format!("{}{node}", self.name)
    }
}

/// The second network has this address on top, on its last node: nobody else may reach it.
pub(crate) const ONLY_IN_BLUE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 200);

/// MAC address of the endpoint on node `node`: the same in every network.
pub(crate) fn endpoint_mac(node: u8) -> MacAddr {
    // Locally administered.
    MacAddr([0x02, 0, 0, 0, 0, node])
}

/// Addresses of the endpoint on node `node`: the same in every network.
pub(crate) fn endpoint_addrs(node: u8) -> [IpAddr; 2] {
    [
        Ipv4Addr::new(10, 0, 0, node).into(),
        Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, u16::from(node)).into(),
    ]
}

/// The lab.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) name: LabName,
    pub(crate) nodes: u8,
    pub(crate) underlay: UnderlayFamily,
}

impl Topology {
    /// The numbers of all nodes.
    pub(crate) fn node_numbers(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.nodes
    }

    /// The place of a node.
    pub(crate) fn node(number: u8) -> String {
        format!("node{number}")
    }

    /// Every place that runs a daemon: the reflector first.
    pub(crate) fn daemons(&self) -> Vec<String> {
        let nodes = self.node_numbers().map(Self::node);
        std::iter::once(REFLECTOR.to_owned()).chain(nodes).collect()
    }

    /// Every endpoint: its network and its node.
    pub(crate) fn endpoints(&self) -> Vec<(Network, u8)> {
        let of = |network| self.node_numbers().map(move |node| (network, node));
        NETWORKS.into_iter().flat_map(of).collect()
    }

    /// Every place.
    pub(crate) fn places(&self) -> Vec<String> {
        let mut places = vec![FABRIC.to_owned()];
        places.extend(self.daemons());
        places.extend(
            self.endpoints()
                .into_iter()
                .map(|(network, node)| network.endpoint(node)),
        );
        places
    }

    /// The underlay's address of the daemon numbered `number`; 0 is the reflector. 198.18.0.0/15 is
    /// for such trials (RFC 2544); the IPv6 addresses are unique local ones.
    pub(crate) fn underlay_addr(&self, number: u8) -> IpAddr {
        let host = if number == 0 { 1 } else { 10 + number };
        match self.underlay {
            UnderlayFamily::Ipv4 => Ipv4Addr::new(198, 18, 0, host).into(),
            UnderlayFamily::Ipv6 => {
                Ipv6Addr::new(0xfd00, 0x18, 0, 0, 0, 0, 0, u16::from(host)).into()
            }
        }
    }

    /// The prefix of all addresses of the underlay.
    pub(crate) fn underlay_prefix(&self) -> &'static str {
        match self.underlay {
            UnderlayFamily::Ipv4 => "198.18.0.0/24",
            UnderlayFamily::Ipv6 => "fd00:18::/64",
        }
    }

    /// The length of that prefix.
    pub(crate) fn underlay_len(&self) -> u8 {
        match self.underlay {
            UnderlayFamily::Ipv4 => 24,
            UnderlayFamily::Ipv6 => 64,
        }
    }

    /// BGP identifiers are IPv4 addresses, whatever the underlay.
    pub(crate) fn router_id(number: u8) -> Ipv4Addr {
        let host = if number == 0 { 1 } else { 10 + number };
        Ipv4Addr::new(198, 18, 0, host)
    }

    /// What an endpoint's frames may carry so that they fit into the underlay's 1500 octets with
    /// VXLAN around them: Ethernet 14, VXLAN 8, UDP 8, IPv4 20 or IPv6 40.
    pub(crate) fn endpoint_mtu(&self) -> u32 {
        match self.underlay {
            UnderlayFamily::Ipv4 => 1450,
            UnderlayFamily::Ipv6 => 1430,
        }
    }

    /// The configuration file of the reflector, which keeps its files in `dir`.
    pub(crate) fn reflector_config(&self, dir: &str) -> String {
        format!(
            "state_dir = \"{dir}/state\"\nsocket = \"{dir}/chanter.sock\"\n\n\
             [bgp]\nas = {LAB_AS}\nrouter_id = \"{}\"\n\n[[bgp.ranges]]\nprefix = \"{}\"\n",
            Self::router_id(0),
            self.underlay_prefix(),
        )
    }

    /// The configuration file of node `node`, which keeps its files in `dir`.
    pub(crate) fn node_config(&self, node: u8, dir: &str) -> String {
        format!(
            "state_dir = \"{dir}/state\"\nsocket = \"{dir}/chanter.sock\"\n\n\
             [bgp]\nas = {LAB_AS}\nlocal_address = \"{}\"\nrouter_id = \"{}\"\n\n\
             [[bgp.peers]]\naddress = \"{}\"\n\n[dataplane.evpn]\ndriver = \"linux\"\n",
            self.underlay_addr(node),
            Self::router_id(node),
            self.underlay_addr(0),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::sync::Arc;

    use chanter_types::IfName;

    use super::*;
    use crate::config::{Config, Role, SourceFile, ThisNode};

    fn topology(nodes: u8, underlay: UnderlayFamily) -> Topology {
        Topology {
            name: LabName::parse("chlab").unwrap(),
            nodes,
            underlay,
        }
    }

    #[test]
    fn names_of_the_largest_lab_are_valid_and_distinct() {
        let lab = topology(32, UnderlayFamily::Ipv4);
        let places = lab.places();
        assert_eq!(places.len(), 1 + 1 + 32 + 64);
        let mut seen = BTreeSet::new();
        for place in &places {
            let namespace = lab.name.namespace(place);
            assert!(lab.name.owns(&namespace), "{namespace}");
            assert!(
                place.parse::<IfName>().is_ok(),
                "{place} is a device name too"
            );
            assert!(seen.insert(namespace));
        }
    }

    #[test]
    fn namespaces_of_others_are_not_taken_for_ours() {
        let name = LabName::parse("chlab").unwrap();
        for other in [
            "chlab",
            "chlab-",
            "chlab-nodex",
            "chlab-node1-x",
            "chlab2-node1",
            "node1",
        ] {
            assert!(!name.owns(other), "{other}");
        }
    }

    #[test]
    fn only_short_plain_names_are_accepted() {
        for bad in ["", "a-b", "../x", "UPPER", "ninechars"] {
            let error = LabName::parse(bad).unwrap_err();
            assert!(
                error.contains("expected 1 to 8 lower-case letters and digits"),
                "{error}"
            );
        }
    }

    #[test]
    fn both_networks_have_the_same_addresses_and_nothing_else_in_common() {
        let [red, blue] = NETWORKS;
        assert_ne!(red.rt(), blue.rt());
        assert_ne!(red.vni(), blue.vni());
        assert_ne!(red.endpoint(1), blue.endpoint(1));
        let addrs: BTreeSet<IpAddr> = (1..=32).flat_map(endpoint_addrs).collect();
        assert_eq!(addrs.len(), 64, "within a network they are distinct");
        assert!(!addrs.contains(&IpAddr::V4(ONLY_IN_BLUE)));
    }

    #[test]
    fn its_configuration_files_are_accepted() {
        for underlay in [UnderlayFamily::Ipv4, UnderlayFamily::Ipv6] {
            let lab = topology(3, underlay);
            let config = |text: String, role| {
                let file = SourceFile {
                    path: PathBuf::from("x.toml"),
                    text,
                };
                Config::from_sources(&[Arc::new(file)], role, &ThisNode).unwrap()
            };
            let node = config(lab.node_config(2, "/run/x"), Role::Agent);
            assert_eq!(node.evpn.vtep, Some(lab.underlay_addr(2)));
            assert_eq!(node.bgp.peers[0].addr, lab.underlay_addr(0).into());
            let reflector = config(lab.reflector_config("/run/x"), Role::RouteReflector);
            assert!(
                reflector.bgp.ranges[0]
                    .prefix
                    .contains(lab.underlay_addr(3))
            );
            assert!(reflector.bgp.ranges[0].options.role_client);
        }
    }
}
