//! BGP messages: framing, and all of them but the inside of UPDATE.

mod capability;
pub mod codes;
mod notification;
mod open;
mod refresh;
mod role;

pub use capability::{
    AddPathMode, Capability, ExtendedNextHop, GracefulRestart, Hostname, LongLivedFamily,
};
pub use notification::NotificationMessage;
pub use open::OpenMessage;
pub use refresh::{RefreshKind, RouteRefreshMessage};
pub use role::BgpRole;

/// The octets of a message's header.
pub const HEADER_LEN: usize = 19;
/// The largest message, header included (RFC 4271 section 4.1).
pub const MESSAGE_LEN_MAX: usize = 4096;
/// The largest message once both sides have the extended message capability (RFC 8654); OPEN and
/// KEEPALIVE stay below [`MESSAGE_LEN_MAX`].
pub const MESSAGE_LEN_EXTENDED: usize = 65535;

/// A message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// OPEN.
    Open,
    /// UPDATE.
    Update,
    /// NOTIFICATION.
    Notification,
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh,
}

impl MessageType {
    /// The value on the wire.
    pub fn code(self) -> u8 {
        match self {
            MessageType::Open => 1,
            MessageType::Update => 2,
            MessageType::Notification => 3,
            MessageType::Keepalive => 4,
            MessageType::RouteRefresh => 5,
        }
    }

    /// The type of that value on the wire.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(MessageType::Open),
            2 => Some(MessageType::Update),
            3 => Some(MessageType::Notification),
            4 => Some(MessageType::Keepalive),
            5 => Some(MessageType::RouteRefresh),
            _ => None,
        }
    }

    /// The lengths, header included, that such a message may have (RFC 4271 section 6.1).
    fn lengths(self, message_len_max: usize) -> std::ops::RangeInclusive<usize> {
        match self {
            MessageType::Open => 29..=MESSAGE_LEN_MAX,
            MessageType::Update => 23..=message_len_max,
            MessageType::Notification => 21..=message_len_max,
            MessageType::Keepalive => 19..=19,
            MessageType::RouteRefresh => 23..=message_len_max,
        }
    }
}

/// A message; UPDATE is only framed, [`decode_update`](crate::decode_update) does the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// OPEN.
    Open(OpenMessage),
    /// UPDATE: what follows the header.
    Update(&'a [u8]),
    /// NOTIFICATION.
    Notification(NotificationMessage),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH.
    RouteRefresh(RouteRefreshMessage),
}

/// The length of the message that `header` begins, header included: so many octets must be read
/// before [`decode_message`]. What contradicts RFC 4271 section 4.1 is the NOTIFICATION to send.
pub fn frame_len(
    header: &[u8; HEADER_LEN],
    message_len_max: usize,
) -> Result<usize, NotificationMessage> {
    let [marker @ .., a, b, code] = header;
    if *marker != [0xff; 16] {
        return Err(NotificationMessage::new(
            codes::MESSAGE_HEADER_ERROR,
            codes::header::CONNECTION_NOT_SYNCHRONIZED,
            Vec::new(),
        ));
    }
    let Some(message_type) = MessageType::from_code(*code) else {
        return Err(NotificationMessage::new(
            codes::MESSAGE_HEADER_ERROR,
            codes::header::BAD_MESSAGE_TYPE,
            vec![*code],
        ));
    };
    let len = usize::from(u16::from_be_bytes([*a, *b]));
    if message_type.lengths(message_len_max).contains(&len) {
        Ok(len)
    } else {
        Err(NotificationMessage::new(
            codes::MESSAGE_HEADER_ERROR,
            codes::header::BAD_MESSAGE_LENGTH,
            vec![*a, *b],
        ))
    }
}

/// Decodes one whole message, header included, whose length [`frame_len`] told.
pub fn decode_message(message: &[u8]) -> Result<Message<'_>, NotificationMessage> {
    let bad_length = || {
        let field = message.get(16..18).unwrap_or_default().to_vec();
        NotificationMessage::new(
            codes::MESSAGE_HEADER_ERROR,
            codes::header::BAD_MESSAGE_LENGTH,
            field,
        )
    };
    let (header, body) = message.split_first_chunk().ok_or_else(bad_length)?;
    if frame_len(header, MESSAGE_LEN_EXTENDED)? != message.len() {
        return Err(bad_length());
    }
    match MessageType::from_code(header[18]) {
        Some(MessageType::Open) => OpenMessage::decode(body).map(Message::Open),
        Some(MessageType::Update) => Ok(Message::Update(body)),
        Some(MessageType::Notification) => {
            let notification = NotificationMessage::decode(body).ok_or_else(bad_length)?;
            Ok(Message::Notification(notification))
        }
        Some(MessageType::Keepalive) => Ok(Message::Keepalive),
        Some(MessageType::RouteRefresh) => {
            let refresh = RouteRefreshMessage::decode(body)
                .ok_or_else(|| codes::bad_refresh_length(message.to_vec()))?;
            Ok(Message::RouteRefresh(refresh))
        }
        None => Err(NotificationMessage::new(
            codes::MESSAGE_HEADER_ERROR,
            codes::header::BAD_MESSAGE_TYPE,
            vec![header[18]],
        )),
    }
}

/// Appends a KEEPALIVE message.
pub fn encode_keepalive(out: &mut Vec<u8>) {
    let start = begin(out, MessageType::Keepalive);
    end(out, start);
}

/// Appends the header of a message whose length is not known yet; [`end`] sets it.
pub(crate) fn begin(out: &mut Vec<u8>, message_type: MessageType) -> usize {
    let start = out.len();
    out.extend([0xff; 16]);
    out.extend([0, 0, message_type.code()]);
    start
}

/// Sets the length of the message that begins at `start` and ends here.
pub(crate) fn end(out: &mut [u8], start: usize) {
    let len = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start + 16..start + 18].copy_from_slice(&len.to_be_bytes());
}
