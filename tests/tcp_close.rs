//! Closing: what is dropped is closed at once, though an armed poll would keep it open; and what
//! the peer's closing looks like.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use aio_runtime::io::{AsyncReadExt, AsyncWriteExt};
use aio_runtime::net::{TcpListener, TcpStream};
use aio_runtime::time::sleep;
use aio_runtime::{Handle, Runtime, spawn};
use common::{ANY_PORT, Clean, Deserted, pattern, rest, run, soon, stream_and_peer, stream_pair, turn};
use futures::channel::oneshot;

/// A close is seen within milliseconds; the bound is for a loaded machine, and far below any
/// time-out of TCP's.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Reads to the end in a thread of its own. Yields when the end was seen, and how: the bytes before
/// it, or the error.
fn watch_end(mut peer: std::net::TcpStream) -> oneshot::Receiver<(Instant, std::io::Result<usize>)> {
    let (report, reported) = oneshot::channel();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    thread::spawn(move || {
        let end = peer.read_to_end(&mut Vec::new());
        let _ = report.send((Instant::now(), end));
    });
    reported
}

/// Fills the buffers until a write would wait. Returns the bytes written.
fn fill(stream: &TcpStream) -> usize {
    let block = pattern(65536);
    let mut written = 0;
    while let Ok(more) = stream.try_write(&block) {
        written += more;
    }
    written
}

/// Polls a future once, with a waker that does nothing.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_stream_dropped_with_a_read_pending() {
    run(async {
        for _ in 0..20 {
            let (stream, peer) = stream_and_peer();
            let end = watch_end(peer);
            assert!(!poll_once(pin!((&stream).read(&mut [0]))));
            turn().await;
            let dropped = Instant::now();
            drop(stream);
            let (seen, read) = soon("the end of the stream", end).await.unwrap();
            assert_eq!(read.unwrap(), 0);
            assert!(seen - dropped < AT_ONCE, "{:?}", seen - dropped);
        }
    });
}

#[test]
fn a_stream_dropped_with_a_read_and_a_write_pending() {
    run(async {
        for _ in 0..5 {
            let (stream, peer) = stream_and_peer();
            let written = fill(&stream);
            assert!(!poll_once(pin!((&stream).read(&mut [0]))));
            assert!(!poll_once(pin!((&stream).write(b"x"))));
            turn().await;
            let dropped = Instant::now();
            drop(stream);
            let (seen, read) = soon("the end of the stream", watch_end(peer)).await.unwrap();
            assert_eq!(read.unwrap(), written);
            assert!(seen - dropped < AT_ONCE, "{:?}", seen - dropped);
        }
    });
}

#[test]
fn a_task_aborted_with_a_read_pending() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        let end = watch_end(peer);
        let task = spawn(async move { stream.read(&mut [0]).await });
        sleep(Duration::from_millis(1)).await;
        let aborted = Instant::now();
        task.abort();
        let (seen, read) = soon("the end of the stream", end).await.unwrap();
        assert_eq!(read.unwrap(), 0);
        assert!(seen - aborted < AT_ONCE, "{:?}", seen - aborted);
    });
}

#[test]
fn a_stream_dropped_after_its_read_was_forgotten() {
    run(async {
        let (stream, peer) = stream_and_peer();
        let end = watch_end(peer);
        let stream = Box::new(stream);
        let mut readable = Box::pin(async {
            assert!(stream.try_read(&mut [0]).is_err());
            stream.readable().await
        });
        assert!(!poll_once(readable.as_mut()));
        turn().await;
        std::mem::forget(readable);
        drop(stream);
        assert_eq!(soon("the end of the stream", end).await.unwrap().1.unwrap(), 0);
    });
}

#[test]
fn a_stream_dropped_in_the_future_of_block_on() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let mut peer = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        assert!(!poll_once(pin!((&stream).read(&mut [0]))));
        turn().await;
        peer
    });
    // Nothing drives the runtime any more.
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    clean.end(runtime);
}

#[test]
fn a_stream_dropped_outside_block_on() {
    let clean = Clean::begin();
    let runtime = Runtime::new().unwrap();
    let (stream, mut peer) = runtime.block_on(async {
        let (stream, peer) = stream_and_peer();
        assert!(!poll_once(pin!((&stream).read(&mut [0]))));
        turn().await;
        (stream, peer)
    });
    drop(stream);
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    clean.end(runtime);
}

#[test]
fn a_stream_turned_into_std_keeps_nothing_armed() {
    run(async {
        let (stream, peer) = stream_and_peer();
        assert!(!poll_once(pin!((&stream).read(&mut [0]))));
        turn().await;
        let stream = stream.into_std().unwrap();
        let end = watch_end(peer);
        drop(stream);
        assert_eq!(soon("the end of the stream", end).await.unwrap().1.unwrap(), 0);
    });
}

#[test]
fn halves_dropped_in_either_order() {
    run(async {
        for read_half_first in [true, false] {
            for _ in 0..5 {
                let (stream, peer) = stream_and_peer();
                let written = fill(&stream);
                let (mut reader, mut writer) = stream.into_split();
                assert!(!poll_once(pin!(reader.read(&mut [0]))));
                assert!(!poll_once(pin!(writer.write(b"x"))));
                turn().await;
                let end = watch_end(peer.try_clone().unwrap());
                if read_half_first {
                    drop(reader);
                    turn().await;
                    drop(writer);
                } else {
                    drop(writer);
                    turn().await;
                    drop(reader);
                }
                assert_eq!(soon("the end of the stream", end).await.unwrap().1.unwrap(), written);
                // Both sides are closed: the peer's writes meet nobody.
                let mut peer = peer;
                let refused = async {
                    while peer.write(b"x").is_ok() {
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                soon("the reset", refused).await;
            }
        }
    });
}

/// Binds, without an await, to an address that has just been left.
fn rebind(address: SocketAddr) -> TcpListener {
    let mut binding = pin!(TcpListener::bind(address));
    match binding.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(bound) => bound.unwrap(),
        std::task::Poll::Pending => panic!("to bind to an address is not to wait"),
    }
}

#[test]
fn a_listener_dropped_and_bound_again() {
    run(async {
        let mut listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            drop(listener);
            listener = rebind(address);
        }
    });
}

#[test]
fn a_listener_dropped_and_bound_again_after_a_dropped_accept() {
    run(async {
        let mut listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            assert!(!poll_once(pin!(listener.accept())));
            turn().await;
            drop(listener);
            listener = rebind(address);
        }
        // The last one is the one that accepts.
        let peer = std::net::TcpStream::connect(address).unwrap();
        let (_, accepted) = soon("an accept", listener.accept()).await.unwrap();
        assert_eq!(accepted, peer.local_addr().unwrap());
    });
}

#[test]
fn a_listener_dropped_and_bound_again_after_a_forgotten_accept() {
    run(async {
        let listener = Box::new(TcpListener::bind(ANY_PORT).await.unwrap());
        let address = listener.local_addr().unwrap();
        let mut accepting = Box::pin(listener.accept());
        assert!(!poll_once(accepting.as_mut()));
        turn().await;
        std::mem::forget(accepting);
        drop(listener);
        drop(rebind(address));
    });
}

#[test]
fn a_listener_dropped_with_its_task_and_bound_again() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move { listener.accept().await.map(drop) });
        sleep(Duration::from_millis(1)).await;
        accepting.abort();
        assert!(soon("the abort", accepting).await.unwrap_err().is_cancelled());
        drop(rebind(address));
    });
}

#[test]
fn a_dropped_listener_accepts_nobody() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!poll_once(pin!(listener.accept())));
        turn().await;
        drop(listener);
        let deserted = Deserted::at(address);
        let error = std::net::TcpStream::connect(deserted.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_number_of_a_closed_stream_is_used_again() {
    run(async {
        // Each stream has the descriptor of the one before, whose cancelled poll's event is still
        // to come.
        for round in 0..200_u8 {
            let (stream, mut peer) = stream_and_peer();
            let mut reading = Box::pin(async move {
                let mut byte = [0];
                (&stream).read_exact(&mut byte).await.unwrap();
                byte
            });
            assert!(!poll_once(reading.as_mut()));
            if round % 2 == 0 {
                turn().await;
                drop(reading);
            } else {
                peer.write_all(&[round]).unwrap();
                assert_eq!(soon("the byte", reading).await, [round]);
            }
        }
    });
}

#[test]
fn data_and_end_sent_at_once() {
    run(async {
        for round in 0..50 {
            let (mut stream, mut peer) = stream_and_peer();
            let reading = spawn(async move {
                let mut text = Vec::new();
                // One byte at a time, so that the end is met by a read that waits and by one that
                // does not.
                loop {
                    let mut byte = [0];
                    match stream.read(&mut byte).await.unwrap() {
                        0 => return text,
                        _ => text.push(byte[0]),
                    }
                }
            });
            if round % 2 == 0 {
                turn().await;
            }
            peer.write_all(b"data").unwrap();
            drop(peer);
            assert_eq!(soon("data and end", reading).await.unwrap(), b"data");
        }
    });
}

#[test]
fn the_end_alone() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        let reading = spawn(async move {
            let read = stream.read(&mut [0]).await.unwrap();
            // The end stays.
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            read
        });
        turn().await;
        drop(peer);
        assert_eq!(soon("the end", reading).await.unwrap(), 0);
    });
}

#[test]
fn half_closed_by_the_peer() {
    run(async {
        let (mut stream, mut peer) = stream_and_peer();
        let reading = spawn(async move {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            stream.write_all(b"still here").await.unwrap();
        });
        turn().await;
        peer.shutdown(Shutdown::Write).unwrap();
        soon("the half close", reading).await.unwrap();
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    });
}

#[test]
fn half_closed_while_a_write_waits() {
    run(async {
        let (stream, mut peer) = stream_and_peer();
        let written = fill(&stream);
        let (mut reader, mut writer) = stream.into_split();
        let writing = spawn(async move { writer.write_all(b"the rest").await });
        let reading = spawn(async move { reader.read(&mut [0]).await });
        turn().await;
        // The FIN wakes both, and is the reader's alone.
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(soon("the end", reading).await.unwrap().unwrap(), 0);
        assert!(!writing.is_finished());
        let draining = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received.len()
        });
        soon("the write", writing).await.unwrap().unwrap();
        assert_eq!(draining.join().unwrap(), written + b"the rest".len());
    });
}

#[test]
fn a_reset_wakes_readers_and_writers() {
    run(async {
        let (stream, peer) = stream_and_peer();
        fill(&stream);
        let (mut reader, mut writer) = stream.into_split();
        let reading = spawn(async move { reader.read(&mut [0]).await });
        let writing = spawn(async move { writer.write(b"x").await });
        turn().await;
        // Unread data and no lingering: a reset instead of a FIN.
        rustix::net::sockopt::set_socket_linger(peer.as_fd(), Some(Duration::ZERO)).unwrap();
        drop(peer);
        let read = soon("the reader", reading).await.unwrap();
        let written = soon("the writer", writing).await.unwrap().unwrap_err();
        // The first of the two to look takes the error; the other finds a connection that is no
        // more.
        match read {
            Ok(read) => assert_eq!((read, written.kind()), (0, ErrorKind::ConnectionReset)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                assert_eq!(written.kind(), ErrorKind::BrokenPipe);
            }
        }
    });
}

#[test]
fn a_reset_with_nobody_waiting() {
    run(async {
        let (mut stream, peer) = stream_and_peer();
        rustix::net::sockopt::set_socket_linger(peer.as_fd(), Some(Duration::ZERO)).unwrap();
        drop(peer);
        let error = soon("the reset", stream.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn connects_succeed_and_are_refused_while_they_wait() {
    run(async {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let (address, deserted) = (listener.local_addr().unwrap(), Deserted::new());
        for _ in 0..50 {
            let good = spawn(TcpStream::connect(address));
            let bad = spawn(TcpStream::connect(deserted.address()));
            soon("an accept", listener.accept()).await.unwrap();
            soon("a connect", good).await.unwrap().unwrap();
            let error = soon("a refusal", bad).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
fn a_connect_dropped_while_it_waits() {
    run(async {
        // A listener whose queue is full lets further connects wait.
        let listener =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &ANY_PORT.parse::<SocketAddr>().unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = SocketAddr::try_from(rustix::net::getsockname(&listener).unwrap()).unwrap();
        let queued = std::net::TcpStream::connect(address).unwrap();
        let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(TcpStream::connect(address))).collect();
        let waiting_for = waiting.iter_mut().filter_map(|connect| (!poll_once(connect.as_mut())).then_some(())).count();
        assert!(waiting_for > 0, "no connect has to wait");
        turn().await;
        let begin = Instant::now();
        drop(waiting);
        rest().await;
        assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
        drop(queued);
    });
}

#[test]
fn nothing_is_armed_for_streams_that_never_wait() {
    run(async {
        let before = Handle::current().metrics();
        for _ in 0..50 {
            let (mut near, mut far) = stream_pair();
            near.write_all(b"x").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
        }
        let after = Handle::current().metrics();
        assert_eq!(after.cancels, before.cancels);
        assert_eq!(after.submitted_polls, before.submitted_polls);
    });
}
