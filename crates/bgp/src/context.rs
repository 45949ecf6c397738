//! What the codec has to know of a session.

use crate::family::{Family, FamilySet};
use crate::message::MESSAGE_LEN_MAX;

/// What was negotiated, as far as it changes what UPDATE messages look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecContext {
    /// Whether AS numbers have four octets in AS_PATH and AGGREGATOR (RFC 6793).
    pub four_octet_as: bool,
    /// The families that both sides have; routes of others are ignored.
    pub families: FamilySet,
    /// Whether the peer is in another AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST from it do
    /// not count (RFC 4271 section 5.1.5, RFC 7606 sections 7.9 and 7.10).
    pub ebgp: bool,
    /// The largest message, in octets: 4096, or 65535 (RFC 8654).
    pub message_len_max: usize,
    /// The families in which the peer puts a path identifier before each NLRI (RFC 7911).
    pub add_path_receive: FamilySet,
    /// The families in which we do.
    pub add_path_send: FamilySet,
    /// The families of IPv4 whose next hop may be an IPv6 address (RFC 8950).
    pub extended_next_hop: FamilySet,
}

impl Default for CodecContext {
    /// A session inside the AS, between two speakers that know all that this crate knows.
    fn default() -> Self {
        Self {
            four_octet_as: true,
            families: Family::SUPPORTED.into(),
            ebgp: false,
            message_len_max: MESSAGE_LEN_MAX,
            add_path_receive: FamilySet::new(),
            add_path_send: FamilySet::new(),
            extended_next_hop: FamilySet::new(),
        }
    }
}
