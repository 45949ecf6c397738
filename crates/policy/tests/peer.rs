//! What holds for a peer beside its policies: RFC 8212, RFC 8326, private AS numbers, our AS.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::sync::Arc;

use chanter_bgp::{Attributes, Community, Nlri, PathData, RtMembership, SegmentKind};
use chanter_policy::{
    Action, Adjust, AllowAsIn, Decision, PeerPolicy, Policy, PolicyRoute, Rule, Verdict,
};
use chanter_types::Asn;

fn attributes(path: &[u32]) -> Attributes {
    let path: Vec<Asn> = path.iter().copied().map(Asn).collect();
    Attributes::builder()
        .append_segment(SegmentKind::Sequence, &path)
        .build()
}

fn ask<T>(attributes: &Attributes, ebgp: bool, ask: impl FnOnce(&PolicyRoute<'_>) -> T) -> T {
    let nlri: Nlri = "192.0.2.0/24".parse().unwrap();
    ask_about(&nlri, attributes, ebgp, ask)
}

fn ask_about<T>(
    nlri: &Nlri,
    attributes: &Attributes,
    ebgp: bool,
    ask: impl FnOnce(&PolicyRoute<'_>) -> T,
) -> T {
    ask(&PolicyRoute {
        nlri,
        path: &PathData::default(),
        attributes,
        peer_as: Asn(2),
        local_as: Asn(1),
        local_addr: None,
        ebgp,
    })
}

fn accept_all() -> Option<Arc<Policy>> {
    let policy = Policy::new("all", vec![Rule::new("all", Verdict::Accept)]);
    Some(Arc::new(policy))
}

const NOTHING: Decision<'static> = Decision::Reject {
    rule: "no policy (RFC 8212)",
};

#[test]
fn ebgp_without_policy_exchanges_nothing() {
    let route = attributes(&[2]);
    let strict = PeerPolicy {
        require_policy: true,
        ..PeerPolicy::default()
    };
    assert_eq!(ask(&route, true, |route| strict.import(route)), NOTHING);
    assert_eq!(ask(&route, true, |route| strict.export(route)), NOTHING);
    let taken = Decision::Accept(None);
    assert_eq!(ask(&route, false, |route| strict.import(route)), taken);
    assert_eq!(ask(&route, false, |route| strict.export(route)), taken);
    let import_only = PeerPolicy {
        import: accept_all(),
        ..strict.clone()
    };
    assert_eq!(ask(&route, true, |route| import_only.import(route)), taken);
    assert_eq!(
        ask(&route, true, |route| import_only.export(route)),
        NOTHING
    );
    let lax = PeerPolicy::default();
    assert_eq!(ask(&route, true, |route| lax.export(route)), taken);
}

#[test]
fn what_peers_subscribe_to_is_no_matter_of_policy() {
    let policy = PeerPolicy {
        require_policy: true,
        export: Some(Arc::new(Policy::new("none", Vec::new()))),
        ..PeerPolicy::default()
    };
    let membership = Nlri::Rtc(RtMembership::DEFAULT);
    let route = attributes(&[2]);
    let taken = Decision::Accept(None);
    let import = ask_about(&membership, &route, true, |route| policy.import(route));
    let export = ask_about(&membership, &route, true, |route| policy.export(route));
    assert_eq!((import, export), (taken.clone(), taken));
}

fn accepted(decision: Decision<'_>) -> Attributes {
    match decision {
        Decision::Accept(Some(attributes)) => attributes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn routes_of_a_session_that_is_to_go_down_are_the_last_choice() {
    let marked = attributes(&[2])
        .to_builder()
        .local_pref(200)
        .communities(vec![Community(7), Community::GRACEFUL_SHUTDOWN])
        .build();
    let receiver = PeerPolicy::default();
    let taken = accepted(ask(&marked, true, |route| receiver.import(route)));
    assert_eq!(taken.local_pref(), Some(0));
    let as_it_is = Decision::Accept(None);
    assert_eq!(
        ask(&marked, false, |route| receiver.import(route)),
        as_it_is
    );
    let deaf = PeerPolicy {
        accept_graceful_shutdown: false,
        ..PeerPolicy::default()
    };
    assert_eq!(ask(&marked, true, |route| deaf.import(route)), as_it_is);
    // A policy that prefers the route does not hide that it will go.
    let prefers =
        Rule::new("prefer", Verdict::Accept).doing(vec![Action::LocalPref(Adjust::Set(300))]);
    let receiver = PeerPolicy {
        import: Some(Arc::new(Policy::new("p", vec![prefers]))),
        ..PeerPolicy::default()
    };
    let taken = accepted(ask(&marked, true, |route| receiver.import(route)));
    assert_eq!(taken.local_pref(), Some(0));

    let initiator = PeerPolicy {
        graceful_shutdown: true,
        ..PeerPolicy::default()
    };
    let plain = attributes(&[2]);
    let sent = accepted(ask(&plain, true, |route| initiator.export(route)));
    let communities: Vec<Community> = sent.communities().collect();
    assert_eq!(communities, [Community::GRACEFUL_SHUTDOWN]);
    let taken = accepted(ask(&plain, true, |route| initiator.import(route)));
    assert_eq!(
        (taken.local_pref(), taken.communities().count()),
        (Some(0), 1)
    );
}

#[test]
fn private_as_numbers_stay_inside() {
    let policy = PeerPolicy {
        remove_private_as: true,
        ..PeerPolicy::default()
    };
    for (path, left) in [
        (vec![64512, 3, 65534], "3"),
        (vec![4_200_000_000, 4_294_967_294], ""),
        (vec![64511, 65535, 4_199_999_999], "64511 65535 4199999999"),
    ] {
        let route = attributes(&path);
        let sent = match ask(&route, true, |route| policy.export(route)) {
            Decision::Accept(changed) => changed.unwrap_or(route.clone()),
            rejected => panic!("{rejected:?}"),
        };
        assert_eq!(sent.as_path().to_string(), left);
        let inside = ask(&route, false, |route| policy.export(route));
        assert_eq!(inside, Decision::Accept(None));
    }
}

#[test]
fn our_own_as_in_the_path_is_a_loop_unless_allowed() {
    for (path, never, once, twice, origin) in [
        (vec![], true, true, true, true),
        (vec![2, 3], true, true, true, true),
        (vec![2, 1], false, true, true, true),
        (vec![2, 1, 1], false, false, true, true),
        (vec![1, 2], false, true, true, false),
        (vec![1, 2, 1], false, false, true, false),
    ] {
        let route = attributes(&path);
        for (allowed, expected) in [
            (AllowAsIn::Never, never),
            (AllowAsIn::Times(1), once),
            (AllowAsIn::Times(2), twice),
            (AllowAsIn::OwnOrigin, origin),
        ] {
            let permitted = allowed.permits(route.as_path(), Asn(1));
            assert_eq!(permitted, expected, "{path:?} {allowed:?}");
        }
    }
}

#[test]
fn rules_count_what_they_decided() {
    let policy = Policy::new(
        "p",
        vec![
            Rule::new("mark", Verdict::Next).doing(vec![Action::Med(Adjust::Set(1))]),
            Rule::new("none", Verdict::Accept)
                .except(vec![chanter_policy::Condition::PeerAs(vec![Asn(2)])]),
        ],
    );
    let route = attributes(&[2]);
    for _ in 0..3 {
        ask(&route, true, |route| {
            assert_eq!(policy.decide(route), Decision::Reject { rule: "default" })
        });
    }
    ask(&route, true, |route| {
        assert_eq!(policy.explain(route).steps.len(), 2)
    });
    let hits: Vec<u64> = policy.rules().iter().map(Rule::hits).collect();
    assert_eq!((hits, policy.rest_hits()), (vec![3, 0], 3));
}
