//! The ground that a lab stands on: its directory, its lock, what an earlier one left behind.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::netns;
use super::topology::LabName;

/// Labs keep their files here; only root can write, so names may be fixed.
const DIR: &str = "/run/chanter-lab";
/// Marks a lab that was left up on purpose.
const KEPT: &str = "kept";

/// What is missing for a lab on this machine; each with the way to get it.
pub(crate) fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !Uid::effective().is_root() {
        missing.push("root: a lab makes network namespaces; run `sudo chanter lab`".to_owned());
    }
    let has_ip = Command::new("ip")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_ip {
        missing.push(
            "iproute2 (the `ip` command): run `apt install iproute2` or `dnf install iproute`"
                .to_owned(),
        );
    }
    if !Path::new("/proc/sys/net/ipv6").exists() {
        missing.push("IPv6 in the kernel: boot without `ipv6.disable=1`".to_owned());
    }
    missing
}

/// The directory of a lab, locked while a process builds or runs it.
#[derive(Debug)]
pub(crate) struct Ground {
    name: LabName,
    dir: PathBuf,
    _lock: File,
}

impl Ground {
    /// Takes the ground for a new lab. What a killed one left is removed; the second value says how
    /// many namespaces that were.
    pub(crate) fn take(name: &LabName) -> anyhow::Result<(Self, usize)> {
        let ground = Self::lock(name)?;
        if ground.dir.join(KEPT).exists() {
            bail!(
                "a lab named {name} was left up by --keep: remove it with `chanter lab down{0}`, or \
                 choose another --name",
                name_option(name)
            );
        }
        let removed = ground.clear()?;
        std::fs::create_dir_all(&ground.dir)
            .with_context(|| format!("cannot create {}", ground.dir.display()))?;
        Ok((ground, removed))
    }

    /// Takes the ground of a lab in whatever state it is.
    pub(crate) fn lock(name: &LabName) -> anyhow::Result<Self> {
        std::fs::create_dir_all(DIR).with_context(|| format!("cannot create {DIR}"))?;
        let path = PathBuf::from(format!("{DIR}/{name}.lock"));
        let lock =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("a lab named {name} is running right now: wait, or choose another --name")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let dir = PathBuf::from(format!("{DIR}/{name}"));
        Ok(Self {
            name: name.clone(),
            dir,
            _lock: lock,
        })
    }

    /// The directory of one place.
    pub(crate) fn place_dir(&self, place: &str) -> PathBuf {
        self.dir.join(place)
    }

    /// Notes that the lab is to stay after the process.
    pub(crate) fn keep(&self) -> anyhow::Result<()> {
        std::fs::write(self.dir.join(KEPT), "").context("cannot mark the lab as kept")
    }

    /// The lab's namespaces that exist.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        netns::list()
            .into_iter()
            .filter(|namespace| self.name.owns(namespace))
            .collect()
    }

    /// Ends every process of the lab and removes its namespaces, with all devices in them, and its
    /// files. Answers how many namespaces there were. Goes on after a failure and tells the first.
    pub(crate) fn clear(&self) -> anyhow::Result<usize> {
        let namespaces = self.namespaces();
        let mut first = end_processes(&namespaces);
        for namespace in &namespaces {
            let line = format!("netns delete {namespace}");
            first = first.and(netns::ip(None, &[line]));
        }
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                first = first.and(Err(error).context("cannot remove the lab's directory"));
            }
            _ => {}
        }
        first.map(|()| namespaces.len())
    }
}

/// Where the unix socket of the daemon at `place` is.
pub(crate) fn socket_path(name: &LabName, place: &str) -> PathBuf {
    PathBuf::from(format!("{DIR}/{name}/{place}/chanter.sock"))
}

/// The option that names a lab which is not called as labs usually are.
pub(crate) fn name_option(name: &LabName) -> String {
    let name = name.to_string();
    if name == super::DEFAULT_NAME {
        String::new()
    } else {
        format!(" --name {name}")
    }
}

/// Kills what runs in the namespaces, and waits until it is gone: a namespace lives on as long as
/// somebody is in it. Daemons of a lab have no business left that they should finish.
fn end_processes(namespaces: &[String]) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let own = Pid::this().as_raw();
        let pids: Vec<i32> = namespaces
            .iter()
            .flat_map(|namespace| netns::pids(namespace))
            .filter(|pid| *pid != own)
            .collect();
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("processes {pids:?} in the lab's namespaces do not end");
        }
        for pid in pids {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
