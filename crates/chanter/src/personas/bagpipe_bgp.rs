//! `bagpipe-bgp`: the agent, with the options of oslo.config and oslo.log.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{ConfigArgs, DaemonArgs};
use crate::config::LogFormat;
use crate::wiring;

/// The daemon of a node, with the options and the configuration file of bagpipe-bgp.
#[derive(Debug, Parser)]
#[command(name = "bagpipe-bgp", version, infer_long_args = true)]
pub(super) struct BagpipeBgpArgs {
    /// A configuration file; may be repeated, later files win
    #[arg(long, value_name = "PATH", default_value = "/etc/bagpipe-bgp/bgp.conf")]
    config_file: Vec<PathBuf>,
    /// A directory of further configuration files (*.conf)
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Log also what only developers want to see
    #[arg(long, short, overrides_with = "nodebug")]
    debug: bool,
    /// The inverse of --debug
    #[arg(long, overrides_with = "debug")]
    nodebug: bool,
    /// Append log lines to this file in place of standard error
    #[arg(long, alias = "logfile", value_name = "PATH")]
    log_file: Option<PathBuf>,
    /// The directory of a relative --log-file; without one, the file is bagpipe-bgp.log
    #[arg(long, alias = "logdir", value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Log lines as JSON
    #[arg(long, overrides_with = "nouse_json")]
    use_json: bool,
    /// The inverse of --use-json
    #[arg(long, overrides_with = "use_json")]
    nouse_json: bool,
    #[command(flatten)]
    ignored: Ignored,
}

/// Switches of oslo.log that choose among Python's log handlers. They are accepted and without
/// effect: log lines go to standard error, which systemd hands to the journal and to syslog.
#[derive(Debug, clap::Args)]
struct Ignored {
    #[arg(long, hide = true)]
    use_syslog: bool,
    #[arg(long, hide = true)]
    nouse_syslog: bool,
    #[arg(long, hide = true)]
    use_journal: bool,
    #[arg(long, hide = true)]
    nouse_journal: bool,
    #[arg(long, hide = true)]
    syslog_log_facility: Option<String>,
    #[arg(long, hide = true)]
    log_date_format: Option<String>,
    #[arg(long, hide = true, aliases = ["log-config", "log_config"])]
    log_config_append: Option<PathBuf>,
}

impl Ignored {
    /// Those in use, by name.
    fn in_use(&self) -> Vec<&'static str> {
        let flags = [
            (self.use_syslog, "--use-syslog"),
            (self.use_journal, "--use-journal"),
            (self.syslog_log_facility.is_some(), "--syslog-log-facility"),
            (self.log_date_format.is_some(), "--log-date-format"),
            (self.log_config_append.is_some(), "--log-config-append"),
        ];
        flags
            .into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| name)
            .collect()
    }
}

impl BagpipeBgpArgs {
    fn into_agent(self) -> DaemonArgs {
        let log_file = match (self.log_file, self.log_dir) {
            (None, None) => None,
            (file, dir) => {
                let file = file.unwrap_or_else(|| PathBuf::from("bagpipe-bgp.log"));
                Some(dir.unwrap_or_default().join(file))
            }
        };
        DaemonArgs {
            config: ConfigArgs {
                config_files: self.config_file,
                config_dir: self.config_dir,
            },
            debug: self.debug,
            log_format: self.use_json.then_some(LogFormat::Json),
            log_file,
            socket: std::env::var_os("CHANTER_SOCKET").map(PathBuf::from),
            state_dir: None,
        }
    }
}

pub(super) fn run(args: BagpipeBgpArgs) -> ExitCode {
    for name in args.ignored.in_use() {
        eprintln!("bagpipe-bgp: {name} is without effect here: log lines go to standard error");
    }
    wiring::agent(args.into_agent())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> BagpipeBgpArgs {
        BagpipeBgpArgs::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn without_options_it_reads_the_usual_file() {
        let agent = parse("bagpipe-bgp").into_agent();
        assert_eq!(
            agent.config.config_files,
            [PathBuf::from("/etc/bagpipe-bgp/bgp.conf")]
        );
        assert_eq!((agent.debug, agent.log_file), (false, None));
    }

    #[test]
    fn options_of_oslo_are_taken() {
        let args = parse(
            "bagpipe-bgp --config-file a --config-file=b --config-dir d --debug --log-dir /var/log \
             --logfile x.log --use-syslog --use-json",
        );
        assert_eq!(args.ignored.in_use(), ["--use-syslog"]);
        let agent = args.into_agent();
        assert_eq!(
            agent.config.config_files,
            [PathBuf::from("a"), PathBuf::from("b")]
        );
        assert_eq!(agent.config.config_dir, Some(PathBuf::from("d")));
        assert_eq!(agent.log_file, Some(PathBuf::from("/var/log/x.log")));
        assert_eq!(
            (agent.debug, agent.log_format),
            (true, Some(LogFormat::Json))
        );
        assert!(!parse("bagpipe-bgp --debug --nodebug").into_agent().debug);
    }
}
