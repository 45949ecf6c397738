//! Chanter itself, as its operators start it.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::ASN;
use crate::command::output;
use crate::lab::{Endpoint, Lab, Node};
use crate::peers::bagpipe::{BagpipeDataplane, bgp_conf, evpn_body, prepare, with_bgp_conf};
use crate::process::Process;
use crate::rest::Rest;
use crate::wait::{secs, wait_until};

/// The `chanter` binary: `$CHANTER`, or built in the profile of this test.
pub fn chanter_program() -> Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| match std::env::var_os("CHANTER") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build(&[]).map_err(|error| format!("building chanter: {error:#}")),
    });
    found.clone().map_err(|error| anyhow!(error))
}

/// Builds the binary with further options of cargo and returns its path. It asks for the binary of the
/// whole workspace, as `scripts/test` does, so that dependencies are built with the same features.
pub fn build(options: &[&str]) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command
        .args(["build", "--quiet", "--workspace", "--bin", "chanter"])
        .args(options);
    command.args(["--message-format", "json-render-diagnostics"]);
    let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    ensure!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let messages = String::from_utf8(built.stdout)?;
    let mut artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let path = artifacts.find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    path.context("cargo build named no executable")
}

/// `chanter agent` on a node.
#[derive(Debug)]
pub struct Agent {
    /// Where it runs.
    pub node: Node,
    /// Its REST API that is bagpipe-bgp's.
    pub rest: Rest,
    role: Role,
    daemon: Option<Process>,
    lab_directory: PathBuf,
}

/// Under which name it runs, with which configuration.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// `chanter agent` with a chanter.toml.
    Agent,
    /// `bagpipe-bgp` with a bgp.conf.
    BagpipeBgp,
}

/// What it is told at the start.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// iBGP peers it connects to.
    pub peers: Vec<IpAddr>,
    /// `linux` or `dummy`.
    pub driver: &'static str,
    /// The VTEP address, if it is not the node's IPv4 address.
    pub vtep: Option<IpAddr>,
    /// The binary, if it is not that of [`chanter_program`].
    pub program: Option<PathBuf>,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            driver: "linux",
            vtep: None,
            program: None,
        }
    }
}

impl Agent {
    /// Starts the agent with a chanter.toml.
    pub fn start(lab: &Lab, node: &Node, config: &AgentConfig) -> Result<Self> {
        fs::write(config_file(node), config.render(node)?)?;
        let program = match &config.program {
            Some(program) => program.clone(),
            None => chanter_program()?,
        };
        link(node, "chanter", &program)?;
        Self::start_as(lab, node, Role::Agent)
    }

    /// Starts it under the name `bagpipe-bgp`, with the bgp.conf that bagpipe-bgp would get.
    pub fn start_as_bagpipe(
        lab: &Lab,
        node: &Node,
        peers: &[Ipv4Addr],
        dataplane: BagpipeDataplane,
    ) -> Result<Self> {
        prepare(node, &bgp_conf(node, peers, dataplane)?)?;
        link(node, "chanter", &chanter_program()?)?;
        link(node, "bagpipe-bgp", &chanter_program()?)?;
        Self::start_as(lab, node, Role::BagpipeBgp)
    }

    fn start_as(lab: &Lab, node: &Node, role: Role) -> Result<Self> {
        let rest = Rest::new(&node.namespace, 8082);
        let (node, lab_directory) = (node.clone(), lab.directory().to_owned());
        let mut agent = Self {
            node,
            rest,
            role,
            daemon: None,
            lab_directory,
        };
        agent.spawn()?;
        Ok(agent)
    }

    /// `kill -9`, nothing else.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon
            .take()
            .context("the agent is not running")?
            .kill()
    }

    /// SIGTERM; it must end with status 0.
    pub fn stop(&mut self) -> Result<()> {
        let status = self
            .daemon
            .take()
            .context("the agent is not running")?
            .terminate()?;
        ensure!(status.success(), "chanter agent ended with {status}");
        Ok(())
    }

    /// Starts it (again).
    pub fn spawn(&mut self) -> Result<()> {
        let bin = self.node.directory.join("bin");
        let mut command = match self.role {
            Role::Agent => {
                let mut command = self.node.namespace.command(bin.join("chanter"));
                command
                    .args(["agent", "--config"])
                    .arg(config_file(&self.node));
                command
            }
            Role::BagpipeBgp => with_bgp_conf(&self.node, &bin.join("bagpipe-bgp"))?,
        };
        let name = format!("{}-agent", self.node.name);
        let mut daemon = Process::spawn(&name, &mut command, &self.lab_directory)?;
        daemon.wait_ready(secs(30), &format!("{name} answers"), || {
            self.rest.fetch("/ping")
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// One of its operator's commands, with `--json`.
    pub fn cli(&self, arguments: &[&str]) -> Result<Value> {
        cli(&self.node, arguments)
    }

    /// Waits until `count` of its sessions are established.
    pub fn wait_established(&self, count: u64) -> Result<()> {
        wait_until(
            secs(90),
            &format!("{} has {count} peers", self.node.name),
            || {
                let established = self
                    .rest
                    .fetch("/looking-glass/summary/BGP_established_peers")?;
                ensure!(
                    established == count,
                    "BGP_established_peers is {established}"
                );
                Ok(())
            },
        )
    }

    /// Attaches `endpoint` with each of its addresses to the EVPN whose route target is `ASN:vni`.
    pub fn attach(&self, vni: u32, endpoint: &Endpoint) -> Result<()> {
        self.for_each_address("/attach_localport", vni, endpoint)
    }

    /// Detaches it.
    pub fn detach(&self, vni: u32, endpoint: &Endpoint) -> Result<()> {
        self.for_each_address("/detach_localport", vni, endpoint)
    }

    fn for_each_address(&self, path: &str, vni: u32, endpoint: &Endpoint) -> Result<()> {
        for address in 0..endpoint.addresses.len() {
            self.rest
                .post(path, &evpn_body(vni, endpoint, address))?
                .expect_ok()?;
        }
        Ok(())
    }

    /// The EVPN routes it has, as its looking glass writes them.
    pub fn evpn_routes(&self) -> Result<String> {
        let routes = self.rest.fetch("/looking-glass/bgp/routes")?;
        let evpn = routes
            .get("l2vpn/evpn,*")
            .context("no l2vpn/evpn,* in bgp/routes")?;
        Ok(evpn.to_string().to_ascii_lowercase())
    }

    /// Fails unless it has a type 2 route of `mac` with `ip`.
    pub fn check_mac(&self, mac: &str, ip: &str) -> Result<()> {
        let (routes, wanted) = (self.evpn_routes()?, format!("{mac}/48:{ip}:"));
        ensure!(
            routes.contains(&wanted),
            "{} has no {wanted}: {routes}",
            self.node.name
        );
        Ok(())
    }

    /// Fails if any of its routes has `mac`.
    pub fn check_no_mac(&self, mac: &str) -> Result<()> {
        let routes = self.evpn_routes()?;
        ensure!(
            !routes.contains(mac),
            "{} still has {mac}: {routes}",
            self.node.name
        );
        Ok(())
    }

    /// Fails unless it has a type 3 route of `originator`.
    pub fn check_multicast(&self, originator: IpAddr) -> Result<()> {
        let (routes, wanted) = (self.evpn_routes()?, format!(":{originator}\""));
        let found = routes
            .split("evpn:multicast")
            .skip(1)
            .any(|route| route.contains(&wanted));
        ensure!(
            found,
            "{} has no type 3 route of {originator}: {routes}",
            self.node.name
        );
        Ok(())
    }
}

/// `chanter rr` on a node.
#[derive(Debug)]
pub struct Reflector {
    /// Where it runs.
    pub node: Node,
    asn: u32,
    daemon: Option<Process>,
    lab_directory: PathBuf,
}

impl Reflector {
    /// Starts it; every address of the underlay may connect as a client.
    pub fn start(lab: &Lab, node: &Node) -> Result<Self> {
        let mut text = String::new();
        for prefix in ["10.97.0.0/24", "fd97::/64"] {
            writeln!(
                text,
                "[[bgp.ranges]]\nprefix = \"{prefix}\"\nas = {ASN}\nclient = true"
            )?;
        }
        Self::configured(lab, node, &text)
    }

    /// Starts it with `text` behind the options of the node itself, in the section `[bgp]`.
    pub fn configured(lab: &Lab, node: &Node, text: &str) -> Result<Self> {
        Self::of_as(lab, node, ASN, text)
    }

    /// Starts it in another AS.
    pub fn of_as(lab: &Lab, node: &Node, asn: u32, text: &str) -> Result<Self> {
        write_reflector(node, asn, text)?;
        link(node, "chanter", &chanter_program()?)?;
        let mut reflector = Self {
            node: node.clone(),
            asn,
            daemon: None,
            lab_directory: lab.directory().to_owned(),
        };
        reflector.spawn()?;
        Ok(reflector)
    }

    /// Has another configuration read, as an operator would: SIGHUP.
    pub fn reload(&self, text: &str) -> Result<()> {
        write_reflector(&self.node, self.asn, text)?;
        let daemon = self
            .daemon
            .as_ref()
            .context("the reflector is not running")?;
        let pid = i32::try_from(daemon.id())?;
        kill(Pid::from_raw(pid), Signal::SIGHUP)?;
        Ok(())
    }

    /// One of its operator's commands, with `--json`.
    pub fn cli(&self, arguments: &[&str]) -> Result<Value> {
        cli(&self.node, arguments)
    }

    /// How many octets of memory it holds (resident set).
    pub fn resident(&self) -> Result<u64> {
        let daemon = self.daemon.as_ref();
        let id = daemon.context("the reflector is not running")?.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib.context("no VmRSS")?.parse()?;
        Ok(kib * 1024)
    }

    /// What it says about the session with `addr`.
    pub fn peer(&self, addr: IpAddr) -> Result<Value> {
        let peers = self.cli(&["show", "peers"])?;
        let all = peers.as_array().or_else(|| peers["peers"].as_array());
        let found = all
            .into_iter()
            .flatten()
            .find(|peer| peer["addr"] == addr.to_string());
        found
            .cloned()
            .with_context(|| format!("no peer {addr}: {peers}"))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Process::log).unwrap_or_default()
    }

    /// `kill -9` and start.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        self.spawn()
    }

    fn spawn(&mut self) -> Result<()> {
        let mut command = self
            .node
            .namespace
            .command(self.node.directory.join("bin/chanter"));
        command
            .args(["rr", "--config"])
            .arg(config_file(&self.node));
        let name = format!("{}-rr", self.node.name);
        let mut daemon = Process::spawn(&name, &mut command, &self.lab_directory)?;
        daemon.wait_ready(secs(30), &format!("{name} listens"), || {
            let sockets = self.node.namespace.sh("ss -Hltn 'sport = :179'")?;
            ensure!(!sockets.is_empty(), "nothing listens on port 179");
            Ok(())
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }
}

/// Runs `chanter` under the name of one of the programs it replaces, with a bgp.conf where that one
/// would have it.
pub fn persona(node: &Node, name: &str, arguments: &[&str]) -> Result<String> {
    if !node.directory.join("bgp.conf").exists() {
        prepare(node, "[API]\nport = 8082\n")?;
    }
    let program = link(node, name, &chanter_program()?)?;
    output(with_bgp_conf(node, &program)?.args(arguments))
}

impl AgentConfig {
    fn render(&self, node: &Node) -> Result<String> {
        let mut text = head(node, ASN)?;
        for peer in &self.peers {
            writeln!(text, "[[bgp.peers]]\naddress = \"{peer}\"\nas = {ASN}")?;
        }
        writeln!(text, "[dataplane.evpn]\ndriver = \"{}\"", self.driver)?;
        if let Some(vtep) = self.vtep {
            writeln!(text, "local_address = \"{vtep}\"")?;
        }
        text.push_str("[api]\nhost = \"127.0.0.1\"\nport = 8082\n");
        Ok(text)
    }
}

fn head(node: &Node, asn: u32) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "state_dir = \"{}\"",
        node.directory.join("state").display()
    )?;
    writeln!(text, "socket = \"{}\"", socket(node).display())?;
    writeln!(text, "[bgp]\nas = {asn}\nlocal_address = \"{}\"", node.ip())?;
    Ok(text)
}

fn write_reflector(node: &Node, asn: u32, text: &str) -> Result<()> {
    let mut whole = head(node, asn)?;
    writeln!(whole, "cluster_id = \"{}\"", node.ip())?;
    whole.push_str(text);
    fs::write(config_file(node), whole)?;
    Ok(())
}

fn cli(node: &Node, arguments: &[&str]) -> Result<Value> {
    let mut command = node.namespace.command(node.directory.join("bin/chanter"));
    command.args(arguments).arg("--json");
    command.arg("--socket").arg(socket(node));
    let text = output(&mut command)?;
    // Commands that change something say nothing.
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("chanter {arguments:?}: {text}"))
}

fn config_file(node: &Node) -> PathBuf {
    node.directory.join("chanter.toml")
}

fn socket(node: &Node) -> PathBuf {
    node.directory.join("chanter.sock")
}

/// Makes `program` available to the node under a name, and returns that.
pub(crate) fn link(node: &Node, name: &str, program: &Path) -> Result<PathBuf> {
    let directory = node.directory.join("bin");
    fs::create_dir_all(&directory)?;
    let link = directory.join(name);
    if !link.exists() {
        symlink(program, &link)
            .with_context(|| format!("{} -> {}", link.display(), program.display()))?;
    }
    Ok(link)
}
