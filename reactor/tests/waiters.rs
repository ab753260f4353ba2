//! Several waiters for one file: all are woken, and the losers wait again.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::Direction;
use super::{
    Flag, ManualPoll, assert_sleeps, eventfd_pair, fire, in_each_mode, next_byte, next_counter, read_counter, register,
    set_nonblocking, turn_and_park, until_woken,
};

#[test]
fn everyone_who_waits_for_a_direction_is_woken_and_the_loser_waits_again() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let mut both =
            [ManualPoll::pending(reactor, next_counter(&io)), ManualPoll::pending(reactor, next_counter(&io))];
        fire(&trigger);
        until_woken(reactor, &both[0].flag);
        assert_eq!(both[1].wakes(), 1);
        assert!(both[0].poll(reactor).is_ready());
        assert!(both[1].poll(reactor).is_pending(), "the other one has it");
        assert_sleeps(reactor);
        fire(&trigger);
        let [_, loser] = both;
        assert_eq!(loser.complete(reactor).unwrap(), 1);
    });
}

#[test]
fn of_two_registrations_of_one_file_the_loser_waits_again() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let other = register(reactor, trigger.try_clone().unwrap());
        for _ in 0..3 {
            let mut first = ManualPoll::pending(reactor, next_counter(&io));
            let second = ManualPoll::pending(reactor, next_counter(&other));
            fire(&trigger);
            until_woken(reactor, &first.flag);
            assert!(first.poll(reactor).is_ready());
            // The second may not have been woken: its poll may have looked after the first had
            // read.
            assert_sleeps(reactor);
            fire(&trigger);
            assert_eq!(second.complete(reactor).unwrap(), 1);
        }
    });
}

#[test]
fn two_readers_of_one_pipe_share_its_bytes() {
    in_each_mode(1, |reactor| {
        let (reader, writer) = io::pipe().unwrap();
        set_nonblocking(&reader);
        let readers = [register(reactor, reader.try_clone().unwrap()), register(reactor, reader)];
        let mut waits: Vec<_> = readers.iter().map(|io| ManualPoll::pending(reactor, next_byte(io))).collect();
        for byte in *b"pipe" {
            rustix::io::write(&writer, &[byte]).unwrap();
            let winner = loop {
                turn_and_park(reactor);
                // Both attempt at each wake, and one finds the byte.
                let ready: Vec<_> = (0..2)
                    .filter_map(|at| match waits[at].poll(reactor) {
                        Poll::Ready(read) => Some((at, read.unwrap())),
                        Poll::Pending => None,
                    })
                    .collect();
                match ready[..] {
                    [] => {}
                    [(at, read)] => {
                        assert_eq!(read, Some(byte));
                        break at;
                    }
                    ref both => panic!("one byte was read twice: {both:?}"),
                }
            };
            waits[winner] = ManualPoll::pending(reactor, next_byte(&readers[winner]));
        }
        drop(writer);
        for wait in waits {
            assert_eq!(wait.complete(reactor).unwrap(), None, "everyone sees the end of the file");
        }
    });
}

#[test]
fn a_repeated_poll_replaces_the_waker_of_the_one_before() {
    in_each_mode(1, |reactor| {
        let (io, trigger) = eventfd_pair(reactor);
        let poll_as = |flag: &Arc<Flag>| {
            let waker = Waker::from(Arc::clone(flag));
            io.poll_io(&mut Context::from_waker(&waker), Direction::Read, read_counter)
        };
        let (first, second) = (Arc::<Flag>::default(), Arc::<Flag>::default());
        assert!(poll_as(&first).is_pending());
        assert!(poll_as(&second).is_pending());
        assert_eq!(Arc::strong_count(&first), 1);
        fire(&trigger);
        until_woken(reactor, &second);
        assert_eq!(first.wakes(), 0);
        assert!(poll_as(&second).is_ready());
    });
}
