//! One BFD session (RFC 5880 section 6.8), without I/O.
//!
//! ```text
//!                  +------+
//!   AdminDown, ... |      |  Down                    what is received is on the arrows,
//!              .-->| Down |------------> Init        "timer" is the detection time
//!              |   |      |<-------------  |
//!   Down,      |   +------+ AdminDown,     | Init, Up
//!   AdminDown, |      | Init  timer        v
//!   timer      |      '------------------> Up
//!              '----------------------------'
//! ```
//!
//! The shell hands packets to [`Session::receive`], calls [`Session::handle_deadline`] when
//! [`Session::next_deadline`] has come, and sends what [`Session::poll_transmit`] gives until that
//! is `None`. [`Session::poll_transition`] tells what changed.

use std::time::Duration;

use chanter_types::Instant;

use crate::packet::{BfdState, Diagnostic, Discard, Packet, micros};
use crate::random::Random;

/// While a session is not Up it does not send more often (RFC 5880 section 6.8.3).
const SLOW_INTERVAL: u32 = 1_000_000;

/// Between a packet and one that is sent ahead of the timer, because what is to be said has changed
/// (section 6.8.7). On a path that reorders packets, a late one may look like a change at the peer:
/// without a pause both ends would answer each other's answers, ever faster.
const CHANGE_GAP: Duration = Duration::from_millis(20);

/// How fast a session is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How often we would like to send, once Up, in microseconds.
    pub min_tx: u32,
    /// How often we are able to receive, in microseconds.
    pub min_rx: u32,
    /// How many packets in a row may be lost.
    pub multiplier: u8,
}

impl Timers {
    /// From durations; the multiplier is at least 1.
    pub fn new(min_tx: Duration, min_rx: Duration, multiplier: u8) -> Self {
        Self {
            min_tx: micros(min_tx),
            min_rx: micros(min_rx),
            multiplier: multiplier.max(1),
        }
    }
}

/// A change of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: BfdState,
    /// The state since.
    pub to: BfdState,
    /// Why, if it left Up.
    pub diagnostic: Diagnostic,
}

/// What the peer says of itself: the bfd.Remote variables (section 6.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// Its number of the session; zero: not heard.
    pub discriminator: u32,
    /// The state there.
    pub state: BfdState,
    /// Why it last left Up there.
    pub diagnostic: Diagnostic,
    /// It wants no periodic packets once both ends are Up.
    pub demand: bool,
    /// How often it is able to receive.
    pub min_rx: u32,
    /// How often it would like to send.
    pub min_tx: u32,
    /// Its detection multiplier.
    pub multiplier: u8,
}

impl Remote {
    /// Not heard (section 6.8.1).
    const UNKNOWN: Self = Self {
        discriminator: 0,
        state: BfdState::Down,
        diagnostic: Diagnostic::NONE,
        demand: false,
        min_rx: 1,
        min_tx: 0,
        multiplier: 0,
    };
}

/// A Poll Sequence (section 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    Off,
    Running,
    /// Parameters changed again meanwhile: the answer may be about those before.
    RunningAndAgain,
}

/// One BFD session.
#[derive(Debug, Clone)]
pub struct Session {
    discriminator: u32,
    timers: Timers,
    state: BfdState,
    diagnostic: Diagnostic,
    remote: Remote,
    /// bfd.DesiredMinTxInterval, as advertised.
    desired_min_tx: u32,
    /// What we really send at: lags behind an increase until the peer has confirmed it.
    tx_in_use: u32,
    /// What we detect with: lags behind a decrease until the peer has confirmed it.
    rx_in_use: u32,
    poll: Poll,
    final_due: bool,
    /// Send without waiting for the timer: what is to be said has changed.
    changed: bool,
    /// The timer has run out.
    due: bool,
    transmit_at: Instant,
    /// The last periodic packet, and the part of the interval that jitter leaves.
    sent_at: Option<Instant>,
    heard_at: Option<Instant>,
    transition: Option<Transition>,
    random: Random,
}

impl Session {
    /// A session that begins Down. `discriminator` is not zero and no other session's.
    pub fn new(discriminator: u32, timers: Timers, seed: u64, now: Instant) -> Self {
        let mut session = Self {
            discriminator,
            timers,
            state: BfdState::Down,
            diagnostic: Diagnostic::NONE,
            remote: Remote::UNKNOWN,
            desired_min_tx: timers.min_tx.max(SLOW_INTERVAL),
            tx_in_use: timers.min_tx.max(SLOW_INTERVAL),
            rx_in_use: timers.min_rx,
            poll: Poll::Off,
            final_due: false,
            changed: false,
            due: false,
            transmit_at: now,
            sent_at: None,
            heard_at: None,
            transition: None,
            random: Random::new(seed),
        };
        // Hundreds of sessions that are made together do not speak together.
        let spread = Duration::from_micros(session.random.next() % u64::from(SLOW_INTERVAL / 10));
        session.transmit_at = now + spread;
        session
    }

    /// Our number of the session.
    pub fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// The state.
    pub fn state(&self) -> BfdState {
        self.state
    }

    /// Why it last left Up.
    pub fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// What the peer says of itself.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The interval at which periodic packets go out, before jitter; `None`: none do.
    pub fn transmit_interval(&self) -> Option<Duration> {
        self.is_periodic().then(|| {
            let interval = self.tx_in_use.max(self.remote.min_rx);
            Duration::from_micros(u64::from(interval))
        })
    }

    /// After how long without a packet the session fails (section 6.8.4); `None`: the peer is not
    /// heard.
    pub fn detection_time(&self) -> Option<Duration> {
        self.heard_at?;
        let interval = u64::from(self.rx_in_use.max(self.remote.min_tx));
        Some(Duration::from_micros(
            interval * u64::from(self.remote.multiplier),
        ))
    }

    /// After how long without a packet of ours the peer fails.
    pub fn peer_detection_time(&self) -> Duration {
        let interval = u64::from(self.tx_in_use.max(self.remote.min_rx));
        Duration::from_micros(interval * u64::from(self.timers.multiplier))
    }

    /// When [`Session::handle_deadline`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let transmit = self.is_periodic().then(|| match self.changed {
            true => self.transmit_at.min(self.change_at()),
            false => self.transmit_at,
        });
        transmit.into_iter().chain(self.detect_at()).min()
    }

    /// Takes a packet that was found to be this session's.
    ///
    /// # Errors
    /// [`Discard`]: the packet changes nothing.
    pub fn receive(&mut self, packet: &Packet, now: Instant) -> Result<(), Discard> {
        if let Some(authentication) = packet.authentication {
            return Err(Discard::Authenticated(authentication));
        }
        let interval_before = self.transmit_interval();
        self.remote = Remote {
            discriminator: packet.my_discriminator,
            state: packet.state,
            diagnostic: packet.diagnostic,
            demand: packet.demand,
            min_rx: packet.required_min_rx,
            min_tx: packet.desired_min_tx,
            multiplier: packet.detect_mult,
        };
        if packet.is_final {
            self.poll_answered();
        }
        if self.state == BfdState::AdminDown {
            self.reschedule(interval_before, now);
            return Err(Discard::AdminDown);
        }
        self.heard_at = Some(now);
        self.follow(packet.state);
        if packet.poll {
            self.final_due = true;
        }
        self.reschedule(interval_before, now);
        Ok(())
    }

    /// The state machine (section 6.8.6).
    fn follow(&mut self, remote: BfdState) {
        use BfdState::{AdminDown, Down, Init, Up};
        match (self.state, remote) {
            (Down, Down) => self.enter(Init, None),
            (Down, Init) | (Init, Init | Up) => self.enter(Up, None),
            (Init | Up, AdminDown) | (Up, Down) => {
                self.enter(Down, Some(Diagnostic::NEIGHBOR_SIGNALED_DOWN));
            }
            (Down, AdminDown | Up) | (Init, Down) | (Up, Init | Up) | (AdminDown, _) => {}
        }
    }

    /// Does what is due: periodic packets, and the end of the detection time.
    pub fn handle_deadline(&mut self, now: Instant) {
        if self.detect_at().is_some_and(|at| at <= now) {
            let interval_before = self.transmit_interval();
            // Section 6.8.1: whoever is not heard is forgotten, and may have become another.
            self.remote = Remote {
                diagnostic: self.remote.diagnostic,
                ..Remote::UNKNOWN
            };
            self.heard_at = None;
            self.poll = Poll::Off;
            if matches!(self.state, BfdState::Init | BfdState::Up) {
                self.enter(BfdState::Down, Some(Diagnostic::DETECTION_TIME_EXPIRED));
            }
            self.reschedule(interval_before, now);
        }
        self.due |= self.is_periodic() && self.transmit_at <= now;
    }

    /// The next packet to send at once.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Packet> {
        if std::mem::take(&mut self.final_due) {
            // It says all that a periodic packet would, unless that is to be a question.
            self.changed &= self.poll != Poll::Off;
            return Some(self.packet(false, true));
        }
        let may_send = self.due || (self.changed && self.change_at() <= now);
        if !may_send || !self.is_periodic() {
            return None;
        }
        (self.due, self.changed) = (false, false);
        self.sent_at = Some(now);
        self.transmit_at = now + self.jittered_interval();
        Some(self.packet(self.poll != Poll::Off, false))
    }

    /// What changed since the last call. Of several changes in between, the first state and the
    /// last.
    pub fn poll_transition(&mut self) -> Option<Transition> {
        self.transition
            .take()
            .filter(|transition| transition.from != transition.to)
    }

    /// Changes the speed, while Up by a Poll Sequence (section 6.8.3).
    pub fn set_timers(&mut self, timers: Timers, now: Instant) {
        let interval_before = self.transmit_interval();
        let rx_before = std::mem::replace(&mut self.timers, timers).min_rx;
        if timers.min_rx != rx_before {
            let at_once = self.state != BfdState::Up || timers.min_rx > self.rx_in_use;
            if at_once {
                self.rx_in_use = timers.min_rx;
            }
            self.start_poll();
        }
        self.advertise_tx();
        self.reschedule(interval_before, now);
    }

    /// Takes the session down by our operator's will; packets go on, to say so.
    pub fn take_down(&mut self, now: Instant) {
        let interval_before = self.transmit_interval();
        self.enter(BfdState::AdminDown, Some(Diagnostic::ADMINISTRATIVELY_DOWN));
        // No detection is running while AdminDown.
        self.heard_at = None;
        self.reschedule(interval_before, now);
    }

    /// Ends [`Session::take_down`]: the session begins anew.
    pub fn bring_up(&mut self) {
        if self.state == BfdState::AdminDown {
            self.enter(BfdState::Down, None);
        }
    }

    fn enter(&mut self, state: BfdState, diagnostic: Option<Diagnostic>) {
        if state == self.state {
            return;
        }
        if let Some(diagnostic) = diagnostic {
            self.diagnostic = diagnostic;
        } else if state == BfdState::Up {
            self.diagnostic = Diagnostic::NONE;
        }
        let from = self.transition.map_or(self.state, |pending| pending.from);
        self.transition = Some(Transition {
            from,
            to: state,
            diagnostic: self.diagnostic,
        });
        self.state = state;
        self.changed = true;
        self.advertise_tx();
        if state != BfdState::Up {
            self.tx_in_use = self.desired_min_tx;
            self.rx_in_use = self.timers.min_rx;
        }
    }

    /// Sets bfd.DesiredMinTxInterval to what the state and the timers ask for.
    fn advertise_tx(&mut self) {
        let wanted = match self.state {
            BfdState::Up => self.timers.min_tx,
            _ => self.timers.min_tx.max(SLOW_INTERVAL),
        };
        if wanted == self.desired_min_tx {
            return;
        }
        self.desired_min_tx = wanted;
        if self.state != BfdState::Up || wanted < self.tx_in_use {
            self.tx_in_use = wanted;
        }
        self.start_poll();
    }

    fn start_poll(&mut self) {
        // Who is not heard cannot answer, and learns the parameters from our next packet.
        if self.remote.discriminator == 0 {
            return;
        }
        self.poll = match self.poll {
            Poll::Off => Poll::Running,
            Poll::Running | Poll::RunningAndAgain => Poll::RunningAndAgain,
        };
        self.changed = true;
    }

    fn poll_answered(&mut self) {
        match self.poll {
            Poll::Off => {}
            Poll::Running => {
                self.poll = Poll::Off;
                self.tx_in_use = self.desired_min_tx;
                self.rx_in_use = self.timers.min_rx;
            }
            Poll::RunningAndAgain => {
                self.poll = Poll::Running;
                self.changed = true;
            }
        }
    }

    /// Whether packets go out by the timer (section 6.8.7).
    fn is_periodic(&self) -> bool {
        let demanded = self.remote.demand
            && self.state == BfdState::Up
            && self.remote.state == BfdState::Up
            && self.poll == Poll::Off;
        self.remote.min_rx != 0 && !demanded
    }

    /// When a change may be said.
    fn change_at(&self) -> Instant {
        self.sent_at.map_or(Instant::ZERO, |at| at + CHANGE_GAP)
    }

    fn detect_at(&self) -> Option<Instant> {
        Some(self.heard_at? + self.detection_time()?)
    }

    /// After a change of the interval the next packet is due by the new one, counted from the last.
    fn reschedule(&mut self, interval_before: Option<Duration>, now: Instant) {
        if self.transmit_interval() == interval_before {
            return;
        }
        let from = self.sent_at.unwrap_or(now);
        self.transmit_at = from + self.jittered_interval();
    }

    fn jittered_interval(&mut self) -> Duration {
        let interval = u64::from(self.tx_in_use.max(self.remote.min_rx));
        self.random
            .jitter(Duration::from_micros(interval), self.timers.multiplier)
    }

    fn packet(&self, poll: bool, is_final: bool) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll,
            is_final,
            control_plane_independent: false,
            authentication: None,
            demand: false,
            detect_mult: self.timers.multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: self.desired_min_tx,
            required_min_rx: self.timers.min_rx,
            required_min_echo_rx: 0,
        }
    }
}
