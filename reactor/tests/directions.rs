//! The two directions of a socket: waited for independently, and ended together by a hang-up.

use std::io;
use std::os::fd::AsFd;

use super::super::Direction;
use super::sockets::{empty, fill, send, stream_and_peer};
use super::{ManualPoll, block_on, in_each_mode, next_byte, read_byte};

#[test]
fn directions_are_waited_for_independently() {
    in_each_mode(1, |reactor| {
        let (io, far) = stream_and_peer(reactor);
        fill(&io);
        let reads = ManualPoll::pending(reactor, next_byte(&io));
        let writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
        reactor.turn();

        send(far.as_fd(), b"r").unwrap();
        assert_eq!(reads.complete(reactor).unwrap(), Some(b'r'));
        assert_eq!(writes.wakes(), 0, "there is no room yet");

        empty(&far);
        assert_eq!(writes.complete(reactor).unwrap(), 1);
        assert_eq!(read_byte(far.as_fd()).unwrap(), Some(b'w'));
    });
}

#[test]
fn a_hang_up_is_seen_in_both_directions() {
    in_each_mode(1, |reactor| {
        for _ in 0..50 {
            let (io, far) = stream_and_peer(reactor);
            fill(&io);
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            let writes = ManualPoll::pending(reactor, io.io(Direction::Write, |fd| send(fd, b"w")));
            reactor.turn();
            drop(far);
            // The peer closed with bytes unread, which may make it a reset.
            let end = reads.complete(reactor);
            assert!(matches!(&end, Ok(None)) || end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
            assert_eq!(writes.complete(reactor).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn bytes_and_the_end_that_follows_at_once_are_both_seen() {
    in_each_mode(1, |reactor| {
        for _ in 0..50 {
            let (io, far) = stream_and_peer(reactor);
            let reads = ManualPoll::pending(reactor, next_byte(&io));
            reactor.turn();
            send(far.as_fd(), b"x").unwrap();
            drop(far);
            assert_eq!(reads.complete(reactor).unwrap(), Some(b'x'));
            assert_eq!(block_on(reactor, next_byte(&io)).unwrap(), None);
        }
    });
}
