use super::*;

fn parse(line: &str) -> RestAttachArgs {
    RestAttachArgs::try_parse_from(format!("bagpipe-rest-attach {line}").split(' ')).unwrap()
}

fn body(line: &str) -> String {
    let args = parse(line);
    python::json_text(&Request::new(&args).unwrap().body().unwrap())
}

fn usage(line: &str) -> Failure {
    let args = parse(line);
    Request::new(&args)
        .and_then(|request| request.body())
        .unwrap_err()
}

#[test]
fn the_whole_set_of_parameters_is_sent_as_by_the_original() {
    assert_eq!(
        body("--attach --network-type ipvpn --vpn-instance-id test --port ns-test --ip 12.11.11.1"),
        "{\"import_rt\": [\"64512:512\"], \"export_rt\": [\"64512:512\"], \"local_port\": \
         {\"linuxif\": \"ns-test\"}, \"vpn_instance_id\": \"test\", \"vpn_type\": \"ipvpn\", \
         \"gateway_ip\": \"12.11.11.254\", \"mac_address\": \"52:54:00:99:99:22\", \"ip_address\": \
         \"12.11.11.1/24\", \"advertise_subnet\": false, \"readvertise\": null, \
         \"attract_traffic\": {}, \"lb_consistent_hash_order\": 0, \"vni\": 0, \"direction\": \
         \"both\"}"
    );
}

#[test]
fn options_end_up_in_their_parameters() {
    let body = body(
        "--detach --network-type=evpn --port tap0 --mac fa:16:3e:00:00:01 --ip 10.0.0.5/16 \
         --rt 64512:1 --rt 64512:2 --import-rt 64512:3 --export-rt 64512:4 --gateway-ip 10.0.0.1 \
         --advertise-subnet --readv-from-rt 1:1 --readv-to-rt 1:2 --vni 77 --local-pref 50 \
         --lb-consistent-hash-order 3 --direction to-port",
    );
    for part in [
        "\"import_rt\": [\"64512:1\", \"64512:2\", \"64512:3\"]",
        "\"export_rt\": [\"64512:1\", \"64512:2\", \"64512:4\"]",
        "\"vpn_instance_id\": \"evpn-bagpipe-test\"",
        "\"gateway_ip\": \"10.0.0.1\"",
        "\"advertise_subnet\": true",
        "\"readvertise\": {\"from_rt\": [\"1:1\"], \"to_rt\": [\"1:2\"]}",
        "\"lb_consistent_hash_order\": 3, \"vni\": 77, \"local_pref\": 50, \"direction\": \"to-port\"",
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
}

#[test]
fn classifiers_and_abbreviated_options_are_taken() {
    let body = body(
        "--attach --network-type ipvpn --port tap0 --ip 10.0.0.5 --redirect-rt 1:9 \
         --destination-port 80 --protocol tcp --attract-to-rt 1:8 \
         --static-destination-prefix 20.0.0.0/24",
    );
    assert!(
        body.contains(
            "\"attract_traffic\": {\"redirect_rts\": [\"1:9\"], \"classifier\": \
             {\"destinationPort\": \"80\", \"protocol\": \"tcp\"}, \"to_rt\": [\"1:8\"], \
             \"static_destination_prefixes\": [\"20.0.0.0/24\"]}"
        ),
        "{body}"
    );
}

#[test]
fn special_ports_are_understood() {
    let args = parse(
        "--attach --network-type evpn --port netns --ip 10.0.0.5 --vpn-instance-id averylonginstance",
    );
    let namespace = Request::new(&args).unwrap().namespace.unwrap();
    assert_eq!(namespace.name, "averylonginstance");
    assert_eq!(
        (namespace.port.as_str(), namespace.device.as_str()),
        ("ns-averylongins", "tovpn")
    );
    let args = parse(
        "--attach --network-type evpn --port netns:v0 --netns n1 --if2vpn e0 --ovs-vlan 5 --ip 10.0.0.5",
    );
    let namespace = Request::new(&args).unwrap().namespace.unwrap();
    let netns::Namespace {
        name,
        port,
        device,
        vlan,
        ..
    } = namespace;
    assert_eq!(
        (name.as_str(), port.as_str(), device.as_str(), vlan),
        ("n1", "v0", "e0", Some(5))
    );
    let body = body("--attach --network-type ipvpn --port evpn:blue --ip 10.0.0.5");
    assert!(
        body.contains("\"local_port\": {\"evpn\": {\"id\": \"blue\"}}"),
        "{body}"
    );
}

#[test]
fn what_is_missing_is_said_in_the_words_of_the_original() {
    for (line, message) in [
        ("--port x", "Need to specify --attach or --detach"),
        ("--attach", "Need to specify --port <localport>"),
        ("--attach --port x", "Need to specify --network-type"),
        (
            "--attach --port x --network-type evpn",
            "Need to specify --ip",
        ),
        (
            "--attach --port x --network-type evpn --ip 10.0.0.1",
            "Need to specify --mac for an EVPN network attachment if port is not 'netns'",
        ),
        (
            "--attach --port x --network-type ipvpn --ip 10.0.0.1 --redirect-rts 1:1",
            "Need to specify --redirect-rt and at least one traffic classifier option",
        ),
    ] {
        assert_eq!(usage(line), Failure::Usage(message.to_owned()), "{line}");
    }
    let parsed = RestAttachArgs::try_parse_from(["bagpipe-rest-attach", "--network-type", "x"]);
    assert_eq!(parsed.unwrap_err().exit_code(), 2);
}

#[test]
fn the_gateway_is_the_last_but_one_address() {
    for (ip, gateway) in [
        ("10.0.0.5/24", Some("10.0.0.254")),
        ("10.0.0.5/8", Some("10.255.255.254")),
        ("2001:db8::5/64", Some("2001:db8::ffff:ffff:ffff:fffe")),
        ("10.0.0.5/31", Some("10.0.0.4")),
        ("10.0.0.5/32", None),
        ("10.0.0.5/33", None),
        ("x/24", None),
    ] {
        assert_eq!(last_but_one(ip).as_deref(), gateway, "{ip}");
    }
}
