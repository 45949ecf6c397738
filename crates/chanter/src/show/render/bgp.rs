//! Peers in full, policies, BFD.

use chanter_api::dto::{
    BfdSession, Direction, Negotiated, PeerDetail, PeerInFull, Policy, PolicyOutcome, PolicyRule,
    ReloadReport,
};
use jiff::Timestamp;

use super::{NONE, or_none, peer_table};
use crate::show::table::{Align, Table, folded, pairs};
use crate::show::time::age;

use Align::{Left, Right};

/// Values are folded at this width.
const VALUE_WIDTH: usize = 84;
/// The same of those side by side.
const CELL_WIDTH: usize = 40;

type Lines = Vec<(&'static str, String)>;

/// One peer in full.
pub(crate) fn peer(whole: &PeerInFull, now: Timestamp) -> String {
    let mut lines = session(whole, now);
    lines.extend(timers(whole, now));
    lines.extend(whole.detail.negotiated.iter().flat_map(negotiated));
    lines.extend(policy_of(whole));
    let mut text = peer_table(std::slice::from_ref(&whole.peer), now, |_| []);
    text.push('\n');
    text.push_str(&pairs(&lines));
    text.push_str(&capabilities(&whole.detail));
    text
}

fn session(whole: &PeerInFull, now: Timestamp) -> Lines {
    let (peer, detail) = (&whole.peer, &whole.detail);
    let mut lines: Lines = Vec::new();
    if let Some(hostname) = &peer.hostname {
        lines.push(("host name", hostname.clone()));
    }
    if let (Some(local), Some(remote)) = (&detail.local_endpoint, &detail.remote_endpoint) {
        lines.push(("connection", format!("{local} - {remote}")));
    }
    let id = peer.router_id.clone().unwrap_or_else(|| NONE.to_owned());
    lines.push(("router id", id));
    let ours = peer.local_as;
    let wanted = &detail.remote_as_wanted;
    lines.push(("AS", format!("ours {ours}, the peer's is to be {wanted}")));
    let auth = detail.auth.clone().unwrap_or_else(|| "none".to_owned());
    lines.push(("authentication", auth));
    lines.push(("distance", detail.ttl.clone()));
    if let Some(bfd) = &detail.bfd {
        lines.push(("BFD", bfd.clone()));
    }
    if detail.passive {
        lines.push(("connecting", "the peer only".to_owned()));
    }
    if let Some(held) = &peer.held {
        lines.push(("stopped", held.clone()));
    }
    if let Some(down) = &detail.last_down {
        let text = format!("{} ago: {}", age(&down.at, now), down.reason);
        lines.push(("lost last", text));
    }
    if let Some(error) = &peer.attempt_error {
        lines.push(("last attempt", error.clone()));
    }
    lines
}

fn timers(whole: &PeerInFull, now: Timestamp) -> Lines {
    let (peer, detail) = (&whole.peer, &whole.detail);
    let secs = |secs: Option<u64>| secs.map_or_else(|| NONE.to_owned(), |secs| format!("{secs} s"));
    let mut lines: Lines = vec![(
        "timers",
        format!(
            "hold {}, keepalive {}",
            secs(peer.hold_time_secs),
            secs(detail.keepalive_secs)
        ),
    )];
    if let Some(at) = &detail.next_attempt {
        lines.push(("next attempt", in_future(at, now)));
    }
    let count = |counts: chanter_api::dto::MessageCounts| {
        format!(
            "open {}, update {}, notification {}, keepalive {}, route-refresh {}",
            counts.open, counts.update, counts.notification, counts.keepalive, counts.route_refresh
        )
    };
    lines.push(("received", count(peer.received)));
    lines.push(("sent", count(peer.sent)));
    let times = format!("{} times, lost {} times", detail.established, peer.flaps);
    lines.push(("established", times));
    lines
}

fn in_future(at: &str, now: Timestamp) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) => format!("in {} s", at.duration_since(now).as_secs().max(0)),
        Err(_) => at.to_owned(),
    }
}

fn negotiated(negotiated: &Negotiated) -> Lines {
    let mut lines: Lines = Vec::new();
    let refresh = match (negotiated.route_refresh, negotiated.enhanced_refresh) {
        (_, true) => "enhanced (RFC 7313)",
        (true, false) => "plain (RFC 2918)",
        (false, false) => "no",
    };
    let octets = if negotiated.four_octet_as { 4 } else { 2 };
    lines.push((
        "negotiated",
        format!(
            "AS numbers of {octets} octets, messages up to {} octets, route refresh {refresh}",
            negotiated.message_len_max
        ),
    ));
    for (what, families) in [
        (
            "several paths from the peer in",
            &negotiated.add_path_receive,
        ),
        ("several paths to the peer in", &negotiated.add_path_send),
        ("IPv6 next hops in", &negotiated.extended_next_hop),
        ("long-lived graceful restart in", &negotiated.long_lived),
    ] {
        if !families.is_empty() {
            let text = format!("{what} {}", families.join(", "));
            lines.extend(
                folded(&text, VALUE_WIDTH)
                    .into_iter()
                    .map(|line| ("", line)),
            );
        }
    }
    if let Some(secs) = negotiated.restart_secs {
        let also = match negotiated.restart_on_notification {
            true => ", after NOTIFICATION as well",
            false => "",
        };
        lines.push(("", format!("graceful restart {secs} s{also}")));
    }
    if let Some(role) = &negotiated.peer_role {
        lines.push(("", format!("the peer is our {role}")));
    }
    lines
}

fn policy_of(whole: &PeerInFull) -> Lines {
    let policy = &whole.detail.policy;
    let missing = &whole.peer.without_policy;
    let name = |name: &Option<String>, direction: Direction| match name {
        Some(name) => name.clone(),
        None if missing.contains(&direction) => "none: no routes (RFC 8212)".to_owned(),
        None => "none: all routes".to_owned(),
    };
    let mut lines: Lines = vec![
        ("import policy", name(&policy.import, Direction::In)),
        ("export policy", name(&policy.export, Direction::Out)),
    ];
    if !policy.options.is_empty() {
        lines.push(("options", policy.options.join(", ")));
    }
    for (index, limit) in policy.max_prefixes.iter().enumerate() {
        let label = if index == 0 { "limits" } else { "" };
        let families = &whole.peer.families;
        let family = families.iter().find(|family| family.family == limit.family);
        let now = family.map_or(0, |family| family.received);
        let text = format!(
            "{} {now} of {}, warning at {} %, then {}",
            limit.family, limit.limit, limit.warn_percent, limit.action
        );
        lines.push((label, text));
    }
    for (index, rejected) in whole.rejected.iter().enumerate() {
        let label = if index == 0 { "not taken" } else { "" };
        lines.push((label, format!("{} by {}", rejected.count, rejected.reason)));
    }
    lines
}

/// What both sides offered, side by side.
fn capabilities(detail: &PeerDetail) -> String {
    let ours = named_all(&detail.capabilities_sent);
    let theirs = named_all(&detail.capabilities_received);
    let mut table = Table::new(&[("CAPABILITY", Left), ("OURS", Left), ("PEER'S", Left)]);
    let value = |list: &[(&str, &str)], name: &str| {
        let found = list.iter().find(|(other, _)| *other == name);
        match found {
            None => vec![NONE.to_owned()],
            Some((_, "")) => vec!["yes".to_owned()],
            Some((_, value)) => folded(value, CELL_WIDTH),
        }
    };
    let only_theirs = theirs
        .iter()
        .filter(|(name, _)| !ours.iter().any(|(other, _)| other == name));
    for (name, _) in ours.iter().chain(only_theirs) {
        let (ours, theirs) = (value(&ours, name), value(&theirs, name));
        for line in 0..ours.len().max(theirs.len()) {
            let name = if line == 0 { *name } else { "" };
            let cell = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
            table.row([name.to_owned(), cell(&ours), cell(&theirs)]);
        }
    }
    if ours.is_empty() && theirs.is_empty() {
        return String::new();
    }
    format!("\n{}", table.render(""))
}

fn named_all(texts: &[String]) -> Vec<(&str, &str)> {
    texts.iter().map(|text| named(text)).collect()
}

/// The name of a capability, and its value. A family is part of the name.
fn named(text: &str) -> (&str, &str) {
    if text.starts_with("multiprotocol ") {
        return (text, "");
    }
    text.split_once(' ').unwrap_or((text, ""))
}

/// Policies, a line each.
pub(crate) fn policies(policies: &[Policy]) -> String {
    let mut table = Table::new(&[
        ("POLICY", Left),
        ("RULES", Right),
        ("ELSE", Left),
        ("USED BY", Left),
    ]);
    for policy in policies {
        table.row([
            policy.name.clone(),
            policy.rules.len().to_string(),
            policy.default.clone(),
            or_none(policy.used_by.join(", ")),
        ]);
    }
    table.render("no policies are configured")
}

/// One policy with its rules.
pub(crate) fn policy(policy: &Policy) -> String {
    let mut table = Table::new(&[("RULE", Left), ("THEN", Left), ("HITS", Right)]);
    for rule in &policy.rules {
        table.row([rule.name.clone(), rule.then.clone(), rule.hits.to_string()]);
        for line in rule_lines(rule) {
            table.note(&line);
        }
    }
    let rest = policy.default_hits.to_string();
    table.row(["default".to_owned(), policy.default.clone(), rest]);
    let used_by = or_none(policy.used_by.join(", "));
    let head = pairs(&[("policy", policy.name.clone()), ("used by", used_by)]);
    format!("{head}\n{}", table.render(""))
}

fn rule_lines(rule: &PolicyRule) -> impl Iterator<Item = String> {
    let list = |word: &'static str, items: &[String]| {
        let texts: Vec<String> = items.iter().map(|item| format!("{word} {item}")).collect();
        texts
    };
    [
        list("if", &rule.matches),
        list("unless", &rule.except),
        list("set", &rule.set),
    ]
    .into_iter()
    .flatten()
}

/// What a policy makes of a route.
pub(crate) fn policy_outcome(outcome: &PolicyOutcome) -> String {
    let verdict = match outcome.accepted {
        true => "accepted",
        false => "rejected",
    };
    let mut text = format!("{verdict} by rule {}\n", outcome.rule);
    for step in &outcome.steps {
        text.push_str(&format!("  {}: {}\n", step.rule, step.then));
        if let Some(attributes) = &step.attributes {
            text.push_str(&format!("      {attributes}\n"));
        }
    }
    match &outcome.after {
        Some(after) if *after != outcome.before => {
            text.push_str(&pairs(&[
                ("before", outcome.before.clone()),
                ("after", after.clone()),
            ]));
        }
        Some(_) => text.push_str("the attributes stay as they are\n"),
        None => {}
    }
    text
}

/// What a reload did.
pub(crate) fn reload(report: &ReloadReport) -> String {
    let mut text = String::new();
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    for line in report.kept.iter().chain(&report.changed) {
        text.push_str(&format!("{line}\n"));
    }
    if report.changed.is_empty() {
        text.push_str("nothing changed\n");
    }
    text
}

/// BFD sessions, a line each.
pub(crate) fn bfd(sessions: &[BfdSession], now: Timestamp) -> String {
    let mut table = Table::new(&[
        ("PEER", Left),
        ("TYPE", Left),
        ("STATE", Left),
        ("FOR", Left),
        ("PEER SAYS", Left),
        ("SENDS EVERY", Right),
        ("DETECTS IN", Right),
        ("SENT", Right),
        ("RECEIVED", Right),
        ("DOWNS", Right),
    ]);
    let millis =
        |time: Option<u64>| time.map_or_else(|| NONE.to_owned(), |time| format!("{time} ms"));
    for session in sessions {
        let peer = match &session.interface {
            Some(interface) => format!("{}%{interface}", session.peer),
            None => session.peer.clone(),
        };
        table.row([
            peer,
            if session.multihop {
                "multihop"
            } else {
                "single hop"
            }
            .to_owned(),
            session.state.clone(),
            age(&session.since, now),
            session.remote_state.clone(),
            millis(session.tx_interval_ms),
            millis(session.detection_time_ms),
            session.sent.to_string(),
            session.received.to_string(),
            session.downs.to_string(),
        ]);
        if session.downs > 0 {
            table.note(&format!("went down last by: {}", session.diagnostic));
        }
        if let Some(problem) = &session.problem {
            table.note(problem);
        }
    }
    table.render("no BFD sessions")
}
