//! `bgp`: peers, workers, routes.

use chanter_bgp::Family;
use chanter_engine::view::{PathSource, PeerView, RouteQuery};
use serde_json::{Value, json};

use super::node::{Url, descend};
use super::routes::{Workers, by_family, collect};
use super::{Glass, route_counts, text};
use crate::PeerSession;
use crate::bagpipe::Failure;

/// The worker that originates RT memberships; it has a name but is no worker in the list.
pub(super) const MANAGER: &str = "BGPManager";

impl Glass<'_> {
    pub(super) async fn bgp(&self, items: &[&str]) -> Result<Value, Failure> {
        let here = self.root.child("bgp");
        match items {
            ["peers", rest @ ..] => self.peers(&here.child("peers"), rest).await,
            ["workers", rest @ ..] => self.workers(&here.child("workers"), rest).await,
            ["routes", rest @ ..] => {
                let routes = collect(&self.state.engine, RouteQuery::default()).await?;
                let workers = Workers::of(self, &routes).await?;
                descend(by_family(&workers, &routes), &here.child("routes"), rest)
            }
            ["adv_routes", rest @ ..] => {
                descend(self.memberships().await?, &here.child("adv_routes"), rest)
            }
            _ => {
                let summary = self.state.engine.query(|engine| engine.summary()).await?;
                let node = json!({
                    "peers": here.href("peers"),
                    "routes": here.href("routes"),
                    "workers": here.href("workers"),
                    "adv_routes": here.href("adv_routes"),
                    "route_counts": route_counts(&summary),
                });
                descend(node, &here, items)
            }
        }
    }

    /// The RT memberships that this node originates.
    async fn memberships(&self) -> Result<Value, Failure> {
        let query = RouteQuery {
            family: Some(Family::IPV4_RTC),
            local_only: true,
            ..RouteQuery::default()
        };
        let routes = collect(&self.state.engine, query).await?;
        let workers = Workers::of(self, &routes).await?;
        Ok(workers.list(&routes, |path| path.source == PathSource::Local))
    }

    async fn peers(&self, here: &Url, items: &[&str]) -> Result<Value, Failure> {
        let sessions = self.state.sessions.peers();
        let Some((addr, rest)) = items.split_first() else {
            let elements = sessions.iter().map(|session| {
                let mut element = here.element(&session.addr.to_string());
                element["state"] = json!(session.state);
                element
            });
            return Ok(elements.collect());
        };
        self.peer(here, addr, addr, rest).await
    }

    /// The peer at `addr`, which `here` has under the name `item`.
    async fn peer(
        &self,
        here: &Url,
        item: &str,
        addr: &str,
        rest: &[&str],
    ) -> Result<Value, Failure> {
        let sessions = self.state.sessions.peers();
        let Some(session) = sessions
            .iter()
            .find(|session| session.addr.to_string() == addr)
        else {
            return Err(here.not_found(item));
        };
        let here = here.child(item);
        match rest {
            ["logs", rest @ ..] => {
                let logs = text::logs_about(&self.state.logs.records(), addr);
                descend(logs, &here.child("logs"), rest)
            }
            ["adv_routes", rest @ ..] => {
                // What the worker advertises to the rest of the node: what the peer sent.
                let query = RouteQuery {
                    peer: Some(session.peer),
                    ..RouteQuery::default()
                };
                let routes = collect(&self.state.engine, query).await?;
                let workers = Workers::of(self, &routes).await?;
                let of_peer = workers.list(&routes, |path| {
                    matches!(&path.source, PathSource::Peer { peer, .. } if *peer == session.peer)
                });
                descend(of_peer, &here.child("adv_routes"), rest)
            }
            _ => {
                let peer = session.peer;
                let views = self.state.engine.query(|engine| engine.peers()).await?;
                let view = views.iter().find(|view| view.peer == peer);
                descend(self.peer_node(&here, session, view), &here, rest)
            }
        }
    }

    fn peer_node(&self, here: &Url, session: &PeerSession, view: Option<&PeerView>) -> Value {
        let families: Vec<String> = session
            .families
            .iter()
            .map(|family| text::family_pair(*family))
            .collect();
        let established = session.is_established();
        json!({
            "peeringAddresses": {
                "peer_address": session.addr.to_string(),
                "local_address": session.local_addr.map(|addr| addr.to_string()),
            },
            "as_info": {"local": session.local_as.0, "peer": session.remote_as.map(|asn| asn.0)},
            "rtc": {
                "active": established && session.families.contains(&Family::IPV4_RTC),
                "enabled": self.state.node.rt_constraint,
            },
            "active_families": if established { families } else { Vec::new() },
            "protocol": {
                "state": session.state,
                "previous_state":
                    format!("({})", session.previous_state.as_deref().unwrap_or("None")),
                "hold_time": session.hold_time.map(|time| time.as_secs()),
                "last_transition_time": text::local_time(session.since),
            },
            "name": format!("BGP-{}", session.addr),
            "internals": {"event queue length": 0, "subscriptions": subscriptions(view)},
            "adv_routes": here.href("adv_routes"),
            "logs": here.href("logs"),
        })
    }

    async fn workers(&self, here: &Url, items: &[&str]) -> Result<Value, Failure> {
        let Some((name, rest)) = items.split_first() else {
            let peers = self
                .state
                .sessions
                .peers()
                .into_iter()
                .map(|s| format!("BGP-{}", s.addr));
            let instances = self.state.engine.query(|engine| engine.instances()).await?;
            let instances = instances
                .into_iter()
                .map(|view| format!("EVI-{}", view.number));
            return Ok(peers
                .chain(instances)
                .map(|name| here.element(&name))
                .collect());
        };
        if let Some(addr) = name.strip_prefix("BGP-") {
            return self.peer(here, name, addr, rest).await;
        }
        if *name == MANAGER {
            let here = here.child(MANAGER);
            return match rest {
                ["adv_routes", rest @ ..] => {
                    descend(self.memberships().await?, &here.child("adv_routes"), rest)
                }
                _ => {
                    let node = json!({"name": MANAGER, "adv_routes": here.href("adv_routes")});
                    descend(node, &here, rest)
                }
            };
        }
        let number = name
            .strip_prefix("EVI-")
            .and_then(|number| number.parse::<u32>().ok());
        let views = self.state.engine.query(|engine| engine.instances()).await?;
        match views.into_iter().find(|view| Some(view.number.0) == number) {
            Some(view) => self.instance(&here.child(name), view, rest).await,
            None => Err(here.not_found(name)),
        }
    }
}

/// What the peer asked for, in the original's words.
fn subscriptions(view: Option<&PeerView>) -> Vec<String> {
    let Some(view) = view else { return Vec::new() };
    let mut subscriptions = Vec::new();
    for family in &view.families {
        let family_text = text::family(family.family);
        match &view.wanted_rts {
            Some(rts) if family.family.is_vpn() && !view.wants_all => {
                let of_rts = rts
                    .iter()
                    .map(|rt| format!("match:{family_text},target:{rt}"));
                subscriptions.extend(of_rts);
            }
            _ => subscriptions.push(format!("match:{family_text},*")),
        }
    }
    subscriptions
}
