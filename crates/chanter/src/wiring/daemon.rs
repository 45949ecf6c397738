//! A daemon from start to stop.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use chanter_api::rest::RestSource;
use chanter_api::{ApiState, DataplaneInfo, LogRing, NodeInfo, bagpipe, native};
use chanter_dataplane::{dummy, linux};
use chanter_driver::{DesiredFeed, EngineHandle};
use chanter_engine::EngineConfig;
use chanter_intent::{Attachment, SourceEvent, SourceId};
use chanter_speaker::{
    ListenRange, LocalAs, PeerConfig, Speaker, SpeakerConfig, SpeakerHandle, StopMode,
};
use nix::net::if_::if_nametoindex;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::life::Life;
use super::signals::Signals;
use super::{logging, sessions, supervisor};
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
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) role: Role,
    pub(super) own_as: OwnAs,
    pub(super) config: Config,
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
            name = signals.stop() => name,
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
        let config = &self.config;
        let native = self.bind_native().await?;
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
        let speaker = Speaker::start(self.speaker_config(&life), engine.clone()).await?;
        let speaker = Arc::new(speaker);
        let state = Arc::new(self.api_state(&engine, rest, &speaker, logs));
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
            speaker,
            life,
            tasks,
            stop,
        })
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

    fn speaker_config(&self, life: &Life) -> SpeakerConfig {
        let bgp = &self.config.bgp;
        let local_as = match self.own_as {
            OwnAs::Configured => LocalAs::Fixed(bgp.local_as),
            OwnAs::ThatOfEachPeer => LocalAs::MirrorPeer,
        };
        let peers = bgp.peers.iter().map(|peer| PeerConfig {
            addr: peer.addr,
            port: peer.port,
            remote_as: peer.remote_as,
            local_addr: self.source_address(peer.addr),
            passive: peer.passive,
            role_client: peer.session.client,
            hold_time: peer.session.hold_time,
            families: peer.session.families.clone(),
            graceful_restart: bgp.graceful_restart,
            description: peer.description.clone(),
        });
        let ranges = bgp.ranges.iter().map(|range| ListenRange {
            prefix: range.prefix,
            remote_as: range.remote_as,
            role_client: range.session.client,
            hold_time: range.session.hold_time,
            families: range.session.families.clone(),
            graceful_restart: bgp.graceful_restart,
            description: None,
            limit: range.limit,
        });
        SpeakerConfig {
            listen: bgp.listen.clone(),
            peers: peers.collect(),
            ranges: ranges.collect(),
            restarting: life.is_restart(),
            ..SpeakerConfig::new(local_as, bgp.router_id)
        }
    }

    /// Our address towards a peer: the configured one where it is of the same IP version.
    fn source_address(&self, peer: IpAddr) -> Option<IpAddr> {
        self.config
            .bgp
            .local_address
            .filter(|addr| addr.is_ipv4() == peer.is_ipv4())
    }

    fn api_state(
        &self,
        engine: &EngineHandle,
        rest: RestSource,
        speaker: &Arc<SpeakerHandle>,
        logs: LogRing,
    ) -> ApiState {
        let config = &self.config;
        let speaker = Arc::clone(speaker);
        let local_as = config.bgp.local_as;
        let peers = move || {
            speaker
                .peers()
                .into_iter()
                .map(|status| sessions::session(status, local_as))
                .collect()
        };
        let dataplane = match self.role {
            Role::Agent => config.evpn.driver.name(),
            Role::RouteReflector => "none",
        };
        ApiState {
            engine: engine.clone(),
            rest,
            sessions: Arc::new(peers),
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
                rt_constraint: config.bgp.rt_constraint,
            },
        }
    }

    async fn stop(&self, running: Running) {
        let Running {
            engine,
            speaker,
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
        let silent = keep && self.config.bgp.graceful_restart.is_some();
        let mode = if silent {
            StopMode::Silent
        } else {
            StopMode::Cease {
                text: "the daemon is stopped".to_owned(),
            }
        };
        speaker.stop(mode).await;
        if !keep {
            life.end_clean();
        }
        tasks.abort_all();
    }
}

/// The parts of a running daemon.
struct Running {
    engine: EngineHandle,
    speaker: Arc<SpeakerHandle>,
    life: Life,
    /// None of them is to end before the daemon.
    tasks: JoinSet<anyhow::Result<()>>,
    stop: watch::Sender<()>,
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
