//! The programs that Chanter meets in the field.

pub(crate) mod bagpipe;
pub(crate) mod bird;
pub(crate) mod exabgp;
pub(crate) mod frr;
pub(crate) mod gobgp;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The path of a program that `scripts/setup` installs.
fn installed(path: impl Into<PathBuf>) -> Result<PathBuf> {
    let path = path.into();
    ensure!(
        exists(&path),
        "{} is missing: run scripts/setup",
        path.display()
    );
    Ok(path)
}

fn exists(path: &Path) -> bool {
    path.is_file()
}
