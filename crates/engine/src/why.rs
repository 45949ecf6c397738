//! The way of an address through this node: who declared it, what came of that, which routes there
//! are, which of them count, what is advertised, what the dataplane holds; and what lost, and why.

mod plain;
mod text;

use std::collections::BTreeSet;
use std::net::IpAddr;

use chanter_bgp::{EvpnNlri, Nlri};
use chanter_intent::{Attachment, AttachmentKey, InstanceId, ObjectKey};
use chanter_types::MacAddr;

use crate::Engine;
use crate::desired::DesiredKey;
use crate::view::{
    PathSource, RouteQuery, RouteView, WhyInstance, WhyQuery, WhyReport, WhyStage, WhyStep,
    WhySubject,
};
use crate::vpn::{MacEntry, MacVrf, Place, advertised};
use text::{listed, local_loss, loss, remote_text, remote_win, rib_step, step, value_text};

/// Of an address that is known nowhere, so many instances tell what they know.
const UNKNOWN_MAX: usize = 20;

impl Engine {
    /// Explains an address. Where it is unknown, the report says what is known instead.
    pub fn why(&self, query: &WhyQuery) -> WhyReport {
        let routes = self.routes_about(query.subject);
        let mut ids: BTreeSet<InstanceId> = BTreeSet::new();
        for (key, _) in self.intent.all_declarations() {
            if let ObjectKey::Attachment(key) = key
                && is_about(query.subject, key.mac, key.ip)
            {
                ids.insert(key.instance.clone());
            }
        }
        for nlri in routes.iter().filter_map(|route| evpn(&route.nlri)) {
            ids.extend(self.vpn.holders(nlri).map(|vrf| vrf.id.clone()));
        }
        let wanted = |id: &&InstanceId| query.instance.as_ref().is_none_or(|only| only == *id);
        let instances: Vec<WhyInstance> = ids
            .iter()
            .filter(wanted)
            .map(|id| {
                Explanation {
                    engine: self,
                    id,
                    subject: query.subject,
                }
                .explain(&routes)
            })
            .collect();
        if !instances.is_empty() {
            return self.report(query.subject, instances);
        }
        let known = self
            .vpn
            .iter()
            .map(|vrf| &vrf.id)
            .filter(wanted)
            .take(UNKNOWN_MAX);
        let instances = known
            .map(|id| {
                Explanation {
                    engine: self,
                    id,
                    subject: query.subject,
                }
                .unknown(&routes)
            })
            .collect();
        self.report(query.subject, instances)
    }

    fn report(&self, subject: WhySubject, instances: Vec<WhyInstance>) -> WhyReport {
        let mut routes = self.plain_routes(subject);
        if instances.is_empty() {
            // A reflector has no instance that would tell of them.
            routes.extend(self.routes_about(subject).iter().map(rib_step));
        }
        WhyReport {
            instances,
            routes,
            not_taken: self.not_taken(subject),
        }
    }

    /// All destinations with the address.
    fn routes_about(&self, subject: WhySubject) -> Vec<RouteView> {
        let (mac, ip) = match subject {
            WhySubject::Mac(mac) => (Some(mac), None),
            WhySubject::Ip(ip) => (None, Some(ip)),
        };
        let family = Some(chanter_bgp::Family::L2VPN_EVPN);
        let mut query = RouteQuery {
            family,
            mac,
            ip,
            ..RouteQuery::default()
        };
        let mut routes = Vec::new();
        loop {
            let page = self.routes(&query);
            let about = |route: &RouteView| {
                matches!(
                    evpn(&route.nlri),
                    Some(EvpnNlri::MacIp(route)) if is_about(subject, route.mac, route.ip)
                )
            };
            routes.extend(page.routes.into_iter().filter(about));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return routes,
            }
        }
    }
}

fn evpn(nlri: &Nlri) -> Option<&EvpnNlri> {
    match nlri {
        Nlri::Evpn(nlri) => Some(nlri),
        _ => None,
    }
}

fn is_about(subject: WhySubject, mac: MacAddr, ip: Option<IpAddr>) -> bool {
    match subject {
        WhySubject::Mac(of) => of == mac,
        WhySubject::Ip(of) => ip == Some(of),
    }
}

/// The explanation of one address in one instance.
struct Explanation<'a> {
    engine: &'a Engine,
    id: &'a InstanceId,
    subject: WhySubject,
}

impl<'a> Explanation<'a> {
    fn explain(&self, routes: &[RouteView]) -> WhyInstance {
        let vrf = self.engine.vpn.by_id(self.id);
        let mut steps = Vec::new();
        let mut rejections = Vec::new();
        for (key, attachment) in self.attachments() {
            steps.extend(self.intent_steps(&key, attachment, &mut rejections));
        }
        let mut verdict = match rejections.first() {
            Some(reason) => format!("rejected, {reason}"),
            None => "nothing is in force".to_owned(),
        };
        if let Some(vrf) = vrf {
            let held: Vec<&RouteView> = routes.iter().filter(|r| self.concerns(vrf, r)).collect();
            steps.extend(held.iter().map(|route| rib_step(route)));
            let macs = self.macs(vrf);
            for (mac, entry) in &macs {
                steps.extend(self.import_step(vrf, *mac, entry));
                steps.extend(self.advertise_step(vrf, *mac, entry));
            }
            steps.extend(self.unusable_step(vrf, &held));
            steps.extend(self.dataplane_steps(vrf, &macs));
            let placed = macs.iter().find(|(_, e)| e.place != Place::Nowhere);
            if let Some((mac, entry)) = placed {
                verdict = self.verdict(vrf, *mac, entry);
                if matches!(entry.place, Place::Remote(_)) && all_stale(&held) {
                    verdict.push_str(", stale: the session on which it came is down");
                }
            } else if let Some(reason) = held.iter().find_map(|r| self.unusable(vrf, r)) {
                verdict = format!("not installed, {reason}");
            }
        }
        WhyInstance {
            instance: self.id.clone(),
            verdict,
            steps,
        }
    }

    fn unknown(&self, routes: &[RouteView]) -> WhyInstance {
        let source = step(WhyStage::Source, "no source declares an attachment with it");
        let text = match (routes.is_empty(), self.engine.has_established()) {
            (true, true) => "no peer has sent a route with it",
            (true, false) => "no route with it: no BGP session is established",
            (false, _) => "there are routes with it, none of which is imported",
        };
        let mut rib = step(WhyStage::Rib, text);
        for route in routes {
            let Some(path) = route.paths.first() else {
                continue;
            };
            let targets = listed(path.attributes.route_targets());
            rib.rejected.push(match targets {
                Some(targets) => format!("{} is for route targets {targets}", route.nlri),
                None => format!("{} has no route target", route.nlri),
            });
        }
        let vrf = self.engine.vpn.by_id(self.id);
        let targets = vrf.and_then(|vrf| listed(&vrf.import));
        let import = match targets {
            Some(targets) => format!("{} imports route targets {targets}", self.id),
            None => format!("{} imports no route target", self.id),
        };
        let verdict = if routes.is_empty() {
            "unknown, neither attached here nor in a route"
        } else {
            "not imported, no route with it has a route target that the instance imports"
        };
        WhyInstance {
            instance: self.id.clone(),
            verdict: verdict.to_owned(),
            steps: vec![source, rib, step(WhyStage::Import, import)],
        }
    }

    /// The attachments of the address that sources declare in this instance.
    fn attachments(&self) -> Vec<(AttachmentKey, Option<&'a Attachment>)> {
        let declared = self.engine.intent.all_declarations();
        let keys: BTreeSet<&AttachmentKey> = declared
            .filter_map(|(key, _)| match key {
                ObjectKey::Attachment(key) => Some(key),
                ObjectKey::Instance(_) => None,
            })
            .filter(|key| key.instance == *self.id && is_about(self.subject, key.mac, key.ip))
            .collect();
        keys.into_iter()
            .map(|key| (key.clone(), self.engine.intent.attachment(key)))
            .collect()
    }

    fn intent_steps(
        &self,
        key: &AttachmentKey,
        in_force: Option<&Attachment>,
        rejections: &mut Vec<String>,
    ) -> Vec<WhyStep> {
        let object = ObjectKey::Attachment(key.clone());
        let mut steps = Vec::new();
        let mut rejected = Vec::new();
        for declaration in self.engine.intent.declarations(&object) {
            let source = declaration.source;
            let said = self.engine.said.get(&(object.clone(), source)).copied();
            let mut said_step = step(
                WhyStage::Source,
                format!("source {source} declares {object}"),
            );
            said_step.since = said;
            steps.push(said_step);
            if let Some(rejection) = declaration.rejection {
                rejected.push(format!("source {source}: {rejection}"));
                rejections.push(rejection.to_string());
            }
        }
        let text = match in_force {
            Some(attachment) => {
                let vlan = attachment.port.vlan.map(|vlan| format!(" VLAN {vlan}"));
                let local_pref = attachment
                    .local_pref
                    .map(|pref| format!(", LOCAL_PREF {pref}"));
                let sticky = if attachment.sticky { ", sticky" } else { "" };
                format!(
                    "in force: port {}{}{}{sticky}",
                    attachment.port.name,
                    vlan.unwrap_or_default(),
                    local_pref.unwrap_or_default(),
                )
            }
            None => "no declaration is in force".to_owned(),
        };
        let since = self.engine.vpn.by_id(self.id).and_then(|vrf| {
            vrf.macs
                .get(&key.mac)?
                .local
                .get(&key.ip)
                .map(|local| local.since)
        });
        steps.push(WhyStep {
            stage: WhyStage::Intent,
            since,
            text,
            rejected,
        });
        steps
    }

    fn concerns(&self, vrf: &MacVrf, route: &RouteView) -> bool {
        let held = |nlri| {
            self.engine
                .vpn
                .holders(nlri)
                .any(|holder| holder.id == vrf.id)
        };
        let own = PathSource::Instance(vrf.id.clone());
        evpn(&route.nlri).is_some_and(held) || route.paths.iter().any(|path| path.source == own)
    }

    /// The MAC addresses in question.
    fn macs(&self, vrf: &'a MacVrf) -> Vec<(MacAddr, &'a MacEntry)> {
        let macs: Vec<MacAddr> = match self.subject {
            WhySubject::Mac(mac) => vec![mac],
            WhySubject::Ip(ip) => vrf.ips.get(&ip).into_iter().flatten().copied().collect(),
        };
        macs.into_iter()
            .filter_map(|mac| Some((mac, vrf.macs.get(&mac)?)))
            .collect()
    }

    /// Which of local attachments and imported routes counts for a MAC.
    fn import_step(&self, vrf: &MacVrf, mac: MacAddr, entry: &MacEntry) -> Option<WhyStep> {
        let (best_key, best) = entry.best_remote()?;
        let own = self.engine.config.vtep?;
        let mut rejected = Vec::new();
        for (key, remote) in entry.remote.iter().filter(|(key, _)| *key != best_key) {
            let (rd, ..) = key;
            rejected.push(format!(
                "{mac} at {} (RD {rd}): {}",
                remote.vtep,
                loss(remote, best)
            ));
        }
        let local = !entry.local.is_empty();
        let text = match (&entry.place, local) {
            (Place::Local(port), _) => {
                rejected.insert(0, local_loss(entry, best, own));
                format!("{mac} is at local port {port}, sequence {}", entry.sequence)
            }
            (_, true) => {
                let sequence = entry.sequence;
                rejected.insert(
                    0,
                    format!(
                        "local attachments, sequence {sequence}: {}",
                        remote_win(entry, best, own)
                    ),
                );
                remote_text(mac, best)
            }
            (_, false) => remote_text(mac, best),
        };
        let since = Some(entry.since.max(vrf.since));
        Some(WhyStep {
            stage: WhyStage::Import,
            since,
            text,
            rejected,
        })
    }

    fn unusable(&self, vrf: &MacVrf, route: &RouteView) -> Option<String> {
        vrf.unusable
            .get(evpn(&route.nlri)?)
            .map(|reason| reason.to_string())
    }

    fn unusable_step(&self, vrf: &MacVrf, held: &[&RouteView]) -> Option<WhyStep> {
        let reasons = held.iter().filter_map(|route| {
            self.unusable(vrf, route)
                .map(|reason| format!("{}: {reason}", route.nlri))
        });
        let rejected: Vec<String> = reasons.collect();
        let text = "not all routes with an imported route target are installed".to_owned();
        let stage = WhyStage::Import;
        (!rejected.is_empty()).then_some(WhyStep {
            stage,
            since: None,
            text,
            rejected,
        })
    }

    fn advertise_step(&self, vrf: &MacVrf, mac: MacAddr, entry: &MacEntry) -> Option<WhyStep> {
        if entry.local.is_empty() {
            return None;
        }
        let mut routes = Vec::new();
        let mut rejected = Vec::new();
        for nlri in entry.originated.keys() {
            let nlri = Nlri::Evpn(nlri.clone());
            let peers = listed(self.engine.advertised_to(&nlri));
            let peers = peers.unwrap_or_else(|| "no peer".to_owned());
            routes.push(format!("{nlri} to {peers}"));
            let others = self.engine.not_advertised_to(&nlri).into_iter();
            rejected.extend(others.map(|(addr, reason)| format!("to peer {addr}: {reason}")));
        }
        for ip in entry.local.keys().filter(|ip| !advertised(entry, **ip)) {
            debug_assert!(ip.is_none());
            rejected.push("the MAC address alone: its IP addresses are advertised".to_owned());
        }
        if routes.is_empty() {
            rejected.extend(self.not_advertised(vrf, mac, entry));
        }
        let text = match routes.is_empty() {
            true => "not advertised".to_owned(),
            false => format!("advertised: {}", routes.join("; ")),
        };
        Some(WhyStep {
            stage: WhyStage::Advertise,
            since: None,
            text,
            rejected,
        })
    }

    fn not_advertised(&self, vrf: &MacVrf, mac: MacAddr, entry: &MacEntry) -> Vec<String> {
        if !entry.is_local() {
            return vec![format!("the MAC is at {}", entry.place.text())];
        }
        if vrf.export.is_empty() {
            return vec!["the instance has no export route target".to_owned()];
        }
        let ip = entry.local.keys().next().copied().flatten();
        let key = AttachmentKey {
            instance: vrf.id.clone(),
            mac,
            ip,
        };
        let keys = self.engine.dataplane_keys(&ObjectKey::Attachment(key));
        keys.iter()
            .filter(|key| self.result(key) != Some(Ok(())))
            .map(|key| format!("{key} is not in place: {}", self.result_text(key)))
            .collect()
    }

    fn result(&self, key: &DesiredKey) -> Option<Result<(), String>> {
        let report = self.engine.program.get(key)?.report.clone()?;
        Some(report.map_err(|error| error.message))
    }

    fn result_text(&self, key: &DesiredKey) -> String {
        match self.result(key) {
            None => "the dataplane has yet to report".to_owned(),
            Some(Ok(())) => "in place".to_owned(),
            Some(Err(error)) => error,
        }
    }

    fn dataplane_steps(&self, vrf: &MacVrf, macs: &[(MacAddr, &MacEntry)]) -> Vec<WhyStep> {
        let mut keys = vec![DesiredKey::Domain(vrf.number)];
        for (mac, entry) in macs {
            let ports: BTreeSet<_> = entry
                .local
                .values()
                .map(|local| local.port.name.clone())
                .collect();
            keys.extend(
                ports
                    .into_iter()
                    .map(|port| DesiredKey::Port(vrf.number, port)),
            );
            keys.push(DesiredKey::LocalMac(vrf.number, *mac));
            keys.push(DesiredKey::RemoteMac(vrf.number, *mac));
            let remote = entry.remote.keys().filter_map(|(_, _, ip)| *ip);
            let ips: BTreeSet<IpAddr> = match self.subject {
                WhySubject::Ip(ip) => [ip].into(),
                WhySubject::Mac(_) => remote.collect(),
            };
            keys.extend(
                ips.into_iter()
                    .map(|ip| DesiredKey::Neighbor(vrf.number, ip)),
            );
        }
        let entries = keys
            .iter()
            .filter_map(|key| Some((key, self.engine.program.get(key)?)));
        entries
            .map(|(key, entry)| WhyStep {
                stage: WhyStage::Dataplane,
                since: Some(entry.since),
                text: format!(
                    "{key}{}: {}",
                    value_text(&entry.value),
                    self.result_text(key)
                ),
                rejected: Vec::new(),
            })
            .collect()
    }

    fn verdict(&self, vrf: &MacVrf, mac: MacAddr, entry: &MacEntry) -> String {
        match &entry.place {
            Place::Local(port) => {
                let text = format!("local, port {port}");
                let routes = entry.originated.keys();
                let peers: BTreeSet<IpAddr> = routes
                    .flat_map(|nlri| self.engine.advertised_to(&Nlri::Evpn(nlri.clone())))
                    .collect();
                if entry.originated.is_empty() {
                    let reasons = self.not_advertised(vrf, mac, entry);
                    let reason = reasons.first().map(|reason| format!(": {reason}"));
                    return format!("{text}, not advertised{}", reason.unwrap_or_default());
                }
                match peers.len() {
                    0 if self.engine.has_established() => format!("{text}, advertised to no peer"),
                    0 => format!("{text}, advertised to nobody: no BGP session is established"),
                    1 => format!("{text}, advertised to 1 peer"),
                    count => format!("{text}, advertised to {count} peers"),
                }
            }
            Place::Remote(remote) => {
                let text = format!("remote, VTEP {} VNI {}", remote.vtep, remote.vni);
                match self.result(&DesiredKey::RemoteMac(vrf.number, mac)) {
                    Some(Err(error)) => format!("{text}, not in place: {error}"),
                    _ => text,
                }
            }
            Place::Nowhere => "nowhere".to_owned(),
        }
    }
}

/// Whether the best path of each route is kept from before its session went down.
fn all_stale(routes: &[&RouteView]) -> bool {
    let best = routes.iter().filter_map(|route| route.paths.first());
    best.clone().count() > 0 && best.clone().all(|path| path.stale)
}
