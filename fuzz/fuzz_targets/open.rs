//! The body of OPEN.

#![no_main]

use chanter_bgp::{Capability, Message, OpenMessage, decode_message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(open) = OpenMessage::decode(body) else {
        return;
    };
    let _ = open.families();
    let mut again = Vec::new();
    open.encode(&mut again);
    let encoded: usize = open.capabilities.iter().map(len).sum();
    // The rest of an OPEN with the extended form of optional parameters (RFC 9072) has 38 octets.
    if encoded + 38 <= 4096 {
        assert_eq!(decode_message(&again), Ok(Message::Open(open)));
    }
});

fn len(capability: &Capability) -> usize {
    let mut out = Vec::new();
    capability.encode(&mut out);
    out.len()
}
