//! The forms of `local_port`.

use chanter_intent::{Port, PortName};
use serde_json::Value;

use super::BadRequest;
use super::fields::{Body, given};

const NAME: &str = "local_port";

/// `"tap0"` or `{"linuxif": "tap0"}`, the latter also with `vlan`. `{"evpn": ...}`, which plugs an
/// EVPN instance into an IP VPN, yields `None`: its shape is right.
pub(super) fn local_port(value: &Value) -> Result<Option<Port>, BadRequest> {
    let members = match value {
        Value::String(name) if !name.is_empty() => return Ok(Some(port(name, None))),
        Value::Object(members) => members,
        Value::Array(members) if members.is_empty() => return Err(no_key()),
        _ => {
            return Err(BadRequest::field(
                NAME,
                value,
                "the name of a network device, or an object with `linuxif`",
            ));
        }
    };
    if let Some(other) = given(members, "evpn") {
        return match other.get("id").and_then(Value::as_str) {
            Some(_) => Ok(None),
            None => Err(BadRequest::field(
                "local_port.evpn",
                other,
                "an object whose `id` is the id of a VPN instance",
            )),
        };
    }
    if let Some(ovs) = given(members, "ovs").filter(|ovs| !ovs.is_object()) {
        return Err(BadRequest::field("local_port.ovs", ovs, "an object"));
    }
    let name = members.get("linuxif").ok_or_else(no_key)?;
    let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
        return Err(BadRequest::field(
            "local_port.linuxif",
            name,
            "the name of a network device",
        ));
    };
    Ok(Some(port(name, vlan(members)?)))
}

fn vlan(members: &Body) -> Result<Option<u16>, BadRequest> {
    let Some(value) = given(members, "vlan") else {
        return Ok(None);
    };
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    match number.filter(|number| (1..=4094).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(BadRequest::field(
            "local_port.vlan",
            value,
            "a number from 1 to 4094",
        )),
    }
}

fn port(name: &str, vlan: Option<u16>) -> Port {
    Port {
        name: PortName::new(name),
        vlan,
    }
}

fn no_key() -> BadRequest {
    BadRequest("Mandatory key is missing in local_port parameter (linuxif, or evpn)".to_owned())
}
