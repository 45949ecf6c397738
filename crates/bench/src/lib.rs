//! Chanter's route reflector beside other BGP speakers.
//!
//! ```text
//!   sender --.                                 .-- receiver 1
//!            +-- veth -- device under test ----+   ...
//!   (one namespace)      (the other one)       '-- receiver R
//! ```
//!
//! One session announces routes with distinct keys, the device under test reflects them, each
//! receiver counts distinct ones as they arrive. The generator speaks BGP with [`chanter_bgp`]'s
//! codec; the device is a fresh process in a namespace of its own for every run. What is measured is
//! in [`Figures`]; [`run_case`] measures one case with all daemons in turns, [`table`] shows it.

mod clients;
mod device;
mod interrupt;
mod measure;
mod netns;
mod phases;
mod process;
mod report;
mod session;
mod sink;
mod workload;

pub use clients::{ClientsFigures, ClientsOptions, clients_table, run_clients};
pub use device::{Device, Setting};
pub use interrupt::end_on_signal;
pub use measure::{Cost, Figures, Outcome, Phase, Run, measure};
pub use netns::check_root;
pub use report::{Case, Row, run_case, table};
pub use workload::{Kind, Workload};

use std::net::Ipv4Addr;

use chanter_types::Asn;

/// The AS of all speakers.
pub const ASN: Asn = Asn(64512);

/// The address of the device under test.
pub const DEVICE: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);

/// The address of the sender; receivers have those that follow.
pub const SENDER: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 2);
