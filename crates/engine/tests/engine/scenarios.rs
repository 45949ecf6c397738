//! Runs the scenarios in `tests/scenarios/`: each a text of inputs and what is expected to follow.
//!
//! `UPDATE_EXPECT=1` writes what followed in place of what was expected; read the difference before
//! it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{World, parse_config};

/// Runs a scenario and returns its text with what followed in place of what was expected.
fn replay(text: &str) -> String {
    let mut world: Option<World> = None;
    let mut replayed = String::new();
    let mut add = |line: &str| {
        replayed.push_str(line);
        replayed.push('\n');
    };
    for line in text.lines() {
        if let Some(config) = line.strip_prefix("> engine") {
            add(line);
            let started = world.insert(World::new(parse_config(config)));
            started.run("start").iter().for_each(|line| add(line));
        } else if let Some(input) = line.strip_prefix("> ") {
            add(line);
            let world = world.as_mut().expect("a scenario begins with `> engine`");
            world.run(input).iter().for_each(|line| add(line));
        } else if line.is_empty() || line.starts_with('#') {
            add(line);
        }
    }
    replayed
}

/// The first line in which the texts differ, with what comes before it.
fn difference(expected: &str, replayed: &str) -> String {
    let mut before = Vec::new();
    let mut lines = (expected.lines(), replayed.lines());
    loop {
        match (lines.0.next(), lines.1.next()) {
            (Some(one), Some(other)) if one == other => before.push(one),
            (one, other) => {
                let context = &before[before.len().saturating_sub(6)..];
                let (one, other) = (one.unwrap_or("(end)"), other.unwrap_or("(end)"));
                return format!("{}\nexpected: {one}\nfollowed: {other}", context.join("\n"));
            }
        }
    }
}

fn scenarios() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(dir).expect("the scenarios are there");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

#[test]
fn scenarios_lead_to_what_they_say() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let paths = scenarios();
    assert!(paths.len() >= 20, "scenarios are missing");
    let mut failures = Vec::new();
    for path in paths {
        let expected = fs::read_to_string(&path).unwrap();
        let replayed = replay(&expected);
        assert_eq!(
            replayed,
            replay(&expected),
            "{} is not deterministic",
            path.display()
        );
        if replayed != expected {
            if update {
                fs::write(&path, replayed).unwrap();
            } else {
                failures.push(format!(
                    "{}:\n{}",
                    path.display(),
                    difference(&expected, &replayed)
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
