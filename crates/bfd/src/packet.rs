//! The BFD control packet (RFC 5880 section 4.1).

use std::fmt;
use std::time::Duration;

/// Octets of a control packet without authentication.
pub const PACKET_LEN: usize = 24;

/// The least that a packet with an authentication section can have (section 6.8.6).
const AUTHENTICATED_LEN_MIN: usize = 26;

const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// The state of a session, by its code on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BfdState {
    /// Held down by an operator.
    AdminDown = 0,
    /// There is no session, or it has just failed.
    Down = 1,
    /// The peer is heard and does not hear us yet, or we do not know that it does.
    Init = 2,
    /// Both ends hear each other.
    Up = 3,
}

impl BfdState {
    fn from_code(code: u8) -> Self {
        match code & 3 {
            0 => BfdState::AdminDown,
            1 => BfdState::Down,
            2 => BfdState::Init,
            _ => BfdState::Up,
        }
    }

    /// The name in RFC 5880.
    pub const fn name(self) -> &'static str {
        match self {
            BfdState::AdminDown => "AdminDown",
            BfdState::Down => "Down",
            BfdState::Init => "Init",
            BfdState::Up => "Up",
        }
    }
}

impl fmt::Display for BfdState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a session was last taken from Up, by its code (five bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// Nothing happened.
    pub const NONE: Self = Self(0);
    /// The peer was not heard for the detection time.
    pub const DETECTION_TIME_EXPIRED: Self = Self(1);
    /// The peer says that the session is down.
    pub const NEIGHBOR_SIGNALED_DOWN: Self = Self(3);
    /// Taken down by an operator.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);

    /// The diagnostic of that code; what is above five bits is cut.
    pub const fn from_code(code: u8) -> Self {
        Self(code & 0x1f)
    }

    /// The code.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.0 {
            0 => "no diagnostic",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            code => return write!(f, "diagnostic {code}"),
        })
    }
}

/// A control packet. Intervals are in microseconds, as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Why the sender's session was last taken from Up.
    pub diagnostic: Diagnostic,
    /// The state of the sender's session.
    pub state: BfdState,
    /// The sender wants an answer with the Final bit.
    pub poll: bool,
    /// The answer to a packet with the Poll bit.
    pub is_final: bool,
    /// The sender's BFD goes on without its control plane.
    pub control_plane_independent: bool,
    /// The type of the authentication section, if there is one.
    pub authentication: Option<u8>,
    /// The sender wants no periodic packets.
    pub demand: bool,
    /// How many packets in a row may be lost.
    pub detect_mult: u8,
    /// The sender's number of the session.
    pub my_discriminator: u32,
    /// The receiver's number of the session; zero if the sender does not know it.
    pub your_discriminator: u32,
    /// How often the sender would like to send.
    pub desired_min_tx: u32,
    /// How often the sender is able to receive; zero: never.
    pub required_min_rx: u32,
    /// How often the sender is able to receive echo packets; zero: never.
    pub required_min_echo_rx: u32,
}

/// Why a received packet was discarded, in the order of the checks of RFC 5880 section 6.8.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// Not from the next hop, or from too far away (RFC 5881 section 5).
    #[error("TTL {0} is too low")]
    Ttl(u8),
    /// Too short to have a header.
    #[error("{0} octets are no control packet")]
    Short(usize),
    /// A version that we do not know.
    #[error("version {0}, not 1")]
    Version(u8),
    /// The length field is below the least possible.
    #[error("length field {0} is too low")]
    LengthTooLow(u8),
    /// The length field is above what was received.
    #[error("length field {0} is above what was received")]
    LengthTooHigh(u8),
    /// The detection multiplier is zero.
    #[error("detection multiplier zero")]
    DetectMultZero,
    /// The Multipoint bit.
    #[error("the Multipoint bit is set")]
    Multipoint,
    /// The sender's discriminator is zero.
    #[error("My Discriminator is zero")]
    MyDiscriminatorZero,
    /// There is no session of that number.
    #[error("no session has the discriminator {0}")]
    UnknownDiscriminator(u32),
    /// The state cannot be had without knowing our discriminator.
    #[error("state {0} with Your Discriminator zero")]
    StateWithoutDiscriminator(BfdState),
    /// There is no session with that address.
    #[error("no session with the sender")]
    UnknownPeer,
    /// Authentication is not in use.
    #[error("authentication ({}) is not supported; switch it off at the peer", authentication_name(*.0))]
    Authenticated(u8),
    /// The session is held down here.
    #[error("the session is administratively down")]
    AdminDown,
}

/// The name of an authentication type (RFC 5880 section 4.1).
pub fn authentication_name(code: u8) -> &'static str {
    match code {
        1 => "simple password",
        2 => "keyed MD5",
        3 => "meticulous keyed MD5",
        4 => "keyed SHA1",
        5 => "meticulous keyed SHA1",
        _ => "unknown type",
    }
}

impl Packet {
    /// Reads a packet and makes those checks of RFC 5880 section 6.8.6 that need no session, in
    /// that order.
    ///
    /// # Errors
    /// [`Discard`], the first that applies.
    pub fn decode(octets: &[u8]) -> Result<Self, Discard> {
        let first = *octets.first().ok_or(Discard::Short(0))?;
        if first >> 5 != VERSION {
            return Err(Discard::Version(first >> 5));
        }
        let header: &[u8; PACKET_LEN] = octets.first_chunk().ok_or(Discard::Short(octets.len()))?;
        let (flags, length) = (header[1], header[3]);
        let authenticated = flags & AUTHENTICATION != 0;
        let length_min = if authenticated {
            AUTHENTICATED_LEN_MIN
        } else {
            PACKET_LEN
        };
        if usize::from(length) < length_min {
            return Err(Discard::LengthTooLow(length));
        }
        if usize::from(length) > octets.len() {
            return Err(Discard::LengthTooHigh(length));
        }
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let packet = Self {
            diagnostic: Diagnostic::from_code(first),
            state: BfdState::from_code(flags >> 6),
            poll: flags & POLL != 0,
            is_final: flags & FINAL != 0,
            control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
            authentication: octets.get(PACKET_LEN).copied().filter(|_| authenticated),
            demand: flags & DEMAND != 0,
            detect_mult: header[2],
            my_discriminator: word(4),
            your_discriminator: word(8),
            desired_min_tx: word(12),
            required_min_rx: word(16),
            required_min_echo_rx: word(20),
        };
        packet.check(flags & MULTIPOINT != 0).map(|()| packet)
    }

    fn check(&self, multipoint: bool) -> Result<(), Discard> {
        if self.detect_mult == 0 {
            return Err(Discard::DetectMultZero);
        }
        if multipoint {
            return Err(Discard::Multipoint);
        }
        if self.my_discriminator == 0 {
            return Err(Discard::MyDiscriminatorZero);
        }
        let knows_us = self.your_discriminator != 0;
        if !knows_us && !matches!(self.state, BfdState::Down | BfdState::AdminDown) {
            return Err(Discard::StateWithoutDiscriminator(self.state));
        }
        Ok(())
    }

    /// The packet on the wire. An authentication section is never sent.
    pub fn encode(&self) -> [u8; PACKET_LEN] {
        let mut out = [0; PACKET_LEN];
        out[0] = VERSION << 5 | self.diagnostic.code();
        out[1] = (self.state as u8) << 6;
        for (set, flag) in [
            (self.poll, POLL),
            (self.is_final, FINAL),
            (self.control_plane_independent, CONTROL_PLANE_INDEPENDENT),
            (self.demand, DEMAND),
        ] {
            if set {
                out[1] |= flag;
            }
        }
        out[2] = self.detect_mult;
        out[3] = PACKET_LEN as u8;
        for (at, word) in [
            (4, self.my_discriminator),
            (8, self.your_discriminator),
            (12, self.desired_min_tx),
            (16, self.required_min_rx),
            (20, self.required_min_echo_rx),
        ] {
            out[at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}

/// As many microseconds as the wire can carry.
pub(crate) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
