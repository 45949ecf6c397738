//! Netlink: the only place that knows its messages.
//!
//! [`Requests`] sends many messages at once, each numbered and acknowledged, so an error is known to
//! be of one message and comes with the kernel's own explanation. [`Notifications`] hears of every
//! change of links, FDBs and neighbours, our own among them.

mod acknowledgement;
mod decode;
mod encode;
mod numbers;
mod socket;

use std::io;

pub(super) use self::acknowledgement::Refusal;
pub(super) use self::encode::Request;
pub(super) use self::socket::{Notifications, Received, Requests};

/// The netlink socket itself failed; of a refused request the kernel says so in its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NetlinkError {
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),
    #[error("cannot send to the kernel over netlink: {0}")]
    Send(#[source] io::Error),
    #[error("cannot read from the kernel over netlink: {0}")]
    Receive(#[source] io::Error),
    #[error("the kernel has not answered over netlink in {0} s")]
    NoAnswer(u64),
    #[error("the kernel refused to list its {0}: {1}")]
    Dump(&'static str, #[source] Refusal),
}
