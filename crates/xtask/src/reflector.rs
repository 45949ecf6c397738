//! `cargo xtask bench` and `cargo xtask bench clients`: the load generator, built optimized.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs `chanter-bench COMMAND` with `options`.
pub(crate) fn run(command: &str, options: &[OsString]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--release", "--locked", "--quiet"])
        .args(["--package", "chanter-bench", "--", command])
        .args(options)
        .status()
        .context("cargo")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
