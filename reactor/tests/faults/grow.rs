//! What goes wrong while the reactor grows is told outside the borrow, to a log that uses it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use tracing::field::{Field, Visit};

use super::{FOREVER, assert_all_complete};
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::kernel::kioctx::Kioctx;
use crate::reactor::tests::listener::{Listener, listen};
use crate::reactor::tests::{
    alone, arm_counter, assert_at_rest, assert_sleeps, config, eventfd_pair, fresh_capacity, metrics, run,
};
use crate::reactor::{Config, Home, Reactor, home};

/// Keeps what is logged, and has used the driver each time before.
struct UsesTheDriver {
    home: Home,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Listener for UsesTheDriver {
    fn wants(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        // Either panics under a borrow.
        home::move_to_front(self.home);
        let _gone = self.home.with_driver(|_| ());
        let mut message = Message::default();
        event.record(&mut message);
        self.messages.lock().unwrap().push(message.0);
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// What is logged meanwhile, on this thread.
fn logged(reactor: &Reactor, meanwhile: impl FnOnce()) -> Vec<String> {
    let messages = Arc::default();
    let log = UsesTheDriver { home: reactor.home(), messages: Arc::clone(&messages) };
    listen(log, meanwhile);
    std::mem::take(&mut messages.lock().unwrap())
}

/// Arms more polls than there are slots, and has the loop go on until it has nothing to do.
fn crowd(reactor: &Reactor) {
    let pairs: Vec<_> = (0..400).map(|_| eventfd_pair(reactor)).collect();
    for (io, _) in &pairs {
        arm_counter(io);
        reactor.turn();
    }
    assert_sleeps(reactor);
}

#[test]
fn a_new_ring_that_children_would_inherit_is_reported() {
    alone(|| {
        run(Config { initial: fresh_capacity(), ..config(fresh_capacity() + 3_000) }, |reactor| {
            fault::inject(Call::HideRing, Errno::NOMEM, 1);
            let messages = logged(reactor, || crowd(reactor));
            assert!(metrics(reactor).growths > 0);
            assert!(matches!(&messages[..], [one] if one.contains("MADV_DONTFORK")), "{messages:?}");
        });
    });
}

#[test]
fn a_former_context_that_cannot_be_destroyed_is_reported() {
    alone(|| {
        // Another thread destroys the idle contexts of other tests. It is to be done by then, but
        // may take a fault as well.
        thread::sleep(Duration::from_millis(400));
        // The first context is reduced, so that it is not kept for others but destroyed.
        fault::inject(Call::Setup, Errno::AGAIN, 2);
        run(Config { initial: fresh_capacity(), ..config(fresh_capacity() + 3_000) }, |reactor| {
            fault::inject(Call::Spawn, Errno::AGAIN, 1);
            fault::inject(Call::Destroy, Errno::PERM, FOREVER);
            let messages = logged(reactor, || crowd(reactor));
            fault::clear();
            assert!(metrics(reactor).growths > 0);
            assert!(matches!(&messages[..], [one] if one.starts_with("io_destroy failed")), "{messages:?}");
        });
    });
}

/// A reactor that has found no quota, which is there by now.
fn without_context() -> Reactor {
    fault::inject(Call::Setup, Errno::AGAIN, FOREVER);
    let reactor = Reactor::new(config(fresh_capacity())).unwrap();
    fault::clear();
    reactor
}

#[test]
fn a_first_context_that_turns_out_not_to_work_is_reported_once_and_no_other_is_made() {
    alone(|| {
        let reactor = without_context();
        let in_loop = reactor.enter_loop();
        // As in a process whose first runtime this is.
        fault::inject(Call::Probed, Errno::AGAIN, 1);
        fault::inject(Call::Submit, Errno::INVAL, 1);
        let messages = logged(&reactor, || {
            assert!(!reactor.has_context());
            assert_sleeps(&reactor);
        });
        let text = format!("{messages:?}");
        assert!(messages.len() == 2 && text.contains("io_submit(IOCB_CMD_POLL) is refused"), "{text}");
        assert!(!fault::clear(), "it was probed");

        thread::sleep(Duration::from_millis(1_100));
        fault::inject(Call::Setup, Errno::AGAIN, 1);
        assert!(!reactor.has_context());
        assert_all_wait_in_the_epoll(&reactor);
        assert!(fault::clear(), "no other context was asked for");
        drop(in_loop);
        assert_at_rest(&reactor);
    });
}

fn assert_all_wait_in_the_epoll(reactor: &Reactor) {
    let pairs: Vec<_> = (0..10).map(|_| eventfd_pair(reactor)).collect();
    pairs.iter().for_each(|(io, _)| arm_counter(io));
    assert_eq!(metrics(reactor).overflow_fds, 10);
}

#[test]
fn a_probe_that_finds_no_descriptor_is_tried_again() {
    alone(|| {
        let reactor = without_context();
        let in_loop = reactor.enter_loop();
        fault::inject(Call::Probed, Errno::AGAIN, 1);
        fault::inject(Call::Submit, Errno::MFILE, 1);
        assert_eq!(logged(&reactor, || assert!(!reactor.has_context())), [""; 0]);
        assert!(!fault::clear());
        thread::sleep(Duration::from_millis(1_100));
        assert!(reactor.has_context());
        assert_all_complete(&reactor, || {});
        drop(in_loop);
        assert_at_rest(&reactor);
    });
}

/// A log that panics must not end the thread that destroys idle contexts, or whoever drops one.
#[test]
fn a_log_that_panics_does_not_keep_a_context_from_being_dropped() {
    struct Panics;
    impl Listener for Panics {
        fn wants(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn event(&self, _: &tracing::Event<'_>) {
            panic!("in the log");
        }
    }
    alone(|| {
        let kioctx = Kioctx::setup_exact(1).unwrap();
        fault::inject(Call::Destroy, Errno::PERM, 1);
        listen(Panics, || drop(kioctx));
    });
}
