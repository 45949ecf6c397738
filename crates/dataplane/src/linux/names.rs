//! Names and tags of the devices of a bridge domain.
//!
//! The first choice are the names that bagpipe-bgp gives, so that its devices are found and kept.
//! Those keep only eight characters of the instance's name; where the name is taken, or is not one
//! that the kernel accepts, a hash of the instance's name stands in for the characters. What a
//! device is for is never read from its name but from its tag (the interface alias).

use chanter_intent::InstanceId;
use chanter_types::IfName;

const BRIDGE_PREFIX: &str = "evpn---";
const VXLAN_PREFIX: &str = "vxlan--";
const TAG_PREFIX: &str = "chanter:";

/// The longest interface alias that the kernel takes, in octets (`IFALIASZ` less the final zero).
const ALIAS_LEN_MAX: usize = 255;

/// How many names are tried; each but the first has 32 bits of hash, so more will not be needed.
const CANDIDATES: u32 = 8;

/// The tag of the devices of an instance.
pub(super) fn tag(instance: &InstanceId) -> String {
    let tag = format!("{TAG_PREFIX}{instance}");
    let one_line = !tag.contains(|c: char| c.is_control());
    if tag.len() <= ALIAS_LEN_MAX && one_line {
        tag
    } else {
        format!(
            "{TAG_PREFIX}#{:016x}",
            hash(instance.as_str().as_bytes(), 0)
        )
    }
}

/// Whether a device with this alias is of some instance of ours.
pub(super) fn is_tag(alias: &str) -> bool {
    alias.starts_with(TAG_PREFIX)
}

/// Names for the bridge of an instance, the preferred one first.
pub(super) fn bridge_names(instance: &InstanceId) -> impl Iterator<Item = IfName> {
    names(BRIDGE_PREFIX, instance)
}

/// Names for the VXLAN device of an instance, the preferred one first.
pub(super) fn vxlan_names(instance: &InstanceId) -> impl Iterator<Item = IfName> {
    names(VXLAN_PREFIX, instance)
}

fn names(prefix: &'static str, instance: &InstanceId) -> impl Iterator<Item = IfName> {
    let plain: String = format!("{prefix}{instance}")
        .chars()
        .take(IfName::LEN_MAX)
        .collect();
    let id = instance.as_str().to_owned();
    let hashed = (0..CANDIDATES).map(move |salt| {
        let hash = hash(id.as_bytes(), salt);
        format!("{prefix}{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
    });
    std::iter::once(plain)
        .chain(hashed)
        .filter_map(|name| name.parse().ok())
}

/// FNV-1a: names have to be the same in every run and every release.
fn hash(octets: &[u8], salt: u32) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    octets
        .iter()
        .copied()
        .chain(salt.to_be_bytes())
        .fold(OFFSET_BASIS, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(PRIME)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(id: &str) -> (String, String) {
        let id = InstanceId::new(id);
        let bridge = bridge_names(&id).next().unwrap();
        let vxlan = vxlan_names(&id).next().unwrap();
        (bridge.to_string(), vxlan.to_string())
    }

    #[test]
    fn the_preferred_names_are_those_of_bagpipe() {
        assert_eq!(
            first("evpn-a"),
            ("evpn---evpn-a".into(), "vxlan--evpn-a".into())
        );
        assert_eq!(
            first("evpn_4f1bd5a8-9f0e"),
            ("evpn---evpn_4f1".into(), "vxlan--evpn_4f1".into())
        );
    }

    #[test]
    fn an_id_that_makes_no_device_name_gets_a_hash() {
        for id in ["a/b", "a b", "a:b", "żółwie"] {
            let (bridge, vxlan) = first(id);
            assert!(bridge.starts_with(BRIDGE_PREFIX), "{bridge}");
            assert!(bridge.is_ascii() && bridge.len() == 15, "{bridge}");
            assert!(vxlan.starts_with(VXLAN_PREFIX), "{vxlan}");
        }
    }

    #[test]
    fn names_of_two_instances_differ_from_the_second_on() {
        let a: Vec<_> = bridge_names(&InstanceId::new("evpn_4f1bd5a8-1")).collect();
        let b: Vec<_> = bridge_names(&InstanceId::new("evpn_4f1bd5a8-2")).collect();
        assert_eq!(a[0], b[0]);
        assert_ne!(a[1], b[1]);
        assert_eq!(
            a[1].to_string(),
            "evpn---87c16537",
            "names must not change between releases"
        );
    }

    #[test]
    fn a_tag_fits_the_kernel() {
        assert_eq!(tag(&InstanceId::new("net-1")), "chanter:net-1");
        let long = "x".repeat(300);
        let tag = tag(&InstanceId::new(&long));
        assert!(tag.len() <= ALIAS_LEN_MAX && is_tag(&tag), "{tag}");
        assert!(!is_tag("chanterelle"));
    }
}
