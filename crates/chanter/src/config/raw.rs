//! The first stage: what a configuration file says, whatever its format, not yet judged.

use std::sync::Arc;

use super::diagnostic::SourceFile;
use super::field::Field;

/// Everything that can be configured; `None` where the files say nothing.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub(crate) log_level: Option<Field>,
    pub(crate) log_format: Option<Field>,
    pub(crate) log_file: Option<Field>,
    /// oslo.log's `debug`.
    pub(crate) debug: Option<Field>,
    pub(crate) state_dir: Option<Field>,
    pub(crate) socket: Option<Field>,
    pub(crate) on_stop: Option<Field>,
    pub(crate) bgp: RawBgp,
    pub(crate) evpn_driver: Option<Field>,
    pub(crate) evpn_address: Option<Field>,
    pub(crate) vxlan_port: Option<Field>,
    pub(crate) ipvpn_driver: Option<Field>,
    pub(crate) api_enabled: Option<Field>,
    pub(crate) api_host: Option<Field>,
    pub(crate) api_port: Option<Field>,
    pub(crate) prefix_lists: Vec<Field>,
    pub(crate) community_lists: Vec<Field>,
    pub(crate) as_path_lists: Vec<Field>,
    pub(crate) policies: Vec<Field>,
    pub(crate) bmp: Option<Field>,
    pub(crate) mrt: Option<Field>,
}

/// BGP.
#[derive(Debug, Default)]
pub(crate) struct RawBgp {
    pub(crate) local_as: Option<Field>,
    pub(crate) local_address: Option<Field>,
    pub(crate) router_id: Option<Field>,
    pub(crate) cluster_id: Option<Field>,
    pub(crate) rt_constraint: Option<Field>,
    pub(crate) hold_time: Option<Field>,
    pub(crate) graceful_restart: Option<Field>,
    pub(crate) hostname: Option<Field>,
    pub(crate) require_policy: Option<Field>,
    pub(crate) listen: Option<Field>,
    /// Tables of options, as are peers and ranges.
    pub(crate) templates: Vec<Field>,
    pub(crate) peers: Vec<Field>,
    pub(crate) ranges: Vec<Field>,
}

/// Names of mandatory options, and defaults, that differ between the formats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) local_as: &'static str,
    pub(crate) local_address: &'static str,
    /// Where no driver is named: bagpipe-bgp's default does nothing.
    pub(crate) linux_by_default: bool,
}

/// bagpipe-bgp's `bgp.conf`.
pub(crate) const BGP_CONF: Dialect = Dialect {
    local_as: "[BGP] my_as",
    local_address: "[BGP] local_address",
    linux_by_default: false,
};

/// `chanter.toml`.
pub(crate) const CHANTER_TOML: Dialect = Dialect {
    local_as: "bgp.as",
    local_address: "bgp.local_address",
    linux_by_default: true,
};

/// What was read, and where something missing is to be reported.
#[derive(Debug)]
pub(crate) struct RawConfig {
    pub(crate) raw: Raw,
    pub(crate) dialect: Dialect,
    /// The last file read.
    pub(crate) file: Arc<SourceFile>,
}
