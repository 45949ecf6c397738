//! What Wireshark makes of each kind of message.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use chanter_bgp::Family;
use chanter_bmp::message::*;
use chanter_bmp::{LocRibInfo, loc_rib_peer_up};
use chanter_types::Asn;
use std::time::SystemTime;

use crate::support::*;

const PORT: u16 = 11019;

/// The place of the one message with information behind the OPENs.
const LOC_RIB_UP: usize = 5;

/// A capture of one TCP segment for each message; checksums are left out.
fn capture(messages: &[Message]) -> Vec<u8> {
    /// Packets begin with the IP header.
    const LINK_TYPE_RAW: u32 = 101;
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4u32.to_be_bytes());
    out.extend([0, 2, 0, 4]);
    out.extend([0; 8]);
    out.extend(65_535u32.to_be_bytes());
    out.extend(LINK_TYPE_RAW.to_be_bytes());
    let mut sequence = 1u32;
    for message in messages {
        let mut data = Vec::new();
        message.encode(&mut data);
        let len = 40 + data.len() as u32;
        out.extend([0; 8]);
        out.extend(len.to_be_bytes());
        out.extend(len.to_be_bytes());
        out.extend([0x45, 0]);
        out.extend((len as u16).to_be_bytes());
        out.extend([0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        out.extend(40_000u16.to_be_bytes());
        out.extend(PORT.to_be_bytes());
        out.extend(sequence.to_be_bytes());
        out.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
        sequence += data.len() as u32;
        out.extend(data);
    }
    out
}

fn messages() -> Vec<Message> {
    let peer = header(PeerKind::Global);
    let up = PeerUp {
        local_addr: [198, 51, 100, 254].into(),
        local_port: 40000,
        remote_port: 179,
        sent_open: open(64512, [10, 0, 0, 9]),
        received_open: open(4_200_000_001, [10, 0, 0, 1]),
        information: Vec::new(),
    };
    let notification = chanter_bgp::NotificationMessage {
        code: 6,
        subcode: 2,
        data: Vec::new(),
    };
    let mut octets = Vec::new();
    notification.encode(&mut octets);
    let info = LocRibInfo {
        asn: Asn(64512),
        router_id: [10, 0, 0, 9].into(),
        table: "global".to_owned(),
        distinguisher: 0,
        families: vec![Family::IPV4_UNICAST],
        add_path: false,
    };
    let now = SystemTime::now();
    let update = update("203.0.113.0/24");
    vec![
        Message::Initiation(vec![
            Information::text(Information::SYS_DESCR, "a description"),
            Information::text(Information::SYS_NAME, "a-name"),
        ]),
        Message::PeerUp {
            peer,
            up: Box::new(up),
        },
        Message::RouteMonitoring {
            peer,
            update: update.clone(),
        },
        Message::StatisticsReport {
            peer,
            statistics: vec![
                Statistic::Counter(Statistic::REJECTED_BY_POLICY, 5),
                Statistic::Gauge(Statistic::ADJ_RIB_IN, 77),
                Statistic::FamilyGauge(Statistic::ADJ_RIB_IN_OF_FAMILY, Family::IPV4_UNICAST, 77),
            ],
        },
        Message::PeerDown {
            peer,
            reason: PeerDownReason::RemoteNotification(Bytes::from(octets)),
        },
        loc_rib_peer_up(&info, now),
        Message::RouteMonitoring {
            peer: info.header(now),
            update,
        },
        Message::Termination {
            reason: TerminationReason::AdministrativelyClosed,
            text: "maintenance".to_owned(),
        },
    ]
}

#[test]
fn wireshark_reads_every_kind_of_message() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), capture(&messages())).unwrap();
    let output = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:FALSE", "-V", "-Y", "bmp", "-d"])
        .arg(format!("tcp.port=={PORT},bmp"))
        .arg("-r")
        .arg(file.path())
        .output()
        .expect("tshark is installed: run scripts/setup");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let packets: Vec<&str> = text.split("\nFrame ").collect();
    assert_eq!(packets.len(), 8, "{text}");
    for (number, packet) in packets.iter().enumerate() {
        // Wireshark 4.0 takes the information of a Peer Up (RFC 7854 section 4.10) for BGP.
        let is_known = number == LOC_RIB_UP;
        assert!(is_known || !packet.contains("Malformed"), "{packet}");
    }
    let expected: [&[&str]; 8] = [
        &["Type: Initiation", "a description", "a-name"],
        &[
            "Type: Peer Up",
            "Address: 198.51.100.1",
            "ASN: 4200000001",
            "BGP ID: 10.0.0.1",
            "Local Address: 198.51.100.254",
            "Local Port: 40000",
            "Remote Port: 179",
            "OPEN Message",
            "BGP Identifier: 10.0.0.9",
        ],
        &[
            "Type: Route Monitoring",
            "UPDATE Message",
            "203.0.113.0/24",
            "AS4: 4200000001",
        ],
        &["Type: Statistics Report", "Stats Count: 3"],
        &["Type: Peer Down", "NOTIFICATION Message", "Cease"],
        &["Type: Peer Up", "Loc-RIB", "ASN: 64512"],
        &["Type: Route Monitoring", "Loc-RIB", "203.0.113.0/24"],
        &["Type: Termination", "administratively closed"],
    ];
    for (packet, expected) in packets.iter().zip(expected) {
        for part in expected {
            assert!(packet.contains(part), "no {part:?} in {packet}");
        }
    }
}
