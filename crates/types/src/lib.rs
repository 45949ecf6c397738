//! Leaf value types shared by every crate of Chanter.
//!
//! Each type is valid by construction, prints the way operators write it, and parses that text
//! back; a text that does not parse yields a [`ParseError`] which names what was read and the form
//! that is accepted. No I/O, no clock: even [`Instant`] is a plain number handed in from outside.

mod asn;
mod esi;
mod ifname;
mod instant;
mod label;
mod mac;
mod parse;
mod prefix;
mod rd;
mod rt;

pub use asn::Asn;
pub use esi::{Esi, EthernetTag};
pub use ifname::IfName;
pub use instant::Instant;
pub use label::{MplsLabel, Vni};
pub use mac::MacAddr;
pub use parse::ParseError;
pub use prefix::{Ipv4Prefix, Ipv6Prefix, Prefix};
pub use rd::RouteDistinguisher;
pub use rt::RouteTarget;
