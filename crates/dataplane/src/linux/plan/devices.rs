//! The bridge and the VXLAN device of a domain: found, adopted, or made.

use std::net::IpAddr;

use chanter_engine::desired::{DataplaneError, DesiredKey, Domain};
use chanter_types::IfName;

use super::{Planner, intent_error, node_error};
use crate::linux::names;
use crate::linux::observe::{BridgeSettings, DevName, Link, LinkKind, PortSettings, VxlanSettings};
use crate::linux::op::Op;

/// A device of a domain.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) name: DevName,
    /// `None`: the plan creates it.
    pub(super) index: Option<u32>,
    /// Whether we made or adopted it; otherwise only entries of ours in it are touched.
    pub(super) ours: bool,
}

/// The devices of a domain.
#[derive(Debug, Clone)]
pub(super) struct Devices {
    pub(super) bridge: Device,
    pub(super) vxlan: Device,
    pub(super) vni: u32,
    /// Our VTEP; remote ones are of the same address family.
    pub(super) local: IpAddr,
    /// Whether the VXLAN device answers ARP and ND itself, and not the bridge before it: neighbour
    /// entries belong where the answer is given.
    pub(super) vxlan_answers: bool,
}

impl Devices {
    /// Where neighbour entries are.
    pub(super) fn neighbor_device(&self) -> &Device {
        if self.vxlan_answers {
            &self.vxlan
        } else {
            &self.bridge
        }
    }
}

/// What to do about a device that is looked for by name.
enum Candidate<'a> {
    /// It exists and is as we need it.
    Adopt(&'a Link),
    /// There is no device of that name.
    Create(DevName),
}

impl<'a> Planner<'a> {
    /// VXLAN devices of the domain that cannot be made to fit go first, in all domains: VNI, UDP
    /// port and address family of a device are for life, and one may hold the VNI of another.
    pub(super) fn plan_misfits(&mut self, key: &DesiredKey, domain: &Domain) {
        let tag = names::tag(&domain.instance);
        for link in self.observed.by_alias(&tag) {
            let misfit = matches!(link.kind, LinkKind::Vxlan(_)) && !self.can_become(link, domain);
            if misfit && self.freed.insert(link.name.clone()) {
                self.step(
                    key,
                    Op::DeleteDevice {
                        dev: link.name.clone(),
                    },
                );
            }
        }
    }

    /// Plans for the devices of a domain.
    pub(super) fn plan_devices(
        &mut self,
        key: &DesiredKey,
        domain: &Domain,
    ) -> Result<Devices, DataplaneError> {
        let bridge = match &domain.bridge {
            Some(name) => self.given_bridge(name)?,
            None => self.plan_bridge(key, domain)?,
        };
        let given = (!bridge.ours)
            .then(|| self.given_vxlan(&bridge, domain))
            .flatten();
        let (vxlan, vxlan_answers) = match given {
            Some((vxlan, settings)) => {
                let device = Device {
                    name: vxlan.name.clone(),
                    index: Some(vxlan.index),
                    ours: false,
                };
                (device, settings.proxy)
            }
            None => (self.plan_vxlan(key, domain, &bridge)?, false),
        };
        Ok(Devices {
            bridge,
            vxlan,
            vni: domain.vni.value(),
            local: domain.vtep,
            vxlan_answers,
        })
    }

    /// The existing bridge that the intent names.
    pub(super) fn given_bridge(&self, name: &IfName) -> Result<Device, DataplaneError> {
        let link = self.observed.by_name(name.as_str()).ok_or_else(|| {
            intent_error(format!(
                "bridge {name}: there is no such device, waiting for it"
            ))
        })?;
        if !matches!(link.kind, LinkKind::Bridge(_)) {
            return Err(intent_error(format!(
                "bridge {name}: the device is not a bridge"
            )));
        }
        Ok(Device {
            name: link.name.clone(),
            index: Some(link.index),
            ours: false,
        })
    }

    /// A VXLAN device of somebody else in a given bridge, for the same VNI (the linuxbridge agent
    /// makes one): it is shared.
    pub(super) fn given_vxlan(
        &self,
        bridge: &Device,
        domain: &Domain,
    ) -> Option<(&'a Link, VxlanSettings)> {
        let tag = names::tag(&domain.instance);
        self.observed.by_vni(domain.vni.value()).find(|(link, _)| {
            link.master.is_some()
                && link.master == bridge.index
                && link.alias.as_deref() != Some(tag.as_str())
        })
    }

    fn plan_bridge(&mut self, key: &DesiredKey, domain: &Domain) -> Result<Device, DataplaneError> {
        let tag = names::tag(&domain.instance);
        let tagged = self
            .tagged(&tag)
            .find(|link| matches!(link.kind, LinkKind::Bridge(_)));
        let candidate = match tagged {
            Some(link) => Candidate::Adopt(link),
            None => self.candidate(names::bridge_names(&domain.instance), |planner, link| {
                planner.bridge_fits(link, domain)
            })?,
        };
        let link = match candidate {
            Candidate::Adopt(link) => link,
            Candidate::Create(name) => {
                self.step(
                    key,
                    Op::CreateBridge {
                        bridge: name.clone(),
                    },
                );
                self.step(
                    key,
                    Op::Tag {
                        dev: name.clone(),
                        tag,
                    },
                );
                self.plan_no_addresses(key, &name, Some(true));
                self.step(key, Op::NoIpv4 { dev: name.clone() });
                self.step(key, Op::SetUp { dev: name.clone() });
                return Ok(Device {
                    name,
                    index: None,
                    ours: true,
                });
            }
        };
        if link.takes_ipv4 == Some(true) {
            let dev = link.name.clone();
            self.step(key, Op::NoIpv4 { dev });
        }
        if let LinkKind::Bridge(settings) = link.kind {
            if settings.stp {
                self.step(
                    key,
                    Op::SetNoStp {
                        bridge: link.name.clone(),
                    },
                );
            }
            if (BridgeSettings {
                stp: false,
                ..settings
            }) != BridgeSettings::OURS
            {
                self.step(
                    key,
                    Op::SetBridge {
                        bridge: link.name.clone(),
                    },
                );
            }
        }
        self.plan_upkeep(key, link, tag);
        Ok(Device {
            name: link.name.clone(),
            index: Some(link.index),
            ours: true,
        })
    }

    fn plan_vxlan(
        &mut self,
        key: &DesiredKey,
        domain: &Domain,
        bridge: &Device,
    ) -> Result<Device, DataplaneError> {
        let tag = names::tag(&domain.instance);
        let tagged = self
            .tagged(&tag)
            .find(|link| matches!(link.kind, LinkKind::Vxlan(_)));
        let candidate = match tagged {
            Some(link) => Candidate::Adopt(link),
            None => self.candidate(names::vxlan_names(&domain.instance), |planner, link| {
                planner.vxlan_fits(link, domain)
                    && link.master.is_none_or(|master| {
                        Some(master) == bridge.index || planner.is_tagged(master)
                    })
            })?,
        };
        let link = match candidate {
            Candidate::Adopt(link) => link,
            Candidate::Create(name) => {
                self.clear_vni(key, domain)?;
                self.create_vxlan(key, domain, &name, tag);
                self.plan_tunnel_port(key, &name, None, bridge);
                self.step(key, Op::SetUp { dev: name.clone() });
                return Ok(Device {
                    name,
                    index: None,
                    ours: true,
                });
            }
        };
        if let LinkKind::Vxlan(settings) = link.kind {
            self.plan_vxlan_settings(key, link, settings, domain);
        }
        self.plan_tunnel_port(key, &link.name, Some(link), bridge);
        self.plan_upkeep(key, link, tag);
        Ok(Device {
            name: link.name.clone(),
            index: Some(link.index),
            ours: true,
        })
    }

    fn create_vxlan(&mut self, key: &DesiredKey, domain: &Domain, name: &DevName, tag: String) {
        let create = Op::CreateVxlan {
            vxlan: name.clone(),
            vni: domain.vni.value(),
            local: domain.vtep,
            udp_port: self.rules.udp_port,
        };
        self.step(key, create);
        self.step(
            key,
            Op::Tag {
                dev: name.clone(),
                tag,
            },
        );
        self.plan_no_addresses(key, name, Some(true));
    }

    fn plan_vxlan_settings(
        &mut self,
        key: &DesiredKey,
        link: &Link,
        settings: VxlanSettings,
        domain: &Domain,
    ) {
        let vxlan = &link.name;
        if settings.local != Some(domain.vtep) {
            self.step(
                key,
                Op::SetVxlanLocal {
                    vxlan: vxlan.clone(),
                    local: domain.vtep,
                },
            );
        }
        if settings.learning {
            self.step(
                key,
                Op::SetVxlanNoLearning {
                    vxlan: vxlan.clone(),
                },
            );
        }
        if settings.proxy {
            self.plan.notes.insert(format!(
                "VXLAN device {vxlan} of instance {} was made by another program with `proxy`, \
                 which swallows ARP and ND for addresses that are not known; the kernel cannot \
                 turn it off in place. It stays in use as it is; where a short interruption is \
                 acceptable delete it (`ip link del {vxlan}`), and it is made anew at once",
                domain.instance
            ));
        }
    }

    fn plan_tunnel_port(
        &mut self,
        key: &DesiredKey,
        name: &DevName,
        link: Option<&Link>,
        bridge: &Device,
    ) {
        let attached =
            link.is_some_and(|link| link.master.is_some() && link.master == bridge.index);
        if !attached {
            self.step(
                key,
                Op::Attach {
                    port: name.clone(),
                    bridge: bridge.name.clone(),
                },
            );
        }
        if !attached || link.and_then(|link| link.port) != Some(PortSettings::TUNNEL) {
            self.step(key, Op::SetTunnelPort { port: name.clone() });
        }
    }

    /// What bridges and VXLAN devices of ours have in common.
    fn plan_upkeep(&mut self, key: &DesiredKey, link: &Link, tag: String) {
        if link.alias.as_deref() != Some(tag.as_str()) {
            self.step(
                key,
                Op::Tag {
                    dev: link.name.clone(),
                    tag,
                },
            );
        }
        self.plan_no_addresses(key, &link.name, link.generates_addresses);
        if !link.up {
            self.step(
                key,
                Op::SetUp {
                    dev: link.name.clone(),
                },
            );
        }
    }

    fn plan_no_addresses(&mut self, key: &DesiredKey, dev: &DevName, generates: Option<bool>) {
        if generates == Some(true) && self.observed.has_ipv6() {
            self.step(key, Op::NoAddresses { dev: dev.clone() });
        }
    }

    /// The first name that is free, or is that of a device to adopt.
    fn candidate(
        &mut self,
        names: impl Iterator<Item = IfName>,
        fits: impl Fn(&Self, &Link) -> bool,
    ) -> Result<Candidate<'a>, DataplaneError> {
        for name in names {
            if self.taken.contains(name.as_str()) {
                continue;
            }
            let existing = self.observed.by_name(name.as_str());
            let Some(link) = existing.filter(|link| !self.freed.contains(&link.name)) else {
                let name = DevName::from(name.as_str());
                self.taken.insert(name.clone());
                return Ok(Candidate::Create(name));
            };
            match link.alias.as_deref() {
                Some(alias) if names::is_tag(alias) => {}
                None if fits(self, link) => {
                    // Claimed: no other domain of this plan adopts it.
                    self.taken.insert(link.name.clone());
                    return Ok(Candidate::Adopt(link));
                }
                _ => {
                    self.plan.notes.insert(format!(
                        "device {name} is not ours and not as we need it: left alone, another \
                         name is used"
                    ));
                }
            }
        }
        Err(node_error("no device name is free".to_owned()))
    }

    /// Whether an untagged bridge is that of some domain, which adopts it sooner or later.
    pub(super) fn is_adopted(&self, link: &Link) -> bool {
        let is_named = |domain: &Domain| {
            let mut names = names::bridge_names(&domain.instance);
            names.any(|name| name.as_str() == &*link.name)
        };
        let mut domains = self.desired.domains();
        link.alias.is_none()
            && domains.any(|(_, objects)| {
                let domain = objects.domain.as_ref();
                let domain = domain.filter(|domain| domain.bridge.is_none());
                domain.is_some_and(|domain| is_named(domain) && self.bridge_fits(link, domain))
            })
    }

    /// Whether an untagged bridge is this domain's: made by bagpipe-bgp, with a VXLAN device that
    /// fits, or left empty.
    fn bridge_fits(&self, link: &Link, domain: &Domain) -> bool {
        if !matches!(link.kind, LinkKind::Bridge(_)) {
            return false;
        }
        let mut ports = self.observed.ports(link.index).peekable();
        if ports.peek().is_none() {
            return true;
        }
        let tunnels: Vec<_> = ports
            .filter(|port| matches!(port.kind, LinkKind::Vxlan(_)))
            .collect();
        !tunnels.is_empty() && tunnels.iter().all(|tunnel| self.vxlan_fits(tunnel, domain))
    }

    fn vxlan_fits(&self, link: &Link, domain: &Domain) -> bool {
        matches!(link.kind, LinkKind::Vxlan(settings) if settings.local == Some(domain.vtep))
            && self.can_become(link, domain)
    }

    /// Whether the kernel can change the device into what we need.
    fn can_become(&self, link: &Link, domain: &Domain) -> bool {
        let LinkKind::Vxlan(settings) = link.kind else {
            return false;
        };
        !settings.external
            && settings.vni == domain.vni.value()
            && self.same_port(settings.udp_port)
            && settings
                .local
                .is_some_and(|local| local.is_ipv4() == domain.vtep.is_ipv4())
    }

    fn is_tagged(&self, index: u32) -> bool {
        let link = self.observed.link(index);
        link.and_then(|link| link.alias.as_deref())
            .is_some_and(names::is_tag)
    }

    fn same_port(&self, udp_port: u16) -> bool {
        self.rules.udp_port == 0 || udp_port == self.rules.udp_port
    }

    /// The kernel has one VXLAN device for a VNI and UDP port. One of ours that nobody wants any
    /// more makes room if it may go; any other is in the way.
    fn clear_vni(&mut self, key: &DesiredKey, domain: &Domain) -> Result<(), DataplaneError> {
        let ipv4 = domain.vtep.is_ipv4();
        let rival = self
            .observed
            .by_vni(domain.vni.value())
            .find(|(link, settings)| {
                !self.freed.contains(&link.name)
                    && self.same_port(settings.udp_port)
                    && settings.local.is_none_or(|local| local.is_ipv4() == ipv4)
            });
        let Some((link, settings)) = rival else {
            return Ok(());
        };
        if self.is_removable_orphan(link) {
            self.freed.insert(link.name.clone());
            self.step(
                key,
                Op::DeleteDevice {
                    dev: link.name.clone(),
                },
            );
            return Ok(());
        }
        Err(node_error(format!(
            "VNI {} on UDP port {} is taken by device {}, which is not of this instance",
            domain.vni, settings.udp_port, link.name
        )))
    }

    fn tagged(&self, tag: &str) -> impl Iterator<Item = &'a Link> {
        self.observed
            .by_alias(tag)
            .filter(|link| !self.freed.contains(&link.name))
    }
}
