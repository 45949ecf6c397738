//! FRR and GoBGP through `chanter rr`, and what FRR has on the session itself.
//!
//! ```text
//!   f1: FRR ---- iBGP ---- r1: chanter rr ---- iBGP ---- g2: GoBGP
//! ```
//!
//! 1. IPv4, IPv6, VPNv4, VPNv6 and EVPN (type 5 from FRR, all types to it), both ways, over a session
//!    with TCP-MD5.
//! 2. Withdrawals, a refresh, a reset.
//! 3. bgpd killed with -9: GoBGP keeps its routes. The reflector killed with -9: all have everything
//!    again.
//! 4. BFD: a cut wire ends the session in a second or two, long before the hold time.
//! 5. Unnumbered: the session is with the link-local address that FRR's router advertisements tell.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use chanter_interop::*;
use serde_json::Value;

const OURS: &str = r#"["ipv4-unicast", "ipv6-unicast", "ipv4-vpn", "ipv6-vpn", "l2vpn-evpn"]"#;
const PASSWORD: &str = "correct-horse";

/// The families as FRR's configuration and its `show` commands name them.
const FRR_FAMILIES: [&str; 5] = [
    "ipv4 unicast",
    "ipv6 unicast",
    "ipv4 vpn",
    "ipv6 vpn",
    "l2vpn evpn",
];

#[test]
fn all_families_both_ways() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("f1", 11)?,
            lab.node("r1", 12)?,
            lab.node("g2", 13)?,
        ];
        let [f1, r1, g2] = &nodes;
        let mut reflector = Reflector::configured(lab, r1, &reflector_config(f1, g2))?;
        let config = FrrConfig {
            text: Some(frr_config(f1, r1, true)),
            ..FrrConfig::default()
        };
        let mut frr = Frr::start(lab, f1, &config)?;
        let config = GobgpConfig {
            peers: vec![r1.ip().into()],
            graceful_restart: true,
            families: vec![
                "ipv4-unicast",
                "ipv6-unicast",
                "l3vpn-ipv4-unicast",
                "l3vpn-ipv6-unicast",
                "l2vpn-evpn",
            ],
            ..GobgpConfig::default()
        };
        let gobgp = Gobgp::start(lab, g2, &config)?;
        for line in gobgp_routes(g2) {
            gobgp.cli(&format!("global rib add -a {line}"))?;
        }
        wait_until(secs(90), "1: routes both ways", || {
            frr_has(&frr, true)?;
            gobgp_has(&gobgp, true)
        })?;

        for line in gobgp_routes(g2) {
            gobgp.cli(&format!("global rib del -a {line}"))?;
        }
        frr.configure(&networks(false))?;
        wait_until(secs(60), "2: withdrawn both ways", || {
            frr_has(&frr, false)?;
            gobgp_has(&gobgp, false)
        })?;
        for line in gobgp_routes(g2) {
            gobgp.cli(&format!("global rib add -a {line}"))?;
        }
        frr.configure(&networks(true))?;
        let complete = || {
            frr_has(&frr, true)?;
            gobgp_has(&gobgp, true)
        };
        wait_until(secs(60), "2: announced again", complete)?;
        refresh_and_reset(&frr, &reflector)?;
        wait_until(secs(60), "2: after a reset", complete)?;

        frr.kill()?;
        always(secs(3), "3: FRR is away", || gobgp_has(&gobgp, true))?;
        frr.start_bgpd()?;
        wait_until(secs(60), "3: FRR is back", || {
            frr_has(&frr, true)?;
            gobgp_has(&gobgp, true)
        })?;
        reflector.restart()?;
        wait_until(secs(60), "3: the reflector is back", || {
            gobgp.check_established(r1.ip().into())?;
            let peer = reflector.peer(f1.ip().into())?;
            ensure!(peer["state"] == "Established", "{peer}");
            frr_has(&frr, true)?;
            gobgp_has(&gobgp, true)
        })
    })
}

#[test]
fn bfd_ends_a_session_whose_wire_is_cut() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [lab.node("f1", 11)?, lab.node("r1", 12)?];
        let [f1, r1] = &nodes;
        let addr = f1.ip();
        let bfd = "bfd = { enabled = true, min_tx = 200, min_rx = 200, multiplier = 3 }";
        let text = format!(
            "[[bgp.peers]]\naddress = \"{addr}\"\nas = {ASN}\nfamilies = [\"ipv4-unicast\"]\n{bfd}\n"
        );
        let reflector = Reflector::configured(lab, r1, &text)?;
        let config = FrrConfig {
            text: Some(format!(
                "frr defaults traditional\nrouter bgp {ASN}\n bgp router-id {addr}\n \
                 neighbor {peer} remote-as {ASN}\n neighbor {peer} timers connect 1\n \
                 neighbor {peer} bfd\nexit\nbfd\n peer {peer}\n  transmit-interval 200\n  \
                 receive-interval 200\n exit\nexit\n",
                peer = r1.ip()
            )),
            bfd: true,
            ..FrrConfig::default()
        };
        let frr = Frr::start(lab, f1, &config)?;
        wait_until(secs(60), "4: BGP and BFD are up", || {
            let peers = frr.json("show bfd peers")?;
            ensure!(peers[0]["status"] == "up", "{peers}");
            let peer = reflector.peer(f1.ip().into())?;
            ensure!(peer["state"] == "Established", "{peer}");
            let bfd = reflector
                .cli(&["show", "bfd"])?
                .to_string()
                .to_ascii_lowercase();
            ensure!(bfd.contains("\"up\""), "{bfd}");
            Ok(())
        })?;
        lab.set_wire(f1, false)?;
        wait_until(secs(10), "4: the session has ended", || {
            let peer = reflector.peer(f1.ip().into())?;
            ensure!(peer["state"] != "Established", "{peer}");
            let error = peer["last_error"].as_str().unwrap_or_default();
            ensure!(error.contains("BFD"), "not for BFD: {peer}");
            Ok(())
        })?;
        lab.set_wire(f1, true)?;
        wait_until(secs(60), "4: the session is back", || {
            let peer = reflector.peer(f1.ip().into())?;
            ensure!(peer["state"] == "Established", "{peer}");
            Ok(())
        })
    })
}

#[test]
fn unnumbered_with_router_advertisements() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [lab.node("f1", 11)?, lab.node("r1", 12)?];
        let [f1, r1] = &nodes;
        let text = "[[bgp.peers]]\ninterface = \"eth0\"\nas = \"internal\"\n\
                    families = [\"ipv4-unicast\", \"ipv6-unicast\"]\n";
        let reflector = Reflector::configured(lab, r1, text)?;
        let config = FrrConfig {
            text: Some(format!(
                "frr defaults traditional\nrouter bgp {ASN}\n bgp router-id {}\n \
                 no bgp network import-check\n neighbor eth0 interface remote-as internal\n \
                 neighbor eth0 timers connect 1\n address-family ipv4 unicast\n  \
                 network 10.11.0.0/24\n exit-address-family\n address-family ipv6 unicast\n  \
                 network 2001:db8:11::/64\n  neighbor eth0 activate\n exit-address-family\nexit\n",
                f1.ip()
            )),
            ..FrrConfig::default()
        };
        let frr = Frr::start(lab, f1, &config)?;
        wait_until(secs(60), "5: routes over an unnumbered session", || {
            let routes = reflector.cli(&["show", "routes"])?.to_string();
            for prefix in ["10.11.0.0/24", "2001:db8:11::/64"] {
                ensure!(routes.contains(prefix), "no {prefix}: {routes}");
            }
            ensure!(
                routes.contains("fe80::"),
                "no link-local next hop: {routes}"
            );
            let neighbors = frr.json("show bgp neighbors")?;
            ensure!(
                neighbors["eth0"]["bgpState"] == "Established",
                "{}",
                neighbors["eth0"]["bgpState"]
            );
            Ok(())
        })
    })
}

/// 2: both sides ask for all routes again; FRR ends the session.
fn refresh_and_reset(frr: &Frr, reflector: &Reflector) -> Result<()> {
    let (rr, f1) = (reflector.node.ip(), frr.node.ip());
    for family in FRR_FAMILIES {
        frr.vtysh(&format!("clear bgp {family} {rr} soft in"))?;
    }
    reflector.cli(&["peer", &f1.to_string(), "clear", "--soft", "in"])?;
    wait_until(secs(30), "2: both sides were asked", || {
        let peer = reflector.peer(f1.into())?;
        for direction in ["received", "sent"] {
            let count = peer[direction]["route_refresh"].as_u64();
            ensure!(count >= Some(5), "{direction}: {peer}");
        }
        frr_has(frr, true)
    })?;
    frr.vtysh(&format!("clear bgp {rr}"))?;
    wait_until(secs(60), "2: a new session", || {
        let peer = reflector.peer(f1.into())?;
        ensure!(
            peer["state"] == "Established" && peer["flaps"] == 1,
            "{peer}"
        );
        Ok(())
    })
}

fn reflector_config(f1: &Node, g2: &Node) -> String {
    let mut text = String::new();
    for (node, extra) in [
        (f1, format!("password = \"{PASSWORD}\"")),
        (g2, String::new()),
    ] {
        let addr = node.ip();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "[[bgp.peers]]\naddress = \"{addr}\"\nas = {ASN}\nclient = true"
        );
        let _ = writeln!(text, "families = {OURS}\n{extra}");
    }
    text
}

fn frr_config(f1: &Node, r1: &Node, with_networks: bool) -> String {
    let (me, peer) = (f1.ip(), r1.ip());
    let mut text = format!(
        "frr defaults traditional\nhostname f1\nrouter bgp {ASN}\n bgp router-id {me}\n \
         no bgp default ipv4-unicast\n no bgp network import-check\n bgp graceful-restart\n \
         bgp graceful-restart preserve-fw-state\n neighbor {peer} remote-as {ASN}\n \
         neighbor {peer} timers connect 1\n neighbor {peer} password {PASSWORD}\n"
    );
    for family in FRR_FAMILIES {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            " address-family {family}\n  neighbor {peer} activate\n exit-address-family"
        );
    }
    text.push_str("exit\n");
    if with_networks {
        text.push_str(&networks(true));
    }
    text
}

/// What FRR originates, or no longer.
fn networks(wanted: bool) -> String {
    let (no, router_mac) = match wanted {
        true => ("", " routermac 02:00:00:00:00:11"),
        // It does not want to hear that again.
        false => ("no ", ""),
    };
    let esi = "00:00:00:00:00:00:00:00:00:00";
    [
        ("ipv4 unicast", "network 10.11.0.0/24".to_owned()),
        ("ipv6 unicast", "network 2001:db8:11::/64".to_owned()),
        (
            "ipv4 vpn",
            "network 10.11.0.0/24 rd 64512:1 label 100".to_owned(),
        ),
        (
            "ipv6 vpn",
            "network 2001:db8:11::/64 rd 64512:1 label 100".to_owned(),
        ),
        (
            "l2vpn evpn",
            format!(
                "network 10.11.0.0/24 rd 64512:1 ethtag 0 label 500 esi {esi} gwip \
                 10.0.0.1{router_mac}"
            ),
        ),
    ]
    .into_iter()
    .fold(format!("router bgp {ASN}\n"), |text, (family, network)| {
        text + &format!(" address-family {family}\n  {no}{network}\n exit-address-family\n")
    }) + "exit\n"
}

fn gobgp_routes(node: &Node) -> Vec<String> {
    let (me, me6) = (node.ip(), node.ip6());
    let vpn = format!("rd {me}:1 rt 64512:7");
    let esi = "esi ARBITRARY 11:22:33:44:55:66:77:88:99";
    vec![
        format!("ipv4 10.13.0.0/24 nexthop {me}"),
        format!("ipv6 2001:db8:13::/64 nexthop {me6}"),
        format!("vpnv4 10.13.0.0/24 label 100 {vpn} nexthop {me}"),
        format!("vpnv6 2001:db8:13::/64 label 100 {vpn} nexthop {me6}"),
        format!("evpn a-d {esi} etag 0 label 100 {vpn} esi-label 200 nexthop {me}"),
        format!(
            "evpn macadv 02:00:00:00:00:13 192.0.2.13 esi 0 etag 0 label 500 {vpn} encap vxlan \
             nexthop {me}"
        ),
        format!(
            "evpn multicast {me} etag 0 {vpn} encap vxlan pmsi ingress-repl 500 {me} nexthop {me}"
        ),
        format!("evpn esi {me} {esi} {vpn} nexthop {me}"),
        format!(
            "evpn prefix 10.13.0.0/24 esi single-homed etag 0 gw 10.0.0.1 label 500 {vpn} \
             encap vxlan nexthop {me}"
        ),
    ]
}

/// Whether FRR has all routes of GoBGP, or none.
fn frr_has(frr: &Frr, wanted: bool) -> Result<()> {
    for (command, marks) in [
        ("show bgp ipv4 unicast", &["10.13.0.0/24"][..]),
        ("show bgp ipv6 unicast", &["2001:db8:13::/64"]),
        ("show bgp ipv4 vpn", &["10.13.0.0/24"]),
        ("show bgp ipv6 vpn", &["2001:db8:13::/64"]),
        (
            "show bgp l2vpn evpn",
            &[
                "[1]:[0]:",
                "[2]:[0]:[48]:[02:00:00:00:00:13]",
                "[3]:[0]:[32]:[10.97.0.13]",
                "[4]:",
                "[5]:[0]:[24]:[10.13.0.0]",
            ],
        ),
    ] {
        let table: Value = frr.json(command)?;
        let text = table.to_string();
        for mark in marks {
            ensure!(text.contains(mark) == wanted, "{command}: {mark}: {text}");
        }
    }
    Ok(())
}

/// Whether GoBGP has all routes of FRR, or none.
fn gobgp_has(gobgp: &Gobgp, wanted: bool) -> Result<()> {
    for (family, mark) in [
        ("ipv4", "10.11.0.0/24"),
        ("ipv6", "2001:db8:11::/64"),
        ("vpnv4", "64512:1:10.11.0.0/24"),
        ("vpnv6", "64512:1:2001:db8:11::/64"),
        (
            "evpn",
            "[type:Prefix][rd:64512:1][etag:0][prefix:10.11.0.0/24]",
        ),
    ] {
        let table = gobgp.json(&format!("global rib -a {family}"))?;
        ensure!(
            table.get(mark).is_some() == wanted,
            "{family}: {mark}: {table}"
        );
    }
    Ok(())
}
