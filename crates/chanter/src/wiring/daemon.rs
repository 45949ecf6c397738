//! A daemon from start to stop.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use chanter_api::control::Control;
use chanter_api::rest::RestSource;
use chanter_api::{ApiState, DataplaneInfo, LogRing, NodeInfo, bagpipe, native};
use chanter_bfd::{Bfd, BfdConfig};
use chanter_dataplane::{dummy, linux};
use chanter_driver::{DesiredFeed, EngineHandle};
use chanter_engine::EngineConfig;
use chanter_intent::{Attachment, SourceEvent, SourceId};
use chanter_speaker::{Speaker, StopMode};
use nix::net::if_::if_nametoindex;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::control::{Controller, Load};
use super::life::Life;
use super::monitoring::{Monitoring, TapSharing};
use super::signals::{Signal, Signals};
use super::speaking::Surroundings;
use super::{logging, supervisor};
use crate::build;
use crate::config::{Config, EvpnDriver, OnStop, Role};

/// How long a REST request waits for the dataplane. bagpipe-bgp's clients wait a minute.
const REST_PATIENCE: Duration = Duration::from_secs(20);
/// How long a stop waits for withdrawals to be taken in by the dataplane.
const WITHDRAW_PATIENCE: Duration = Duration::from_secs(10);

/// As which AS a speaker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnAs {
    /// As the configured one.
    Configured,
    /// As the peer's own, whoever it is.
    ThatOfEachPeer,
}

/// A daemon to run.
pub(super) struct Daemon {
    pub(super) role: Role,
    pub(super) own_as: OwnAs,
    pub(super) config: Config,
    /// Reads it again.
    pub(super) load: Load,
}

impl Daemon {
    /// Runs until told to stop. An error ends it before its time.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let logs = LogRing::default();
        logging::init(&self.config.log, logs.clone())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let done = runtime.block_on(self.run_until_stopped(logs));
        // Whatever is still under way has nobody left to serve.
        runtime.shutdown_background();
        done
    }

    async fn run_until_stopped(self, logs: LogRing) -> anyhow::Result<()> {
        let mut signals = Signals::take()?;
        self.say_hello();
        let mut running = self.start(logs).await?;
        let engine = running.engine.clone();
        supervisor::ready("running");
        let name = tokio::select! {
            name = obey(&mut signals, &running.control) => name,
            ended = running.tasks.join_next() => {
                let cause = match ended {
                    Some(Ok(Err(error))) => error,
                    Some(Err(panic)) => anyhow::Error::new(panic),
                    Some(Ok(Ok(()))) | None => anyhow::anyhow!("a part of the daemon has ended"),
                };
                error!("{cause:#}");
                return Err(cause);
            }
            () = engine.gone() => anyhow::bail!("the engine has ended"),
            () = supervisor::watchdog(engine.clone()) => anyhow::bail!("the engine has ended"),
        };
        info!("stopping on {name}");
        supervisor::stopping("stopping");
        self.stop(running).await;
        info!("stopped");
        Ok(())
    }

    fn say_hello(&self) {
        let config = &self.config;
        let role = match self.role {
            Role::Agent => "agent",
            Role::RouteReflector => "route reflector",
        };
        let local_as = match self.own_as {
            OwnAs::Configured => format!("AS {}", config.bgp.local_as),
            OwnAs::ThatOfEachPeer => "AS that of each peer".to_owned(),
        };
        info!(
            version = build::VERSION,
            commit = build::COMMIT,
            "chanter {role} starts: {local_as}, router id {}",
            config.bgp.router_id,
        );
        for file in &config.files {
            info!("configured by {}", file.display());
        }
        for warning in &config.warnings {
            warn!("{}", warning.message);
        }
    }

    async fn start(&self, logs: LogRing) -> anyhow::Result<Running> {
        let native = self.bind_native().await?;
        let config = &self.config;
        let bagpipe = match config.api {
            Some(addr) => Some(chanter_api::bind_tcp(addr).await?),
            None => None,
        };
        let life = self.begin_life()?;
        if life.is_restart() {
            info!("there was a life before this one: what it left in the dataplane is adopted");
        }
        let (engine, feed) =
            EngineHandle::spawn(self.engine_config(&life)).context("the engine")?;
        let mut tasks = JoinSet::new();
        self.start_dataplane(&mut tasks, feed, engine.clone());
        let rest = self.open_rest(&engine)?;
        rest.restore().await?;
        let control = Arc::new(self.start_speaker(&engine, &life).await?);
        let state = Arc::new(self.api_state(&engine, rest, &control, logs));
        let (stop, stopped) = watch::channel(());
        if let Some(listener) = native {
            let router = native::router(Arc::clone(&state));
            let until = told(stopped.clone());
            tasks.spawn(async move {
                chanter_api::serve_unix(listener, router, until)
                    .await
                    .context("native API")
            });
        }
        if let Some(listener) = bagpipe {
            let router = bagpipe::router(state);
            tasks.spawn(async move {
                chanter_api::serve_tcp(listener, router, told(stopped))
                    .await
                    .context("REST API")
            });
        }
        Ok(Running {
            engine,
            control,
            life,
            tasks,
            stop,
        })
    }

    async fn start_speaker(
        &self,
        engine: &EngineHandle,
        life: &Life,
    ) -> anyhow::Result<Controller> {
        let sharing = TapSharing::start();
        let surroundings = Surroundings {
            own_as: self.own_as,
            restarting: life.is_restart(),
            bfd: Some(Bfd::start(BfdConfig::default()).context("BFD")?),
            tap: Some(sharing.tap.clone()),
        };
        let config = surroundings.speaker_config(&self.config.bgp);
        let speaker = Arc::new(Speaker::start(config, engine.clone()).await?);
        let monitoring = Monitoring::new(engine.clone(), Arc::clone(&speaker), sharing);
        monitoring.apply(&self.config).await;
        let (config, load) = (self.config.clone(), Arc::clone(&self.load));
        let speaking = (speaker, surroundings);
        Ok(Controller::new(speaking, monitoring, config, load))
    }

    /// The fake reflector's predecessor could run as often as there were namespaces for it, so a
    /// socket that another one has is no reason not to start.
    async fn bind_native(&self) -> anyhow::Result<Option<UnixListener>> {
        match chanter_api::bind_unix(&self.config.socket).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if self.own_as == OwnAs::ThatOfEachPeer => {
                warn!("without native API: {error}");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn begin_life(&self) -> anyhow::Result<Life> {
        match (self.own_as, self.role) {
            (OwnAs::ThatOfEachPeer, _) => Ok(Life::unmarked()),
            (OwnAs::Configured, Role::Agent) => Life::begin(&self.config.state_dir, "agent"),
            (OwnAs::Configured, Role::RouteReflector) => Life::begin(&self.config.state_dir, "rr"),
        }
    }

    fn engine_config(&self, life: &Life) -> EngineConfig {
        let config = &self.config;
        let agent = self.role == Role::Agent;
        EngineConfig {
            local_as: config.bgp.local_as,
            router_id: config.bgp.router_id,
            vtep: config.evpn.vtep.filter(|_| agent),
            cluster_id: config.bgp.cluster_id,
            reflect: !agent,
            rt_constraint: config.bgp.rt_constraint,
            sources: if agent {
                vec![SourceId::Rest]
            } else {
                Vec::new()
            },
            peers_expected: config.bgp.peers.len(),
            restarting: life.is_restart(),
            deferral: EngineConfig::DEFERRAL,
        }
    }

    fn start_dataplane(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        feed: DesiredFeed,
        engine: EngineHandle,
    ) {
        match (self.role, self.config.evpn.driver) {
            (Role::Agent, EvpnDriver::Linux) => {
                let config = linux::LinuxConfig {
                    vxlan_port: self.config.evpn.vxlan_port,
                };
                tasks.spawn(async move { Ok(linux::run(config, feed, engine).await?) });
            }
            (Role::Agent, EvpnDriver::Dummy) => {
                tasks.spawn(async move {
                    dummy::run(feed, engine).await;
                    Ok(())
                });
            }
            // A reflector forwards nothing.
            (Role::RouteReflector, _) => drop(feed),
        }
    }

    /// Attachments of before whose device is gone are dropped: the endpoint went while we were away,
    /// and nobody will come back to detach it.
    fn open_rest(&self, engine: &EngineHandle) -> anyhow::Result<RestSource> {
        let agent = self.role == Role::Agent;
        let devices = agent && self.config.evpn.driver == EvpnDriver::Linux;
        let keep = |attachment: &Attachment| {
            !devices || if_nametoindex(attachment.port.name.as_str()).is_ok()
        };
        let dir = agent.then_some(self.config.state_dir.as_path());
        Ok(RestSource::open(engine.clone(), dir, REST_PATIENCE, keep)?)
    }

    fn api_state(
        &self,
        engine: &EngineHandle,
        rest: RestSource,
        control: &Arc<Controller>,
        logs: LogRing,
    ) -> ApiState {
        let config = &self.config;
        let sessions = {
            let control = Arc::clone(control);
            move || control.sessions()
        };
        let dataplane = match self.role {
            Role::Agent => config.evpn.driver.name(),
            Role::RouteReflector => "none",
        };
        ApiState {
            engine: engine.clone(),
            rest,
            sessions: Arc::new(sessions),
            control: Arc::clone(control) as Arc<dyn Control>,
            logs,
            node: NodeInfo {
                version: build::VERSION.to_owned(),
                started: SystemTime::now(),
                ping: NodeInfo::draw_ping(),
                config: config.looking_glass(),
                dataplane: DataplaneInfo {
                    name: dataplane.to_owned(),
                    local_address: config.evpn.vtep,
                },
                local_as: config.bgp.local_as.0,
                rt_constraint: config.bgp.rt_constraint,
            },
        }
    }

    async fn stop(&self, running: Running) {
        let Running {
            engine,
            control,
            life,
            mut tasks,
            stop,
        } = running;
        // No further requests; the receivers may have ended already.
        let _ = stop.send(());
        let keep = self.config.on_stop == OnStop::Keep;
        if !keep {
            withdraw(&engine).await;
        }
        let mode = if keep {
            // Peers without graceful restart are told nevertheless.
            StopMode::Silent
        } else {
            StopMode::Cease {
                text: "the daemon is stopped".to_owned(),
            }
        };
        control.speaker.stop(mode).await;
        control.monitoring.stop().await;
        if !keep {
            life.end_clean();
        }
        tasks.abort_all();
    }
}

/// The parts of a running daemon.
struct Running {
    engine: EngineHandle,
    control: Arc<Controller>,
    life: Life,
    /// None of them is to end before the daemon.
    tasks: JoinSet<anyhow::Result<()>>,
    stop: watch::Sender<()>,
}

/// Does what signals ask for until one asks to stop; gives that one's name.
async fn obey(signals: &mut Signals, control: &Controller) -> &'static str {
    loop {
        match signals.next().await {
            Signal::Stop(name) => return name,
            Signal::Reload => {
                supervisor::reloading();
                // It tells the log.
                let _ = control.reload().await;
                supervisor::ready("running");
            }
        }
    }
}

/// Completes when the daemon stops.
async fn told(mut stopped: watch::Receiver<()>) {
    // An error: whoever would tell is gone.
    let _ = stopped.changed().await;
}

/// Takes back everything that was declared, without forgetting it: the next life restores it from
/// the journal.
async fn withdraw(engine: &EngineHandle) {
    let Ok(objects) = engine.query(|engine| engine.objects()).await else {
        return;
    };
    let removals = |source: SourceId| {
        objects
            .iter()
            .filter(|object| object.source == source)
            // Attachments before the instance that they are in.
            .rev()
            .map(|object| SourceEvent::Remove(object.key.clone()))
            .collect::<Vec<_>>()
    };
    let done = engine
        .declare(SourceId::Rest, removals(SourceId::Rest), WITHDRAW_PATIENCE)
        .await;
    if done.is_err() {
        warn!("not everything could be withdrawn: the engine has ended");
    }
}
