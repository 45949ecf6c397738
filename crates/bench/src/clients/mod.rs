//! Thousands of clients at one reflector, all of which talk.
//!
//! Clients are grouped into VPNs. Each subscribes to its VPN's route target (RFC 4684), announces a
//! few EVPN routes and changes them all the time; some go away and come back, some do not read. When
//! the changes end, every client must have exactly what the others of its VPN said last.

mod client;
mod latency;
mod state;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chanter_interop::run;
use clap::Args;
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::device::{Device, Setting};
use crate::interrupt;
use crate::netns::Pair;
use crate::process::{Cpu, Memory};
use client::Client;
use state::{Plan, Shared};

/// How often the daemon's memory is looked at.
const SAMPLE: Duration = Duration::from_millis(200);
/// Keepalives and retries of those who are slow; nothing takes longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

/// Descriptors that are no sessions of clients.
const DESCRIPTORS_BESIDE: u32 = 200;

/// What the clients do.
#[derive(Debug, Clone, Args)]
pub struct ClientsOptions {
    /// Clients, each with a session of its own
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(2..=60_000))]
    pub clients: u32,
    /// Clients in a VPN
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..))]
    pub vpn_size: u32,
    /// Routes of each client
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub routes: u32,
    /// UPDATEs a second of each client
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// Seconds for which they change their routes
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Every so many seconds a flapping client goes away and comes back
    #[arg(long, default_value_t = 5)]
    pub flap_seconds: u64,
    /// One of so many clients flaps; 0: none
    #[arg(long, default_value_t = 3)]
    pub flapping: u32,
    /// So many clients do not read while the others change their routes
    #[arg(long, default_value_t = 10)]
    pub stuck: u32,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct ClientsFigures {
    /// From the first connection to the last established session.
    pub up: Duration,
    /// UPDATEs that the clients sent, and routes that they received, while they changed them.
    pub sent: u64,
    /// Routes received meanwhile.
    pub received: u64,
    /// For how long they did.
    pub lasted: Duration,
    /// From a client's write to another's read, microseconds: median, 99th percentile, longest.
    pub latency: [u64; 3],
    /// From the last change until every client has what it should have.
    pub settled: Duration,
    /// Sessions that went down and up on purpose.
    pub flaps: u64,
    /// Resident memory of the daemon, octets: before, all up, the most, and in the end.
    pub memory: [u64; 4],
    /// Processor time of the daemon until all were up, and while they changed their routes.
    pub cpu: [Duration; 2],
    /// Processor time of the generator while they changed their routes.
    pub own_cpu: Duration,
}

/// Runs the clients against a fresh `chanter rr`.
///
/// # Errors
/// If a session ends that nobody ended, a client gets what it has not asked for, or does not have
/// in the end what it should have.
pub fn run_clients(options: &ClientsOptions, setting: &Setting) -> Result<ClientsFigures> {
    allow_descriptors(options.clients)?;
    let pair = Pair::create(1)?;
    pair.add_client_network()?;
    let running = Device::Chanter.start(&pair, setting)?;
    let shared = Arc::new(Shared::new(plans(options)));
    let figures = pair.in_generator(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = LocalSet::new();
        local.block_on(&runtime, drive(options, &shared, running.pid()))
    });
    interrupt::check()?;
    figures.map_err(|error| error.context(format!("the end of its log:\n{}", running.log_tail())))
}

/// Lets this process, and the one that it will start, have a connection for each client.
fn allow_descriptors(clients: u32) -> Result<()> {
    let pid = std::process::id().to_string();
    let limits = format!("--nofile={0}:{0}", clients + DESCRIPTORS_BESIDE);
    let has = run(&[
        "prlimit",
        "--pid",
        &pid,
        "--nofile",
        "--noheadings",
        "--output",
        "SOFT",
    ])?;
    let has = has.trim().parse().unwrap_or(u32::MAX);
    if has < clients + DESCRIPTORS_BESIDE {
        run(&["prlimit", "--pid", &pid, &limits])?;
    }
    Ok(())
}

/// Waits until the daemon listens for BGP: what it is before anybody connects can be seen then.
async fn wait_for_listener(pid: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    // Port 179, state LISTEN.
    let listens = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let is_bgp = fields.next().is_some_and(|local| local.ends_with(":00B3"));
        is_bgp && fields.nth(1) == Some("0A")
    };
    loop {
        let path = format!("/proc/{pid}/net/tcp");
        let sockets = std::fs::read_to_string(path).context("the device has ended")?;
        if sockets.lines().any(listens) {
            return Ok(());
        }
        interrupt::check()?;
        ensure!(Instant::now() < deadline, "the device does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn plans(options: &ClientsOptions) -> Vec<Plan> {
    (0..options.clients)
        .map(|id| Plan {
            id,
            vpn: id / options.vpn_size,
            routes: options.routes,
            rate: options.rate,
            flap: (options.flapping > 0 && id % options.flapping == 1)
                .then(|| Duration::from_secs(options.flap_seconds)),
            // Spread over the VPNs, and none that flaps.
            stuck: options.stuck > 0 && id % (options.clients / options.stuck).max(1) == 0,
        })
        .collect()
}

async fn drive(options: &ClientsOptions, shared: &Arc<Shared>, pid: u32) -> Result<ClientsFigures> {
    let (phase, phases) = watch::channel(state::Phase::Connect);
    wait_for_listener(pid).await?;
    let before = Memory::of(pid)?.resident;
    let cpu_start = Cpu::of(pid)?;
    let start = Instant::now();
    for plan in &shared.plans {
        tokio::task::spawn_local(Client::new(*plan, Arc::clone(shared), phases.clone()).run());
    }
    let up = wait(shared, pid, start, "clients are not up", |shared| {
        shared.established.load(Ordering::Relaxed) == i64::from(options.clients)
    })
    .await?;
    wait(
        shared,
        pid,
        start,
        "clients lack first routes",
        Shared::is_settled,
    )
    .await?;
    let (all_up, cpu_up) = (Memory::of(pid)?.resident, Cpu::of(pid)?);

    let received = shared.received.load(Ordering::Relaxed);
    let sent = shared.sent.load(Ordering::Relaxed);
    let own_cpu = Cpu::of(std::process::id())?;
    let changing = Instant::now();
    phase.send_replace(state::Phase::Change);
    let mut most = all_up;
    while changing.elapsed() < Duration::from_secs(options.seconds) {
        tokio::time::sleep(SAMPLE).await;
        interrupt::check()?;
        shared.check()?;
        most = most.max(Memory::of(pid)?.resident);
    }
    let lasted = changing.elapsed();
    let cpu_changed = Cpu::of(pid)?;
    let own_cpu = Cpu::of(std::process::id())?.since(&own_cpu);
    let received = shared.received.load(Ordering::Relaxed) - received;
    let sent = shared.sent.load(Ordering::Relaxed) - sent;

    phase.send_replace(state::Phase::Settle);
    let settled = wait(
        shared,
        pid,
        Instant::now(),
        "clients lack routes",
        |shared| {
            shared.established.load(Ordering::Relaxed) == i64::from(options.clients)
                && shared.is_settled()
        },
    )
    .await?;
    let end = Memory::of(pid)?.resident;
    Ok(ClientsFigures {
        up,
        sent,
        received,
        lasted,
        latency: shared.latency.percentiles(),
        settled,
        flaps: shared.flaps.load(Ordering::Relaxed),
        memory: [before, all_up, most.max(end), end].map(|kib| kib * 1024),
        cpu: [cpu_up.since(&cpu_start), cpu_changed.since(&cpu_up)],
        own_cpu,
    })
}

/// Waits until `is_done`; gives how long that took from `start` on.
async fn wait(
    shared: &Shared,
    pid: u32,
    start: Instant,
    what: &str,
    is_done: impl Fn(&Shared) -> bool,
) -> Result<Duration> {
    let deadline = Instant::now() + PATIENCE;
    while !is_done(shared) {
        interrupt::check()?;
        shared.check()?;
        Memory::of(pid).context("the device has ended")?;
        if Instant::now() >= deadline {
            bail!("{what} after {} s: {}", PATIENCE.as_secs(), shared.lack());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(start.elapsed())
}

/// The figures in Markdown.
pub fn clients_table(options: &ClientsOptions, figures: &ClientsFigures) -> Result<String> {
    ensure!(figures.lasted > Duration::ZERO, "nothing was measured");
    let per_second = |count: u64| count as f64 / figures.lasted.as_secs_f64();
    let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
    let [before, up, most, end] = figures.memory.map(mib);
    let [p50, p99, longest] = figures.latency.map(|micros| micros as f64 / 1e3);
    let rows = [
        ("sessions".to_owned(), options.clients.to_string()),
        (
            "all established after".to_owned(),
            format!("{:.2} s", figures.up.as_secs_f64()),
        ),
        (
            "CPU until then, and all first routes exchanged".to_owned(),
            format!("{:.2} s", figures.cpu[0].as_secs_f64()),
        ),
        (
            format!("UPDATEs in, in {:.0} s", figures.lasted.as_secs_f64()),
            format!("{} ({:.0}/s)", figures.sent, per_second(figures.sent)),
        ),
        (
            "routes out, as many as clients took".to_owned(),
            format!(
                "{} ({:.0}/s)",
                figures.received,
                per_second(figures.received)
            ),
        ),
        (
            "CPU meanwhile".to_owned(),
            format!(
                "{:.1} s ({:.0} % of one core)",
                figures.cpu[1].as_secs_f64(),
                100.0 * figures.cpu[1].as_secs_f64() / figures.lasted.as_secs_f64()
            ),
        ),
        (
            "CPU of the generator meanwhile, one thread".to_owned(),
            format!(
                "{:.0} % of one core",
                100.0 * figures.own_cpu.as_secs_f64() / figures.lasted.as_secs_f64()
            ),
        ),
        ("session flaps".to_owned(), figures.flaps.to_string()),
        (
            "client to client, p50 / p99 / longest".to_owned(),
            format!("{p50:.1} / {p99:.1} / {longest:.0} ms"),
        ),
        (
            "all equal after the last change".to_owned(),
            format!("{:.2} s", figures.settled.as_secs_f64()),
        ),
        (
            "resident memory: empty / all up / most / end".to_owned(),
            format!("{before:.1} / {up:.1} / {most:.1} / {end:.1} MiB"),
        ),
        (
            "memory per session, all up".to_owned(),
            format!(
                "{:.1} KiB",
                (up - before) * 1024.0 / f64::from(options.clients)
            ),
        ),
    ];
    let mut text = String::from("| figure | value |\n|---|---|\n");
    for (name, value) in rows {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    Ok(text)
}
