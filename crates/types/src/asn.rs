//! Autonomous system numbers (RFC 6793).

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// A four-octet autonomous system number, 1 to 4294967295 where it names a speaker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Asn(pub u32);

impl Asn {
    /// AS_TRANS: stands for a four-octet number where only two octets fit (RFC 6793 section 9).
    pub const TRANS: Asn = Asn(23456);

    /// The number in two octets, if it fits.
    pub fn two_octet(self) -> Option<u16> {
        u16::try_from(self.0).ok()
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Asn {
    type Err = ParseError;

    /// Accepts `64512` (asplain) and `0.64512` (asdot, RFC 5396).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error =
            || ParseError::new(text, "an AS number", "1 to 4294967295, or HIGH.LOW (asdot)");
        let number = match text.split_once('.') {
            Some((high, low)) => {
                let high: u16 = high.parse().map_err(|_| error())?;
                let low: u16 = low.parse().map_err(|_| error())?;
                u32::from(high) << 16 | u32::from(low)
            }
            None => text.parse().map_err(|_| error())?,
        };
        if number == 0 {
            Err(error())
        } else {
            Ok(Asn(number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_are_read() {
        assert_eq!("64512".parse(), Ok(Asn(64512)));
        assert_eq!("1.10".parse(), Ok(Asn(65546)));
        for bad in ["", "0", "4294967296", "1.70000", "x"] {
            assert!(bad.parse::<Asn>().is_err(), "{bad}");
        }
    }
}
