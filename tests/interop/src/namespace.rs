//! Network namespaces by name, as `ip netns` keeps them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{output, run};

/// Every namespace of a lab is called this and something, so that leftovers can be told from
/// anybody else's.
const PREFIX: &str = "chit-";

/// How long processes of a namespace get between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// A network namespace. A handle: the lab removes the namespace itself.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace whose addresses are usable at once (no duplicate address detection, no
    /// router advertisements).
    pub(crate) fn create(short: &str) -> Result<Self> {
        let namespace = Self {
            name: format!("{PREFIX}{short}"),
        };
        run(&["ip", "netns", "add", &namespace.name])?;
        namespace.ip(&["link", "set", "dev", "lo", "up"])?;
        namespace.sh("for scope in all default; do
                 echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad
                 echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_ra
                 echo 0 >/proc/sys/net/ipv4/conf/$scope/rp_filter
             done")?;
        Ok(namespace)
    }

    /// The name that `ip netns` knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside; it replaces `ip`, so its process id is the child's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// `ip ...` about this namespace.
    pub fn ip(&self, arguments: &[&str]) -> Result<String> {
        output(Command::new("ip").args(["-n", &self.name]).args(arguments))
    }

    /// `bridge ...` about this namespace.
    pub fn bridge(&self, arguments: &[&str]) -> Result<String> {
        output(
            Command::new("bridge")
                .args(["-n", &self.name])
                .args(arguments),
        )
    }

    /// A shell script inside.
    pub fn sh(&self, script: &str) -> Result<String> {
        output(self.command("sh").args(["-ec", script]))
    }

    /// Runs `work` on a thread of its own that has entered the namespace; sockets made there belong
    /// to it.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = File::open(self.path()).with_context(|| format!("namespace {}", self.name))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).context("entering a network namespace")?;
                work()
            });
            thread
                .join()
                .map_err(|_| anyhow!("the thread in namespace {} panicked", self.name))?
        })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Ends the processes that are left inside, then removes the namespace.
    fn remove(&self) -> Result<()> {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let deadline = Instant::now() + GRACE;
            for pid in self.pids()? {
                // Gone in between is as good as ended.
                let _ = kill(pid, signal);
            }
            while !self.pids()?.is_empty() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        run(&["ip", "netns", "del", &self.name]).map(drop)
    }

    fn pids(&self) -> Result<Vec<Pid>> {
        let listed = run(&["ip", "netns", "pids", &self.name])?;
        listed
            .split_whitespace()
            .map(|word| Ok(Pid::from_raw(word.parse()?)))
            .collect()
    }
}

/// Removes every namespace of a lab, this run's or a killed one's.
pub(crate) fn remove_all() -> Result<()> {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return Ok(());
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) {
            Namespace { name }.remove()?;
        }
    }
    Ok(())
}
