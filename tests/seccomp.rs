//! Sandboxes that deny system calls: the error names a call that is needed, and the runtime does
//! without those that are not.
#![allow(unsafe_code)] // To install a seccomp filter.

mod common;

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::fs::{Buf, File};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::task::{spawn_blocking, yield_now};
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, Runtime, spawn};
use common::busy::BusyThread;
use common::listener::Ear;
use common::log::Log;
use common::{ANY_PORT, Clean, assert_passed, in_child, is_child, open_direct, pattern, poll_once, real_dir};
use common::{soon, stream_and_peer, stream_pair, turn, wait_until};

/// libc does not know its number.
#[cfg(target_arch = "x86_64")]
const IO_PGETEVENTS: libc::c_long = 333;
#[cfg(not(target_arch = "x86_64"))]
const IO_PGETEVENTS: libc::c_long = 292;

/// Has the kernel answer these system calls of this thread with `errno`, forever.
fn deny(calls: &[libc::c_long], errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for call in calls {
        // If equal the next statement, otherwise the one after it.
        let compare = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(libc::sock_filter { code: compare as u16, jt: 0, jf: 1, k: *call as u32 });
        program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: this prctl takes no pointers.
    let no_new_privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(no_new_privileges, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the program is as long as it says, and the kernel copies it.
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(installed, 0, "{}", std::io::Error::last_os_error());
}

/// Runs the test in a process of its own, since a filter cannot be removed.
fn alone(test: &str, body: fn()) {
    if is_child() {
        return body();
    }
    let clean = Clean::begin();
    assert_passed(&in_child(test));
    clean.end_without_runtime();
}

/// Uses everything that a runtime offers: sockets, timers, files.
fn use_runtime(runtime: &Runtime) {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(8192)).unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = stream_pair();
        let echo = spawn(async move {
            let mut byte = [0];
            while far.read(&mut byte).await.unwrap() > 0 {
                far.write_all(&byte).await.unwrap();
            }
        });
        for _ in 0..20 {
            near.write_all(b"x").await.unwrap();
            soon("a byte", near.read_exact(&mut [0])).await.unwrap();
            sleep(Duration::from_micros(100)).await;
        }
        drop(near);
        soon("the end", echo).await.unwrap();
        let file = open_direct(&path).await;
        let (read, buf) = soon("a read", file.read_at(Buf::aligned(4096, 4096), 4096)).await;
        assert_eq!((read.unwrap(), &buf[..]), (4096, &pattern(8192)[4096..]));
    });
}

#[test]
fn io_setup_is_denied() {
    alone("io_setup_is_denied", || {
        deny(&[libc::SYS_io_setup], libc::EPERM);
        let error = Runtime::new().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(text.contains("io_setup") && text.contains("seccomp"), "{text}");
    });
}

#[test]
fn descriptors_are_denied() {
    alone("descriptors_are_denied", || {
        deny(&[libc::SYS_epoll_create1], libc::EPERM);
        let text = Runtime::new().unwrap_err().to_string();
        assert!(text.contains("cannot start the reactor") && text.contains("epoll_create1"), "{text}");
        deny(&[libc::SYS_eventfd2], libc::EPERM);
        let text = Runtime::new().unwrap_err().to_string();
        assert!(text.contains("cannot start the reactor") && text.contains("eventfd2"), "{text}");
    });
}

#[test]
fn io_setup_is_missing() {
    alone("io_setup_is_missing", || {
        deny(&[libc::SYS_io_setup], libc::ENOSYS);
        let error = Runtime::new().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("io_setup") && text.contains("no native AIO"), "{text}");
    });
}

#[test]
fn io_submit_is_denied() {
    alone("io_submit_is_denied", || {
        deny(&[libc::SYS_io_submit], libc::EPERM);
        let text = Runtime::new().unwrap_err().to_string();
        assert!(text.contains("cannot start the reactor") && text.contains("io_submit"), "{text}");
    });
}

#[test]
fn io_cancel_is_denied() {
    alone("io_cancel_is_denied", || {
        deny(&[libc::SYS_io_cancel], libc::ENOSYS);
        let text = Runtime::new().unwrap_err().to_string();
        assert!(text.contains("cannot start the reactor") && text.contains("io_cancel"), "{text}");
    });
}

#[test]
fn every_way_to_wait_is_denied() {
    alone("every_way_to_wait_is_denied", || {
        deny(&[IO_PGETEVENTS, libc::SYS_io_getevents], libc::EPERM);
        let text = Runtime::new().unwrap_err().to_string();
        assert!(text.contains("cannot start the reactor") && text.contains("io_getevents"), "{text}");
    });
}

#[test]
fn io_pgetevents_is_denied() {
    // As Docker's profile did before 19.03.
    alone("io_pgetevents_is_denied", || {
        deny(&[IO_PGETEVENTS], libc::EPERM);
        use_runtime(&Runtime::new().unwrap());
    });
}

#[test]
fn io_pgetevents_is_denied_while_the_runtime_runs() {
    alone("io_pgetevents_is_denied_while_the_runtime_runs", || {
        let runtime = Runtime::new().unwrap();
        use_runtime(&runtime);
        deny(&[IO_PGETEVENTS], libc::ENOSYS);
        use_runtime(&runtime);
        use_runtime(&Runtime::new().unwrap());
    });
}

/// As at a limit of threads (`RLIMIT_NPROC`, `pids.max` of the cgroup).
fn deny_threads() {
    deny(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN);
}

#[test]
fn no_thread_can_be_started() {
    alone("no_thread_can_be_started", || {
        let runtime = Runtime::new().unwrap();
        deny_threads();
        runtime.block_on(async {
            let ticking = spawn(async {
                for _ in 0..10 {
                    sleep(Duration::from_millis(1)).await;
                }
            });
            let error = soon("an error", File::open("/proc/self/stat")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
            let errno = error.get_ref().unwrap().source().unwrap().downcast_ref::<std::io::Error>().unwrap();
            assert_eq!(errno.raw_os_error(), Some(libc::EAGAIN));
            let text = error.to_string();
            assert!(text.contains("pthread_create") && text.contains("pids.max"), "{text}");

            // The buffer comes back.
            let file = File::from_std(tempfile::tempfile().unwrap());
            file.set_len(1).await.unwrap_err();
            let (written, buf) = soon("an error", file.write_at(vec![7; 100], 0)).await;
            // (With a file system that writes without a thread.)
            assert!(written.is_ok() || written.unwrap_err().to_string().contains("pthread_create"));
            assert_eq!(buf[..], [7; 100]);

            let error = soon("an error", spawn_blocking(|| ())).await.unwrap_err();
            assert!(error.is_panic() && error.to_string().contains("pthread_create"), "{error}");
            let error = soon("an error", TcpStream::connect("localhost:1")).await.unwrap_err();
            assert!(error.to_string().contains("pthread_create"), "{error}");
            soon("the other tasks", ticking).await.unwrap();
        });
    });
}

#[test]
fn a_task_whose_calls_are_refused_at_once_lets_others_run() {
    const CALLS: usize = 1000;
    alone("a_task_whose_calls_are_refused_at_once_lets_others_run", || {
        let runtime = Runtime::new().unwrap();
        deny_threads();
        runtime.block_on(async {
            let turns = Rc::new(Cell::new(0));
            let other = spawn({
                let turns = Rc::clone(&turns);
                async move {
                    loop {
                        turns.set(turns.get() + 1);
                        yield_now().await;
                    }
                }
            });
            for _ in 0..CALLS {
                File::open("/proc/self/stat").await.unwrap_err();
            }
            assert!(turns.get() >= CALLS / 128, "the other task ran {} times", turns.get());
            other.abort();
        });
    });
}

#[test]
fn no_further_thread_can_be_started() {
    alone("no_further_thread_can_be_started", || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let busy = BusyThread::begin().await;
            deny_threads();
            // It waits for the one thread that there is, and the loop goes on.
            let mut open = pin!(File::open("/proc/self/stat"));
            assert!(timeout(Duration::from_millis(20), open.as_mut()).await.is_err());
            busy.end().await;
            soon("an open", open).await.unwrap();
        });
    });
}

#[test]
fn io_uring_is_denied() {
    // As the default profile of every container runtime does: the reason for this library.
    alone("io_uring_is_denied", || {
        deny(&[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register], libc::EPERM);
        use_runtime(&Runtime::new().unwrap());
    });
}

#[test]
fn io_cancel_is_denied_while_the_runtime_runs() {
    alone("io_cancel_is_denied_while_the_runtime_runs", || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            deny(&[libc::SYS_io_cancel], libc::EPERM);
            // Sockets are shut down instead, which ends their polls too.
            let (stream, mut peer) = stream_and_peer();
            assert!(timeout(Duration::from_millis(1), (&stream).read(&mut [0])).await.is_err());
            drop(stream);
            turn().await;
            peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);

            let listener = TcpListener::bind(ANY_PORT).await.unwrap();
            let address = listener.local_addr().unwrap();
            assert!(timeout(Duration::from_millis(1), listener.accept()).await.is_err());
            drop(listener);
            TcpListener::bind(address).await.unwrap();
        });
        use_runtime(&runtime);
    });
}

#[test]
fn io_destroy_is_denied_while_reads_are_in_flight() {
    const READS: usize = 2048;
    const LEN: usize = 64 << 10;
    alone("io_destroy_is_denied_while_reads_are_in_flight", || {
        // A thread calls io_destroy, so the log is the process's.
        let log = Log::of("aio_runtime");
        tracing::subscriber::set_global_default(Ear(log.clone())).unwrap();
        let dir = real_dir();
        let path = dir.path().join("zeros");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        // Written back, so that reading means to wait for the device.
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let file = open_direct(&path).await;
            let offset = |at: usize| (at * LEN % (1 << 20)) as u64;
            deny(&[libc::SYS_io_destroy], libc::EPERM);
            // The device may be faster than a thread that has to wait for a processor.
            for _ in 0..20 {
                let mut reads: Vec<_> =
                    (0..READS).map(|at| Box::pin(file.read_at(Buf::aligned(LEN, 4096), offset(at)))).collect();
                reads.iter_mut().for_each(|read| assert!(!poll_once(read.as_mut())));
                turn().await;
                drop(reads);
                if Handle::current().metrics().orphans > 0 {
                    return;
                }
            }
            panic!("no read is in flight when it is dropped: the test proves nothing");
        });
        drop(runtime);
        // The device still writes zeros. If the reads' memory had been freed, these had it now.
        let mine: Vec<_> = (0..READS).map(|_| vec![0xa5_u8; LEN]).collect();
        std::thread::sleep(Duration::from_millis(500));
        let overwritten = mine.iter().filter(|buf| buf.iter().any(|byte| *byte != 0xa5)).count();
        assert_eq!(overwritten, 0, "of {READS} buffers");
        wait_until("io_destroy was denied", || log.contains("io_destroy failed"));
    });
}
