//! Files with a wait queue for each direction, which the kernel polls only while they are ready:
//! terminals, FIFOs that are open both ways.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::super::Direction;
use super::{
    ManualPoll, assert_sleeps, block_on, in_each_mode, metrics, next_byte, read_byte, register, set_nonblocking,
    turn_and_park,
};

/// Both ends of a terminal that passes every byte unchanged.
fn open_terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let mut settings = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: openpty(3) writes two new descriptors, which nobody else owns, and is asked for
    // nothing else; tcgetattr(3) fills in the settings that the next two calls change and read.
    unsafe {
        let (name, termios, window) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        assert_eq!(libc::openpty(&raw mut master, &raw mut slave, name, termios, window), 0);
        assert_eq!(libc::tcgetattr(slave, settings.as_mut_ptr()), 0);
        libc::cfmakeraw(settings.as_mut_ptr());
        assert_eq!(libc::tcsetattr(slave, libc::TCSANOW, settings.as_ptr()), 0);
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

#[test]
fn a_terminal_is_waited_for_while_it_is_idle_and_while_it_is_ready() {
    in_each_mode(1, |reactor| {
        let (master, slave) = open_terminal();
        set_nonblocking(&master);
        set_nonblocking(&slave);
        let (master, slave) = (register(reactor, master), register(reactor, slave));
        for (from, to) in [(&master, &slave), (&slave, &master), (&master, &slave)] {
            for byte in *b"ty" {
                // Idle: the kernel refuses the poll, so the nested epoll watches.
                let waits = ManualPoll::pending(reactor, next_byte(to));
                assert_sleeps(reactor);
                assert_ne!(metrics(reactor).overflow_fds, 0);
                rustix::io::write(from, &[byte]).unwrap();
                assert_eq!(waits.complete(reactor).unwrap(), Some(byte));
                // Ready: the kernel would accept the poll.
                rustix::io::write(from, &[byte]).unwrap();
                to.clear_ready(Direction::Read);
                assert_eq!(block_on(reactor, next_byte(to)).unwrap(), Some(byte));
            }
            from.clear_ready(Direction::Write);
            block_on(reactor, from.ready(Direction::Write)).unwrap();
        }
        assert_sleeps(reactor);
    });
}

#[test]
fn the_end_of_a_terminal_is_seen() {
    in_each_mode(1, |reactor| {
        let (master, slave) = open_terminal();
        set_nonblocking(&master);
        let master = register(reactor, master);
        let waits = ManualPoll::pending(reactor, next_byte(&master));
        turn_and_park(reactor);
        drop(slave);
        assert_eq!(waits.complete(reactor).unwrap_err().raw_os_error(), Some(libc::EIO));
    });
}

#[test]
fn a_fifo_that_is_open_both_ways_is_waited_for() {
    in_each_mode(1, |reactor| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let open = || -> io::Result<File> {
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path)
        };
        let (fifo, other) = (register(reactor, open().unwrap()), open().unwrap());
        for byte in *b"fifo" {
            let waits = ManualPoll::pending(reactor, next_byte(&fifo));
            assert_sleeps(reactor);
            assert_eq!(metrics(reactor).overflow_fds, 1);
            rustix::io::write(&other, &[byte]).unwrap();
            assert_eq!(waits.complete(reactor).unwrap(), Some(byte));
        }
        // Full, until the other end reads.
        let mut sent = 0;
        while let Ok(bytes) = rustix::io::write(&fifo, &[b'w'; 4096]) {
            sent += bytes;
        }
        let waits = ManualPoll::pending(reactor, fifo.io(Direction::Write, |fd| Ok(rustix::io::write(fd, b"w")?)));
        assert_sleeps(reactor);
        assert_eq!(waits.wakes(), 0);
        let mut room = vec![0; sent];
        assert_eq!(rustix::io::read(&other, &mut room), Ok(sent));
        assert_eq!(waits.complete(reactor).unwrap(), 1);
        assert_eq!(read_byte(other.as_fd()).unwrap(), Some(b'w'));
    });
}
