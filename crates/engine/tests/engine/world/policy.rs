//! Policies as text.

use std::sync::Arc;

use chanter_bgp::Family;
use chanter_policy::{
    Action, Adjust, Condition, LimitAction, PeerPolicy, Policy, PrefixLimit, PrefixRange,
    PrefixSet, Rule, Verdict,
};
use chanter_types::Prefix;

use super::input::Words;

/// `import=POLICY export=POLICY limit=FAMILY:N:PERCENT[:warn]`, and the words `require` (RFC 8212) and
/// `next-hop-self`. A policy is `accept`, `reject`, `deny:PREFIX` (with all below it) or `lp:N`.
pub(super) fn read(words: &Words<'_>) -> Arc<PeerPolicy> {
    let limits = words.list::<String>("limit").unwrap_or_default();
    Arc::new(PeerPolicy {
        import: words.keyed.get("import").map(|text| policy(text, words)),
        export: words.keyed.get("export").map(|text| policy(text, words)),
        require_policy: words.has("require"),
        next_hop_self: words.has("next-hop-self"),
        max_prefixes: limits.iter().map(|text| limit(text, words)).collect(),
        ..PeerPolicy::default()
    })
}

fn policy(text: &str, words: &Words<'_>) -> Arc<Policy> {
    let rules = match text.split_once(':') {
        None if text == "accept" => vec![Rule::new("all", Verdict::Accept)],
        None if text == "reject" => Vec::new(),
        Some(("deny", prefix)) => {
            let prefix: Prefix = words.parse(prefix);
            let range = PrefixRange::new(prefix, Some(prefix.len()), None).expect("a range");
            let set: PrefixSet = [range].into_iter().collect();
            vec![
                Rule::new("denied", Verdict::Reject)
                    .matching(vec![Condition::Prefix(Arc::new(set))]),
                Rule::new("rest", Verdict::Accept),
            ]
        }
        Some(("lp", number)) => {
            let action = Action::LocalPref(Adjust::Set(words.parse(number)));
            vec![Rule::new("all", Verdict::Accept).doing(vec![action])]
        }
        _ => panic!("unknown policy {text}"),
    };
    Arc::new(Policy::new("p", rules))
}

fn limit(text: &str, words: &Words<'_>) -> (Family, PrefixLimit) {
    let parts: Vec<&str> = text.split(':').collect();
    let [family, limit, percent, rest @ ..] = parts.as_slice() else {
        panic!("not a limit: {text}")
    };
    let action = match rest {
        ["warn"] => LimitAction::Warn,
        _ => LimitAction::Close { restart: None },
    };
    let limit = PrefixLimit {
        limit: words.parse(limit),
        warn_percent: words.parse(percent),
        action,
    };
    (words.parse(family), limit)
}
