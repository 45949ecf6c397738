//! FRR's bfdd, with the zebra that it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use chanter_interop::{Lab, Node, Process, output, secs, wait_until};
use nix::unistd::{Group, User, chown};
use serde_json::Value;

const DAEMONS: &str = "/usr/lib/frr";

pub(crate) struct Bfdd {
    node: Node,
    logs: PathBuf,
    sockets: PathBuf,
    bfdd: Option<Process>,
    _zebra: Process,
}

impl Bfdd {
    /// Starts both and configures `peers`: what follows `peer`, one each.
    pub(crate) fn start(lab: &Lab, node: &Node, peers: &[String]) -> Result<Self> {
        let sockets = lab.directory().join(format!("{}-frr", node.name));
        fs::create_dir(&sockets)?;
        for empty in ["vtysh.conf", "empty.conf"] {
            fs::write(sockets.join(empty), "")?;
        }
        let mut config = "bfd\n".to_owned();
        for peer in peers {
            let timers = "receive-interval 100\n  transmit-interval 100\n  detect-multiplier 3";
            config += &format!(" peer {peer}\n  {timers}\n  no shutdown\n exit\n");
        }
        fs::write(sockets.join("frr.conf"), config)?;
        let user = User::from_name("frr")?.context("there is no user `frr`: run scripts/setup")?;
        let group = Group::from_name("frr")?.map(|group| group.gid);
        chown(&sockets, Some(user.uid), group)?;
        let (node, logs) = (node.clone(), lab.directory().to_owned());
        let zebra = spawn(&node, &logs, &sockets, "zebra")?;
        let mut frr = Self {
            node,
            logs,
            sockets,
            bfdd: None,
            _zebra: zebra,
        };
        frr.start_bfdd()?;
        Ok(frr)
    }

    pub(crate) fn start_bfdd(&mut self) -> Result<()> {
        self.bfdd = Some(spawn(&self.node, &self.logs, &self.sockets, "bfdd")?);
        output(self.vtysh().arg("-f").arg(self.sockets.join("frr.conf"))).map(drop)
    }

    /// `kill -9`.
    pub(crate) fn kill_bfdd(&mut self) -> Result<()> {
        self.bfdd.take().context("bfdd runs")?.kill()
    }

    pub(crate) fn configure(&self, lines: &[&str]) -> Result<()> {
        let mut vtysh = self.vtysh();
        for line in ["configure terminal", "bfd"].iter().chain(lines) {
            vtysh.args(["-c", line]);
        }
        output(&mut vtysh).map(drop)
    }

    fn vtysh(&self) -> Command {
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(&self.sockets);
        command.arg("--config_dir").arg(&self.sockets);
        command
    }

    /// Its one session, as `show bfd peers json` has it.
    pub(crate) fn peer(&self) -> Result<Value> {
        let text = output(self.vtysh().args(["-c", "show bfd peers json"]))?;
        let peers: Value = serde_json::from_str(&text)?;
        peers.get(0).cloned().context("bfdd has no peer")
    }

    pub(crate) fn wait(&self, field: &str, expected: &str) -> Result<()> {
        wait_until(secs(15), &format!("bfdd says {field} {expected}"), || {
            let peer = self.peer()?;
            ensure!(peer[field] == expected, "{peer}");
            Ok(())
        })
    }
}

fn spawn(node: &Node, logs: &Path, sockets: &Path, daemon: &str) -> Result<Process> {
    let program = format!("{DAEMONS}/{daemon}");
    ensure!(
        fs::exists(&program)?,
        "{program} is missing: run scripts/setup"
    );
    let at = |file: &str| sockets.join(file);
    let mut command = node.namespace.command(program);
    command.args(["-u", "frr", "-g", "frr", "-P", "0", "--log", "stdout"]);
    command.arg("--vty_socket").arg(sockets);
    command.arg("-z").arg(at("zserv.api"));
    command.arg("-i").arg(at(&format!("{daemon}.pid")));
    command.arg("-f").arg(at("empty.conf"));
    if daemon == "bfdd" {
        command.arg("--bfdctl").arg(at("bfdd.sock"));
    }
    let vty = at(&format!("{daemon}.vty"));
    let _ = fs::remove_file(&vty);
    let name = format!("{}-{daemon}", node.name);
    let mut process = Process::spawn(&name, &mut command, logs)?;
    process.wait_ready(secs(20), &format!("{name} answers"), || {
        ensure!(vty.exists(), "no {}", vty.display());
        ensure!(
            daemon != "zebra" || at("zserv.api").exists(),
            "no zserv.api"
        );
        Ok(())
    })?;
    Ok(process)
}
