//! A program that runs beside the test: log kept in a file, ended with its owner.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::wait_until;

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; both outputs are appended to `NAME.log` in `directory`.
    pub fn spawn(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // A signal to the terminal's group is for the test, which then ends this one in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails, with the end of the log, if the program has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{} ended with {status}; its log ends:\n{}",
                self.name,
                log_tail(&self.log, 20)
            );
        }
        Ok(())
    }

    /// Waits until `probe` succeeds; fails at once if the program ends meanwhile.
    pub fn wait_ready<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut probe: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        wait_until(patience, what, || match self.check_alive() {
            Err(ended) => Ok(Err(ended)),
            Ok(()) => probe().map(Ok),
        })?
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and its exit status; an error if it does not end.
    pub fn terminate(mut self) -> Result<std::process::ExitStatus> {
        self.signal(Signal::SIGTERM);
        match self.wait_at_most(GRACE)? {
            Some(status) => Ok(status),
            None => bail!(
                "{} did not end within {} s of SIGTERM",
                self.name,
                GRACE.as_secs()
            ),
        }
    }

    /// SIGINT, and what it printed, once it has ended.
    pub fn interrupt(mut self) -> Result<String> {
        self.signal(Signal::SIGINT);
        match self.wait_at_most(GRACE)? {
            Some(_) => Ok(self.log()),
            None => bail!(
                "{} did not end within {} s of SIGINT",
                self.name,
                GRACE.as_secs()
            ),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            // Ended already is as good as signalled.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }

    fn wait_at_most(&mut self, patience: Duration) -> Result<Option<std::process::ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(Signal::SIGTERM);
        if !matches!(self.wait_at_most(GRACE), Ok(Some(_))) {
            // Nobody is left to report a failure to; the namespace's removal kills what remains.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The last lines of a log file.
pub(crate) fn log_tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
