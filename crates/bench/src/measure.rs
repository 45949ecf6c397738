//! One run: a fresh device, and what is measured of it.

use std::time::Duration;

use anyhow::Result;

use crate::device::{Device, Setting};
use crate::netns::Pair;
use crate::phases::Bench;
use crate::workload::{Kind, Workload};
use crate::{SENDER, interrupt};

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
    /// How long each phase may take.
    pub deadline: Duration,
}

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// From its begin until the last receiver has seen the end of it.
    pub wall: Duration,
    /// Processor time of the device for it, until it rests.
    pub cpu: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// From the first octet of the first UPDATE to the arrival of the last route at the last receiver.
    pub announce: Cost,
    /// Resident memory before the routes, in octets.
    pub base: u64,
    /// The most memory that was resident up to then, in octets.
    pub peak: u64,
    /// How much more is resident than before the routes, in octets.
    pub growth: u64,
    /// UPDATE messages that one receiver got.
    pub updates: u64,
    /// A further receiver, from its connection to its last route.
    pub late: Cost,
    /// The sender goes away without a word, until no receiver has a route.
    pub lost: Cost,
    /// It comes back and announces all again, until the last receiver has the last route.
    pub back: Cost,
    /// From the first withdrawal to the moment when no receiver has a route.
    pub withdraw: Cost,
    /// One route through the idle device, before all others; the median.
    pub single: Duration,
}

/// What the device has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Pass all routes on.
    Announce,
    /// Send all of them to a receiver that has just come.
    LateJoiner,
    /// Withdraw all since the sender is gone.
    Lost,
    /// Pass all on again.
    Back,
    /// Pass on that all are withdrawn.
    Withdraw,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Phase::Announce => "received",
            Phase::LateJoiner => "received by the late joiner",
            Phase::Lost => "not yet withdrawn after the loss of the sender",
            Phase::Back => "received again",
            Phase::Withdraw => "not yet withdrawn",
        })
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All was measured.
    Done(Figures),
    /// The deadline passed.
    GaveUp {
        /// What it was to do.
        phase: Phase,
        /// Routes that the slowest receiver had then.
        routes: u32,
    },
    /// It could not be measured, for this reason.
    Failed(String),
}

/// Measures `device` once. What it does wrong is an outcome; an error is one of the surroundings.
pub fn measure(device: Device, setting: &Setting, run: &Run) -> Result<Outcome> {
    interrupt::check()?;
    // One more, who comes late.
    let pair = Pair::create(run.receivers + 1)?;
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
