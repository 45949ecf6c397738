//! BGP: ourselves, our peers, the ranges that we accept peers from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use chanter_bgp::Hostname;
use chanter_speaker::{ListenRange, PeerAddr, PeerConfig, PeerOptions};
use chanter_types::Asn;

use super::check::Checker;
use super::diagnostic::Diagnostics;
use super::field::{Field, Value};
use super::layers::{Layers, Templates, templates};
use super::peer::{Defaults, Options, graceful_restart, hold_time, source_address};
use super::peer_policy::{peer_policy, warn_of_no_policy};
use super::policy::{Policies, policies};
use super::raw::RawBgp;
use super::{
    BgpConfig, DEFAULT_GRACEFUL_RESTART, DEFAULT_HOLD_TIME, DEFAULT_RANGE_LIMIT, Node, Role,
};

const BGP_PORT: u16 = 179;

/// What all entries are read with.
struct Around<'a> {
    defaults: Defaults,
    templates: Templates<'a>,
    policies: &'a Policies,
    local_address: Option<IpAddr>,
}

impl Checker<'_> {
    pub(super) fn bgp(&mut self) -> Option<BgpConfig> {
        let raw: &RawBgp = &self.config.raw.bgp;
        let local_as = self.local_as();
        let local_address = match &raw.local_address {
            Some(field) => self.address_or_device(field),
            None if self.role == Role::RouteReflector => None,
            None => {
                let expected = "an IP address or the name of a network device";
                self.missing(self.config.dialect.local_address, expected);
                None
            }
        };
        let router_id = identifier(raw.router_id.as_ref(), self.found);
        let cluster_id = identifier(raw.cluster_id.as_ref(), self.found);
        let flag = |field: &Option<Field>, found: &mut Diagnostics| {
            field.as_ref().and_then(|field| field.boolean(found))
        };
        let rt_constraint = flag(&raw.rt_constraint, self.found).unwrap_or(true);
        let graceful_restart = match &raw.graceful_restart {
            Some(field) => graceful_restart(field, self.found),
            None => Some(DEFAULT_GRACEFUL_RESTART),
        };
        let hostname = self.hostname();
        let listen = self.listen();
        let policies = policies(&self.config.raw, self.found);
        let around = Around {
            // Go on with a stand-in so that faults of peers are shown in the same go.
            defaults: Defaults {
                role: self.role,
                local_as: self
                    .running
                    .map_or(local_as.unwrap_or(Asn::TRANS), |bgp| bgp.local_as),
                hold_time: hold_time(raw.hold_time.as_ref(), DEFAULT_HOLD_TIME, self.found),
                graceful_restart,
                rt_constraint: self.running.map_or(rt_constraint, |bgp| bgp.rt_constraint),
                require_policy: flag(&raw.require_policy, self.found).unwrap_or(true),
                listens: !listen.is_empty(),
            },
            templates: templates(&raw.templates, self.found),
            policies: &policies,
            local_address,
        };
        self.templates(&around);
        let peers = self.peers(&around);
        let ranges = raw.ranges.iter();
        let ranges: Vec<ListenRange> = ranges
            .filter_map(|range| self.range(range, &around))
            .collect();
        let router_id = router_id.or_else(|| self.router_id(local_address));
        Some(BgpConfig {
            local_as: local_as?,
            local_address,
            router_id: router_id?,
            cluster_id,
            rt_constraint,
            graceful_restart,
            hostname,
            listen,
            peers,
            ranges,
            policies,
        })
    }

    fn local_as(&mut self) -> Option<Asn> {
        const EXPECTED: &str = "an AS number, 1 to 4294967295";
        let field = self.config.raw.bgp.local_as.as_ref();
        if field.is_none() {
            self.missing(self.config.dialect.local_as, EXPECTED);
        }
        field.and_then(|field| field.parse(self.found, EXPECTED))
    }

    /// The local address if it is IPv4, else another IPv4 address of the node.
    fn router_id(&mut self, local_address: Option<IpAddr>) -> Option<Ipv4Addr> {
        match local_address {
            Some(IpAddr::V4(addr)) if !addr.is_unspecified() => return Some(addr),
            // The fault of the local address has been reported.
            None if self.role == Role::Agent => return None,
            _ => {}
        }
        let addr = self.node.any_ipv4();
        if addr.is_none() {
            self.missing(
                "bgp.router_id",
                "an IPv4 address, as this node has none of its own",
            );
        }
        addr
    }

    /// The node's name, unless another one is given or none is to be told.
    fn hostname(&mut self) -> Option<Hostname> {
        let name = match &self.config.raw.bgp.hostname {
            None => self.node.hostname(),
            Some(field) => match field.value {
                Value::Boolean(true) => self.node.hostname(),
                Value::Boolean(false) => None,
                _ => field.string(self.found, "true, false or a name"),
            },
        }?;
        let (host, domain) = name.split_once('.').unwrap_or((&name, ""));
        Some(Hostname {
            host: host.to_owned(),
            domain: domain.to_owned(),
        })
    }

    fn listen(&mut self) -> Vec<SocketAddr> {
        let Some(field) = &self.config.raw.bgp.listen else {
            return match self.role {
                Role::Agent => Vec::new(),
                Role::RouteReflector => everywhere(self.node),
            };
        };
        let expected = "a list of addresses such as [\"0.0.0.0:179\", \"[::]:179\"]";
        let items = field.list(self.found, expected);
        items
            .iter()
            .filter_map(|item| listen_address(item, self.found))
            .collect()
    }

    /// Looks at templates by themselves, so that one which nobody uses yet is right, too.
    fn templates(&mut self, around: &Around<'_>) {
        for table in around.templates.values() {
            let Some(mut layers) = Layers::of_template(table, self.found) else {
                continue;
            };
            layers.take("passive");
            layers.take("port");
            self.options(&mut layers, around, true);
            layers.finish(self.found);
        }
    }

    /// What an entry says of sessions and of policy.
    fn options(
        &mut self,
        layers: &mut Layers<'_>,
        around: &Around<'_>,
        any_as: bool,
    ) -> PeerOptions {
        let reader = Options {
            layers,
            defaults: &around.defaults,
            node: self.node,
            found: self.found,
        };
        let options = reader.read(any_as);
        let require_policy = around.defaults.require_policy;
        let (families, policies) = (&options.families, around.policies);
        let policy = peer_policy(layers, families, policies, require_policy, self.found);
        PeerOptions {
            policy: Arc::new(policy),
            ..options
        }
    }

    fn peers(&mut self, around: &Around<'_>) -> Vec<PeerConfig> {
        let mut peers: Vec<PeerConfig> = Vec::new();
        for entry in &self.config.raw.bgp.peers {
            match self.peer(entry, around) {
                Some(peer) if peers.iter().any(|other| other.addr == peer.addr) => {
                    let message =
                        format_args!("{} is there already, this one is left out", peer.addr);
                    entry.warning(self.found, message);
                }
                peer => peers.extend(peer),
            }
        }
        peers
    }

    fn peer(&mut self, entry: &Field, around: &Around<'_>) -> Option<PeerConfig> {
        let mut layers = Layers::new(entry, &around.templates, self.found)?;
        let addr = self.peer_addr(&mut layers);
        let port = layers.take("port");
        let port = port.and_then(|field| field.port(self.found));
        let passive = layers.boolean("passive", self.found).unwrap_or(false);
        if passive && !around.defaults.listens {
            let message = "the peer is to connect, but bgp.listen is empty: nobody answers it";
            entry.error(self.found, message);
        }
        let local = layers.take("local_address");
        let local = local.and_then(|field| self.address_or_device(field));
        let options = self.options(&mut layers, around, false);
        layers.finish(self.found);
        let addr = addr?;
        let defaults = &around.defaults;
        warn_of_no_policy(entry, &options, defaults, self.found);
        Some(PeerConfig {
            options: PeerOptions {
                passive,
                local_addr: local.or_else(|| source_address(around.local_address, addr.ip())),
                ..options
            },
            addr,
            port: port.unwrap_or(BGP_PORT),
        })
    }

    /// `address`, or `interface` for whoever is at the other end of that link.
    fn peer_addr(&mut self, layers: &mut Layers<'_>) -> Option<PeerAddr> {
        let (address, interface) = (layers.take_own("address"), layers.take_own("interface"));
        match (address, interface) {
            (Some(_), Some(field)) => {
                let message = "there is `address` already: only one of them can be";
                field.error(self.found, message);
                None
            }
            (None, None) => {
                let message = "`address` is missing: expected an IP address, or `interface` for \
                               the other end of a link";
                layers.whole().error(self.found, message);
                None
            }
            (None, Some(field)) => {
                let device = field.parse(self.found, "the name of a network device");
                device.map(PeerAddr::Interface)
            }
            (Some(field), None) => match field.text_with('%') {
                Some(_) => field.parse(self.found, "an address with its device"),
                None => self.address_or_host(field).map(PeerAddr::Ip),
            },
        }
    }

    fn range(&mut self, entry: &Field, around: &Around<'_>) -> Option<ListenRange> {
        let mut layers = Layers::new(entry, &around.templates, self.found)?;
        let prefix = layers.take_own("prefix");
        if prefix.is_none() {
            let message = "`prefix` is missing: expected a prefix such as 10.0.0.0/24";
            entry.error(self.found, message);
        }
        let prefix =
            prefix.and_then(|prefix| prefix.parse(self.found, "a prefix such as 10.0.0.0/24"));
        if !around.defaults.listens {
            let message = "peers are to connect, but bgp.listen is empty: nobody answers them";
            entry.error(self.found, message);
        }
        let limit = layers.take_own("limit");
        let limit = limit.and_then(|field| field.integer(self.found, 1..=1_000_000));
        let options = self.options(&mut layers, around, true);
        layers.finish(self.found);
        let prefix = prefix?;
        let defaults = &around.defaults;
        warn_of_no_policy(entry, &options, defaults, self.found);
        Some(ListenRange {
            prefix,
            options,
            limit: limit.unwrap_or(DEFAULT_RANGE_LIMIT) as usize,
        })
    }
}

fn listen_address(field: &Field, found: &mut Diagnostics) -> Option<SocketAddr> {
    const EXPECTED: &str = "ADDRESS:PORT such as 0.0.0.0:179 or [::]:179";
    let text = field.string(found, EXPECTED)?;
    let with_port = text.parse().ok();
    let addr = with_port.or_else(|| Some((text.parse::<IpAddr>().ok()?, BGP_PORT).into()));
    if addr.is_none() {
        let message = format_args!("`{text}` is not an address to listen on: expected {EXPECTED}");
        field.error(found, message);
    }
    addr
}

/// All addresses of the node.
pub(crate) fn everywhere(node: &dyn Node) -> Vec<SocketAddr> {
    let v6 = node
        .has_ipv6()
        .then_some((Ipv6Addr::UNSPECIFIED, BGP_PORT).into());
    std::iter::once((Ipv4Addr::UNSPECIFIED, BGP_PORT).into())
        .chain(v6)
        .collect()
}

fn identifier(field: Option<&Field>, found: &mut Diagnostics) -> Option<Ipv4Addr> {
    let field = field?;
    let text = field.string(found, "an IPv4 address")?;
    let addr = text
        .parse()
        .ok()
        .filter(|addr: &Ipv4Addr| !addr.is_unspecified());
    if addr.is_none() {
        let message =
            format!("`{text}` is not an identifier: expected an IPv4 address, not 0.0.0.0");
        field.error(found, message);
    }
    addr
}
