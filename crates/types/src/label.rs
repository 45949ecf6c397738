//! MPLS labels (RFC 3032) and VXLAN network identifiers (RFC 7348).

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// An MPLS label: 20 bits. 0 to 15 are reserved (RFC 3032 section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct MplsLabel(u32);

impl MplsLabel {
    /// The largest label.
    pub const MAX: MplsLabel = MplsLabel((1 << 20) - 1);
    /// The first label that is not reserved.
    pub const FIRST_UNRESERVED: MplsLabel = MplsLabel(16);

    /// The label, or `None` above 1048575.
    pub const fn new(label: u32) -> Option<Self> {
        if label <= Self::MAX.0 {
            Some(MplsLabel(label))
        } else {
            None
        }
    }

    /// The label's value.
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for MplsLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A VXLAN network identifier: 1 to 16777215. 0 means "none" to bagpipe-bgp's clients, and is
/// therefore not a value of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Vni(u32);

impl Vni {
    /// The largest identifier.
    pub const MAX: Vni = Vni((1 << 24) - 1);

    /// The identifier, or `None` for 0 or above 16777215.
    pub const fn new(vni: u32) -> Option<Self> {
        if vni >= 1 && vni <= Self::MAX.0 {
            Some(Vni(vni))
        } else {
            None
        }
    }

    /// The identifier's value.
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Vni {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse()
            .ok()
            .and_then(Vni::new)
            .ok_or_else(|| ParseError::new(text, "a VNI", "a number from 1 to 16777215"))
    }
}

impl<'de> serde::Deserialize<'de> for Vni {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        Vni::new(number)
            .ok_or_else(|| serde::de::Error::custom("a VNI is a number from 1 to 16777215"))
    }
}
