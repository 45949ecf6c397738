//! `chanter lab`, as a new user runs it, over either underlay.
//!
//! 1. It succeeds, in every step.
//! 2. No ping is lost while an agent is killed and started again.
//! 3. It leaves no namespace behind.

use anyhow::{Context, Result, ensure};
use chanter_interop::*;
use serde_json::Value;

#[test]
fn over_ipv4() -> Result<(), Failure> {
    in_lab(|_| run_lab("ipv4"))
}

#[test]
fn over_ipv6() -> Result<(), Failure> {
    in_lab(|_| run_lab("ipv6"))
}

/// Not the name of a lab that somebody may have up.
const NAME: &str = "chittest";

fn run_lab(underlay: &str) -> Result<()> {
    let mut command = std::process::Command::new(chanter_program()?);
    let text = output(command.args(["lab", "--json", "--name", NAME, "--underlay", underlay]))?;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
    let steps = report["steps"].as_array().context("no steps")?;
    ensure!(report["ok"] == true && !steps.is_empty(), "1: {report}");
    ensure!(steps.iter().all(|step| step["ok"] == true), "1: {report}");
    let restart = &report["restart"];
    ensure!(restart["lost"] == 0, "2: {restart}");
    ensure!(
        restart["sent"].as_u64().is_some_and(|sent| sent > 0),
        "2: nothing sent: {restart}"
    );
    let left = run(&["ip", "netns", "list"])?;
    ensure!(!left.contains(NAME), "3: left behind: {left}");
    Ok(())
}
