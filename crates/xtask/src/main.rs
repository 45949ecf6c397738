//! Chores of the project: `cargo xtask check` and `cargo xtask bench`.

mod bench;
mod check;
mod tree;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Measures Chanter beside what it replaces; needs root and `scripts/setup`.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand)]
enum Bench {
    /// From a REST attach to the UPDATE on the peer's wire, beside bagpipe-bgp.
    Attach(bench::AttachOptions),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Check => check::run(),
        Chore::Bench(Bench::Attach(options)) => bench::attach(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
