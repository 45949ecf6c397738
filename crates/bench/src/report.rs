//! One case with all daemons in turns, and the table of it.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use crate::device::{Device, Setting};
use crate::measure::{Figures, Outcome, Run, measure};

/// What all daemons are asked to do.
#[derive(Debug, Clone)]
pub struct Case {
    /// The run, before limits of single daemons.
    pub run: Run,
    /// How often each daemon is measured.
    pub rounds: u32,
    /// Which ones.
    pub devices: Vec<Device>,
}

/// A daemon with the outcomes of its rounds.
pub type Row = (Device, Run, Vec<Outcome>);

/// A column of the table.
struct Column {
    name: &'static str,
    /// The figure in the unit that is shown.
    value: fn(&Figures, &Run) -> f64,
    decimals: usize,
    /// How much of the best rival's figure chanter may need at most.
    bar: Option<f64>,
}

/// Of time and processor time.
const COST: Option<f64> = Some(0.8);
/// Of memory for each route.
const MEMORY: Option<f64> = Some(1.2);
/// Of the latency of a single route.
const LATENCY: Option<f64> = Some(1.0);

const COLUMNS: [Column; 15] = [
    column("announce s", |f, _| secs(f.announce.wall), 3, COST),
    column("CPU s", |f, _| secs(f.announce.cpu), 3, COST),
    column("peak MiB", |f, _| f.peak as f64 / MIB, 1, None),
    column(
        "peak B/route",
        |f, run| f.peak.saturating_sub(f.base) as f64 / f64::from(run.routes),
        0,
        MEMORY,
    ),
    column(
        "B/route",
        |f, run| f.growth as f64 / f64::from(run.routes),
        0,
        MEMORY,
    ),
    column("UPDATEs out", |f, _| f.updates as f64, 0, None),
    column("withdraw s", |f, _| secs(f.withdraw.wall), 3, COST),
    column("CPU s", |f, _| secs(f.withdraw.cpu), 3, COST),
    column("one route ms", |f, _| secs(f.single) * 1e3, 3, LATENCY),
    column("late joiner s", |f, _| secs(f.late.wall), 3, COST),
    column("CPU s", |f, _| secs(f.late.cpu), 3, COST),
    column("sender lost s", |f, _| secs(f.lost.wall), 3, COST),
    column("CPU s", |f, _| secs(f.lost.cpu), 3, COST),
    column("back s", |f, _| secs(f.back.wall), 3, COST),
    column("CPU s", |f, _| secs(f.back.cpu), 3, COST),
];

const MIB: f64 = (1 << 20) as f64;

const fn column(
    name: &'static str,
    value: fn(&Figures, &Run) -> f64,
    decimals: usize,
    bar: Option<f64>,
) -> Column {
    Column {
        name,
        value,
        decimals,
        bar,
    }
}

fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Measures a case, all daemons once in each round; says on standard error how it goes.
pub fn run_case(case: &Case, setting: &Setting) -> Result<String> {
    let mut rows: Vec<Row> = Vec::new();
    for &device in &case.devices {
        if !device.supports(case.run.kind, setting) {
            eprintln!("  {device}: has no {}, left out", case.run.kind);
            continue;
        }
        let routes = case.run.routes.min(device.limit(case.run.kind));
        let run = Run { routes, ..case.run };
        rows.push((device, run, Vec::new()));
    }
    for round in 1..=case.rounds {
        for (device, run, outcomes) in &mut rows {
            let outcome = measure(*device, setting, run)?;
            eprintln!("  round {round} {device}: {}", in_words(&outcome, run));
            outcomes.push(outcome);
        }
    }
    Ok(table(case, &rows))
}

fn in_words(outcome: &Outcome, run: &Run) -> String {
    match outcome {
        Outcome::Done(figures) => format!(
            "{} routes in {:.3} s, {:.3} CPU s; withdrawn in {:.3} s; one route {:.3} ms",
            run.routes,
            secs(figures.announce.wall),
            secs(figures.announce.cpu),
            secs(figures.withdraw.wall),
            secs(figures.single) * 1e3,
        ),
        Outcome::GaveUp { phase, routes } => format!(
            "gave up: {routes} of {} routes {phase} after {} s",
            run.routes,
            run.deadline.as_secs()
        ),
        Outcome::Failed(reason) => format!("failed: {reason}"),
    }
}

/// The table of a case in Markdown: medians, and how many times more the best other daemon needs
/// than chanter, figure by figure.
pub fn table(case: &Case, rows: &[Row]) -> String {
    let run = &case.run;
    let mut text = format!(
        "### {}, {} routes, {} per attribute set, {} receiver{}\n\n",
        run.kind,
        run.routes,
        run.per_set,
        run.receivers,
        if run.receivers == 1 { "" } else { "s" }
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "| daemon | {} |",
        join(COLUMNS.iter().map(|column| column.name.to_owned()))
    );
    let _ = writeln!(text, "|---{}|", "|---".repeat(COLUMNS.len()));
    let mut all = Vec::new();
    for (device, run, outcomes) in rows {
        let few = if run.routes < case.run.routes {
            format!(" ({} routes only)", run.routes)
        } else {
            String::new()
        };
        match medians(outcomes, run) {
            Ok(medians) => {
                let cells = COLUMNS.iter().zip(medians).map(|(column, value)| {
                    format!("{value:.decimals$}", decimals = column.decimals)
                });
                let _ = writeln!(text, "| {device}{few} | {} |", join(cells));
                if few.is_empty() {
                    all.push((*device, medians));
                }
            }
            Err(outcome) => {
                // The rest of a failure is the daemon's log.
                let words = in_words(outcome, run);
                let words = words.lines().next().unwrap_or_default();
                let _ = writeln!(text, "| {device}{few} | {words} |");
            }
        }
    }
    if let Some(ratios) = ratios(&all) {
        let cells = ratios.iter().map(|ratio| format!("{ratio:.2}"));
        let _ = writeln!(text, "| best rival ÷ chanter | {} |", join(cells));
        let _ = writeln!(text, "\n{}", against_bars(&ratios));
    }
    text
}

/// Which bars are missed, in words.
fn against_bars(ratios: &[f64; COLUMNS.len()]) -> String {
    let mut last_wall = "";
    let mut missed = Vec::new();
    for (column, ratio) in COLUMNS.iter().zip(ratios) {
        let name = if column.name == "CPU s" {
            format!("{last_wall} (CPU)")
        } else {
            last_wall = column.name.trim_end_matches(" s");
            last_wall.to_owned()
        };
        let share = 1.0 / ratio;
        // A daemon that needs next to nothing has no share.
        if column.bar.is_some_and(|bar| share.is_nan() || share > bar) {
            missed.push(format!("{name} {share:.2}"));
        }
    }
    let bars = "Bars (chanter ÷ best rival: time and CPU 0.8, memory per route 1.2, one route 1.0)";
    if missed.is_empty() {
        format!("{bars}: all met.")
    } else {
        format!("{bars}: missed by {}.", missed.join(", "))
    }
}

fn join(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(" | ")
}

/// The middle one of the rounds, for each figure by itself; a round that was given up is the
/// daemon's outcome.
fn medians<'a>(outcomes: &'a [Outcome], run: &Run) -> Result<[f64; COLUMNS.len()], &'a Outcome> {
    let mut done: Vec<[f64; COLUMNS.len()]> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Done(figures) => {
                done.push(std::array::from_fn(|at| (COLUMNS[at].value)(figures, run)))
            }
            Outcome::GaveUp { .. } | Outcome::Failed(_) => return Err(outcome),
        }
    }
    Ok(std::array::from_fn(|column| {
        let mut values: Vec<f64> = done.iter().map(|figures| figures[column]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }))
}

/// The least of the others over chanter's.
fn ratios(all: &[(Device, [f64; COLUMNS.len()])]) -> Option<[f64; COLUMNS.len()]> {
    let (_, ours) = all.iter().find(|(device, _)| *device == Device::Chanter)?;
    let others = all.iter().filter(|(device, _)| *device != Device::Chanter);
    let best = others
        .map(|(_, figures)| *figures)
        .reduce(|best, other| std::array::from_fn(|column| best[column].min(other[column])))?;
    Some(std::array::from_fn(|column| best[column] / ours[column]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Cost, Phase};
    use crate::workload::Kind;

    fn case() -> Case {
        let run = Run {
            kind: Kind::Evpn,
            routes: 1000,
            per_set: 10,
            receivers: 1,
            deadline: Duration::from_secs(60),
        };
        Case {
            run,
            rounds: 3,
            devices: Vec::new(),
        }
    }

    fn done(millis: u64) -> Outcome {
        let time = Duration::from_millis(millis);
        let cost = Cost {
            wall: time,
            cpu: time,
        };
        Outcome::Done(Figures {
            announce: cost,
            base: 0,
            peak: millis << 20,
            growth: millis * 1000,
            updates: millis,
            late: cost,
            lost: cost,
            back: cost,
            withdraw: cost,
            single: time,
        })
    }

    #[test]
    fn the_table_shows_medians_and_the_ratio_to_the_best_rival() {
        let case = case();
        let row = |device, millis: [u64; 3]| (device, case.run, millis.map(done).to_vec());
        let rows = [
            row(Device::Chanter, [30, 10, 20]),
            row(Device::Frr, [80, 80, 1]),
            row(Device::Bird, [40, 50, 45]),
        ];
        let text = table(&case, &rows);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert_eq!(
            line("| chanter"),
            "| chanter | 0.020 | 0.020 | 20.0 | 20972 | 20 | 20 | 0.020 | 0.020 | 20.000 \
             | 0.020 | 0.020 | 0.020 | 0.020 | 0.020 | 0.020 |"
        );
        assert!(line("| frr").starts_with("| frr | 0.080 |"));
        assert!(line("| best").starts_with("| best rival ÷ chanter | 2.25 | 2.25 |"));
        assert!(line("Bars").ends_with(": all met."));
    }

    #[test]
    fn missed_bars_are_named() {
        let case = case();
        let row = |device, millis| (device, case.run, vec![done(millis)]);
        let text = table(&case, &[row(Device::Chanter, 10), row(Device::Bird, 11)]);
        // Within the bars of memory and latency, not within those of time.
        assert!(text.contains("missed by announce 0.91, announce (CPU) 0.91, withdraw 0.91, withdraw (CPU) 0.91, late"), "{text}");
        assert!(!text.contains("B/route 0.91") && !text.contains("one route ms 0.91"));
    }

    #[test]
    fn who_gives_up_or_has_fewer_routes_is_no_rival_and_says_so() {
        let case = case();
        let few = Run {
            routes: 10,
            ..case.run
        };
        let late = Outcome::GaveUp {
            phase: Phase::Announce,
            routes: 77,
        };
        let rows = [
            (Device::Chanter, case.run, vec![done(20)]),
            (Device::Frr, case.run, vec![done(1), late, done(1)]),
            (
                Device::Bird,
                case.run,
                vec![Outcome::Failed("no session\na log".to_owned())],
            ),
            (Device::Gobgp, few, vec![done(1)]),
        ];
        let text = table(&case, &rows);
        assert!(
            text.contains("| frr | gave up: 77 of 1000 routes received after 60 s |"),
            "{text}"
        );
        assert!(
            text.contains("| gobgp (10 routes only) | 0.001 |"),
            "{text}"
        );
        assert!(text.contains("| bird | failed: no session |\n"), "{text}");
        assert!(!text.contains("best rival"), "{text}");
    }
}
