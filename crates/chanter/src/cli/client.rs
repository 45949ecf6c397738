//! Arguments of the operator's commands, which talk to a daemon over its unix socket.

use std::net::IpAddr;
use std::path::PathBuf;

use chanter_bgp::Family;
use chanter_types::{IfName, MacAddr, RouteDistinguisher, RouteTarget};
use clap::{Args, Subcommand};

use crate::config::DEFAULT_SOCKET;

pub(crate) const ATTACH_EXAMPLES: &str = "\
Examples:
  chanter attach blue --port tap0 --mac fa:16:3e:00:00:01 --ip 10.0.0.5 --rt 64512:1
  chanter attach blue --port tap0 --mac fa:16:3e:00:00:01 --ip 10.0.0.5 --ip 2001:db8::5
  chanter attach blue --port tap1 --mac fa:16:3e:00:00:02 --vni 100 --import-rt 64512:1,64512:2 \\
                      --export-rt 64512:1

The instance is created with its first attachment. Route targets and VNI given here replace those of
the instance; without any, the instance must exist already.";

pub(crate) const DETACH_EXAMPLES: &str = "\
Examples:
  chanter detach blue --mac fa:16:3e:00:00:01 --ip 10.0.0.5     one address
  chanter detach blue --mac fa:16:3e:00:00:01                   the endpoint with all its addresses

The instance goes with its last attachment.";

pub(crate) const SHOW_EXAMPLES: &str = "\
Examples:
  chanter show summary
  chanter show peers
  chanter show peers 192.0.2.1                     capabilities, timers, policy, limits
  chanter show policy customer-in                  its rules, and how often each held
  chanter show bfd
  chanter show instances blue
  chanter show routes --instance blue
  chanter show routes --family l2vpn-evpn --mac fa:16:3e:00:00:01 --json
  chanter show routes --peer 192.0.2.1 --advertised --family ipv4-unicast
  chanter show routes --family ipv4-vpn --detail   all attributes of each path
  chanter show dataplane --failed";

pub(crate) const WHY_EXAMPLES: &str = "\
Examples:
  chanter why 10.0.0.6                             VPN instances, tables, and what was rejected
  chanter why fa:16:3e:00:00:02 --instance blue
  chanter why 2001:db8::6 --json";

pub(crate) const WATCH_EXAMPLES: &str = "\
Examples:
  chanter watch
  chanter watch --json | jq .";

/// Which daemon to talk to.
#[derive(Debug, Clone, Args)]
pub struct SocketArgs {
    /// The daemon's unix socket
    #[arg(long, value_name = "PATH", env = "CHANTER_SOCKET", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
}

/// `attach`.
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// The VPN instance
    pub instance: String,
    /// The port: with the linux dataplane, the network device
    #[arg(long, value_name = "DEVICE")]
    pub port: String,
    /// The VLAN of the endpoint on that port, if its frames are tagged
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub vlan: Option<u16>,
    /// The endpoint's MAC address
    #[arg(long)]
    pub mac: MacAddr,
    /// An IP address of the endpoint; may be repeated
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub ip: Vec<IpAddr>,
    /// A route target to import and export; may be repeated
    #[arg(long, value_name = "AS:NUMBER", value_delimiter = ',')]
    pub rt: Vec<RouteTarget>,
    /// A route target to import only; may be repeated
    #[arg(long, value_name = "AS:NUMBER", value_delimiter = ',')]
    pub import_rt: Vec<RouteTarget>,
    /// A route target to export only; may be repeated
    #[arg(long, value_name = "AS:NUMBER", value_delimiter = ',')]
    pub export_rt: Vec<RouteTarget>,
    /// The VXLAN network identifier (default: allocated)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=0xff_ffff))]
    pub vni: Option<u32>,
    /// The route distinguisher (default: router id and instance number)
    #[arg(long, value_name = "ADMIN:NUMBER")]
    pub rd: Option<RouteDistinguisher>,
    /// An existing bridge to use in place of one of our own
    #[arg(long, value_name = "DEVICE")]
    pub bridge: Option<IfName>,
    /// LOCAL_PREF of the endpoint's routes (default: 100)
    #[arg(long, value_name = "NUMBER")]
    pub local_pref: Option<u32>,
    /// The MAC address must not move (RFC 7432 section 15.2)
    #[arg(long)]
    pub sticky: bool,
    /// Your words for the endpoint
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The agent.
    #[command(flatten)]
    pub socket: SocketArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `detach`.
#[derive(Debug, Clone, Args)]
pub struct DetachArgs {
    /// The VPN instance
    pub instance: String,
    /// The endpoint's MAC address
    #[arg(long)]
    pub mac: MacAddr,
    /// Only this address of the endpoint; may be repeated (default: all)
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub ip: Vec<IpAddr>,
    /// The agent.
    #[command(flatten)]
    pub socket: SocketArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// What to show.
    #[command(subcommand)]
    pub what: ShowWhat,
}

/// What to show.
#[derive(Debug, Clone, Subcommand)]
pub enum ShowWhat {
    /// The daemon in a few lines
    Summary(PlainArgs),
    /// BGP peers and their sessions
    Peers {
        /// Only this one, in full: its address or interface
        peer: Option<String>,
        /// The rest.
        #[command(flatten)]
        plain: PlainArgs,
    },
    /// BFD sessions
    Bfd(PlainArgs),
    /// Policies, how often their rules held, and who has them
    Policy {
        /// Only this one, with its rules
        policy: Option<String>,
        /// The rest.
        #[command(flatten)]
        plain: PlainArgs,
    },
    /// VPN instances with their attachments
    Instances {
        /// Only this one, in full
        instance: Option<String>,
        /// The rest.
        #[command(flatten)]
        plain: PlainArgs,
    },
    /// Routes with all their paths, the best first
    Routes(RoutesArgs),
    /// What the dataplane should hold, and whether it does
    Dataplane {
        /// Only this instance
        #[arg(long)]
        instance: Option<String>,
        /// Only what is not in place
        #[arg(long)]
        failed: bool,
        /// The rest.
        #[command(flatten)]
        plain: PlainArgs,
    },
}

/// What every way to show takes.
#[derive(Debug, Clone, Args)]
pub struct PlainArgs {
    /// The daemon.
    #[command(flatten)]
    pub socket: SocketArgs,
    /// Print JSON, as the API gives it
    #[arg(long)]
    pub json: bool,
}

/// `show routes`.
#[derive(Debug, Clone, Args)]
pub struct RoutesArgs {
    /// Only this family: ipv4-unicast, ipv6-unicast, ipv4-vpn, ipv6-vpn, l2vpn-evpn, ipv4-rtc,
    /// ipv4-flowspec, ipv6-flowspec, ipv4-flowspec-vpn, ipv6-flowspec-vpn
    #[arg(long)]
    pub family: Option<Family>,
    /// Only what this instance originates or imports
    #[arg(long)]
    pub instance: Option<String>,
    /// Only routes with this MAC address
    #[arg(long)]
    pub mac: Option<MacAddr>,
    /// Only routes with this IP address
    #[arg(long)]
    pub ip: Option<IpAddr>,
    /// Only routes received from this peer
    #[arg(long, value_name = "PEER")]
    pub peer: Option<String>,
    /// With --peer: what it sent, which is the default
    #[arg(long, requires = "peer", conflicts_with = "advertised")]
    pub received: bool,
    /// With --peer: what it is sent
    #[arg(long, requires = "peer")]
    pub advertised: bool,
    /// Only routes advertised to this peer
    #[arg(long, value_name = "PEER", conflicts_with = "advertised")]
    pub advertised_to: Option<String>,
    /// Only routes that this node originates
    #[arg(long)]
    pub local: bool,
    /// All attributes of each path: communities, PMSI tunnel, ESI and the rest
    #[arg(long, short = 'l', visible_alias = "long")]
    pub detail: bool,
    /// The rest.
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// `why`.
#[derive(Debug, Clone, Args)]
pub struct WhyArgs {
    /// A MAC or IP address
    pub address: String,
    /// Only in this VPN instance
    #[arg(long)]
    pub instance: Option<String>,
    /// The agent.
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// The daemon.
    #[command(flatten)]
    pub plain: PlainArgs,
}
