//! Routes as the tree shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_bgp::Family;
use chanter_driver::EngineHandle;
use chanter_engine::desired::DomainId;
use chanter_engine::view::{PathSource, PathView, RouteQuery, RouteView};
use chanter_intent::InstanceId;
use serde_json::{Map, Value, json};

use super::node::Url;
use super::{Glass, text};
use crate::bagpipe::Failure;

/// All routes that match, page by page so that the engine gets to its other work in between.
pub(super) async fn collect(
    engine: &EngineHandle,
    mut query: RouteQuery,
) -> Result<Vec<RouteView>, Failure> {
    let mut all = Vec::new();
    loop {
        let page_query = query.clone();
        let page = engine
            .query(move |engine| engine.routes(&page_query))
            .await?;
        all.extend(page.routes);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(all);
        }
    }
}

/// The names of workers: who a route came from.
pub(super) struct Workers {
    url: Url,
    numbers: BTreeMap<InstanceId, DomainId>,
    /// The next hop of routes that get theirs only when they are sent.
    local_address: Option<IpAddr>,
}

impl Workers {
    /// The workers behind `routes`.
    pub(super) async fn of(glass: &Glass<'_>, routes: &[RouteView]) -> Result<Workers, Failure> {
        let sources = routes
            .iter()
            .flat_map(|route| &route.paths)
            .map(|path| &path.source);
        let instances: BTreeSet<InstanceId> = sources
            .filter_map(|source| match source {
                PathSource::Instance(id) => Some(id.clone()),
                PathSource::Peer { .. } | PathSource::Local => None,
            })
            .collect();
        let numbers = glass
            .state
            .engine
            .query(move |engine| {
                let number = |id: InstanceId| {
                    let number = engine.instance(&id)?.number;
                    Some((id, number))
                };
                instances.into_iter().filter_map(number).collect()
            })
            .await?;
        Ok(Workers {
            url: glass.root.child("bgp").child("workers"),
            numbers,
            local_address: glass.state.node.dataplane.local_address,
        })
    }

    fn source(&self, source: &PathSource) -> Value {
        let name = match source {
            PathSource::Peer { addr, .. } => format!("BGP-{addr}"),
            PathSource::Local => super::bgp::MANAGER.to_owned(),
            PathSource::Instance(id) => match self.numbers.get(id) {
                Some(number) => format!("EVI-{number}"),
                // Gone since the routes were looked up.
                None => format!("EVI-{id}"),
            },
        };
        self.url.element(&name)
    }

    /// A route object: the NLRI's text with all about one path to it.
    pub(super) fn route(&self, route: &RouteView, path: &PathView) -> Value {
        let family = route.nlri.family();
        let next_hop = match path.source {
            PathSource::Peer { .. } => path.attributes.next_hop(),
            PathSource::Instance(_) | PathSource::Local => {
                path.attributes.next_hop().or(self.local_address)
            }
        };
        let mut about = json!({
            "afi-safi": text::family(family),
            "attributes": text::attributes(&path.attributes),
            "next_hop": next_hop.map(|addr| addr.to_string()),
            "source": self.source(&path.source),
        });
        if family.is_vpn() {
            let rts: Vec<String> = path
                .attributes
                .route_targets()
                .map(text::route_target)
                .collect();
            about["route_targets"] = json!(rts);
        }
        let mut object = Map::new();
        object.insert(text::nlri(&route.nlri, &path.data), about);
        Value::Object(object)
    }

    /// Those paths of `routes` that `wanted` takes, as a list.
    pub(super) fn list(&self, routes: &[RouteView], wanted: impl Fn(&PathView) -> bool) -> Value {
        let paths = routes.iter().flat_map(|route| {
            let wanted = &wanted;
            let paths = route.paths.iter().filter(move |path| wanted(path));
            paths.map(move |path| self.route(route, path))
        });
        paths.collect()
    }

    /// The same by what they compete for.
    pub(super) fn by_tracked(
        &self,
        routes: &[RouteView],
        wanted: impl Fn(&PathView) -> bool,
    ) -> Value {
        let mut tracked: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for route in routes {
            for path in route.paths.iter().filter(|path| wanted(path)) {
                let entry = tracked.entry(text::tracked(&route.nlri)).or_default();
                entry.push(self.route(route, path));
            }
        }
        json!(tracked)
    }
}

/// All routes by family, under the original's keys; families that it does not have only where there
/// are routes.
pub(super) fn by_family(workers: &Workers, routes: &[RouteView]) -> Value {
    let key = |family: Family| format!("{},*", text::family(family));
    let mut families: BTreeMap<String, Vec<Value>> = ["ipv4/mpls-vpn,*", "ipv4/flow-vpn,*"]
        .map(|key| (key.to_owned(), Vec::new()))
        .into_iter()
        .chain([Family::L2VPN_EVPN, Family::IPV4_RTC].map(|family| (key(family), Vec::new())))
        .collect();
    for route in routes {
        let list = families.entry(key(route.nlri.family())).or_default();
        list.extend(route.paths.iter().map(|path| workers.route(route, path)));
    }
    json!(families)
}
