//! BMP stations and MRT files. They come and go at run time: the speaker has a tap always, which
//! copies messages only while somebody wants them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chanter_bmp::{
    BothFeeds, Hub, HubConfig, LocRibInfo, MonitorFeed, RibFeed, Station, StationConfig,
    StationMode,
};
use chanter_driver::EngineHandle;
use chanter_engine::PeerId;
use chanter_engine::rib::MonitorScope;
use chanter_mrt::{DumpConfig, DumpPeer, LogConfig, RibDump, UpdateLog};
use chanter_speaker::{MessageTap, PeerStatus, SpeakerHandle, TapEvent, TapWants};
use tokio::sync::{mpsc, watch};

use crate::build;
use crate::config::{BmpConfig, BmpStation, Config, MrtDump, MrtKind};
use chanter_bgp::Family;

/// Events that may wait to be handed out; more are dropped, and the gap is marked.
const TAP_LEN: usize = 8192;
/// Events that may wait for one who watches.
const WATCHER_LEN: usize = 1024;

/// Who watches, by number.
type Watchers = Arc<Vec<(u64, mpsc::Sender<TapEvent>)>>;

/// Gives what the tap copies to everybody who watches.
pub(super) struct TapSharing {
    pub(super) tap: MessageTap,
    watchers: watch::Sender<Watchers>,
    next: u64,
}

impl TapSharing {
    /// Within a tokio runtime.
    pub(super) fn start() -> Self {
        let (tap, events) = MessageTap::channel(TAP_LEN, TapWants::default());
        let (watchers, current) = watch::channel(Watchers::default());
        tokio::spawn(hand_out(events, current));
        Self {
            tap,
            watchers,
            next: 0,
        }
    }

    fn add(&mut self) -> (u64, mpsc::Receiver<TapEvent>) {
        let (sender, receiver) = mpsc::channel(WATCHER_LEN);
        self.next += 1;
        let number = self.next;
        self.watchers
            .send_modify(|all| Arc::make_mut(all).push((number, sender)));
        self.want();
        (number, receiver)
    }

    fn remove(&self, number: u64) {
        self.watchers
            .send_modify(|all| Arc::make_mut(all).retain(|(other, _)| *other != number));
        self.want();
    }

    fn want(&self) {
        self.tap.set_wants(TapWants {
            received: !self.watchers.borrow().is_empty(),
            sent: false,
        });
    }
}

/// Gives each event to everybody. While one of them is slow all wait, and what comes meanwhile waits
/// in the tap or is dropped there.
async fn hand_out(mut events: mpsc::Receiver<TapEvent>, watchers: watch::Receiver<Watchers>) {
    while let Some(event) = events.recv().await {
        let all = Arc::clone(&watchers.borrow());
        for (_, watcher) in all.iter() {
            // Who has ended is about to be removed.
            let _ = watcher.send(event.clone()).await;
        }
    }
}

/// Everybody who watches.
pub(super) struct Monitoring {
    engine: EngineHandle,
    speaker: Arc<SpeakerHandle>,
    running: tokio::sync::Mutex<Running>,
}

struct Running {
    sharing: TapSharing,
    /// What sees messages before policy, while a station wants that.
    hub: Option<(u64, Hub)>,
    /// What stations have in common.
    presented: Option<Presented>,
    stations: Vec<(BmpStation, Station)>,
    dumps: Vec<(MrtDump, Dump)>,
}

enum Dump {
    Updates(u64, UpdateLog),
    /// Dropped, it ends.
    Table {
        _dump: RibDump,
    },
}

/// As what a station sees us.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Presented {
    name: String,
    statistics: Duration,
    retry: Duration,
    loc_rib: LocRibInfo,
}

impl Presented {
    fn of(config: &Config) -> Self {
        let host = config.bgp.hostname.as_ref().map(ToString::to_string);
        let name = config.bmp.system_name.clone().or(host);
        Self {
            name: name.unwrap_or_else(|| IpAddr::from(config.bgp.router_id).to_string()),
            statistics: config.bmp.statistics,
            retry: config.bmp.retry,
            loc_rib: LocRibInfo {
                asn: config.bgp.local_as,
                router_id: config.bgp.router_id,
                table: "global".to_owned(),
                distinguisher: 0,
                families: Family::SUPPORTED.to_vec(),
                add_path: false,
            },
        }
    }
}

impl Monitoring {
    /// Nobody watches yet.
    pub(super) fn new(
        engine: EngineHandle,
        speaker: Arc<SpeakerHandle>,
        sharing: TapSharing,
    ) -> Self {
        Self {
            engine,
            speaker,
            running: tokio::sync::Mutex::new(Running {
                sharing,
                hub: None,
                presented: None,
                stations: Vec::new(),
                dumps: Vec::new(),
            }),
        }
    }

    /// From now on `config` holds. Who is in it as before goes on. Says what changed.
    pub(super) async fn apply(&self, config: &Config) -> Vec<String> {
        let mut running = self.running.lock().await;
        let running = &mut *running;
        let mut changes = Vec::new();
        let presented = Presented::of(config);
        let is_other = running.presented.as_ref() != Some(&presented);
        let stays = |station: &BmpStation| !is_other && config.bmp.stations.contains(station);
        for (station, task) in take_where(&mut running.stations, |one| !stays(one)) {
            changes.push(format!("BMP station {} stopped", station.addr));
            task.stop().await;
        }
        for (dump, task) in take_where(&mut running.dumps, |one| !config.mrt.dumps.contains(one)) {
            changes.push(format!("MRT file {} ends", dump.name));
            running.end_dump(task).await;
        }
        self.keep_hub(running, &config.bmp, is_other);
        for station in &config.bmp.stations {
            if !running.stations.iter().any(|(other, _)| other == station) {
                changes.push(format!("BMP station {} started", station.addr));
                let task = self.station(running, &presented, station);
                running.stations.push((station.clone(), task));
            }
        }
        for dump in &config.mrt.dumps {
            if !running.dumps.iter().any(|(other, _)| other == dump) {
                changes.push(format!("MRT file {} begins", dump.name));
                let task = self.dump(running, config, dump);
                running.dumps.push((dump.clone(), task));
            }
        }
        running.presented = Some(presented);
        changes
    }

    /// Says good-bye to stations and completes files.
    pub(super) async fn stop(&self) {
        let mut running = self.running.lock().await;
        for (_, station) in std::mem::take(&mut running.stations) {
            station.stop().await;
        }
        for (_, dump) in std::mem::take(&mut running.dumps) {
            running.end_dump(dump).await;
        }
    }

    fn keep_hub(&self, running: &mut Running, config: &BmpConfig, is_other: bool) {
        let is_wanted = config.stations.iter().any(|one| one.ribs.adj_rib_in_pre);
        if (!is_wanted || is_other)
            && let Some((number, _)) = running.hub.take()
        {
            running.sharing.remove(number);
        }
        if !is_wanted || running.hub.is_some() {
            return;
        }
        let hub_config = HubConfig {
            statistics: config.statistics,
            ..HubConfig::default()
        };
        let speaker = Arc::clone(&self.speaker);
        let refresh = move |peer: PeerId| {
            let speaker = Arc::clone(&speaker);
            tokio::spawn(async move {
                // A peer without route refresh, or gone meanwhile: the station sees what comes.
                let _ = speaker.refresh_in(peer, Vec::new()).await;
            });
        };
        let (number, events) = running.sharing.add();
        let sessions = running.sharing.tap.sessions();
        let node = (self.engine.clone(), refresh);
        running.hub = Some((number, Hub::start(hub_config, (events, sessions), node)));
    }

    fn station(&self, running: &Running, shown: &Presented, station: &BmpStation) -> Station {
        let mode = match station.listens {
            true => StationMode::Listen(station.addr),
            false => StationMode::Connect(station.addr),
        };
        let config = StationConfig {
            mode,
            system_name: shown.name.clone(),
            system_description: format!("chanter {}", build::VERSION),
            retry: shown.retry,
            retry_max: shown.retry * StationConfig::RETRY_MAX_FACTOR,
        };
        let ribs = station.ribs;
        let rib = RibFeed {
            engine: self.engine.clone(),
            tap: running.sharing.tap.clone(),
            scope: MonitorScope {
                loc_rib: ribs.loc_rib,
                adj_rib_in: ribs.adj_rib_in_post,
            },
            loc_rib: shown.loc_rib.clone(),
            statistics: shown.statistics,
        };
        let hub = running.hub.as_ref().filter(|_| ribs.adj_rib_in_pre);
        match hub {
            Some((_, hub)) if ribs.loc_rib => start(config, BothFeeds(hub.clone(), rib)),
            Some((_, hub)) => start(config, hub.clone()),
            None => start(config, rib),
        }
    }

    fn dump(&self, running: &mut Running, config: &Config, dump: &MrtDump) -> Dump {
        match dump.kind {
            MrtKind::Updates => {
                let log = LogConfig {
                    name: dump.name.clone(),
                    interval: dump.interval,
                };
                let (number, events) = running.sharing.add();
                Dump::Updates(number, UpdateLog::start(log, events))
            }
            MrtKind::Table => {
                let table = DumpConfig {
                    name: dump.name.clone(),
                    interval: Some(dump.interval),
                    families: Vec::new(),
                    router_id: config.bgp.router_id,
                    local_as: config.bgp.local_as,
                };
                let rib = (self.engine.clone(), peers_of(&self.speaker));
                Dump::Table {
                    _dump: RibDump::start(table, rib),
                }
            }
        }
    }
}

impl Running {
    async fn end_dump(&mut self, dump: Dump) {
        match dump {
            Dump::Updates(number, log) => {
                self.sharing.remove(number);
                log.stop().await;
            }
            Dump::Table { .. } => {}
        }
    }
}

fn start(config: StationConfig, feed: impl MonitorFeed) -> Station {
    Station::start(config, feed)
}

/// Takes out those of which `is_meant` is true.
fn take_where<A, B>(all: &mut Vec<(A, B)>, is_meant: impl Fn(&A) -> bool) -> Vec<(A, B)> {
    let (taken, left) = std::mem::take(all)
        .into_iter()
        .partition(|(one, _)| is_meant(one));
    *all = left;
    taken
}

fn peers_of(speaker: &Arc<SpeakerHandle>) -> impl Fn() -> Vec<DumpPeer> + Send + Sync + 'static {
    let speaker = Arc::clone(speaker);
    let known = |status: PeerStatus| {
        Some(DumpPeer {
            id: status.peer,
            router_id: status.router_id?,
            addr: status.addr,
            asn: status.remote_as?,
        })
    };
    move || speaker.peers().into_iter().filter_map(known).collect()
}
