//! Dumps.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use chanter_bgp::{Family, PathData};
use chanter_driver::EngineHandle;
use chanter_engine::view::{PathSource, PathView, RoutePage, RouteQuery, RouteView};
use chanter_mrt::record::records;
use chanter_mrt::table_dump::{PeerIndex, RIB_GENERIC, RIB_GENERIC_ADDPATH, Rib};
use chanter_mrt::{DumpConfig, DumpPeer, FileName, RibDump, RibPages};
use chanter_types::Instant;
use flate2::read::GzDecoder;

use crate::support::*;

fn config(directory: &Path, gzip: bool) -> DumpConfig {
    let pattern = directory.join("rib.%Y%m%d").to_string_lossy().into_owned();
    DumpConfig {
        name: FileName::new(&pattern, gzip).unwrap(),
        interval: None,
        families: Vec::new(),
        router_id: "192.0.2.1".parse().unwrap(),
        local_as: LOCAL_AS,
    }
}

fn start(engine: &EngineHandle, directory: &Path) -> RibDump {
    let peers = || vec![peer(1), peer(2)];
    RibDump::start(config(directory, false), (engine.clone(), peers))
}

/// A RIB of one page, all of it from the first peer.
struct Listed(Vec<RouteView>);

impl RibPages for Listed {
    fn peers(&self) -> Vec<DumpPeer> {
        vec![peer(1), peer(2)]
    }

    async fn page(&self, _: RouteQuery) -> Option<RoutePage> {
        Some(RoutePage {
            routes: self.0.clone(),
            next: None,
        })
    }

    fn time_of_day(&self, at: Instant) -> SystemTime {
        SystemTime::UNIX_EPOCH + at.since_epoch()
    }
}

fn route(text: &str, paths: &[PathData]) -> RouteView {
    let path = |data: &PathData| PathView {
        source: PathSource::Peer {
            peer: peer(1).id,
            addr: peer(1).addr,
        },
        attributes: attributes(1),
        data: *data,
        since: Instant::from_secs(77),
        stale: false,
        lost_because: None,
        imported_by: Vec::new(),
    };
    RouteView {
        nlri: nlri(text),
        paths: paths.iter().map(path).collect(),
    }
}

#[tokio::test]
async fn bgpdump_reads_what_two_peers_said() {
    let (engine, directory) = (engine(), tempfile::tempdir().unwrap());
    peer_up(&engine, 1).await;
    peer_up(&engine, 2).await;
    // More than one page of the engine.
    let many = (0..1200u32).map(|number| {
        let text = format!("10.{}.{}.0/24", number / 256, number % 256);
        (nlri(&text), PathData::default())
    });
    advertise(&engine, 1, &attributes(1), many.collect()).await;
    let both = vec![(nlri("10.0.1.0/24"), PathData::default())];
    advertise(&engine, 2, &attributes(2), both).await;
    let v6 = vec![(nlri("2001:db8:1::/48"), PathData::default())];
    advertise(&engine, 2, &attributes(2), v6).await;

    let dump = start(&engine, directory.path());
    let done = dump.now().await.unwrap();
    // Our own RT membership is one more.
    assert_eq!(
        (done.destinations, done.paths, done.left_out),
        (1202, 1203, 0)
    );
    let lines = bgpdump(&done.path);
    let routes: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("TABLE_DUMP2"))
        .collect();
    assert_eq!(routes.len(), 1202, "{:?}", lines.last());
    let of = |prefix: &str| -> Vec<&str> {
        let found = routes
            .iter()
            .filter(|line| line.contains(&format!("|{prefix}|")));
        // Without the time.
        found
            .map(|line| line.splitn(3, '|').nth(2).unwrap())
            .collect()
    };
    let path = "B|198.51.100.1|64512|10.4.175.0/24|4200000001|IGP|198.51.100.1|101|1||NAG||";
    assert_eq!(of("10.4.175.0/24"), [path]);
    assert_eq!(of("10.0.1.0/24").len(), 2);
    assert!(
        of("10.0.1.0/24")[0].starts_with("B|198.51.100.2|64512|"),
        "the best first"
    );
    assert!(of("2001:db8:1::/48")[0].starts_with("B|198.51.100.2|64512|2001:db8:1::/48|"));

    // A second dump of the day does not replace the first.
    let again = dump.now().await.unwrap();
    assert_ne!(again.path, done.path);
    let names = fs::read_dir(directory.path()).unwrap();
    assert_eq!(names.count(), 2, "nothing temporary is left");
}

#[tokio::test]
async fn other_families_are_generic_and_path_identifiers_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let with_id = |path_id| PathData {
        path_id,
        ..PathData::with_label(16 << 4 | 1)
    };
    let mac_ip = "[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.1.0.1] rd 10.0.0.1:5";
    let routes = Listed(vec![
        route("10.1.0.0/16", &[with_id(1), with_id(2)]),
        route("64512:9 10.9.0.0/16", &[with_id(1), with_id(2)]),
        route(mac_ip, &[PathData::with_label(100)]),
    ]);

    let dump = RibDump::start(config(directory.path(), true), routes);
    let done = dump.now().await.unwrap();
    assert!(done.path.to_string_lossy().ends_with(".gz"));
    assert_eq!((done.paths, done.left_out), (5, 0));
    let mut octets = Vec::new();
    let file = fs::File::open(&done.path).unwrap();
    GzDecoder::new(file).read_to_end(&mut octets).unwrap();
    assert_eq!(octets.len() as u64, done.octets);
    let all: Vec<_> = records(&octets).collect::<Result<_, _>>().unwrap();
    let index = PeerIndex::decode(&all[0]).unwrap();
    assert_eq!((index.peers.len(), index.peers[1].addr), (3, peer(1).addr));

    let unicast: Vec<Rib> = all
        .iter()
        .filter_map(|record| Rib::decode(record).ok())
        .collect();
    assert_eq!(unicast.len(), 1);
    assert_eq!(unicast[0].nlri, [16, 10, 1]);
    let mut ids: Vec<u32> = unicast[0]
        .entries
        .iter()
        .map(|entry| entry.path_id)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    assert_eq!(unicast[0].entries[0].originated, 77);

    // RFC 8050 section 4: path identifier, then length, label, route distinguisher, prefix.
    let generic = all
        .iter()
        .filter(|record| record.subtype == RIB_GENERIC_ADDPATH);
    let mut vpn: Vec<Rib> = generic
        .map(|record| Rib::decode_generic(record, 4 + 14).unwrap())
        .collect();
    vpn.sort_by(|a, b| a.nlri.cmp(&b.nlri));
    assert_eq!(vpn.len(), 2);
    assert_eq!(vpn[0].family, Family::IPV4_VPN);
    let nlri = [104, 0, 1, 1, 0, 0, 0xfc, 0, 0, 0, 0, 9, 10, 9];
    assert_eq!(vpn[0].nlri[..4], 1u32.to_be_bytes());
    assert_eq!(vpn[0].nlri[4..], nlri);
    // Section 4.3.4: of MP_REACH_NLRI the next hop only.
    let next_hop = [0x80, 14, 13, 12, 0, 0, 0, 0, 0, 0, 0, 0, 198, 51, 100, 1];
    let attributes = &vpn[0].entries[0].attributes;
    assert!(
        attributes
            .windows(next_hop.len())
            .any(|part| part == next_hop),
        "{attributes:?}"
    );

    let evpn = all
        .iter()
        .find(|record| record.subtype == RIB_GENERIC)
        .unwrap();
    let evpn = Rib::decode_generic(evpn, 2 + 37).unwrap();
    assert_eq!(
        (evpn.family, evpn.nlri[0], evpn.nlri[1]),
        (Family::L2VPN_EVPN, 2, 37)
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_said() {
    let engine = engine();
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = start(&engine, file.path()).now().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("rib.") && text.contains("exists"), "{text}");
}

#[test]
fn file_names_are_checked_when_they_are_given() {
    for wrong in ["", "a/", "%!"] {
        let error = FileName::new(wrong, false).unwrap_err().to_string();
        assert!(error.contains("strftime"), "{error}");
    }
    FileName::new("/var/log/updates.%Y%m%d.%H%M", true).unwrap();
}
