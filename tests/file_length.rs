//! Files that grow and shrink while they are open.

mod common;

use std::io::ErrorKind;
use std::os::fd::AsRawFd;

use aio_runtime::Handle;
use aio_runtime::fs::{Buf, OpenOptions};
use common::files::{BLOCK, aligned, open_read_write, read};
use common::{pattern, real_dir, run, soon};
use futures::future::join_all;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

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
fn a_file_that_shrinks_under_its_reader() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        for direct in [false, true] {
            std::fs::write(&path, pattern(64 * BLOCK)).unwrap();
            let file = open_read_write(&path, direct).await;
            file.read_exact_at(Buf::aligned(64 * BLOCK, BLOCK), 0).await.0.unwrap();
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10 * BLOCK as u64 + 7).unwrap();
            assert_eq!(read(&file, 16 * BLOCK, 0).await, pattern(10 * BLOCK + 7));
            for offset in [0, 8 * BLOCK, 32 * BLOCK] {
                let reading = file.read_exact_at(Buf::aligned(16 * BLOCK, BLOCK), offset as u64);
                let (result, buf) = soon("the end", reading).await;
                assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
                assert_eq!(buf.len(), 16 * BLOCK);
            }
            // A write to where the file was extends it again, though this `File` was not told that
            // it had been truncated.
            file.write_all_at(aligned(&pattern(BLOCK)), 20 * BLOCK as u64).await.0.unwrap();
            assert_eq!(read(&file, BLOCK, 20 * BLOCK as u64).await, pattern(BLOCK));
            assert_eq!(read(&file, BLOCK, 15 * BLOCK as u64).await, vec![0; BLOCK]);
        }
    });
}

#[test]
fn set_len_truncates_and_extends() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(4 * BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_read_write(&path, direct).await;
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
        file.write_all_at(Buf::aligned(4 * BLOCK, BLOCK), 0).await.0.unwrap();
        let metrics = Handle::current().metrics();
        assert!(metrics.submitted_writes > 0 && metrics.pool_extending == 0, "{metrics:#?}");
    });
}
