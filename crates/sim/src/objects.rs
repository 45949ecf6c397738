//! What is declared in a site: instances and endpoints by their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_engine::desired::{DesiredKey, DesiredValue};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Port, PortName, VpnInstance, VpnKind,
};
use chanter_types::{MacAddr, RouteTarget, Vni};

use crate::node::SITE_AS;

/// The route targets of an instance by their numbers, on all nodes the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) import: BTreeSet<u32>,
    pub(crate) export: BTreeSet<u32>,
}

pub(crate) fn instance_id(number: usize) -> InstanceId {
    InstanceId::new(&format!("net-{number}"))
}

/// A dataplane in the words of [`Site::expected`](crate::Site).
pub(crate) fn reduce(dataplane: &BTreeMap<DesiredKey, DesiredValue>) -> BTreeSet<String> {
    let name = |key: &DesiredKey| match dataplane.get(&DesiredKey::Domain(key.domain())) {
        Some(DesiredValue::Domain(domain)) => domain.instance.to_string(),
        _ => format!("no domain {}", key.domain()),
    };
    dataplane
        .iter()
        .map(|(key, value)| {
            let name = name(key);
            match (key, value) {
                (DesiredKey::Port(_, port), _) => format!("{name} port {port}"),
                (DesiredKey::LocalMac(_, mac), DesiredValue::LocalMac { port }) => {
                    format!("{name} local {mac} {port}")
                }
                (DesiredKey::Flood(_, vtep), _) => format!("{name} flood {vtep}"),
                (DesiredKey::RemoteMac(_, mac), DesiredValue::RemoteMac { vtep, .. }) => {
                    format!("{name} remote {mac} {vtep}")
                }
                (DesiredKey::Neighbor(_, ip), DesiredValue::Neighbor { mac }) => {
                    format!("{name} neighbor {ip} {mac}")
                }
                _ => format!("{name} domain"),
            }
        })
        .collect()
}

pub(crate) fn endpoint_mac(endpoint: usize) -> MacAddr {
    let [.., a, b] = endpoint.to_be_bytes();
    MacAddr([2, 0, 0, 0, a, b])
}

pub(crate) fn endpoint_ip(endpoint: usize) -> IpAddr {
    let [.., a, b] = endpoint.to_be_bytes();
    [10, 0, a, b].into()
}

/// The instance with these route targets.
pub(crate) fn instance_object(number: usize, targets: &Targets) -> VpnInstance {
    let set = |numbers: &BTreeSet<u32>| {
        let rts = numbers.iter();
        rts.map(|rt| RouteTarget::from_as2(SITE_AS.0 as u16, *rt))
            .collect()
    };
    VpnInstance {
        id: instance_id(number),
        kind: VpnKind::MacVrf(MacVrf {
            vni: Vni::new(number as u32 + 100),
            bridge: None,
        }),
        import: set(&targets.import),
        export: set(&targets.export),
        rd: None,
        gateway_ip: None,
        description: None,
    }
}

pub(crate) fn attachment_object(instance: usize, endpoint: usize) -> Attachment {
    Attachment {
        key: AttachmentKey {
            instance: instance_id(instance),
            mac: endpoint_mac(endpoint),
            ip: Some(endpoint_ip(endpoint)),
        },
        port: Port {
            name: PortName::new(&format!("tap{endpoint}")),
            vlan: None,
        },
        local_pref: None,
        sticky: false,
        description: None,
    }
}
