//! Reads and writes of files, buffered and direct, of all lengths, at all offsets, and many at
//! once.

mod common;

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::fs::{Buf, OpenOptions};
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, spawn};
use common::files::{BLOCK, aligned, open_read_write, read};
use common::{open_direct, pattern, real_dir, run, run_on, soon};
use futures::future::join_all;

#[test]
fn what_is_written_is_read() {
    let dir = real_dir();
    run(async {
        for direct in [false, true] {
            let path = dir.path().join(format!("file-{direct}"));
            std::fs::write(&path, vec![0; 16 * BLOCK]).unwrap();
            let file = open_read_write(&path, direct).await;
            assert_eq!(file.alignment().is_some(), direct);
            let content = pattern(4 * BLOCK);
            let (written, buf) = soon("a write", file.write_at(aligned(&content), 2 * BLOCK as u64)).await;
            assert_eq!(written.unwrap(), content.len());
            assert_eq!(&buf[..], content, "the buffer comes back unchanged");
            assert_eq!(read(&file, 4 * BLOCK, 2 * BLOCK as u64).await, content);
            assert_eq!(read(&file, BLOCK, 0).await, vec![0; BLOCK]);
            file.sync_all().await.unwrap();
            file.sync_data().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap()[2 * BLOCK..6 * BLOCK], content);
        }
    });
}

#[test]
fn reads_are_short_at_the_end() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        let content = pattern(2 * BLOCK + 100);
        std::fs::write(&path, &content).unwrap();
        for direct in [false, true] {
            let file = open_read_write(&path, direct).await;
            assert_eq!(read(&file, 4 * BLOCK, BLOCK as u64).await, content[BLOCK..]);
            assert_eq!(read(&file, BLOCK, 2 * BLOCK as u64).await, content[2 * BLOCK..]);
            assert_eq!(read(&file, BLOCK, 3 * BLOCK as u64).await, []);
            assert_eq!(read(&file, BLOCK, 1 << 40).await, []);
            let exact = file.read_exact_at(Buf::aligned(2 * BLOCK, BLOCK), 0).await;
            exact.0.unwrap();
            assert_eq!(exact.1[..], content[..2 * BLOCK]);
            for (len, offset) in [(BLOCK, 2 * BLOCK), (4 * BLOCK, 0), (BLOCK, 8 * BLOCK)] {
                let reading = file.read_exact_at(Buf::aligned(len, BLOCK), offset as u64);
                let (ended, buf) = soon("an end", reading).await;
                assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof);
                assert_eq!(buf.len(), len, "the window has not changed");
            }
        }
    });
}

#[test]
fn empty_buffers() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_read_write(&path, direct).await;
            assert_eq!(file.read_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap(), 0);
            assert_eq!(file.write_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap(), 0);
            file.read_exact_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap();
            file.write_all_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap();
            // They need no alignment.
            assert_eq!(file.read_at(Buf::default(), 0).await.0.unwrap(), 0);
            assert_eq!(file.write_at(Buf::aligned(1, BLOCK).slice(1..), BLOCK as u64).await.0.unwrap(), 0);
            file.read_exact_at(Buf::default(), 0).await.0.unwrap();
            file.write_all_at(Buf::default(), 0).await.0.unwrap();
        }
    });
}

#[test]
fn a_window_of_a_buffer() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = open_read_write(&path, false).await;
        let (read, buf) = file.read_at(Buf::zeroed(8).slice(2..5), 4).await;
        assert_eq!((read.unwrap(), &buf[..]), (3, &b"456"[..]));
        assert_eq!(&buf.unslice()[..], b"\0\x00456\0\0\0");
        let (written, buf) = file.write_all_at(Buf::from(b"abcdef".to_vec()).slice(1..4), 0).await;
        written.unwrap();
        assert_eq!(&buf[..], b"bcd");
        assert_eq!(&buf.unslice()[..], b"abcdef");
        assert_eq!(std::fs::read(&path).unwrap(), b"bcd3456789");
    });
}

#[test]
fn large_transfers() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        let content = pattern(8 << 20);
        for direct in [false, true] {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(true).direct(direct).open(&path).await;
            let file = file.unwrap();
            let (written, buf) = soon("the write", file.write_all_at(aligned(&content), 0)).await;
            written.unwrap();
            assert_eq!(buf.len(), content.len());
            let (read, buf) = soon("the read", file.read_exact_at(Buf::aligned(8 << 20, BLOCK), 0)).await;
            read.unwrap();
            assert!(buf[..] == content);
        }
    });
}

#[test]
fn direct_operations_go_through_the_context() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, vec![0; 4 * BLOCK]).unwrap();
        let file = open_read_write(&path, true).await;
        let before = Handle::current().metrics();
        file.write_at(Buf::aligned(BLOCK, BLOCK), 0).await.0.unwrap();
        file.read_at(Buf::aligned(BLOCK, BLOCK), 0).await.0.unwrap();
        file.sync_data().await.unwrap();
        // This one extends the file: io_submit would wait for the device.
        file.write_at(Buf::aligned(BLOCK, BLOCK), 4 * BLOCK as u64).await.0.unwrap();
        let after = Handle::current().metrics();
        assert_eq!(after.submitted_writes - before.submitted_writes, 1);
        assert_eq!(after.submitted_reads - before.submitted_reads, 1);
        assert_eq!(after.submitted_syncs - before.submitted_syncs, 1);
        // Now it is inside the file.
        file.write_at(Buf::aligned(BLOCK, BLOCK), 4 * BLOCK as u64).await.0.unwrap();
        assert_eq!(Handle::current().metrics().submitted_writes - before.submitted_writes, 2);
    });
}

#[test]
fn more_operations_at_once_than_slots() {
    let dir = real_dir();
    run_on(Builder::new().capacity(1), async {
        let path = dir.path().join("file");
        let content = pattern(256 * BLOCK);
        std::fs::write(&path, &content).unwrap();
        for direct in [true, false] {
            let file = open_read_write(&path, direct).await;
            let reads = (0..2000_usize).map(|number| {
                let at = number * 7 % 256 * BLOCK;
                let (file, content) = (&file, &content);
                async move {
                    let (result, buf) = file.read_exact_at(Buf::aligned(BLOCK, BLOCK), at as u64).await;
                    result.unwrap();
                    assert!(buf[..] == content[at..][..BLOCK]);
                }
            });
            soon("all reads", join_all(reads)).await;
        }
        let metrics = Handle::current().metrics();
        assert!(metrics.capacity < 2000 && metrics.slots_peak <= metrics.capacity, "{metrics:#?}");
    });
}

#[test]
fn reads_of_tasks_and_timers_at_once() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        let content = Rc::new(pattern(64 * BLOCK));
        std::fs::write(&path, &*content).unwrap();
        let tasks: Vec<_> = (0..32_u64)
            .map(|number| {
                let (path, content) = (path.clone(), content.clone());
                spawn(async move {
                    let file = open_direct(&path).await;
                    for round in 0..10 {
                        let at = (number + round) % 64 * BLOCK as u64;
                        let (result, buf) = file.read_at(Buf::aligned(BLOCK, BLOCK), at).await;
                        assert_eq!(result.unwrap(), BLOCK);
                        assert!(buf[..] == content[at as usize..][..BLOCK]);
                        sleep(Duration::from_micros(50)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            soon("a task", task).await.unwrap();
        }
    });
}
