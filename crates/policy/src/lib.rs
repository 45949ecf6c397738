//! Routing policy without I/O: which routes are taken from a peer and given to it, and with what
//! attributes.
//!
//! A [`Policy`] is a list of rules. The rules are asked in order: the first whose conditions all
//! hold changes the attributes and accepts the route, rejects it, or hands it to the next rule. What
//! no rule decides is rejected unless the policy says otherwise. A [`PeerPolicy`] is all that policy
//! has to say about one peer, RFC 8212 and RFC 8326 included.

mod action;
mod as_path;
mod attributes_text;
mod community;
mod condition;
mod numbers;
mod peer;
mod policy;
mod prefix_set;
mod rd;
mod text;

pub use action::{Action, Adjust, CommunityEdit, PrependAs};
pub use as_path::{AsPathPattern, AsPathSet};
pub use attributes_text::attributes_from_text;
pub use community::{Communities, CommunityPattern, CommunitySet};
pub use condition::Condition;
pub use numbers::{Comparison, NumberSet};
pub use peer::{AllowAsIn, LimitAction, PeerPolicy, PrefixLimit};
pub use policy::{Decision, Explanation, Policy, PolicyRoute, Rule, Step, Verdict};
pub use prefix_set::{PrefixRange, PrefixSet};
pub use rd::RdPattern;
