//! Views of the engine's RIB: the best paths (RFC 9069), and what each peer said after import policy
//! (RFC 7854 section 5).
//!
//! The RIB itself is what waits for a station: one that is slow is told the last of many changes, and
//! a new one is told all, without a word to any peer.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use chanter_driver::{EngineGone, EngineHandle, Monitor};
use chanter_engine::PeerId;
use chanter_engine::rib::{MonitorPeer, MonitorScope, Monitored};
use chanter_speaker::{MessageTap, TapSession};
use chanter_types::Instant;

use crate::hub::{down_reason, header, peer_statistics};
use crate::loc_rib::{LocRibInfo, loc_rib_peer_up, route_monitoring};
use crate::message::{Message, PeerDownReason, PeerHeader, PeerUp, Statistic};
use crate::station::{MonitorFeed, MonitorView};

/// Views of the engine's RIB; clones make the same.
#[derive(Debug, Clone)]
pub struct RibFeed {
    /// The engine.
    pub engine: EngineHandle,
    /// What knows the OPENs of sessions, and why they ended. It need not copy messages.
    pub tap: MessageTap,
    /// What is told.
    pub scope: MonitorScope,
    /// What the Loc-RIB is called.
    pub loc_rib: LocRibInfo,
    /// How often numbers are reported; zero: never.
    pub statistics: Duration,
}

/// What one station is to be told of the engine's RIB.
#[derive(Debug)]
pub struct RibView {
    feed: RibFeed,
    /// `None`: the engine has stopped.
    monitor: Option<Monitor>,
    /// The Loc-RIB has been told to be up.
    is_begun: bool,
    /// The sessions that the station knows.
    told: BTreeMap<PeerId, PeerHeader>,
    report_at: Option<tokio::time::Instant>,
}

impl MonitorFeed for RibFeed {
    type View = RibView;

    async fn open(&self) -> RibView {
        let period = self.statistics;
        RibView {
            monitor: self.engine.monitor(self.scope).await.ok(),
            feed: self.clone(),
            is_begun: false,
            told: BTreeMap::new(),
            report_at: (!period.is_zero()).then(|| tokio::time::Instant::now() + period),
        }
    }
}

enum Next {
    Told(Result<Vec<Monitored>, EngineGone>),
    Numbers(Vec<Message>),
}

impl MonitorView for RibView {
    async fn next(&mut self, budget: usize) -> Option<Vec<Message>> {
        if !std::mem::replace(&mut self.is_begun, true) && self.feed.scope.loc_rib {
            return Some(vec![loc_rib_peer_up(&self.feed.loc_rib, SystemTime::now())]);
        }
        loop {
            let monitor = self.monitor.as_mut()?;
            let numbers = numbers(&self.feed, &self.told, self.report_at);
            let next = tokio::select! {
                told = monitor.pull(budget) => Next::Told(told),
                numbers = numbers => Next::Numbers(numbers),
            };
            let messages = match next {
                Next::Told(told) => {
                    let told = told.ok()?.into_iter();
                    told.flat_map(|one| self.messages(one)).collect()
                }
                Next::Numbers(numbers) => {
                    self.report_at = Some(tokio::time::Instant::now() + self.feed.statistics);
                    numbers
                }
            };
            if !messages.is_empty() {
                return Some(messages);
            }
        }
    }
}

impl RibView {
    fn messages(&mut self, told: Monitored) -> Vec<Message> {
        match told {
            Monitored::Up(peer) => self.up(peer).into_iter().collect(),
            Monitored::Down(peer) => self.down(peer).into_iter().collect(),
            Monitored::Updates { peer, at, octets } => {
                let at = self.time_of_day(at);
                let header = match peer {
                    MonitorPeer::LocRib => Some(self.feed.loc_rib.header(at)),
                    MonitorPeer::Peer(peer) => self.told.get(&peer).map(|header| PeerHeader {
                        post_policy: true,
                        at: crate::loc_rib::since_1970(at),
                        ..*header
                    }),
                };
                let messages = header.map(|header| route_monitoring(header, octets));
                messages.into_iter().flatten().collect()
            }
        }
    }

    /// A session. If it has ended meanwhile and the peer is configured no longer, that is told next,
    /// and the station need not know.
    fn up(&mut self, peer: PeerId) -> Option<Message> {
        let TapSession {
            peer: shown,
            since,
            opens: (sent_open, received_open),
            ..
        } = self.feed.tap.session(peer)?;
        let header = PeerHeader {
            two_octet_as: false,
            ..header(&shown, since)
        };
        self.told.insert(peer, header);
        let up = PeerUp {
            local_addr: shown.local.ip(),
            local_port: shown.local.port(),
            remote_port: shown.remote.port(),
            sent_open,
            received_open,
            information: Vec::new(),
        };
        Some(Message::PeerUp {
            peer: header,
            up: Box::new(up),
        })
    }

    fn down(&mut self, peer: PeerId) -> Option<Message> {
        let header = self.told.remove(&peer)?;
        let session = self.feed.tap.session(peer);
        let reason = match session.and_then(|session| session.last_end) {
            Some(reason) => down_reason(&reason),
            None => PeerDownReason::NotMonitored,
        };
        Some(Message::PeerDown {
            peer: header,
            reason,
        })
    }

    fn time_of_day(&self, at: Option<Instant>) -> SystemTime {
        let clock = self.feed.engine.clock();
        clock.time_of_day(at.unwrap_or(clock.now()))
    }
}

/// Waits for the time of the next report, and makes it.
async fn numbers(
    feed: &RibFeed,
    told: &BTreeMap<PeerId, PeerHeader>,
    at: Option<tokio::time::Instant>,
) -> Vec<Message> {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
    let now = SystemTime::now();
    let mut messages = Vec::new();
    if feed.scope.loc_rib {
        messages.extend(loc_rib_statistics(feed, now).await);
    }
    if feed.scope.adj_rib_in {
        for (peer, statistics) in peer_statistics(&feed.engine).await {
            let header = told.get(&peer).map(|header| PeerHeader {
                at: crate::loc_rib::since_1970(now),
                ..*header
            });
            messages.extend(header.map(|peer| Message::StatisticsReport { peer, statistics }));
        }
    }
    messages
}

async fn loc_rib_statistics(feed: &RibFeed, now: SystemTime) -> Option<Message> {
    let summary = feed.engine.query(|engine| engine.summary()).await.ok()?;
    let destinations = summary.families.iter().map(|one| one.destinations as u64);
    let mut statistics = vec![Statistic::Gauge(Statistic::LOC_RIB, destinations.sum())];
    for one in &summary.families {
        let (kind, count) = (Statistic::LOC_RIB_OF_FAMILY, one.destinations as u64);
        statistics.push(Statistic::FamilyGauge(kind, one.family, count));
    }
    Some(Message::StatisticsReport {
        peer: feed.loc_rib.header(now),
        statistics,
    })
}

/// Two feeds for one station, of different peers: such as those of a [`Hub`](crate::Hub) and a
/// Loc-RIB.
#[derive(Debug, Clone)]
pub struct BothFeeds<A, B>(pub A, pub B);

/// Two views for one station.
#[derive(Debug)]
pub struct BothViews<A, B>(A, B);

impl<A: MonitorFeed, B: MonitorFeed> MonitorFeed for BothFeeds<A, B> {
    type View = BothViews<A::View, B::View>;

    async fn open(&self) -> Self::View {
        BothViews(self.0.open().await, self.1.open().await)
    }
}

impl<A: MonitorView, B: MonitorView> MonitorView for BothViews<A, B> {
    async fn next(&mut self, budget: usize) -> Option<Vec<Message>> {
        tokio::select! {
            messages = self.0.next(budget) => messages,
            messages = self.1.next(budget) => messages,
        }
    }
}
