//! How segments of a session are authenticated.

use std::fmt;
use std::str::FromStr;

/// How segments of a session are authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// TCP-MD5 (RFC 2385).
    Md5(Secret),
    /// TCP-AO (RFC 5925). Several keys are for rollover: the first one is used for sending unless
    /// the peer asks for another, all are accepted.
    Ao(Vec<AoKey>),
}

impl Auth {
    /// Its name; `None` for [`Auth::None`].
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Auth::None => None,
            Auth::Md5(_) => Some("TCP-MD5"),
            Auth::Ao(_) => Some("TCP-AO"),
        }
    }

    /// Whether the one is only a change of keys of the other, which needs no new connection.
    pub(crate) fn same_kind(&self, other: &Auth) -> bool {
        self.name() == other.name()
    }
}

/// A password: 1 to 80 octets. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A password that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has {0} octets; 1 to {max} are possible", max = Secret::LEN_MAX)]
pub struct SecretLen(usize);

impl Secret {
    /// The longest password that the kernel takes, in octets.
    pub const LEN_MAX: usize = 80;

    /// A password.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Self, SecretLen> {
        let octets = octets.into();
        if (1..=Self::LEN_MAX).contains(&octets.len()) {
            Ok(Self(octets))
        } else {
            Err(SecretLen(octets.len()))
        }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A master key of TCP-AO with its numbers (a master key tuple, RFC 5925 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AoKey {
    /// The KeyID of segments that we send with it.
    pub send_id: u8,
    /// The KeyID of segments of the peer that it is for.
    pub receive_id: u8,
    /// The algorithm.
    pub algorithm: AoAlgorithm,
    /// The key.
    pub secret: Secret,
    /// Whether TCP options other than TCP-AO are left out of what is authenticated.
    pub exclude_options: bool,
}

/// An algorithm of TCP-AO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AoAlgorithm {
    /// `hmac-sha-1-96` (RFC 5926 section 3.1.1).
    HmacSha1,
    /// `aes-128-cmac-96` (RFC 5926 section 3.1.2).
    AesCmac,
    /// `hmac-sha-256-96`: not of an RFC, but what several vendors have.
    HmacSha256,
}

impl AoAlgorithm {
    const ALL: [AoAlgorithm; 3] = [Self::HmacSha1, Self::AesCmac, Self::HmacSha256];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "hmac-sha-1-96",
            Self::AesCmac => "aes-128-cmac-96",
            Self::HmacSha256 => "hmac-sha-256-96",
        }
    }

    /// Its name in the kernel.
    pub(crate) const fn kernel_name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "hmac(sha1)",
            Self::AesCmac => "cmac(aes128)",
            Self::HmacSha256 => "hmac(sha256)",
        }
    }
}

impl fmt::Display for AoAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no algorithm of TCP-AO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no algorithm of TCP-AO; accepted are hmac-sha-1-96, aes-128-cmac-96, hmac-sha-256-96"
)]
pub struct UnknownAlgorithm(String);

impl FromStr for AoAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_limits_and_are_not_shown() {
        assert_eq!(Secret::new("").unwrap_err(), SecretLen(0));
        let error = Secret::new("x".repeat(81)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a password has 81 octets; 1 to 80 are possible"
        );
        let auth = Auth::Md5(Secret::new("swordfish").unwrap());
        assert_eq!(format!("{auth:?}"), "Md5((secret))");
    }

    #[test]
    fn algorithms_have_the_names_of_the_rfc() {
        for algorithm in AoAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert!("md5".parse::<AoAlgorithm>().is_err());
    }
}
