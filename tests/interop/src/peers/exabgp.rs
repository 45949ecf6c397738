//! ExaBGP: says what it is told to, and writes down what it hears.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use super::installed;
use crate::ASN;
use crate::lab::{Lab, Node};
use crate::process::Process;
use crate::wait::{secs, wait_until};

/// ExaBGP on a node.
#[derive(Debug)]
pub struct Exabgp {
    /// Where it runs.
    pub node: Node,
    lab_directory: PathBuf,
    daemon: Option<Process>,
}

/// What it is told at the start.
#[derive(Clone, Debug)]
pub struct ExabgpConfig {
    /// The iBGP peer that it connects to.
    pub peer: IpAddr,
    /// Families as it names them, such as `ipv4 flow`.
    pub families: Vec<&'static str>,
    /// Lines of a `static` section.
    pub routes: String,
    /// Lines of a `flow` section.
    pub flow: String,
}

impl Exabgp {
    /// Starts the daemon.
    pub fn start(lab: &Lab, node: &Node, config: &ExabgpConfig) -> Result<Self> {
        let mut exabgp = Self {
            node: node.clone(),
            lab_directory: lab.directory().to_owned(),
            daemon: None,
        };
        mkfifo(&exabgp.file("say"), Mode::S_IRUSR | Mode::S_IWUSR)?;
        // Its standard output is what is said, its standard input what is heard.
        let helper = format!(
            "#!/bin/sh\nexec 3<>{0}/say 4<&0\ncat <&4 >>{0}/events.json &\nexec cat <&3\n",
            node.directory.display()
        );
        fs::write(exabgp.file("helper"), helper)?;
        fs::set_permissions(exabgp.file("helper"), fs::Permissions::from_mode(0o755))?;
        fs::write(exabgp.file("events.json"), "")?;
        fs::write(exabgp.file("exabgp.conf"), config.render(node)?)?;
        exabgp.spawn()?;
        Ok(exabgp)
    }

    /// `kill -9` and start.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        fs::write(self.file("events.json"), "")?;
        self.spawn()
    }

    fn spawn(&mut self) -> Result<()> {
        let program = installed("/usr/sbin/exabgp")?;
        let mut command = self.node.namespace.command("env");
        for setting in [
            "exabgp.daemon.user=root",
            "exabgp.daemon.drop=false",
            "exabgp.daemon.daemonize=false",
            "exabgp.api.cli=false",
            "exabgp.api.ack=false",
            "exabgp.log.destination=stderr",
            "exabgp.cache.attributes=false",
        ] {
            command.arg(setting);
        }
        command.arg(program).arg(self.file("exabgp.conf"));
        let name = format!("{}-exabgp", self.node.name);
        let mut daemon = Process::spawn(&name, &mut command, &self.lab_directory)?;
        daemon.check_alive()?;
        self.daemon = Some(daemon);
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.node.directory.join(name)
    }

    /// A command of its API, such as `announce route 192.0.2.0/24 next-hop self`.
    pub fn say(&self, line: &str) -> Result<()> {
        let mut pipe = OpenOptions::new().write(true).open(self.file("say"))?;
        writeln!(pipe, "{line}")?;
        Ok(())
    }

    /// What it has heard so far, as it writes it.
    pub fn events(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.file("events.json"))?;
        // The last line may be half written.
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Waits until its session is up.
    pub fn wait_established(&self) -> Result<()> {
        wait_until(
            secs(60),
            &format!("{} has a session", self.node.name),
            || {
                let events = self.events()?;
                let up = events
                    .iter()
                    .any(|event| event["neighbor"]["state"] == "up");
                ensure!(up, "{} events, none of them `up`", events.len());
                Ok(())
            },
        )
    }
}

impl ExabgpConfig {
    fn render(&self, node: &Node) -> Result<String> {
        let mut text = String::new();
        let helper = node.directory.join("helper");
        writeln!(
            text,
            "process io {{\n  run {};\n  encoder json;\n}}",
            helper.display()
        )?;
        writeln!(text, "neighbor {} {{", self.peer)?;
        let me = node.ip();
        writeln!(text, "  router-id {me};\n  local-address {me};")?;
        writeln!(
            text,
            "  local-as {ASN};\n  peer-as {ASN};\n  hold-time 90;\n  family {{"
        )?;
        for family in &self.families {
            writeln!(text, "    {family};")?;
        }
        writeln!(text, "  }}\n  api {{\n    processes [ io ];")?;
        writeln!(text, "    neighbor-changes;\n    receive {{")?;
        writeln!(
            text,
            "      parsed; update; notification; refresh;\n    }}\n  }}"
        )?;
        if !self.routes.is_empty() {
            writeln!(text, "  static {{\n{}\n  }}", self.routes)?;
        }
        if !self.flow.is_empty() {
            writeln!(text, "  flow {{\n{}\n  }}", self.flow)?;
        }
        text.push_str("}\n");
        Ok(text)
    }
}
