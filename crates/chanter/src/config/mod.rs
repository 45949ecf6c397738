//! Configuration: `chanter.toml`, or bagpipe-bgp's `bgp.conf` unchanged.
//!
//! Text is read into fields with places (`raw`), which are then checked together into a
//! [`Config`] whose values are valid; every fault is reported at once. What only the node knows
//! (addresses of a device, of a host name) is asked through [`Node`].

mod auth;
mod bgp;
mod bgp_conf;
mod chanter_toml;
mod check;
mod diagnostic;
mod field;
mod ini;
mod layers;
mod monitor;
mod node;
mod peer;
mod peer_policy;
mod policy;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::Hostname;
use chanter_policy::Policy;
use chanter_speaker::{ListenRange, PeerConfig};
use chanter_types::Asn;
use serde_json::json;

pub(crate) use bgp::everywhere;
pub use diagnostic::{ConfigError, Diagnostic, Diagnostics, Severity, SourceFile};
pub use monitor::{BmpConfig, BmpRibs, BmpStation, MrtConfig, MrtDump, MrtKind};
pub use node::{Node, ThisNode};

/// Where the daemon looks for its configuration, the first that exists.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/chanter/chanter.toml", "/etc/bagpipe-bgp/bgp.conf"];
/// The unix socket of the native API.
pub const DEFAULT_SOCKET: &str = "/run/chanter/chanter.sock";
/// Where attachments are kept over restarts.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/chanter";
/// The port of bagpipe-bgp's REST API.
pub const DEFAULT_API_PORT: u16 = 8082;
/// The UDP port of VXLAN (RFC 7348).
pub const DEFAULT_VXLAN_PORT: u16 = 4789;
/// For how long peers keep our routes while we restart (RFC 4724); the field has 12 bits.
pub const DEFAULT_GRACEFUL_RESTART: Duration = Duration::from_secs(120);
/// The hold time that we propose (RFC 4271 suggests 90 seconds).
pub const DEFAULT_HOLD_TIME: Duration = Duration::from_secs(90);
/// At most so many peers are accepted from one listen range.
pub const DEFAULT_RANGE_LIMIT: u32 = 1000;

/// Which daemon the configuration is for: a few defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The daemon of a node.
    Agent,
    /// A route reflector.
    RouteReflector,
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The files that it came from.
    pub files: Vec<PathBuf>,
    /// What is odd in them.
    pub warnings: Vec<Diagnostic>,
    /// Logging.
    pub log: LogConfig,
    /// Where attachments are kept over restarts.
    pub state_dir: PathBuf,
    /// The unix socket of the native API.
    pub socket: PathBuf,
    /// What a stop does to routes and forwarding state.
    pub on_stop: OnStop,
    /// BGP.
    pub bgp: BgpConfig,
    /// The EVPN dataplane.
    pub evpn: EvpnConfig,
    /// Where bagpipe-bgp's REST API listens; `None`: nowhere.
    pub api: Option<SocketAddr>,
    /// Who is told by BMP what peers do.
    pub bmp: BmpConfig,
    /// Which MRT files are written.
    pub mrt: MrtConfig,
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The lowest level that is shown.
    pub level: tracing::Level,
    /// How lines look.
    pub format: LogFormat,
    /// A file that gets the lines in place of standard error.
    pub file: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What a stop (SIGTERM, SIGINT) does to routes and forwarding state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// Both stay: peers keep the routes by graceful restart, the kernel goes on forwarding.
    Keep,
    /// Routes are withdrawn and devices removed.
    Withdraw,
}

/// BGP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpConfig {
    /// Our AS.
    pub local_as: Asn,
    /// The source address of sessions, where one is configured.
    pub local_address: Option<IpAddr>,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// The cluster identifier of a route reflector (RFC 4456); the router id where `None`.
    pub cluster_id: Option<Ipv4Addr>,
    /// Whether RT constraint (RFC 4684) is negotiated.
    pub rt_constraint: bool,
    /// For how long peers keep our routes while we restart; `None`: graceful restart is off.
    pub graceful_restart: Option<Duration>,
    /// The name that peers are told; `None`: none.
    pub hostname: Option<Hostname>,
    /// Where connections are accepted.
    pub listen: Vec<SocketAddr>,
    /// Policies by name.
    pub policies: BTreeMap<String, Arc<Policy>>,
    /// Configured peers.
    pub peers: Vec<PeerConfig>,
    /// Ranges of addresses from which further peers are accepted.
    pub ranges: Vec<ListenRange>,
}

/// The EVPN dataplane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvpnConfig {
    /// The driver.
    pub driver: EvpnDriver,
    /// The address of our VTEP; a route reflector may have none.
    pub vtep: Option<IpAddr>,
    /// The UDP port of VXLAN.
    pub vxlan_port: u16,
}

/// The EVPN dataplane drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvpnDriver {
    /// Forwards nothing: for trials of the control plane.
    Dummy,
    /// Linux bridge and VXLAN devices.
    Linux,
}

impl EvpnDriver {
    /// Its name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            EvpnDriver::Dummy => "dummy",
            EvpnDriver::Linux => "linux",
        }
    }
}

impl Config {
    /// Reads and checks `files`: one `chanter.toml`, or any number of files in the manner of
    /// `bgp.conf`. Of several such files, later ones win.
    pub fn load(files: &[PathBuf], role: Role, node: &dyn Node) -> Result<Config, ConfigError> {
        Self::from_sources(&sources(files)?, role, node)
    }

    /// Reads and checks `files` again while `running` is in force: peers are judged by our AS and by
    /// `rt_constraint` as they are, which takes a restart to change.
    pub fn load_again(
        files: &[PathBuf],
        role: Role,
        node: &dyn Node,
        running: &Config,
    ) -> Result<Config, ConfigError> {
        Self::checked(&sources(files)?, role, node, Some(running))
    }

    /// Checks files that were read already.
    pub fn from_sources(
        files: &[Arc<SourceFile>],
        role: Role,
        node: &dyn Node,
    ) -> Result<Config, ConfigError> {
        Self::checked(files, role, node, None)
    }

    fn checked(
        files: &[Arc<SourceFile>],
        role: Role,
        node: &dyn Node,
        running: Option<&Config>,
    ) -> Result<Config, ConfigError> {
        let mut found = Diagnostics::default();
        let raw = match files {
            [] => return Err(no_file()),
            [only] if is_toml(&only.path) => Some(chanter_toml::read(only, &mut found)),
            several => {
                for file in several.iter().filter(|file| is_toml(&file.path)) {
                    let message = "only bgp.conf can be spread over several files, TOML cannot";
                    found.missing(file, message.to_owned());
                }
                bgp_conf::read(files, &mut found)
            }
        };
        let config = raw.and_then(|raw| check::check(&raw, role, node, running, &mut found));
        let warnings = found.into_result()?;
        let Some(config) = config else {
            return Err(no_file());
        };
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Ok(Config {
            files: paths,
            warnings,
            ..config
        })
    }

    /// The files to read where the operator named none.
    pub fn default_files() -> Result<Vec<PathBuf>, ConfigError> {
        let existing = DEFAULT_FILES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists());
        existing.map(|path| vec![path]).ok_or_else(no_file)
    }

    /// The effective options in the shape of bagpipe-bgp's looking glass.
    pub fn looking_glass(&self) -> serde_json::Value {
        let peers: Vec<String> = self
            .bgp
            .peers
            .iter()
            .map(|peer| peer.addr.to_string())
            .collect();
        let port = self.bgp.peers.first().map_or(179, |peer| peer.port);
        json!({
            "COMMON": { "root_helper": "", "root_helper_daemon": null },
            "API": {
                "host": self.api.map(|addr| addr.ip().to_string()),
                "port": self.api.map(|addr| addr.port()),
            },
            "BGP": {
                "local_address": self.bgp.local_address,
                "peers": peers,
                "my_as": self.bgp.local_as,
                "enable_rtc": self.bgp.rt_constraint,
                "bgp_port": port,
            },
            "DATAPLANE_DRIVER_EVPN": {
                "dataplane_driver": self.evpn.driver.name(),
                "dataplane_local_address": self.evpn.vtep,
                "vxlan_dst_port": self.evpn.vxlan_port,
            },
            "DATAPLANE_DRIVER_IPVPN": {
                "dataplane_driver": "dummy",
                "dataplane_local_address": self.evpn.vtep,
            },
        })
    }
}

/// The port of bagpipe-bgp's REST API as `bgp.conf` has it, whatever else is in that file.
pub fn bagpipe_api_port() -> u16 {
    let file = SourceFile::read(Path::new(DEFAULT_FILES[1])).map(Arc::new);
    file.ok()
        .and_then(|file| bgp_conf::api_port(&file))
        .unwrap_or(DEFAULT_API_PORT)
}

fn sources(files: &[PathBuf]) -> Result<Vec<Arc<SourceFile>>, ConfigError> {
    let read = |path: &PathBuf| {
        let file = SourceFile::read(path).map(Arc::new);
        file.map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })
    };
    files.iter().map(read).collect()
}

fn no_file() -> ConfigError {
    ConfigError::NoFile {
        looked_for: DEFAULT_FILES.join(", "),
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}
