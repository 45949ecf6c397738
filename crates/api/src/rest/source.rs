//! Runs changes of the store through the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chanter_driver::{EngineGone, EngineHandle};
use chanter_engine::desired::DataplaneError;
use chanter_engine::{Input, ObjectStatus};
use chanter_intent::{Attachment, InstanceId, ObjectKey, SourceEvent, SourceId};
use tracing::{error, info, warn};

use super::{Change, Edit, Journal, JournalError, RestStore, StoreError};

/// How long an answer that says no waits until what it had begun is gone from the dataplane too.
const TAKE_BACK_PATIENCE: Duration = Duration::from_secs(5);

/// Why a request has no effect. What it had begun is taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It does not fit what REST clients attached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine does not accept an object: it contradicts one of another source or instance.
    #[error("{key}: {field}: {reason}")]
    Rejected {
        /// The object.
        key: ObjectKey,
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The dataplane could not install an object.
    #[error("{key} cannot be installed: {error}")]
    Dataplane {
        /// The object.
        key: ObjectKey,
        /// Why.
        error: DataplaneError,
    },
    /// The dataplane did not report in time.
    #[error("{key}: the dataplane did not report within {} s", .patience.as_secs_f32())]
    Timeout {
        /// The object.
        key: ObjectKey,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The engine has stopped; the process is about to end.
    #[error("the engine has stopped")]
    EngineGone,
}

impl From<EngineGone> for ApplyError {
    fn from(EngineGone: EngineGone) -> Self {
        ApplyError::EngineGone
    }
}

struct State {
    store: RestStore,
    /// `None`: attachments are kept in memory only.
    journal: Option<Journal>,
    /// Whether the last write to the journal failed.
    journal_failing: bool,
}

/// The source of intent of both REST APIs. Clones are the same source.
#[derive(Clone)]
pub struct RestSource {
    state: Arc<Mutex<State>>,
    /// Requests of one instance follow one another, those of different instances do not wait for
    /// each other. Entries go when nobody holds or awaits them.
    turns: Arc<Mutex<BTreeMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>>,
    engine: EngineHandle,
    patience: Duration,
}

impl RestSource {
    /// Reads the journal in `state_dir` (without one, attachments are kept in memory only). Those
    /// for which `keep` says no, because their port is gone, are dropped. `patience` is how long a
    /// request waits for the dataplane.
    ///
    /// # Errors
    /// If there is a journal that cannot be used.
    pub fn open(
        engine: EngineHandle,
        state_dir: Option<&Path>,
        patience: Duration,
        keep: impl Fn(&Attachment) -> bool,
    ) -> Result<RestSource, JournalError> {
        let (journal, store) = match state_dir {
            Some(directory) => {
                let (journal, store) = load(directory, keep)?;
                (Some(journal), store)
            }
            None => (None, RestStore::default()),
        };
        Ok(RestSource {
            state: Arc::new(Mutex::new(State {
                store,
                journal,
                journal_failing: false,
            })),
            turns: Arc::default(),
            engine,
            patience,
        })
    }

    /// Tells the engine all that was attached before, and that this was all: once, at start.
    ///
    /// # Errors
    /// [`EngineGone`].
    pub async fn restore(&self) -> Result<(), EngineGone> {
        let events = self.state().store.events();
        for event in events {
            self.engine
                .input(Input::Source {
                    source: SourceId::Rest,
                    event,
                })
                .await?;
        }
        Ok(())
    }

    /// Looks at the store.
    pub fn read<T>(&self, look: impl FnOnce(&RestStore) -> T) -> T {
        look(&self.state().store)
    }

    /// Whether what is attached now would outlive a crash of the daemon.
    pub fn is_durable(&self) -> bool {
        let state = self.state();
        state.journal.is_some() && !state.journal_failing
    }

    /// Plans a change of `instance`, runs it through the engine and commits it. It is carried to its
    /// end also if the caller goes away.
    ///
    /// # Errors
    /// [`ApplyError`]; then everything is as it was before.
    pub async fn apply<F>(&self, instance: InstanceId, plan: F) -> Result<(), ApplyError>
    where
        F: FnOnce(&RestStore) -> Result<Change, StoreError> + Send + 'static,
    {
        let source = self.clone();
        let work = tokio::spawn(async move {
            let turn = source.turn(&instance);
            let guard = turn.lock().await;
            let result = source.run(plan).await;
            drop(guard);
            drop(turn);
            source.end_turn(&instance);
            result
        });
        // The task never is aborted; if it panicked the process is in no state to go on.
        work.await.unwrap_or(Err(ApplyError::EngineGone))
    }

    async fn run<F>(&self, plan: F) -> Result<(), ApplyError>
    where
        F: FnOnce(&RestStore) -> Result<Change, StoreError>,
    {
        let change = plan(&self.state().store)?;
        let statuses = self
            .engine
            .declare(SourceId::Rest, change.events(), self.patience)
            .await?;
        if let Err(error) = self.verdict(&change, &statuses) {
            let events: Vec<SourceEvent> = change.reverted().events();
            if !events.is_empty() {
                let patience = self.patience.min(TAKE_BACK_PATIENCE);
                self.engine
                    .declare(SourceId::Rest, events, patience)
                    .await?;
            }
            return Err(error);
        }
        self.commit(&change);
        Ok(())
    }

    /// What the statuses mean for the request.
    fn verdict(
        &self,
        change: &Change,
        statuses: &[(ObjectKey, ObjectStatus)],
    ) -> Result<(), ApplyError> {
        for Edit { key, after, .. } in &change.edits {
            let status = statuses
                .iter()
                .find(|(of, _)| of == key)
                .map(|(_, status)| status);
            let key = key.clone();
            let patience = self.patience;
            match (after, status) {
                (Some(_), Some(ObjectStatus::Installed))
                | (None, Some(ObjectStatus::Removed) | None) => {}
                (Some(_), Some(ObjectStatus::Rejected { field, reason })) => {
                    return Err(ApplyError::Rejected {
                        key,
                        field,
                        reason: reason.clone(),
                    });
                }
                (Some(_), Some(ObjectStatus::Failed { error })) => {
                    return Err(ApplyError::Dataplane {
                        key,
                        error: error.clone(),
                    });
                }
                (Some(_), Some(ObjectStatus::Pending | ObjectStatus::Removed) | None) => {
                    return Err(ApplyError::Timeout { key, patience });
                }
                // No longer declared is what the client asked for; the dataplane goes on trying.
                (None, Some(status)) => {
                    warn!(object = %key, ?status, "removed, but the dataplane still has it");
                }
            }
        }
        Ok(())
    }

    fn commit(&self, change: &Change) {
        let mut state = self.state();
        let State {
            store,
            journal,
            journal_failing,
        } = &mut *state;
        store.commit(change);
        let Some(journal) = journal else { return };
        match journal.append(change, store) {
            Ok(()) if *journal_failing => {
                *journal_failing = false;
                info!("the journal of REST attachments is written again");
            }
            Ok(()) => {}
            Err(failure) => {
                // The attachment works: refusing it would help nobody. Said once, shown by health.
                if !std::mem::replace(journal_failing, true) {
                    let cause = std::error::Error::source(&failure).map(ToString::to_string);
                    error!(
                        cause = cause.unwrap_or_default(),
                        "{failure}: REST attachments would not outlive a crash"
                    );
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is a bug in pure code; the store is as whole as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, instance: &InstanceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(instance.clone()).or_default().clone()
    }

    fn end_turn(&self, instance: &InstanceId) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for the turn holds a clone.
        if turns
            .get(instance)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            turns.remove(instance);
        }
    }
}

fn load(
    directory: &Path,
    keep: impl Fn(&Attachment) -> bool,
) -> Result<(Journal, RestStore), JournalError> {
    let (mut journal, mut store, report) = Journal::open(directory)?;
    let path = journal.path().display().to_string();
    if report.torn {
        warn!(
            path,
            "the journal ended in the middle of a line: a request without answer is lost"
        );
    }
    for line in &report.spoiled {
        warn!(
            path,
            "the journal has an unreadable line, which is left out: {line}"
        );
    }
    let dropped = store.retain(keep);
    for key in &dropped {
        warn!(instance = %key.instance, "{} is not restored: its port is gone",
            ObjectKey::Attachment(key.clone()));
    }
    if !dropped.is_empty() {
        journal.compact(&store)?;
    }
    info!(records = store.len(), path, "REST attachments restored");
    Ok((journal, store))
}
