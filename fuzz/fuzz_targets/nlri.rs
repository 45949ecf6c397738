//! NLRI of each family, within an UPDATE that is right but for them: the first octet chooses the
//! family and whether they are advertised or withdrawn.

#![no_main]

use chanter_bgp::{
    CodecContext, Family, FlowSpecNlri, Nlri, RouteEvent, UpdateBatch, decode_update,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((choice, nlri)) = octets.split_first() else {
        return;
    };
    let nlri = nlri.get(..4000).unwrap_or(nlri);
    let family = Family::SUPPORTED[usize::from(choice >> 1) % Family::SUPPORTED.len()];
    let body = if choice & 1 == 0 {
        reach(family, nlri)
    } else {
        unreach(family, nlri)
    };
    let ctx = CodecContext {
        add_path_receive: [Family::L2VPN_EVPN, Family::IPV4_VPN, Family::IPV4_FLOWSPEC].into(),
        extended_next_hop: [Family::IPV4_UNICAST, Family::IPV4_VPN].into(),
        ..CodecContext::default()
    };
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let result = decode_update(&body, &ctx, &mut batch, &mut faults);
    if result.is_err() {
        assert!(!faults.is_empty() && batch == UpdateBatch::new());
    }
    for event in &batch.events {
        if let RouteEvent::Reach { nlri, .. } | RouteEvent::Withdraw { nlri, .. } = event {
            assert_eq!(nlri.family(), family);
            assert_eq!(nlri.to_string().parse(), Ok(nlri.clone()));
            if let Nlri::FlowSpec(flow) = nlri {
                let components: Vec<_> = flow.components().collect();
                let again = FlowSpecNlri::new(flow.family(), flow.rd(), &components);
                assert_eq!(again.as_ref(), Ok(flow));
                assert!(flow.precedence(flow).is_eq());
            }
        }
    }
});

fn reach(family: Family, nlri: &[u8]) -> Vec<u8> {
    let mut value = mp(family);
    let addr = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    match family {
        Family::IPV4_VPN | Family::IPV6_VPN => {
            value.extend([24, 0, 0, 0, 0, 0, 0, 0, 0]);
            value.extend(addr);
        }
        family if family.is_flowspec() => value.push(0),
        _ => {
            value.push(16);
            value.extend(addr);
        }
    }
    value.push(0);
    value.extend(nlri);
    // ORIGIN and an empty AS_PATH behind it.
    body(14, &value, &[0x40, 1, 1, 0, 0x40, 2, 0])
}

fn unreach(family: Family, nlri: &[u8]) -> Vec<u8> {
    let mut value = mp(family);
    value.extend(nlri);
    body(15, &value, &[])
}

fn mp(family: Family) -> Vec<u8> {
    let [a, b] = family.afi.to_be_bytes();
    vec![a, b, family.safi]
}

fn body(code: u8, value: &[u8], others: &[u8]) -> Vec<u8> {
    let len = |len: usize| u16::try_from(len).expect("below 5000").to_be_bytes();
    let mut body = vec![0, 0];
    body.extend(len(4 + value.len() + others.len()));
    body.extend([0x90, code]);
    body.extend(len(value.len()));
    body.extend(value);
    body.extend(others);
    body
}
