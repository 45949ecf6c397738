//! Records there and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use chanter_bgp::Family;
use chanter_mrt::bgp4mp::{self, Session, What};
use chanter_mrt::record::{Record, RecordError, records};
use chanter_mrt::table_dump::{Entry, Peer, PeerIndex, Rib};
use proptest::prelude::*;

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into()),
        any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).into()),
    ]
}

fn any_pair() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<[[u8; 4]; 2]>()
            .prop_map(|[a, b]| (Ipv4Addr::from(a).into(), Ipv4Addr::from(b).into())),
        any::<[[u8; 16]; 2]>()
            .prop_map(|[a, b]| (Ipv6Addr::from(a).into(), Ipv6Addr::from(b).into())),
    ]
}

fn any_rib() -> impl Strategy<Value = (Rib, bool)> {
    let octets = || prop::collection::vec(any::<u8>(), 0..40);
    let entry = (any::<u16>(), any::<u32>(), any::<u32>(), octets());
    let entries = prop::collection::vec(entry, 0..5);
    (
        any::<u32>(),
        any::<[u8; 16]>(),
        any::<bool>(),
        0u8..=32,
        entries,
        any::<bool>(),
    )
        .prop_map(|(sequence, addr, is_ipv6, len, entries, add_path)| {
            let (family, len) = match is_ipv6 {
                true => (Family::IPV6_UNICAST, len * 4),
                false => (Family::IPV4_UNICAST, len),
            };
            let mut nlri = vec![len];
            nlri.extend_from_slice(&addr[..usize::from(len).div_ceil(8)]);
            let entry = |(peer, originated, path_id, attributes)| Entry {
                peer,
                originated,
                path_id: if add_path { path_id } else { 0 },
                attributes,
            };
            let entries = entries.into_iter().map(entry).collect();
            (
                Rib {
                    sequence,
                    family,
                    nlri,
                    entries,
                },
                add_path,
            )
        })
}

fn one(octets: &[u8]) -> Record<'_> {
    let mut all = records(octets);
    let record = all.next().unwrap().unwrap();
    assert!(all.next().is_none());
    record
}

proptest! {
    #[test]
    fn peer_indexes(
        collector in any::<[u8; 4]>(),
        view in "[a-z]{0,9}",
        peers in prop::collection::vec((any::<[u8; 4]>(), any_ip(), any::<u32>()), 0..9),
    ) {
        let peer = |(router_id, addr, asn): ([u8; 4], IpAddr, u32)| Peer {
            router_id: router_id.into(),
            addr,
            asn,
        };
        let peers = peers.into_iter().map(peer).collect();
        let index = PeerIndex { collector: collector.into(), view, peers };
        let mut out = Vec::new();
        index.encode(7, &mut out);
        prop_assert_eq!(PeerIndex::decode(&one(&out)), Ok(index));
    }

    #[test]
    fn destinations((rib, add_path) in any_rib()) {
        let mut out = Vec::new();
        rib.encode(7, add_path, &mut out);
        prop_assert_eq!(Rib::decode(&one(&out)), Ok(rib));
        for len in 1..out.len() {
            prop_assert!(records(&out[..len]).any(|record| record.is_err()));
        }
    }

    #[test]
    fn messages(
        (peer_addr, local_addr) in any_pair(),
        numbers in any::<(u16, u16, u16)>(),
        flags in any::<(bool, bool, bool)>(),
        octets in prop::collection::vec(any::<u8>(), 0..50),
        micros in 0u64..u64::from(u32::MAX),
    ) {
        let session = Session {
            peer_as: numbers.0.into(),
            local_as: numbers.1.into(),
            interface: numbers.2,
            peer_addr,
            local_addr,
        };
        let message = What::Message {
            is_local: flags.0,
            add_path: flags.1,
            four_octet_as: flags.2,
            octets: &octets,
        };
        let change = What::StateChange { old: 1, new: numbers.0 };
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        for what in [message, change] {
            let mut out = Vec::new();
            bgp4mp::encode(at, &session, &what, &mut out);
            let record = one(&out);
            prop_assert_eq!(bgp4mp::decode(&record), Ok((session, what)));
            let time = u64::from(record.seconds) * 1_000_000
                + u64::from(record.microseconds.unwrap());
            prop_assert_eq!(time, micros);
        }
    }

    #[test]
    fn nothing_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 10u8..20) {
        let mut octets = octets;
        if let Some(head) = octets.first_chunk_mut::<12>() {
            head[4..6].copy_from_slice(&[0, kind]);
            head[6] = 0;
            head[7] %= 14;
            head[8..11].fill(0);
        }
        for record in records(&octets).flatten() {
            let _ = bgp4mp::decode(&record);
            let _ = PeerIndex::decode(&record);
            let _ = Rib::decode(&record);
            let _ = Rib::decode_generic(&record, 5);
        }
    }
}

#[test]
fn a_file_that_is_none_is_found_out() {
    let error = records(&[0xff; 100]).next().unwrap().unwrap_err();
    assert_eq!(error, RecordError::TooLong(u32::MAX));
}
