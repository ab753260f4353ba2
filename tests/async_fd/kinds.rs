//! What can be waited for.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::process::{Command, Stdio};

use aio_runtime::io::unix::AsyncFd;
use aio_runtime::io::{Interest, Ready};
use rustix::fs::inotify;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use socket2::{Domain, Protocol, Socket, Type};

use super::{add, assert_waits, counter, read, read_after, register};
use crate::common::{poll_once, run, soon, turn};

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

pub(crate) fn udp_with_error_queue() -> AsyncFd<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads an int at `on`.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, (&raw const on).cast(), 4) };
    assert_eq!(set, 0);
    register(socket, Interest::READABLE)
}

/// To where nobody listens, which the host says at once.
pub(crate) fn send_in_vain(fd: &AsyncFd<Socket>) {
    let deserted = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fd.get_ref().send_to(b"anybody?", &deserted.into()).unwrap();
}

#[test]
fn an_error_queue() {
    run(async {
        let fd = udp_with_error_queue();
        assert_waits(&fd, Interest::ERROR).await;
        send_in_vain(&fd);
        let guard = soon("the refusal", fd.ready(Interest::ERROR)).await.unwrap();
        assert_eq!(guard.ready(), Ready::ERROR);
    });
}

#[test]
fn a_raw_socket() {
    let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4));
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
