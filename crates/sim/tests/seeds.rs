//! Whole sites from seeds. `CHANTER_SIM_SEEDS=FROM..TO` runs others than the default ones.

use chanter_engine::desired::DesiredKey;
use chanter_sim::{NodeId, Site, SiteConfig};

const SITE: SiteConfig = SiteConfig {
    reflectors: 2,
    nodes: 4,
    instances: 3,
    endpoints: 12,
};

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("CHANTER_SIM_SEEDS") else {
        return 0..30;
    };
    let (from, to) = text
        .split_once("..")
        .expect("CHANTER_SIM_SEEDS is FROM..TO");
    from.parse().expect("FROM is a number")..to.parse().expect("TO is a number")
}

/// Whatever happened: once all is delivered and all timers have run out, every dataplane holds what
/// the places of the endpoints ask for, and nothing else.
#[test]
fn every_site_converges() {
    for seed in seeds() {
        let mut site = Site::new(SITE, seed);
        println!("seed {seed}");
        for _ in 0..4 {
            for _ in 0..80 {
                site.step();
            }
            site.quiesce();
            site.assert_converged();
        }
    }
}

/// With everything settled, a process that is killed and comes back takes nothing out of any
/// dataplane, its own included, at any moment.
#[test]
fn a_restart_takes_nothing_out_of_any_dataplane() {
    let mut watched = 0;
    for seed in seeds() {
        let mut site = Site::new(SITE, seed);
        println!("seed {seed}");
        for _ in 0..100 {
            site.step();
        }
        site.quiesce();
        let before: Vec<_> = site
            .processes()
            .iter()
            .map(|process| process.dataplane.clone())
            .collect();
        watched += before
            .iter()
            .map(|dataplane| dataplane.len())
            .sum::<usize>();
        for process in 0..SITE.reflectors + SITE.nodes {
            site.restart(NodeId(process));
            site.quiesce_watching(|now| {
                for (index, (held, holds)) in before.iter().zip(now).enumerate() {
                    let changed: Vec<_> = held
                        .iter()
                        .filter(|(key, value)| match (key, holds.dataplane.get(*key)) {
                            // Of a VTEP with several instances one VNI counts: another, while only
                            // its route is back.
                            (DesiredKey::Flood(..), Some(_)) => false,
                            (_, now) => now != Some(*value),
                        })
                        .collect();
                    assert!(
                        changed.is_empty() && held.len() == holds.dataplane.len(),
                        "seed {seed}: the restart of {process} takes {changed:?} out of {index}"
                    );
                }
            });
        }
    }
    assert!(
        watched > 40 * seeds().count(),
        "too little is attached to show anything"
    );
}
