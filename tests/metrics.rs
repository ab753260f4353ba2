//! What the loop costs: one batch per turn, no call for events that are already there, and nothing
//! at all while it is idle.

mod common;

use std::thread;
use std::time::Duration;

use aio_runtime::fs::Buf;
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::task::JoinHandle;
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, Metrics, spawn};
use common::{open_direct, pattern, real_dir, run_on, soon, stream_and_peer, stream_pair, turn};
use futures::future::join_all;

/// How much the counters have grown from one snapshot to the next.
fn grown(before: &Metrics, after: &Metrics) -> Metrics {
    let mut grown = *after;
    grown.turns -= before.turns;
    grown.submit_calls -= before.submit_calls;
    grown.submitted_polls -= before.submitted_polls;
    grown.submitted_reads -= before.submitted_reads;
    grown.getevents_calls -= before.getevents_calls;
    grown.events_from_ring -= before.events_from_ring;
    grown.events_from_syscall -= before.events_from_syscall;
    grown.cancels -= before.cancels;
    grown
}

/// Connections with both ends in this loop, over each of which a message goes to and fro.
fn ping_pongs(connections: usize, rounds: usize) -> Vec<JoinHandle<()>> {
    (0..connections)
        .flat_map(|_| {
            let (mut near, mut far) = stream_pair();
            let ping = spawn(async move {
                for _ in 0..rounds {
                    near.write_all(b"ping").await.unwrap();
                    near.read_exact(&mut [0; 4]).await.unwrap();
                }
            });
            let pong = spawn(async move {
                for _ in 0..rounds {
                    far.read_exact(&mut [0; 4]).await.unwrap();
                    far.write_all(b"pong").await.unwrap();
                }
            });
            [ping, pong]
        })
        .collect()
}

#[test]
fn a_busy_loop_submits_once_per_turn_and_reaps_without_calls() {
    const CONNECTIONS: usize = 32;
    const ROUNDS: usize = 100;
    run_on(Builder::new().force_syscalls(false), async {
        let before = Handle::current().metrics();
        for end in ping_pongs(CONNECTIONS, ROUNDS) {
            soon("an end of a connection", end).await.unwrap();
        }
        let cost = grown(&before, &Handle::current().metrics());
        let messages = (2 * CONNECTIONS * ROUNDS) as u64;
        // A few more: before the loop first sleeps, it arms the poll by which other threads wake
        // it.
        assert!(cost.submit_calls <= cost.turns + 2, "{cost:#?}");
        assert!(cost.turns < messages / 4, "turns are shared by many connections: {cost:#?}");
        // A message to a connection of this loop is in the ring as soon as it is sent.
        assert!(cost.getevents_calls <= 2 + cost.turns / 10, "{cost:#?}");
        assert!(cost.events_from_ring + cost.events_from_syscall >= messages / 2, "{cost:#?}");
        assert!(cost.events_from_syscall <= cost.events_from_ring / 10, "{cost:#?}");
        assert!(cost.submitted_polls <= messages + CONNECTIONS as u64 * 2 + 2, "one poll a message: {cost:#?}");
        assert_eq!(cost.overflow_fds, 0);
    });
}

#[test]
fn an_idle_loop_makes_no_turns() {
    run_on(&mut Builder::new(), async {
        let (stream, peer) = stream_pair();
        let waiting = spawn(async move { (&stream).read(&mut [0]).await.unwrap() });
        let timer = spawn(sleep(Duration::from_secs(3600)));
        turn().await;
        let handle = Handle::current();
        let (done, is_done) = futures::channel::oneshot::channel();
        let watcher = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            let before = handle.metrics();
            thread::sleep(Duration::from_millis(200));
            let after = handle.metrics();
            done.send(()).unwrap();
            (before, after)
        });
        is_done.await.unwrap();
        let (before, after) = watcher.join().unwrap();
        assert_eq!(before, after, "the loop did something");
        assert!(after.slots_in_use >= 2, "it waits for a socket and for other threads: {after:#?}");
        timer.abort();
        drop(peer);
        waiting.await.unwrap();
        let _ = timer.await;
    });
}

#[test]
fn forced_system_calls_bring_every_event() {
    run_on(Builder::new().force_syscalls(true), async {
        let before = Handle::current().metrics();
        for end in ping_pongs(4, 20) {
            soon("an end of a connection", end).await.unwrap();
        }
        let cost = grown(&before, &Handle::current().metrics());
        assert_eq!(cost.events_from_ring, 0, "{cost:#?}");
        assert!(cost.events_from_syscall >= 80 && cost.getevents_calls > 0, "{cost:#?}");
    });
}

#[test]
fn a_spinning_loop_seldom_sleeps() {
    run_on(Builder::new().spin(Duration::from_secs(10)).force_syscalls(false), async {
        let before = Handle::current().metrics();
        let (mut near, mut far) = stream_and_peer();
        let peer = thread::spawn(move || {
            use std::io::{Read, Write};
            for _ in 0..100 {
                far.read_exact(&mut [0]).unwrap();
                far.write_all(b"x").unwrap();
            }
        });
        for _ in 0..100 {
            near.write_all(b"x").await.unwrap();
            soon("a byte", near.read_exact(&mut [0])).await.unwrap();
        }
        peer.join().unwrap();
        let cost = grown(&before, &Handle::current().metrics());
        assert_eq!(cost.getevents_calls, 0, "{cost:#?}");
    });
}

#[test]
fn reads_at_once_are_submitted_at_once() {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(128 * 4096)).unwrap();
    // While pages are dirty, a read with RWF_NOWAIT fails and is submitted twice. (Some file
    // systems have other reasons to refuse one.)
    std::fs::File::open(&path).unwrap().sync_all().unwrap();
    run_on(&mut Builder::new(), async {
        let file = open_direct(&path).await;
        let before = Handle::current().metrics();
        let reads = (0..128).map(|block| file.read_at(Buf::aligned(4096, 4096), block * 4096));
        for (read, _) in soon("all reads", join_all(reads)).await {
            assert_eq!(read.unwrap(), 4096);
        }
        let cost = grown(&before, &Handle::current().metrics());
        assert!(cost.submitted_reads >= 128, "{cost:#?}");
        assert!(cost.submit_calls <= 4, "{cost:#?}");
        assert!(cost.slots_peak >= 128 && cost.capacity >= cost.slots_peak, "{cost:#?}");
    });
}

#[test]
fn metrics_are_read_from_any_thread() {
    run_on(&mut Builder::new(), async {
        let handle = Handle::current();
        turn().await;
        let metrics = thread::spawn(move || handle.metrics()).join().unwrap();
        assert!(metrics.turns > 0 && metrics.capacity >= 4, "{metrics:#?}");
    });
}

#[test]
fn extreme_capacities() {
    for asked in [1, 2, 10_000_000, u32::MAX] {
        run_on(Builder::new().capacity(asked), async {
            assert!(Handle::current().metrics().capacity >= 4);
            for end in ping_pongs(4, 4) {
                soon("an end of a connection", end).await.unwrap();
            }
        });
    }
}
