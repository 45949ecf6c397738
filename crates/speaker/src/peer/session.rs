//! Carries out what the session says: connections come and go, it is up and down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chanter_bgp::notification;
use chanter_bgp::session::{
    ConnectionId, ControlMessage, Direction, Down, DownReason, Input as SessionInput, Negotiated,
    Output,
};
use chanter_bgp::{Capability, OpenMessage};
use chanter_engine::{Input, PeerRole, SessionInfo};
use chanter_types::Asn;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::connection::Connection;
use super::{CLOSING_MAX, Life, PeerTask};
use crate::Routes;
use crate::settings::PeerSettings;
use crate::socket::{self, Route, Tuning, is_link_local};

impl<R: Routes> PeerTask<R> {
    pub(super) fn carry_out(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(id) => self.connect(id),
                Output::Send { conn, message } => self.send(conn, &message),
                Output::Close(id) => self.close(id),
                Output::Up { conn, negotiated } => self.up(conn, &negotiated),
                Output::Down(down) => self.down(&down),
                Output::AttemptFailed { reason, retry_in } => {
                    self.attempt_failed(&reason, retry_in)
                }
                Output::CollisionLost(id) => self.status.collision_lost(id),
                Output::RouteRefresh(family) => self.to_engine.push(Input::RouteRefresh {
                    peer: self.id,
                    family,
                }),
                Output::BeginOfRefresh(family) => self.to_engine.push(Input::BeginOfRefresh {
                    peer: self.id,
                    family,
                }),
                Output::EndOfRefresh(family) => self.to_engine.push(Input::EndOfRefresh {
                    peer: self.id,
                    family,
                }),
                Output::RefreshIgnored { refresh, because } => {
                    let name = &self.settings.name;
                    debug!(peer = %name, "{refresh} of peer {name} ignored: {because}");
                }
                Output::RefreshNotUnderstood(family) => {
                    let name = &self.settings.name;
                    warn!(
                        peer = %name,
                        "peer {name} has no route refresh: a change of what is taken from it in \
                         {family} needs a reset of the session"
                    );
                }
            }
        }
    }

    fn send(&mut self, id: ConnectionId, message: &ControlMessage) {
        let mut octets = Vec::new();
        message.encode(&mut octets);
        let octets = Bytes::from(octets);
        let keeps = self.tap.is_on();
        if let Some(connection) = self.connection(id) {
            connection
                .outbox
                .push_session(|out| out.extend_from_slice(&octets));
            if let ControlMessage::Open(open) = message {
                connection.own_open = Some(open.clone());
                if keeps {
                    connection.opens.0 = octets.clone();
                }
            }
            self.tap.sent(&octets, self.clock);
        }
    }

    /// The peer's OPEN. Whether there is room for it is known now, and whether it is of the right
    /// AS.
    pub(super) fn open(&mut self, conn: ConnectionId, open: OpenMessage, message: &[u8]) {
        if self.tap.is_on()
            && let Some(connection) = self.connection(conn)
        {
            connection.opens.1 = Bytes::copy_from_slice(message);
        }
        let asn = asn_of(&open);
        if self.settings.refuses_as(asn) {
            return self.say(SessionInput::Invalid {
                conn,
                notification: notification::open_error(notification::open::BAD_PEER_AS, Vec::new()),
                detail: format!("its AS is {asn}, which is ours; configured is external"),
            });
        }
        if self.is_stranger
            && let Err(refused) = self.registry.identify(&self.settings.name, self.id)
        {
            return self.say(SessionInput::Invalid {
                conn,
                notification: notification::cease(notification::cease::CONNECTION_REJECTED),
                detail: refused.to_string(),
            });
        }
        self.say(SessionInput::Open { conn, open });
    }

    fn tuning(&self) -> Tuning {
        let (hops, hops_min) = self.settings.hops(self.settings.is_external());
        Tuning {
            user_timeout: self.settings.session.times.send_hold,
            hops,
            hops_min,
            mss: self.settings.options.mss,
        }
    }

    fn connect(&mut self, id: ConnectionId) {
        let Some(remote) = self.remote else {
            return self.say(SessionInput::ConnectFailed {
                conn: id,
                error: "its address is not known".to_owned(),
            });
        };
        let options = &self.settings.options;
        let local = options.local_addr;
        let route = Route {
            remote,
            // Towards a link-local address the kernel knows better.
            local: local.filter(|local| is_link_local(*local) || !is_link_local(remote.ip())),
            device: options.device.clone(),
            auth: options.auth.clone(),
            tuning: self.tuning(),
        };
        self.connecting
            .start(async move { (id, socket::connect(route).await) });
    }

    pub(super) fn connected(&mut self, id: ConnectionId, result: io::Result<TcpStream>) {
        match result {
            Ok(stream) => {
                self.connections.push(Connection::new(id, stream));
                self.say(SessionInput::Connected(id));
            }
            Err(error) => self.say(SessionInput::ConnectFailed {
                conn: id,
                error: error.to_string(),
            }),
        }
    }

    pub(super) fn accepted(&mut self, stream: TcpStream, remote: SocketAddr) {
        let tuning = self.tuning();
        if let (Some(ttl), Some(least)) = (socket::ttl_of_syn(&stream), tuning.hops_min)
            && ttl < least
        {
            // RFC 5082 section 3: what comes from too far is dropped.
            let line = self.fault_lines.allow(self.clock.now());
            return self.status.too_far(ttl, least, line);
        }
        self.heard_from(remote);
        if let Err(error) = socket::tune(&stream, &tuning) {
            // It was closed again already.
            let name = &self.settings.name;
            debug!(peer = %name, "connection of peer {name} is gone: {error}");
            return;
        }
        self.look_for_the_end();
        let id = ConnectionId::incoming(self.next_incoming);
        self.next_incoming = self.next_incoming.wrapping_add(1);
        self.connections.push(Connection::new(id, stream));
        self.say(SessionInput::Accepted(id));
    }

    /// A peer that connects anew may have closed its old connection just before: that is no
    /// collision. Where routes may not be read, as the engine is busy, or there are many, a look has
    /// to do: what it said last would be forgotten with the old session anyway.
    fn look_for_the_end(&mut self) {
        for id in self.connection_ids() {
            if self.to_engine.is_empty() {
                self.receive(id);
            }
            let Some(connection) = self.connection(id) else {
                continue;
            };
            if let Err(error) = socket::look(&connection.stream) {
                self.connection_gone(id, error);
            } else if socket::is_closed_by_peer(&connection.stream) {
                self.connection_gone(id, None);
            }
        }
    }

    fn attempt_failed(&mut self, reason: &DownReason, retry_in: Option<Duration>) {
        let is_stranger = self.is_stranger;
        let (registry, now) = (&self.registry, self.clock.now());
        let options = &self.settings.options;
        self.status.attempt_failed(reason, retry_in, options, || {
            if is_stranger {
                registry.stranger_line(now)
            } else {
                Some(String::new())
            }
        });
    }

    /// The connection ended by itself.
    pub(super) fn connection_gone(&mut self, id: ConnectionId, error: Option<String>) {
        let before = self.connections.len();
        self.connections.retain(|connection| connection.id != id);
        if self.connections.len() < before {
            self.say(SessionInput::Closed { conn: id, error });
        }
    }

    /// The session is done with a connection.
    fn close(&mut self, id: ConnectionId) {
        let at = self
            .connections
            .iter()
            .position(|connection| connection.id == id);
        match at {
            Some(at) => {
                let connection = self.connections.remove(at);
                if self.closing.len() < CLOSING_MAX {
                    self.closing.spawn(connection.finish());
                }
            }
            None if id.direction == Direction::Outgoing => self.connecting.cancel(),
            None => {}
        }
    }

    fn up(&mut self, conn: ConnectionId, negotiated: &Negotiated) {
        self.is_stranger = false;
        self.known_to_engine = true;
        let Some(at) = self.connections.iter().position(|c| c.id == conn) else {
            return;
        };
        let connection = &mut self.connections[at];
        connection.codec = Some(negotiated.codec_context());
        let addrs = connection.addrs();
        let opens = std::mem::take(&mut connection.opens);
        let own_open = connection.own_open.take();
        self.tap
            .up(&connection.stream, negotiated, opens, self.clock);
        if self.remote.is_none() {
            self.remote = Some(SocketAddr::new(addrs.1.ip(), self.settings.port));
            self.watch_path();
        }
        let info = session_info(&self.settings, addrs, negotiated);
        self.status
            .up(&self.settings, addrs, negotiated, own_open.as_ref());
        self.to_engine.push(Input::PeerUp {
            peer: self.id,
            session: Box::new(info),
        });
    }

    fn down(&mut self, down: &Down) {
        self.pulling.cancel();
        self.retained_until = self.clock.now() + down.retain_time;
        self.status.down(down);
        self.tap.down(&down.reason, self.clock);
        // A stop that shall not show tells the engine nothing either: what it has programmed stays.
        if self.life != (Life::Leaving { silently: true }) {
            self.to_engine.push(Input::PeerDown {
                peer: self.id,
                retain: down.retain.clone(),
                restart_time: down.restart_time,
            });
        }
    }
}

/// `addrs`: ours, the peer's.
fn session_info(
    settings: &PeerSettings,
    (local, remote): (SocketAddr, SocketAddr),
    negotiated: &Negotiated,
) -> SessionInfo {
    let options = &settings.options;
    let restart = negotiated.peer_restart.as_ref();
    let role = match (negotiated.ebgp(), options.role_client) {
        (true, _) => PeerRole::Ebgp,
        (false, true) => PeerRole::RouteReflectorClient,
        (false, false) => PeerRole::Ibgp,
    };
    SessionInfo {
        families: negotiated.families.iter().collect(),
        four_octet_as: negotiated.four_octet_as,
        message_len_max: negotiated.message_len_max,
        // RFC 4724 section 2: who has the capability marks the end in all families.
        end_of_rib: match restart {
            Some(_) => negotiated.families.iter().collect(),
            None => Vec::new(),
        },
        forwarding_preserved: restart
            .map(|restart| restart.forwarding_preserved.iter().collect())
            .unwrap_or_default(),
        route_refresh: negotiated.route_refresh,
        enhanced_refresh: negotiated.enhanced_refresh,
        add_path_receive: negotiated.add_path_receive.iter().collect(),
        add_path_send: negotiated.add_path_send.iter().collect(),
        add_path_limit: options.add_path_limit,
        extended_next_hop: negotiated.extended_next_hop.iter().collect(),
        local_link_local: socket::local_link_local(local.ip(), remote.ip()),
        bgp_role: options.bgp_role.filter(|_| negotiated.ebgp()),
        long_lived: negotiated.peer_long_lived.clone(),
        policy: Arc::clone(&options.policy),
        ..SessionInfo::new(
            (remote.ip(), local.ip()),
            (negotiated.peer_as, negotiated.local_as),
            negotiated.peer_router_id,
            role,
        )
    }
}

/// The AS that an OPEN names (RFC 6793 section 4.1).
fn asn_of(open: &OpenMessage) -> Asn {
    let four_octets = open
        .capabilities
        .iter()
        .find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        });
    four_octets.unwrap_or(open.asn)
}
