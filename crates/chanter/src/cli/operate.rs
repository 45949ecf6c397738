//! Arguments of the commands that change a running daemon, and of those that try a change.

use std::path::PathBuf;

use chanter_bgp::{Family, Nlri};
use chanter_types::Asn;
use clap::{Args, Subcommand, ValueEnum};

use super::{PlainArgs, RoleName};

pub(crate) const RELOAD_EXAMPLES: &str = "\
Examples:
  chanter reload                     read the configuration again and apply what changed
  chanter reload --json

Sessions are reset only where what their OPEN or their connection depends on changed. Nothing changes
if the configuration has a fault. `systemctl reload chanter-agent` does the same by SIGHUP.";

pub(crate) const PEER_EXAMPLES: &str = "\
Examples:
  chanter peer 192.0.2.1 shutdown --text \"new line cards, back at 10 UTC\"
  chanter peer 192.0.2.1 enable
  chanter peer swp1 clear                          end the session and start anew
  chanter peer 192.0.2.1 clear --soft in           ask for its routes again (RFC 2918)
  chanter peer 192.0.2.1 clear --soft out --family ipv4-unicast

What is shut down by this command comes back with `enable` or with a restart of the daemon.";

pub(crate) const POLICY_EXAMPLES: &str = "\
Examples:
  chanter policy test --policy customer-in --route 10.0.0.0/24
  chanter policy test --policy customer-in --route 10.0.0.0/24 \\
                      --attributes \"as-path 64512 65000, communities 64512:1\"
  chanter policy test --policy customer-in --route 10.0.0.0/24 --config /etc/chanter/chanter.toml

Attributes are written as `chanter show routes --detail` prints them. With --config no daemon is asked:
a policy can be tried before it is loaded. Exit codes: 0 accepted, 1 rejected or a failure.";

/// `reload`.
#[derive(Debug, Clone, Args)]
pub struct ReloadArgs {
    /// The daemon.
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// `peer`.
#[derive(Debug, Clone, Args)]
pub struct PeerArgs {
    /// The peer: its address or interface, as `chanter show peers` has it
    pub peer: String,
    /// What to do.
    #[command(subcommand)]
    pub action: PeerCommand,
}

/// What to do with a peer.
#[derive(Debug, Clone, Subcommand)]
pub enum PeerCommand {
    /// End the session until it is enabled
    Shutdown {
        /// Words for the peer's operator (RFC 9003), at most 128 octets
        #[arg(long, value_name = "TEXT")]
        text: Option<String>,
        /// The daemon.
        #[command(flatten)]
        plain: PlainArgs,
    },
    /// Take back a shutdown, or what a limit of prefixes has done
    Enable {
        /// The daemon.
        #[command(flatten)]
        plain: PlainArgs,
    },
    /// End the session and start anew, or with --soft only exchange routes again
    Clear {
        /// in: ask for its routes again; out: send it ours again
        #[arg(long, value_name = "DIRECTION")]
        soft: Option<Direction>,
        /// Only this family; may be repeated
        #[arg(long, value_name = "FAMILY", requires = "soft")]
        family: Vec<Family>,
        /// Words for the peer's operator (RFC 9003)
        #[arg(long, value_name = "TEXT", conflicts_with = "soft")]
        text: Option<String>,
        /// The daemon.
        #[command(flatten)]
        plain: PlainArgs,
    },
}

/// A direction, from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// From the peer
    In,
    /// To the peer
    Out,
}

/// `policy`.
#[derive(Debug, Clone, Args)]
pub struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What to do with policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Tell what a policy makes of a route, without changing anything
    Test(PolicyTestArgs),
}

/// `policy test`.
#[derive(Debug, Clone, Args)]
pub struct PolicyTestArgs {
    /// The policy
    #[arg(long, value_name = "NAME")]
    pub policy: String,
    /// The destination, as `chanter show routes` prints it
    #[arg(long, value_name = "NLRI")]
    pub route: Nlri,
    /// The attributes, as `chanter show routes --detail` prints them
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub attributes: String,
    /// The label field: a VNI, or an MPLS label times 16
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=0xff_ffff))]
    pub label: Option<u32>,
    /// The AS of the peer (default: the first AS of the path, else ours)
    #[arg(long, value_name = "AS")]
    pub peer_as: Option<Asn>,
    /// Take the policy from this file in place of the daemon
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For which daemon that file is: agent or rr
    #[arg(
        long,
        value_name = "ROLE",
        default_value = "agent",
        requires = "config",
        hide_possible_values = true
    )]
    pub role: RoleName,
    /// The daemon.
    #[command(flatten)]
    pub plain: PlainArgs,
}
