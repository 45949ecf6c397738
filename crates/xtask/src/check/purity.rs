//! The pure crates decide and do nothing else: no sockets, files, clocks, threads or randomness,
//! neither their own nor through a dependency.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::tree::{self, TextFile};

/// The pure crates, by directory below `crates/`.
const PURE: [&str; 5] = ["types", "bgp", "policy", "intent", "engine"];

/// What they may depend on directly, beside each other.
const ALLOWED: [&str; 8] = [
    "bytes",
    "hashbrown",
    "regex",
    "rustc-hash",
    "serde",
    "serde_json",
    "smallvec",
    "thiserror",
];

/// What must not come in behind those either.
const FORBIDDEN: [&str; 16] = [
    "anyhow",
    "async-std",
    "axum",
    "chrono",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "mio",
    "netlink-sys",
    "nix",
    "rand",
    "rustix",
    "socket2",
    "time",
    "tokio",
];

/// What their sources must not use, and why.
const IMPURE: [(&str, &str); 9] = [
    ("std::env", "the environment is an argument"),
    ("std::fs", "files are read by the caller"),
    ("std::net::Tcp", "sockets belong to the speaker"),
    ("std::net::Udp", "sockets belong to the speaker"),
    ("std::process", "programs are started by the caller"),
    ("std::thread", "nothing is spawned here"),
    (
        "std::time::Instant",
        "time is an argument: chanter_types::Instant",
    ),
    (
        "std::time::SystemTime",
        "time is an argument: chanter_types::Instant",
    ),
    (
        "std::collections::Hash",
        "its order is random: BTreeMap, or a fixed-seed hasher where order cannot leak",
    ),
];

/// What `cargo metadata` says.
pub(super) fn metadata() -> Result<Value> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(tree::root()?);
    let printed = command.output().context("starting cargo metadata")?;
    ensure!(
        printed.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&printed.stderr)
    );
    Ok(serde_json::from_slice(&printed.stdout)?)
}

/// Dependencies of the pure crates that break the rule.
pub(super) fn dependencies(metadata: &Value) -> Result<Vec<String>> {
    let graph = Graph::read(metadata)?;
    let pure: Vec<String> = PURE.iter().map(|name| format!("chanter-{name}")).collect();
    let mut findings = Vec::new();
    for name in &pure {
        let id = graph.id(name).with_context(|| format!("no crate {name}"))?;
        for direct in graph.names(graph.normal.get(id).into_iter().flatten()) {
            if !ALLOWED.contains(&direct) && !pure.iter().any(|pure| pure == direct) {
                findings.push(format!(
                    "{name} is pure and depends on {direct}, which is not allowed there"
                ));
            }
        }
        for reached in graph.names(&graph.closure(id)) {
            if FORBIDDEN.contains(&reached) {
                findings.push(format!(
                    "{name} is pure and reaches {reached} through its dependencies"
                ));
            }
        }
    }
    Ok(findings)
}

/// Dependencies by package id, without those for tests and build scripts.
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    normal: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Graph<'a> {
    fn read(metadata: &'a Value) -> Result<Self> {
        let mut graph = Self {
            names: BTreeMap::new(),
            normal: BTreeMap::new(),
        };
        for package in metadata["packages"].as_array().context("no packages")? {
            let text = |key: &str| {
                package[key]
                    .as_str()
                    .with_context(|| format!("a package without {key}"))
            };
            graph.names.insert(text("id")?, text("name")?);
        }
        for node in metadata["resolve"]["nodes"]
            .as_array()
            .context("no nodes")?
        {
            let id = node["id"].as_str().context("a node without id")?;
            let normal = node["deps"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|dependency| is_normal(dependency));
            graph.normal.insert(
                id,
                normal
                    .filter_map(|dependency| dependency["pkg"].as_str())
                    .collect(),
            );
        }
        Ok(graph)
    }

    fn id(&self, name: &str) -> Option<&'a str> {
        self.names
            .iter()
            .find(|(_, known)| **known == name)
            .map(|(id, _)| *id)
    }

    fn closure(&self, start: &'a str) -> BTreeSet<&'a str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(id) = open.pop() {
            for &next in self.normal.get(id).into_iter().flatten() {
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        reached
    }

    fn names<'b>(
        &'b self,
        ids: impl IntoIterator<Item = &'b &'a str>,
    ) -> impl Iterator<Item = &'a str> {
        ids.into_iter().filter_map(|id| self.names.get(id).copied())
    }
}

fn is_normal(dependency: &Value) -> bool {
    let kinds = dependency["dep_kinds"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

/// Uses of the impure parts of the standard library in the sources of the pure crates.
pub(super) fn uses(file: &TextFile) -> Vec<String> {
    let pure = PURE
        .iter()
        .any(|name| file.path.starts_with(&format!("crates/{name}/src/")));
    if !pure || !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let paths = paths_of_std(&file.text);
    let broken = IMPURE
        .iter()
        .filter(|(path, _)| paths.iter().any(|used| used.starts_with(path)));
    broken
        .map(|(path, why)| format!("{}: uses {path}: {why}", file.path))
        .collect()
}

/// Every `std::...` path of a source: those in expressions, and `use` declarations with their
/// groups spelt out.
fn paths_of_std(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code: String = code
        .join("\n")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("std::") {
        spell_out("", &code[at..], &mut paths);
    }
    paths
}

/// Reads one path or group at the start of `text` below `prefix`; returns what follows it.
fn spell_out<'a>(prefix: &str, text: &'a str, paths: &mut Vec<String>) -> &'a str {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let text = text.trim_start();
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let (path, mut rest) = (format!("{prefix}{}", &text[..end]), &text[end..]);
    if !path.ends_with("::") || !rest.starts_with('{') {
        paths.push(path);
        return rest;
    }
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let after = spell_out(&path, inner, paths);
        // `as name`, a glob: nothing that matters here.
        rest = after.find([',', '}']).map_or("", |next| &after[next..]);
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(source: &str) -> usize {
        uses(&TextFile {
            path: "crates/bgp/src/a.rs".to_owned(),
            text: source.to_owned(),
        })
        .len()
    }

    #[test]
    fn impure_uses_are_found_in_every_form() {
        for impure in [
            "use std::fs;",
            "use std::{fmt, fs::File};",
            "use std::collections::{BTreeMap, HashMap};",
            "use std::{collections::{BTreeMap, hash_map}, time::{Duration, Instant}};",
            "let now = std::time::SystemTime::now();",
            "use std::{\n    fmt,\n    net::{IpAddr, TcpStream},\n};",
        ] {
            assert_eq!(found(impure), 1, "{impure}");
        }
        for pure in [
            "use std::net::IpAddr;",
            "use std::time::Duration;",
            "// std::fs is not for us",
            "use hashbrown::HashMap;",
        ] {
            assert_eq!(found(pure), 0, "{pure}");
        }
    }

    #[test]
    fn forbidden_dependencies_are_found_directly_and_behind_others() {
        let package = |name: &str| json!({"id": name, "name": name});
        let edge = |name: &str| json!({"pkg": name, "dep_kinds": [{"kind": null}]});
        let test_edge = |name: &str| json!({"pkg": name, "dep_kinds": [{"kind": "dev"}]});
        let names = [
            "chanter-types",
            "chanter-bgp",
            "chanter-policy",
            "chanter-intent",
            "chanter-engine",
            "bytes",
            "tokio",
        ];
        let metadata = json!({
            "packages": names.map(package),
            "resolve": {"nodes": [
                {"id": "chanter-types", "deps": [test_edge("tokio")]},
                {"id": "chanter-bgp", "deps": [edge("bytes")]},
                {"id": "chanter-policy", "deps": [edge("chanter-bgp")]},
                {"id": "chanter-intent", "deps": [edge("chanter-types")]},
                {"id": "chanter-engine", "deps": [edge("tokio")]},
                {"id": "bytes", "deps": [edge("tokio")]},
            ]},
        });
        let findings = dependencies(&metadata).unwrap();
        let about = |name: &str| {
            findings
                .iter()
                .filter(|finding| finding.starts_with(name))
                .count()
        };
        assert_eq!(
            (about("chanter-types"), about("chanter-intent")),
            (0, 0),
            "{findings:?}"
        );
        assert_eq!(
            (about("chanter-bgp"), about("chanter-engine")),
            (1, 2),
            "{findings:?}"
        );
    }
}
