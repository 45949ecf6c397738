//! Agents as an operator runs them.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An agent with the dummy dataplane, in a directory of its own.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    api_port: u16,
    agent: Child,
}

impl Node {
    /// An agent without peers; `more` stands at the top of its configuration.
    pub(crate) fn start(more: &str) -> Node {
        Node::start_with(more, "")
    }

    /// `bgp` stands in `[bgp]` and after it.
    pub(crate) fn start_with(more: &str, bgp: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let api_port = free_port();
        configure(&dir, api_port, more, bgp);
        let agent = agent(&dir);
        let mut node = Node {
            dir,
            api_port,
            agent,
        };
        node.wait_until_ready();
        node
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, more: &str, bgp: &str) {
        configure(&self.dir, self.api_port, more, bgp);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        chanter()
            .args(args)
            .env("CHANTER_SOCKET", self.socket())
            .output()
            .unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.run(&["show", "summary"]).status.success() {
            assert!(
                self.agent.try_wait().unwrap().is_none(),
                "the agent has ended"
            );
            assert!(Instant::now() < deadline, "the agent does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn kill(&mut self) {
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.agent = agent(&self.dir);
        self.wait_until_ready();
    }

    pub(crate) fn terminate(&mut self) -> i32 {
        let pid = Pid::from_raw(i32::try_from(self.agent.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.agent.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(Instant::now() < deadline, "the agent does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// The program.
pub(crate) fn chanter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chanter"));
    command
        .env_remove("CHANTER_SOCKET")
        .env_remove("NOTIFY_SOCKET");
    command
}

fn agent(dir: &TempDir) -> Child {
    chanter()
        .arg("agent")
        .arg("--config")
        .arg(dir.path().join("chanter.toml"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn configure(dir: &TempDir, api_port: u16, more: &str, bgp: &str) {
    let path = dir.path().display();
    let bgp = match bgp {
        "" => "as = 64512\nlocal_address = \"127.0.0.1\"",
        bgp => bgp,
    };
    let config = format!(
        "state_dir = \"{path}/state\"\nsocket = \"{path}/sock\"\n{more}\n[bgp]\n{bgp}\n\
         [dataplane.evpn]\ndriver = \"dummy\"\n[api]\nport = {api_port}\n"
    );
    std::fs::write(dir.path().join("chanter.toml"), config).unwrap();
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
