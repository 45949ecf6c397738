//! TCP sockets as BGP wants them.

mod auth;
pub(crate) mod option;
mod shared_link;

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use chanter_types::{IfName, Prefix};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub(crate) use self::auth::{Side, set_auth};
use self::option::{Info, MinHopCount, MinTtl, SaveSyn, SavedSyn};
pub(crate) use self::shared_link::local_link_local;
use crate::auth::Auth;

/// How many connections may wait to be accepted: all nodes of a fabric at once, when a route
/// reflector comes back. A SYN that is dropped costs its sender a second.
const BACKLOG: i32 = 4096;

/// CS6, network control (RFC 4594 section 3.1), in the bits of the traffic class.
const TRAFFIC_CLASS: u32 = 48 << 2;

/// The kernel takes so many octets that it has not sent yet: enough to keep a link busy, little
/// enough that a route which changes meanwhile is sent once, as it is then.
const NOT_SENT_MAX: u32 = 128 * 1024;

/// Who is silent is asked for a sign of life by TCP after this time, so often, at most; the hold
/// timer is what counts, but where there is none a dead connection is noticed all the same.
const KEEPALIVE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15));

/// A socket that is about to listen.
pub(crate) fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(addr),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if addr.is_ipv6() {
        // An IPv4 peer must not look like an IPv6 one.
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for the old connections to be forgotten.
    socket.set_reuse_address(true)?;
    mark(&socket, addr.ip())?;
    // Whose peer it will be is not known yet, and a peer with GTSM takes no other SYN-ACK (RFC 5082
    // section 3).
    set_hops(&socket, addr.ip(), u8::MAX)?;
    setsockopt(&socket, SaveSyn, &1)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Makes it listen.
pub(crate) fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// How a connection is to be, whichever side opens it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tuning {
    pub(crate) user_timeout: Duration,
    /// The TTL of what we send.
    pub(crate) hops: u8,
    /// The least TTL that is taken.
    pub(crate) hops_min: Option<u8>,
    pub(crate) mss: Option<u16>,
}

/// How to connect.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) remote: SocketAddr,
    pub(crate) local: Option<IpAddr>,
    pub(crate) device: Option<IfName>,
    pub(crate) auth: Auth,
    pub(crate) tuning: Tuning,
}

/// Connects.
pub(crate) async fn connect(route: Route) -> io::Result<TcpStream> {
    let Route { remote, tuning, .. } = &route;
    let socket = match remote {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    mark(&SockRef::from(&socket), remote.ip())?;
    set_hops_of(&SockRef::from(&socket), remote.ip(), tuning)?;
    if let Some(mss) = tuning.mss {
        SockRef::from(&socket).set_tcp_mss(mss.into())?;
    }
    if let Some(device) = &route.device {
        bind_to_device(&socket, device)?;
    }
    let prefix = Prefix::host(remote.ip());
    set_auth(&socket, Side::Open, prefix, &Auth::None, &route.auth)?;
    if let Some(local) = route.local {
        let scope = match remote {
            SocketAddr::V6(remote) if is_link_local(local) => remote.scope_id(),
            _ => 0,
        };
        socket.bind(with_scope(local, 0, scope)).map_err(|error| {
            let text = format!("cannot use local address {local}: {error}");
            io::Error::new(error.kind(), text)
        })?;
    }
    let stream = socket.connect(*remote).await?;
    tune(&stream, tuning)?;
    Ok(stream)
}

/// Sets the options of a connection, whichever side opened it.
pub(crate) fn tune(stream: &TcpStream, tuning: &Tuning) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let remote = stream.peer_addr()?.ip();
    mark(&socket, remote)?;
    set_hops_of(&socket, remote, tuning)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_MAX)?;
    if let Some(mss) = tuning.mss {
        socket.set_tcp_mss(mss.into())?;
    }
    if !tuning.user_timeout.is_zero() {
        socket.set_tcp_user_timeout(Some(tuning.user_timeout))?;
    }
    Ok(())
}

/// The TTL with which the SYN of an accepted connection arrived; to be asked once. What came before
/// the connection was accepted was not held against [`Tuning::hops_min`].
pub(crate) fn ttl_of_syn(stream: &TcpStream) -> Option<u8> {
    const TTL_AT_V4: usize = 8;
    const HOP_LIMIT_AT_V6: usize = 7;
    let headers = getsockopt(stream, SavedSyn).ok()?;
    let at = match headers.first()? >> 4 {
        4 => TTL_AT_V4,
        6 => HOP_LIMIT_AT_V6,
        _ => return None,
    };
    headers.get(at).copied()
}

/// Whether received octets wait to be read. An error if the connection has ended: with its text, or
/// none where the peer has closed it in order.
pub(crate) fn look(stream: &TcpStream) -> Result<bool, Option<String>> {
    let mut octet = [MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut octet) {
        Ok(0) => Err(None),
        Ok(_) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(Some(error.to_string())),
    }
}

/// Whether the peer has closed the connection, though octets of it may wait to be read.
pub(crate) fn is_closed_by_peer(stream: &TcpStream) -> bool {
    const CLOSE_WAIT: u8 = 8;
    getsockopt(stream, Info).is_ok_and(|info| info.first() == Some(&CLOSE_WAIT))
}

/// A socket address; the scope matters for link-local addresses only.
pub(crate) fn with_scope(addr: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match addr {
        IpAddr::V4(addr) => SocketAddr::new(addr.into(), port),
        IpAddr::V6(addr) => std::net::SocketAddrV6::new(addr, port, 0, scope).into(),
    }
}

/// Whether it is an IPv6 link-local address.
pub(crate) fn is_link_local(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local())
}

/// Makes a socket use only that device (SO_BINDTODEVICE).
pub(crate) fn bind_to_device(socket: &impl AsFd, device: &IfName) -> io::Result<()> {
    setsockopt(
        socket,
        sockopt::BindToDevice,
        &OsString::from(device.as_str()),
    )
    .map_err(|error| {
        let text = format!("cannot use device {device}: {}", error.desc());
        io::Error::new(io::Error::from(error).kind(), text)
    })
}

fn mark(socket: &Socket, addr: IpAddr) -> io::Result<()> {
    match addr {
        IpAddr::V4(_) => socket.set_tos_v4(TRAFFIC_CLASS),
        IpAddr::V6(_) => socket.set_tclass_v6(TRAFFIC_CLASS),
    }
}

fn set_hops_of(socket: &Socket, remote: IpAddr, tuning: &Tuning) -> io::Result<()> {
    set_hops(socket, remote, tuning.hops)?;
    let least = i32::from(tuning.hops_min.unwrap_or_default());
    match remote {
        IpAddr::V4(_) => setsockopt(socket, MinTtl, &least)?,
        IpAddr::V6(_) => setsockopt(socket, MinHopCount, &least)?,
    }
    Ok(())
}

fn set_hops(socket: &Socket, addr: IpAddr, hops: u8) -> io::Result<()> {
    match addr {
        IpAddr::V4(_) => socket.set_ttl_v4(hops.into()),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(hops.into()),
    }
}
