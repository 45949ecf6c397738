//! Words that have no place in the tree: hosts that only lock files should name, paths of one
//! machine, banners.

use crate::tree::TextFile;

/// Package registries: where packages come from is the business of the user's configuration. Each
/// is written in two parts so that this file does not name them either.
const REGISTRIES: [(&str, &str); 6] = [
    ("crates", "io"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("npmjs", "org"),
    ("proxy.golang", "org"),
    ("deb.debian", "org"),
];

/// First components of paths that exist on one machine only.
const PRIVATE_ROOTS: [&str; 3] = ["home", "Users", "work"];

pub(super) fn check(file: &TextFile) -> Vec<String> {
    if file.path.ends_with(".lock") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for problem in problems(&file.path, line) {
            findings.push(format!("{}:{}: {problem}", file.path, number + 1));
        }
    }
    findings
}

fn problems(path: &str, line: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (host, domain) in REGISTRIES {
        if line.contains(&format!("{host}.{domain}")) {
            problems.push(format!("names the package registry {host} {domain}"));
        }
    }
    for root in PRIVATE_ROOTS {
        if names_directory(line, &format!("/{root}/")) {
            problems.push(format!("names a path below {root} of somebody's machine"));
        }
    }
    if path.ends_with(".rs") && is_banner(line) {
        problems.push("a banner comment: make it a module".to_owned());
    }
    problems
}

/// Whether an absolute path starts with `directory` (not a longer path that contains it).
fn names_directory(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"._-}~*)".contains(before))
    })
}

fn is_banner(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else {
        return false;
    };
    ["====", "----", "****", "####"]
        .iter()
        .any(|rule| comment.trim_start().starts_with(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn registries_are_found_outside_lock_files() {
        let line = format!("from {}.{}\n", REGISTRIES[0].0, REGISTRIES[0].1);
        assert_eq!(found("a.md", &line), 1);
        assert_eq!(found("Cargo.lock", &line), 0);
    }

    #[test]
    fn private_paths_are_found() {
        for root in PRIVATE_ROOTS {
            assert_eq!(found("a.sh", &format!("cd /{root}/x")), 1, "{root}");
            assert_eq!(
                found("a.sh", &format!("cd ./{root}/x, a/{root}/x")),
                0,
                "{root}"
            );
        }
    }

    #[test]
    fn banners_are_found() {
        assert_eq!(found("a.rs", &format!("    // {}\n", "-".repeat(20))), 1);
        assert_eq!(found("a.rs", "    // -> the peer\n"), 0);
    }
}
