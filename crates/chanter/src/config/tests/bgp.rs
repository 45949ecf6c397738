//! Options of peers, ranges and templates.

use chanter_bgp::{AddPathMode, BgpRole};
use chanter_policy::{AllowAsIn, LimitAction};
use chanter_speaker::{Auth, PeerOptions, Ttl};

use super::*;

fn agent(text: &str) -> Result<Config, String> {
    toml(&format!(
        "[bgp]\nas = 65001\nlocal_address = \"eth0\"\nlisten = [\"[::]:179\"]\n{text}"
    ))
}

/// The options of the one peer that `text` configures.
fn peer(text: &str) -> PeerOptions {
    let config = agent(&format!("[[bgp.peers]]\naddress = \"192.0.2.1\"\n{text}")).unwrap();
    let [peer] = config.bgp.peers.as_slice() else {
        panic!("one peer")
    };
    peer.options.clone()
}

/// What is said against a peer so configured, without the lines shown.
fn objections(text: &str) -> Vec<String> {
    let text = format!("[[bgp.peers]]\naddress = \"192.0.2.1\"\n{text}");
    let error = agent(&text).unwrap_err();
    error
        .lines()
        .filter_map(|line| line.strip_prefix("c.toml:")?.split_once(": "))
        .map(|(_, message)| message.to_owned())
        .collect()
}

#[test]
fn every_option_of_a_peer() {
    let options = peer(
        r#"
remote_as = "external"
require_policy = false
families = ["ipv4-unicast", "ipv6-unicast", "ipv4-rtc"]
add_path = { receive = true, send = ["ipv6-unicast"], limit = 4 }
extended_next_hop = true
hold_time = 9
graceful_restart = 60
long_lived_graceful_restart = 3600
role = "customer"
role_strict = true
password = "swordfish"
ttl_security = true
bfd = { min_tx = 50, min_rx = 60, multiplier = 5, multihop = true, strict = true }
allow_as_in = "origin"
next_hop_self = true
remove_private_as = true
graceful_shutdown = true
shutdown = "moved to the new fabric"
device = "vrf-red"
mss = 1400
description = "upstream"
local_address = "192.0.2.77"
max_prefixes = { ipv4-unicast = 1000, ipv6-unicast = { limit = 50, action = "close", restart = 30, warn_percent = 90 } }
"#,
    );
    let modes = [
        (Family::IPV4_UNICAST, AddPathMode::Receive),
        (Family::IPV6_UNICAST, AddPathMode::Both),
    ];
    assert_eq!(options.add_path, modes);
    assert_eq!(options.add_path_limit, 4);
    assert_eq!(options.remote_as, RemoteAs::External);
    assert_eq!(options.extended_next_hop, Some(true));
    assert_eq!(options.hold_time.as_secs(), 9);
    assert_eq!(options.graceful_restart.unwrap().as_secs(), 60);
    assert_eq!(options.long_lived.unwrap().as_secs(), 3600);
    assert_eq!(options.bgp_role, Some(BgpRole::Customer));
    assert!(options.bgp_role_strict);
    assert_eq!(options.auth.name(), Some("TCP-MD5"));
    assert_eq!(options.ttl, Ttl::Security { hops: 1 });
    let bfd = options.bfd.unwrap();
    assert_eq!((bfd.min_tx.as_millis(), bfd.min_rx.as_millis()), (50, 60));
    assert_eq!(
        (bfd.multiplier, bfd.multihop, bfd.strict),
        (5, Some(true), true)
    );
    assert_eq!(options.shutdown.as_deref(), Some("moved to the new fabric"));
    assert_eq!(
        options.device.as_ref().map(|name| name.as_str()),
        Some("vrf-red")
    );
    assert_eq!(options.mss, Some(1400));
    assert_eq!(options.local_addr, Some("192.0.2.77".parse().unwrap()));
    let policy = &options.policy;
    assert_eq!(policy.allow_as_in, AllowAsIn::OwnOrigin);
    assert!(policy.next_hop_self && policy.remove_private_as && policy.graceful_shutdown);
    let [v4, v6] =
        [Family::IPV4_UNICAST, Family::IPV6_UNICAST].map(|family| policy.max_prefixes[&family]);
    assert_eq!(
        (v4.limit, v4.action),
        (1000, LimitAction::Close { restart: None })
    );
    let restart = Some(Duration::from_secs(30));
    assert_eq!((v6.limit, v6.warn_percent), (50, 90));
    assert_eq!(v6.action, LimitAction::Close { restart });
}

#[test]
fn short_forms() {
    let options = peer("bfd = true\nadd_path = true\nshutdown = true\nmax_prefixes = 10");
    assert_eq!(options.bfd.map(|bfd| bfd.multiplier), Some(3));
    assert_eq!(options.add_path, [(Family::L2VPN_EVPN, AddPathMode::Both)]);
    assert_eq!(options.shutdown.as_deref(), Some(""));
    assert_eq!(options.policy.max_prefixes.len(), 1, "not of RT membership");
    let options = peer("bfd = { enabled = false }\nebgp_multihop = 3\nallow_as_in = 2");
    assert_eq!((options.bfd, options.ttl), (None, Ttl::MultiHop(3)));
    assert_eq!(options.policy.allow_as_in, AllowAsIn::Times(2));
    assert_eq!(peer("ebgp_multihop = true").ttl, Ttl::MultiHop(255));
    assert_eq!(
        peer("remote_as = \"internal\"").remote_as,
        RemoteAs::Internal
    );
    assert_eq!(peer("as = 7").remote_as, asn(7), "the older name");
    assert_eq!(peer("").local_addr, Some("192.0.2.10".parse().unwrap()));
}

#[test]
fn peers_take_what_their_template_says_unless_they_say_otherwise() {
    let config = agent(
        r#"
[[bgp.templates]]
name = "spine"
remote_as = "external"
hold_time = 9
ttl_security = 1
families = ["ipv4-unicast"]
require_policy = false

[[bgp.peers]]
interface = "swp1"
template = "spine"

[[bgp.peers]]
address = "192.0.2.1"
template = "spine"
remote_as = 65009
hold_time = 30
ebgp_multihop = 4

[[bgp.ranges]]
prefix = "192.0.2.128/25"
template = "spine"
"#,
    )
    .unwrap();
    assert_eq!(warnings(&config), Vec::<String>::new());
    let [link, other] = config.bgp.peers.as_slice() else {
        panic!("two peers")
    };
    assert_eq!(link.addr, addr("swp1"));
    assert_eq!(link.options.remote_as, RemoteAs::External);
    assert_eq!(
        link.options.local_addr, None,
        "of a link there is an address of its own"
    );
    assert_eq!(other.options.remote_as, asn(65009));
    assert_eq!(other.options.hold_time.as_secs(), 30);
    assert_eq!(
        other.options.ttl,
        Ttl::MultiHop(4),
        "in the place of ttl_security"
    );
    assert_eq!(other.options.families, [Family::IPV4_UNICAST]);
    assert_eq!(config.bgp.ranges[0].options.ttl, Ttl::Security { hops: 1 });
}

#[test]
fn templates_are_checked_once_and_also_unused() {
    let error = agent(
        "[[bgp.templates]]\nname = \"a\"\nhold_time = 2\nhold_tim = 3\n\
         [[bgp.templates]]\nname = \"a\"\n\
         [[bgp.peers]]\naddress = \"192.0.2.1\"\ntemplate = \"a\"\n\
         [[bgp.peers]]\naddress = \"192.0.2.2\"\ntemplate = \"b\"\n",
    )
    .unwrap_err();
    assert_eq!(error.matches("is not a hold time").count(), 1, "{error}");
    assert!(
        error.contains("bgp.templates[0].hold_tim: unknown key"),
        "{error}"
    );
    assert!(
        error.contains("bgp.templates[1].name: `a` is there already"),
        "{error}"
    );
    assert!(
        error.contains("bgp.peers[1].template: there is no template `b`: expected one of a"),
        "{error}"
    );
}

#[test]
fn names_of_peers() {
    let config = agent(
        "[[bgp.peers]]\naddress = \"fe80::1%swp2\"\n[[bgp.peers]]\naddress = \"rr1.example\"\n",
    )
    .unwrap();
    let names: Vec<String> = config
        .bgp
        .peers
        .iter()
        .map(|peer| peer.addr.to_string())
        .collect();
    assert_eq!(names, ["fe80::1%swp2", "192.0.2.3"]);
    assert_eq!(
        objections("interface = \"swp1\""),
        ["bgp.peers[0].interface: there is `address` already: only one of them can be"]
    );
}

#[test]
fn options_that_contradict_each_other() {
    assert_eq!(
        objections("ttl_security = 1\nebgp_multihop = 2"),
        ["bgp.peers[0].ebgp_multihop: there is `ttl_security` already: only one of them can be"]
    );
    assert_eq!(
        objections("next_hop_self = true\nnext_hop_unchanged = true"),
        ["bgp.peers[0]: `next_hop_self` and `next_hop_unchanged` exclude each other"]
    );
    assert_eq!(
        objections("role = \"peer\""),
        ["bgp.peers[0].role: only a peer of another AS has a role (RFC 9234 section 3)"]
    );
    assert_eq!(
        objections("add_path = { send = [\"ipv4-unicast\"] }"),
        ["bgp.peers[0].add_path.send[0]: ipv4-unicast is not among the families of the peer"]
    );
    assert_eq!(
        objections("remote_as = \"any\""),
        [
            "bgp.peers[0].remote_as: `any` is for listen ranges: expected an AS number, \
             `internal` or `external`"
        ]
    );
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let Auth::Md5(from_file) = peer("password_file = \"/etc/chanter/password\"").auth else {
        panic!("MD5")
    };
    let Auth::Md5(inline) = peer("password = \"from the file\"").auth else {
        panic!("MD5")
    };
    assert_eq!(from_file, inline, "the first line without its end");
    let Auth::Ao(keys) = peer(
        "tcp_ao = [{ id = 1, secret = \"a\" },\n\
         { send_id = 2, receive_id = 3, secret = \"b\", algorithm = \"aes-128-cmac-96\" }]",
    )
    .auth
    else {
        panic!("TCP-AO")
    };
    assert_eq!((keys[0].send_id, keys[0].receive_id), (1, 1));
    assert_eq!((keys[1].send_id, keys[1].receive_id), (2, 3));
    let long = "swordfish".repeat(10);
    for wrong in [
        format!("password = \"{long}\""),
        "password = 12345678".to_owned(),
        "password = \"swordfish\"\nhold_time = 2".to_owned(),
        "password = \"swordfish".to_owned(),
        format!("tcp_ao = [{{ id = 1, secret = \"{long}\" }}]"),
        "tcp_ao = [{ id = 1, secret = \"swordfish\" }, { id = 1, secret = \"swordfish\" }]"
            .to_owned(),
        "password = \"swordfish\"\ntcp_ao = [{ id = 1, secret = \"swordfish\" }]".to_owned(),
        "tcp_ao = [{ secret = \"swordfish\" }]".to_owned(),
    ] {
        let text = format!("[[bgp.peers]]\naddress = \"192.0.2.1\"\n{wrong}\n");
        let error = agent(&text).unwrap_err();
        assert!(
            !error.contains("swordfish") && !error.contains("12345678"),
            "{error}"
        );
    }
    let config = agent("[[bgp.peers]]\naddress = \"192.0.2.1\"\npassword = \"swordfish\"\n");
    assert!(!format!("{config:?}").contains("swordfish"));
}

#[test]
fn ebgp_without_policy_is_warned_of() {
    let texts = |text: &str| {
        let config = agent(text).unwrap();
        let lines = config.warnings.iter().map(|one| one.message.clone());
        lines.collect::<Vec<String>>()
    };
    let all = "[[policies]]\nname = \"all\"\ndefault = \"accept\"\n";
    let peer = "[[bgp.peers]]\naddress = \"192.0.2.1\"\nremote_as = 65002\n";
    assert_eq!(
        texts(peer),
        [
            "bgp.peers[0]: the peer is in another AS and has no policy: no routes are taken from it \
             and none given to it (RFC 8212). Give it `import = \"NAME\"` and `export = \"NAME\"` \
             with a [[policies]] of that name, or set `require_policy = false`"
        ]
    );
    let half = texts(&format!("{peer}import = \"all\"\n{all}"));
    assert!(
        half[0].contains("no routes are given to it (RFC 8212)"),
        "{half:?}"
    );
    for quiet in [
        format!("{peer}import = \"all\"\nexport = \"all\"\n{all}"),
        format!("{peer}require_policy = false\n"),
        "[[bgp.peers]]\naddress = \"192.0.2.1\"\n".to_owned(),
    ] {
        assert_eq!(texts(&quiet), Vec::<String>::new());
    }
    assert_eq!(
        texts(&format!("require_policy = false\n{peer}")),
        Vec::<String>::new()
    );
}

#[test]
fn the_name_that_peers_are_told() {
    let name = |text: &str| {
        agent(text)
            .unwrap()
            .bgp
            .hostname
            .map(|name| name.to_string())
    };
    assert_eq!(name("").as_deref(), Some("leaf1.example.net"));
    assert_eq!(name("hostname = false").as_deref(), None);
    assert_eq!(name("hostname = \"leaf7\"").as_deref(), Some("leaf7"));
}

#[test]
fn add_path_in_all_families_leaves_flowspec_out() {
    let options = peer("families = [\"ipv4-vpn\", \"ipv4-flowspec\"]\nadd_path = true");
    assert_eq!(options.add_path, [(Family::IPV4_VPN, AddPathMode::Both)]);
    let text = "families = [\"ipv4-flowspec\"]\nadd_path = { send = [\"ipv4-flowspec\"] }";
    let named = peer(text);
    assert_eq!(named.add_path, [(Family::IPV4_FLOWSPEC, AddPathMode::Send)]);
}
