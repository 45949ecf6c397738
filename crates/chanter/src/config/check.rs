//! The second stage: from fields to values that are valid, alone and together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chanter_bgp::Family;
use chanter_types::Asn;

use super::diagnostic::Diagnostics;
use super::field::Field;
use super::raw::{RawBgp, RawConfig, RawPeer, RawRange};
use super::{
    BgpConfig, Config, DEFAULT_API_PORT, DEFAULT_GRACEFUL_RESTART, DEFAULT_HOLD_TIME,
    DEFAULT_RANGE_LIMIT, DEFAULT_SOCKET, DEFAULT_STATE_DIR, DEFAULT_VXLAN_PORT, EvpnConfig,
    EvpnDriver, LogConfig, LogFormat, Node, OnStop, Peer, Range, Role, SessionConfig,
};

const BGP_PORT: u16 = 179;

/// The configuration, unless a mandatory value is missing or wrong; `found` says why.
pub(crate) fn check(
    config: &RawConfig,
    role: Role,
    node: &dyn Node,
    found: &mut Diagnostics,
) -> Option<Config> {
    let raw = &config.raw;
    let path = |field: &Option<Field>, default: &str, found: &mut Diagnostics| {
        let given = field
            .as_ref()
            .and_then(|field| field.string(found, "a path"));
        PathBuf::from(given.unwrap_or_else(|| default.to_owned()))
    };
    let log = log(config, found);
    let state_dir = path(&raw.state_dir, DEFAULT_STATE_DIR, found);
    let socket = path(&raw.socket, DEFAULT_SOCKET, found);
    let choices = [("keep", OnStop::Keep), ("withdraw", OnStop::Withdraw)];
    let on_stop = raw
        .on_stop
        .as_ref()
        .and_then(|field| field.choice(found, &choices));
    let mut checker = Checker {
        config,
        role,
        node,
        found,
    };
    let bgp = checker.bgp();
    let local = bgp.as_ref().and_then(|bgp| bgp.local_address);
    let evpn = checker.evpn(local);
    let api = checker.api();
    Some(Config {
        files: Vec::new(),
        warnings: Vec::new(),
        log,
        state_dir,
        socket,
        on_stop: on_stop.unwrap_or(OnStop::Keep),
        bgp: bgp?,
        evpn: evpn?,
        api,
    })
}

fn log(config: &RawConfig, found: &mut Diagnostics) -> LogConfig {
    let raw = &config.raw;
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    let level = raw
        .log_level
        .as_ref()
        .and_then(|field| field.choice(found, &levels));
    let debug = raw.debug.as_ref().and_then(|field| field.boolean(found)) == Some(true);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = raw
        .log_format
        .as_ref()
        .and_then(|field| field.choice(found, &formats));
    let file = raw
        .log_file
        .as_ref()
        .and_then(|field| field.string(found, "a path"));
    let default = if debug {
        tracing::Level::DEBUG
    } else {
        tracing::Level::INFO
    };
    LogConfig {
        level: level.unwrap_or(default),
        format: format.unwrap_or(LogFormat::Text),
        file: file.map(PathBuf::from),
    }
}

struct Checker<'a> {
    config: &'a RawConfig,
    role: Role,
    node: &'a dyn Node,
    found: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn missing(&mut self, name: &str, expected: &str) {
        self.found.missing(
            &self.config.file,
            format!("{name}: missing: expected {expected}"),
        );
    }

    /// An address, or the first address of the device so named.
    fn address_or_device(&mut self, field: &Field) -> Option<IpAddr> {
        const EXPECTED: &str = "an IP address or the name of a network device";
        let text = field.string(self.found, EXPECTED)?;
        if let Ok(addr) = text.parse() {
            return Some(addr);
        }
        match self.node.device_addresses(&text) {
            Some(addrs) if addrs.is_empty() => {
                field.error(self.found, format_args!("device `{text}` has no address"));
                None
            }
            Some(addrs) => addrs.first().copied(),
            None => {
                let what = "is neither an IP address nor the name of a network device here";
                field.error(self.found, format_args!("`{text}` {what}"));
                None
            }
        }
    }

    /// An address, or the first address of the host so named.
    fn address_or_host(&mut self, field: &Field) -> Option<IpAddr> {
        let text = field.string(self.found, "an IP address or a host name")?;
        if let Ok(addr) = text.parse() {
            return Some(addr);
        }
        let what = "is neither an IP address nor a host name that resolves";
        match self.node.resolve(&text) {
            Ok(addrs) if !addrs.is_empty() => addrs.first().copied(),
            Ok(_) => {
                field.error(self.found, format_args!("`{text}` {what}"));
                None
            }
            Err(error) => {
                field.error(self.found, format_args!("`{text}` {what} ({error})"));
                None
            }
        }
    }

    fn bgp(&mut self) -> Option<BgpConfig> {
        let raw: &RawBgp = &self.config.raw.bgp;
        let local_as = match &raw.local_as {
            Some(field) => field.parse::<Asn>(self.found, "an AS number, 1 to 4294967295"),
            None => {
                self.missing(
                    self.config.dialect.local_as,
                    "an AS number, 1 to 4294967295",
                );
                None
            }
        };
        let local_address = match &raw.local_address {
            Some(field) => self.address_or_device(field),
            None if self.role == Role::RouteReflector => None,
            None => {
                let expected = "an IP address or the name of a network device";
                self.missing(self.config.dialect.local_address, expected);
                None
            }
        };
        let ipv4 = |field: &Option<Field>, found: &mut Diagnostics| {
            field.as_ref().and_then(|field| ipv4(field, found))
        };
        let router_id = ipv4(&raw.router_id, self.found);
        let cluster_id = ipv4(&raw.cluster_id, self.found);
        let flag = |field: &Option<Field>, found: &mut Diagnostics| {
            field.as_ref().and_then(|field| field.boolean(found))
        };
        let rt_constraint = flag(&raw.rt_constraint, self.found).unwrap_or(true);
        let hold_time = hold_time(&raw.hold_time, DEFAULT_HOLD_TIME, self.found);
        let graceful_restart = self.graceful_restart();
        let listen = self.listen();
        // Go on with a stand-in so that faults of peers are shown in the same go.
        let defaults = Defaults {
            local_as: local_as.unwrap_or(Asn::TRANS),
            hold_time,
            rt_constraint,
            listens: !listen.is_empty(),
        };
        let mut peers: Vec<Peer> = Vec::new();
        for raw in &raw.peers {
            match self.peer(raw, &defaults) {
                Some(peer) if peers.iter().any(|other| other.addr == peer.addr) => {
                    let message =
                        format_args!("{} is there already, this one is left out", peer.addr);
                    raw.whole.warning(self.found, message);
                }
                peer => peers.extend(peer),
            }
        }
        let ranges = raw
            .ranges
            .iter()
            .filter_map(|range| self.range(range, &defaults))
            .collect();
        let router_id = router_id.or_else(|| self.router_id(local_address));
        Some(BgpConfig {
            local_as: local_as?,
            local_address,
            router_id: router_id?,
            cluster_id,
            rt_constraint,
            graceful_restart,
            listen,
            peers,
            ranges,
        })
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

    fn graceful_restart(&mut self) -> Option<Duration> {
        let Some(field) = &self.config.raw.bgp.graceful_restart else {
            return Some(DEFAULT_GRACEFUL_RESTART);
        };
        // RFC 4724 section 3: the restart time has 12 bits. 0 switches the capability off.
        let secs = field.integer(self.found, 0..=4095)?;
        (secs > 0).then(|| Duration::from_secs(secs.into()))
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
            .filter_map(|item| self.listen_address(item))
            .collect()
    }

    fn listen_address(&mut self, field: &Field) -> Option<SocketAddr> {
        const EXPECTED: &str = "ADDRESS:PORT such as 0.0.0.0:179 or [::]:179";
        let text = field.string(self.found, EXPECTED)?;
        let with_port = text.parse().ok();
        let addr = with_port.or_else(|| Some((text.parse::<IpAddr>().ok()?, BGP_PORT).into()));
        if addr.is_none() {
            let message =
                format_args!("`{text}` is not an address to listen on: expected {EXPECTED}");
            field.error(self.found, message);
        }
        addr
    }

    fn peer(&mut self, raw: &RawPeer, defaults: &Defaults) -> Option<Peer> {
        let Some(address) = &raw.address else {
            raw.whole
                .error(self.found, "`address` is missing: expected an IP address");
            return None;
        };
        let addr = self.address_or_host(address);
        let port = raw
            .port
            .as_ref()
            .and_then(|field| field.port(self.found))
            .unwrap_or(BGP_PORT);
        let remote_as = self.remote_as(&raw.remote_as).unwrap_or(defaults.local_as);
        let passive = raw
            .passive
            .as_ref()
            .and_then(|field| field.boolean(self.found));
        let passive = passive.unwrap_or(false);
        if passive && !defaults.listens {
            let message = "the peer is to connect, but bgp.listen is empty: nobody answers it";
            raw.whole.error(self.found, message);
        }
        let session = self.session(
            SessionFields {
                client: &raw.client,
                hold_time: &raw.hold_time,
                families: &raw.families,
            },
            remote_as == defaults.local_as,
            defaults,
        );
        let description = raw.description.as_ref();
        let description = description.and_then(|field| field.string(self.found, "a text"));
        Some(Peer {
            addr: addr?,
            port,
            remote_as,
            passive,
            session,
            description,
        })
    }

    fn range(&mut self, raw: &RawRange, defaults: &Defaults) -> Option<Range> {
        let Some(prefix) = &raw.prefix else {
            let message = "`prefix` is missing: expected a prefix such as 10.0.0.0/24";
            raw.whole.error(self.found, message);
            return None;
        };
        let prefix = prefix.parse(self.found, "a prefix such as 10.0.0.0/24");
        let any = |field: &Field| field.choice(&mut Diagnostics::default(), &[("any", ())]);
        let remote_as = match &raw.remote_as {
            Some(field) if any(field).is_some() => None,
            field => Some(self.remote_as(field).unwrap_or(defaults.local_as)),
        };
        if !defaults.listens {
            let message = "peers are to connect, but bgp.listen is empty: nobody answers them";
            raw.whole.error(self.found, message);
        }
        let limit = raw
            .limit
            .as_ref()
            .and_then(|field| field.integer(self.found, 1..=1_000_000));
        let session = self.session(
            SessionFields {
                client: &raw.client,
                hold_time: &raw.hold_time,
                families: &raw.families,
            },
            remote_as == Some(defaults.local_as),
            defaults,
        );
        let limit = limit.unwrap_or(DEFAULT_RANGE_LIMIT) as usize;
        Some(Range {
            prefix: prefix?,
            remote_as,
            session,
            limit,
        })
    }

    fn remote_as(&mut self, field: &Option<Field>) -> Option<Asn> {
        field
            .as_ref()?
            .parse(self.found, "an AS number, 1 to 4294967295")
    }

    fn session(
        &mut self,
        fields: SessionFields<'_>,
        internal: bool,
        defaults: &Defaults,
    ) -> SessionConfig {
        let client = fields
            .client
            .as_ref()
            .and_then(|field| field.boolean(self.found));
        if client == Some(true) {
            let reason = match (self.role, internal) {
                (Role::Agent, _) => Some("only `chanter rr` reflects routes"),
                (Role::RouteReflector, false) => Some("only a peer of our own AS can be a client"),
                (Role::RouteReflector, true) => None,
            };
            if let (Some(reason), Some(field)) = (reason, fields.client) {
                field.error(self.found, reason);
            }
        }
        let reflects = self.role == Role::RouteReflector && internal;
        let families = fields
            .families
            .as_ref()
            .map(|field| families(field, self.found));
        SessionConfig {
            client: client.unwrap_or(reflects),
            hold_time: hold_time(fields.hold_time, defaults.hold_time, self.found),
            families: families.unwrap_or_else(|| self.default_families(defaults.rt_constraint)),
        }
    }

    fn default_families(&self, rt_constraint: bool) -> Vec<Family> {
        let mut families = vec![Family::L2VPN_EVPN];
        if rt_constraint {
            families.push(Family::IPV4_RTC);
        }
        if self.role == Role::RouteReflector {
            families.extend([Family::IPV4_UNICAST, Family::IPV6_UNICAST]);
        }
        families
    }

    fn evpn(&mut self, local_address: Option<IpAddr>) -> Option<EvpnConfig> {
        let raw = &self.config.raw;
        let vtep = match &raw.evpn_address {
            Some(field) => self.address_or_device(field),
            None => local_address,
        };
        let port = match &raw.vxlan_port {
            // 0 is bagpipe-bgp's way to say "the kernel's own default".
            Some(field) => match field.integer(self.found, 0..=u32::from(u16::MAX)) {
                Some(0) => Some(8472),
                port => port.and_then(|port| u16::try_from(port).ok()),
            },
            None => Some(DEFAULT_VXLAN_PORT),
        };
        if let Some(field) = &raw.ipvpn_driver {
            let names = [("dummy", ()), ("linux", ()), ("ovs", ())];
            if field.choice(self.found, &names).is_some() {
                let message = "without effect: this release serves EVPN, not yet IP VPN";
                field.warning(self.found, message);
            }
        }
        Some(EvpnConfig {
            driver: self.evpn_driver()?,
            vtep,
            vxlan_port: port?,
        })
    }

    fn evpn_driver(&mut self) -> Option<EvpnDriver> {
        let Some(field) = &self.config.raw.evpn_driver else {
            let linux = self.config.dialect.linux_by_default;
            return Some(if linux {
                EvpnDriver::Linux
            } else {
                EvpnDriver::Dummy
            });
        };
        if field
            .choice(&mut Diagnostics::default(), &[("ovs", ())])
            .is_some()
        {
            let message = "the EVPN driver `ovs` is not in this release: expected `dummy`, `linux`";
            field.error(self.found, message);
            return None;
        }
        field.choice(
            self.found,
            &[("dummy", EvpnDriver::Dummy), ("linux", EvpnDriver::Linux)],
        )
    }

    fn api(&mut self) -> Option<SocketAddr> {
        let raw = &self.config.raw;
        let enabled = raw
            .api_enabled
            .as_ref()
            .and_then(|field| field.boolean(self.found));
        let host = match &raw.api_host {
            Some(field) => self.address_or_host(field),
            None => Some(Ipv4Addr::LOCALHOST.into()),
        };
        let port = match &raw.api_port {
            Some(field) => field.port(self.found),
            None => Some(DEFAULT_API_PORT),
        };
        let addr = SocketAddr::new(host?, port?);
        enabled.unwrap_or(self.role == Role::Agent).then_some(addr)
    }
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

/// What peers take from the configuration around them.
struct Defaults {
    local_as: Asn,
    hold_time: Duration,
    rt_constraint: bool,
    listens: bool,
}

/// The fields that peers and ranges have in common.
struct SessionFields<'a> {
    client: &'a Option<Field>,
    hold_time: &'a Option<Field>,
    families: &'a Option<Field>,
}

/// RFC 4271 section 4.2: zero, or at least three seconds.
fn hold_time(field: &Option<Field>, default: Duration, found: &mut Diagnostics) -> Duration {
    let Some(field) = field else {
        return default;
    };
    match field.integer(found, 0..=u32::from(u16::MAX)) {
        Some(secs @ (1 | 2)) => {
            let message =
                format!("`{secs}` is not a hold time: expected 0 (no keepalives) or 3 to 65535");
            field.error(found, message);
            default
        }
        Some(secs) => Duration::from_secs(secs.into()),
        None => default,
    }
}

fn families(field: &Field, found: &mut Diagnostics) -> Vec<Family> {
    const EXPECTED: &str = "a list of families such as [\"l2vpn-evpn\", \"ipv4-rtc\"]";
    let items = field.list(found, EXPECTED);
    items
        .iter()
        .filter_map(|item| item.parse(found, EXPECTED))
        .collect()
}

fn ipv4(field: &Field, found: &mut Diagnostics) -> Option<Ipv4Addr> {
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
