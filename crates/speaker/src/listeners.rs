//! The listening sockets, and the keys on them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use chanter_types::Prefix;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tracing::error;

use crate::auth::Auth;
use crate::socket::{self, Side};

/// Keys for the peers of each prefix; those of the longest prefix count.
pub(crate) type Keys = BTreeMap<Prefix, Auth>;

/// For which prefixes keys could not be set, and why.
type Refusals = BTreeMap<Prefix, String>;

/// The listening sockets, by the address that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    open: BTreeMap<SocketAddr, Listener>,
}

#[derive(Debug)]
struct Listener {
    socket: Arc<TcpListener>,
    keys: Keys,
    /// Where keys could not be set, and why.
    refused: Refusals,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub(crate) struct ListenError {
    pub(crate) addr: SocketAddr,
    pub(crate) error: io::Error,
}

impl Listeners {
    /// Listens on `addrs`, with `keys`, and on no others; `run` is the task of a new one. Says what
    /// changed.
    pub(crate) fn open(
        &mut self,
        addrs: &[SocketAddr],
        keys: &Keys,
        run: impl Fn(Arc<TcpListener>) -> AbortHandle,
    ) -> Result<Vec<String>, ListenError> {
        let mut changed = Vec::new();
        let mut new = BTreeMap::new();
        for addr in addrs {
            if self.open.contains_key(addr) || new.contains_key(addr) {
                continue;
            }
            let listener = listen(*addr, keys, &run);
            let listener = listener.map_err(|error| ListenError { addr: *addr, error })?;
            changed.push(format!("listening on {addr}"));
            new.insert(*addr, listener);
        }
        self.open.retain(|addr, _| {
            let stays = addrs.contains(addr);
            if !stays {
                changed.push(format!("no longer listening on {addr}"));
            }
            stays
        });
        self.open.append(&mut new);
        Ok(changed)
    }

    /// Where it listens, with the ports that the kernel chose.
    pub(crate) fn addrs<'a>(&'a self, order: &'a [SocketAddr]) -> Vec<SocketAddr> {
        let open = order.iter().filter_map(|addr| self.open.get(addr));
        open.filter_map(|listener| listener.socket.local_addr().ok())
            .collect()
    }

    /// From now on these keys hold.
    pub(crate) fn set_keys(&mut self, keys: &Keys) {
        for (addr, listener) in &mut self.open {
            let of_version = |prefix: &Prefix| prefix.addr().is_ipv4() == addr.is_ipv4();
            let socket = &*listener.socket;
            let result = apply(
                &mut listener.keys,
                &mut listener.refused,
                keys,
                of_version,
                socket,
            );
            tell(*addr, result);
        }
    }

    /// Whether keys for connections from `addr` could not be set: what comes from there may be
    /// anybody.
    pub(crate) fn is_unprotected(&self, addr: IpAddr) -> bool {
        self.refusal(addr).is_some()
    }

    /// Why keys for connections from `addr` could not be set.
    pub(crate) fn refusal(&self, addr: IpAddr) -> Option<&str> {
        let all = self.open.values().flat_map(|listener| &listener.refused);
        all.filter(|(prefix, _)| prefix.contains(addr))
            .map(|(_, error)| error.as_str())
            .next()
    }

    /// Stops listening.
    pub(crate) fn close(&mut self) {
        self.open.clear();
    }
}

/// Keys are set before the first connection can come.
fn listen(
    addr: SocketAddr,
    keys: &Keys,
    run: impl Fn(Arc<TcpListener>) -> AbortHandle,
) -> io::Result<Listener> {
    let socket = socket::bind(addr)?;
    let (mut set, mut refused) = (Keys::new(), Refusals::new());
    let of_version = |prefix: &Prefix| prefix.addr().is_ipv4() == addr.is_ipv4();
    let result = apply(&mut set, &mut refused, keys, of_version, &socket);
    tell(addr, result);
    let socket = Arc::new(socket::listen(socket)?);
    Ok(Listener {
        task: run(Arc::clone(&socket)),
        socket,
        keys: set,
        refused,
    })
}

/// Goes from the keys `set` to the `wanted` ones.
fn apply(
    set: &mut Keys,
    refused: &mut Refusals,
    wanted: &Keys,
    of_version: impl Fn(&Prefix) -> bool,
    socket: &impl std::os::fd::AsFd,
) -> Vec<(Prefix, io::Error)> {
    let none = Auth::None;
    let mut errors = Vec::new();
    let prefixes: BTreeSet<Prefix> = set.keys().chain(wanted.keys()).copied().collect();
    for prefix in prefixes.into_iter().filter(of_version) {
        let old = set.get(&prefix).unwrap_or(&none);
        let new = wanted.get(&prefix).unwrap_or(&none);
        if old == new {
            continue;
        }
        match socket::set_auth(socket, Side::Open, prefix, old, new) {
            Ok(()) => {
                refused.remove(&prefix);
                if *new == Auth::None {
                    set.remove(&prefix);
                } else {
                    set.insert(prefix, new.clone());
                }
            }
            Err(error) => {
                refused.insert(prefix, error.to_string());
                errors.push((prefix, error));
            }
        }
    }
    // Where no key is wanted, none is missed.
    refused.retain(|prefix, _| wanted.contains_key(prefix));
    errors
}

fn tell(addr: SocketAddr, errors: Vec<(Prefix, io::Error)>) {
    for (prefix, error) in errors {
        error!("connections from {prefix} to {addr} are refused: {error}");
    }
}
