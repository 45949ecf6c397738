//! Builds the lab's namespaces, devices and addresses.

use anyhow::Context;

use super::netns::{self, ip};
use super::topology::{
    FABRIC, NETWORKS, Network, ONLY_IN_BLUE, REFLECTOR, Topology, endpoint_addrs, endpoint_mac,
};

/// Builds the underlay with the namespaces of all daemons.
pub(crate) fn build_underlay(lab: &Topology) -> anyhow::Result<()> {
    let add = |place: &String| format!("netns add {}", lab.name.namespace(place));
    ip(None, &lab.places().iter().map(add).collect::<Vec<_>>())?;
    for place in lab.places() {
        netns::quiet_ipv6(&lab.name.namespace(&place))?;
    }
    let fabric = lab.name.namespace(FABRIC);
    let mut lines = vec![
        "link add name underlay type bridge mcast_snooping 0".to_owned(),
        "link set dev underlay up".to_owned(),
    ];
    for place in lab.daemons() {
        let namespace = lab.name.namespace(&place);
        lines.push(format!(
            "link add name {place} type veth peer name eth0 netns {namespace}"
        ));
        lines.push(format!("link set dev {place} master underlay up"));
    }
    ip(Some(&fabric), &lines).context("the underlay")?;
    let numbers = std::iter::once(0).chain(lab.node_numbers());
    for number in numbers {
        let place = if number == 0 {
            REFLECTOR.to_owned()
        } else {
            Topology::node(number)
        };
        let addr = lab.underlay_addr(number);
        let lines = [
            "link set dev lo up".to_owned(),
            "link set dev eth0 up".to_owned(),
            format!("addr add {addr}/{} dev eth0", lab.underlay_len()),
        ];
        ip(Some(&lab.name.namespace(&place)), &lines)?;
    }
    Ok(())
}

/// Builds the endpoints, each a namespace behind a veth pair, not attached to anything yet.
pub(crate) fn build_endpoints(lab: &Topology) -> anyhow::Result<()> {
    for node in lab.node_numbers() {
        let lines: Vec<String> = NETWORKS
            .iter()
            .flat_map(|network| {
                let port = network.endpoint(node);
                let namespace = lab.name.namespace(&port);
                [
                    format!("link add name {port} type veth peer name eth0 netns {namespace}"),
                    format!("link set dev {port} up"),
                ]
            })
            .collect();
        ip(Some(&lab.name.namespace(&Topology::node(node))), &lines)?;
    }
    for (network, node) in lab.endpoints() {
        let namespace = lab.name.namespace(&network.endpoint(node));
        ip(Some(&namespace), &endpoint_lines(lab, network, node))?;
    }
    Ok(())
}

fn endpoint_lines(lab: &Topology, network: Network, node: u8) -> Vec<String> {
    let mut lines = vec![
        "link set dev lo up".to_owned(),
        format!(
            "link set dev eth0 address {} mtu {} up",
            endpoint_mac(node),
            lab.endpoint_mtu()
        ),
    ];
    for addr in endpoint_addrs(node) {
        let len = if addr.is_ipv4() { 24 } else { 64 };
        lines.push(format!("addr add {addr}/{len} dev eth0"));
    }
    if has_extra_addr(lab, network, node) {
        lines.push(format!("addr add {ONLY_IN_BLUE}/24 dev eth0"));
    }
    lines
}

/// Whether the endpoint has the address that exists in one network only.
pub(crate) fn has_extra_addr(lab: &Topology, network: Network, node: u8) -> bool {
    network == NETWORKS[1] && node == lab.nodes
}
