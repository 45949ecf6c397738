//! The Python bagpipe-bgp 21.0.0, its fake route reflector and its tools.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::installed;
use crate::ASN;
use crate::command::output;
use crate::lab::{Endpoint, Lab, Node};
use crate::process::Process;
use crate::rest::Rest;
use crate::wait::{secs, wait_until};

/// Where its programs read their configuration, whatever they are told.
const CONF: &str = "/etc/bagpipe-bgp/bgp.conf";

/// Runs in the mount namespace that `ip netns exec` makes, which lives as long as the process whose
/// id it prints. Gives the node an /etc of its own with bgp.conf in it, and a place below /var/lib.
const ENVIRONMENT: &str = r#"
mkdir -p "$1/private" "$1/state"
mount -t tmpfs none "$1/private"
for tree in /etc /var/lib; do
    top=$1/private$tree
    mkdir -p "$top/upper" "$top/work"
    mount -t overlay overlay -o "lowerdir=$tree,upperdir=$top/upper,workdir=$top/work" $tree
done
mkdir -p /etc/bagpipe-bgp /var/lib/chanter
mount --bind "$1/state" /var/lib/chanter
ln -sf "$1/bgp.conf" /etc/bagpipe-bgp/bgp.conf
setsid sleep infinity </dev/null >/dev/null 2>&1 &
echo $!
"#;

/// Which of its dataplane drivers for EVPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BagpipeDataplane {
    /// Does nothing.
    Dummy,
    /// Bridges and VXLAN devices.
    Linux,
}

/// bagpipe-bgp on a node.
#[derive(Debug)]
pub struct Bagpipe {
    /// Where it runs.
    pub node: Node,
    /// Its REST API.
    pub rest: Rest,
    daemon: Option<Process>,
    lab_directory: PathBuf,
}

impl Bagpipe {
    /// Starts the daemon, which connects to `peers`.
    pub fn start(
        lab: &Lab,
        node: &Node,
        peers: &[Ipv4Addr],
        dataplane: BagpipeDataplane,
    ) -> Result<Self> {
        prepare(node, &bgp_conf(node, peers, dataplane)?)?;
        let rest = Rest::new(&node.namespace, 8082);
        let (node, lab_directory) = (node.clone(), lab.directory().to_owned());
        let mut bagpipe = Self {
            node,
            rest,
            daemon: None,
            lab_directory,
        };
        bagpipe.spawn()?;
        Ok(bagpipe)
    }

    /// `kill -9` and start; it keeps nothing over a restart.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        self.spawn()
    }

    fn spawn(&mut self) -> Result<()> {
        let mut command = with_bgp_conf(&self.node, &program("bagpipe-bgp")?)?;
        command.args(["--config-file", CONF]);
        let name = format!("{}-bagpipe-bgp", self.node.name);
        let mut daemon = Process::spawn(&name, &mut command, &self.lab_directory)?;
        daemon.wait_ready(secs(60), &format!("{name} answers"), || {
            self.rest.fetch("/ping")
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Waits until `count` of its sessions are established. It retries after 5 s, and after 20 to
    /// 30 s where a session broke.
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

    /// Attaches `endpoint` with its first address to an EVPN whose route target is `ASN:vni`.
    pub fn attach(&self, vni: u32, endpoint: &Endpoint) -> Result<()> {
        self.rest
            .post("/attach_localport", &evpn_body(vni, endpoint, 0))?
            .expect_ok()
            .map(drop)
    }

    /// Detaches it.
    pub fn detach(&self, vni: u32, endpoint: &Endpoint) -> Result<()> {
        self.rest
            .post("/detach_localport", &evpn_body(vni, endpoint, 0))?
            .expect_ok()
            .map(drop)
    }

    /// The routes that the instance of `vni` has received from others, as text.
    pub fn received_routes(&self, vni: u32) -> Result<String> {
        let path = format!("/looking-glass/vpns/instances/evpn-{vni}/received_routes");
        Ok(self.rest.fetch(&path)?.to_string().to_ascii_lowercase())
    }

    /// Fails unless the instance of `vni` has a route of `mac` with `ip`.
    pub fn check_mac(&self, vni: u32, mac: &str, ip: &str) -> Result<()> {
        let routes = self.received_routes(vni)?;
        let wanted = format!("{mac}/48:{ip}:");
        ensure!(
            routes.contains(&wanted),
            "{} has no {wanted}: {routes}",
            self.node.name
        );
        Ok(())
    }

    /// Fails if the instance of `vni` has a route of `mac`.
    pub fn check_no_mac(&self, vni: u32, mac: &str) -> Result<()> {
        let routes = self.received_routes(vni)?;
        ensure!(
            !routes.contains(mac),
            "{} still has {mac}: {routes}",
            self.node.name
        );
        Ok(())
    }

    /// Fails unless the instance of `vni` has a type 3 route of `originator`.
    pub fn check_multicast(&self, vni: u32, originator: Ipv4Addr) -> Result<()> {
        let routes = self.received_routes(vni)?;
        let wanted = format!(":{originator}\"");
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

/// The body that attaches (or detaches) an endpoint with its address number `address`.
pub fn evpn_body(vni: u32, endpoint: &Endpoint, address: usize) -> Value {
    json!({
        "vpn_type": "evpn", "vpn_instance_id": format!("evpn-{vni}"), "vni": vni,
        "mac_address": endpoint.mac, "ip_address": endpoint.address(address),
        "local_port": {"linuxif": endpoint.port},
        "import_rt": [format!("{ASN}:{vni}")], "export_rt": [format!("{ASN}:{vni}")],
    })
}

/// bagpipe-fakerr on a node: it joins exactly two speakers.
#[derive(Debug)]
pub struct FakeReflector {
    _process: Process,
}

impl FakeReflector {
    /// Starts the real one; it listens on port 179.
    pub fn start(lab: &Lab, node: &Node) -> Result<Self> {
        let mut command = node.namespace.command(program("python")?);
        command.arg("-u").arg(program("bagpipe-fakerr")?);
        Self::spawn(lab, node, command)
    }

    /// Starts `chanter` under its name.
    pub fn start_persona(lab: &Lab, node: &Node) -> Result<Self> {
        let program = crate::chanter::link(node, "bagpipe-fakerr", &crate::chanter_program()?)?;
        Self::spawn(lab, node, node.namespace.command(program))
    }

    fn spawn(lab: &Lab, node: &Node, mut command: Command) -> Result<Self> {
        let name = format!("{}-fakerr", node.name);
        let mut process = Process::spawn(&name, &mut command, lab.directory())?;
        process.wait_ready(secs(30), &format!("{name} listens"), || {
            let sockets = node.namespace.sh("ss -Hltn 'sport = :179'")?;
            ensure!(!sockets.is_empty(), "nothing listens on port 179");
            Ok(())
        })?;
        Ok(Self { _process: process })
    }
}

/// Runs one of the real tools (`bagpipe-rest-attach`, `bagpipe-looking-glass`) on `node`, whatever
/// daemon is there.
pub fn real_tool(node: &Node, tool: &str, arguments: &[&str]) -> Result<String> {
    if !node.directory.join("bgp.conf").exists() {
        prepare(node, "[API]\nport = 8082\n")?;
    }
    output(with_bgp_conf(node, &program(tool)?)?.args(arguments))
}

/// A command of `node` that finds the node's bgp.conf where it insists on looking. All of them
/// share one mount namespace, as they would on a machine: a network namespace made by one is there
/// for the next.
pub(crate) fn with_bgp_conf(node: &Node, program: &Path) -> Result<Command> {
    let holder = node.directory.join("environment");
    if !holder.exists() {
        let mut setup = node.namespace.command("sh");
        let id = output(setup.args(["-ec", ENVIRONMENT, "sh"]).arg(&node.directory))?;
        fs::write(&holder, id)?;
    }
    let mut command = Command::new("nsenter");
    command
        .args([
            "--mount",
            "--net",
            "--target",
            fs::read_to_string(&holder)?.trim(),
        ])
        .arg(program);
    let inherited = std::env::var("PATH").unwrap_or_default();
    command.env(
        "PATH",
        format!("{}:{inherited}", node.directory.join("bin").display()),
    );
    command.env("CHANTER_SOCKET", node.directory.join("chanter.sock"));
    Ok(command)
}

/// Writes the node's bgp.conf, and helpers that do nothing where bagpipe-bgp would call for root
/// (it has it) or for a kernel module (it is built in or loaded).
pub(crate) fn prepare(node: &Node, conf: &str) -> Result<()> {
    fs::write(node.directory.join("bgp.conf"), conf)?;
    let helpers = node.directory.join("bin");
    fs::create_dir_all(&helpers)?;
    for (name, script) in [
        ("modprobe", "#!/bin/sh\nexit 0\n"),
        ("sudo", "#!/bin/sh\nexec \"$@\"\n"),
    ] {
        let file = helpers.join(name);
        fs::write(&file, script)?;
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}

/// A bgp.conf as bagpipe-bgp's users write it.
pub(crate) fn bgp_conf(
    node: &Node,
    peers: &[Ipv4Addr],
    dataplane: BagpipeDataplane,
) -> Result<String> {
    let peers: Vec<String> = peers.iter().map(Ipv4Addr::to_string).collect();
    let helper = program("privsep-helper")?;
    let evpn = match dataplane {
        BagpipeDataplane::Dummy => "dataplane_driver = dummy",
        BagpipeDataplane::Linux => "dataplane_driver = linux\nvxlan_dst_port = 4789",
    };
    Ok(format!(
        "[DEFAULT]\nuse_stderr = true\n\
         [BGP]\nlocal_address = {}\npeers = {}\nmy_as = {ASN}\nenable_rtc = True\n\
         [COMMON]\nroot_helper =\n[API]\nhost = 127.0.0.1\nport = 8082\n\
         [AGENT]\nroot_helper =\n[privsep]\nhelper_command = {}\n\
         [DATAPLANE_DRIVER_IPVPN]\ndataplane_driver = dummy\n\
         [DATAPLANE_DRIVER_EVPN]\n{evpn}\n",
        node.ip(),
        peers.join(","),
        helper.display(),
    ))
}

/// A program of the virtualenv that `scripts/setup` makes.
fn program(name: &str) -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(
            std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
        )
        .join(".cache"),
    };
    installed(cache.join("chanter/bagpipe-21.0.0/bin").join(name))
}
