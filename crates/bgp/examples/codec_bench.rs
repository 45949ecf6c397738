//! What decoding and encoding of UPDATEs cost, as octets in and octets out.
//!
//! `cargo run --release -p chanter-bgp --example codec_bench [ROUTES [FAMILY PER-SET]]` prints
//! nanoseconds for each NLRI, the best of several passes, by how many NLRIs share an attribute set.
//! Where they do not fit in one message of 4096 octets they go in several. Decoding includes the
//! attribute set with its fingerprint and the drop of the batch; encoding begins with attribute sets.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use chanter_bgp::{
    Attributes, CodecContext, ExtendedCommunity, Family, HEADER_LEN, MESSAGE_LEN_MAX, MacIp, Nlri,
    PathData, UpdateBatch, UpdateWriter, decode_update, encapsulation, frame_len,
};
use chanter_types::{Asn, EthernetTag, Ipv4Prefix, MacAddr, RouteDistinguisher, RouteTarget};

/// About what one read of a socket brings.
const READ_LEN: usize = 65536;
const PASSES: usize = 15;

fn main() {
    let argument = |at| std::env::args().nth(at);
    let number = |at| argument(at).and_then(|text| text.parse().ok());
    let routes = number(1).unwrap_or(100_000);
    println!(
        "{routes} routes, ns per NLRI\n{:<8}{:>8}{:>10}{:>10}{:>8}",
        "", "per set", "decode", "encode", "octets"
    );
    for family in [Family::IPV4_UNICAST, Family::L2VPN_EVPN] {
        let is_wanted = argument(2).is_none_or(|wanted| wanted == family.to_string());
        for per_set in [1, 10, 1000] {
            if is_wanted && number(3).is_none_or(|wanted| wanted == per_set) {
                run(family, routes, per_set);
            }
        }
    }
}

/// Routes that share an attribute set.
struct Group {
    attributes: Attributes,
    routes: Vec<(Nlri, PathData)>,
}

fn run(family: Family, routes: u32, per_set: u32) {
    let groups: Vec<Group> = (0..routes.div_ceil(per_set))
        .map(|number| group(family, number, per_set))
        .collect();
    let count = groups.iter().map(|group| group.routes.len()).sum::<usize>();
    let ctx = CodecContext {
        four_octet_as: true,
        families: [family].into_iter().collect(),
        ebgp: false,
        message_len_max: MESSAGE_LEN_MAX,
        ..CodecContext::default()
    };
    let mut wire = Vec::new();
    let encode = best(|| {
        wire.clear();
        let mut writer = UpdateWriter::new(&ctx, &mut wire);
        for group in &groups {
            let routes = group.routes.iter().map(|(nlri, data)| (nlri, *data));
            assert_eq!(
                writer.reach(family, &group.attributes, routes),
                group.routes.len()
            );
        }
    });
    let decode = best(|| assert_eq!(decode_all(&wire, &ctx), count));
    let per_route = |nanoseconds: u128| nanoseconds as f64 / count as f64;
    println!(
        "{:<8}{per_set:>8}{:>10.1}{:>10.1}{:>8.1}",
        family.to_string(),
        per_route(decode),
        per_route(encode),
        wire.len() as f64 / count as f64,
    );
}

/// Decodes message after message; gives how many routes there were. A frame of its own in profiles.
#[inline(never)]
fn decode_all(wire: &[u8], ctx: &CodecContext) -> usize {
    let (mut count, mut read) = (0, 0);
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let mut rest = wire;
    while let Some(header) = rest.first_chunk() {
        let len = frame_len(header, MESSAGE_LEN_MAX).expect("the writer writes messages");
        let (message, tail) = rest.split_at(len);
        decode_update(&message[HEADER_LEN..], ctx, &mut batch, &mut faults)
            .expect("the writer writes messages that are in order");
        rest = tail;
        read += len;
        if read >= READ_LEN || rest.is_empty() {
            count += black_box(&batch).events.len();
            batch.clear();
            read = 0;
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
    count
}

fn best(mut pass: impl FnMut()) -> u128 {
    let times = (0..PASSES).map(|_| {
        let start = Instant::now();
        pass();
        start.elapsed().as_nanos()
    });
    times.min().unwrap_or_default()
}

fn group(family: Family, number: u32, per_set: u32) -> Group {
    let next_hop = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + number % 1000));
    let builder = Attributes::builder().next_hop(next_hop).local_pref(100);
    let attributes = if family == Family::IPV4_UNICAST {
        builder.prepend(Asn(65000)).prepend(Asn(70000)).med(number)
    } else {
        builder.extended_communities(vec![
            ExtendedCommunity::route_target(RouteTarget::from_as2(64512, number)),
            ExtendedCommunity::encapsulation(encapsulation::VXLAN),
        ])
    };
    let routes = (0..per_set).map(|place| route(family, number * per_set + place));
    Group {
        attributes: attributes.build(),
        routes: routes.collect(),
    }
}

fn route(family: Family, number: u32) -> (Nlri, PathData) {
    if family == Family::IPV4_UNICAST {
        let prefix = Ipv4Prefix::host(Ipv4Addr::from_bits(0x0b00_0000 + number));
        return (Nlri::Ipv4(prefix), PathData::default());
    }
    let [a, b, c, d] = number.to_be_bytes();
    let nlri = Nlri::from(MacIp {
        rd: RouteDistinguisher::from_ipv4(Ipv4Addr::new(10, 0, 0, 1), 1),
        tag: EthernetTag(0),
        mac: MacAddr([2, 0, a, b, c, d]),
        ip: Some(Ipv4Addr::from_bits(0x0c00_0000 + number).into()),
    });
    let data = PathData {
        label: 1000,
        ..PathData::default()
    };
    (nlri, data)
}
