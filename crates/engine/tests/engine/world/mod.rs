//! An engine with everything around it played: sources, peers, the dataplane, time.
//!
//! Inputs are lines of text, outputs too; `README.md` beside the scenarios tells the language.

mod input;
mod output;
mod policy;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chanter_engine::desired::{
    DataplaneError, DesiredChange, DesiredKey, DesiredValue, Report, Version,
};
use chanter_engine::{Engine, EngineConfig, Input, Output, PeerId};
use chanter_types::Instant;

pub(crate) use input::parse_config;
pub(crate) use output::objects_text;
use output::updates_text;

/// The engine and its played surroundings.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    /// Whether the dataplane carries out everything at once.
    pub(crate) obedient: bool,
    /// What the dataplane refuses, with the error.
    broken: Vec<(DesiredKey, DataplaneError)>,
    /// What the dataplane has been told.
    pub(crate) installed: BTreeMap<DesiredKey, DesiredValue>,
    /// What each peer has been sent.
    pub(crate) sent: BTreeMap<PeerId, BTreeMap<String, String>>,
    /// What it was told last of each object, wanted or not.
    versions: BTreeMap<DesiredKey, Version>,
    /// What it was told and has not answered.
    unanswered: BTreeSet<DesiredKey>,
    /// Reports that are under way.
    late: Vec<Report>,
    lines: Vec<String>,
}

impl World {
    pub(crate) fn new(config: EngineConfig) -> Self {
        let now = Instant::from_secs(1);
        World {
            engine: Engine::new(config, now),
            now,
            obedient: true,
            broken: Vec::new(),
            installed: BTreeMap::new(),
            sent: BTreeMap::new(),
            versions: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            late: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Carries out one line of input and returns the lines of output.
    pub(crate) fn run(&mut self, line: &str) -> Vec<String> {
        self.lines.clear();
        self.step(line);
        self.settle();
        std::mem::take(&mut self.lines)
    }

    /// Hands in an input and lets everything that follows from it happen.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<String> {
        self.lines.clear();
        self.input(input);
        self.settle();
        std::mem::take(&mut self.lines)
    }

    fn input(&mut self, input: Input) {
        if let Input::PeerUp { peer, .. } | Input::PeerDown { peer, .. } = &input {
            self.sent.remove(peer);
        }
        self.engine.handle(input, self.now);
    }

    pub(crate) fn print(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.engine.handle_deadline(self.now);
            self.settle();
            let next = self.engine.next_deadline();
            assert!(
                next.is_none_or(|next| next > due),
                "a deadline that does not pass"
            );
        }
        self.now = end;
    }

    pub(crate) fn break_object(&mut self, key: DesiredKey, error: DataplaneError) {
        self.broken.push((key.clone(), error));
        self.answer([key].into());
    }

    /// Makes the dataplane refuse these objects.
    pub(crate) fn refuse(&mut self, broken: &[(DesiredKey, DataplaneError)]) {
        self.broken = broken.to_vec();
    }

    pub(crate) fn broken(&self) -> &[(DesiredKey, DataplaneError)] {
        &self.broken
    }

    pub(crate) fn mend(&mut self, key: &DesiredKey) {
        self.broken.retain(|(broken, _)| broken != key);
        self.answer([key.clone()].into());
    }

    pub(crate) fn obey(&mut self) {
        self.obedient = true;
        let unanswered = std::mem::take(&mut self.unanswered);
        self.answer(unanswered);
    }

    /// The dataplane reports on these objects.
    fn answer(&mut self, keys: BTreeSet<DesiredKey>) {
        if keys.is_empty() {
            return;
        }
        let reports = keys.into_iter().map(|key| self.report(key)).collect();
        self.engine.handle(Input::Dataplane(reports), self.now);
    }

    /// What the dataplane says of an object, as it knows it now.
    fn report(&self, key: DesiredKey) -> Report {
        let broken = self.broken.iter().find(|(broken, _)| *broken == key);
        let wanted = self.installed.contains_key(&key);
        let result = match broken {
            Some((_, error)) if wanted => Err(error.clone()),
            _ => Ok(()),
        };
        let version = self.versions.get(&key).copied().unwrap_or_default();
        Report {
            key,
            version,
            result,
        }
    }

    /// The dataplane reports on an object, but the report is slow.
    pub(crate) fn report_late(&mut self, key: DesiredKey) {
        let report = self.report(key);
        self.late.push(report);
    }

    /// The slow reports arrive.
    pub(crate) fn deliver_late(&mut self) {
        let reports = std::mem::take(&mut self.late);
        self.engine.handle(Input::Dataplane(reports), self.now);
    }

    /// Takes outputs, pulls UPDATEs and answers for the dataplane until nothing happens any more.
    fn settle(&mut self) {
        loop {
            let mut programmed = BTreeSet::new();
            while let Some(output) = self.engine.poll_output() {
                if let Output::Program(change) = &output {
                    programmed.insert(change.key.clone());
                    self.program(change.clone());
                }
                match output {
                    Output::ExportReady(peer) => self.pull(peer),
                    output => self.lines.extend(output::output_text(&output)),
                }
            }
            if programmed.is_empty() {
                return;
            }
            if self.obedient {
                self.answer(programmed);
            } else {
                self.unanswered.extend(programmed);
            }
        }
    }

    fn program(&mut self, change: DesiredChange) {
        self.versions.insert(change.key.clone(), change.version);
        match change.value {
            Some(value) => self.installed.insert(change.key, value),
            None => self.installed.remove(&change.key),
        };
    }

    fn pull(&mut self, peer: PeerId) {
        let mut octets = Vec::new();
        while self.engine.export(peer, 4096, &mut octets) {}
        let lines = updates_text(&octets);
        let sent = self.sent.entry(peer).or_default();
        for line in &lines {
            if let Some(nlri) = line.strip_prefix("withdraw ") {
                assert!(sent.remove(nlri).is_some(), "{nlri} was not advertised");
            } else if let Some((nlri, rest)) = line.strip_prefix("reach ").and_then(split_nlri) {
                sent.insert(nlri.to_owned(), rest.to_owned());
            }
        }
        self.lines.extend(
            lines
                .into_iter()
                .map(|line| format!("to {}: {line}", peer.0)),
        );
    }
}

/// Parts `NLRI label N, ATTRIBUTES` behind the key.
fn split_nlri(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(" label ")
        .into_iter()
        .chain(text.find(", "))
        .min()?;
    Some(text.split_at(end))
}
