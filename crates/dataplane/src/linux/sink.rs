//! Desired state in, reports out: plans, executes, observes, and plans again until nothing is left
//! to do.
//!
//! An object is reported as done only when a plan made after the kernel's own notifications finds
//! nothing to do for it.

mod touched;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chanter_engine::desired::{
    DataplaneError, DesiredChange, DesiredKey, DomainId, Report, Version,
};
use nix::errno::Errno;
use tracing::{debug, info, warn};

use super::desired::Desired;
use super::hold::Holds;
use super::netlink::{NetlinkError, Notifications, Received, Refusal, Request, Requests};
use super::observe::{Notice, Observed};
use super::op::{Op, Step};
use super::plan::{Binding, Plan, Rules, Scope, plan};
use super::run::{LinuxConfig, LinuxError};

/// How many plans are made in a row for one piece of news. One does the work, one finds it done; a
/// third is for what came in between.
const ROUNDS_MAX: u32 = 4;

/// How many changes are made between two looks at what they caused: their notifications must fit
/// the socket's buffer.
const BATCH_LEN: usize = 64;

/// Pause before leftover devices that the kernel would not remove are tried again.
const ORPHANS_PAUSE: Duration = Duration::from_secs(30);

/// The dataplane without its surroundings.
pub(super) struct Sink {
    rules: Rules,
    requests: Requests,
    notifications: Notifications,
    observed: Observed,
    desired: Desired,
    /// What has to be looked at.
    scope: Scope,
    bindings: BTreeMap<DomainId, Binding>,
    /// Which domains use a device, by its index.
    users: BTreeMap<u32, BTreeSet<DomainId>>,
    reported: BTreeMap<DesiredKey, Result<(), DataplaneError>>,
    /// The latest change of each object that is wanted, or was and is not gone yet.
    versions: BTreeMap<DesiredKey, Version>,
    /// Domains that were last reported as failed.
    failed: BTreeSet<DomainId>,
    /// Objects about which the engine has said something that is not answered yet.
    fresh: BTreeSet<DesiredKey>,
    holds: Holds,
    orphans_at: Option<Instant>,
    noted: BTreeSet<String>,
}

impl Sink {
    /// Opens netlink, checks that the kernel and our privileges suffice, and observes.
    pub(super) async fn open(config: LinuxConfig) -> Result<Sink, LinuxError> {
        let mut requests = Requests::open()?;
        if let Some(missing) = requests.missing_support().await? {
            return Err(LinuxError::Missing(missing));
        }
        let mut sink = Sink {
            rules: Rules {
                udp_port: config.vxlan_port,
                prune: false,
            },
            requests,
            notifications: Notifications::open()?,
            observed: Observed::default(),
            desired: Desired::default(),
            scope: Scope::default(),
            bindings: BTreeMap::new(),
            users: BTreeMap::new(),
            reported: BTreeMap::new(),
            versions: BTreeMap::new(),
            failed: BTreeSet::new(),
            fresh: BTreeSet::new(),
            holds: Holds::default(),
            orphans_at: None,
            noted: BTreeSet::new(),
        };
        sink.observe().await?;
        Ok(sink)
    }

    /// Opens netlink anew after it failed.
    pub(super) async fn reopen(&mut self) -> Result<(), NetlinkError> {
        self.requests = Requests::open()?;
        self.notifications = Notifications::open()?;
        self.observe().await
    }

    /// Leaves so little room for notifications that they are soon lost.
    #[cfg(test)]
    pub(super) fn squeeze_notifications(&mut self) {
        self.notifications.squeeze();
    }

    #[cfg(test)]
    pub(super) fn desired(&self) -> &Desired {
        &self.desired
    }

    #[cfg(test)]
    pub(super) fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Takes in what the engine wants.
    pub(super) fn submit(&mut self, changes: Vec<DesiredChange>, prune_allowed: bool) {
        for change in changes {
            let key = change.key.clone();
            self.versions.insert(key.clone(), change.version);
            self.desired.apply(change);
            self.holds.changed(&key);
            match key {
                DesiredKey::Domain(id) => self.scope.add_domain(id),
                _ => self.scope.add_key(key.clone()),
            }
            self.fresh.insert(key);
        }
        if prune_allowed && !self.rules.prune {
            self.rules.prune = true;
            self.scope.add_everything(&self.desired);
        }
    }

    /// When to converge though nothing is heard.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.holds
            .next_deadline()
            .into_iter()
            .chain(self.orphans_at)
            .min()
    }

    /// Waits for news of the kernel. Cancel-safe.
    pub(super) async fn next_notification(&mut self) -> Result<Received, NetlinkError> {
        self.notifications.next().await
    }

    /// Takes in news of the kernel.
    pub(super) async fn absorb(&mut self, received: Received) -> Result<(), NetlinkError> {
        match received {
            Received::Notices(notices) => self.apply(notices),
            Received::Overrun => {
                info!("notifications of the kernel were lost, observing all anew");
                // Those that still wait in the old socket are older than what is observed now.
                self.notifications = Notifications::open()?;
                self.observe().await?;
            }
            Received::Nothing => {}
        }
        Ok(())
    }

    fn apply(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            if let Some(changed) = self.observed.apply(notice) {
                self.touch(changed);
            }
        }
    }

    async fn observe(&mut self) -> Result<(), NetlinkError> {
        let notices = self.requests.dump_all().await?;
        let mut observed = Observed::default();
        for notice in notices {
            observed.apply(notice);
        }
        self.observed = observed;
        self.scope.add_everything(&self.desired);
        Ok(())
    }

    async fn take_notifications(&mut self) -> Result<(), NetlinkError> {
        loop {
            match self.notifications.take()? {
                Received::Nothing => return Ok(()),
                received => self.absorb(received).await?,
            }
        }
    }

    /// Makes the kernel match what is desired, as far as something is to be looked at. Returns
    /// what became of which object where that is news.
    pub(super) async fn converge(&mut self, now: Instant) -> Result<Vec<Report>, NetlinkError> {
        self.take_notifications().await?;
        self.add_due(now);
        let mut reports = Vec::new();
        for round in 0..ROUNDS_MAX {
            if self.scope.is_empty() {
                break;
            }
            let scope = std::mem::take(&mut self.scope);
            let mut plan = plan(&self.desired, &self.observed, &scope, self.rules);
            self.bind(&plan);
            self.note(&plan);
            let steps = std::mem::take(&mut plan.steps);
            let unsettled: BTreeSet<DesiredKey> =
                steps.iter().filter_map(|step| step.key.clone()).collect();
            self.settle(plan, &unsettled, &mut reports);
            let steps = self.admit(steps, round, now, &mut reports);
            if steps.is_empty() {
                continue;
            }
            if round + 1 == ROUNDS_MAX {
                self.give_up(steps, now, &mut reports);
                break;
            }
            for key in steps.iter().filter_map(|step| step.key.clone()) {
                self.scope.add_key(key);
            }
            self.execute(steps, now, &mut reports).await?;
            self.take_notifications().await?;
        }
        Ok(reports)
    }

    fn add_due(&mut self, now: Instant) {
        for key in self.holds.due(now) {
            match key {
                // What is in the domain waited for it.
                DesiredKey::Domain(id) => self.scope.add_domain(id),
                key => self.scope.add_key(key),
            }
        }
        if self.orphans_at.take_if(|at| *at <= now).is_some() {
            self.scope.add_orphans();
        }
    }

    fn note(&mut self, plan: &Plan) {
        for note in &plan.notes {
            if self.noted.insert(note.clone()) {
                warn!("{note}");
            }
        }
    }

    /// Reports on the objects for which nothing is to be done: all is well, or nothing helps.
    fn settle(&mut self, plan: Plan, unsettled: &BTreeSet<DesiredKey>, reports: &mut Vec<Report>) {
        let Plan {
            mut failures,
            examined,
            ..
        } = plan;
        for key in examined {
            if let Some(error) = failures.remove(&key) {
                self.report(key, Err(error), reports);
                continue;
            }
            if unsettled.contains(&key) {
                continue;
            }
            self.holds.succeeded(&key);
            let wanted = self
                .desired
                .domain(key.domain())
                .is_some_and(|objects| objects.wants(&key));
            if wanted {
                self.report(key, Ok(()), reports);
            } else {
                self.desired.forget(&key);
                let failed = matches!(self.reported.remove(&key), Some(Err(_)));
                let version = self.versions.remove(&key).unwrap_or_default();
                if let DesiredKey::Domain(id) = key {
                    self.failed.remove(&id);
                }
                if self.fresh.remove(&key) || failed {
                    reports.push(Report {
                        key,
                        version,
                        result: Ok(()),
                    });
                }
            }
        }
    }

    /// Reports, unless the engine knows already.
    fn report(
        &mut self,
        key: DesiredKey,
        result: Result<(), DataplaneError>,
        reports: &mut Vec<Report>,
    ) {
        let known = self.reported.get(&key) == Some(&result);
        if self.fresh.remove(&key) || !known {
            if let DesiredKey::Domain(id) = key {
                match result {
                    Ok(()) => self.failed.remove(&id),
                    Err(_) => self.failed.insert(id),
                };
            }
            self.reported.insert(key.clone(), result.clone());
            let version = self.versions.get(&key).copied().unwrap_or_default();
            reports.push(Report {
                key,
                version,
                result,
            });
        }
    }

    /// Leaves out what is held back, and what is in a domain that is.
    fn admit(
        &mut self,
        steps: Vec<Step>,
        round: u32,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Vec<Step> {
        if round == 0 {
            self.count_mendings(&steps, now, reports);
        }
        let mut admitted = Vec::with_capacity(steps.len());
        for step in steps {
            let Some(key) = &step.key else {
                admitted.push(step);
                continue;
            };
            if self.holds.held(key).is_some() {
                continue;
            }
            match self.holds.held(&DesiredKey::Domain(key.domain())) {
                Some(error) if !step.op.removes() => {
                    let error = error.clone();
                    self.report(key.clone(), Err(error), reports);
                }
                _ => admitted.push(step),
            }
        }
        admitted
    }

    /// Objects that were reported as done and are to be done again: somebody else changed them.
    fn count_mendings(&mut self, steps: &[Step], now: Instant, reports: &mut Vec<Report>) {
        let mut seen = BTreeMap::new();
        for Step { key, op } in steps {
            if let Some(key) = key
                && !self.fresh.contains(key)
                && self.reported.get(key) == Some(&Ok(()))
            {
                seen.entry(key.clone()).or_insert(op);
            }
        }
        if let Some((key, op)) = seen.first_key_value() {
            let others = seen.len() - 1;
            info!(%key, others, "changed from outside, mending: {op}");
        }
        for (key, _) in seen {
            if self.holds.mending(&key, now).is_some()
                && let Some(error) = self.holds.held(&key).cloned()
            {
                warn!(%key, "{error}");
                self.report(key, Err(error), reports);
            }
        }
    }

    /// The kernel took it all, and it is still not so.
    fn give_up(&mut self, steps: Vec<Step>, now: Instant, reports: &mut Vec<Report>) {
        for Step { key, op } in steps {
            let message = format!("{op}: done without an error, but it is not so");
            match key {
                Some(key) => self.refuse(key, message, now, reports),
                None => {
                    warn!("{message}");
                    self.orphans_at = Some(now + ORPHANS_PAUSE);
                }
            }
        }
    }

    fn refuse(
        &mut self,
        key: DesiredKey,
        message: String,
        now: Instant,
        reports: &mut Vec<Report>,
    ) {
        let error = DataplaneError {
            message,
            caused_by_intent: false,
        };
        self.holds.refused(&key, error.clone(), now);
        self.report(key, Err(error), reports);
    }

    async fn execute(
        &mut self,
        steps: Vec<Step>,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Result<(), NetlinkError> {
        let mut batch = Vec::with_capacity(BATCH_LEN);
        for step in steps {
            // The numbers of devices that come or go in this batch are known after it only.
            let unnumbered = batch.last().is_some_and(|(last, _): &(Step, Request)| {
                last.op.creates() || matches!(last.op, Op::DeleteDevice { .. })
            });
            if unnumbered || batch.len() >= BATCH_LEN {
                self.flush(&mut batch, now, reports).await?;
            }
            let domain = step
                .key
                .as_ref()
                .map(|key| DesiredKey::Domain(key.domain()));
            if domain.is_some_and(|domain| self.holds.held(&domain).is_some()) {
                // The domain broke on the way; it is looked at again as a whole.
                continue;
            }
            let index_of = |name: &str| self.observed.by_name(name).map(|link| link.index);
            match Request::of(&step.op, index_of) {
                Ok(request) => batch.push((step, request)),
                Err(_) if step.op.removes() => {}
                Err(error) => self.refused(step, &error, now, reports),
            }
        }
        self.flush(&mut batch, now, reports).await
    }

    async fn flush(
        &mut self,
        batch: &mut Vec<(Step, Request)>,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Result<(), NetlinkError> {
        let (steps, requests): (Vec<Step>, Vec<Request>) = batch.drain(..).unzip();
        if steps.is_empty() {
            return Ok(());
        }
        let answers = self.requests.execute(requests).await?;
        for (step, answer) in steps.into_iter().zip(answers) {
            match answer {
                Ok(()) => debug!("{}", step.op),
                Err(refusal) if is_done_already(&step.op, &refusal) => debug!("{}", step.op),
                Err(refusal) => self.refused(step, &refusal, now, reports),
            }
        }
        self.take_notifications().await
    }

    fn refused(
        &mut self,
        step: Step,
        why: &dyn std::fmt::Display,
        now: Instant,
        reports: &mut Vec<Report>,
    ) {
        let message = format!("cannot {}: {why}", step.op);
        match step.key {
            Some(key) => self.refuse(key, message, now, reports),
            None => {
                warn!("{message}");
                self.orphans_at = Some(now + ORPHANS_PAUSE);
            }
        }
    }
}

/// "There already" and "gone already" are what was asked for.
fn is_done_already(op: &Op, refusal: &Refusal) -> bool {
    match refusal.errno {
        Errno::EEXIST => !op.creates(),
        Errno::ENOENT | Errno::ENODEV | Errno::ESRCH => op.removes(),
        _ => false,
    }
}
