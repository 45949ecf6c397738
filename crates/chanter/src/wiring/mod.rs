//! The daemons: configuration in, tasks wired to each other, stopped in order.
//!
//! ```text
//! agent:  REST (8082, unix socket) -> engine <-> speaker      rr:  speaker <-> engine, unix socket
//!                                       |
//!                                   dataplane
//! ```

mod control;
mod daemon;
mod life;
mod logging;
mod monitoring;
mod sessions;
mod signals;
mod speaking;
mod supervisor;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use chanter_types::Asn;

use crate::cli::{ConfigArgs, DaemonArgs, EXIT_RUNTIME, EXIT_USAGE};
use crate::config::{
    BgpConfig, BmpConfig, Config, ConfigError, DEFAULT_GRACEFUL_RESTART, DEFAULT_VXLAN_PORT,
    EvpnConfig, EvpnDriver, LogConfig, LogFormat, MrtConfig, Node, OnStop, Role, ThisNode,
    everywhere,
};

use daemon::{Daemon, OwnAs};
use speaking::everybody;

/// `chanter agent`.
pub fn agent(args: DaemonArgs) -> ExitCode {
    configured(Role::Agent, args)
}

/// `chanter rr`.
pub fn rr(args: DaemonArgs) -> ExitCode {
    configured(Role::RouteReflector, args)
}

/// `bagpipe-fakerr`: needs no configuration.
pub fn fake_rr() -> ExitCode {
    run(Daemon {
        role: Role::RouteReflector,
        own_as: OwnAs::ThatOfEachPeer,
        config: fake_rr_config(),
        load: Arc::new(|_| Ok(fake_rr_config())),
    })
}

fn configured(role: Role, args: DaemonArgs) -> ExitCode {
    match load(role, &args.config) {
        Ok(config) => run(Daemon {
            role,
            own_as: OwnAs::Configured,
            config: overridden(config, &args),
            load: Arc::new(move |running| {
                let files = config_files(&args.config);
                let config =
                    files.and_then(|files| Config::load_again(&files, role, &ThisNode, running));
                match config {
                    Ok(config) => Ok(overridden(config, &args)),
                    Err(error) => Err(error.to_string()),
                }
            }),
        }),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn run(daemon: Daemon) -> ExitCode {
    match daemon.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may be what failed.
            eprintln!("chanter: {error:#}");
            ExitCode::from(EXIT_RUNTIME)
        }
    }
}

/// Reads the configuration that the arguments name, or the usual one.
pub fn load(role: Role, args: &ConfigArgs) -> Result<Config, ConfigError> {
    Config::load(&config_files(args)?, role, &ThisNode)
}

/// The files of the arguments, or the usual one.
fn config_files(args: &ConfigArgs) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = args.config_files.clone();
    if let Some(dir) = &args.config_dir {
        let read = |source| ConfigError::Read {
            path: dir.clone(),
            source,
        };
        let mut more = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "conf")
            {
                more.push(path);
            }
        }
        more.sort();
        files.extend(more);
    }
    if files.is_empty() {
        Config::default_files()
    } else {
        Ok(files)
    }
}

/// What the command line says in the place of the configuration.
fn overridden(mut config: Config, args: &DaemonArgs) -> Config {
    if args.debug {
        config.log.level = config.log.level.max(tracing::Level::DEBUG);
    }
    config.log.format = args.log_format.unwrap_or(config.log.format);
    config.log.file = args.log_file.clone().or(config.log.file);
    config.socket = args.socket.clone().unwrap_or(config.socket);
    config.state_dir = args.state_dir.clone().unwrap_or(config.state_dir);
    config
}

fn fake_rr_config() -> Config {
    Config {
        files: Vec::new(),
        warnings: Vec::new(),
        log: LogConfig {
            level: tracing::Level::INFO,
            format: LogFormat::Text,
            file: None,
        },
        state_dir: PathBuf::from("/run/chanter/fakerr"),
        socket: PathBuf::from("/run/chanter/fakerr.sock"),
        on_stop: OnStop::Keep,
        bgp: BgpConfig {
            local_as: Asn::TRANS,
            local_address: None,
            router_id: ThisNode.any_ipv4().unwrap_or(Ipv4Addr::LOCALHOST),
            cluster_id: None,
            rt_constraint: true,
            graceful_restart: Some(DEFAULT_GRACEFUL_RESTART),
            listen: everywhere(&ThisNode),
            peers: Vec::new(),
            ranges: everybody(),
            hostname: None,
            policies: BTreeMap::new(),
        },
        evpn: EvpnConfig {
            driver: EvpnDriver::Dummy,
            vtep: None,
            vxlan_port: DEFAULT_VXLAN_PORT,
        },
        api: None,
        bmp: BmpConfig::default(),
        mrt: MrtConfig::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use chanter_speaker::RemoteAs;

    use super::*;

    #[test]
    fn files_of_a_directory_come_last_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["20.conf", "10.conf", "README"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let args = ConfigArgs {
            config_files: vec![PathBuf::from("first.conf")],
            config_dir: Some(dir.path().to_owned()),
        };
        let names: Vec<String> = config_files(&args)
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["first.conf", "10.conf", "20.conf"]);
    }

    #[test]
    fn the_fake_reflector_takes_anybody() {
        let config = fake_rr_config();
        for addr in ["192.0.2.1", "2001:db8::1"] {
            let addr: IpAddr = addr.parse().unwrap();
            let range = config
                .bgp
                .ranges
                .iter()
                .find(|range| range.prefix.contains(addr))
                .unwrap();
            assert_eq!(range.options.remote_as, RemoteAs::Any);
            assert!(range.options.role_client);
        }
    }
}
