//! `chanter-bench run`: measures `chanter rr` beside other BGP speakers and prints tables.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use chanter_bench::{
    Case, ClientsOptions, Device, Kind, Run, Setting, Workload, check_root, clients_table,
    end_on_signal, run_case, run_clients,
};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Route reflectors under load, in network namespaces; as root, on an idle machine
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure and print a table in Markdown for each case
    Run(Options),
    /// Thousands of clients that all talk, some of which flap, at one `chanter rr`
    Clients {
        #[command(flatten)]
        clients: ClientsOptions,
        /// The `chanter` to measure; without this it is built, optimized
        #[arg(long)]
        chanter: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// Routes with distinct keys
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(Workload::ROUTES_MAX)))]
    routes: u32,
    /// How often each daemon is measured, in turns; tables show medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Which daemons; without this, all that are installed
    #[arg(long, value_delimiter = ',')]
    daemons: Vec<Device>,
    /// Kinds of routes
    #[arg(long, value_delimiter = ',', default_values = ["ipv4", "vpnv4", "evpn"])]
    family: Vec<Kind>,
    /// Routes that share an attribute set, and an UPDATE
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1], value_parser = clap::value_parser!(u32).range(1..=100))]
    per_set: Vec<u32>,
    /// Sessions that receive
    #[arg(long, value_delimiter = ',', default_values_t = [1, 20])]
    receivers: Vec<usize>,
    /// Seconds after which announcing, or withdrawing, is given up
    #[arg(long, default_value_t = 120)]
    deadline: u64,
    /// A daemon's program in place of the installed one, such as `bird=/opt/bird/sbin/bird`; without
    /// one for chanter it is built, optimized
    #[arg(long, value_name = "DAEMON=PATH", value_parser = program)]
    program: Vec<(Device, PathBuf)>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(options) => run(&options),
        Command::Clients { clients, chanter } => many_clients(&clients, chanter),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace, whatever the environment says: these are no bugs.
            for cause in error.chain() {
                eprintln!("chanter-bench: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    check_root()?;
    end_on_signal()?;
    ensure!(
        !options.receivers.contains(&0),
        "--receivers: at least 1, to see routes arrive"
    );
    let mut programs: BTreeMap<Device, PathBuf> = options.program.iter().cloned().collect();
    if let Entry::Vacant(chanter) = programs.entry(Device::Chanter) {
        eprintln!("building chanter, optimized");
        chanter.insert(chanter_interop::build(&["--release"])?);
    }
    let setting = Setting { programs };
    let devices = devices(&options.daemons, &setting)?;
    println!("Versions:\n");
    for device in &devices {
        println!("- {device}: {}", device.version(&setting));
    }
    for &kind in &options.family {
        for &receivers in &options.receivers {
            for &per_set in &options.per_set {
                let run = Run {
                    kind,
                    routes: options.routes,
                    per_set,
                    receivers,
                    deadline: Duration::from_secs(options.deadline),
                };
                eprintln!("{kind}, {per_set} per attribute set, {receivers} receivers");
                let case = Case {
                    run,
                    rounds: options.rounds,
                    devices: devices.clone(),
                };
                println!("\n{}", run_case(&case, &setting)?);
            }
        }
    }
    Ok(())
}

fn program(text: &str) -> Result<(Device, PathBuf), String> {
    let (device, path) = text
        .split_once('=')
        .ok_or("DAEMON=PATH is wanted, such as bird=/opt/bird/sbin/bird")?;
    Ok((Device::from_str(device, false)?, PathBuf::from(path)))
}

fn many_clients(options: &ClientsOptions, chanter: Option<PathBuf>) -> Result<()> {
    check_root()?;
    end_on_signal()?;
    let program = match chanter {
        Some(program) => program,
        None => {
            eprintln!("building chanter, optimized");
            chanter_interop::build(&["--release"])?
        }
    };
    let setting = Setting {
        programs: [(Device::Chanter, program)].into(),
    };
    println!("Version: {}\n", Device::Chanter.version(&setting));
    let figures = run_clients(options, &setting)?;
    println!("{}", clients_table(options, &figures)?);
    Ok(())
}

/// Those asked for, all of which must be there; else those that are there.
fn devices(asked: &[Device], setting: &Setting) -> Result<Vec<Device>> {
    let is_there = |device: &Device| device.program(setting).exists();
    for device in asked {
        ensure!(
            is_there(device),
            "{device}: no {}; {}",
            device.program(setting).display(),
            device.package()
        );
    }
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let all = Device::value_variants();
    for device in all.iter().filter(|device| !is_there(device)) {
        eprintln!("{device}: left out, not installed ({})", device.package());
    }
    Ok(all.iter().copied().filter(is_there).collect())
}
