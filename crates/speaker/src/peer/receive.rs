//! From received octets to the session and to the engine.

use std::cell::Cell;

use chanter_bgp::session::{ConnectionId, Input as SessionInput};
use chanter_bgp::{
    CodecContext, Disposition, Fault, HEADER_LEN, Message, MessageType, Nlri, NotificationMessage,
    RouteEvent, UpdateBatch, decode_message, decode_update, frame_len,
};
use chanter_engine::Input;
use tracing::{debug, warn};

use super::PeerTask;
use super::connection::Received;
use crate::Routes;

/// So many routes of a malformed UPDATE are named.
const ROUTES_TOLD_MAX: usize = 3;

/// How a message is not as it has to be.
struct Invalid {
    notification: NotificationMessage,
    detail: String,
}

thread_local! {
    /// What the sessions of this thread read into, one after the other: a session that is idle has
    /// no buffer.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<R: Routes> PeerTask<R> {
    /// Reads from a connection and acts on the messages that are whole.
    pub(super) fn receive(&mut self, id: ConnectionId) {
        let Some(connection) = self.connection(id) else {
            return;
        };
        let mut buffer = BUFFER.take();
        let received = connection.read(&mut buffer);
        let taken = self.act_on_messages(id, &buffer);
        if let Some(connection) = self.connection(id) {
            connection.inbox = buffer.get(taken..).unwrap_or_default().to_vec();
        }
        BUFFER.set(buffer);
        let error = match received {
            Received::Octets => return,
            Received::End => None,
            Received::Error(error) => Some(error.to_string()),
        };
        self.connection_gone(id, error);
    }

    /// Acts on whole messages in order, and says how many octets they had. UPDATEs are gathered;
    /// what follows them waits until they are on their way to the engine.
    fn act_on_messages(&mut self, id: ConnectionId, octets: &[u8]) -> usize {
        let mut run = UpdateRun::default();
        let mut at = 0;
        // Gone if a message ended it.
        while let Some(connection) = self.connection(id) {
            let codec = connection.codec.clone();
            let message_len_max = connection.message_len_max();
            // Until a message that may change what holds.
            loop {
                let rest = octets.get(at..).unwrap_or_default();
                let message = match whole_message(rest, message_len_max) {
                    Ok(Some(message)) => message,
                    Ok(None) => {
                        self.hand_over(id, run);
                        return at;
                    }
                    Err(invalid) => {
                        self.hand_over(id, run);
                        self.invalid(id, invalid);
                        return at;
                    }
                };
                at += message.len();
                let type_code = message[HEADER_LEN - 1];
                self.status.received.count(type_code);
                self.tap.received(message, self.clock);
                match &codec {
                    Some(codec) if type_code == MessageType::Update.code() => {
                        if let Err(invalid) = self.update(message, codec, &mut run) {
                            self.hand_over(id, run);
                            self.invalid(id, invalid);
                            return at;
                        }
                    }
                    _ => {
                        self.hand_over(id, std::mem::take(&mut run));
                        self.control(id, message);
                        break;
                    }
                }
            }
        }
        at
    }

    fn update(
        &mut self,
        message: &[u8],
        codec: &CodecContext,
        run: &mut UpdateRun,
    ) -> Result<(), Invalid> {
        run.messages += 1;
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        let before = run.batch.events.len();
        let result = decode_update(body, codec, &mut run.batch, &mut run.faults);
        if run.faults.is_empty() {
            return Ok(());
        }
        let reset = run
            .faults
            .pop_if(|fault| fault.disposition == Disposition::SessionReset);
        let events = run.batch.events.get(before..).unwrap_or_default();
        self.log_faults(message, &run.faults, events);
        run.faults.clear();
        result.map_err(|notification| Invalid {
            detail: reset.map_or_else(|| notification.to_string(), |fault| fault.to_string()),
            notification,
        })
    }

    /// Hands UPDATEs to the engine. Many of them are one sign of life.
    fn hand_over(&mut self, id: ConnectionId, run: UpdateRun) {
        if run.messages > 0 {
            self.say(SessionInput::Update(id));
        }
        if !run.batch.is_empty() {
            self.to_engine.push(Input::Updates {
                peer: self.id,
                batch: run.batch,
            });
        }
    }

    /// A message that is the session's matter, or has no place here.
    fn control(&mut self, conn: ConnectionId, message: &[u8]) {
        let input = match decode_message(message) {
            Ok(Message::Open(open)) => return self.open(conn, open, message),
            Ok(Message::Update(_)) => SessionInput::Update(conn),
            Ok(Message::Notification(notification)) => {
                SessionInput::Notification { conn, notification }
            }
            Ok(Message::Keepalive) => SessionInput::Keepalive(conn),
            Ok(Message::RouteRefresh(refresh)) => SessionInput::RouteRefresh { conn, refresh },
            Err(notification) => {
                let type_code = message.get(HEADER_LEN - 1).copied().unwrap_or_default();
                let name = type_name(type_code);
                let detail = format!("{name} of {} octets does not decode", message.len());
                return self.invalid(
                    conn,
                    Invalid {
                        notification,
                        detail,
                    },
                );
            }
        };
        self.say(input);
    }

    fn invalid(&mut self, conn: ConnectionId, invalid: Invalid) {
        self.say(SessionInput::Invalid {
            conn,
            notification: invalid.notification,
            detail: invalid.detail,
        });
    }

    /// RFC 7606 section 8 wants the routes in the log, and the whole message where it is asked for.
    fn log_faults(&mut self, message: &[u8], faults: &[Fault], events: &[RouteEvent]) {
        let Some(more) = self.fault_lines.allow(self.clock.now()) else {
            return;
        };
        let name = &self.settings.name;
        // What ends the session is told where it ends.
        if !faults.is_empty() {
            let faults = describe_faults(faults, events);
            warn!(peer = %name, "malformed UPDATE of peer {name}: {faults}{more}");
        }
        debug!(peer = %name, "malformed UPDATE of peer {name}, all of it: {message:02x?}");
    }
}

/// The first fault, as others often follow from it, and the first routes.
fn describe_faults(faults: &[Fault], events: &[RouteEvent]) -> String {
    let routes: Vec<&Nlri> = events
        .iter()
        .filter_map(|event| match event {
            RouteEvent::Reach { nlri, .. } | RouteEvent::Withdraw { nlri, .. } => Some(nlri),
            RouteEvent::EndOfRib(_) => None,
        })
        .collect();
    let mut text = String::new();
    if let Some(first) = faults.first() {
        text += &first.to_string();
    }
    match faults.len() {
        0 | 1 => {}
        2 => text += " and 1 more fault",
        count => text += &format!(" and {} more faults", count - 1),
    }
    for (place, nlri) in routes.iter().take(ROUTES_TOLD_MAX).enumerate() {
        text += if place == 0 { "; routes: " } else { ", " };
        text += &nlri.to_string();
    }
    if let Some(rest @ 1..) = routes.len().checked_sub(ROUTES_TOLD_MAX) {
        text += &format!(" and {rest} more");
    }
    text
}

/// UPDATEs that came one after the other.
#[derive(Default)]
struct UpdateRun {
    messages: usize,
    batch: UpdateBatch,
    faults: Vec<Fault>,
}

/// The first message, if it is whole.
fn whole_message(inbox: &[u8], message_len_max: usize) -> Result<Option<&[u8]>, Invalid> {
    let Some(header) = inbox.first_chunk() else {
        return Ok(None);
    };
    match frame_len(header, message_len_max) {
        Ok(len) => Ok(inbox.get(..len)),
        Err(notification) => Err(Invalid {
            detail: describe_header(header),
            notification,
        }),
    }
}

fn describe_header(header: &[u8; HEADER_LEN]) -> String {
    let [marker @ .., high, low, type_code] = header;
    if *marker != [0xff; 16] {
        return format!("the marker of a header is {marker:02x?}, not all ones");
    }
    let len = u16::from_be_bytes([*high, *low]);
    match MessageType::from_code(*type_code) {
        None => format!("a header has message type {type_code}"),
        Some(_) => format!("a header has length {len} for {}", type_name(*type_code)),
    }
}

fn type_name(type_code: u8) -> &'static str {
    match MessageType::from_code(type_code) {
        Some(MessageType::Open) => "OPEN",
        Some(MessageType::Update) => "UPDATE",
        Some(MessageType::Notification) => "NOTIFICATION",
        Some(MessageType::Keepalive) => "KEEPALIVE",
        Some(MessageType::RouteRefresh) => "ROUTE-REFRESH",
        None => "a message of unknown type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: u16, type_code: u8) -> Vec<u8> {
        let mut header = vec![0xff; 16];
        header.extend(len.to_be_bytes());
        header.push(type_code);
        header
    }

    #[test]
    fn a_message_is_taken_when_it_is_whole() {
        let mut inbox = header(23, 2);
        assert!(matches!(whole_message(&inbox[..18], 4096), Ok(None)));
        assert!(matches!(whole_message(&inbox, 4096), Ok(None)));
        inbox.extend([0; 10]);
        let message = whole_message(&inbox, 4096).ok().flatten();
        assert_eq!(message.map(<[u8]>::len), Some(23));
    }

    #[test]
    fn a_malformed_update_is_one_line_that_names_its_routes() {
        // ORIGIN 9, no AS_PATH, no NEXT_HOP.
        let describe = |prefixes: &[u8]| {
            let body = [&[0, 0, 0, 4, 0x40, 1, 1, 9], prefixes].concat();
            let (mut batch, mut faults) = (UpdateBatch::new(), Vec::new());
            decode_update(&body, &CodecContext::default(), &mut batch, &mut faults)
                .expect("the session goes on");
            describe_faults(&faults, &batch.events)
        };
        let first = "in ORIGIN: value 9 at byte 26 (treat-as-withdraw) and 2 more faults; routes: ";
        assert_eq!(describe(&[8, 10]), format!("{first}10.0.0.0/8"));
        assert_eq!(
            describe(&[8, 10, 8, 11, 8, 12, 8, 13, 8, 14]),
            format!("{first}10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8 and 2 more")
        );
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        let mut no_marker = header(19, 4);
        no_marker[3] = 0;
        for (inbox, codes, detail) in [
            (
                header(4097, 2),
                (1, 2),
                "a header has length 4097 for UPDATE",
            ),
            (
                header(20, 4),
                (1, 2),
                "a header has length 20 for KEEPALIVE",
            ),
            (header(19, 9), (1, 3), "a header has message type 9"),
            (
                no_marker,
                (1, 1),
                "the marker of a header is [ff, ff, ff, 00, ff, ff, ff, ff, ff, ff, ff, ff, ff, \
                 ff, ff, ff], not all ones",
            ),
        ] {
            let invalid = whole_message(&inbox, 4096).expect_err("it is wrong");
            let notification = invalid.notification;
            assert_eq!((notification.code, notification.subcode), codes);
            assert_eq!(invalid.detail, detail);
        }
    }
}
