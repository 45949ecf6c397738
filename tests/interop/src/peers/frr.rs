//! FRR: zebra and bgpd, configured through vtysh.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::unistd::{Group, User, chown};
use serde_json::Value;

use super::installed;
use crate::ASN;
use crate::command::output;
use crate::lab::{Endpoint, Lab, Node};
use crate::process::Process;
use crate::wait::{secs, wait_until};

const DAEMONS: &str = "/usr/lib/frr";

/// FRR on a node.
#[derive(Debug)]
pub struct Frr {
    /// Where it runs.
    pub node: Node,
    lab_directory: PathBuf,
    sockets: PathBuf,
    zebra: Option<Process>,
    bfdd: Option<Process>,
    bgpd: Option<Process>,
}

/// What it is told at the start.
#[derive(Clone, Debug, Default)]
pub struct FrrConfig {
    /// iBGP peers it connects to (and accepts).
    pub peers: Vec<IpAddr>,
    /// Whether they are its route-reflector clients.
    pub clients: bool,
    /// The whole configuration, in place of what follows from the others.
    pub text: Option<String>,
    /// Whether bfdd runs too.
    pub bfd: bool,
}

impl Frr {
    /// Starts zebra and bgpd.
    pub fn start(lab: &Lab, node: &Node, config: &FrrConfig) -> Result<Self> {
        node.namespace.sh("echo 1 >/proc/sys/net/ipv4/ip_forward")?;
        let sockets = node.directory.join("frr");
        fs::create_dir(&sockets)?;
        fs::write(sockets.join("vtysh.conf"), "")?;
        fs::write(sockets.join("empty.conf"), "")?;
        fs::write(sockets.join("frr.conf"), config.render(node)?)?;
        let user = User::from_name("frr")?.context("there is no user `frr`: run scripts/setup")?;
        let group = Group::from_name("frr")?.map(|group| group.gid);
        chown(&sockets, Some(user.uid), group)?;
        let (node, lab_directory) = (node.clone(), lab.directory().to_owned());
        let mut frr = Self {
            node,
            lab_directory,
            sockets,
            zebra: None,
            bfdd: None,
            bgpd: None,
        };
        frr.zebra = Some(frr.spawn("zebra")?);
        if config.bfd {
            frr.bfdd = Some(frr.spawn("bfdd")?);
        }
        frr.start_bgpd()?;
        Ok(frr)
    }

    /// `kill -9` of bgpd, nothing else; zebra and the dataplane stay.
    pub fn kill(&mut self) -> Result<()> {
        self.bgpd.take().context("bgpd is not running")?.kill()
    }

    /// Commands of the configuration mode, one a line.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let mut command = self.vtysh_command();
        command.args(["-c", "configure terminal"]);
        for line in lines.lines() {
            command.args(["-c", line.trim()]);
        }
        output(&mut command).map(drop)
    }

    /// Ends bgpd and starts it again with the same configuration; zebra and the dataplane stay.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(bgpd) = self.bgpd.take() {
            bgpd.terminate()?;
        }
        self.start_bgpd()
    }

    /// Starts bgpd (again).
    pub fn start_bgpd(&mut self) -> Result<()> {
        self.bgpd = Some(self.spawn("bgpd")?);
        let config = self.sockets.join("frr.conf");
        output(self.vtysh_command().arg("-f").arg(config)).map(drop)
    }

    fn spawn(&self, daemon: &str) -> Result<Process> {
        let program = installed(format!("{DAEMONS}/{daemon}"))?;
        let at = |file: &str| self.sockets.join(file);
        let mut command = self.node.namespace.command(program);
        command.args(["-u", "frr", "-g", "frr", "-P", "0", "--log", "stdout"]);
        command
            .arg("--vty_socket")
            .arg(&self.sockets)
            .arg("-z")
            .arg(at("zserv.api"));
        command
            .arg("-i")
            .arg(at(&format!("{daemon}.pid")))
            .arg("-f")
            .arg(at("empty.conf"));
        let socket = at(&format!("{daemon}.vty"));
        // bgpd leaves its socket behind when it ends.
        let _ = fs::remove_file(&socket);
        let name = format!("{}-{daemon}", self.node.name);
        let mut process = Process::spawn(&name, &mut command, &self.lab_directory)?;
        process.wait_ready(secs(20), &format!("{name} answers"), || {
            ensure!(socket.exists(), "no {}", socket.display());
            ensure!(
                daemon != "zebra" || at("zserv.api").exists(),
                "no zserv.api"
            );
            Ok(())
        })?;
        Ok(process)
    }

    fn vtysh_command(&self) -> Command {
        let mut command = Command::new("vtysh");
        command
            .arg("--vty_socket")
            .arg(&self.sockets)
            .arg("--config_dir")
            .arg(&self.sockets);
        command
    }

    /// One command of `vtysh`.
    pub fn vtysh(&self, line: &str) -> Result<String> {
        output(self.vtysh_command().args(["-c", line]))
    }

    /// One `show` command that answers in JSON.
    pub fn json(&self, line: &str) -> Result<Value> {
        let text = self.vtysh(&format!("{line} json"))?;
        serde_json::from_str(&text).with_context(|| format!("{line}: {text}"))
    }

    /// Waits until the session with `peer` is established.
    pub fn wait_established(&self, peer: IpAddr) -> Result<()> {
        wait_until(
            secs(60),
            &format!("{} and {peer} are peers", self.node.name),
            || {
                let summary = self.json("show bgp l2vpn evpn summary")?;
                let state = &summary["peers"][peer.to_string()]["state"];
                ensure!(state == "Established", "state {state}");
                Ok(())
            },
        )
    }

    /// The EVPN prefixes of all route distinguishers, as FRR writes them (`[2]:[0]:[48]:[02:...]`).
    pub fn evpn_prefixes(&self) -> Result<Vec<String>> {
        let table = self.json("show bgp l2vpn evpn")?;
        let distinguishers = table
            .as_object()
            .context("a table by route distinguisher")?
            .values();
        let prefixes = distinguishers
            .filter_map(Value::as_object)
            .flat_map(|prefixes| prefixes.keys());
        Ok(prefixes
            .filter(|key| key.starts_with('['))
            .cloned()
            .collect())
    }

    /// Fails unless there is a type 2 route of `mac` and, where given, `ip`.
    pub fn check_mac(&self, mac: &str, ip: Option<IpAddr>) -> Result<()> {
        let wanted = match ip {
            None => format!("[2]:[0]:[48]:[{mac}]"),
            Some(ip @ IpAddr::V4(_)) => format!("[2]:[0]:[48]:[{mac}]:[32]:[{ip}]"),
            Some(ip @ IpAddr::V6(_)) => format!("[2]:[0]:[48]:[{mac}]:[128]:[{ip}]"),
        };
        let all = self.evpn_prefixes()?;
        ensure!(
            all.contains(&wanted),
            "{} has no {wanted}, only {all:?}",
            self.node.name
        );
        Ok(())
    }

    /// Fails if any route mentions `mac`.
    pub fn check_no_mac(&self, mac: &str) -> Result<()> {
        let all = self.evpn_prefixes()?;
        ensure!(
            !all.iter().any(|prefix| prefix.contains(mac)),
            "{} still has {mac}",
            self.node.name
        );
        Ok(())
    }

    /// Fails unless there is a type 3 route of `originator`.
    pub fn check_multicast(&self, originator: IpAddr) -> Result<()> {
        let wanted = format!("[3]:[0]:[32]:[{originator}]");
        let all = self.evpn_prefixes()?;
        ensure!(
            all.contains(&wanted),
            "{} has no {wanted}, only {all:?}",
            self.node.name
        );
        Ok(())
    }

    /// Makes a bridge with a VXLAN device for `vni`; FRR originates a type 3 route for it.
    pub fn vtep(&self, vni: u32) -> Result<()> {
        let (bridge, vxlan, local) = (
            bridge_of(vni),
            format!("vx{vni}"),
            self.node.ip().to_string(),
        );
        let at = &self.node.namespace;
        at.ip(&["link", "add", "name", &bridge, "type", "bridge"])?;
        at.ip(&[
            "link",
            "add",
            "name",
            &vxlan,
            "type",
            "vxlan",
            "id",
            &vni.to_string(),
            "local",
            &local,
            "dstport",
            "4789",
            "nolearning",
        ])?;
        at.ip(&["link", "set", "dev", &vxlan, "master", &bridge, "up"])?;
        at.ip(&[
            "link",
            "set",
            "dev",
            &vxlan,
            "type",
            "bridge_slave",
            "learning",
            "off",
        ])?;
        at.ip(&["link", "set", "dev", &bridge, "up"]).map(drop)
    }

    /// Puts an endpoint on the bridge of `vni` and lets it speak, so that FRR learns its MAC
    /// address and originates a type 2 route.
    pub fn plug(&self, vni: u32, endpoint: &Endpoint) -> Result<()> {
        self.node.namespace.ip(&[
            "link",
            "set",
            "dev",
            &endpoint.port,
            "master",
            &bridge_of(vni),
        ])?;
        let unanswered = endpoint
            .address(0)
            .rsplit_once('.')
            .map(|(net, _)| format!("{net}.254"));
        let target = unanswered.context("the first address is an IPv4 one")?;
        endpoint
            .namespace
            .sh(&format!("ping -n -q -c 1 -W 1 {target} || true"))
            .map(drop)
    }
}

fn bridge_of(vni: u32) -> String {
    format!("br{vni}")
}

impl FrrConfig {
    fn render(&self, node: &Node) -> Result<String> {
        if let Some(text) = &self.text {
            return Ok(text.clone());
        }
        let mut text = String::new();
        writeln!(
            text,
            "frr defaults traditional\nhostname {}\nrouter bgp {ASN}",
            node.name
        )?;
        writeln!(
            text,
            " bgp router-id {}\n no bgp default ipv4-unicast",
            node.ip()
        )?;
        writeln!(text, " timers bgp 30 90")?;
        for peer in &self.peers {
            writeln!(
                text,
                " neighbor {peer} remote-as {ASN}\n neighbor {peer} timers connect 1"
            )?;
        }
        writeln!(text, " address-family l2vpn evpn\n  advertise-all-vni")?;
        for peer in &self.peers {
            writeln!(text, "  neighbor {peer} activate")?;
            if self.clients {
                writeln!(text, "  neighbor {peer} route-reflector-client")?;
            }
        }
        text.push_str(" exit-address-family\nexit\n");
        Ok(text)
    }
}
