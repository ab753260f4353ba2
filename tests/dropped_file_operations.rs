//! A file operation whose future is dropped or forgotten while the kernel has its buffer.

mod common;

use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, Runtime, spawn};
use common::files::BLOCK;
use common::{Clean, open_direct, pattern, poll_once, real_dir, rest, run, run_on, soon, turn};
use rustix::fs::{Advice, fadvise};

/// Long enough to be in flight for a while, short enough for the allocator to reuse the memory.
const READ: usize = 64 * 1024;
/// A byte that no file here contains.
const MARK: u8 = 0xA5;

/// A file of zeros, opened for direct reading.
async fn zeros(dir: &tempfile::TempDir, len: usize) -> File {
    let path = dir.path().join("zeros");
    std::fs::write(&path, vec![0; len]).unwrap();
    std::fs::File::open(&path).unwrap().sync_all().unwrap();
    open_direct(&path).await
}

/// Buffers of the same size as the reads had: if one of those was freed too early, the allocator
/// gives out its memory again.
fn marked_buffers(number: usize) -> Vec<Buf> {
    (0..number)
        .map(|_| {
            let mut buf = Buf::aligned(READ, BLOCK);
            buf.fill(MARK);
            buf
        })
        .collect()
}

#[track_caller]
fn assert_marked(buffers: &[Buf]) {
    assert!(
        buffers.iter().all(|buf| buf.iter().all(|byte| *byte == MARK)),
        "the kernel wrote to a buffer after it was freed"
    );
}

#[test]
fn dropped_reads_leave_reused_memory_alone() {
    let dir = real_dir();
    run(async {
        let file = zeros(&dir, 16 * READ).await;
        let handle = Handle::current();
        let mut orphans = 0;
        for round in 0..100 {
            let mut reads: Vec<_> = (0..8)
                .map(|number| Box::pin(file.read_at(Buf::aligned(READ, BLOCK), (number * READ) as u64)))
                .collect();
            reads.retain_mut(|read| !poll_once(read.as_mut()));
            // Dropped before the kernel has them, once it has them, and a little later.
            for _ in 0..round % 4 {
                turn().await;
            }
            drop(reads);
            orphans = orphans.max(handle.metrics().orphans);
            let buffers = marked_buffers(8);
            rest().await;
            assert_marked(&buffers);
        }
        assert!(orphans > 0, "no read was in flight when it was dropped: the test proves nothing");
    });
}

#[test]
fn reads_of_aborted_tasks_leave_reused_memory_alone() {
    let dir = real_dir();
    run(async {
        let file = std::rc::Rc::new(zeros(&dir, 16 * READ).await);
        for _ in 0..50 {
            let tasks: Vec<_> = (0..8)
                .map(|number| {
                    let file = file.clone();
                    spawn(async move { file.read_at(Buf::aligned(READ, BLOCK), (number * READ) as u64).await })
                })
                .collect();
            turn().await;
            tasks.iter().for_each(|task| task.abort());
            for task in tasks {
                drop(task.await);
            }
            let buffers = marked_buffers(8);
            rest().await;
            assert_marked(&buffers);
        }
    });
}

#[test]
fn a_file_dropped_with_its_reads() {
    let dir = real_dir();
    run(async {
        for _ in 0..20 {
            let file = zeros(&dir, READ).await;
            let mut read = Box::pin(async move { file.read_at(Buf::aligned(READ, BLOCK), 0).await.0 });
            assert!(!poll_once(read.as_mut()));
            turn().await;
            drop(read);
            // The descriptor's number goes to another file while the read is under way.
            let other = File::open("/dev/null").await.unwrap();
            rest().await;
            drop(other);
        }
    });
}

#[test]
fn dropped_writes_still_write_their_buffers() {
    let dir = real_dir();
    let path = dir.path().join("file");
    run(async {
        std::fs::write(&path, vec![0; 8 * READ]).unwrap();
        let file = OpenOptions::new().write(true).direct(true).open(&path).await.unwrap();
        let std = std::fs::File::open(&path).unwrap();
        let (mut contents, mut rounds_written) = ([0; 8], 0);
        for round in 1..30_u8 {
            // A direct write over pages in the cache would go to the pool, or be lost on its way.
            std.sync_all().unwrap();
            fadvise(&std, 0, None, Advice::DontNeed).unwrap();
            let mut buf = Buf::aligned(READ, BLOCK);
            buf.fill(round);
            let mut write = Box::pin(file.write_at(buf, u64::from(round % 8) * READ as u64));
            assert!(!poll_once(write.as_mut()));
            turn().await;
            drop(write);
            let buffers = marked_buffers(2);
            rest().await;
            drop(buffers);
            let content = std::fs::read(&path).unwrap();
            let written = &content[usize::from(round % 8) * READ..][..READ];
            let before = std::mem::replace(&mut contents[usize::from(round % 8)], written[0]);
            assert!(
                written.iter().all(|byte| *byte == written[0]) && [before, round].contains(&written[0]),
                "the buffer was freed before the write was over"
            );
            rounds_written += u32::from(written[0] == round);
        }
        // Some file systems refuse a few with RWF_NOWAIT.
        assert!(rounds_written >= 15, "{rounds_written} of 29");
    });
}

#[test]
fn forgotten_reads_give_their_slots_back() {
    let dir = real_dir();
    // The fewest slots possible, and more forgotten reads than that.
    run_on(Builder::new().capacity(1), async {
        let file = zeros(&dir, 16 * READ).await;
        // As good as forgotten: they are neither polled nor dropped.
        let mut forgotten = Vec::new();
        for number in 0..500 {
            let mut read = Box::pin(file.read_at(Buf::aligned(BLOCK, BLOCK), number % 16 * READ as u64));
            assert!(!poll_once(read.as_mut()));
            forgotten.push(read);
            if number % 7 == 0 {
                turn().await;
            }
        }
        rest().await;
        let (read, _) = soon("a read after those", file.read_at(Buf::aligned(BLOCK, BLOCK), 0)).await;
        assert_eq!(read.unwrap(), BLOCK);
        drop(forgotten);
    });
}

#[test]
fn dropped_syncs() {
    let dir = real_dir();
    let path = dir.path().join("file");
    run(async {
        let file = File::create(&path).await.unwrap();
        for _ in 0..10 {
            file.write_all_at(pattern(BLOCK), 0).await.0.unwrap();
            let mut sync = Box::pin(file.sync_all());
            assert!(!poll_once(sync.as_mut()));
            turn().await;
        }
        rest().await;
    });
}

#[test]
fn dropped_buffered_reads() {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(READ)).unwrap();
    run(async {
        let file = File::open(&path).await.unwrap();
        for round in 0..50 {
            let mut read = Box::pin(file.read_at(Buf::zeroed(READ), 0));
            assert!(!poll_once(read.as_mut()));
            for _ in 0..round % 3 {
                turn().await;
            }
            drop(read);
        }
        rest().await;
    });
}

#[test]
fn the_runtime_ends_with_reads_in_flight() {
    let clean = Clean::begin();
    let dir = real_dir();
    for round in 0..10 {
        let runtime = Runtime::new().unwrap();
        let file = runtime.block_on(zeros(&dir, 16 * READ));
        let mut reads: Vec<_> =
            (0..16).map(|number| Box::pin(file.read_at(Buf::aligned(READ, BLOCK), (number * READ) as u64))).collect();
        runtime.block_on(async {
            reads.retain_mut(|read| !poll_once(read.as_mut()));
            turn().await;
        });
        // The futures are dropped before the runtime, or after it.
        if round % 2 == 0 {
            reads.clear();
        }
        drop(runtime);
        let buffers = marked_buffers(16);
        thread::sleep(Duration::from_millis(10));
        for mut read in reads {
            // A read that outlives its runtime ends, one way or the other.
            let mut cx = Context::from_waker(Waker::noop());
            let inside = Runtime::new().unwrap();
            inside.block_on(async { assert!(read.as_mut().poll(&mut cx).is_ready()) });
        }
        assert_marked(&buffers);
        drop(file);
    }
    clean.end_without_runtime();
}

#[test]
fn tasks_end_with_their_reads_in_flight() {
    let clean = Clean::begin();
    let dir = real_dir();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let file = std::rc::Rc::new(zeros(&dir, 16 * READ).await);
        for number in 0..64 {
            let file = file.clone();
            drop(spawn(async move {
                loop {
                    drop(file.read_at(Buf::aligned(READ, BLOCK), number % 16 * READ as u64).await);
                }
            }));
        }
        sleep(Duration::from_millis(5)).await;
    });
    drop(runtime);
    let buffers = marked_buffers(64);
    thread::sleep(Duration::from_millis(20));
    assert_marked(&buffers);
    clean.end_without_runtime();
}
