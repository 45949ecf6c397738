//! The `chanter` command: which command it is, and who does it.

use std::process::ExitCode;

use chanter::cli::{self, Cli, Command, EXIT_RUNTIME, PolicyArgs, PolicyCommand};
use chanter::personas::{self, Persona};
use chanter::{build, check, lab, show, wiring};
use clap::Parser;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if let Some(persona) = Persona::of_program(args.next().as_deref()) {
        return persona.run(args.collect());
    }
    match Cli::parse().command {
        Command::Agent(args) => wiring::agent(args),
        Command::Rr(args) => wiring::rr(args),
        Command::Attach(args) => show::run(show::attach(args)),
        Command::Detach(args) => show::run(show::detach(args)),
        Command::Show(args) => show::run(show::show(args)),
        Command::Why(args) => show::run(show::why(args)),
        Command::Watch(args) => show::run(show::watch(args)),
        Command::Peer(args) => show::run(show::peer(args)),
        Command::Policy(PolicyArgs {
            command: PolicyCommand::Test(args),
        }) => show::test_policy(args),
        Command::Reload(args) => show::run(show::reload(args)),
        Command::CheckConfig(args) => check::run(args),
        Command::Drain(args) => show::run(show::drain(args)),
        Command::Lab(args) => lab::main(args),
        Command::Completions { shell } => {
            show::say(&cli::completions(shell));
            ExitCode::SUCCESS
        }
        Command::Man { dir } => match cli::man_pages(&dir) {
            Ok(count) => {
                show::say(&format!(
                    "{count} manual pages written to {}",
                    dir.display()
                ));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("chanter man: {}: {error}", dir.display());
                ExitCode::from(EXIT_RUNTIME)
            }
        },
        Command::As { name, args } => personas::run_as(&name, args),
        Command::Version { json } => {
            match json {
                true => show::say(&format!("{:#}", build::json())),
                false => show::say(&format!("chanter {}", build::LONG_VERSION)),
            }
            ExitCode::SUCCESS
        }
    }
}
