//! Pipes: anonymous ones and FIFOs; who may open which end; ends that go while the other waits.
#![allow(unsafe_code)] // To restore the default disposition of SIGPIPE.

mod common;

use std::fs::File;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use aio_runtime::net::unix::pipe::{OpenOptions, Receiver, Sender, pipe};
use aio_runtime::task::yield_now;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, spawn};
use common::{assert_passed, in_child, is_child, pattern, poll_once, run, soon, turn};
use futures::future::join;
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, mknodat};
use rustix::io::Errno;

/// The name of a new FIFO.
fn fifo(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// Fills a pipe, and returns how many bytes it took.
fn fill(sender: &Sender) -> usize {
    let mut filled = 0;
    loop {
        match sender.try_write(&[7; 4096]) {
            Ok(written) => filled += written,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return filled;
            }
        }
    }
}

#[test]
fn more_than_a_pipe_holds() {
    const LEN: usize = 3 << 20;
    run(async {
        let (mut sender, mut receiver) = pipe().unwrap();
        let data = pattern(LEN);
        let sending = spawn({
            let data = data.clone();
            async move { sender.write_all(&data).await.unwrap() }
        });
        let mut received = Vec::new();
        soon("all", receiver.read_to_end(&mut received)).await.unwrap();
        assert!(received == data);
        sending.await.unwrap();
    });
}

#[test]
fn a_reader_that_waits_sees_the_last_sender_go() {
    run(async {
        let (sender, mut receiver) = pipe().unwrap();
        let another = Sender::from_owned_fd(sender.as_fd().try_clone_to_owned().unwrap()).unwrap();
        let mut buf = [0];
        let mut read = pin!(receiver.read(&mut buf));
        assert!(!poll_once(read.as_mut()));
        turn().await;
        drop(sender);
        turn().await;
        assert!(!poll_once(read.as_mut()), "there is another sender");
        drop(another);
        assert_eq!(soon("the end", read).await.unwrap(), 0);
        assert_eq!(receiver.try_read(&mut buf).unwrap(), 0);
    });
}

#[test]
fn data_comes_before_the_end() {
    run(async {
        let (sender, mut receiver) = pipe().unwrap();
        assert_eq!(sender.try_write(b"last words").unwrap(), 10);
        drop(sender);
        let mut text = String::new();
        soon("the end", receiver.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "last words");
    });
}

#[test]
fn a_writer_that_waits_sees_the_last_receiver_go() {
    run(async {
        let (mut sender, receiver) = pipe().unwrap();
        fill(&sender);
        let mut write = pin!(sender.write_all(b"x"));
        assert!(!poll_once(write.as_mut()));
        turn().await;
        drop(receiver);
        assert_eq!(soon("the error", write).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn an_end_that_waits_is_closed_when_it_is_dropped() {
    run(async {
        // The other ends are not the runtime's.
        let (sender, mut receiver) = pipe().unwrap();
        let mut sender = File::from(sender.into_nonblocking_fd().unwrap());
        let reading = spawn(async move { receiver.read(&mut [0]).await });
        turn().await;
        turn().await;
        reading.abort();
        soon("EPIPE", async {
            while sender.write(b"x").is_ok() {
                yield_now().await;
            }
        })
        .await;
        assert_eq!(sender.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

        let (mut sender, receiver) = pipe().unwrap();
        let mut receiver = File::from(receiver.into_nonblocking_fd().unwrap());
        let filled = fill(&sender);
        let writing = spawn(async move { sender.write_all(b"x").await });
        turn().await;
        turn().await;
        writing.abort();
        let mut received = Vec::new();
        soon("the end of file", async {
            while let Err(error) = receiver.read_to_end(&mut received) {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                yield_now().await;
            }
        })
        .await;
        assert_eq!(received.len(), filled);
    });
}

#[test]
fn a_cancelled_read_loses_nothing() {
    run(async {
        let (mut sender, mut receiver) = pipe().unwrap();
        for round in 0..50_u8 {
            let mut buf = [0];
            assert!(!poll_once(pin!(receiver.read(&mut buf))));
            if round % 2 == 0 {
                turn().await;
            }
            sender.write_all(&[round]).await.unwrap();
            assert_eq!((soon("a byte", receiver.read(&mut buf)).await.unwrap(), buf), (1, [round]));
        }
    });
}

#[test]
fn all_who_wait_for_data_are_told() {
    run(async {
        let (sender, receiver) = pipe().unwrap();
        let (sender, receiver) = (&sender, &receiver);
        let waits = join(receiver.readable(), receiver.readable());
        let send = async {
            turn().await;
            sender.writable().await.unwrap();
            sender.try_write(b"x").unwrap();
        };
        let ((one, other), ()) = soon("both", join(waits, send)).await;
        one.and(other).unwrap();
    });
}

#[test]
fn into_a_buffer_that_grows() {
    run(async {
        let (mut sender, receiver) = pipe().unwrap();
        let mut buf = Vec::with_capacity(3);
        assert_eq!(receiver.try_read_buf(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        sender.write_all(b"onetwo").await.unwrap();
        assert_eq!(receiver.try_read_buf(&mut buf).unwrap(), 3);
        assert_eq!(receiver.try_read_buf(&mut buf).unwrap(), 3);
        assert_eq!(buf, b"onetwo");
        drop(sender);
        soon("the end", receiver.readable()).await.unwrap();
        assert_eq!(receiver.try_read_buf(&mut buf).unwrap(), 0);
    });
}

#[test]
fn several_buffers_at_once() {
    const TOO_MANY: usize = 2000;
    run(async {
        let (mut sender, receiver) = pipe().unwrap();
        let bufs = vec![IoSlice::new(b"ab"); TOO_MANY];
        let written = sender.write_vectored(&bufs).await.unwrap();
        assert_eq!(written, 2 * 1024, "as many buffers as one call takes");
        let mut read = vec![[0; 2]; TOO_MANY];
        let mut bufs: Vec<_> = read.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
        assert_eq!(receiver.try_read_vectored(&mut bufs).unwrap(), written);
        assert_eq!(sender.try_write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")]).unwrap(), 2);
        assert_eq!(&read[1023..1025], &[*b"ab", [0; 2]]);
    });
}

#[test]
fn a_fifo() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(&dir);
        let options = OpenOptions::new();
        let error = options.open_sender(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "nobody would read it");
        let mut receiver = options.open_receiver(&path).unwrap();
        assert_eq!(receiver.try_read(&mut [0]).unwrap(), 0, "nobody writes it");

        // A receiver goes on with the next sender.
        for text in [b"one", b"two"] {
            let mut sender = options.open_sender(&path).unwrap();
            let mut buf = [0; 3];
            let mut read = pin!(receiver.read_exact(&mut buf));
            assert!(!poll_once(read.as_mut()));
            turn().await;
            sender.write_all(text).await.unwrap();
            soon("the text", read).await.unwrap();
            assert_eq!(&buf, text);
            drop(sender);
            assert_eq!(soon("the end", receiver.read(&mut buf)).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_receiver_waits_for_its_first_sender() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(&dir);
        let options = OpenOptions::new();
        let mut receiver = options.open_receiver(&path).unwrap();
        let mut text = String::new();
        {
            let mut read = pin!(receiver.read_to_string(&mut text));
            for _ in 0..5 {
                assert!(!poll_once(read.as_mut()), "nobody has opened it yet");
                turn().await;
            }
            let mut sender = options.open_sender(&path).unwrap();
            sender.write_all(b"hello").await.unwrap();
            drop(sender);
            soon("the end", read).await.unwrap();
        }
        assert_eq!(text, "hello");
    });
}

#[test]
fn a_fifo_that_is_opened_both_ways() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(&dir);
        let mut options = OpenOptions::new();
        let mut sender = options.read_write(true).open_sender(&path).unwrap();
        let mut receiver = options.open_receiver(&path).unwrap();
        // The kernel has no poll for it: it waits in the nested epoll.
        let mut buf = [0; 4];
        let mut read = pin!(receiver.read_exact(&mut buf));
        assert!(!poll_once(read.as_mut()));
        turn().await;
        sender.write_all(b"ping").await.unwrap();
        soon("ping", read.as_mut()).await.unwrap();
        drop(sender);
        let mut read = pin!(receiver.read(&mut buf));
        for _ in 0..10 {
            assert!(!poll_once(read.as_mut()), "it is its own sender");
            turn().await;
        }
    });
}

#[test]
fn what_is_not_a_pipe_is_refused() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"text").unwrap();
        let options = OpenOptions::new();
        let file = || File::open(&path).unwrap();
        let refusals = [
            options.open_receiver(&path).map(drop),
            options.open_sender(&path).map(drop),
            Receiver::from_file(file()).map(drop),
            Sender::from_file(file()).map(drop),
        ];
        for refusal in refusals {
            let error = refusal.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, "not a pipe"));
        }
        let receiver = OpenOptions::new().unchecked(true).open_receiver(&path).unwrap();
        let mut buf = [0; 8];
        assert_eq!(receiver.try_read(&mut buf).unwrap(), 4);
    });
}

#[test]
fn the_wrong_end_is_refused() {
    run(async {
        let ends = || {
            let (sender, receiver) = pipe().unwrap();
            (sender.into_blocking_fd().unwrap(), receiver.into_blocking_fd().unwrap())
        };
        let (write, read) = ends();
        let error = Receiver::from_owned_fd(write).unwrap_err();
        assert_eq!(error.to_string(), "not in O_RDONLY or O_RDWR access mode");
        let error = Sender::from_owned_fd(read).unwrap_err();
        assert_eq!(error.to_string(), "not in O_WRONLY or O_RDWR access mode");

        let (write, read) = ends();
        let (mut sender, mut receiver) =
            (Sender::from_owned_fd(write).unwrap(), Receiver::from_file(read.into()).unwrap());
        assert!(is_nonblocking(&sender) && is_nonblocking(&receiver));
        sender.write_all(b"x").await.unwrap();
        soon("x", receiver.read_exact(&mut [0])).await.unwrap();
    });
}

#[test]
fn an_end_is_given_back_with_nothing_armed() {
    run(async {
        let (sender, mut receiver) = pipe().unwrap();
        {
            let mut buf = [0];
            assert!(!poll_once(pin!(receiver.read(&mut buf))));
            turn().await;
        }
        let receiver: OwnedFd = receiver.into_blocking_fd().unwrap();
        assert!(!is_nonblocking(&receiver));
        let sender = sender.into_nonblocking_fd().unwrap();
        assert!(is_nonblocking(&sender));
        drop(receiver);
        // Nothing keeps the file: the last receiver has gone at once.
        assert_eq!(File::from(sender).write(b"x").unwrap_err().raw_os_error(), Some(Errno::PIPE.raw_os_error()));
    });
}

#[test]
fn writing_without_a_receiver_raises_no_signal() {
    if !is_child() {
        return assert_passed(&in_child("writing_without_a_receiver_raises_no_signal"));
    }
    // SAFETY: the default disposition runs no code of ours, and no other thread of this process
    // changes or relies on dispositions.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(async {
        let (mut sender, receiver) = pipe().unwrap();
        drop(receiver);
        for _ in 0..3 {
            assert_eq!(sender.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(sender.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            let written = sender.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")]).await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_sender_without_room_does_not_spin() {
    const WHILE: Duration = Duration::from_millis(100);
    run(async {
        let (mut sender, receiver) = pipe().unwrap();
        fill(&sender);
        let mut write = pin!(sender.write_all(b"x"));
        assert!(!poll_once(write.as_mut()));
        turn().await;
        let before = Handle::current().metrics().turns;
        sleep(WHILE).await;
        let turns = Handle::current().metrics().turns - before;
        assert!(turns < 20, "{turns} turns");
        let mut buf = vec![0; 1 << 20];
        receiver.try_read(&mut buf).unwrap();
        soon("room", write).await.unwrap();
    });
}

#[test]
fn debug_shows_the_descriptor() {
    run(async {
        let (sender, receiver) = pipe().unwrap();
        for (text, name) in [(format!("{sender:?}"), "Sender { fd: "), (format!("{receiver:?}"), "Receiver { fd: ")] {
            assert!(text.starts_with(name), "{text}");
        }
    });
}

/// The end of one writer is not that of the next one, who has nothing to say yet.
#[test]
fn a_second_writer_is_waited_for() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(&dir);
        let mut receiver = OpenOptions::new().open_receiver(&path).unwrap();
        let mut first = OpenOptions::new().open_sender(&path).unwrap();
        first.write_all(b"a").await.unwrap();
        drop(first);
        let mut all = Vec::new();
        soon("the end", receiver.read_to_end(&mut all)).await.unwrap();
        assert_eq!(all, b"a");
        let mut second = OpenOptions::new().open_sender(&path).unwrap();
        let silence = timeout(Duration::from_millis(20), receiver.ready(Interest::READABLE)).await;
        silence.unwrap_err();
        second.write_all(b"b").await.unwrap();
        assert!(soon("a byte", receiver.ready(Interest::READABLE)).await.unwrap().is_readable());
        assert_eq!(receiver.try_read(&mut [0; 2]).unwrap(), 1);
    });
}
