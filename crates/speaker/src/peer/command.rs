//! What a peer's task is told by others: commands, and another configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use chanter_bgp::Family;
use chanter_bgp::session::{CloseCause, Hold, Input as SessionInput, StopMode};
use chanter_engine::Input;
use chanter_policy::LimitAction;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{Life, PeerTask};
use crate::settings::PeerSettings;
use crate::socket::{self, Side};
use crate::{Auth, Routes};

/// What a peer's task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// The peer has connected, from there.
    Accepted(TcpStream, SocketAddr),
    /// End the session with this text, and start anew.
    Reset(String),
    /// End the session with this text, until it is enabled.
    Shutdown(String),
    /// Undo a shutdown, and what a limit has done.
    Enable,
    /// Ask for the peer's routes again; no families: all.
    RefreshIn(Vec<Family>, Option<oneshot::Sender<Result<(), NotDone>>>),
    /// Send it ours again; no families: all.
    RefreshOut(Vec<Family>, oneshot::Sender<Result<(), NotDone>>),
    /// The peer has more routes than it may.
    PrefixLimit {
        /// Of this family.
        family: Family,
        /// It may have so many.
        limit: u32,
    },
    /// The peer is no longer wanted, for that reason: end the session and the task.
    Remove(&'static str),
    /// End the session and the task.
    Stop(StopMode),
}

/// Why a command was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDone {
    NotEstablished,
    NoRouteRefresh,
}

impl<R: Routes> PeerTask<R> {
    pub(super) fn command(&mut self, command: Command) {
        let name = &self.settings.name;
        match command {
            Command::Accepted(stream, remote) => self.accepted(stream, remote),
            Command::Reset(text) => self.say(SessionInput::Reset { text }),
            Command::Shutdown(text) => {
                info!(peer = %name, "peer {name} is shut down by an operator");
                self.holds.shutdown = Some(text);
                self.start_or_stop();
            }
            Command::Enable => {
                info!(peer = %name, "peer {name} is enabled by an operator");
                self.holds.shutdown = None;
                self.start_or_stop();
                if self.started {
                    // Ends the hold of a limit.
                    self.say(SessionInput::Start);
                }
            }
            Command::RefreshIn(families, reply) => {
                let result = self.refresh_in(&families);
                if let Some(reply) = reply {
                    // Who asked may have gone.
                    let _ = reply.send(result);
                }
            }
            Command::RefreshOut(families, reply) => {
                let _ = reply.send(self.refresh_out(families));
            }
            Command::PrefixLimit { family, limit } => self.prefix_limit(family, limit),
            Command::Remove(reason) => self.remove(reason),
            Command::Stop(mode) => self.stop(mode),
        }
    }

    /// Starts the session if nothing is against it, stops it if something is.
    pub(super) fn start_or_stop(&mut self) {
        let wanted = self.life == Life::Running && self.holds.reason().is_none();
        if wanted == self.started {
            return;
        }
        self.started = wanted;
        if wanted {
            self.say(SessionInput::Start);
            return;
        }
        let mode = match &self.holds.shutdown {
            Some(text) => StopMode::Cease { text: text.clone() },
            None => StopMode::Silent,
        };
        self.say(SessionInput::Stop(mode));
    }

    fn families(&self, wanted: Vec<Family>) -> Result<Vec<Family>, NotDone> {
        let (_, negotiated) = self.session.established().ok_or(NotDone::NotEstablished)?;
        let all = negotiated.families.iter();
        Ok(all
            .filter(|family| wanted.is_empty() || wanted.contains(family))
            .collect())
    }

    fn refresh_in(&mut self, families: &[Family]) -> Result<(), NotDone> {
        let families = self.families(families.to_vec())?;
        let understood = self
            .session
            .established()
            .is_some_and(|(_, negotiated)| negotiated.route_refresh);
        for family in families {
            self.say(SessionInput::Refresh(family));
        }
        if understood {
            Ok(())
        } else {
            Err(NotDone::NoRouteRefresh)
        }
    }

    /// To the engine it is as if the peer had asked.
    fn refresh_out(&mut self, families: Vec<Family>) -> Result<(), NotDone> {
        for family in self.families(families)? {
            self.to_engine.push(Input::RouteRefresh {
                peer: self.id,
                family,
            });
        }
        Ok(())
    }

    fn prefix_limit(&mut self, family: Family, limit: u32) {
        let action = self.settings.options.policy.max_prefixes.get(&family);
        let restart = match action.map(|limit| limit.action) {
            Some(LimitAction::Close { restart }) => restart,
            // It has been taken back while the order was on its way.
            Some(LimitAction::Warn) | None => return,
        };
        self.say(SessionInput::Close {
            cause: CloseCause::PrefixLimit { family, limit },
            hold: restart.map_or(Hold::UntilStarted, Hold::For),
        });
    }

    fn remove(&mut self, reason: &'static str) {
        if self.life != Life::Running {
            return;
        }
        let name = &self.settings.name;
        if self.session.established().is_some() {
            info!(peer = %name, "session with peer {name} ends: {reason}");
        }
        self.life = Life::Leaving { silently: false };
        self.say(SessionInput::Stop(StopMode::Deconfigured));
        self.forgotten();
    }

    pub(super) fn stop(&mut self, mode: StopMode) {
        if self.life == Life::Running {
            self.life = Life::Leaving {
                silently: mode == StopMode::Silent,
            };
            let restarts = self.settings.options.graceful_restart.is_some();
            let mode = match mode {
                // Who shall not keep our routes is told that they are gone.
                StopMode::Silent if !restarts => StopMode::Cease {
                    text: "stopped".to_owned(),
                },
                mode => mode,
            };
            self.say(SessionInput::Stop(mode));
        }
    }

    /// Other settings hold from now on.
    pub(super) fn reconfigure(&mut self) {
        let new = Arc::clone(&self.new_settings.borrow_and_update());
        let old = std::mem::replace(&mut self.settings, Arc::clone(&new));
        self.status.settings(&new);
        if let Some(remote) = &mut self.remote
            && new.name.interface().is_none()
        {
            remote.set_port(new.port);
        }
        if old.options.shutdown != new.options.shutdown {
            self.holds.shutdown.clone_from(&new.options.shutdown);
            self.start_or_stop();
        }
        self.change_keys(&old);
        let mut session = new.session.clone();
        session.seed = self.session.config().seed;
        let resets = old.session.change(&new.session);
        self.say(SessionInput::Configure(Box::new(session)));
        let because = old.changed_transport(&new).join(", ");
        let is_reset = matches!(resets, chanter_bgp::session::SessionChange::Reset { .. });
        if !because.is_empty() && !is_reset {
            self.say(SessionInput::Close {
                cause: CloseCause::ConfigurationChange { because },
                hold: Hold::No,
            });
        }
        if old.options.bfd != new.options.bfd || old.options.ttl != new.options.ttl {
            self.bfd.forget();
            self.watch_path();
            self.start_or_stop();
        }
        if old.options.policy != new.options.policy && self.session.established().is_some() {
            self.to_engine.push(Input::SetPolicy {
                peer: self.id,
                policy: Arc::clone(&new.options.policy),
            });
        }
    }

    /// Connections go on with new keys, where they had some before.
    fn change_keys(&mut self, old: &PeerSettings) {
        let (was, is) = (&old.options.auth, &self.settings.options.auth);
        if was == is || !was.same_kind(is) || *is == Auth::None {
            return;
        }
        for connection in &self.connections {
            let Ok(remote) = connection.stream.peer_addr() else {
                continue;
            };
            let prefix = chanter_types::Prefix::host(remote.ip());
            let result = socket::set_auth(&connection.stream, Side::Connected, prefix, was, is);
            if let Err(error) = result {
                let name = &self.settings.name;
                warn!(peer = %name, "connection of peer {name} keeps its old key: {error}");
            }
        }
    }

    /// Whether this is a peer from a range without a connection.
    pub(super) fn may_leave(&self) -> bool {
        self.settings.dynamic && self.life == Life::Running && !self.session.has_connections()
    }

    /// Nothing leads to this task any more: it ends when the engine knows.
    pub(super) fn leave(&mut self) {
        self.life = Life::Leaving { silently: false };
        self.forgotten();
    }

    fn forgotten(&mut self) {
        if self.known_to_engine {
            self.to_engine.push(Input::PeerRemoved { peer: self.id });
        }
        self.tap.removed(self.clock);
    }
}
