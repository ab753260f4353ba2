//! Buffered reads: a hit in the page cache needs no thread; what would block goes to the blocking
//! pool and not into the loop.

mod common;

use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use aio_runtime::fs::{Buf, File};
use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::time::timeout;
use aio_runtime::{Builder, Handle};
use common::busy::BusyThread;
use common::files::write_uncached;
use common::{pattern, poll_once, real_dir, run, run_on, soon, stream_pair, turn, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LEN: usize = 1 << 20;

/// The content of all files here.
static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(LEN));

#[test]
fn uncached_data_is_read() {
    let dir = real_dir();
    let path = dir.path().join("file");
    run(async {
        for _ in 0..5 {
            write_uncached(&path, &CONTENT);
            let file = File::open(&path).await.unwrap();
            // From the end backwards, where read-ahead does not help.
            for at in (0..LEN).step_by(LEN / 8).rev() {
                let (read, buf) = soon("a read", file.read_exact_at(Buf::zeroed(10_000), at as u64)).await;
                read.unwrap();
                assert!(buf[..] == CONTENT[at..][..10_000]);
            }
        }
    });
}

/// A file whose content is in the page cache.
async fn cached_file() -> (tempfile::TempDir, File) {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, &*CONTENT).unwrap();
    let file = File::open(&path).await.unwrap();
    (dir, file)
}

/// Runs a test's future on a runtime whose pool has one thread.
fn run_with_one_pool_thread<F: Future>(future: F) -> F::Output {
    run_on(Builder::new().max_blocking_threads(1), future)
}

/// Runs a future while the pool's one thread is busy.
async fn with_busy_pool<F: Future>(future: F) -> F::Output {
    let busy = BusyThread::begin().await;
    let output = future.await;
    busy.end().await;
    output
}

#[test]
fn a_hit_needs_no_thread() {
    let dir = real_dir();
    run_with_one_pool_thread(async {
        let path = dir.path().join("file");
        std::fs::write(&path, &*CONTENT).unwrap();
        let file = File::open(&path).await.unwrap();
        let hit = file.read_exact_at(Buf::zeroed(4096), LEN as u64 / 2);
        let (hit, buf) = with_busy_pool(soon("a hit", hit)).await;
        hit.unwrap();
        assert!(buf[..] == CONTENT[LEN / 2..][..4096]);
    });
}

type Done = (std::io::Result<usize>, Buf);

/// Reads of cached data, 8 MiB in all, each of which has been polled once.
fn reads_at_once(file: &File) -> Vec<Pin<Box<impl Future<Output = Done>>>> {
    let read = |at| Box::pin(file.read_at(Buf::zeroed(PIECE), (at * PIECE % LEN) as u64));
    let mut reads: Vec<_> = (0..64).map(read).collect();
    assert!(!reads.iter_mut().any(|read| poll_once(read.as_mut())));
    reads
}

const PIECE: usize = 128 << 10;

/// What one flush copies: 1 MiB.
const PIECES_OF_A_FLUSH: u64 = 8;

#[test]
fn a_turn_copies_a_bounded_number_of_bytes() {
    run(async {
        let (_dir, file) = cached_file().await;
        let mut reads = reads_at_once(&file);
        for flushes in 1..=8 {
            turn().await;
            let metrics = Handle::current().metrics();
            assert_eq!(metrics.submitted_reads, flushes * PIECES_OF_A_FLUSH, "{metrics:#?}");
        }
        for (at, read) in reads.drain(..).enumerate() {
            let (read, buf) = soon("a read", read).await;
            assert_eq!(read.unwrap(), PIECE);
            assert!(buf[..] == CONTENT[at * PIECE % LEN..][..PIECE]);
        }
    });
}

#[test]
fn the_loop_does_not_sleep_on_copies_that_wait_for_their_turn() {
    run(async {
        let (_dir, file) = cached_file().await;
        let reads = reads_at_once(&file);
        // Nothing is ready until then: their wakers do nothing.
        let (handle, (report, reported)) = (Handle::current(), futures::channel::oneshot::channel());
        let watching = std::thread::spawn(move || {
            wait_until("all are submitted", || handle.metrics().submitted_reads == 64);
            report.send(())
        });
        reported.await.unwrap();
        watching.join().unwrap().unwrap();
        drop(reads);
    });
}

#[test]
fn polls_do_not_wait_for_copies() {
    run(async {
        let (_dir, file) = cached_file().await;
        let (mut near, mut far) = stream_pair();
        let arrived = near.as_fd().try_clone_to_owned().unwrap();
        let reads = reads_at_once(&file);
        let mut byte = [0];
        let mut waiting = near.read(&mut byte);
        assert!(!poll_once(Pin::new(&mut waiting)));
        far.write_all(b"x").await.unwrap();
        // It may take a moment even within a host.
        let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&arrived, PollFlags::IN)], Some(&limit)), Ok(1));
        turn().await;
        turn().await;
        assert!(poll_once(Pin::new(&mut waiting)), "the socket's poll was behind the reads");
        drop(reads);
    });
}

#[test]
fn copies_that_wait_for_their_turn_can_be_dropped() {
    run(async {
        let (_dir, file) = cached_file().await;
        let mut reads = reads_at_once(&file);
        turn().await;
        // Every second one.
        let mut number = 0;
        reads.retain(|_| {
            number += 1;
            number % 2 == 0
        });
        for read in reads {
            let (read, buf) = soon("a read", read).await;
            assert_eq!((read.unwrap(), buf.len()), (PIECE, PIECE));
        }
        let submitted = Handle::current().metrics().submitted_reads;
        assert_eq!(submitted, PIECES_OF_A_FLUSH + (64 - PIECES_OF_A_FLUSH) / 2);
    });
}

/// Whether a read waits while the pool is busy. If it does, it completes afterwards.
async fn assert_waits_for_the_pool(file: &File) -> bool {
    let mut read = Box::pin(file.read_exact_at(Buf::zeroed(4096), LEN as u64 / 2));
    let waits = with_busy_pool(async { timeout(Duration::from_millis(20), read.as_mut()).await.is_err() }).await;
    if waits {
        let (read, buf) = soon("the read", read).await;
        read.unwrap();
        assert!(buf[..] == CONTENT[LEN / 2..][..4096]);
    }
    waits
}

#[test]
fn unsupported_nowait_falls_back_to_the_pool() {
    // tmpfs has no RWF_NOWAIT.
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return eprintln!("no tmpfs here");
    }
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    run_with_one_pool_thread(async {
        let path = dir.path().join("file");
        std::fs::write(&path, &*CONTENT).unwrap();
        let file = File::open(&path).await.unwrap();
        assert!(assert_waits_for_the_pool(&file).await, "it was read in the loop");
    });
}

#[test]
fn a_miss_goes_to_the_pool() {
    let dir = real_dir();
    run_with_one_pool_thread(async {
        // On a fast device the read-ahead may bring the page before the kernel looks for it: then
        // it is a hit.
        for number in 0..10 {
            let path = dir.path().join(number.to_string());
            write_uncached(&path, &CONTENT);
            let file = File::open(&path).await.unwrap();
            if assert_waits_for_the_pool(&file).await {
                return;
            }
        }
        eprintln!("no miss on this device");
    });
}
