//! Descriptors of the user's own: what can be waited for, guards, and the end of a registration.
#![allow(unsafe_code)] // `AsyncFd::register` is unsafe to call.

mod common;

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process::{Command, Stdio};
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
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

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

// ---- what can be waited for ----

#[test]
fn an_eventfd() {
    run(async {
        let fd = register(counter(), Interest::READABLE);
        for count in 1..4_u64 {
            assert_eq!(read_after(&fd, || add(fd.get_ref(), count)).await, count.to_ne_bytes());
        }
    });
}

#[test]
fn a_timerfd() {
    run(async {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = register(timerfd_create(TimerfdClockId::Monotonic, flags).unwrap(), Interest::READABLE);
        for _ in 0..3 {
            let in_a_while = rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let once = Itimerspec { it_interval: rustix::time::Timespec::default(), it_value: in_a_while };
            let start = || _ = timerfd_settime(fd.get_ref(), TimerfdTimerFlags::empty(), &once).unwrap();
            assert_eq!(read_after(&fd, start).await, 1_u64.to_ne_bytes());
        }
    });
}

#[test]
fn an_inotify() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, dir.path(), inotify::WatchFlags::CREATE).unwrap();
        let fd = register(watch, Interest::READABLE);
        for name in ["first", "second"] {
            let event = read_after(&fd, || drop(File::create(dir.path().join(name)).unwrap())).await;
            assert!(event.windows(name.len()).any(|part| part == name.as_bytes()), "{event:?}");
        }
    });
}

#[test]
fn the_end_of_a_process() {
    run(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::NONBLOCK).unwrap();
        let fd = register(pidfd, Interest::READABLE);
        assert!(!poll_once(pin!(fd.readable())));
        turn().await;
        drop(child.stdin.take());
        soon("the end of the process", fd.readable()).await.unwrap().retain_ready();
        assert!(child.wait().unwrap().success());
    });
}

/// The kernel refuses AIO polls of a tty that is not ready.
#[test]
fn a_tty() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    run(async {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let mut user = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        rustix::io::ioctl_fionbio(&controller, true).unwrap();
        let fd = register(controller, Interest::READABLE | Interest::WRITABLE);
        assert_eq!(read_after(&fd, || user.write_all(b"prompt").unwrap()).await, b"prompt");
        assert_eq!(read_after(&fd, || user.write_all(b"again").unwrap()).await, b"again");
        soon("room", fd.async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, b"line\n")?))).await.unwrap();
        let mut line = [0; 5];
        user.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"line\n");
    });
}

/// Urgent data; what a PSI trigger or a sysfs attribute announces, too.
#[test]
fn a_priority_event() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let fd = register(near, Interest::PRIORITY);
        for byte in *b"ab" {
            assert_waits(&fd, Interest::PRIORITY).await;
            send(&far, &[byte], SendFlags::OOB).unwrap();
            let mut guard = soon("urgent data", fd.ready(Interest::PRIORITY)).await.unwrap();
            assert!(guard.ready().is_priority());
            let mut urgent = [0];
            recv(fd.get_ref(), &mut urgent, RecvFlags::OOB).unwrap();
            assert_eq!(urgent, [byte]);
            guard.clear_ready();
        }
    });
}

#[test]
fn an_error_queue() {
    run(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let on: libc::c_int = 1;
        // SAFETY: the kernel reads an int at `on`.
        let set = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, (&raw const on).cast(), 4)
        };
        assert_eq!(set, 0);
        let deserted = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fd = register(socket, Interest::READABLE);
        assert_waits(&fd, Interest::ERROR).await;
        fd.get_ref().send_to(b"anybody?", &deserted.into()).unwrap();
        let guard = soon("the refusal", fd.ready(Interest::ERROR)).await.unwrap();
        assert_eq!(guard.ready(), Ready::ERROR);
    });
}

#[test]
fn a_raw_socket() {
    let raw = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(socket2::Protocol::ICMPV4));
    run(async {
        let (Ok(raw), Ok(sender)) = (raw(), raw()) else {
            return eprintln!("not tested: raw sockets need CAP_NET_RAW");
        };
        raw.set_nonblocking(true).unwrap();
        let fd = register(raw, Interest::READABLE);
        // An echo request, with its checksum.
        let ping = [8, 0, 0xf7, 0xfe, 0, 1, 0, 0];
        let here: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let packet = soon("a ping, or another packet", async {
            sender.send_to(&ping, &here.into()).unwrap();
            fd.async_io(Interest::READABLE, read).await.unwrap()
        })
        .await;
        assert!(packet.len() >= 28, "{packet:?}");
    });
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
        let ready = soon("the end", fd.writable()).await.unwrap().ready();
        assert!(ready.is_write_closed(), "{ready:?}");
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
