//! Nothing starves: neither the neighbours of a task that is always ready, nor what the kernel
//! completes meanwhile.

mod common;

use std::cell::Cell;
use std::future::pending;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use aio_runtime::fs::Buf;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::task::{JoinHandle, yield_now};
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, spawn};
use common::{ANY_PORT, open_direct, pattern, real_dir, run, run_on, soon, stream_and_peer, stream_pair, turn};
use futures::future::{join, select_all};

/// Runs `greedy` beside a task that sleeps, yields and does I/O, and stops it when that is done.
fn beside_a_greedy_task<F: Future<Output = ()> + 'static>(greedy: impl FnOnce() -> F) {
    run(async {
        let greedy = spawn(greedy());
        let modest = async {
            let (mut near, mut far) = stream_pair();
            for _ in 0..5 {
                yield_now().await;
                sleep(Duration::from_micros(100)).await;
                near.write_all(b"x").await.unwrap();
                far.read_exact(&mut [0]).await.unwrap();
            }
        };
        soon("a modest task beside a greedy one", modest).await;
        assert!(!greedy.is_finished());
        greedy.abort();
        assert!(greedy.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn beside_a_socket_that_is_always_readable() {
    beside_a_greedy_task(|| async {
        let (stream, mut peer) = stream_and_peer();
        peer.write_all(b"x").unwrap();
        loop {
            assert_eq!(stream.peek(&mut [0]).await.unwrap(), 1);
        }
    });
}

#[test]
fn beside_a_socket_that_is_always_writable() {
    beside_a_greedy_task(|| async {
        let (mut stream, mut peer) = stream_and_peer();
        // Reads as fast as it can; ends with the stream.
        thread::spawn(move || while peer.read(&mut [0; 65536]).is_ok_and(|read| read > 0) {});
        loop {
            stream.write_all(b"x").await.unwrap();
        }
    });
}

#[test]
fn beside_a_stream_at_its_end() {
    beside_a_greedy_task(|| async {
        let (mut stream, _) = stream_and_peer();
        loop {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
    });
}

#[test]
fn beside_handles_that_are_ready() {
    beside_a_greedy_task(|| async {
        loop {
            let mut tasks: Vec<_> = (0..500).map(|number| spawn(async move { number })).collect();
            yield_now().await;
            for task in tasks.drain(..) {
                task.await.unwrap();
            }
        }
    });
}

#[test]
fn beside_sleeps_that_are_over() {
    beside_a_greedy_task(|| async {
        loop {
            sleep(Duration::ZERO).await;
        }
    });
}

#[test]
fn beside_the_future_of_block_on() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        peer.write_all(b"x").unwrap();
        let modest = spawn(async {
            for _ in 0..20 {
                sleep(Duration::from_micros(100)).await;
            }
        });
        while !modest.is_finished() {
            stream.peek(&mut [0]).await.unwrap();
        }
        modest.await.unwrap();
    });
}

#[test]
fn beside_many_tasks_that_yield() {
    // One task per look at the reactor, then all of them.
    for interval in [1, 10_000] {
        run_on(Builder::new().event_interval(interval), async {
            let stop = Rc::new(Cell::new(false));
            let yielding: Vec<_> = (0..1000)
                .map(|_| {
                    let stop = stop.clone();
                    spawn(async move {
                        while !stop.get() {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            soon("a sleep", sleep(Duration::from_millis(2))).await;
            stop.set(true);
            for task in yielding {
                task.await.unwrap();
            }
        });
    }
}

/// A task that never lets the loop sleep.
fn spin() -> JoinHandle<()> {
    spawn(async {
        loop {
            yield_now().await;
        }
    })
}

async fn end(spinner: JoinHandle<()>) {
    spinner.abort();
    let _ = spinner.await;
}

#[test]
fn a_loop_that_never_sleeps_gets_its_reads() {
    let dir = real_dir();
    let path = dir.path().join("file");
    let content = pattern(1 << 20);
    std::fs::write(&path, &content).unwrap();
    run(async {
        let spinner = spin();
        let file = soon("the open", open_direct(&path)).await;
        for at in (0..1 << 20).step_by(65536) {
            let (read, buf) = soon("a direct read", file.read_at(Buf::aligned(4096, 4096), at)).await;
            assert_eq!(read.unwrap(), 4096);
            assert_eq!(buf[..], content[at as usize..][..4096]);
        }
        end(spinner).await;
    });
}

#[test]
fn a_loop_that_never_sleeps_sees_the_end_of_streams() {
    run(async {
        let spinner = spin();
        for _ in 0..50 {
            let (mut stream, peer) = stream_and_peer();
            let reader = spawn(async move { stream.read(&mut [0]).await.unwrap() });
            // The reader's poll is armed.
            turn().await;
            drop(peer);
            assert_eq!(soon("the end of the stream", reader).await.unwrap(), 0);
        }
        end(spinner).await;
    });
}

#[test]
fn a_loop_that_never_sleeps_closes_what_is_dropped() {
    run(async {
        let spinner = spin();
        for _ in 0..50 {
            let (mut stream, mut peer) = stream_and_peer();
            let reader = spawn(async move { stream.read(&mut [0]).await });
            turn().await;
            let cancels = Handle::current().metrics().cancels;
            reader.abort();
            let (report, at_end) = futures::channel::oneshot::channel();
            let peer = thread::spawn(move || report.send(peer.read(&mut [0]).unwrap()));
            assert_eq!(soon("the peer's end of the stream", at_end).await, Ok(0));
            peer.join().unwrap().unwrap();
            assert_eq!(Handle::current().metrics().cancels, cancels + 1);
        }
        end(spinner).await;
    });
}

#[test]
fn a_loop_that_never_sleeps_hears_other_threads() {
    run(async {
        let spinner = spin();
        let handle = Handle::current();
        let (stop, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let caller = thread::spawn({
            let (stop, stopped) = (stop.clone(), stopped.clone());
            move || {
                for _ in 0..100 {
                    let (done, is_done) = mpsc::channel();
                    drop(handle.spawn(async move { done.send(()).unwrap() }));
                    is_done.recv_timeout(Duration::from_secs(10)).unwrap();
                }
                stopped.store(true, Ordering::Release);
                while !stop.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            }
        });
        while !stopped.load(Ordering::Acquire) {
            yield_now().await;
        }
        stop.store(true, Ordering::Release);
        caller.join().unwrap();
        end(spinner).await;
    });
}

#[test]
fn a_loop_that_never_sleeps_accepts_and_connects() {
    run(async {
        let spinner = spin();
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..50 {
            let connecting = spawn(TcpStream::connect(address));
            soon("an accept", listener.accept()).await.unwrap();
            soon("a connect", connecting).await.unwrap().unwrap();
        }
        end(spinner).await;
    });
}

#[test]
fn a_task_may_wait_on_more_things_than_its_budget() {
    const WAITS: usize = 300;
    run(async {
        let limits = (0..WAITS).map(|i| sleep(Duration::from_millis(if i + 1 == WAITS { 5 } else { 3_600_000 })));
        let (_, last, _) = soon("the last of many sleeps", select_all(limits.map(Box::pin))).await;
        assert_eq!(last, WAITS - 1);

        let mut pairs: Vec<_> = (0..WAITS).map(|_| stream_pair()).collect();
        let (mut far, mut writer) = pairs.pop().unwrap();
        let mut streams: Vec<_> = pairs.iter_mut().map(|(near, _)| near).collect();
        streams.push(&mut far);
        let mut buffers = vec![[0; 1]; WAITS];
        let reads = streams.into_iter().zip(&mut buffers).map(|(stream, buffer)| Box::pin(stream.read(buffer)));
        let writes = async {
            sleep(Duration::from_millis(5)).await;
            writer.write_all(b"x").await.unwrap();
        };
        let ((read, last, _), ()) = soon("the last of many reads", join(select_all(reads), writes)).await;
        assert_eq!((read.unwrap(), last), (1, WAITS - 1));

        let (last, others) = (spawn(sleep(Duration::from_millis(5))), WAITS - 1);
        let mut tasks: Vec<_> = (0..others).map(|_| spawn(pending::<()>())).collect();
        tasks.push(last);
        let (ended, at, others) = soon("the last of many tasks", select_all(tasks)).await;
        ended.unwrap();
        assert_eq!(at, WAITS - 1);
        others.iter().for_each(JoinHandle::abort);
    });
}

#[test]
fn a_yield_lets_the_loop_look_for_completions() {
    run(async {
        const YIELDS: u64 = 50;
        let turns = || Handle::current().metrics().turns;
        let before = turns();
        for _ in 0..YIELDS {
            yield_now().await;
        }
        assert!(turns() - before >= YIELDS, "in block_on's own future");
        let task = spawn(async move {
            let before = turns();
            for _ in 0..YIELDS {
                yield_now().await;
            }
            assert!(turns() - before >= YIELDS, "in a task");
        });
        task.await.unwrap();
    });
}

#[test]
fn an_executor_inside_a_task_is_not_refused_forever() {
    run(async {
        let (mut near, mut far) = stream_pair();
        near.write_all(&[1; 1000]).await.unwrap();
        // One segment, which may take a moment even within a host.
        soon("the bytes", far.readable()).await.unwrap();
        // More reads than a poll has budget for, by an executor that never returns to the loop.
        let read = futures::executor::block_on(async {
            let mut sum = 0;
            for _ in 0..1000 {
                let mut byte = [0];
                far.read_exact(&mut byte).await.unwrap();
                sum += u32::from(byte[0]);
            }
            sum
        });
        assert_eq!(read, 1000);
    });
}

#[test]
fn tasks_run_beside_a_main_future_that_yields_in_the_shortest_interval() {
    run_on(Builder::new().event_interval(1), async {
        let ran = Rc::new(Cell::new(0));
        let counted = Rc::clone(&ran);
        let task = spawn(async move {
            for _ in 0..10 {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(ran.get(), 10);
        task.await.unwrap();
    });
}
