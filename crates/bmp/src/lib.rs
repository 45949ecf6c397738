//! BGP Monitoring Protocol: RFC 7854, with the types of RFC 8671 (Adj-RIB-Out) and RFC 9069
//! (Loc-RIB).
//!
//! ```text
//!  MessageTap --> Hub --(a bounded queue for each station)--> View --> Station --TCP--> collector
//!                  '--> refresh: peers are asked again for what a station has missed
//!      engine --> Monitor --> RibFeed ---------------------> RibView --> Station --TCP--> collector
//! ```
//!
//! [`message`] is pure: encoder and decoder. A [`Station`] sends what a [`MonitorView`] yields. The
//! [`Hub`] makes such views of what a [`MessageTap`](chanter_speaker::MessageTap) copies: the
//! Adj-RIB-In of every peer before policy. That RIB is not kept anywhere, so that a new station, or
//! one that was too slow for its queue, gets it by ROUTE-REFRESH (RFC 2918). A
//! [`RibFeed`] makes views of the engine's RIB: the Adj-RIB-In after policy, and the Loc-RIB.

mod hub;
mod loc_rib;
pub mod message;
mod rib;
mod station;
mod wire;

pub use hub::{Hub, HubConfig, MonitoredNode, View};
pub use loc_rib::{LocRibInfo, loc_rib_peer_up, route_monitoring};
pub use message::Message;
pub use rib::{BothFeeds, BothViews, RibFeed, RibView};
pub use station::{MonitorFeed, MonitorView, Station, StationConfig, StationMode, StationStatus};
pub use wire::BmpError;
