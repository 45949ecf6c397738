//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;
use crate::parse::serde_as_text;

/// A 48-bit Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All zero: "no MAC", and the key of flood entries in a VXLAN device's FDB.
    pub const ZERO: MacAddr = MacAddr([0; 6]);

    /// Whether it addresses a group (also true for broadcast), never a single station.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = ParseError;

    /// Accepts the forms of Python's netaddr, which bagpipe-bgp's clients may send:
    /// `fa:16:3e:0:0:1`, `fa-16-3e-00-00-01`, `fa16.3e00.0001`, `fa163e:000001` and `fa163e000001`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || {
            ParseError::new(
                text,
                "a MAC address",
                "six octets in hexadecimal such as fa:16:3e:00:00:01",
            )
        };
        let separator = [':', '-', '.'].into_iter().find(|c| text.contains(*c));
        let groups: Vec<&str> = match separator {
            Some(separator) => text.split(separator).collect(),
            None if text.len() == 12 => vec![text],
            None => return Err(error()),
        };
        let digits = 12 / groups.len().max(1);
        if ![1, 2, 3, 6].contains(&groups.len()) {
            return Err(error());
        }
        let mut value: u64 = 0;
        for group in groups {
            let valid = (1..=digits).contains(&group.len())
                && group.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !valid {
                return Err(error());
            }
            let number = u64::from_str_radix(group, 16).map_err(|_| error())?;
            value = value << (4 * digits) | number;
        }
        let [_, _, octets @ ..] = value.to_be_bytes();
        Ok(MacAddr(octets))
    }
}

serde_as_text!(MacAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_netaddr_are_read() {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
        for text in [
            "fa:16:3e:00:00:01",
            "FA-16-3E-00-00-01",
            "fa:16:3e:0:0:1",
            "fa16.3e00.0001",
            "fa163e:000001",
            "fa163e000001",
        ] {
            assert_eq!(text.parse(), Ok(mac), "{text}");
        }
        assert_eq!(mac.to_string(), "fa:16:3e:00:00:01");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "fa:16:3e:00:00",
            "fa:16:3e:00:00:01:02",
            "fa:16:3e:00:00:001",
            "+a:1:1:1:1:1",
            "zz",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }
}
