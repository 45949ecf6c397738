//! Arguments of `chanter lab`.

use std::ffi::OsString;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) const LAB_EXAMPLES: &str = "\
Examples:
  chanter lab                                  build, ping, kill and restart, clean up
  chanter lab --nodes 8 --underlay ipv6
  chanter lab --keep                           leave it up to play with, then:
  chanter lab exec node1 chanter show routes
  chanter lab exec red1 ping 10.0.0.2
  chanter lab down

Everything is in network namespaces called NAME-...; nothing outside of them is touched. Needs root
and iproute2. Exit codes: 0 all passed, 1 something failed, 130 interrupted.";

/// `lab`.
#[derive(Debug, Clone, Args)]
pub struct LabArgs {
    /// What to do with a lab that was left up.
    #[command(subcommand)]
    pub command: Option<LabCommand>,
    /// The lab to build.
    #[command(flatten)]
    pub up: LabUpArgs,
}

/// A lab to build.
#[derive(Debug, Clone, Args)]
pub struct LabUpArgs {
    /// How many nodes, 2 to 32
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=32))]
    pub nodes: u8,
    /// What carries the tunnels and the BGP sessions: ipv4 or ipv6
    #[arg(
        long,
        value_name = "FAMILY",
        default_value = "ipv4",
        hide_possible_values = true
    )]
    pub underlay: UnderlayFamily,
    /// Leave it up at the end, also after a failure
    #[arg(long)]
    pub keep: bool,
    /// Print only a summary, as JSON
    #[arg(long)]
    pub json: bool,
    /// The lab's name, to have several: up to 8 letters and digits
    #[arg(long, default_value = crate::lab::DEFAULT_NAME, value_parser = crate::lab::LabName::parse)]
    pub name: crate::lab::LabName,
}

/// The IP version of the network between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnderlayFamily {
    /// IPv4
    Ipv4,
    /// IPv6
    Ipv6,
}

/// What to do with a lab that was left up.
#[derive(Debug, Clone, Subcommand)]
pub enum LabCommand {
    /// Run a command on a node (node1), on the reflector (rr) or in an endpoint (red1, blue1)
    Exec(LabExecArgs),
    /// Show what is up
    Status {
        /// The lab's name
        #[arg(long, default_value = crate::lab::DEFAULT_NAME, value_parser = crate::lab::LabName::parse)]
        name: crate::lab::LabName,
    },
    /// Remove it
    Down {
        /// The lab's name
        #[arg(long, default_value = crate::lab::DEFAULT_NAME, value_parser = crate::lab::LabName::parse)]
        name: crate::lab::LabName,
    },
}

/// `lab exec`.
#[derive(Debug, Clone, Args)]
pub struct LabExecArgs {
    /// The lab's name
    #[arg(long, default_value = crate::lab::DEFAULT_NAME, value_parser = crate::lab::LabName::parse)]
    pub name: crate::lab::LabName,
    /// Where: rr, node1, red1, blue1 ...
    pub place: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}
