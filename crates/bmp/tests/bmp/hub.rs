//! Taps, the hub, and stations that come, go and are slow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::session::DownReason;
use chanter_bmp::message::{Message, PeerDownReason, Statistic};
use chanter_bmp::{
    Hub, HubConfig, MonitorFeed, MonitorView, MonitoredNode, Station, StationConfig, StationMode,
};
use chanter_engine::PeerId;
use chanter_speaker::{TapDirection, TapEvent, TapWhat};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A node that writes down whom it was to ask.
#[derive(Clone, Default)]
struct Node {
    asked: Arc<Mutex<Vec<PeerId>>>,
}

impl Node {
    fn asked(&self) -> Vec<u64> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|peer| peer.0 as u64)
            .collect()
    }
}

impl MonitoredNode for Node {
    fn refresh(&self, peer: PeerId) {
        self.asked.lock().unwrap().push(peer);
    }

    async fn statistics(&self) -> Vec<(PeerId, Vec<Statistic>)> {
        vec![(PeerId(1), vec![Statistic::Gauge(Statistic::ADJ_RIB_IN, 3)])]
    }
}

fn hub(config: HubConfig) -> (Hub, mpsc::Sender<TapEvent>, Node) {
    let (sender, events) = mpsc::channel(1000);
    let node = Node::default();
    (
        Hub::start(config, (events, Vec::new()), node.clone()),
        sender,
        node,
    )
}

fn quiet() -> HubConfig {
    HubConfig {
        statistics: Duration::ZERO,
        refresh_min: Duration::ZERO,
        ..HubConfig::default()
    }
}

async fn up(taps: &mpsc::Sender<TapEvent>, peer: u8) {
    let what = TapWhat::Up {
        sent_open: open(64512, [10, 0, 0, 254]),
        received_open: open(4_200_000_001, [10, 0, 0, peer]),
    };
    taps.send(tap_event(peer, what)).await.unwrap();
}

fn received(peer: u8, octets: Bytes) -> TapEvent {
    let direction = TapDirection::Received;
    tap_event(peer, TapWhat::Message { direction, octets })
}

/// What a view yields until there is as much.
async fn collect(view: &mut impl MonitorView, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let next = timeout(PATIENCE, view.next(1 << 16)).await;
        let messages = next
            .unwrap_or_else(|_| panic!("only {seen:?}"))
            .expect("more");
        seen.extend(messages.iter().map(shown));
    }
    seen
}

fn shown(message: &Message) -> String {
    match message {
        Message::PeerUp { peer, .. } => format!("up {}", peer.addr),
        Message::PeerDown { peer, reason } => format!("down {} {reason:?}", peer.addr),
        Message::RouteMonitoring { peer, update } => {
            format!("route {} {}", peer.addr, update.len())
        }
        Message::StatisticsReport { peer, statistics } => {
            format!("numbers {} {statistics:?}", peer.addr)
        }
        Message::Initiation(_) => "initiation".to_owned(),
        Message::Termination { .. } => "termination".to_owned(),
    }
}

async fn wait_asked(node: &Node, expected: &[u64]) {
    let asked = timeout(PATIENCE, async {
        while node.asked() != expected {
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(asked.await.is_ok(), "{:?}, not {expected:?}", node.asked());
}

#[tokio::test]
async fn a_late_station_hears_of_all_sessions_and_their_routes_are_asked_for() {
    let (hub, taps, node) = hub(quiet());
    let mut early = hub.open().await;
    up(&taps, 1).await;
    up(&taps, 2).await;
    assert_eq!(
        collect(&mut early, 2).await,
        ["up 198.51.100.1", "up 198.51.100.2"]
    );
    let mut late = hub.open().await;
    assert_eq!(
        collect(&mut late, 2).await,
        ["up 198.51.100.1", "up 198.51.100.2"]
    );
    wait_asked(&node, &[1, 2]).await;

    let octets = update("10.1.0.0/16");
    let route = format!("route 198.51.100.2 {}", octets.len());
    taps.send(received(2, octets)).await.unwrap();
    let reason = Box::new(DownReason::ClosedByPeer);
    taps.send(tap_event(2, TapWhat::Down { reason }))
        .await
        .unwrap();
    let down = "down 198.51.100.2 RemoteClosed".to_owned();
    for view in [&mut early, &mut late] {
        assert_eq!(collect(view, 2).await, [route.clone(), down.clone()]);
    }
    drop(taps);
    let end = timeout(PATIENCE, late.next(1)).await.expect("it ends");
    assert!(end.is_none());
}

#[tokio::test]
async fn a_slow_station_gets_sessions_anew_and_holds_no_memory() {
    let config = HubConfig {
        queue_octets: 2000,
        ..quiet()
    };
    let (hub, taps, node) = hub(config);
    let mut slow = hub.open().await;
    let mut fast = hub.open().await;
    up(&taps, 1).await;
    collect(&mut slow, 1).await;
    collect(&mut fast, 1).await;
    for number in 0..100 {
        let octets = update(&format!("10.{number}.0.0/16"));
        taps.send(received(1, octets)).await.unwrap();
        collect(&mut fast, 1).await;
    }
    let seen = collect(&mut slow, 2).await;
    assert_eq!(seen, ["down 198.51.100.1 NotMonitored", "up 198.51.100.1"]);
    wait_asked(&node, &[1]).await;
    taps.send(received(1, update("10.0.0.0/8"))).await.unwrap();
    assert_eq!(collect(&mut slow, 1).await.len(), 1);
}

#[tokio::test]
async fn what_the_tap_lost_is_asked_for_again() {
    let (hub, taps, node) = hub(quiet());
    let mut view = hub.open().await;
    up(&taps, 1).await;
    collect(&mut view, 1).await;
    let event = TapEvent {
        lost_before: 3,
        ..received(1, update("10.0.0.0/8"))
    };
    taps.send(event).await.unwrap();
    let seen = collect(&mut view, 3).await;
    assert_eq!(
        seen[..2],
        ["down 198.51.100.1 NotMonitored", "up 198.51.100.1"]
    );
    assert!(seen[2].starts_with("route"));
    wait_asked(&node, &[1]).await;
}

#[tokio::test(start_paused = true)]
async fn numbers_are_reported_and_refreshes_are_not_too_many() {
    let (hub, taps, node) = hub(HubConfig::default());
    let mut first = hub.open().await;
    up(&taps, 1).await;
    collect(&mut first, 1).await;
    let mut views = Vec::new();
    for _ in 0..5 {
        let mut view = hub.open().await;
        collect(&mut view, 1).await;
        sleep(Duration::from_secs(1)).await;
        views.push(view);
    }
    assert_eq!(node.asked(), [1], "the others wait for the time to come");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(node.asked(), [1, 1]);
    let seen = collect(&mut first, 1).await;
    assert!(
        seen[0].starts_with("numbers 198.51.100.1 [Gauge(7, 3)]"),
        "{seen:?}"
    );
}

fn station(mode: StationMode, hub: &Hub) -> Station {
    let config = StationConfig {
        mode,
        system_name: "node1".to_owned(),
        system_description: "a test".to_owned(),
        retry: Duration::from_millis(20),
        retry_max: Duration::from_millis(100),
    };
    Station::start(config, hub.clone())
}

/// Reads until as many messages have come, or to the end.
async fn read(stream: &mut TcpStream, count: usize) -> Vec<String> {
    let mut octets = Vec::new();
    let mut part = [0; 4096];
    loop {
        if let Ok(Some(_)) = Message::split(&octets) {
            let (mut rest, mut seen) = (&octets[..], Vec::new());
            while let Some((message, behind)) = Message::split(rest).unwrap() {
                seen.push(shown(&message));
                rest = behind;
            }
            if seen.len() >= count {
                return seen;
            }
        }
        let len = timeout(PATIENCE, stream.read(&mut part))
            .await
            .expect("octets")
            .unwrap();
        if len == 0 {
            return decode_all(&octets).iter().map(shown).collect();
        }
        octets.extend_from_slice(&part[..len]);
    }
}

#[tokio::test]
async fn a_collector_is_connected_to_again_and_told_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (hub, taps, _) = hub(quiet());
    up(&taps, 1).await;
    let station = station(StationMode::Connect(listener.local_addr().unwrap()), &hub);
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(
            read(&mut stream, 2).await,
            ["initiation", "up 198.51.100.1"]
        );
    }
    let (mut stream, _) = listener.accept().await.unwrap();
    read(&mut stream, 2).await;
    assert!(station.status().connected.is_some());
    station.stop().await;
    assert_eq!(read(&mut stream, usize::MAX).await, ["termination"]);
    drop(taps);
}

#[tokio::test]
async fn a_collector_may_connect_to_us() {
    let (hub, taps, _) = hub(quiet());
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = reserved.local_addr().unwrap();
    // While the port is taken it is tried again.
    let station = station(StationMode::Listen(addr), &hub);
    let failed = timeout(PATIENCE, async {
        while station.status().last_error.is_none() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    failed.await.expect("an error is shown");
    drop(reserved);
    let connected = timeout(PATIENCE, async {
        loop {
            match TcpStream::connect(addr).await {
                Ok(stream) => return stream,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    });
    let mut stream = connected.await.expect("it listens");
    assert_eq!(read(&mut stream, 1).await, ["initiation"]);
    up(&taps, 7).await;
    assert_eq!(read(&mut stream, 1).await, ["up 198.51.100.7"]);
    let reason = PeerDownReason::NotMonitored;
    taps.send(tap_event(7, TapWhat::Removed)).await.unwrap();
    assert_eq!(
        read(&mut stream, 1).await,
        [format!("down 198.51.100.7 {reason:?}")]
    );
    station.stop().await;
}
