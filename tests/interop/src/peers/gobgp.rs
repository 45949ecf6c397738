//! GoBGP, as a peer or as a route reflector.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::installed;
use crate::ASN;
use crate::command::output;
use crate::lab::{Lab, Node};
use crate::process::Process;
use crate::wait::{secs, wait_until};

const API: &str = "127.0.0.1:50051";

/// GoBGP on a node.
#[derive(Debug)]
pub struct Gobgp {
    /// Where it runs.
    pub node: Node,
    lab_directory: PathBuf,
    file: PathBuf,
    daemon: Option<Process>,
}

/// What it is told at the start.
#[derive(Clone, Debug, Default)]
pub struct GobgpConfig {
    /// iBGP peers it connects to.
    pub peers: Vec<IpAddr>,
    /// Whether any address of the underlay may connect to it instead.
    pub listen: bool,
    /// Whether peers are its route-reflector clients.
    pub reflector: bool,
    /// Whether it speaks RT constraint.
    pub rt_constraint: bool,
    /// Whether it keeps the routes of a restarting peer (RFC 4724).
    pub graceful_restart: bool,
    /// Its AS, if it is not [`ASN`].
    pub asn: Option<u32>,
    /// The AS of its peers, if it is not its own.
    pub peer_asn: Option<u32>,
    /// Families as it names them, in place of EVPN.
    pub families: Vec<&'static str>,
    /// Whether it takes and sends several paths of each of them (RFC 7911).
    pub add_paths: bool,
}

impl Gobgp {
    /// Starts the daemon.
    pub fn start(lab: &Lab, node: &Node, config: &GobgpConfig) -> Result<Self> {
        let file = node.directory.join("gobgpd.toml");
        fs::write(&file, config.render(node)?)?;
        let (node, lab_directory) = (node.clone(), lab.directory().to_owned());
        let mut gobgp = Self {
            node,
            lab_directory,
            file,
            daemon: None,
        };
        gobgp.spawn()?;
        Ok(gobgp)
    }

    /// Ends the daemon and starts it again; it has forgotten every route it originated.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        self.spawn()
    }

    /// `kill -9`, nothing else.
    pub fn kill(&mut self) -> Result<()> {
        let daemon = self.daemon.take().context("GoBGP is not running")?;
        daemon.kill()
    }

    /// Starts it (again).
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = self.node.namespace.command(installed("/usr/bin/gobgpd")?);
        command
            .arg("-f")
            .arg(&self.file)
            .args(["-t", "toml", "--api-hosts", API]);
        command.args(["--pprof-disable", "--log-plain"]);
        let name = format!("{}-gobgpd", self.node.name);
        let mut daemon = Process::spawn(&name, &mut command, &self.lab_directory)?;
        daemon.wait_ready(secs(20), &format!("{name} answers"), || self.cli("global"))?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// The `gobgp` command.
    pub fn cli(&self, line: &str) -> Result<String> {
        let mut command = self.node.namespace.command("gobgp");
        command
            .args(["-u", "127.0.0.1", "-p", "50051"])
            .args(line.split_whitespace());
        output(&mut command)
    }

    /// A `gobgp` command that answers in JSON.
    pub fn json(&self, line: &str) -> Result<Value> {
        let text = self.cli(&format!("{line} -j"))?;
        serde_json::from_str(&text).with_context(|| format!("gobgp {line}: {text}"))
    }

    /// Waits until the session with `peer` is established.
    pub fn wait_established(&self, peer: IpAddr) -> Result<()> {
        wait_until(
            secs(60),
            &format!("{} and {peer} are peers", self.node.name),
            || self.check_established(peer),
        )
    }

    /// Fails unless the session with `peer` is established.
    pub fn check_established(&self, peer: IpAddr) -> Result<()> {
        let neighbors = self.json("neighbor")?;
        let states = neighbors
            .as_array()
            .context("a list of neighbors")?
            .iter()
            .map(|one| &one["state"]);
        // 6 is ESTABLISHED of the enumeration in its API.
        let up = |state: &Value| {
            state["neighbor_address"] == peer.to_string() && state["session_state"] == 6
        };
        ensure!(
            states.clone().any(up),
            "{:?}",
            states
                .map(|state| &state["session_state"])
                .collect::<Vec<_>>()
        );
        Ok(())
    }

    /// The EVPN routes, each path as one JSON object.
    pub fn evpn_paths(&self) -> Result<Vec<Value>> {
        let table = self.json("global rib -a evpn")?;
        let destinations = table
            .as_object()
            .map(|table| table.values().cloned().collect::<Vec<_>>());
        Ok(destinations
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_array)
            .flatten()
            .cloned()
            .collect())
    }

    /// The path of the type 2 route of `mac` (and `ip`, if it has one).
    pub fn mac_path(&self, mac: &str, ip: Option<IpAddr>) -> Result<Value> {
        let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
        let paths = self.evpn_paths()?;
        let wanted = |path: &&Value| {
            let value = &path["nlri"]["value"];
            path["nlri"]["type"] == 2 && value["mac"] == mac && text_or_empty(&value["ip"]) == ip
        };
        match paths.iter().find(wanted) {
            Some(path) => Ok(path.clone()),
            None => bail!(
                "{} has no type 2 route of {mac} {ip}, only {paths:?}",
                self.node.name
            ),
        }
    }

    /// Fails if any type 2 route has `mac`.
    pub fn check_no_mac(&self, mac: &str) -> Result<()> {
        let paths = self.evpn_paths()?;
        let found = paths
            .iter()
            .find(|path| path["nlri"]["value"]["mac"] == mac);
        ensure!(found.is_none(), "{} still has {found:?}", self.node.name);
        Ok(())
    }

    /// The path of the type 3 route of `originator`.
    pub fn multicast_path(&self, originator: IpAddr) -> Result<Value> {
        let paths = self.evpn_paths()?;
        let wanted = |path: &&Value| {
            path["nlri"]["type"] == 3 && path["nlri"]["value"]["ip"] == originator.to_string()
        };
        match paths.iter().find(wanted) {
            Some(path) => Ok(path.clone()),
            None => bail!(
                "{} has no type 3 route of {originator}, only {paths:?}",
                self.node.name
            ),
        }
    }

    /// Originates a type 2 route, as a VTEP at `self`'s address would.
    pub fn add_mac(&self, mac: &str, ip: IpAddr, vni: u32) -> Result<()> {
        self.cli(&format!(
            "global rib add -a evpn {}",
            self.mac_route(mac, ip, vni)
        ))
        .map(drop)
    }

    /// Withdraws it.
    pub fn remove_mac(&self, mac: &str, ip: IpAddr, vni: u32) -> Result<()> {
        self.cli(&format!(
            "global rib del -a evpn {}",
            self.mac_route(mac, ip, vni)
        ))
        .map(drop)
    }

    fn mac_route(&self, mac: &str, ip: IpAddr, vni: u32) -> String {
        let me = self.node.ip();
        format!(
            "macadv {mac} {ip} esi 0 etag 0 label {vni} rd {me}:{} rt {ASN}:{vni} encap vxlan \
             nexthop {me}",
            vni % 65536
        )
    }

    /// Originates a type 3 route.
    pub fn add_multicast(&self, vni: u32) -> Result<()> {
        self.cli(&format!(
            "global rib add -a evpn {}",
            self.multicast_route(vni)
        ))
        .map(drop)
    }

    /// Withdraws it.
    pub fn remove_multicast(&self, vni: u32) -> Result<()> {
        self.cli(&format!(
            "global rib del -a evpn {}",
            self.multicast_route(vni)
        ))
        .map(drop)
    }

    fn multicast_route(&self, vni: u32) -> String {
        let me: Ipv4Addr = self.node.ip();
        format!(
            "multicast {me} etag 0 rd {me}:{} rt {ASN}:{vni} encap vxlan \
             pmsi ingress-repl {vni} {me} nexthop {me}",
            vni % 65536
        )
    }
}

/// GoBGP writes an absent address as an empty string, `<nil>` or not at all, by version.
fn text_or_empty(value: &Value) -> &str {
    value
        .as_str()
        .filter(|text| *text != "<nil>")
        .unwrap_or_default()
}

impl GobgpConfig {
    fn render(&self, node: &Node) -> Result<String> {
        let mut text = String::new();
        let asn = self.asn.unwrap_or(ASN);
        let peer_asn = self.peer_asn.unwrap_or(asn);
        writeln!(
            text,
            "[global.config]\n  as = {asn}\n  router-id = \"{}\"",
            node.ip()
        )?;
        if self.listen {
            writeln!(text, "[[peer-groups]]\n  [peer-groups.config]")?;
            writeln!(
                text,
                "    peer-group-name = \"any\"\n    peer-as = {peer_asn}"
            )?;
            self.render_session(&mut text, "peer-groups", node)?;
            writeln!(text, "[[dynamic-neighbors]]\n  [dynamic-neighbors.config]")?;
            writeln!(
                text,
                "    prefix = \"10.97.0.0/24\"\n    peer-group = \"any\""
            )?;
        }
        for peer in &self.peers {
            writeln!(text, "[[neighbors]]\n  [neighbors.config]")?;
            writeln!(
                text,
                "    neighbor-address = \"{peer}\"\n    peer-as = {peer_asn}"
            )?;
            self.render_session(&mut text, "neighbors", node)?;
        }
        Ok(text)
    }

    fn render_session(&self, text: &mut String, kind: &str, node: &Node) -> Result<()> {
        writeln!(
            text,
            "  [{kind}.timers.config]\n    connect-retry = 1\n    hold-time = 90"
        )?;
        writeln!(
            text,
            "    keepalive-interval = 30\n    idle-hold-time-after-reset = 1"
        )?;
        if self.reflector {
            writeln!(
                text,
                "  [{kind}.route-reflector.config]\n    route-reflector-client = true"
            )?;
            writeln!(text, "    route-reflector-cluster-id = \"{}\"", node.ip())?;
        }
        if self.graceful_restart {
            writeln!(
                text,
                "  [{kind}.graceful-restart.config]\n    enabled = true\n    restart-time = 60"
            )?;
        }
        let rt_constraint = self.rt_constraint.then_some("rtc");
        let families = match self.families.as_slice() {
            [] => &["l2vpn-evpn"],
            families => families,
        };
        for family in families.iter().copied().chain(rt_constraint) {
            writeln!(
                text,
                "  [[{kind}.afi-safis]]\n    [{kind}.afi-safis.config]"
            )?;
            writeln!(text, "      afi-safi-name = \"{family}\"")?;
            if self.graceful_restart {
                writeln!(
                    text,
                    "    [{kind}.afi-safis.mp-graceful-restart.config]\n      enabled = true"
                )?;
            }
            if self.add_paths && family != "rtc" {
                writeln!(
                    text,
                    "    [{kind}.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8"
                )?;
            }
        }
        Ok(())
    }
}
