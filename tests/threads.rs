//! Between threads: spawning, waking, and runtimes that talk to each other.

mod common;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use aio_runtime::fs::File;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::task::yield_now;
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, Runtime, spawn};
use common::busy::BusyThread;
use common::{ANY_PORT, Clean, rest, run, run_on, soon};
use futures::channel::{mpsc as channel, oneshot};
use futures::{SinkExt, StreamExt};

#[test]
fn a_storm_of_spawns() {
    const THREADS: usize = 4;
    const TASKS: usize = 1000;
    run(async {
        let runtime_thread = thread::current().id();
        let (report, mut reports) = channel::unbounded();
        let spawners: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (handle, report) = (Handle::current(), report.clone());
                thread::spawn(move || {
                    let tasks = (0..TASKS).map(|task| {
                        let report = report.clone();
                        handle.spawn(async move {
                            assert_eq!(thread::current().id(), runtime_thread);
                            yield_now().await;
                            report.unbounded_send(thread * TASKS + task).unwrap();
                            task
                        })
                    });
                    tasks.collect::<Vec<_>>()
                })
            })
            .collect();
        drop(report);
        let mut seen = vec![false; THREADS * TASKS];
        for _ in 0..THREADS * TASKS {
            let number = soon("the next task", reports.next()).await.unwrap();
            assert!(!std::mem::replace(&mut seen[number], true), "task {number} ran twice");
        }
        for spawner in spawners {
            for (number, task) in spawner.join().unwrap().into_iter().enumerate() {
                assert_eq!(soon("the task's end", task).await.unwrap(), number);
            }
        }
        assert_eq!(reports.next().await, None);
    });
}

#[test]
fn each_spawn_wakes_a_sleeping_loop() {
    run(async {
        let handle = Handle::current();
        let (end, ended) = oneshot::channel();
        let caller = thread::spawn(move || {
            for round in 0..3000_u32 {
                let (done, is_done) = mpsc::channel();
                drop(handle.spawn(async move { done.send(round).unwrap() }));
                // By then the loop may be asleep, about to sleep, or awake.
                assert_eq!(is_done.recv_timeout(Duration::from_secs(20)), Ok(round), "the wake is lost");
                for _ in 0..round % 64 {
                    std::hint::spin_loop();
                }
            }
            end.send(()).unwrap();
        });
        ended.await.unwrap();
        caller.join().unwrap();
    });
}

#[test]
fn each_wake_of_block_on_wakes_a_sleeping_loop() {
    run(async {
        let (turn, waker) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None::<Waker>)));
        const TURNS: usize = 3000;
        let other = thread::spawn({
            let (turn, waker) = (turn.clone(), waker.clone());
            move || {
                while turn.load(Ordering::Acquire) < TURNS {
                    let taken = waker.lock().unwrap().take();
                    match taken {
                        Some(waker) => {
                            turn.fetch_add(1, Ordering::AcqRel);
                            waker.wake();
                        }
                        None => thread::yield_now(),
                    }
                }
            }
        });
        for round in 0..TURNS {
            poll_fn(|cx| {
                if turn.load(Ordering::Acquire) > round {
                    return Poll::Ready(());
                }
                *waker.lock().unwrap() = Some(cx.waker().clone());
                // The other thread may have had its turn before it could see the waker.
                if turn.load(Ordering::Acquire) > round { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        other.join().unwrap();
    });
}

#[test]
fn tasks_spawned_before_the_runtime_runs() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    let tasks = thread::spawn(move || (0..10).map(|number| handle.spawn(async move { number })).collect::<Vec<_>>());
    let tasks = tasks.join().unwrap();
    assert!(tasks.iter().all(|task| !task.is_finished()));
    let outputs = runtime.block_on(async { futures::future::join_all(tasks).await });
    assert!(outputs.into_iter().map(Result::unwrap).eq(0..10));
    clean.end(runtime);
}

#[test]
fn a_spawned_future_spawns_what_is_not_send() {
    run(async {
        let handle = Handle::current();
        let task = thread::spawn(move || {
            handle.spawn(async {
                let local = spawn(async {
                    let not_send = std::rc::Rc::new(1);
                    sleep(Duration::from_millis(1)).await;
                    *not_send
                });
                local.await.unwrap()
            })
        });
        assert_eq!(soon("the task", task.join().unwrap()).await.unwrap(), 1);
    });
}

#[test]
fn a_future_that_is_not_send_is_made_on_the_runtimes_thread() {
    run(async {
        let (handle, runtime_thread) = (Handle::current(), thread::current().id());
        let made = thread::spawn(move || {
            let sleeps = handle.spawn_with(move || async move {
                let not_send = std::rc::Rc::new(thread::current().id());
                sleep(Duration::from_millis(1)).await;
                *not_send
            });
            let panics = handle.spawn_with(|| -> std::future::Ready<()> { panic!("in the making") });
            (sleeps, panics)
        });
        let (sleeps, panics) = made.join().unwrap();
        assert_eq!(soon("the task", sleeps).await.unwrap(), runtime_thread);
        assert!(soon("the panic", panics).await.unwrap_err().is_panic());
    });
}

#[test]
fn a_future_that_is_not_send_is_dropped_on_the_runtimes_thread() {
    /// Must not leave its thread.
    struct Stays(thread::ThreadId, std::marker::PhantomData<*const ()>);
    impl Drop for Stays {
        fn drop(&mut self) {
            assert_eq!(self.0, thread::current().id());
        }
    }
    let clean = Clean::begin();
    for round in 0..100 {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let (began, begin) = mpsc::channel();
        let spawner = thread::spawn(move || {
            let spawn_one = || {
                handle.spawn_with(|| {
                    let stays = Stays(thread::current().id(), std::marker::PhantomData);
                    async move {
                        let _stays = stays;
                        std::future::pending::<()>().await
                    }
                })
            };
            let first = spawn_one();
            began.send(()).unwrap();
            (0..20).map(|_| spawn_one()).chain([first]).collect::<Vec<_>>()
        });
        begin.recv().unwrap();
        if round % 2 == 0 {
            runtime.block_on(yield_now());
        }
        drop(runtime);
        for task in spawner.join().unwrap() {
            // Cancelled: no drop has panicked.
            assert!(futures::executor::block_on(task).unwrap_err().is_cancelled());
        }
    }
    clean.end_without_runtime();
}

#[test]
fn spawn_from_a_task_of_another_runtime() {
    run(async {
        let (send_handle, handle) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let other = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                send_handle.send(Handle::current()).unwrap();
                ended.await.unwrap();
            });
            thread::current().id()
        });
        let there = handle.await.unwrap().spawn(async { thread::current().id() });
        let there = soon("the task over there", there).await.unwrap();
        end.send(()).unwrap();
        assert_eq!(there, other.join().unwrap());
    });
}

#[test]
fn ping_pong_of_two_runtimes_by_channels() {
    const ROUNDS: u32 = 5000;
    run(async {
        let (mut ping, mut pings) = channel::channel::<u32>(0);
        let (mut pong, mut pongs) = channel::channel::<u32>(0);
        let other = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                // In a task: its waker goes through the inbox, unlike that of block_on.
                let echo = spawn(async move {
                    while let Some(number) = pings.next().await {
                        pong.send(number + 1).await.unwrap();
                    }
                });
                echo.await.unwrap();
                rest().await;
            });
        });
        for round in 0..ROUNDS {
            ping.send(round).await.unwrap();
            assert_eq!(pongs.next().await, Some(round + 1));
        }
        drop(ping);
        other.join().unwrap();
    });
}

#[test]
fn ping_pong_of_two_runtimes_by_sockets() {
    const ROUNDS: u32 = 3000;
    const CONNECTIONS: usize = 4;
    run(async {
        let (send_address, address) = oneshot::channel();
        let other = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(ANY_PORT).await.unwrap();
                send_address.send(listener.local_addr().unwrap()).unwrap();
                let mut tasks = Vec::new();
                for _ in 0..CONNECTIONS {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    tasks.push(spawn(async move {
                        let mut number = [0; 4];
                        while stream.read_exact(&mut number).await.is_ok() {
                            stream.write_all(&number).await.unwrap();
                        }
                    }));
                }
                for task in tasks {
                    task.await.unwrap();
                }
                drop(listener);
                rest().await;
            });
        });
        let address = address.await.unwrap();
        let mut tasks = Vec::new();
        for connection in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            tasks.push(spawn(async move {
                for round in 0..ROUNDS / CONNECTIONS as u32 {
                    stream.write_all(&round.to_ne_bytes()).await.unwrap();
                    // Now and then the answer is there before it is asked for.
                    if round % 8 == connection as u32 {
                        yield_now().await;
                    }
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(u32::from_ne_bytes(answer), round);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        other.join().unwrap();
    });
}

#[test]
fn a_stuck_pool_holds_up_no_other_runtime() {
    run_on(Builder::new().max_blocking_threads(1), async {
        let stuck = BusyThread::begin().await;
        let other = thread::spawn(|| {
            let runtime = Builder::new().max_blocking_threads(1).build().unwrap();
            runtime.block_on(async { soon("an open", File::open("/proc/self/stat")).await.map(drop) })
        });
        other.join().unwrap().unwrap();
        stuck.end().await;
    });
}

#[test]
fn runtimes_on_many_threads() {
    let clean = Clean::begin();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                let runtime = Runtime::new().unwrap();
                runtime.block_on(async {
                    let (mut near, mut far) = common::stream_pair();
                    for _ in 0..50 {
                        near.write_all(&[number]).await.unwrap();
                        let mut byte = [0];
                        far.read_exact(&mut byte).await.unwrap();
                        assert_eq!(byte, [number]);
                        sleep(Duration::from_micros(10)).await;
                    }
                    drop((near, far));
                    rest().await;
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    clean.end_without_runtime();
}
