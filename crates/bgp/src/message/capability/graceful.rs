//! Graceful restart (RFC 4724, RFC 8538) and its long-lived form (RFC 9494).

use std::fmt;
use std::time::Duration;

use crate::family::Family;
use crate::reader::Reader;

/// The value of the graceful restart capability.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GracefulRestart {
    /// The R flag: the sender has restarted.
    pub restarting: bool,
    /// The N flag: a session that ends with NOTIFICATION keeps its routes too (RFC 8538).
    pub notification: bool,
    /// How long its paths may be retained, in seconds, 0 to 4095.
    pub restart_time: u16,
    /// The families whose forwarding state it can preserve, each with the F flag: it did preserve
    /// it. Empty: it only marks End-of-RIB.
    pub families: Vec<(Family, bool)>,
}

const FLAG_RESTARTING: u16 = 0x8000;
const FLAG_NOTIFICATION: u16 = 0x4000;
const FLAG_FORWARDING: u8 = 0x80;

impl GracefulRestart {
    /// The largest restart time.
    pub const RESTART_TIME_MAX: u16 = 0x0fff;
    /// So many families fit into a capability.
    const FAMILIES_MAX: usize = 63;

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value, 0);
        let head = reader.u16()?;
        let mut restart = Self {
            restarting: head & FLAG_RESTARTING != 0,
            notification: head & FLAG_NOTIFICATION != 0,
            restart_time: head & Self::RESTART_TIME_MAX,
            families: Vec::new(),
        };
        while !reader.is_empty() {
            let [a, b, safi, flags] = reader.array()?;
            let afi = u16::from_be_bytes([a, b]);
            let family = Family { afi, safi };
            restart
                .families
                .push((family, flags & FLAG_FORWARDING != 0));
        }
        Some(restart)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut head = self.restart_time.min(Self::RESTART_TIME_MAX);
        if self.restarting {
            head |= FLAG_RESTARTING;
        }
        if self.notification {
            head |= FLAG_NOTIFICATION;
        }
        out.extend(head.to_be_bytes());
        for (family, preserved) in self.families.iter().take(Self::FAMILIES_MAX) {
            out.extend(family.afi.to_be_bytes());
            out.extend([family.safi, if *preserved { FLAG_FORWARDING } else { 0 }]);
        }
    }
}

impl fmt::Display for GracefulRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.restart_time)?;
        for (flag, name) in [
            (self.restarting, " restarting"),
            (self.notification, " notification"),
        ] {
            f.write_str(if flag { name } else { "" })?;
        }
        for (family, preserved) in &self.families {
            write!(f, " {family}")?;
            f.write_str(if *preserved { " (preserved)" } else { "" })?;
        }
        Ok(())
    }
}

/// A family in the long-lived graceful restart capability (RFC 9494 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LongLivedFamily {
    /// The family.
    pub family: Family,
    /// How long the sender's routes may be retained after the restart time, in whole seconds of at
    /// most 24 bits on the wire.
    pub time: Duration,
    /// The F flag: the sender has preserved its forwarding state.
    pub preserved: bool,
}

impl LongLivedFamily {
    /// The longest time: 194 days.
    pub const TIME_MAX: Duration = Duration::from_secs(0x00ff_ffff);
    /// So many fit into a capability.
    const COUNT_MAX: usize = 36;

    /// `None`: not a list of whole entries.
    pub(super) fn decode_list(value: &[u8]) -> Option<Vec<Self>> {
        let (entries, rest) = value.as_chunks();
        let decode = |&[a, b, safi, flags, high, middle, low]: &[u8; 7]| Self {
            family: Family {
                afi: u16::from_be_bytes([a, b]),
                safi,
            },
            time: Duration::from_secs(u64::from(u32::from_be_bytes([0, high, middle, low]))),
            preserved: flags & FLAG_FORWARDING != 0,
        };
        rest.is_empty()
            .then(|| entries.iter().map(decode).collect())
    }

    pub(super) fn encode_list(list: &[Self], out: &mut Vec<u8>) {
        for entry in list.iter().take(Self::COUNT_MAX) {
            let flags = if entry.preserved { FLAG_FORWARDING } else { 0 };
            let [.., high, middle, low] = entry.time.min(Self::TIME_MAX).as_secs().to_be_bytes();
            out.extend(entry.family.afi.to_be_bytes());
            out.extend([entry.family.safi, flags, high, middle, low]);
        }
    }
}

impl fmt::Display for LongLivedFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} s", self.family, self.time.as_secs())?;
        f.write_str(if self.preserved { " (preserved)" } else { "" })
    }
}
