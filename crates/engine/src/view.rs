//! What the engine shows of itself: plain values for the looking glass, metrics and commands.

use std::net::{IpAddr, Ipv4Addr};

use chanter_bgp::{Attributes, Family, Nlri, PathData};
use chanter_intent::{AttachmentKey, InstanceId, ObjectKey, Port, SourceId, VpnInstance};
use chanter_types::{Asn, Instant, MacAddr, RouteDistinguisher, RouteTarget, Vni};

use crate::desired::{DesiredKey, DesiredValue, DomainId};
use crate::{ObjectStatus, PeerId, PeerRole};

/// The engine in a few numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Our AS.
    pub local_as: Asn,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Sessions in Established.
    pub peers_established: usize,
    /// VPN instances.
    pub instances: usize,
    /// Attachments.
    pub attachments: usize,
    /// Paths that this node originates, RT membership left out.
    pub routes_local: usize,
    /// Paths received from peers, RT membership left out.
    pub routes_received: usize,
    /// Distinct attribute sets in store.
    pub attribute_sets: usize,
    /// Desired dataplane objects.
    pub desired_objects: usize,
    /// Desired dataplane objects that are not in place.
    pub desired_failed: usize,
    /// Every enabled source, and whether it has synced.
    pub sources: Vec<(SourceId, bool)>,
    /// Whether sinks may remove what is not desired.
    pub prune_allowed: bool,
    /// Destinations and paths, by family.
    pub families: Vec<FamilySummary>,
}

/// One table in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilySummary {
    /// The family.
    pub family: Family,
    /// Destinations.
    pub destinations: usize,
    /// Paths.
    pub paths: usize,
}

/// What the engine knows of a peer; the session itself is the speaker's.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerView {
    /// The peer.
    pub peer: PeerId,
    /// Its address.
    pub addr: IpAddr,
    /// Its role.
    pub role: PeerRole,
    /// Whether its session is Established (else only stale paths are left of it).
    pub established: bool,
    /// By family.
    pub families: Vec<PeerFamilyView>,
    /// Route targets that the peer asked for (RFC 4684); `None`: it gets all routes.
    pub wanted_rts: Option<Vec<RouteTarget>>,
    /// Whether the peer asked for all routes by a default membership.
    pub wants_all: bool,
    /// How many routes were not taken in this session, by reason, and by the rule of its import policy.
    pub rejected: Vec<(String, u64)>,
}

/// What the engine knows of one family of a peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerFamilyView {
    /// The family.
    pub family: Family,
    /// Paths received.
    pub received: usize,
    /// Received paths that are stale.
    pub stale: usize,
    /// Destinations advertised to the peer.
    pub advertised: usize,
    /// Whether the peer has marked the end of its initial update.
    pub end_of_rib_received: bool,
    /// Whether we have marked the end of ours.
    pub end_of_rib_sent: bool,
}

/// A VPN instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceView {
    /// As declared.
    pub declared: VpnInstance,
    /// The sources that declare it.
    pub sources: Vec<SourceId>,
    /// Its number, from which devices and the route distinguisher are made.
    pub number: DomainId,
    /// The route distinguisher in force.
    pub rd: RouteDistinguisher,
    /// The VNI in force.
    pub vni: Vni,
    /// Its attachments.
    pub attachments: Vec<AttachmentView>,
    /// Remote MAC addresses in use.
    pub remote_macs: usize,
    /// Remote VTEPs in the flood list.
    pub remote_vteps: Vec<IpAddr>,
    /// Its status.
    pub status: ObjectStatus,
    /// What is odd about imported routes, in an operator's words: routes taken as VXLAN for want of
    /// an encapsulation community, routes that are not installed.
    pub notes: Vec<String>,
}

/// An attachment.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachmentView {
    /// What identifies it.
    pub key: AttachmentKey,
    /// The source that declares it.
    pub source: SourceId,
    /// Where it is attached.
    pub port: Port,
    /// LOCAL_PREF as declared.
    pub local_pref: Option<u32>,
    /// Whether the MAC must not move.
    pub sticky: bool,
    /// The client's description.
    pub description: Option<serde_json::Value>,
    /// The mobility sequence number with which it is advertised.
    pub sequence: u32,
    /// Whether its route is originated: not while the dataplane lacks it, nor while the MAC is
    /// elsewhere.
    pub advertised: bool,
    /// Its status.
    pub status: ObjectStatus,
}

/// A destination with all its paths.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteView {
    /// The destination.
    pub nlri: Nlri,
    /// Its paths, the best first.
    pub paths: Vec<PathView>,
}

/// Where a path came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSource {
    /// A peer.
    Peer {
        /// The peer.
        peer: PeerId,
        /// Its address.
        addr: IpAddr,
    },
    /// A VPN instance of this node.
    Instance(InstanceId),
    /// This node itself: RT membership.
    Local,
}

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub struct PathView {
    /// Where it came from.
    pub source: PathSource,
    /// Its attributes.
    pub attributes: Attributes,
    /// What the NLRI carries beside its key.
    pub data: PathData,
    /// Since when it has been as it is.
    pub since: Instant,
    /// Whether it is kept from before a restart of its peer.
    pub stale: bool,
    /// `None` for the best path; else why it is not the best, in an operator's words, naming both
    /// values: "LOCAL_PREF 100 is lower than 200".
    pub lost_because: Option<String>,
    /// The VPN instances that import the destination by this path, where it is the best.
    pub imported_by: Vec<InstanceId>,
}

/// Which destinations to show.
#[derive(Debug, Clone, Default)]
pub struct RouteQuery {
    /// Only this family.
    pub family: Option<Family>,
    /// Only what this instance originates or imports.
    pub instance: Option<InstanceId>,
    /// Only destinations with this MAC address.
    pub mac: Option<MacAddr>,
    /// Only destinations with this IP address (for a prefix: that hold it).
    pub ip: Option<IpAddr>,
    /// Only destinations with a path of this peer.
    pub peer: Option<PeerId>,
    /// Only destinations advertised to this peer.
    pub advertised_to: Option<PeerId>,
    /// Only destinations that this node originates.
    pub local_only: bool,
    /// Where the previous page ended.
    pub after: Option<PageToken>,
    /// At most so many destinations are looked at for one page, so that no listing keeps the engine
    /// from its work; 0: the default of 10,000.
    pub scan_max: usize,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PageToken(pub u64);

/// Some destinations.
#[derive(Debug, Clone)]
pub struct RoutePage {
    /// The destinations.
    pub routes: Vec<RouteView>,
    /// Where to go on; `None`: that was all.
    pub next: Option<PageToken>,
}

/// A desired dataplane object.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredView {
    /// Which one.
    pub key: DesiredKey,
    /// What it should be.
    pub value: DesiredValue,
    /// The VPN instance that it serves.
    pub instance: InstanceId,
    /// `None`: not reported yet; else whether it is so.
    pub result: Option<Result<(), String>>,
}

/// What to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyQuery {
    /// Only in this instance.
    pub instance: Option<InstanceId>,
    /// The address.
    pub subject: WhySubject,
}

/// The address to explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhySubject {
    /// A MAC address.
    Mac(MacAddr),
    /// An IP address.
    Ip(IpAddr),
}

/// The way of an address through this node, in order: source event, intent, RIB, import, UPDATE,
/// dataplane.
#[derive(Debug, Clone, PartialEq)]
pub struct WhyReport {
    /// One part for each instance in which the address is known.
    pub instances: Vec<WhyInstance>,
    /// Routes about it outside EVPN: the path in use, and why the others lost.
    pub routes: Vec<WhyStep>,
    /// Routes about it that were lately not taken, with peer and reason, a line each.
    pub not_taken: Vec<String>,
}

/// The way of an address through one VPN instance.
#[derive(Debug, Clone, PartialEq)]
pub struct WhyInstance {
    /// The instance.
    pub instance: InstanceId,
    /// The verdict in one line: "local, port tap0, advertised to 1 peer" or "remote, VTEP
    /// 192.0.2.2 VNI 100".
    pub verdict: String,
    /// The steps that led there.
    pub steps: Vec<WhyStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct WhyStep {
    /// Where in the flow.
    pub stage: WhyStage,
    /// Since when.
    pub since: Option<Instant>,
    /// What holds there, in one line.
    pub text: String,
    /// What lost there, and why, a line each.
    pub rejected: Vec<String>,
}

/// A stage of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyStage {
    /// What a source said.
    Source,
    /// What was made of it together with other sources.
    Intent,
    /// Paths and their selection.
    Rib,
    /// Import into the instance by route target.
    Import,
    /// What is advertised, and to whom.
    Advertise,
    /// What the dataplane should hold and whether it does.
    Dataplane,
}

/// The status of an object of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectView {
    /// The source.
    pub source: SourceId,
    /// The object.
    pub key: ObjectKey,
    /// Its status.
    pub status: ObjectStatus,
}
