//! `bagpipe-rest-attach`: attaches or detaches an endpoint by a call of the REST API, and makes a
//! network namespace for it on demand.

use std::ffi::OsString;
use std::net::IpAddr;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use serde_json::{Map, Value, json};

use super::{http, netns, python};
use crate::cli::EXIT_RUNTIME;
use crate::config;
use crate::show::say;

/// Attaches a port to a VPN instance of bagpipe-bgp, or detaches it.
#[derive(Debug, Parser)]
#[command(name = "bagpipe-rest-attach", infer_long_args = true)]
struct RestAttachArgs {
    /// Attach the port
    #[arg(long, overrides_with = "detach")]
    attach: bool,
    /// Detach the port
    #[arg(long, overrides_with = "attach")]
    detach: bool,
    /// The type of the VPN instance
    #[arg(long)]
    network_type: Option<NetworkType>,
    /// The VPN instance (default: bagpipe-test with the type in front)
    #[arg(long, default_value = DEFAULT_INSTANCE)]
    vpn_instance_id: String,
    /// The port: a device, netns or netns:DEVICE for a namespace of its own, or evpn:INSTANCE
    #[arg(long)]
    port: Option<String>,
    /// Which traffic of the port is in the VPN
    #[arg(long, default_value = "both", value_parser = ["to-port", "from-port", "both"])]
    direction: String,
    /// Route target to import and export; may be repeated
    #[arg(long)]
    rt: Vec<String>,
    /// Route target to import only; may be repeated
    #[arg(long)]
    import_rt: Vec<String>,
    /// Route target to export only; may be repeated
    #[arg(long)]
    export_rt: Vec<String>,
    /// Address of the endpoint, with the length of its subnet's prefix (default: /24)
    #[arg(long)]
    ip: Option<String>,
    /// Address of the gateway (default: the last but one of the subnet)
    #[arg(long)]
    gateway_ip: Option<String>,
    /// MAC address of the endpoint (needed for evpn unless the port is a namespace)
    #[arg(long)]
    mac: Option<String>,
    /// Advertise only the address
    #[arg(long, overrides_with = "advertise_subnet")]
    advertise_singleton: bool,
    /// Advertise the whole subnet
    #[arg(long, overrides_with = "advertise_singleton")]
    advertise_subnet: bool,
    #[command(flatten)]
    ovs: OvsArgs,
    #[command(flatten)]
    netns: NetnsArgs,
    #[command(flatten)]
    routing: RoutingArgs,
    /// VXLAN network identifier
    #[arg(long, default_value_t = 0)]
    vni: i64,
    /// LOCAL_PREF of the endpoint's routes
    #[arg(long)]
    local_pref: Option<i64>,
    /// Positional arguments have no effect
    #[arg(hide = true)]
    unused: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct OvsArgs {
    /// First plug the port into a bridge of Open vSwitch (ipvpn only)
    #[arg(long)]
    ovs_preplug: bool,
    /// That bridge
    #[arg(long, default_value = "br-int")]
    ovs_bridge: String,
    /// Only this VLAN of the port
    #[arg(long)]
    ovs_vlan: Option<u16>,
}

#[derive(Debug, clap::Args)]
struct NetnsArgs {
    /// The namespace (default: the instance)
    #[arg(long)]
    netns: Option<String>,
    /// The device inside the namespace
    #[arg(long, default_value = "tovpn")]
    if2vpn: String,
}

#[derive(Debug, clap::Args)]
struct RoutingArgs {
    /// Advertise again routes with this route target; may be repeated
    #[arg(long)]
    readv_from_rt: Vec<String>,
    /// Advertise them with this route target; may be repeated
    #[arg(long)]
    readv_to_rt: Vec<String>,
    /// Attract traffic from instances that import this route target; may be repeated
    #[arg(long)]
    redirect_rts: Vec<String>,
    /// Classifier: source prefix
    #[arg(long)]
    source_prefix: Option<String>,
    /// Classifier: destination prefix
    #[arg(long)]
    destination_prefix: Option<String>,
    /// Classifier: source port or range
    #[arg(long)]
    source_port: Option<String>,
    /// Classifier: destination port or range
    #[arg(long)]
    destination_port: Option<String>,
    /// Classifier: IP protocol
    #[arg(long)]
    protocol: Option<String>,
    /// Advertise static prefixes with this route target; may be repeated
    #[arg(long)]
    attract_to_rt: Vec<String>,
    /// A static prefix to advertise; may be repeated
    #[arg(long)]
    static_destination_prefix: Vec<String>,
    /// Order among endpoints that share load
    #[arg(long, default_value_t = 0)]
    lb_consistent_hash_order: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkType {
    Ipvpn,
    Evpn,
}

impl NetworkType {
    fn name(self) -> &'static str {
        match self {
            NetworkType::Ipvpn => "ipvpn",
            NetworkType::Evpn => "evpn",
        }
    }
}

const DEFAULT_INSTANCE: &str = "bagpipe-test";

pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args = RestAttachArgs::parse_from(args);
    match attach(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => RestAttachArgs::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit(),
        Err(Failure::Run(message)) => {
            eprintln!("{message}");
            ExitCode::from(EXIT_RUNTIME)
        }
    }
}

/// Why nothing was attached or detached.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The arguments do not do.
    Usage(String),
    /// Something did not work.
    Run(String),
}

fn attach(args: &RestAttachArgs) -> Result<(), Failure> {
    let mut request = Request::new(args)?;
    if request.gateway_defaulted {
        say(&format!("using {} as gateway address", request.gateway));
    }
    if let Some(namespace) = request.namespace.clone() {
        if request.operation == "attach" {
            say(&format!(
                "Will plug local namespace {} into network",
                namespace.name
            ));
            netns::create(&namespace, request.mac.as_deref()).map_err(Failure::Run)?;
        }
        if request.mac.is_none() {
            let mac = netns::mac(&namespace).map_err(Failure::Run)?;
            request.mac = Some(mac);
        }
        let mac = request.mac.as_deref().unwrap_or_default();
        say(&format!("Local port: {} ({mac})", namespace.port));
        netns::exists(&namespace.port).map_err(Failure::Run)?;
    }
    if let Some(id) = &request.evpn {
        say(&format!("will plug evpn {id} into the IPVPN"));
    }
    if let Some(bridge) = &request.preplug {
        say(&format!("pre-plugging {} into {bridge}", request.port));
        netns::preplug(&request.port, bridge).map_err(Failure::Run)?;
    }
    post(request.operation, &request.body()?)
}

fn post(operation: &str, body: &Value) -> Result<(), Failure> {
    let text = python::json_text(body);
    say(&format!("request: {}", python::bytes_repr(text.as_bytes())));
    let port = config::bagpipe_api_port();
    let url = format!("http://127.0.0.1:{port}/{operation}_localport");
    let answer = http::post(&url, text).map_err(|error| {
        Failure::Run(format!(
            "no answer from {url}: {}",
            http::error_text(&error)
        ))
    })?;
    let body = python::bytes_repr(&answer.body);
    if answer.status.is_success() {
        say(&format!("response: {} {body}", answer.status.as_u16()));
        return Ok(());
    }
    say(&format!("   {body}"));
    Err(Failure::Run(format!(
        "error {}, reason: {}",
        answer.status.as_u16(),
        answer.reason()
    )))
}

/// What is to be done, with all defaults filled in.
#[derive(Debug)]
struct Request<'a> {
    args: &'a RestAttachArgs,
    operation: &'static str,
    network_type: NetworkType,
    instance: String,
    port: String,
    /// The EVPN instance that is the port.
    evpn: Option<String>,
    namespace: Option<netns::Namespace>,
    /// The bridge of Open vSwitch into which to plug first.
    preplug: Option<String>,
    ip: String,
    gateway: String,
    gateway_defaulted: bool,
    mac: Option<String>,
}

impl<'a> Request<'a> {
    fn new(args: &'a RestAttachArgs) -> Result<Self, Failure> {
        let usage = |message: &str| Failure::Usage(message.to_owned());
        let operation = match (args.attach, args.detach) {
            (true, _) => "attach",
            (false, true) => "detach",
            (false, false) => return Err(usage("Need to specify --attach or --detach")),
        };
        let port = args
            .port
            .clone()
            .ok_or_else(|| usage("Need to specify --port <localport>"))?;
        let network_type = args
            .network_type
            .ok_or_else(|| usage("Need to specify --network-type"))?;
        let ip = args
            .ip
            .clone()
            .ok_or_else(|| usage("Need to specify --ip"))?;
        let ip = if ip.contains('/') {
            ip
        } else {
            format!("{ip}/24")
        };
        let gateway_defaulted = args.gateway_ip.is_none();
        let gateway = match &args.gateway_ip {
            Some(gateway) => gateway.clone(),
            None => last_but_one(&ip).ok_or_else(|| {
                Failure::Usage(format!(
                    "no gateway can be guessed from --ip {ip}: expected ADDRESS/LENGTH of a subnet \
                     with two addresses or more, or --gateway-ip"
                ))
            })?,
        };
        let instance = match args.vpn_instance_id.as_str() {
            DEFAULT_INSTANCE => format!("{}-{DEFAULT_INSTANCE}", network_type.name()),
            id => id.to_owned(),
        };
        let mut request = Request {
            args,
            operation,
            network_type,
            instance,
            evpn: None,
            namespace: None,
            preplug: None,
            ip,
            gateway,
            gateway_defaulted,
            mac: args.mac.clone(),
            port,
        };
        request.resolve_port()?;
        Ok(request)
    }

    fn resolve_port(&mut self) -> Result<(), Failure> {
        let ipvpn = self.network_type == NetworkType::Ipvpn;
        if self.port.starts_with("netns") {
            let name = self
                .args
                .netns
                .netns
                .clone()
                .unwrap_or_else(|| self.instance.clone());
            let port = match self.port.split_once(':') {
                Some((_, port)) => port.to_owned(),
                // A device's name has at most 15 characters.
                None => format!("ns-{name}").chars().take(15).collect(),
            };
            self.port = port.clone();
            self.namespace = Some(netns::Namespace {
                name,
                port,
                device: self.args.netns.if2vpn.clone(),
                vlan: self.args.ovs.ovs_vlan,
                ip: self.ip.clone(),
                gateway: self.gateway.clone(),
            });
        } else if let Some(id) = self.port.strip_prefix("evpn:") {
            if !ipvpn {
                return Err(Failure::Run(
                    "Can only plug an evpn into an ipvpn".to_owned(),
                ));
            }
            self.evpn = Some(id.to_owned());
        }
        if self.evpn.is_none() && self.args.ovs.ovs_preplug && ipvpn {
            self.preplug = Some(self.args.ovs.ovs_bridge.clone());
        }
        if self.mac.is_none() && self.namespace.is_none() {
            if !ipvpn {
                let message = "Need to specify --mac for an EVPN network attachment if port is not \
                               'netns'";
                return Err(Failure::Usage(message.to_owned()));
            }
            self.mac = Some("52:54:00:99:99:22".to_owned());
        }
        Ok(())
    }

    fn body(&self) -> Result<Value, Failure> {
        let args = self.args;
        let (import, export) = self.route_targets();
        let readvertise = if args.routing.readv_to_rt.is_empty() {
            Value::Null
        } else {
            json!({ "from_rt": args.routing.readv_from_rt, "to_rt": args.routing.readv_to_rt })
        };
        let mut body = json!({
            "import_rt": import,
            "export_rt": export,
            "local_port": self.local_port(),
            "vpn_instance_id": self.instance,
            "vpn_type": self.network_type.name(),
            "gateway_ip": self.gateway,
            "mac_address": self.mac,
            "ip_address": self.ip,
            "advertise_subnet": args.advertise_subnet,
            "readvertise": readvertise,
            "attract_traffic": self.attract_traffic()?,
            "lb_consistent_hash_order": args.routing.lb_consistent_hash_order,
            "vni": args.vni,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(local_pref) = args.local_pref.filter(|value| *value != 0) {
                members.insert("local_pref".to_owned(), local_pref.into());
            }
            members.insert("direction".to_owned(), args.direction.clone().into());
        }
        Ok(body)
    }

    fn route_targets(&self) -> (Vec<String>, Vec<String>) {
        let args = self.args;
        let none = args.rt.is_empty() && args.import_rt.is_empty() && args.export_rt.is_empty();
        let both = match (none, self.network_type) {
            (true, NetworkType::Ipvpn) => vec!["64512:512".to_owned()],
            (true, NetworkType::Evpn) => vec!["64512:513".to_owned()],
            (false, _) => args.rt.clone(),
        };
        (
            [both.clone(), args.import_rt.clone()].concat(),
            [both, args.export_rt.clone()].concat(),
        )
    }

    fn local_port(&self) -> Value {
        if let Some(id) = &self.evpn {
            return json!({ "evpn": { "id": id } });
        }
        let mut port = json!({ "linuxif": self.port });
        if self.preplug.is_some() {
            port["ovs"] = json!({ "port_name": self.port, "plugged": true });
            if let Some(vlan) = self.args.ovs.ovs_vlan {
                port["ovs"]["vlan"] = vlan.into();
            }
        }
        port
    }

    fn attract_traffic(&self) -> Result<Value, Failure> {
        let routing = &self.args.routing;
        let mut attract = Map::new();
        if routing.redirect_rts.is_empty() {
            return Ok(Value::Object(attract));
        }
        let fields = [
            ("sourcePrefix", &routing.source_prefix),
            ("destinationPrefix", &routing.destination_prefix),
            ("sourcePort", &routing.source_port),
            ("destinationPort", &routing.destination_port),
            ("protocol", &routing.protocol),
        ];
        let classifier: Map<String, Value> = fields
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())))
            .collect();
        if classifier.is_empty() {
            let message =
                "Need to specify --redirect-rt and at least one traffic classifier option";
            return Err(Failure::Usage(message.to_owned()));
        }
        attract.insert("redirect_rts".to_owned(), json!(routing.redirect_rts));
        attract.insert("classifier".to_owned(), Value::Object(classifier));
        if !routing.attract_to_rt.is_empty() {
            if routing.static_destination_prefix.is_empty() {
                let message = "Need to specify --attract-to-rt and at least one static destination \
                               prefix option";
                return Err(Failure::Usage(message.to_owned()));
            }
            // The original sends the route targets as `to`, which its own daemon never reads.
            attract.insert("to_rt".to_owned(), json!(routing.attract_to_rt));
            let prefixes = json!(routing.static_destination_prefix);
            attract.insert("static_destination_prefixes".to_owned(), prefixes);
        }
        Ok(Value::Object(attract))
    }
}

/// The last but one address of the subnet that holds `ip` (ADDRESS/LENGTH).
fn last_but_one(ip: &str) -> Option<String> {
    let (addr, len) = ip.split_once('/')?;
    let len: u32 = len.parse().ok()?;
    Some(match addr.parse().ok()? {
        IpAddr::V4(addr) => {
            let hosts = u32::MAX.checked_shr(len).filter(|_| len < 32)?;
            IpAddr::V4((addr.to_bits() | hosts).checked_sub(1)?.into()).to_string()
        }
        IpAddr::V6(addr) => {
            let hosts = u128::MAX.checked_shr(len).filter(|_| len < 128)?;
            IpAddr::V6((addr.to_bits() | hosts).checked_sub(1)?.into()).to_string()
        }
    })
}

#[cfg(test)]
mod tests;
