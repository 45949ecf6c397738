//! BFD beside FRR's bfdd, and under load, in network namespaces. Needs root and what
//! `scripts/setup` installs.

mod bfdd;
mod frr;
mod load;
mod support;
