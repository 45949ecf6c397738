//! Rules in order, and what they say about a route.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use chanter_bgp::{Attributes, Nlri, PathData};
use chanter_types::Asn;

use crate::action::Action;
use crate::condition::Condition;

/// The name under which a policy decides about what no rule has decided.
const DEFAULT_RULE: &str = "default";

/// What a policy looks at.
#[derive(Debug, Clone, Copy)]
pub struct PolicyRoute<'a> {
    /// The key of the route.
    pub nlri: &'a Nlri,
    /// What else its NLRI carries.
    pub path: &'a PathData,
    /// Its attributes.
    pub attributes: &'a Attributes,
    /// The AS of the peer that it comes from (import) or goes to (export).
    pub peer_as: Asn,
    /// Our AS.
    pub local_as: Asn,
    /// Our address on the session with that peer; `None`: there is no session.
    pub local_addr: Option<IpAddr>,
    /// Whether that peer is in another AS.
    pub ebgp: bool,
}

/// What a policy decides about a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'p> {
    /// The route is accepted, with these attributes where they are not as they were.
    Accept(Option<Attributes>),
    /// The route is rejected.
    Reject {
        /// The rule that did it.
        rule: &'p str,
    },
}

/// What a rule does with a route that it holds for, when its actions are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The route is accepted.
    Accept,
    /// The route is rejected.
    Reject,
    /// The next rule is asked.
    Next,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Next => "next",
        })
    }
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    name: String,
    matches: Vec<Condition>,
    except: Vec<Condition>,
    actions: Vec<Action>,
    verdict: Verdict,
    hits: AtomicU64,
}

impl Rule {
    /// A rule for all routes.
    pub fn new(name: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            name: name.into(),
            matches: Vec::new(),
            except: Vec::new(),
            actions: Vec::new(),
            verdict,
            hits: AtomicU64::new(0),
        }
    }

    /// Only for routes for which all of `conditions` hold.
    pub fn matching(mut self, conditions: Vec<Condition>) -> Self {
        self.matches = conditions;
        self
    }

    /// Not for routes for which any of `conditions` holds.
    pub fn except(mut self, conditions: Vec<Condition>) -> Self {
        self.except = conditions;
        self
    }

    /// What it does to the attributes, in this order.
    pub fn doing(mut self, actions: Vec<Action>) -> Self {
        self.actions = actions;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What has to hold.
    pub fn matches(&self) -> &[Condition] {
        &self.matches
    }

    /// What must not hold.
    pub fn exceptions(&self) -> &[Condition] {
        &self.except
    }

    /// What it does to the attributes.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// What it does when its actions are done.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// How often it held, since the policy was made. A decision that serves many routes of equal
    /// attributes counts once.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.matches.iter().chain(&self.except)
    }

    fn holds(&self, route: &PolicyRoute<'_>) -> bool {
        self.matches.iter().all(|condition| condition.holds(route))
            && !self.except.iter().any(|condition| condition.holds(route))
    }

    /// The attributes after its actions; `None` if they are as they were.
    fn act(&self, route: &PolicyRoute<'_>) -> Option<Attributes> {
        let mut attributes: Option<Attributes> = None;
        for action in &self.actions {
            let now = PolicyRoute {
                attributes: attributes.as_ref().unwrap_or(route.attributes),
                ..*route
            };
            if let Some(changed) = action.apply(&now) {
                attributes = Some(changed);
            }
        }
        attributes
    }
}

impl PartialEq for Rule {
    /// Counters do not matter.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.matches == other.matches
            && self.except == other.except
            && self.actions == other.actions
            && self.verdict == other.verdict
    }
}

impl Eq for Rule {}

/// Rules in order.
#[derive(Debug)]
pub struct Policy {
    name: String,
    rules: Vec<Rule>,
    accept_rest: bool,
    looks_at_nlri: bool,
    rest: AtomicU64,
}

impl Policy {
    /// A policy that asks `rules` in order. What none of them decides is rejected.
    pub fn new(name: impl Into<String>, rules: Vec<Rule>) -> Self {
        let looks_at_nlri = rules
            .iter()
            .flat_map(Rule::conditions)
            .any(Condition::looks_at_nlri);
        Self {
            name: name.into(),
            rules,
            accept_rest: false,
            looks_at_nlri,
            rest: AtomicU64::new(0),
        }
    }

    /// Whether what no rule decides is accepted.
    pub fn accept_rest(mut self, accept: bool) -> Self {
        self.accept_rest = accept;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether what no rule decides is accepted.
    pub fn accepts_rest(&self) -> bool {
        self.accept_rest
    }

    /// How many routes no rule has decided.
    pub fn rest_hits(&self) -> u64 {
        self.rest.load(Ordering::Relaxed)
    }

    /// Whether decisions depend on more of a route than its family and its attributes. If not, one
    /// decision holds for all routes of a family that have the same attributes.
    pub fn looks_at_nlri(&self) -> bool {
        self.looks_at_nlri
    }

    /// Decides about `route`.
    pub fn decide(&self, route: &PolicyRoute<'_>) -> Decision<'_> {
        let (verdict, rule, attributes) = self.walk(route, |rule, _| {
            let hits = rule.map_or(&self.rest, |rule| &rule.hits);
            hits.fetch_add(1, Ordering::Relaxed);
        });
        match verdict {
            Verdict::Reject => Decision::Reject { rule },
            Verdict::Accept | Verdict::Next => {
                Decision::Accept(attributes.filter(|changed| changed != route.attributes))
            }
        }
    }

    /// Decides about `route` and tells each rule that held. Nothing is counted.
    pub fn explain(&self, route: &PolicyRoute<'_>) -> Explanation<'_> {
        let mut steps = Vec::new();
        let (verdict, rule, attributes) = self.walk(route, |rule, changed| {
            steps.push(Step {
                rule: rule.map_or(DEFAULT_RULE, Rule::name),
                verdict: rule.map_or(self.rest_verdict(), Rule::verdict),
                attributes: changed.cloned(),
            });
        });
        Explanation {
            accepted: verdict != Verdict::Reject,
            rule,
            attributes: attributes.unwrap_or_else(|| route.attributes.clone()),
            steps,
        }
    }

    fn rest_verdict(&self) -> Verdict {
        if self.accept_rest {
            Verdict::Accept
        } else {
            Verdict::Reject
        }
    }

    /// Asks the rules; `held` hears of each that held, with the attributes if it changed them.
    fn walk<'p>(
        &'p self,
        route: &PolicyRoute<'_>,
        mut held: impl FnMut(Option<&'p Rule>, Option<&Attributes>),
    ) -> (Verdict, &'p str, Option<Attributes>) {
        let mut attributes: Option<Attributes> = None;
        for rule in &self.rules {
            let now = PolicyRoute {
                attributes: attributes.as_ref().unwrap_or(route.attributes),
                ..*route
            };
            if !rule.holds(&now) {
                continue;
            }
            let changed = match rule.verdict {
                Verdict::Reject => None,
                Verdict::Accept | Verdict::Next => rule.act(&now),
            };
            held(Some(rule), changed.as_ref());
            attributes = changed.or(attributes);
            if rule.verdict != Verdict::Next {
                return (rule.verdict, &rule.name, attributes);
            }
        }
        held(None, None);
        (self.rest_verdict(), DEFAULT_RULE, attributes)
    }
}

impl PartialEq for Policy {
    /// Counters do not matter.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.rules == other.rules
            && self.accept_rest == other.accept_rest
    }
}

impl Eq for Policy {}

/// How a policy came to its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'p> {
    /// Whether the route is accepted.
    pub accepted: bool,
    /// The rule that decided, or `default`.
    pub rule: &'p str,
    /// The attributes at the end.
    pub attributes: Attributes,
    /// The rules that held, in order.
    pub steps: Vec<Step<'p>>,
}

/// A rule that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'p> {
    /// Its name, or `default`.
    pub rule: &'p str,
    /// What it did.
    pub verdict: Verdict,
    /// The attributes after it, if it changed them.
    pub attributes: Option<Attributes>,
}
