//! The Linux kernel's bridge and VXLAN, over netlink.
//!
//! ```text
//! DesiredFeed -> desired --.                       .-> netlink requests (batched, acknowledged)
//!                           +-> plan (pure) -> Ops -+
//! notifications -> observe -'                       '-> Reports to the engine
//! ```
//!
//! # What a bridge domain looks like
//!
//! A bridge with the endpoints' ports and one VXLAN device as its ports, named as bagpipe-bgp names
//! them and tagged with the instance in their interface alias. From then on all is entries:
//!
//! | desired | kernel |
//! |---|---|
//! | remote MAC | bridge FDB: the VXLAN port, `extern_learn`; VXLAN FDB: `dst VTEP [vni VNI]` |
//! | local MAC | bridge FDB: its port, `extern_learn static sticky` |
//! | flooding target | VXLAN FDB: `00:00:00:00:00:00 dst VTEP [vni VNI]` |
//! | neighbour | neighbour table of the bridge: permanent, `proto 201` |
//!
//! # ARP and ND suppression
//!
//! bagpipe-bgp sets `proxy` on the VXLAN device and puts neighbours there. The kernel's
//! implementation (`arp_reduce`) then consumes every ARP packet that would leave by the tunnel,
//! requests for addresses without an entry, and replies, included: a remote MAC address without an
//! IP address is never found, and a peer that floods its requests never gets an answer. So we use
//! the bridge port's `neigh_suppress` with neighbours on the bridge: it answers what it knows and
//! floods the rest. It needs neither VLAN filtering nor an address on the bridge, but that the MAC
//! address is in the bridge's FDB at a port with the setting, which is why remote MAC addresses are
//! put into both FDBs.
//!
//! A running bagpipe-bgp's device is adopted with its `proxy`: the kernel refuses to change the flag,
//! and has no second device for the same VNI and UDP port, so replacing the device would interrupt
//! traffic. Known addresses are answered by the bridge before the device sees the question. The log
//! says how to be rid of it.
//!
//! # Isolation
//!
//! The node itself is no station of its VPNs: bridges and VXLAN devices of ours get no IPv6 address
//! from the kernel.

mod desired;
mod hold;
mod names;
mod netlink;
mod observe;
mod op;
mod plan;
mod run;
mod sink;
#[cfg(test)]
mod tests;

pub use self::run::{LinuxConfig, LinuxError, run};
