//! A reflector with a BMP station: what the station knows is what the reflector knows (RFC 7854, RFC
//! 9069).

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod monitored;
mod node;

use std::process::Command;

use chanter_bgp::{Attributes, Family, Nlri};
use chanter_bmp::message::{Message, PeerDownReason, PeerKind, TerminationReason};
use monitored::{Peer, Reflector, Station, StationPort};

fn nlri(text: &str) -> Nlri {
    text.parse().unwrap()
}

fn attributes(med: u32) -> Attributes {
    Attributes::builder()
        .next_hop(std::net::IpAddr::from([192, 0, 2, 1]))
        .local_pref(100)
        .med(Some(med))
        .build()
}

/// What a station knows: (peer's routes, best routes) with their MULTI_EXIT_DISC.
fn routes(station: &Station, kind: PeerKind) -> Vec<(String, Option<u32>)> {
    let known = station.known.get(&kind);
    let routes = known.into_iter().flat_map(|known| &known.routes);
    routes
        .map(|(nlri, attributes)| (nlri.to_string(), attributes.med()))
        .collect()
}

fn knows(station: &Station, expected: &[(&str, u32)]) -> bool {
    let expected: Vec<(String, Option<u32>)> = expected
        .iter()
        .map(|(nlri, med)| ((*nlri).to_owned(), Some(*med)))
        .collect();
    // The default RT membership of the reflector is among the best paths.
    let best = routes(station, PeerKind::LocRib);
    let best: Vec<_> = best.into_iter().filter(|(_, med)| med.is_some()).collect();
    routes(station, PeerKind::Global) == expected && best == expected
}

/// Peer Up has both OPENs, and all routes are from after policy.
fn compare_session(station: &Station, peer: &Peer) {
    let ups = station.seen(
        |message| matches!(message, Message::PeerUp { peer, .. } if peer.kind == PeerKind::Global),
    );
    let [Message::PeerUp { peer: header, up }] = ups.as_slice() else {
        panic!("{ups:?}")
    };
    assert_eq!(up.received_open, peer.sent_open);
    assert_eq!(up.sent_open, peer.received_open);
    assert_eq!(
        (header.asn, header.router_id),
        (64512, [192, 0, 2, 1].into())
    );
    let of_peer = station.seen(|message| matches!(message, Message::RouteMonitoring { peer, .. } if peer.kind == PeerKind::Global));
    assert!(of_peer.iter().all(
        |message| matches!(message, Message::RouteMonitoring { peer, .. } if peer.post_policy)
    ));
}

#[test]
fn a_station_follows_routes_and_sessions() {
    let port = StationPort::open();
    let reflector = Reflector::start(&port.configured(""));
    let mut peer = Peer::up(reflector.port);
    peer.reach(
        &[nlri("203.0.113.0/24"), nlri("198.51.100.0/24")],
        &attributes(1),
    );
    peer.end_of_rib();

    let mut station = port.accept();
    let both = [("198.51.100.0/24", 1), ("203.0.113.0/24", 1)];
    station.until("the initial dump", |station| knows(station, &both));
    station.until("End-of-RIB", |station| {
        let ended = |kind| station.known[&kind].ends.contains(&Family::IPV4_UNICAST);
        ended(PeerKind::Global) && ended(PeerKind::LocRib)
    });
    compare_session(&station, &peer);

    peer.reach(&[nlri("203.0.113.0/24")], &attributes(2));
    station.until("a change", |station| {
        knows(station, &[("198.51.100.0/24", 1), ("203.0.113.0/24", 2)])
    });
    peer.withdraw(&nlri("198.51.100.0/24"));
    station.until("a withdrawal", |station| {
        knows(station, &[("203.0.113.0/24", 2)])
    });

    peer.close();
    station.until("the end of the session", |station| {
        !station.known.contains_key(&PeerKind::Global)
            && routes(station, PeerKind::LocRib)
                .iter()
                .all(|(_, med)| med.is_none())
    });
    let downs = station.seen(|message| matches!(message, Message::PeerDown { .. }));
    let [
        Message::PeerDown {
            reason: PeerDownReason::RemoteClosed,
            ..
        },
    ] = downs.as_slice()
    else {
        panic!("{downs:?}")
    };
    let mut peer = Peer::up(reflector.port);
    peer.reach(&[nlri("203.0.113.0/24")], &attributes(3));
    station.until("the next session", |station| {
        knows(station, &[("203.0.113.0/24", 3)])
    });
    station.until("numbers", |station| {
        !station
            .seen(|message| matches!(message, Message::StatisticsReport { .. }))
            .is_empty()
    });
    wireshark_reads(&station);

    // A station that restarts is told all anew.
    drop(station);
    let mut station = port.accept();
    station.until("the dump after its restart", |station| {
        knows(station, &[("203.0.113.0/24", 3)])
    });
    peer.withdraw(&nlri("203.0.113.0/24"));
    station.until("a withdrawal after its restart", |station| {
        knows(station, &[])
    });
}

#[test]
fn stations_come_and_go_by_reload_without_a_reset() {
    let first = StationPort::open();
    let reflector = Reflector::start(&first.configured("ribs = \"adj-rib-in-pre\""));
    let mut peer = Peer::up(reflector.port);
    peer.reach(&[nlri("203.0.113.0/24")], &attributes(1));
    let mut one = first.accept();
    one.until("a peer", |station| {
        station.known.contains_key(&PeerKind::Global)
    });

    let second = StationPort::open();
    let (pre, loc) = (
        first.configured("ribs = \"adj-rib-in-pre\""),
        second.configured("ribs = \"loc-rib\""),
    );
    reflector.reload(&format!("{pre}{loc}"));
    let mut two = second.accept();
    two.until("the best path", |station| {
        routes(station, PeerKind::LocRib).contains(&("203.0.113.0/24".to_owned(), Some(1)))
    });
    assert!(
        !two.known.contains_key(&PeerKind::Global),
        "it asked for best paths only"
    );

    // The first one goes, and is told; the session stays.
    reflector.reload(&loc);
    one.until("Termination", |station| {
        let last = |message: &Message| {
            matches!(
                message,
                Message::Termination {
                    reason: TerminationReason::AdministrativelyClosed,
                    ..
                }
            )
        };
        !station.seen(last).is_empty()
    });
    assert!(
        one.seen(|message| matches!(message, Message::PeerDown { .. }))
            .is_empty()
    );
    peer.reach(&[nlri("203.0.113.0/24")], &attributes(2));
    two.until("a change", |station| {
        routes(station, PeerKind::LocRib).contains(&("203.0.113.0/24".to_owned(), Some(2)))
    });

    // A station that wants what peers say, and comes late, hears of the session that is there.
    reflector.reload(&format!("{pre}{loc}"));
    let mut late = first.accept();
    late.until("the session of before", |station| {
        station.known.contains_key(&PeerKind::Global)
    });
}

/// So many routes, each with attributes of its own, as many times.
const ROUTES: u32 = 4000;
const ROUNDS: u32 = 12;

#[test]
fn a_slow_station_is_told_the_last_of_many_changes() {
    let port = StationPort::open();
    let reflector = Reflector::start(&port.configured(""));
    let mut peer = Peer::up(reflector.port);
    let mut station = port.accept();
    station.until("a peer", |station| {
        station.known.contains_key(&PeerKind::Global)
    });
    let mut resident = Vec::new();
    for round in 1..=ROUNDS {
        for route in 0..ROUTES {
            let [_, b, c, d] = route.to_be_bytes();
            let communities = (0..60).map(|n| chanter_bgp::Community(route << 8 | n));
            let large = attributes(round)
                .to_builder()
                .communities(communities.collect());
            peer.reach(&[nlri(&format!("10.{b}.{c}.{d}/32"))], &large.build());
        }
        let marker = format!("172.16.{round}.0/24");
        peer.reach(&[nlri(&marker)], &attributes(round));
        reflector.wait_for_destinations((ROUTES + round) as usize);
        resident.push(reflector.resident_kib());
    }
    let complete = |station: &Station, kind| {
        let known = routes(station, kind)
            .into_iter()
            .filter(|(_, med)| med.is_some());
        let known: Vec<_> = known.collect();
        known.len() == (ROUTES + ROUNDS) as usize
            && known
                .iter()
                .all(|(nlri, med)| nlri.starts_with("172.16.") || *med == Some(ROUNDS))
    };
    station.until("the last state", |station| {
        complete(station, PeerKind::Global) && complete(station, PeerKind::LocRib)
    });
    let told = station.seen(|message| matches!(message, Message::RouteMonitoring { peer, .. } if peer.kind == PeerKind::Global));
    assert!(
        told.len() < (ROUTES * ROUNDS) as usize,
        "{} messages: nothing ran together",
        told.len()
    );
    // What it has not taken would be some 40 MB.
    let (early, late) = (resident[2], resident[ROUNDS as usize - 1]);
    assert!(
        late < early + 16 * 1024,
        "resident KiB after each round: {resident:?}"
    );
}

/// A capture of what the station was sent, one TCP segment for each message.
fn wireshark_reads(station: &Station) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (capture, segments) = station.capture();
    std::fs::write(file.path(), capture).unwrap();
    let output = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:FALSE", "-V", "-Y", "bmp", "-d"])
        .arg(format!("tcp.port=={},bmp", monitored::CAPTURE_PORT))
        .arg("-r")
        .arg(file.path())
        .output()
        .expect("tshark is installed: run scripts/setup");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let packets: Vec<&str> = text.split("\nFrame ").collect();
    assert_eq!(packets.len(), segments);
    for packet in packets {
        // Wireshark 4.0 takes the information of a Peer Up (RFC 7854 section 4.10) for BGP.
        let is_known = packet.contains("Type: Peer Up") && packet.contains("Loc-RIB");
        assert!(is_known || !packet.contains("Malformed"), "{packet}");
    }
    for expected in [
        "Type: Statistics Report",
        "203.0.113.0/24",
        "Type: Peer Down",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
}
