//! Outputs as text.

use chanter_bgp::{
    CodecContext, Message, RouteEvent, UpdateBatch, decode_message, decode_update, frame_len,
};
use chanter_engine::desired::{DesiredChange, DesiredValue};
use chanter_engine::{Engine, Event, ObjectStatus, Output, PeerOrder};

pub(crate) fn output_text(output: &Output) -> Option<String> {
    Some(match output {
        Output::ExportReady(_) => return None,
        Output::Program(DesiredChange {
            key,
            value: Some(value),
            ..
        }) => {
            format!("program {key}: {}", value_text(value))
        }
        Output::Program(DesiredChange {
            key, value: None, ..
        }) => format!("program {key}: none"),
        Output::PruneAllowed => "prune allowed".to_owned(),
        Output::Status {
            source,
            key,
            status,
        } => {
            format!("status {source} {key}: {}", status_text(status))
        }
        // The status says the same.
        Output::Event(Event::Object { .. }) => return None,
        Output::Event(event) => format!("event {event}"),
        Output::Order(PeerOrder::Refresh { peer, families }) => {
            let families: Vec<String> = families.iter().map(ToString::to_string).collect();
            format!("order refresh {} {}", peer.0, families.join(","))
        }
        Output::Order(PeerOrder::PrefixLimit {
            peer,
            family,
            limit,
        }) => format!("order prefix-limit {} {family} {limit}", peer.0),
    })
}

fn value_text(value: &DesiredValue) -> String {
    match value {
        DesiredValue::Domain(domain) => {
            let bridge = domain
                .bridge
                .as_ref()
                .map(|bridge| format!(" bridge {bridge}"));
            let bridge = bridge.unwrap_or_default();
            format!(
                "instance {} vni {} vtep {}{bridge}",
                domain.instance, domain.vni, domain.vtep
            )
        }
        DesiredValue::Port { vlan: Some(vlan) } => format!("vlan {vlan}"),
        DesiredValue::Port { vlan: None } => "untagged".to_owned(),
        DesiredValue::LocalMac { port } => format!("port {port}"),
        DesiredValue::Flood { vni } => format!("vni {vni}"),
        DesiredValue::RemoteMac { vtep, vni, sticky } => {
            format!(
                "vtep {vtep} vni {vni}{}",
                if *sticky { " sticky" } else { "" }
            )
        }
        DesiredValue::Neighbor { mac } => format!("mac {mac}"),
    }
}

pub(crate) fn status_text(status: &ObjectStatus) -> String {
    match status {
        ObjectStatus::Pending => "pending".to_owned(),
        ObjectStatus::Installed => "installed".to_owned(),
        ObjectStatus::Rejected { field, reason } => format!("rejected, {field}: {reason}"),
        ObjectStatus::Failed { error } => format!("failed, {error}"),
        ObjectStatus::Removed => "removed".to_owned(),
    }
}

pub(crate) fn objects_text(engine: &Engine) -> Vec<String> {
    let objects = engine.objects().into_iter();
    objects
        .map(|o| format!("{} {}: {}", o.source, o.key, status_text(&o.status)))
        .collect()
}

/// UPDATE messages as a peer reads them.
pub(crate) fn updates_text(mut octets: &[u8]) -> Vec<String> {
    let context = CodecContext::default();
    let mut lines = Vec::new();
    while let Some(header) = octets.first_chunk() {
        let len = frame_len(header, context.message_len_max).expect("a whole message");
        let (message, rest) = octets.split_at(len);
        octets = rest;
        let Ok(Message::Update(body)) = decode_message(message) else {
            panic!("not an UPDATE message: {message:?}");
        };
        let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
        decode_update(body, &context, &mut batch, &mut faults).expect("a correct message");
        assert!(faults.is_empty(), "{faults:?}");
        for event in &batch.events {
            lines.push(match event {
                RouteEvent::Reach {
                    nlri,
                    data,
                    attributes,
                } => {
                    let attributes = batch.attributes(*attributes).expect("in the batch");
                    let label = match data.label {
                        0 => String::new(),
                        label => format!(" label {label}"),
                    };
                    format!("reach {nlri}{label}, {attributes}")
                }
                RouteEvent::Withdraw { nlri, .. } => format!("withdraw {nlri}"),
                RouteEvent::EndOfRib(family) => format!("end-of-rib {family}"),
            });
        }
    }
    lines
}
