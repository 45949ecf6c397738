//! Ports of a domain: devices of endpoints, which belong to others and are only plugged.

use chanter_engine::desired::{DataplaneError, DesiredKey};
use chanter_intent::PortName;
use chanter_types::IfName;

use super::devices::Devices;
use super::{Planner, intent_error};
use crate::linux::desired::DomainObjects;
use crate::linux::names;
use crate::linux::observe::{Link, LinkKind};
use crate::linux::op::Op;

/// A port that can be used.
pub(super) struct PortState<'a> {
    pub(super) link: &'a Link,
    /// Whether it is in the bridge already.
    pub(super) attached: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn plan_port(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        port: &PortName,
    ) {
        if !objects.ports.contains_key(port) {
            return self.plan_removed_port(objects, devices, key, port);
        }
        match self.port_state(objects, devices, key, port) {
            Err(error) => self.fail(key, error),
            Ok(PortState { link, attached }) => {
                if !attached {
                    self.moved.insert(link.name.clone());
                    let op = Op::Attach {
                        port: link.name.clone(),
                        bridge: devices.bridge.name.clone(),
                    };
                    self.step(key, op);
                }
                if !link.up {
                    self.plan.notes.insert(format!(
                        "port {} is down: nothing reaches the endpoint until its owner sets it up",
                        link.name
                    ));
                }
            }
        }
    }

    fn plan_removed_port(
        &mut self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        port: &PortName,
    ) {
        let plugged = self.observed.by_name(port.as_str()).filter(|link| {
            // A tunnel is never a port of an endpoint, whatever the intent was.
            !matches!(link.kind, LinkKind::Vxlan(_))
                && link.master.is_some()
                && link.master == devices.bridge.index
        });
        let Some(link) = plugged else { return };
        // The mark of a port that we plugged: our entry of the MAC address behind it.
        let marked = objects.gone.contains(key) || self.has_local_mac(devices, link.index);
        if devices.bridge.ours && self.may_remove(objects, key, marked) {
            self.remove(
                key,
                Op::Detach {
                    port: link.name.clone(),
                },
            );
        }
    }

    fn has_local_mac(&self, devices: &Devices, port: u32) -> bool {
        devices.bridge.index.is_some_and(|bridge| {
            self.observed
                .bridge_entries(bridge)
                .any(|(_, entry)| entry.port == port && entry.ext_learned && entry.sticky)
        })
    }

    /// Whether a desired port can be used, and how far it is.
    pub(super) fn port_state(
        &self,
        objects: &DomainObjects,
        devices: &Devices,
        key: &DesiredKey,
        port: &PortName,
    ) -> Result<PortState<'a>, DataplaneError> {
        let name: IfName = port.as_str().parse().map_err(|error| {
            intent_error(format!(
                "port {port}: not a device of the linux dataplane: {error}"
            ))
        })?;
        if let Some(Some(vlan)) = objects.ports.get(port) {
            return Err(intent_error(format!(
                "port {port}: VLAN {vlan} on a port is not supported by the linux dataplane; \
                 attach the VLAN device ({port}.{vlan} or the like) without a VLAN"
            )));
        }
        let id = key.domain();
        if let Some(other) = self.desired.by_port(port).find(|other| *other < id) {
            return Err(intent_error(format!(
                "port {port}: it is already in domain {other}"
            )));
        }
        let link = self.observed.by_name(name.as_str()).ok_or_else(|| {
            intent_error(format!(
                "port {port}: there is no such device, it is plugged when it appears"
            ))
        })?;
        let attached = link.master.is_some() && link.master == devices.bridge.index;
        if !attached {
            self.check_free(devices, link)?;
        }
        Ok(PortState { link, attached })
    }

    /// A port outside the bridge may be taken if it is free, or in a bridge of ours.
    fn check_free(&self, devices: &Devices, link: &Link) -> Result<(), DataplaneError> {
        if !devices.bridge.ours {
            return Err(intent_error(format!(
                "port {}: waiting for its owner to make it a port of bridge {}",
                link.name, devices.bridge.name
            )));
        }
        let Some(master) = link.master else {
            return Ok(());
        };
        let master = self.observed.link(master);
        let alias = master.and_then(|master| master.alias.as_deref());
        if alias.is_some_and(names::is_tag) || master.is_some_and(|link| self.is_adopted(link)) {
            return Ok(());
        }
        let master = master.map_or("another device", |master| &master.name);
        Err(intent_error(format!(
            "port {}: it is already a port of {master}",
            link.name
        )))
    }
}
