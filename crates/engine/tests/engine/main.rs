//! Tests of the whole engine, with everything around it played.

mod recompute;
mod scenarios;
mod work;
mod world;
