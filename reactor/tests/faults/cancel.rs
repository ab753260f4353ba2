//! `io_cancel` fails: the poll must end in another way.

use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::FOREVER;
use crate::reactor::kernel::fault::{self, Call};
use crate::reactor::tests::sockets::{assert_sees_close, fill, stream_and_peer};
use crate::reactor::tests::{
    ManualPoll, alone, config, eventfd_pair, fire, in_each_mode, metrics, register, set_nonblocking, turn_until,
    wait_until,
};
use crate::reactor::tests::{arm_byte, arm_counter};
use crate::reactor::{Direction, Reactor};

#[test]
fn a_socket_whose_poll_cannot_be_cancelled_is_shut_down() {
    in_each_mode(1, |reactor| {
        for directions in [&[Direction::Read][..], &Direction::BOTH] {
            let (io, far) = stream_and_peer(reactor);
            fill(&io);
            for direction in directions {
                io.clear_ready(*direction);
                drop(ManualPoll::pending(reactor, io.ready(*direction)));
            }
            reactor.turn();
            fault::inject(Call::Cancel, Errno::NOSYS, directions.len());
            drop(io);
            assert_sees_close(reactor, &far);
        }
    });
}

#[test]
fn what_cannot_be_cancelled_or_shut_down_ends_with_the_reactor() {
    alone(|| {
        let reactor = Reactor::new(config(1)).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        set_nonblocking(&reader);
        set_nonblocking(&writer);
        let io = register(&reactor, reader);
        let loop_runs = reactor.enter_loop();
        arm_byte(&io);
        reactor.turn();
        fault::inject(Call::Cancel, Errno::NOSYS, FOREVER);
        drop(io);
        assert_eq!(metrics(&reactor).slots_in_use, 1, "its poll is still armed");
        rustix::io::write(&writer, b"x").expect("the poll keeps the file open");
        turn_until(&reactor, |now| now.slots_in_use == 0);
        wait_until("the file closes once its poll has fired", || rustix::io::write(&writer, b"x") == Err(Errno::PIPE));

        let (io, trigger) = eventfd_pair(&reactor);
        arm_counter(&io);
        reactor.turn();
        let begin = Instant::now();
        drop((io, loop_runs));
        assert!(begin.elapsed() < Duration::from_millis(500), "there is nothing to wait for");
        drop(reactor);
        assert!(fault::clear());
        // Another thread destroys the context, with the poll in flight.
        fire(trigger);
    });
}
