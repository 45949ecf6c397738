//! Whether this start is a restart: routes of an earlier life may be held by peers, and forwarding
//! state of it by the kernel (RFC 4724 section 4.1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// What the kernel calls this boot; a reboot loses all forwarding state.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The mark that a life leaves: written at the start, removed by a stop that leaves nothing behind.
#[derive(Debug)]
pub(super) struct Life {
    /// `None`: it leaves none.
    path: Option<PathBuf>,
    restarting: bool,
}

impl Life {
    /// A life without past and without trace.
    pub(super) fn unmarked() -> Self {
        Self {
            path: None,
            restarting: false,
        }
    }

    /// Begins a life of `role` whose mark is in `state_dir`.
    pub(super) fn begin(state_dir: &Path, role: &str) -> anyhow::Result<Self> {
        let boot = fs::read_to_string(BOOT_ID).with_context(|| BOOT_ID.to_owned())?;
        Self::begin_in_boot(state_dir, role, boot.trim())
    }

    fn begin_in_boot(state_dir: &Path, role: &str, boot: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(state_dir)
            .with_context(|| format!("cannot create {}", state_dir.display()))?;
        let path = state_dir.join(format!("{role}-running-since-boot"));
        let restarting = match fs::read_to_string(&path) {
            Ok(earlier) => earlier.trim() == boot,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        fs::write(&path, format!("{boot}\n")).with_context(|| path.display().to_string())?;
        Ok(Self {
            path: Some(path),
            restarting,
        })
    }

    /// Whether there was a life before this one that left its forwarding state.
    pub(super) fn is_restart(&self) -> bool {
        self.restarting
    }

    /// Ends the life without forwarding state left.
    pub(super) fn end_clean(self) {
        if let Some(path) = self.path
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_life_in_the_same_boot_is_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let begin = |boot| Life::begin_in_boot(&dir.path().join("state"), "agent", boot).unwrap();
        assert!(!begin("a").is_restart());
        assert!(begin("a").is_restart());
        let reflector = Life::begin_in_boot(&dir.path().join("state"), "rr", "a").unwrap();
        assert!(!reflector.is_restart(), "it is another daemon");
        assert!(
            !begin("b").is_restart(),
            "a reboot lost the forwarding state"
        );
        begin("b").end_clean();
        assert!(!begin("b").is_restart(), "nothing was left");
    }
}
