//! `docs/compliance.md` names tests: each must be there.

use std::collections::BTreeSet;

use crate::tree::TextFile;

const TABLE: &str = "docs/compliance.md";

/// Tests that the table names and that are nowhere in the tree.
pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let Some(table) = files.iter().find(|file| file.path == TABLE) else {
        return vec![format!("{TABLE} is missing")];
    };
    let functions = functions(files);
    let modules = modules(files);
    let exists = |name: &str| {
        let name = name.rsplit(' ').next().unwrap_or(name);
        let mut segments = name.rsplit("::");
        match segments.next() {
            Some("*") => segments
                .next()
                .is_some_and(|module| modules.contains(module)),
            Some(last) => functions.contains(last) || modules.contains(last),
            None => false,
        }
    };
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(table.text.lines()) {
        let Some(cell) = tests_cell(line) else {
            continue;
        };
        for name in cell.split('`').skip(1).step_by(2) {
            if !exists(name) {
                findings.push(format!("{TABLE}:{number}: no test `{name}`"));
            }
        }
    }
    findings
}

/// The last cell of a row.
fn tests_cell(line: &str) -> Option<&str> {
    let row = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    row.rsplit_once('|').map(|(_, cell)| cell)
}

/// The names of all functions.
fn functions(files: &[TextFile]) -> BTreeSet<&str> {
    let code = files.iter().filter(|file| is_rust(file));
    let lines = code.flat_map(|file| file.text.lines());
    lines
        .filter_map(|line| {
            let (before, rest) = line.split_once("fn ")?;
            let starts = before.is_empty() || before.ends_with(' ');
            starts.then(|| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
            })?
        })
        .collect()
}

/// The names of all modules, as files or folders are called.
fn modules(files: &[TextFile]) -> BTreeSet<&str> {
    let code = files.iter().filter(|file| is_rust(file));
    code.flat_map(|file| file.path.trim_end_matches(".rs").split('/'))
        .collect()
}

fn is_rust(file: &TextFile) -> bool {
    file.path.ends_with(".rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn tests_that_are_not_there_are_named() {
        let table = "| section | what | status | test |\n|---|---|---|---|\n\
                     | 1 | `x | done | `a::good`, scenario 3, `model unit::*` |\n\
                     | 2 | y | done | `a::bad`, `elsewhere::*` |\n";
        let files = [
            file("docs/compliance.md", table),
            file("crates/a/tests/a.rs", "    async fn good() {}\n"),
            file("crates/a/tests/unit/b.rs", "fn other() {}\n"),
        ];
        assert_eq!(
            check(&files),
            [
                "docs/compliance.md:4: no test `a::bad`",
                "docs/compliance.md:4: no test `elsewhere::*`"
            ]
        );
    }
}
