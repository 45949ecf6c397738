//! A copy of what goes over sessions, for BMP (RFC 7854) and MRT (RFC 6396).
//!
//! The one who records makes a [`MessageTap::channel`], puts the tap into
//! [`SpeakerConfig::tap`](crate::SpeakerConfig::tap) and takes [`TapEvent`]s from the receiver. A
//! session never waits for it: what does not fit into the channel is dropped and counted
//! ([`MessageTap::dropped`]). Of each peer the events are in order; [`TapEvent::lost_before`] says
//! where some are missing, so that a recorder can mark the gap.
//!
//! What is copied can change at any time ([`MessageTap::set_wants`]), so that a tap can be there always:
//! while nobody wants messages it costs nothing. Who comes late asks for the sessions that there are
//! ([`MessageTap::session`]).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use chanter_bgp::session::{DownReason, State};
use chanter_engine::PeerId;
use chanter_types::Asn;
use tokio::sync::mpsc;

use crate::PeerAddr;

/// A place to which sessions copy what they see. Clones are taps of the same receiver.
#[derive(Debug, Clone)]
pub struct MessageTap {
    sender: mpsc::Sender<TapEvent>,
    dropped: Arc<AtomicU64>,
    wants: Arc<SharedWants>,
    sessions: Arc<Mutex<BTreeMap<PeerId, TapSession>>>,
}

#[derive(Debug)]
struct SharedWants {
    received: AtomicBool,
    sent: AtomicBool,
}

/// Two taps are equal if they lead to the same receiver.
impl PartialEq for MessageTap {
    fn eq(&self, other: &Self) -> bool {
        self.sender.same_channel(&other.sender)
    }
}

/// Which messages are copied; state changes, OPENs and ends of sessions always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TapWants {
    /// Those that peers send.
    pub received: bool,
    /// Those that peers are sent.
    pub sent: bool,
}

impl MessageTap {
    /// A tap and its receiver, which holds up to `capacity` events. An event is a message of up to
    /// 64 KiB, though most are far smaller.
    pub fn channel(capacity: usize, wants: TapWants) -> (MessageTap, mpsc::Receiver<TapEvent>) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let tap = MessageTap {
            sender,
            dropped: Arc::default(),
            wants: Arc::new(SharedWants {
                received: AtomicBool::new(wants.received),
                sent: AtomicBool::new(wants.sent),
            }),
            sessions: Arc::default(),
        };
        (tap, receiver)
    }

    /// How many events were dropped so far, of all peers.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// From now on these messages are copied.
    pub fn set_wants(&self, wants: TapWants) {
        self.wants.received.store(wants.received, Ordering::Relaxed);
        self.wants.sent.store(wants.sent, Ordering::Relaxed);
    }

    pub(crate) fn wants(&self) -> TapWants {
        TapWants {
            received: self.wants.received.load(Ordering::Relaxed),
            sent: self.wants.sent.load(Ordering::Relaxed),
        }
    }

    /// The last session of a peer that is configured: known before the engine hears of it.
    pub fn session(&self, peer: PeerId) -> Option<TapSession> {
        self.lock().get(&peer).cloned()
    }

    /// The last session of every peer that had one and is configured.
    pub fn sessions(&self) -> Vec<TapSession> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, TapSession>> {
        // Every critical section leaves the map whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what late comers ask for. Whoever is told by the engine finds it here.
    pub(crate) fn note(&self, event: &TapEvent) {
        let mut sessions = self.lock();
        match &event.what {
            TapWhat::Up {
                sent_open,
                received_open,
            } => {
                let before = sessions.remove(&event.peer.id);
                let session = TapSession {
                    peer: Arc::clone(&event.peer),
                    since: event.at,
                    opens: (sent_open.clone(), received_open.clone()),
                    is_up: true,
                    last_end: before.and_then(|before| before.last_end),
                };
                sessions.insert(event.peer.id, session);
            }
            TapWhat::Down { reason } => {
                if let Some(session) = sessions.get_mut(&event.peer.id) {
                    session.is_up = false;
                    session.last_end = Some(Arc::new((**reason).clone()));
                }
            }
            TapWhat::Removed => {
                sessions.remove(&event.peer.id);
            }
            TapWhat::Message { .. } | TapWhat::State { .. } => {}
        }
    }

    /// Says whether it was taken.
    pub(crate) fn offer(&self, event: TapEvent) -> bool {
        let taken = self.sender.try_send(event).is_ok();
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// The last session of a peer.
#[derive(Debug, Clone)]
pub struct TapSession {
    /// The peer as its connection shows it.
    pub peer: Arc<TapPeer>,
    /// When it was Established.
    pub since: SystemTime,
    /// Our OPEN and the peer's, with their headers.
    pub opens: (Bytes, Bytes),
    /// Whether it still is.
    pub is_up: bool,
    /// Why it ended, or the one before it.
    pub last_end: Option<Arc<DownReason>>,
}

/// Something that happened on a session.
#[derive(Debug, Clone)]
pub struct TapEvent {
    /// Whose.
    pub peer: Arc<TapPeer>,
    /// When.
    pub at: SystemTime,
    /// So many events of this peer were dropped just before.
    pub lost_before: u64,
    /// What.
    pub what: TapWhat,
}

/// A peer, as its connection shows it: what the headers of BMP and MRT are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapPeer {
    /// The peer in the engine.
    pub id: PeerId,
    /// What it is called in the configuration.
    pub name: PeerAddr,
    /// Its address and port; those of the last connection where there is none, unspecified before
    /// the first.
    pub remote: SocketAddr,
    /// Ours, likewise.
    pub local: SocketAddr,
    /// Its AS; 0 before its OPEN.
    pub peer_as: Asn,
    /// Our AS on the session; 0 before our OPEN.
    pub local_as: Asn,
    /// Its BGP identifier; 0.0.0.0 before its OPEN.
    pub router_id: Ipv4Addr,
    /// Whether AS numbers in UPDATEs have four octets.
    pub four_octet_as: bool,
    /// Whether path identifiers are in received UPDATEs of any family (RFC 7911).
    pub add_path_receive: bool,
    /// Whether path identifiers are in sent UPDATEs of any family.
    pub add_path_send: bool,
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TapDirection {
    /// From the peer.
    Received,
    /// To the peer; when it is handed to TCP.
    Sent,
}

/// What happened on a session.
#[derive(Debug, Clone)]
pub enum TapWhat {
    /// A whole message with its header.
    Message {
        /// Which way.
        direction: TapDirection,
        /// The octets.
        octets: Bytes,
    },
    /// The state of the session changed.
    State {
        /// From.
        old: State,
        /// To.
        new: State,
    },
    /// The session is Established.
    Up {
        /// Our OPEN, with its header.
        sent_open: Bytes,
        /// The peer's.
        received_open: Bytes,
    },
    /// The session is no longer Established.
    Down {
        /// Why.
        reason: Box<DownReason>,
    },
    /// The peer is no longer configured, or has left its range for good.
    Removed,
}
