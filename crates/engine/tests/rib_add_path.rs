//! Several paths of a destination to one peer (RFC 7911).

mod rib_support;

use std::collections::BTreeMap;

use chanter_bgp::{
    Attributes, CodecContext, Family, HEADER_LEN, Nlri, RouteEvent, UpdateBatch, decode_update,
    frame_len,
};
use chanter_engine::{PeerId, PeerRole};
use rib_support::{Net, attributes, config, nlri};

use PeerRole::RouteReflectorClient as Client;

const IPV4: &[Family] = &[Family::IPV4_UNICAST];

/// A peer that takes several paths, and what it was sent.
struct Taker {
    id: PeerId,
    paths: BTreeMap<(Nlri, u32), Attributes>,
    reaches: usize,
}

impl Taker {
    fn up(net: &mut Net, number: u32, limit: u8) -> Self {
        let mut session = rib_support::session(number, Client, IPV4);
        session.add_path_send = IPV4.to_vec();
        session.add_path_limit = limit;
        net.up_as(number, session);
        Taker {
            id: PeerId(number),
            paths: BTreeMap::new(),
            reaches: 0,
        }
    }

    fn drain(&mut self, net: &mut Net) {
        let context = CodecContext {
            add_path_receive: IPV4.iter().copied().collect(),
            ..CodecContext::default()
        };
        let mut octets = Vec::new();
        while net.rib.export(self.id, 4096, &mut octets) {}
        let mut batch = UpdateBatch::new();
        let mut faults = Vec::new();
        let mut rest = octets.as_slice();
        while let Some(header) = rest.first_chunk() {
            let len = frame_len(header, 4096).expect("our own message");
            let (message, tail) = rest.split_at(len);
            let body = &message[HEADER_LEN..];
            decode_update(body, &context, &mut batch, &mut faults).expect("our own message");
            rest = tail;
        }
        assert!(faults.is_empty(), "{faults:?}");
        for event in &batch.events {
            match event {
                RouteEvent::Reach {
                    nlri,
                    data,
                    attributes,
                } => {
                    self.reaches += 1;
                    let attributes = batch.attributes(*attributes).expect("of this batch");
                    let key = (nlri.clone(), data.path_id);
                    self.paths.insert(key, attributes.clone());
                }
                RouteEvent::Withdraw { nlri, path_id } => {
                    let gone = self.paths.remove(&(nlri.clone(), *path_id));
                    assert!(gone.is_some(), "{nlri} path {path_id} was not advertised");
                }
                RouteEvent::EndOfRib(_) => {}
            }
        }
    }

    /// LOCAL_PREF of what it has.
    fn preferences(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self
            .paths
            .values()
            .filter_map(Attributes::local_pref)
            .collect();
        all.sort_unstable();
        all
    }
}

fn with_preference(value: u32) -> Attributes {
    attributes().local_pref(value).build()
}

#[test]
fn all_paths_go_out_and_each_is_withdrawn_by_its_identifier() {
    let mut net = Net::new(config(false));
    let sources = [1, 2, 3].map(|number| net.up(number, Client, IPV4));
    let mut taker = Taker::up(&mut net, 4, 0);
    let plain = net.up(5, Client, IPV4);
    let prefix = nlri("10.0.0.0/8");
    for (source, preference) in sources.into_iter().zip([100, 300, 200]) {
        net.send(source, prefix.clone(), &with_preference(preference));
    }
    taker.drain(&mut net);
    assert_eq!(taker.preferences(), [100, 200, 300]);
    assert_eq!(net.drain(plain).routes[&prefix].1.local_pref(), Some(300));
    let ids: Vec<u32> = taker.paths.keys().map(|(_, id)| *id).collect();

    // What does not change the best path reaches who takes all, and nobody else.
    let reaches = net.received[&plain].reaches;
    net.send(sources[0], prefix.clone(), &with_preference(150));
    while net
        .rib
        .poll_export_ready()
        .is_some_and(|told| told != taker.id)
    {}
    taker.drain(&mut net);
    assert_eq!(taker.preferences(), [150, 200, 300]);
    assert_eq!(
        taker.paths.keys().map(|(_, id)| *id).collect::<Vec<_>>(),
        ids,
        "ids stay"
    );
    assert_eq!(net.drain(plain).reaches, reaches);

    net.withdraw(sources[2], prefix.clone());
    taker.drain(&mut net);
    assert_eq!(taker.preferences(), [150, 300]);
    net.withdraw(sources[1], prefix.clone());
    net.withdraw(sources[0], prefix);
    taker.drain(&mut net);
    assert!(taker.paths.is_empty());
    for peer in sources.into_iter().chain([plain]) {
        net.drain(peer);
    }
    assert!(net.rib.is_empty(), "nothing is held");
}

#[test]
fn a_limit_leaves_the_best_paths() {
    let mut net = Net::new(config(false));
    let sources = [1, 2, 3].map(|number| net.up(number, Client, IPV4));
    let mut taker = Taker::up(&mut net, 4, 2);
    let prefix = nlri("10.0.0.0/8");
    for (source, preference) in sources.into_iter().zip([100, 300, 200]) {
        net.send(source, prefix.clone(), &with_preference(preference));
    }
    taker.drain(&mut net);
    assert_eq!(taker.preferences(), [200, 300]);
    net.withdraw(sources[1], prefix);
    taker.drain(&mut net);
    assert_eq!(taker.preferences(), [100, 200]);
}

#[test]
fn a_peer_does_not_get_its_own_path_back() {
    let mut net = Net::new(config(false));
    let mut taker = Taker::up(&mut net, 1, 0);
    let other = net.up(2, Client, IPV4);
    let prefix = nlri("10.0.0.0/8");
    net.send(taker.id, prefix.clone(), &with_preference(300));
    net.send(other, prefix, &with_preference(200));
    taker.drain(&mut net);
    assert_eq!(taker.preferences(), [200]);
}
