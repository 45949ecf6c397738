//! Hears what changes in a namespace.

use std::io;
use std::time::{Duration, Instant};

use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

use super::namespace::Namespace;

/// Hears of links, neighbours, FDB entries, addresses and routes from now on.
pub(super) fn monitor<S: 'static>(ns: &Namespace<S>) -> Socket {
    ns.run(|_| {
        let mut socket = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
        socket.bind_auto().expect("it binds");
        socket.set_non_blocking(true).expect("it need not block");
        for group in [1, 3, 5, 7, 9, 11] {
            socket.add_membership(group).expect("it listens");
        }
        socket
    })
}

/// The kinds of all messages until now.
pub(super) fn heard(socket: &Socket) -> Vec<u16> {
    let mut kinds = Vec::new();
    loop {
        let mut buffer = Vec::with_capacity(65536);
        match socket.recv(&mut buffer, 0) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return kinds,
            Err(error) => panic!("{error}"),
        }
        let mut rest = buffer.as_slice();
        while let Some((header, _)) = rest.split_first_chunk::<16>() {
            let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            kinds.push(u16::from_ne_bytes([header[4], header[5]]));
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Waits until nothing has been heard for longer than the kernel holds back changes of the state of
/// links (`linkwatch`: at most one batch a second), so that what was done before is not heard later.
pub(super) fn wait_for_quiet(socket: &Socket) {
    const QUIET: Duration = Duration::from_millis(1500);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET {
        assert!(
            Instant::now() < deadline,
            "the kernel does not come to rest"
        );
        if !heard(socket).is_empty() {
            quiet_since = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
