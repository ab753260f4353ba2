//! What file operations refuse, and with which errors.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use aio_runtime::fs::{Buf, File, OpenOptions};
use common::files::{BLOCK, open_read_write};
use common::{pattern, real_dir, run, soon};

#[test]
fn misaligned_direct_operations_say_what_is_wrong() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(4 * BLOCK)).unwrap();
        let file = open_read_write(&path, true).await;
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
fn reads_into_capacity_without_length_are_refused() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_read_write(&path, direct).await;
            let reserved = || Vec::with_capacity(BLOCK);
            let cleared = || {
                let mut bytes = vec![1; BLOCK];
                bytes.clear();
                bytes
            };
            for buf in [reserved as fn() -> Vec<u8>, cleared] {
                let capacity = buf().capacity();
                let (read, back) = file.read_at(buf(), 0).await;
                let error = read.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let text = format!(
                    "read_at: the buffer is empty (length 0, capacity {capacity}): a read fills the length, not the \
                     capacity; use vec![0; {capacity}] or Buf::zeroed({capacity})"
                );
                assert!(error.to_string().starts_with(&text), "{error}");
                assert_eq!(Vec::from(back).capacity(), capacity, "the buffer comes back");
                // A record of no bytes is read whole, and to write nothing is not a mistake.
                file.read_exact_at(buf(), 0).await.0.unwrap();
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
fn wrong_access_modes() {
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
        // With O_PATH a descriptor is a name and nothing else.
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
fn offsets_past_i64_max() {
    let dir = real_dir();
    run(async {
        let path = dir.path().join("file");
        std::fs::write(&path, pattern(BLOCK)).unwrap();
        for direct in [false, true] {
            let file = open_read_write(&path, direct).await;
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
            // At the largest offsets there is nothing to read, and no room to write.
            let last = i64::MAX as u64 / BLOCK as u64 * BLOCK as u64;
            let (result, _) = file.read_at(Buf::aligned(BLOCK, BLOCK), last).await;
            assert!(!matches!(result, Ok(1..)), "{result:?}");
            let (result, _) = file.write_at(Buf::aligned(BLOCK, BLOCK), last).await;
            assert!(result.is_err(), "{result:?}");
        }
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
fn a_pipe_has_no_offsets() {
    run(async {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let reopened = File::open(format!("/proc/self/fd/{}", reader.as_raw_fd())).await.unwrap();
        // The pipe's own ends allow RWF_NOWAIT, by which the kernel would ignore the offset.
        let own_end = File::from_std(std::fs::File::from(OwnedFd::from(reader.try_clone().unwrap())));
        let writing = File::from_std(std::fs::File::from(OwnedFd::from(writer.try_clone().unwrap())));
        writer.write_all(b"data").unwrap();
        for file in [reopened, own_end] {
            let error = soon("an error", file.read_at(Buf::zeroed(1), 7)).await.0.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
        }
        let error = soon("an error", writing.write_at(b"more".to_vec(), 7)).await.0.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
        // Nothing was taken, and nothing added.
        drop((writer, writing));
        let mut left = Vec::new();
        reader.read_to_end(&mut left).unwrap();
        assert_eq!(left, b"data");
    });
}

#[test]
fn o_direct_unsupported() {
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
