//! A file that has outgrown its subject wants to be two files.

use crate::tree::TextFile;

/// Far above what we aim at (100 to 300); nothing is allowed to grow beyond it.
const LINES_MAX: usize = 800;

pub(super) fn check(file: &TextFile) -> Vec<String> {
    let lines = file.text.lines().count();
    let too_long = file.path.ends_with(".rs") && lines > LINES_MAX;
    let finding = || {
        format!(
            "{}: {lines} lines, at most {LINES_MAX}: split it by subject",
            file.path
        )
    };
    too_long.then(finding).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_rust_files_are_found() {
        let file = |path: &str, lines| TextFile {
            path: path.to_owned(),
            text: "x\n".repeat(lines),
        };
        assert!(check(&file("a.rs", LINES_MAX)).is_empty());
        assert!(check(&file("a.json", LINES_MAX + 1)).is_empty());
        assert_eq!(check(&file("a.rs", LINES_MAX + 1)).len(), 1);
    }
}
