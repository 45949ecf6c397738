//! What the configuration asks of the node: addresses of devices and of host names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::path::Path;

/// Answers questions about the node.
pub trait Node {
    /// The addresses of the device named `name`, IPv4 first, link-local ones left out; `None` if
    /// there is no such device.
    fn device_addresses(&self, name: &str) -> Option<Vec<IpAddr>>;

    /// An IPv4 address of the node that is not a loopback one.
    fn any_ipv4(&self) -> Option<Ipv4Addr>;

    /// Whether the kernel has IPv6.
    fn has_ipv6(&self) -> bool;

    /// The addresses of the host named `name`.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// What is in the file at `path`.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The name of the node, with its domain where it is known.
    fn hostname(&self) -> Option<String>;
}

/// This node.
#[derive(Debug, Clone, Copy)]
pub struct ThisNode;

impl ThisNode {
    /// Every device with each of its addresses; a device without addresses stands there once.
    fn devices() -> Vec<(String, Option<IpAddr>)> {
        let Ok(devices) = nix::ifaddrs::getifaddrs() else {
            return Vec::new();
        };
        devices
            .map(|device| {
                let addr = device.address.as_ref().and_then(|addr| {
                    let v4 = addr.as_sockaddr_in().map(|addr| IpAddr::V4(addr.ip()));
                    v4.or_else(|| addr.as_sockaddr_in6().map(|addr| IpAddr::V6(addr.ip())))
                });
                (device.interface_name, addr)
            })
            .collect()
    }
}

impl Node for ThisNode {
    fn device_addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let devices = Self::devices();
        if !devices.iter().any(|(device, _)| device == name) {
            return None;
        }
        let link_local =
            |addr: &IpAddr| matches!(addr, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let of_device = devices.into_iter().filter(|(device, _)| device == name);
        let mut addrs: Vec<IpAddr> = of_device
            .filter_map(|(_, addr)| addr)
            .filter(|addr| !link_local(addr))
            .collect();
        // Stable: the order within one version is the kernel's.
        addrs.sort_by_key(IpAddr::is_ipv6);
        Some(addrs)
    }

    fn any_ipv4(&self) -> Option<Ipv4Addr> {
        Self::devices()
            .into_iter()
            .find_map(|(_, addr)| match addr {
                Some(IpAddr::V4(addr)) if !addr.is_loopback() && !addr.is_link_local() => {
                    Some(addr)
                }
                _ => None,
            })
    }

    fn has_ipv6(&self) -> bool {
        Path::new("/proc/net/if_inet6").exists()
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|addr| addr.ip()).collect())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn hostname(&self) -> Option<String> {
        let name = nix::sys::utsname::uname().ok()?;
        let name = name.nodename().to_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }
}
