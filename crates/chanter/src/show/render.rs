//! What the API answers, as text for people.

mod bgp;

use chanter_api::dto::{
    Attachment, DesiredObject, Direction, EventRecord, Instance, Path, PathSource, Peer,
    PeerFamily, Route, Status, StatusName, Summary, WhyReport, WhyStage, WhyStep,
};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) use bgp::{bfd, peer, policies, policy, policy_outcome, reload};

use super::count;
use super::table::{Align, Table, pairs};
use super::time::age;

use Align::{Left, Right};

const NONE: &str = "-";

/// The node in a few lines.
pub(crate) fn summary(summary: &Summary, now: Timestamp) -> String {
    let sources: Vec<String> = summary
        .sources
        .iter()
        .map(|source| {
            format!(
                "{} {}",
                source.source,
                if source.synced {
                    "synced"
                } else {
                    "not synced yet"
                }
            )
        })
        .collect();
    let dataplane = match summary.desired_failed {
        0 => format!(
            "{}, {} objects in place",
            summary.dataplane, summary.desired_objects
        ),
        failed => format!(
            "{}, {failed} of {} objects not in place: see `chanter show dataplane --failed`",
            summary.dataplane, summary.desired_objects
        ),
    };
    let prune = if summary.prune_allowed {
        "may remove what is not desired"
    } else {
        "removes nothing yet: sources or peers have not told all"
    };
    let mut text = pairs(&[
        ("version", summary.version.clone()),
        ("up for", age(&summary.started, now)),
        ("AS", summary.local_as.to_string()),
        ("router id", summary.router_id.clone()),
        (
            "peers",
            format!(
                "{} of {} established",
                summary.peers_established, summary.peers
            ),
        ),
        (
            "instances",
            format!("{}, {} attachments", summary.instances, summary.attachments),
        ),
        (
            "routes",
            format!(
                "{} local, {} received",
                summary.routes_local, summary.routes_received
            ),
        ),
        ("dataplane", dataplane),
        ("", prune.to_owned()),
        ("sources", or_none(sources.join(", "))),
        ("warnings", summary.warnings.to_string()),
    ]);
    let mut families = Table::new(&[("FAMILY", Left), ("DESTINATIONS", Right), ("PATHS", Right)]);
    for family in &summary.families {
        let counts = [family.destinations, family.paths].map(|count| count.to_string());
        families.row(std::iter::once(family.family.clone()).chain(counts));
    }
    if !summary.families.is_empty() {
        text.push('\n');
        text.push_str(&families.render(""));
    }
    text
}

/// Peers, a line each.
pub(crate) fn peers(peers: &[Peer], now: Timestamp) -> String {
    let reasons = |peer: &Peer| {
        let lost = peer.last_error.as_ref().filter(|_| !is_up(peer));
        [
            peer.held.as_ref().map(|held| format!("stopped: {held}")),
            lost.map(|error| format!("lost last: {error}")),
            peer.attempt_error
                .as_ref()
                .map(|error| format!("last attempt: {error}")),
        ]
    };
    peer_table(peers, now, reasons)
}

fn is_up(peer: &Peer) -> bool {
    peer.state == "Established"
}

/// Peers with `more` remarks on each.
fn peer_table<const N: usize>(
    peers: &[Peer],
    now: Timestamp,
    more: impl Fn(&Peer) -> [Option<String>; N],
) -> String {
    let mut table = Table::new(&[
        ("PEER", Left),
        ("AS", Right),
        ("STATE", Left),
        ("FOR", Left),
        ("ROLE", Left),
        ("FAMILY", Left),
        ("RECEIVED", Right),
        ("STALE", Right),
        ("ADVERTISED", Right),
        ("FLAPS", Right),
    ]);
    for peer in peers {
        let mut families = peer.families.iter();
        table.row(peer_cells(peer, families.next(), now));
        for family in families {
            let blank = (0..5).map(|_| String::new());
            table.row(blank.chain(family_cells(Some(family))));
        }
        let notes = [peer.description.clone(), without_policy(peer), wanted(peer)];
        for note in notes.into_iter().chain(more(peer)).flatten() {
            table.note(&note);
        }
    }
    table.render("no peers are configured")
}

fn peer_cells(peer: &Peer, family: Option<&PeerFamily>, now: Timestamp) -> Vec<String> {
    let asn = peer
        .remote_as
        .map_or_else(|| "any".to_owned(), |asn| asn.to_string());
    let role = match peer.role.as_deref() {
        Some("route-reflector-client") => "client".to_owned(),
        Some(role) => role.to_owned(),
        None => NONE.to_owned(),
    };
    let mut cells = vec![
        peer.name.clone(),
        asn,
        peer.state.clone(),
        age(&peer.since, now),
        role,
    ];
    cells.extend(family_cells(family));
    cells.push(peer.flaps.to_string());
    cells
}

fn family_cells(family: Option<&PeerFamily>) -> Vec<String> {
    let Some(family) = family else {
        return vec![NONE.to_owned(), String::new(), String::new(), String::new()];
    };
    let counts = [family.received, family.stale, family.advertised];
    std::iter::once(family.family.clone())
        .chain(counts.map(|count| count.to_string()))
        .collect()
}

/// In which directions no routes go for want of a policy (RFC 8212).
fn without_policy(peer: &Peer) -> Option<String> {
    let words = peer.without_policy.iter().map(|direction| match direction {
        Direction::In => "takes no routes from it, as it has no import policy",
        Direction::Out => "gives it no routes, as it has no export policy",
    });
    let words: Vec<&str> = words.collect();
    (!words.is_empty()).then(|| format!("{} (RFC 8212)", words.join("; ")))
}

/// What the peer asked for by RT constraint.
fn wanted(peer: &Peer) -> Option<String> {
    let rts = peer.wanted_rts.as_ref()?;
    Some(match (peer.wants_all, rts.is_empty()) {
        (true, _) => "wants all route targets".to_owned(),
        (false, true) => "wants no route targets".to_owned(),
        (false, false) => format!("wants {}", rts.join(" ")),
    })
}

/// VPN instances, a line each.
pub(crate) fn instances(instances: &[Instance]) -> String {
    let mut table = Table::new(&[
        ("INSTANCE", Left),
        ("TYPE", Left),
        ("VNI", Right),
        ("RD", Left),
        ("IMPORT", Left),
        ("EXPORT", Left),
        ("ATTACHMENTS", Right),
        ("REMOTE MACS", Right),
        ("VTEPS", Right),
        ("STATUS", Left),
    ]);
    for instance in instances {
        table.row([
            instance.id.clone(),
            instance.kind.clone(),
            instance.vni.to_string(),
            instance.rd.clone(),
            or_none(instance.import.join(" ")),
            or_none(instance.export.join(" ")),
            instance.attachments.to_string(),
            instance.remote_macs.to_string(),
            instance.remote_vteps.len().to_string(),
            status(&instance.status),
        ]);
    }
    table.render("no instances")
}

/// One VPN instance with its attachments.
pub(crate) fn instance(instance: &Instance, attachments: &[Attachment]) -> String {
    let mut lines = vec![
        ("instance", instance.id.clone()),
        (
            "type",
            format!("{}, number {} on this node", instance.kind, instance.number),
        ),
        ("status", status(&instance.status)),
        ("VNI", instance.vni.to_string()),
        ("RD", instance.rd.clone()),
        ("import", or_none(instance.import.join(" "))),
        ("export", or_none(instance.export.join(" "))),
        ("remote MACs", instance.remote_macs.to_string()),
        ("remote VTEPs", or_none(instance.remote_vteps.join(" "))),
        ("declared by", instance.sources.join(", ")),
    ];
    lines.extend(
        instance
            .bridge
            .as_ref()
            .map(|bridge| ("bridge", bridge.clone())),
    );
    lines.extend(
        instance
            .gateway_ip
            .as_ref()
            .map(|gateway| ("gateway", gateway.clone())),
    );
    lines.extend(
        instance
            .description
            .as_ref()
            .map(|text| ("description", plain(text))),
    );
    format!("{}\n{}", pairs(&lines), self::attachments(attachments))
}

/// Attachments, a line each.
pub(crate) fn attachments(attachments: &[Attachment]) -> String {
    let mut table = Table::new(&[
        ("MAC", Left),
        ("IP", Left),
        ("PORT", Left),
        ("VLAN", Right),
        ("LOCAL PREF", Right),
        ("SEQUENCE", Right),
        ("ADVERTISED", Left),
        ("STATUS", Left),
    ]);
    for attachment in attachments {
        let sequence = match attachment.sticky {
            true => "sticky".to_owned(),
            false => attachment.sequence.to_string(),
        };
        table.row([
            attachment.mac.clone(),
            or_none(attachment.ip.clone().unwrap_or_default()),
            attachment.port.clone(),
            attachment
                .vlan
                .map_or_else(|| NONE.to_owned(), |vlan| vlan.to_string()),
            attachment.local_pref.unwrap_or(100).to_string(),
            sequence,
            if attachment.advertised { "yes" } else { "no" }.to_owned(),
            status(&attachment.status),
        ]);
    }
    table.render("no attachments")
}

/// Routes: a line for each path, the best with `>`.
pub(crate) fn routes(routes: &[Route], detail: bool, now: Timestamp) -> String {
    let mut table = Table::new(&[
        ("", Left),
        ("DESTINATION", Left),
        ("PATH ID", Right),
        ("NEXT HOP", Left),
        ("GATEWAY", Left),
        ("LABEL", Right),
        ("PREF", Right),
        ("MED", Right),
        ("AS PATH", Left),
        ("ROUTE TARGETS", Left),
        ("FROM", Left),
        ("FOR", Left),
        ("IMPORTED BY", Left),
    ]);
    let mut family = "";
    let mut paths_count = 0;
    for route in routes {
        if route.family != family {
            family = &route.family;
            table.row([String::new(), format!("({family})")]);
        }
        for (index, path) in route.paths.iter().enumerate() {
            paths_count += 1;
            table.row(path_cells(route, path, index == 0, now));
            if let Some(reason) = &path.lost_because {
                table.note(&format!("not the best: {reason}"));
            }
            if detail {
                path_notes(path).iter().for_each(|note| table.note(note));
            }
        }
    }
    if routes.is_empty() {
        return "no routes\n".to_owned();
    }
    let counts = [
        count(routes.len(), "destination"),
        count(paths_count, "path"),
    ]
    .join(", ");
    let table = table.without_empty_columns().render("");
    format!("{table}\n{counts} (> best, s stale)\n")
}

/// What does not fit into the line of a path.
fn path_notes(path: &Path) -> Vec<String> {
    let mut notes = vec![path.attributes.clone()];
    notes.extend(path.esi.as_ref().map(|esi| format!("ESI {esi}")));
    notes
}

fn path_cells(route: &Route, path: &Path, first: bool, now: Timestamp) -> Vec<String> {
    let mark = format!(
        "{}{}",
        if path.best { ">" } else { " " },
        if path.stale { "s" } else { "" }
    );
    let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
    let source = match &path.source {
        PathSource::Peer { name, .. } => name.clone(),
        PathSource::Instance { id } => format!("instance {id}"),
        PathSource::Local => "this node".to_owned(),
    };
    vec![
        mark,
        if first {
            route.nlri.clone()
        } else {
            String::new()
        },
        number(path.path_id),
        path.next_hop.clone().unwrap_or_default(),
        path.gateway.clone().unwrap_or_default(),
        number(path.label),
        number(path.local_pref),
        number(path.med),
        path.as_path.clone(),
        path.route_targets.join(" "),
        source,
        age(&path.since, now),
        path.imported_by.join(" "),
    ]
}

/// Desired dataplane objects.
pub(crate) fn dataplane(objects: &[&DesiredObject]) -> String {
    let mut table = Table::new(&[
        ("INSTANCE", Left),
        ("OBJECT", Left),
        ("VALUE", Left),
        ("STATE", Left),
    ]);
    for object in objects {
        table.row([
            object.instance.clone(),
            object.key.clone(),
            value_text(&object.value),
            state_name(object.state).to_owned(),
        ]);
        if let Some(error) = &object.error {
            table.note(error);
        }
    }
    table.render("nothing")
}

/// The members of `{"remote-mac": {"vtep": ..., "vni": ...}}` in a line, without the name of the type,
/// which the key tells already.
fn value_text(value: &Value) -> String {
    let inner = match value.as_object() {
        Some(members) if members.len() == 1 => members.values().next(),
        _ => None,
    };
    let Some(Value::Object(members)) = inner else {
        return plain(value);
    };
    let member = |(name, value): (&String, &Value)| match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(name.clone()),
        value => Some(format!("{name} {}", plain(value))),
    };
    members
        .iter()
        .filter_map(member)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How an address is reached.
pub(crate) fn why(address: &str, report: &WhyReport, now: Timestamp) -> String {
    let steps =
        |steps: &[WhyStep]| -> String { steps.iter().map(|step| step_lines(step, now)).collect() };
    let mut parts: Vec<String> = report
        .instances
        .iter()
        .map(|instance| {
            let head = format!("{address} in {}: {}\n", instance.instance, instance.verdict);
            head + &steps(&instance.steps)
        })
        .collect();
    if !report.routes.is_empty() {
        let head = format!("{address} outside VPN instances of this node, the best first:\n");
        parts.push(head + &steps(&report.routes));
    }
    if !report.not_taken.is_empty() {
        let lines = report.not_taken.iter().map(|line| format!("  x {line}\n"));
        let head = format!("{address} was lately not taken:\n");
        parts.push(lines.fold(head, |text, line| text + &line));
    }
    if parts.is_empty() {
        return format!("nothing is known of {address} here\n");
    }
    parts.join("\n")
}

fn step_lines(step: &WhyStep, now: Timestamp) -> String {
    let since = step.since.as_ref().map(|since| age(since, now));
    let since = since.unwrap_or_default();
    let first = format!("  {:<10} {since:>7}  {}\n", stage(step.stage), step.text);
    let rejected = step.rejected.iter();
    rejected.fold(first, |text, reason| {
        text + &format!("  {:<10} {:>7}  x {reason}\n", "", "")
    })
}

fn stage(stage: WhyStage) -> &'static str {
    match stage {
        WhyStage::Source => "source",
        WhyStage::Intent => "intent",
        WhyStage::Rib => "rib",
        WhyStage::Import => "import",
        WhyStage::Advertise => "advertise",
        WhyStage::Dataplane => "dataplane",
    }
}

/// An event in a line, with the time of day here.
pub(crate) fn event(event: &EventRecord, zone: &jiff::tz::TimeZone) -> String {
    let time = match event.at.parse::<Timestamp>() {
        Ok(at) => at
            .to_zoned(zone.clone())
            .strftime("%H:%M:%S%.3f")
            .to_string(),
        Err(_) => event.at.clone(),
    };
    format!("{time}  {}", event.text)
}

fn status(status: &Status) -> String {
    let reason = [status.field.as_deref(), status.reason.as_deref()];
    let reason: Vec<&str> = reason.into_iter().flatten().collect();
    match reason.is_empty() {
        true => state_name(status.state).to_owned(),
        false => format!("{}: {}", state_name(status.state), reason.join(": ")),
    }
}

fn state_name(state: StatusName) -> &'static str {
    match state {
        StatusName::Pending => "pending",
        StatusName::Installed => "installed",
        StatusName::Rejected => "rejected",
        StatusName::Failed => "failed",
        StatusName::Removed => "removed",
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() {
        NONE.to_owned()
    } else {
        text
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
