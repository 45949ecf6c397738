//! ExaBGP, which says whatever it is told to: FlowSpec in all its forms, and UPDATEs of every kind.
//!
//! ```text
//!   e1: ExaBGP ---- iBGP ---- r1: chanter rr ---- iBGP ---- g2: GoBGP
//! ```
//!
//! 1. FlowSpec rules with every component and action that ExaBGP knows arrive at GoBGP; those that
//!    GoBGP originates arrive at ExaBGP. Withdrawals too.
//! 2. UPDATEs with long AS paths, hundreds of communities of every kind, unknown attributes, many
//!    routes in one message: each arrives as it was sent.
//! 3. A reset, and a killed ExaBGP, whose routes go at once since it does not know graceful restart.

use anyhow::{Result, ensure};
use chanter_interop::*;

const OURS: &str = r#"["ipv4-unicast", "ipv6-unicast", "ipv4-flowspec", "ipv6-flowspec"]"#;

/// Rules as ExaBGP's `flow route` writes them, each with a mark by which GoBGP shows it.
const RULES: [(&str, &str); 9] = [
    (
        "match { destination 10.1.0.0/24; } then { discard; }",
        "[destination: 10.1.0.0/24]",
    ),
    (
        "match { source 10.2.0.0/24; protocol tcp; destination-port =80; } then { rate-limit 9600; }",
        "[source: 10.2.0.0/24]",
    ),
    (
        "match { destination 10.3.0.0/24; port >1024&<2048; } then { redirect 65500:12345; }",
        "[destination: 10.3.0.0/24]",
    ),
    (
        "match { destination 10.4.0.0/24; source-port =1 =2 =3; protocol [ udp tcp ]; } then { discard; }",
        "[destination: 10.4.0.0/24]",
    ),
    (
        "match { destination 10.5.0.0/24; icmp-type echo-request; icmp-code 0; } then { discard; }",
        "[destination: 10.5.0.0/24]",
    ),
    (
        "match { destination 10.6.0.0/24; tcp-flags syn; } then { mark 32; }",
        "[destination: 10.6.0.0/24]",
    ),
    (
        "match { destination 10.7.0.0/24; packet-length >200&<300; dscp 46; } then { action sample; }",
        "[destination: 10.7.0.0/24]",
    ),
    (
        "match { destination 10.8.0.0/24; fragment [ first-fragment last-fragment ]; } then { discard; }",
        "[destination: 10.8.0.0/24]",
    ),
    (
        "match { destination 10.9.0.0/24; } then { redirect 10.97.0.13; }",
        "[destination: 10.9.0.0/24]",
    ),
];

#[test]
fn flowspec_and_updates_of_every_kind() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("e1", 11)?,
            lab.node("r1", 12)?,
            lab.node("g2", 13)?,
        ];
        let [e1, r1, g2] = &nodes;
        let text = [e1, g2].map(client).concat();
        let reflector = Reflector::configured(lab, r1, &text)?;
        let config = GobgpConfig {
            peers: vec![r1.ip().into()],
            families: vec![
                "ipv4-unicast",
                "ipv6-unicast",
                "ipv4-flowspec",
                "ipv6-flowspec",
            ],
            ..GobgpConfig::default()
        };
        let gobgp = Gobgp::start(lab, g2, &config)?;
        let config = ExabgpConfig {
            peer: r1.ip().into(),
            families: vec!["ipv4 unicast", "ipv6 unicast", "ipv4 flow", "ipv6 flow"],
            routes: String::new(),
            flow: String::new(),
        };
        let mut exabgp = Exabgp::start(lab, e1, &config)?;
        exabgp.wait_established()?;
        gobgp.wait_established(r1.ip().into())?;

        for (rule, _) in RULES {
            exabgp.say(&format!("announce flow route {{ {rule} }}"))?;
        }
        gobgp.cli(
            "global rib add -a ipv4-flowspec match destination 10.99.0.0/24 protocol tcp then discard",
        )?;
        wait_until(secs(60), "1: rules both ways", || {
            rules(&gobgp, true)?;
            hears(&exabgp, "10.99.0.0/24")
        })?;
        for (rule, _) in RULES {
            exabgp.say(&format!("withdraw flow route {{ {rule} }}"))?;
        }
        wait_until(secs(60), "1: withdrawn", || rules(&gobgp, false))?;

        let (announcements, marks) = updates();
        for line in &announcements {
            exabgp.say(line)?;
        }
        wait_until(secs(60), "2: all arrive as they were sent", || {
            let table = gobgp.json("global rib -a ipv4")?;
            for (prefix, texts) in &marks {
                let path = table[prefix][0].to_string();
                for text in texts {
                    ensure!(path.contains(text.as_str()), "{prefix}: no {text}: {path}");
                }
            }
            Ok(())
        })?;
        let peers = reflector.cli(&["show", "peers"])?.to_string();
        ensure!(peers.matches("\"Established\"").count() >= 2, "{peers}");

        exabgp.restart()?;
        wait_until(secs(60), "3: its routes are gone", || {
            let table = gobgp.json("global rib -a ipv4")?;
            ensure!(
                table.as_object().is_none_or(serde_json::Map::is_empty),
                "{table}"
            );
            exabgp.wait_established()
        })
    })
}

fn client(node: &Node) -> String {
    format!(
        "[[bgp.peers]]\naddress = \"{}\"\nas = {ASN}\nclient = true\npassive = true\n\
         families = {OURS}\n",
        node.ip()
    )
}

/// Whether GoBGP has all rules of ExaBGP, or none.
fn rules(gobgp: &Gobgp, wanted: bool) -> Result<()> {
    let table = gobgp.json("global rib -a ipv4-flowspec")?;
    for (rule, mark) in RULES {
        let has = table
            .as_object()
            .is_some_and(|table| table.keys().any(|key| key.contains(mark)));
        ensure!(has == wanted, "{rule}: {table}");
    }
    Ok(())
}

fn hears(exabgp: &Exabgp, mark: &str) -> Result<()> {
    let events = exabgp.events()?;
    let heard = events.iter().any(|event| event.to_string().contains(mark));
    ensure!(heard, "no {mark} in {} events", events.len());
    Ok(())
}

/// What ExaBGP is told to announce, and what GoBGP has to show of it by prefix.
fn updates() -> (Vec<String>, Vec<(String, Vec<String>)>) {
    let path: Vec<String> = (0..300).map(|asn| (65_000 + asn).to_string()).collect();
    let communities: Vec<String> = (0..200).map(|number| format!("64512:{number}")).collect();
    let large: Vec<String> = (0..100).map(|number| format!("64512:1:{number}")).collect();
    let extended: Vec<String> = (0..100)
        .map(|number| format!("target:64512:{number}"))
        .collect();
    let many: Vec<String> = (0..200)
        .map(|number| format!("10.200.{number}.0/24"))
        .collect();
    let route = |number: u32, rest: String| {
        format!("announce route 10.100.{number}.0/24 next-hop self {rest}")
    };
    let lines = vec![
        route(1, format!("as-path [ {} ]", path.join(" "))),
        route(2, format!("community [ {} ]", communities.join(" "))),
        route(3, format!("large-community [ {} ]", large.join(" "))),
        route(4, format!("extended-community [ {} ]", extended.join(" "))),
        route(5, "attribute [ 0x99 0xc0 0x0102030405 ]".to_owned()),
        route(
            6,
            "med 4294967295 local-preference 0 origin incomplete atomic-aggregate".to_owned(),
        ),
        route(7, "aggregator ( 4200000000:10.97.0.11 )".to_owned()),
        route(
            8,
            "originator-id 10.0.0.9 cluster-list [ 10.0.0.8 10.0.0.7 ]".to_owned(),
        ),
        format!(
            "announce attributes next-hop self med 7 nlri {}",
            many.join(" ")
        ),
    ];
    let prefix = |number: u32| format!("10.100.{number}.0/24");
    let value = |number: u32| (64_512_u32 << 16 | number).to_string();
    let mut marks = vec![
        (
            prefix(1),
            vec!["65000,65001".to_owned(), "65298,65299".to_owned()],
        ),
        (prefix(2), vec![value(0), value(199)]),
        (prefix(3), vec!["\"LocalData2\":99".to_owned()]),
        (
            prefix(4),
            vec!["\"64512:0\"".to_owned(), "\"64512:99\"".to_owned()],
        ),
        (prefix(5), vec!["\"type\":153".to_owned()]),
        (
            prefix(6),
            vec!["4294967295".to_owned(), "\"type\":6".to_owned()],
        ),
        (prefix(7), vec!["4200000000".to_owned()]),
        (
            prefix(8),
            vec!["10.0.0.9".to_owned(), "10.0.0.7".to_owned()],
        ),
    ];
    marks.extend(
        many.into_iter()
            .map(|prefix| (prefix, vec!["\"metric\":7".to_owned()])),
    );
    (lines, marks)
}
