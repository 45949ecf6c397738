//! Arguments of the daemons, and of the commands about their configuration.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::SocketArgs;
use crate::config::{LogFormat, Role};

pub(crate) const AGENT_EXAMPLES: &str = "\
Examples:
  chanter agent                                 /etc/chanter/chanter.toml, else
                                                /etc/bagpipe-bgp/bgp.conf
  chanter agent --config a.conf --config b.conf    later files of bgp.conf win
  chanter agent --debug --log-format json

SIGTERM and SIGINT stop the daemon. Unless `on_stop = \"withdraw\"` is configured, the dataplane goes
on forwarding and peers keep our routes by graceful restart; `chanter drain` withdraws beforehand.
Exit codes: 0 stopped, 1 failure at run time, 2 wrong command line or configuration.";

pub(crate) const RR_EXAMPLES: &str = "\
Examples:
  chanter rr                                  /etc/chanter/chanter.toml
  chanter rr --config rr.toml --debug

A whole rr.toml:
  [bgp]
  as = 64512
  router_id = \"10.0.0.1\"
  [[bgp.ranges]]
  prefix = \"10.0.0.0/24\"";

pub(crate) const CHECK_EXAMPLES: &str = "\
Examples:
  chanter check-config                              the file that `chanter agent` would read
  chanter check-config /etc/bagpipe-bgp/bgp.conf
  chanter check-config --role rr rr.toml

Exit codes: 0 usable (warnings may be shown), 2 not usable.";

pub(crate) const DRAIN_EXAMPLES: &str = "\
Examples:
  chanter drain && systemctl stop chanter-agent     before a node is taken out of service
  chanter drain --json

Attachments made by REST calls or `chanter attach` are forgotten.";

/// Where the configuration is.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// A configuration file: chanter.toml, or bagpipe-bgp's bgp.conf. May be repeated for bgp.conf:
    /// later files win
    #[arg(long = "config", visible_alias = "config-file", value_name = "FILE")]
    pub config_files: Vec<PathBuf>,
    /// A directory of further bgp.conf files (*.conf), read in the order of their names
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
}

/// A daemon.
#[derive(Debug, Clone, Default, Args)]
pub struct DaemonArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Log also what only developers want to see
    #[arg(long, short)]
    pub debug: bool,
    /// How log lines look: text or json (default: as configured, else text)
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub log_format: Option<LogFormat>,
    /// Append log lines to this file in place of standard error
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Where the native API listens (default: as configured, else /run/chanter/chanter.sock)
    #[arg(long, value_name = "PATH", env = "CHANTER_SOCKET")]
    pub socket: Option<PathBuf>,
    /// Where attachments are kept over restarts (default: as configured, else /var/lib/chanter)
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// For which daemon a configuration is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// The daemon of a node
    Agent,
    /// The route reflector
    Rr,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Role {
        match name {
            RoleName::Agent => Role::Agent,
            RoleName::Rr => Role::RouteReflector,
        }
    }
}

/// `check-config`.
#[derive(Debug, Clone, Args)]
pub struct CheckConfigArgs {
    /// The files (default: the one that the daemon would read)
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The daemon that is to read them: agent or rr
    #[arg(
        long,
        value_name = "ROLE",
        default_value = "agent",
        hide_possible_values = true
    )]
    pub role: RoleName,
}

/// `drain`.
#[derive(Debug, Clone, Args)]
pub struct DrainArgs {
    /// The agent.
    #[command(flatten)]
    pub socket: SocketArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
