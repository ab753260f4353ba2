//! What a socket says of itself, and conversions from and to std.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::time::timeout;

use super::{stream_and_peer, text_of};
use crate::common::{run, soon};
use crate::kind::{Listener, NAME, Stream, connect, connect_std, listen, listen_std, pair_std, reset};

#[test]
fn debug_shows_descriptor_and_addresses() {
    run(async {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let shown = format!("{NAME}Listener {{ fd: {}, local: {address:?} }}", listener.as_raw_fd());
        assert_eq!(format!("{listener:?}"), shown);

        let mut stream = connect(&address).await.unwrap();
        let (fd, local) = (stream.as_raw_fd(), text_of(stream.local_addr()));
        let fields = format!("{{ fd: {fd}, local: {local}, peer: {address:?} }}");
        assert_eq!(format!("{stream:?}"), format!("{NAME}Stream {fields}"));
        let halves = format!("{:?}", Stream::split(&mut stream));
        assert_eq!(halves, format!("(ReadHalf {fields}, WriteHalf {fields})"));
        let halves = format!("{:?}", stream.into_split());
        assert_eq!(halves, format!("(OwnedReadHalf {fields}, OwnedWriteHalf {fields})"));
    });
}

#[test]
fn descriptors_are_those_of_the_socket() {
    run(async {
        let (std, _peer) = pair_std();
        let fd = std.as_raw_fd();
        let stream = Stream::from_std(std).unwrap();
        assert_eq!((stream.as_raw_fd(), stream.as_fd().as_raw_fd()), (fd, fd));
        let std = listen_std();
        let fd = std.as_raw_fd();
        let listener = Listener::from_std(std).unwrap();
        assert_eq!((listener.as_raw_fd(), listener.as_fd().as_raw_fd()), (fd, fd));
    });
}

#[test]
fn take_error_takes_it_once() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        assert!(stream.take_error().unwrap().is_none());
        stream.write_all(b"unread").await.unwrap();
        reset(peer);
        soon("the reset", stream.readable()).await.unwrap();
        assert_eq!(stream.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionReset);
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap(), 0);
        assert!(listen().await.take_error().unwrap().is_none());
    });
}

#[test]
fn try_from_std() {
    run(async {
        let listener = Listener::try_from(listen_std()).unwrap();
        let mut peer = connect_std(&listener.local_addr().unwrap()).unwrap();
        soon("an accept", listener.accept()).await.unwrap().0.write_all(b"x").await.unwrap();
        peer.read_exact(&mut [0]).unwrap();
        let (std, mut peer) = pair_std();
        let mut stream = Stream::try_from(std).unwrap();
        peer.write_all(b"x").unwrap();
        soon("a byte", stream.read_exact(&mut [0])).await.unwrap();
    });
}

#[test]
fn from_std_and_back() {
    run(async {
        let listener = Listener::from_std(listen_std()).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = connect_std(&address).unwrap();
        let (stream, _) = soon("an accept", listener.accept()).await.unwrap();
        assert!(timeout(Duration::from_millis(1), listener.accept()).await.is_err());
        assert!(timeout(Duration::from_millis(1), (&stream).read(&mut [0])).await.is_err());

        let mut stream = stream.into_std().unwrap();
        let listener = listener.into_std().unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.write_all(b"from std").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut peer = Stream::from_std(peer).unwrap();
        let mut text = String::new();
        soon("the text", peer.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "from std");

        // And once more, with another registration of the same descriptor.
        let mut stream = Stream::from_std(stream).unwrap();
        peer.write_all(b"z").await.unwrap();
        soon("a byte", stream.read_exact(&mut [0])).await.unwrap();
    });
}
