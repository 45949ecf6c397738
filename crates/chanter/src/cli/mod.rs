//! The command line: one definition, from which parsing, `--help`, completions and man pages come.

mod client;
mod daemon;
mod generate;
mod lab;
mod operate;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use client::{
    AttachArgs, DetachArgs, PlainArgs, RoutesArgs, ShowArgs, ShowWhat, SocketArgs, WatchArgs,
    WhyArgs,
};
pub use daemon::{CheckConfigArgs, ConfigArgs, DaemonArgs, DrainArgs, RoleName};
pub use generate::{completions, man_pages};
pub use lab::{LabArgs, LabCommand, LabExecArgs, LabUpArgs, UnderlayFamily};
pub use operate::{
    Direction, PeerArgs, PeerCommand, PolicyArgs, PolicyCommand, PolicyTestArgs, ReloadArgs,
};

/// The program succeeded.
pub const EXIT_OK: u8 = 0;
/// Something failed while it ran.
pub const EXIT_RUNTIME: u8 = 1;
/// The command line or the configuration is wrong; starting again will not help.
pub const EXIT_USAGE: u8 = 2;

const AFTER_HELP: &str = "\
Examples:
  chanter lab                          three nodes on this machine, ping and fail-over shown
  chanter agent --config /etc/chanter/chanter.toml
  chanter attach blue --port tap0 --mac fa:16:3e:00:00:01 --ip 10.0.0.5 --rt 64512:1
  chanter show routes                  what BGP knows
  chanter why 10.0.0.6                 how this address is reached, and why not otherwise

Exit codes: 0 success, 1 failure at run time, 2 wrong command line or configuration.
Environment: CHANTER_SOCKET names the agent's unix socket (as --socket does).";

/// BGP VPNs for virtual networks.
#[derive(Debug, Parser)]
#[command(
    name = "chanter",
    version,
    long_version = crate::build::LONG_VERSION,
    after_help = AFTER_HELP,
    propagate_version = false,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon of a node
    #[command(after_help = daemon::AGENT_EXAMPLES)]
    Agent(DaemonArgs),
    /// Run a route reflector (RFC 4456, RFC 4684)
    #[command(after_help = daemon::RR_EXAMPLES)]
    Rr(DaemonArgs),
    /// Attach an endpoint to an EVPN instance
    #[command(after_help = client::ATTACH_EXAMPLES)]
    Attach(AttachArgs),
    /// Detach an endpoint
    #[command(after_help = client::DETACH_EXAMPLES)]
    Detach(DetachArgs),
    /// Show what the agent or reflector holds
    #[command(after_help = client::SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Explain how an address is reached, from its source to the kernel
    #[command(after_help = client::WHY_EXAMPLES)]
    Why(WhyArgs),
    /// Print what happens, as it happens
    #[command(after_help = client::WATCH_EXAMPLES)]
    Watch(WatchArgs),
    /// Shut a peer down, enable it, or exchange routes with it anew
    #[command(after_help = operate::PEER_EXAMPLES)]
    Peer(PeerArgs),
    /// Try a policy on a route
    #[command(after_help = operate::POLICY_EXAMPLES)]
    Policy(PolicyArgs),
    /// Make the daemon read its configuration again
    #[command(after_help = operate::RELOAD_EXAMPLES)]
    Reload(ReloadArgs),
    /// Check configuration files without starting anything
    #[command(after_help = daemon::CHECK_EXAMPLES)]
    CheckConfig(CheckConfigArgs),
    /// Withdraw all routes and clean the dataplane, before a final stop
    #[command(after_help = daemon::DRAIN_EXAMPLES)]
    Drain(DrainArgs),
    /// Build nodes in network namespaces, ping through EVPNs, survive a kill, show it all
    #[command(after_help = lab::LAB_EXAMPLES, args_conflicts_with_subcommands = true)]
    Lab(LabArgs),
    /// Print the completion script of a shell
    #[command(after_help = generate::COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(after_help = generate::MAN_EXAMPLES)]
    Man {
        /// The directory that gets them
        dir: PathBuf,
    },
    /// Behave as one of the programs that this one replaces
    #[command(after_help = AS_EXAMPLES)]
    As {
        /// bagpipe-bgp, bagpipe-fakerr, bagpipe-rest-attach or bagpipe-looking-glass
        name: String,
        /// That program's arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Print the version and what the program was built from
    #[command(after_help = VERSION_EXAMPLES)]
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

const AS_EXAMPLES: &str = "\
Examples:
  chanter as bagpipe-looking-glass summary
  ln -s /usr/bin/chanter /usr/local/bin/bagpipe-bgp    the same by the program's name";

const VERSION_EXAMPLES: &str = "\
Examples:
  chanter version
  chanter version --json";

#[cfg(test)]
mod tests;
