//! Follows the kernel's network devices over rtnetlink.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use chanter_types::IfName;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, State};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{AllLinks, Link};

/// `RTNLGRP_LINK`.
const LINK_GROUP: u32 = 1;

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(3);

/// What one read takes: the kernel never makes a dump message larger than 32 KiB.
const READ_LEN: usize = 64 * 1024;

/// Runs until nobody follows.
pub(super) async fn run(all: watch::Sender<AllLinks>) {
    loop {
        let Err(error) = follow(&all).await else {
            return;
        };
        // Notifications were lost, or the socket is of no use: all is asked for again.
        if error.raw_os_error() != Some(nix::errno::Errno::ENOBUFS as i32) {
            all.send_modify(|all| {
                all.problem = Some(format!("cannot follow network devices: {error}"));
            });
            sleep(PAUSE).await;
        }
    }
}

/// Returns in order when nobody follows any more.
async fn follow(all: &watch::Sender<AllLinks>) -> io::Result<()> {
    let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
    socket.socket_mut().bind_auto()?;
    socket.socket_mut().add_membership(LINK_GROUP)?;
    socket.send(&dump_request()).await?;
    let mut links = BTreeMap::new();
    let mut is_whole = false;
    let mut buffer = Vec::with_capacity(READ_LEN);
    loop {
        buffer.clear();
        tokio::select! {
            received = socket.recv(&mut buffer) => received?,
            () = all.closed() => return Ok(()),
        }
        is_whole |= read(&buffer, &mut links);
        if is_whole {
            let by_name: BTreeMap<IfName, Link> = links.values().cloned().collect();
            all.send_if_modified(|all| {
                let is_new = *all.by_name != by_name || all.problem.is_some();
                *all = AllLinks {
                    by_name: Arc::new(by_name),
                    problem: None,
                };
                is_new
            });
        }
    }
}

fn dump_request() -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let payload = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(payload));
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    octets
}

/// Takes what is in one datagram; says whether the end of the dump is in it.
fn read(mut octets: &[u8], links: &mut BTreeMap<u32, (IfName, Link)>) -> bool {
    let mut is_end = false;
    while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(octets) {
        let len = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        match message.payload {
            NetlinkPayload::Done(_) => is_end = true,
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                // Also a change of the name.
                links.remove(&link.header.index);
                if let Some((name, link)) = decode(&link) {
                    links.insert(link.index, (name, link));
                }
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                links.remove(&link.header.index);
            }
            _ => {}
        }
        // The kernel aligns messages to 4 octets.
        let next = len.next_multiple_of(4).min(octets.len());
        if len == 0 || next == 0 {
            break;
        }
        octets = &octets[next..];
    }
    is_end
}

fn decode(message: &LinkMessage) -> Option<(IfName, Link)> {
    let mut name = None;
    let mut mac = None;
    let mut state = State::Unknown;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text.parse().ok(),
            LinkAttribute::Address(octets) => mac = octets.as_slice().try_into().ok(),
            LinkAttribute::OperState(operational) => state = *operational,
            _ => {}
        }
    }
    let flags = message.header.flags;
    let link = Link {
        index: message.header.index,
        // Some drivers do not tell their state (RFC 2863); then the flags have to do.
        up: flags.contains(LinkFlags::Up | LinkFlags::Running)
            && matches!(state, State::Up | State::Unknown),
        mac,
    };
    Some((name?, link))
}
