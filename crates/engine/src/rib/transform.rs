//! Attribute sets in the form in which they go out, made once for all routes and peers that share
//! set and form.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use chanter_bgp::{Attributes, ExtendedCommunity, Family};
use rustc_hash::FxHasher;

use super::attr_store::AttrSet;
use super::verdict::{ExportRules, Form};

/// How many results are kept. Peers that are sent the same routes ask for them about the same time;
/// to keep all results would double the memory that attributes take.
const CACHED_MAX: usize = 1024;

#[derive(Debug)]
struct Cached {
    family: Family,
    serial: u64,
    form: Form,
    result: Attributes,
}

#[derive(Debug)]
pub(super) struct Transforms {
    rules: ExportRules,
    /// By hash; a result drives out the one that stood in its place.
    cache: Vec<Option<Cached>>,
}

impl Transforms {
    pub(super) fn new(rules: ExportRules) -> Self {
        Self {
            rules,
            cache: Vec::new(),
        }
    }

    /// The attributes as they go out.
    pub(super) fn apply(&mut self, family: Family, set: &AttrSet, form: Form) -> Attributes {
        let attributes = set.attributes();
        let complete = attributes.local_pref().is_some() && attributes.next_hop().is_some();
        let stays = matches!(
            form,
            Form::Internal {
                is_forced: false,
                ..
            }
        );
        if complete && stays && attributes.next_hop_link_local().is_none() {
            return attributes.clone();
        }
        if self.cache.is_empty() {
            self.cache.resize_with(CACHED_MAX, || None);
        }
        let mut hasher = FxHasher::default();
        (family, set.serial, form).hash(&mut hasher);
        let place = &mut self.cache[hasher.finish() as usize % CACHED_MAX];
        match place {
            Some(cached)
                if (cached.family, cached.serial, cached.form) == (family, set.serial, form) =>
            {
                cached.result.clone()
            }
            _ => {
                let result = transform(&self.rules, attributes, form);
                let serial = set.serial;
                *place = Some(Cached {
                    family,
                    serial,
                    form,
                    result: result.clone(),
                });
                result
            }
        }
    }
}

/// The attributes in the form `form`.
pub(super) fn transform(rules: &ExportRules, attributes: &Attributes, form: Form) -> Attributes {
    let builder = attributes.to_builder();
    let local_pref = attributes.local_pref().unwrap_or(super::LOCAL_PREF_DEFAULT);
    match form {
        Form::Internal {
            next_hop,
            is_forced,
        } => builder
            .local_pref(local_pref)
            .next_hop(global(attributes).filter(|_| !is_forced).or(next_hop))
            .next_hop_link_local(None),
        Form::Reflected {
            originator,
            next_hop,
        } => builder
            .local_pref(local_pref)
            .originator_id(originator)
            .prepend_cluster(rules.cluster_id)
            .next_hop(next_hop.or(attributes.next_hop()))
            .next_hop_link_local(None),
        Form::OwnMembership { next_hop } => builder
            .local_pref(local_pref)
            .originator_id(rules.router_id)
            .prepend_cluster(rules.cluster_id)
            .next_hop(next_hop),
        Form::External {
            prepend,
            next_hop,
            link_local,
            keep_med,
            only_to_customer,
        } => match prepend {
            Some(asn) => builder.prepend(asn),
            None => builder,
        }
        .only_to_customer(only_to_customer.or(attributes.only_to_customer()))
        .local_pref(None)
        // RFC 7311 section 3.4: not beyond the AS unless configured.
        .aigp(None)
        .med(attributes.med().filter(|_| keep_med))
        .originator_id(None)
        .clear_cluster_list()
        // RFC 4360 section 6: they do not leave the AS.
        .retain_extended_communities(ExtendedCommunity::is_transitive)
        .next_hop(next_hop.or(attributes.next_hop()))
        .next_hop_link_local(link_local),
    }
    .build()
}

/// The next hop, if it means something beyond its link (RFC 2545 section 3).
fn global(attributes: &Attributes) -> Option<IpAddr> {
    let is_global =
        |addr: &IpAddr| !matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local());
    attributes.next_hop().filter(is_global)
}
