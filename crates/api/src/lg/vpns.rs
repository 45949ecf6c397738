//! `vpns`: instances and the dataplane.

use std::collections::BTreeMap;

use chanter_bgp::Family;
use chanter_engine::view::{AttachmentView, InstanceView, PathSource, RouteQuery};
use chanter_intent::{AttachmentKey, InstanceId};
use serde_json::{Map, Value, json};

use super::node::{Url, descend};
use super::routes::{Workers, collect};
use super::{Glass, text};
use crate::bagpipe::Failure;

/// The only type of instances that has a dataplane.
const EVPN: &str = "evpn";

impl Glass<'_> {
    pub(super) async fn vpns(&self, items: &[&str]) -> Result<Value, Failure> {
        let here = self.root.child("vpns");
        match items {
            ["instances", rest @ ..] => self.instances(&here.child("instances"), rest).await,
            ["dataplane", rest @ ..] => self.dataplane(&here.child("dataplane"), rest).await,
            _ => {
                let views = self.state.engine.query(|engine| engine.instances()).await?;
                let per_vni: Map<String, Value> = views.iter().map(per_vni).collect();
                let node = json!({
                    "instances": here.href("instances"),
                    "dataplane": here.href("dataplane"),
                    "instances_per_vni": per_vni,
                });
                descend(node, &here, items)
            }
        }
    }

    async fn instances(&self, here: &Url, items: &[&str]) -> Result<Value, Failure> {
        let Some((id, rest)) = items.split_first() else {
            let views = self.state.engine.query(|engine| engine.instances()).await?;
            let elements = views.iter().map(|view| {
                let mut element = here.element(view.declared.id.as_str());
                element["name"] = json!(name(view));
                if let Some(description) = &view.declared.description {
                    element["description"] = description.clone();
                }
                element
            });
            return Ok(elements.collect());
        };
        let key = InstanceId::new(id);
        match self
            .state
            .engine
            .query(move |engine| engine.instance(&key))
            .await?
        {
            Some(view) => self.instance(&here.child(id), view, rest).await,
            None => Err(here.not_found(id)),
        }
    }

    /// An instance: the same node under `vpns/instances` and under `bgp/workers`.
    pub(super) async fn instance(
        &self,
        here: &Url,
        view: InstanceView,
        items: &[&str],
    ) -> Result<Value, Failure> {
        let id = view.declared.id.clone();
        match items {
            ["ports", rest @ ..] => descend(self.ports(&view), &here.child("ports"), rest),
            [
                item @ ("received_routes" | "best_routes" | "adv_routes"),
                rest @ ..,
            ] => descend(
                self.instance_routes(&id, item).await?,
                &here.child(item),
                rest,
            ),
            ["logs", rest @ ..] => {
                let logs = text::logs_about(&self.state.logs.records(), id.as_str());
                descend(logs, &here.child("logs"), rest)
            }
            ["dataplane", rest @ ..] => {
                self.instance_dataplane(&here.child("dataplane"), &id, rest)
                    .await
            }
            _ => descend(self.instance_node(here, &view), here, items),
        }
    }

    fn instance_node(&self, here: &Url, view: &InstanceView) -> Value {
        let declared = &view.declared;
        let rts = |rts: &std::collections::BTreeSet<_>| -> Vec<String> {
            rts.iter().copied().map(text::route_target).collect()
        };
        let subscriptions: Vec<String> = rts(&declared.import)
            .iter()
            .map(|rt| format!("match:{},{rt}", text::family(Family::L2VPN_EVPN)))
            .collect();
        let subnet_len = self.state.rest.read(|store| {
            store
                .instance(&declared.id)
                .and_then(|record| record.subnet_len)
        });
        json!({
            "name": name(view),
            "internals": {"event queue length": 0, "subscriptions": subscriptions},
            "instance_type": "EVI",
            "external_instance_id": declared.id,
            "description": declared.description,
            "route_targets": {"import": rts(&declared.import), "export": rts(&declared.export)},
            "gateway_ip": declared.gateway_ip,
            "subnet_prefix_length": subnet_len,
            "instance_dataplane_id": view.vni.value(),
            "readvertise": {},
            "attract_traffic": {},
            "fallback": null,
            "gateway_port": null,
            "rd": view.rd,
            "ports": here.href("ports"),
            "dataplane": here.href("dataplane"),
            "received_routes": here.href("received_routes"),
            "best_routes": here.href("best_routes"),
            "adv_routes": here.href("adv_routes"),
            "logs": here.href("logs"),
        })
    }

    fn ports(&self, view: &InstanceView) -> Value {
        let mut ports: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for attachment in &view.attachments {
            let (mac, ip) = self.texts(&attachment.key);
            let endpoint = json!({
                "label": view.vni.value(),
                "mac_address": mac,
                "ip_address": ip,
                "local_pref": attachment.local_pref,
                "rd": format!(" rd {}", view.rd),
                "description": attachment.description,
                "direction": "both",
            });
            ports
                .entry(attachment.port.name.as_str())
                .or_default()
                .push(endpoint);
        }
        let ports: Map<String, Value> = ports
            .into_iter()
            .map(|(name, endpoints)| (name.to_owned(), json!({"endpoints": endpoints})))
            .collect();
        Value::Object(ports)
    }

    /// The addresses as the client wrote them.
    fn texts(&self, key: &AttachmentKey) -> (String, Option<String>) {
        let record = self.state.rest.read(|store| store.attachment(key).cloned());
        match record {
            Some(record) => (record.mac_text, record.ip_text),
            None => (key.mac.to_string(), key.ip.map(|ip| ip.to_string())),
        }
    }

    async fn instance_routes(&self, id: &InstanceId, which: &str) -> Result<Value, Failure> {
        let query = RouteQuery {
            family: Some(Family::L2VPN_EVPN),
            instance: Some(id.clone()),
            local_only: which == "adv_routes",
            ..RouteQuery::default()
        };
        let routes = collect(&self.state.engine, query).await?;
        let workers = Workers::of(self, &routes).await?;
        let received = |source: &PathSource| matches!(source, PathSource::Peer { .. });
        Ok(match which {
            "adv_routes" => {
                let own = PathSource::Instance(id.clone());
                workers.list(&routes, |path| path.source == own)
            }
            "received_routes" => workers.by_tracked(&routes, |path| received(&path.source)),
            _ => workers.by_tracked(&routes, |path| {
                received(&path.source) && path.imported_by.contains(id)
            }),
        })
    }

    async fn instance_dataplane(
        &self,
        here: &Url,
        id: &InstanceId,
        items: &[&str],
    ) -> Result<Value, Failure> {
        match items {
            ["logs", rest @ ..] => descend(json!([]), &here.child("logs"), rest),
            ["objects", rest @ ..] => {
                let key = id.clone();
                let objects = self
                    .state
                    .engine
                    .query(move |e| e.desired(Some(&key)))
                    .await?;
                let objects: Map<String, Value> = objects
                    .iter()
                    .map(|object| {
                        let state = match &object.result {
                            None => "pending",
                            Some(Ok(())) => "installed",
                            Some(Err(error)) => error.as_str(),
                        };
                        (object.key.to_string(), json!(state))
                    })
                    .collect();
                descend(Value::Object(objects), &here.child("objects"), rest)
            }
            _ => {
                let drivers = self.root.child("vpns").child("dataplane").child("drivers");
                let node = json!({
                    "driver": drivers.element(EVPN),
                    "logs": here.href("logs"),
                    "objects": here.href("objects"),
                });
                descend(node, here, items)
            }
        }
    }

    async fn dataplane(&self, here: &Url, items: &[&str]) -> Result<Value, Failure> {
        match items {
            ["drivers"] => Ok(json!([here.child("drivers").element(EVPN)])),
            ["drivers", item, rest @ ..] if *item == EVPN => {
                self.driver(&here.child("drivers").child(EVPN), rest)
            }
            ["drivers", item, ..] => Err(here.child("drivers").not_found(item)),
            ["ids", rest @ ..] => {
                let views = self.state.engine.query(|engine| engine.instances()).await?;
                let ids: Map<String, Value> =
                    views.iter().flat_map(|view| self.ids(view)).collect();
                descend(Value::Object(ids), &here.child("ids"), rest)
            }
            _ => {
                let node = json!({"drivers": here.href("drivers"), "ids": here.href("ids")});
                descend(node, here, items)
            }
        }
    }

    /// What each VNI is for, in the original's words.
    fn ids(&self, view: &InstanceView) -> Option<(String, Value)> {
        let endpoint = |attachment: &AttachmentView| {
            let (mac, ip) = self.texts(&attachment.key);
            let ip = ip.map_or_else(|| "None".to_owned(), |ip| format!("'{ip}'"));
            format!(
                "interface {}, endpoint ('{mac}', {ip})",
                attachment.port.name
            )
        };
        let endpoints: Vec<String> = view.attachments.iter().map(endpoint).collect();
        let text = format!(
            "Incoming traffic for {}, {}",
            name(view),
            endpoints.join(", ")
        );
        let text = text.trim_end_matches(", ").to_owned();
        Some((view.vni.to_string(), json!(text)))
    }

    fn driver(&self, here: &Url, items: &[&str]) -> Result<Value, Failure> {
        let dataplane = &self.state.node.dataplane;
        let class = match dataplane.name.as_str() {
            "linux" => "LinuxVXLANDataplaneDriver",
            "dummy" => "DummyDataplaneDriver",
            other => other,
        };
        match items {
            ["logs", rest @ ..] => {
                let records = self.state.logs.records();
                let own: Vec<_> = records
                    .into_iter()
                    .filter(|record| record.target.starts_with("chanter_dataplane"))
                    .collect();
                descend(text::logs(&own), &here.child("logs"), rest)
            }
            _ => {
                let node = json!({
                    "name": class,
                    "local_address": dataplane.local_address,
                    "supported_encaps": ["encap:VXLAN"],
                    "config": self.state.node.config.get("DATAPLANE_DRIVER_EVPN"),
                    "kernel_release": kernel_release(),
                    "logs": here.href("logs"),
                });
                descend(node, here, items)
            }
        }
    }
}

fn name(view: &InstanceView) -> String {
    format!("EVI-{}", view.number)
}

fn per_vni(view: &InstanceView) -> (String, Value) {
    let instance = json!({"name": name(view), "external_instance_id": view.declared.id});
    (view.vni.to_string(), instance)
}

fn kernel_release() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(release.trim_end().to_owned())
}
