//! Prefix lists, community lists, AS path lists, and the policies made of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use chanter_bgp::{Family, Origin};
use chanter_policy::{
    Action, Adjust, AsPathPattern, AsPathSet, Communities, CommunityEdit, CommunityPattern,
    CommunitySet, Comparison, Condition, NumberSet, Policy, PrefixRange, PrefixSet, PrependAs,
    RdPattern, Rule, Verdict,
};
use chanter_types::{Asn, ParseError};

use super::diagnostic::Diagnostics;
use super::field::{Field, Section, Value};
use super::raw::Raw;

const PREFIX: &str = "PREFIX [ge LENGTH] [le LENGTH] such as \"10.0.0.0/8 le 24\"";
const COMMUNITY: &str = "a community such as \"64512:1\", \"64512:1:2\" or \"target:64512:1\"";
const AS_PATH: &str = "an AS path expression such as \"_64512_\"";
const NUMBERS: &str = "a number, or a text such as \">= 100\" or \"100-200\"";
const ASN: &str = "an AS number, 1 to 4294967295";

/// Policies by name.
pub(crate) type Policies = BTreeMap<String, Arc<Policy>>;

/// Named lists that rules refer to.
#[derive(Default)]
struct Lists {
    prefixes: BTreeMap<String, Arc<PrefixSet>>,
    communities: BTreeMap<String, Arc<CommunitySet>>,
    as_paths: BTreeMap<String, Arc<AsPathSet>>,
}

/// The policies of a configuration.
pub(crate) fn policies(raw: &Raw, found: &mut Diagnostics) -> Policies {
    let lists = lists(raw, found);
    named(&raw.policies, found, |name, section, found| {
        policy(name, section, &lists, found)
    })
}

fn lists(raw: &Raw, found: &mut Diagnostics) -> Lists {
    let prefixes = named(&raw.prefix_lists, found, |_, section, found| {
        let items = section.require("prefixes", found, "a list of prefixes")?;
        Some(Arc::new(prefix_set(items, found)))
    });
    let communities = named(&raw.community_lists, found, |_, section, found| {
        let items = section.require("communities", found, "a list of communities")?;
        Some(Arc::new(community_set(items, found)))
    });
    let as_paths = named(&raw.as_path_lists, found, |_, section, found| {
        let items = section.require("paths", found, "a list of AS path expressions")?;
        as_path_set(items, found)
    });
    Lists {
        prefixes,
        communities,
        as_paths,
    }
}

/// Reads tables that have a `name` each, which must not be there twice.
fn named<T>(
    tables: &[Field],
    found: &mut Diagnostics,
    mut read: impl FnMut(&str, &mut Section<'_>, &mut Diagnostics) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for table in tables {
        let Some(mut section) = table.section(found) else {
            continue;
        };
        let field = section.require("name", found, "a name");
        let name = field.and_then(|field| field.string(found, "a name"));
        // Faults inside are shown also where the name is missing.
        let value = read(name.as_deref().unwrap_or_default(), &mut section, found);
        section.finish(found);
        let (Some(field), Some(name), Some(value)) = (field, name, value) else {
            continue;
        };
        match all.entry(name) {
            Entry::Occupied(entry) => {
                field.error(found, format_args!("`{}` is there already", entry.key()));
            }
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
        }
    }
    all
}

fn prefix_set(items: &Field, found: &mut Diagnostics) -> PrefixSet {
    let ranges: Vec<PrefixRange> = items.parse_all(found, PREFIX);
    ranges.into_iter().collect()
}

fn community_set(items: &Field, found: &mut Diagnostics) -> CommunitySet {
    let patterns: Vec<CommunityPattern> = items.parse_all(found, COMMUNITY);
    patterns.into_iter().collect()
}

fn as_path_set(items: &Field, found: &mut Diagnostics) -> Option<Arc<AsPathSet>> {
    let patterns: Vec<AsPathPattern> = items.parse_all(found, AS_PATH);
    AsPathSet::new(patterns)
        .map_err(|error| items.error(found, error))
        .ok()
        .map(Arc::new)
}

fn policy(
    name: &str,
    section: &mut Section<'_>,
    lists: &Lists,
    found: &mut Diagnostics,
) -> Option<Arc<Policy>> {
    let choices = [("accept", true), ("reject", false)];
    let default = section.take("default");
    let accept_rest = default.and_then(|field| field.choice(found, &choices));
    let rules = section.take("rules").map(Field::one_or_more);
    let mut compiled: Vec<Rule> = Vec::new();
    for (index, field) in rules.unwrap_or_default().iter().enumerate() {
        let Some(mut section) = field.section(found) else {
            continue;
        };
        let rule = rule(index, &mut section, lists, found);
        section.finish(found);
        let Some(rule) = rule else { continue };
        if compiled.iter().any(|other| other.name() == rule.name()) {
            field.error(
                found,
                format_args!("rule `{}` is there already", rule.name()),
            );
        }
        compiled.push(rule);
    }
    let policy = Policy::new(name, compiled).accept_rest(accept_rest.unwrap_or(false));
    Some(Arc::new(policy))
}

fn rule(
    index: usize,
    section: &mut Section<'_>,
    lists: &Lists,
    found: &mut Diagnostics,
) -> Option<Rule> {
    let name = section.take("name");
    let name = name.and_then(|field| field.string(found, "a name"));
    let choices = [
        ("accept", Verdict::Accept),
        ("reject", Verdict::Reject),
        ("next", Verdict::Next),
    ];
    let then = section.require("then", found, "\"accept\", \"reject\" or \"next\"");
    let verdict = then.and_then(|field| field.choice(found, &choices));
    let matches = section
        .take("match")
        .map(|field| conditions(field, lists, found));
    let except = section
        .take("except")
        .map(|field| conditions(field, lists, found));
    let set = section.take("set");
    let does = set.map(|field| actions(field, found));
    if let (Some(set), Some(Verdict::Reject)) = (set, verdict) {
        set.error(found, "the rule rejects: what it sets has no effect");
    }
    let rule = Rule::new(
        name.unwrap_or_else(|| format!("rule {}", index + 1)),
        verdict?,
    );
    Some(
        rule.matching(matches.unwrap_or_default())
            .except(except.unwrap_or_default())
            .doing(does.unwrap_or_default()),
    )
}

/// What `match` and `except` ask for.
fn conditions(field: &Field, lists: &Lists, found: &mut Diagnostics) -> Vec<Condition> {
    let Some(mut section) = field.section(found) else {
        return Vec::new();
    };
    let mut all = Conditions {
        section: &mut section,
        found,
        list: Vec::new(),
    };
    all.lists(lists);
    all.attributes();
    all.nlri();
    let list = all.list;
    section.finish(found);
    list
}

struct Conditions<'a, 'f> {
    section: &'a mut Section<'f>,
    found: &'a mut Diagnostics,
    list: Vec<Condition>,
}

impl Conditions<'_, '_> {
    fn lists(&mut self, lists: &Lists) {
        if let Some(field) = self.section.take("prefix") {
            let set = Arc::new(prefix_set(field, self.found));
            self.list.push(Condition::Prefix(set));
        }
        if let Some(field) = self.section.take("prefix_list") {
            let sets = self.referred(field, &lists.prefixes, "prefix list");
            let set = united(sets, |sets| {
                let ranges = sets.iter().flat_map(|set| set.ranges());
                Some(Arc::new(ranges.copied().collect()))
            });
            self.list.extend(set.map(Condition::Prefix));
        }
        if let Some(field) = self.section.take("community") {
            let set = Arc::new(community_set(field, self.found));
            self.list.push(Condition::Community(set));
        }
        if let Some(field) = self.section.take("community_list") {
            let sets = self.referred(field, &lists.communities, "community list");
            let set = united(sets, |sets| {
                let patterns = sets.iter().flat_map(|set| set.patterns());
                Some(Arc::new(patterns.cloned().collect()))
            });
            self.list.extend(set.map(Condition::Community));
        }
        if let Some(field) = self.section.take("rt") {
            self.route_targets(field);
        }
        if let Some(field) = self.section.take("as_path") {
            let set = as_path_set(field, self.found);
            self.list.extend(set.map(Condition::AsPath));
        }
        if let Some(field) = self.section.take("as_path_list") {
            let sets = self.referred(field, &lists.as_paths, "AS path list");
            let set = united(sets, |sets| {
                let patterns = sets.iter().flat_map(|set| set.patterns());
                AsPathSet::new(patterns.cloned().collect())
                    .map_err(|error| field.error(self.found, error))
                    .ok()
                    .map(Arc::new)
            });
            self.list.extend(set.map(Condition::AsPath));
        }
    }

    fn route_targets(&mut self, field: &Field) {
        let mut patterns = Vec::new();
        for item in field.one_or_more() {
            let expected = "a route target such as \"64512:1\" or \"64512:*\"";
            let pattern = item
                .string(self.found, expected)
                .map(|text| CommunityPattern::route_target(&text));
            match pattern {
                Some(Ok(pattern)) => patterns.push(pattern),
                Some(Err(error)) => item.error(self.found, error),
                None => {}
            }
        }
        let set: CommunitySet = patterns.into_iter().collect();
        self.list.push(Condition::Community(Arc::new(set)));
    }

    fn attributes(&mut self) {
        self.numbers("as_path_length", Condition::AsPathLength);
        self.values("as_path_contains", ASN, Condition::AsPathContains);
        self.values("neighbor_as", ASN, Condition::NeighborAs);
        self.values("origin_as", ASN, Condition::OriginAs);
        self.values("peer_as", ASN, Condition::PeerAs);
        if let Some(field) = self.section.take("next_hop") {
            let set = next_hops(field, self.found);
            self.list.push(Condition::NextHop(set));
        }
        self.numbers("local_pref", Condition::LocalPref);
        self.numbers("med", Condition::Med);
        if let Some(field) = self.section.take("origin") {
            let origins = field
                .one_or_more()
                .iter()
                .filter_map(|item| item.choice(self.found, &ORIGINS));
            let origins = origins.collect();
            self.list.push(Condition::Origin(origins));
        }
    }

    fn nlri(&mut self) {
        let families = "a family such as \"ipv4-unicast\"";
        self.values::<Family>("family", families, Condition::Family);
        if let Some(field) = self.section.take("evpn_type") {
            let types = field
                .one_or_more()
                .iter()
                .filter_map(|item| evpn_type(item, self.found));
            let types = types.collect();
            self.list.push(Condition::EvpnType(types));
        }
        let rds = "a route distinguisher such as \"64512:1\" or \"64512:*\"";
        self.values::<RdPattern>("rd", rds, Condition::Rd);
        self.numbers("vni", Condition::Vni);
        self.numbers("label", Condition::Label);
    }

    fn values<T: FromStr>(
        &mut self,
        key: &'static str,
        expected: &str,
        condition: impl Fn(Vec<T>) -> Condition,
    ) where
        T::Err: Display,
    {
        if let Some(field) = self.section.take(key) {
            let values = field.parse_all(self.found, expected);
            self.list.push(condition(values));
        }
    }

    fn numbers(&mut self, key: &'static str, condition: impl Fn(NumberSet) -> Condition) {
        self.values::<Comparison>(key, NUMBERS, |numbers| {
            condition(numbers.into_iter().collect())
        });
    }

    /// The lists that the names in `field` stand for.
    fn referred<T>(
        &mut self,
        field: &Field,
        lists: &BTreeMap<String, Arc<T>>,
        what: &str,
    ) -> Vec<Arc<T>> {
        let mut sets = Vec::new();
        for item in field.one_or_more() {
            let name = item.string(self.found, &format!("the name of a {what}"));
            let Some(name) = name else { continue };
            match lists.get(&name) {
                Some(list) => sets.push(Arc::clone(list)),
                None => item.error(self.found, unknown(what, &name, lists.keys())),
            }
        }
        sets
    }
}

/// `there is no prefix list "x": expected one of ...`.
pub(crate) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    if known.is_empty() {
        format!("there is no {what} `{name}`: none is configured")
    } else {
        format!(
            "there is no {what} `{name}`: expected one of {}",
            known.join(", ")
        )
    }
}

/// The only one of `sets`, or a new one of all of them.
fn united<T>(
    mut sets: Vec<Arc<T>>,
    unite: impl FnOnce(&[Arc<T>]) -> Option<Arc<T>>,
) -> Option<Arc<T>> {
    if sets.len() == 1 {
        sets.pop()
    } else {
        unite(&sets)
    }
}

/// A prefix among next hops means all addresses in it.
fn next_hops(field: &Field, found: &mut Diagnostics) -> PrefixSet {
    let prefixes: Vec<chanter_types::Prefix> =
        field.parse_all(found, "an address or a prefix such as \"192.0.2.0/24\"");
    let hosts = prefixes.into_iter().filter_map(|prefix| {
        let bits = if prefix.addr().is_ipv4() { 32 } else { 128 };
        PrefixRange::new(prefix, Some(bits), None)
    });
    hosts.collect()
}

const ORIGINS: [(&str, Origin); 3] = [
    ("igp", Origin::Igp),
    ("egp", Origin::Egp),
    ("incomplete", Origin::Incomplete),
];

fn evpn_type(field: &Field, found: &mut Diagnostics) -> Option<u8> {
    if let Value::Integer(_) = field.value {
        let number = field.integer(found, 1..=255)?;
        return u8::try_from(number).ok();
    }
    field.choice(
        found,
        &[
            ("ethernet-ad", 1),
            ("mac-ip", 2),
            ("inclusive-multicast", 3),
            ("ethernet-segment", 4),
            ("ip-prefix", 5),
        ],
    )
}

/// What `set` does, in an order of its own: numbers, AS_PATH, then communities to remove, to put in
/// the place of others, to add.
fn actions(field: &Field, found: &mut Diagnostics) -> Vec<Action> {
    let Some(mut section) = field.section(found) else {
        return Vec::new();
    };
    let mut list = Vec::new();
    if let Some(field) = section.take("local_pref") {
        list.extend(adjust(field, found).map(Action::LocalPref));
    }
    if let Some(field) = section.take("med") {
        let none = field.choice(&mut Diagnostics::default(), &[("none", ())]);
        match none {
            Some(()) => list.push(Action::RemoveMed),
            None => list.extend(adjust(field, found).map(Action::Med)),
        }
    }
    if let Some(field) = section.take("origin") {
        list.extend(field.choice(found, &ORIGINS).map(Action::Origin));
    }
    if let Some(field) = section.take("next_hop") {
        let own = field.choice(&mut Diagnostics::default(), &[("self", ())]);
        match own {
            Some(()) => list.push(Action::NextHopSelf),
            None => list.extend(address(field, found).map(Action::NextHop)),
        }
    }
    if let Some(field) = section.take("prepend") {
        list.extend(prepend(field, found));
    }
    if let Some(field) = section.take("remove_community") {
        let set = Arc::new(community_set(field, found));
        list.push(Action::Community(CommunityEdit::Remove(set)));
    }
    if let Some(field) = section.take("set_community") {
        let those = communities(field, found);
        list.push(Action::Community(CommunityEdit::Set(those)));
    }
    if let Some(field) = section.take("add_community") {
        let those = communities(field, found);
        list.push(Action::Community(CommunityEdit::Add(those)));
    }
    section.finish(found);
    list
}

fn address(field: &Field, found: &mut Diagnostics) -> Option<std::net::IpAddr> {
    let text = field.string(found, "an IP address or \"self\"")?;
    let addr = text.parse().ok();
    if addr.is_none() {
        let message =
            format_args!("`{text}` is not an IP address: expected IPv4, IPv6 or \"self\"");
        field.error(found, message);
    }
    addr
}

/// `200`, `"+10"`, `"-10"`.
fn adjust(field: &Field, found: &mut Diagnostics) -> Option<Adjust> {
    const EXPECTED: &str = "a number from 0 to 4294967295, or by how much: \"+10\", \"-10\"";
    let adjust = match &field.value {
        Value::Integer(number) => u32::try_from(*number).ok().map(Adjust::Set),
        Value::Text(text) => match text.split_at_checked(1) {
            Some(("+", more)) => more.parse().ok().map(Adjust::Add),
            Some(("-", less)) => less.parse().ok().map(Adjust::Subtract),
            _ => None,
        },
        _ => None,
    };
    if adjust.is_none() {
        field.wrong_type(found, EXPECTED);
    }
    adjust
}

/// `3` times our AS, or `{ as = 64512, times = 3 }`.
fn prepend(field: &Field, found: &mut Diagnostics) -> Option<Action> {
    let times = |field: &Field, found: &mut Diagnostics| {
        let times = field.integer(found, 1..=32)?;
        u8::try_from(times).ok()
    };
    if !matches!(field.value, Value::Table(_)) {
        let times = times(field, found)?;
        return Some(Action::Prepend {
            asn: PrependAs::Local,
            times,
        });
    }
    let mut section = field.section(found)?;
    let asn = match section.take("as") {
        Some(field) => prepend_as(field, found),
        None => Some(PrependAs::Local),
    };
    let times = match section.take("times") {
        Some(field) => times(field, found),
        None => Some(1),
    };
    section.finish(found);
    Some(Action::Prepend {
        asn: asn?,
        times: times?,
    })
}

fn prepend_as(field: &Field, found: &mut Diagnostics) -> Option<PrependAs> {
    let words = [("local", PrependAs::Local), ("peer", PrependAs::Peer)];
    if let Some(word) = field.choice(&mut Diagnostics::default(), &words) {
        return Some(word);
    }
    let asn: Asn = field.parse(found, "an AS number, \"local\" or \"peer\"")?;
    Some(PrependAs::Number(asn))
}

fn communities(field: &Field, found: &mut Diagnostics) -> Communities {
    let mut communities = Communities::default();
    for item in field.one_or_more() {
        let text = item.string(found, COMMUNITY);
        let pushed: Option<Result<(), ParseError>> = text.map(|text| communities.push(&text));
        if let Some(Err(error)) = pushed {
            item.error(found, error);
        }
    }
    communities
}
