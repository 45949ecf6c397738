//! The value of one attribute, behind an octet of flags and one of type, in an UPDATE that is right
//! otherwise. What is kept is told in words, and made anew by the builder.

#![no_main]

use chanter_bgp::{CodecContext, RouteEvent, UpdateBatch, decode_update};
use libfuzzer_sys::fuzz_target;

/// ORIGIN, AS_PATH and NEXT_HOP.
const BASE: [u8; 14] = [0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 1];
const ROUTE: [u8; 2] = [8, 10];

fuzz_target!(|octets: &[u8]| {
    let Some((&[flags, code], value)) = octets.split_first_chunk() else {
        return;
    };
    let Ok(len) = u16::try_from(value.len()) else {
        return;
    };
    let Some(all) = len.checked_add(4 + BASE.len() as u16) else {
        return;
    };
    let mut body = vec![0, 0];
    body.extend(all.to_be_bytes());
    body.extend(BASE);
    body.extend([flags | 0x10, code]);
    body.extend(len.to_be_bytes());
    body.extend_from_slice(value);
    body.extend(ROUTE);
    let ctx = CodecContext {
        message_len_max: 65535,
        ..CodecContext::default()
    };
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let result = decode_update(&body, &ctx, &mut batch, &mut faults);
    assert!(result.is_ok() || !faults.is_empty());
    assert!(result.is_ok() == !batch.is_empty());
    for event in &batch.events {
        if let RouteEvent::Reach { attributes, .. } = event {
            let attributes = batch.attributes(*attributes).expect("the index is within");
            assert!(!attributes.to_string().is_empty());
            assert_eq!(attributes.to_builder().build(), *attributes);
            let _ = attributes.tunnel_encapsulation();
            let _ = (attributes.prefix_sid(), attributes.attr_set());
            let _ = (attributes.aigp(), attributes.only_to_customer());
        }
    }
});
