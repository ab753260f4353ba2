//! Descriptors that travel with bytes: none is lost, mixed up or left open, whatever happens on the
//! way.
#![allow(unsafe_code)] // To restore the default disposition of SIGPIPE.

mod common;

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{UnixDatagram, UnixStream};
use common::{assert_passed, fill, in_child, is_child, poll_once, run, soon};
use rustix::io::FdFlags;
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most that one message carries.
const MOST: usize = 253;

/// A reader, and its only writer.
fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().unwrap()
}

/// Asserts that a pipe has no writer left, in this process or under way.
#[track_caller]
fn assert_ended(mut reader: PipeReader) {
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    // The kernel closes what it has thrown away when the call returns, or a moment later.
    common::wait_until("the end of the pipe", || match reader.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    });
}

/// Asserts that a descriptor that came is this pipe's writer, and the only one.
#[track_caller]
fn assert_writes(fd: OwnedFd, mut reader: PipeReader) {
    let mut writer = PipeWriter::from(fd);
    writer.write_all(b"x").unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "x");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Receives, and expects these bytes.
async fn received(stream: &UnixStream, bytes: &[u8]) -> Vec<OwnedFd> {
    let mut buf = [0; 64];
    let (len, fds) = soon("bytes and descriptors", stream.recv_with_fds(&mut buf)).await.unwrap();
    assert_eq!(buf[..len].escape_ascii().to_string(), bytes.escape_ascii().to_string());
    fds
}

/// The same of a datagram.
async fn received_datagram(socket: &UnixDatagram, bytes: &[u8]) -> Vec<OwnedFd> {
    let mut buf = [0; 64];
    let (len, fds) = soon("a datagram", socket.recv_with_fds(&mut buf)).await.unwrap();
    assert_eq!(&buf[..len], bytes);
    fds
}

#[test]
fn several_come_in_order_and_are_closed_on_exec() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (readers, writers): (Vec<_>, Vec<_>) = (0..3).map(|_| pipe()).unzip();
        let borrowed: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
        assert_eq!(near.send_with_fds(b"three", &borrowed).await.unwrap(), 5);
        drop(writers);
        let fds = received(&far, b"three").await;
        assert_eq!(fds.len(), 3);
        for (fd, reader) in fds.into_iter().zip(readers) {
            assert!(rustix::io::fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
            assert_writes(fd, reader);
        }
    });
}

#[test]
fn a_receive_waits_for_them() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        assert_eq!(far.try_recv_with_fds(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let (reader, writer) = pipe();
        let mut receiving = pin!(received(&far, b"x"));
        assert!(!poll_once(receiving.as_mut()));
        assert_eq!(near.try_send_with_fds(b"x", &[writer.as_fd()]).unwrap(), 1);
        drop(writer);
        assert_writes(receiving.await.remove(0), reader);
    });
}

#[test]
fn those_of_two_sends_are_not_mixed() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let ((first, first_writer), (second, second_writer)) = (pipe(), pipe());
        near.send_with_fds(b"none,", &[]).await.unwrap();
        near.send_with_fds(b"one,", &[first_writer.as_fd()]).await.unwrap();
        near.send_with_fds(b"two,", &[second_writer.as_fd()]).await.unwrap();
        near.send_with_fds(b"none", &[]).await.unwrap();
        drop((first_writer, second_writer));
        // Bytes that need none come along with those after them, and never with those before.
        assert_writes(received(&far, b"none,one,").await.remove(0), first);
        assert_writes(received(&far, b"two,").await.remove(0), second);
        assert!(received(&far, b"none").await.is_empty());
    });
}

#[test]
fn they_come_with_the_first_byte_of_many() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (reader, writer) = pipe();
        // More than there is room for.
        let sent = near.send_with_fds(&[7; 8 << 20], &[writer.as_fd()]).await.unwrap();
        assert!((1..8 << 20).contains(&sent), "{sent}");
        drop((writer, near));
        let (len, mut fds) = far.recv_with_fds(&mut [0]).await.unwrap();
        assert_eq!((len, fds.len()), (1, 1));
        let (len, none) = far.recv_with_fds(&mut [0; 10]).await.unwrap();
        assert_eq!((len, none.len()), (10, 0));
        let mut rest = Vec::new();
        soon("the rest", far.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest.len(), sent - 11);
        assert_writes(fds.remove(0), reader);
    });
}

#[test]
fn reads_that_take_none_close_them_and_go_on() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (reader, writer) = pipe();
        near.send_with_fds(b"ab", &[writer.as_fd()]).await.unwrap();
        near.send_with_fds(b"cd", &[writer.as_fd()]).await.unwrap();
        drop(writer);
        // Where a descriptor ends a read, it is short, though there is more.
        let mut buf = [0; 16];
        assert_eq!(soon("a short read", far.read(&mut buf)).await.unwrap(), 2);
        assert_eq!(soon("the rest", far.read(&mut buf)).await.unwrap(), 2);
        assert_ended(reader);
    });
}

#[test]
fn a_stream_needs_a_byte_and_a_datagram_none() {
    run(async {
        let (reader, writer) = pipe();
        let (near, far) = UnixStream::pair().unwrap();
        let error = near.send_with_fds(&[], &[writer.as_fd()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("at least one byte"), "{error}");
        assert_eq!(near.send_with_fds(&[], &[]).await.unwrap(), 0);
        assert_eq!(far.try_recv_with_fds(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);

        let (near, far) = UnixDatagram::pair().unwrap();
        assert_eq!(near.send_with_fds(&[], &[writer.as_fd()]).await.unwrap(), 0);
        drop(writer);
        assert_writes(received_datagram(&far, b"").await.remove(0), reader);
    });
}

#[test]
fn as_many_as_a_message_carries_and_no_more() {
    run(async {
        let (reader, writer) = pipe();
        let many = vec![writer.as_fd(); MOST + 1];
        let (near, far) = UnixStream::pair().unwrap();
        let (near_datagrams, far_datagrams) = UnixDatagram::pair().unwrap();
        // Credentials take room, too.
        sockopt::set_socket_passcred(&far, true).unwrap();
        let before = descriptors();
        for too_many in [near.send_with_fds(b"x", &many).await, near_datagrams.send_with_fds(b"x", &many).await] {
            let error = too_many.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().starts_with("254 descriptors at once"), "{error}");
        }
        for _ in 0..3 {
            near.send_with_fds(b"x", &many[1..]).await.unwrap();
            assert_eq!(received(&far, b"x").await.len(), MOST);
            near_datagrams.send_with_fds(b"x", &many[1..]).await.unwrap();
            assert_eq!(received_datagram(&far_datagrams, b"x").await.len(), MOST);
        }
        assert_eq!(descriptors(), before);
        drop(writer);
        assert_ended(reader);
    });
}

#[test]
fn a_dropped_receive_has_taken_nothing() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (reader, writer) = pipe();
        let mut buf = [0; 8];
        {
            let mut receiving = pin!(far.recv_with_fds(&mut buf));
            assert!(!poll_once(receiving.as_mut()));
            near.send_with_fds(b"x", &[writer.as_fd()]).await.unwrap();
        }
        drop(writer);
        assert_writes(received(&far, b"x").await.remove(0), reader);
    });
}

#[test]
fn a_dropped_send_has_sent_nothing() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let full = fill(&near);
        let (reader, writer) = pipe();
        {
            let fds = [writer.as_fd()];
            let mut sending = pin!(near.send_with_fds(b"x", &fds));
            assert!(!poll_once(sending.as_mut()));
        }
        assert_eq!(near.try_send_with_fds(b"x", &[writer.as_fd()]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(writer);
        assert_ended(reader);
        soon("what was sent before", far.read_exact(&mut vec![0; full])).await.unwrap();
        assert_eq!(far.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_send_waits_for_room() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let full = fill(&near);
        let (reader, writer) = pipe();
        let fds = [writer.as_fd()];
        let mut sending = Box::pin(near.send_with_fds(b"x", &fds));
        assert!(!poll_once(sending.as_mut()));
        soon("what was sent before", far.read_exact(&mut vec![0; full])).await.unwrap();
        assert_eq!(soon("room", sending).await.unwrap(), 1);
        drop(writer);
        assert_writes(received(&far, b"x").await.remove(0), reader);
    });
}

#[test]
fn those_under_way_are_closed_with_the_socket() {
    run(async {
        let ((stream_reader, stream_writer), (datagram_reader, datagram_writer)) = (pipe(), pipe());
        let (near, far) = UnixStream::pair().unwrap();
        near.send_with_fds(b"x", &[stream_writer.as_fd()]).await.unwrap();
        let (near_datagrams, far_datagrams) = UnixDatagram::pair().unwrap();
        near_datagrams.send_with_fds(b"x", &[datagram_writer.as_fd()]).await.unwrap();
        drop((stream_writer, datagram_writer, far, far_datagrams));
        assert_ended(stream_reader);
        assert_ended(datagram_reader);

        let (_, writer) = pipe();
        let error = near.send_with_fds(b"x", &[writer.as_fd()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let error = near_datagrams.send_with_fds(b"x", &[writer.as_fd()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_peer_that_has_gone_raises_no_signal() {
    if !is_child() {
        return assert_passed(&in_child("a_peer_that_has_gone_raises_no_signal"));
    }
    // SAFETY: the default disposition runs no code of ours, and no other thread of this process
    // changes or relies on dispositions.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        let (_, writer) = pipe();
        for _ in 0..3 {
            let error = near.send_with_fds(b"x", &[writer.as_fd()]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let error = near.try_send_with_fds(b"x", &[writer.as_fd()]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn the_end_of_a_stream_comes_after_them_and_without_any() {
    run(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (reader, writer) = pipe();
        near.write_all(b"a").await.unwrap();
        near.send_with_fds(b"b", &[writer.as_fd()]).await.unwrap();
        drop((writer, near));
        assert_writes(received(&far, b"ab").await.remove(0), reader);
        assert!(received(&far, b"").await.is_empty());
    });
}

#[test]
fn to_a_name_and_from_one() {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = || format!("\0aio-runtime fds {} {}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    run(async {
        let (server_name, client_name) = (name(), name());
        let server = UnixDatagram::bind(&server_name).unwrap();
        let client = UnixDatagram::bind(&client_name).unwrap();
        let (reader, writer) = pipe();
        client.send_to_with_fds(b"take it", &[writer.as_fd()], &server_name).await.unwrap();
        drop(writer);
        let mut buf = [0; 4];
        let (len, fds, sender) = soon("a datagram", server.recv_from_with_fds(&mut buf)).await.unwrap();
        // Cut, but with what came along.
        assert_eq!((&buf[..len], fds.len()), (&b"take"[..], 1));
        assert_eq!(sender.as_abstract_name().unwrap(), &client_name.as_bytes()[1..]);

        // Connected, and back again.
        server.connect(&client_name).unwrap();
        server.send_with_fds(b"back", &[fds[0].as_fd()]).await.unwrap();
        drop(fds);
        assert_writes(received_datagram(&client, b"back").await.remove(0), reader);
        let (_, writer) = pipe();
        let error = client.send_to_with_fds(b"x", &[writer.as_fd()], name()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connection_is_handed_over() {
    run(async {
        let (mut client, server) = common::stream_pair();
        let (near, far) = UnixStream::pair().unwrap();
        near.send_with_fds(b"x", &[server.as_fd()]).await.unwrap();
        drop(server);
        let connection = std::net::TcpStream::from(received(&far, b"x").await.remove(0));
        let mut server = aio_runtime::net::TcpStream::from_std(connection).unwrap();
        client.write_all(b"ping").await.unwrap();
        let mut ping = [0; 4];
        soon("a ping", server.read_exact(&mut ping)).await.unwrap();
        drop(server);
        assert_eq!(soon("the end", client.read(&mut [0])).await.unwrap(), 0);
    });
}

#[test]
fn those_that_the_process_cannot_have_are_an_error_and_no_leak() {
    if !is_child() {
        let test = "those_that_the_process_cannot_have_are_an_error_and_no_leak";
        return assert_passed(&in_child(test));
    }
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let (near_datagrams, far_datagrams) = UnixDatagram::pair().unwrap();
        let (reader, writer) = pipe();
        let four: [BorrowedFd<'_>; 4] = [writer.as_fd(); 4];
        near.send_with_fds(b"lost", &four).await.unwrap();
        near.send_with_fds(b"next", &four[..2]).await.unwrap();
        near_datagrams.send_with_fds(b"lost", &four).await.unwrap();
        near_datagrams.send_with_fds(b"next", &four[..2]).await.unwrap();

        // Room for two more: these.
        let room = [rustix::io::dup(&writer).unwrap(), rustix::io::dup(&writer).unwrap()];
        let limit = getrlimit(Resource::Nofile);
        let highest = rustix::io::dup(&writer).unwrap();
        let current = Some(highest.as_raw_fd() as u64);
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
        drop((room, highest));

        let mut buf = [0; 64];
        let on_stream = soon("an error", far.recv_with_fds(&mut buf)).await.unwrap_err();
        let of_datagram = soon("an error", far_datagrams.recv_with_fds(&mut buf)).await.unwrap_err();
        for error in [on_stream, of_datagram] {
            assert_eq!(error.kind(), ErrorKind::Other);
            assert!(error.to_string().contains("with 4 bytes were lost"), "{error}");
        }
        // What did come was closed, so there is room for these.
        assert_eq!(received(&far, b"next").await.len(), 2);
        assert_eq!(received_datagram(&far_datagrams, b"next").await.len(), 2);
        assert_eq!(rustix::io::dup(&writer).map(drop), Ok(()));

        setrlimit(Resource::Nofile, limit).unwrap();
        drop(writer);
        assert_ended(reader);
    });
}
