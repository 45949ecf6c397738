//! The REST API of bagpipe-bgp, for its unmodified clients.
//!
//! Same routes, bodies, status codes and looking-glass tree. Where the original answered 500 to a
//! client's mistake, or broke, the answer is 400 with the field named and the form that is accepted;
//! nothing else changes by it.

mod actions;
mod answer;
mod request;
mod routes;

pub(crate) use answer::Failure;
pub use routes::router;
