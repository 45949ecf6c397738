//! One MAC-VRF: what is attached here, what was imported, and for each MAC address, IP address and
//! VTEP what follows for the dataplane.
//!
//! Nothing that follows is edited by hand: a change marks the addresses that it touches, and what
//! holds for these is computed anew from what is known ([`MacVrf::settle`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chanter_bgp::{EvpnNlri, InclusiveMulticast, MacIp};
use chanter_intent::{Attachment, AttachmentKey, InstanceId, Port, PortName, VpnInstance, VpnKind};
use chanter_types::{EthernetTag, IfName, Instant, MacAddr, RouteDistinguisher, RouteTarget, Vni};

use crate::Event;
use crate::desired::{DesiredKey, DesiredValue, Domain, DomainId};
use crate::program::Program;
use crate::vpn::originate::Originated;
use crate::vpn::remote::{Imported, RemoteFlood, RemoteMac, Unusable};

/// What distinguishes the routes of one MAC address: route distinguisher, Ethernet tag, IP address.
pub(crate) type RemoteKey = (RouteDistinguisher, EthernetTag, Option<IpAddr>);

/// What a MAC-VRF takes from an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) port: Port,
    pub(crate) local_pref: Option<u32>,
    pub(crate) sticky: bool,
    pub(crate) since: Instant,
}

/// Where a MAC address is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Place {
    #[default]
    Nowhere,
    Local(PortName),
    Remote(RemoteMac),
}

impl Place {
    /// The place in an operator's words.
    pub(crate) fn text(&self) -> String {
        match self {
            Place::Nowhere => "nowhere".to_owned(),
            Place::Local(port) => format!("local port {port}"),
            Place::Remote(remote) => format!("VTEP {}", remote.vtep),
        }
    }
}

/// All that is known of one MAC address.
#[derive(Debug, Default)]
pub(crate) struct MacEntry {
    /// Its attachments, by IP address.
    pub(crate) local: BTreeMap<Option<IpAddr>, Local>,
    /// The mobility sequence number of the attachments (RFC 7432 section 15).
    pub(crate) sequence: u32,
    /// Its routes.
    pub(crate) remote: BTreeMap<RemoteKey, RemoteMac>,
    /// Where it was last found to be.
    pub(crate) place: Place,
    pub(crate) since: Instant,
    /// The routes that this node originates for it.
    pub(crate) originated: BTreeMap<EvpnNlri, Originated>,
}

impl MacEntry {
    fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty() && self.originated.is_empty()
    }

    pub(crate) fn local_sticky(&self) -> bool {
        self.local.values().any(|local| local.sticky)
    }

    /// The route that counts among several of one MAC: sticky ones, then the highest sequence
    /// number (RFC 7432 section 15), LOCAL_PREF, the lowest VTEP address.
    pub(crate) fn best_remote(&self) -> Option<(&RemoteKey, &RemoteMac)> {
        self.remote.iter().max_by_key(|(key, remote)| {
            let RemoteMac {
                sticky,
                sequence,
                local_pref,
                vtep,
                ..
            } = **remote;
            let lowest = std::cmp::Reverse((vtep, **key));
            (sticky, sequence, local_pref, lowest)
        })
    }

    /// Whether the attachments go before this route (RFC 7432 section 15): a sticky MAC does not
    /// move, the higher sequence number is newer, and of two equal ones the lower VTEP has it.
    pub(crate) fn local_wins(&self, remote: &RemoteMac, own_vtep: IpAddr) -> bool {
        let local = (self.local_sticky(), self.sequence);
        let other = (remote.sticky, remote.sequence);
        local > other || (local == other && own_vtep < remote.vtep)
    }

    fn decide(&self, own_vtep: IpAddr) -> Place {
        let port = self
            .local
            .values()
            .next()
            .map(|local| local.port.name.clone());
        match (port, self.best_remote()) {
            (None, None) => Place::Nowhere,
            (Some(port), None) => Place::Local(port),
            (Some(port), Some((_, remote))) if self.local_wins(remote, own_vtep) => {
                Place::Local(port)
            }
            (_, Some((_, remote))) => Place::Remote(*remote),
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }
}

/// What has to be computed anew.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) domain: bool,
    /// All routes that this instance originates.
    pub(crate) routes: bool,
    pub(crate) macs: BTreeSet<MacAddr>,
    ips: BTreeSet<IpAddr>,
    vteps: BTreeSet<IpAddr>,
    ports: BTreeSet<PortName>,
}

/// A MAC-VRF.
#[derive(Debug)]
pub(crate) struct MacVrf {
    pub(crate) id: InstanceId,
    pub(crate) number: DomainId,
    pub(crate) rd: RouteDistinguisher,
    pub(crate) vni: Vni,
    pub(crate) bridge: Option<IfName>,
    pub(crate) import: BTreeSet<RouteTarget>,
    pub(crate) export: BTreeSet<RouteTarget>,
    pub(crate) since: Instant,
    pub(crate) macs: BTreeMap<MacAddr, MacEntry>,
    /// MAC addresses that an attachment or a route says an IP address has.
    pub(crate) ips: BTreeMap<IpAddr, BTreeSet<MacAddr>>,
    pub(crate) floods: BTreeMap<InclusiveMulticast, RemoteFlood>,
    pub(crate) vteps: BTreeMap<IpAddr, BTreeSet<InclusiveMulticast>>,
    pub(crate) ports: BTreeMap<PortName, BTreeSet<(MacAddr, Option<IpAddr>)>>,
    /// Routes with an imported route target that cannot be used.
    pub(crate) unusable: BTreeMap<EvpnNlri, Unusable>,
    /// The type 3 route that this node originates.
    pub(crate) multicast: Option<(EvpnNlri, Originated)>,
    pub(crate) dirty: Dirty,
}

/// What an instance is computed with.
pub(crate) struct Surroundings<'a> {
    pub(crate) own_vtep: IpAddr,
    pub(crate) program: &'a mut Program,
    pub(crate) events: &'a mut Vec<Event>,
    pub(crate) now: Instant,
}

impl MacVrf {
    pub(crate) fn new(
        declared: &VpnInstance,
        number: DomainId,
        rd: RouteDistinguisher,
        vni: Vni,
        now: Instant,
    ) -> Self {
        let VpnKind::MacVrf(kind) = &declared.kind;
        MacVrf {
            id: declared.id.clone(),
            number,
            rd,
            vni,
            bridge: kind.bridge.clone(),
            import: declared.import.clone(),
            export: declared.export.clone(),
            since: now,
            macs: BTreeMap::new(),
            ips: BTreeMap::new(),
            floods: BTreeMap::new(),
            vteps: BTreeMap::new(),
            ports: BTreeMap::new(),
            unusable: BTreeMap::new(),
            multicast: None,
            dirty: Dirty {
                domain: true,
                routes: true,
                ..Dirty::default()
            },
        }
    }

    /// Whether something has to be computed anew.
    pub(crate) fn is_dirty(&self) -> bool {
        let Dirty {
            domain,
            routes,
            macs,
            ips,
            vteps,
            ports,
        } = &self.dirty;
        *domain
            || *routes
            || !(macs.is_empty() && ips.is_empty() && vteps.is_empty() && ports.is_empty())
    }

    /// Takes in an attachment, in place of the previous one under its key.
    pub(crate) fn attach(&mut self, attachment: &Attachment, now: Instant) {
        let AttachmentKey { mac, ip, .. } = attachment.key;
        let entry = self.macs.entry(mac).or_default();
        let was_empty = entry.local.is_empty();
        let old = entry.local.get(&ip);
        let moved = old.is_none_or(|old| old.port != attachment.port);
        let since = old.map_or(now, |old| old.since);
        // RFC 7432 section 15: learning locally what a peer advertises takes the next number. Not
        // where the peer says that the MAC must not move (section 15.2).
        if let Some((_, remote)) = entry.best_remote()
            && !remote.sticky
            && moved
            && (was_empty || !entry.is_local())
        {
            entry.sequence = entry.sequence.max(remote.sequence.saturating_add(1));
        }
        let Attachment {
            port,
            local_pref,
            sticky,
            ..
        } = attachment.clone();
        let name = port.name.clone();
        let old = entry.local.insert(
            ip,
            Local {
                port,
                local_pref,
                sticky,
                since,
            },
        );
        if let Some(old) = old
            && old.port.name != name
        {
            self.leave_port(&old.port.name, mac, ip);
        }
        self.ports
            .entry(name.clone())
            .or_default()
            .insert((mac, ip));
        self.dirty.ports.insert(name);
        self.touch(mac, ip);
    }

    /// Forgets an attachment.
    pub(crate) fn detach(&mut self, mac: MacAddr, ip: Option<IpAddr>) {
        let Some(entry) = self.macs.get_mut(&mac) else {
            return;
        };
        let Some(old) = entry.local.remove(&ip) else {
            return;
        };
        if entry.local.is_empty() {
            entry.sequence = 0;
        }
        self.leave_port(&old.port.name, mac, ip);
        self.touch(mac, ip);
    }

    fn leave_port(&mut self, port: &PortName, mac: MacAddr, ip: Option<IpAddr>) {
        if let Some(users) = self.ports.get_mut(port) {
            users.remove(&(mac, ip));
            if users.is_empty() {
                self.ports.remove(port);
            }
        }
        self.dirty.ports.insert(port.clone());
    }

    /// Takes in what a route says, in place of what it said before.
    pub(crate) fn import(&mut self, nlri: &EvpnNlri, read: Result<Imported, Unusable>) {
        match read {
            Ok(Imported::Mac(route, remote)) => {
                self.unusable.remove(nlri);
                let entry = self.macs.entry(route.mac).or_default();
                let old = entry.remote.insert((route.rd, route.tag, route.ip), remote);
                if old != Some(remote) {
                    self.touch(route.mac, route.ip);
                }
            }
            Ok(Imported::Flood(route, flood)) => {
                self.unusable.remove(nlri);
                self.drop_flood(&route);
                self.floods.insert(route, flood);
                self.vteps.entry(flood.vtep).or_default().insert(route);
                self.dirty.vteps.insert(flood.vtep);
            }
            Err(reason) => {
                self.unimport(nlri);
                self.unusable.insert(nlri.clone(), reason);
            }
        }
    }

    /// Forgets a route.
    pub(crate) fn unimport(&mut self, nlri: &EvpnNlri) {
        self.unusable.remove(nlri);
        match nlri {
            EvpnNlri::MacIp(MacIp { rd, tag, mac, ip }) => {
                let Some(entry) = self.macs.get_mut(mac) else {
                    return;
                };
                if entry.remote.remove(&(*rd, *tag, *ip)).is_some() {
                    self.touch(*mac, *ip);
                }
            }
            EvpnNlri::InclusiveMulticast(route) => self.drop_flood(route),
            EvpnNlri::EthernetAd(_)
            | EvpnNlri::EthernetSegment(_)
            | EvpnNlri::IpPrefix(_)
            | EvpnNlri::Other { .. } => {}
        }
    }

    fn drop_flood(&mut self, route: &InclusiveMulticast) {
        let Some(old) = self.floods.remove(route) else {
            return;
        };
        if let Some(routes) = self.vteps.get_mut(&old.vtep) {
            routes.remove(route);
            if routes.is_empty() {
                self.vteps.remove(&old.vtep);
            }
        }
        self.dirty.vteps.insert(old.vtep);
    }

    /// Marks a MAC, and one of its addresses, and keeps the index of addresses.
    fn touch(&mut self, mac: MacAddr, ip: Option<IpAddr>) {
        self.dirty.macs.insert(mac);
        let Some(ip) = ip else { return };
        self.dirty.ips.insert(ip);
        let has = self.macs.get(&mac).is_some_and(|entry| {
            entry.local.contains_key(&Some(ip))
                || entry
                    .remote
                    .keys()
                    .any(|(_, _, remote)| *remote == Some(ip))
        });
        let macs = self.ips.entry(ip).or_default();
        if has {
            macs.insert(mac);
        } else {
            macs.remove(&mac);
            if macs.is_empty() {
                self.ips.remove(&ip);
            }
        }
    }

    /// Computes anew what the dataplane should hold for all that was marked. MAC addresses stay
    /// marked: their routes are next.
    pub(crate) fn settle(&mut self, with: &mut Surroundings<'_>) {
        if std::mem::take(&mut self.dirty.domain) {
            let domain = Domain {
                instance: self.id.clone(),
                vni: self.vni,
                vtep: with.own_vtep,
                bridge: self.bridge.clone(),
            };
            let key = DesiredKey::Domain(self.number);
            with.program
                .set(key, Some(DesiredValue::Domain(domain)), with.now);
        }
        for port in std::mem::take(&mut self.dirty.ports) {
            let value = self.port_value(&port);
            with.program
                .set(DesiredKey::Port(self.number, port), value, with.now);
        }
        for mac in self.dirty.macs.clone() {
            self.settle_mac(mac, with);
        }
        for ip in std::mem::take(&mut self.dirty.ips) {
            let value = self.neighbor(ip).map(|mac| DesiredValue::Neighbor { mac });
            with.program
                .set(DesiredKey::Neighbor(self.number, ip), value, with.now);
        }
        for vtep in std::mem::take(&mut self.dirty.vteps) {
            // Several routes of one VTEP mean one copy; should they differ, the lowest key counts.
            let route = self.vteps.get(&vtep).and_then(|routes| routes.first());
            let flood = route.and_then(|route| self.floods.get(route));
            let value = flood.map(|flood| DesiredValue::Flood { vni: flood.vni });
            with.program
                .set(DesiredKey::Flood(self.number, vtep), value, with.now);
        }
    }

    fn port_value(&self, port: &PortName) -> Option<DesiredValue> {
        let (mac, ip) = self.ports.get(port)?.first()?;
        let local = self.macs.get(mac)?.local.get(ip)?;
        Some(DesiredValue::Port {
            vlan: local.port.vlan,
        })
    }

    fn settle_mac(&mut self, mac: MacAddr, with: &mut Surroundings<'_>) {
        let Some(entry) = self.macs.get_mut(&mac) else {
            return;
        };
        let place = entry.decide(with.own_vtep);
        let (local, remote) = match &place {
            Place::Nowhere => (None, None),
            Place::Local(port) => (Some(DesiredValue::LocalMac { port: port.clone() }), None),
            Place::Remote(RemoteMac {
                vtep, vni, sticky, ..
            }) => {
                let value = DesiredValue::RemoteMac {
                    vtep: *vtep,
                    vni: *vni,
                    sticky: *sticky,
                };
                (None, Some(value))
            }
        };
        with.program
            .set(DesiredKey::LocalMac(self.number, mac), local, with.now);
        with.program
            .set(DesiredKey::RemoteMac(self.number, mac), remote, with.now);
        if place == entry.place {
            return;
        }
        let (from, to) = (entry.place.text(), place.text());
        let known = entry.place != Place::Nowhere && place != Place::Nowhere;
        if known && from != to {
            let sequence = match &place {
                Place::Remote(remote) => remote.sequence,
                Place::Local(_) | Place::Nowhere => entry.sequence,
            };
            let instance = self.id.clone();
            with.events.push(Event::MacMoved {
                instance,
                mac,
                from,
                to,
                sequence,
            });
        }
        let was_local = entry.is_local();
        entry.place = place;
        entry.since = with.now;
        if was_local != entry.is_local() {
            let remote = entry.remote.keys().filter_map(|(_, _, ip)| *ip);
            self.dirty
                .ips
                .extend(entry.local.keys().filter_map(|ip| *ip).chain(remote));
        }
    }

    /// The MAC address that remote hosts have for an IP address. A local endpoint speaks for its own
    /// addresses, so that nothing is said of these.
    pub(crate) fn neighbor(&self, ip: IpAddr) -> Option<MacAddr> {
        let owners = self.ips.get(&ip)?;
        let entries = owners
            .iter()
            .filter_map(|mac| Some((*mac, self.macs.get(mac)?)));
        let mut best = None;
        for (mac, entry) in entries {
            if entry.is_local() {
                if entry.local.contains_key(&Some(ip)) {
                    return None;
                }
                continue;
            }
            let routes = entry
                .remote
                .iter()
                .filter(|((_, _, of), _)| *of == Some(ip));
            for (_, remote) in routes {
                let RemoteMac {
                    sticky,
                    sequence,
                    local_pref,
                    vtep,
                    ..
                } = *remote;
                let rank = (sticky, sequence, local_pref, std::cmp::Reverse((vtep, mac)));
                best = best.max(Some((rank, mac)));
            }
        }
        best.map(|(_, mac)| mac)
    }

    /// Drops what is known of MAC addresses of which nothing is known.
    pub(crate) fn forget_empty(&mut self, macs: &BTreeSet<MacAddr>) {
        for mac in macs {
            if self.macs.get(mac).is_some_and(MacEntry::is_empty) {
                self.macs.remove(mac);
            }
        }
    }

    /// Every desired object of this instance goes.
    pub(crate) fn tear_down(&self, program: &mut Program, now: Instant) {
        let keys: Vec<DesiredKey> = program
            .of_domain(self.number)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            program.set(key, None, now);
        }
    }
}
