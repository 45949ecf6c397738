//! The UDP sockets of BFD (RFC 5881 sections 4 and 5, RFC 5883 section 5).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::BfdPeer;
use crate::packet::PACKET_LEN;

const PORT_SINGLE_HOP: u16 = 3784;
const PORT_MULTIHOP: u16 = 4784;

/// What we send with, and what a single hop must arrive with: nobody farther away can have sent it.
pub(crate) const TTL_MAX: u8 = 255;

/// Internetwork control (CS6), as routing protocols use.
const TRAFFIC_CLASS: u32 = 0xc0;

/// Where the source ports begin (RFC 5881 section 4).
const SOURCE_PORT_MIN: u16 = 49152;

/// How many source ports are tried before we say that there is none.
const SOURCE_PORT_TRIES: u16 = 512;

/// More than a packet with authentication can have; what is longer is no control packet.
const RECEIVE_LEN: usize = 256;

/// On which socket a session hears its peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReceiverKey {
    pub(crate) ipv6: bool,
    pub(crate) multihop: bool,
    pub(crate) interface: Option<String>,
}

impl ReceiverKey {
    pub(crate) fn of(peer: &BfdPeer) -> Self {
        Self {
            ipv6: peer.addr.is_ipv6(),
            multihop: peer.multihop,
            interface: peer.interface.clone(),
        }
    }

    /// The port of RFC 5881 or RFC 5883.
    pub(crate) fn port(&self) -> u16 {
        if self.multihop {
            PORT_MULTIHOP
        } else {
            PORT_SINGLE_HOP
        }
    }

    fn domain(&self) -> Domain {
        if self.ipv6 {
            Domain::IPV6
        } else {
            Domain::IPV4
        }
    }

    fn any(&self) -> IpAddr {
        if self.ipv6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        }
    }

    /// Whether somebody else holds the port. Sockets of ours on several devices share it, so that
    /// only the first can ask.
    fn probe(&self) -> io::Result<()> {
        let socket = udp(self)?;
        socket.bind(&SocketAddr::new(self.any(), self.port()).into())
    }
}

/// What was received, beside the octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram {
    pub(crate) source: IpAddr,
    pub(crate) destination: Option<IpAddr>,
    /// `None`: the kernel did not say.
    pub(crate) ttl: Option<u8>,
    pub(crate) len: usize,
}

/// A socket that hears the control packets of all sessions on a device.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: Socket,
    /// The number of the device it was bound to: another one of the same name is not heard.
    device: Option<u32>,
    buffer: Box<[u8; RECEIVE_LEN]>,
    control: Vec<u8>,
}

impl Receiver {
    /// `first`: we hold no other socket on the same port.
    pub(crate) fn open(key: &ReceiverKey, first: bool) -> io::Result<Self> {
        if first {
            key.probe()?;
        }
        let device = device_index(key.interface.as_deref())?;
        let socket = udp(key)?;
        socket.set_reuse_address(true)?;
        if key.ipv6 {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        }
        socket.bind(&SocketAddr::new(key.any(), key.port()).into())?;
        Ok(Self {
            socket,
            device,
            buffer: Box::new([0; RECEIVE_LEN]),
            control: nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::c_int),
        })
    }

    /// Whether its device is still the one of that name.
    pub(crate) fn is_current(&self, key: &ReceiverKey) -> bool {
        device_index(key.interface.as_deref()).is_ok_and(|device| device == self.device)
    }

    /// The next datagram; `None`: none waits.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Datagram>> {
        let mut parts = [IoSliceMut::new(&mut self.buffer[..])];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        );
        let message = match message {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut datagram = Datagram {
            source: message
                .address
                .as_ref()
                .and_then(address)
                .ok_or_else(|| io::Error::other("a datagram without a source"))?,
            destination: None,
            ttl: None,
            len: message.bytes,
        };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let octets = info.ipi_addr.s_addr.to_ne_bytes();
                    datagram.destination = Some(Ipv4Addr::from(octets).into());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    datagram.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                    datagram.ttl = u8::try_from(ttl).ok();
                }
                _ => {}
            }
        }
        Ok(Some(datagram))
    }

    /// The octets of the last datagram.
    pub(crate) fn octets(&self, datagram: &Datagram) -> &[u8] {
        &self.buffer[..datagram.len.min(RECEIVE_LEN)]
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn address(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = || address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    let v6 = || address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
    v4().or_else(v6)
}

/// A socket that sends the control packets of one session; its port is the session's alone.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: Socket,
    to: SocketAddr,
}

impl Sender {
    /// The source port is the first free one from `port_hint` on.
    pub(crate) fn open(peer: &BfdPeer, port_hint: u64) -> io::Result<Self> {
        let key = ReceiverKey::of(peer);
        let device = device_index(key.interface.as_deref())?;
        let socket = udp(&key)?;
        if key.ipv6 {
            socket.set_unicast_hops_v6(TTL_MAX.into())?;
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
        } else {
            socket.set_ttl_v4(TTL_MAX.into())?;
            socket.set_tos_v4(TRAFFIC_CLASS)?;
        }
        // Nothing is to be received here.
        socket.set_recv_buffer_size(0)?;
        let scope = |addr: IpAddr, port| match addr {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                SocketAddrV6::new(v6, port, 0, device.unwrap_or(0)).into()
            }
            addr => SocketAddr::new(addr, port),
        };
        let local = peer.local.unwrap_or_else(|| key.any());
        bind_source(&socket, port_hint, |port| scope(local, port))?;
        Ok(Self {
            socket,
            to: scope(peer.addr, key.port()),
        })
    }

    /// Sends one packet, or drops it where the kernel has no room.
    pub(crate) fn send(&self, packet: &[u8; PACKET_LEN]) -> io::Result<()> {
        match self.socket.send_to(packet, &self.to.into()) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn bind_source(
    socket: &Socket,
    port_hint: u64,
    local: impl Fn(u16) -> SocketAddr,
) -> io::Result<()> {
    let ports = u64::from(u16::MAX - SOURCE_PORT_MIN) + 1;
    for attempt in 0..SOURCE_PORT_TRIES {
        let offset = (port_hint.wrapping_add(u64::from(attempt)) % ports) as u16;
        match socket.bind(&local(SOURCE_PORT_MIN + offset).into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "no free source port from 49152 on",
    ))
}

fn udp(key: &ReceiverKey) -> io::Result<Socket> {
    let socket = Socket::new(key.domain(), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if key.ipv6 {
        socket.set_only_v6(true)?;
    }
    if let Some(interface) = &key.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    Ok(socket)
}

fn device_index(interface: Option<&str>) -> io::Result<Option<u32>> {
    interface
        .map(|name| if_nametoindex(name).map_err(io::Error::from))
        .transpose()
}
