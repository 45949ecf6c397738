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
//! A running bagpipe-bgp's device is adopted with its `proxy`. The kernel does not change that
//! flag of a device that exists, up or down, nor its UDP port or VNI, so that a device made aside
//! could not take the place of another. Nor does it take a second device for the same VNI and UDP
//! port, whatever its local address, as long as both are of the same address family; with other
//! receive flags (`gbp`, `external`) it takes one and then cannot set it up, since both want the
//! same socket. So there is no way without an interruption, and none is made: known addresses are
//! answered by the bridge before the device sees the question, and the log says how to be rid of
//! the device.
//!
//! # Isolation
//!
//! The node itself is no station of its VPNs. Bridges and VXLAN devices of ours get no IPv6
//! address from the kernel. A bridge passes broadcast, and frames to its own MAC address, up to
//! the node, which by default answers ARP requests for each of its addresses from every device and
//! takes packets to them. So `arp_ignore` is set on our bridges (only addresses of the device are
//! answered for), and `rp_filter` (nothing is taken whose source is not reached by the device). An
//! address that an operator puts on a bridge works. IPv6 has no such setting but `disable_ipv6`,
//! with which the kernel refuses the neighbour entries of the suppression: the node solicits and
//! answers for nothing on the bridge, but takes IPv6 packets that an endpoint sends to the
//! bridge's MAC address; what must not be reached from there is for the node's packet filter.
//!
//! # MTU
//!
//! As with bagpipe-bgp, nothing is set: a VXLAN device that is not bound to an underlay device has
//! an MTU of 1500, and a bridge has the least MTU of its ports. The kernel answers a packet with
//! DF that does not fit the underlay in the name of its destination (fragmentation needed), so TCP
//! adapts. Without DF the outer packet is fragmented over IPv4, and lost over IPv6.

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
