//! What follows from inputs: for the instances, the dataplane, statuses, and what may be said to be
//! complete.

use std::collections::BTreeSet;

use chanter_bgp::Nlri;
use chanter_intent::{AttachmentKey, ObjectKey, Rejection, SourceId};
use chanter_types::Instant;

use super::Engine;
use crate::desired::{DesiredKey, Report};
use crate::gate::Circumstances;
use crate::rib::DestRef;
use crate::vpn::Surroundings;
use crate::{Event, ObjectStatus, Output};

impl Engine {
    pub(super) fn handle_reports(&mut self, reports: Vec<Report>, now: Instant) {
        for report in reports {
            let result = report.result.clone();
            let Some(reported) = self.program.report(report, now) else {
                continue;
            };
            let key = reported.key;
            if let Some(failure) = reported.failure {
                let error = failure.map(|error| error.message);
                self.events.push(Event::Dataplane {
                    key: key.clone(),
                    error,
                });
            }
            if reported.unwanted {
                self.statuses.left(&key, &result);
            } else {
                self.touch_object(&key);
            }
        }
    }

    /// Marks what depends on the state of a dataplane object: statuses and originated routes.
    fn touch_object(&mut self, key: &DesiredKey) {
        let Some(instance) = self.vpn.get_mut(key.domain().0) else {
            return;
        };
        let macs: BTreeSet<_> = match key {
            DesiredKey::Domain(_) => {
                instance.dirty.routes = true;
                self.statuses
                    .touch(ObjectKey::Instance(instance.id.clone()));
                let local = instance.macs.iter().filter(|(_, e)| !e.local.is_empty());
                local.map(|(mac, _)| *mac).collect()
            }
            DesiredKey::Port(_, port) => {
                let users = instance.ports.get(port).into_iter().flatten();
                users.map(|(mac, _)| *mac).collect()
            }
            DesiredKey::LocalMac(_, mac) => [*mac].into(),
            DesiredKey::Flood(..) | DesiredKey::RemoteMac(..) | DesiredKey::Neighbor(..) => {
                BTreeSet::new()
            }
        };
        for mac in macs {
            let Some(entry) = instance
                .macs
                .get(&mac)
                .filter(|entry| !entry.local.is_empty())
            else {
                continue;
            };
            for ip in entry.local.keys() {
                let key = AttachmentKey {
                    instance: instance.id.clone(),
                    mac,
                    ip: *ip,
                };
                self.statuses.touch(ObjectKey::Attachment(key));
            }
            instance.dirty.macs.insert(mac);
        }
    }

    /// Brings a route to the instances that import it; to one of them only, if it imports other
    /// route targets than before.
    pub(super) fn import(&mut self, route: DestRef, only: Option<u32>) {
        let Some(own_vtep) = self.config.vtep else {
            return;
        };
        let destination = self.rib.destination(route);
        let Some(Nlri::Evpn(nlri)) = destination.nlri() else {
            return;
        };
        // With a route distinguisher that several nodes share, the best path may be our own: what
        // the peers say of the MAC address counts nevertheless (RFC 7432 section 15).
        let path = destination.best_of_peers();
        let path = path.map(|path| (path.data, path.attributes));
        self.vpn.import(&nlri, path, own_vtep, only);
    }

    /// Imports what changed in the RIB and computes what follows, until nothing does any more.
    pub(super) fn compute(&mut self, now: Instant) {
        loop {
            while let Some(route) = self.rib.poll_changed() {
                self.import(route, None);
            }
            let Some(own_vtep) = self.config.vtep else {
                return;
            };
            let mut computed = false;
            while let Some(instance) = self.vpn.pop_dirty() {
                computed = true;
                instance.settle(&mut Surroundings {
                    own_vtep,
                    program: &mut self.program,
                    events: &mut self.events,
                    now,
                });
                let updates = instance.settle_routes(own_vtep, &self.program);
                let number = instance.number.0;
                for (nlri, route) in updates.originate {
                    self.rib
                        .originate(number, nlri, route.data, &route.attributes, now);
                }
                for nlri in updates.unoriginate {
                    self.rib.unoriginate(number, &nlri);
                }
            }
            if !computed {
                return;
            }
        }
    }

    /// Brings everything that follows up to date and queues the outputs.
    pub(super) fn settle(&mut self, now: Instant) {
        self.now = now;
        self.compute(now);
        self.emit_events();
        while self.program.has_changes() {
            for change in self.program.take_changes() {
                self.touch_object(&change.key);
                if change.value.is_some() {
                    self.statuses.left(&change.key, &Ok(()));
                }
                self.outputs.push_back(Output::Program(change));
            }
            self.compute(now);
            self.emit_events();
        }
        self.emit_statuses();
        self.open_gates(now);
        while let Some(notice) = self.rib.poll_notice() {
            self.outputs.push_back(notice);
        }
        while let Some(peer) = self.rib.poll_export_ready() {
            self.outputs.push_back(Output::ExportReady(peer));
        }
    }

    fn emit_events(&mut self) {
        self.outputs
            .extend(self.events.drain(..).map(Output::Event));
    }

    fn emit_statuses(&mut self) {
        for (source, key, repeated) in self.statuses.take_touched(&self.intent) {
            let status = self.compute_status(source, &key);
            let changed = self.statuses.set(source, &key, status.clone());
            if changed || repeated {
                self.push_status(source, key, status, changed);
            }
        }
        for (source, key, status) in self.statuses.take_withdrawn() {
            self.push_status(source, key, status, true);
        }
    }

    fn push_status(
        &mut self,
        source: SourceId,
        key: ObjectKey,
        status: ObjectStatus,
        changed: bool,
    ) {
        if changed {
            let (key, status) = (key.clone(), status.clone());
            self.outputs.push_back(Output::Event(Event::Object {
                source,
                key,
                status,
            }));
        }
        self.outputs.push_back(Output::Status {
            source,
            key,
            status,
        });
    }

    /// The status of what a source declares, from what the store and the sinks say.
    fn compute_status(&self, source: SourceId, key: &ObjectKey) -> ObjectStatus {
        let declaration = self.intent.declarations(key).find(|d| d.source == source);
        if let Some(rejection) = declaration.and_then(|declaration| declaration.rejection) {
            let Rejection { field, reason } = rejection.clone();
            return ObjectStatus::Rejected { field, reason };
        }
        let keys = self.dataplane_keys(key);
        let entries = keys.iter().filter_map(|key| self.program.get(key));
        let reports: Vec<_> = entries.map(|entry| entry.report.as_ref()).collect();
        if let Some(error) = reports
            .iter()
            .flatten()
            .find_map(|report| report.as_ref().err())
        {
            ObjectStatus::Failed {
                error: error.clone(),
            }
        } else if reports.is_empty() || reports.contains(&None) {
            ObjectStatus::Pending
        } else {
            ObjectStatus::Installed
        }
    }

    fn open_gates(&mut self, now: Instant) {
        let circumstances = Circumstances {
            sources_synced: self.intent.all_synced(),
            peers: self.peers.tally(),
            peers_expected: self.config.peers_expected,
            awaits_local_reports: self.program.awaits_local_reports(),
            now,
        };
        if self.gates.poll_end_of_rib(&circumstances) {
            self.rib.hold_end_of_rib(false);
        }
        if let Some(reason) = self.gates.poll_prune(&circumstances) {
            self.outputs.push_back(Output::PruneAllowed);
            self.outputs
                .push_back(Output::Event(Event::PruneAllowed { reason }));
        }
    }
}
