//! From the wire's types to those of intent and engine (pure).

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use chanter_engine::PeerId;
use chanter_engine::view::{PageToken, RouteQuery, WhyQuery, WhySubject};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Port, PortName, VpnInstance, VpnKind,
};
use chanter_types::{RouteTarget, Vni};

use super::problem::Refusal;
use crate::PeerSession;
use crate::dto;

/// The largest page of routes.
const PAGE_LEN_MAX: usize = 10_000;

/// The peer of that name: its address or interface as configured, or the address that it has.
pub(super) fn peer(text: &str, sessions: &[PeerSession]) -> Result<PeerId, Refusal> {
    let named = sessions.iter().find(|session| session.name == text);
    let addr = text.parse::<IpAddr>().ok();
    let found = named.or_else(|| {
        sessions
            .iter()
            .find(|session| Some(session.addr) == addr && !session.addr.is_unspecified())
    });
    found
        .map(|session| session.peer)
        .ok_or_else(|| Refusal::not_found(format!("there is no peer `{text}`")))
}

/// The text of a field as a value.
pub(super) fn value<T>(field: &str, text: &str) -> Result<T, Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| Refusal::field(field, error.to_string()))
}

fn optional<T>(field: &str, text: Option<&str>) -> Result<Option<T>, Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(|text| value(field, text)).transpose()
}

/// An address; the standard library's error says neither what was read nor what is expected.
fn ip(field: &str, text: &str) -> Result<IpAddr, Refusal> {
    text.parse().map_err(|_| {
        Refusal::field(
            field,
            format!("`{text}` is not an IP address: expected IPv4 or IPv6"),
        )
    })
}

pub(super) fn instance_id(text: &str) -> Result<InstanceId, Refusal> {
    if text.is_empty() {
        return Err(Refusal::field(
            "instance",
            "the name of a VPN instance must not be empty",
        ));
    }
    Ok(InstanceId::new(text))
}

/// An instance; `prefix` stands before the names of fields in refusals.
pub(super) fn instance(
    id: &InstanceId,
    spec: &dto::InstanceSpec,
    prefix: &str,
) -> Result<VpnInstance, Refusal> {
    let name = |field: &str| format!("{prefix}{field}");
    let vni = spec.vni.map(|number| {
        Vni::new(number).ok_or_else(|| {
            let detail = format!("{number} is not a VNI: expected a number from 1 to 16777215");
            Refusal::field(name("vni"), detail)
        })
    });
    let mac_vrf = MacVrf {
        vni: vni.transpose()?,
        bridge: optional(&name("bridge"), spec.bridge.as_deref())?,
    };
    Ok(VpnInstance {
        id: id.clone(),
        kind: VpnKind::MacVrf(mac_vrf),
        import: route_targets(&name("import"), &spec.import)?,
        export: route_targets(&name("export"), &spec.export)?,
        rd: optional(&name("rd"), spec.rd.as_deref())?,
        gateway_ip: spec
            .gateway_ip
            .as_deref()
            .map(|text| ip(&name("gateway_ip"), text))
            .transpose()?,
        description: spec.description.clone(),
    })
}

fn route_targets(field: &str, texts: &[String]) -> Result<BTreeSet<RouteTarget>, Refusal> {
    texts.iter().map(|text| value(field, text)).collect()
}

/// What identifies an attachment, from the parts of an address.
pub(super) fn attachment_key(
    instance: &str,
    mac: &str,
    ip_text: Option<&str>,
) -> Result<AttachmentKey, Refusal> {
    Ok(AttachmentKey {
        instance: instance_id(instance)?,
        mac: value("mac", mac)?,
        ip: ip_text.map(|text| ip("ip", text)).transpose()?,
    })
}

pub(super) fn attachment(
    key: AttachmentKey,
    spec: &dto::AttachmentSpec,
) -> Result<Attachment, Refusal> {
    if spec.port.is_empty() {
        return Err(Refusal::field(
            "port",
            "the name of a port must not be empty",
        ));
    }
    if let Some(vlan) = spec.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
        let detail = format!("{vlan} is not a VLAN: expected a number from 1 to 4094");
        return Err(Refusal::field("vlan", detail));
    }
    Ok(Attachment {
        key,
        port: Port {
            name: PortName::new(&spec.port),
            vlan: spec.vlan,
        },
        local_pref: spec.local_pref,
        sticky: spec.sticky,
        description: spec.description.clone(),
    })
}

pub(super) fn route_query(
    query: &dto::RouteQuery,
    sessions: &[PeerSession],
) -> Result<RouteQuery, Refusal> {
    let peer = |field: &str, text: &Option<String>| {
        let found = text.as_deref().map(|text| peer(text, sessions));
        // It is no address of the API that is wrong, but a parameter.
        found
            .transpose()
            .map_err(|refusal| Refusal::field(field, refusal.detail()))
    };
    let after = query.after.as_deref().map(|text| {
        let token = text.parse().map(PageToken);
        token.map_err(|_| Refusal::field("after", "expected the `next` of a page"))
    });
    let limit = query.limit.unwrap_or(PAGE_LEN_MAX);
    if !(1..=PAGE_LEN_MAX).contains(&limit) {
        let detail = format!("{limit} is out of range: expected 1 to {PAGE_LEN_MAX}");
        return Err(Refusal::field("limit", detail));
    }
    Ok(RouteQuery {
        family: optional("family", query.family.as_deref())?,
        instance: query.instance.as_deref().map(instance_id).transpose()?,
        mac: optional("mac", query.mac.as_deref())?,
        ip: query.ip.as_deref().map(|text| ip("ip", text)).transpose()?,
        peer: peer("peer", &query.peer)?,
        advertised_to: peer("advertised_to", &query.advertised_to)?,
        local_only: query.local.unwrap_or_default(),
        after: after.transpose()?,
        scan_max: limit,
    })
}

pub(super) fn why_query(query: &dto::WhyQuery) -> Result<WhyQuery, Refusal> {
    let text = &query.address;
    let subject = match (text.parse(), text.parse()) {
        (Ok(ip), _) => WhySubject::Ip(ip),
        (_, Ok(mac)) => WhySubject::Mac(mac),
        (Err(_), Err(_)) => {
            let detail = format!("`{text}` is neither an IP address nor a MAC address");
            return Err(Refusal::field("address", detail));
        }
    };
    let instance = query.instance.as_deref().map(instance_id).transpose()?;
    Ok(WhyQuery { instance, subject })
}
