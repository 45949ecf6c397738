//! The lab's daemons: this same program, inside its nodes.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context;

use super::netns;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Where it runs.
    pub(crate) place: String,
    namespace: String,
    role: &'static str,
    dir: PathBuf,
    child: Child,
    /// It is to live on after us.
    keep: bool,
}

impl Daemon {
    /// Starts `chanter agent` or `chanter rr` in a namespace; its files are in `dir`.
    pub(crate) fn start(
        place: &str,
        namespace: &str,
        role: &'static str,
        dir: PathBuf,
    ) -> anyhow::Result<Self> {
        let child = spawn(namespace, role, &dir)?;
        let (place, namespace) = (place.to_owned(), namespace.to_owned());
        Ok(Self {
            place,
            namespace,
            role,
            dir,
            child,
            keep: false,
        })
    }

    /// Its unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("chanter.sock")
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it without warning (SIGKILL).
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .with_context(|| format!("cannot kill the daemon of {}", self.place))?;
        self.child.wait().map(drop).context("wait")
    }

    /// Starts it again with the same files.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.namespace, self.role, &self.dir)?;
        Ok(())
    }

    /// It will live on after this process.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Where its log is.
    pub(crate) fn log_path(&self) -> PathBuf {
        log_path(&self.dir)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.keep {
            // It may be gone already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// Spawned from a thread inside the namespace, the process starts there.
fn spawn(namespace: &str, role: &'static str, dir: &Path) -> anyhow::Result<Child> {
    netns::inside(namespace, || {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_path(dir))?;
        let child = Command::new(own_program())
            .arg0("chanter")
            .arg(role)
            .arg("--config")
            .arg(dir.join("chanter.toml"))
            // The lab's own environment must not redirect its daemons.
            .env_remove("CHANTER_SOCKET")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C in the terminal is for the lab, which then ends its daemons.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start chanter {role} in {namespace}"))?;
        Ok(child)
    })
}

/// This program, even if its file has been replaced or removed since it was started.
fn own_program() -> PathBuf {
    let file = std::env::current_exe().ok().filter(|path| path.exists());
    file.unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}
