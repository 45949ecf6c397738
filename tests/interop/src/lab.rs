//! The namespaces of one test and the wires between them.

use std::fmt;
use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;
use tempfile::TempDir;

use crate::namespace::{Namespace, remove_all};
use crate::process::log_tail;
use crate::wait::wait_until;

/// Others may hold the lab for as long as the longest test takes; the test runner's own limit is
/// the real one.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// What the directory of a lab is called, below the one for temporary files.
const DIRECTORY_PREFIX: &str = "chanter-interop-";

/// Lines of each log that are shown when a test fails.
const LOG_LINES: usize = 60;

/// The lab of one test: an underlay bridge and what hangs on it.
#[derive(Debug)]
pub struct Lab {
    fabric: Namespace,
    directory: TempDir,
    /// Held until the lab is gone.
    _lock: Flock<File>,
}

impl Lab {
    fn create() -> Result<Self> {
        ensure!(
            Uid::effective().is_root(),
            "network namespaces need root: run this test as root (sudo -E)"
        );
        let lock = lock()?;
        remove_leftovers()?;
        let directory = tempfile::Builder::new()
            .prefix(DIRECTORY_PREFIX)
            .tempdir()?;
        // FRR gives up root and still writes its own directory below this one.
        fs::set_permissions(
            directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        let fabric = Namespace::create("fab")?;
        fabric.ip(&[
            "link",
            "add",
            "name",
            "br0",
            "type",
            "bridge",
            "mcast_snooping",
            "0",
        ])?;
        fabric.ip(&["link", "set", "dev", "br0", "up"])?;
        Ok(Self {
            fabric,
            directory,
            _lock: lock,
        })
    }

    /// Where logs, sockets and configuration files of this lab are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Makes a node: a namespace with `eth0` on the underlay, addresses 10.97.0.`number`/24 and
    /// fd97::`number`/64 (the same digits).
    pub fn node(&self, name: &str, number: u8) -> Result<Node> {
        let namespace = Namespace::create(name)?;
        self.fabric.ip(&[
            "link",
            "add",
            "name",
            name,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            namespace.name(),
        ])?;
        self.fabric
            .ip(&["link", "set", "dev", name, "master", "br0", "up"])?;
        let node = Node {
            name: name.to_owned(),
            namespace,
            number,
            directory: self.directory().join(name),
        };
        fs::create_dir(&node.directory)?;
        let at = &node.namespace;
        at.ip(&["addr", "add", &format!("{}/24", node.ip()), "dev", "eth0"])?;
        at.ip(&[
            "addr",
            "add",
            &format!("{}/64", node.ip6()),
            "dev",
            "eth0",
            "nodad",
        ])?;
        at.ip(&["link", "set", "dev", "eth0", "up"])?;
        Ok(node)
    }

    /// Cuts or mends a node's wire to the underlay.
    pub fn set_wire(&self, node: &Node, up: bool) -> Result<()> {
        self.fabric
            .ip(&[
                "link",
                "set",
                "dev",
                &node.name,
                if up { "up" } else { "down" },
            ])
            .map(drop)
    }

    fn print_logs(&self) {
        let Ok(entries) = fs::read_dir(self.directory()) else {
            return;
        };
        let mut logs: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        logs.sort();
        for log in logs
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        {
            eprintln!(
                "--- the end of {} ---\n{}",
                log.display(),
                log_tail(log, LOG_LINES)
            );
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = remove_all() {
            eprintln!("removing the lab's namespaces: {error:#}");
        }
    }
}

/// One lab at a time: the wait ends when its holder's process does, however that ends.
fn lock() -> Result<Flock<File>> {
    let path = "/run/chanter-interop.lock";
    wait_until(
        LOCK_PATIENCE,
        "no other run of these tests on this machine",
        || {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            Flock::lock(file, FlockArg::LockExclusiveNonblock)
                .map_err(|(_, error)| error)
                .context(path)
        },
    )
}

/// Removes what a killed run has left; the lock says that no other is alive.
fn remove_leftovers() -> Result<()> {
    remove_all()?;
    for entry in fs::read_dir(std::env::temp_dir())? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(DIRECTORY_PREFIX)
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Why a test failed, shown as one line per cause.
pub struct Failure(anyhow::Error);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chain()
            .enumerate()
            .try_for_each(|(depth, cause)| match depth {
                0 => write!(f, "{cause}"),
                _ => write!(f, "\n  because: {cause}"),
            })
    }
}

/// Runs a test in a lab of its own. If it fails, by an error or a panic, the logs of everything
/// that ran are printed.
pub fn in_lab(test: impl FnOnce(&Lab) -> Result<()>) -> Result<(), Failure> {
    let lab = Lab::create().map_err(Failure)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| test(&lab)));
    if !matches!(outcome, Ok(Ok(()))) {
        lab.print_logs();
    }
    match outcome {
        Ok(result) => result.map_err(Failure),
        Err(panic) => resume_unwind(panic),
    }
}

/// A machine on the underlay.
#[derive(Clone, Debug)]
pub struct Node {
    /// Short name, also that of its logs.
    pub name: String,
    /// Where its programs run.
    pub namespace: Namespace,
    number: u8,
    /// Its own directory for configuration and sockets.
    pub directory: std::path::PathBuf,
}

impl Node {
    /// Its IPv4 address on the underlay.
    pub fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 97, 0, self.number)
    }

    /// Its IPv6 address on the underlay: fd97::12 beside 10.97.0.12.
    pub fn ip6(&self) -> Ipv6Addr {
        let digits = format!("{}", self.number);
        let group = u16::from_str_radix(&digits, 16).unwrap_or_default();
        Ipv6Addr::new(0xfd97, 0, 0, 0, 0, 0, 0, group)
    }

    /// Makes an endpoint: a namespace `name` whose `eth0` is the other end of a device of this
    /// node.
    pub fn endpoint(&self, name: &str, mac: &str, addresses: &[&str]) -> Result<Endpoint> {
        let namespace = Namespace::create(name)?;
        let port = format!("t-{name}");
        self.namespace.ip(&[
            "link",
            "add",
            "name",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            namespace.name(),
        ])?;
        self.namespace.ip(&["link", "set", "dev", &port, "up"])?;
        // Room for the VXLAN header over IPv6 (70 octets) within the underlay's 1500.
        namespace.ip(&[
            "link", "set", "dev", "eth0", "address", mac, "mtu", "1400", "up",
        ])?;
        for address in addresses {
            let nodad: &[&str] = if address.contains(':') {
                &["nodad"]
            } else {
                &[]
            };
            namespace.ip(&[&["addr", "add", address, "dev", "eth0"], nodad].concat())?;
        }
        Ok(Endpoint {
            namespace,
            port,
            mac: mac.to_owned(),
            addresses: addresses.iter().map(|&a| a.to_owned()).collect(),
        })
    }
}

/// Something that is attached to a VPN: a namespace in place of a VM.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The inside.
    pub namespace: Namespace,
    /// The device on the node.
    pub port: String,
    /// Its MAC address.
    pub mac: String,
    /// Its addresses with prefix lengths.
    pub addresses: Vec<String>,
}

impl Endpoint {
    /// Its address number `index`, without the prefix length.
    pub fn address(&self, index: usize) -> &str {
        self.addresses[index].split('/').next().unwrap_or_default()
    }
}
