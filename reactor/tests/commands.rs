//! Commands of other threads, one of which runs user code that ends what another one is about.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::super::driver::WaitElsewhere;
use super::super::ids::SourceId;
use super::super::mailbox::Command;
use super::super::readiness::{Until, Waiter};
use super::super::{Close, Direction, Io};
use super::{Flag, arm_counter, fire, in_each_mode, new_eventfd, register, turn_until};

/// The place of a new reactor's first registration.
const FIRST: SourceId = SourceId(0);

thread_local! {
    static HELD: RefCell<Option<Io>> = const { RefCell::new(None) };
}

/// Drops what is held when it is woken, and registers another descriptor in its place.
struct Replaces;

impl Wake for Replaces {
    fn wake(self: Arc<Self>) {
        HELD.with_borrow_mut(|held| {
            let home = held.take().unwrap().home();
            *held = Some(Io::new(home, new_eventfd(), Close::Soon).unwrap());
        });
    }
}

#[test]
fn a_wait_whose_registration_a_command_before_it_has_ended_joins_no_other() {
    in_each_mode(1, |reactor| {
        HELD.set(Some(register(reactor, new_eventfd())));
        let timer =
            reactor.timers().insert(Instant::now() + Duration::from_secs(3600), Waker::from(Arc::new(Replaces)));
        let flag = Arc::<Flag>::default();
        reactor.home().send(Command::EndTimer(timer)).unwrap();
        let wait = WaitElsewhere {
            source: FIRST,
            direction: Direction::Read,
            until: Until::Event,
            has_blocked: false,
            waiter: Waiter::TaskElsewhere,
            waker: Waker::from(Arc::clone(&flag)),
        };
        reactor.home().send(Command::Wait(wait)).unwrap();
        reactor.turn();

        let successor = HELD.take().unwrap();
        assert_eq!(Arc::strong_count(&flag), 1, "its registration has ended, and it with that");
        arm_counter(&successor);
        fire(&successor);
        turn_until(reactor, |now| now.slots_in_use <= 1);
        assert_eq!(flag.wakes(), 0);
    });
}
