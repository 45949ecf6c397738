//! `cargo xtask check`: rules of the project that neither the compiler nor clippy knows.

mod compliance;
mod purity;
mod sizes;
mod words;

use anyhow::{Result, bail};

use crate::tree::{self, TextFile};

/// Runs every check; all findings are shown before it fails.
pub(crate) fn run() -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

fn findings() -> Result<Vec<String>> {
    let files = tree::text_files()?;
    let mut findings = purity::dependencies(&purity::metadata()?)?;
    let text_checks: [fn(&TextFile) -> Vec<String>; 3] = [purity::uses, sizes::check, words::check];
    for check in text_checks {
        findings.extend(files.iter().flat_map(check));
    }
    findings.extend(compliance::check(&files));
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_keeps_the_rules() {
        assert_eq!(super::findings().unwrap(), Vec::<String>::new());
    }
}
