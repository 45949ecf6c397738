//! A session that is told what a peer sends, messages and breaks of connections in any order. The
//! first octet of a step says what happens: a message follows as its length, type and body.

#![no_main]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use chanter_bgp::session::{
    CloseCause, ConnectionId, Hold, Input, LocalAs, Offers, Output, RestartConfig, Session,
    SessionConfig, SessionTimes, State, StopMode,
};
use chanter_bgp::{
    AddPathMode, BgpRole, Family, FamilySet, MESSAGE_LEN_MAX, Message, decode_message,
};
use chanter_types::{Asn, Instant};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut now = Instant::from_secs(1000);
    let mut session = Session::new(config(), now);
    let mut shell = Shell::default();
    session.handle(Input::Start, now);
    let mut rest = octets;
    while let Some((step, tail)) = rest.split_first() {
        rest = tail;
        let conn = connection(step >> 4);
        match step & 15 {
            0 => session.handle(Input::Connected(conn), now),
            1 => {
                let id = ConnectionId::incoming(shell.accepted);
                shell.accepted += 1;
                shell.connections.insert(id);
                session.handle(Input::Accepted(id), now);
            }
            2 if shell.connections.remove(&conn) => {
                session.handle(Input::Closed { conn, error: None }, now);
            }
            3 => {
                now = session.next_deadline().map_or(now, |at| at.max(now));
                session.handle_deadline(now);
            }
            4 => now = now + Duration::from_secs(7),
            5 => session.handle(of_operator(step >> 4), now),
            _ => {
                let Some(input) = take_message(&mut rest, conn) else {
                    continue;
                };
                session.handle(input, now);
            }
        }
        shell.carry_out(&mut session);
        shell.check(&session);
    }
});

fn config() -> SessionConfig {
    let families = [Family::IPV4_UNICAST, Family::L2VPN_EVPN];
    SessionConfig {
        local_as: LocalAs::Fixed(Asn(64512)),
        router_id: Ipv4Addr::new(10, 0, 0, 5),
        remote_as: None,
        passive: false,
        hold_time: Duration::from_secs(90),
        families: FamilySet::from(families),
        graceful_restart: Some(RestartConfig {
            restart_time: Duration::from_secs(120),
            restarting_until: None,
            notification: true,
        }),
        offers: Offers {
            add_path: families.map(|family| (family, AddPathMode::Both)).to_vec(),
            extended_next_hop: FamilySet::from([Family::IPV4_UNICAST]),
            long_lived: families
                .map(|family| (family, Duration::from_secs(600)))
                .to_vec(),
            role: Some(BgpRole::Provider),
            ..Offers::default()
        },
        collision_detect_established: false,
        times: SessionTimes::default(),
        seed: 1,
    }
}

fn connection(which: u8) -> ConnectionId {
    let number = u32::from(which >> 1);
    if which & 1 == 0 {
        ConnectionId::outgoing(number)
    } else {
        ConnectionId::incoming(number)
    }
}

fn of_operator(which: u8) -> Input {
    let family = Family::L2VPN_EVPN;
    let limit = |hold| Input::Close {
        cause: CloseCause::PrefixLimit { family, limit: 1 },
        hold,
    };
    let mut other = config();
    match which {
        0 => Input::Start,
        1 => Input::Stop(StopMode::Silent),
        2 => Input::Stop(StopMode::Deconfigured),
        3 => limit(Hold::UntilStarted),
        4 => limit(Hold::For(Duration::from_secs(60))),
        5 => Input::Refresh(family),
        6 => {
            other.hold_time = Duration::from_secs(9);
            Input::Configure(Box::new(other))
        }
        7 => {
            other.offers = Offers::default();
            Input::Configure(Box::new(other))
        }
        _ => Input::Reset {
            text: String::new(),
        },
    }
}

/// A message of two octets of length, its type, and its body, without a marker.
fn take_message(rest: &mut &[u8], conn: ConnectionId) -> Option<Input> {
    let (&[a, b, code], tail) = rest.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([a, b])).min(tail.len());
    let (body, tail) = tail.split_at(len);
    *rest = tail;
    let mut message = vec![0xff; 16];
    let total = u16::try_from(19 + body.len()).ok()?;
    message.extend(total.to_be_bytes());
    message.push(code);
    message.extend(body);
    Some(match decode_message(&message) {
        Ok(Message::Open(open)) => Input::Open { conn, open },
        Ok(Message::Update(_)) => Input::Update(conn),
        Ok(Message::Keepalive) => Input::Keepalive(conn),
        Ok(Message::Notification(notification)) => Input::Notification { conn, notification },
        Ok(Message::RouteRefresh(refresh)) => Input::RouteRefresh { conn, refresh },
        Err(notification) => Input::Invalid {
            conn,
            notification,
            detail: String::new(),
        },
    })
}

/// What a shell knows of the session.
#[derive(Default)]
struct Shell {
    connections: BTreeSet<ConnectionId>,
    established: Option<ConnectionId>,
    accepted: u32,
}

impl Shell {
    fn carry_out(&mut self, session: &mut Session) {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Connect(id) => assert!(self.connections.insert(id)),
                Output::Send { conn, message } => {
                    assert!(self.connections.contains(&conn));
                    let mut out = Vec::new();
                    message.encode(&mut out);
                    assert!(out.len() <= MESSAGE_LEN_MAX && decode_message(&out).is_ok());
                }
                Output::Close(conn) => assert!(self.connections.remove(&conn)),
                Output::Up { conn, negotiated } => {
                    assert_eq!(self.established.replace(conn), None);
                    let codec = negotiated.codec_context();
                    let families = codec.add_path_receive.iter();
                    assert!(families.into_iter().all(|f| codec.families.contains(f)));
                }
                Output::Down(down) => {
                    assert!(self.established.take().is_some());
                    let _ = down.reason.to_string();
                }
                Output::AttemptFailed { reason, .. } => {
                    let _ = reason.to_string();
                }
                _ => {}
            }
        }
    }

    fn check(&self, session: &Session) {
        assert!(self.connections.len() <= 2);
        assert_eq!(session.has_connections(), !self.connections.is_empty());
        let established = session.established().map(|(conn, _)| conn);
        assert_eq!(established, self.established);
        assert_eq!(session.state() == State::Established, established.is_some());
    }
}
