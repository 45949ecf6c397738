//! Inputs as text.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chanter_bgp::{
    Attributes, EvpnNlri, ExtendedCommunity, Family, LongLivedFamily, Nlri, PathData, PmsiTunnel,
    RouteEvent, SegmentKind, UpdateBatch, encapsulation,
};
use chanter_engine::desired::{DataplaneError, DesiredKey, DomainId};
use chanter_engine::{EngineConfig, Input, PeerId, PeerRole, SessionInfo};
use chanter_intent::{
    Attachment, AttachmentKey, InstanceId, MacVrf, Object, ObjectKey, Port, PortName, SourceEvent,
    SourceId, VpnInstance, VpnKind,
};
use chanter_types::Asn;

use super::{World, policy};

/// The words of a line: those in order, and the `key=value` ones.
pub(super) struct Words<'a> {
    plain: std::vec::IntoIter<&'a str>,
    pub(super) keyed: BTreeMap<&'a str, &'a str>,
    pub(super) line: &'a str,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        let (keyed, plain): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.contains('='));
        let keyed = keyed
            .into_iter()
            .filter_map(|word| word.split_once('='))
            .collect();
        Words {
            plain: plain.into_iter(),
            keyed,
            line,
        }
    }

    pub(super) fn next(&mut self) -> &'a str {
        self.plain
            .next()
            .unwrap_or_else(|| panic!("a word is missing: {}", self.line))
    }

    fn rest(&mut self) -> String {
        self.plain.by_ref().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.plain.clone().any(|other| other == word)
    }

    pub(super) fn get<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.keyed.get(key).map(|text| self.parse(text))
    }

    pub(super) fn list<T: std::str::FromStr>(&self, key: &str) -> Option<Vec<T>> {
        let words = self
            .keyed
            .get(key)?
            .split(',')
            .filter(|word| !word.is_empty());
        Some(words.map(|word| self.parse(word)).collect())
    }

    pub(super) fn parse<T: std::str::FromStr>(&self, text: &str) -> T {
        text.parse()
            .unwrap_or_else(|_| panic!("cannot read {text:?}: {}", self.line))
    }
}

fn source(word: &str) -> Option<SourceId> {
    let all = [
        SourceId::Config,
        SourceId::Rest,
        SourceId::Ovn,
        SourceId::Neutron,
        SourceId::Kubernetes,
    ];
    all.into_iter().find(|source| source.to_string() == word)
}

fn secs(text: &str) -> Duration {
    let number = text
        .trim_end_matches('s')
        .parse()
        .expect("a number of seconds");
    Duration::from_secs(number)
}

/// Reads `config as=64512 router-id=... vtep=... sources=rest peers=0 deferral=60s` and the words
/// `reflect`, `restarting`, `no-rtc`.
pub(crate) fn parse_config(line: &str) -> EngineConfig {
    let words = Words::new(line);
    let sources = words.list::<String>("sources").unwrap_or_default();
    EngineConfig {
        local_as: words.get("as").unwrap_or(Asn(64512)),
        router_id: words
            .get("router-id")
            .unwrap_or(Ipv4Addr::new(192, 0, 2, 1)),
        vtep: match words.keyed.get("vtep") {
            Some(&"none") => None,
            _ => Some(words.get("vtep").unwrap_or(IpAddr::from([192, 0, 2, 1]))),
        },
        cluster_id: None,
        reflect: words.has("reflect"),
        rt_constraint: !words.has("no-rtc"),
        sources: sources
            .iter()
            .map(|word| source(word).expect("a source"))
            .collect(),
        peers_expected: words.get("peers").unwrap_or(0),
        restarting: words.has("restarting"),
        deferral: words
            .keyed
            .get("deferral")
            .map_or(Duration::from_secs(60), |text| secs(text)),
    }
}

impl World {
    pub(super) fn step(&mut self, line: &str) {
        let mut words = Words::new(line);
        let first = words.next();
        if let Some(source) = source(first) {
            let event = source_event(&mut words);
            self.engine
                .handle(Input::Source { source, event }, self.now);
            return;
        }
        match first {
            "start" => {}
            "peer" => {
                let peer = PeerId(words.parse(words.plain.clone().next().unwrap_or_default()));
                words.next();
                let input = peer_input(peer, &mut words);
                self.input(input);
            }
            "time" => {
                let time = secs(words.next().trim_start_matches('+'));
                self.pass(time);
            }
            "dataplane" => self.dataplane(&mut words),
            "validate" => {
                let by = source(words.next()).expect("a source");
                if let SourceEvent::Upsert(object) = source_event(&mut words) {
                    let text = match self.engine.validate(by, &object) {
                        Ok(()) => "would be accepted".to_owned(),
                        Err(rejection) => format!("would be rejected, {rejection}"),
                    };
                    self.print(text);
                }
            }
            "show" => self.show(&mut words),
            other => panic!("unknown input {other:?}: {line}"),
        }
    }

    fn dataplane(&mut self, words: &mut Words<'_>) {
        match words.next() {
            "holds" => self.obedient = false,
            "obeys" => self.obey(),
            "breaks" => {
                let message = words.keyed.get("error").copied().unwrap_or("broken");
                let caused_by_intent = words.keyed.get("cause") == Some(&"intent");
                let error = DataplaneError {
                    message: message.replace('_', " "),
                    caused_by_intent,
                };
                self.break_object(desired_key(&words.rest()), error);
            }
            "reports" => self.report_late(desired_key(&words.rest())),
            "arrives" => self.deliver_late(),
            "mends" => self.mend(&desired_key(&words.rest())),
            other => panic!("unknown input {other:?}: {}", words.line),
        }
    }
}

fn source_event(words: &mut Words<'_>) -> SourceEvent {
    match words.next() {
        "instance" => SourceEvent::Upsert(Object::Instance(instance(words))),
        "remove-instance" => {
            SourceEvent::Remove(ObjectKey::Instance(InstanceId::new(words.next())))
        }
        "attach" => {
            let key = attachment_key(words);
            let (name, vlan) = match words.next() {
                word if word.contains('.') => {
                    let (name, vlan) = word.split_once('.').expect("a dot");
                    (name, Some(words.parse(vlan)))
                }
                name => (name, None),
            };
            SourceEvent::Upsert(Object::Attachment(Attachment {
                key,
                port: Port {
                    name: PortName::new(name),
                    vlan,
                },
                local_pref: words.get("local-pref"),
                sticky: words.has("sticky"),
                description: None,
            }))
        }
        "detach" => SourceEvent::Remove(ObjectKey::Attachment(attachment_key(words))),
        "synced" => SourceEvent::Synced,
        "lost" => SourceEvent::Lost,
        other => panic!("unknown source event {other:?}: {}", words.line),
    }
}

/// `ID vni=N rd=RD rt=RT,RT`, or with `import=` and `export=` for `rt=`.
fn instance(words: &mut Words<'_>) -> VpnInstance {
    let id = match words.next() {
        "''" => InstanceId::new(""),
        id => InstanceId::new(id),
    };
    let both = words.list("rt").unwrap_or_default();
    let targets = |key| {
        words
            .list(key)
            .unwrap_or_else(|| both.clone())
            .into_iter()
            .collect()
    };
    VpnInstance {
        id,
        kind: VpnKind::MacVrf(MacVrf {
            vni: words.get("vni"),
            bridge: words.get("bridge"),
        }),
        import: targets("import"),
        export: targets("export"),
        rd: words.get("rd"),
        gateway_ip: None,
        description: None,
    }
}

/// `INSTANCE MAC IP`; `-` for no IP.
fn attachment_key(words: &mut Words<'_>) -> AttachmentKey {
    AttachmentKey {
        instance: InstanceId::new(words.next()),
        mac: {
            let mac = words.next();
            words.parse(mac)
        },
        ip: match words.next() {
            "-" => None,
            ip => Some(words.parse(ip)),
        },
    }
}

fn peer_input(peer: PeerId, words: &mut Words<'_>) -> Input {
    match words.next() {
        "up" => Input::PeerUp {
            peer,
            session: Box::new(session(words)),
        },
        "down" => Input::PeerDown {
            peer,
            retain: words.list("retain").unwrap_or_default(),
            restart_time: words
                .keyed
                .get("restart")
                .map_or(Duration::ZERO, |text| secs(text)),
        },
        "removed" => Input::PeerRemoved { peer },
        "refresh" => Input::RouteRefresh {
            peer,
            family: words.parse(words.line_end()),
        },
        "begin-refresh" => Input::BeginOfRefresh {
            peer,
            family: words.parse(words.line_end()),
        },
        "end-refresh" => Input::EndOfRefresh {
            peer,
            family: words.parse(words.line_end()),
        },
        "policy" => Input::SetPolicy {
            peer,
            policy: policy::read(words),
        },
        "reach" => {
            let (nlri, data, attributes) = route(words);
            let mut batch = UpdateBatch::new();
            batch.reach(nlri, data, attributes);
            Input::Updates { peer, batch }
        }
        "withdraw" => {
            let mut batch = UpdateBatch::new();
            let nlri = words.rest().parse().expect("an NLRI");
            batch.events.push(RouteEvent::Withdraw {
                nlri,
                path_id: words.get("path-id").unwrap_or(0),
            });
            Input::Updates { peer, batch }
        }
        "end-of-rib" => {
            let events = words.rest();
            let families = events.split_whitespace();
            let events = families
                .map(|f| RouteEvent::EndOfRib(words.parse(f)))
                .collect();
            Input::Updates {
                peer,
                batch: UpdateBatch {
                    attributes: Vec::new(),
                    events,
                },
            }
        }
        other => panic!("unknown peer input {other:?}: {}", words.line),
    }
}

impl<'a> Words<'a> {
    fn line_end(&self) -> &'a str {
        self.line.split_whitespace().last().unwrap_or_default()
    }
}

/// `llgr=FAMILY:SECS,...`; with `llgr-preserved` the peer preserved its forwarding state.
fn long_lived(words: &Words<'_>) -> Vec<LongLivedFamily> {
    let all = words.list::<String>("llgr").unwrap_or_default();
    let read = |text: &String| {
        let (family, time) = text.split_once(':').expect("a family and a time");
        LongLivedFamily {
            family: words.parse(family),
            time: secs(time),
            preserved: words.has("llgr-preserved"),
        }
    };
    all.iter().map(read).collect()
}

/// `ADDR role=ibgp families=... eor=... preserved=... add-path=... ebgp-role=... llgr=...`, and what
/// [`policy::read`] reads.
fn session(words: &mut Words<'_>) -> SessionInfo {
    let peer_addr: IpAddr = {
        let addr = words.next();
        words.parse(addr)
    };
    let role = match words.keyed.get("role") {
        None | Some(&"ibgp") => PeerRole::Ibgp,
        Some(&"client") => PeerRole::RouteReflectorClient,
        Some(&"ebgp") => PeerRole::Ebgp,
        Some(other) => panic!("unknown role {other}"),
    };
    let families = words
        .list("families")
        .unwrap_or_else(|| vec![Family::L2VPN_EVPN]);
    let router_id = match peer_addr {
        IpAddr::V4(addr) => addr,
        IpAddr::V6(_) => Ipv4Addr::new(203, 0, 113, 1),
    };
    SessionInfo {
        end_of_rib: words.list("eor").unwrap_or_else(|| families.clone()),
        forwarding_preserved: words.list("preserved").unwrap_or_default(),
        add_path_receive: words.list("add-path").unwrap_or_default(),
        bgp_role: words.get("ebgp-role"),
        route_refresh: !words.has("no-refresh"),
        long_lived: long_lived(words),
        policy: policy::read(words),
        families,
        ..SessionInfo::new(
            (peer_addr, IpAddr::from([192, 0, 2, 1])),
            (words.get("as").unwrap_or(Asn(64512)), Asn(64512)),
            words.get("router-id").unwrap_or(router_id),
            role,
        )
    }
}

/// `NLRI nh=ADDR label=N rt=RT,RT encap=vxlan|gre|none lp=N mobility=N[:sticky] pmsi=N path=AS,AS
/// community=C,C otc=AS aigp=N path-id=N`.
fn route(words: &mut Words<'_>) -> (Nlri, PathData, Attributes) {
    let nlri: Nlri = words
        .rest()
        .parse()
        .unwrap_or_else(|e| panic!("{e}: {}", words.line));
    let next_hop: IpAddr = words.get("nh").unwrap_or(IpAddr::from([192, 0, 2, 2]));
    let mut communities: Vec<ExtendedCommunity> = Vec::new();
    let targets = words.list("rt").unwrap_or_default();
    communities.extend(targets.into_iter().map(ExtendedCommunity::route_target));
    match words.keyed.get("encap") {
        None | Some(&"vxlan") => {
            communities.push(ExtendedCommunity::encapsulation(encapsulation::VXLAN));
        }
        Some(&"gre") => communities.push(ExtendedCommunity::encapsulation(encapsulation::GRE)),
        Some(&"none") => {}
        Some(other) => panic!("unknown encapsulation {other}"),
    }
    if let Some(text) = words.keyed.get("mobility") {
        let (sequence, sticky) = match text.split_once(':') {
            Some((sequence, _)) => (sequence, true),
            None => (*text, false),
        };
        communities.push(ExtendedCommunity::mac_mobility(
            sticky,
            words.parse(sequence),
        ));
    }
    let label: u32 = words.get("label").unwrap_or(100);
    let is_multicast = matches!(nlri, Nlri::Evpn(EvpnNlri::InclusiveMulticast(_)));
    let pmsi = match words.keyed.get("pmsi") {
        Some(&"none") => None,
        Some(&"pim") => Some(PmsiTunnel {
            flags: 0,
            tunnel_type: 3,
            label,
            id: [0; 8].into(),
        }),
        Some(text) => Some(PmsiTunnel::ingress_replication(words.parse(text), next_hop)),
        None if is_multicast => Some(PmsiTunnel::ingress_replication(label, next_hop)),
        None => None,
    };
    let is_mac = matches!(nlri, Nlri::Evpn(EvpnNlri::MacIp(_)));
    let path: Vec<Asn> = words.list("path").unwrap_or_default();
    let attributes = Attributes::builder()
        .append_segment(SegmentKind::Sequence, &path)
        .next_hop(next_hop)
        .local_pref(words.get("lp").unwrap_or(100))
        .communities(words.list("community").unwrap_or_default())
        .extended_communities(communities)
        .aigp(words.get::<u64>("aigp"))
        .only_to_customer(words.get::<Asn>("otc"))
        .pmsi_tunnel(pmsi)
        .build();
    let has_label = is_mac || matches!(nlri, Nlri::Vpn4(_) | Nlri::Vpn6(_));
    let data = PathData {
        path_id: words.get("path-id").unwrap_or(0),
        ..PathData::with_label(if has_label { label } else { 0 })
    };
    (nlri, data, attributes)
}

/// Reads what the `Display` of a key prints.
fn desired_key(text: &str) -> DesiredKey {
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["domain", number, rest @ ..] = words.as_slice() else {
        panic!("not a key: {text}")
    };
    let domain = DomainId(number.parse().expect("a number"));
    match rest {
        [] => DesiredKey::Domain(domain),
        ["port", name] => DesiredKey::Port(domain, PortName::new(name)),
        ["local-mac", mac] => DesiredKey::LocalMac(domain, mac.parse().expect("a MAC")),
        ["flood", vtep] => DesiredKey::Flood(domain, vtep.parse().expect("an address")),
        ["remote-mac", mac] => DesiredKey::RemoteMac(domain, mac.parse().expect("a MAC")),
        ["neighbor", ip] => DesiredKey::Neighbor(domain, ip.parse().expect("an address")),
        _ => panic!("not a key: {text}"),
    }
}
