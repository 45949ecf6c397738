//! Running a program to its end.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `command` and returns what it printed on standard output; anything but exit code 0 is an
/// error with all of its output.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {shown}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        bail!(
            "{shown}: {}\n{text}{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
    }
    Ok(text)
}

/// Runs a program given as words.
pub fn run(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("a command needs a program")?;
    output(Command::new(program).args(arguments))
}
