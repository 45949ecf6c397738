//! Views as text.

use chanter_engine::PeerId;
use chanter_engine::view::{RouteQuery, WhyQuery, WhyStep, WhySubject};
use chanter_intent::InstanceId;

use super::World;
use super::input::Words;
use super::output::objects_text;

impl World {
    pub(super) fn show(&mut self, words: &mut Words<'_>) {
        let lines = match words.next() {
            "objects" => objects_text(&self.engine),
            "desired" => self.desired_text(),
            "instance" => self.instance_text(words.next()),
            "summary" => vec![self.summary_text()],
            "peers" => self.peers_text(),
            "rejected" => self.rejected_text(),
            "routes" => self.routes_text(words),
            "why" => self.why_text(words),
            other => panic!("unknown view {other:?}: {}", words.line),
        };
        lines.into_iter().for_each(|line| self.print(line));
    }

    fn desired_text(&self) -> Vec<String> {
        let views = self.engine.desired(None).into_iter();
        views
            .map(|view| {
                let result = match view.result {
                    None => "unreported".to_owned(),
                    Some(Ok(())) => "in place".to_owned(),
                    Some(Err(error)) => error,
                };
                format!("{} of {}: {result}", view.key, view.instance)
            })
            .collect()
    }

    fn instance_text(&self, id: &str) -> Vec<String> {
        let Some(view) = self.engine.instance(&InstanceId::new(id)) else {
            return vec!["no such instance".to_owned()];
        };
        let mut lines = vec![
            format!("number {} rd {} vni {}", view.number, view.rd, view.vni),
            format!(
                "remote macs {} vteps {:?}",
                view.remote_macs, view.remote_vteps
            ),
        ];
        for a in view.attachments {
            let advertised = if a.advertised { ", advertised" } else { "" };
            let ip = a.key.ip.map(|ip| format!(" {ip}")).unwrap_or_default();
            lines.push(format!(
                "{}{ip} sequence {}{advertised}",
                a.key.mac, a.sequence
            ));
        }
        lines.extend(view.notes.into_iter().map(|note| format!("note: {note}")));
        lines
    }

    fn summary_text(&self) -> String {
        let s = self.engine.summary();
        format!(
            "peers {} instances {} attachments {} local {} received {} desired {} failed {}",
            s.peers_established,
            s.instances,
            s.attachments,
            s.routes_local,
            s.routes_received,
            s.desired_objects,
            s.desired_failed,
        )
    }

    fn peers_text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for view in self.engine.peers() {
            let up = if view.established {
                "established"
            } else {
                "not established"
            };
            lines.push(format!("{} {up}", view.addr));
            for f in view.families {
                lines.push(format!(
                    "  {}: received {} stale {} advertised {}",
                    f.family, f.received, f.stale, f.advertised
                ));
            }
        }
        lines
    }

    fn routes_text(&self, words: &Words<'_>) -> Vec<String> {
        let query = RouteQuery {
            instance: words.keyed.get("instance").map(|id| InstanceId::new(id)),
            mac: words.get("mac"),
            ip: words.get("ip"),
            peer: words.get("peer").map(PeerId),
            advertised_to: words.get("to").map(PeerId),
            local_only: words.has("local"),
            ..RouteQuery::default()
        };
        let mut lines = Vec::new();
        for route in self.engine.routes(&query).routes {
            lines.push(route.nlri.to_string());
            for path in route.paths {
                let by: Vec<&str> = path.imported_by.iter().map(|id| id.as_str()).collect();
                let stale = if path.stale { " stale" } else { "" };
                let lost = path.lost_because.unwrap_or_else(|| "best".to_owned());
                let id = match path.data.path_id {
                    0 => String::new(),
                    id => format!(" path id {id}"),
                };
                lines.push(format!(
                    "  {:?}{id}{stale}, {lost}, imported by {by:?}",
                    path.source
                ));
            }
        }
        lines
    }

    fn why_text(&self, words: &mut Words<'_>) -> Vec<String> {
        let word = words.next();
        let subject = match word.parse() {
            Ok(ip) => WhySubject::Ip(ip),
            Err(_) => WhySubject::Mac(words.parse(word)),
        };
        let instance = words.keyed.get("instance").map(|id| InstanceId::new(id));
        let mut lines = Vec::new();
        let report = self.engine.why(&WhyQuery { instance, subject });
        for part in report.instances {
            lines.push(format!("{}: {}", part.instance, part.verdict));
            part.steps
                .iter()
                .for_each(|step| step_text(step, &mut lines));
        }
        for step in &report.routes {
            step_text(step, &mut lines);
        }
        let not_taken = report.not_taken.into_iter();
        lines.extend(not_taken.map(|line| format!("  not taken: {line}")));
        lines
    }

    fn rejected_text(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for view in self.engine.peers() {
            let rejected = view.rejected.into_iter();
            lines.extend(rejected.map(|(reason, n)| format!("{}: {n} times {reason}", view.addr)));
        }
        lines
    }
}

fn step_text(step: &WhyStep, lines: &mut Vec<String>) {
    lines.push(format!("  {:?}: {}", step.stage, step.text));
    lines.extend(step.rejected.iter().map(|line| format!("    not {line}")));
}
