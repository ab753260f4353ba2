//! What a runtime stands on shows: one line when it starts. What goes to the blocking pool shows:
//! the metrics count it by its reason, and a file that falls back for good is logged. So do tasks,
//! and what stalls the loop.

mod common;

use std::future::pending;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::task::yield_now;
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, Metrics, spawn};
use common::files::{BLOCK, aligned, open_read_write, read, write_uncached};
use common::listener::{Listener, listen};
use common::log::Log;
use common::{pattern, real_dir, run, run_on, soon};
use rustix::fs::{Advice, fadvise};

/// How often transfers went to the pool: misses, extending, unsupported.
fn detours() -> [u64; 3] {
    let Metrics { pool_misses, pool_extending, pool_unsupported, .. } = Handle::current().metrics();
    [pool_misses, pool_extending, pool_unsupported]
}

#[test]
fn a_miss_is_counted() {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(1 << 20)).unwrap();
    run(async {
        let file = File::open(&path).await.unwrap();
        let (hit, buf) = soon("a hit", file.read_at(Buf::zeroed(4096), 0)).await;
        assert_eq!((hit.unwrap(), detours()), (4096, [0; 3]));
        let std = std::fs::File::open(&path).unwrap();
        std.sync_all().unwrap();
        let mut buf = buf;
        // On a fast device the read-ahead may bring the page before the kernel looks for it: then
        // it is a hit.
        for block in (0..256).rev() {
            fadvise(&std, 0, None, Advice::DontNeed).unwrap();
            let read;
            (read, buf) = soon("a read", file.read_at(buf, block * 4096)).await;
            assert_eq!(read.unwrap(), 4096);
            if detours() == [1, 0, 0] {
                return;
            }
        }
        assert_eq!(detours(), [0; 3]);
        eprintln!("no miss on this device");
    });
}

#[test]
fn a_large_buffered_transfer_is_counted() {
    const LARGE: usize = 1 << 20;
    let dir = real_dir();
    let path = dir.path().join("file");
    let content = pattern(LARGE);
    std::fs::write(&path, &content).unwrap();
    run(async {
        let file = open_read_write(&path, false).await;
        let (read, buf) = soon("a read", file.read_at(Buf::zeroed(LARGE), 0)).await;
        assert_eq!(read.unwrap(), LARGE);
        assert!(buf[..] == content);
        assert_eq!(Handle::current().metrics().pool_large, 1);
        let (written, buf) = soon("a write", file.write_at(buf, LARGE as u64)).await;
        assert_eq!(written.unwrap(), LARGE);
        assert_eq!(Handle::current().metrics().pool_large, 2);
        // In pieces it needs no thread.
        for at in (0..2 * LARGE).step_by(256 << 10) {
            let (read, piece) = soon("a read", file.read_at(Buf::zeroed(256 << 10), at as u64)).await;
            assert!(piece[..read.unwrap()] == buf[at % LARGE..][..256 << 10]);
        }
        assert_eq!(Handle::current().metrics().pool_large, 2);
    });
}

/// Writes a file of 64 blocks that are on the device and not in the page cache.
fn write_blocks(path: &Path) -> Vec<u8> {
    let content = pattern(64 * BLOCK);
    write_uncached(path, &content);
    content
}

#[test]
fn direct_transfers_need_no_thread() {
    let dir = real_dir();
    let path = dir.path().join("file");
    let content = write_blocks(&path);
    run(async {
        let file = open_read_write(&path, true).await;
        for _ in 0..4 {
            for (at, block) in content.chunks(BLOCK).enumerate() {
                assert!(read(&file, BLOCK, (at * BLOCK) as u64).await == block);
            }
        }
        assert_eq!(detours(), [0; 3]);
        for (at, block) in content.chunks(BLOCK).rev().enumerate() {
            soon("a write", file.write_at(aligned(block), (at * BLOCK) as u64)).await.0.unwrap();
        }
        // The first write to an inode looks for privileges to be removed. Some file systems wait
        // when they set the time of the change, which happens every few milliseconds at most.
        let [misses, others @ ..] = detours();
        assert!(misses < 32 && others == [0; 2], "{misses} of 64 writes inside the file, {others:?}");
        let reversed: Vec<u8> = content.chunks(BLOCK).rev().flatten().copied().collect();
        assert!(std::fs::read(&path).unwrap() == reversed);
    });
}

#[test]
fn a_direct_write_into_a_hole_goes_to_the_pool() {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::File::create(&path).unwrap().set_len(16 << 20).unwrap();
    run(async {
        let file = open_read_write(&path, true).await;
        for number in 1..=8 {
            let (block, offset) = (pattern(number * BLOCK), (number as u64) << 20);
            soon("a write", file.write_at(aligned(&block), offset)).await.0.unwrap();
            assert_eq!(detours(), [number as u64, 0, 0], "io_submit allocated");
            assert!(read(&file, number * BLOCK, offset).await == block);
        }
        assert_eq!(detours(), [8, 0, 0]);
    });
}

#[test]
fn a_direct_write_without_nowait_stays_in_the_context() {
    // tmpfs has O_DIRECT since Linux 6.6, and no RWF_NOWAIT.
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return eprintln!("no tmpfs here") };
    let path = dir.path().join("on-tmpfs");
    let content = pattern(4 * BLOCK);
    std::fs::write(&path, vec![0; content.len()]).unwrap();
    let log = Log::of("aio_runtime::fs");
    listen(log.clone(), || {
        run(async {
            let Ok(file) = OpenOptions::new().write(true).direct(true).open(&path).await else {
                return eprintln!("no O_DIRECT on tmpfs");
            };
            for _ in 0..3 {
                soon("a write", file.write_at(aligned(&content), 0)).await.0.unwrap();
            }
            assert_eq!(detours(), [0; 3]);
            // The first one twice.
            assert_eq!(Handle::current().metrics().submitted_writes, 4);
            log.only_line();
            assert!(std::fs::read(&path).unwrap() == content);
        });
    });
}

#[test]
fn an_extending_write_is_counted() {
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(BLOCK)).unwrap();
    run(async {
        let file = open_read_write(&path, true).await;
        for (blocks, extending) in [(1, 1), (2, 2)] {
            let content = aligned(&pattern(BLOCK));
            soon("a write", file.write_at(content, blocks * BLOCK as u64)).await.0.unwrap();
            assert_eq!(detours()[1], extending);
        }
        // Inside the file, by now.
        soon("a write", file.write_at(aligned(&pattern(BLOCK)), BLOCK as u64)).await.0.unwrap();
        assert_eq!(detours()[1..], [2, 0]);
    });
}

#[test]
fn a_direct_read_that_would_block_waits_in_the_context() {
    const TRIES: i64 = 20;
    let dir = real_dir();
    let path = dir.path().join("dirty");
    std::fs::write(&path, pattern(BLOCK)).unwrap();
    run(async {
        let file = OpenOptions::new().read(true).direct(true).open(&path).await.unwrap();
        let std = std::fs::File::options().write(true).open(&path).unwrap();
        let mut again = 0;
        for try_number in 1..=TRIES {
            // Until it is written back, a read with RWF_NOWAIT says EAGAIN.
            std.write_all_at(&[try_number as u8; BLOCK], 0).unwrap();
            let (read, buf) = soon("a read", file.read_at(aligned(&[0; BLOCK]), 0)).await;
            assert_eq!((read.unwrap(), &buf[..]), (BLOCK, &[try_number as u8; BLOCK][..]));
            again = Handle::current().metrics().submitted_reads as i64 - try_number;
        }
        assert_eq!(detours(), [0; 3]);
        // 0 if the file system finds nothing wrong, or the kernel is always faster.
        assert!(again <= 1, "{again} of {TRIES} reads were submitted twice: there is no pause");
    });
}

#[test]
fn a_file_without_nowait_is_counted_and_logged_once() {
    if !Path::new("/dev/shm").is_dir() {
        return eprintln!("no tmpfs here");
    }
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("on-tmpfs");
    std::fs::write(&path, pattern(8192)).unwrap();
    let log = Log::of("aio_runtime::fs");
    listen(log.clone(), || {
        run(async {
            let file = File::open(&path).await.unwrap();
            for reads in 1..=3 {
                soon("a read", file.read_at(Buf::zeroed(4096), 0)).await.0.unwrap();
                assert_eq!(detours(), [0, 0, reads]);
            }
        });
    });
    let line = log.only_line();
    assert!(line.starts_with("DEBUG") && line.contains("RWF_NOWAIT") && line.contains("on-tmpfs"), "{line}");
}

#[test]
fn a_runtime_says_what_it_starts_on() {
    let log = Log::of("aio_runtime::reactor");
    listen(log.clone(), || run(async {}));
    let line = log.only_line();
    let fields =
        ["DEBUG", "a runtime starts", "mapped ring", "io_getevents", "asked=1000", "limit=16000", "aio_max_nr="];
    assert!(fields.iter().all(|field| line.contains(field)), "{line}");
}

#[test]
fn stalls_are_measured_if_that_is_asked_for() {
    for measure in [false, true] {
        run_on(Builder::new().measure_stalls(measure), async {
            const STALL: Duration = Duration::from_millis(2);
            spawn(async { std::thread::sleep(STALL) }).await.unwrap();
            // The loop arms its own poll before it sleeps.
            sleep(Duration::from_millis(1)).await;
            let metrics = Handle::current().metrics();
            if measure {
                assert!(u128::from(metrics.longest_poll_nanos) >= STALL.as_nanos());
                assert!(metrics.longest_submit_nanos > 0);
            } else {
                assert_eq!((metrics.longest_poll_nanos, metrics.longest_submit_nanos), (0, 0));
            }
        });
    }
}

#[test]
fn tasks_are_counted_from_their_first_poll_to_their_end() {
    run(async {
        let tasks = || Handle::current().metrics().tasks;
        let (waits, ends) = (spawn(pending::<()>()), spawn(yield_now()));
        assert_eq!(tasks(), 0, "none has begun");
        yield_now().await;
        assert_eq!(tasks(), 2);
        ends.await.unwrap();
        assert_eq!(tasks(), 1);
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        assert_eq!(tasks(), 0);
    });
}

/// Counts the spans of tasks that are entered, and checks that each is exited.
#[derive(Default)]
struct Spans {
    entered: AtomicUsize,
    exited: AtomicUsize,
}

impl Listener for Arc<Spans> {
    fn wants(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() == tracing::Level::TRACE
    }

    fn new_span(&self, metadata: &tracing::Metadata<'_>) {
        assert_eq!(metadata.name(), "task");
    }

    fn enter(&self) {
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    fn exit(&self) {
        self.exited.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn each_poll_of_a_task_is_in_a_span_at_the_level_of_traces() {
    let spans = Arc::new(Spans::default());
    listen(Arc::clone(&spans), || {
        run(async { spawn(yield_now()).await.unwrap() });
    });
    let [entered, exited] = [&spans.entered, &spans.exited].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((entered, exited), (2, 2));
}
