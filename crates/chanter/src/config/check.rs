//! The second stage: from fields to values that are valid, alone and together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::diagnostic::Diagnostics;
use super::field::Field;
use super::raw::RawConfig;
use super::{
    BgpConfig, Config, DEFAULT_API_PORT, DEFAULT_SOCKET, DEFAULT_STATE_DIR, DEFAULT_VXLAN_PORT,
    EvpnConfig, EvpnDriver, LogConfig, LogFormat, Node, OnStop, Role, monitor,
};

/// The configuration, unless a mandatory value is missing or wrong; `found` says why.
pub(crate) fn check(
    config: &RawConfig,
    role: Role,
    node: &dyn Node,
    running: Option<&Config>,
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
        running: running.map(|config| &config.bgp),
        found,
    };
    let bgp = checker.bgp();
    let local = bgp.as_ref().and_then(|bgp| bgp.local_address);
    let evpn = checker.evpn(local);
    let api = checker.api();
    let bmp = monitor::bmp(raw.bmp.as_ref(), found);
    let mrt = monitor::mrt(raw.mrt.as_ref(), found);
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
        bmp,
        mrt,
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

pub(super) struct Checker<'a> {
    pub(super) config: &'a RawConfig,
    pub(super) role: Role,
    pub(super) node: &'a dyn Node,
    /// What is in force, where this is a reload.
    pub(super) running: Option<&'a BgpConfig>,
    pub(super) found: &'a mut Diagnostics,
}

impl Checker<'_> {
    pub(super) fn missing(&mut self, name: &str, expected: &str) {
        self.found.missing(
            &self.config.file,
            format!("{name}: missing: expected {expected}"),
        );
    }

    /// An address, or the first address of the device so named.
    pub(super) fn address_or_device(&mut self, field: &Field) -> Option<IpAddr> {
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
    pub(super) fn address_or_host(&mut self, field: &Field) -> Option<IpAddr> {
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
