//! Keys of TCP-MD5 and TCP-AO on sockets.

use std::io;
use std::os::fd::AsFd;

use chanter_types::Prefix;
use nix::errno::Errno;
use nix::sys::socket::setsockopt;

use super::option::{
    AO_EXCLUDE_OPTIONS, AoAdd, AoDel, AoInfo, KEY_LEN_MAX, MD5_PREFIX, Md5, Md5Ext, Storage,
    TcpAoAdd, TcpAoDel, TcpAoInfo, TcpMd5Sig,
};
use crate::auth::{AoKey, Auth, Secret};

/// The length of the code in a segment, in octets: all algorithms are cut to 96 bits.
const MAC_LEN: u8 = 12;

/// What a socket with keys is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// It is about to connect, or listens.
    Open,
    /// It is a connection.
    Connected,
}

/// Makes `socket` use `new` for peers in `prefix`, where it used `old`. A change of keys leaves no
/// moment in which none is there.
///
/// # Errors
/// What the kernel cannot do is named.
pub(crate) fn set_auth(
    socket: impl AsFd,
    side: Side,
    prefix: Prefix,
    old: &Auth,
    new: &Auth,
) -> io::Result<()> {
    let socket = socket.as_fd();
    // What is of another kind goes first: the kernel has only one of them for an address.
    if !old.same_kind(new) {
        match old {
            Auth::None => {}
            Auth::Md5(_) => md5(socket, prefix, None)?,
            Auth::Ao(keys) => change_ao(socket, side, prefix, (keys, &[]))?,
        }
    }
    match (old, new) {
        (_, Auth::None) => Ok(()),
        (_, Auth::Md5(secret)) => md5(socket, prefix, Some(secret)),
        (Auth::Ao(old), Auth::Ao(new)) => change_ao(socket, side, prefix, (old, new)),
        (_, Auth::Ao(new)) => change_ao(socket, side, prefix, (&[], new)),
    }
}

fn md5(socket: impl AsFd, prefix: Prefix, secret: Option<&Secret>) -> io::Result<()> {
    let octets = secret.map(Secret::octets).unwrap_or_default();
    let is_host = prefix == Prefix::host(prefix.addr());
    let option = TcpMd5Sig {
        addr: Storage::new(prefix.addr()),
        flags: if is_host { 0 } else { MD5_PREFIX },
        prefix_len: prefix.len(),
        // Zero removes the key.
        key_len: u16::try_from(octets.len()).unwrap_or_default(),
        ifindex: 0,
        key: padded(octets),
    };
    let result = if is_host {
        setsockopt(&socket, Md5, &option)
    } else {
        setsockopt(&socket, Md5Ext, &option)
    };
    match result {
        // There was none.
        Err(Errno::ENOENT) if secret.is_none() => Ok(()),
        Err(error) => Err(explained(error, "TCP-MD5", "CONFIG_TCP_MD5SIG")),
        Ok(()) => Ok(()),
    }
}

/// New keys first: the peer may ask for them before the old ones are gone. A key whose numbers are
/// those of an old one takes its place.
fn change_ao(
    socket: impl AsFd,
    side: Side,
    prefix: Prefix,
    (old, new): (&[AoKey], &[AoKey]),
) -> io::Result<()> {
    let numbers = |key: &AoKey| (key.send_id, key.receive_id);
    let is_replaced = |key: &AoKey| new.iter().any(|other| numbers(other) == numbers(key));
    let gone = || old.iter().filter(|key| !new.contains(key));
    for key in gone().filter(|key| is_replaced(key)) {
        remove_ao(&socket, prefix, key)?;
    }
    for key in new.iter().filter(|key| !old.contains(key)) {
        add_ao(&socket, prefix, key)?;
    }
    if let (Side::Connected, Some(first)) = (side, new.first()) {
        use_ao_key(&socket, first)?;
    }
    for key in gone().filter(|key| !is_replaced(key)) {
        remove_ao(&socket, prefix, key)?;
    }
    Ok(())
}

fn add_ao(socket: impl AsFd, prefix: Prefix, key: &AoKey) -> io::Result<()> {
    let secret = key.secret.octets();
    let option = TcpAoAdd {
        addr: Storage::new(prefix.addr()),
        algorithm: padded(key.algorithm.kernel_name().as_bytes()),
        ifindex: 0,
        bits: 0,
        reserved: 0,
        prefix_len: prefix.len(),
        send_id: key.send_id,
        receive_id: key.receive_id,
        mac_len: MAC_LEN,
        key_flags: if key.exclude_options {
            AO_EXCLUDE_OPTIONS
        } else {
            0
        },
        key_len: u8::try_from(secret.len()).unwrap_or_default(),
        key: padded(secret),
    };
    match setsockopt(&socket, AoAdd, &option) {
        // A connection that was accepted has the keys of its listener.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(Errno::ENOENT) => Err(io::Error::other(format!(
            "the kernel has no algorithm {} for TCP-AO",
            key.algorithm
        ))),
        Err(error) => Err(explained(error, "TCP-AO", "Linux 6.7 with CONFIG_TCP_AO")),
    }
}

fn remove_ao(socket: impl AsFd, prefix: Prefix, key: &AoKey) -> io::Result<()> {
    let option = TcpAoDel {
        addr: Storage::new(prefix.addr()),
        ifindex: 0,
        bits: 0,
        reserved: 0,
        prefix_len: prefix.len(),
        send_id: key.send_id,
        receive_id: key.receive_id,
        current_key: 0,
        next_key: 0,
        key_flags: 0,
    };
    match setsockopt(&socket, AoDel, &option) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(explained(error, "TCP-AO", "Linux 6.7 with CONFIG_TCP_AO")),
    }
}

/// Sends with `key` from now on, and asks the peer to do so (RFC 5925 section 7.5.1).
fn use_ao_key(socket: impl AsFd, key: &AoKey) -> io::Result<()> {
    let option = TcpAoInfo {
        bits: 3,
        reserved: 0,
        current_key: key.send_id,
        next_key: key.receive_id,
        counters: [0; 5],
    };
    setsockopt(&socket, AoInfo, &option)
        .map_err(|error| explained(error, "TCP-AO", "Linux 6.7 with CONFIG_TCP_AO"))
}

fn explained(error: Errno, what: &str, wanted: &str) -> io::Error {
    let text = match error {
        Errno::ENOPROTOOPT | Errno::EOPNOTSUPP => {
            format!("{what} is not possible: this kernel does not have it; {wanted} is needed")
        }
        error => format!("cannot set a key of {what}: {}", error.desc()),
    };
    io::Error::new(io::Error::from(error).kind(), text)
}

fn padded<const LEN: usize>(octets: &[u8]) -> [u8; LEN] {
    let mut padded = [0; LEN];
    let len = octets.len().min(LEN);
    padded[..len].copy_from_slice(&octets[..len]);
    padded
}

const _: () = assert!(KEY_LEN_MAX == Secret::LEN_MAX);
