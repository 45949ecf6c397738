//! One capability: its code, then its value.

#![no_main]

use chanter_bgp::Capability;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((code, value)) = octets.split_first() else {
        return;
    };
    let value = value.get(..255).unwrap_or(value);
    let Some(capability) = Capability::decode(*code, value) else {
        return;
    };
    let _ = capability.to_string();
    let mut out = Vec::new();
    capability.encode(&mut out);
    assert_eq!(out[0], *code);
    assert_eq!(usize::from(out[1]), out.len() - 2);
    assert_eq!(Capability::decode(out[0], &out[2..]), Some(capability));
});
