//! Files: reads and writes, buffered and direct, what they refuse, and how they end.

mod common;

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::time::sleep;
use aio_runtime::{Builder, Handle, Runtime, spawn};
use common::files::{BLOCK, aligned, open_both_ways, read};
use common::{Clean, open_direct, pattern, real_dir, rest, run, run_on, soon};
use futures::future::join_all;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

#[test]
fn what_is_written_is_read() {
    let dir = real_dir();
    run(async {
        for direct in [false, true] {
            let path = dir.path().join(format!("file-{direct}"));
            std::fs::write(&path, vec![0; 16 * BLOCK]).unwrap();
            let file = open_both_ways(&path, direct).await;
            assert_eq!(file.alignment().is_some(), direct);
            let content = pattern(4 * BLOCK);
            let (written, buf) = soon("a write", file.write_at(aligned(&content), 2 * BLOCK as u64)).await;
            assert_eq!(written.unwrap(), content.len());
            assert_eq!(&buf[..], content, "the buffer comes back as it was");
            assert_eq!(read(&file, 4 * BLOCK, 2 * BLOCK as u64).await, content);
            assert_eq!(read(&file, BLOCK, 0).await, vec![0; BLOCK]);
            file.sync_all().await.unwrap();
            file.sync_data().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap()[2 * BLOCK..6 * BLOCK], content);
        }
    });
}

#[test]
fn direct_operations_go_through_the_context() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, vec![0; 4 * BLOCK]).unwrap();
        let file = open_both_ways(&path, true).await;
        let before = Handle::current().metrics();
        file.write_at(Buf::aligned(BLOCK, BLOCK), 0).await.0.unwrap();
        file.read_at(Buf::aligned(BLOCK, BLOCK), 0).await.0.unwrap();
        file.sync_data().await.unwrap();
        // This one extends the file, for which io_submit would wait.
        file.write_at(Buf::aligned(BLOCK, BLOCK), 4 * BLOCK as u64).await.0.unwrap();
        let after = Handle::current().metrics();
        assert_eq!(after.submitted_writes - before.submitted_writes, 1);
        assert_eq!(after.submitted_reads - before.submitted_reads, 1);
        assert_eq!(after.submitted_syncs - before.submitted_syncs, 1);
        // And now it is inside.
        file.write_at(Buf::aligned(BLOCK, BLOCK), 4 * BLOCK as u64).await.0.unwrap();
        assert_eq!(Handle::current().metrics().submitted_writes - before.submitted_writes, 2);
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
            let file = open_both_ways(&path, direct).await;
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
                assert_eq!(buf.len(), len, "the window is as it was");
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
            let file = open_both_ways(&path, direct).await;
            assert_eq!(file.read_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap(), 0);
            assert_eq!(file.write_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap(), 0);
            file.read_exact_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap();
            file.write_all_at(Buf::aligned(0, BLOCK), 0).await.0.unwrap();
            // They may stand anywhere.
            assert_eq!(file.read_at(Buf::default(), 0).await.0.unwrap(), 0);
            assert_eq!(file.write_at(Buf::aligned(1, BLOCK).slice(1..), BLOCK as u64).await.0.unwrap(), 0);
            file.read_exact_at(Buf::default(), 0).await.0.unwrap();
            file.write_all_at(Buf::default(), 0).await.0.unwrap();
        }
    });
}

#[test]
fn reads_into_capacity_without_length_are_refused() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_both_ways(&path, direct).await;
            let reserved = || Vec::with_capacity(BLOCK);
            let cleared = || {
                let mut bytes = vec![1; BLOCK];
                bytes.clear();
                bytes
            };
            for buf in [reserved as fn() -> Vec<u8>, cleared] {
                let capacity = buf().capacity();
                let (read, back) = file.read_at(buf(), 0).await;
                let (exact, exact_back) = file.read_exact_at(Buf::from(buf()), 0).await;
                for (call, error, back) in
                    [("read_at", read.unwrap_err(), back), ("read_exact_at", exact.unwrap_err(), exact_back)]
                {
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    let text = format!(
                        "{call}: the buffer is empty (length 0, capacity {capacity}): a read fills the length, not the \
                         capacity; use vec![0; {capacity}] or Buf::zeroed({capacity})"
                    );
                    assert!(error.to_string().starts_with(&text), "{error}");
                    assert_eq!(Vec::from(back).capacity(), capacity, "the buffer comes back");
                }
                // There is nothing to write, and no doubt about it.
                assert_eq!(file.write_at(buf(), 0).await.0.unwrap(), 0);
                file.write_all_at(buf(), 0).await.0.unwrap();
            }
            for empty in [Buf::from(Vec::new()), Buf::aligned(BLOCK, BLOCK).slice(..0)] {
                let (read, empty) = file.read_at(empty, 0).await;
                assert_eq!(read.unwrap(), 0);
                file.read_exact_at(empty, 0).await.0.unwrap();
            }
        }
    });
}

#[test]
fn a_window_of_a_buffer() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = open_both_ways(&path, false).await;
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
fn misaligned_direct_operations_say_what_is_wrong() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(4 * BLOCK)).unwrap();
        let file = open_both_ways(&path, true).await;
        let alignment = file.alignment().unwrap();
        assert!(alignment.memory.is_power_of_two() && alignment.offset.is_power_of_two());
        let address = || Buf::aligned(BLOCK + 1, BLOCK).slice(1..);
        let length = || Buf::aligned(BLOCK, BLOCK).slice(..100);
        let fine = || Buf::aligned(BLOCK, BLOCK);
        for (buf, offset, wrong) in [
            (address as fn() -> Buf, 0, "address"),
            (length, 0, "100"),
            (fine, 100, "100"),
            (fine, 4 * BLOCK as u64 + 1, "16385"),
        ] {
            for reading in [true, false] {
                let (result, back) =
                    if reading { file.read_at(buf(), offset).await } else { file.write_at(buf(), offset).await };
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let text = error.to_string();
                assert!(
                    text.contains("O_DIRECT") && text.contains(if reading { "read_at" } else { "write_at" }),
                    "{text}"
                );
                assert!(text.contains(wrong) || text.contains("4096 is a safe alignment"), "{text}");
                assert_eq!(back.len(), buf().len());
            }
        }
        assert_eq!(std::fs::read(&path).unwrap(), pattern(4 * BLOCK));
    });
}

#[test]
fn a_descriptor_that_is_not_open_for_it() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(BLOCK)).unwrap();
        for direct in [false, true] {
            let reading = OpenOptions::new().read(true).direct(direct).open(&path).await.unwrap();
            let writing = OpenOptions::new().write(true).direct(direct).open(&path).await.unwrap();
            for result in [
                reading.write_at(Buf::aligned(BLOCK, BLOCK), 0).await.0,
                reading.write_at(Buf::aligned(BLOCK, BLOCK), BLOCK as u64).await.0,
                writing.read_at(Buf::aligned(BLOCK, BLOCK), 0).await.0,
                writing.read_exact_at(Buf::aligned(BLOCK, BLOCK), 0).await.0.map(|()| 0),
            ] {
                assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
            }
            reading.sync_all().await.unwrap();
        }
        // A name and nothing else.
        let path_only = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path).await.unwrap();
        for result in [
            path_only.read_at(Buf::zeroed(1), 0).await.0.map(drop),
            path_only.write_at(Buf::zeroed(1), 0).await.0.map(drop),
            path_only.sync_all().await,
        ] {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
        }
        assert_eq!(std::fs::read(&path).unwrap(), pattern(BLOCK));
    });
}

#[test]
fn a_directory() {
    let dir = real_dir();
    run(async {
        let directory = File::open(dir.path()).await.unwrap();
        let error = directory.read_at(Buf::zeroed(16), 0).await.0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        let error = directory.write_at(Buf::zeroed(16), 0).await.0.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(directory.metadata().await.unwrap().is_dir());
        directory.sync_all().await.unwrap();
        let error = OpenOptions::new().write(true).open(dir.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    });
}

#[test]
fn offsets_without_end() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_both_ways(&path, direct).await;
            for offset in [1 << 63, u64::MAX] {
                for result in [
                    file.read_at(Buf::aligned(BLOCK, BLOCK), offset).await.0,
                    file.write_at(Buf::aligned(BLOCK, BLOCK), offset).await.0,
                ] {
                    let error = result.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    assert!(error.to_string().contains(&offset.to_string()), "{error}");
                }
            }
            // The last offsets that there are hold nothing, and take nothing.
            let last = i64::MAX as u64 / BLOCK as u64 * BLOCK as u64;
            let (result, _) = file.read_at(Buf::aligned(BLOCK, BLOCK), last).await;
            assert!(!matches!(result, Ok(1..)), "{result:?}");
            let (result, _) = file.write_at(Buf::aligned(BLOCK, BLOCK), last).await;
            assert!(result.is_err(), "{result:?}");
        }
    });
}

#[test]
fn a_file_that_shrinks_under_its_reader() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        for direct in [false, true] {
            std::fs::write(&path, pattern(64 * BLOCK)).unwrap();
            let file = open_both_ways(&path, direct).await;
            file.read_exact_at(Buf::aligned(64 * BLOCK, BLOCK), 0).await.0.unwrap();
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10 * BLOCK as u64 + 7).unwrap();
            assert_eq!(read(&file, 16 * BLOCK, 0).await, pattern(10 * BLOCK + 7));
            for offset in [0, 8 * BLOCK, 32 * BLOCK] {
                let reading = file.read_exact_at(Buf::aligned(16 * BLOCK, BLOCK), offset as u64);
                let (result, buf) = soon("the end", reading).await;
                assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
                assert_eq!(buf.len(), 16 * BLOCK);
            }
            // A write where the file was extends it again, though this side never heard of the cut.
            file.write_all_at(aligned(&pattern(BLOCK)), 20 * BLOCK as u64).await.0.unwrap();
            assert_eq!(read(&file, BLOCK, 20 * BLOCK as u64).await, pattern(BLOCK));
            assert_eq!(read(&file, BLOCK, 15 * BLOCK as u64).await, vec![0; BLOCK]);
        }
    });
}

#[test]
fn writes_extend_the_file() {
    let dir = real_dir();
    run(async {
        for direct in [false, true] {
            let path = dir.path().join(format!("file-{direct}"));
            let file = OpenOptions::new().read(true).write(true).create_new(true).direct(direct).open(&path).await;
            let file = file.unwrap();
            let content = pattern(BLOCK);
            for block in [0, 1, 2, 9] {
                file.write_all_at(aligned(&content), block * BLOCK as u64).await.0.unwrap();
            }
            // Half inside, half not.
            file.write_all_at(aligned(&pattern(2 * BLOCK)), 9 * BLOCK as u64).await.0.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), 11 * BLOCK as u64);
            assert_eq!(read(&file, 2 * BLOCK, 9 * BLOCK as u64).await, pattern(2 * BLOCK));
            assert_eq!(read(&file, BLOCK, 2 * BLOCK as u64).await, content);
            assert_eq!(read(&file, 6 * BLOCK, 3 * BLOCK as u64).await, vec![0; 6 * BLOCK], "a hole");
        }
    });
}

#[test]
fn writes_that_extend_at_the_same_time() {
    let dir = real_dir();
    run(async {
        for direct in [false, true] {
            let path = dir.path().join(format!("file-{direct}"));
            let file = OpenOptions::new().read(true).write(true).create(true).direct(direct).open(&path).await.unwrap();
            let content = pattern(40 * BLOCK);
            let writes = content.chunks(BLOCK).enumerate().map(|(number, block)| {
                let (buf, offset) = (aligned(block), (number * BLOCK) as u64);
                file.write_all_at(buf, offset)
            });
            for (written, _) in soon("all writes", join_all(writes)).await {
                written.unwrap();
            }
            assert!(std::fs::read(&path).unwrap() == content);
        }
    });
}

#[test]
fn appended_writes_go_to_the_end() {
    let dir = real_dir();
    run(async {
        for direct in [false, true] {
            let path = dir.path().join(format!("file-{direct}"));
            std::fs::write(&path, pattern(2 * BLOCK)).unwrap();
            let file = OpenOptions::new().append(true).direct(direct).open(&path).await.unwrap();
            file.write_all_at(aligned(&[7; BLOCK]), 0).await.0.unwrap();
            file.write_all_at(aligned(&[8; BLOCK]), 0).await.0.unwrap();
            let content = std::fs::read(&path).unwrap();
            assert_eq!(content.len(), 4 * BLOCK);
            assert_eq!(content[..2 * BLOCK], pattern(2 * BLOCK));
            assert!(content[2 * BLOCK..] == [[7; BLOCK], [8; BLOCK]].concat());
        }
    });
}

#[test]
fn set_len_cuts_and_extends() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(4 * BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_both_ways(&path, direct).await;
            file.set_len(BLOCK as u64).await.unwrap();
            assert_eq!(file.metadata().await.unwrap().len(), BLOCK as u64);
            assert_eq!(read(&file, 2 * BLOCK, 0).await, pattern(BLOCK));
            file.set_len(3 * BLOCK as u64).await.unwrap();
            assert_eq!(read(&file, 3 * BLOCK, BLOCK as u64).await, vec![0; 2 * BLOCK]);
            file.write_all_at(aligned(&[1; BLOCK]), 2 * BLOCK as u64).await.0.unwrap();
            assert_eq!(read(&file, 3 * BLOCK, 2 * BLOCK as u64).await, [1; BLOCK]);
            let error = file.set_len(u64::MAX).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(file.metadata().await.unwrap().len(), 3 * BLOCK as u64);
        }
    });
}

#[test]
fn a_set_len_that_fails_changes_nothing() {
    run(async {
        // A file that must not shrink: a direct write into it still needs no thread.
        let memory = memfd_create("sealed", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&memory, 4 * BLOCK as u64).unwrap();
        fcntl_add_seals(&memory, SealFlags::SHRINK).unwrap();
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        let file = match OpenOptions::new().write(true).direct(true).open(path).await {
            Ok(file) => file,
            // tmpfs has direct I/O since Linux 6.6.
            Err(error) => return assert!(error.to_string().contains("O_DIRECT"), "{error}"),
        };
        let error = file.set_len(0).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        let before = Handle::current().metrics().submitted_writes;
        file.write_all_at(Buf::aligned(4 * BLOCK, BLOCK), 0).await.0.unwrap();
        assert_eq!(Handle::current().metrics().submitted_writes - before, 1);
    });
}

#[test]
fn flags_are_those_of_the_open_file() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(2 * BLOCK)).unwrap();
        let flags = libc::O_DIRECT | libc::O_APPEND;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path).await.unwrap();
        assert!(file.alignment().is_some());
        let before = Handle::current().metrics().submitted_writes;
        file.write_all_at(aligned(&[7; BLOCK]), 0).await.0.unwrap();
        assert_eq!(Handle::current().metrics().submitted_writes, before, "io_submit would wait for the device");
        assert_eq!(read(&file, 2 * BLOCK, BLOCK as u64).await, [&pattern(2 * BLOCK)[BLOCK..], &[7; BLOCK]].concat());
    });
}

#[test]
fn a_file_of_std_and_back() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::from(std::fs::File::open(&path).unwrap());
        assert_eq!(read(&file, 4, 3).await, b"3456");
        assert_eq!(file.alignment(), None);
        let clone = file.try_clone().await.unwrap();
        drop(file.try_into_std().unwrap());
        assert_eq!(read(&clone, 4, 6).await, b"6789");

        let direct = open_direct(&path).await;
        let alignment = direct.alignment();
        let direct = File::from_std(direct.try_into_std().unwrap());
        assert_eq!(direct.alignment(), alignment);

        let mut reading = Box::pin(direct.read_at(Buf::aligned(BLOCK, BLOCK), 0));
        assert!(futures::poll!(&mut reading).is_pending());
        drop(reading);
        rest().await;
        direct.try_into_std().unwrap();
    });
}

#[test]
fn a_file_is_used_in_any_runtime() {
    let clean = Clean::begin();
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(BLOCK)).unwrap();
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    for direct in [false, true] {
        let file = first.block_on(open_both_ways(&path, direct));
        assert_eq!(second.block_on(read(&file, BLOCK, 0)), pattern(BLOCK));
        second.block_on(file.sync_all()).unwrap();
        assert_eq!(first.block_on(read(&file, BLOCK, 0)), pattern(BLOCK));
        // And on any thread.
        let elsewhere = std::thread::spawn(move || Runtime::new().unwrap().block_on(read(&file, BLOCK, 0)));
        assert_eq!(elsewhere.join().unwrap(), pattern(BLOCK));
    }
    drop(first);
    clean.end(second);
}

#[test]
fn an_operation_outlives_its_runtime() {
    let clean = Clean::begin();
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(2 * BLOCK)).unwrap();
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let file = first.block_on(open_direct(&path));
    let mut reading = Box::pin(file.read_exact_at(Buf::aligned(BLOCK, BLOCK), 0));
    assert!(first.block_on(async { futures::poll!(&mut reading).is_pending() }));
    drop(first);
    // The buffer is the kernel's, as far as anyone knows.
    let (result, buf) = second.block_on(soon("an error", reading));
    assert!(result.is_err() && buf.is_empty(), "{result:?}");
    assert_eq!(second.block_on(read(&file, BLOCK, 0)), pattern(BLOCK));
    drop(file);
    clean.end(second);
}

#[test]
fn open_options() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        assert_eq!(File::open(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
        let file = File::create(&path).await.unwrap();
        file.write_all_at(b"some text".to_vec(), 0).await.0.unwrap();
        let error = OpenOptions::new().write(true).create_new(true).open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(OpenOptions::new().open(&path).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        OpenOptions::new().write(true).truncate(true).open(&path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        let private = dir.path().join("private");
        OpenOptions::new().write(true).create(true).mode(0o600).open(&private).await.unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
    });
}

#[test]
fn direct_where_there_is_no_such_thing() {
    run(async {
        let error = OpenOptions::new().read(true).direct(true).open("/proc/self/status").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(
            text.contains("/proc/self/status") && text.contains("O_DIRECT") && text.contains("direct(false)"),
            "{text}"
        );
    });
}

#[test]
fn files_that_are_none() {
    run(async {
        for path in [
            "/proc/self/status",
            "/proc/self/cmdline",
            "/proc/sys/fs/aio-max-nr",
            "/sys/kernel/mm/transparent_hugepage/enabled",
        ] {
            let Ok(expected) = std::fs::read(path) else { continue };
            let file = File::open(path).await.unwrap();
            let (read, buf) = soon("a read", file.read_at(Buf::zeroed(65536), 0)).await;
            let read = read.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(buf[..4.min(read)], expected[..4.min(read)], "{path}");
            assert!(read > 0, "{path}");
        }
        let null = OpenOptions::new().read(true).write(true).open("/dev/null").await.unwrap();
        assert_eq!(null.read_at(Buf::zeroed(16), 0).await.0.unwrap(), 0);
        assert_eq!(null.write_at(Buf::zeroed(16), 0).await.0.unwrap(), 16);
        let zero = File::open("/dev/zero").await.unwrap();
        let (read, buf) = zero.read_at(Buf::from(vec![1; 16]), 0).await;
        assert_eq!((read.unwrap(), &buf[..]), (16, &[0; 16][..]));
    });
}

#[test]
fn a_pipe_has_no_offsets() {
    run(async {
        let (reader, _writer) = std::io::pipe().unwrap();
        let file = File::open(format!("/proc/self/fd/{}", reader.as_raw_fd())).await.unwrap();
        let error = soon("an error", file.read_at(Buf::zeroed(1), 0)).await.0.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
    });
}

#[test]
fn files_in_memory() {
    let shm = Path::new("/dev/shm");
    if !shm.is_dir() {
        return eprintln!("no tmpfs here");
    }
    let dir = tempfile::tempdir_in(shm).unwrap();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, vec![0; 2 * BLOCK]).unwrap();
        for direct in [false, true] {
            let opened = OpenOptions::new().read(true).write(true).direct(direct).open(&path).await;
            let file = match opened {
                Ok(file) => file,
                // tmpfs has direct I/O since Linux 6.6.
                Err(error) if direct => return assert!(error.to_string().contains("O_DIRECT"), "{error}"),
                Err(error) => panic!("{error}"),
            };
            let content = pattern(3 * BLOCK);
            file.write_all_at(aligned(&content), 0).await.0.unwrap();
            assert_eq!(read(&file, 4 * BLOCK, 0).await, content);
            assert_eq!(read(&file, BLOCK, 3 * BLOCK as u64).await, []);
            file.sync_all().await.unwrap();
            file.set_len(2 * BLOCK as u64).await.unwrap();
        }
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
            let file = open_both_ways(&path, direct).await;
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
