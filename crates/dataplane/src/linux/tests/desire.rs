//! Short forms of desired objects.

use std::net::IpAddr;

use chanter_engine::desired::{DesiredChange, DesiredKey, DesiredValue, Domain, DomainId, Version};
use chanter_intent::{InstanceId, PortName};
use chanter_types::{MacAddr, Vni};

pub(super) const ID: DomainId = DomainId(1);

pub(super) fn vni(number: u32) -> Vni {
    Vni::new(number).expect("a valid VNI")
}

pub(super) fn mac(text: &str) -> MacAddr {
    text.parse().expect("a MAC address")
}

pub(super) fn addr(text: &str) -> IpAddr {
    text.parse().expect("an IP address")
}

pub(super) fn domain_of(id: DomainId, instance: &str, number: u32, vtep: &str) -> DesiredChange {
    let domain = Domain {
        instance: InstanceId::new(instance),
        vni: vni(number),
        vtep: addr(vtep),
        bridge: None,
    };
    DesiredChange {
        key: DesiredKey::Domain(id),
        version: Version::default(),
        value: Some(DesiredValue::Domain(domain)),
    }
}

pub(super) fn domain(vtep: &str) -> DesiredChange {
    domain_of(ID, "evpn-a", 100, vtep)
}

pub(super) fn domain_in(bridge: &str, vtep: &str) -> DesiredChange {
    let mut change = domain(vtep);
    if let Some(DesiredValue::Domain(domain)) = &mut change.value {
        domain.bridge = Some(bridge.parse().expect("a device name"));
    }
    change
}

pub(super) fn port(name: &str) -> DesiredChange {
    let key = DesiredKey::Port(ID, PortName::new(name));
    DesiredChange {
        key,
        version: Version::default(),
        value: Some(DesiredValue::Port { vlan: None }),
    }
}

pub(super) fn local(text: &str, port: &str) -> DesiredChange {
    let value = DesiredValue::LocalMac {
        port: PortName::new(port),
    };
    DesiredChange {
        key: DesiredKey::LocalMac(ID, mac(text)),
        version: Version::default(),
        value: Some(value),
    }
}

pub(super) fn flood(vtep: &str) -> DesiredChange {
    flood_to(vtep, 100)
}

pub(super) fn flood_to(vtep: &str, number: u32) -> DesiredChange {
    let value = DesiredValue::Flood { vni: vni(number) };
    DesiredChange {
        key: DesiredKey::Flood(ID, addr(vtep)),
        version: Version::default(),
        value: Some(value),
    }
}

pub(super) fn remote(text: &str, vtep: &str) -> DesiredChange {
    remote_at(mac(text), vtep, 100, false)
}

pub(super) fn remote_at(mac: MacAddr, vtep: &str, number: u32, sticky: bool) -> DesiredChange {
    let value = DesiredValue::RemoteMac {
        vtep: addr(vtep),
        vni: vni(number),
        sticky,
    };
    DesiredChange {
        key: DesiredKey::RemoteMac(ID, mac),
        version: Version::default(),
        value: Some(value),
    }
}

pub(super) fn neighbor(ip: &str, text: &str) -> DesiredChange {
    let value = DesiredValue::Neighbor { mac: mac(text) };
    DesiredChange {
        key: DesiredKey::Neighbor(ID, addr(ip)),
        version: Version::default(),
        value: Some(value),
    }
}

/// No longer desired.
pub(super) fn no(change: DesiredChange) -> DesiredChange {
    DesiredChange {
        key: change.key,
        version: Version::default(),
        value: None,
    }
}
