use chanter_api::dto;
use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-03-01T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An answer of the API, as it comes over the wire.
fn answer<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[test]
fn summary_is_shown() {
    let value = answer(json!({
        "version": "0.1.0", "started": "2026-03-01T10:00:00Z", "local_as": 64512,
        "router_id": "192.0.2.1", "dataplane": "linux", "peers": 2, "peers_established": 1,
        "instances": 2, "attachments": 3, "routes_local": 5, "routes_received": 8,
        "attribute_sets": 4, "desired_objects": 20, "desired_failed": 1, "prune_allowed": false,
        "warnings": 0, "sources": [{ "source": "rest", "synced": true }],
        "families": [{ "family": "l2vpn-evpn", "destinations": 13, "paths": 14 }],
    }));
    assert_eq!(
        summary(&value, now()),
        "\
version    0.1.0
up for     2h 0m
AS         64512
router id  192.0.2.1
peers      1 of 2 established
instances  2, 3 attachments
routes     5 local, 8 received
dataplane  linux, 1 of 20 objects not in place: see `chanter show dataplane --failed`
           removes nothing yet: sources or peers have not told all
sources    rest synced
warnings   0

FAMILY      DESTINATIONS  PATHS
l2vpn-evpn            13     14
"
    );
}

fn peer(addr: &str, state: &str, families: Value) -> Value {
    json!({
        "id": 1, "name": addr, "addr": addr, "remote_as": 64512, "local_as": 64512, "state": state,
        "role": "ibgp", "since": "2026-03-01T11:59:00Z", "dynamic": false, "flaps": 3,
        "received": dto::MessageCounts::default(), "sent": dto::MessageCounts::default(),
        "families": families, "wants_all": false,
    })
}

#[test]
fn peers_are_shown_with_a_line_for_each_family() {
    let family = |name: &str| {
        json!({ "family": name, "received": 8, "stale": 0, "advertised": 4,
                "end_of_rib_received": true, "end_of_rib_sent": true })
    };
    let mut up = peer(
        "192.0.2.1",
        "Established",
        json!([family("l2vpn-evpn"), family("ipv4-rtc")]),
    );
    up["wanted_rts"] = json!(["64512:1"]);
    let mut down = peer("2001:db8::1", "Idle", json!([]));
    down["last_error"] = json!("NOTIFICATION received: Administrative Shutdown");
    down["attempt_error"] = json!("connection refused");
    let peers_value: Vec<Peer> = answer(json!([up, down]));
    assert_eq!(
        peers(&peers_value, now()),
        "\
PEER            AS  STATE        FOR    ROLE  FAMILY      RECEIVED  STALE  ADVERTISED  FLAPS
192.0.2.1    64512  Established  1m 0s  ibgp  l2vpn-evpn         8      0           4      3
                                              ipv4-rtc           8      0           4
     wants 64512:1
2001:db8::1  64512  Idle         1m 0s  ibgp  -                                            3
     lost last: NOTIFICATION received: Administrative Shutdown
     last attempt: connection refused
"
    );
    assert_eq!(peers(&[], now()), "no peers are configured\n");
}

#[test]
fn routes_are_shown_with_the_reason_of_the_losers() {
    let path = |best: bool, addr: &str, lost: Value| {
        json!({
            "source": { "from": "peer", "id": 1, "addr": addr, "name": addr }, "best": best,
            "lost_because": lost, "next_hop": addr, "label": 100, "local_pref": 100, "as_path": "",
            "route_targets": ["64512:1"], "attributes": "origin igp", "stale": !best,
            "since": "2026-03-01T11:59:57Z", "imported_by": if best { vec!["blue"] } else { vec![] },
        })
    };
    let route: Route = answer(json!({
        "family": "l2vpn-evpn", "nlri": "[3]:[0]:[192.0.2.2] rd 192.0.2.2:1",
        "paths": [
            path(true, "192.0.2.2", Value::Null),
            path(false, "192.0.2.3", json!("router id 192.0.2.3 is higher than 192.0.2.2")),
        ],
    }));
    assert_eq!(
        routes(&[route], false, now()),
        "    DESTINATION                         NEXT HOP   LABEL  PREF  ROUTE TARGETS  FROM       FOR  IMPORTED BY
    (l2vpn-evpn)
>   [3]:[0]:[192.0.2.2] rd 192.0.2.2:1  192.0.2.2    100   100  64512:1        192.0.2.2  3s   blue
 s                                      192.0.2.3    100   100  64512:1        192.0.2.3  3s
     not the best: router id 192.0.2.3 is higher than 192.0.2.2

1 destination, 2 paths (> best, s stale)
"
    );
    assert_eq!(routes(&[], false, now()), "no routes\n");
}

#[test]
fn an_instance_is_shown_with_its_attachments() {
    let blue: Instance = answer(json!({
        "id": "blue", "type": "evpn", "number": 7, "sources": ["rest"], "import": ["64512:1"],
        "export": ["64512:1"], "vni": 100, "rd": "192.0.2.1:7", "attachments": 1, "remote_macs": 2,
        "remote_vteps": ["192.0.2.2"], "description": { "net": "n" },
        "status": { "state": "installed" },
    }));
    let attached: Vec<Attachment> = answer(json!([{
        "instance": "blue", "mac": "02:00:00:00:00:01", "ip": "10.0.0.1", "source": "rest",
        "port": "tap0", "sticky": false, "sequence": 1, "advertised": false,
        "status": { "state": "failed", "reason": "there is no device tap0" },
    }]));
    assert_eq!(
        instances(std::slice::from_ref(&blue)),
        "\
INSTANCE  TYPE  VNI  RD           IMPORT   EXPORT   ATTACHMENTS  REMOTE MACS  VTEPS  STATUS
blue      evpn  100  192.0.2.1:7  64512:1  64512:1            1            2      1  installed
"
    );
    assert_eq!(
        instance(&blue, &attached),
        "\
instance      blue
type          evpn, number 7 on this node
status        installed
VNI           100
RD            192.0.2.1:7
import        64512:1
export        64512:1
remote MACs   2
remote VTEPs  192.0.2.2
declared by   rest
description   {\"net\":\"n\"}

MAC                IP        PORT  VLAN  LOCAL PREF  SEQUENCE  ADVERTISED  STATUS
02:00:00:00:00:01  10.0.0.1  tap0     -         100         1  no          failed: there is no device tap0
"
    );
}

#[test]
fn dataplane_objects_are_shown_without_repeating_their_type() {
    let objects: Vec<DesiredObject> = answer(json!([
        { "instance": "blue", "key": "domain 7 remote-mac 02:00:00:00:00:02", "state": "installed",
          "value": { "remote-mac": { "vtep": "192.0.2.2", "vni": 100, "sticky": false } } },
        { "instance": "blue", "key": "domain 7 port tap0", "state": "failed",
          "error": "there is no device tap0", "value": { "port": { "vlan": null } } },
    ]));
    assert_eq!(
        dataplane(&objects.iter().collect::<Vec<_>>()),
        "\
INSTANCE  OBJECT                                 VALUE                    STATE
blue      domain 7 remote-mac 02:00:00:00:00:02  vtep 192.0.2.2, vni 100  installed
blue      domain 7 port tap0                                              failed
     there is no device tap0
"
    );
}

#[test]
fn why_is_told_step_by_step() {
    let report: WhyReport = answer(json!({ "instances": [{
        "instance": "blue", "verdict": "remote, VTEP 192.0.2.2 VNI 100",
        "steps": [
            { "stage": "rib", "since": "2026-03-01T11:59:00Z", "text": "best path of 192.0.2.2",
              "rejected": ["192.0.2.3: LOCAL_PREF 100 is lower than 200"] },
            { "stage": "dataplane", "text": "installed", "rejected": [] },
        ],
    }] }));
    assert_eq!(
        why("10.0.0.6", &report, now()),
        "\
10.0.0.6 in blue: remote, VTEP 192.0.2.2 VNI 100
  rib          1m 0s  best path of 192.0.2.2
                      x 192.0.2.3: LOCAL_PREF 100 is lower than 200
  dataplane           installed
"
    );
    let plain: WhyReport = answer(json!({
        "instances": [],
        "routes": [{ "stage": "rib", "since": "2026-03-01T11:59:00Z", "text": "10.0.0.0/24 from x",
                     "rejected": ["from y: AS_PATH is longer"] }],
        "not_taken": ["10.0.0.0/8 from peer 192.0.2.1: rejected by rule bogons"],
    }));
    assert_eq!(
        why("10.0.0.6", &plain, now()),
        "\
10.0.0.6 outside VPN instances of this node, the best first:
  rib          1m 0s  10.0.0.0/24 from x
                      x from y: AS_PATH is longer

10.0.0.6 was lately not taken:
  x 10.0.0.0/8 from peer 192.0.2.1: rejected by rule bogons
"
    );
    let nothing: WhyReport = answer(json!({ "instances": [] }));
    assert_eq!(why("x", &nothing, now()), "nothing is known of x here\n");
}

#[test]
fn an_event_is_a_line() {
    let record: EventRecord = answer(json!({
        "at": "2026-03-01T11:59:57.25Z", "event": "peer-up", "text": "peer 192.0.2.1 is up",
        "detail": {},
    }));
    assert_eq!(
        event(&record, &jiff::tz::TimeZone::UTC),
        "11:59:57.250  peer 192.0.2.1 is up"
    );
}

#[test]
fn a_peer_is_shown_in_full() {
    let mut value = peer(
        "192.0.2.1",
        "Established",
        json!([{ "family": "ipv4-unicast", "received": 8, "stale": 0, "advertised": 0,
                 "end_of_rib_received": true, "end_of_rib_sent": true }]),
    );
    let more = json!({
        "router_id": "192.0.2.1", "hold_time_secs": 90, "without_policy": ["out"],
        "remote_as_wanted": "64512", "passive": false, "keepalive_secs": 30, "established": 4,
        "last_down": { "at": "2026-03-01T11:59:00Z", "reason": "hold timer expired" },
        "capabilities_sent": ["multiprotocol ipv4-unicast", "role customer"],
        "capabilities_received": ["role provider", "route-refresh"],
        "negotiated": {
            "four_octet_as": true, "route_refresh": true, "enhanced_refresh": false,
            "message_len_max": 4096, "add_path_receive": ["ipv4-unicast"], "add_path_send": [],
            "extended_next_hop": [], "restart_secs": 120, "restart_on_notification": true,
            "long_lived": [], "peer_role": "provider",
        },
        "auth": "TCP-MD5", "ttl": "any", "bfd": "Up",
        "policy": {
            "import": "customer-in", "options": ["next-hop-self"],
            "max_prefixes": [{ "family": "ipv4-unicast", "limit": 10, "warn_percent": 75,
                               "action": "close" }],
        },
        "rejected": [{ "reason": "rule bogons", "count": 3 }],
    });
    let members = more.as_object().unwrap().clone();
    value.as_object_mut().unwrap().extend(members);
    let whole: dto::PeerInFull = answer(value);
    assert_eq!(
        super::peer(&whole, now()),
        "\
PEER          AS  STATE        FOR    ROLE  FAMILY        RECEIVED  STALE  ADVERTISED  FLAPS
192.0.2.1  64512  Established  1m 0s  ibgp  ipv4-unicast         8      0           0      3
     gives it no routes, as it has no export policy (RFC 8212)

router id       192.0.2.1
AS              ours 64512, the peer's is to be 64512
authentication  TCP-MD5
distance        any
BFD             Up
lost last       1m 0s ago: hold timer expired
timers          hold 90 s, keepalive 30 s
received        open 0, update 0, notification 0, keepalive 0, route-refresh 0
sent            open 0, update 0, notification 0, keepalive 0, route-refresh 0
established     4 times, lost 3 times
negotiated      AS numbers of 4 octets, messages up to 4096 octets, route refresh plain (RFC 2918)
                several paths from the peer in ipv4-unicast
                graceful restart 120 s, after NOTIFICATION as well
                the peer is our provider
import policy   customer-in
export policy   none: no routes (RFC 8212)
options         next-hop-self
limits          ipv4-unicast 8 of 10, warning at 75 %, then close
not taken       3 by rule bogons

CAPABILITY                  OURS      PEER'S
multiprotocol ipv4-unicast  yes       -
role                        customer  provider
route-refresh               -         yes
"
    );
}

#[test]
fn policies_reloads_and_bfd_are_shown() {
    let whole: dto::Policy = answer(json!({
        "name": "in", "default": "reject", "default_hits": 2, "used_by": ["192.0.2.1 import"],
        "rules": [{ "name": "own", "matches": ["prefix 10.0.0.0/8"], "except": ["med 5"],
                    "set": ["local-pref 200"], "then": "accept", "hits": 7 }],
    }));
    assert_eq!(
        policy(&whole),
        "\
policy   in
used by  192.0.2.1 import

RULE     THEN    HITS
own      accept     7
     if prefix 10.0.0.0/8
     unless med 5
     set local-pref 200
default  reject     2
"
    );
    let all = [whole];
    assert_eq!(
        policies(&all),
        "\
POLICY  RULES  ELSE    USED BY
in          1  reject  192.0.2.1 import
"
    );
    let report = dto::ReloadReport {
        kept: vec!["bgp.as changed: takes a restart, left as it was".to_owned()],
        ..dto::ReloadReport::default()
    };
    let text = "bgp.as changed: takes a restart, left as it was\nnothing changed\n";
    assert_eq!(reload(&report), text);
    let session: dto::BfdSession = answer(json!({
        "peer": "fe80::1", "interface": "swp1", "multihop": false, "state": "Up",
        "since": "2026-03-01T11:59:00Z", "remote_state": "Up", "diagnostic": "none",
        "remote_diagnostic": "none", "local_discriminator": 1, "remote_discriminator": 2,
        "tx_interval_ms": 300, "sent": 10, "received": 9, "discarded": 0, "downs": 0,
    }));
    assert_eq!(
        bfd(&[session], now()),
        "\
PEER          TYPE        STATE  FOR    PEER SAYS  SENDS EVERY  DETECTS IN  SENT  RECEIVED  DOWNS
fe80::1%swp1  single hop  Up     1m 0s  Up              300 ms           -    10         9      0
"
    );
}
