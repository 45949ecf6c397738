//! Numbers for instances that declare none: a hash of the name, so that a restart gives the same
//! ones, and the next free one where two names meet.

use chanter_intent::InstanceId;
use chanter_types::Vni;

/// Instance numbers: the range of the second part of a type 1 route distinguisher, without 0.
const NUMBERS: (u32, u32) = (1, 65_535);

/// Allocated VNIs: the upper part of the range, which operators seldom number by hand.
const VNIS: (u32, u32) = (0x10_0000, 0xff_ffff);

/// The instance number of `id`; `None` when all are taken.
pub(crate) fn number(id: &InstanceId, free: impl Fn(u32) -> bool) -> Option<u32> {
    probe(hash(id), NUMBERS, free)
}

/// The VNI of `id`; `None` when all are taken.
pub(crate) fn vni(id: &InstanceId, free: impl Fn(Vni) -> bool) -> Option<Vni> {
    probe(hash(id), VNIS, |vni| Vni::new(vni).is_some_and(&free)).and_then(Vni::new)
}

/// The first free number at or after the place of `hash` in the range, around its end.
fn probe(hash: u64, (first, last): (u32, u32), free: impl Fn(u32) -> bool) -> Option<u32> {
    let count = last - first + 1;
    let start = (hash % u64::from(count)) as u32;
    (0..count)
        .map(|step| first + (start + step) % count)
        .find(|number| free(*number))
}

/// FNV-1a: numbers must be the same in every build and on every machine.
fn hash(id: &InstanceId) -> u64 {
    id.as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_in_range() {
        let id = InstanceId::new("red");
        let first = number(&id, |_| true);
        assert_eq!(first, number(&id, |_| true));
        assert!((1..=65_535).contains(&first.unwrap()));
        assert!(vni(&id, |_| true).unwrap().value() >= 0x10_0000);
    }

    #[test]
    fn probing_goes_around_the_end_and_gives_up_when_all_are_taken() {
        assert_eq!(probe(65_534, NUMBERS, |number| number != 65_535), Some(1));
        assert_eq!(probe(7, NUMBERS, |_| false), None);
        assert_eq!(probe(7, NUMBERS, |number| number == 8), Some(8));
    }
}
