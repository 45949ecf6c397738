//! One run: a fresh device, sessions, one route at a time, all routes, all withdrawn.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::device::{Device, Setting};
use crate::netns::{Pair, source};
use crate::process::{Memory, cpu_at_rest};
use crate::session::Session;
use crate::sink::{Sink, Waited};
use crate::workload::Kind;
use crate::workload::Workload;
use crate::{SENDER, interrupt};

/// Single routes whose latency is measured.
const SINGLES: usize = 21;
/// How long a device may take to listen and to establish its sessions.
const START: Duration = Duration::from_secs(30);
/// How long the device may go on working after the last route.
const REST: Duration = Duration::from_secs(5);
/// A route that is alone must be through within this.
const SINGLE_DEADLINE: Duration = Duration::from_secs(10);

/// What is measured of.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// What kind of routes.
    pub kind: Kind,
    /// How many.
    pub routes: u32,
    /// How many share an attribute set.
    pub per_set: u32,
    /// Sessions that receive them.
    pub receivers: usize,
    /// How long the announcement, and the withdrawal, may take.
    pub deadline: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// From the first octet of the first UPDATE to the arrival of the last route at the last receiver.
    pub announce: Duration,
    /// Processor time of the device for that, until it rests.
    pub announce_cpu: Duration,
    /// The most memory that was resident up to then, in octets.
    pub peak: u64,
    /// How much more is resident than before the routes, in octets.
    pub growth: u64,
    /// UPDATE messages that one receiver got.
    pub updates: u64,
    /// From the first withdrawal to the moment when no receiver has a route.
    pub withdraw: Duration,
    /// Processor time of the device for that, until it rests.
    pub withdraw_cpu: Duration,
    /// One route through the idle device, before all others; the median.
    pub single: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All was measured.
    Done(Figures),
    /// The deadline passed.
    GaveUp {
        /// Whether it was while withdrawing.
        withdrawing: bool,
        /// Routes that the slowest receiver had then.
        routes: u32,
    },
    /// It could not be measured, for this reason.
    Failed(String),
}

/// Measures `device` once. What it does wrong is an outcome; an error is one of the surroundings.
pub fn measure(device: Device, setting: &Setting, run: &Run) -> Result<Outcome> {
    interrupt::check()?;
    let pair = Pair::create(run.receivers)?;
    let running = device.start(&pair, setting)?;
    let workload = Workload {
        kind: run.kind,
        routes: run.routes,
        per_set: run.per_set,
        next_hop: SENDER,
    };
    let outcome = Bench::connect(&pair, run, workload, running.pid()).and_then(|bench| bench.run());
    interrupt::check()?;
    Ok(outcome.unwrap_or_else(|error| {
        let log = running.log_tail();
        Outcome::Failed(format!("{error:#}; the end of its log:\n{log}"))
    }))
}

/// The generator with its sessions up.
struct Bench<'a> {
    run: &'a Run,
    workload: Workload,
    sender: Session,
    sinks: Vec<Sink>,
    pid: u32,
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        self.sender.close();
    }
}

impl<'a> Bench<'a> {
    /// One session after the other: a device with a short accept queue would lose connections that
    /// come at once, for a second.
    fn connect(pair: &Pair, run: &'a Run, workload: Workload, pid: u32) -> Result<Self> {
        let establish = |source: Ipv4Addr| {
            pair.in_generator(|| Session::establish(source, run.kind.family(), START))
        };
        let (sender, reader) = establish(SENDER)?;
        // What is reflected to the sender does not matter; the session lives as long as it is read.
        std::thread::spawn(move || {
            reader.run(|_, bodies| {
                bodies.for_each(drop);
                Ok(())
            })
        });
        let mut sinks = Vec::new();
        for number in 1..=run.receivers {
            let (session, reader) = establish(source(number)?)?;
            sinks.push(Sink::start(session, reader, workload));
        }
        Ok(Self {
            run,
            workload,
            sender,
            sinks,
            pid,
        })
    }

    fn run(&self) -> Result<Outcome> {
        let receivers = u32::try_from(self.run.receivers)?;
        // FRR delays a new group of peers by 1 s and 50 ms for each; the same for all.
        std::thread::sleep(Duration::from_millis(1500) + Duration::from_millis(75) * receivers);
        let single = self.singles()?;
        let (before, memory) = (cpu_at_rest(self.pid, REST)?, Memory::of(self.pid)?);
        let updates = self.sinks.first().map_or(0, Sink::updates);
        let chunks = self.workload.announce(&self.sender.ctx);
        let announce = match self.phase(&chunks, self.run.routes)? {
            Ok(took) => took,
            Err(routes) => return Ok(gave_up(false, routes)),
        };
        let full = cpu_at_rest(self.pid, REST)?;
        let memory_full = Memory::of(self.pid)?;
        let updates = self.sinks.first().map_or(0, Sink::updates) - updates;
        let chunks = self.workload.withdraw(&self.sender.ctx);
        let withdraw = match self.phase(&chunks, 0)? {
            Ok(took) => took,
            Err(routes) => return Ok(gave_up(true, routes)),
        };
        let empty = cpu_at_rest(self.pid, REST)?;
        Ok(Outcome::Done(Figures {
            announce,
            announce_cpu: full.since(&before),
            peak: memory_full.peak * 1024,
            growth: memory_full.resident.saturating_sub(memory.resident) * 1024,
            updates,
            withdraw,
            withdraw_cpu: empty.since(&full),
            single,
        }))
    }

    /// Sends, and waits until every receiver has exactly `routes`; gives how long that took, or how
    /// many the slowest had at the deadline.
    fn phase(&self, chunks: &[Vec<u8>], routes: u32) -> Result<Result<Duration, u32>> {
        let start = Instant::now();
        let deadline = start + self.run.deadline;
        std::thread::scope(|scope| {
            // A device that does not read must not keep us from seeing the time run out.
            let sending =
                scope.spawn(|| chunks.iter().try_for_each(|chunk| self.sender.send(chunk)));
            let waited = self.wait_all(routes, deadline);
            if !matches!(waited, Ok(Ok(_))) {
                self.sender.close();
                return waited.map(|waited| waited.map(|at| at.duration_since(start)));
            }
            match sending.join() {
                Ok(sent) => sent?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
            waited.map(|waited| waited.map(|at| at.duration_since(start)))
        })
    }

    fn wait_all(&self, routes: u32, deadline: Instant) -> Result<Result<Instant, u32>> {
        let (mut last, mut missing) = (None, None);
        for (number, sink) in self.sinks.iter().enumerate() {
            let waited = sink
                .wait_for(routes, deadline)
                .with_context(|| format!("receiver {}", number + 1))?;
            match waited {
                Waited::Reached(at) => last = last.max(Some(at)),
                Waited::TimedOut(has) => {
                    let further = |other: &u32| other.abs_diff(routes) >= has.abs_diff(routes);
                    missing = missing.filter(further).or(Some(has));
                }
            }
        }
        match missing {
            Some(has) => Ok(Err(has)),
            None => Ok(Ok(last.context("no receiver")?)),
        }
    }

    /// One route there and back, many times.
    fn singles(&self) -> Result<Duration> {
        let one = Workload {
            routes: 1,
            ..self.workload
        };
        let (announce, withdraw) = (
            one.announce(&self.sender.ctx),
            one.withdraw(&self.sender.ctx),
        );
        let mut latencies = Vec::new();
        for _ in 0..SINGLES {
            for (chunks, routes) in [(&announce, 1), (&withdraw, 0)] {
                let start = Instant::now();
                chunks
                    .iter()
                    .try_for_each(|chunk| self.sender.send(chunk))?;
                let waited = self.wait_all(routes, start + SINGLE_DEADLINE)?;
                let at = waited.map_err(|_| anyhow::anyhow!("a single route did not arrive"))?;
                if routes == 1 {
                    latencies.push(at.duration_since(start));
                }
                // Back to idle: no work of the one before is in the next one's way.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        latencies.sort();
        Ok(latencies[SINGLES / 2])
    }
}

fn gave_up(withdrawing: bool, routes: u32) -> Outcome {
    Outcome::GaveUp {
        withdrawing,
        routes,
    }
}
