//! Processes that are forked or spawned while a runtime is alive.
#![allow(unsafe_code)] // fork, waitpid, _exit and alarm.

mod common;

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use aio_runtime::fs::Buf;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::task::{JoinHandle, spawn_blocking};
use aio_runtime::time::sleep;
use aio_runtime::{Runtime, spawn};
use common::fork::{FORKED, alone, fork, limit_time, reap};
use common::{
    Clean, open_direct, panic_of, panic_text, pattern, real_dir, rest, run, soon, stream_and_peer, stream_pair, turn,
};

/// Asserts that an inherited runtime refuses to run, and blames the caller.
fn assert_refuses(inherited: &Runtime) {
    let (file, text) = panic_of(|| inherited.block_on(async {}));
    assert!(text.contains(FORKED), "{text}");
    assert_eq!(file, file!());
}

/// Connections with a read armed in the kernel, and their peers.
fn armed(runtime: &Runtime, number: usize) -> Vec<(JoinHandle<[u8; 1]>, std::net::TcpStream)> {
    runtime.block_on(async {
        let armed = (0..number)
            .map(|_| {
                let (mut stream, peer) = stream_and_peer();
                let read = spawn(async move {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.unwrap();
                    byte
                });
                (read, peer)
            })
            .collect();
        turn().await;
        turn().await;
        armed
    })
}

/// Asserts that the runtime gets each event that it waits for.
fn assert_nothing_lost(runtime: &Runtime, armed: Vec<(JoinHandle<[u8; 1]>, std::net::TcpStream)>) {
    runtime.block_on(async {
        for (number, (read, mut peer)) in armed.into_iter().enumerate() {
            peer.write_all(&[number as u8]).unwrap();
            assert_eq!(soon("a byte", read).await.unwrap(), [number as u8]);
        }
        rest().await;
    });
}

/// Checks that a runtime of the child's own works in every respect.
fn use_a_new_runtime() {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(8192)).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (mut near, mut far) = stream_pair();
        let echo = spawn(async move {
            let mut byte = [0];
            far.read_exact(&mut byte).await.unwrap();
            far.write_all(&byte).await.unwrap();
        });
        turn().await;
        near.write_all(b"x").await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        echo.await.unwrap();
        sleep(Duration::from_millis(1)).await;
        let file = open_direct(&path).await;
        let (read, buf) = soon("a read", file.read_at(Buf::aligned(4096, 4096), 4096)).await;
        assert_eq!((read.unwrap(), &buf[..]), (4096, &pattern(8192)[4096..]));
        assert_eq!(soon("the pool", spawn_blocking(|| 1)).await.unwrap(), 1);
    });
}

#[test]
fn a_forked_child_is_told_to_build_a_runtime_of_its_own() {
    alone("a_forked_child_is_told_to_build_a_runtime_of_its_own", || {
        let runtime = Runtime::new().unwrap();
        let reads = armed(&runtime, 20);
        let pid = fork(|| {
            assert_refuses(&runtime);
            use_a_new_runtime();
            assert_refuses(&runtime);
        });
        reap(pid);
        assert_nothing_lost(&runtime, reads);
    });
}

#[test]
fn a_forked_child_drops_what_it_inherits() {
    alone("a_forked_child_drops_what_it_inherits", || {
        let runtime = Runtime::new().unwrap();
        let reads = armed(&runtime, 20);
        let (stream, peer) = runtime.block_on(async {
            let (stream, peer) = stream_and_peer();
            assert!(futures::poll!(pin!((&stream).read(&mut [0]))).is_pending());
            turn().await;
            (stream, peer)
        });
        // After and before the runtime that they are registered with.
        let (mut runtime, mut stream, mut reads) = (Some(runtime), Some(stream), Some(reads));
        for runtime_first in [true, false] {
            let pid = fork(|| {
                if runtime_first {
                    drop(runtime.take());
                }
                drop(stream.take());
                drop(reads.take());
                drop(runtime.take());
                use_a_new_runtime();
            });
            reap(pid);
        }
        let (runtime, stream) = (runtime.unwrap(), stream.unwrap());
        assert_nothing_lost(&runtime, reads.unwrap());
        // The child has closed its copy of the descriptor, which must not end the stream.
        let mut peer = peer;
        peer.write_all(b"x").unwrap();
        runtime.block_on(async { soon("a byte", (&stream).read_exact(&mut [0])).await.unwrap() });
    });
}

#[test]
fn a_child_forked_by_a_task_is_stopped_by_its_loop() {
    alone("a_child_forked_by_a_task_is_stopped_by_its_loop", || {
        let runtime = Runtime::new().unwrap();
        let reads = armed(&runtime, 20);
        let parent = std::process::id();
        let mut child = 0;
        let driven = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                // SAFETY: as in `fork`; the child unwinds to here, and ends below.
                child = unsafe { libc::fork() };
                turn().await;
            })
        }));
        if std::process::id() != parent {
            limit_time();
            let told = catch_unwind(AssertUnwindSafe(|| {
                let text = panic_text(&*driven.unwrap_err());
                assert!(text.contains(FORKED), "{text}");
                use_a_new_runtime();
            }));
            // SAFETY: as in `fork`.
            unsafe { libc::_exit(if told.is_ok() { 0 } else { 1 }) };
        }
        driven.unwrap();
        reap(child);
        assert_nothing_lost(&runtime, reads);
    });
}

#[test]
fn a_child_forked_by_a_waker_is_stopped_by_its_loop() {
    /// Forks when it is woken, and keeps what `fork` has returned. The parent then sends a byte.
    struct Forks(AtomicI32, std::net::TcpStream);
    impl Wake for Forks {
        fn wake(self: Arc<Self>) {
            // SAFETY: as in `fork`; the child comes to the end of the test.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                limit_time();
            } else {
                (&self.1).write_all(b"x").unwrap();
            }
            self.0.store(pid, Ordering::Relaxed);
        }
    }
    alone("a_child_forked_by_a_waker_is_stopped_by_its_loop", || {
        let runtime = Runtime::new().unwrap();
        let parent = std::process::id();
        let (mut stream, peer) = runtime.block_on(async { stream_and_peer() });
        let forks = Arc::new(Forks(AtomicI32::new(0), peer));
        let driven = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let waker = Waker::from(Arc::clone(&forks));
                let mut forking = pin!(sleep(Duration::from_millis(1)));
                assert!(forking.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                // Nothing is ready in the child, which gets no events.
                stream.read_exact(&mut [0]).await.unwrap();
            })
        }));
        if std::process::id() != parent {
            let told = driven.is_err_and(|panic| panic_text(&*panic).contains(FORKED));
            // SAFETY: as in `fork`.
            unsafe { libc::_exit(if told { 0 } else { 1 }) };
        }
        driven.unwrap();
        reap(forks.0.load(Ordering::Relaxed));
    });
}

#[test]
fn a_child_forked_with_reads_in_flight_takes_none_of_their_events() {
    alone("a_child_forked_with_reads_in_flight_takes_none_of_their_events", || {
        let dir = real_dir();
        let path = dir.path().join("file");
        let content = pattern(1 << 20);
        std::fs::write(&path, &content).unwrap();
        let runtime = Runtime::new().unwrap();
        let reads = armed(&runtime, 20);
        // By now the pool's thread is idle, and it holds no lock while it waits.
        let file = runtime.block_on(open_direct(&path));
        std::thread::sleep(Duration::from_millis(20));
        runtime.block_on(async {
            let mut direct: Vec<_> =
                (0..16).map(|at| Box::pin(file.read_at(Buf::aligned(65536, 4096), at * 65536))).collect();
            for read in &mut direct {
                assert!(futures::poll!(read.as_mut()).is_pending());
            }
            turn().await;
            let pid = fork(|| std::thread::sleep(Duration::from_millis(20)));
            for (at, read) in direct.into_iter().enumerate() {
                let (read, buf) = soon("a read", read).await;
                assert_eq!(read.unwrap(), 65536);
                assert!(buf[..] == content[at * 65536..][..65536]);
            }
            reap(pid);
        });
        assert_nothing_lost(&runtime, reads);
    });
}

#[test]
fn a_child_forked_beside_an_idle_pool_thread_has_a_pool_of_its_own() {
    alone("a_child_forked_beside_an_idle_pool_thread_has_a_pool_of_its_own", || {
        let runtime = Runtime::new().unwrap();
        let open = async { soon("an open", aio_runtime::fs::File::open("/proc/self/stat")).await.unwrap() };
        runtime.block_on(open);
        // By now the pool's thread is idle, and it holds no lock while it waits.
        std::thread::sleep(Duration::from_millis(20));
        assert!(std::fs::read_dir("/proc/self/task").unwrap().count() > 2, "the pool has no thread");
        let pid = fork(|| {
            let own = Runtime::new().unwrap();
            own.block_on(async {
                soon("an open", aio_runtime::fs::File::open("/proc/self/stat")).await.unwrap();
                let connecting = soon("a name", aio_runtime::net::TcpStream::connect("localhost:1"));
                assert!(connecting.await.is_err(), "nobody listens there");
                assert_eq!(soon("a function", spawn_blocking(|| 1)).await.unwrap(), 1);
            });
            // What is the parent's goes without a wait for its threads.
            drop(runtime);
        });
        reap(pid);
    });
}

#[test]
fn a_child_forked_by_a_task_does_not_wait_for_the_pool_of_its_parent() {
    alone("a_child_forked_by_a_task_does_not_wait_for_the_pool_of_its_parent", || {
        let runtime = Runtime::new().unwrap();
        let pid = runtime.block_on(async {
            spawn_blocking(|| ()).await.unwrap();
            fork(|| {
                let open = pin!(aio_runtime::fs::File::open("/proc/self/stat"));
                let opened = open.poll(&mut Context::from_waker(Waker::noop()));
                let Poll::Ready(Err(error)) = opened else { panic!("it would wait for the parent's thread") };
                assert!(error.to_string().contains("before the fork"), "{error}");
            })
        });
        reap(pid);
    });
}

#[test]
fn many_children_one_after_the_other() {
    alone("many_children_one_after_the_other", || {
        let runtime = Runtime::new().unwrap();
        let reads = armed(&runtime, 5);
        for _ in 0..4 {
            reap(fork(|| {
                let own = Runtime::new().unwrap();
                // A child of the child, too.
                reap(fork(|| {
                    assert_refuses(&own);
                    assert_refuses(&runtime);
                    Runtime::new().unwrap().block_on(async { turn().await });
                }));
                own.block_on(async { turn().await });
            }));
        }
        assert_nothing_lost(&runtime, reads);
    });
}

#[test]
fn a_child_forked_while_a_thread_makes_and_drops_runtimes() {
    alone("a_child_forked_while_a_thread_makes_and_drops_runtimes", || {
        let done = Arc::new(AtomicBool::new(false));
        let making = std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                while !done.load(Ordering::Relaxed) {
                    drop(Runtime::new().unwrap());
                }
            }
        });
        // Not a number of children: each takes up to 40 ms to end, as its context is destroyed.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(3) {
            // Whatever lock of ours the thread holds at this moment stays held in the child.
            reap(fork(|| Runtime::new().unwrap().block_on(async { turn().await })));
        }
        done.store(true, Ordering::Relaxed);
        making.join().unwrap();
    });
}

#[test]
fn commands_run_while_the_runtime_lives() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer();
        let reading = spawn(async move {
            let mut text = Vec::new();
            stream.read_to_end(&mut text).await.unwrap();
            text
        });
        turn().await;
        for _ in 0..5 {
            // On the runtime's thread, and on the pool.
            assert!(Command::new("true").status().unwrap().success());
            let output = spawn_blocking(|| Command::new("echo").arg("hello").output());
            assert_eq!(soon("the command", output).await.unwrap().unwrap().stdout, b"hello\n");
            peer.write_all(b"x").unwrap();
            turn().await;
        }
        drop(peer);
        assert_eq!(soon("the end", reading).await.unwrap(), b"xxxxx");
    });
}

#[test]
fn commands_inherit_nothing_of_the_runtime() {
    let clean = Clean::begin();
    let inherited = || {
        let mut listing = Command::new("ls").arg("/proc/self/fd").stdout(Stdio::piped()).spawn().unwrap();
        let mut text = String::new();
        listing.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(listing.wait().unwrap().success());
        text
    };
    let before = inherited();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let dir = real_dir();
        std::fs::write(dir.path().join("file"), pattern(4096)).unwrap();
        let file = open_direct(dir.path().join("file")).await;
        let listener = aio_runtime::net::TcpListener::bind(common::ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = spawn(aio_runtime::net::TcpStream::connect(address));
        let (accepted, _) = listener.accept().await.unwrap();
        let connected = connecting.await.unwrap().unwrap();
        assert_eq!(inherited(), before);
        drop((file, listener, accepted, connected));
    });
    clean.end(runtime);
}

#[test]
fn a_child_gets_an_error_from_a_stream_of_another_thread_s_runtime() {
    alone("a_child_gets_an_error_from_a_stream_of_another_thread_s_runtime", || {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (end, ends) = futures::channel::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let (stream, peer) = stream_and_peer();
                sender.send((stream, peer)).unwrap();
                let _ = ends.await;
            });
        });
        let (stream, mut peer) = receiver.recv().unwrap();
        let mut stream = Some(stream);
        let child = fork(|| {
            let text = futures::executor::block_on(stream.as_mut().unwrap().read(&mut [0])).unwrap_err().to_string();
            assert!(text.contains("before the fork"), "{text}");
            // The lock of what its drop would use may be held by a thread that is not here.
            drop(stream.take());
        });
        reap(child);
        peer.write_all(b"x").unwrap();
        assert_eq!(
            futures::executor::block_on(stream.as_mut().unwrap().read(&mut [0])).unwrap(),
            1,
            "the parent's goes on"
        );
        drop(stream);
        end.send(()).unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn when_a_task_forks_only_the_parent_goes_on() {
    alone("when_a_task_forks_only_the_parent_goes_on", || {
        for in_main in [false, true] {
            let runtime = Runtime::new().unwrap();
            let (mut stream, mut peer) = runtime.block_on(async { stream_and_peer() });
            let forks = async move {
                // SAFETY: the only other thread waits and holds no lock (`alone`).
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    limit_time();
                }
                // One byte at a time: the child's would come between the parent's.
                for byte in 0..50 {
                    let wrote = stream.write_all(&[byte]).await;
                    assert_eq!(wrote.is_ok(), pid != 0);
                }
                pid
            };
            let parent = std::process::id();
            let ran = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async { if in_main { forks.await } else { spawn(forks).await.unwrap() } })
            }));
            if std::process::id() != parent {
                // The child: its loop refuses to go on, whatever the task has come to.
                let refused = ran.is_err_and(|panic| panic_text(&*panic).contains(FORKED));
                // SAFETY: ends the process without running the parent's exit handlers.
                unsafe { libc::_exit(if refused { 0 } else { 1 }) };
            }
            reap(ran.unwrap());
            drop(runtime);
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).unwrap();
            assert!(bytes.into_iter().eq(0..50));
        }
    });
}
