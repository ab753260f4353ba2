//! Writing to a peer that is gone is an error and no signal, though SIGPIPE would end the process.
#![allow(unsafe_code)] // To give SIGPIPE its default disposition back.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use aio_runtime::io::{AsyncRead, AsyncWriteExt};
use aio_runtime::time::sleep;

use super::stream_and_peer;
use crate::common::{assert_passed, in_child, is_child, run, soon};

#[test]
fn writing_to_a_closed_peer() {
    if !is_child() {
        return assert_passed(&in_child("streams::sigpipe::writing_to_a_closed_peer"));
    }
    // Rust's start-up code has it ignored.
    // SAFETY: the default disposition is no function of ours, and this process has no other thread
    // that signals concern.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    assert_eq!(before, libc::SIG_IGN);
    run(async {
        for vectored in [false, true] {
            let (mut stream, peer) = stream_and_peer();
            drop(peer);
            let error = soon("the error", async {
                loop {
                    let written = if vectored {
                        stream.write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")]).await
                    } else {
                        stream.write(b"one").await
                    };
                    if let Err(error) = written {
                        break error;
                    }
                    sleep(Duration::from_micros(100)).await;
                }
            })
            .await;
            assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
            // From then on it is a broken pipe for sure, for every way to write.
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let slices = [IoSlice::new(b"x")];
            assert_eq!(stream.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            fn is_still_readable(_: &impl AsyncRead) {}
            is_still_readable(&stream);
        }
    });
}
