//! File operations: their results, their errors, and who owns a buffer whose future was dropped.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::task::Poll;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::super::{Buf, Config, FileOperation, Reactor, Request, Round};
use super::{
    ManualPoll, alone, assert_at_rest, assert_sleeps, block_on, config, eventfd_pair, fire, in_each_mode, metrics,
    next_counter, turn_until, wait_until, with_reactor,
};
use crate::reactor::kernel::fault::{self, Call};

/// A file in memory of `blocks` blocks of 512 bytes, each of which is filled with its number.
fn numbered_file(blocks: usize) -> Arc<File> {
    let file = Arc::new(File::from(memfd_create("numbered", MemfdFlags::CLOEXEC).unwrap()));
    let bytes: Vec<u8> = (0..blocks).flat_map(|block| [block as u8; 512]).collect();
    (&*file).write_all(&bytes).unwrap();
    file
}

fn read_block(reactor: &Reactor, file: &Arc<File>, block: usize) -> FileOperation {
    FileOperation::new(reactor.home(), Request::read(file, Buf::zeroed(512), block as i64 * 512))
}

/// Submits everything, and fails to see any of the events.
fn submit_blindly(reactor: &Reactor) {
    fault::inject(Call::Getevents, Errno::INTR, 1);
    reactor.turn();
}

/// The configuration for [`submit_blindly`]: events come only by system calls, which are made to
/// fail.
fn blind(capacity: u32) -> Config {
    Config { force_syscalls: true, ..config(capacity) }
}

// ---- results ----

#[test]
fn reads_writes_and_syncs_do_what_they_say() {
    in_each_mode(1, |reactor| {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let run = |request| block_on(reactor, FileOperation::new(reactor.home(), request));

        let (written, buf) = run(Request::write(&file, Buf::from(b"hello world".to_vec()).slice(6..), 3));
        assert_eq!((written.unwrap(), &buf[..]), (5, &b"world"[..]));
        let (read, buf) = run(Request::read(&file, Buf::from(vec![b'.'; 20]).slice(..12), 0));
        assert_eq!((read.unwrap(), &buf[..]), (8, &b"\0\0\0world...."[..]), "short at the end of the file");
        assert_eq!(&buf.unslice()[12..], b"........", "nothing was written behind the window");
        assert_eq!(run(Request::read(&file, Buf::zeroed(8), 8)).0.unwrap(), 0);
        for data_only in [false, true] {
            assert_eq!(run(Request::sync(&file, data_only)).0.unwrap(), 0);
        }
        let now = metrics(reactor);
        assert_eq!((now.submitted_writes, now.submitted_reads, now.submitted_syncs), (1, 2, 2));
    });
}

#[test]
fn an_error_comes_with_the_buffer() {
    in_each_mode(1, |reactor| {
        let file = numbered_file(1);
        let read_only = Arc::new(File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap());
        let directory = Arc::new(File::open("/").unwrap());
        let buf = || Buf::from(b"mine".to_vec());
        for (request, errno) in [
            (Request::write(&read_only, buf(), 0), Errno::BADF),
            (Request::read(&directory, buf(), 0), Errno::INVAL),
            (Request::read(&file, buf(), -1), Errno::INVAL),
            (Request::read(&file, buf(), 0).nowait(), Errno::OPNOTSUPP),
        ] {
            let (result, buf) = block_on(reactor, FileOperation::new(reactor.home(), request));
            assert_eq!(result.unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
            assert_eq!(&buf[..], b"mine");
        }
    });
}

#[test]
fn a_bad_request_fails_alone_wherever_it_is_in_the_batch() {
    const BATCH: usize = 64;
    with_reactor(config(256), |reactor| {
        let file = numbered_file(BATCH);
        let read_only = Arc::new(File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap());
        let directory = Arc::new(File::open("/").unwrap());
        let bad_requests: [(Errno, &dyn Fn() -> Request); 3] = [
            (Errno::BADF, &|| Request::write(&read_only, Buf::zeroed(512), 0)),
            (Errno::INVAL, &|| Request::read(&directory, Buf::zeroed(512), 0)),
            (Errno::OPNOTSUPP, &|| Request::read(&file, Buf::zeroed(512), 0).nowait()),
        ];
        for (errno, bad_request) in bad_requests {
            for bad in 0..BATCH {
                let batch: Vec<_> = (0..BATCH)
                    .map(|at| match at == bad {
                        true => FileOperation::new(reactor.home(), bad_request()),
                        false => read_block(reactor, &file, at),
                    })
                    .map(|operation| ManualPoll::pending(reactor, operation))
                    .collect();
                let calls = metrics(reactor).submit_calls;
                reactor.turn();
                assert!(
                    metrics(reactor).submit_calls - calls <= 3,
                    "one for what precedes it, one for it, one for the rest"
                );
                for (at, operation) in batch.into_iter().enumerate() {
                    let (result, buf) = operation.complete(reactor);
                    if at == bad {
                        assert_eq!(result.unwrap_err().raw_os_error(), Some(errno.raw_os_error()));
                    } else {
                        assert_eq!(result.unwrap(), 512, "{at} of a batch whose number {bad} is bad: {errno}");
                        assert!(buf.iter().all(|byte| *byte == at as u8));
                    }
                }
            }
        }
    });
}

#[test]
fn more_reads_than_slots_all_complete() {
    const READS: usize = 2_000;
    in_each_mode(1, |reactor| {
        let file = numbered_file(200);
        let (io, trigger) = eventfd_pair(reactor);
        let waits = ManualPoll::pending(reactor, next_counter(&io));
        let reads: Vec<_> =
            (0..READS).map(|at| ManualPoll::pending(reactor, read_block(reactor, &file, at % 200))).collect();
        for (at, read) in reads.into_iter().enumerate() {
            let (result, buf) = read.complete(reactor);
            assert_eq!(result.unwrap(), 512);
            assert!(buf.iter().all(|byte| *byte == (at % 200) as u8));
        }
        let now = metrics(reactor);
        assert!(now.slots_peak <= now.capacity && now.capacity < READS as u64);
        fire(trigger);
        assert_eq!(waits.complete(reactor).unwrap(), 1, "a poll waits among them");
    });
}

#[test]
fn files_find_a_slot_beside_any_number_of_idle_polls() {
    in_each_mode(1, |reactor| {
        let file = numbered_file(10);
        let ios: Vec<_> = (0..300).map(|_| eventfd_pair(reactor)).collect();
        let waits: Vec<_> = ios.iter().map(|(io, _)| ManualPoll::pending(reactor, next_counter(io))).collect();
        // The reactor's own polls are armed last, which is the worst case.
        assert_sleeps(reactor);
        for block in 0..10 {
            assert_eq!(block_on(reactor, read_block(reactor, &file, block)).0.unwrap(), 512);
        }
        assert!(waits.iter().all(|wait| wait.wakes() == 0));
    });
}

// ---- futures that are gone ----

#[test]
fn an_operation_that_was_not_submitted_is_withdrawn() {
    in_each_mode(1, |reactor| {
        let file = numbered_file(1);
        drop(read_block(reactor, &file, 0));
        drop(ManualPoll::pending(reactor, read_block(reactor, &file, 0)));
        assert_eq!(Arc::strong_count(&file), 1);
        reactor.turn();
        let now = metrics(reactor);
        assert_eq!((now.submitted_reads, now.orphans, now.slots_in_use), (0, 0, 0));
    });
}

#[test]
fn an_operation_in_flight_keeps_buffer_and_file_until_its_event() {
    with_reactor(blind(1), |reactor| {
        let file = numbered_file(1);
        let read = ManualPoll::pending(reactor, read_block(reactor, &file, 0));
        submit_blindly(reactor);
        drop(read);
        let now = metrics(reactor);
        assert_eq!((now.orphans, now.slots_in_use), (1, 1));
        assert_eq!(Arc::strong_count(&file), 2, "the request owns the file, and the buffer with it");
        reactor.turn();
        assert_eq!((metrics(reactor).orphans, Arc::strong_count(&file)), (0, 1));
    });
}

/// A close may block, as that of a file on a network file system does.
#[test]
fn an_abandoned_operation_closes_its_file_outside_the_borrow() {
    with_reactor(blind(1), |reactor| {
        let file = numbered_file(1);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let is_open = || std::fs::exists(&path).unwrap();
        let mut read = ManualPoll::new(read_block(reactor, &file, 0));
        assert!(read.poll(reactor).is_pending());
        submit_blindly(reactor);
        drop((read, file));
        reactor.with(|driver| driver.turn(Round::IsOver));
        assert_eq!(metrics(reactor).orphans, 0, "its event has come");
        assert!(is_open());
        reactor.turn();
        assert!(!is_open());
    });
}

#[test]
fn a_result_that_nobody_fetches_holds_no_slot() {
    with_reactor(config(1), |reactor| {
        let file = numbered_file(1);
        let done = ManualPoll::pending(reactor, read_block(reactor, &file, 0));
        reactor.turn();
        assert_eq!(done.wakes(), 1);
        assert_eq!(metrics(reactor).slots_in_use, 0);
        assert_eq!(Arc::strong_count(&file), 2);
        drop(done);
        assert_eq!(Arc::strong_count(&file), 1);
    });
}

#[test]
fn futures_that_are_never_polled_again_hold_no_slot() {
    in_each_mode(1, |reactor| {
        let file = numbered_file(1);
        // Kept, but as good as forgotten.
        let idle: Vec<_> = (0..500).map(|_| ManualPoll::pending(reactor, read_block(reactor, &file, 0))).collect();
        turn_until(reactor, |now| now.submitted_reads == 500 && now.slots_in_use == 0);
        assert_eq!(block_on(reactor, read_block(reactor, &file, 0)).0.unwrap(), 512);
        drop(idle);
        assert_eq!(Arc::strong_count(&file), 1);
    });
}

#[test]
fn reads_that_are_dropped_at_any_time_never_write_into_other_buffers() {
    in_each_mode(1, |reactor| {
        let mut named = tempfile::NamedTempFile::new().unwrap();
        named.write_all(&vec![b'f'; 64 * 4096]).unwrap();
        named.as_file().sync_all().unwrap();
        let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(named.path());
        // Not every file system supports it, and buffered reads will do.
        let file = Arc::new(direct.unwrap_or_else(|_| File::open(named.path()).unwrap()));
        for round in 0..20 {
            let reads: Vec<_> = (0..64)
                .map(|block| {
                    FileOperation::new(reactor.home(), Request::read(&file, Buf::aligned(4096, 4096), block * 4096))
                })
                .map(|read| ManualPoll::pending(reactor, read))
                .collect();
            for _ in 0..round % 4 {
                reactor.turn();
            }
            drop(reads);
            // These would get the memory of buffers that were freed too early.
            let others: Vec<_> = (0..64).map(|_| Buf::from(vec![b'o'; 8191])).collect();
            assert_at_rest(reactor);
            assert!(others.iter().all(|other| other.iter().all(|byte| *byte == b'o')));
            assert_eq!(Arc::strong_count(&file), 1);
        }
    });
}

// ---- the end ----

#[test]
fn file_operations_end_with_an_error_when_the_reactor_ends() {
    alone(|| {
        let reactor = Reactor::new(blind(1)).unwrap();
        let file = numbered_file(1);
        let mut in_flight = ManualPoll::pending(&reactor, read_block(&reactor, &file, 0));
        submit_blindly(&reactor);
        let mut not_submitted: Vec<_> =
            (0..200).map(|_| ManualPoll::pending(&reactor, read_block(&reactor, &file, 0))).collect();
        let mut new = ManualPoll::new(read_block(&reactor, &file, 0));
        reactor.shutdown();

        // Its event may have come in time, or not.
        assert_eq!(in_flight.wakes(), 1);
        assert!(in_flight.poll(&reactor).is_ready());
        for read in &mut not_submitted {
            assert_eq!(read.wakes(), 1);
            let Poll::Ready((Err(error), _)) = read.poll(&reactor) else { panic!("it must fail unsubmitted") };
            assert!(error.to_string().contains("dropped"), "{error}");
        }
        let Poll::Ready((Err(_), buf)) = new.poll(&reactor) else { panic!("it must fail, the reactor is gone") };
        assert_eq!(buf.len(), 512, "the buffer comes back");
        drop((in_flight, not_submitted, new));
        wait_until("the request that the kernel had is freed", || Arc::strong_count(&file) == 1);
    });
}

#[test]
fn a_reactor_that_ends_with_requests_in_flight_frees_them_after_its_context() {
    alone(|| {
        let (reader, writer) = io::pipe().unwrap();
        let file = Arc::new(File::from(std::os::fd::OwnedFd::from(reader)));
        super::set_nonblocking(file.as_fd());
        for _ in 0..5 {
            let reactor = Reactor::new(blind(1)).unwrap();
            // The shutdown waits in vain for the event of the read.
            fault::inject(Call::Getevents, Errno::INTR, usize::MAX);
            let read = ManualPoll::pending(
                &reactor,
                FileOperation::new(reactor.home(), Request::read(&file, Buf::zeroed(8), 0)),
            );
            reactor.turn();
            drop(read);
            assert_eq!(metrics(&reactor).orphans, 1);
            let counters = Arc::clone(reactor.counters());
            drop(reactor);
            assert!(fault::clear());
            let left = counters.snapshot();
            assert_eq!((left.orphans, left.slots_in_use), (1, 1), "the gauges say what was left behind");
            wait_until("the context is destroyed, and then the request is freed", || Arc::strong_count(&file) == 1);
        }
        drop(writer);
    });
}
