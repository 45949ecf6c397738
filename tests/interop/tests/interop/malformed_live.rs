//! Malformed UPDATEs over a live session: what RFC 7606 says happens, to that session and no other.
//!
//! ```text
//!   s1: sender of octets ---- iBGP ---- r1: chanter rr ---- iBGP ---- o2: listener
//!                                                     \---- iBGP ---- g3: GoBGP
//! ```
//!
//! 1. Each message of the corpus that leaves the session alone: the session stays, the route that it
//!    is about is there with its new attributes, without the discarded one, or is withdrawn.
//! 2. Each message that ends the session: it ends with that very NOTIFICATION, and the routes of the
//!    sender go.
//! 3. The corpus again and again: the daemon's memory does not grow with it.
//! 4. Thousands of messages of the corpus with octets changed at random: the daemon goes on.
//!
//! Each session of the sender is from an address of its own, in a range that the reflector accepts
//! peers from: one that fails again and again would have to wait (RFC 4271 section 8.1.1).
//!
//! All the time the listener hears well-formed UPDATEs only, and the sessions of the listener and of
//! GoBGP stay.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chanter_bgp::corpus::{Case, Expected, Spoil, cases};
use chanter_bgp::{
    AttributeCode, Attributes, CodecContext, Family, Nlri, PathData, RouteEvent, UpdateBatch,
    UpdateWriter, decode_update,
};
use chanter_interop::*;
use chanter_types::Ipv4Prefix;

/// The AS of all; 64512, that of other tests, is in the AS paths of the corpus.
const AS: u16 = 65010;
/// The MED of routes that were announced before the message which is to change them.
const BEFORE: u32 = 77;
/// What arrives after a message of which nothing else can be seen to arrive: one for each session
/// that is open at a time.
const MARKERS: [&str; 8] = [
    "203.0.113.0/32",
    "203.0.113.1/32",
    "203.0.113.2/32",
    "203.0.113.3/32",
    "203.0.113.4/32",
    "203.0.113.5/32",
    "203.0.113.6/32",
    "203.0.113.7/32",
];
/// Addresses of the sender.
const SENDERS: &str = "10.98.0.0/16";
const FIRST_SENDER: Ipv4Addr = Ipv4Addr::new(10, 98, 1, 0);
/// A route of a session that is to end.
const PROBE: &str = "198.18.0.0/24";
const PATIENCE: Duration = Duration::from_secs(20);
const ROUNDS: usize = 10;
/// For what the allocator keeps; 10 rounds that leaked the messages alone would be below, 10 rounds
/// of routes or sessions far above.
const GROWTH_MAX: u64 = 4 << 20;
const MUTATIONS: usize = 2000;

#[test]
fn corpus_ends_or_spares_the_session() -> Result<(), Failure> {
    in_lab(|lab| {
        let mut live = Live::start(lab)?;
        let (reset, kept): (Vec<Case>, Vec<Case>) = cases()
            .into_iter()
            .partition(|case| matches!(case.expected, Expected::Reset { .. }));
        ensure!(
            reset.len() > 50 && kept.len() > 200,
            "{} and {} messages",
            reset.len(),
            kept.len()
        );
        for four_octet_as in [true, false] {
            let some: Vec<&Case> = kept
                .iter()
                .filter(|case| case.four_octet_as == four_octet_as)
                .collect();
            live.spares(&some, four_octet_as)?;
        }
        for case in &reset {
            live.ends(case).with_context(|| case.name.clone())?;
        }
        live.others_untouched()?;

        let before = live.reflector.resident()?;
        for _ in 0..ROUNDS {
            live.round(&kept, &reset)?;
        }
        let after = live.reflector.resident()?;
        ensure!(
            after <= before + GROWTH_MAX,
            "3: {before} octets resident, then {after}"
        );
        live.others_untouched()
    })
}

#[test]
fn random_changes_leave_the_daemon_and_others_alone() -> Result<(), Failure> {
    in_lab(|lab| {
        let mut live = Live::start(lab)?;
        let corpus = cases();
        let mut random = Random(0x5eed_0007_6060_4271);
        let mut senders: [Option<RawPeer>; MARKERS.len()] = Default::default();
        let (mut sent, mut ended) = (0, 0);
        while sent < MUTATIONS {
            for (sender, marker) in senders.iter_mut().zip(MARKERS) {
                let mut session = match sender.take() {
                    Some(session) => session,
                    None => live.connect(true)?,
                };
                let case = &corpus[random.below(corpus.len())];
                // The daemon may close the connection at any octet.
                let changed = session.send(&random.change(&case.update));
                let goes_on = changed.and_then(|()| live.mark(&mut session, marker));
                *sender = goes_on.is_ok().then_some(session);
                sent += 1;
            }
            live.wait_for_marks(&mut senders)?;
            ended += senders.iter().filter(|sender| sender.is_none()).count();
        }
        // Not all were alike.
        ensure!(
            (MUTATIONS / 100..MUTATIONS).contains(&ended),
            "4: {ended} of {sent} sessions ended"
        );
        live.others_untouched()
    })
}

/// The reflector and the sessions that stay.
struct Live {
    reflector: Reflector,
    sender: Node,
    listener: RawPeer,
    listener_node: Node,
    gobgp: Gobgp,
    /// What the listener has, by prefix.
    routes: BTreeMap<Ipv4Prefix, Attributes>,
    /// How many routes of other families it has heard of.
    others: usize,
    /// How often a marker has been sent.
    marks: u32,
    /// How many sessions the sender has had.
    sessions: u32,
}

impl Live {
    fn start(lab: &Lab) -> Result<Self> {
        let s1 = lab.node("s1", 11)?;
        let r1 = lab.node("r1", 12)?;
        let o2 = lab.node("o2", 13)?;
        let g3 = lab.node("g3", 14)?;
        let families: Vec<String> = Family::SUPPORTED
            .iter()
            .map(|family| format!("\"{family}\""))
            .collect();
        let families = families.join(", ");
        s1.namespace
            .ip(&["route", "add", "local", SENDERS, "dev", "lo"])?;
        r1.namespace
            .ip(&["route", "add", SENDERS, "via", &s1.ip().to_string()])?;
        let mut text = format!(
            "[[bgp.ranges]]\nprefix = \"{SENDERS}\"\nremote_as = {AS}\nclient = true\n\
             limit = 10000\nfamilies = [{families}]\n"
        );
        for node in [&o2, &g3] {
            writeln!(
                text,
                "[[bgp.peers]]\naddress = \"{}\"\nremote_as = {AS}\nclient = true\n\
                 passive = true\nfamilies = [{families}]",
                node.ip()
            )?;
        }
        let reflector = Reflector::of_as(lab, &r1, AS.into(), &text)?;
        let config = GobgpConfig {
            asn: Some(AS.into()),
            peers: vec![r1.ip().into()],
            families: vec![
                "ipv4-unicast",
                "ipv6-unicast",
                "l3vpn-ipv4-unicast",
                "l3vpn-ipv6-unicast",
                "l2vpn-evpn",
                "ipv4-flowspec",
                "ipv6-flowspec",
                "l3vpn-ipv4-flowspec",
                "l3vpn-ipv6-flowspec",
            ],
            ..GobgpConfig::default()
        };
        let gobgp = Gobgp::start(lab, &g3, &config)?;
        // Without RT constraint: it gets all VPN routes.
        let families = Family::SUPPORTED
            .iter()
            .filter(|family| **family != Family::IPV4_RTC);
        let open = RawOpen {
            asn: AS,
            families: families.map(|family| (family.afi, family.safi)).collect(),
            four_octet_as: true,
        };
        let listener = RawPeer::connect(&o2, r1.ip(), &open)?;
        gobgp.wait_established(r1.ip().into())?;
        Ok(Self {
            reflector,
            sender: s1,
            listener,
            listener_node: o2,
            gobgp,
            routes: BTreeMap::new(),
            others: 0,
            marks: 0,
            sessions: 0,
        })
    }

    /// A session of the sender, with all families.
    fn connect(&mut self, four_octet_as: bool) -> Result<RawPeer> {
        let families = Family::SUPPORTED.iter();
        let open = RawOpen {
            asn: AS,
            families: families.map(|family| (family.afi, family.safi)).collect(),
            four_octet_as,
        };
        self.sessions += 1;
        let from = Ipv4Addr::from_bits(FIRST_SENDER.to_bits() + self.sessions);
        RawPeer::connect_as(&self.sender, from, self.reflector.node.ip(), &open)
    }

    /// 1: sends each of `cases` over one session.
    fn spares(&mut self, cases: &[&Case], four_octet_as: bool) -> Result<()> {
        let mut session = self.connect(four_octet_as)?;
        let routes: Vec<Ipv4Prefix> = cases.iter().filter_map(|case| case.route).collect();
        session.send(&announce(&routes, BEFORE, four_octet_as))?;
        self.wait_marked(&mut session, four_octet_as)?;
        for route in &routes {
            let med = self.routes.get(route).and_then(Attributes::med);
            ensure!(med == Some(BEFORE), "1: no {route} before its message");
        }
        for case in cases {
            let others = self.others;
            session.send(&case.update)?;
            self.wait_marked(&mut session, four_octet_as)
                .and_then(|()| self.check_route(case))
                .with_context(|| format!("1: {}", case.name))?;
            // RT membership is not for the listener, a type that is not known cannot be seen, and
            // the rule with a long length is there already.
            let visible = case.spoil == Spoil::Nothing
                && case.attribute == Some(AttributeCode::MP_REACH_NLRI)
                && case.route.is_none()
                && !case.name.contains("membership")
                && !case.name.contains("another type")
                && !case.name.contains("long length")
                && !case.name.contains("IPv4 unicast");
            ensure!(
                !visible || self.others > others,
                "1: {}: nothing arrived",
                case.name
            );
        }
        drop(session);
        self.wait_until("the sender's routes have gone", |routes| routes.is_empty())
    }

    fn check_route(&self, case: &Case) -> Result<()> {
        let Some(route) = case.route else {
            return Ok(());
        };
        let Some(attributes) = self.routes.get(&route) else {
            ensure!(case.expected == Expected::Withdraw, "{route} is gone");
            return Ok(());
        };
        ensure!(
            case.expected != Expected::Withdraw,
            "{route} stays: {attributes}"
        );
        ensure!(
            attributes.med() != Some(BEFORE),
            "{route} is as before: {attributes}"
        );
        if case.expected == Expected::Discard && case.spoil != Spoil::Duplicate {
            let is_there = attributes.raw().any(|raw| Some(raw.code) == case.attribute);
            ensure!(
                !is_there,
                "{route} has what is to be discarded: {attributes}"
            );
        }
        Ok(())
    }

    /// 2: a session of its own for a message that ends it.
    fn ends(&mut self, case: &Case) -> Result<()> {
        let Expected::Reset { code, subcode } = case.expected else {
            bail!("2: it ends no session");
        };
        let probe: Ipv4Prefix = PROBE.parse()?;
        let mut session = self.connect(case.four_octet_as)?;
        session.send(&announce(&[probe], BEFORE, case.four_octet_as))?;
        self.wait_until("2: a route of the session", |routes| {
            routes.contains_key(&probe)
        })?;
        session.send(&case.update)?;
        let heard = heard_of_the_end(&mut session)?;
        ensure!(
            heard == Heard::Notification { code, subcode },
            "2: {heard:?} in place of {:?}",
            case.expected
        );
        let closed = session.hear(PATIENCE)?;
        ensure!(closed == Some(Heard::Closed), "2: then {closed:?}");
        self.wait_until("2: it is withdrawn", |routes| !routes.contains_key(&probe))
    }

    /// 3: all of them, as fast as they go.
    fn round(&mut self, kept: &[Case], reset: &[Case]) -> Result<()> {
        for four_octet_as in [true, false] {
            let mut session = self.connect(four_octet_as)?;
            let some = kept
                .iter()
                .filter(|case| case.four_octet_as == four_octet_as);
            for case in some {
                session.send(&case.update)?;
            }
            self.wait_marked(&mut session, four_octet_as)?;
        }
        // Sessions are what takes time: each round has its share of those that end.
        for case in reset.iter().step_by(ROUNDS) {
            let mut session = self.connect(case.four_octet_as)?;
            session.send(&case.update)?;
            heard_of_the_end(&mut session)?;
        }
        self.wait_until("3: all has gone", |routes| routes.is_empty())
    }

    /// Announces a marker with a number that none has had.
    fn mark(&mut self, session: &mut RawPeer, marker: &str) -> Result<()> {
        self.marks += 1;
        session.send(&announce(&[marker.parse()?], self.marks, true))
    }

    /// Waits until the markers of all sessions have arrived at the listener. Sessions that have
    /// ended, or wait for the rest of a message, are given up.
    fn wait_for_marks(&mut self, sessions: &mut [Option<RawPeer>]) -> Result<()> {
        let first = self.marks.saturating_sub(u32::try_from(sessions.len())?) + 1;
        let deadline = Instant::now() + Duration::from_millis(100);
        for (session, marker) in sessions.iter_mut().zip(MARKERS) {
            let marker: Ipv4Prefix = marker.parse()?;
            while let Some(open) = session {
                if self.routes.get(&marker).and_then(Attributes::med) >= Some(first) {
                    break;
                }
                self.listen(Duration::from_millis(2))?;
                let over = !matches!(open.hear(Duration::ZERO), Ok(None | Some(Heard::Update(_))));
                if over || Instant::now() > deadline {
                    *session = None;
                }
            }
        }
        Ok(())
    }

    /// Sends the marker and waits until it arrives at the listener.
    fn wait_marked(&mut self, session: &mut RawPeer, four_octet_as: bool) -> Result<()> {
        self.marks += 1;
        let (marks, marker): (u32, Ipv4Prefix) = (self.marks, MARKERS[0].parse()?);
        session.send(&announce(&[marker], marks, four_octet_as))?;
        let arrived = self.wait_until("what was sent arrives", |routes| {
            routes.get(&marker).and_then(Attributes::med) == Some(marks)
        });
        // What the sender heard says more than that nothing arrived.
        while let Some(heard) = session.hear(Duration::ZERO)? {
            ensure!(
                matches!(heard, Heard::Update(_)),
                "the sender heard {heard:?}"
            );
        }
        arrived
    }

    /// Listens until `done` holds of the listener's routes.
    fn wait_until(
        &mut self,
        what: &str,
        done: impl Fn(&BTreeMap<Ipv4Prefix, Attributes>) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.routes) {
            ensure!(Instant::now() < deadline, "{what}: {:?}", self.routes);
            self.listen(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Takes what the listener hears within `patience`, at least a message if there is one.
    fn listen(&mut self, patience: Duration) -> Result<()> {
        let mut patience = patience;
        while let Some(heard) = self.listener.hear(patience)? {
            patience = Duration::ZERO;
            let Heard::Update(body) = heard else {
                bail!("the listener heard {heard:?}");
            };
            let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
            let result = decode_update(&body, &CodecContext::default(), &mut batch, &mut faults);
            ensure!(
                result.is_ok() && faults.is_empty(),
                "the listener heard a malformed UPDATE: {result:?} {faults:?} {body:02x?}"
            );
            self.take(&batch)?;
        }
        Ok(())
    }

    fn take(&mut self, batch: &UpdateBatch) -> Result<()> {
        for event in &batch.events {
            match event {
                RouteEvent::Reach {
                    nlri: Nlri::Ipv4(prefix),
                    attributes,
                    ..
                } => {
                    let attributes = batch.attributes(*attributes).context("attributes")?;
                    self.routes.insert(*prefix, attributes.clone());
                }
                RouteEvent::Withdraw {
                    nlri: Nlri::Ipv4(prefix),
                    ..
                } => {
                    self.routes.remove(prefix);
                }
                RouteEvent::Reach { .. } => self.others += 1,
                RouteEvent::Withdraw { .. } | RouteEvent::EndOfRib(_) => {}
            }
        }
        Ok(())
    }

    /// The sessions of the listener and of GoBGP are the first ones.
    fn others_untouched(&mut self) -> Result<()> {
        self.listen(Duration::from_millis(10))?;
        self.gobgp
            .check_established(self.reflector.node.ip().into())?;
        for node in [&self.listener_node, &self.gobgp.node] {
            let peer = self.reflector.peer(node.ip().into())?;
            ensure!(
                peer["state"] == "Established" && peer["flaps"] == 0,
                "{peer}"
            );
        }
        Ok(())
    }
}

/// The last that a session hears before it is closed.
fn heard_of_the_end(session: &mut RawPeer) -> Result<Heard> {
    loop {
        match session.hear(PATIENCE)? {
            Some(Heard::Update(_)) => {}
            Some(heard) => return Ok(heard),
            None => bail!("the session goes on"),
        }
    }
}

/// UPDATEs that announce `routes` with a MED.
fn announce(routes: &[Ipv4Prefix], med: u32, four_octet_as: bool) -> Vec<u8> {
    let context = CodecContext {
        four_octet_as,
        ..CodecContext::default()
    };
    let next_hop = IpAddr::from([192, 0, 2, 1]);
    let attributes = Attributes::builder()
        .next_hop(next_hop)
        .local_pref(100)
        .med(med)
        .build();
    let routes: Vec<Nlri> = routes.iter().map(|route| Nlri::Ipv4(*route)).collect();
    let mut out = Vec::new();
    let routes = routes.iter().map(|route| (route, PathData::default()));
    UpdateWriter::new(&context, &mut out).reach(Family::IPV4_UNICAST, &attributes, routes);
    out
}

/// The same numbers in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from((self.next() >> 16) % limit).unwrap_or(0)
    }

    /// `message` with octets changed, inserted or taken out; most often its length is right.
    fn change(&mut self, message: &[u8]) -> Vec<u8> {
        let mut changed = message.to_vec();
        for _ in 0..=self.below(3) {
            let body = changed.len() - 19;
            let at = 19 + self.below(body.max(1));
            match self.below(6) {
                0 => changed.truncate(at.max(23)),
                1 => changed.insert(at.min(changed.len()), self.next() as u8),
                2 if changed.len() > 23 => drop(changed.remove(at)),
                3 if body > 0 => changed[at] ^= 1 << self.below(8),
                4 if body > 0 => changed[at] = [0, 0xff][self.below(2)],
                _ if body > 0 => changed[at] = self.next() as u8,
                _ => {}
            }
        }
        let length = u16::try_from(changed.len()).unwrap_or(u16::MAX);
        changed[16..18].copy_from_slice(&length.to_be_bytes());
        if self.below(200) == 0 {
            let at = self.below(19);
            changed[at] = self.next() as u8;
        }
        changed
    }
}
