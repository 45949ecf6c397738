//! `chanter check-config`.

use std::process::ExitCode;

use crate::cli::{CheckConfigArgs, ConfigArgs, EXIT_USAGE};
use crate::config::{Config, Role};
use crate::show::say;
use crate::wiring;

/// Says what is wrong with a configuration, or what it amounts to.
pub fn run(args: CheckConfigArgs) -> ExitCode {
    let role = args.role.into();
    let config = ConfigArgs {
        config_files: args.files,
        config_dir: None,
    };
    match wiring::load(role, &config) {
        Ok(config) => {
            for warning in &config.warnings {
                eprintln!("{warning}");
            }
            say(&outcome(role, &config));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn outcome(role: Role, config: &Config) -> String {
    let bgp = &config.bgp;
    let role = match role {
        Role::Agent => format!("agent, dataplane {}", config.evpn.driver.name()),
        Role::RouteReflector => "route reflector".to_owned(),
    };
    let peers = match (bgp.peers.len(), bgp.ranges.len()) {
        (0, 0) => "no peers".to_owned(),
        (peers, 0) => format!("peers: {peers}"),
        (peers, ranges) => format!("peers: {peers}, listen ranges: {ranges}"),
    };
    let files: Vec<String> = config
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    format!(
        "{}: usable: {role}, AS {}, router id {}, {peers}",
        files.join(", "),
        bgp.local_as,
        bgp.router_id
    )
}
