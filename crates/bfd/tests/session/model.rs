//! Two ends over a bad link, from seeds.

use std::collections::BTreeMap;
use std::time::Duration;

use chanter_bfd::session::{Session, Timers};
use chanter_bfd::{BfdState, Packet};
use chanter_types::Instant;
use proptest::prelude::*;

/// Longer than anything waits in a session that is not Up: its slow timer, with a multiplier of up
/// to 5, three times over.
const QUIET: Duration = Duration::from_secs(20);

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// One end, and what the test knows of it.
struct End {
    session: Session,
    /// The discriminators of the other end's lives that were heard saying Init or Up with ours.
    confirmed_by: Option<(u32, Instant)>,
    heard_at: Instant,
}

struct World {
    ends: [End; 2],
    timers: [Timers; 2],
    now: Instant,
    /// What is on its way, by arrival: the end that it goes to, and the packet.
    wire: BTreeMap<(Instant, u64), (usize, Packet)>,
    serial: u64,
    /// Percent lost, in each direction (by the end that it goes to).
    loss: [u64; 2],
    dice: Dice,
    lives: u32,
    steps: u64,
}

impl World {
    fn new(seed: u64, timers: [Timers; 2]) -> Self {
        let end = |number: u32, timers| End {
            session: Session::new(number, timers, seed ^ u64::from(number), Instant::ZERO),
            confirmed_by: None,
            heard_at: Instant::ZERO,
        };
        Self {
            ends: [end(1, timers[0]), end(2, timers[1])],
            timers,
            now: Instant::ZERO,
            wire: BTreeMap::new(),
            serial: 0,
            loss: [0; 2],
            dice: Dice(seed | 1),
            lives: 2,
            steps: 0,
        }
    }

    /// A new life of an end: all is forgotten.
    fn restart(&mut self, end: usize) {
        self.lives += 1;
        let seed = self.dice.roll(u64::MAX);
        self.ends[end] = End {
            session: Session::new(self.lives, self.timers[end], seed, self.now),
            confirmed_by: None,
            heard_at: self.now,
        };
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
            let timers = self
                .ends
                .iter()
                .filter_map(|end| end.session.next_deadline());
            let next = timers.chain(arrival).min().unwrap_or(end).max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            // A packet causes a few at the most: whatever happens, the wire holds no storm.
            assert!(self.wire.len() < 200, "a storm of packets");
            self.steps += 1;
            assert!(
                self.steps < 200_000,
                "no end at {:?}: {:?}",
                self.now,
                self.wire.len()
            );
            self.now = next;
            self.step();
        }
    }

    fn step(&mut self) {
        while let Some(entry) = self.wire.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, packet) = entry.remove();
            self.deliver(to, &packet);
        }
        for number in 0..2 {
            let session = &mut self.ends[number].session;
            if session.next_deadline().is_some_and(|at| at <= self.now) {
                session.handle_deadline(self.now);
            }
            self.transmit(number);
            self.check(number);
        }
    }

    fn deliver(&mut self, to: usize, packet: &Packet) {
        let end = &mut self.ends[to];
        // As the shell would: by discriminator, else by address.
        let ours = packet.your_discriminator == end.session.discriminator();
        if packet.your_discriminator != 0 && !ours {
            return;
        }
        if ours && matches!(packet.state, BfdState::Init | BfdState::Up) {
            end.confirmed_by = Some((packet.my_discriminator, self.now));
        }
        end.heard_at = self.now;
        let octets = packet.encode();
        let packet = Packet::decode(&octets).expect("what we send is in order");
        end.session
            .receive(&packet, self.now)
            .expect("nobody is AdminDown");
        self.transmit(to);
        self.check(to);
    }

    fn transmit(&mut self, from: usize) {
        let to = 1 - from;
        while let Some(packet) = self.ends[from].session.poll_transmit(self.now) {
            if self.dice.roll(100) < self.loss[to] {
                continue;
            }
            let delay = Duration::from_micros(100 + self.dice.roll(4000));
            self.serial += 1;
            self.wire
                .insert((self.now + delay, self.serial), (to, packet));
        }
    }

    /// Never Up without both: an end that is Up was told by the other that it is heard, and heard
    /// it within the detection time.
    fn check(&mut self, number: usize) {
        let end = &mut self.ends[number];
        let came_up = end
            .session
            .poll_transition()
            .is_some_and(|transition| transition.to == BfdState::Up);
        if came_up {
            let (by, at) = end
                .confirmed_by
                .expect("Up without a word of the other end");
            assert_eq!(by, end.session.remote().discriminator);
            assert_eq!(at, self.now, "Up only as an answer");
        }
        if end.session.state() == BfdState::Up {
            let silence = self.now.saturating_since(end.heard_at);
            let limit = end.session.detection_time().expect("it is heard");
            assert!(
                silence <= limit,
                "Up after {silence:?} of silence, {limit:?}"
            );
        }
    }

    fn states(&self) -> [BfdState; 2] {
        [0, 1].map(|number| self.ends[number].session.state())
    }
}

fn any_timers() -> impl Strategy<Value = Timers> {
    (10u64..400, 10u64..400, 1u8..6).prop_map(|(tx, rx, multiplier)| {
        // Where nothing may be lost, jitter has to leave more than the delay of the wire varies.
        let more = if multiplier == 1 { 50 } else { 0 };
        let interval = |millis| Duration::from_millis(millis + more);
        Timers::new(interval(tx), interval(rx), multiplier)
    })
}

#[derive(Debug, Clone)]
enum Event {
    Loss([u64; 2]),
    Restart(usize),
    Timers(usize, Timers),
}

fn any_event() -> impl Strategy<Value = (Event, u64)> {
    let loss = prop_oneof![Just(0u64), 1u64..60, Just(100)];
    let event = prop_oneof![
        [loss.clone(), loss].prop_map(Event::Loss),
        (0usize..2).prop_map(Event::Restart),
        (0usize..2, any_timers()).prop_map(|(end, timers)| Event::Timers(end, timers)),
    ];
    (event, 1u64..3000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn never_up_without_both_and_up_again_when_the_link_is_good(
        seed in any::<u64>(),
        timers in [any_timers(), any_timers()],
        events in prop::collection::vec(any_event(), 0..12),
    ) {
        let mut world = World::new(seed, timers);
        for (event, millis) in events {
            match event {
                Event::Loss(loss) => world.loss = loss,
                Event::Restart(end) => world.restart(end),
                Event::Timers(end, timers) => {
                    world.timers[end] = timers;
                    let now = world.now;
                    world.ends[end].session.set_timers(timers, now);
                    world.transmit(end);
                }
            }
            world.run(Duration::from_millis(millis));
        }
        // A link that is good again, in the end, brings both up, and keeps them.
        world.loss = [0, 0];
        world.run(QUIET);
        prop_assert_eq!(world.states(), [BfdState::Up; 2]);
        for end in &world.ends {
            // Polls have been answered: both go at the speed that was asked for last.
            let other = end.session.remote();
            let ours = end.session.transmit_interval().unwrap();
            prop_assert!(ours >= Duration::from_micros(other.min_rx.into()));
        }
        let fast = [0, 1].map(|number| world.ends[number].session.transmit_interval().unwrap());
        for (number, fast) in fast.into_iter().enumerate() {
            let (own, peer) = (world.timers[number], world.timers[1 - number]);
            let expected = Duration::from_micros(own.min_tx.max(peer.min_rx).into());
            prop_assert_eq!(fast, expected);
        }

        // One direction fails: both ends notice, the deaf one by its timer and the other by what it
        // is told.
        world.loss = [100, 0];
        let limit = world.ends[0].session.detection_time().unwrap();
        // And what was on its way, and the pause before a change is said.
        world.run(limit + Duration::from_millis(40));
        prop_assert!(world.states().iter().all(|state| *state != BfdState::Up));
    }
}
