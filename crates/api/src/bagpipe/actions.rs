//! Attach and detach: from the body to the answer.

use chanter_intent::{InstanceId, VpnKind};
use tracing::warn;

use super::answer::Failure;
use super::request::{BadRequest, Endpoint, parse_attach, parse_detach};
use crate::rest::{ApplyError, AttachSpec, RestSource, StoreError};

/// Attaches an endpoint; answers once the dataplane has it.
pub(crate) async fn attach(rest: &RestSource, body: &[u8]) -> Result<(), Failure> {
    let spec = parse_attach(body)?;
    let instance = spec.instance.id.clone();
    let texts = Endpoint {
        mac_text: spec.record.mac_text.clone(),
        ip_text: spec.record.ip_text.clone(),
    };
    warn_of_fixed(rest, &spec);
    let result = rest
        .apply(instance.clone(), move |store| store.plan_attach(spec))
        .await;
    result.map_err(|error| failure(error, &instance, &texts, "plug to"))
}

/// Detaches an endpoint; answers once the dataplane has let go of it.
pub(crate) async fn detach(rest: &RestSource, body: &[u8]) -> Result<(), Failure> {
    let detach = parse_detach(body)?;
    let (instance, mac, ip) = (detach.instance.clone(), detach.mac, detach.ip);
    let id = instance.clone();
    let result = rest
        .apply(instance, move |store| store.plan_detach(&id, mac, ip))
        .await;
    result.map_err(|error| failure(error, &detach.instance, &detach.endpoint, "unplug from"))
}

/// Some properties of an instance are those of its first attach; the original ignored others in
/// silence.
fn warn_of_fixed(rest: &RestSource, spec: &AttachSpec) {
    let asked = &spec.instance;
    rest.read(|store| {
        let Some(record) = store.instance(&asked.id) else {
            return;
        };
        let VpnKind::MacVrf(current) = &record.instance.kind;
        if asked.vni.is_some() && asked.vni != current.vni {
            warn!(instance = %asked.id, "vni of an existing VPN instance does not change: ignored");
        }
        if asked.bridge.is_some() && asked.bridge != current.bridge {
            warn!(instance = %asked.id,
                "linuxbr of an existing VPN instance does not change: ignored");
        }
    });
}

impl From<BadRequest> for Failure {
    fn from(BadRequest(text): BadRequest) -> Self {
        // The one complaint that the original makes before its API proper is reached.
        if text.starts_with("No local port details received") {
            Failure::bad_request(text)
        } else {
            Failure::bad_request(format!("API error: {text}"))
        }
    }
}

fn failure(error: ApplyError, instance: &InstanceId, texts: &Endpoint, verb: &str) -> Failure {
    let reason = match error {
        ApplyError::Store(error) => store_text(&error, instance, texts),
        ApplyError::Rejected {
            field: "vni",
            reason,
            ..
        } => reason,
        ApplyError::Rejected { field, reason, .. } => format!("{}: {reason}", field_name(field)),
        ApplyError::Dataplane { error, .. } if error.caused_by_intent => {
            format!("local_port: {error}")
        }
        ApplyError::Dataplane { .. } | ApplyError::Timeout { .. } | ApplyError::EngineGone => {
            return Failure::internal(format!(
                "An error occurred during local port {verb} VPN: {error}"
            ));
        }
    };
    Failure::bad_request(format!("API error: {reason}"))
}

/// The field of a body for a field of an object.
fn field_name(field: &str) -> &str {
    match field {
        "id" | "instance" => "vpn_instance_id",
        "mac" => "mac_address",
        "ip" => "ip_address",
        "port" => "local_port",
        "import" => "import_rt",
        "export" => "export_rt",
        "bridge" => "linuxbr",
        other => other,
    }
}

/// The original's words.
fn store_text(error: &StoreError, instance: &InstanceId, texts: &Endpoint) -> String {
    let Endpoint {
        mac_text: mac,
        ip_text,
    } = texts;
    let ip = ip_text
        .as_ref()
        .map_or_else(|| "None".to_owned(), |ip| format!("'{ip}'"));
    match error {
        StoreError::UnknownInstance(_) => format!("VPN {instance} could not be found"),
        StoreError::UnknownAttachment(_) => {
            format!("Endpoint ('{mac}', {ip}) not plugged yet, can't unplug")
        }
        StoreError::OtherAddress(_) => format!(
            "Endpoint ('{mac}', {ip}) not plugged yet, can't unplug: inconsistent endpoint info, \
             ip_address is not one that was plugged with that MAC address"
        ),
        StoreError::OtherPort {
            current, requested, ..
        } => format!(
            "Port information is not consistent. MAC address cannot be bound to two different \
             ports. Previous plug for port {} ({{'linuxif': '{}'}} != {{'linuxif': '{}'}}) \
             (local_port: detach the former one first)",
            requested.name,
            crate::rest::PortText(current),
            crate::rest::PortText(requested),
        ),
        StoreError::OtherMac { current, .. } => format!(
            "Inconsistent endpoint info: IP {} already bound to a MAC address different from {mac} \
             ({{'{current}'}}) (ip_address: detach it there first)",
            ip_text.as_deref().unwrap_or_default(),
        ),
    }
}
