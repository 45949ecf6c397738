//! What the lab says while it works: a line for each step, with a spinner on a terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::show::{say, short};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outcome {
    /// The step: `ping`.
    pub(crate) name: &'static str,
    /// Whether it did what it should.
    pub(crate) ok: bool,
    /// What came of it, in words.
    pub(crate) detail: String,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Shows steps and remembers their outcomes.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
    colour: bool,
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Spinners.
    Terminal,
    /// Plain lines.
    Lines,
    /// Nothing until the summary.
    Silent,
}

/// A step under way.
#[derive(Debug)]
pub(crate) struct Step {
    name: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Says what the step is waiting for.
    pub(crate) fn tell(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// How long it has been under way.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress {
    /// Shows on standard output, unless `silent`.
    pub(crate) fn new(silent: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let mode = match (silent, terminal) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Lines,
        };
        let colour = mode == Mode::Terminal && std::env::var_os("NO_COLOR").is_none();
        Self {
            mode,
            colour,
            outcomes: Vec::new(),
        }
    }

    /// Prints a line for the reader.
    pub(crate) fn say(&self, text: &str) {
        if self.mode != Mode::Silent {
            say(text);
        }
    }

    /// Begins a step.
    pub(crate) fn begin(&self, name: &'static str, doing: &str) -> Step {
        let bar = (self.mode == Mode::Terminal).then(|| {
            let bar = ProgressBar::new_spinner();
            let template = "  {spinner} {prefix:<10} {wide_msg}";
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(name);
            bar.set_message(doing.to_owned());
            bar.enable_steady_tick(Duration::from_millis(80));
            bar
        });
        Step {
            name,
            started: Instant::now(),
            bar,
        }
    }

    /// Ends a step.
    pub(crate) fn end(&mut self, step: Step, ok: bool, detail: String) {
        let (name, elapsed) = (step.name, step.elapsed());
        drop(step);
        let mark = match (ok, self.colour) {
            (true, true) => "\x1b[32m✔\x1b[0m",
            (true, false) => "✔",
            (false, true) => "\x1b[31m✘\x1b[0m",
            (false, false) => "✘",
        };
        let mut lines = detail.lines();
        let first = lines.next().unwrap_or_default();
        self.say(&format!(
            "  {mark} {name:<10} {first:<66} {:>8}",
            short(elapsed)
        ));
        for line in lines {
            self.say(&format!("  {:<12} {line}", ""));
        }
        self.outcomes.push(Outcome {
            name,
            ok,
            detail,
            seconds: elapsed.as_secs_f64(),
        });
    }

    /// A heading in bold where the terminal can.
    pub(crate) fn heading(&self, text: &str) {
        match self.colour {
            true => self.say(&format!("\x1b[1m{text}\x1b[0m")),
            false => self.say(text),
        }
    }

    /// All steps so far.
    pub(crate) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }
}
