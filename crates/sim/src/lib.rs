//! Simulation of whole sites: nodes with their engines, a route reflector, links between them, in
//! virtual time and from a seed.
//!
//! Engines are the real ones; sessions carry real UPDATE messages, cut into frames and decoded as a
//! speaker does. What is simulated is everything around: links that deliver when the seed says so,
//! sessions that break, processes that are killed and come back, dataplanes that obey. A run is a
//! function of its seed, so a failure is repeated by its number.

mod node;
mod random;
mod site;

pub use node::{Node, NodeId};
pub use random::Random;
pub use site::{Site, SiteConfig};
