//! Whole bodies, field by field in the order of the original, whose first complaint clients know.

use std::net::IpAddr;

use chanter_intent::{Attachment, AttachmentKey, InstanceId, Port};
use chanter_types::MacAddr;
use serde_json::Value;

use super::BadRequest;
use super::fields::{self, Body, IpText};
use super::port::local_port;
use crate::rest::{AttachSpec, AttachmentRecord, InstanceSpec};

/// What both requests say of an endpoint, with the client's writing for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The MAC address as the client wrote it.
    pub(crate) mac_text: String,
    /// The IP address as the client wrote it.
    pub(crate) ip_text: Option<String>,
}

/// A detach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detach {
    pub(crate) instance: InstanceId,
    pub(crate) mac: MacAddr,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) endpoint: Endpoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VpnType {
    Evpn,
    IpVpn,
}

/// What attach and detach have in common.
struct Common {
    vpn_type: VpnType,
    instance: InstanceId,
    mac: (MacAddr, String),
    ip: Option<IpText>,
    /// `None`: an EVPN instance in place of a device.
    port: Option<Port>,
}

/// Reads the body of an attach.
pub(crate) fn parse_attach(body: &[u8]) -> Result<AttachSpec, BadRequest> {
    let body = object(body)?;
    let vpn_type = vpn_type(&body)?;
    for name in [
        "vpn_instance_id",
        "mac_address",
        "local_port",
        "import_rt",
        "export_rt",
    ] {
        mandatory(&body, name)?;
    }
    let common = common(&body, vpn_type)?;
    let import = fields::mandatory_route_targets(&body, "import_rt")?;
    let export = fields::mandatory_route_targets(&body, "export_rt")?;
    advertise_subnet(&body, &common)?;
    direction(&body)?;
    if vpn_type == VpnType::IpVpn {
        mandatory(&body, "gateway_ip")?;
    }
    let gateway_ip = fields::gateway_ip(&body)?;
    fields::number(&body, "lb_consistent_hash_order", u32::MAX)?;
    let vni = fields::vni(&body)?;
    let local_pref = fields::local_pref(&body)?;
    let bridge = fields::device(&body, "linuxbr")?;
    let chaining = [readvertise(&body)?, attract_traffic(&body)?];
    fallback(&body)?;
    let port = supported(&common)?;
    if let Some(name) = chaining.into_iter().flatten().next() {
        return Err(BadRequest(format!(
            "{name}: only instances of vpn_type ipvpn can have it"
        )));
    }
    let ip = common.ip;
    Ok(AttachSpec {
        subnet_len: ip.as_ref().map(|ip| ip.len),
        record: AttachmentRecord {
            attachment: Attachment {
                key: AttachmentKey {
                    instance: common.instance.clone(),
                    mac: common.mac.0,
                    ip: ip.as_ref().map(|ip| ip.ip),
                },
                port,
                local_pref,
                sticky: false,
                description: fields::any(&body, "description"),
            },
            mac_text: common.mac.1,
            ip_text: ip.map(|ip| ip.text),
        },
        instance: InstanceSpec {
            id: common.instance,
            import,
            export,
            vni,
            bridge,
            gateway_ip,
            description: fields::any(&body, "instance_description"),
        },
    })
}

/// Reads the body of a detach; an attach's body is as good.
pub(crate) fn parse_detach(body: &[u8]) -> Result<Detach, BadRequest> {
    let body = object(body)?;
    let vpn_type = vpn_type(&body)?;
    for name in ["vpn_instance_id", "mac_address", "local_port"] {
        mandatory(&body, name)?;
    }
    let common = common(&body, vpn_type)?;
    // Whatever the type: the instance is looked up by its id alone, as in the original.
    Ok(Detach {
        instance: common.instance,
        mac: common.mac.0,
        ip: common.ip.as_ref().map(|ip| ip.ip),
        endpoint: Endpoint {
            mac_text: common.mac.1,
            ip_text: common.ip.map(|ip| ip.text),
        },
    })
}

fn object(body: &[u8]) -> Result<Body, BadRequest> {
    const TEXT: &str = "No local port details received";
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(BadRequest(format!(
            "{TEXT}: the body must be a JSON object"
        ))),
        Err(_) if body.trim_ascii().is_empty() => Err(BadRequest(TEXT.to_owned())),
        Err(error) => Err(BadRequest(format!("{TEXT}: the body is not JSON: {error}"))),
    }
}

fn mandatory(body: &Body, name: &str) -> Result<(), BadRequest> {
    if body.contains_key(name) {
        Ok(())
    } else {
        Err(BadRequest::missing(name))
    }
}

fn vpn_type(body: &Body) -> Result<VpnType, BadRequest> {
    match body.get("vpn_type") {
        None | Some(Value::Null) => Err(BadRequest(
            "missing instance_type (parameter vpn_type: expected `evpn` or `ipvpn`)".to_owned(),
        )),
        Some(Value::String(name)) if name == "evpn" => Ok(VpnType::Evpn),
        Some(Value::String(name)) if name == "ipvpn" => Ok(VpnType::IpVpn),
        Some(other) => {
            let shown = other
                .as_str()
                .map_or_else(|| other.to_string(), ToOwned::to_owned);
            Err(BadRequest(format!(
                "unknown vpn_type: {shown} (expected `evpn` or `ipvpn`)"
            )))
        }
    }
}

fn common(body: &Body, vpn_type: VpnType) -> Result<Common, BadRequest> {
    if vpn_type == VpnType::IpVpn {
        mandatory(body, "ip_address")?;
    }
    let instance = InstanceId::new(fields::text(body, "vpn_instance_id")?);
    let port = local_port(body.get("local_port").unwrap_or(&Value::Null))?;
    Ok(Common {
        vpn_type,
        instance,
        mac: fields::mac(body)?,
        ip: fields::ip(body)?,
        port,
    })
}

/// What this node has a dataplane for.
fn supported(common: &Common) -> Result<Port, BadRequest> {
    if common.vpn_type == VpnType::IpVpn {
        return Err(BadRequest(
            "vpn_type: ipvpn is not supported by this node (no dataplane driver for it)".to_owned(),
        ));
    }
    common.port.clone().ok_or_else(|| {
        BadRequest(
            "local_port: an `evpn` port can only be attached to an instance of vpn_type ipvpn, \
             which is not supported by this node (no dataplane driver for it)"
                .to_owned(),
        )
    })
}

fn advertise_subnet(body: &Body, common: &Common) -> Result<(), BadRequest> {
    match body.get("advertise_subnet") {
        None | Some(Value::Null | Value::Bool(false)) => Ok(()),
        Some(Value::Bool(true)) => match &common.ip {
            Some(ip) if common.vpn_type == VpnType::Evpn && !is_host(ip) => {
                Err(BadRequest(format!(
                    "advertise_subnet: an EVPN endpoint has a single address, expected false, or \
                     ip_address without prefix length in place of {}",
                    ip.text
                )))
            }
            _ => Ok(()),
        },
        Some(other) => Err(BadRequest(format!(
            "'advertise_subnet' must be a boolean, not {other}"
        ))),
    }
}

fn is_host(ip: &IpText) -> bool {
    ip.len == if ip.ip.is_ipv4() { 32 } else { 128 }
}

fn direction(body: &Body) -> Result<(), BadRequest> {
    match fields::given(body, "direction") {
        None => Ok(()),
        Some(Value::String(name)) if name == "both" => Ok(()),
        Some(Value::String(name)) if name == "to-port" || name == "from-port" => Err(BadRequest(
            format!("Unsupported direction: {name} (direction: expected `both`)"),
        )),
        Some(_) => Err(BadRequest(
            "direction should be one of: both, to-port, from-port".to_owned(),
        )),
    }
}

/// The field's name if it asks for something.
fn readvertise(body: &Body) -> Result<Option<&'static str>, BadRequest> {
    const NAME: &str = "readvertise";
    const EXPECTED: &str = "an object with two lists of route targets, `from_rt` and `to_rt`";
    let Some(value) = fields::filled(body, NAME) else {
        return Ok(None);
    };
    for member in ["from_rt", "to_rt"] {
        let rts = value
            .get(member)
            .ok_or_else(|| BadRequest::field(NAME, value, EXPECTED))?;
        fields::route_targets(&format!("{NAME}.{member}"), rts)?;
    }
    Ok(Some(NAME))
}

/// The field's name if it asks for something: with neither `readvertise` nor a `to_rt` it does not.
fn attract_traffic(body: &Body) -> Result<Option<&'static str>, BadRequest> {
    const NAME: &str = "attract_traffic";
    const EXPECTED: &str = "an object with `redirect_rts`, a list of route targets, and \
         `classifier`, an object";
    let Some(value) = fields::filled(body, NAME) else {
        return Ok(None);
    };
    let error = || BadRequest::field(NAME, value, EXPECTED);
    let redirect = value.get("redirect_rts").ok_or_else(error)?;
    fields::route_targets("attract_traffic.redirect_rts", redirect)?;
    let to_rt = match value.get("to_rt") {
        Some(rts) if !rts.is_null() => fields::route_targets("attract_traffic.to_rt", rts)?,
        _ => Default::default(),
    };
    if to_rt.is_empty() && fields::filled(body, "readvertise").is_none() {
        return Ok(None);
    }
    if value
        .get("classifier")
        .is_none_or(|classifier| !classifier.is_object())
    {
        return Err(error());
    }
    Ok(Some(NAME))
}

/// Only the original's OVS driver for `ipvpn` has it; for others it is ignored, as there.
fn fallback(body: &Body) -> Result<(), BadRequest> {
    match fields::filled(body, "fallback") {
        Some(value) if !value.is_object() => Err(BadRequest::field(
            "fallback",
            value,
            "an object with `src_mac`, `dst_mac` and `ovs_port_number`",
        )),
        _ => Ok(()),
    }
}
