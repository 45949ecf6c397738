//! BGP roles (RFC 9234).

use std::fmt;
use std::str::FromStr;

use chanter_types::ParseError;

use crate::text::serde_as_text;

/// What a speaker is to its external peer (RFC 9234 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BgpRole {
    /// It sells transit to the peer.
    Provider,
    /// It is a route server, the peer one of its clients.
    RouteServer,
    /// It is a client of the peer, a route server.
    RouteServerClient,
    /// It buys transit from the peer.
    Customer,
    /// Both exchange their own and their customers' routes.
    Peer,
}

impl BgpRole {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Provider,
        Self::RouteServer,
        Self::RouteServerClient,
        Self::Customer,
        Self::Peer,
    ];

    /// The value on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Provider => 0,
            Self::RouteServer => 1,
            Self::RouteServerClient => 2,
            Self::Customer => 3,
            Self::Peer => 4,
        }
    }

    /// The role of that value on the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }

    /// The one role that the other side may have (RFC 9234 section 4.2, table 2).
    pub const fn counterpart(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::RouteServer => Self::RouteServerClient,
            Self::RouteServerClient => Self::RouteServer,
            Self::Customer => Self::Provider,
            Self::Peer => Self::Peer,
        }
    }

    /// The name in configuration and in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::RouteServer => "rs-server",
            Self::RouteServerClient => "rs-client",
            Self::Customer => "customer",
            Self::Peer => "peer",
        }
    }
}

impl fmt::Display for BgpRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BgpRole {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| {
            ParseError::new(
                text,
                "a BGP role",
                "provider, rs-server, rs-client, customer, or peer",
            )
        })
    }
}

serde_as_text!(BgpRole);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_read_and_printed() {
        for (value, role) in BgpRole::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(role.code()), value);
            assert_eq!(BgpRole::from_code(role.code()), Some(role));
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(role.counterpart().counterpart(), role);
        }
        assert_eq!(BgpRole::from_code(5), None);
        assert!("rs".parse::<BgpRole>().is_err());
    }
}
