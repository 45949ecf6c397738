//! BIRD through `chanter rr`: families, TCP-MD5, ADD-PATH, long-lived graceful restart, BGP roles.
//!
//! ```text
//!   b1: BIRD ---- r1: chanter rr ---- b3: BIRD
//! ```
//!
//! 1. IPv4, IPv6, VPNv4, VPNv6 and FlowSpec of both IP versions, both ways, over sessions with
//!    TCP-MD5, extended messages and ADD-PATH.
//! 2. Withdrawals, a refresh (enhanced, RFC 7313), a reset.
//! 3. BIRD killed with -9: its routes stay as stale, then, when the restart time is over, as
//!    long-lived stale ones (RFC 9494), and go when it comes back without them.
//! 4. The reflector killed with -9: both sides have everything again.
//! 5. Roles (RFC 9234): roles that do not fit end the session; OTC is set towards a customer.

use anyhow::{Result, ensure};
use chanter_interop::*;

const OURS: &str = r#"["ipv4-unicast", "ipv6-unicast", "ipv4-vpn", "ipv6-vpn", "ipv4-flowspec",
    "ipv6-flowspec"]"#;

#[test]
fn all_families_both_ways() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("b1", 11)?,
            lab.node("r1", 12)?,
            lab.node("b3", 13)?,
        ];
        let [b1, r1, b3] = &nodes;
        let text = [b1, b3].map(client).concat();
        let mut reflector = Reflector::configured(lab, r1, &text)?;
        let mut one = Bird::start(lab, b1, &bird(b1, r1, true))?;
        let three = Bird::start(lab, b3, &bird(b3, r1, true))?;
        one.wait_established("r1")?;
        three.wait_established("r1")?;
        let complete = |one: &Bird, three: &Bird| {
            has(one, b3, true)?;
            has(three, b1, true)
        };
        wait_until(secs(60), "1: routes both ways", || complete(&one, &three))?;

        one.configure(&bird(b1, r1, false))?;
        wait_until(secs(60), "2: withdrawn", || {
            has(&three, b1, false)?;
            has(&one, b3, true)
        })?;
        one.configure(&bird(b1, r1, true))?;
        wait_until(secs(60), "2: announced again", || complete(&one, &three))?;
        one.birdc("reload in r1")?;
        one.birdc("reload out r1")?;
        wait_until(secs(60), "2: after a refresh", || complete(&one, &three))?;
        one.birdc("restart r1")?;
        wait_until(secs(60), "2: after a reset", || {
            one.wait_established("r1")?;
            complete(&one, &three)
        })?;

        one.kill()?;
        always(secs(1), "3: BIRD is away", || has(&three, b1, true))?;
        wait_until(secs(30), "3: long-lived stale", || {
            let route = three.birdc(&format!("show route all {}", prefix4(b1)))?;
            // LLGR_STALE, 0xffff0006.
            ensure!(route.contains("(65535,6)"), "{route}");
            has(&three, b1, true)
        })?;
        one.configure_next(&bird(b1, r1, false))?;
        one.spawn()?;
        wait_until(secs(60), "3: BIRD is back, without routes", || {
            has(&three, b1, false)
        })?;
        one.configure(&bird(b1, r1, true))?;
        wait_until(secs(60), "3: and with them", || complete(&one, &three))?;
        reflector.restart()?;
        wait_until(secs(60), "4: the reflector is back", || {
            one.wait_established("r1")?;
            three.wait_established("r1")?;
            complete(&one, &three)
        })
    })
}

#[test]
fn roles_and_only_to_customer() -> Result<(), Failure> {
    in_lab(|lab| {
        let nodes = [
            lab.node("b1", 11)?,
            lab.node("r1", 12)?,
            lab.node("b3", 13)?,
        ];
        let [b1, r1, b3] = &nodes;
        let config = |role_of_b1: &str| {
            format!(
                "{}{}[[policies]]\nname = \"all\"\nrules = [{{ name = \"all\", then = \"accept\" }}]\n",
                external(b1, 65001, role_of_b1),
                external(b3, 65003, "provider"),
            )
        };
        // Both call themselves customers: that cannot be.
        let reflector = Reflector::configured(lab, r1, &config("customer"))?;
        let one = Bird::start(lab, b1, &external_bird(b1, r1, 65001, "customer"))?;
        let three = Bird::start(lab, b3, &external_bird(b3, r1, 65003, "customer"))?;
        three.wait_established("r1")?;
        wait_until(secs(60), "5: the roles do not fit", || {
            let state = one.birdc("show protocols all r1")?;
            ensure!(state.to_ascii_lowercase().contains("role"), "{state}");
            let log = reflector.log().to_ascii_lowercase();
            ensure!(log.contains("role"), "{log}");
            Ok(())
        })?;
        reflector.reload(&config("provider"))?;
        one.wait_established("r1")?;
        wait_until(secs(60), "5: OTC is set", || {
            let route = three.birdc(&format!("show route all {}", prefix4(b1)))?;
            ensure!(
                route.to_ascii_lowercase().contains(&format!("otc: {ASN}")),
                "{route}"
            );
            Ok(())
        })
    })
}

/// A client of the reflector.
fn client(node: &Node) -> String {
    format!(
        "[[bgp.peers]]\naddress = \"{}\"\nas = {ASN}\nclient = true\nfamilies = {OURS}\n\
         password = \"secret\"\nadd_path = {{ receive = true, send = true }}\n\
         long_lived_graceful_restart = 60\n",
        node.ip()
    )
}

fn prefix4(node: &Node) -> String {
    format!("10.{}.0.0/24", node.ip().octets()[3])
}

fn bird(node: &Node, peer: &Node, with_routes: bool) -> String {
    let (me, number, rr) = (node.ip(), node.ip().octets()[3], peer.ip());
    let routes = if with_routes {
        format!(
            "protocol static {{ ipv4; route 10.{number}.0.0/24 blackhole; }}
protocol static {{ ipv6; route 2001:db8:{number}::/64 blackhole; }}
protocol static {{ vpn4 {{ table vpn4tab; }}; route {me}:1 10.{number}.0.0/24 blackhole; }}
protocol static {{ vpn6 {{ table vpn6tab; }}; route {me}:1 2001:db8:{number}::/64 blackhole; }}
protocol static {{ flow4 {{ table flow4tab; }};
  route flow4 {{ dst 10.{number}.0.0/24; proto = 6; dport 80..90; }}; }}
protocol static {{ flow6 {{ table flow6tab; }};
  route flow6 {{ dst 2001:db8:{number}::/64; next header = 6; }}; }}
"
        )
    } else {
        String::new()
    };
    format!(
        "vpn4 table vpn4tab; vpn6 table vpn6tab; flow4 table flow4tab; flow6 table flow6tab;
{routes}protocol bgp r1 {{
  local {me} as {ASN};
  neighbor {rr} as {ASN};
  password \"secret\";
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  graceful restart on; graceful restart time 2;
  long lived graceful restart on; long lived stale time 60;
  enable extended messages on;
  ipv4 {{ import all; export all; next hop self; add paths on; }};
  ipv6 {{ import all; export all; next hop self; add paths on; }};
  vpn4 mpls {{ table vpn4tab; import all; export all; next hop self; }};
  vpn6 mpls {{ table vpn6tab; import all; export all; next hop self; }};
  flow4 {{ table flow4tab; import all; export all; }};
  flow6 {{ table flow6tab; import all; export all; }};
}}
"
    )
}

/// Whether `bird` has all routes that `of` originates, or none.
fn has(bird: &Bird, of: &Node, wanted: bool) -> Result<()> {
    let number = of.ip().octets()[3];
    for (table, mark) in [
        ("master4", prefix4(of)),
        ("master6", format!("2001:db8:{number}::/64")),
        ("vpn4tab", format!("{}:1 10.{number}.0.0/24", of.ip())),
        ("vpn6tab", format!("{}:1 2001:db8:{number}::/64", of.ip())),
        ("flow4tab", format!("dst 10.{number}.0.0/24")),
        ("flow6tab", format!("dst 2001:db8:{number}::/64")),
    ] {
        let text = bird.birdc(&format!("show route table {table}"))?;
        ensure!(text.contains(&mark) == wanted, "{table}: {mark}: {text}");
    }
    Ok(())
}

/// An eBGP peer; `role` is ours.
fn external(node: &Node, asn: u32, role: &str) -> String {
    format!(
        "[[bgp.peers]]\naddress = \"{}\"\nas = {asn}\nfamilies = [\"ipv4-unicast\"]\n\
         role = \"{role}\"\nimport = \"all\"\nexport = \"all\"\n",
        node.ip()
    )
}

fn external_bird(node: &Node, peer: &Node, asn: u32, role: &str) -> String {
    format!(
        "protocol static {{ ipv4; route {} blackhole; }}
protocol bgp r1 {{
  local {} as {asn};
  neighbor {} as {ASN};
  local role {role};
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 {{ import all; export all; }};
}}
",
        prefix4(node),
        node.ip(),
        peer.ip()
    )
}
