//! The RIB against a model that keeps nothing but what was said and computes everything else anew: best
//! paths, what each peer must have been sent, indexes and counts. Random steps; after every one the
//! best paths are compared, and whenever a peer takes all, its table.

mod rib_model_support;
mod rib_support;

use chanter_bgp::{Family, Nlri};
use chanter_engine::PeerId;
use proptest::prelude::*;
use rib_model_support::{Harness, PEERS, SetSpec, destinations};

/// A step; numbers pick from pools by remainder.
#[derive(Debug, Clone)]
enum Step {
    Reach {
        peer: usize,
        destination: usize,
        set: SetSpec,
    },
    Withdraw {
        peer: usize,
        destination: usize,
    },
    Originate {
        number: u32,
        destination: usize,
        set: SetSpec,
    },
    Unoriginate {
        number: u32,
        destination: usize,
    },
    Up {
        peer: usize,
        preserved: bool,
    },
    Down {
        peer: usize,
        retain: bool,
    },
    EndOfRib {
        peer: usize,
        family: usize,
    },
    Refresh {
        peer: usize,
        family: usize,
    },
    /// The peer begins, or ends, to send all its routes of a family again.
    PeerRefresh {
        peer: usize,
        family: usize,
        begins: bool,
    },
    /// Another import policy of a peer.
    Policy {
        peer: usize,
        which: u8,
    },
    Expire,
    Pull {
        peer: usize,
        budget: usize,
    },
    Drain {
        peer: usize,
    },
    Import,
    /// How far peers that are sent the same may be behind one another from now on.
    Slack {
        octets: usize,
    },
    /// A monitor comes or goes.
    ToggleMonitor {
        which: usize,
    },
    PullMonitor {
        which: usize,
        budget: usize,
    },
}

fn set_spec() -> impl Strategy<Value = SetSpec> {
    (
        (0..4_u8, 0..3_u8, 0..4_u8, 0..2_u8),
        (0..8_u8, 0..6_u8, 0..3_u8, 0..12_u8),
    )
        .prop_map(
            |((local_pref, path, med, origin), (rts, community, mobility, loops))| SetSpec {
                local_pref,
                path,
                med,
                origin,
                rts,
                community,
                mobility,
                loops,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..PEERS.len();
    let destination = 0..destinations().len();
    prop_oneof![
        12 => (peer.clone(), destination.clone(), set_spec())
            .prop_map(|(peer, destination, set)| Step::Reach { peer, destination, set }),
        6 => (peer.clone(), destination.clone())
            .prop_map(|(peer, destination)| Step::Withdraw { peer, destination }),
        2 => (1..4_u32, destination.clone(), set_spec())
            .prop_map(|(number, destination, set)| Step::Originate { number, destination, set }),
        2 => (1..4_u32, destination)
            .prop_map(|(number, destination)| Step::Unoriginate { number, destination }),
        1 => (peer.clone(), any::<bool>())
            .prop_map(|(peer, preserved)| Step::Up { peer, preserved }),
        1 => (peer.clone(), any::<bool>()).prop_map(|(peer, retain)| Step::Down { peer, retain }),
        1 => (peer.clone(), 0..4_usize).prop_map(|(peer, family)| Step::EndOfRib { peer, family }),
        1 => (peer.clone(), 0..4_usize).prop_map(|(peer, family)| Step::Refresh { peer, family }),
        2 => (peer.clone(), 0..4_usize, any::<bool>())
            .prop_map(|(peer, family, begins)| Step::PeerRefresh { peer, family, begins }),
        1 => (peer.clone(), 0..3_u8).prop_map(|(peer, which)| Step::Policy { peer, which }),
        1 => Just(Step::Expire),
        4 => (peer.clone(), 1..600_usize).prop_map(|(peer, budget)| Step::Pull { peer, budget }),
        4 => peer.prop_map(|peer| Step::Drain { peer }),
        2 => Just(Step::Import),
        1 => prop_oneof![Just(0), 1..2000_usize, Just(1 << 20)]
            .prop_map(|octets| Step::Slack { octets }),
        1 => (0..3_usize).prop_map(|which| Step::ToggleMonitor { which }),
        4 => (0..3_usize, 1..600_usize)
            .prop_map(|(which, budget)| Step::PullMonitor { which, budget }),
    ]
}

fn run(harness: &mut Harness, step: &Step) {
    match step {
        Step::Reach {
            peer,
            destination,
            set,
        } => harness.reach(*peer, *destination, set),
        Step::Withdraw { peer, destination } => harness.withdraw(*peer, *destination),
        Step::Originate {
            number,
            destination,
            set,
        } => {
            harness.originate(*number, *destination, set);
        }
        Step::Unoriginate {
            number,
            destination,
        } => harness.unoriginate(*number, *destination),
        Step::Up { peer, preserved } => harness.up(*peer, *preserved),
        Step::Down { peer, retain } => harness.down(*peer, *retain),
        Step::EndOfRib { peer, family } => harness.end_of_rib(*peer, *family),
        Step::Refresh { peer, family } => harness.refresh(*peer, *family),
        Step::PeerRefresh {
            peer,
            family,
            begins,
        } => harness.peer_refresh(*peer, *family, *begins),
        Step::Policy { peer, which } => harness.set_policy(*peer, *which),
        Step::Expire => harness.expire(),
        Step::Pull { peer, budget } => {
            harness.pull(*peer, *budget);
        }
        Step::Drain { peer } => harness.drain_and_compare(*peer),
        Step::Import => harness.import_and_compare(),
        Step::Slack { octets } => harness.net.rib.set_group_slack(*octets),
        Step::ToggleMonitor { which } => harness.toggle_monitor(*which),
        Step::PullMonitor { which, budget } => {
            harness.pull_monitor(*which, *budget);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..rib_support::proptest_config() })]

    #[test]
    fn the_rib_is_what_a_recomputation_gives(
        reflect in any::<bool>(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut harness = Harness::new(reflect);
        for step in &steps {
            run(&mut harness, step);
            harness.compare_best_paths();
            harness.compare_counts();
        }
        for peer in 0..PEERS.len() {
            harness.drain_and_compare(peer);
        }
        harness.import_and_compare();
        harness.compare_indexes();
        harness.compare_monitors();
        harness.remove_all();
        harness.compare_monitors_of_nothing(reflect);
        if reflect {
            prop_assert_eq!(harness.net.rib.summary()[0].paths, 1, "the default membership");
        } else {
            prop_assert!(harness.net.rib.is_empty(), "something is left");
        }
    }

    /// Monitors are told of all, and of nothing else, whenever they ask.
    #[test]
    fn monitors_know_what_the_rib_holds(
        reflect in any::<bool>(),
        late in 0..3_usize,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut harness = Harness::new(reflect);
        (0..3).filter(|which| *which != late).for_each(|which| harness.toggle_monitor(which));
        for step in &steps {
            run(&mut harness, step);
            harness.compare_monitors();
        }
    }

    /// Every change is told: peers that only ask when they are told have all in the end.
    #[test]
    fn peers_are_told_of_every_change(
        reflect in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut harness = Harness::new(reflect);
        for step in &steps {
            if !matches!(step, Step::Pull { .. } | Step::Drain { .. }) {
                run(&mut harness, step);
            }
            harness.net.drain_ready();
            for peer in 0..PEERS.len() {
                harness.compare_peer(peer);
            }
        }
    }
}

/// A peer that takes nothing holds back no memory: destinations that were never sent to it go.
#[test]
fn a_peer_that_takes_nothing_keeps_nothing_alive() {
    let mut harness = Harness::new(false);
    for peer in 0..PEERS.len() {
        harness.up(peer, false);
    }
    let set = SetSpec::default();
    for _ in 0..3 {
        for destination in 0..destinations().len() {
            harness.reach(0, destination, &set);
        }
        for destination in 0..destinations().len() {
            harness.withdraw(0, destination);
        }
    }
    assert!(harness.net.rib.is_empty());
}

#[test]
fn the_pool_has_all_families() {
    let families: std::collections::BTreeSet<Family> =
        destinations().iter().map(Nlri::family).collect();
    assert!(
        Family::SUPPORTED
            .iter()
            .all(|family| families.contains(family))
    );
    assert_eq!(PeerId(1), rib_model_support::id(0));
}
