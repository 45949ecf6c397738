//! What changes in the kernel while something happens, as `ip monitor` and `bridge monitor` tell
//! it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::{Lab, Node};
use crate::process::Process;
use crate::wait::wait_until;

/// Listens to links, addresses, neighbour entries and FDB entries of a node.
#[derive(Debug)]
pub struct KernelMonitor {
    node: Node,
    listeners: Vec<Process>,
}

impl KernelMonitor {
    /// Starts listening; returns once both listeners hear.
    pub fn start(lab: &Lab, node: &Node) -> Result<Self> {
        let mut ip = node.namespace.command("ip");
        ip.args(["-o", "monitor", "link", "address", "neigh"]);
        let mut bridge = node.namespace.command("bridge");
        bridge.args(["monitor", "fdb"]);
        let spawn = |name: &str, command: &mut _| {
            Process::spawn(
                &format!("{}-{name}-monitor", node.name),
                command,
                lab.directory(),
            )
        };
        let listeners = vec![spawn("ip", &mut ip)?, spawn("bridge", &mut bridge)?];
        let monitor = Self {
            node: node.clone(),
            listeners,
        };
        monitor.mark("heard0")?;
        Ok(monitor)
    }

    /// Stops and returns every event since the start, oldest first, without those about the
    /// underlay's own device.
    pub fn stop(self) -> Result<Vec<String>> {
        // An event of our own that comes after all others: whoever has seen it has seen them too.
        self.mark("heard1")?;
        let text: String = self.listeners.iter().map(Process::log).collect();
        let ours = |line: &&str| line.contains("heard0") || line.contains("heard1");
        let underlay = |line: &&str| line.contains("dev eth0") || line.contains(": eth0");
        Ok(text
            .lines()
            .filter(|line| !ours(line) && !underlay(line))
            .map(str::to_owned)
            .collect())
    }

    /// Makes and removes a bridge of that name with an FDB entry, and waits until both listeners
    /// have told of it.
    fn mark(&self, name: &str) -> Result<()> {
        let at = &self.node.namespace;
        at.ip(&["link", "add", "name", name, "type", "bridge"])?;
        at.bridge(&[
            "fdb",
            "add",
            "02:00:00:00:00:01",
            "dev",
            name,
            "self",
            "local",
        ])?;
        at.ip(&["link", "del", "dev", name])?;
        wait_until(Duration::from_secs(10), "the kernel monitors hear", || {
            for listener in &self.listeners {
                let log = listener.log();
                let last = log
                    .lines()
                    .rfind(|line| line.contains(name))
                    .context("nothing heard")?;
                ensure!(last.starts_with("Deleted"), "so far only: {last}");
            }
            Ok(())
        })
    }
}
