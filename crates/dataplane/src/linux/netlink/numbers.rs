//! Numbers of the kernel's interface (`linux/rtnetlink.h`, `if_link.h`, `neighbour.h`) that neither
//! of the crates in use makes public.

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_NEWNEIGH: u16 = 28;
pub(super) const RTM_DELNEIGH: u16 = 29;

pub(super) const RTNLGRP_LINK: u32 = 1;
pub(super) const RTNLGRP_NEIGH: u32 = 3;

pub(super) const AF_INET: u8 = 2;
pub(super) const AF_BRIDGE: u8 = 7;
pub(super) const AF_INET6: u8 = 10;

pub(super) const IFF_UP: u32 = 1;

pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MASTER: u16 = 10;
pub(super) const IFLA_WIRELESS: u16 = 11;
pub(super) const IFLA_PROTINFO: u16 = 12;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_IFALIAS: u16 = 20;
pub(super) const IFLA_AF_SPEC: u16 = 26;

pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
pub(super) const IFLA_INFO_PORT_KIND: u16 = 4;
pub(super) const IFLA_INFO_PORT_DATA: u16 = 5;

pub(super) const IFLA_INET_CONF: u16 = 1;
pub(super) const IPV4_DEVCONF_RP_FILTER: u16 = 8;
pub(super) const IPV4_DEVCONF_ARP_IGNORE: u16 = 19;

pub(super) const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
pub(super) const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

pub(super) const NDA_DST: u16 = 1;
pub(super) const NDA_LLADDR: u16 = 2;
pub(super) const NDA_VLAN: u16 = 5;
pub(super) const NDA_VNI: u16 = 7;
pub(super) const NDA_MASTER: u16 = 9;
pub(super) const NDA_PROTOCOL: u16 = 12;

pub(super) const NTF_SELF: u8 = 0x02;
pub(super) const NTF_EXT_LEARNED: u8 = 0x10;
pub(super) const NTF_STICKY: u8 = 0x40;

pub(super) const NUD_NOARP: u16 = 0x40;
pub(super) const NUD_PERMANENT: u16 = 0x80;
