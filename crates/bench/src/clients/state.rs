//! What the clients and those who judge them share.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use chanter_bgp::{EvpnNlri, MacIp, Nlri};
use chanter_types::{EthernetTag, MacAddr, RouteDistinguisher, RouteTarget};

use super::latency::Latency;

/// What all clients are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Establish a session and announce the routes once.
    Connect,
    /// Change them.
    Change,
    /// Change nothing any more.
    Settle,
}

/// What one client does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) id: u32,
    pub(super) vpn: u32,
    pub(super) routes: u32,
    pub(super) rate: u32,
    /// How often it goes away.
    pub(super) flap: Option<Duration>,
    /// It does not read while routes change.
    pub(super) stuck: bool,
}

impl Plan {
    /// The address that it connects from, which is its BGP identifier too.
    pub(super) fn addr(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 99, 0, 0)) + 1 + self.id)
    }

    /// The route target of its VPN.
    pub(super) fn rt(&self) -> RouteTarget {
        RouteTarget::from_as2(64512, self.vpn + 1)
    }

    /// Its route of that number.
    pub(super) fn nlri(&self, route: u32) -> Nlri {
        let ([_, a, b, c], [.., d]) = (self.id.to_be_bytes(), route.to_be_bytes());
        Nlri::from(MacIp {
            rd: RouteDistinguisher::from_ipv4(self.addr(), 1),
            tag: EthernetTag(0),
            mac: MacAddr([0x02, 0, a, b, c, d]),
            ip: None,
        })
    }
}

/// Whose route it is, and which.
pub(super) fn owner(nlri: &Nlri) -> Option<(u32, u32)> {
    let Nlri::Evpn(EvpnNlri::MacIp(route)) = nlri else {
        return None;
    };
    let [0x02, 0, a, b, c, d] = route.mac.0 else {
        return None;
    };
    Some((u32::from_be_bytes([0, a, b, c]), u32::from(d)))
}

/// What a client has said and heard.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The version of each of its routes; 0: not announced yet.
    pub(super) said: Vec<u32>,
    /// Versions of the others' routes.
    pub(super) heard: HashMap<(u32, u32), u32>,
}

/// All clients.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plans: Vec<Plan>,
    pub(super) start: Instant,
    pub(super) established: AtomicI64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) flaps: AtomicU64,
    pub(super) latency: Latency,
    states: Vec<Mutex<State>>,
    fault: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(plans: Vec<Plan>) -> Self {
        let states = plans.iter().map(|plan| {
            Mutex::new(State {
                said: vec![0; plan.routes as usize],
                heard: HashMap::new(),
            })
        });
        Self {
            states: states.collect(),
            start: Instant::now(),
            established: AtomicI64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            flaps: AtomicU64::new(0),
            latency: Latency::new(),
            fault: Mutex::new(None),
            plans,
        }
    }

    pub(super) fn state(&self, id: u32) -> MutexGuard<'_, State> {
        lock(&self.states[id as usize])
    }

    /// Something went wrong that ends the run; the first one counts.
    pub(super) fn report(&self, fault: String) {
        lock(&self.fault).get_or_insert(fault);
    }

    /// An error if something went wrong.
    pub(super) fn check(&self) -> Result<()> {
        match &*lock(&self.fault) {
            Some(fault) => bail!("{fault}"),
            None => Ok(()),
        }
    }

    /// Whether every client has exactly what the others of its VPN said last.
    pub(super) fn is_settled(&self) -> bool {
        self.plans.iter().all(|plan| self.missing(plan) == 0)
    }

    /// How much is missing, in words.
    pub(super) fn lack(&self) -> String {
        let missing = self.plans.iter().map(|plan| self.missing(plan));
        let clients = missing.clone().filter(|count| *count > 0).count();
        let routes: usize = missing.sum();
        let established = self.established.load(std::sync::atomic::Ordering::Relaxed);
        format!(
            "{established} sessions are up, {clients} clients lack or hold too much, {routes} routes in all"
        )
    }

    fn missing(&self, plan: &Plan) -> usize {
        let others = self
            .plans
            .iter()
            .skip(plan.id.saturating_sub(self.vpn_size()) as usize)
            .take_while(|other| other.vpn <= plan.vpn)
            .filter(|other| other.vpn == plan.vpn && other.id != plan.id);
        let mut wanted: HashMap<(u32, u32), u32> = HashMap::new();
        for other in others {
            let state = self.state(other.id);
            wanted.extend(
                (0..)
                    .zip(&state.said)
                    .map(|(route, version)| ((other.id, route), *version)),
            );
        }
        let state = self.state(plan.id);
        let wrong = wanted
            .iter()
            .filter(|(route, version)| **version == 0 || state.heard.get(*route) != Some(*version));
        let beyond = state
            .heard
            .keys()
            .filter(|route| !wanted.contains_key(*route));
        wrong.count() + beyond.count()
    }

    fn vpn_size(&self) -> u32 {
        let first = self.plans.iter().take_while(|plan| plan.vpn == 0).count();
        u32::try_from(first).unwrap_or(u32::MAX)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
