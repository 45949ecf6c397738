//! A policy decides as a plain reading of its rules does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chanter_bgp::{Attributes, Community, Nlri, PathData, SegmentKind};
use chanter_policy::{
    Action, Adjust, AsPathSet, Communities, CommunityEdit, Comparison, Condition, Decision, Policy,
    PolicyRoute, PrefixRange, PrependAs, Rule, Verdict,
};
use chanter_types::{Asn, Prefix};
use proptest::prelude::*;

const LOCAL_AS: u32 = 65000;
const PEER_AS: u32 = 3;

/// A route as plainly as can be.
#[derive(Debug, Clone, PartialEq)]
struct Route {
    prefix: Prefix,
    local_pref: Option<u32>,
    med: Option<u32>,
    path: Vec<u32>,
    communities: Vec<u16>,
}

impl Route {
    fn attributes(&self) -> Attributes {
        let path: Vec<Asn> = self.path.iter().copied().map(Asn).collect();
        Attributes::builder()
            .append_segment(SegmentKind::Sequence, &path)
            .next_hop(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
            .local_pref(self.local_pref)
            .med(self.med)
            .communities(
                self.communities
                    .iter()
                    .map(|one| Community((*one).into()))
                    .collect(),
            )
            .build()
    }
}

#[derive(Debug, Clone)]
enum Ask {
    Prefix(Vec<PrefixRange>),
    Community(Vec<u16>),
    Contains(Vec<u32>),
    Begins(u32),
    Origin(u32),
    Length(Comparison),
    LocalPref(Comparison),
    Med(Comparison),
    PeerAs(u32),
}

impl Ask {
    fn holds(&self, route: &Route) -> bool {
        match self {
            Ask::Prefix(ranges) => ranges.iter().any(|range| range.matches(route.prefix)),
            Ask::Community(wanted) => route.communities.iter().any(|one| wanted.contains(one)),
            Ask::Contains(wanted) => route.path.iter().any(|one| wanted.contains(one)),
            Ask::Begins(asn) => route.path.first() == Some(asn),
            Ask::Origin(asn) => *route.path.last().unwrap_or(&LOCAL_AS) == *asn,
            Ask::Length(wanted) => wanted.holds(u32::try_from(route.path.len()).unwrap()),
            Ask::LocalPref(wanted) => wanted.holds(route.local_pref.unwrap_or(100)),
            Ask::Med(wanted) => wanted.holds(route.med.unwrap_or(0)),
            Ask::PeerAs(asn) => *asn == PEER_AS,
        }
    }

    fn condition(&self) -> Condition {
        match self {
            Ask::Prefix(ranges) => Condition::Prefix(Arc::new(ranges.iter().copied().collect())),
            Ask::Community(wanted) => {
                let patterns = wanted.iter().map(|one| format!("0:{one}").parse().unwrap());
                Condition::Community(Arc::new(patterns.collect()))
            }
            Ask::Contains(wanted) => {
                Condition::AsPathContains(wanted.iter().copied().map(Asn).collect())
            }
            Ask::Begins(asn) => {
                let pattern = format!("^{asn}_").parse().unwrap();
                Condition::AsPath(Arc::new(AsPathSet::new(vec![pattern]).unwrap()))
            }
            Ask::Origin(asn) => Condition::OriginAs(vec![Asn(*asn)]),
            Ask::Length(wanted) => Condition::AsPathLength([*wanted].into_iter().collect()),
            Ask::LocalPref(wanted) => Condition::LocalPref([*wanted].into_iter().collect()),
            Ask::Med(wanted) => Condition::Med([*wanted].into_iter().collect()),
            Ask::PeerAs(asn) => Condition::PeerAs(vec![Asn(*asn)]),
        }
    }
}

#[derive(Debug, Clone)]
enum Do {
    LocalPref(u32),
    MoreMed(u32),
    NoMed,
    Prepend(u8),
    Add(u16),
    Remove(u16),
}

impl Do {
    fn act(&self, route: &mut Route) {
        match self {
            Do::LocalPref(value) => route.local_pref = Some(*value),
            Do::MoreMed(more) => route.med = Some(route.med.unwrap_or(0) + more),
            Do::NoMed => route.med = None,
            Do::Prepend(times) => {
                route.path.splice(0..0, (0..*times).map(|_| LOCAL_AS));
            }
            Do::Add(one) if route.communities.contains(one) => {}
            Do::Add(one) => route.communities.push(*one),
            Do::Remove(one) => route.communities.retain(|other| other != one),
        }
    }

    fn action(&self) -> Action {
        match self {
            Do::LocalPref(value) => Action::LocalPref(Adjust::Set(*value)),
            Do::MoreMed(more) => Action::Med(Adjust::Add(*more)),
            Do::NoMed => Action::RemoveMed,
            Do::Prepend(times) => Action::Prepend {
                asn: PrependAs::Local,
                times: *times,
            },
            Do::Add(one) => {
                let mut more = Communities::default();
                more.push(&format!("0:{one}")).unwrap();
                Action::Community(CommunityEdit::Add(more))
            }
            Do::Remove(one) => {
                let pattern = format!("0:{one}").parse().unwrap();
                let set = Arc::new([pattern].into_iter().collect());
                Action::Community(CommunityEdit::Remove(set))
            }
        }
    }
}

#[derive(Debug, Clone)]
struct PlainRule {
    asks: Vec<Ask>,
    except: Vec<Ask>,
    does: Vec<Do>,
    verdict: Verdict,
}

/// The accepted route, or the number of the rule that rejected it; `None`: no rule decided.
fn interpret(
    rules: &[PlainRule],
    accept_rest: bool,
    route: &Route,
) -> Result<Route, Option<usize>> {
    let mut route = route.clone();
    for (number, rule) in rules.iter().enumerate() {
        let holds = rule.asks.iter().all(|ask| ask.holds(&route))
            && !rule.except.iter().any(|ask| ask.holds(&route));
        match (holds, rule.verdict) {
            (false, _) => {}
            (true, Verdict::Reject) => return Err(Some(number)),
            (true, Verdict::Accept) => {
                rule.does.iter().for_each(|one| one.act(&mut route));
                return Ok(route);
            }
            (true, Verdict::Next) => rule.does.iter().for_each(|one| one.act(&mut route)),
        }
    }
    if accept_rest { Ok(route) } else { Err(None) }
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (any::<u32>(), 8..=14u8).prop_map(|(bits, len)| {
        let addr = Ipv4Addr::from_bits(10 << 24 | bits & 0x00ff_0000);
        Prefix::new(addr.into(), len).unwrap()
    })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        (0..4u32, 0..4u32).prop_map(|(a, b)| Comparison::Between(a.min(b), a.max(b))),
        (0..4u32).prop_map(Comparison::Not),
        (99..102u32).prop_map(|from| Comparison::Between(from, u32::MAX)),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let range = (prefix(), 0..=14u8).prop_map(|(prefix, le)| {
        PrefixRange::new(prefix, None, Some(le)).unwrap_or(PrefixRange::exact(prefix))
    });
    prop_oneof![
        prop::collection::vec(range, 0..6).prop_map(Ask::Prefix),
        prop::collection::vec(0..4u16, 0..3).prop_map(Ask::Community),
        prop::collection::vec(1..5u32, 0..3).prop_map(Ask::Contains),
        (1..5u32).prop_map(Ask::Begins),
        prop_oneof![1..5u32, Just(LOCAL_AS)].prop_map(Ask::Origin),
        comparison().prop_map(Ask::Length),
        comparison().prop_map(Ask::LocalPref),
        comparison().prop_map(Ask::Med),
        (2..5u32).prop_map(Ask::PeerAs),
    ]
}

fn does() -> impl Strategy<Value = Do> {
    prop_oneof![
        (0..4u32).prop_map(Do::LocalPref),
        (0..3u32).prop_map(Do::MoreMed),
        Just(Do::NoMed),
        (1..3u8).prop_map(Do::Prepend),
        (0..4u16).prop_map(Do::Add),
        (0..4u16).prop_map(Do::Remove),
    ]
}

fn rule() -> impl Strategy<Value = PlainRule> {
    let verdict = prop_oneof![
        Just(Verdict::Accept),
        Just(Verdict::Reject),
        Just(Verdict::Next)
    ];
    (
        prop::collection::vec(ask(), 0..3),
        prop::collection::vec(ask(), 0..2),
        prop::collection::vec(does(), 0..3),
        verdict,
    )
        .prop_map(|(asks, except, does, verdict)| PlainRule {
            asks,
            except,
            does,
            verdict,
        })
}

fn route() -> impl Strategy<Value = Route> {
    (
        prefix(),
        prop::option::of(0..102u32),
        prop::option::of(0..4u32),
        prop::collection::vec(1..5u32, 0..4),
        prop::collection::btree_set(0..4u16, 0..4),
    )
        .prop_map(|(prefix, local_pref, med, path, communities)| Route {
            prefix,
            local_pref,
            med,
            path,
            communities: communities.into_iter().collect(),
        })
}

fn compile(rules: &[PlainRule], accept_rest: bool) -> Policy {
    let rules = rules.iter().enumerate().map(|(number, rule)| {
        Rule::new(number.to_string(), rule.verdict)
            .matching(rule.asks.iter().map(Ask::condition).collect())
            .except(rule.except.iter().map(Ask::condition).collect())
            .doing(rule.does.iter().map(Do::action).collect())
    });
    Policy::new("p", rules.collect()).accept_rest(accept_rest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_policy_is_what_its_rules_say(
        rules in prop::collection::vec(rule(), 0..6),
        accept_rest: bool,
        route in route(),
        other in prefix(),
    ) {
        let policy = compile(&rules, accept_rest);
        let before = route.attributes();
        let nlri = Nlri::from(route.prefix);
        let asked = PolicyRoute {
            nlri: &nlri,
            path: &PathData::default(),
            attributes: &before,
            peer_as: Asn(PEER_AS),
            local_as: Asn(LOCAL_AS),
            local_addr: None,
            ebgp: true,
        };
        let decision = policy.decide(&asked);
        let explained = policy.explain(&asked);
        match interpret(&rules, accept_rest, &route) {
            Ok(expected) => {
                let expected = expected.attributes();
                prop_assert_eq!(&explained.attributes, &expected);
                let changed = (expected != before).then_some(expected);
                prop_assert_eq!(&decision, &Decision::Accept(changed));
                prop_assert!(explained.accepted);
            }
            Err(rule) => {
                let name = rule.map_or("default".to_owned(), |number| number.to_string());
                prop_assert_eq!(&decision, &Decision::Reject { rule: &name });
                prop_assert_eq!(explained.rule, name);
                prop_assert!(!explained.accepted);
            }
        }
        if !policy.looks_at_nlri() {
            let other = Nlri::from(other);
            let elsewhere = policy.decide(&PolicyRoute { nlri: &other, ..asked });
            prop_assert_eq!(decision, elsewhere);
        }
    }
}
