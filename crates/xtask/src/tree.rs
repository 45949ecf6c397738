//! The project's own files, as git sees them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the work tree.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .ancestors()
        .nth(2)
        .context("this crate is two levels below the root")?;
    Ok(root.to_owned())
}

/// A text file of the project.
pub(crate) struct TextFile {
    /// Relative to the root.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file that is, or is about to be, in the repository.
pub(crate) fn text_files() -> Result<Vec<TextFile>> {
    let root = root()?;
    let listing = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let listed = Command::new("git")
        .args(listing)
        .current_dir(&root)
        .output()?;
    ensure!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let mut files = Vec::new();
    for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        // Deleted but not yet committed, a symbolic link to nowhere, or binary: nothing to read.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.push(TextFile {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}
