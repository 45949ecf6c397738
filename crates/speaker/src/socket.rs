//! TCP sockets as BGP wants them.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How many connections may wait to be accepted: all nodes of a fabric at once, when a route
/// reflector comes back. A SYN that is dropped costs its sender a second.
const BACKLOG: i32 = 1024;

/// CS6, network control (RFC 4594 section 3.1), in the bits of the traffic class.
const TRAFFIC_CLASS: u32 = 48 << 2;

/// The kernel takes so many octets that it has not sent yet: enough to keep a link busy, little
/// enough that a route which changes meanwhile is sent once, as it is then.
const NOT_SENT_MAX: u32 = 128 * 1024;

/// A listening socket.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
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
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A connection to `remote`, from `local` where one is given.
pub(crate) async fn connect(
    remote: SocketAddr,
    local: Option<IpAddr>,
    user_timeout: Duration,
) -> io::Result<TcpStream> {
    let socket = match remote {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    mark(&SockRef::from(&socket), remote.ip())?;
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0)).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot use local address {local}: {error}"),
            )
        })?;
    }
    let stream = socket.connect(remote).await?;
    tune(&stream, user_timeout)?;
    Ok(stream)
}

/// Sets the options of a connection, whichever side opened it.
pub(crate) fn tune(stream: &TcpStream, user_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    mark(&socket, stream.peer_addr()?.ip())?;
    socket.set_tcp_notsent_lowat(NOT_SENT_MAX)?;
    if !user_timeout.is_zero() {
        socket.set_tcp_user_timeout(Some(user_timeout))?;
    }
    Ok(())
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

fn mark(socket: &Socket, addr: IpAddr) -> io::Result<()> {
    match addr {
        IpAddr::V4(_) => socket.set_tos_v4(TRAFFIC_CLASS),
        IpAddr::V6(_) => socket.set_tclass_v6(TRAFFIC_CLASS),
    }
}
