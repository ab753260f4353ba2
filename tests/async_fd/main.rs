//! Descriptors of the user's own: what can be waited for ([`kinds`]), guards, ends, and the end of
//! a registration.
#![allow(unsafe_code)] // `AsyncFd::register` is unsafe to call.

#[path = "../common/mod.rs"]
mod common;
mod kinds;

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aio_runtime::io::unix::AsyncFd;
use aio_runtime::io::{Interest, Ready};
use aio_runtime::time::timeout;
use aio_runtime::{Handle, Runtime, spawn};
use common::{poll_once, run, soon, turn};
use futures::executor::block_on;
use futures::future::join_all;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// Registers what keeps its descriptor open.
fn register<T: AsRawFd>(inner: T, interest: Interest) -> AsyncFd<T> {
    // SAFETY: the tests give nothing that closes or changes its descriptor.
    unsafe { AsyncFd::register_with_interest(inner, interest) }.unwrap()
}

fn read<T: AsFd>(fd: &T) -> io::Result<Vec<u8>> {
    let mut buf = [0; 256];
    let read = rustix::io::read(fd, &mut buf)?;
    Ok(buf[..read].to_vec())
}

/// Reads by waiting, and asserts that there was something to wait for.
async fn read_after<T: AsFd + AsRawFd>(fd: &AsyncFd<T>, cause: impl FnOnce()) -> Vec<u8> {
    let mut wait = pin!(fd.async_io(Interest::READABLE, read));
    assert!(!poll_once(wait.as_mut()));
    turn().await;
    assert!(!poll_once(wait.as_mut()));
    cause();
    soon("something to read", wait).await.unwrap()
}

fn counter() -> OwnedFd {
    eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).unwrap()
}

fn add(counter: &impl AsFd, count: u64) {
    rustix::io::write(counter, &count.to_ne_bytes()).unwrap();
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// Waits that a wait is still pending after some time.
async fn assert_waits<T: AsRawFd>(fd: &AsyncFd<T>, interest: Interest) {
    assert!(timeout(Duration::from_millis(10), fd.ready(interest)).await.is_err());
}

// ---- what cannot ----

#[test]
fn what_cannot_be_waited_for_comes_back() {
    run(async {
        // SAFETY: a file keeps its descriptor.
        let refused = unsafe { AsyncFd::register(tempfile::tempfile().unwrap()) };
        let (file, cause) = refused.unwrap_err().into_parts();
        assert_eq!(cause.raw_os_error(), Some(libc::EPERM));
        drop::<File>(file);

        // SAFETY: it is not open for all of its life, but then it is not registered.
        let refused = unsafe { AsyncFd::<RawFd>::register(-1) };
        assert_eq!(refused.unwrap_err().into_parts().1.raw_os_error(), Some(libc::EBADF));

        let (near, _far) = pair();
        let near = Arc::new(near);
        let _first = register(Arc::clone(&near), Interest::READABLE);
        // SAFETY: as above.
        let refused = unsafe { AsyncFd::register(near) };
        assert_eq!(refused.unwrap_err().into_parts().1.raw_os_error(), Some(libc::EEXIST));
    });
}

#[test]
fn a_wait_for_what_it_was_not_registered_for_fails() {
    run(async {
        let (near, _far) = pair();
        let fd = register(near, Interest::READABLE);
        let error = fd.writable().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("registered for READABLE"), "{error}");
        let polled = poll_fn(|cx| fd.poll_write_ready(cx)).await;
        assert_eq!(polled.unwrap_err().kind(), ErrorKind::InvalidInput);
        let attempted = fd.async_io(Interest::WRITABLE, |_| Ok(())).await;
        assert_eq!(attempted.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

// ---- guards ----

#[test]
fn readiness_stays_until_it_is_taken_back() {
    run(async {
        let (near, mut far) = pair();
        let fd = register(near, Interest::READABLE | Interest::WRITABLE);
        far.write_all(b"x").unwrap();
        let mut guard = soon("both", fd.ready(Interest::READABLE | Interest::WRITABLE)).await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE | Ready::WRITABLE);
        fd.readable().await.unwrap().retain_ready();
        guard.clear_ready_matching(Ready::READABLE);
        assert_eq!(guard.ready(), Ready::WRITABLE);
        // Only a new event counts, though there is still something to read.
        assert_waits(&fd, Interest::READABLE).await;
        soon("room, still", fd.writable()).await.unwrap().retain_ready();
        far.write_all(b"y").unwrap();
        soon("the new byte", fd.readable()).await.unwrap().retain_ready();
    });
}

#[test]
fn an_event_after_the_look_is_not_taken_back() {
    run(async {
        let (near, mut far) = pair();
        let fd = register(near, Interest::READABLE);
        far.write_all(b"x").unwrap();
        let mut early = soon("a byte", fd.readable()).await.unwrap();
        let drained = early.try_io(|fd| read(fd.get_ref())).unwrap().unwrap();
        assert_eq!(drained, b"x");
        far.write_all(b"y").unwrap();
        turn().await;
        // Another task has seen the new event before the guard of the old one is cleared.
        fd.readable().await.unwrap().retain_ready();
        early.clear_ready();
        soon("the new byte", fd.readable()).await.unwrap().retain_ready();
    });
}

#[test]
fn an_attempt_that_blocks_takes_it_back() {
    run(async {
        let (near, mut far) = pair();
        let mut fd = register(near, Interest::READABLE);
        turn().await;
        assert_eq!(fd.try_io(Interest::READABLE, |_| Ok(())).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.write_all(b"x").unwrap();
        let mut guard = soon("a byte", fd.readable_mut()).await.unwrap();
        assert_eq!(guard.try_io(|fd| read(fd.get_mut())).unwrap().unwrap(), b"x");
        guard.try_io(|fd| read(fd.get_mut())).unwrap_err();
        assert_eq!(guard.ready(), Ready::EMPTY);
        assert_waits(&fd, Interest::READABLE).await;
        assert_eq!(fd.try_io_mut(Interest::READABLE, |_| Ok(())).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn an_end_is_not_taken_back() {
    run(async {
        let (near, far) = pair();
        let fd = register(near, Interest::READABLE | Interest::WRITABLE);
        drop(far);
        let mut guard = soon("the end", fd.readable()).await.unwrap();
        assert!(guard.ready().is_read_closed());
        guard.clear_ready();
        soon("the end, again", fd.readable()).await.unwrap().retain_ready();
        assert_eq!(read(fd.get_ref()).unwrap(), b"");
    });
}

#[test]
fn a_writer_to_a_pipe_is_told_that_nobody_reads() {
    run(async {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let fd = register(writer, Interest::WRITABLE);
        soon("room", fd.writable()).await.unwrap().clear_ready();
        drop(reader);
        for _ in 0..3 {
            let mut guard = soon("the end", fd.writable()).await.unwrap();
            assert!(guard.ready().is_write_closed(), "{guard:?}");
            guard.clear_ready();
        }
    });
}

/// Each clear would be the last one to be told of it.
#[test]
fn an_end_is_not_taken_back_on_another_thread() {
    run(async {
        let (near, far) = pair();
        let fd = Arc::new(register(near, Interest::READABLE));
        drop(far);
        soon("the end", fd.readable()).await.unwrap().clear_ready();
        let elsewhere = Arc::clone(&fd);
        let thread = std::thread::spawn(move || {
            for _ in 0..3 {
                block_on(elsewhere.readable()).unwrap().clear_ready();
            }
        });
        soon("the thread", aio_runtime::task::spawn_blocking(|| thread.join().unwrap())).await.unwrap();
        for _ in 0..3 {
            soon("the end, still", fd.readable()).await.unwrap().clear_ready();
        }
    });
}

#[test]
fn a_wait_on_another_thread_is_for_an_event() {
    run(async {
        let fd = Arc::new(register(counter(), Interest::READABLE));
        let elsewhere = Arc::clone(&fd);
        let thread = std::thread::spawn(move || block_on(elsewhere.readable()).unwrap().retain_ready());
        assert_waits(&fd, Interest::READABLE).await;
        assert!(!thread.is_finished(), "nothing has come");
        add(fd.get_ref(), 1);
        soon("the thread", aio_runtime::task::spawn_blocking(|| thread.join().unwrap())).await.unwrap();
        soon("the event", fd.readable()).await.unwrap().retain_ready();
    });
}

/// An attempt to read that blocks says nothing about errors.
#[test]
fn an_error_is_not_taken_back_by_a_read() {
    run(async {
        let fd = kinds::udp_with_error_queue();
        kinds::send_in_vain(&fd);
        soon("the refusal", fd.ready(Interest::ERROR)).await.unwrap().retain_ready();
        // The error itself is taken; the message in the queue stays.
        fd.get_ref().take_error().unwrap().unwrap();
        assert!(timeout(Duration::from_millis(10), fd.async_io(Interest::READABLE, read)).await.is_err());
        soon("the refusal, still", fd.ready(Interest::ERROR)).await.unwrap().retain_ready();
    });
}

/// A FIFO whose first writer has gone, and whose second one says nothing.
#[test]
fn an_end_that_attempts_deny_is_over() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let open = |flags| rustix::fs::open(&path, flags | rustix::fs::OFlags::NONBLOCK, rustix::fs::Mode::empty());
        let fd = register(open(rustix::fs::OFlags::RDONLY).unwrap(), Interest::READABLE);
        let first = open(rustix::fs::OFlags::WRONLY).unwrap();
        rustix::io::write(&first, b"a").unwrap();
        drop(first);
        assert_eq!(soon("a byte", fd.async_io(Interest::READABLE, read)).await.unwrap(), b"a");
        assert_eq!(soon("the end", fd.async_io(Interest::READABLE, read)).await.unwrap(), b"");
        let second = open(rustix::fs::OFlags::WRONLY).unwrap();
        assert!(timeout(Duration::from_millis(10), fd.async_io(Interest::READABLE, read)).await.is_err());
        rustix::io::write(&second, b"b").unwrap();
        assert_eq!(soon("a byte", fd.async_io(Interest::READABLE, read)).await.unwrap(), b"b");
    });
}

#[test]
fn all_who_wait_are_told() {
    run(async {
        let (near, mut far) = pair();
        let fd = Arc::new(register(near, Interest::READABLE));
        let tasks = [(); 10].map(|()| {
            let fd = Arc::clone(&fd);
            spawn(async move { fd.readable().await.unwrap().clear_ready() })
        });
        turn().await;
        turn().await;
        far.write_all(b"x").unwrap();
        for told in soon("all of them", join_all(tasks)).await {
            told.unwrap();
        }
    });
}

// ---- ends ----

#[test]
fn a_drop_is_seen_by_the_peer() {
    run(async {
        let (near, mut far) = pair();
        let fd = register(near, Interest::READABLE | Interest::WRITABLE);
        assert!(!poll_once(pin!(fd.readable())));
        turn().await;
        assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(fd);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn the_object_comes_back_and_can_be_registered_again() {
    run(async {
        let (near, mut far) = pair();
        let mut near = Some(near);
        for byte in *b"ab" {
            let fd = register(near.take().unwrap(), Interest::READABLE);
            far.write_all(&[byte]).unwrap();
            assert_eq!(soon("a byte", fd.async_io(Interest::READABLE, read)).await.unwrap(), [byte]);
            near = Some(fd.into_inner());
        }
        assert_eq!(Handle::current().metrics().overflow_fds, 0);
    });
}

/// The number of what was dropped on another thread is used again before the loop hears of it.
#[test]
fn a_drop_elsewhere_leaves_the_next_owner_of_the_number_alone() {
    run(async {
        for _ in 0..20 {
            let (near, far) = pair();
            let number = near.as_raw_fd();
            let fd = register(near, Interest::READABLE);
            assert!(!poll_once(pin!(fd.readable())));
            std::thread::spawn(move || drop(fd)).join().unwrap();
            // The loop has not turned since.
            let (other, mut peer) = pair();
            let other = match other.as_raw_fd() == number {
                true => OwnedFd::from(other),
                false => {
                    // SAFETY: nobody has that number, and this process does nothing else.
                    rustix::io::dup2(&other, &mut unsafe { OwnedFd::from_raw_fd(number) })
                        .map(std::mem::forget)
                        .unwrap();
                    // SAFETY: just made.
                    unsafe { OwnedFd::from_raw_fd(number) }
                }
            };
            let next = register(other, Interest::READABLE);
            turn().await;
            drop(far);
            peer.write_all(b"x").unwrap();
            assert_eq!(soon("a byte", next.async_io(Interest::READABLE, read)).await.unwrap(), b"x");
            peer.write_all(b"y").unwrap();
            assert_eq!(soon("another byte", next.async_io(Interest::READABLE, read)).await.unwrap(), b"y");
        }
    });
}

#[test]
fn it_can_be_waited_for_on_another_thread() {
    run(async {
        let (near, mut far) = pair();
        let fd = register(near, Interest::READABLE);
        let thread = std::thread::spawn(move || {
            (0..3).flat_map(|_| block_on(fd.async_io(Interest::READABLE, read)).unwrap()).collect::<Vec<_>>()
        });
        for byte in *b"abc" {
            aio_runtime::time::sleep(Duration::from_millis(5)).await;
            far.write_all(&[byte]).unwrap();
            // So that each is read alone.
            aio_runtime::time::sleep(Duration::from_millis(60)).await;
        }
        let joined = aio_runtime::task::spawn_blocking(|| thread.join().unwrap());
        assert_eq!(soon("the thread", joined).await.unwrap(), b"abc");
    });
}

#[test]
fn the_end_of_the_runtime_ends_the_waits() {
    let (near, _far) = pair();
    let runtime = Runtime::new().unwrap();
    let fd = runtime.block_on(async { register(near, Interest::READABLE | Interest::WRITABLE) });
    let mut guard = runtime.block_on(fd.writable()).unwrap();
    let mut wait = pin!(fd.readable());
    assert!(!poll_once(wait.as_mut()));
    drop(runtime);
    block_on(wait).unwrap_err();
    block_on(fd.readable()).unwrap_err();
    block_on(poll_fn(|cx| fd.poll_write_ready(cx))).unwrap_err();
    guard.clear_ready();
    assert_eq!(read(fd.get_ref()).unwrap_err().raw_os_error(), Some(Errno::AGAIN.raw_os_error()));
}
