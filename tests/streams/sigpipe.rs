//! Writing to a peer that is gone is an error, not a signal: SIGPIPE would end the process.
#![allow(unsafe_code)] // To restore the default disposition of SIGPIPE.

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
    // Rust's start-up code ignores it.
    // SAFETY: the default disposition runs no code of ours, and no other thread of this process
    // changes or relies on dispositions.
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
            // From then on every way to write reports a broken pipe.
            assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(stream.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let slices = [IoSlice::new(b"x")];
            assert_eq!(stream.write_vectored(&slices).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            fn is_still_readable(_: &impl AsyncRead) {}
            is_still_readable(&stream);
        }
    });
}
