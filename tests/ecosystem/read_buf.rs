//! The methods that take tokio's `ReadBuf`.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use aio_runtime::net::{TcpListener, UdpSocket, UnixDatagram, UnixStream};
use aio_runtime::spawn;
use aio_runtime::time::sleep;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::{TEST_LIMIT, connect, limits};

#[aio_runtime::test]
async fn a_stream_is_peeked_at() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut far = connect(listener.local_addr().unwrap()).await;
    let (mut near, _) = listener.accept().await.unwrap();
    let sending = spawn(async move {
        sleep(Duration::from_millis(5)).await;
        far.write_all(b"data").await.unwrap();
        far
    });
    let mut memory = [MaybeUninit::uninit(); 8];
    let mut buf = ReadBuf::uninit(&mut memory);
    buf.put_slice(b"my ");
    assert_eq!(poll_fn(|cx| near.poll_peek(cx, &mut buf)).await.unwrap(), 4);
    assert_eq!((buf.filled(), buf.remaining()), (&b"my data"[..], 1));
    let (mut reader, _) = near.split();
    assert_eq!(poll_fn(|cx| reader.poll_peek(cx, &mut buf)).await.unwrap(), 1);
    assert_eq!(buf.filled(), b"my datad");
    let (mut reader, _writer) = near.into_split();
    buf.clear();
    assert_eq!(poll_fn(|cx| reader.poll_peek(cx, &mut buf)).await.unwrap(), 4);
    // It is all still there.
    let mut data = Vec::new();
    drop(sending.await.unwrap());
    reader.read_to_end(&mut data).await.unwrap();
    assert_eq!(data, b"data");
}

#[aio_runtime::test]
async fn a_read_counts_what_it_has_filled() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let mut memory = [MaybeUninit::uninit(); 8];
    let mut buf = ReadBuf::uninit(&mut memory);
    let mut read = async |buf: &mut ReadBuf<'_>| {
        poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut near), cx, buf)).await.unwrap();
    };
    far.write_all(b"one").await.unwrap();
    read(&mut buf).await;
    assert_eq!((buf.filled(), buf.initialized().len()), (&b"one"[..], 3));
    far.write_all(b"three, four").await.unwrap();
    read(&mut buf).await;
    assert_eq!((buf.filled(), buf.remaining()), (&b"onethree"[..], 0));
    // What is known to be initialised stays so.
    buf.clear();
    read(&mut buf.take(2)).await;
    assert_eq!((buf.filled().len(), buf.initialized()), (0, &b", ethree"[..]));
}

#[aio_runtime::test]
async fn datagrams_are_received() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    far.connect(near.local_addr().unwrap()).await.unwrap();
    let sender = far.local_addr().unwrap();
    let sending = spawn(async move {
        sleep(Duration::from_millis(5)).await;
        for part in ["one", "three", "too long"] {
            far.send(part.as_bytes()).await.unwrap();
        }
    });
    let mut memory = [0; 12];
    let mut buf = ReadBuf::new(&mut memory);
    poll_fn(|cx| near.poll_peek(cx, &mut buf)).await.unwrap();
    assert_eq!(buf.filled(), b"one");
    poll_fn(|cx| near.poll_recv(cx, &mut buf)).await.unwrap();
    assert_eq!(buf.filled(), b"oneone");
    buf.clear();
    assert_eq!(poll_fn(|cx| near.poll_peek_from(cx, &mut buf)).await.unwrap(), sender);
    assert_eq!(poll_fn(|cx| near.poll_recv_from(cx, &mut buf)).await.unwrap(), sender);
    assert_eq!(buf.filled(), b"threethree");
    poll_fn(|cx| near.poll_recv(cx, &mut buf)).await.unwrap();
    assert_eq!(buf.filled(), b"threethreeto");
    let nothing = poll_fn(|cx| Poll::Ready(near.poll_recv(cx, &mut buf))).await;
    assert!(nothing.is_pending());
    sending.await.unwrap();
}

#[aio_runtime::test]
async fn datagrams_in_the_unix_domain_too() {
    let _watchdog = limits::begin(TEST_LIMIT);
    let (near, far) = UnixDatagram::pair().unwrap();
    far.send(b"one").await.unwrap();
    far.send(b"").await.unwrap();
    let mut memory = [MaybeUninit::uninit(); 8];
    let mut buf = ReadBuf::uninit(&mut memory);
    poll_fn(|cx| near.poll_recv(cx, &mut buf)).await.unwrap();
    assert!(poll_fn(|cx| near.poll_recv_from(cx, &mut buf)).await.unwrap().is_unnamed());
    assert_eq!(buf.filled(), b"one");
}
