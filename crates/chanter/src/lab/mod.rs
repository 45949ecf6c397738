//! `chanter lab`: nodes in network namespaces of this machine, and the main job shown on them.
//!
//! What there is to build is in `topology`; `ground` keeps labs apart and clears away; `run` is
//! the sequence of steps. Whatever happens (a failed check, Ctrl-C, a panic), the ground is cleared
//! at the end unless `--keep` says otherwise; what a killed lab left is cleared by the next one.

mod cluster;
mod daemon;
mod echo;
mod fabric;
mod ground;
mod netns;
mod progress;
mod run;
mod topology;
mod traffic;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::ground::{Ground, missing, name_option, socket_path};
use self::progress::Progress;
use self::run::Run;
use self::topology::{NETWORKS, REFLECTOR, Topology};
use crate::cli::{EXIT_RUNTIME, LabArgs, LabCommand, LabExecArgs, LabUpArgs};
use crate::show::{pairs, say, short};

pub use topology::{DEFAULT_NAME, LabName};

/// What a shell answers for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// `chanter lab ...`.
pub fn main(args: LabArgs) -> ExitCode {
    let missing = missing();
    if !missing.is_empty() {
        eprintln!("chanter lab cannot run here, it lacks:");
        for what in missing {
            eprintln!("  - {what}");
        }
        return ExitCode::from(EXIT_RUNTIME);
    }
    let done = match args.command {
        None => up(&args.up),
        Some(LabCommand::Exec(args)) => exec(&args),
        Some(LabCommand::Status { name }) => status(&name),
        Some(LabCommand::Down { name }) => down(&name),
    };
    done.unwrap_or_else(|error| {
        eprintln!("chanter lab: {error:#}");
        ExitCode::from(EXIT_RUNTIME)
    })
}

/// How a run ended.
enum End {
    Done,
    Failed(anyhow::Error),
    Interrupted,
}

fn up(args: &LabUpArgs) -> anyhow::Result<ExitCode> {
    let lab = Topology {
        name: args.name.clone(),
        nodes: args.nodes,
        underlay: args.underlay,
    };
    let progress = Progress::new(args.json);
    let started = Instant::now();
    let (ground, removed) = Ground::take(&lab.name)?;
    let mut cleanup = Cleanup {
        ground: Some(ground),
    };
    let heading = format!(
        "Chanter lab: {} nodes, a route reflector, and two EVPNs that reuse the same addresses\n",
        lab.nodes
    );
    progress.heading(&heading);
    if removed > 0 {
        progress.say(&format!(
            "  (removed {removed} namespaces that a killed lab had left)\n"
        ));
    }
    let mut run = Run::new(progress);
    let end = {
        let ground = cleanup.ground.as_ref().context("the ground is taken")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let end = runtime.block_on(until_interrupted(&mut run, &lab, ground));
        // Pings may still be waiting for their last replies.
        runtime.shutdown_background();
        end
    };
    let ok = matches!(end, End::Done) && run.is_ok();
    if !ok && !matches!(end, End::Interrupted) {
        show_failure(&run, &end);
    }
    let keep = args.keep && !matches!(end, End::Interrupted);
    if keep {
        run.keep();
        if let Some(ground) = cleanup.ground.take() {
            ground.keep()?;
        }
    } else {
        run.stop();
        cleanup.now()?;
    }
    if args.json {
        print_json(&run, &end, ok, started);
    } else {
        print_summary(&run, &end, ok, started);
        if keep {
            print_kept(&lab);
        }
    }
    Ok(match (&end, ok) {
        (End::Interrupted, _) => ExitCode::from(EXIT_INTERRUPTED),
        (_, true) => ExitCode::SUCCESS,
        (_, false) => ExitCode::from(EXIT_RUNTIME),
    })
}

/// Clears the ground, also when a panic unwinds.
struct Cleanup {
    ground: Option<Ground>,
}

impl Cleanup {
    fn now(mut self) -> anyhow::Result<()> {
        self.ground
            .take()
            .map_or(Ok(()), |ground| ground.clear().map(drop))
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Some(ground) = self.ground.take()
            && let Err(error) = ground.clear()
        {
            eprintln!(
                "chanter lab: something is left behind: {error:#}; `chanter lab down` removes it"
            );
        }
    }
}

async fn until_interrupted(run: &mut Run, lab: &Topology, ground: &Ground) -> End {
    let stop = async {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds.map(signal) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    };
    tokio::select! {
        done = run.all(lab, ground) => match done {
            Ok(()) => End::Done,
            Err(error) => End::Failed(error),
        },
        () = stop => End::Interrupted,
    }
}

fn show_failure(run: &Run, end: &End) {
    if let End::Failed(error) = end {
        eprintln!("\n  ✘ {error:#}");
    }
    if let Some((dir, tails)) = run.save_logs() {
        for (place, tail) in tails {
            eprintln!("\n--- log of {place}, its end ---\n{tail}");
        }
        eprintln!("\nAll logs of the daemons are in {}", dir.display());
    }
}

fn print_summary(run: &Run, end: &End, ok: bool, started: Instant) {
    let took = short(started.elapsed());
    let checks = run.progress.outcomes().len();
    let failed = run
        .progress
        .outcomes()
        .iter()
        .filter(|outcome| !outcome.ok)
        .count();
    say("");
    let figures = run.figures();
    if !figures.is_empty() {
        run.progress.heading("Summary");
        for line in pairs(&figures).lines() {
            say(&format!("  {line}"));
        }
        say("");
    }
    match end {
        End::Interrupted => say(&format!(
            "Interrupted after {took}; everything was removed."
        )),
        End::Failed(_) => say(&format!(
            "Failed after {took}: {checks} steps were done, the next was not."
        )),
        End::Done if ok => run
            .progress
            .heading(&format!("All {checks} steps passed in {took}.")),
        End::Done => say(&format!(
            "{failed} of {checks} steps failed; it took {took}."
        )),
    }
}

fn print_json(run: &Run, end: &End, ok: bool, started: Instant) {
    let error = match end {
        End::Failed(error) => Some(format!("{error:#}")),
        End::Interrupted => Some("interrupted".to_owned()),
        End::Done => None,
    };
    let summary = json!({
        "ok": ok,
        "error": error,
        "seconds": started.elapsed().as_secs_f64(),
        "steps": run.progress.outcomes(),
        "restart": run.restart,
    });
    say(&format!("{summary:#}"));
}

fn print_kept(lab: &Topology) {
    let option = name_option(&lab.name);
    say(&format!(
        "\nThe lab stays up. To play with it:\n  \
         chanter lab exec{option} node1 chanter show routes\n  \
         chanter lab exec{option} node1 chanter why {}\n  \
         chanter lab exec{option} {} chanter show peers\n  \
         chanter lab exec{option} red1 ping 10.0.0.2\n  \
         chanter lab status{option}\n  \
         chanter lab down{option}",
        topology::endpoint_addrs(lab.nodes)[0],
        REFLECTOR,
    ));
}

/// Runs a command in a place of the lab: there `chanter` is this program, and talks to the daemon of
/// the place.
fn exec(args: &LabExecArgs) -> anyhow::Result<ExitCode> {
    let namespace = args.name.namespace(&args.place);
    if !netns::list().contains(&namespace) {
        let option = name_option(&args.name);
        bail!(
            "there is no {} in lab {}: expected {REFLECTOR}, node1, {}1, {}1 ... of a lab that was \
             left up with `chanter lab --keep{option}`",
            args.place,
            args.name,
            NETWORKS[0].name,
            NETWORKS[1].name,
        );
    }
    let (program, rest) = args.command.split_first().context("no command")?;
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let program = if program == "chanter" {
        own.as_os_str()
    } else {
        program.as_os_str()
    };
    let error = Command::new("ip")
        .args(["netns", "exec", &namespace])
        .arg(program)
        .args(rest)
        .env("CHANTER_SOCKET", socket_path(&args.name, &args.place))
        .exec();
    Err(error).context("cannot run ip")
}

fn status(name: &LabName) -> anyhow::Result<ExitCode> {
    let places: Vec<String> = netns::list()
        .into_iter()
        .filter(|namespace| name.owns(namespace))
        .collect();
    if places.is_empty() {
        say(&format!("lab {name} is down"));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("lab {name} is up:"));
    for namespace in places {
        let processes = netns::pids(&namespace).len();
        say(&format!("  {namespace:<16} {processes} processes"));
    }
    Ok(ExitCode::SUCCESS)
}

fn down(name: &LabName) -> anyhow::Result<ExitCode> {
    let removed = Ground::lock(name)?.clear()?;
    match removed {
        0 => say(&format!("lab {name} was not up")),
        count => say(&format!(
            "lab {name} is down, {count} namespaces were removed"
        )),
    }
    Ok(ExitCode::SUCCESS)
}
