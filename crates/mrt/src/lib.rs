//! MRT files: what sessions said (`BGP4MP_ET`) and what the RIB holds (`TABLE_DUMP_V2`), as RFC 6396
//! has it, with path identifiers (RFC 8050).
//!
//! [`record`], [`table_dump`] and [`bgp4mp`] are pure: encoders, and decoders of the same records.
//! [`UpdateLog`] writes what a [`MessageTap`](chanter_speaker::MessageTap) copies, [`RibDump`] walks
//! the RIB a page at a time, so that the engine never waits for a disk. Files get their names when
//! they are complete: what is under its name is whole.

pub mod bgp4mp;
mod dump;
mod file;
mod log;
pub mod record;
pub mod table_dump;

pub use dump::{DumpConfig, DumpError, DumpPeer, Dumped, RibDump, RibPages};
pub use file::{FileError, FileName};
pub use log::{LogConfig, UpdateLog};
