//! Messages recorded from other BGP speakers, with what they mean; see `data/README.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chanter_bgp::{
    CodecContext, Family, Message, RouteEvent, UpdateBatch, decode_message, decode_update,
};

/// What a message says, a line for each thing.
fn describe(message: &[u8], ctx: &CodecContext) -> String {
    let mut text = String::new();
    match decode_message(message) {
        Err(notification) => writeln!(text, "error {notification}"),
        Ok(Message::Keepalive) => writeln!(text, "keepalive"),
        Ok(Message::Notification(notification)) => writeln!(text, "notification {notification}"),
        Ok(Message::RouteRefresh(refresh)) => writeln!(text, "{refresh}"),
        Ok(Message::Open(open)) => {
            let (asn, hold, id) = (open.asn, open.hold_time, open.router_id);
            let mut lines = format!("open as {asn} hold-time {hold} id {id}\n");
            for capability in &open.capabilities {
                lines.push_str(&format!("  {capability}\n"));
            }
            write!(text, "{lines}")
        }
        Ok(Message::Update(body)) => write!(text, "{}", describe_update(body, ctx)),
    }
    .expect("a String takes everything");
    text
}

/// What was negotiated where a message was recorded, by the name of the file.
fn context(path: &Path) -> CodecContext {
    let name = path.to_string_lossy();
    let mut ctx = CodecContext::default();
    if name.ends_with("-add-path.txt") {
        ctx.add_path_receive = [
            Family::IPV4_UNICAST,
            Family::IPV6_UNICAST,
            Family::IPV4_VPN,
            Family::IPV6_VPN,
        ]
        .into();
    }
    if name.ends_with("-extended-next-hop.txt") {
        ctx.extended_next_hop = [Family::IPV4_UNICAST, Family::IPV4_VPN].into();
    }
    ctx
}

fn describe_update(body: &[u8], ctx: &CodecContext) -> String {
    let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
    let result = decode_update(body, ctx, &mut batch, &mut faults);
    let mut lines: Vec<String> = Vec::new();
    for event in &batch.events {
        match event {
            RouteEvent::Reach {
                nlri,
                data,
                attributes,
            } => {
                let attributes = batch.attributes(*attributes).expect("the index is within");
                lines.push(format!(
                    "reach {nlri} label {} esi {}",
                    data.label,
                    data.esi()
                ));
                lines.extend(data.gateway().map(|gateway| format!("  gateway {gateway}")));
                lines.extend((data.path_id > 0).then(|| format!("  path {}", data.path_id)));
                lines.push(format!("  {attributes}"));
            }
            RouteEvent::Withdraw { nlri, path_id: 0 } => lines.push(format!("withdraw {nlri}")),
            RouteEvent::Withdraw { nlri, path_id } => {
                lines.push(format!("withdraw {nlri} path {path_id}"));
            }
            RouteEvent::EndOfRib(family) => lines.push(format!("end-of-rib {family}")),
        }
    }
    lines.extend(faults.iter().map(|fault| format!("fault {fault}")));
    lines.extend(
        result
            .err()
            .map(|notification| format!("error {notification}")),
    );
    lines.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

#[test]
fn recorded_messages_mean_what_is_written_below_them() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut messages = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of captures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a capture");
        let mut actual = String::new();
        for message in text.lines().filter_map(|line| line.strip_prefix("> ")) {
            writeln!(
                actual,
                "> {message}\n{}",
                describe(&unhex(message), &context(&path))
            )
            .expect("a String");
            messages += 1;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &actual).expect("the capture is written");
            continue;
        }
        assert_eq!(
            text,
            actual,
            "{}: UPDATE_EXPECT=1 rewrites it",
            path.display()
        );
    }
    assert!(messages > 50, "only {messages} messages found");
}
