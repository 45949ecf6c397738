//! With which attributes a path goes out, and with which others it goes together.

use chanter_bgp::Attributes;
use chanter_policy::{Decision, PolicyRoute};

use super::Table;
use super::group::UpdateGroup;
use super::pull::Pull;
use super::sent::UNSENT;
use crate::rib::key::Key;
use crate::rib::peers::Peer;
use crate::rib::transform::transform;
use crate::rib::verdict::{ExportRules, Form, NotExported};

impl<K: Key> Table<K> {
    /// The routes of the window with which a path goes; `None`: it does not go. In a `group`, which
    /// members it goes to stands with the routes.
    pub(super) fn run_of(
        &self,
        pull: &mut Pull<'_>,
        group: Option<&mut UpdateGroup>,
        (index, path): (u32, u32),
    ) -> Option<u32> {
        let node = &self.paths[path];
        let key = (node.attributes, node.source);
        let run = match pull.window.last {
            Some((last, run)) if last == key => run,
            _ => match pull.window.by_set.get(&key) {
                Some(run) => *run,
                None => self.add_run(pull, group, (index, path)),
            },
        };
        pull.window.last = Some((key, run));
        let found = &pull.window.groups[run as usize];
        found.attributes.as_ref()?;
        match found.asks {
            None => Some(run),
            Some(form) => self.ask(pull, (run, form), (index, path)),
        }
    }

    fn add_run(
        &self,
        pull: &mut Pull<'_>,
        group: Option<&mut UpdateGroup>,
        (index, path): (u32, u32),
    ) -> u32 {
        let node = &self.paths[path];
        let key = (node.attributes, node.source);
        let set = &self.attrs[key.0];
        let (form, mark) = match group {
            None => {
                let form = pull
                    .rules
                    .judge(pull.peers, pull.slot, K::FAMILY, key.1, set);
                (form, UNSENT)
            }
            Some(group) => {
                let form = pull
                    .rules
                    .judge_for_all(pull.peers, pull.slot, K::FAMILY, key.1, set);
                let originator = match form {
                    Ok(Form::Reflected { originator, .. }) => Some(originator),
                    _ => None,
                };
                let excluded = group.excluded(key.1.slot(), originator);
                (form, group.sent.all_but(excluded))
            }
        };
        let peer = pull.peers.get(pull.slot);
        let (Ok(form), Some(peer)) = (form, peer) else {
            return pull.window.add_group(key, None, mark);
        };
        if peer.session.policy.export_looks_at_nlri() {
            let attributes = pull.transforms.apply(K::FAMILY, set, form);
            let run = pull.window.add_group(key, Some(attributes), mark);
            pull.window.groups[run as usize].asks = Some(form);
            return run;
        }
        let attributes = match self.decide(peer, index, (path, form)) {
            Ok(None) => Some(pull.transforms.apply(K::FAMILY, set, form)),
            Ok(Some(changed)) => Some(transform(pull.rules, &changed, form.of_policy())),
            Err(_) => None,
        };
        pull.window.add_group(key, attributes, mark)
    }

    /// Asks a policy that looks at each route; what it changes alike goes together.
    fn ask(
        &self,
        pull: &mut Pull<'_>,
        (run, form): (u32, Form),
        (index, path): (u32, u32),
    ) -> Option<u32> {
        let peer = pull.peers.get(pull.slot)?;
        let changed = match self.decide(peer, index, (path, form)).ok()? {
            None => return Some(run),
            Some(changed) => changed,
        };
        let node = &self.paths[path];
        let attributes = transform(pull.rules, &changed, form.of_policy());
        let key = (node.attributes, node.source, attributes.fingerprint());
        let window = &mut *pull.window;
        if let Some(run) = window.by_change.get(&key)
            && window.groups[*run as usize].attributes.as_ref() == Some(&attributes)
        {
            return Some(*run);
        }
        let mark = window.groups[run as usize].mark;
        let changed = window.add_run(Some(attributes), mark);
        window.by_change.insert(key, changed);
        Some(changed)
    }

    /// What the export policy of a peer makes of a path. It does not see a MULTI_EXIT_DISC that is
    /// not to go on: the one that it gives is its own.
    fn decide(
        &self,
        peer: &Peer,
        index: u32,
        (path, form): (u32, Form),
    ) -> Result<Option<Attributes>, NotExported> {
        let node = &self.paths[path];
        let attributes = self.attrs[node.attributes].attributes();
        let without_med = (form.drops_med() && attributes.med().is_some())
            .then(|| attributes.to_builder().med(None).build());
        let route = PolicyRoute {
            nlri: &self.dests[index].key.to_nlri(),
            path: &K::unpack(node.data),
            attributes: without_med.as_ref().unwrap_or(attributes),
            peer_as: peer.session.peer_as,
            local_as: peer.session.local_as,
            local_addr: Some(peer.session.local_addr),
            ebgp: peer.is_ebgp(),
        };
        match peer.session.policy.export(&route) {
            Decision::Accept(changed) => Ok(changed),
            Decision::Reject { .. } => Err(NotExported::Policy),
        }
    }

    /// The attributes with which a path in this form goes to a peer.
    pub(in crate::rib) fn attributes_for(
        &self,
        rules: &ExportRules,
        peer: &Peer,
        index: u32,
        (path, form): (u32, Form),
    ) -> Result<Attributes, NotExported> {
        let attributes = self.attrs[self.paths[path].attributes].attributes();
        Ok(match self.decide(peer, index, (path, form))? {
            None => transform(rules, attributes, form),
            Some(changed) => transform(rules, &changed, form.of_policy()),
        })
    }
}
