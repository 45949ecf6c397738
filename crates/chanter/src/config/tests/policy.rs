//! Policies and the lists that they refer to.

use chanter_bgp::{Nlri, PathData};
use chanter_policy::{Policy, PolicyRoute, attributes_from_text};

use super::*;

const BGP: &str = "[bgp]\nas = 65001\nlocal_address = \"eth0\"\n";

fn policy(text: &str) -> Arc<Policy> {
    let config = toml(&format!("{BGP}{text}")).unwrap();
    Arc::clone(config.bgp.policies.values().next().unwrap())
}

/// The rule that decides about a route, and the attributes if it is accepted.
fn ask(policy: &Policy, nlri: &str, attributes: &str) -> (String, Option<String>) {
    let nlri: Nlri = nlri.parse().unwrap();
    let attributes = attributes_from_text(attributes).unwrap();
    let explained = policy.explain(&PolicyRoute {
        nlri: &nlri,
        path: &PathData::with_label(100),
        attributes: &attributes,
        peer_as: Asn(64999),
        local_as: Asn(65001),
        local_addr: Some(IpAddr::from([192, 0, 2, 9])),
        ebgp: true,
    });
    let after = explained.attributes.to_string();
    (
        explained.rule.to_owned(),
        explained.accepted.then_some(after),
    )
}

const CUSTOMER: &str = r#"
[[prefix_lists]]
name = "bogons"
prefixes = ["10.0.0.0/8 le 32", "0.0.0.0/0"]

[[prefix_lists]]
name = "long"
prefixes = ["0.0.0.0/0 ge 25"]

[[community_lists]]
name = "prefer"
communities = ["65001:2*0", "65001:200"]

[[as_path_lists]]
name = "transit"
paths = ["_174_", "_3356_"]

[[policies]]
name = "customer-in"

[[policies.rules]]
name = "not these"
match = { prefix_list = ["bogons", "long"] }
except = { community = "blackhole" }
then = "reject"

[[policies.rules]]
name = "leak"
match = { as_path_list = "transit" }
then = "reject"

[[policies.rules]]
name = "clean"
set = { remove_community = ["65001:*", "65001:*:*"] }
then = "next"

[[policies.rules]]
name = "backup"
match = { med = ">= 100", origin_as = [64998, 64999] }
set = { local_pref = 50, med = "none", prepend = 2, add_community = ["65001:1", "65001:1:1", "origin:65001:1"] }
then = "accept"

[[policies.rules]]
match = { family = ["ipv4-unicast", "ipv4-vpn"], as_path_length = "< 4", local_pref = 100 }
set = { local_pref = "+20", next_hop = "192.0.2.99", origin = "igp" }
then = "accept"
"#;

#[test]
fn a_policy_with_everything() {
    let text = CUSTOMER.replace("\"65001:2*0\", ", "");
    let policy = policy(&text);
    assert_eq!(policy.name(), "customer-in");
    for (nlri, attributes, rule, after) in [
        ("10.1.0.0/16", "as-path 64999", "not these", None),
        ("198.51.100.128/25", "as-path 64999", "not these", None),
        ("198.51.100.0/24", "as-path 64999 3356", "leak", None),
        (
            "198.51.100.0/24",
            "as-path 64999, med 100, communities 65001:7 1:1",
            "backup",
            Some(
                "origin igp, as-path 65001 65001 64999, local-pref 50, communities 1:1 65001:1, \
                 large-communities 65001:1:1, ext-communities origin:65001:1",
            ),
        ),
        (
            "198.51.100.0/24",
            "next-hop 192.0.2.1, origin egp, as-path 64999, communities 65001:7",
            "rule 5",
            Some("next-hop 192.0.2.99, origin igp, as-path 64999, local-pref 120"),
        ),
        ("2001:db8::/32", "as-path 64999", "default", None),
        ("198.51.100.0/24", "as-path 1 2 3 4", "default", None),
    ] {
        let found = ask(&policy, nlri, attributes);
        assert_eq!(found, (rule.to_owned(), after.map(str::to_owned)), "{nlri}");
    }
    assert!(policy.looks_at_nlri());
}

#[test]
fn what_evpn_and_vpn_routes_are_asked() {
    for (condition, yes, no) in [
        (
            "evpn_type = [2, \"ip-prefix\"]",
            "[2]:[0]:[48]:[02:00:00:00:00:01] rd 192.0.2.1:1",
            "[3]:[0]:[32]:[192.0.2.1] rd 192.0.2.1:1",
        ),
        (
            "rd = \"192.0.2.1:*\"",
            "[3]:[0]:[32]:[192.0.2.1] rd 192.0.2.1:1",
            "[3]:[0]:[32]:[192.0.2.1] rd 192.0.2.2:1",
        ),
        (
            "rd = [\"64512:*\"]",
            "64512:1:10.0.0.0/24",
            "64513:1:10.0.0.0/24",
        ),
        (
            "vni = \"100-200\"",
            "[3]:[0]:[32]:[192.0.2.1] rd 192.0.2.1:1",
            "10.0.0.0/24",
        ),
        ("label = 6", "64512:1:10.0.0.0/24", "10.0.0.0/24"),
        (
            "prefix = \"10.0.0.0/8 le 32\"",
            "64512:1:10.0.0.0/24",
            "64512:1:11.0.0.0/24",
        ),
        (
            "prefix = \"10.0.0.0/8 le 32\"",
            "[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.0.0.1] rd 192.0.2.1:1",
            "[2]:[0]:[48]:[02:00:00:00:00:01] rd 192.0.2.1:1",
        ),
        (
            "prefix = \"2001:db8::/32 ge 48\"",
            "[5]:[0]:[64]:[2001:db8::] rd 192.0.2.1:1",
            "[5]:[0]:[32]:[2001:db8::] rd 192.0.2.1:1",
        ),
        (
            "prefix = \"10.0.0.0/24\"",
            "flow4 { destination 10.0.0.0/24; protocol =6 }",
            "flow4 { protocol =6 }",
        ),
    ] {
        let policy = policy(&format!(
            "[[policies]]\nname = \"p\"\n[[policies.rules]]\nmatch = {{ {condition} }}\nthen = \"accept\"\n"
        ));
        for (nlri, expected) in [(yes, "rule 1"), (no, "default")] {
            let (rule, _) = ask(&policy, nlri, "");
            assert_eq!(rule, expected, "{condition}: {nlri}");
        }
        assert!(policy.looks_at_nlri());
    }
}

#[test]
fn attributes_alone_do_not_look_at_nlri() {
    let policy = policy(
        "[[policies]]\nname = \"p\"\n[[policies.rules]]\nmatch = { rt = [\"64512:*\"], \
         next_hop = \"192.0.2.0/24\", neighbor_as = 7, as_path_contains = 8, peer_as = 64999, \
         as_path = \"^7_\", origin = \"igp\", family = \"l2vpn-evpn\" }\nthen = \"accept\"\n",
    );
    assert!(!policy.looks_at_nlri());
    let route = "[3]:[0]:[32]:[192.0.2.1] rd 192.0.2.1:1";
    let attributes = "next-hop 192.0.2.7, as-path 7 8, ext-communities target:64512:9";
    assert_eq!(ask(&policy, route, attributes).0, "rule 1");
    let outside = attributes.replace("192.0.2.7", "192.0.3.7");
    assert_eq!(ask(&policy, route, &outside).0, "default");
}

#[test]
fn wrong_lines_are_all_shown() {
    let text = r#"
[[prefix_lists]]
name = "p"
prefixes = ["10.0.0.0/8 le 7", "x"]

[[community_lists]]
name = "c"
communities = ["65001:2*0"]

[[as_path_lists]]
name = "a"
paths = ["(1"]

[[policies]]
name = "one"
[[policies.rules]]
match = { prefix_list = "q", colour = "red", med = "=> 1", evpn_type = "mac" }
set = { local_pref = "10", prepend = 0, add_community = "65001:*" }
then = "maybe"
[[policies.rules]]
name = "r"
set = { med = 1 }
then = "reject"
[[policies.rules]]
name = "r"

[[policies]]
name = "one"

[[bgp.peers]]
address = "192.0.2.1"
import = "two"
"#;
    let error = toml(&format!("{BGP}{text}")).unwrap_err();
    for expected in [
        "prefix_lists[0].prefixes[0]: `10.0.0.0/8 le 7` is not an entry of a prefix list",
        "prefix_lists[0].prefixes[1]: `x` is not an IP prefix",
        "community_lists[0].communities[0]: `65001:2*0` is not a community",
        "as_path_lists[0].paths[0]: `(1` is not an AS path expression (unclosed group)",
        "policies[0].rules[0].match.prefix_list: there is no prefix list `q`: expected one of p",
        "policies[0].rules[0].match.colour: unknown key",
        "policies[0].rules[0].match.med: `=> 1` is not a comparison",
        "policies[0].rules[0].match.evpn_type: `mac` is not accepted here",
        "policies[0].rules[0].set.local_pref: `10` is not accepted here: expected a number from 0 to 4294967295, or by how much: \"+10\", \"-10\"",
        "policies[0].rules[0].set.prepend: `0` is not accepted here",
        "policies[0].rules[0].set.add_community: `65001:*` is not one community",
        "policies[0].rules[0].then: `maybe` is not accepted here",
        "policies[0].rules[1].set: the rule rejects: what it sets has no effect",
        "policies[0].rules[2]: `then` is missing: expected \"accept\", \"reject\" or \"next\"",
        "policies[1].name: `one` is there already",
        "bgp.peers[0].import: there is no policy `two`: expected one of one",
    ] {
        assert!(error.contains(expected), "{expected}\n--\n{error}");
    }
}

#[test]
fn lists_of_one_kind_are_united() {
    let policy = policy(
        "[[prefix_lists]]\nname = \"a\"\nprefixes = [\"10.0.0.0/8\"]\n\
         [[prefix_lists]]\nname = \"b\"\nprefixes = [\"11.0.0.0/8\"]\n\
         [[policies]]\nname = \"p\"\n\
         [[policies.rules]]\nmatch = { prefix_list = [\"a\", \"b\"] }\nthen = \"accept\"\n",
    );
    for nlri in ["10.0.0.0/8", "11.0.0.0/8"] {
        assert_eq!(ask(&policy, nlri, "").0, "rule 1");
    }
}

#[test]
fn who_watches() {
    let config = toml(&format!(
        "{BGP}[bmp]\nsystem_name = \"leaf1\"\nstatistics = 0\n\
         [[bmp.stations]]\naddress = \"[2001:db8::9]:1790\"\n\
         [[bmp.stations]]\nlisten = \"192.0.2.10:1790\"\nribs = \"adj-rib-in-pre\"\n\
         [[mrt.dumps]]\nkind = \"table\"\npath = \"/var/lib/chanter/%Y.mrt\"\ninterval = 7200\n"
    ))
    .unwrap();
    let [out, back] = config.bmp.stations.as_slice() else {
        panic!("two stations")
    };
    assert_eq!(out.addr, "[2001:db8::9]:1790".parse().unwrap());
    assert_eq!((out.listens, back.listens), (false, true));
    assert!(out.ribs.adj_rib_in_post && out.ribs.loc_rib && !out.ribs.adj_rib_in_pre);
    assert!(back.ribs.adj_rib_in_pre && !back.ribs.loc_rib);
    assert!(config.bmp.statistics.is_zero());
    assert_eq!(config.bmp.retry.as_secs(), 30);
    assert_eq!(config.mrt.dumps[0].kind, MrtKind::Table);
    assert_eq!(config.mrt.dumps[0].interval.as_secs(), 7200);
    let error = toml(&format!(
        "{BGP}[bmp]\n[[bmp.stations]]\naddress = \"x\"\n[[bmp.stations]]\n\
         [[bmp.stations]]\naddress = \"192.0.2.9:1\"\nribs = [\"adj-rib-in-pre\", \"adj-rib-in-post\"]\n\
         [[mrt.dumps]]\nkind = \"all\"\npath = \"/x/%!\"\n"
    ))
    .unwrap_err();
    for expected in [
        "bmp.stations[0].address: `x` is not an address and a port",
        "bmp.stations[1]: `address` or `listen` is missing",
        "bmp.stations[2].ribs: a station is told of Adj-RIB-In before or after policy",
        "mrt.dumps[0].kind: `all` is not accepted here",
        "mrt.dumps[0].path: file name \"/x/%!\"",
    ] {
        assert!(error.contains(expected), "{expected}\n--\n{error}");
    }
}

#[test]
fn next_hop_self_is_our_address_for_ip_routes_only() {
    let policy = policy(
        "[[policies]]\nname = \"own\"\n[[policies.rules]]\nname = \"all\"\n\
         set = { next_hop = \"self\" }\nthen = \"accept\"\n",
    );
    for (nlri, next_hop) in [
        ("198.51.100.0/24", "next-hop 192.0.2.9"),
        ("2001:db8::/48", "next-hop ::ffff:192.0.2.9"),
        ("64512:1:198.51.100.0/24", "next-hop 203.0.113.1"),
    ] {
        let (_, after) = ask(&policy, nlri, "next-hop 203.0.113.1");
        let after = after.expect("it is accepted");
        assert!(after.contains(next_hop), "{nlri}: {after}");
    }
}
