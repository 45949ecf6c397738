//! Two network namespaces joined by a veth pair: one for the device under test, one for the
//! generator.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use chanter_interop::run;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use crate::{DEVICE, SENDER};

/// Where `ip netns` keeps namespaces.
const NETNS: &str = "/run/netns";

/// Where thousands of clients connect from.
pub(crate) const CLIENT_NETWORK: &str = "10.99.0.0/16";

/// How ours are called: this, the process that made them, and the role.
const PREFIX: &str = "chbn-";

/// Fails, and says why, unless this process may make network namespaces.
pub fn check_root() -> Result<()> {
    ensure!(
        Uid::effective().is_root(),
        "network namespaces need root: run this as root (sudo -E)"
    );
    Ok(())
}

/// The two namespaces; removed when dropped.
#[derive(Debug)]
pub(crate) struct Pair {
    device: String,
    generator: String,
}

impl Pair {
    /// Makes them, with an address of the generator for the sender and each receiver.
    pub(crate) fn create(receivers: usize) -> Result<Self> {
        check_root()?;
        remove_leftovers()?;
        let (device, generator) = names(std::process::id());
        let pair = Self { device, generator };
        for name in [&pair.device, &pair.generator] {
            run(&["ip", "netns", "add", name])?;
            run(&["ip", "-n", name, "link", "set", "dev", "lo", "up"])?;
        }
        let (device, generator) = (pair.device.as_str(), pair.generator.as_str());
        run(&[
            "ip", "-n", device, "link", "add", "name", "eth0", "type", "veth", "peer", "name",
            "eth0", "netns", generator,
        ])?;
        pair.add_address(device, DEVICE)?;
        for number in 0..=receivers {
            pair.add_address(generator, source(number)?)?;
        }
        for name in [device, generator] {
            run(&["ip", "-n", name, "link", "set", "dev", "eth0", "up"])?;
        }
        Ok(pair)
    }

    /// Lets the generator use any address of [`CLIENT_NETWORK`].
    pub(crate) fn add_client_network(&self) -> Result<()> {
        let (device, generator) = (self.device.as_str(), self.generator.as_str());
        let sender = SENDER.to_string();
        run(&[
            "ip",
            "-n",
            generator,
            "route",
            "add",
            "local",
            CLIENT_NETWORK,
            "dev",
            "lo",
        ])?;
        run(&[
            "ip",
            "-n",
            device,
            "route",
            "add",
            CLIENT_NETWORK,
            "via",
            &sender,
        ])
        .map(drop)
    }

    fn add_address(&self, namespace: &str, address: Ipv4Addr) -> Result<()> {
        let address = format!("{address}/24");
        run(&[
            "ip", "-n", namespace, "addr", "add", &address, "dev", "eth0",
        ])
        .map(drop)
    }

    /// A command that will run in the device's namespace; it replaces `ip`, so its process id is
    /// the child's.
    pub(crate) fn device_command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.device]).arg(program);
        command
    }

    /// Runs `work` on a thread that has entered the generator's namespace; sockets made there
    /// belong to it.
    pub(crate) fn in_generator<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let path = Path::new(NETNS).join(&self.generator);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
                work()
            });
            thread
                .join()
                .map_err(|_| anyhow!("the thread in the generator's namespace panicked"))?
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in [&self.device, &self.generator] {
            if let Err(error) = remove(name) {
                eprintln!("removing namespace {name}: {error:#}");
            }
        }
    }
}

fn names(process: u32) -> (String, String) {
    let name = |role| format!("{PREFIX}{process}-{role}");
    (name("dut"), name("gen"))
}

/// Removes what processes that live no more have left.
fn remove_leftovers() -> Result<()> {
    let Ok(entries) = fs::read_dir(NETNS) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let is_alive = |owner: &str| {
            owner != std::process::id().to_string() && Path::new("/proc").join(owner).exists()
        };
        if owner.is_some_and(|owner| !is_alive(owner)) {
            remove(&name)?;
        }
    }
    Ok(())
}

fn remove(name: &str) -> Result<()> {
    if Path::new(NETNS).join(name).exists() {
        kill_all(name)?;
        run(&["ip", "netns", "del", name])?;
    }
    Ok(())
}

/// Kills what runs in the device's namespace of this process.
pub(crate) fn kill_devices() {
    let (device, _) = names(std::process::id());
    // It may not be there, between two runs.
    let _ = kill_all(&device);
}

fn kill_all(name: &str) -> Result<()> {
    for word in run(&["ip", "netns", "pids", name])?.split_whitespace() {
        // Gone in between is as good as ended.
        let _ = kill(Pid::from_raw(word.parse()?), Signal::SIGKILL);
    }
    Ok(())
}

/// The generator's address number `number`: 0 is the sender.
pub(crate) fn source(number: usize) -> Result<Ipv4Addr> {
    let last = u8::try_from(number)
        .ok()
        .and_then(|number| SENDER.octets()[3].checked_add(number))
        .filter(|last| *last < 255)
        .with_context(|| format!("receiver {number}: at most 252 have an address"))?;
    let [a, b, c, _] = SENDER.octets();
    Ok(Ipv4Addr::new(a, b, c, last))
}
