//! Network namespaces: made and wired with `ip`, entered by threads of this process.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use nix::sched::{CloneFlags, setns};

/// Where `ip netns` keeps namespaces.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// Runs `work` inside the namespace, on a thread of its own which ends with it. Sockets opened and
/// processes spawned there belong to the namespace.
pub(crate) fn inside<T: Send>(
    namespace: &str,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let path = PathBuf::from(NETNS_DIR).join(namespace);
    let file = File::open(&path).with_context(|| format!("namespace {namespace}"))?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(&file, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("cannot enter namespace {namespace}"))?;
            work()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs lines of `ip` commands in one go, in `namespace` if given.
pub(crate) fn ip(namespace: Option<&str>, lines: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ip")?;
    if let Some(mut stdin) = child.stdin.take() {
        // An early end of `ip` shows in its exit status, with its own words.
        let _ = stdin.write_all(lines.join("\n").as_bytes());
    }
    let output = child.wait_with_output().context("ip")?;
    if !output.status.success() {
        let place = namespace
            .map(|name| format!(" in {name}"))
            .unwrap_or_default();
        bail!(
            "ip{place}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// All namespaces of the machine.
pub(crate) fn list() -> Vec<String> {
    let entries = std::fs::read_dir(NETNS_DIR).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The processes in a namespace.
pub(crate) fn pids(namespace: &str) -> Vec<i32> {
    let output = Command::new("ip")
        .args(["netns", "pids", namespace])
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Addresses in the namespace are usable at once: no duplicate address detection, and no router is
/// listened to.
pub(crate) fn quiet_ipv6(namespace: &str) -> anyhow::Result<()> {
    inside(namespace, || {
        for (name, value) in [("accept_dad", "0"), ("accept_ra", "0")] {
            for scope in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{scope}/{name}");
                std::fs::write(&path, value).with_context(|| {
                    format!("{path}: the lab needs IPv6 to be enabled in the kernel")
                })?;
            }
        }
        Ok(())
    })
}
