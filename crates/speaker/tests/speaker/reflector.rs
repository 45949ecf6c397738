//! With the real engine: a route reflector between two clients.

use std::net::{IpAddr, SocketAddr};

use chanter_bgp::{
    Attributes, CodecContext, EvpnNlri, ExtendedCommunity, Family, HEADER_LEN, MacIp, Nlri, Origin,
    PathData, RouteEvent, UpdateBatch, UpdateWriter, decode_update,
};
use chanter_driver::EngineHandle;
use chanter_engine::EngineConfig;
use chanter_speaker::{ListenRange, Speaker};
use chanter_types::{EthernetTag, Prefix};

use crate::engine::{LOCAL_AS, config};
use crate::peer::{FakePeer, Heard, open, own_addr};

fn route() -> Nlri {
    Nlri::Evpn(EvpnNlri::MacIp(MacIp {
        rd: "192.0.2.1:7".parse().unwrap(),
        tag: EthernetTag::default(),
        mac: "02:00:00:00:00:01".parse().unwrap(),
        ip: Some("10.1.0.1".parse::<IpAddr>().unwrap()),
    }))
}

/// Hears UPDATEs until one says something of a route.
async fn hear_route(peer: &mut FakePeer) -> UpdateBatch {
    let context = CodecContext::default();
    loop {
        let Heard::Update(message) = peer.hear_news().await else {
            panic!("the session ends");
        };
        let mut batch = UpdateBatch::new();
        let mut faults = Vec::new();
        decode_update(&message[HEADER_LEN..], &context, &mut batch, &mut faults).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        if !matches!(batch.events[0], RouteEvent::EndOfRib(_)) {
            return batch;
        }
    }
}

#[tokio::test]
async fn a_route_of_one_client_reaches_the_other_and_goes_with_its_session() {
    let engine = EngineConfig {
        local_as: LOCAL_AS,
        router_id: [10, 0, 0, 5].into(),
        vtep: None,
        cluster_id: None,
        reflect: true,
        rt_constraint: false,
        sources: Vec::new(),
        peers_expected: 0,
        restarting: false,
        deferral: EngineConfig::DEFERRAL,
    };
    let (engine, _desired) = EngineHandle::spawn(engine).unwrap();
    let mut config = config();
    config.listen = vec![SocketAddr::new(own_addr(), 0)];
    let clients = [own_addr(), own_addr()];
    let mut range = ListenRange::new(Prefix::new(clients[0], 8).unwrap(), Some(LOCAL_AS));
    range.options.role_client = true;
    config.ranges = vec![range];
    let speaker = Speaker::start(config, engine).await.unwrap();
    let addr = speaker.listen_addrs()[0];
    let mut giver = FakePeer::connect(clients[0], addr).await;
    giver.establish(&open([10, 0, 0, 1])).await;
    let mut taker = FakePeer::connect(clients[1], addr).await;
    taker.establish(&open([10, 0, 0, 2])).await;

    let attributes = Attributes::builder()
        .origin(Origin::Igp)
        .next_hop(IpAddr::from([192, 0, 2, 1]))
        .local_pref(Some(100))
        .extended_communities(vec![
            ExtendedCommunity::route_target("64512:1".parse().unwrap()),
            ExtendedCommunity::encapsulation(chanter_bgp::encapsulation::VXLAN),
        ])
        .build();
    let data = PathData {
        label: 1000,
        ..PathData::default()
    };
    let mut octets = Vec::new();
    let context = CodecContext::default();
    let nlri = route();
    UpdateWriter::new(&context, &mut octets).reach(
        Family::L2VPN_EVPN,
        &attributes,
        [(&nlri, data)].into_iter(),
    );
    giver.send(&octets).await;
    let batch = hear_route(&mut taker).await;
    let [
        RouteEvent::Reach {
            nlri: heard,
            data: heard_data,
            attributes: index,
        },
    ] = &batch.events[..]
    else {
        panic!("{:?}", batch.events);
    };
    assert_eq!((heard, *heard_data), (&nlri, data));
    let heard = batch.attributes(*index).unwrap();
    // RFC 4456 section 8.
    assert_eq!(heard.originator_id(), Some([10, 0, 0, 1].into()));
    assert_eq!(heard.next_hop(), attributes.next_hop());

    drop(giver);
    let batch = hear_route(&mut taker).await;
    assert_eq!(batch.events, [RouteEvent::Withdraw { nlri, path_id: 0 }]);
}
