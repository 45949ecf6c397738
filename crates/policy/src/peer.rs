//! All that policy has to say about one peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chanter_bgp::{AsPath, Attributes, AttributesBuilder, Community, Family, Nlri};
use chanter_types::Asn;

use crate::action::{is_private, without_private};
use crate::policy::{Decision, Policy, PolicyRoute};

/// All that policy has to say about one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Asked about each route that the peer sends; `None`: all are taken, but see
    /// `require_policy`.
    pub import: Option<Arc<Policy>>,
    /// Asked about each route that the peer is to get; `None`: it gets all, but see
    /// `require_policy`.
    pub export: Option<Arc<Policy>>,
    /// Over eBGP, no policy means no routes (RFC 8212).
    pub require_policy: bool,
    /// Whether routes with our AS in their path are taken.
    pub allow_as_in: AllowAsIn,
    /// We are the next hop of all that the peer gets.
    pub next_hop_self: bool,
    /// The next hop stays as it is, over eBGP as well.
    pub next_hop_unchanged: bool,
    /// Private AS numbers are left out of the AS_PATH that the peer gets.
    pub remove_private_as: bool,
    /// The session is about to be shut down for maintenance: routes in both directions get the
    /// community, those from the peer LOCAL_PREF 0 (RFC 8326 section 4.2).
    pub graceful_shutdown: bool,
    /// Routes that an eBGP peer has marked with GRACEFUL_SHUTDOWN get LOCAL_PREF 0 (RFC 8326
    /// section 4.1).
    pub accept_graceful_shutdown: bool,
    /// How many routes the peer may send, by family.
    pub max_prefixes: BTreeMap<Family, PrefixLimit>,
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self {
            import: None,
            export: None,
            require_policy: false,
            allow_as_in: AllowAsIn::Never,
            next_hop_self: false,
            next_hop_unchanged: false,
            remove_private_as: false,
            graceful_shutdown: false,
            accept_graceful_shutdown: true,
            max_prefixes: BTreeMap::new(),
        }
    }
}

/// Whether routes with our AS in their AS_PATH are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AllowAsIn {
    /// They are loops (RFC 4271 section 9.1.2).
    #[default]
    Never,
    /// If it is there at most so often.
    Times(u8),
    /// If we are the origin, and nowhere else in the path.
    OwnOrigin,
}

impl AllowAsIn {
    /// Whether a route with that path may be taken by `local_as`.
    pub fn permits(self, path: AsPath<'_>, local_as: Asn) -> bool {
        let times = path.asns().filter(|asn| *asn == local_as).count();
        match self {
            AllowAsIn::Never => times == 0,
            AllowAsIn::Times(allowed) => times <= usize::from(allowed),
            // Prepended by ourselves it may stand there several times at the end.
            AllowAsIn::OwnOrigin => {
                let mut asns = path.asns().skip_while(|asn| *asn != local_as);
                asns.all(|asn| asn == local_as)
            }
        }
    }
}

/// How many routes of a family a peer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixLimit {
    /// At most so many.
    pub limit: u32,
    /// From so many per cent of them on there is a warning.
    pub warn_percent: u8,
    /// What happens to the session beyond the limit.
    pub action: LimitAction,
}

/// What happens to a session beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitAction {
    /// There is a warning, no more.
    Warn,
    /// It is closed (Cease, Maximum Number of Prefixes Reached; RFC 4486).
    Close {
        /// After how long it may come back; `None`: when an operator enables it.
        restart: Option<Duration>,
    },
}

/// The name of the rule that rejects where RFC 8212 wants a policy and there is none.
const NO_POLICY: &str = "no policy (RFC 8212)";

impl PeerPolicy {
    /// Whether nothing is taken from the peer because eBGP wants a policy and there is none
    /// (RFC 8212 section 3).
    pub fn lacks_import(&self, ebgp: bool) -> bool {
        self.require_policy && ebgp && self.import.is_none()
    }

    /// Whether the peer gets nothing for the same reason.
    pub fn lacks_export(&self, ebgp: bool) -> bool {
        self.require_policy && ebgp && self.export.is_none()
    }

    /// Whether what is decided on import depends on more of a route than its family and its
    /// attributes.
    pub fn import_looks_at_nlri(&self) -> bool {
        self.import
            .as_ref()
            .is_some_and(|policy| policy.looks_at_nlri())
    }

    /// The same of export.
    pub fn export_looks_at_nlri(&self) -> bool {
        self.export
            .as_ref()
            .is_some_and(|policy| policy.looks_at_nlri())
    }

    /// Decides about a route from the peer: its import policy, RFC 8212, RFC 8326. Loops
    /// (`allow_as_in`) and limits are not looked at. RT membership (RFC 4684) is always accepted: it
    /// asks for routes, and about those there is a policy.
    pub fn import(&self, route: &PolicyRoute<'_>) -> Decision<'_> {
        if let Nlri::Rtc(_) = route.nlri {
            return Decision::Accept(None);
        }
        if self.lacks_import(route.ebgp) {
            return Decision::Reject { rule: NO_POLICY };
        }
        let changed = match decide(self.import.as_deref(), route) {
            Decision::Accept(changed) => changed,
            rejected @ Decision::Reject { .. } => return rejected,
        };
        let attributes = changed.as_ref().unwrap_or(route.attributes);
        let marked = attributes
            .communities()
            .any(|community| community == Community::GRACEFUL_SHUTDOWN);
        let lowered =
            self.graceful_shutdown || (self.accept_graceful_shutdown && route.ebgp && marked);
        if !lowered || (marked && attributes.local_pref() == Some(0)) {
            return Decision::Accept(changed);
        }
        Decision::Accept(Some(marked_for_shutdown(attributes).local_pref(0).build()))
    }

    /// Decides about a route that the peer is to get: its export policy, RFC 8212, RFC 8326,
    /// `remove_private_as`. Next hop and our own AS in front of AS_PATH come after it. RT membership
    /// is always accepted.
    pub fn export(&self, route: &PolicyRoute<'_>) -> Decision<'_> {
        if let Nlri::Rtc(_) = route.nlri {
            return Decision::Accept(None);
        }
        if self.lacks_export(route.ebgp) {
            return Decision::Reject { rule: NO_POLICY };
        }
        let changed = match decide(self.export.as_deref(), route) {
            Decision::Accept(changed) => changed,
            rejected @ Decision::Reject { .. } => return rejected,
        };
        let attributes = changed.as_ref().unwrap_or(route.attributes);
        let private =
            self.remove_private_as && route.ebgp && attributes.as_path().asns().any(is_private);
        if !private && !self.graceful_shutdown {
            return Decision::Accept(changed);
        }
        let mut builder = if self.graceful_shutdown {
            marked_for_shutdown(attributes)
        } else {
            attributes.to_builder()
        };
        if private {
            builder = without_private(builder, attributes);
        }
        Decision::Accept(Some(builder.build()))
    }
}

fn decide<'p>(policy: Option<&'p Policy>, route: &PolicyRoute<'_>) -> Decision<'p> {
    match policy {
        Some(policy) => policy.decide(route),
        None => Decision::Accept(None),
    }
}

fn marked_for_shutdown(attributes: &Attributes) -> AttributesBuilder {
    attributes
        .to_builder()
        .add_community(Community::GRACEFUL_SHUTDOWN)
}
