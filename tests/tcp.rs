//! TCP: listening, connecting, reading, writing, halves, addresses, errors.

mod common;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::task::yield_now;
use aio_runtime::time::{sleep, timeout};
use aio_runtime::{Handle, Runtime, spawn};
use common::{ANY_PORT, Clean, Deserted, pattern, run, soon, stream_and_peer, stream_pair};
use futures::future::{join, join_all, poll_fn};

#[test]
fn echo_with_many_connections() {
    const CONNECTIONS: usize = 200;
    const MESSAGES: usize = 20;
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.push(spawn(async move {
                    let mut buf = [0; 64];
                    loop {
                        match stream.read(&mut buf).await.unwrap() {
                            0 => return,
                            read => stream.write_all(&buf[..read]).await.unwrap(),
                        }
                    }
                }));
            }
            join_all(connections).await.into_iter().for_each(Result::unwrap);
        });
        let clients = (0..CONNECTIONS).map(|client| {
            spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for message in 0..MESSAGES {
                    let sent = format!("message {message:4} of client {client:4}");
                    stream.write_all(sent.as_bytes()).await.unwrap();
                    let mut echoed = vec![0; sent.len()];
                    stream.read_exact(&mut echoed).await.unwrap();
                    assert_eq!(echoed, sent.as_bytes());
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            soon("a client", client).await.unwrap();
        }
        soon("the server", server).await.unwrap();
    });
}

#[test]
fn more_than_the_socket_buffers_hold() {
    run(async {
        let sent = pattern(8 << 20);
        let (mut near, mut far) = stream_pair();
        let writer = spawn({
            let sent = sent.clone();
            async move {
                near.write_all(&sent).await.unwrap();
                near.close().await.unwrap();
            }
        });
        let mut received = Vec::new();
        soon("all of it", far.read_to_end(&mut received)).await.unwrap();
        assert!(received == sent);
        writer.await.unwrap();
    });
}

#[test]
fn vectored_reads_and_writes() {
    run(async {
        let (mut near, mut far) = stream_pair();
        let written = near
            .write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"three"), IoSlice::new(b"five5")])
            .await
            .unwrap();
        assert_eq!(written, 13);
        let (mut first, mut second) = ([0; 4], [0; 20]);
        let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let read = far.read_vectored(bufs).await.unwrap();
        assert_eq!((read, &first, &second[..9]), (13, b"onet", &b"hreefive5"[..]));

        // More slices than one sendmsg takes.
        let many = vec![IoSlice::new(b"x"); 3000];
        let written = near.write_vectored(&many).await.unwrap();
        assert!((1..=3000).contains(&written));
        let mut received = vec![0; written];
        far.read_exact(&mut received).await.unwrap();
        assert!(received.iter().all(|byte| *byte == b'x'));
    });
}

#[test]
fn more_buffers_than_one_call_takes_are_not_a_short_write() {
    run(async {
        let (mut near, mut far) = stream_pair();
        let before = Handle::current().metrics().submitted_polls;
        let many = vec![IoSlice::new(b"x"); 3000];
        for _ in 0..3 {
            assert_eq!(near.write_vectored(&many).await.unwrap(), 1024);
        }
        for _ in 0..3 {
            let mut received = [[0]; 3000];
            let mut bufs: Vec<_> = received.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
            assert_eq!(far.read_vectored(&mut bufs).await.unwrap(), 1024);
        }
        assert_eq!(Handle::current().metrics().submitted_polls, before, "nothing had to be waited for");
    });
}

#[test]
fn vectored_reads_wait() {
    run(async {
        let (near, mut far) = stream_pair();
        let reader = spawn(async move {
            let (mut first, mut second) = ([0; 1], [0; 2]);
            let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let read = (&near).read_vectored(bufs).await.unwrap();
            (read, first, second)
        });
        sleep(Duration::from_millis(1)).await;
        far.write_all(b"abc").await.unwrap();
        assert_eq!(soon("the read", reader).await.unwrap(), (3, *b"a", *b"bc"));
    });
}

#[test]
fn an_empty_buffer_reads_and_writes_nothing() {
    run(async {
        let (mut near, mut far) = stream_pair();
        far.write_all(b"x").await.unwrap();
        assert_eq!(soon("no write", near.write(b"")).await.unwrap(), 0);
        assert_eq!(soon("no read", near.read(&mut [])).await.unwrap(), 0);
        near.read_exact(&mut [0]).await.unwrap();
    });
}

#[test]
fn peek_leaves_the_data() {
    run(async {
        let (near, mut far) = stream_pair();
        let peeked = async {
            let mut buf = [0; 8];
            let peeked = near.peek(&mut buf).await.unwrap();
            buf[..peeked].to_vec()
        };
        let (peeked, _) = join(peeked, far.write_all(b"data")).await;
        assert_eq!(peeked, b"data");
        let mut buf = [0; 2];
        assert_eq!(near.peek(&mut buf).await.unwrap(), 2);
        let mut text = [0; 4];
        (&near).read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"data");
        far.close().await.unwrap();
        assert_eq!(soon("peek at the end", near.peek(&mut buf)).await.unwrap(), 0);
    });
}

#[test]
fn readiness_and_tries() {
    run(async {
        let (near, mut peer) = stream_and_peer();
        assert_eq!(near.try_read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(timeout(Duration::from_millis(5), near.readable()).await.is_err(), "nothing to read");
        peer.write_all(b"some").unwrap();
        soon("readable", near.readable()).await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(near.try_read(&mut buf).unwrap(), 4);

        soon("writable", near.writable()).await.unwrap();
        let block = vec![1; 65536];
        let mut written = 0;
        while let Ok(more) = near.try_write(&block) {
            written += more;
        }
        assert!(timeout(Duration::from_millis(5), near.writable()).await.is_err(), "the buffers are full");
        peer.set_nonblocking(false).unwrap();
        let mut received = vec![0; written];
        peer.read_exact(&mut received).unwrap();
        soon("writable again", near.writable()).await.unwrap();
        assert!(near.try_write(b"x").is_ok());
    });
}

#[test]
fn any_number_of_futures_wait_for_one_direction() {
    run(async {
        let (near, mut peer) = stream_and_peer();
        assert!(near.try_read(&mut [0]).is_err());
        let waiting = join_all((0..10).map(|_| near.readable()));
        let (ready, ()) = join(waiting, async {
            yield_now().await;
            peer.write_all(b"x").unwrap();
        })
        .await;
        assert!(ready.into_iter().all(|ready| ready.is_ok()));
    });
}

#[test]
fn halves_that_borrow() {
    run(async {
        let (mut near, mut far) = stream_pair();
        // By method call it would be `AsyncReadExt::split`, which takes the stream.
        let (mut reader, mut writer) = TcpStream::split(&mut near);
        let echo = async {
            let mut buf = [0; 4];
            far.read_exact(&mut buf).await.unwrap();
            far.write_all(&buf).await.unwrap();
        };
        let mut buf = [0; 4];
        let (read, _) = join(reader.read_exact(&mut buf), async {
            writer.write_all(b"half").await.unwrap();
            echo.await
        })
        .await;
        read.unwrap();
        assert_eq!(&buf, b"half");
        assert!(reader.as_ref().peer_addr().is_ok() && writer.as_ref().local_addr().is_ok());
        // The stream is whole again.
        near.write_all(b"whole").await.unwrap();
    });
}

#[test]
fn halves_that_own() {
    run(async {
        let (near, mut far) = stream_pair();
        let (mut reader, mut writer) = near.into_split();
        let reading = spawn(async move {
            let mut text = String::new();
            reader.read_to_string(&mut text).await.unwrap();
            (text, reader)
        });
        let writing = spawn(async move {
            writer.write_all(b"to the far end").await.unwrap();
            writer
        });
        let writer = writing.await.unwrap();
        far.write_all(b"to the near end").await.unwrap();
        far.close().await.unwrap();
        let (text, reader) = soon("the reading half", reading).await.unwrap();
        assert_eq!(text, "to the near end");
        // Dropping the write half ends its side, and only that.
        drop(writer);
        let mut text = String::new();
        soon("the end of the write side", far.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "to the far end");
        drop(reader);
    });
}

#[test]
fn halves_have_what_the_stream_has() {
    run(async {
        let (mut near, mut far) = stream_pair();
        let (near_addr, far_addr) = (near.local_addr().unwrap(), near.peer_addr().unwrap());
        far.write_all(b"ab").await.unwrap();
        let mut buf = [0; 2];

        let (mut reader, writer) = TcpStream::split(&mut near);
        assert_eq!((reader.local_addr().unwrap(), writer.peer_addr().unwrap()), (near_addr, far_addr));
        soon("data", reader.readable()).await.unwrap();
        assert_eq!(reader.peek(&mut buf).await.unwrap(), 2);
        assert_eq!((reader.try_read(&mut buf[..1]).unwrap(), buf), (1, *b"ab"));
        soon("room", writer.writable()).await.unwrap();
        assert_eq!(writer.try_write(b"cd").unwrap(), 2);

        let (mut reader, mut writer) = near.into_split();
        assert_eq!((reader.peer_addr().unwrap(), writer.local_addr().unwrap()), (far_addr, near_addr));
        assert_eq!((reader.peek(&mut buf).await.unwrap(), buf[0]), (1, b'b'));
        soon("data", reader.readable()).await.unwrap();
        assert_eq!(reader.try_read(&mut buf).unwrap(), 1);
        assert_eq!(reader.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        soon("room", writer.writable()).await.unwrap();
        assert_eq!(writer.try_write(b"ef").unwrap(), 2);
        writer.shutdown().await.unwrap();
        let mut text = String::new();
        soon("the end of the write side", far.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "cdef");
    });
}

#[test]
fn halves_are_reunited() {
    run(async {
        let (near, mut far) = stream_pair();
        let (reader, writer) = near.into_split();
        let mut near = writer.reunite(reader).unwrap();
        near.write_all(b"x").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();

        let (near_reader, near_writer) = near.into_split();
        let (far_reader, far_writer) = far.into_split();
        let error = near_reader.reunite(far_writer).unwrap_err();
        assert!(error.to_string().contains("not from the same stream"));
        let (near_reader, far_writer) = (error.0, error.1);
        let mut near = near_reader.reunite(near_writer).unwrap();
        let mut far = far_writer.reunite(far_reader).unwrap();
        far.write_all(b"y").await.unwrap();
        soon("a byte after all that", near.read_exact(&mut [0])).await.unwrap();
    });
}

#[test]
fn a_forgotten_write_half_leaves_its_side_open() {
    run(async {
        let (near, mut far) = stream_pair();
        let (reader, writer) = near.into_split();
        writer.forget();
        assert!(timeout(Duration::from_millis(5), far.read(&mut [0])).await.is_err(), "the side was ended");
        drop(reader);
        assert_eq!(soon("the end of the stream", far.read(&mut [0])).await.unwrap(), 0);
    });
}

#[test]
fn shutdown_closes_one_side() {
    run(async {
        let (mut near, mut far) = stream_pair();
        near.write_all(b"last words").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(near.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut text = String::new();
        soon("the end of the write side", far.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "last words");
        far.write_all(b"answer").await.unwrap();
        far.close().await.unwrap();
        text.clear();
        soon("the other side", near.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "answer");
    });
}

#[test]
fn shutdown_after_a_reset() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        rustix::net::sockopt::set_socket_linger(peer.as_fd(), Some(Duration::ZERO)).unwrap();
        drop(peer);
        soon("the reset", stream.readable()).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.close().await.unwrap();
        let (_reader, mut writer) = stream.into_split();
        writer.close().await.unwrap();
    });
}

#[test]
fn nodelay() {
    run(async {
        let (near, _far) = stream_pair();
        for on in [true, false, true] {
            near.set_nodelay(on).unwrap();
            assert_eq!(near.nodelay().unwrap(), on);
        }
    });
}

#[test]
fn both_ends_know_their_addresses() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let (client, accepted) = join(TcpStream::connect(address), listener.accept()).await;
        let (client, (server, peer)) = (client.unwrap(), accepted.unwrap());
        assert_eq!(client.peer_addr().unwrap(), address);
        assert_eq!(server.local_addr().unwrap(), address);
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(client.as_fd().as_raw_fd(), client.as_raw_fd());
        assert_eq!(listener.as_fd().as_raw_fd(), listener.as_raw_fd());
    });
}

#[test]
fn debug_shows_descriptor_and_addresses() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(
            format!("{listener:?}"),
            format!("TcpListener {{ fd: {}, local: {address} }}", listener.as_raw_fd())
        );

        let mut stream = TcpStream::connect(address).await.unwrap();
        let (fd, local) = (stream.as_raw_fd(), stream.local_addr().unwrap());
        let fields = format!("{{ fd: {fd}, local: {local}, peer: {address} }}");
        assert_eq!(format!("{stream:?}"), format!("TcpStream {fields}"));
        let halves = format!("{:?}", TcpStream::split(&mut stream));
        assert_eq!(halves, format!("(ReadHalf {fields}, WriteHalf {fields})"));
        let halves = format!("{:?}", stream.into_split());
        assert_eq!(halves, format!("(OwnedReadHalf {fields}, OwnedWriteHalf {fields})"));
    });
}

#[test]
fn every_form_of_address() {
    run(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listeners = [
            TcpListener::bind(any).await.unwrap(),
            TcpListener::bind(&any).await.unwrap(),
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
            TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
            TcpListener::bind((String::from("127.0.0.1"), 0)).await.unwrap(),
            TcpListener::bind(String::from(ANY_PORT)).await.unwrap(),
            TcpListener::bind(&[any][..]).await.unwrap(),
            TcpListener::bind("localhost:0").await.unwrap(),
            TcpListener::bind(("localhost", 0)).await.unwrap(),
        ];
        for listener in listeners {
            let address = listener.local_addr().unwrap();
            assert!(address.ip().is_loopback(), "{address}");
            let (client, accepted) = join(TcpStream::connect(address), listener.accept()).await;
            client.unwrap();
            accepted.unwrap();
        }
    });
}

#[test]
fn ipv6() {
    run(async {
        let listener = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await {
            Ok(listener) => listener,
            Err(error) => {
                // A host without IPv6 says so, and there is nothing to test.
                let missing = [Some(libc::EAFNOSUPPORT), Some(libc::EADDRNOTAVAIL)];
                return assert!(missing.contains(&error.raw_os_error()), "{error}");
            }
        };
        let address = listener.local_addr().unwrap();
        let (client, accepted) = join(TcpStream::connect(address), listener.accept()).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), address);
        assert!(accepted.unwrap().1.is_ipv6());
    });
}

#[test]
fn connect_tries_one_address_after_the_other() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let deserted = [Deserted::new(), Deserted::new()];
        let addresses = [deserted[0].address(), deserted[1].address(), listener.local_addr().unwrap()];
        let (client, accepted) = join(TcpStream::connect(&addresses[..]), listener.accept()).await;
        assert_eq!(client.unwrap().peer_addr().unwrap(), addresses[2]);
        accepted.unwrap();
        let error = TcpStream::connect(&addresses[..2]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn addresses_that_are_none() {
    run(async {
        for wrong in ["127.0.0.1:65536", "127.0.0.1", "localhost:http", ":", "", "127.0.0.1:-1"] {
            let bound = soon("bind", TcpListener::bind(wrong)).await.unwrap_err();
            assert_eq!(bound.kind(), ErrorKind::InvalidInput, "{wrong}: {bound}");
            let connected = soon("connect", TcpStream::connect(wrong)).await.unwrap_err();
            assert_eq!(connected.kind(), ErrorKind::InvalidInput, "{wrong}: {connected}");
        }
        let nothing: &[SocketAddr] = &[];
        let error = TcpStream::connect(nothing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("could not resolve"), "{error}");
    });
}

#[test]
fn a_host_that_nobody_knows() {
    run(async {
        // `.invalid` never resolves, with or without a name server (RFC 6761).
        let error = soon("the look-up", TcpStream::connect("no-such-host.invalid:80")).await.unwrap_err();
        assert!(error.to_string().contains("lookup"), "{error}");
    });
}

#[test]
fn bind_to_an_address_in_use() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let error = TcpListener::bind(listener.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn connect_where_nobody_listens() {
    run(async {
        let deserted = Deserted::new();
        let error = soon("the refusal", TcpStream::connect(deserted.address())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn from_std_and_back() {
    run(async {
        let listener = std::net::TcpListener::bind(ANY_PORT).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let peer = std::net::TcpStream::connect(address).unwrap();
        let (stream, _) = soon("an accept", listener.accept()).await.unwrap();
        assert!(timeout(Duration::from_millis(1), listener.accept()).await.is_err());
        assert!(timeout(Duration::from_millis(1), (&stream).read(&mut [0])).await.is_err());

        let mut stream = stream.into_std().unwrap();
        let listener = listener.into_std().unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.write_all(b"from std").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut peer = TcpStream::from_std(peer).unwrap();
        let mut text = String::new();
        soon("the text", peer.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "from std");

        // And once more, with another registration of the same descriptor.
        let mut stream = TcpStream::from_std(stream).unwrap();
        peer.write_all(b"z").await.unwrap();
        soon("a byte", stream.read_exact(&mut [0])).await.unwrap();
    });
}

#[test]
fn poll_accept_by_hand() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().1 });
        yield_now().await;
        let client = TcpStream::connect(address).await.unwrap();
        assert_eq!(soon("an accept", accepting).await.unwrap(), client.local_addr().unwrap());
    });
}

#[test]
fn what_a_listener_accepts_is_of_its_runtime() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind(ANY_PORT)).unwrap();
    let address = listener.local_addr().unwrap();
    // A connection that is there needs no waiting for, so no runtime around the accept.
    for other in [None, Some(Runtime::new().unwrap())] {
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        let (mut stream, _) = match &other {
            None => futures::executor::block_on(listener.accept()).unwrap(),
            Some(other) => other.block_on(listener.accept()).unwrap(),
        };
        drop(other);
        runtime.block_on(async {
            let reading = spawn(async move { stream.read(&mut [0]).await });
            sleep(Duration::from_millis(1)).await;
            peer.write_all(b"x").unwrap();
            assert_eq!(soon("a byte", reading).await.unwrap().unwrap(), 1);
        });
    }
    drop(listener);
    clean.end(runtime);
}

#[test]
fn a_dropped_accept_takes_no_connection() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        for _ in 0..10 {
            assert!(timeout(Duration::from_micros(100), listener.accept()).await.is_err());
        }
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_, address) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(address, peer.local_addr().unwrap());
    });
}

#[test]
fn a_dropped_read_takes_no_data() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer();
        for number in 0..50 {
            let mut buf = [0];
            assert!(timeout(Duration::from_micros(50), stream.read(&mut buf)).await.is_err());
            peer.write_all(&[number]).unwrap();
            soon("the byte", stream.read_exact(&mut buf)).await.unwrap();
            assert_eq!(buf, [number]);
        }
    });
}

#[test]
fn descriptors_run_out() {
    // In a process of its own, whose limit is small.
    let limit = rustix::process::Resource::Nofile;
    if !common::is_child() {
        return common::assert_passed(&common::in_child("descriptors_run_out"));
    }
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let before = rustix::process::getrlimit(limit);
        let few = rustix::process::Rlimit { current: Some(20), ..before };
        rustix::process::setrlimit(limit, few).unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        hoard.pop();
        let client = TcpStream::connect(address).await.unwrap();
        let error = soon("the failure", listener.accept()).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        // The connection has waited.
        hoard.pop();
        let (_, peer) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        drop(hoard);
        rustix::process::setrlimit(limit, before).unwrap();
    });
}

#[test]
fn a_stream_is_used_while_its_runtime_rests() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (mut stream, mut peer) = runtime.block_on(async { stream_and_peer() });
    // Nothing here has to wait, so no runtime is needed.
    let write = async {
        for _ in 0..1000 {
            stream.write_all(b"x").await.unwrap();
        }
    };
    futures::executor::block_on(write);
    peer.read_exact(&mut [0; 1000]).unwrap();
    drop((stream, peer));
    clean.end(runtime);
}
