//! Simulation of whole sites: nodes with their engines, route reflectors, links between them, in
//! virtual time and from a seed.
//!
//! Engines are the real ones; sessions carry real UPDATE messages, cut into frames and decoded as a
//! speaker does. What is simulated is everything around: links that deliver when the seed says so,
//! sessions that break, processes that are killed and come back, dataplanes that are slow or fail for
//! a while, endpoints that move, instances that change their route targets. A run is a function of
//! its seed, so a failure is repeated by its number.

mod node;
mod objects;
mod random;
mod site;

pub use node::{Node, NodeId};
pub use random::Random;
pub use site::{Site, SiteConfig};
