//! The corpus of malformed messages: each gets what RFC 7606 wants.

use std::collections::BTreeSet;

use chanter_bgp::corpus::{Case, Expected, Spoil, cases};
use chanter_bgp::{
    AttributeCode, Disposition, Fault, RouteEvent, UpdateBatch, decode_message, decode_update,
};

#[test]
fn each_message_gets_what_rfc_7606_wants() {
    for case in cases() {
        assert!(decode_message(&case.update).is_ok(), "{}", case.name);
        let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
        let result = decode_update(case.body(), &case.context(), &mut batch, &mut faults);
        let worst = faults.iter().map(|fault| fault.disposition).max();
        let found = match (&result, worst) {
            (Err(notification), _) => Expected::Reset {
                code: notification.code,
                subcode: notification.subcode,
            },
            (Ok(()), None) => Expected::Keep,
            (Ok(()), Some(Disposition::AttributeDiscard)) => Expected::Discard,
            (Ok(()), Some(_)) => Expected::Withdraw,
        };
        assert_eq!(found, case.expected, "{}: {faults:?}", case.name);
        check_faults(&case, &faults);
        check_events(&case, &batch);
    }
}

/// What is told points into the message, and names the attribute.
fn check_faults(case: &Case, faults: &[Fault]) {
    let worst = faults.iter().max_by_key(|fault| fault.disposition);
    if let Some(fault) = worst {
        assert!(
            (19..=case.update.len()).contains(&fault.offset),
            "{}: {fault}",
            case.name
        );
        let is_named = fault.attribute == case.attribute || case.spoil == Spoil::CutOff;
        assert!(is_named, "{}: {fault}", case.name);
    }
}

fn check_events(case: &Case, batch: &UpdateBatch) {
    let reached = |event: &RouteEvent| matches!(event, RouteEvent::Reach { .. });
    match case.expected {
        Expected::Keep | Expected::Discard => {
            assert!(!batch.events.is_empty(), "{}", case.name);
        }
        Expected::Withdraw => {
            assert!(!batch.events.iter().any(reached), "{}", case.name);
        }
        Expected::Reset { .. } => assert!(batch.is_empty(), "{}", case.name),
    }
    let Some(route) = case.route else { return };
    let about = batch.events.iter().filter(|event| match event {
        RouteEvent::Reach { nlri, .. } | RouteEvent::Withdraw { nlri, .. } => *nlri == route.into(),
        RouteEvent::EndOfRib(_) => false,
    });
    let reached: Vec<bool> = about.map(reached).collect();
    match case.expected {
        Expected::Keep => assert_eq!(reached, [true], "{}", case.name),
        Expected::Discard => {
            assert_eq!(reached, [true], "{}", case.name);
            check_discarded(case, batch);
        }
        Expected::Withdraw => assert_eq!(reached, [false], "{}", case.name),
        Expected::Reset { .. } => {}
    }
}

/// The attribute is not there, unless it was there a first time.
fn check_discarded(case: &Case, batch: &UpdateBatch) {
    let kept = case.spoil == Spoil::Duplicate
        && ![
            Some(AttributeCode::NEXT_HOP),
            Some(AttributeCode::AS4_PATH),
            Some(AttributeCode::AS4_AGGREGATOR),
            Some(AttributeCode::BGPSEC_PATH),
            Some(AttributeCode(98)),
        ]
        .contains(&case.attribute);
    for set in &batch.attributes {
        let is_there = set.raw().any(|raw| Some(raw.code) == case.attribute);
        assert_eq!(is_there, kept, "{}: {set}", case.name);
    }
}

/// Every attribute that has a name here is in the corpus, in each way.
#[test]
fn the_corpus_leaves_no_attribute_out() {
    let cases = cases();
    for code in AttributeCode::KNOWN {
        for spoil in [
            Spoil::Nothing,
            Spoil::OverLong,
            Spoil::CutOff,
            Spoil::Flags,
            Spoil::Duplicate,
        ] {
            let has = |case: &Case| (case.attribute, case.spoil) == (Some(code), spoil);
            assert!(cases.iter().any(has), "{code} {spoil:?}");
        }
    }
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names tell cases apart");
}
