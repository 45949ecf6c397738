//! FlowSpec NLRI: which traffic is meant (RFC 8955, RFC 8956).
//!
//! The key is the NLRI as it stands on the wire, without its length, in canonical form: bits that
//! receivers have to ignore are zero. The octets of a value are part of it, as `=80` in one octet and
//! in two are different NLRI to other speakers (RFC 8955 section 5.1 compares octets).

mod component;
mod order;
mod text;
mod wire;

use chanter_types::{Prefix, RouteDistinguisher};

pub use component::{
    BitmaskMatch, FlowSpecComponent, FlowSpecPrefix, FlowSpecType, NumericMatch, fragment,
    tcp_flags,
};
pub(super) use wire::{decode, encode};

use crate::family::Family;

/// A FlowSpec NLRI: the conjunction of its components.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowSpecNlri {
    family: Family,
    rd: Option<RouteDistinguisher>,
    rules: Box<[u8]>,
}

/// Why components do not make a FlowSpec NLRI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FlowSpecError(pub(super) String);

impl FlowSpecNlri {
    /// The most octets of an NLRI, route distinguisher included (RFC 8955 section 4.1).
    pub const LEN_MAX: usize = 0x0fff;

    /// Puts components together, in whatever order they come; each type may be there once, and one
    /// has to be. A route distinguisher is there if and only if `family` is one of VPNs.
    pub fn new(
        family: Family,
        rd: Option<RouteDistinguisher>,
        components: &[FlowSpecComponent],
    ) -> Result<Self, FlowSpecError> {
        let error = |message: String| Err(FlowSpecError(message));
        if !family.is_flowspec() {
            return error(format!("family {family} is not one of FlowSpec"));
        }
        if rd.is_some() != family.is_vpn() {
            let needs = if family.is_vpn() { "needs a" } else { "has no" };
            return error(format!("family {family} {needs} route distinguisher"));
        }
        let mut sorted: Vec<&FlowSpecComponent> = components.iter().collect();
        sorted.sort_by_key(|component| component.kind());
        let mut octets = Vec::new();
        for component in sorted {
            component.encode(family, &mut octets)?;
        }
        let rules = wire::canonical(family, &octets, 0)
            .map_err(|error| FlowSpecError(error.message))?
            .into_boxed_slice();
        if rules.len() + 8 * usize::from(rd.is_some()) > Self::LEN_MAX {
            return error(format!("longer than {} octets", Self::LEN_MAX));
        }
        Ok(Self { family, rd, rules })
    }

    /// One without a component, which no speaker may send: it stands in vacant places.
    pub fn empty(family: Family) -> Self {
        Self {
            family,
            rd: None,
            rules: Box::default(),
        }
    }

    /// The family: one of the four of FlowSpec.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The route distinguisher, in the families of VPNs.
    pub fn rd(&self) -> Option<RouteDistinguisher> {
        self.rd
    }

    /// The components as they stand on the wire, without the length, in canonical form.
    pub fn rules(&self) -> &[u8] {
        &self.rules
    }

    /// The components, in ascending order of type.
    pub fn components(&self) -> impl Iterator<Item = FlowSpecComponent> + '_ {
        wire::components(self.family, &self.rules)
    }

    /// The prefix of destinations. One that leaves out leading bits (RFC 8956 section 3.1) is none
    /// that has this form.
    pub fn destination(&self) -> Option<Prefix> {
        match self.components().next() {
            Some(FlowSpecComponent::Destination(FlowSpecPrefix { prefix, offset: 0 })) => {
                Some(prefix)
            }
            _ => None,
        }
    }
}
