//! The body of UPDATE, behind one octet that says what was negotiated. What is accepted must be the
//! same after encoding and decoding again.

#![no_main]

use chanter_bgp::{
    CodecContext, Family, Message, PathData, RouteEvent, UpdateBatch, UpdateWriter, decode_message,
    decode_update, frame_len,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((flags, body)) = octets.split_first() else {
        return;
    };
    let add_path: &[Family] = if flags & 4 == 0 {
        &[]
    } else {
        &Family::SUPPORTED
    };
    let ctx = CodecContext {
        four_octet_as: flags & 1 == 0,
        ebgp: flags & 2 != 0,
        message_len_max: 65535,
        add_path_receive: add_path.iter().copied().collect(),
        add_path_send: add_path.iter().copied().collect(),
        extended_next_hop: [Family::IPV4_UNICAST, Family::IPV4_VPN].into(),
        ..CodecContext::default()
    };
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let result = decode_update(body, &ctx, &mut batch, &mut faults);
    for fault in &faults {
        assert!(fault.offset <= 19 + body.len(), "{fault}");
    }
    if result.is_err() {
        assert!(!faults.is_empty() && batch == UpdateBatch::new());
        return;
    }
    // Numbers of four octets that a two-octet peer sent in confederation segments are lost, so the
    // way back is one that loses nothing.
    let ctx = CodecContext {
        four_octet_as: true,
        ebgp: false,
        ..ctx
    };
    let again = decode_all(&encode(&batch, &ctx), &ctx);
    assert_eq!(resolved(&again), resolved(&batch));
});

fn encode(batch: &UpdateBatch, ctx: &CodecContext) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = UpdateWriter::new(ctx, &mut out);
    for event in &batch.events {
        match event {
            RouteEvent::Reach {
                nlri,
                data,
                attributes,
            } => {
                let attributes = batch.attributes(*attributes).expect("the index is within");
                let _ = format!("{nlri} {attributes}");
                assert_eq!(attributes.to_builder().build(), *attributes);
                // One that does not fit any more is left out.
                writer.reach(nlri.family(), attributes, [(nlri, *data)]);
            }
            RouteEvent::Withdraw { nlri, path_id } => {
                let data = PathData {
                    path_id: *path_id,
                    ..PathData::default()
                };
                writer.withdraw(nlri.family(), [(nlri, data)]);
            }
            RouteEvent::EndOfRib(family) => writer.end_of_rib(*family),
        }
    }
    out
}

fn decode_all(octets: &[u8], ctx: &CodecContext) -> UpdateBatch {
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let mut rest = octets;
    while let Some(header) = rest.first_chunk() {
        let (frame, tail) = rest.split_at(frame_len(header, 65535).expect("a valid header"));
        rest = tail;
        let Ok(Message::Update(body)) = decode_message(frame) else {
            panic!("not an UPDATE")
        };
        decode_update(body, ctx, &mut batch, &mut faults).expect("our own UPDATE is valid");
    }
    assert_eq!(faults, [], "our own UPDATE is valid");
    batch
}

/// The events with their attributes in place of indexes.
fn resolved(batch: &UpdateBatch) -> Vec<String> {
    let resolve = |event: &RouteEvent| match event {
        RouteEvent::Reach {
            nlri,
            data,
            attributes,
        } => {
            format!("{nlri:?} {data:?} {:?}", batch.attributes(*attributes))
        }
        other => format!("{other:?}"),
    };
    batch.events.iter().map(resolve).collect()
}
