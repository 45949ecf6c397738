//! BIRD 2.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::installed;
use crate::command::output;
use crate::lab::{Lab, Node};
use crate::process::Process;
use crate::wait::{secs, wait_until};

/// BIRD on a node.
#[derive(Debug)]
pub struct Bird {
    /// Where it runs.
    pub node: Node,
    lab_directory: PathBuf,
    daemon: Option<Process>,
}

impl Bird {
    /// Starts the daemon with `text` behind the router id, the device protocol and the log.
    pub fn start(lab: &Lab, node: &Node, text: &str) -> Result<Self> {
        let (node, lab_directory) = (node.clone(), lab.directory().to_owned());
        let mut bird = Self {
            node,
            lab_directory,
            daemon: None,
        };
        bird.write(text)?;
        bird.spawn()?;
        Ok(bird)
    }

    /// `kill -9`, nothing else.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.take().context("BIRD is not running")?.kill()
    }

    /// The configuration that it is started with the next time.
    pub fn configure_next(&self, text: &str) -> Result<()> {
        self.write(text)
    }

    /// Has another configuration read (`birdc configure`).
    pub fn configure(&self, text: &str) -> Result<()> {
        self.write(text)?;
        let answer = self.birdc("configure")?;
        ensure!(answer.contains("Reconfigur"), "{answer}");
        Ok(())
    }

    fn write(&self, text: &str) -> Result<()> {
        let head = format!(
            "log stderr all;\nrouter id {};\nprotocol device {{ }}\n",
            self.node.ip()
        );
        fs::write(self.file("bird.conf"), head + text)?;
        Ok(())
    }

    /// Starts it (again).
    pub fn spawn(&mut self) -> Result<()> {
        let program = installed("/usr/sbin/bird")?;
        let mut command = self.node.namespace.command(program);
        command.arg("-f").arg("-c").arg(self.file("bird.conf"));
        command.arg("-s").arg(self.file("bird.ctl"));
        command.arg("-P").arg(self.file("bird.pid"));
        let name = format!("{}-bird", self.node.name);
        // A killed one leaves its socket behind.
        let _ = fs::remove_file(self.file("bird.ctl"));
        let mut daemon = Process::spawn(&name, &mut command, &self.lab_directory)?;
        daemon.wait_ready(secs(20), &format!("{name} answers"), || {
            self.birdc("show status")
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.node.directory.join(name)
    }

    /// One command of `birdc`.
    pub fn birdc(&self, line: &str) -> Result<String> {
        let mut command = self.node.namespace.command("/usr/sbin/birdc");
        command.arg("-s").arg(self.file("bird.ctl"));
        output(command.args(line.split_whitespace()))
    }

    /// Waits until the protocol of that name is established.
    pub fn wait_established(&self, protocol: &str) -> Result<()> {
        wait_until(
            secs(60),
            &format!("{}: {protocol} is established", self.node.name),
            || {
                let answer = self.birdc(&format!("show protocols {protocol}"))?;
                ensure!(answer.contains("Established"), "{answer}");
                Ok(())
            },
        )
    }
}
