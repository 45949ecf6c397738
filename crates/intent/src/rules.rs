//! What an object may be by itself, whatever else is declared.

use std::net::IpAddr;

use chanter_types::MacAddr;

use crate::{Attachment, Object, Port, Rejection, VpnInstance};

/// VLAN identifiers that a frame may carry (IEEE 802.1Q: 0 is a priority tag, 4095 reserved).
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

/// Checks what the types cannot exclude.
pub(crate) fn check(object: &Object) -> Result<(), Rejection> {
    match object {
        Object::Instance(instance) => check_instance(instance),
        Object::Attachment(attachment) => check_attachment(attachment),
    }
}

fn check_instance(instance: &VpnInstance) -> Result<(), Rejection> {
    if instance.id.as_str().is_empty() {
        return Err(Rejection::new(
            "id",
            "the name of a VPN instance must not be empty",
        ));
    }
    Ok(())
}

fn check_attachment(attachment: &Attachment) -> Result<(), Rejection> {
    check_mac(attachment.key.mac)?;
    if let Some(ip) = attachment.key.ip {
        check_ip(ip)?;
    }
    check_port(&attachment.port)
}

fn check_mac(mac: MacAddr) -> Result<(), Rejection> {
    let fault = if mac == MacAddr::ZERO {
        "zero"
    } else if mac.is_multicast() {
        "a group address"
    } else {
        return Ok(());
    };
    Err(Rejection::new(
        "mac",
        format!("MAC address {mac} is {fault}; an endpoint needs the address of a single station"),
    ))
}

fn check_ip(ip: IpAddr) -> Result<(), Rejection> {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    let fault = if ip.is_unspecified() {
        "unspecified"
    } else if ip.is_multicast() || broadcast {
        "a group address"
    } else {
        return Ok(());
    };
    Err(Rejection::new(
        "ip",
        format!("IP address {ip} is {fault}; an endpoint needs the address of a single host"),
    ))
}

fn check_port(port: &Port) -> Result<(), Rejection> {
    if port.name.as_str().is_empty() {
        return Err(Rejection::new(
            "port",
            "the name of a port must not be empty",
        ));
    }
    match port.vlan {
        Some(vlan) if !VLANS.contains(&vlan) => Err(Rejection::new(
            "port",
            format!(
                "VLAN {vlan} of port {} is out of range, 1 to 4094 is accepted",
                port.name
            ),
        )),
        _ => Ok(()),
    }
}
