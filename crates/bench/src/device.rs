//! The devices under test: how each is found, configured as a route reflector and started.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use chanter_bgp::Family;
use chanter_interop::Process;
use clap::ValueEnum;
use tempfile::TempDir;

use crate::netns::{CLIENT_NETWORK, Pair};
use crate::workload::Kind;
use crate::{ASN, DEVICE};

/// Where clients connect from.
const CLIENTS: &str = "10.98.0.0/24";

/// A BGP speaker that can reflect routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Device {
    /// `chanter rr`
    Chanter,
    /// BIRD 2
    Bird,
    /// bgpd of FRR, without zebra
    Frr,
    /// GoBGP
    Gobgp,
}

/// Where the programs are.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Programs in place of those of Debian's packages; `chanter` has to be among them.
    pub programs: BTreeMap<Device, PathBuf>,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Device::Chanter => "chanter",
            Device::Bird => "bird",
            Device::Frr => "frr",
            Device::Gobgp => "gobgp",
        })
    }
}

impl Device {
    /// Its program.
    pub fn program(self, setting: &Setting) -> PathBuf {
        if let Some(path) = setting.programs.get(&self) {
            return path.clone();
        }
        match self {
            Device::Chanter => "chanter".into(),
            Device::Bird => "/usr/sbin/bird".into(),
            Device::Frr => "/usr/lib/frr/bgpd".into(),
            Device::Gobgp => "/usr/bin/gobgpd".into(),
        }
    }

    /// What to install to have it.
    pub fn package(self) -> &'static str {
        match self {
            Device::Chanter => "it is built from this workspace",
            Device::Bird => "apt-get install bird2",
            Device::Frr => "apt-get install frr",
            Device::Gobgp => "apt-get install gobgpd",
        }
    }

    /// Whether it reflects routes of that kind: BIRD has EVPN from 2.18 on, Debian's is 2.0.
    pub fn supports(self, kind: Kind, setting: &Setting) -> bool {
        self != Device::Bird || kind.family() != Family::L2VPN_EVPN || self.has_evpn(setting)
    }

    fn has_evpn(self, setting: &Setting) -> bool {
        let version = self.version(setting);
        let number = version.rsplit(' ').next().unwrap_or_default();
        let mut parts = number
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next(), parts.next()) >= (Some(2), Some(18))
    }

    /// The most routes that it is given. GoBGP 3.10 looks at every path for each new MAC address,
    /// so that 100,000 would take many minutes.
    pub fn limit(self, kind: Kind) -> u32 {
        match (self, kind.family()) {
            (Device::Gobgp, Family::L2VPN_EVPN) => 5_000,
            _ => u32::MAX,
        }
    }

    /// What it says of its version, in one line.
    pub fn version(self, setting: &Setting) -> String {
        let mut command = Command::new(self.program(setting));
        command.arg("--version");
        let output = command.output().map(|output| {
            let all = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&all)
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        });
        output.unwrap_or_else(|error| error.to_string())
    }

    /// Starts it as a route reflector that takes any client.
    pub(crate) fn start(self, pair: &Pair, setting: &Setting) -> Result<Running> {
        let directory = tempfile::Builder::new()
            .prefix("chanter-bench-")
            .tempdir()?;
        let at = |file: &str| directory.path().join(file);
        let config = at(if self == Device::Chanter || self == Device::Gobgp {
            "device.toml"
        } else {
            "device.conf"
        });
        fs::write(&config, self.config(directory.path(), setting)?)?;
        let mut command = pair.device_command(&self.program(setting));
        match self {
            Device::Chanter => {
                command.args(["rr", "--config"]).arg(&config);
            }
            Device::Bird => {
                command.arg("-f").arg("-c").arg(&config);
                command.arg("-s").arg(at("bird.ctl"));
                command.arg("-P").arg(at("bird.pid"));
            }
            Device::Frr => {
                // No zebra, no other user, no terminal. That there is no zebra would be logged
                // again and again.
                command.args(["-Z", "-S", "-P", "0", "--log", "stdout"]);
                command.args(["--log-level", "critical"]);
                command.arg("--vty_socket").arg(directory.path());
                command.arg("-i").arg(at("bgpd.pid")).arg("-f").arg(&config);
            }
            Device::Gobgp => {
                command.arg("-f").arg(&config).args(["-t", "toml"]);
                command.args(["--pprof-disable", "--log-plain", "--log-level", "error"]);
            }
        }
        let process = Process::spawn("device", &mut command, directory.path())?;
        Ok(Running { process, directory })
    }

    fn config(self, directory: &Path, setting: &Setting) -> Result<String> {
        match self {
            Device::Chanter => chanter(directory),
            Device::Bird => Ok(bird(self.has_evpn(setting))),
            Device::Frr => Ok(frr()),
            Device::Gobgp => gobgp(),
        }
    }
}

/// A device under test; ended when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    directory: TempDir,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log_tail(&self) -> String {
        let path = self.directory.path().join("device.log");
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn chanter(directory: &Path) -> Result<String> {
    let mut text = String::new();
    let at = |file: &str| directory.join(file).display().to_string();
    writeln!(text, "state_dir = \"{}\"", at("state"))?;
    writeln!(text, "socket = \"{}\"", at("chanter.sock"))?;
    writeln!(text, "[log]\nlevel = \"warn\"")?;
    writeln!(text, "[bgp]\nas = {ASN}\nlocal_address = \"{DEVICE}\"")?;
    writeln!(text, "listen = [\"{DEVICE}:179\"]")?;
    for (prefix, families, limit) in [
        (
            CLIENTS,
            r#"["ipv4-unicast", "ipv4-vpn", "l2vpn-evpn"]"#,
            1000,
        ),
        (CLIENT_NETWORK, r#"["l2vpn-evpn", "ipv4-rtc"]"#, 65_536),
    ] {
        writeln!(text, "[[bgp.ranges]]\nprefix = \"{prefix}\"")?;
        writeln!(text, "families = {families}\nlimit = {limit}")?;
    }
    Ok(text)
}

fn bird(has_evpn: bool) -> String {
    let (table, channel) = if has_evpn {
        (
            "evpn table evpn1;",
            "evpn { table evpn1; import all; export where source = RTS_BGP; };",
        )
    } else {
        ("", "")
    };
    format!(
        "log stderr {{ warning, error, fatal, bug }};
router id {DEVICE};
vpn4 table vpn4tab;
{table}
protocol device {{ }}
protocol direct {{ ipv4; }}
template bgp any {{
  local {DEVICE} as {ASN};
  rr client;
  rr cluster id {DEVICE};
  ipv4 {{ import all; export where source = RTS_BGP; }};
  vpn4 mpls {{ table vpn4tab; import all; export where source = RTS_BGP; }};
  {channel}
}}
protocol bgp clients from any {{
  neighbor range {CLIENTS} as {ASN};
  dynamic name \"from\";
}}
"
    )
}

fn frr() -> String {
    format!(
        "frr defaults traditional
hostname device
router bgp {ASN}
 bgp router-id {DEVICE}
 bgp cluster-id {DEVICE}
 no bgp default ipv4-unicast
 neighbor clients peer-group
 neighbor clients remote-as {ASN}
 bgp listen limit 1000
 bgp listen range {CLIENTS} peer-group clients
 address-family ipv4 unicast
  neighbor clients activate
  neighbor clients route-reflector-client
 exit-address-family
 address-family ipv4 vpn
  neighbor clients activate
  neighbor clients route-reflector-client
 exit-address-family
 address-family l2vpn evpn
  neighbor clients activate
  neighbor clients route-reflector-client
 exit-address-family
"
    )
}

fn gobgp() -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "[global.config]\n  as = {ASN}\n  router-id = \"{DEVICE}\""
    )?;
    writeln!(text, "[[peer-groups]]\n  [peer-groups.config]")?;
    writeln!(text, "    peer-group-name = \"any\"\n    peer-as = {ASN}")?;
    writeln!(text, "  [peer-groups.route-reflector.config]")?;
    writeln!(text, "    route-reflector-client = true")?;
    writeln!(text, "    route-reflector-cluster-id = \"{DEVICE}\"")?;
    for family in ["ipv4-unicast", "l3vpn-ipv4-unicast", "l2vpn-evpn"] {
        writeln!(text, "  [[peer-groups.afi-safis]]")?;
        writeln!(
            text,
            "    [peer-groups.afi-safis.config]\n      afi-safi-name = \"{family}\""
        )?;
    }
    writeln!(text, "[[dynamic-neighbors]]\n  [dynamic-neighbors.config]")?;
    writeln!(text, "    prefix = \"{CLIENTS}\"\n    peer-group = \"any\"")?;
    Ok(text)
}
