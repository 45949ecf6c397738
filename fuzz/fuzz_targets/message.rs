//! Framing, and all messages but the inside of UPDATE.

#![no_main]

use chanter_bgp::{
    HEADER_LEN, MESSAGE_LEN_EXTENDED, MESSAGE_LEN_MAX, Message, decode_message, frame_len,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Some(header) = octets.first_chunk::<HEADER_LEN>() {
        for message_len_max in [MESSAGE_LEN_MAX, MESSAGE_LEN_EXTENDED] {
            if let Ok(len) = frame_len(header, message_len_max) {
                assert!((HEADER_LEN..=message_len_max).contains(&len));
            }
        }
    }
    let mut again = Vec::new();
    match decode_message(octets) {
        Err(notification) => {
            notification.encode(&mut again);
            assert!(decode_message(&again).is_ok());
        }
        Ok(Message::Notification(notification)) => {
            let _ = notification.to_string();
            notification.encode(&mut again);
            // What is longer than 4096 octets is cut.
            if octets.len() <= MESSAGE_LEN_MAX {
                assert_eq!(
                    decode_message(&again),
                    Ok(Message::Notification(notification))
                );
            }
        }
        Ok(Message::RouteRefresh(refresh)) => {
            refresh.encode(&mut again);
            assert_eq!(decode_message(&again), Ok(Message::RouteRefresh(refresh)));
        }
        Ok(Message::Open(_) | Message::Update(_) | Message::Keepalive) => {}
    }
});
