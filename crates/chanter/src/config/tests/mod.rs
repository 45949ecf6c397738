mod bgp;
mod policy;

use std::io;

use chanter_bgp::Family;
use chanter_speaker::{PeerAddr, RemoteAs};

use super::*;

/// A node with two devices, whatever machine the tests run on.
struct TestNode;

impl Node for TestNode {
    fn device_addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        match name {
            "eth0" => Some(vec![
                "192.0.2.10".parse().unwrap(),
                "2001:db8::10".parse().unwrap(),
            ]),
            "bare0" => Some(Vec::new()),
            _ => None,
        }
    }

    fn any_ipv4(&self) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::new(192, 0, 2, 10))
    }

    fn has_ipv6(&self) -> bool {
        true
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match name {
            "localhost" => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            "rr1.example" => Ok(vec!["192.0.2.3".parse().unwrap()]),
            _ => Err(io::Error::other("no such host")),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/etc/chanter/password") => Ok(b"from the file\r\nnot this\n".to_vec()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn hostname(&self) -> Option<String> {
        Some("leaf1.example.net".to_owned())
    }
}

fn asn(number: u32) -> RemoteAs {
    RemoteAs::Is(Asn(number))
}

fn addr(text: &str) -> PeerAddr {
    text.parse().unwrap()
}

fn source(path: &str, text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile {
        path: path.into(),
        text: text.to_owned(),
    })
}

fn check_as(role: Role, path: &str, text: &str) -> Result<Config, String> {
    Config::from_sources(&[source(path, text)], role, &TestNode).map_err(|error| error.to_string())
}

fn bgp_conf(text: &str) -> Result<Config, String> {
    check_as(Role::Agent, "bgp.conf", text)
}

fn toml(text: &str) -> Result<Config, String> {
    check_as(Role::Agent, "c.toml", text)
}

fn warnings(config: &Config) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

/// The shape of the template that bagpipe-bgp ships.
const SHIPPED: &str = "\
[BGP]
local_address=eth0
#local_address=192.168.100.177
peers=192.168.0.101
my_as=64512
enable_rtc=True

[COMMON]
#root_helper = sudo

[API]
host=localhost
port=8082

[DATAPLANE_DRIVER_IPVPN]
dataplane_driver = dummy
mpls_interface=*gre*
ovsbr_interfaces_mtu=4000

[DATAPLANE_DRIVER_EVPN]
dataplane_driver = dummy
";

#[test]
fn the_file_that_bagpipe_ships_is_read() {
    let config = bgp_conf(SHIPPED).unwrap();
    assert_eq!(config.bgp.local_as, Asn(64512));
    assert_eq!(
        config.bgp.local_address,
        Some("192.0.2.10".parse().unwrap())
    );
    assert_eq!(config.bgp.router_id, Ipv4Addr::new(192, 0, 2, 10));
    assert!(config.bgp.listen.is_empty(), "bagpipe-bgp never listens");
    let [peer] = config.bgp.peers.as_slice() else {
        panic!("{:?}", config.bgp.peers)
    };
    assert_eq!((&peer.addr, peer.port), (&addr("192.168.0.101"), 179));
    assert_eq!(
        (peer.options.remote_as, peer.options.passive),
        (asn(64512), false)
    );
    assert_eq!(
        peer.options.families,
        [Family::L2VPN_EVPN, Family::IPV4_RTC]
    );
    assert_eq!(config.evpn.driver, EvpnDriver::Dummy);
    assert_eq!(config.evpn.vtep, config.bgp.local_address);
    assert_eq!(config.api, Some("127.0.0.1:8082".parse().unwrap()));
    let glass = config.looking_glass();
    assert_eq!(glass["BGP"]["peers"], json!(["192.168.0.101"]));
    assert_eq!(
        glass["DATAPLANE_DRIVER_EVPN"]["dataplane_driver"],
        json!("dummy")
    );
    assert_eq!(
        warnings(&config),
        [
            "bgp.conf:16: warning: [DATAPLANE_DRIVER_IPVPN] dataplane_driver: without effect: this \
          release serves EVPN, not yet IP VPN\n  16 | dataplane_driver = dummy\n     |                    ^^^^^"
        ]
    );
}

#[test]
fn spellings_of_the_past_are_read() {
    let config = bgp_conf(
        "[common]\nroot_helper =\n[bgp]\nmy_as: 4200000000\nlocal_address = \"2001:db8::1\"\n\
         peers = 192.0.2.1, 2001:db8::2,\n    rr1.example\nenable_rtc = no\nbgp_port = 1179\n\
         [api]\napi_host = 127.0.0.1\napi_port = 8088\n\
         [dataplane_driver_evpn]\n\
         dataplane_driver = bagpipe.bgp.vpn.evpn.linux_vxlan.LinuxVXLANDataplaneDriver\n\
         dataplane_local_address = eth0\nvxlan_dst_port = 0\n\
         [privsep_ovs_vsctl]\nhelper_command = x\n[DEFAULT]\ndebug = true\n",
    )
    .unwrap();
    assert_eq!(config.bgp.local_as, Asn(4_200_000_000));
    assert_eq!(
        config.bgp.local_address,
        Some("2001:db8::1".parse().unwrap())
    );
    assert_eq!(
        config.bgp.router_id,
        Ipv4Addr::new(192, 0, 2, 10),
        "that of the node"
    );
    let peers: Vec<String> = config
        .bgp
        .peers
        .iter()
        .map(|peer| peer.addr.to_string())
        .collect();
    assert_eq!(peers, ["192.0.2.1", "2001:db8::2", "192.0.2.3"]);
    assert!(config.bgp.peers.iter().all(|peer| peer.port == 1179));
    assert_eq!(config.bgp.peers[0].options.families, [Family::L2VPN_EVPN]);
    assert_eq!(config.api, Some("127.0.0.1:8088".parse().unwrap()));
    assert_eq!(
        (config.evpn.driver, config.evpn.vxlan_port),
        (EvpnDriver::Linux, 8472)
    );
    assert_eq!(config.evpn.vtep, Some("192.0.2.10".parse().unwrap()));
    assert_eq!(config.log.level, tracing::Level::DEBUG);
    assert_eq!(warnings(&config), Vec::<String>::new());
}

#[test]
fn of_several_files_the_last_wins() {
    let files = [
        source("a.conf", SHIPPED),
        source("b.conf", "[bgp]\nmy_as = 65000\n"),
    ];
    let config = Config::from_sources(&files, Role::Agent, &TestNode).unwrap();
    assert_eq!(config.bgp.local_as, Asn(65000));
    assert_eq!(config.bgp.peers[0].options.remote_as, asn(65000));
    assert_eq!(
        config.files,
        [PathBuf::from("a.conf"), PathBuf::from("b.conf")]
    );
}

#[test]
fn slips_get_a_warning_with_the_line() {
    let text = format!(
        "{SHIPPED}\n[DATAPLANE_DRIVER]\ndataplane_driver = x\n[BGP]\nmy-as = 1\n[Bpg]\nx=1\n"
    );
    let config = bgp_conf(&text).unwrap();
    assert_eq!(
        warnings(&config)[1..],
        [
            "bgp.conf:24: warning: [DATAPLANE_DRIVER] is obsolete and has no effect: use \
             [DATAPLANE_DRIVER_EVPN] and [DATAPLANE_DRIVER_IPVPN]\n  \
             24 | dataplane_driver = x\n     | ^^^^^^^^^^^^^^^^",
            "bgp.conf:26: warning: [BGP] my-as: unknown option, without effect, did you mean \
             `my_as`?\n  26 | my-as = 1\n     | ^^^^^",
            "bgp.conf:28: warning: [Bpg] x: unknown option, without effect\n  28 | x=1\n     | ^",
        ]
    );
}

#[test]
fn wrong_lines_of_bgp_conf_are_all_shown() {
    let error = bgp_conf(
        "[BGP]\nlocal_address = eth7\nmy_as = x\npeers = 192.0.2.1,nowhere.example\nenable_rtc = maybe\n\
         [API]\nport = 99999\n[DATAPLANE_DRIVER_EVPN]\ndataplane_driver = ovs\n\
         dataplane_local_address = bare0\n[DATAPLANE_DRIVER_IPVPN]\ndataplane_driver = Foo\n",
    )
    .unwrap_err();
    assert_eq!(
        error,
        "\
bgp.conf:2: [BGP] local_address: `eth7` is neither an IP address nor the name of a network device here
  2 | local_address = eth7
    |                 ^^^^
bgp.conf:3: [BGP] my_as: `x` is not an AS number: expected 1 to 4294967295, or HIGH.LOW (asdot)
  3 | my_as = x
    |         ^
bgp.conf:4: [BGP] peers: `nowhere.example` is neither an IP address nor a host name that resolves (no such host)
  4 | peers = 192.0.2.1,nowhere.example
    |                   ^^^^^^^^^^^^^^^
bgp.conf:5: [BGP] enable_rtc: `maybe` is not accepted here: expected true or false
  5 | enable_rtc = maybe
    |              ^^^^^
bgp.conf:7: [API] port: `99999` is not accepted here: expected a whole number from 1 to 65535
  7 | port = 99999
    |        ^^^^^
bgp.conf:9: [DATAPLANE_DRIVER_EVPN] dataplane_driver: the EVPN driver `ovs` is not in this release: expected `dummy`, `linux`
  9 | dataplane_driver = ovs
    |                    ^^^
bgp.conf:10: [DATAPLANE_DRIVER_EVPN] dataplane_local_address: device `bare0` has no address
  10 | dataplane_local_address = bare0
     |                           ^^^^^
bgp.conf:12: [DATAPLANE_DRIVER_IPVPN] dataplane_driver: `Foo` is not accepted here: expected `dummy`, `linux`, `ovs`
  12 | dataplane_driver = Foo
     |                    ^^^
8 errors, nothing was done"
    );
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        bgp_conf("[BGP]\npeers =\n").unwrap_err(),
        "\
bgp.conf: [BGP] my_as: missing: expected an AS number, 1 to 4294967295
bgp.conf: [BGP] local_address: missing: expected an IP address or the name of a network device
2 errors, nothing was done"
    );
    let error = toml("").unwrap_err();
    assert!(
        error.starts_with("c.toml: bgp.as: missing: expected"),
        "{error}"
    );
}

#[test]
fn substitution_is_refused_and_a_plain_dollar_is_not() {
    let error = bgp_conf("[BGP]\nlocal_address = $my_ip\nmy_as = 1\n").unwrap_err();
    assert!(
        error.starts_with(
            "bgp.conf:2: [BGP] local_address: `$` substitution of oslo.config is not supported"
        ),
        "{error}"
    );
    bgp_conf(&format!("{SHIPPED}[COMMON]\nroot_helper = a$ $$b $1\n")).unwrap();
}

#[test]
fn a_whole_chanter_toml_is_read() {
    let config = toml(
        r#"
state_dir = "/tmp/state"
socket = "/tmp/sock"
on_stop = "withdraw"

[log]
level = "warn"
format = "json"
file = "/tmp/log"

[bgp]
as = 65001
local_address = "eth0"
router_id = "198.51.100.1"
rt_constraint = true
hold_time = 30
graceful_restart = 0
listen = ["192.0.2.10:1179", "[::]:179", "127.0.0.1"]

[[bgp.peers]]
address = "192.0.2.1"
description = "spine"

[[bgp.peers]]
address = "2001:db8::2"
as = 65002
port = 1790
passive = true
hold_time = 0
families = ["ipv4-unicast", "l2vpn-evpn"]

[dataplane.evpn]
driver = "linux"
local_address = "2001:db8::10"
vxlan_port = 8472

[api]
host = "::1"
port = 9000
"#,
    )
    .unwrap();
    assert_eq!(config.warnings.len(), 1, "of the eBGP peer without policy");
    assert_eq!(
        (config.on_stop, config.bgp.graceful_restart),
        (OnStop::Withdraw, None)
    );
    assert_eq!(config.log.format, LogFormat::Json);
    let listen: Vec<String> = config.bgp.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["192.0.2.10:1179", "[::]:179", "127.0.0.1:179"]);
    let [first, second] = config.bgp.peers.as_slice() else {
        panic!("two peers")
    };
    assert_eq!(
        (first.options.remote_as, first.options.hold_time.as_secs()),
        (asn(65001), 30)
    );
    assert_eq!(first.options.description.as_deref(), Some("spine"));
    assert!(second.options.passive);
    assert_eq!(
        (second.port, second.options.hold_time),
        (1790, Duration::ZERO)
    );
    assert_eq!(
        second.options.families,
        [Family::IPV4_UNICAST, Family::L2VPN_EVPN]
    );
    assert_eq!(config.evpn.vtep, Some("2001:db8::10".parse().unwrap()));
    assert_eq!(config.api, Some("[::1]:9000".parse().unwrap()));
}

#[test]
fn a_reflector_needs_little() {
    let text = "[bgp]\nas = 64512\n[[bgp.ranges]]\nprefix = \"10.0.0.0/24\"\n\
                [[bgp.ranges]]\nprefix = \"::/0\"\nas = \"any\"\nlimit = 5\n";
    let config = check_as(Role::RouteReflector, "rr.toml", text).unwrap();
    let listen: Vec<String> = config.bgp.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:179", "[::]:179"]);
    assert_eq!(config.bgp.router_id, Ipv4Addr::new(192, 0, 2, 10));
    let [own, any] = config.bgp.ranges.as_slice() else {
        panic!("two ranges")
    };
    assert_eq!(
        (own.options.remote_as, own.options.role_client, own.limit),
        (asn(64512), true, 1000)
    );
    assert_eq!(
        (any.options.remote_as, any.options.role_client, any.limit),
        (RemoteAs::Any, false, 5)
    );
    assert!(own.options.families.contains(&Family::IPV6_UNICAST));
    assert_eq!(config.api, None);
}

#[test]
fn wrong_lines_of_chanter_toml_are_all_shown() {
    let error = toml(
        "stat_dir = 1\n[bgp]\nas = 0\nlocal_address = \"192.0.2.10\"\nhold_time = 2\nlisten = \"x\"\n\
         [[bgp.peers]]\naddress = \"192.0.2.1\"\npassive = true\nclient = true\n\
         families = [\"evpn\"]\n[[bgp.peers]]\nport = 0\n[dataplane]\nevpn = \"linux\"\n",
    )
    .unwrap_err();
    let heads: Vec<&str> = error
        .lines()
        .filter(|line| line.starts_with("c.toml") || line.contains("errors"))
        .collect();
    let expected = [
        "c.toml:1: stat_dir: unknown key: expected one of state_dir, socket, on_stop, log, bgp, dataplane, api, prefix_lists, community_lists, as_path_lists, policies, bmp, mrt",
        "c.toml:3: bgp.as: `0` is not an AS number: expected 1 to 4294967295, or HIGH.LOW (asdot)",
        "c.toml:5: bgp.hold_time: `2` is not a hold time: expected 0 (no keepalives) or 3 to 65535",
        "c.toml:6: bgp.listen: `x` is not accepted here: expected a list of addresses such as [\"0.0.0.0:179\", \"[::]:179\"]",
        "c.toml:7: bgp.peers[0]: the peer is to connect, but bgp.listen is empty: nobody answers it",
        "c.toml:10: bgp.peers[0].client: only `chanter rr` reflects routes",
    ];
    assert_eq!(heads[..6], expected, "{error}");
    assert!(
        heads[6].starts_with("c.toml:11: bgp.peers[0].families[0]: `evpn` is not"),
        "{error}"
    );
    assert!(
        heads[7].starts_with("c.toml:12: bgp.peers[1]: `address` is missing"),
        "{error}"
    );
    assert_eq!(
        heads[8..],
        [
            "c.toml:13: bgp.peers[1].port: `0` is not accepted here: expected a whole number from 1 to 65535",
            "c.toml:15: dataplane.evpn: expected a table: [dataplane.evpn]",
            "10 errors, nothing was done",
        ]
    );
}

#[test]
fn toml_that_is_none_is_shown_with_its_place() {
    let error = toml("[bgp]\nas = = 1\nlocal_address = \"x\n").unwrap_err();
    assert!(error.starts_with("c.toml:2: not TOML: "), "{error}");
    assert!(error.contains("\n  2 | as = = 1\n    |      ^"), "{error}");
    assert!(error.contains("c.toml:3: not TOML: "), "{error}");
}

#[test]
fn files_of_both_formats_do_not_mix() {
    let files = [source("a.toml", ""), source("b.conf", SHIPPED)];
    let error = Config::from_sources(&files, Role::Agent, &TestNode)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a.toml: only bgp.conf can be spread over several files"),
        "{error}"
    );
}

#[test]
fn the_api_port_is_found_in_a_file_that_is_otherwise_wrong() {
    let port = |text: &str| bgp_conf::api_port(&source("bgp.conf", text));
    assert_eq!(
        port("[BGP]\nmy_as = x\n[api]\napi_port = 8088\n"),
        Some(8088)
    );
    assert_eq!(port("[API]\nport = 1\nport = 2\n"), Some(2));
    assert_eq!(port("[BGP]\nport = 1\n"), None);
}

#[test]
fn a_peer_that_is_there_twice_is_left_out() {
    let config =
        bgp_conf("[BGP]\nlocal_address = eth0\nmy_as = 1\npeers = 192.0.2.3, rr1.example\n")
            .unwrap();
    assert_eq!(config.bgp.peers.len(), 1);
    assert_eq!(
        warnings(&config),
        [
            "bgp.conf:4: warning: [BGP] peers: 192.0.2.3 is there already, this one is left out\n  \
          4 | peers = 192.0.2.3, rr1.example\n    |                    ^^^^^^^^^^^"
        ]
    );
}
