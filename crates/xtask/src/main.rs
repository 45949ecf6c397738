//! Chores of the project: `cargo xtask check` and `cargo xtask bench`.

mod bench;
mod check;
mod reflector;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the project")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks the rules that no other tool checks: pure crates, file sizes, words.
    Check,
    /// Measures Chanter beside others; needs root and `scripts/setup`. Without a word more, the
    /// route reflector, as `reflector`.
    Bench(BenchArguments),
}

#[derive(Args)]
struct BenchArguments {
    #[command(subcommand)]
    what: Option<Bench>,
}

#[derive(Subcommand)]
enum Bench {
    /// The route reflector beside BIRD, FRR and GoBGP; options are those of `chanter-bench run`.
    #[command(disable_help_flag = true)]
    Reflector {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// Thousands of clients at one reflector; options are those of `chanter-bench clients`.
    #[command(disable_help_flag = true)]
    Clients {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// From a REST attach to the UPDATE on the peer's wire, beside bagpipe-bgp.
    Attach(bench::AttachOptions),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Check => check::run(),
        Chore::Bench(arguments) => match arguments.what {
            None => reflector::run("run", &[]),
            Some(Bench::Reflector { options }) => reflector::run("run", &options),
            Some(Bench::Clients { options }) => reflector::run("clients", &options),
            Some(Bench::Attach(options)) => bench::attach(&options),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
