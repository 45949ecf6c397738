//! Commands that change the running daemon, and the trial of policies.

use std::process::ExitCode;

use chanter_api::client::Client;
use chanter_api::{dto, try_policy};

use super::{Failure, answer, client, print, print_json, render, run};
use crate::cli::{
    ConfigArgs, Direction, EXIT_RUNTIME, EXIT_USAGE, PeerArgs, PeerCommand, PlainArgs,
    PolicyTestArgs, ReloadArgs,
};
use crate::wiring;

/// `chanter reload`.
pub async fn reload(args: ReloadArgs) -> Result<(), Failure> {
    let report = client(&args.plain).reload().await?;
    answer(&args.plain, &report, render::reload)
}

/// `chanter peer`.
pub async fn peer(args: PeerArgs) -> Result<(), Failure> {
    let name = &args.peer;
    let (plain, action, done) = match args.action {
        PeerCommand::Shutdown { text, plain } => {
            let message = dto::PeerMessage { text };
            client(&plain).shutdown_peer(name, &message).await?;
            let done = "is shut down, until `enable` or a restart";
            (plain, "shutdown", done)
        }
        PeerCommand::Enable { plain } => {
            client(&plain).enable_peer(name).await?;
            (plain, "enable", "is enabled")
        }
        PeerCommand::Clear {
            soft,
            family,
            text,
            plain,
        } => {
            let clear = dto::PeerClear {
                soft: soft.map(|direction| match direction {
                    Direction::In => dto::Direction::In,
                    Direction::Out => dto::Direction::Out,
                }),
                families: family.iter().map(ToString::to_string).collect(),
                text,
            };
            client(&plain).clear_peer(name, &clear).await?;
            let done = match soft {
                None => "starts anew",
                Some(Direction::In) => "is asked for its routes again",
                Some(Direction::Out) => "is sent our routes again",
            };
            (plain, "clear", done)
        }
    };
    if plain.json {
        return print_json(&serde_json::json!({ "peer": name, "done": action }));
    }
    print(&format!("{name} {done}\n"))
}

/// `chanter policy test`.
pub fn test_policy(args: PolicyTestArgs) -> ExitCode {
    let trial = dto::PolicyTrial {
        route: args.route.to_string(),
        attributes: args.attributes.clone(),
        label: args.label,
        peer_as: args.peer_as.map(|asn| asn.0),
    };
    if args.config.is_none() {
        return run(async {
            let client: Client = client(&args.plain);
            let outcome = client.test_policy(&args.policy, &trial).await?;
            told(&args.plain, &outcome)
        });
    }
    match test_policy_of_file(&args, &trial) {
        Ok(outcome) => run(async { told(&args.plain, &outcome) }),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn test_policy_of_file(
    args: &PolicyTestArgs,
    trial: &dto::PolicyTrial,
) -> Result<dto::PolicyOutcome, String> {
    let files = ConfigArgs {
        config_files: args.config.iter().cloned().collect(),
        config_dir: None,
    };
    let config = wiring::load(args.role.into(), &files).map_err(|error| error.to_string())?;
    let policy = config.bgp.policies.get(&args.policy);
    let policy = policy.ok_or_else(|| format!("chanter: there is no policy `{}`", args.policy))?;
    try_policy(policy, trial, config.bgp.local_as)
        .map_err(|(field, error)| format!("chanter: {field}: {error}"))
}

/// Prints the outcome; a rejected route is a failure for scripts.
fn told(plain: &PlainArgs, outcome: &dto::PolicyOutcome) -> Result<(), Failure> {
    answer(plain, outcome, render::policy_outcome)?;
    match outcome.accepted {
        true => Ok(()),
        false => Err(Failure::Told(EXIT_RUNTIME)),
    }
}
