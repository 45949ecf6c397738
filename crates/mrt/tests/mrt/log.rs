//! The log of updates.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chanter_bgp::session::State;
use chanter_bgp::{CodecContext, Family, PathData, UpdateWriter, encode_keepalive};
use chanter_engine::PeerId;
use chanter_mrt::bgp4mp::{What, decode};
use chanter_mrt::record::records;
use chanter_mrt::{FileName, LogConfig, UpdateLog};
use chanter_speaker::{PeerAddr, TapDirection, TapEvent, TapPeer, TapWhat};
use chanter_types::Asn;
use tokio::sync::mpsc;

use crate::support::*;

fn event(at: SystemTime, what: TapWhat) -> TapEvent {
    let peer = TapPeer {
        id: PeerId(1),
        name: PeerAddr::Ip([198, 51, 100, 1].into()),
        remote: ([198, 51, 100, 1], 179).into(),
        local: ([198, 51, 100, 254], 40000).into(),
        peer_as: Asn(4_200_000_001),
        local_as: LOCAL_AS,
        router_id: [10, 0, 0, 1].into(),
        four_octet_as: true,
        add_path_receive: false,
        add_path_send: true,
    };
    TapEvent {
        peer: Arc::new(peer),
        at,
        lost_before: 0,
        what,
    }
}

fn message(direction: TapDirection, octets: &[u8]) -> TapWhat {
    TapWhat::Message {
        direction,
        octets: Bytes::copy_from_slice(octets),
    }
}

#[tokio::test]
async fn bgpdump_reads_messages_and_state_changes() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory
        .path()
        .join("updates.%Y")
        .to_string_lossy()
        .into_owned();
    let config = LogConfig {
        name: FileName::new(&pattern, false).unwrap(),
        interval: Duration::from_secs(100 * 365 * 86_400),
    };
    let (sender, events) = mpsc::channel(100);
    let log = UpdateLog::start(config, events);
    let (mut update, mut keepalive) = (Vec::new(), Vec::new());
    let (prefix, data) = (nlri("203.0.113.0/24"), PathData::default());
    UpdateWriter::new(&CodecContext::default(), &mut update).reach(
        Family::IPV4_UNICAST,
        &attributes(7),
        [(&prefix, data)],
    );
    encode_keepalive(&mut keepalive);
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let state = TapWhat::State {
        old: State::OpenConfirm,
        new: State::Established,
    };
    for what in [
        state,
        message(TapDirection::Received, &update),
        message(TapDirection::Sent, &keepalive),
    ] {
        sender.send(event(at, what)).await.unwrap();
    }
    drop(sender);
    log.stop().await;

    let path = fs::read_dir(directory.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let octets = fs::read(&path).unwrap();
    let all: Vec<_> = records(&octets).collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(
        (all[0].seconds, all[0].microseconds),
        (1_700_000_000, Some(123_456))
    );
    let (session, what) = decode(&all[0]).unwrap();
    assert_eq!(session.peer_as, 4_200_000_001);
    assert_eq!(what, What::StateChange { old: 5, new: 6 });
    let (_, what) = decode(&all[2]).unwrap();
    let sent = What::Message {
        is_local: true,
        add_path: true,
        four_octet_as: true,
        octets: &keepalive,
    };
    assert_eq!(what, sent);

    let lines = bgpdump(&path);
    let expected = [
        "BGP4MP_ET|1700000000.123456|STATE|198.51.100.1|4200000001|5|6",
        "BGP4MP_ET|1700000000.123456|A|198.51.100.1|4200000001|203.0.113.0/24|4200000001|IGP|\
         198.51.100.7|107|7||NAG||",
    ];
    assert_eq!(lines[..2], expected);
}

/// Files of past intervals get their names while the log goes on.
#[tokio::test]
async fn files_are_rotated() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory
        .path()
        .join("updates.%s.gz")
        .to_string_lossy()
        .into_owned();
    let config = LogConfig {
        name: FileName::new(&pattern, true).unwrap(),
        interval: Duration::from_secs(1),
    };
    let (sender, events) = mpsc::channel(100);
    let log = UpdateLog::start(config, events);
    let mut keepalive = Vec::new();
    encode_keepalive(&mut keepalive);
    let deadline = SystemTime::now() + Duration::from_secs(20);
    let complete = || {
        let names = fs::read_dir(directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().path());
        names
            .filter(|path| path.extension().is_some_and(|end| end == "gz"))
            .count()
    };
    while complete() < 2 {
        assert!(SystemTime::now() < deadline, "no rotation");
        let what = message(TapDirection::Received, &keepalive);
        sender.send(event(SystemTime::now(), what)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    log.stop().await;
    drop(sender);
}
