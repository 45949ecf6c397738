//! A change costs what it changes, however much else the engine holds: counted in outputs, which is
//! what everybody downstream has to work through.

use std::collections::BTreeMap;

use crate::world::{World, parse_config};

/// An engine with instances that each import routes of their own.
fn filled(instances: u32, routes: u32) -> World {
    let mut world = World::new(parse_config("engine"));
    world.run("peer 1 up 192.0.2.9");
    for number in 1..=instances {
        world.run(&format!("rest instance net-{number} rt=64512:{number}"));
        for route in 0..routes {
            let [.., a, b] = number.to_be_bytes();
            let mac = format!("02:00:00:{route:02x}:{a:02x}:{b:02x}");
            world.run(&format!(
                "peer 1 reach [2]:[0]:[48]:[{mac}]:[32]:[10.{route}.{a}.{b}] rd 192.0.2.2:7 rt=64512:{number}"
            ));
        }
    }
    world
}

/// How many outputs follow each kind of change, in one instance of many.
fn outputs(instances: u32) -> BTreeMap<&'static str, usize> {
    let mut world = filled(instances, 3);
    let changes = [
        (
            "attach",
            "rest attach net-5 02:00:00:00:01:01 10.9.0.1 tap0",
        ),
        (
            "repeat",
            "rest attach net-5 02:00:00:00:01:01 10.9.0.1 tap0",
        ),
        ("detach", "rest detach net-5 02:00:00:00:01:01 10.9.0.1"),
        (
            "another target",
            "rest instance net-5 import=64512:6 export=64512:5",
        ),
        (
            "another export",
            "rest instance net-5 import=64512:6 export=64512:6",
        ),
        ("another instance", "rest instance net-0 rt=64512:5"),
        ("removal", "rest remove-instance net-5"),
    ];
    changes
        .into_iter()
        .map(|(name, line)| (name, world.run(line).len()))
        .collect()
}

#[test]
fn a_change_in_one_instance_costs_the_same_among_ten_and_among_three_hundred() {
    let few = outputs(10);
    let many = outputs(300);
    assert_eq!(few, many);
    assert!(
        few.values().all(|count| (1..=20).contains(count)),
        "{few:?}"
    );
}
