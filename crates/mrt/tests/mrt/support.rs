//! An engine with peers, and bgpdump.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use chanter_bgp::{Attributes, Family, Nlri, PathData, RouteEvent, UpdateBatch};
use chanter_driver::EngineHandle;
use chanter_engine::{EngineConfig, Input, PeerId, PeerRole, SessionInfo};
use chanter_mrt::DumpPeer;
use chanter_types::Asn;

pub(crate) const LOCAL_AS: Asn = Asn(64512);

pub(crate) fn engine() -> EngineHandle {
    let config = EngineConfig {
        local_as: LOCAL_AS,
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        vtep: None,
        cluster_id: None,
        reflect: true,
        rt_constraint: false,
        sources: vec![],
        peers_expected: 0,
        restarting: false,
        deferral: EngineConfig::DEFERRAL,
    };
    EngineHandle::spawn(config).expect("a thread can be had").0
}

pub(crate) fn peer(number: u8) -> DumpPeer {
    DumpPeer {
        id: PeerId(number.into()),
        router_id: Ipv4Addr::new(10, 0, 0, number),
        addr: Ipv4Addr::new(198, 51, 100, number).into(),
        asn: LOCAL_AS,
    }
}

pub(crate) async fn peer_up(engine: &EngineHandle, number: u8) {
    let peer = peer(number);
    let local: IpAddr = Ipv4Addr::new(198, 51, 100, 254).into();
    let session = SessionInfo {
        families: Family::SUPPORTED.to_vec(),
        ..SessionInfo::new(
            (peer.addr, local),
            (peer.asn, LOCAL_AS),
            peer.router_id,
            PeerRole::RouteReflectorClient,
        )
    };
    let input = Input::PeerUp {
        peer: peer.id,
        session: Box::new(session),
    };
    engine.input(input).await.expect("the engine runs");
}

/// Routes of one attribute set.
pub(crate) async fn advertise(
    engine: &EngineHandle,
    number: u8,
    attributes: &Attributes,
    routes: Vec<(Nlri, PathData)>,
) {
    let event = |(nlri, data)| RouteEvent::Reach {
        nlri,
        data,
        attributes: 0,
    };
    let batch = UpdateBatch {
        attributes: vec![attributes.clone()],
        events: routes.into_iter().map(event).collect(),
    };
    let input = Input::Updates {
        peer: peer(number).id,
        batch,
    };
    engine.input(input).await.expect("the engine runs");
}

pub(crate) fn attributes(last: u8) -> Attributes {
    Attributes::builder()
        .prepend(Asn(4_200_000_001))
        .next_hop(IpAddr::from([198, 51, 100, last]))
        .local_pref(100 + u32::from(last))
        .med(u32::from(last))
        .build()
}

pub(crate) fn nlri(text: &str) -> Nlri {
    text.parse().expect(text)
}

/// What bgpdump prints of a file, a line for each entry.
pub(crate) fn bgpdump(path: &Path) -> Vec<String> {
    let output = Command::new("bgpdump")
        .args(["-m", "-v"])
        .arg(path)
        .output()
        .expect("bgpdump is installed: run scripts/setup");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !said.contains("[warn]") && !said.contains("[error]"),
        "{said}"
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}
