//! A small load through `chanter rr`, seen by two receivers. It says that the generator and the
//! reflector work, never how fast. Needs root, for network namespaces.

use std::time::Duration;

use chanter_bench::{Device, Kind, Outcome, Run, Setting, check_root, measure};

#[test]
fn chanter_reflects_every_route_and_every_withdrawal() {
    check_root().expect("this test makes network namespaces");
    let program = chanter_interop::chanter_program().expect("chanter can be built");
    let setting = Setting {
        programs: [(Device::Chanter, program)].into(),
    };
    let cases = [
        (Kind::Ipv4, 10, 60),
        (Kind::Vpnv4, 10, 60),
        (Kind::Evpn, 1, 600),
    ];
    for (kind, per_set, updates) in cases {
        let run = Run {
            kind,
            routes: 600,
            per_set,
            receivers: 2,
            deadline: Duration::from_secs(60),
        };
        let outcome = measure(Device::Chanter, &setting, &run)
            .unwrap_or_else(|error| panic!("{kind}: {error:#}"));
        let Outcome::Done(figures) = outcome else {
            panic!("{kind}: {outcome:?}");
        };
        assert_eq!(
            figures.updates, updates,
            "{kind}: an UPDATE per attribute set"
        );
        assert!(figures.announce.cpu > Duration::ZERO && figures.peak > 0);
    }
}
