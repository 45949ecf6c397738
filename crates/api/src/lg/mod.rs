//! bagpipe-bgp's looking glass: a read-only tree of JSON over HTTP.
//!
//! A node's big children stand in it as `{"href": URL}`, small ones inline. A path leads along
//! nodes and then into the members of the last one. Keys and texts are those of the original, whose
//! tools and users' scripts read them; what it does not have is added under new keys.

mod bgp;
mod node;
mod routes;
mod text;
mod vpns;

#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use chanter_driver::EngineGone;
use serde_json::{Value, json};

use self::node::{Url, descend};
use crate::ApiState;
use crate::bagpipe::Failure;

/// The path of the tree's root.
pub(crate) const ROOT: &str = "/looking-glass";

/// The node at `path`, which begins with [`ROOT`].
pub(crate) async fn lookup(
    state: &ApiState,
    path: &str,
    headers: &HeaderMap,
) -> Result<Value, Failure> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let glass = Glass {
        state,
        root: Url::root(host.unwrap_or("127.0.0.1:8082"), ROOT),
    };
    let rest = path.strip_prefix(ROOT).unwrap_or_default();
    let items: Vec<String> = rest
        .split('/')
        .filter(|item| !item.is_empty())
        .map(node::percent_decode)
        .collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    glass.get(&items).await
}

struct Glass<'a> {
    state: &'a ApiState,
    root: Url,
}

impl Glass<'_> {
    async fn get(&self, items: &[&str]) -> Result<Value, Failure> {
        match items {
            ["config", rest @ ..] => descend(
                self.state.node.config.clone(),
                &self.root.child("config"),
                rest,
            ),
            ["logs", rest @ ..] => descend(
                text::logs(&self.state.logs.records()),
                &self.root.child("logs"),
                rest,
            ),
            ["bgp", rest @ ..] => self.bgp(rest).await,
            ["vpns", rest @ ..] => self.vpns(rest).await,
            _ => {
                let root = json!({
                    "summary": self.summary().await?,
                    "config": self.root.href("config"),
                    "bgp": self.root.href("bgp"),
                    "vpns": self.root.href("vpns"),
                    "logs": self.root.href("logs"),
                });
                descend(root, &self.root, items)
            }
        }
    }

    async fn summary(&self) -> Result<Value, Failure> {
        let summary = self.state.engine.query(|engine| engine.summary()).await?;
        Ok(json!({
            "BGP_established_peers": summary.peers_established,
            "route_counts": route_counts(&summary),
            "vpn_instances_count": summary.instances,
            "warnings_and_errors": self.state.logs.len(),
            "start_time": text::local_time(self.state.node.started),
            "version": self.state.node.version,
        }))
    }
}

fn route_counts(summary: &chanter_engine::view::Summary) -> Value {
    json!({
        "local_routes_count": summary.routes_local,
        "received_routes_count": summary.routes_received,
    })
}

impl From<EngineGone> for Failure {
    fn from(gone: EngineGone) -> Self {
        Failure::internal(gone.to_string())
    }
}
