//! The harness of the tests with real programs.
//!
//! A [`Lab`] is a set of network namespaces around one underlay bridge; peers ([`Frr`], [`Gobgp`],
//! [`Bird`], [`Exabgp`], [`Bagpipe`], [`FakeReflector`], [`Agent`], [`Reflector`]) are processes in
//! them, [`RawPeer`] and [`BgpSink`] sessions of the test itself. The tests themselves are in
//! `tests/interop/`; each one says at its head what it builds and what it claims.
//!
//! Everything needs root and what `scripts/setup` installs. One lab is up at a time on a machine: a
//! file lock makes others wait, and whatever a killed run left behind is removed before the next
//! one starts. Nothing here sleeps and hopes: [`wait_until`] polls with a deadline and says what
//! was missing when it ran out.

mod bgp_sink;
mod chanter;
mod command;
mod lab;
mod monitor;
mod namespace;
mod peers;
mod ping;
mod process;
mod raw_peer;
mod rest;
mod wait;

pub use bgp_sink::{BgpSink, MacSeen};
pub use chanter::{Agent, AgentConfig, Reflector, build, chanter_program, persona};
pub use command::{output, run};
pub use lab::{Endpoint, Failure, Lab, Node, in_lab};
pub use monitor::KernelMonitor;
pub use namespace::Namespace;
pub use peers::bagpipe::{Bagpipe, BagpipeDataplane, FakeReflector, evpn_body, real_tool};
pub use peers::bird::Bird;
pub use peers::exabgp::{Exabgp, ExabgpConfig};
pub use peers::frr::{Frr, FrrConfig};
pub use peers::gobgp::{Gobgp, GobgpConfig};
pub use ping::{Ping, PingReport};
pub use process::Process;
pub use raw_peer::{Heard, RawOpen, RawPeer};
pub use rest::{Client, Reply, Rest};
pub use wait::{always, secs, wait_until};

/// AS number of every speaker, unless a test says otherwise.
pub const ASN: u32 = 64512;
