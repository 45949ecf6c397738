//! The run of a lab, step by step.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::cluster::{Cluster, RestartReport};
use super::fabric;
use super::ground::Ground;
use super::progress::{Outcome, Progress};
use super::topology::{NETWORKS, ONLY_IN_BLUE, Topology, endpoint_addrs};
use super::traffic::{MeshResult, Probe, echoes_heard, ping, ping_mesh};
use crate::show::short;

/// How long the ping of the restart runs before the kill, and after everything is back.
const CALM: Duration = Duration::from_millis(500);
/// Requests of the isolation check.
const ISOLATION_REQUESTS: u16 = 5;

/// What is known of a lab's run so far; also after a failure.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) progress: Progress,
    pub(crate) restart: Option<RestartReport>,
    mesh: Option<MeshResult>,
    /// The daemons, once started.
    cluster: Option<Cluster>,
}

impl Run {
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            progress,
            restart: None,
            mesh: None,
            cluster: None,
        }
    }

    /// All steps. An error is one of the lab itself; checks that fail are in the outcomes.
    pub(crate) async fn all(&mut self, lab: &Topology, ground: &Ground) -> anyhow::Result<()> {
        let places = lab.places().len();
        let step = self
            .progress
            .begin("network", "namespaces, devices, addresses");
        fabric::build_underlay(lab)?;
        fabric::build_endpoints(lab)?;
        self.progress.end(
            step,
            true,
            format!("{places} namespaces, an underlay bridge between nodes"),
        );

        let step = self.progress.begin("daemons", "starting");
        let mut cluster = Cluster::start(lab, ground)?;
        let ready = cluster.wait_until(&step, Cluster::silent_daemon).await;
        let cluster = self.cluster.insert(cluster);
        ready?;
        let detail = format!("a route reflector and {} agents answer", lab.nodes);
        self.progress.end(step, true, detail);

        let step = self.progress.begin("sessions", "BGP");
        cluster.wait_until(&step, Cluster::missing_session).await?;
        let detail = format!("{0} of {0} BGP sessions established", lab.nodes);
        self.progress.end(step, true, detail);

        let step = self.progress.begin("attach", "endpoints");
        let attached = attach_all(lab, cluster).await?;
        let endpoints = lab.endpoints().len();
        let detail = format!("{endpoints} endpoints with {attached} addresses, red and blue alike");
        self.progress.end(step, true, detail);

        let step = self.progress.begin("converge", "routes");
        cluster.wait_until(&step, Cluster::any_unconverged).await?;
        let received: usize = cluster
            .summaries()
            .await?
            .iter()
            .map(|node| node.routes_received)
            .sum();
        let detail = format!(
            "{received} remote routes on {} nodes, all in the kernel",
            lab.nodes
        );
        self.progress.end(step, true, detail);

        self.ping(lab).await?;
        self.isolation(lab).await?;
        self.restart(lab).await
    }

    async fn ping(&mut self, lab: &Topology) -> anyhow::Result<()> {
        let step = self.progress.begin("ping", "all pairs");
        let result = ping_mesh(lab).await?;
        let [(v4, v4_all), (v6, v6_all)] = result.answered;
        let mut detail =
            format!("{v4} of {v4_all} pairs answer over IPv4, {v6} of {v6_all} over IPv6");
        for failure in result.failures.iter().take(8) {
            detail.push('\n');
            detail.push_str(failure);
        }
        let ok = result.failures.is_empty() && v4_all > 0 && v6_all > 0;
        self.progress.end(step, ok, detail);
        self.mesh = Some(result);
        Ok(())
    }

    /// Red and blue have the same addresses: only the right endpoint must hear a ping. And an
    /// address that exists in blue only must be out of reach in red.
    async fn isolation(&mut self, lab: &Topology) -> anyhow::Result<()> {
        let step = self
            .progress
            .begin("isolation", "same addresses, other network");
        let [red, blue] = NETWORKS;
        let last = lab.nodes;
        let before = [
            echoes_heard(lab, red, last)?,
            echoes_heard(lab, blue, last)?,
        ];
        let from_red = || lab.name.namespace(&red.endpoint(1));
        for target in endpoint_addrs(last) {
            ping(from_red(), target, ISOLATION_REQUESTS).await?;
        }
        let heard_red = echoes_heard(lab, red, last)? - before[0];
        let heard_blue = echoes_heard(lab, blue, last)? - before[1];
        let in_blue = ping(
            lab.name.namespace(&blue.endpoint(1)),
            ONLY_IN_BLUE.into(),
            3,
        )
        .await?;
        let in_red = ping(from_red(), ONLY_IN_BLUE.into(), 3).await?;
        let sent = u64::from(ISOLATION_REQUESTS) * 2;
        let ok =
            heard_red == sent && heard_blue == 0 && in_blue.lost() == 0 && in_red.received == 0;
        let detail = format!(
            "red1 pings node {last}: red hears {heard_red} of {sent}, blue at the same address \
             {heard_blue}\n{ONLY_IN_BLUE}, in blue only: {} of {} in blue, {} of {} in red",
            in_blue.received, in_blue.sent, in_red.received, in_red.sent
        );
        self.progress.end(step, ok, detail);
        Ok(())
    }

    /// Kills an agent and starts it again while pings run through its node.
    async fn restart(&mut self, lab: &Topology) -> anyhow::Result<()> {
        let victim = 2;
        let step = self.progress.begin("kill -9", "pings run every 10 ms");
        let cluster = self.cluster.as_mut().context("no daemons")?;
        let [red, blue] = NETWORKS;
        let [v4, v6] = endpoint_addrs(victim);
        // Towards the node over either IP version, and from it.
        let probes = [
            Probe::start(lab, red, 1, v4),
            Probe::start(lab, blue, 1, v6),
            Probe::start(lab, red, victim, endpoint_addrs(1)[0]),
        ];
        tokio::time::sleep(CALM).await;
        let mut report = RestartReport {
            node: Topology::node(victim),
            ..RestartReport::default()
        };
        cluster.kill_and_restart(victim, &step, &mut report).await?;
        step.tell("back; pings run on for a while");
        tokio::time::sleep(CALM).await;
        let mut losses = Vec::new();
        for probe in probes {
            let name = probe.name.clone();
            let stats = probe.finish().await?;
            report.sent += stats.sent;
            report.lost += stats.lost();
            if stats.lost() > 0 {
                losses.push(format!("{name}: {} of {} lost", stats.lost(), stats.sent));
            }
            let silence = stats.longest_silence.as_secs_f64();
            report.longest_silence_seconds = report.longest_silence_seconds.max(silence);
        }
        let ok = report.lost == 0 && report.sent > 0;
        self.progress.end(step, ok, restart_text(&report, &losses));
        self.restart = Some(report);
        Ok(())
    }

    /// What is worth remembering of the run: names and values.
    pub(crate) fn figures(&self) -> Vec<(&'static str, String)> {
        let time = |seconds: f64| short(Duration::from_secs_f64(seconds));
        let mut figures = Vec::new();
        if let Some(mesh) = &self.mesh {
            let [(v4, v4_all), (v6, v6_all)] = mesh.answered;
            let slowest = short(mesh.slowest);
            let pairs = format!("{} of {} pairs answer", v4 + v6, v4_all + v6_all);
            figures.push(("ping", format!("{pairs}, slowest round trip {slowest}")));
        }
        if let Some(report) = &self.restart {
            let lost = format!("{} of {} pings lost", report.lost, report.sent);
            let silence = time(report.longest_silence_seconds);
            figures.extend([
                (
                    "agent killed",
                    format!("{lost}, one every 10 ms from each of 3 endpoints"),
                ),
                ("longest silence", format!("{silence} between two replies")),
                ("away for", time(report.away_seconds)),
                (
                    "kept meanwhile",
                    format!(
                        "{} routes, as stale, by the reflector",
                        report.stale_routes_kept
                    ),
                ),
                (
                    "answers after",
                    format!("{} from its start", time(report.answering_seconds)),
                ),
                ("session after", time(report.session_seconds)),
                ("converged after", time(report.converged_seconds)),
            ]);
        }
        figures
    }

    /// Leaves the daemons running after this process.
    pub(crate) fn keep(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.keep();
        }
    }

    /// Ends the daemons.
    pub(crate) fn stop(&mut self) {
        self.cluster = None;
    }

    /// Copies the daemons' logs into a directory that stays, and shows the end of each that has
    /// something to say.
    pub(crate) fn save_logs(&self) -> Option<(PathBuf, Vec<(String, String)>)> {
        let cluster = self.cluster.as_ref()?;
        let dir = tempfile::Builder::new()
            .prefix("chanter-lab-")
            .tempdir()
            .ok()?
            .keep();
        let mut tails = Vec::new();
        for daemon in cluster.daemons() {
            let target = dir.join(format!("{}.log", daemon.place));
            if std::fs::copy(daemon.log_path(), &target).is_ok() {
                tails.push((daemon.place.clone(), tail(&target)));
            }
        }
        Some((dir, tails))
    }

    /// Whether every step did what it should.
    pub(crate) fn is_ok(&self) -> bool {
        self.progress
            .outcomes()
            .iter()
            .all(|outcome: &Outcome| outcome.ok)
    }
}

async fn attach_all(lab: &Topology, cluster: &Cluster) -> anyhow::Result<usize> {
    let mut attached = 0;
    for (network, node) in lab.endpoints() {
        let extra = fabric::has_extra_addr(lab, network, node).then_some(ONLY_IN_BLUE);
        attached += cluster.attach(network, node, extra).await?;
    }
    Ok(attached)
}

fn restart_text(report: &RestartReport, losses: &[String]) -> String {
    let mut text = format!(
        "agent of {} killed and restarted: {} of {} pings lost",
        report.node, report.lost, report.sent
    );
    for line in losses {
        text.push('\n');
        text.push_str(line);
    }
    text
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    const LINES: usize = 15;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
