//! bagpipe-bgp's `bgp.conf`, as it is.
//!
//! Its options are those of oslo.config: section names in any case, several files of which a later
//! one wins. Options that configure parts which do not exist here (rootwrap, privsep, the OVS agent)
//! are known and have no effect; one that nobody knows is most likely a slip and gets a warning.

use std::sync::Arc;

use super::diagnostic::{Diagnostics, SourceFile};
use super::field::{Field, Value};
use super::ini::{self, Entry};
use super::raw::{BGP_CONF, Raw, RawConfig};

/// Reads `files`, of which later ones win.
pub(crate) fn read(files: &[Arc<SourceFile>], found: &mut Diagnostics) -> Option<RawConfig> {
    let mut raw = Raw::default();
    let mut peers = None;
    let mut peer_port = None;
    for entry in files
        .iter()
        .flat_map(|file| ini::read(file, found))
        .collect::<Vec<_>>()
    {
        let section = entry.section.to_ascii_lowercase();
        let field = Some(entry.field.clone());
        if let Value::Text(text) = &entry.field.value
            && substitutes(text)
        {
            let message =
                "`$` substitution of oslo.config is not supported: write the value itself";
            entry.field.error(found, message);
            continue;
        }
        match (section.as_str(), entry.option.as_str()) {
            ("default", "debug") => raw.debug = field,
            ("default", "log_file" | "logfile") => raw.log_file = field,
            ("api", "host" | "api_host") => raw.api_host = field,
            ("api", "port" | "api_port") => raw.api_port = field,
            ("bgp", "local_address") => raw.bgp.local_address = field,
            ("bgp", "my_as") => raw.bgp.local_as = field,
            ("bgp", "enable_rtc") => raw.bgp.rt_constraint = field,
            ("bgp", "peers") => peers = field,
            ("bgp", "bgp_port") => peer_port = field,
            ("dataplane_driver_evpn", "dataplane_driver") => raw.evpn_driver = field.map(modern),
            ("dataplane_driver_evpn", "dataplane_local_address") => raw.evpn_address = field,
            ("dataplane_driver_evpn", "vxlan_dst_port") => raw.vxlan_port = field,
            ("dataplane_driver_ipvpn", "dataplane_driver") => raw.ipvpn_driver = field.map(modern),
            _ => without_effect(&section, &entry, found),
        }
    }
    raw.bgp.peers = peers
        .iter()
        .flat_map(Field::split_on_commas)
        .map(peer(&peer_port))
        .collect();
    let file = Arc::clone(files.last()?);
    Some(RawConfig {
        raw,
        dialect: BGP_CONF,
        file,
    })
}

/// Only the port of the REST API, for programs that talk to it.
pub(crate) fn api_port(file: &Arc<SourceFile>) -> Option<u16> {
    let mut ignored = Diagnostics::default();
    let entries = ini::read(file, &mut ignored);
    let last = entries.into_iter().rfind(|entry| {
        entry.section.eq_ignore_ascii_case("api")
            && ["port", "api_port"].contains(&entry.option.as_str())
    });
    last?.field.port(&mut ignored)
}

/// A peer as a table of options.
fn peer(port: &Option<Field>) -> impl Fn(Field) -> Field {
    move |address| {
        let port = port.iter().map(|port| ("port", port.clone()));
        let address_entry = ("address", address.clone());
        Field::table(
            &address,
            std::iter::once(address_entry).chain(port).collect(),
        )
    }
}

/// Whether oslo.config would put another option's value in: `$name` or `${name}`.
fn substitutes(text: &str) -> bool {
    text.replace("$$", "")
        .split('$')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic()))
}

/// Drivers have been named by their Python classes; some files still do.
fn modern(mut field: Field) -> Field {
    if let Value::Text(text) = &mut field.value {
        let class = text
            .strip_prefix("bagpipe.bgp.vpn.ipvpn.")
            .or_else(|| text.strip_prefix("bagpipe.bgp.vpn.evpn."))
            .unwrap_or(text);
        let name = match class {
            "DummyDataplaneDriver" => "dummy",
            "mpls_linux_dataplane.MPLSLinuxDataplaneDriver"
            | "linux_vxlan.LinuxVXLANDataplaneDriver" => "linux",
            "mpls_ovs_dataplane.MPLSOVSDataplaneDriver" => "ovs",
            _ => return field,
        };
        *text = name.to_owned();
    }
    field
}

/// Options of bagpipe-bgp which configure what does not exist here or is not served yet.
const KNOWN: [(&str, &[&str]); 4] = [
    ("common", &["root_helper", "root_helper_daemon"]),
    ("bgp", &[]),
    (
        "dataplane_driver_evpn",
        &["ovs_bridge", "ovsbr_interfaces_mtu", "mpls_interface"],
    ),
    (
        "dataplane_driver_ipvpn",
        &[
            "dataplane_local_address",
            "ovs_bridge",
            "mpls_interface",
            "mpls_over_gre",
            "gre_tunnel",
            "gre_tunnel_options",
            "vxlan_encap",
            "arp_responder",
            "proxy_arp",
            "input_table",
            "ovs_table_id_start",
            "hash_method",
            "hash_method_param",
            "hash_fields",
            "ovsbr_interfaces_mtu",
        ],
    ),
];

/// Sections of libraries and neighbours that share the file.
fn is_foreign(section: &str) -> bool {
    ["default", "agent", "ovs", "securitygroup", "profiler"].contains(&section)
        || section.starts_with("privsep")
        || section.starts_with("oslo_")
}

fn without_effect(section: &str, entry: &Entry, found: &mut Diagnostics) {
    let known = KNOWN
        .iter()
        .any(|(name, options)| *name == section && options.contains(&entry.option.as_str()));
    if known || is_foreign(section) {
        return;
    }
    let message = if section == "dataplane_driver" {
        "[DATAPLANE_DRIVER] is obsolete and has no effect: use [DATAPLANE_DRIVER_EVPN] and \
         [DATAPLANE_DRIVER_IPVPN]"
            .to_owned()
    } else {
        let hint = similar(section, &entry.option)
            .map(|option| format!(", did you mean `{option}`?"))
            .unwrap_or_default();
        format!("{}: unknown option, without effect{hint}", entry.field.name)
    };
    found.warning(&entry.field.file, &entry.option_span, message);
}

/// The option that differs only in case and in `-` for `_`.
fn similar(section: &str, option: &str) -> Option<&'static str> {
    const READ: [(&str, &[&str]); 4] = [
        ("api", &["host", "port"]),
        (
            "bgp",
            &["local_address", "my_as", "enable_rtc", "peers", "bgp_port"],
        ),
        (
            "dataplane_driver_evpn",
            &[
                "dataplane_driver",
                "dataplane_local_address",
                "vxlan_dst_port",
            ],
        ),
        ("dataplane_driver_ipvpn", &["dataplane_driver"]),
    ];
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    READ.iter()
        .filter(|(name, _)| *name == section)
        .flat_map(|(_, options)| options.iter())
        .find(|known| plain(known) == plain(option))
        .copied()
}
