//! Files opened in all ways: with all options, from std, in several runtimes, on several file
//! systems.

mod common;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use aio_runtime::fs::{Buf, File, OpenOptions};
use aio_runtime::{Handle, Runtime};
use common::files::{BLOCK, aligned, open_read_write, read};
use common::{Clean, open_direct, pattern, real_dir, rest, run, soon};

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
fn from_std_and_back() {
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
        let file = first.block_on(open_read_write(&path, direct));
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
    // The kernel may still have the buffer.
    let (result, buf) = second.block_on(soon("an error", reading));
    assert!(result.is_err() && buf.is_empty(), "{result:?}");
    assert_eq!(second.block_on(read(&file, BLOCK, 0)), pattern(BLOCK));
    drop(file);
    clean.end(second);
}

#[test]
fn proc_files_and_devices() {
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

/// Checked by the compiler.
fn assert_send_and_sync<T: Send + Sync>(value: T) -> T {
    value
}

#[test]
fn files_are_used_from_several_threads_at_once() {
    const BLOCKS: usize = 16;
    let dir = real_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(BLOCKS * BLOCK)).unwrap();
    for direct in [false, true] {
        run(async {
            let file = Arc::new(assert_send_and_sync(open_read_write(&path, direct).await));
            let other = thread::spawn({
                let file = Arc::clone(&file);
                move || {
                    // In the runtime of that thread.
                    Runtime::new().unwrap().block_on(async {
                        for block in 0..BLOCKS {
                            let (at, len) = ((block * BLOCK) as u64, (2 * BLOCKS * BLOCK) as u64);
                            assert!(read(&file, BLOCK, at).await == pattern(BLOCKS * BLOCK)[block * BLOCK..][..BLOCK]);
                            file.set_len(len + at).await.unwrap();
                        }
                    });
                }
            });
            for block in (0..BLOCKS).rev() {
                let at = (block * BLOCK) as u64;
                assert!(read(&file, BLOCK, at).await == pattern(BLOCKS * BLOCK)[block * BLOCK..][..BLOCK]);
                assert!(file.metadata().await.unwrap().len() >= (BLOCKS * BLOCK) as u64);
            }
            other.join().unwrap();
        });
    }
}

#[test]
fn operations_can_be_sent() {
    run(async {
        let file = assert_send_and_sync(File::open("/proc/self/stat")).await.unwrap();
        assert_send_and_sync(file.metadata()).await.unwrap();
        assert_send_and_sync(file.set_len(1)).await.unwrap_err();
        assert_send_and_sync(file.try_clone()).await.unwrap();
        assert_send_and_sync(file.read_at(Buf::zeroed(1), 0)).await.0.unwrap();
        assert_send_and_sync(file.read_exact_at(Buf::zeroed(1), 0)).await.0.unwrap();
        assert_send_and_sync(file.write_at(Buf::zeroed(1), 0)).await.0.unwrap_err();
        assert_send_and_sync(file.write_all_at(Buf::zeroed(1), 0)).await.0.unwrap_err();
        assert_send_and_sync(file.sync_all()).await.unwrap_err();
        assert_send_and_sync(file.sync_data()).await.unwrap_err();
        assert_send_and_sync(OpenOptions::new().read(true).open("/proc/self/stat")).await.unwrap();
    });
}
