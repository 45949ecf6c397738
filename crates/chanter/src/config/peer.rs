//! Options of peers, listen ranges and templates.

use std::net::IpAddr;
use std::time::Duration;

use chanter_bgp::{AddPathMode, BgpRole, Family};
use chanter_speaker::{BfdOptions, PeerOptions, RemoteAs, Ttl};
use chanter_types::{Asn, IfName};

use super::auth::auth;
use super::diagnostic::Diagnostics;
use super::field::{Field, Value};
use super::layers::Layers;
use super::{Node, Role};

/// What peers take from the configuration around them.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) role: Role,
    pub(crate) local_as: Asn,
    pub(crate) hold_time: Duration,
    pub(crate) graceful_restart: Option<Duration>,
    pub(crate) rt_constraint: bool,
    pub(crate) require_policy: bool,
    pub(crate) listens: bool,
}

impl Defaults {
    /// Whether such a peer is in our AS; `None`: that shows when it connects.
    pub(crate) fn internal(&self, remote_as: RemoteAs) -> Option<bool> {
        match remote_as {
            RemoteAs::Is(asn) => Some(asn == self.local_as),
            RemoteAs::Internal => Some(true),
            RemoteAs::External => Some(false),
            RemoteAs::Any => None,
        }
    }
}

/// Reads the options of one entry.
pub(crate) struct Options<'a, 'f> {
    pub(crate) layers: &'a mut Layers<'f>,
    pub(crate) defaults: &'a Defaults,
    pub(crate) node: &'a dyn Node,
    pub(crate) found: &'a mut Diagnostics,
}

const REMOTE_AS: &str = "an AS number, \"internal\" or \"external\"";

impl Options<'_, '_> {
    /// All options but `local_addr` and `passive`.
    pub(crate) fn read(mut self, any_as: bool) -> PeerOptions {
        let remote_as = self.remote_as(any_as);
        let mut options = PeerOptions {
            role_client: self.client(remote_as),
            hold_time: self.hold_time(),
            families: self.families(),
            graceful_restart: self.graceful_restart(),
            long_lived: self.long_lived(),
            extended_next_hop: self.layers.boolean("extended_next_hop", self.found),
            device: self.device(),
            shutdown: self.shutdown(),
            auth: auth(self.layers, self.node, self.found),
            ttl: self.ttl(),
            mss: self.mss(),
            bfd: self.bfd(),
            description: self.text("description"),
            ..PeerOptions::new(remote_as)
        };
        self.add_path(&mut options);
        self.bgp_role(&mut options);
        options
    }

    fn remote_as(&mut self, any: bool) -> RemoteAs {
        let [new, old] = self.layers.either(["remote_as", "as"], self.found);
        let Some(field) = new.or(old) else {
            return RemoteAs::Is(self.defaults.local_as);
        };
        let words = [
            ("internal", RemoteAs::Internal),
            ("external", RemoteAs::External),
            ("any", RemoteAs::Any),
        ];
        match field.choice(&mut Diagnostics::default(), &words) {
            Some(RemoteAs::Any) if !any => {
                let message = "`any` is for listen ranges: expected an AS number, `internal` or \
                               `external`";
                field.error(self.found, message);
                RemoteAs::Is(self.defaults.local_as)
            }
            Some(word) => word,
            None => {
                let asn = field.parse(self.found, REMOTE_AS);
                RemoteAs::Is(asn.unwrap_or(self.defaults.local_as))
            }
        }
    }

    fn client(&mut self, remote_as: RemoteAs) -> bool {
        let field = self.layers.take("client");
        let client = field.and_then(|field| field.boolean(self.found));
        let internal = self.defaults.internal(remote_as) == Some(true);
        if let (Some(true), Some(field)) = (client, field) {
            let reason = match (self.defaults.role, internal) {
                (Role::Agent, _) => Some("only `chanter rr` reflects routes"),
                (Role::RouteReflector, false) => Some("only a peer of our own AS can be a client"),
                (Role::RouteReflector, true) => None,
            };
            if let Some(reason) = reason {
                field.error(self.found, reason);
            }
        }
        client.unwrap_or(self.defaults.role == Role::RouteReflector && internal)
    }

    fn hold_time(&mut self) -> Duration {
        let field = self.layers.take("hold_time");
        hold_time(field, self.defaults.hold_time, self.found)
    }

    fn families(&mut self) -> Vec<Family> {
        let field = self.layers.take("families");
        let families = field.map(|field| families(field, self.found));
        families.unwrap_or_else(|| self.default_families())
    }

    fn default_families(&self) -> Vec<Family> {
        let mut families = vec![Family::L2VPN_EVPN];
        if self.defaults.rt_constraint {
            families.push(Family::IPV4_RTC);
        }
        if self.defaults.role == Role::RouteReflector {
            families.extend([Family::IPV4_UNICAST, Family::IPV6_UNICAST]);
        }
        families
    }

    fn graceful_restart(&mut self) -> Option<Duration> {
        match self.layers.take("graceful_restart") {
            Some(field) => graceful_restart(field, self.found),
            None => self.defaults.graceful_restart,
        }
    }

    /// RFC 9494 section 3.1: the time has 24 bits.
    fn long_lived(&mut self) -> Option<Duration> {
        let field = self.layers.take("long_lived_graceful_restart")?;
        let secs = field.integer(self.found, 0..=0xff_ffff)?;
        (secs > 0).then(|| Duration::from_secs(secs.into()))
    }

    fn device(&mut self) -> Option<IfName> {
        let field = self.layers.take("device")?;
        field.parse(self.found, "the name of a network device")
    }

    /// `true`, or words for the peer's operator.
    fn shutdown(&mut self) -> Option<String> {
        let field = self.layers.take("shutdown")?;
        match &field.value {
            Value::Boolean(down) => down.then(String::new),
            Value::Text(text) => Some(text.clone()),
            _ => {
                field.wrong_type(self.found, "true, false or a text for the peer's operator");
                None
            }
        }
    }

    fn ttl(&mut self) -> Ttl {
        let [security, multihop] = self
            .layers
            .either(["ttl_security", "ebgp_multihop"], self.found);
        if let Some(field) = security {
            let hops = hops(field, 1, 254, self.found);
            return hops.map_or(Ttl::Auto, |hops| Ttl::Security { hops });
        }
        let hops = multihop.and_then(|field| hops(field, 255, 255, self.found));
        hops.map_or(Ttl::Auto, Ttl::MultiHop)
    }

    fn mss(&mut self) -> Option<u16> {
        let field = self.layers.take("mss")?;
        let octets = field.integer(self.found, 88..=32767)?;
        u16::try_from(octets).ok()
    }

    fn bfd(&mut self) -> Option<BfdOptions> {
        let field = self.layers.take("bfd")?;
        if let Value::Boolean(enabled) = field.value {
            return enabled.then(BfdOptions::default);
        }
        let mut section = field.section(self.found)?;
        let enabled = section.take("enabled");
        let enabled = enabled.and_then(|field| field.boolean(self.found));
        let mut options = BfdOptions::default();
        let interval = |field: Option<&Field>, default: Duration, found: &mut Diagnostics| {
            // Milliseconds.
            let given = field.and_then(|field| field.integer(found, 10..=60_000));
            given.map_or(default, |ms| Duration::from_millis(ms.into()))
        };
        options.min_tx = interval(section.take("min_tx"), options.min_tx, self.found);
        options.min_rx = interval(section.take("min_rx"), options.min_rx, self.found);
        if let Some(field) = section.take("multiplier") {
            let multiplier = field.integer(self.found, 1..=255);
            let multiplier = multiplier.and_then(|number| u8::try_from(number).ok());
            options.multiplier = multiplier.unwrap_or(options.multiplier);
        }
        let flag = |field: Option<&Field>, found: &mut Diagnostics| {
            field.and_then(|field| field.boolean(found))
        };
        options.multihop = flag(section.take("multihop"), self.found);
        options.strict = flag(section.take("strict"), self.found).unwrap_or(false);
        section.finish(self.found);
        enabled.unwrap_or(true).then_some(options)
    }

    /// `true`, or `{ receive = ..., send = ..., limit = ... }`.
    fn add_path(&mut self, options: &mut PeerOptions) {
        let Some(field) = self.layers.take("add_path") else {
            return;
        };
        let all: Vec<Family> = options
            .families
            .iter()
            .copied()
            // Whoever wants a route target wants it; there is nothing to choose from.
            .filter(|family| *family != Family::IPV4_RTC)
            .collect();
        if let Value::Boolean(both) = field.value {
            // Between paths of a filter there is nothing to choose; who wants them names them.
            let all = all
                .into_iter()
                .filter(|family| both && !family.is_flowspec());
            options.add_path = all.map(|family| (family, AddPathMode::Both)).collect();
            return;
        }
        let Some(mut section) = field.section(self.found) else {
            return;
        };
        let receive = in_families(section.take("receive"), &all, self.found);
        let send = in_families(section.take("send"), &all, self.found);
        if let Some(field) = section.take("limit") {
            let limit = field.integer(self.found, 0..=255);
            let limit = limit.and_then(|number| u8::try_from(number).ok());
            options.add_path_limit = limit.unwrap_or(0);
        }
        section.finish(self.found);
        let modes = all.into_iter().filter_map(|family| {
            let mode = match (receive.contains(&family), send.contains(&family)) {
                (true, true) => AddPathMode::Both,
                (true, false) => AddPathMode::Receive,
                (false, true) => AddPathMode::Send,
                (false, false) => return None,
            };
            Some((family, mode))
        });
        options.add_path = modes.collect();
    }

    fn bgp_role(&mut self, options: &mut PeerOptions) {
        let field = self.layers.take("role");
        options.bgp_role_strict = self
            .layers
            .boolean("role_strict", self.found)
            .unwrap_or(false);
        let Some(field) = field else { return };
        let expected = "provider, rs-server, rs-client, customer or peer";
        options.bgp_role = field.parse::<BgpRole>(self.found, expected);
        if self.defaults.internal(options.remote_as) == Some(true) {
            let message = "only a peer of another AS has a role (RFC 9234 section 3)";
            field.error(self.found, message);
        }
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        let field = self.layers.take(key)?;
        field.string(self.found, "a text")
    }
}

/// `true` for `default` hops, or their number.
fn hops(field: &Field, default: u8, max: u8, found: &mut Diagnostics) -> Option<u8> {
    match field.value {
        Value::Boolean(true) => Some(default),
        Value::Boolean(false) => None,
        _ => {
            let hops = field.integer(found, 1..=u32::from(max))?;
            u8::try_from(hops).ok()
        }
    }
}

/// The families of `all` for which something is on: by a truth value, or by their names.
fn in_families(field: Option<&Field>, all: &[Family], found: &mut Diagnostics) -> Vec<Family> {
    let Some(field) = field else {
        return Vec::new();
    };
    if let Value::Boolean(on) = field.value {
        return if on { all.to_vec() } else { Vec::new() };
    }
    let mut families = Vec::new();
    for item in field.one_or_more() {
        let family = item.parse(found, "true, false or a list of families");
        match family {
            Some(family) if !all.contains(&family) => {
                let message = format_args!("{family} is not among the families of the peer");
                item.error(found, message);
            }
            family => families.extend(family),
        }
    }
    families
}

/// RFC 4271 section 4.2: zero, or at least three seconds.
pub(crate) fn hold_time(
    field: Option<&Field>,
    default: Duration,
    found: &mut Diagnostics,
) -> Duration {
    let Some(field) = field else {
        return default;
    };
    match field.integer(found, 0..=u32::from(u16::MAX)) {
        Some(secs @ (1 | 2)) => {
            let message =
                format!("`{secs}` is not a hold time: expected 0 (no keepalives) or 3 to 65535");
            field.error(found, message);
            default
        }
        Some(secs) => Duration::from_secs(secs.into()),
        None => default,
    }
}

/// RFC 4724 section 3: the restart time has 12 bits. 0 switches the capability off.
pub(crate) fn graceful_restart(field: &Field, found: &mut Diagnostics) -> Option<Duration> {
    let secs = field.integer(found, 0..=4095)?;
    (secs > 0).then(|| Duration::from_secs(secs.into()))
}

fn families(field: &Field, found: &mut Diagnostics) -> Vec<Family> {
    const EXPECTED: &str = "a list of families such as [\"l2vpn-evpn\", \"ipv4-rtc\"]";
    let mut families = Vec::new();
    for item in field.list(found, EXPECTED) {
        match item.parse::<Family>(found, EXPECTED) {
            Some(family) if !Family::SUPPORTED.contains(&family) => {
                let message = format_args!("family {family} is not supported");
                item.error(found, message);
            }
            Some(family) if families.contains(&family) => {}
            family => families.extend(family),
        }
    }
    families
}

/// Our address towards a peer: the configured one where it is of the same IP version.
pub(crate) fn source_address(local: Option<IpAddr>, peer: Option<IpAddr>) -> Option<IpAddr> {
    let peer = peer?;
    local.filter(|addr| addr.is_ipv4() == peer.is_ipv4())
}
