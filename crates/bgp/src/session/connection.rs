//! One TCP connection of a session: its state and its timers.

use std::time::Duration;

use chanter_types::Instant;

use super::event::{ConnectionId, State};
use super::negotiate::Negotiated;
use super::random::Random;
use crate::Family;

/// One TCP connection of a session.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Never Idle: a connection that is not there is not kept. Active where our OPEN waits for the
    /// peer's.
    pub(super) state: State,
    /// Since the peer's OPEN was found in order.
    pub(super) negotiated: Option<Box<Negotiated>>,
    /// Its KEEPALIVE waits, as another connection is likely to win over this one.
    pub(super) yielding: Option<Yielding>,
    /// When it became Established.
    pub(super) established_at: Option<Instant>,
    /// Families of which BoRR came and EoRR did not (RFC 7313).
    pub(super) refreshing: Vec<Family>,
    pub(super) timers: Timers,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, state: State, limit: Duration, now: Instant) -> Self {
        Self {
            id,
            state,
            negotiated: None,
            yielding: None,
            established_at: None,
            refreshing: Vec::new(),
            timers: Timers {
                hold_time: limit,
                hold_at: Some(now + limit),
                ..Timers::default()
            },
        }
    }
}

/// A connection whose OPENs are exchanged, and which does not go on because of another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Yielding {
    /// No longer than until then.
    pub(super) until: Instant,
    /// The peer's KEEPALIVE has come.
    pub(super) confirmed: bool,
}

/// What is due on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing was received for the hold time (event 10), or TCP did not connect in time.
    Hold,
    /// A KEEPALIVE has to be sent (event 11).
    Keepalive,
    /// Nothing could be sent for the send hold time (RFC 9687, event 29).
    SendHold,
}

/// The timers of a connection; each may be off.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    /// What the hold timer is set to at present: a limit for connecting or for OPEN, then what was
    /// negotiated.
    pub(super) hold_time: Duration,
    hold_at: Option<Instant>,
    keepalive_time: Duration,
    keepalive_at: Option<Instant>,
    pub(super) send_hold_time: Duration,
    send_hold_at: Option<Instant>,
}

impl Timers {
    /// Sets the hold timer to a limit for what the peer has to do next.
    pub(super) fn limit(&mut self, limit: Duration, now: Instant) {
        self.hold_time = limit;
        self.hold_at = Some(now + limit);
    }

    /// From the peer's OPEN on: hold and keepalive timer as negotiated. Where no hold time is
    /// wanted, `limit` still bounds the wait for the peer's first KEEPALIVE.
    pub(super) fn confirm(
        &mut self,
        hold_time: Duration,
        limit: Duration,
        random: &mut Random,
        now: Instant,
    ) {
        if hold_time.is_zero() {
            self.limit(limit, now);
            return;
        }
        self.limit(hold_time, now);
        self.keepalive_time = hold_time / 3;
        self.keepalive_at = Some(now + random.jitter(self.keepalive_time));
    }

    /// From Established on: the send hold timer runs, unless it or the hold time is zero (RFC 9687
    /// section 3.2).
    pub(super) fn establish(&mut self, hold_time: Duration, send_hold: Duration, now: Instant) {
        if hold_time.is_zero() {
            self.hold_at = None;
            return;
        }
        self.limit(hold_time, now);
        if !send_hold.is_zero() {
            self.send_hold_time = send_hold.max(hold_time * 2);
            self.send_hold_at = Some(now + self.send_hold_time);
        }
    }

    /// KEEPALIVE or UPDATE was received.
    pub(super) fn received(&mut self, now: Instant) {
        self.hold_at = self.hold_at.map(|_| now + self.hold_time);
    }

    /// The peer's TCP took something.
    pub(super) fn written(&mut self, now: Instant) {
        self.send_hold_at = self.send_hold_at.map(|_| now + self.send_hold_time);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.hold_at, self.keepalive_at, self.send_hold_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the next thing due at `now`; call until `None`.
    pub(super) fn poll_due(&mut self, random: &mut Random, now: Instant) -> Option<Due> {
        if self.hold_at.take_if(|at| *at <= now).is_some() {
            return Some(Due::Hold);
        }
        if self.send_hold_at.take_if(|at| *at <= now).is_some() {
            return Some(Due::SendHold);
        }
        let at = self.keepalive_at.as_mut().filter(|at| **at <= now)?;
        *at = now + random.jitter(self.keepalive_time);
        Some(Due::Keepalive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(count: u64) -> Instant {
        Instant::from_secs(count)
    }

    fn established(hold_time: u64) -> (Timers, Random) {
        let mut timers = Timers::default();
        let mut random = Random::new(3);
        let hold_time = Duration::from_secs(hold_time);
        timers.confirm(hold_time, Duration::from_secs(240), &mut random, secs(0));
        timers.establish(hold_time, Duration::from_secs(480), secs(0));
        (timers, random)
    }

    #[test]
    fn silence_for_the_hold_time_is_noticed_and_a_message_puts_it_off() {
        let (mut timers, mut random) = established(90);
        timers.received(secs(60));
        while timers.next_deadline().unwrap() < secs(150) {
            let at = timers.next_deadline().unwrap();
            assert_eq!(timers.poll_due(&mut random, at), Some(Due::Keepalive));
        }
        assert_eq!(timers.poll_due(&mut random, secs(150)), Some(Due::Hold));
    }

    #[test]
    fn keepalives_go_every_third_of_the_hold_time_or_a_little_sooner() {
        let (mut timers, mut random) = established(90);
        let mut last = secs(0);
        for _ in 0..20 {
            timers.received(last);
            timers.written(last);
            let at = timers.next_deadline().unwrap();
            assert_eq!(timers.poll_due(&mut random, at), Some(Due::Keepalive));
            let gap = at.saturating_since(last);
            assert!(gap >= Duration::from_millis(22_500) && gap <= Duration::from_secs(30));
            last = at;
        }
    }

    #[test]
    fn a_peer_that_takes_nothing_is_noticed_though_it_sends() {
        let (mut timers, mut random) = established(90);
        timers.written(secs(10));
        let mut now = secs(0);
        loop {
            timers.received(now);
            now = timers.next_deadline().unwrap();
            match timers.poll_due(&mut random, now) {
                Some(Due::Keepalive) => {}
                due => break assert_eq!(due, Some(Due::SendHold)),
            }
        }
        assert_eq!(now, secs(490));
        let (timers, _) = established(600);
        assert_eq!(
            timers.send_hold_time,
            Duration::from_secs(1200),
            "twice the hold time"
        );
    }

    #[test]
    fn without_a_hold_time_nothing_runs() {
        let (timers, _) = established(0);
        assert_eq!(timers.next_deadline(), None);
    }
}
