//! Makes the node match the desired dataplane.
//!
//! Each sink takes the desired objects of [`chanter_engine::desired`] in order, makes them so, and
//! reports what became of each. [`linux`] programs the kernel over netlink; [`dummy`] only logs.
//! Sinks are level-triggered: what they do follows from the desired and the observed state alone,
//! whatever events led there.

pub mod dummy;
pub mod linux;
