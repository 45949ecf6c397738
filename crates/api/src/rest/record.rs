//! What is remembered of clients' requests.

use chanter_intent::{Attachment, ObjectKey, VpnInstance};
use serde::{Deserialize, Serialize};

/// A VPN instance that REST clients declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// As the engine gets it.
    pub instance: VpnInstance,
    /// Whether a client declared the instance for itself: then it stays without attachments. An
    /// instance that came with an attachment goes with its last one (bagpipe-bgp's life cycle).
    #[serde(default)]
    pub standing: bool,
    /// The prefix length of the first address attached, which the looking glass shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_len: Option<u8>,
}

/// An attachment that a REST client made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// As the engine gets it.
    pub attachment: Attachment,
    /// The MAC address in the client's writing, for the looking glass.
    pub mac_text: String,
    /// The IP address in the client's writing, mask included, for the looking glass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_text: Option<String>,
}

impl AttachmentRecord {
    /// The record of an attachment that was given in canonical writing.
    pub fn canonical(attachment: Attachment) -> Self {
        Self {
            mac_text: attachment.key.mac.to_string(),
            ip_text: attachment.key.ip.map(|ip| ip.to_string()),
            attachment,
        }
    }
}

/// A record of any type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A VPN instance.
    Instance(InstanceRecord),
    /// An attachment.
    Attachment(AttachmentRecord),
}

impl Record {
    /// What identifies the object.
    pub fn key(&self) -> ObjectKey {
        match self {
            Record::Instance(record) => ObjectKey::Instance(record.instance.id.clone()),
            Record::Attachment(record) => ObjectKey::Attachment(record.attachment.key.clone()),
        }
    }

    /// The object as the engine gets it.
    pub fn object(&self) -> chanter_intent::Object {
        match self {
            Record::Instance(record) => chanter_intent::Object::Instance(record.instance.clone()),
            Record::Attachment(record) => {
                chanter_intent::Object::Attachment(record.attachment.clone())
            }
        }
    }
}
