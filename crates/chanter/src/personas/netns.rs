//! The namespace helper of `bagpipe-rest-attach`: an endpoint in a network namespace of its own.
//!
//! It runs `ip` and `ovs-vsctl` as the original does: an operator's aid that makes one endpoint at
//! a time, with the commands that an operator would type.

use std::process::{Command, Output};

/// MTU of the port: more than any bridge of Open vSwitch will need.
const PORT_MTU: &str = "9000";
/// MTU inside the namespace: leaves room for the tunnel's headers.
const DEVICE_MTU: &str = "1420";
/// With a VLAN, the device that carries it inside the namespace.
const RAW_DEVICE: &str = "ns2vpn-raw";

/// An endpoint in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace {
    /// The namespace.
    pub(super) name: String,
    /// The device outside, which gets attached.
    pub(super) port: String,
    /// The device inside.
    pub(super) device: String,
    /// The VLAN of the device inside.
    pub(super) vlan: Option<u16>,
    /// The address inside, with the length of its subnet's prefix.
    pub(super) ip: String,
    /// Where the default route leads.
    pub(super) gateway: String,
}

/// Makes the namespace and its devices anew; what is there already stays where it does not matter.
pub(super) fn create(namespace: &Namespace, mac: Option<&str>) -> Result<(), String> {
    let Namespace {
        name,
        port,
        device,
        vlan,
        ip,
        gateway,
    } = namespace;
    attempt("ip", &["netns", "add", name]);
    match vlan {
        None => veth_pair(port, device, name)?,
        Some(vlan) => {
            veth_pair(port, RAW_DEVICE, name)?;
            let vlan = vlan.to_string();
            let link = [
                "link", "add", "link", RAW_DEVICE, "name", device, "type", "vlan", "id",
            ];
            run(
                "ip",
                &[&["-n", name.as_str()], &link[..], &[vlan.as_str()]].concat(),
            )?;
            run("ip", &["-n", name, "link", "set", device, "up"])?;
        }
    }
    if let Some(mac) = mac {
        run("ip", &["-n", name, "link", "set", device, "address", mac])?;
    }
    attempt("ip", &["-n", name, "addr", "add", ip, "dev", device]);
    attempt(
        "ip",
        &[
            "-n", name, "route", "add", "default", "dev", device, "via", gateway,
        ],
    );
    attempt(
        "ip",
        &["-n", name, "link", "set", device, "mtu", DEVICE_MTU],
    );
    Ok(())
}

fn veth_pair(port: &str, device: &str, name: &str) -> Result<(), String> {
    attempt("ip", &["-n", name, "link", "delete", device]);
    // A port that Open vSwitch still knows would be taken back by it as soon as it exists again.
    attempt("ovs-vsctl", &["--if-exists", "del-port", port]);
    attempt("ip", &["link", "delete", port]);
    let peer = [
        "type", "veth", "peer", "name", device, "netns", name, "mtu", "65535",
    ];
    run("ip", &[&["link", "add", port], &peer[..]].concat())?;
    run("ip", &["link", "set", "dev", port, "up", "mtu", PORT_MTU])?;
    run("ip", &["-n", name, "link", "set", "dev", device, "up"])
}

/// The MAC address of the device inside.
pub(super) fn mac(namespace: &Namespace) -> Result<String, String> {
    let Namespace { name, device, .. } = namespace;
    let output = output("ip", &["-n", name, "-j", "link", "show", "dev", device])?;
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let mac = links[0]["address"].as_str().map(str::to_owned);
    mac.ok_or_else(|| format!("device {device} of namespace {name} has no MAC address"))
}

/// Whether there is such a device.
pub(super) fn exists(port: &str) -> Result<(), String> {
    run("ip", &["link", "show", "dev", port])
}

/// Plugs `port` into a bridge of Open vSwitch, afresh.
pub(super) fn preplug(port: &str, bridge: &str) -> Result<(), String> {
    attempt("ovs-vsctl", &["--if-exists", "del-port", bridge, port]);
    run("ovs-vsctl", &["add-port", bridge, port])
}

/// Runs a command whose failure means that there is nothing to do.
fn attempt(program: &str, args: &[&str]) {
    let _ = Command::new(program).args(args).output();
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    output(program, args).map(drop)
}

fn output(program: &str, args: &[&str]) -> Result<Output, String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let line = args.join(" ");
    Err(format!(
        "{program} {line}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}
