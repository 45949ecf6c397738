//! BMP messages: what is read is written again, and read as the same.

#![no_main]

use chanter_bmp::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut rest = octets;
    while let Ok(Some((message, behind))) = Message::split(rest) {
        assert!(behind.len() < rest.len());
        let mut again = Vec::new();
        message.encode(&mut again);
        if let Ok(Some((same, []))) = Message::split(&again) {
            let mut third = Vec::new();
            same.encode(&mut third);
            assert_eq!(again, third);
        }
        rest = behind;
    }
});
