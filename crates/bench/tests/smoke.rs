//! A small load through `chanter rr`, seen by two receivers, and a few clients that all talk. It says that the generator and the
//! reflector work, never how fast. Needs root, for network namespaces.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chanter_bench::{
    ClientsOptions, Device, Kind, Outcome, Run, Setting, check_root, clients_table, measure,
    run_clients,
};

/// The namespaces are called by the process: one test at a time has them.
static NAMESPACES: Mutex<()> = Mutex::new(());

#[test]
fn chanter_reflects_every_route_and_every_withdrawal() {
    let _alone = NAMESPACES.lock().unwrap_or_else(PoisonError::into_inner);
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

#[test]
fn clients_that_flap_and_get_stuck_have_the_same_in_the_end() {
    let _alone = NAMESPACES.lock().unwrap_or_else(PoisonError::into_inner);
    check_root().expect("this test makes network namespaces");
    let program = chanter_interop::chanter_program().expect("chanter can be built");
    let setting = Setting {
        programs: [(Device::Chanter, program)].into(),
    };
    let options = ClientsOptions {
        clients: 40,
        vpn_size: 5,
        routes: 5,
        rate: 20,
        seconds: 3,
        flap_seconds: 1,
        flapping: 3,
        stuck: 4,
    };
    // It fails if a route is lost, or a session that nobody ended.
    let figures = run_clients(&options, &setting).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(figures.flaps > 0, "a third of them go away every second");
    assert!(figures.sent > 40 && figures.received > figures.sent);
    let table = clients_table(&options, &figures).expect("it lasted");
    assert!(table.contains("| sessions | 40 |"), "{table}");
}
