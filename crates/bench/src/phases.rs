//! The phases of a run: one route at a time, all routes, a late joiner, the sender lost and back, all
//! withdrawn.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::SENDER;
use crate::measure::{Cost, Figures, Outcome, Phase, Run};
use crate::netns::{Pair, source};
use crate::process::{Cpu, Memory, cpu_at_rest};
use crate::session::Session;
use crate::sink::{Sink, Waited};
use crate::workload::Workload;

/// Single routes whose latency is measured.
const SINGLES: usize = 101;
/// How long a device may take to listen and to establish its sessions.
const START: Duration = Duration::from_secs(30);
/// How long the device may go on working after the last route.
const REST: Duration = Duration::from_secs(5);
/// A route that is alone must be through within this.
const SINGLE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a run ends before its end.
enum Stop {
    /// The deadline of a phase passed, and the slowest receiver had so many routes.
    Late(Phase, u32),
    /// It cannot be measured.
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::Error(error)
    }
}

/// The generator with its sessions up.
pub(crate) struct Bench<'a> {
    pair: &'a Pair,
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
    pub(crate) fn connect(
        pair: &'a Pair,
        run: &'a Run,
        workload: Workload,
        pid: u32,
    ) -> Result<Self> {
        let sender = connect_sender(pair, run)?;
        let sinks = (1..=run.receivers)
            .map(|number| connect_sink(pair, run, workload, number))
            .collect::<Result<_>>()?;
        Ok(Self {
            pair,
            run,
            workload,
            sender,
            sinks,
            pid,
        })
    }

    /// All phases in turn.
    pub(crate) fn run(mut self) -> Result<Outcome> {
        let receivers = u32::try_from(self.run.receivers)?;
        // FRR delays a new group of peers by 1 s and 50 ms for each; the same for all.
        std::thread::sleep(Duration::from_millis(1500) + Duration::from_millis(75) * receivers);
        let single = self.singles()?;
        match self.all_routes(single) {
            Ok(figures) => Ok(Outcome::Done(figures)),
            Err(Stop::Late(phase, routes)) => Ok(Outcome::GaveUp { phase, routes }),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    fn all_routes(&mut self, single: Duration) -> Result<Figures, Stop> {
        let mut cpu = cpu_at_rest(self.pid, REST)?;
        let base = Memory::of(self.pid)?;
        let updates = self.updates();
        let announce = self.announce(Phase::Announce)?;
        let announce = self.cost(announce, &mut cpu)?;
        let full = Memory::of(self.pid)?;
        let updates = self.updates() - updates;
        let late = self.late_joiner()?;
        let late = self.cost(late, &mut cpu)?;
        let lost = self.lose_sender()?;
        let lost = self.cost(lost, &mut cpu)?;
        self.sender = connect_sender(self.pair, self.run)?;
        cpu = cpu_at_rest(self.pid, REST)?;
        let back = self.announce(Phase::Back)?;
        let back = self.cost(back, &mut cpu)?;
        let withdraw = self.withdraw()?;
        let withdraw = self.cost(withdraw, &mut cpu)?;
        Ok(Figures {
            announce,
            base: base.resident * 1024,
            peak: full.peak * 1024,
            growth: full.resident.saturating_sub(base.resident) * 1024,
            updates,
            late,
            lost,
            back,
            withdraw,
            single,
        })
    }

    /// What a phase cost, and the processor time that the next one begins with.
    fn cost(&self, wall: Duration, before: &mut Cpu) -> Result<Cost> {
        let now = cpu_at_rest(self.pid, REST)?;
        let cpu = now.since(before);
        *before = now;
        Ok(Cost { wall, cpu })
    }

    /// UPDATE messages that the first receiver got.
    fn updates(&self) -> u64 {
        self.sinks.first().map_or(0, Sink::updates)
    }

    fn announce(&self, phase: Phase) -> Result<Duration, Stop> {
        let chunks = self.workload.announce(&self.sender.ctx);
        self.send(phase, &chunks, self.run.routes)
    }

    fn withdraw(&self) -> Result<Duration, Stop> {
        let chunks = self.workload.withdraw(&self.sender.ctx);
        self.send(Phase::Withdraw, &chunks, 0)
    }

    /// One more receiver, which stays only as long as this takes.
    fn late_joiner(&self) -> Result<Duration, Stop> {
        let start = Instant::now();
        let sink = connect_sink(self.pair, self.run, self.workload, self.run.receivers + 1)?;
        let waited = sink
            .wait_for(self.run.routes, start + self.run.deadline)
            .context("the late joiner")?;
        match waited {
            Waited::Reached(at) => Ok(at.duration_since(start)),
            Waited::TimedOut(routes) => Err(Stop::Late(Phase::LateJoiner, routes)),
        }
    }

    fn lose_sender(&self) -> Result<Duration, Stop> {
        let start = Instant::now();
        self.sender.close();
        let at = self.wait_all(Phase::Lost, 0, start + self.run.deadline)?;
        Ok(at.duration_since(start))
    }

    /// Sends, and waits until every receiver has exactly `routes`; gives how long that took.
    fn send(&self, phase: Phase, chunks: &[Vec<u8>], routes: u32) -> Result<Duration, Stop> {
        let start = Instant::now();
        let deadline = start + self.run.deadline;
        std::thread::scope(|scope| {
            // A device that does not read must not keep us from seeing the time run out.
            let sending =
                scope.spawn(|| chunks.iter().try_for_each(|chunk| self.sender.send(chunk)));
            let waited = self.wait_all(phase, routes, deadline);
            if waited.is_err() {
                self.sender.close();
                return waited.map(|at| at.duration_since(start));
            }
            match sending.join() {
                Ok(sent) => sent?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
            waited.map(|at| at.duration_since(start))
        })
    }

    /// When the last receiver had exactly `routes`.
    fn wait_all(&self, phase: Phase, routes: u32, deadline: Instant) -> Result<Instant, Stop> {
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
            Some(has) => Err(Stop::Late(phase, has)),
            None => Ok(last.context("no receiver")?),
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
                let at = self
                    .wait_all(Phase::Announce, routes, start + SINGLE_DEADLINE)
                    .map_err(|stop| match stop {
                        Stop::Late(..) => anyhow::anyhow!("a single route did not arrive"),
                        Stop::Error(error) => error,
                    })?;
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

fn connect_sender(pair: &Pair, run: &Run) -> Result<Session> {
    let (session, reader) = establish(pair, run, SENDER)?;
    // What is reflected to the sender does not matter; the session lives as long as it is read.
    std::thread::spawn(move || {
        reader.run(|_, bodies| {
            bodies.for_each(drop);
            Ok(())
        })
    });
    Ok(session)
}

fn connect_sink(pair: &Pair, run: &Run, workload: Workload, number: usize) -> Result<Sink> {
    let (session, reader) = establish(pair, run, source(number)?)?;
    Ok(Sink::start(session, reader, workload))
}

fn establish(
    pair: &Pair,
    run: &Run,
    source: Ipv4Addr,
) -> Result<(Session, crate::session::Reader)> {
    pair.in_generator(|| Session::establish(source, run.kind.family(), START))
}
