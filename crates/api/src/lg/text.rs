//! Routes, attributes and times in the writing of the original and of its BGP library.

use std::fmt::Display;
use std::time::SystemTime;

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, Family, InclusiveMulticast, MacIp, Nlri, PathData,
    PmsiTunnel, PmsiTunnelKind, encapsulation,
};
use chanter_types::RouteTarget;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tracing::Level;

use crate::LogRecord;

/// A destination with what its NLRI carries.
pub(super) fn nlri(nlri: &Nlri, data: &PathData) -> String {
    match nlri {
        Nlri::Evpn(EvpnNlri::MacIp(MacIp { rd, tag, mac, ip })) => {
            let esi = if data.esi().is_zero() {
                "-".to_owned()
            } else {
                data.esi().to_string()
            };
            let mac = mac.to_string().to_uppercase();
            let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
            let label = label(data.label);
            format!("evpn:macadv::{rd}:{esi}:{tag}:{mac}/48:{ip}: label {label}")
        }
        Nlri::Evpn(EvpnNlri::InclusiveMulticast(InclusiveMulticast {
            rd,
            tag,
            originator,
        })) => {
            format!("evpn:multicast::{rd}:{tag}:{originator}")
        }
        Nlri::Evpn(other) => format!("evpn:{other}"),
        Nlri::Rtc(membership) => match (membership.origin(), membership.rt()) {
            (None, _) => "rtc wildcard".to_owned(),
            (Some(origin), Some(rt)) => format!("rtc {origin}:target:{rt}"),
            (Some(_), None) => format!("rtc {membership}"),
        },
        other => other.to_string(),
    }
}

/// A label field: as a label of 20 bits, and raw in parentheses.
fn label(raw: u32) -> String {
    format!("{} ({raw})", raw >> 4)
}

/// What competes for being best in an instance.
pub(super) fn tracked(nlri: &Nlri) -> String {
    match nlri {
        Nlri::Evpn(EvpnNlri::MacIp(route)) => {
            format!("('MAC', {})", route.mac.to_string().to_uppercase())
        }
        Nlri::Evpn(EvpnNlri::InclusiveMulticast(route)) => {
            format!("('Multicast', ({},  rd {}))", route.originator, route.rd)
        }
        other => format!("'{other}'"),
    }
}

/// `l2vpn/evpn`.
pub(super) fn family(family: Family) -> String {
    let (afi, safi) = family_names(family);
    format!("{afi}/{safi}")
}

/// `(l2vpn, evpn)`.
pub(super) fn family_pair(family: Family) -> String {
    let (afi, safi) = family_names(family);
    format!("({afi}, {safi})")
}

fn family_names(family: Family) -> (String, String) {
    let afi = match family.afi {
        1 => "ipv4".to_owned(),
        2 => "ipv6".to_owned(),
        25 => "l2vpn".to_owned(),
        other => other.to_string(),
    };
    let safi = match family.safi {
        1 => "unicast".to_owned(),
        70 => "evpn".to_owned(),
        128 => "mpls-vpn".to_owned(),
        132 => "rtc".to_owned(),
        134 => "flow-vpn".to_owned(),
        other => other.to_string(),
    };
    (afi, safi)
}

/// `target:64512:1`.
pub(super) fn route_target(rt: RouteTarget) -> String {
    format!("target:{rt}")
}

/// The attributes that the original shows: not ORIGIN, AS_PATH nor the next hop.
pub(super) fn attributes(attributes: &Attributes) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            shown.insert(name.to_owned(), Value::String(text));
        }
    };
    put("cluster-list", list(attributes.cluster_list()));
    let communities = attributes
        .communities()
        .map(|c| format!("{}:{}", c.asn(), c.number()));
    put("community", list(communities));
    put(
        "extended-community",
        list(attributes.extended_communities().map(extended_community)),
    );
    put("large-community", list(attributes.large_communities()));
    put(
        "local-preference",
        attributes.local_pref().map(|value| value.to_string()),
    );
    put("med", attributes.med().map(|value| value.to_string()));
    put(
        "originator-id",
        attributes.originator_id().map(|id| id.to_string()),
    );
    put(
        "pmsi-tunnel",
        attributes.pmsi_tunnel().map(|tunnel| pmsi_tunnel(&tunnel)),
    );
    Value::Object(shown)
}

/// `[ a b ]`; nothing for no items.
fn list<T: Display>(items: impl Iterator<Item = T>) -> Option<String> {
    let text = items.fold(String::new(), |text, item| format!("{text} {item}"));
    (!text.is_empty()).then(|| format!("[{text} ]"))
}

fn extended_community(community: ExtendedCommunity) -> String {
    if let Some(tunnel_type) = community.as_encapsulation() {
        return match tunnel_type {
            0 => "encap:Default".to_owned(),
            encapsulation::GRE => "encap:GRE".to_owned(),
            encapsulation::VXLAN => "encap:VXLAN".to_owned(),
            encapsulation::NVGRE => "encap:NVGRE".to_owned(),
            encapsulation::MPLS => "encap:MPLS".to_owned(),
            encapsulation::MPLS_IN_UDP => "encap:MPLS-in-UDP".to_owned(),
            other => format!("encap:encap-{other}"),
        };
    }
    if let Some(order) = community.as_hash_order() {
        return format!("consistentHashSortOrder:{order}");
    }
    community.to_string()
}

fn pmsi_tunnel(tunnel: &PmsiTunnel) -> String {
    let PmsiTunnel {
        flags, label: raw, ..
    } = tunnel;
    match (tunnel.kind(), tunnel.endpoint()) {
        (PmsiTunnelKind::IngressReplication, Some(endpoint)) => {
            format!(
                "pmsi:ingressreplication:{flags}:{}({raw}):{endpoint}",
                raw >> 4
            )
        }
        _ => format!("pmsi:{tunnel}"),
    }
}

/// `YYYY-MM-DD HH:MM:SS`, local time.
pub(super) fn local_time(time: SystemTime) -> String {
    format_time(
        Timestamp::try_from(time).unwrap_or_default(),
        "%Y-%m-%d %H:%M:%S",
    )
}

fn format_time(time: Timestamp, format: &str) -> String {
    time.to_zoned(TimeZone::system())
        .strftime(format)
        .to_string()
}

/// Log records as the `logs` nodes show them.
pub(super) fn logs(records: &[LogRecord]) -> Value {
    records.iter().map(log).collect()
}

/// Those records that have `value` in one of their fields.
pub(super) fn logs_about(records: &[LogRecord], value: &str) -> Value {
    let about = |record: &&LogRecord| record.fields.iter().any(|(_, of)| of == value);
    records.iter().filter(about).map(log).collect()
}

fn log(record: &LogRecord) -> Value {
    let level = if record.level == Level::ERROR {
        "ERROR"
    } else {
        "WARNING"
    };
    json!({
        "level": level,
        "time": format_time(record.at, "%Y-%m-%d %H:%M:%S,%3f"),
        "name": record.target,
        "message": record.message.replace('"', "'"),
    })
}
