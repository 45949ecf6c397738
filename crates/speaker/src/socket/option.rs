//! Options of sockets that no crate names. The structures are those of `linux/tcp.h` and
//! `linux/icmpv6.h`; every octet of them is set, padding is spelled out.

#![expect(
    unreachable_pub,
    reason = "the macros of nix make public types, and what they are set to has to be public too"
)]

use std::net::IpAddr;

use nix::libc;
use nix::sys::socket::sockopt::Get;
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

/// `struct __kernel_sockaddr_storage` with an address and port 0.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Storage([u8; 128]);

impl Storage {
    pub(super) fn new(addr: IpAddr) -> Self {
        let mut octets = [0; 128];
        let family = match addr {
            IpAddr::V4(addr) => {
                // struct sockaddr_in: family, port, address.
                octets[4..8].copy_from_slice(&addr.octets());
                libc::AF_INET
            }
            IpAddr::V6(addr) => {
                // struct sockaddr_in6: family, port, flow information, address, scope.
                octets[8..24].copy_from_slice(&addr.octets());
                libc::AF_INET6
            }
        };
        let family = u16::try_from(family).unwrap_or_default();
        octets[..2].copy_from_slice(&family.to_ne_bytes());
        Self(octets)
    }
}

pub(super) const KEY_LEN_MAX: usize = 80;

/// `struct tcp_md5sig`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct TcpMd5Sig {
    pub(super) addr: Storage,
    pub(super) flags: u8,
    pub(super) prefix_len: u8,
    pub(super) key_len: u16,
    pub(super) ifindex: i32,
    pub(super) key: [u8; KEY_LEN_MAX],
}

/// `TCP_MD5SIG_FLAG_PREFIX`.
pub(super) const MD5_PREFIX: u8 = 1;

/// `struct tcp_ao_add`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct TcpAoAdd {
    pub(super) addr: Storage,
    pub(super) algorithm: [u8; 64],
    pub(super) ifindex: i32,
    /// Bit 0: to be the current key; bit 1: to be asked for.
    pub(super) bits: u32,
    pub(super) reserved: u16,
    pub(super) prefix_len: u8,
    pub(super) send_id: u8,
    pub(super) receive_id: u8,
    pub(super) mac_len: u8,
    pub(super) key_flags: u8,
    pub(super) key_len: u8,
    pub(super) key: [u8; KEY_LEN_MAX],
}

/// `TCP_AO_KEYF_EXCLUDE_OPT`.
pub(super) const AO_EXCLUDE_OPTIONS: u8 = 2;

/// `struct tcp_ao_del`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct TcpAoDel {
    pub(super) addr: Storage,
    pub(super) ifindex: i32,
    pub(super) bits: u32,
    pub(super) reserved: u16,
    pub(super) prefix_len: u8,
    pub(super) send_id: u8,
    pub(super) receive_id: u8,
    pub(super) current_key: u8,
    pub(super) next_key: u8,
    pub(super) key_flags: u8,
}

/// `struct tcp_ao_info_opt`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct TcpAoInfo {
    /// Bit 0: set the current key, bit 1: set the key that is asked for.
    pub(super) bits: u32,
    pub(super) reserved: u16,
    pub(super) current_key: u8,
    pub(super) next_key: u8,
    pub(super) counters: [u64; 5],
}

/// `struct icmp6_filter`: a bit for each type that is not wanted.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Icmp6Filter(pub(crate) [u32; 8]);

// Not in libc.
const TCP_MD5SIG_EXT: libc::c_int = 32;
const TCP_AO_ADD_KEY: libc::c_int = 38;
const TCP_AO_DEL_KEY: libc::c_int = 39;
const TCP_AO_INFO: libc::c_int = 40;
const ICMPV6_FILTER: libc::c_int = 1;

sockopt_impl!(
    /// TCP-MD5: the key for segments from and to an address (RFC 2385).
    Md5, SetOnly, libc::IPPROTO_TCP, libc::TCP_MD5SIG, TcpMd5Sig
);
sockopt_impl!(
    /// TCP-MD5: the key for a prefix.
    Md5Ext, SetOnly, libc::IPPROTO_TCP, TCP_MD5SIG_EXT, TcpMd5Sig
);
sockopt_impl!(
    /// TCP-AO: one more key (RFC 5925).
    AoAdd, SetOnly, libc::IPPROTO_TCP, TCP_AO_ADD_KEY, TcpAoAdd
);
sockopt_impl!(
    /// TCP-AO: one key less.
    AoDel, SetOnly, libc::IPPROTO_TCP, TCP_AO_DEL_KEY, TcpAoDel
);
sockopt_impl!(
    /// TCP-AO: the keys in use.
    AoInfo, SetOnly, libc::IPPROTO_TCP, TCP_AO_INFO, TcpAoInfo
);
sockopt_impl!(
    /// The least TTL that is taken from the peer (RFC 5082).
    MinTtl, Both, libc::IPPROTO_IP, libc::IP_MINTTL, libc::c_int
);
sockopt_impl!(
    /// The least hop limit that is taken from the peer (RFC 5082).
    MinHopCount, Both, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, libc::c_int
);
sockopt_impl!(
    /// Which ICMPv6 messages are received (RFC 3542 section 3.2).
    IcmpFilter, SetOnly, libc::IPPROTO_ICMPV6, ICMPV6_FILTER, Icmp6Filter
);
sockopt_impl!(
    /// Keep the headers of the SYN of each connection that is accepted.
    SaveSyn, SetOnly, libc::IPPROTO_TCP, libc::TCP_SAVE_SYN, libc::c_int
);
sockopt_impl!(
    /// The headers of the SYN, given out once.
    SavedSyn, GetOnly, libc::IPPROTO_TCP, libc::TCP_SAVED_SYN, Vec<u8>, Headers
);
sockopt_impl!(
    /// What TCP knows of a connection; the first octet is its state.
    Info, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Vec<u8>, Headers
);

/// Room for the headers of a SYN: IPv6 with some extension headers, and TCP with all its options.
#[derive(Debug)]
pub struct Headers {
    len: libc::socklen_t,
    octets: [u8; 512],
}

impl Get<Vec<u8>> for Headers {
    fn uninit() -> Self {
        Self {
            len: 512,
            octets: [0; 512],
        }
    }

    fn ffi_ptr(&mut self) -> *mut libc::c_void {
        self.octets.as_mut_ptr().cast()
    }

    fn ffi_len(&mut self) -> *mut libc::socklen_t {
        &raw mut self.len
    }

    // SAFETY: there is nothing to assume, all octets are initialised from the beginning; `len` is
    // used with a check of its bounds.
    #[allow(unsafe_code, reason = "the trait of nix has it so; the body is safe")]
    unsafe fn assume_init(self) -> Vec<u8> {
        let len = usize::try_from(self.len).unwrap_or_default();
        self.octets.get(..len).unwrap_or_default().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_as_large_as_the_kernel_has_them() {
        assert_eq!(size_of::<TcpMd5Sig>(), 128 + 8 + 80);
        assert_eq!(size_of::<TcpAoAdd>(), 288);
        assert_eq!(size_of::<TcpAoDel>(), 144);
        assert_eq!(size_of::<TcpAoInfo>(), 48);
        assert_eq!(size_of::<Icmp6Filter>(), 32);
    }
}
