//! Finds the router at the other end of a link by its advertisements, and lets it find us (RFC 4861
//! section 6).

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use chanter_types::IfName;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::advertisement::{
    ADVERTISEMENT, HOP_LIMIT, SOLICITATION, advertisement, kind, solicitation,
};
use super::{Link, LinkView};
use crate::socket::bind_to_device;
use crate::socket::option::{Icmp6Filter, IcmpFilter};

/// Between advertisements: often enough that a peer that missed one need not wait long, as with
/// the other implementations of this way of peering.
const INTERVAL: Duration = Duration::from_secs(10);

/// Between the first ones (MAX_INITIAL_RTR_ADVERTISEMENTS), and at the least between any two
/// (MIN_DELAY_BETWEEN_RAS, RFC 4861 section 10).
const INITIAL_COUNT: u32 = 3;
const MIN_INTERVAL: Duration = Duration::from_secs(3);

/// How long to wait after a failure, which has to do with the device: it is told when that changes.
const PAUSE: Duration = Duration::from_secs(3);

/// While the link has no address of its own yet (RFC 4862 section 5.4) nothing can be sent.
const TENTATIVE: Duration = Duration::from_millis(200);

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Runs until it is dropped; returns after a failure, to be called again.
pub(super) async fn discover(name: &IfName, link: Link, view: &watch::Sender<LinkView>) {
    let problem = match open(name, link) {
        Ok(socket) => serve(&socket, link, view).await,
        Err(error) => error,
    };
    let text = format!("router discovery: {problem}");
    view.send_if_modified(|view| {
        let is_new = view.problem.as_ref() != Some(&text);
        view.problem = Some(text);
        is_new
    });
    sleep(PAUSE).await;
}

fn open(name: &IfName, link: Link) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::IPV6,
        Type::RAW.nonblocking(),
        Some(Protocol::ICMPV6),
    )?;
    bind_to_device(&socket, name)?;
    setsockopt(&socket, IcmpFilter, &filter())?;
    socket.set_recv_hoplimit_v6(true)?;
    socket.set_multicast_hops_v6(HOP_LIMIT.unsigned_abs())?;
    socket.set_multicast_if_v6(link.index)?;
    socket.set_multicast_loop_v6(false)?;
    socket.join_multicast_v6(&ALL_ROUTERS, link.index)?;
    // To the runtime a raw socket is a datagram socket like any other.
    UdpSocket::from_std(socket.into())
}

/// Advertisements and solicitations pass.
fn filter() -> Icmp6Filter {
    let mut blocked = [u32::MAX; 8];
    for kind in [SOLICITATION, ADVERTISEMENT] {
        blocked[usize::from(kind >> 5)] &= !(1 << (kind & 31));
    }
    Icmp6Filter(blocked)
}

async fn serve(socket: &UdpSocket, link: Link, view: &watch::Sender<LinkView>) -> io::Error {
    let mut sent = 0;
    let mut last: Option<Instant> = None;
    let mut next = Instant::now();
    loop {
        tokio::select! {
            received = receive(socket) => match received {
                Ok(Some((ADVERTISEMENT, source))) => {
                    view.send_if_modified(|view| {
                        let router = view.router.replace(source);
                        let problem = view.problem.take();
                        router != Some(source) || problem.is_some()
                    });
                }
                // RFC 4861 section 6.2.6, without the random delay: on a link for two there is
                // nobody to answer at the same time.
                Ok(Some(_)) => next = last.map_or(next, |last| next.min(last + MIN_INTERVAL)),
                Ok(None) => {}
                Err(error) => return error,
            },
            () = sleep_until(next) => {
                let now = Instant::now();
                let result = if sent == 0 { send_solicitation(socket, link).await } else { Ok(()) };
                let result = match result {
                    Ok(()) => send(socket, link, ALL_NODES, &advertisement(link.mac)).await,
                    error => error,
                };
                match result {
                    Ok(()) => {
                        sent += 1;
                        last = Some(now);
                        next = now + if sent < INITIAL_COUNT { MIN_INTERVAL } else { INTERVAL };
                    }
                    Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                        next = now + TENTATIVE;
                    }
                    Err(error) => return error,
                }
            }
        }
    }
}

async fn send_solicitation(socket: &UdpSocket, link: Link) -> io::Result<()> {
    send(socket, link, ALL_ROUTERS, &solicitation(link.mac)).await
}

async fn send(socket: &UdpSocket, link: Link, to: Ipv6Addr, octets: &[u8]) -> io::Result<()> {
    let to = SocketAddrV6::new(to, 0, 0, link.index);
    socket.send_to(octets, to).await.map(drop)
}

/// A message in order, and who sent it.
async fn receive(socket: &UdpSocket) -> io::Result<Option<(u8, Ipv6Addr)>> {
    socket.async_io(Interest::READABLE, || take(socket)).await
}

fn take(socket: &UdpSocket) -> io::Result<Option<(u8, Ipv6Addr)>> {
    let mut octets = [0; 1500];
    let mut control = nix::cmsg_space!(i32);
    let (len, hops, source) = {
        let mut buffers = [IoSliceMut::new(&mut octets)];
        let message = recvmsg::<SockaddrIn6>(
            socket.as_raw_fd(),
            &mut buffers,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let hops = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv6HopLimit(hops) => Some(hops),
            _ => None,
        });
        (message.bytes, hops, message.address)
    };
    let Some(source) = source.map(|source| source.ip()) else {
        return Ok(None);
    };
    // RFC 4861 section 6.1: from the link, and from a router of it.
    if hops != Some(HOP_LIMIT) {
        return Ok(None);
    }
    let Some(kind) = octets.get(..len).and_then(kind) else {
        return Ok(None);
    };
    // Who solicits may have no address yet.
    let is_wanted = kind == SOLICITATION || source.is_unicast_link_local();
    Ok(is_wanted.then_some((kind, source)))
}
