//! Dumps of the RIB, at intervals and on command.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chanter_bgp::Family;
use chanter_driver::EngineHandle;
use chanter_engine::PeerId;
use chanter_engine::view::{PageToken, PathSource, PathView, RoutePage, RouteQuery, RouteView};
use chanter_types::{Asn, Instant};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::file::{FileError, FileName, Writing};
use crate::record::timestamp;
use crate::table_dump::{Entry, Peer, PeerIndex, Rib, attribute_octets, nlri_octets};

/// Destinations that the engine looks at for one page: well below a millisecond of its time.
const PAGE_LEN: usize = 500;

/// Commands that may wait: each takes as long as a dump, and one that starts now serves them all.
const COMMANDS_LEN: usize = 8;

/// What is dumped, and where to.
#[derive(Debug, Clone)]
pub struct DumpConfig {
    /// The file; the time is that of the beginning.
    pub name: FileName,
    /// How often; `None`: on command only.
    pub interval: Option<Duration>,
    /// The families; empty: all.
    pub families: Vec<Family>,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Our AS: that of what this node originates.
    pub local_as: Asn,
}

/// A peer whose paths are dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpPeer {
    /// The peer in the engine.
    pub id: PeerId,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Its address.
    pub addr: IpAddr,
    /// Its AS.
    pub asn: Asn,
}

/// The RIB, page by page.
pub trait RibPages: Send + Sync + 'static {
    /// All peers of which there may be paths.
    fn peers(&self) -> Vec<DumpPeer>;

    /// The page after that one; `None`: the engine has stopped.
    fn page(&self, query: RouteQuery) -> impl Future<Output = Option<RoutePage>> + Send;

    /// The time of day of the engine's time.
    fn time_of_day(&self, at: Instant) -> SystemTime;
}

/// The engine, and what names the peers.
impl<F> RibPages for (EngineHandle, F)
where
    F: Fn() -> Vec<DumpPeer> + Send + Sync + 'static,
{
    fn peers(&self) -> Vec<DumpPeer> {
        self.1()
    }

    async fn page(&self, query: RouteQuery) -> Option<RoutePage> {
        let page = self.0.query(move |engine| engine.routes(&query)).await;
        page.ok()
    }

    fn time_of_day(&self, at: Instant) -> SystemTime {
        self.0.clock().time_of_day(at)
    }
}

/// A dump that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dumped {
    /// The file.
    pub path: PathBuf,
    /// Its octets, before compression.
    pub octets: u64,
    /// Destinations in it.
    pub destinations: u64,
    /// Paths in it.
    pub paths: u64,
    /// Paths that are not: of peers that came while it was made, or not to be written in MRT.
    pub left_out: u64,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine or this task has stopped.
    #[error("stopped before the dump was complete")]
    Stopped,
}

type Reply = oneshot::Sender<Result<Dumped, DumpError>>;

/// A task that dumps the RIB; ends when this is dropped.
#[derive(Debug)]
pub struct RibDump {
    commands: mpsc::Sender<Reply>,
}

impl RibDump {
    /// Starts the task, within a tokio runtime.
    pub fn start<P: RibPages>(config: DumpConfig, rib: P) -> Self {
        let (commands, queue) = mpsc::channel(COMMANDS_LEN);
        tokio::spawn(run(config, rib, queue));
        Self { commands }
    }

    /// Dumps now.
    ///
    /// # Errors
    /// [`DumpError`].
    pub async fn now(&self) -> Result<Dumped, DumpError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(reply).await;
        sent.map_err(|_| DumpError::Stopped)?;
        answer.await.map_err(|_| DumpError::Stopped)?
    }
}

async fn run<P: RibPages>(config: DumpConfig, rib: P, mut queue: mpsc::Receiver<Reply>) {
    let mut next = config
        .interval
        .map(|interval| tokio::time::Instant::now() + interval);
    loop {
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let reply = tokio::select! {
            command = queue.recv() => match command {
                Some(reply) => Some(reply),
                None => return,
            },
            () = due => {
                next = next.zip(config.interval).map(|(at, interval)| at + interval);
                None
            }
        };
        let result = Dump::new(&config, &rib).run().await;
        match &result {
            Ok(done) => info!(
                "the RIB is in {}: {} paths of {} destinations",
                done.path.display(),
                done.paths,
                done.destinations
            ),
            Err(error) => warn!("no dump of the RIB: {error}"),
        }
        if let Some(reply) = reply {
            // Whoever asked may have gone away.
            let _ = reply.send(result);
        }
    }
}

/// A dump that is being made.
struct Dump<'a, P> {
    config: &'a DumpConfig,
    rib: &'a P,
    seconds: u32,
    places: BTreeMap<PeerId, u16>,
    sequence: u32,
    paths: u64,
    left_out: u64,
}

/// The place of this node in the index of peers.
const LOCAL_PLACE: u16 = 0;

impl<'a, P: RibPages> Dump<'a, P> {
    fn new(config: &'a DumpConfig, rib: &'a P) -> Self {
        Self {
            config,
            rib,
            seconds: 0,
            places: BTreeMap::new(),
            sequence: 0,
            paths: 0,
            left_out: 0,
        }
    }

    async fn run(mut self) -> Result<Dumped, DumpError> {
        let at = SystemTime::now();
        self.seconds = timestamp(at).0;
        let name = self.config.name.clone();
        let mut file = blocking(move || Writing::create(&name, at)).await?;
        let mut octets = self.index();
        let mut after = None;
        loop {
            file = write(file, std::mem::take(&mut octets)).await?;
            let Some(page) = self.rib.page(self.query(after)).await else {
                let _ = blocking(move || {
                    file.discard();
                    Ok(())
                })
                .await;
                return Err(DumpError::Stopped);
            };
            for route in &page.routes {
                self.route(route, &mut octets);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        file = write(file, octets).await?;
        let len = file.len();
        let path = blocking(move || file.finish()).await?;
        Ok(Dumped {
            path,
            octets: len,
            destinations: self.sequence.into(),
            paths: self.paths,
            left_out: self.left_out,
        })
    }

    fn query(&self, after: Option<PageToken>) -> RouteQuery {
        let family = match self.config.families[..] {
            [only] => Some(only),
            _ => None,
        };
        RouteQuery {
            family,
            after,
            scan_max: PAGE_LEN,
            ..RouteQuery::default()
        }
    }

    /// The index of peers: this node first, for what it originates.
    fn index(&mut self) -> Vec<u8> {
        let mut peers = vec![Peer {
            router_id: self.config.router_id,
            addr: Ipv4Addr::UNSPECIFIED.into(),
            asn: self.config.local_as.0,
        }];
        for (place, peer) in (LOCAL_PLACE + 1..=u16::MAX).zip(self.rib.peers()) {
            self.places.insert(peer.id, place);
            peers.push(Peer {
                router_id: peer.router_id,
                addr: peer.addr,
                asn: peer.asn.0,
            });
        }
        let index = PeerIndex {
            collector: self.config.router_id,
            view: String::new(),
            peers,
        };
        let mut out = Vec::new();
        index.encode(self.seconds, &mut out);
        out
    }

    fn route(&mut self, route: &RouteView, out: &mut Vec<u8>) {
        let family = route.nlri.family();
        let families = &self.config.families;
        if !families.is_empty() && !families.contains(&family) {
            return;
        }
        let is_unicast = matches!(family, Family::IPV4_UNICAST | Family::IPV6_UNICAST);
        // One record for all paths, or in a RIB_GENERIC one for each NLRI: labels and path
        // identifiers are in it.
        let mut records: Vec<Rib> = Vec::new();
        for path in &route.paths {
            let Some((nlri, entry)) = self.path(route, path) else {
                self.left_out += 1;
                continue;
            };
            self.paths += 1;
            let same = |record: &&mut Rib| {
                let id = |record: &Rib| record.entries.first().map(|entry| entry.path_id);
                is_unicast || (record.nlri == nlri && id(record) == Some(entry.path_id))
            };
            match records.iter_mut().find(same) {
                Some(record) => record.entries.push(entry),
                None => records.push(Rib {
                    sequence: 0,
                    family,
                    nlri,
                    entries: vec![entry],
                }),
            }
        }
        for mut record in records {
            record.sequence = self.sequence;
            self.sequence += 1;
            let id = record
                .entries
                .iter()
                .map(|entry| entry.path_id)
                .find(|id| *id != 0);
            if let (Some(id), false) = (id, is_unicast) {
                record.nlri.splice(0..0, id.to_be_bytes());
            }
            record.encode(self.seconds, id.is_some(), out);
        }
    }

    fn path(&self, route: &RouteView, path: &PathView) -> Option<(Vec<u8>, Entry)> {
        let peer = match &path.source {
            PathSource::Peer { peer, .. } => *self.places.get(peer)?,
            PathSource::Instance(_) | PathSource::Local => LOCAL_PLACE,
        };
        let entry = Entry {
            peer,
            originated: timestamp(self.rib.time_of_day(path.since)).0,
            path_id: path.data.path_id,
            attributes: attribute_octets(&path.attributes, route.nlri.family())?,
        };
        let nlri = nlri_octets(&route.nlri, path.data)?;
        Some((nlri, entry))
    }
}

async fn write(mut file: Writing, octets: Vec<u8>) -> Result<Writing, FileError> {
    blocking(move || match file.write(&octets) {
        Ok(()) => Ok(file),
        Err(error) => {
            file.discard();
            Err(error)
        }
    })
    .await
}

/// Does what waits for a disk where it keeps nobody waiting.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(FileError::Io {
            path: PathBuf::new(),
            source: io::Error::other(error),
        })
    })
}
